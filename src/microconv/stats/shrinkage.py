"""Many estimates of one kind: how far they differ beyond chance, and what is left of each when chance is taken off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_ROUNDS = 200


class Estimated(NamedTuple):
    """A figure and its standard error, on a scale on which it is about normal: for a ratio its logarithm."""

    value: float
    error: float


class Common(NamedTuple):
    """What estimates have in common: their mean, and the standard deviation of what they estimate around it."""

    mean: float
    spread: float


def common(estimates: Sequence[Estimated]) -> Common | None:
    """Return mean and spread of what estimates are of (Paule and Mandel, 1982); None where there are none.

    The spread is that at which the estimates differ from their mean as much as their errors and it let expect; it is 0
    where the errors alone explain all.
    """
    if not estimates:
        return None

    def excess(variance: float) -> tuple[float, float]:
        weights = [1 / (each.error**2 + variance) for each in estimates]
        mean = math.fsum(w * each.value for w, each in zip(weights, estimates, strict=True)) / math.fsum(weights)
        squares = math.fsum(w * (each.value - mean) ** 2 for w, each in zip(weights, estimates, strict=True))
        return squares - (len(estimates) - 1), mean

    over, mean = excess(0.0)
    if over <= 0:
        return Common(mean, 0.0)
    low, high = 0.0, max((each.value - mean) ** 2 for each in estimates) * len(estimates)
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        over, mean = excess(middle)
        low, high = (middle, high) if over > 0 else (low, middle)
    return Common(mean, math.sqrt((low + high) / 2))


def shrunken(estimate: Estimated, of_all: Common) -> Estimated:
    """Return an estimate drawn to the mean of all, the more the less sure it is (Efron and Morris, 1975).

    The largest of many estimates is too large on average; its shrunken value is not.
    """
    if of_all.spread == 0:
        return Estimated(of_all.mean, 0.0)
    own, others = 1 / estimate.error**2, 1 / of_all.spread**2
    return Estimated(
        (own * estimate.value + others * of_all.mean) / (own + others),
        math.sqrt(1 / (own + others)),
    )
