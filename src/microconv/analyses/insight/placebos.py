"""What "nothing" looks like: the ratios of small steps picked by chance, and what lies among them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

from microconv.stats.ratios import Ratio
from microconv.stats.shrinkage import Common, Estimated, common

FEWEST_PLACEBOS = 5
"""Placebos with a ratio, below which nothing is held against them."""

_QUANTILE = 1.959964


class PlaceboBand(NamedTuple):
    """What small steps picked by chance show (Schuemie and others, 2014), on the scale of logarithms.

    Attributes:
        mean: The logarithm of their common ratio.
        spread: How far the ratios that they estimate differ from each other, beyond chance.
        error: The standard error of a usual one.
        mean_error: That of their mean, if they were independent of each other.
        number: How many of them have a ratio.
    """

    mean: float
    spread: float
    error: float
    mean_error: float
    number: int

    @property
    def ratio(self) -> float:
        """The ratio of a usual placebo."""
        return math.exp(self.mean)

    @property
    def low(self) -> float:
        """Where the ratios of 95% of placebos begin, chance included."""
        return math.exp(self.mean - _QUANTILE * math.hypot(self.spread, self.error))

    @property
    def high(self) -> float:
        """Where they end."""
        return math.exp(self.mean + _QUANTILE * math.hypot(self.spread, self.error))

    def holds(self, ratio: Ratio) -> bool:
        """Whether a ratio is one that a placebo could have had."""
        return self.low <= ratio.ratio <= self.high

    def beyond(self, ratio: Ratio) -> Estimated:
        """Return the logarithm of a ratio over that of a usual placebo, with its error."""
        return Estimated(math.log(ratio.ratio) - self.mean, math.hypot(ratio.log_error, self.spread, self.mean_error))


NO_BAND = PlaceboBand(0.0, 0.0, 0.0, 0.0, 0)
"""The band where there are no placebos: a ratio of exactly 1."""


def placebo_band(placebos: Iterable[Ratio | None]) -> PlaceboBand | None:
    """Return the band of placebos; None where too few of them have a ratio."""
    told = [Estimated(math.log(each.ratio), each.log_error) for each in placebos if each is not None and each.log_error]
    found: Common | None = common(told) if len(told) >= FEWEST_PLACEBOS else None
    if found is None:
        return None
    return PlaceboBand(found.mean, found.spread, median(each.error for each in told), found.error, len(told))
