"""Means and ratios of variants from sums over actors: their variance, and what a period before explains (CUPED)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

Vector: TypeAlias = Sequence[float]
Matrix: TypeAlias = Sequence[Sequence[float]]

_NO_SLOPE = 1e-8


class VariantMoments(ABC):
    """One metric of one variant: a number that is made of means over its actors, and how far that number may move."""

    n: int
    """How many actors."""

    @property
    @abstractmethod
    def mean(self) -> float:
        """The metric; with an adjustment, the adjusted one. 0 where it cannot be told."""

    @property
    def plain_mean(self) -> float:
        """The metric without any adjustment."""
        return self.mean

    @property
    @abstractmethod
    def covariances(self) -> Matrix:
        """The covariances, over actors, of what the metric is made of."""

    @property
    @abstractmethod
    def slopes(self) -> Vector:
        """By how much the metric moves with each mean that it is made of (its gradient)."""

    @property
    def variance(self) -> float:
        """The variance of the metric times the number of actors (delta method)."""
        return quadratic(self.slopes, self.covariances)


@dataclass(frozen=True)
class MeanSums(VariantMoments):
    """A mean per actor, or a share of actors.

    Attributes:
        n: Actors.
        total: The sum of their values.
        squares: The sum of the squares of their values.
        is_share: Every value is 0 or 1, and the variance is p (1 - p); else n - 1 divides the squares.
    """

    n: int
    total: float
    squares: float
    is_share: bool = False

    @classmethod
    def of_share(cls, n: int, successes: float) -> MeanSums:
        """Return the sums of a share of actors."""
        return cls(n, successes, successes, is_share=True)

    def __add__(self, other: MeanSums) -> MeanSums:
        """Return both together."""
        return MeanSums(
            self.n + other.n, self.total + other.total, self.squares + other.squares, self.is_share and other.is_share
        )

    @property
    def mean(self) -> float:
        """The mean; 0 without actors."""
        return self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        """The variance over actors; 0 with fewer than two."""
        return covariance(self, self, self.squares)

    @property
    def covariances(self) -> Matrix:
        """The variance alone."""
        return ((self.variance,),)

    @property
    def slopes(self) -> Vector:
        """One for one."""
        return (1.0,)


def covariance(one: MeanSums, other: MeanSums, products: float) -> float:
    """Return the covariance over actors of two values, from the sum of their products; 0 with fewer than two actors.

    Of two shares n divides, else n - 1.
    """
    if one.is_share and other.is_share:
        return products / one.n - one.mean * other.mean if one.n else 0.0
    return (products - one.total * other.total / one.n) / (one.n - 1) if one.n > 1 else 0.0


@dataclass(frozen=True)
class RatioSums(VariantMoments):
    """A ratio of two sums over the same actors, such as revenue per purchase; its variance is by the delta method.

    Attributes:
        top: What is counted.
        bottom: What it is counted per.
        products: The sum over actors of one times the other.
    """

    top: MeanSums
    bottom: MeanSums
    products: float

    @property
    def n(self) -> int:  # type: ignore[override]  # read only, as in all of them
        """How many actors."""
        return self.top.n

    @property
    def mean(self) -> float:
        """The ratio; 0 where there is nothing to count per."""
        return self.top.total / self.bottom.total if self.bottom.total else 0.0

    @property
    def covariances(self) -> Matrix:
        """Those of the two sums."""
        between = covariance(self.top, self.bottom, self.products)
        return ((self.top.variance, between), (between, self.bottom.variance))

    @property
    def slopes(self) -> Vector:
        """Those of a quotient."""
        return _quotient_slopes(self.top.mean, self.bottom.mean)


@dataclass(frozen=True)
class AdjustedSums(VariantMoments):
    """A mean less what the period before explains of it: CUPED (Deng, Xu, Kohavi and Walker, 2013).

    Attributes:
        after: The value that counts.
        before: The same, or another one, in the period before an actor was exposed.
        products: The sum over actors of one times the other.
        slope: By how much the one moves with the other, over both variants (`adjusted_pair`).
    """

    after: MeanSums
    before: MeanSums
    products: float
    slope: float = 0.0

    @property
    def n(self) -> int:  # type: ignore[override]  # read only, as in all of them
        """How many actors."""
        return self.after.n

    @property
    def mean(self) -> float:
        """The adjusted mean: only its difference to that of another variant means something."""
        return self.after.mean - self.slope * self.before.mean

    @property
    def plain_mean(self) -> float:
        """The mean without the adjustment."""
        return self.after.mean

    @property
    def covariances(self) -> Matrix:
        """Those of after and before."""
        between = covariance(self.after, self.before, self.products)
        return ((self.after.variance, between), (between, self.before.variance))

    @property
    def slopes(self) -> Vector:
        """After, and less of before."""
        return (1.0, -self.slope)


@dataclass(frozen=True)
class AdjustedRatioSums(VariantMoments):
    """A ratio less what the ratio of the period before explains of it: CUPED with the delta method.

    The sums of products are those over actors of each pair of the four values.
    """

    top_after: MeanSums
    bottom_after: MeanSums
    top_before: MeanSums
    bottom_before: MeanSums
    top_after_bottom_after: float
    top_after_top_before: float
    top_after_bottom_before: float
    bottom_after_top_before: float
    bottom_after_bottom_before: float
    top_before_bottom_before: float
    slope: float = 0.0

    @property
    def n(self) -> int:  # type: ignore[override]  # read only, as in all of them
        """How many actors."""
        return self.top_after.n

    @property
    def after(self) -> RatioSums:
        """The ratio that counts."""
        return RatioSums(self.top_after, self.bottom_after, self.top_after_bottom_after)

    @property
    def before(self) -> RatioSums:
        """The ratio in the period before."""
        return RatioSums(self.top_before, self.bottom_before, self.top_before_bottom_before)

    @property
    def mean(self) -> float:
        """The adjusted ratio: only its difference to that of another variant means something."""
        return self.after.mean - self.slope * self.before.mean

    @property
    def plain_mean(self) -> float:
        """The ratio without the adjustment."""
        return self.after.mean

    @property
    def covariances(self) -> Matrix:
        """Those of all four values: top and bottom after, top and bottom before."""
        values = (self.top_after, self.bottom_after, self.top_before, self.bottom_before)
        products = {
            (0, 1): self.top_after_bottom_after,
            (0, 2): self.top_after_top_before,
            (0, 3): self.top_after_bottom_before,
            (1, 2): self.bottom_after_top_before,
            (1, 3): self.bottom_after_bottom_before,
            (2, 3): self.top_before_bottom_before,
        }
        return [
            [
                one.variance if i == j else covariance(one, other, products[min(i, j), max(i, j)])
                for j, other in enumerate(values)
            ]
            for i, one in enumerate(values)
        ]

    @property
    def slopes(self) -> Vector:
        """Those of the quotient after, and less of those of the quotient before."""
        return (*self.after.slopes, *(-self.slope * each for each in self.before.slopes))

    @property
    def explained(self) -> tuple[float, float]:
        """The covariance of the two ratios, and the variance of the one before."""
        covariances, after, before = self.covariances, self.after.slopes, self.before.slopes
        between = math.fsum(
            after[i] * before[j] * covariances[i][j + 2] for i in range(len(after)) for j in range(len(before))
        )
        return between, self.before.variance


def adjusted_pair(control: VariantMoments, treated: VariantMoments) -> tuple[VariantMoments, VariantMoments]:
    """Give two variants the one slope of both; where the period before explains nothing, they stay as they are without.

    Of means it is that of all actors together; of ratios, the sum of the covariances over that of the variances.
    """
    if isinstance(control, AdjustedSums) and isinstance(treated, AdjustedSums):
        after, before = control.after + treated.after, control.before + treated.before
        between = covariance(after, before, control.products + treated.products)
        slope = between / before.variance if before.variance > 0 and after.variance > 0 else 0.0
        if slope == 0:
            return control.after, treated.after
        return replace(control, slope=slope), replace(treated, slope=slope)
    if isinstance(control, AdjustedRatioSums) and isinstance(treated, AdjustedRatioSums):
        pairs = control.explained, treated.explained
        spread = pairs[0][1] + pairs[1][1]
        slope = (pairs[0][0] + pairs[1][0]) / spread if spread > 0 else 0.0
        if abs(slope) < _NO_SLOPE:
            return control.after, treated.after
        return replace(control, slope=slope), replace(treated, slope=slope)
    return control, treated


def quadratic(slopes: Vector, covariances: Matrix) -> float:
    """Return the variance of a sum of values, each times its slope."""
    return math.fsum(one * other * covariances[i][j] for i, one in enumerate(slopes) for j, other in enumerate(slopes))


def _quotient_slopes(top: float, bottom: float) -> Vector:
    return (1 / bottom, -top / bottom**2) if bottom else (0.0, 0.0)
