"""Comparing like with like: risks as if all were alike, by standardisation or by weights, and how alike sides are."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from microconv.stats.ratios import RiskStratum

Population = Literal["all", "exposed", "other", "overlap"]
"""As whose mix of strata risks are told: everybody's, that of the exposed, that of the others, or that of where both
are (each stratum by exposed times others over both, as Mantel and Haenszel do; Li, Morgan and Zaslavsky, 2018)."""


class StandardisedRisks(NamedTuple):
    """Two risks as if both sides were of the same mix, and the share of the people whose stratum has both sides."""

    exposed: float
    other: float
    covered: float

    @property
    def difference(self) -> float:
        """The risk of the exposed less that of the others."""
        return self.exposed - self.other

    @property
    def ratio(self) -> float | None:
        """The risk of the exposed over that of the others; None where the latter is 0."""
        return self.exposed / self.other if self.other > 0 else None


def standardised(strata: Iterable[RiskStratum], population: Population = "all") -> StandardisedRisks | None:
    """Return the risk of each side, averaged over strata by the mix of a population (Hernán and Robins, 2020, ch. 2).

    Strata without one of the sides are left out, and `covered` says what is left. None where nothing is.
    """
    given = [each for each in strata if each.exposed + each.other > 0]
    shared = [each for each in given if each.is_shared]
    sizes = [_size(each, population) for each in shared]
    size = math.fsum(sizes)
    if size <= 0:
        return None
    exposed = math.fsum(n * each.exposed_events / each.exposed for n, each in zip(sizes, shared, strict=True))
    other = math.fsum(n * each.other_events / each.other for n, each in zip(sizes, shared, strict=True))
    return StandardisedRisks(exposed / size, other / size, _covered(given, shared))


def weighted(strata: Iterable[RiskStratum], population: Population = "all") -> StandardisedRisks | None:
    """Return the risk of each side when people weigh by the inverse probability of being on their side.

    That probability is the share of their stratum that is on their side. Where strata are as fine as that, the weights
    give what `standardised` gives, by another way (Hernán and Robins, 2020, technical point 2.3).
    """
    given = [each for each in strata if each.exposed + each.other > 0]
    shared = [each for each in given if each.is_shared]
    weights = [side_weights(each.exposed, each.other, population) for each in shared]
    exposed = math.fsum(w.exposed * each.exposed for w, each in zip(weights, shared, strict=True))
    other = math.fsum(w.other * each.other for w, each in zip(weights, shared, strict=True))
    if exposed <= 0 or other <= 0:
        return None
    return StandardisedRisks(
        math.fsum(w.exposed * each.exposed_events for w, each in zip(weights, shared, strict=True)) / exposed,
        math.fsum(w.other * each.other_events for w, each in zip(weights, shared, strict=True)) / other,
        _covered(given, shared),
    )


class SideWeights(NamedTuple):
    """What one person of each side of a stratum weighs."""

    exposed: float
    other: float


def side_weights(exposed: float, other: float, population: Population = "all") -> SideWeights:
    """Return what one person of each side of a stratum weighs, so that both sides are of the mix of the population."""
    if exposed <= 0 or other <= 0:
        return SideWeights(0.0, 0.0)
    probability = exposed / (exposed + other)
    match population:
        case "all":
            return SideWeights(1 / probability, 1 / (1 - probability))
        case "exposed":
            return SideWeights(1.0, probability / (1 - probability))
        case "other":
            return SideWeights((1 - probability) / probability, 1.0)
        case "overlap":
            return SideWeights(1 - probability, probability)


@dataclass(frozen=True)
class StratumCell:
    """People who are alike in all that is looked at.

    Attributes:
        stratum: Within which sides are compared.
        levels: Of each covariate, which may be finer than the stratum.
        exposed: How many are exposed.
        other: How many are not.
    """

    stratum: Hashable
    levels: Mapping[str, str]
    exposed: float
    other: float


class Balance(NamedTuple):
    """How far the sides differ in one level of a covariate: standardised mean differences; 0 where they are alike.

    `before` is among all, `after` with the weights; None where one side is all of it and the other none of it, so that
    nothing says what a usual difference is.
    """

    covariate: str
    level: str
    before: float | None
    after: float | None


class Balances(NamedTuple):
    """The balance of each level, and the share of the exposed who have others in their stratum."""

    levels: tuple[Balance, ...]
    covered: float

    def largest(self, *, is_after: bool) -> float | None:
        """Return the largest difference of all levels, in either direction."""
        told = [each.after if is_after else each.before for each in self.levels]
        return max((abs(each) for each in told if each is not None), default=None)


def balance(cells: Sequence[StratumCell], population: Population = "overlap") -> Balances | None:
    """Return how alike two sides are before and after weighing, level by level (Austin and Stuart, 2015).

    A difference is that of two shares over the root of the mean of their variances, both before weighing. None where
    one of the sides is empty, or no stratum has both.
    """
    sides: dict[Hashable, tuple[float, float]] = {}
    for each in cells:
        exposed, other = sides.get(each.stratum, (0.0, 0.0))
        sides[each.stratum] = exposed + each.exposed, other + each.other
    weights = {stratum: side_weights(*each, population) for stratum, each in sides.items()}
    before, after = _Shares(), _Shares()
    for each in cells:
        weight = weights[each.stratum]
        before.add(each, each.exposed, each.other)
        after.add(each, each.exposed * weight.exposed, each.other * weight.other)
    if min(before.exposed, before.other, after.exposed, after.other) <= 0:
        return None
    levels = []
    for covariate, level in sorted(before.of):
        was, now = before.shares(covariate, level), after.shares(covariate, level)
        spread = math.sqrt(sum(share * (1 - share) for share in was) / 2)
        levels.append(Balance(covariate, level, _over(was[0] - was[1], spread), _over(now[0] - now[1], spread)))
    shared = math.fsum(exposed for exposed, other in sides.values() if other > 0)
    return Balances(tuple(levels), shared / before.exposed)


class _Shares:
    """How much of each side is at each level."""

    def __init__(self) -> None:
        self.exposed = self.other = 0.0
        self.of: dict[tuple[str, str], list[float]] = {}

    def add(self, cell: StratumCell, exposed: float, other: float) -> None:
        self.exposed += exposed
        self.other += other
        for key in cell.levels.items():
            sums = self.of.setdefault(key, [0.0, 0.0])
            sums[0] += exposed
            sums[1] += other

    def shares(self, covariate: str, level: str) -> tuple[float, float]:
        exposed, other = self.of[covariate, level]
        return min(exposed / self.exposed, 1.0), min(other / self.other, 1.0)


def _over(difference: float, spread: float) -> float | None:
    if spread > 0:
        return difference / spread
    return 0.0 if difference == 0 else None


def _size(stratum: RiskStratum, population: Population) -> float:
    match population:
        case "all":
            return stratum.exposed + stratum.other
        case "exposed":
            return stratum.exposed
        case "other":
            return stratum.other
        case "overlap":
            return stratum.exposed * stratum.other / (stratum.exposed + stratum.other)


def _covered(given: Sequence[RiskStratum], shared: Sequence[RiskStratum]) -> float:
    def number(strata: Sequence[RiskStratum]) -> float:
        return math.fsum(each.exposed + each.other for each in strata)

    return number(shared) / number(given)
