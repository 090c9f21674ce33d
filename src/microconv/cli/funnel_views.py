"""How results of funnels are shown: tables and bars, a view for each kind of result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from microconv.cli import output
from microconv.cli.answers import Bar
from microconv.cli.output import NOTHING, duration, percent

if TYPE_CHECKING:
    from rich.table import Table

    from microconv.analyses.funnels.breakdown import FunnelBreakdown
    from microconv.analyses.funnels.comparison import FunnelComparison
    from microconv.analyses.funnels.drop_off import DropOffResult
    from microconv.analyses.funnels.results import FunnelResult
    from microconv.analyses.funnels.times import FunnelTimes
    from microconv.analyses.funnels.trend import FunnelTrend

_SURE = 0.001
"""A p-value below is not written out."""


class View(ABC):
    """A result, and how it is shown."""

    result: FunnelResult | FunnelBreakdown | FunnelTrend | FunnelTimes | DropOffResult | FunnelComparison

    @abstractmethod
    def tables(self) -> list[Table]:
        """Return the tables of the result."""

    @abstractmethod
    def bars(self) -> Sequence[Bar]:
        """Return the bars of its chart."""


@dataclass(frozen=True)
class StepsView(View):
    """Who took each step."""

    result: FunnelResult

    def tables(self) -> list[Table]:
        """Show one row per step."""
        result, is_open = self.result, self.result.entry == "open"
        within = (
            f"within {duration(result.window_seconds)} of the first step"
            if result.window_seconds is not None
            else f"with at most {duration(result.step_window_seconds or 0)} from step to step"
        )
        return [
            output.table(
                f"Funnel {result.funnel}, {result.order}, {result.entry}, by {result.unit}, {within}",
                [
                    ("step", "left"),
                    (result.count, "right"),
                    *([("entered here", "right")] if is_open else []),
                    ("from previous", "right"),
                    ("from first", "right"),
                    ("median time", "right"),
                ],
                [
                    [
                        step.step,
                        f"{step.count:,}",
                        *([f"{step.entered:,}"] if is_open else []),
                        percent(step.from_previous),
                        percent(step.from_first),
                        _time(step.seconds_median),
                    ]
                    for step in result.steps
                ],
            )
        ]

    def bars(self) -> list[Bar]:
        """One bar per step."""
        return [Bar(step.step, step.count, f"{step.count:,}") for step in self.result.steps]


@dataclass(frozen=True)
class BreakdownView(View):
    """Who took each step, by the values of a property."""

    result: FunnelBreakdown

    def tables(self) -> list[Table]:
        """Show values down, steps across."""
        steps = tuple(dict.fromkeys(row.step for row in self.result.steps))
        found = {(row.value, row.step): row for row in self.result.steps}
        return [
            output.table(
                f"Funnel {self.result.funnel} by {self.result.by}, {self.result.count}",
                [(self.result.by, "left"), *((step, "right") for step in steps), ("first to last", "right")],
                [
                    [
                        value,
                        *(f"{found[value, step].count:,}" for step in steps),
                        percent(found[value, steps[-1]].from_first),
                    ]
                    for value in dict.fromkeys(row.value for row in self.result.steps)
                ],
            )
        ]

    def bars(self) -> list[Bar]:
        """One bar per value and step."""
        return [Bar(f"{row.value}, {row.step}", row.count, f"{row.count:,}") for row in self.result.steps]


@dataclass(frozen=True)
class TrendView(View):
    """Who took each step, by day or week."""

    result: FunnelTrend

    def tables(self) -> list[Table]:
        """Show periods down, steps across."""
        steps = tuple(dict.fromkeys(row.step for row in self.result.steps))
        found = {(row.period_date, row.step): row for row in self.result.steps}
        periods = dict.fromkeys(row.period_date for row in self.result.steps)
        return [
            output.table(
                f"Funnel {self.result.funnel} by {self.result.grain} of the start, {self.result.count}",
                [
                    (self.result.grain, "left"),
                    *((step, "right") for step in steps),
                    ("first to last", "right"),
                    ("may still go further", "right"),
                ],
                [
                    [
                        period.isoformat(),
                        *(f"{found[period, step].count:,}" for step in steps),
                        percent(found[period, steps[-1]].share),
                        f"{found[period, steps[0]].incomplete:,}",
                    ]
                    for period in periods
                ],
            )
        ]

    def bars(self) -> list[Bar]:
        """One bar per period: the share that took the last step."""
        last = self.result.steps[-1].step if self.result.steps else ""
        return [
            Bar(f"{row.period_date}", row.share or 0, percent(row.share))
            for row in self.result.steps
            if row.step == last
        ]


@dataclass(frozen=True)
class TimesView(View):
    """How long steps take."""

    result: FunnelTimes

    def tables(self) -> list[Table]:
        """Show one row per pair of steps."""
        return [
            output.table(
                f"Time between steps of {self.result.funnel}",
                [
                    ("from", "left"),
                    ("to", "left"),
                    (self.result.count, "right"),
                    *((name, "right") for name in ("mean", "median", "three quarters within", "nine in ten within")),
                ],
                [
                    [
                        row.from_step,
                        row.to_step,
                        f"{row.count:,}",
                        *map(_time, (row.seconds_mean, row.seconds_median, row.seconds_p75, row.seconds_p90)),
                    ]
                    for row in self.result.times
                ],
            )
        ]

    def bars(self) -> list[Bar]:
        """One bar per bucket of the histograms."""
        return [
            Bar(
                f"{row.from_step} to {row.to_step}, from {duration(row.at_least_seconds)}",
                row.count,
                f"{row.count:,}",
            )
            for row in self.result.histogram
        ]


@dataclass(frozen=True)
class DropOffView(View):
    """What came next for those who were lost."""

    result: DropOffResult

    def tables(self) -> list[Table]:
        """Show who was lost after each step, and what came next."""
        return [
            output.table(
                f"Lost on the way through {self.result.funnel}, {self.result.count}",
                [("furthest step", "left"), ("lost", "right"), ("left the session", "right"), ("came back", "right")],
                [
                    [step.step, f"{step.lost:,}", f"{step.left_session:,}", f"{step.returned:,}"]
                    for step in self.result.steps
                ],
            ),
            output.table(
                "What came next",
                [
                    ("furthest step", "left"),
                    ("place", "right"),
                    ("micro-conversion", "left"),
                    (self.result.count, "right"),
                    ("share", "right"),
                ],
                [
                    [row.step, f"{row.place}", row.next, f"{row.count:,}", percent(row.share)]
                    for row in self.result.nexts
                ],
            ),
        ]

    def bars(self) -> list[Bar]:
        """One bar per step."""
        return [Bar(step.step, step.lost, f"{step.lost:,} lost") for step in self.result.steps]


@dataclass(frozen=True)
class ComparisonView(View):
    """Two selections side by side."""

    result: FunnelComparison

    def tables(self) -> list[Table]:
        """Show one row per step and whole."""
        return [
            output.table(
                f"Funnel {self.result.funnel}: a is {self.result.name_a}, b is {self.result.name_b}",
                [
                    ("step", "left"),
                    ("share of", "left"),
                    ("a", "right"),
                    ("b", "right"),
                    ("difference", "right"),
                    ("95 % interval", "right"),
                    ("p", "right"),
                ],
                [
                    [
                        row.step,
                        row.share_of,
                        f"{row.reached_a:,} of {row.of_a:,}, {percent(row.share_a)}",
                        f"{row.reached_b:,} of {row.of_b:,}, {percent(row.share_b)}",
                        _points(row.difference),
                        NOTHING if row.low is None else f"{_points(row.low)} to {_points(row.high)}",
                        _p_value(row.p_value),
                    ]
                    for row in self.result.steps
                ],
            )
        ]

    def bars(self) -> list[Bar]:
        """Two bars per step: its share of the step before."""
        return [
            Bar(f"{row.step}, {side}", share or 0, percent(share))
            for row in self.result.steps
            if row.share_of == "previous"
            for side, share in (("a", row.share_a), ("b", row.share_b))
        ]


def _time(seconds: float | None) -> str:
    return NOTHING if seconds is None else duration(seconds)


def _points(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:+.1f}"


def _p_value(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"<{_SURE}" if value < _SURE else f"{value:.3f}"
