"""Whether what a model is told is still distributed as when it was fitted: the population stability index."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence

MOST_BINS = 10
_HALF = 0.5


def edges_of(counts: Mapping[int, int]) -> tuple[int, ...]:
    """Return the largest value of each bin but the last: bins of about equal size, whole values kept together.

    Args:
        counts: How many cases have each value.
    """
    total, so_far = sum(counts.values()), 0
    found: list[int] = []
    values = sorted(counts)
    for value in values[:-1]:
        so_far += counts[value]
        if so_far * MOST_BINS >= total * (len(found) + 1):
            found.append(value)
            while so_far * MOST_BINS >= total * (len(found) + 1) and len(found) < MOST_BINS - 1:
                found.append(value)
    return tuple(dict.fromkeys(found))


def binned(counts: Mapping[int, int], edges: Sequence[int]) -> tuple[int, ...]:
    """Return how many cases lie in each bin."""
    bins = [0] * (len(edges) + 1)
    for value, cases in counts.items():
        bins[bisect_left(edges, value)] += cases
    return tuple(bins)


def stability_index(before: Sequence[int], now: Sequence[int]) -> float:
    """Return the population stability index of two counts over the same bins: the sum of (a - b) ln(a / b) of shares.

    Half a case is added to each bin, so that an empty one is no infinity. Below 0.1 little moved; from 0.25 on, much
    (Siddiqi, 2006).
    """
    all_before, all_now = (sum(each) + _HALF * len(each) for each in (before, now))
    index = 0.0
    for old, new in zip(before, now, strict=True):
        share, other = (old + _HALF) / all_before, (new + _HALF) / all_now
        index += (other - share) * math.log(other / share)
    return index
