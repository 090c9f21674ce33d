"""Whether things done together go with more than what they go with one by one: ratios of rates, within strata."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple, TypeAlias

from microconv.stats.count_tails import upper_tail


class OutcomeCell(NamedTuple):
    """How many actors there are of one kind, and how many of them reached the goal."""

    actors: int
    reached: int


Stratum: TypeAlias = Sequence[OutcomeCell]
"""Actors who are alike in what else they did, by kind: the kinds have the same places in all strata."""


class Reference(NamedTuple):
    """What a rate is held against: the rate of the kind `base`, times the ratio of each of `parts` against `base`."""

    base: int
    parts: tuple[int, ...] = ()


class Beyond(NamedTuple):
    """A rate over what is expected of it.

    Attributes:
        expected: How many of the kind would have reached the goal.
        ratio: Those who did, over these, with its 95% interval.
        p_value: One-sided: how likely so many or more are where the ratio is 1.
    """

    expected: float
    ratio: float
    low: float
    high: float
    p_value: float


_OF_NONE = 0.5
"""The variance of the logarithm of one that stands for none: its upper limits of 95% and 99.5% are then 3.2 and 6.2,
where those of no Poisson events are 3.0 and 5.3."""


def total(strata: Sequence[Stratum], kind: int) -> OutcomeCell:
    """Return the actors of a kind in all strata."""
    return OutcomeCell(sum(each[kind].actors for each in strata), sum(each[kind].reached for each in strata))


def beyond(strata: Sequence[Stratum], kind: int, reference: Reference) -> Beyond | None:
    """Hold the rate of a kind against a reference, within strata.

    With `Reference(neither, (a alone, b alone))` the ratio is the interaction contrast on the log-risk scale:
    RR(a and b) / (RR(a alone) RR(b alone)), each a ratio of risks by Mantel and Haenszel against those with neither.
    Its variance is that of the logarithm by the delta method, with the unbiased variance of each count, n / (n - 1)
    times the binomial one, so that it holds for few large strata and for many small ones. It is not that of Greenland
    and Robins (1985), which serves the same end. The test takes the count as
    Poisson, and what is expected of it as gamma-distributed with the variance of its logarithm: the tail of a negative
    binomial distribution. Where the interval's own test is less sure, that counts.

    Where nobody of a part, or of `base`, reached the goal, one actor counts as if it had, so that what is expected is
    not put too low.

    Returns:
        None where nobody of the kind reached the goal among actors who are like some of the others.
    """
    own = _MantelHaenszel.of(strata, kind, reference.base)
    if own.is_filled:
        return None
    parts = [_MantelHaenszel.of(strata, part, reference.base) for part in reference.parts]
    logarithm = own.logarithm - sum(part.logarithm for part in parts)
    of_own = of_others = 0.0
    for place, stratum in enumerate(strata):
        of_own += own.exposed_slope(place) ** 2 * _variance(stratum[kind])
        of_others += sum(
            ratio.exposed_slope(place) ** 2 * _variance(stratum[part])
            for part, ratio in zip(reference.parts, parts, strict=True)
        )
        slope = own.base_slope(place) - sum(part.base_slope(place) for part in parts)
        of_others += slope**2 * _variance(stratum[reference.base])
    of_others += _OF_NONE * sum(part.is_filled for part in parts)
    of_others += _OF_NONE * (own.is_base_filled - sum(part.is_base_filled for part in parts)) ** 2
    error = math.sqrt(of_own + of_others)
    reached = total(strata, kind).reached
    expected = reached / math.exp(logarithm)
    margin = NormalDist().inv_cdf(0.975) * error
    by_interval = math.erfc(logarithm / error / math.sqrt(2)) / 2 if error > 0 else 1.0
    return Beyond(
        expected,
        math.exp(logarithm),
        math.exp(logarithm - margin),
        math.exp(logarithm + margin),
        max(upper_tail(reached, expected, of_others), by_interval),
    )


class _MantelHaenszel(NamedTuple):
    """A ratio of two risks over strata: the two sums, and what one more who reached the goal adds to each."""

    exposed: float
    base: float
    exposed_weights: tuple[float, ...]
    base_weights: tuple[float, ...]
    is_filled: bool
    is_base_filled: bool

    @classmethod
    def of(cls, strata: Sequence[Stratum], kind: int, base: int) -> _MantelHaenszel:
        all_of = [each[kind].actors + each[base].actors for each in strata]
        weights = tuple(each[base].actors / all_ if all_ else 0.0 for each, all_ in zip(strata, all_of, strict=True))
        base_weights = tuple(
            each[kind].actors / all_ if all_ else 0.0 for each, all_ in zip(strata, all_of, strict=True)
        )
        exposed = sum(each[kind].reached * weight for each, weight in zip(strata, weights, strict=True))
        other = sum(each[base].reached * weight for each, weight in zip(strata, base_weights, strict=True))
        return cls(
            exposed or _one_more(strata, kind, weights),
            other or _one_more(strata, base, base_weights),
            weights,
            base_weights,
            exposed <= 0,
            other <= 0,
        )

    @property
    def logarithm(self) -> float:
        return math.log(self.exposed / self.base)

    def exposed_slope(self, place: int) -> float:
        return 0.0 if self.is_filled else self.exposed_weights[place] / self.exposed

    def base_slope(self, place: int) -> float:
        return 0.0 if self.is_base_filled else -self.base_weights[place] / self.base


def _one_more(strata: Sequence[Stratum], kind: int, weights: Sequence[float]) -> float:
    """Return what one who reached the goal adds on average; where no two are alike, as if all were."""
    actors = sum(each[kind].actors for each in strata)
    return sum(each[kind].actors * weight for each, weight in zip(strata, weights, strict=True)) / max(actors, 1) or 1.0


def _variance(cell: OutcomeCell) -> float:
    """Return the unbiased variance of how many reached the goal."""
    if cell.actors <= 1:
        return float(cell.reached)
    return cell.reached * (cell.actors - cell.reached) / (cell.actors - 1)
