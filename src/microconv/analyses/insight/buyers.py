"""What all questions about buyers share: whose purchases count, of which days, in which currency, until when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from microconv import wording
from microconv.analyses.amounts import Amount, in_words, read_amounts
from microconv.config.sections import Period
from microconv.config.values import EntryId
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.question import Context, Option, Question, days
from microconv.taxonomy import Taxonomy

if TYPE_CHECKING:
    import pyarrow as pa

FEWEST_BUYERS = 20
"""Buyers below which no average is told."""

FEWEST_KNOWN = 10
"""Buyers known for as long as an average reaches, below which it is not told."""

ACTOR_GROUPS = 256
"""Groups of actors, by their key, that resampling draws from."""

SHORTEST_DAYS = 56
"""Days of data below which no model is fitted: in less, a pause and a loss look alike."""

MOST_FORESIGHT = 3
"""How many times as far as the data reach a model is followed at most."""


class BuyerQuestion(Period, Question):
    """A question about actors by their purchases: those whose first purchase lies in the days asked for."""

    options: ClassVar[Mapping[str, Option]] = {"goal": Option(metavar="ID")}

    goal: EntryId | None = Field(
        default=None, description="the micro-conversion that is a purchase; default: the first macro-conversion"
    )

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the goal."""
        if self.goal is not None:
            yield self.goal, "the goal"

    def goal_in(self, taxonomy: Taxonomy) -> str:
        """Return the id under which purchases are staged."""
        return taxonomy.goal(self.goal)

    def purchases(self, context: Context) -> dict[str, Value]:
        """Return the parameters of `sql/analyses/insight/_purchases.sql`, but for what buyers are split by."""
        goal, project = self.goal_in(context.taxonomy), context.config.project
        own = context.taxonomy.entry(goal).value == "event"
        last = staged_days(context)[1]
        return {
            "conversion": goal,
            "currency": project.currency if own else None,
            "assumed_currency": project.currency if own and project.assume_currency else None,
            "end_date": last,
            "until_date": last,
            **days(self),
        }

    def amounts_query(self, context: Context) -> Query | None:
        """Return the query of what purchases are worth by currency; None where the taxonomy says their value."""
        asked = {key: value for key, value in self.purchases(context).items() if key not in ("end_date", "until_date")}
        if asked["currency"] is None:
            return None
        return templates.query(
            "analyses/attribution/amounts",
            params={**asked, "last_date": None},  # who bought by then may have bought later, too
            structure={"touchpoint": "channel_group", "count": "each", "resets": False, "grouped": False},
        )

    def amounts(self, table: pa.Table | None, context: Context) -> tuple[Amount, ...]:
        """Read the rows of that query."""
        return () if table is None else read_amounts(table.to_pylist(), context.config.project.currency)

    def of_purchases(self, context: Context) -> Iterator[str]:
        """Say what a purchase is, and whose count."""
        goal = self.goal_in(context.taxonomy)
        yield f"A purchase is an occurrence of {goal}; all that an actor buys on one day of the property is one."
        yield (
            "Purchases before the first staged day are unknown: an actor's first purchase is the first one in the data."
        )
        if self.since is not None or self.until is not None:
            yield "The days asked for are those of the first purchase; what came later counts until the data end."

    def of_value(self, context: Context, amounts: Sequence[Amount]) -> Iterator[str]:
        """Say what value is, and what is left out of it."""
        project = context.config.project
        yield "Value is what was paid: costs and refunds are not taken off, and later money counts like money today."
        yield from in_words(
            amounts,
            project.currency,
            is_assumed=project.assume_currency,
            otherwise="Those purchases count as purchases of no value.",
        )


def staged_days(context: Context) -> tuple[date, date]:
    """Return the first and the last staged day; an example where nothing is staged, or without an engine."""
    rows = context.look_up(templates.query("operations/span"))
    example = templates.EXAMPLE_MOMENT.date()
    if not rows or rows[0]["last_date"] is None:
        return example, example
    return rows[0]["first_date"], rows[0]["last_date"]


def between(low: float | None, high: float | None, write: Any, *, of: str = "") -> str:  # noqa: ANN401 - of `wording`
    """Write an interval for a sentence: ` (95% interval: 1.2 to 3.4)`, `of` what; nothing where there is none."""
    if low is None or high is None:
        return ""
    return f" (95% interval{of}: {write(low)} to {write(high)})"


NOT_ENOUGH = "not enough data"
"""How what is said begins where there is too little to tell."""


def not_enough(number: int, noun: str = "") -> str:
    """Say that there is too little to tell: `number` is what fell short, `noun` what one of it is called."""
    return f"{NOT_ENOUGH}: n = {wording.plural(number, noun) if noun else wording.count(number)}"
