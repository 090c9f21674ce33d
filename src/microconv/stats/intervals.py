"""How far chance alone may move a figure: intervals and a test for proportions, and the percentile interval."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist
from typing import NamedTuple


class Interval(NamedTuple):
    """An interval, both ends included."""

    low: float
    high: float


class ProportionTest(NamedTuple):
    """A test of the difference of two proportions: the standardised difference (a - b), and its two-sided p-value."""

    z: float
    p_value: float


def wilson(successes: float, n: float, level: float = 0.95) -> Interval | None:
    """Return the score interval of a proportion (Wilson, 1927), without continuity correction; None when n is 0.

    Neither number need be whole: an effective number of units has parts.

    Raises:
        ValueError: There are fewer than none, or more successes than all.
    """
    _check(successes, n)
    if n == 0:
        return None
    z = _normal_quantile(level)
    share = successes / n
    centre = share + z * z / (2 * n)
    margin = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # Where share is 0 or 1, that end of the interval is exact, and rounding must not move it.
    return Interval(
        0.0 if successes == 0 else (centre - margin) / scale, 1.0 if successes == n else (centre + margin) / scale
    )


def newcombe(successes_a: float, n_a: float, successes_b: float, n_b: float, level: float = 0.95) -> Interval | None:
    """Return the hybrid score interval of the difference of two independent proportions, a - b.

    Newcombe (1998), method 10: the Wilson intervals of both, combined. None when either n is 0. Raises as they do.
    """
    of_a, of_b = wilson(successes_a, n_a, level), wilson(successes_b, n_b, level)
    if of_a is None or of_b is None:
        return None
    a, b = successes_a / n_a, successes_b / n_b
    return Interval(
        a - b - math.hypot(a - of_a.low, of_b.high - b),
        a - b + math.hypot(of_a.high - a, b - of_b.low),
    )


def two_proportion_test(successes_a: float, n_a: float, successes_b: float, n_b: float) -> ProportionTest | None:
    """Test whether two independent proportions differ (pooled z-test, two-sided); None when either n is 0.

    Where both proportions are 0, or both are 1, there is no difference: z is 0 and p is 1. The normal approximation
    wants some five successes and failures on either side.

    Raises:
        ValueError: There are fewer than none, or more successes than all.
    """
    _check(successes_a, n_a)
    _check(successes_b, n_b)
    if n_a == 0 or n_b == 0:
        return None
    pooled = (successes_a + successes_b) / (n_a + n_b)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n_a + 1 / n_b))
    z = (successes_a / n_a - successes_b / n_b) / error if error else 0.0
    return ProportionTest(z, math.erfc(abs(z) / math.sqrt(2)))


def percentile_interval(values: Iterable[float], level: float = 0.95) -> Interval | None:
    """Return the interval that holds the middle `level` (a share) of `values`; None when there are none.

    Between two values it interpolates linearly (Hyndman and Fan's type 7, the default of numpy and R).
    """
    ordered = sorted(values)
    if not ordered:
        return None
    tail = (1 - level) / 2
    return Interval(_quantile(ordered, tail), _quantile(ordered, 1 - tail))


def _check(successes: float, n: float) -> None:
    if not 0 <= successes <= n < math.inf:
        raise ValueError(f"successes are from none to all: {successes} of {n}")


def _quantile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _normal_quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
