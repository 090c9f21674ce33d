"""Whether one prediction orders cases better than another on the same cases: areas under ROC curves, after DeLong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from microconv.stats.intervals import Interval

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ComparedAreas:
    """The areas of two predictions on the same cases, and their difference (the second less the first).

    Errors are standard errors; None where there are fewer than two cases to whom it happened, or to whom it did not,
    and of an area of 0 or 1: where all pairs are in order the variance is 0, however few they are.
    """

    first: float
    second: float
    first_error: float | None
    second_error: float | None
    difference_error: float | None

    @property
    def difference(self) -> float:
        """The second area less the first."""
        return self.second - self.first

    def interval(self, estimate: float, error: float | None, level: float = 0.95) -> Interval | None:
        """Return the normal interval of an estimate, None where its error is not known."""
        if error is None:
            return None
        margin = NormalDist().inv_cdf((1 + level) / 2) * error
        return Interval(estimate - margin, estimate + margin)


def compare_areas(first: Numbers, second: Numbers, with_it: Numbers, without: Numbers) -> ComparedAreas | None:
    """Compare how well two predictions order the same cases (DeLong, DeLong and Clarke-Pearson, 1988); ties count half.

    Args:
        first: A prediction for each row, any order-preserving scale.
        second: The other one.
        with_it: How many cases of each row it happened to.
        without: How many cases of each row it did not happen to.

    Returns:
        None where it happened to all or to nobody.
    """
    m, n = float(with_it.sum()), float(without.sum())
    if not m or not n:
        return None
    of_cases = [_placements(each, without, n) for each in (first, second)]
    of_controls = [1 - _placements(each, with_it, m) for each in (first, second)]
    areas = [float((each * with_it).sum() / m) for each in of_cases]
    if min(m, n) < 2:  # noqa: PLR2004 - a variance wants two
        return ComparedAreas(areas[0], areas[1], None, None, None)
    covariance = _covariance(of_cases, areas, with_it, m) / m + _covariance(of_controls, areas, without, n) / n
    apart = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    first_error, second_error = (
        math.sqrt(max(float(variance), 0.0)) if 0 < area < 1 else None
        for area, variance in zip(areas, covariance.diagonal(), strict=True)
    )
    is_told = first_error is not None and second_error is not None
    return ComparedAreas(areas[0], areas[1], first_error, second_error, math.sqrt(max(apart, 0.0)) if is_told else None)


def _placements(values: Numbers, cases: Numbers, total: float) -> Numbers:
    """Return for each row the share of `cases` with a smaller value, those with the same value by half."""
    distinct, places = np.unique(values, return_inverse=True)
    at = np.bincount(places, cases, len(distinct))
    below = np.cumsum(at) - at / 2
    placed: Numbers = below[places] / total
    return placed


def _covariance(placements: list[Numbers], areas: list[float], cases: Numbers, total: float) -> Numbers:
    apart = np.stack(placements) - np.array(areas)[:, None]
    covariance: Numbers = (apart * cases) @ apart.T / (total - 1)
    return covariance
