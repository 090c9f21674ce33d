"""Shares, rates and means of some days, with intervals that know that what is counted on one day goes together.

One person causes a hundred errors, a campaign brings a thousand bounces: what is counted varies more than binomial and
Poisson intervals know. Days are the clusters here. What changes from one day to the next widens the interval, and
never makes it narrower; a level that lasts does not, since it is what the figure is to show. The variance is therefore
that of successive differences (von Neumann and others, 1941): a step amid the days is one large difference of many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from statistics import NormalDist
from typing import NamedTuple

from microconv.stats.distributions import chi_square_quantile, t_quantile
from microconv.stats.intervals import wilson

_ROUNDING = 1e-12
"""Differences between days, as a share of their values, that are none."""


class DayCount(NamedTuple):
    """One day: what was counted, and of how many (or per how many)."""

    day: date
    counted: float
    units: float


class DayEstimate(NamedTuple):
    """A figure over some days with its interval; `design_effect` is by how much days widen the variance, 1: not."""

    value: float
    low: float
    high: float
    design_effect: float


def share_over_days(days: Sequence[DayCount], level: float = 0.95) -> DayEstimate | None:
    """Return a share with the score interval of its effective number of units; None where there are no units.

    The number of units is divided by the design effect and by the square of the ratio of the quantiles of t and of the
    normal distribution, as Korn and Graubard (1998) do it; on that number stands Wilson's interval. Of one day, the
    interval is Wilson's own.

    Args:
        days: Some days in their order; what was counted on each is at most its units.
        level: The level of the interval.
    """
    units, counted = sum(each.units for each in days), sum(each.counted for each in days)
    if units <= 0:
        return None
    share = counted / units
    effect, shrink = _widening(days, share, units * share * (1 - share), level)
    found = wilson(counted / shrink, units / shrink, level)
    assert found is not None  # noqa: S101 - there are units
    return DayEstimate(share, found.low, found.high, effect)


def rate_over_days(days: Sequence[DayCount], level: float = 0.95) -> DayEstimate | None:
    """Return a number per unit with the exact Poisson interval of its effective count; None where there are no units.

    The count and the units are divided as in `share_over_days`; on them stands the interval of Garwood (1936), which
    also says how high a rate may be of which nothing was seen.
    """
    units, counted = sum(each.units for each in days), sum(each.counted for each in days)
    if units <= 0:
        return None
    effect, shrink = _widening(days, counted / units, counted, level)
    events, time, tail = counted / shrink, units / shrink, (1 - level) / 2
    low = chi_square_quantile(tail, 2 * events) / 2 / time if events else 0.0
    return DayEstimate(counted / units, low, chi_square_quantile(1 - tail, 2 * events + 2) / 2 / time, effect)


def ratio_over_days(days: Sequence[DayCount], level: float = 0.95) -> DayEstimate | None:
    """Return a ratio of two sums that count nothing whole (hours, money), with the interval of t over days.

    None where there are no units, fewer than two days, or days that are all alike: these do not say what others may be.
    """
    units, counted = sum(each.units for each in days), sum(each.counted for each in days)
    if units <= 0 or len(days) < 2:  # noqa: PLR2004 - one day has no variance
        return None
    ratio = counted / units
    deviation = math.sqrt(_variance(days, ratio))
    if deviation <= _ROUNDING * max(abs(each.counted) for each in days):
        return None
    margin = _t_quantile(len(days), level) * deviation / units
    return DayEstimate(ratio, ratio - margin, ratio + margin, 1.0)


def mean_over_days(values: Sequence[tuple[date, float]], level: float = 0.95) -> DayEstimate | None:
    """Return the mean of daily values, in the order of the days, with the interval of t.

    Days that are all alike do not say what others may be. Whole numbers that are not negative have the interval of
    counts then (see `rate_over_days`): of five days without a complaint, there may be 0.7 a day. None of other values,
    and of fewer than two days.
    """
    days = [DayCount(day, value, 1.0) for day, value in values]
    found = ratio_over_days(days, level)
    if found is None and len(days) > 1 and all(each.counted >= 0 and float(each.counted).is_integer() for each in days):
        return rate_over_days(days, level)
    return found


def _widening(days: Sequence[DayCount], ratio: float, plain: float, level: float) -> tuple[float, float]:
    """Return the design effect, and what counts are divided by: that, and what a variance of few days is unsure by."""
    seen = [each for each in days if each.units or each.counted]
    if len(seen) < 2:  # noqa: PLR2004 - one day has no variance
        return 1.0, 1.0
    effect = max(_variance(seen, ratio) / plain, 1.0) if plain > 0 else 1.0
    normal = NormalDist().inv_cdf((1 + level) / 2)
    return effect, effect * (_t_quantile(len(seen), level) / normal) ** 2


def _variance(days: Sequence[DayCount], ratio: float) -> float:
    """Return the variance of the sum of what was counted, given the units, by the differences of successive days."""
    residuals = [each.counted - ratio * each.units for each in days]
    squares = math.fsum((after - before) ** 2 for before, after in pairwise(residuals))
    return len(residuals) * squares / 2 / (len(residuals) - 1)


def _t_quantile(days: int, level: float) -> float:
    """Return the quantile of t for a variance of successive differences, which tell less than as many squares."""
    freedom = 2 * (days - 1) ** 2 / (3 * days - 4)
    return t_quantile((1 + level) / 2, freedom)
