"""A funnel over time: by the day or week in which its starts lie, with those that are not over yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from microconv import wording
from microconv.analyses.funnels.funnel import FunnelQuestion
from microconv.analyses.funnels.machine import Carried, machine
from microconv.config.funnel_settings import Count
from microconv.config.sections import Config
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, Option
from microconv.result import Result, column, pivot
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar, Heading, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

Grain = Literal["day", "week"]


@dataclass(frozen=True)
class TrendStep:
    """One step, for those who began in one period: `period_date` is its day, or the Monday of its week.

    `count` of the `entered` took the step, `share` is the part (0 to 1; None where nobody entered). `incomplete` of the
    entered have not taken the last step and may yet.
    """

    period_date: date = column("period")
    step: str = column("step")
    count: int = column("count", wording.count)
    share: float | None = column("share", wording.share)
    entered: int = column("entered", wording.count)
    incomplete: int = column("may still go further", wording.count)


@dataclass(frozen=True)
class FunnelTrendResult(Result):
    """A funnel by period of the start, without gaps from the first period in which anybody began to the last."""

    row_type: ClassVar[type] = TrendStep

    funnel: str
    count: Count
    grain: Grain
    steps: tuple[TrendStep, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[TrendStep, ...]:
        """The steps, period by period."""
        return self.steps

    def sheets(self) -> Iterator[Sheet]:
        """Show periods down, steps across."""
        last = {row.period_date: row for row in self.steps}  # the last step of each, which comes last
        yield pivot(
            f"Funnel {self.funnel} by {self.grain} of the start, {self.count}",
            {(row.period_date, row.step): row.count for row in self.steps},
            down=Heading(self.grain),
            write=wording.count,
            beside={
                Heading("first to last", wording.share): lambda period: last[period].share,
                Heading("may still go further", wording.count): lambda period: last[period].incomplete,
            },
        )

    def bars(self) -> tuple[Bar, ...]:
        """One bar per period: the share that took the last step."""
        last = self.steps[-1].step if self.steps else ""
        return tuple(
            Bar(f"{row.period_date}", row.share or 0, wording.share(row.share))
            for row in self.steps
            if row.step == last
        )


class FunnelTrend(FunnelQuestion):
    """A funnel by the period in which its starts lie.

    An actor or session belongs to the period in which the attempt began that first took its furthest step.
    """

    options: ClassVar[Mapping[str, Option]] = {**FunnelQuestion.options, "grain": Option("--trend")}

    grain: Grain = Field(default="day", description="follow by the day or week of the start")

    @classmethod
    def of(cls, config: Config, taxonomy: Taxonomy) -> Iterator[Self]:  # noqa: ARG003 - as the contract has it
        """Yield the question for each funnel that has an order, by day."""
        yield from (cls.over(funnel) for funnel in config.funnels if cls.fits(funnel))

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the query of the trend, which knows the latest staged event."""
        self.refuse_without_order("no day on which it began")
        asked = machine(self, context, fields=[Carried("start_date", "event_date", None)])
        latest = context.latest_event_at
        query = templates.query(
            "analyses/funnels/trend",
            params={**asked.params, "latest_us": None if latest is None else round(latest.timestamp() * 1_000_000)},
            structure={"funnel": asked.structure, "by_week": self.grain == "week"},
        )
        return (query,)

    def result(self, tables: Sequence[pa.Table], context: Context) -> FunnelTrendResult:
        """Fill the gaps between periods."""
        (table,) = tables
        by_period: dict[date, dict[int, int]] = {}
        incomplete: dict[date, int] = {}
        for row in table.to_pylist():
            by_period.setdefault(row["period_date"], {})[row["step_index"]] = row["units"]
            if row["step_index"] == 0:
                incomplete[row["period_date"]] = row["incomplete"]
        labels = machine(self, context).labels
        return FunnelTrendResult(
            funnel=self.name,
            count=self.count,
            grain=self.grain,
            steps=tuple(_steps(labels, by_period, incomplete, timedelta(days=7 if self.grain == "week" else 1))),
            sentence=self._sentence(by_period, incomplete),
            assumptions=(
                *self.assumptions(context),
                f"The {self.grain} is that in which the attempt began that first took the furthest step.",
                "Incomplete are those whose time for the next step, or for all, ends after the latest staged event.",
            ),
        )

    def _sentence(self, by_period: Mapping[date, Mapping[int, int]], incomplete: Mapping[date, int]) -> str:
        if not by_period:
            return f"No {self.unit} began the funnel, so there are no days to show."
        entered, open_still = sum(found[0] for found in by_period.values()), sum(incomplete.values())
        since = min((period for period, many in incomplete.items() if many), default=None)
        still = (
            f"; from {since} on, {wording.count(open_still)} may still go further"
            if since
            else "; none of them may still go further"
        )
        return f"{wording.plural(entered, self.unit)} began in {wording.plural(len(by_period), self.grain)}{still}."


def _steps(
    labels: Sequence[str],
    by_period: Mapping[date, Mapping[int, int]],
    incomplete: Mapping[date, int],
    length: timedelta,
) -> Iterator[TrendStep]:
    period, last = min(by_period, default=date.max), max(by_period, default=date.min)
    while period <= last:
        found = by_period.get(period, {})
        entered = found.get(0, 0)
        for number, label in enumerate(labels, start=1):
            count = found.get(number, 0)
            yield TrendStep(
                period, label, count, count / entered if entered else None, entered, incomplete.get(period, 0)
            )
        period += length
