"""What each of many brings on average up to an age, where some are known for longer than others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from microconv.stats.intervals import Interval, percentile_interval

Numbers = npt.NDArray[np.float64]
RESAMPLES = 1_000


class MeanCumulative(NamedTuple):
    """The mean of the sums up to each age, and how many were known for as long; arrays, one value per age from 0."""

    mean: Numbers
    at_risk: Numbers


def mean_cumulative(amounts: Numbers, last_seen: Numbers) -> MeanCumulative:
    """Return the mean cumulative function (Nelson, 1995): who is known for less long leaves, and pulls no mean down.

    Args:
        amounts: What all together brought at each age.
        last_seen: How many were known for exactly so long; they count at that age, and not after it.

    At each age the sum of what was brought is divided by who could have brought it; where nobody could, it ends at the
    value before.
    """
    at_risk = np.cumsum(last_seen[..., ::-1], axis=-1)[..., ::-1].astype(np.float64)
    steps = np.divide(amounts, at_risk, out=np.zeros_like(at_risk), where=at_risk > 0)
    return MeanCumulative(np.cumsum(steps, axis=-1), at_risk)


def resampled_at(amounts: Numbers, last_seen: Numbers, age: int, seed: int, level: float = 0.95) -> Interval | None:
    """Return the percentile interval of the mean up to an age over resamplings of groups (rows); None without any.

    Groups are drawn with replacement, as many as there are (Efron, 1979); a draw in which nobody was known for as long
    as the age is left out.
    """
    groups = len(amounts)
    if groups < 2:  # noqa: PLR2004 - one group has no spread
        return None
    drawn = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), RESAMPLES).astype(np.float64)
    found = mean_cumulative(drawn @ amounts[:, : age + 1], drawn @ _from(last_seen, age))
    return percentile_interval(found.mean[found.at_risk[:, -1] > 0, -1].tolist(), level)


def _from(last_seen: Numbers, age: int) -> Numbers:
    """Return who was known for how long, those known for longer than an age at that age."""
    kept = last_seen[:, : age + 1].astype(np.float64).copy()
    kept[:, -1] = last_seen[:, age:].sum(axis=1)
    return kept
