"""What a guardrail is found to be: its figure with an interval, and the state that follows from the interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from microconv import wording
from microconv.config.guardrail_settings import PER_ACTORS, PER_SESSIONS, GuardrailConfig
from microconv.result import column
from microconv.stats.day_clusters import (
    DayCount,
    DayEstimate,
    mean_over_days,
    rate_over_days,
    ratio_over_days,
    share_over_days,
)

State = Literal["ok", "warning", "breached", "not measured"]
Kind = Literal["share", "rate", "mean"]

FEWEST_DAYS = 5
"""Days with figures below which nothing is said."""
FEWEST_UNITS = 30
"""Sessions, actors or occurrences below which nothing is said of what is counted per them."""
EXPECTED_AT_LEAST = 10
"""Where so many were to be expected and none was seen, the tracking is doubted, not the world."""
_ALL_ALIKE = "it is the same on each of these days, which do not say how far others may be from that: is it still fed?"
_DIGITS = 3


def figure(value: float | None) -> str:
    """Write a figure of any size with three digits that count: `0.0123`, `4.57`, `1,234`."""
    if value is None:
        return wording.NOTHING
    size = abs(value)
    if size >= 100 or value == 0:  # noqa: PLR2004 - then three digits stand before the point
        return wording.decimal(value, 0)
    digits = _DIGITS - 1
    while size < 1 and digits < 9:  # noqa: PLR2004 - what is smaller is nothing
        size, digits = size * 10, digits + 1
    return wording.decimal(value, digits if abs(value) < 10 else 1)  # noqa: PLR2004 - 12.3


@dataclass(frozen=True)
class GuardrailState:
    """A guardrail as it is now.

    Attributes:
        guardrail: Its name.
        state: ok, warning, breached, or not measured.
        measure: What is measured.
        kind: A share of units, a rate per unit, or a mean of daily values.
        value: The figure; None where it is not measured.
        low: The lower end of its 95% interval.
        high: The upper end.
        direction: "at most" or "at least".
        bound: The bound.
        counted: What was counted, or the sum of the daily values.
        units: What it was counted per.
        days: Days with figures.
        first_date: The first day of the window.
        last_date: The last day that is known, which the window ends with.
        says: Why it is not measured, or what is to be looked at.
    """

    guardrail: str = column("guardrail")
    state: str = column("state")
    measure: str = column("measure")
    kind: str = column("kind")
    value: float | None = column("value", figure)
    low: float | None = column("low", figure)
    high: float | None = column("high", figure)
    direction: str = column("direction")
    bound: float = column("bound", figure)
    counted: float | None = column("counted", figure)
    units: int | None = column("units", wording.count)
    days: int = column("days", wording.count)
    first_date: date | None = column("first day")
    last_date: date | None = column("last day")
    says: str = column("says")

    @property
    def stops(self) -> bool:
        """Whether it stops what names it: since it is breached, or since nobody can tell."""
        return self.state in ("breached", "not measured")

    def written(self, value: float | None) -> str:
        """Write a figure of it as people read it."""
        return wording.share(value) if self.kind == "share" else figure(value)

    @property
    def limit(self) -> str:
        """The bound in words: `at most 55.0%`."""
        return f"{self.direction} {self.written(self.bound)}"

    @property
    def interval(self) -> str:
        """The interval in words: `33.0% to 35.2%`."""
        if self.low is None:
            return wording.NOTHING
        return f"{self.written(self.low)} to {self.written(self.high)}"

    @property
    def of_how_many(self) -> str:
        """What it was counted per, in words: `12,345 sessions`; a dash for a mean of days."""
        if self.units is None:
            return wording.NOTHING
        unit = "session" if self.kind == "share" else self.measure.rpartition(" per ")[2]
        return (
            wording.plural(self.units, unit) if unit in ("session", "actor") else f"{wording.count(self.units)} {unit}"
        )

    @property
    def words(self) -> str:
        """What it is, in a sentence without its end."""
        if self.state == "not measured":
            return f"guardrail {self.guardrail} ({self.measure}, {self.limit}) cannot be measured: {self.says}"
        state = {"ok": "holds", "warning": "is near its bound", "breached": "is breached"}[self.state]
        return (
            f"guardrail {self.guardrail} {state}: {self.measure} {self.written(self.value)} (95% interval "
            f"{self.interval}), {self.limit}, in {wording.plural(self.days, 'day')} to {self.last_date}"
        )


def measure_of(config: GuardrailConfig) -> str:
    """Say what a guardrail measures."""
    if config.metric is not None:
        return config.metric.replace("_", " ")
    what = config.entry or (f"event {config.event}" if config.event else config.external or "")
    if config.dimension is not None:
        what = f"{what} ({config.dimension})"
    per = {None: None, PER_SESSIONS: "session", PER_ACTORS: "actor"}.get(config.per, config.per)
    return what if per is None else f"{what} per {per}"


def kind_of(config: GuardrailConfig) -> Kind:
    """Say which kind of figure a guardrail is."""
    if config.metric is not None:
        return "share"
    return "mean" if config.per is None else "rate"


def not_measured(
    config: GuardrailConfig, why: str, *, first_date: date | None = None, last_date: date | None = None, days: int = 0
) -> GuardrailState:
    """Return a guardrail that cannot be measured, and why."""
    return GuardrailState(
        config.name,
        "not measured",
        measure_of(config),
        kind_of(config),
        *(None, None, None),
        "at most" if config.is_upper else "at least",
        config.bound,
        *(None, None),
        days,
        first_date,
        last_date,
        why,
    )


def state_of(low: float, high: float, bound: float, *, is_upper: bool) -> State:
    """Return the state that follows from an interval.

    `breached` when the whole interval lies beyond the bound, `ok` when none of it does, `warning` when the bound is
    within it: then the data do not say on which side the figure is. An end equal to the bound is not beyond it.
    """
    if not is_upper:
        low, high, bound = -high, -low, -bound
    if low > bound:
        return "breached"
    return "ok" if high <= bound else "warning"


def counted_state(
    config: GuardrailConfig,
    days: Sequence[DayCount],
    window: tuple[date, date],
    *,
    actors: int | None = None,
    before: tuple[float, float] | None = None,
) -> GuardrailState:
    """Judge a guardrail that is counted per units.

    Args:
        config: The guardrail.
        days: The days of the window, with what was counted and the units of each.
        window: The first and the last day.
        actors: Per actors: how many there are in all, since those of the days overlap.
        before: What was counted on the days before the window, and the units of these days: where something was counted
            then and nothing is now, the tracking is doubted. None: that is not asked.
    """
    first, last = window
    seen = [each for each in days if each.units or each.counted]
    counted, units = sum(each.counted for each in days), sum(each.units for each in days)
    whole = units if actors is None else actors
    noun = {None: "sessions", PER_SESSIONS: "sessions", PER_ACTORS: "actors"}.get(config.per, f"of {config.per}")
    if whole < FEWEST_UNITS or len(seen) < FEWEST_DAYS:
        why = f"not enough data: n = {whole:,.0f} {noun} on {wording.plural(len(seen), 'day')}"
        return not_measured(config, why, first_date=first, last_date=last, days=len(seen))
    if before is not None and not counted and config.is_upper and (why := _doubt(config, before, units)):
        return not_measured(config, why, first_date=first, last_date=last, days=len(seen))
    if kind_of(config) == "share":
        estimate = share_over_days(seen)
    elif all(each.counted >= 0 and float(each.counted).is_integer() for each in seen):
        estimate = rate_over_days(seen)
    else:
        estimate = ratio_over_days(seen)
    if estimate is None:
        return not_measured(config, _ALL_ALIKE, first_date=first, last_date=last, days=len(seen))
    scale = units / whole
    return _measured(config, estimate, scale, (counted, round(whole), len(seen)), window)


def mean_state(
    config: GuardrailConfig, values: Sequence[tuple[date, float]], window: tuple[date, date], says: str = ""
) -> GuardrailState:
    """Judge a guardrail that is a mean of daily values; `says` is what is to be looked at."""
    first, last = window
    if len(values) < FEWEST_DAYS:
        why = f"not enough data: n = {wording.plural(len(values), 'day')} with a value from {first} to {last}"
        return not_measured(config, why, first_date=first, last_date=last, days=len(values))
    estimate = mean_over_days(values)
    if estimate is None:
        return not_measured(config, _ALL_ALIKE, first_date=first, last_date=last, days=len(values))
    return _measured(config, estimate, 1.0, (sum(value for _, value in values), None, len(values)), window, says=says)


def _doubt(config: GuardrailConfig, before: tuple[float, float], units: float) -> str:
    """Say why nothing that was counted is no proof that nothing happened, if so."""
    what = config.entry or config.event
    counted, units_before = before
    if not counted:
        return f"{what} was not seen once, also not before these days: it never happens, or it is not recorded"
    expected = counted / units_before * units if units_before else 0.0
    if expected < EXPECTED_AT_LEAST:
        return ""
    return f"{what} was not seen, where {expected:,.0f} were to be expected from the days before: is it still recorded?"


def _measured(
    config: GuardrailConfig,
    estimate: DayEstimate,
    scale: float,
    counts: tuple[float, int | None, int],
    window: tuple[date, date],
    *,
    says: str = "",
) -> GuardrailState:
    value, low, high = (each * scale for each in estimate[:3])
    state = state_of(low, high, config.bound, is_upper=config.is_upper)
    counted, units, days = counts
    if state == "warning":
        is_beyond = value > config.bound if config.is_upper else value < config.bound
        side = "is beyond the bound" if is_beyond else "is within the bound"
        says = f"{says} The figure {side}, and the bound lies within the interval.".strip()
    return GuardrailState(
        config.name,
        state,
        measure_of(config),
        kind_of(config),
        value,
        low,
        high,
        "at most" if config.is_upper else "at least",
        config.bound,
        float(counted),
        units,
        days,
        *window,
        says,
    )
