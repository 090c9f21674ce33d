"""How long it takes from one step of a funnel to another: mean, percentiles and a histogram."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from microconv import wording
from microconv.analyses.funnels.funnel import FunnelQuestion
from microconv.analyses.funnels.machine import Machine, machine
from microconv.config.funnel_settings import Count
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import HIDDEN, Context, Option
from microconv.result import Result, column, sheet
from microconv.wording import Bar, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
EDGES = (
    *(10, 30, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR),
    *(_DAY, 2 * _DAY, 3 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY, 90 * _DAY),
)
"""Where the buckets of the histogram meet, in seconds; each but the last ends before the next begins."""


@dataclass(frozen=True)
class StepTime:
    """The time from one step to another, in seconds, over the `count` that took both; None where nobody did."""

    from_step: str = column("from")
    to_step: str = column("to")
    count: int = column("count", wording.count)
    seconds_mean: float | None = column("mean", wording.elapsed)
    seconds_median: float | None = column("median", wording.elapsed)
    seconds_p75: float | None = column("three quarters within", wording.elapsed)
    seconds_p90: float | None = column("nine in ten within", wording.elapsed)


@dataclass(frozen=True)
class TimeBucket:
    """How many took from `at_least_seconds` to less than `below_seconds` (None: without end)."""

    from_step: str
    to_step: str
    at_least_seconds: int
    below_seconds: int | None
    count: int


@dataclass(frozen=True)
class FunnelTimesResult(Result):
    """The times between steps of a funnel, with a histogram of each that goes as far as its slowest."""

    row_type: ClassVar[type] = StepTime

    funnel: str
    count: Count
    times: tuple[StepTime, ...]
    histogram: tuple[TimeBucket, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[StepTime, ...]:
        """The times."""
        return self.times

    def sheets(self) -> Iterator[Sheet]:
        """Show a row per pair of steps."""
        yield sheet(f"Time between steps of {self.funnel}", self.times, StepTime, labels={"count": self.count})

    def bars(self) -> tuple[Bar, ...]:
        """One bar per bucket of the histograms."""
        return tuple(
            Bar(
                f"{row.from_step} to {row.to_step}, from {wording.elapsed(row.at_least_seconds)}",
                row.count,
                wording.count(row.count),
            )
            for row in self.histogram
        )


class FunnelTimes(FunnelQuestion):
    """The time between steps of a funnel.

    The time from step a to step b is that of the way on which a unit first took b, if that way had taken a. Percentiles
    lie between the two nearest times, as a median of four lies between the middle two. `pairs` are numbers of two
    steps, from 1, the earlier first; by default from the first step to each, and from each to the next.
    """

    options: ClassVar[Mapping[str, Option]] = {**FunnelQuestion.options, "pairs": HIDDEN}

    pairs: tuple[tuple[int, int], ...] | None = Field(default=None, description="pairs of steps, by their numbers")

    @property
    def asked_pairs(self) -> tuple[tuple[int, int], ...]:
        """The pairs of steps, each once."""
        if self.pairs is not None:
            return tuple(dict.fromkeys(self.pairs))
        steps = range(2, len(self.steps) + 1)
        return tuple(dict.fromkeys(pair for step in steps for pair in ((1, step), (step - 1, step))))

    def _machine(self, context: Context) -> Machine:
        return machine(self, context, ways_from=2, is_timed=True)

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the query of the times."""
        self.refuse_without_order("no time between two")
        for first, second in self.asked_pairs:
            if not 1 <= first < second <= len(self.steps):
                raise UsageError(
                    f"The funnel {self.name} does not lead from step {first} to step {second}.",
                    hint=f"Name two of its steps, the earlier first, from 1 to {len(self.steps)}.",
                )
        asked = self._machine(context)
        query = templates.query(
            "analyses/funnels/times",
            params={
                **asked.params,
                "from_steps": [first for first, _ in self.asked_pairs],
                "to_steps": [second for _, second in self.asked_pairs],
                "edges_us": [edge * 1_000_000 for edge in EDGES],
            },
            structure={"funnel": asked.structure, "edges": len(EDGES)},
        )
        return (query,)

    def result(self, tables: Sequence[pa.Table], context: Context) -> FunnelTimesResult:
        """Gather the times and buckets of each pair."""
        (table,) = tables
        found: dict[tuple[int, int], list[dict[str, Any]]] = {}
        for row in table.to_pylist():
            found.setdefault((row["from_step"], row["to_step"]), []).append(row)
        labels = self._machine(context).labels
        measured = tuple(_time(labels, pair, found.get(pair, [])) for pair in self.asked_pairs)
        return FunnelTimesResult(
            funnel=self.name,
            count=self.count,
            times=measured,
            histogram=tuple(
                bucket for pair in self.asked_pairs for bucket in _buckets(labels, pair, found.get(pair, []))
            ),
            sentence=self._sentence(measured),
            assumptions=(
                *self.assumptions(context),
                "Times are of the attempt that first took the furthest step, and there from where it first took each.",
            ),
        )

    def _sentence(self, measured: Sequence[StepTime]) -> str:
        timed = [
            (pair, time)
            for pair, time in zip(self.asked_pairs, measured, strict=True)
            if time.seconds_median is not None
        ]
        if not timed:
            return f"No {self.unit} took two steps, so there are no times to show."
        # From the first step to the last it is always longest: what can be mended is one step.
        single = [time for (first, second), time in timed if second == first + 1] or [time for _, time in timed]
        slowest = max(single, key=lambda time: time.seconds_median or 0.0)
        return (
            f"It takes longest from {slowest.from_step} to {slowest.to_step}: "
            f"{wording.elapsed(slowest.seconds_median)} is the median of {wording.plural(slowest.count, self.unit)}, "
            f"and one in ten takes {wording.elapsed(slowest.seconds_p90)} or more."
        )


def _time(labels: Sequence[str], pair: tuple[int, int], rows: Sequence[dict[str, Any]]) -> StepTime:
    row = rows[0] if rows else {}
    return StepTime(
        from_step=labels[pair[0] - 1],
        to_step=labels[pair[1] - 1],
        count=row.get("all_units", 0),
        seconds_mean=row.get("seconds_mean"),
        seconds_median=row.get("seconds_median"),
        seconds_p75=row.get("seconds_p75"),
        seconds_p90=row.get("seconds_p90"),
    )


def _buckets(labels: Sequence[str], pair: tuple[int, int], rows: Sequence[dict[str, Any]]) -> Iterator[TimeBucket]:
    units = {row["bucket"]: row["units"] for row in rows}
    edges = (0, *EDGES, None)
    for bucket in range(max(units, default=-1) + 1):
        first, second = (labels[step - 1] for step in pair)
        yield TimeBucket(first, second, edges[bucket] or 0, edges[bucket + 1], units.get(bucket, 0))
