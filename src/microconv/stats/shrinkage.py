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
    """What estimates have in common.

    Attributes:
        mean: Their mean.
        spread: The standard deviation of what they estimate around it.
        error: The standard error of the mean.
    """

    mean: float
    spread: float
    error: float


def common(estimates: Sequence[Estimated]) -> Common | None:
    """Return mean and spread of what estimates are of (Paule and Mandel, 1982); None where there are none.

    The spread is that at which the estimates differ from their mean as much as their errors and it let expect; it is 0
    where the errors alone explain all.

    Raises:
        ValueError: An estimate has no standard error.
    """
    if not estimates:
        return None
    for each in estimates:
        _check(each)

    def mean_error(variance: float) -> float:
        return 1 / math.sqrt(math.fsum(1 / (each.error**2 + variance) for each in estimates))

    def excess(variance: float) -> tuple[float, float]:
        weights = [1 / (each.error**2 + variance) for each in estimates]
        mean = math.fsum(w * each.value for w, each in zip(weights, estimates, strict=True)) / math.fsum(weights)
        squares = math.fsum(w * (each.value - mean) ** 2 for w, each in zip(weights, estimates, strict=True))
        return squares - (len(estimates) - 1), mean

    over, mean = excess(0.0)
    if over <= 0:
        return Common(mean, 0.0, mean_error(0.0))
    low, high = 0.0, max((each.value - mean) ** 2 for each in estimates) * len(estimates)
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        over, mean = excess(middle)
        low, high = (middle, high) if over > 0 else (low, middle)
    variance = (low + high) / 2
    return Common(mean, math.sqrt(variance), mean_error(variance))


def shrunken(estimate: Estimated, of_all: Common) -> Estimated:
    """Return an estimate drawn to the mean of all, the more the less sure it is (Efron and Morris, 1975).

    The largest of many estimates is too large on average; its shrunken value is not. Its error is its own as far as it
    counts, and that of the mean as far as that counts.

    Raises:
        ValueError: The estimate has no standard error.
    """
    _check(estimate)
    own = of_all.spread**2 / (of_all.spread**2 + estimate.error**2)
    drawn = 1 - own
    return Estimated(
        own * estimate.value + drawn * of_all.mean,
        math.hypot(of_all.spread * math.sqrt(drawn), drawn * of_all.error),
    )


def _check(estimate: Estimated) -> None:
    if not estimate.error > 0:
        raise ValueError(f"an estimate has a standard error above 0: {estimate}")
