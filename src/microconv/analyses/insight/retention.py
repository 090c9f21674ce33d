"""Who stays: buyers by the week or month of their first purchase, and what they did in those that followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from microconv import wording
from microconv.analyses.amounts import UNITS_OF_VALUE
from microconv.analyses.insight.buyers import FEWEST_BUYERS, BuyerQuestion, between, not_enough, staged_days
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context
from microconv.result import Result, column, pivot, sheet
from microconv.stats.intervals import wilson
from microconv.wording import Bar, Heading, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

Grain = Literal["week", "month"]
_WEEK_DAYS = 7


@dataclass(frozen=True)
class CohortPeriod:
    """What the buyers of a cohort did in one week or month after the one of their first purchase (`age` 0).

    `cohort` is its first day. Shares are of `buyers`, None for fewer than 20. In one that is not `complete`, the data
    end before it does, so that more may follow.
    """

    cohort: date = column("first purchase from")
    age: int = column("later by", wording.count)
    buyers: int = column("buyers", wording.count)
    bought_again: int = column("came to it again", wording.count)
    share: float | None = column("share", wording.fine_share)
    low: float | None = column("share from", wording.fine_share)
    high: float | None = column("share to", wording.fine_share)
    came_back: int = column("came back", wording.count)
    came_share: float | None = column("came back, share", wording.fine_share)
    value: float | None = column("value per buyer so far", wording.cents)
    complete: bool = column("complete")


@dataclass(frozen=True)
class RetentionResult(Result):
    """Cohorts by their first day, each with its weeks or months from the first to that in which the data end."""

    row_type: ClassVar[type] = CohortPeriod

    goal: str
    grain: Grain
    cohorts: tuple[CohortPeriod, ...]
    currency: str
    sentence: str
    assumptions: tuple[str, ...]
    since: date | None = None
    until: date | None = None

    @property
    def rows(self) -> tuple[CohortPeriod, ...]:
        """The cohorts, period by period."""
        return self.cohorts

    def sheets(self) -> Iterator[Sheet | str]:
        """Show sizes and value, then who did it again and who came back: cohorts down, their age across.

        Cohorts and ages of which nothing can be told are left out.
        """
        latest = {row.cohort: row for row in self.cohorts}
        is_worth = any(row.value is not None for row in latest.values())
        yield sheet(
            f"Buyers by the {self.grain} of the first {self.goal}{f', value in {self.currency}' if is_worth else ''}",
            latest.values(),
            CohortPeriod,
            only=("cohort", "buyers", *(("value",) if is_worth else ())),
        )
        for what, share in ((f"Came to {self.goal} again", "share"), ("Came back", "came_share")):
            told = {
                (row.cohort, row.age): getattr(row, share)
                for row in self.cohorts
                if row.complete and getattr(row, share) is not None
            }
            title = f"{what}, by {self.grain}s after that of the first {self.goal}"
            if not told:
                yield f"{title}: no {self.grain} can be told yet."
                continue
            ages = sorted({age for _, age in told})
            cohorts = dict.fromkeys(cohort for cohort, _ in told)
            yield pivot(
                title,
                {(cohort, age): told.get((cohort, age)) for cohort in cohorts for age in ages},
                down=Heading("first purchase from"),
                write=wording.fine_share,
                label=wording.count,
            )

    def bars(self) -> tuple[Bar, ...]:
        """One bar per age: the share of all buyers known for as long who bought again in it."""
        return tuple(
            Bar(f"{self.grain} {age}", share, f"{wording.fine_share(share)} of {wording.count(buyers)}")
            for age, share, buyers in _by_age(self.cohorts)
        )


class RetentionCohorts(BuyerQuestion):
    """Follow the buyers of one week or month: who bought again, and who came back, in those that followed."""

    grain: Grain = Field(default="week", description="what cohorts are of: the week or month of the first purchase")

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the query of the cohorts, and that of amounts by currency."""
        query = templates.query(
            "analyses/insight/retention",
            params=self.purchases(context),
            structure={"grain": self.grain, "by": "nothing"},
        )
        amounts = self.amounts_query(context)
        return (query,) if amounts is None else (query, amounts)

    def result(self, tables: Sequence[pa.Table], context: Context) -> RetentionResult:
        """Fill in the periods in which nobody did anything, and sum up."""
        goal, currency = self.goal_in(context.taxonomy), context.config.project.currency
        amounts = self.amounts(tables[1] if len(tables) > 1 else None, context)
        cohorts = tuple(_cohorts(tables[0].to_pylist(), self.grain, *staged_days(context)))
        return RetentionResult(
            goal=goal,
            grain=self.grain,
            cohorts=cohorts,
            currency=currency,
            sentence=_sentence(cohorts, self.grain, goal),
            assumptions=(
                *self.of_purchases(context),
                *self.of_value(context, amounts),
                f"Who came to {goal} again, or came back, in a {self.grain} did so on a day after the first purchase.",
                (
                    f"Left out of the tables are shares of a {self.grain} that is not wholly staged, and of cohorts of "
                    f"fewer than {FEWEST_BUYERS} buyers; JSON and CSV have the rows."
                ),
            ),
            since=self.since,
            until=self.until,
        )


