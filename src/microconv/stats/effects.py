"""What a variant changes against the control: difference or relative change, with an interval that fits how it is read.

A fixed horizon is read once (Welch); an anytime-valid interval may be looked at every day; a posterior says how likely
the variant is the better one.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal, NamedTuple, TypeAlias

from microconv.stats.distributions import t_quantile, t_tail
from microconv.stats.moments import (
    AdjustedRatioSums,
    AdjustedSums,
    VariantMoments,
    adjusted_pair,
    quadratic,
)

Side: TypeAlias = Literal["both", "greater", "less"]
"""What a test asks: whether the variant differs, is greater than the control, or is less."""

TUNING = 5_000
"""The number of actors at which an anytime-valid interval is tightest, unless told otherwise."""

_LEAST_P, _LARGEST_P = 1e-5, 0.4999
"""Between these a one-sided anytime-valid p-value is told."""
_NEAR, _HALVINGS = 1e-6, 100


class VariantEffect(NamedTuple):
    """What a variant changes: the estimate, its standard error, Welch's degrees of freedom, and actors of both."""

    estimate: float
    error: float
    degrees: float
    n: int


class TestedEffect(NamedTuple):
    """An effect with its interval (open on one side for a one-sided test), and its p-value."""

    estimate: float
    low: float
    high: float
    p_value: float


class Posterior(NamedTuple):
    """What is believed of an effect after the data: a normal distribution.

    Attributes:
        mean: Its mean.
        deviation: Its standard deviation.
        low: The credible interval begins here.
        high: It ends here.
        chance: That the effect is above 0.
        risk_kept: What is lost on average by keeping the control, where the variant is better.
        risk_shipped: What is lost on average by shipping the variant, where the control is better.
    """

    mean: float
    deviation: float
    low: float
    high: float
    chance: float
    risk_kept: float
    risk_shipped: float


def effect(control: VariantMoments, treated: VariantMoments, *, is_relative: bool) -> VariantEffect | None:
    """Return what the variant changes, in the metric's unit, or as a share of the control's metric (delta method).

    A share is of the size of the control's metric, so that more is above 0 where the metric is below 0, too.

    Returns:
        None where it cannot be told: too few actors, no variance on either side, or a control of 0.
    """
    control, treated = adjusted_pair(control, treated)
    if min(control.n, treated.n) < 2 or min(control.variance, treated.variance) <= 0:  # noqa: PLR2004 - a variance
        return None
    base = control.plain_mean
    if base == 0 and is_relative:
        return None
    difference = treated.mean - control.mean
    spread = _relative_spread(control, treated) if is_relative else _spread(control, treated)
    if not spread > 0:
        return None
    return VariantEffect(
        difference / abs(base) if is_relative else difference,
        math.sqrt(spread),
        _degrees(control, treated),
        control.n + treated.n,
    )


def _spread(control: VariantMoments, treated: VariantMoments) -> float:
    return control.variance / control.n + treated.variance / treated.n


def _relative_spread(control: VariantMoments, treated: VariantMoments) -> float:
    """Return the variance of (treated - control) / plain control, to first order; its sign changes nothing.

    Of an adjusted mean, the control's own part is taken without the adjustment, whose expectation is 0.
    """
    base = control.plain_mean
    if isinstance(control, AdjustedSums):
        scale = treated.plain_mean / base
    elif isinstance(control, AdjustedRatioSums):
        scale = 1 + (treated.mean - control.mean) / base
    else:
        scale = treated.mean / base
    adjusts = isinstance(control, AdjustedSums | AdjustedRatioSums)
    counting = len(control.slopes) // 2 if adjusts else len(control.slopes)
    slopes = [each * (scale if place < counting else 1.0) / base for place, each in enumerate(control.slopes)]
    return quadratic(slopes, control.covariances) / control.n + treated.variance / base**2 / treated.n


def _degrees(control: VariantMoments, treated: VariantMoments) -> float:
    """Return the degrees of freedom by Welch (1947) and Satterthwaite (1946)."""
    a, b = control.variance / control.n, treated.variance / treated.n
    return (a + b) ** 2 / (a * a / (control.n - 1) + b * b / (treated.n - 1))


def fixed_horizon(found: VariantEffect, level: float = 0.95, *, side: Side = "both", null: float = 0.0) -> TestedEffect:
    """Test an effect once, at the end: Welch's t-test.

    Args:
        found: The effect.
        level: Of the interval, such as 0.95.
        side: What is asked.
        null: The effect that there is if there is nothing to find, such as the margin of non-inferiority.

    Raises:
        ValueError: The effect has no standard error.
    """
    _check(found)
    tail = 1 - level
    width = t_quantile(1 - (tail / 2 if side == "both" else tail), found.degrees) * found.error
    z = (found.estimate - null) / found.error
    if side == "both":
        p_value = 2 * t_tail(abs(z), found.degrees)
    else:
        p_value = t_tail(z if side == "greater" else -z, found.degrees)
    return _tested(found, width, side, p_value)


