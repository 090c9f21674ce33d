"""Rates and risks, and ratios of two of them with intervals; several strata in one; what a hidden cause would need."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist
from typing import NamedTuple

from microconv.stats.distributions import beta_quantile, binomial_tails, binomials_tails, chi_square_quantile
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
    if time <= 0:
        return None
    tail = (1 - level) / 2
    low = chi_square_quantile(tail, 2 * events) / 2 if events else 0.0
    return Interval(low / time, chi_square_quantile(1 - tail, 2 * events + 2) / 2 / time)


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
    a, b = round(stratum.exposed_events), round(stratum.other_events)
    if not a or not b or stratum.exposed_time <= 0 or stratum.other_time <= 0:
        return None
    odds = stratum.other_time / stratum.exposed_time
    tail = (1 - level) / 2
    low, high = beta_quantile(tail, a, b + 1), beta_quantile(1 - tail, a + 1, b)
    under_one = stratum.exposed_time / (stratum.exposed_time + stratum.other_time)
    smaller = min(binomial_tails(a, a + b, under_one))
    return Ratio(a / b * odds, low / (1 - low) * odds, high / (1 - high) * odds, min(1.0, 2 * smaller))


class ExposedEvents(NamedTuple):
    """Events of those exposed, in the strata in which both sides were at risk and there were any.

    Attributes:
        events: How many there were.
        of_strata: Events of both sides in each stratum.
        chances: The share of the exposed in the time at risk of each: how likely an event is one of theirs if both
            rates are equal.
    """

    events: float
    of_strata: tuple[float, ...]
    chances: tuple[float, ...]

    @property
    def expected(self) -> float:
        """How many of them there would be if both rates were equal in each stratum."""
        return math.fsum(each * chance for each, chance in zip(self.of_strata, self.chances, strict=True))

    def p_value(self, ratio: float = 1.0) -> float:
        """Return how likely so many events, or so few, are where the true ratio is this one; two-sided.

        Given all events, those of the exposed are a sum of binomials. The error of a logarithm does not know that one
        event may be chance, however few are expected.
        """
        chances = [ratio * each / (ratio * each + 1 - each) for each in self.chances]
        return min(1.0, 2 * min(binomials_tails(round(self.events), self.of_strata, chances)))


def exposed_events(strata: Iterable[RateStratum]) -> ExposedEvents:
    """Count the events of those exposed."""
    kept = [
        each
        for each in strata
        if each.exposed_time > 0 and each.other_time > 0 and each.exposed_events + each.other_events > 0
    ]
    return ExposedEvents(
        math.fsum(each.exposed_events for each in kept),
        tuple(each.exposed_events + each.other_events for each in kept),
        tuple(each.exposed_time / (each.exposed_time + each.other_time) for each in kept),
    )


def exposed_cases(strata: Iterable[RiskStratum]) -> ExposedEvents:
    """Count the exposed who came to the outcome, and how many of them were to be expected.

    Each can come to it once, which makes the tails lighter than those that `p_value` takes (Hoeffding, 1956).
    """
    return exposed_events(
        RateStratum(each.exposed_events, each.exposed, each.other_events, each.other) for each in strata
    )


class RiskStratum(NamedTuple):
    """People of one kind: how many are exposed and how many are not, and how many of each came to the outcome."""

    exposed: float
    exposed_events: float
    other: float
    other_events: float

    @property
    def is_shared(self) -> bool:
        """Whether both sides are there: what the other side would have done is unknown elsewhere."""
        return self.exposed > 0 and self.other > 0


def pooled_risk_ratio(strata: Iterable[RiskStratum], level: float = 0.95) -> Ratio | None:
    """Return the ratio of two proportions over strata by Mantel and Haenszel; of one stratum it is the plain ratio.

    The variance of the logarithm is that of Greenland and Robins (1985).

    Returns:
        None where either proportion is 0 in all strata together, or nothing varies: then there is no ratio to tell.
    """
    exposed = others = spread = 0.0
    for each in strata:
        number, events = each.exposed + each.other, each.exposed_events + each.other_events
        if not each.is_shared:
            continue
        exposed += each.exposed_events * each.other / number
        others += each.other_events * each.exposed / number
        both = each.exposed_events * each.other_events
        spread += (events * each.exposed * each.other - both * number) / number**2
    if exposed <= 0 or others <= 0 or spread <= 0:
        return None
    return ratio_of(exposed / others, math.sqrt(spread / (exposed * others)), level)


def risk_ratio(
    exposed_events: float, exposed: float, other_events: float, other: float, level: float = 0.95
) -> Ratio | None:
    """Return the ratio of two proportions with its log interval (Katz and others, 1978).

    Returns:
        None where either is 0, and where both are all: then it has no error.

    Raises:
        ValueError: More events than could be.
    """
    if exposed_events > exposed or other_events > other:
        raise ValueError("a proportion is at most 1")
    if exposed_events <= 0 or other_events <= 0 or (exposed_events == exposed and other_events == other):
        return None
    variance = 1 / exposed_events - 1 / exposed + 1 / other_events - 1 / other
    return ratio_of(exposed_events / exposed / (other_events / other), math.sqrt(variance), level)


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
    """Return a ratio with the interval and the p-value that the standard error of its logarithm gives.

    Raises:
        ValueError: The ratio or its error is not above 0: nothing is known without error.
    """
    if not (ratio > 0 and error > 0):
        raise ValueError("a ratio and the error of its logarithm are above 0")
    margin = _quantile(level) * error
    p_value = math.erfc(abs(math.log(ratio)) / error / math.sqrt(2))
    return Ratio(ratio, ratio * math.exp(-margin), ratio * math.exp(margin), p_value)


def _needed(ratio: float) -> float:
    return ratio + math.sqrt(ratio * (ratio - 1))


def _quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
