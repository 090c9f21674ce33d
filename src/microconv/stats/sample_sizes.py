"""How many actors a test needs to find a difference, and how small a difference so many actors can show.

What is no number (NaN) is a ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

from microconv.stats.effects import TUNING, VariantEffect, anytime_width

_MOST_ACTORS = 1e12
_HALVINGS = 200


def actors_for_shares(
    base: float, other: float, *, level: float = 0.95, power: float = 0.8, is_two_sided: bool = True
) -> float | None:
    """Return the actors each variant needs to tell two shares apart (Fleiss, Levin and Paik 2003, equation 4.14).

    It is what `power.prop.test` of R gives, without continuity correction, not rounded.

    Returns:
        None where the shares are equal, or are none.
    """
    _check(base, other, level, power)
    if not (0 <= base <= 1 and 0 <= other <= 1) or base == other:
        return None
    middle = (base + other) / 2
    tail = _quantile(level, is_two_sided) * math.sqrt(2 * middle * (1 - middle))
    found = NormalDist().inv_cdf(power) * math.sqrt(base * (1 - base) + other * (1 - other))
    return ((tail + found) / (base - other)) ** 2


def actors_for_means(
    deviation: float, difference: float, *, level: float = 0.95, power: float = 0.8, is_two_sided: bool = True
) -> float | None:
    """Return the actors each variant needs to tell two means apart, by the non-central t distribution, not rounded.

    It is what `power.t.test` of R gives: the other tail does not count.

    Args:
        deviation: The standard deviation over actors.
        difference: What the means differ by.
        level: One less the chance of a false finding.
        power: The chance of finding the difference.
        is_two_sided: Whether a difference in either direction is looked for.

    Returns:
        None where there is no difference, or no deviation.
    """
    _check(deviation, difference, level, power)
    if difference == 0 or deviation <= 0:
        return None
    from scipy.stats import nct, t

    effect_size = abs(difference) / deviation

    def reached(n: float) -> float:
        degrees = 2 * (n - 1)
        tail = (1 - level) / (2 if is_two_sided else 1)
        return float(nct.sf(t.isf(tail, degrees), degrees, math.sqrt(n / 2) * effect_size))

    return _smallest(reached, power, 2.0)


def power_of(
    difference: float,
    error: float,
    *,
    level: float = 0.95,
    n: int = 0,
    tuning: float | None = None,
    tests: int = 1,
) -> float:
    """Return the chance that an interval around an effect leaves 0 out, on either side (normal approximation).

    Args:
        difference: The effect that there is.
        error: Its standard error.
        level: Of the interval.
        n: Actors of both variants, where it is anytime-valid.
        tuning: The actors at which the anytime-valid interval is tightest; None: a fixed horizon.
        tests: How many tests the chance of a false finding is divided among (Bonferroni).
    """
    _check(difference, error, level)
    if error <= 0:
        return 1.0 if difference else 0.0
    own_level = 1 - (1 - level) / tests
    if tuning is None:
        width = _quantile(own_level, is_two_sided=True) * error
    else:
        width = anytime_width(VariantEffect(difference, error, math.inf, n), own_level, tuning=tuning)
    normal = NormalDist()
    return normal.cdf((difference - width) / error) + normal.cdf((-difference - width) / error)


def actors_for_effect(
    difference: float,
    variance: float,
    *,
    level: float = 0.95,
    power: float = 0.8,
    tuning: float | None = None,
    tests: int = 1,
) -> float | None:
    """Return the actors that both variants together need, not rounded; None where no number would do.

    Args:
        difference: The effect to find.
        variance: The square of the effect's standard error, times the actors of both variants.
        level: Of the interval.
        power: The chance of finding it.
        tuning: As in `power_of`.
        tests: As in `power_of`.
    """
    _check(difference, variance, level, power)
    if difference == 0 or variance <= 0:
        return None

    def reached(n: float) -> float:
        error = math.sqrt(variance / n)
        return power_of(difference, error, level=level, n=max(round(n), 1), tuning=tuning, tests=tests)

    return _smallest(reached, power, 2.0)


def smallest_relative_lift(base: float, actors: float, *, level: float = 0.95, power: float = 0.8) -> float | None:
    """Return the smallest relative rise of a share that so many actors in each variant show.

    Returns:
        None where there are too few to show even the largest rise there can be, or the share is 0 or 1.
    """
    _check(base, actors, level, power)
    if not 0 < base < 1 or actors <= 0:
        return None

    def is_shown(lift: float) -> bool:
        needed = actors_for_shares(base, min(base * (1 + lift), 1.0), level=level, power=power)
        return needed is not None and needed <= actors

    low, high = 0.0, 1 / base - 1
    if not is_shown(high):
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_shown(middle) else (middle, high)
    return high


def share_variance(base: float, other: float) -> float:
    """Return the square of the standard error of a difference of shares, times the actors of both (equal) variants."""
    return 2 * (base * (1 - base) + other * (1 - other))


def anytime_tuning(actors: float | None) -> float:
    """Return the tuning for a test that will have about so many actors: there its interval is tightest."""
    return TUNING if actors is None else max(float(actors), 1.0)


def _check(*numbers: float) -> None:
    if any(math.isnan(each) for each in numbers):
        raise ValueError(f"not all of these are numbers: {numbers}")


def _smallest(reached: Callable[[float], float], power: float, least: float) -> float | None:
    """Return the smallest number, not whole, with this power; it grows with the number."""
    if reached(least) >= power:
        return least
    high = least
    while reached(high) < power:
        high *= 2
        if high > _MOST_ACTORS:
            return None
    low = high / 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) < power else (low, middle)
    return high


def _quantile(level: float, is_two_sided: bool) -> float:
    return NormalDist().inv_cdf((1 + level) / 2 if is_two_sided else level)