def anytime_valid(
    found: VariantEffect,
    level: float = 0.95,
    *,
    side: Side = "both",
    null: float = 0.0,
    tuning: float = TUNING,
) -> TestedEffect:
    """Test an effect that is looked at as often as one likes: asymptotic confidence sequence (normal mixture).

    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2021, arXiv 2103.06476): equations 9 and 155, one-sided 134; the
    mixture is such that the interval is tightest at `tuning` actors of both variants (equation 161).
    A one-sided p-value is told between 0.00001 and 0.4999.

    Args:
        found: The effect.
        level: Of the interval, such as 0.95: so often it holds the truth at all moments together.
        side: What is asked.
        null: The effect that there is if there is nothing to find.
        tuning: Actors at which it is tightest.

    Raises:
        ValueError: The effect has no standard error.
    """
    _check(found)
    tail = 1 - level
    rho = _mixture(tail if side == "both" else 2 * tail, tuning)
    width = anytime_width(found, level, side=side, tuning=tuning)
    z = (found.estimate - null) / found.error
    if side == "both":
        scale = found.n * rho**2 + 1
        grown = found.n * rho**2 * z * z / (2 * scale) - math.log(scale) / 2
        return _tested(found, width, side, min(1.0, math.exp(-grown)) if grown > 0 else 1.0)
    toward = z if side == "greater" else -z
    return _tested(found, width, side, _one_sided_p(found.error, toward * found.error, found.n, rho))


def anytime_width(found: VariantEffect, level: float, *, side: Side = "both", tuning: float = TUNING) -> float:
    """Return how far the anytime-valid interval reaches to each side (or to the one side)."""
    tail = 1 - level
    rho = _mixture(tail if side == "both" else 2 * tail, tuning)
    if side != "both":
        return _one_sided_width(found.error, found.n, rho, tail)
    scale = found.n * rho**2 + 1
    return found.error * math.sqrt(2 * scale * math.log(math.sqrt(scale) / tail) / found.n) / rho


def _check(found: VariantEffect) -> None:
    if not found.error > 0:
        raise ValueError(f"an effect has a standard error above 0: {found.error}")


def _one_sided_width(error: float, n: int, rho: float, tail: float) -> float:
    scale = n * rho**2 + 1
    return error * math.sqrt(2 * scale * math.log1p(math.sqrt(scale) / (2 * tail)) / n) / rho


def _one_sided_p(error: float, reach: float, n: int, rho: float) -> float:
    """Return the tail whose one-sided interval just reaches so far, by bisection, to a millionth of the effect's unit.

    Where the standard error is small, it is a thousandth of that.
    """
    low, high = _LEAST_P, _LARGEST_P
    if _one_sided_width(error, n, rho, low) < reach:
        return low
    if _one_sided_width(error, n, rho, high) > reach:
        return high
    near = min(_NEAR, error / 1_000)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        width = _one_sided_width(error, n, rho, middle)
        low, high = (middle, high) if width > reach else (low, middle)
        if abs(width - reach) < near:
            break
    return (low + high) / 2


def _mixture(tail: float, tuning: float) -> float:
    """Return the spread of the mixture with which the interval is tightest at `tuning` actors."""
    return math.sqrt((-2 * math.log(tail) + math.log(-2 * math.log(tail) + 1)) / tuning)


def _tested(found: VariantEffect, width: float, side: Side, p_value: float) -> TestedEffect:
    low = -math.inf if side == "less" else found.estimate - width
    high = math.inf if side == "greater" else found.estimate + width
    return TestedEffect(found.estimate, low, high, min(p_value, 1.0))


def posterior(
    found: VariantEffect, level: float = 0.95, *, prior_mean: float = 0.0, prior_variance: float | None = None
) -> Posterior:
    """Return what is believed of an effect after the data; flat without a prior variance.

    Args:
        found: The effect, in the same unit as the prior.
        level: Of the credible interval.
        prior_mean: What was believed before.
        prior_variance: How firmly; None is not at all.

    Raises:
        ValueError: The effect has no standard error.
    """
    _check(found)
    weight = 0.0 if prior_variance is None else 1 / prior_variance
    precision = weight + 1 / found.error**2
    mean = (weight * prior_mean + found.estimate / found.error**2) / precision
    deviation = math.sqrt(1 / precision)
    normal, z = NormalDist(), mean / deviation
    width = normal.inv_cdf((1 + level) / 2) * deviation
    above = deviation * normal.pdf(z) + mean * normal.cdf(z)
    return Posterior(mean, deviation, mean - width, mean + width, normal.cdf(z), above, max(above - mean, 0.0))
