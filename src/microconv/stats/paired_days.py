"""Whether a daily figure moved between two periods: days are paired, so that how days differ is not a change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from microconv.stats.distributions import t_quantile, t_tail
from microconv.stats.ratios import Ratio


class DayPair(NamedTuple):
    """Two days that are held against each other: of each a number, and what it is a share of (1 for a plain number)."""

    now: float
    now_of: float
    before: float
    before_of: float


def ratio_of_periods(
    pairs: Sequence[DayPair], level: float = 0.95, *, events: tuple[float, float] | None = None
) -> Ratio | None:
    """Return the figure of the days now over that of the days before, with its interval.

    The logarithm of (A / N) / (B / M), of sums over days, is linearised as for any ratio estimator (Cochran 1977,
    chapter 6): a pair adds (a/A - n/N) - (b/B - m/M), and the spread of these between pairs gives the variance, with
    Student's t. It holds however unequal days are, but takes pairs to be independent. It is never less than that of two
    counts of independent events, 1/A + 1/B: few days that happen to look alike do not make few events certain.

    Args:
        pairs: The days.
        level: Of the interval.
        events: Events in the two periods, where A and B are not counts (money).

    Returns:
        None where either sum is 0, or fewer than two pairs were seen.
    """
    count = len(pairs)
    sums = [math.fsum(column) for column in zip(*pairs, strict=True)] if count else [0.0] * 4
    now, now_of, before, before_of = sums
    if count < 2 or min(sums) <= 0:  # noqa: PLR2004 - one pair has no spread
        return None
    parts = [
        each.now / now - each.now_of / now_of - each.before / before + each.before_of / before_of for each in pairs
    ]
    between = count / (count - 1) * math.fsum(part * part for part in parts)
    counts = events or (now, before)
    if min(counts) <= 0:
        return None
    error = math.sqrt(max(between, 1 / counts[0] + 1 / counts[1]))
    ratio = now / now_of / (before / before_of)
    margin = t_quantile((1 + level) / 2, count - 1) * error
    p_value = 2 * t_tail(abs(math.log(ratio)) / error, count - 1)
    return Ratio(ratio, ratio * math.exp(-margin), ratio * math.exp(margin), p_value)
