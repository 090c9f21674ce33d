"""Rates and risks, and ratios of two of them with intervals; several strata in one; what a hidden cause would need."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist
from typing import NamedTuple

from microconv.stats.intervals import Interval


class Ratio(NamedTuple):
    """A ratio above 0 with its interval, and the two-sided p-value of a ratio of 1."""

    ratio: float
    low: float
    high: float
    p_value: float

    @property
    def log_error(self) -> float:
        """The standard error of its logarithm, as a 95% interval that is symmetric there implies it."""
        return (math.log(self.high) - math.log(self.low)) / (2 * _quantile(0.95))


class RateStratum(NamedTuple):
    """Events and the time in which they could happen, of those exposed and of those not; time in any one unit."""

    exposed_events: float
    exposed_time: float
    other_events: float
    other_time: float


def rate_interval(events: int, time: float, level: float = 0.95) -> Interval | None:
    """Return the exact interval of a rate of Poisson events (Garwood, 1936); None where there was no time."""
    from scipy.stats import chi2

    if time <= 0:
        return None
    tail = (1 - level) / 2
    low = float(chi2.ppf(tail, 2 * events)) / 2 if events else 0.0
    return Interval(low / time, float(chi2.ppf(1 - tail, 2 * events + 2)) / 2 / time)


def rate_ratio(strata: Iterable[RateStratum], level: float = 0.95) -> Ratio | None:
    """Return the ratio of two rates over strata by Mantel and Haenszel; of one stratum it is the plain ratio.

    Weights: Rothman and Boice (1979). Variance of the logarithm: Greenland and Robins (1985), consistent both for few
    large strata and for many small ones.

    Returns:
        None where a rate is 0, or nobody was at risk, in all strata together: then there is no ratio to tell.
    """
    exposed = other = spread = 0.0
    for each in strata:
        time = each.exposed_time + each.other_time
        if time <= 0:
            continue
        exposed += each.exposed_events * each.other_time / time
        other += each.other_events * each.exposed_time / time
        events = each.exposed_events + each.other_events
        spread += events * each.exposed_time * each.other_time / time**2
    if exposed <= 0 or other <= 0:
        return None
    return ratio_of(exposed / other, math.sqrt(spread / (exposed * other)), level)


def exact_rate_ratio(stratum: RateStratum, level: float = 0.95) -> Ratio | None:
    """Return the ratio of two rates of few events with its exact interval (Clopper and Pearson, 1934).

    The p-value is twice the smaller tail. None where a rate is 0, or nobody was at risk.
    """
    from scipy.stats import beta, binom

    a, b = round(stratum.exposed_events), round(stratum.other_events)
    if not a or not b or stratum.exposed_time <= 0 or stratum.other_time <= 0:
        return None
    odds = stratum.other_time / stratum.exposed_time
    tail = (1 - level) / 2
    low, high = float(beta.ppf(tail, a, b + 1)), float(beta.ppf(1 - tail, a + 1, b))
    under_one = stratum.exposed_time / (stratum.exposed_time + stratum.other_time)
    smaller = min(float(binom.cdf(a, a + b, under_one)), float(binom.sf(a - 1, a + b, under_one)))
    return Ratio(a / b * odds, low / (1 - low) * odds, high / (1 - high) * odds, min(1.0, 2 * smaller))


def risk_ratio(
    exposed_events: float, exposed: float, other_events: float, other: float, level: float = 0.95
) -> Ratio | None:
    """Return the ratio of two proportions with its log interval (Katz and others, 1978); None where either is 0."""
    if exposed_events <= 0 or other_events <= 0:
        return None
    variance = 1 / exposed_events - 1 / exposed + 1 / other_events - 1 / other
    return ratio_of(exposed_events / exposed / (other_events / other), math.sqrt(max(variance, 0.0)), level)


def e_value(ratio: Ratio) -> Interval:
    """Return how strong a hidden common cause would have to be to explain a ratio away (VanderWeele and Ding, 2017).

    Returns:
        As `high` the E-value of the ratio, as `low` that of the end of its interval nearer to 1; both are ratios
        of risks, 1 where nothing has to be explained.
    """
    if ratio.ratio >= 1:
        nearer = max(ratio.low, 1.0)
        return Interval(_needed(nearer), _needed(ratio.ratio))
    nearer = max(1 / ratio.high, 1.0)
    return Interval(_needed(nearer), _needed(1 / ratio.ratio))


def ratio_of(ratio: float, error: float, level: float = 0.95) -> Ratio:
    """Return a ratio with the interval and the p-value that the standard error of its logarithm gives."""
    if error <= 0:
        return Ratio(ratio, ratio, ratio, 1.0 if ratio == 1 else 0.0)
    margin = _quantile(level) * error
    p_value = math.erfc(abs(math.log(ratio)) / error / math.sqrt(2))
    return Ratio(ratio, ratio * math.exp(-margin), ratio * math.exp(margin), p_value)


def _needed(ratio: float) -> float:
    return ratio + math.sqrt(ratio * (ratio - 1))


def _quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
