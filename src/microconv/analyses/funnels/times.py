"""How long it takes from one step of a funnel to another: mean, percentiles and a histogram."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from microconv.analyses.funnels.machine import EVERYTHING, Carried, Machine, Selection, in_order, machine, settled
from microconv.analyses.funnels.wording import assumptions, counted
from microconv.config.sections import Count, FunnelConfig
from microconv.engines.base import Engine
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.result import Result
from microconv.taxonomy import Taxonomy

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

    from_step: str
    to_step: str
    count: int
    seconds_mean: float | None
    seconds_median: float | None
    seconds_p75: float | None
    seconds_p90: float | None


@dataclass(frozen=True)
class TimeBucket:
    """How many took from `at_least_seconds` to less than `below_seconds` (None: without end)."""

    from_step: str
    to_step: str
    at_least_seconds: int
    below_seconds: int | None
    count: int


@dataclass(frozen=True)
class FunnelTimes(Result):
    """The times between steps of a funnel, with a histogram of each that goes as far as its slowest."""

    analysis: ClassVar[str] = "funnel_times"
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


def usual_pairs(steps: int) -> tuple[tuple[int, int], ...]:
    """Return the pairs that are asked for unless others are: from the first step to each, and from each to the next."""
    pairs = [pair for step in range(2, steps + 1) for pair in ((1, step), (step - 1, step))]
    return tuple(dict.fromkeys(pairs))


def times(
    engine: Engine,
    config: FunnelConfig,
    taxonomy: Taxonomy,
    selection: Selection = EVERYTHING,
    *,
    pairs: Sequence[tuple[int, int]] | None = None,
) -> FunnelTimes:
    """Measure the time between steps (`sql/analyses/funnels/times.sql`).

    The time from step a to step b is that of the way on which a unit first took b, if that way had taken a. Percentiles
    lie between the two nearest times, as a median of four lies between the middle two.

    Args:
        engine: Where the staged tables are.
        config: The funnel: ordered or strict.
        taxonomy: The taxonomy the tables were staged with.
        selection: Which starts count.
        pairs: Numbers of two steps, from 1, the earlier first; by default `usual_pairs`.

    Raises:
        UsageError: The funnel has no order of steps, or a pair is none of its steps in their order.
        TaxonomyError: A step is no micro-conversion of the taxonomy.
        EngineError: The engine failed.
    """
    selection = settled(engine, selection)
    asked_pairs = usual_pairs(len(config.steps)) if pairs is None else tuple(dict.fromkeys(pairs))
    asked = _machine(config, taxonomy, selection, asked_pairs)
    found: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in engine.query(_query(asked, asked_pairs)).to_pylist():
        found.setdefault((row["from_step"], row["to_step"]), []).append(row)
    measured = tuple(_time(asked.labels, pair, found.get(pair, [])) for pair in asked_pairs)
    return FunnelTimes(
        funnel=config.name,
        count=config.count,
        times=measured,
        histogram=tuple(bucket for pair in asked_pairs for bucket in _buckets(asked.labels, pair, found.get(pair, []))),
        sentence=_sentence(config.count, measured),
        assumptions=(
            *assumptions(config, selection),
            "A time is that of the way on which the later step was first taken; who did not get there has none.",
        ),
    )


def times_query(
    config: FunnelConfig,
    taxonomy: Taxonomy,
    selection: Selection = EVERYTHING,
    *,
    pairs: Sequence[tuple[int, int]] | None = None,
) -> Query:
    """Return the query of the times between steps; UsageError where steps have no order, or are not the funnel's."""
    asked_pairs = usual_pairs(len(config.steps)) if pairs is None else tuple(pairs)
    return _query(_machine(config, taxonomy, selection, asked_pairs), asked_pairs)


def _machine(
    config: FunnelConfig,
    taxonomy: Taxonomy,
    selection: Selection,
    pairs: Sequence[tuple[int, int]],
) -> Machine:
    in_order(config, "a time between two")
    for first, second in pairs:
        if not 1 <= first < second <= len(config.steps):
            raise UsageError(
                f"From step {first} to step {second} is no way through the funnel {config.name}.",
                hint=f"Name two of its steps, the earlier first, from 1 to {len(config.steps)}.",
            )
    fields = [Carried(f"order_{step}", "event_order", step) for step in sorted({first for first, _ in pairs})]
    return machine(config, taxonomy, selection, fields=fields)


def _query(asked: Machine, pairs: Sequence[tuple[int, int]]) -> Query:
    return templates.query(
        "analyses/funnels/times",
        params={
            **asked.params,
            "from_steps": [first for first, _ in pairs],
            "to_steps": [second for _, second in pairs],
            "edges_us": [edge * 1_000_000 for edge in EDGES],
        },
        structure={"funnel": asked.structure, "edges": len(EDGES)},
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


def _sentence(count: Count, measured: Sequence[StepTime]) -> str:
    slowest = max(measured, key=lambda time: time.seconds_median or -1, default=None)
    if slowest is None or slowest.seconds_median is None:
        return f"No {count.removesuffix('s')} took two steps, so there is no time between them."
    return (
        f"The longest way is from {slowest.from_step} to {slowest.to_step}: {slowest.seconds_median:,.0f} s is the "
        f"median of {counted(count, slowest.count)}, and one in ten takes {slowest.seconds_p90:,.0f} s or more."
    )
