"""A funnel by a property: of the session or actor it began with, or of an occurrence on the way."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field

from microconv import wording
from microconv.analyses.funnels.counts import FunnelStep, steps_of
from microconv.analyses.funnels.funnel import FunnelQuestion
from microconv.analyses.funnels.machine import Carried, machine
from microconv.config.funnel_settings import Count
from microconv.config.problems import nearest
from microconv.config.sections import Config
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, Option
from microconv.result import OTHER, Result, column, pivot
from microconv.staging import properties
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar, Heading, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

SESSION_PROPERTIES = (
    *("channel_group", "source", "medium", "campaign", "landing_page"),
    *("device_category", "country", "is_new"),
)
MOST_VALUES = 1_000


@dataclass(frozen=True)
class Breakdown:
    """What tells units apart: a property of the session or the actor that they began with, or of an occurrence.

    `at` is the occurrence: the first step taken, the last, or the one that took a step by number; None of a session or
    actor.
    """

    of: Literal["session", "actor", "occurrence"]
    name: str
    at: Literal["first", "last"] | int | None = None

    @classmethod
    def parse(cls, text: str) -> Breakdown:
        """Read `channel_group` (of the session), `actor.country`, or `item_id@first`, `page@last`, `value@2`.

        Raises:
            UsageError: it is not one of these.
        """
        name, is_of_occurrence, place = text.partition("@")
        if is_of_occurrence and name and (place in ("first", "last") or (place.isdecimal() and int(place))):
            return cls("occurrence", name, int(place) if place.isdecimal() else place)  # type: ignore[arg-type]  # checked above
        of: Literal["session", "actor"] = "actor" if text.startswith("actor.") else "session"
        name = text.removeprefix("actor.")
        if name not in SESSION_PROPERTIES:
            raise UsageError(
                f"{text} cannot break down a funnel{nearest(name, SESSION_PROPERTIES)}.",
                hint=f"Use {', '.join(SESSION_PROPERTIES)}, with actor. before it for the actor's first session, or a "
                "property of an occurrence such as page@first, item_id@last or value@2.",
            )
        return cls(of, name)

    @property
    def properties(self) -> tuple[properties.Property, ...]:
        """The properties of occurrences that it reads."""
        return (properties.resolve(self.name),) if self.of == "occurrence" else ()

    def __str__(self) -> str:
        """Return it as `parse` reads it."""
        if self.of == "occurrence":
            return f"{self.name}@{self.at}"
        return f"actor.{self.name}" if self.of == "actor" else self.name


@dataclass(frozen=True)
class BreakdownStep:
    """A step of the funnel for the units of one value; see `FunnelStep`.

    `value` is `(not set)` where there is none, and `(other)` for all beyond the most frequent.
    """

    value: str = column("value")
    step: str = column("step")
    count: int = column("count", wording.count)
    from_previous: float | None = column("from previous", wording.share)
    from_first: float | None = column("from first", wording.share)
    entered: int | None = column("entered here", wording.count)
    continued: int | None = column("continued", wording.count)


@dataclass(frozen=True)
class FunnelBreakdownResult(Result):
    """A funnel by the values of a property, the most frequent first and `(other)` last: their counts add up to it."""

    row_type: ClassVar[type] = BreakdownStep

    funnel: str
    count: Count
    by: str
    steps: tuple[BreakdownStep, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[BreakdownStep, ...]:
        """The steps, value by value."""
        return self.steps

    def sheets(self) -> Iterator[Sheet]:
        """Show values down, steps across."""
        through = {row.value: row.from_first for row in self.steps}  # of the last step, which comes last
        yield pivot(
            f"Funnel {self.funnel} by {self.by}, {self.count}",
            {(row.value, row.step): row.count for row in self.steps},
            down=Heading(self.by),
            write=wording.count,
            beside={Heading("first to last", wording.share): through.__getitem__},
        )

    def bars(self) -> tuple[Bar, ...]:
        """One bar per value and step."""
        return tuple(Bar(f"{row.value}, {row.step}", row.count, wording.count(row.count)) for row in self.steps)


class FunnelBreakdown(FunnelQuestion):
    """A funnel by the values of a property.

    An actor or session has the value of its best attempt: the one that first took the furthest step. So each belongs to
    one value, and the counts of the values add up to those of the funnel.
    """

    options: ClassVar[Mapping[str, Option]] = {**FunnelQuestion.options, "by": Option(metavar="PROPERTY")}

    by: str = Field(description="break down by a property: channel_group, actor.country, page@first, item_id@2 …")
    top: int = Field(default=10, ge=1, le=MOST_VALUES, description="maximum number of values to tell apart")

    @classmethod
    def of(cls, config: Config, taxonomy: Taxonomy) -> Iterator[Self]:  # noqa: ARG003 - as the contract has it
        """Yield the question for each funnel that has an order, by channel group."""
        yield from (cls.over(funnel, {"by": "channel_group"}) for funnel in config.funnels if cls.fits(funnel))

    def properties(self) -> Collection[properties.Property]:
        """Return the properties that the funnel names, and the one it is broken down by."""
        return (*super().properties(), *Breakdown.parse(self.by).properties)

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the query of the breakdown."""
        self.refuse_without_order("no first one")
        broken_by = Breakdown.parse(self.by)
        if isinstance(broken_by.at, int) and not 1 <= broken_by.at <= len(self.steps):
            raise UsageError(
                f"{self.by} names step {broken_by.at}, and the funnel {self.name} has {len(self.steps)}.",
                hint="Name one of its steps.",
            )
        looked_at = broken_by.properties[0] if broken_by.properties else None
        column = looked_at.column if looked_at else broken_by.name
        # What is carried has a name of its own; the last occurrence is the row itself.
        attributes, fields, shown = {
            "session": ((), (Carried("first_session_key", "session_key", None),), column),
            "actor": (("actor_key",), (), column),
            "occurrence": ((column,), (), column)
            if broken_by.at == "last"
            else (
                (),
                (Carried("carried_value", column, None if broken_by.at == "first" else broken_by.at),),
                "carried_value",
            ),
        }[broken_by.of]
        asked = machine(self, context, attributes=attributes, fields=fields)
        if isinstance(broken_by.at, int) and 1 < broken_by.at < len(self.steps):
            values = [Carried("", column, broken_by.at)]
            asked = machine(self, context, attributes=(column,), ways_from=broken_by.at, way_values=values)
            shown = column
        query = templates.query(
            "analyses/funnels/breakdown",
            params={**asked.params, "top": self.top},
            structure={
                "funnel": asked.structure,
                "breakdown": {
                    "of": broken_by.of,
                    "column": shown,
                    "is_list": looked_at is not None and looked_at.is_list,
                    "is_number": looked_at is not None and looked_at.is_number,
                },
            },
        )
        return (query,)

    def result(self, tables: Sequence[pa.Table], context: Context) -> FunnelBreakdownResult:
        """Gather the steps of each value."""
        (table,) = tables
        by_value: dict[str, list[dict[str, Any]]] = {}
        for row in table.to_pylist():
            by_value.setdefault(OTHER if row["place"] is None else row["value"], []).append(row)
        if OTHER in by_value:  # without a place it may come first
            by_value[OTHER] = by_value.pop(OTHER)
        labels = machine(self, context).labels
        steps = {value: steps_of(self, labels, rows) for value, rows in by_value.items()}
        return FunnelBreakdownResult(
            funnel=self.name,
            count=self.count,
            by=self.by,
            steps=tuple(
                BreakdownStep(
                    value, step.step, step.count, step.from_previous, step.from_first, step.entered, step.continued
                )
                for value, taken in steps.items()
                for step in taken
            ),
            sentence=self._sentence(steps),
            assumptions=(
                *self.assumptions(context),
                f"The {_described(Breakdown.parse(self.by))} is that of the attempt that first took the furthest step.",
                "A difference between values shows no cause.",
            ),
        )

    def _sentence(self, steps: Mapping[str, Sequence[FunnelStep]]) -> str:
        if not steps:
            return f"No {self.unit} took any step of the funnel {self.name}."
        value, taken = next(iter(steps.items()))
        through = f"{wording.count(taken[-1].count)} of them took {taken[-1].step}"
        most = wording.plural(max(step.count for step in taken), self.unit)
        return f"The most frequent {self.by} is {value}, of {most}; {through}."


def _described(by: Breakdown) -> str:
    if by.of == "occurrence":
        return f"{by.name} of step {by.at}" if isinstance(by.at, int) else f"{by.name} of the {by.at} step taken"
    return f"{by.name} of the {'first session of their actor' if by.of == 'actor' else 'session in which it began,'}"
