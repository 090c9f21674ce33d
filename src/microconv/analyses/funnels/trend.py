"""A funnel over time: by the day or week in which its starts lie, with those that are not over yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import ClassVar, Literal

from microconv.analyses.funnels.machine import (
    EVERYTHING,
    Carried,
    Selection,
    in_order,
    latest_event_at,
    machine,
    settled,
)
from microconv.analyses.funnels.wording import assumptions, counted
from microconv.config.sections import Count, FunnelConfig
from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.result import Result
from microconv.taxonomy import Taxonomy

Grain = Literal["day", "week"]


@dataclass(frozen=True)
class TrendStep:
    """One step, for those who began in one period: `period_date` is its day, or the Monday of its week.

    `count` of the `entered` took the step, `share` is the part (0 to 1; None where nobody entered). `incomplete` of the
    entered have not taken the last step and may yet.
    """

    period_date: date
    step: str
    count: int
    share: float | None
    entered: int
    incomplete: int


@dataclass(frozen=True)
class FunnelTrend(Result):
    """A funnel by period of the start, without gaps from the first period in which anybody began to the last."""

    analysis: ClassVar[str] = "funnel_trend"
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


def trend(
    engine: Engine,
    config: FunnelConfig,
    taxonomy: Taxonomy,
    selection: Selection = EVERYTHING,
    *,
    grain: Grain = "day",
) -> FunnelTrend:
    """Count a funnel by the period in which its starts lie (`sql/analyses/funnels/trend.sql`).

    An actor or session belongs to the period in which the attempt began that first took its furthest step.

    Raises:
        UsageError: The funnel has no order of steps.
        TaxonomyError: A step is no micro-conversion of the taxonomy.
        EngineError: The engine failed.
    """
    selection = settled(engine, selection)
    asked = trend_query(config, taxonomy, selection, grain=grain, latest_at=latest_event_at(engine))
    labels = machine(config, taxonomy, selection).labels
    by_period: dict[date, dict[int, int]] = {}
    incomplete: dict[date, int] = {}
    for row in engine.query(asked).to_pylist():
        by_period.setdefault(row["period_date"], {})[row["step_index"]] = row["units"]
        if row["step_index"] == 0:
            incomplete[row["period_date"]] = row["incomplete"]
    steps = tuple(_steps(labels, by_period, incomplete, timedelta(days=7 if grain == "week" else 1)))
    return FunnelTrend(
        funnel=config.name,
        count=config.count,
        grain=grain,
        steps=steps,
        sentence=_sentence(config.count, grain, by_period, incomplete),
        assumptions=(
            *assumptions(config, selection),
            f"The {grain} is that in which the attempt began that first took the furthest step.",
            "Incomplete are those whose time for the next step, or for all, goes on beyond the latest staged event.",
        ),
    )


def trend_query(
    config: FunnelConfig,
    taxonomy: Taxonomy,
    selection: Selection = EVERYTHING,
    *,
    grain: Grain = "day",
    latest_at: datetime | None = None,
) -> Query:
    """Return the query of a trend, with events staged up to `latest_at`; UsageError where steps have no order."""
    in_order(config, "a day on which it began")
    start = Carried("start_date", "event_date", None)
    asked = machine(config, taxonomy, selection, fields=[start])
    return templates.query(
        "analyses/funnels/trend",
        params={**asked.params, "latest_us": None if latest_at is None else round(latest_at.timestamp() * 1_000_000)},
        structure={"funnel": asked.structure, "by_week": grain == "week"},
    )


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


def _sentence(
    count: Count, grain: Grain, by_period: Mapping[date, Mapping[int, int]], incomplete: Mapping[date, int]
) -> str:
    if not by_period:
        return f"No {count.removesuffix('s')} began, so there is no trend."
    entered, open_still = sum(found[0] for found in by_period.values()), sum(incomplete.values())
    since = min((period for period, many in incomplete.items() if many), default=None)
    still = (
        f"; from {since} on, {open_still:,} may still go further" if since else "; none of them may still go further"
    )
    number = len(by_period)
    return f"{counted(count, entered)} began in {number:,} {grain}{'' if number == 1 else 's'}{still}."