def _after(day: date, periods: int, grain: Grain) -> date:
    """Return the first day of a period later."""
    if grain == "week":
        return day + timedelta(days=_WEEK_DAYS * periods)
    months = day.year * 12 + day.month - 1 + periods
    return date(months // 12, months % 12 + 1, 1)


def _cohorts(rows: Sequence[dict[str, Any]], grain: Grain, first: date, last: date) -> Iterator[CohortPeriod]:
    known = {(row["cohort"], row["age"]): row for row in rows}
    for cohort in sorted({row["cohort"] for row in rows}):
        buyers = known[cohort, 0]["buyers"]
        enough = buyers >= FEWEST_BUYERS
        age, micros = 0, 0
        while (begins := _after(cohort, age, grain)) <= last:
            row = known.get((cohort, age), {"bought_again": 0, "came_back": 0, "value_micros": 0})
            micros += row["value_micros"]
            interval = wilson(row["bought_again"], buyers) if enough else None
            yield CohortPeriod(
                cohort=cohort,
                age=age,
                buyers=buyers,
                bought_again=row["bought_again"],
                share=row["bought_again"] / buyers if enough else None,
                low=interval.low if interval else None,
                high=interval.high if interval else None,
                came_back=row["came_back"],
                came_share=row["came_back"] / buyers if enough else None,
                value=micros / UNITS_OF_VALUE / buyers if enough else None,
                complete=first <= begins and _after(cohort, age + 1, grain) - timedelta(days=1) <= last,
            )
            age += 1


def _by_age(cohorts: Sequence[CohortPeriod]) -> Iterator[tuple[int, float, int]]:
    """Yield each age with the share of those who bought again in it, of all buyers of complete periods."""
    for age in sorted({row.age for row in cohorts}):
        rows = [row for row in cohorts if row.age == age and row.complete]
        buyers = sum(row.buyers for row in rows)
        if buyers >= FEWEST_BUYERS:
            yield age, sum(row.bought_again for row in rows) / buyers, buyers


def _sentence(cohorts: Sequence[CohortPeriod], grain: Grain, goal: str) -> str:
    if not cohorts:
        return f"No {goal} is staged in these days: nobody to follow."
    known = {age: (share, buyers) for age, share, buyers in _by_age(cohorts)}
    if 1 not in known:
        buyers = sum(row.buyers for row in cohorts if row.age == 1 and row.complete)
        return f"Too few buyers are known for a whole {grain} after their first: {not_enough(buyers, 'buyer')}."
    share, buyers = known[1]
    interval = wilson(round(share * buyers), buyers)
    ends = between(interval.low, interval.high, wording.fine_share) if interval else ""
    return (
        f"In the {grain} after that of the first {goal}, {wording.fine_share(share)} of "
        f"{wording.plural(buyers, 'buyer')} came to {goal} again{ends}."
    )
