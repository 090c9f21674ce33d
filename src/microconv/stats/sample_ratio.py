"""Whether a test split its actors as it should: the sample-ratio test, and where the split went wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from microconv.stats.distributions import chi_square_tail

FAILS_BELOW = 0.001
"""The p-value below which a split is called wrong."""
FEWEST_EXPECTED = 5
"""Actors expected in a variant, below which chi-square says nothing."""


class SplitTest(NamedTuple):
    """A split held against the shares that it should have.

    Attributes:
        statistic: Chi-square.
        p_value: Of such a split, or a worse one, by chance; 1 where there are too few actors to tell.
        is_told: Whether there were enough.
    """

    statistic: float
    p_value: float
    is_told: bool


class Misplaced(NamedTuple):
    """A level of a dimension, such as `mobile`, in which the split is wrong.

    Attributes:
        level: The level.
        actors: Its actors, by variant.
        statistic: Chi-square of its split.
        p_value: Of its split, corrected over all levels (Bonferroni).
        rest_p_value: Of the split of all others: where it is right, the fault lies in this level alone.
    """

    level: str
    actors: tuple[int, ...]
    statistic: float
    p_value: float
    rest_p_value: float

    @property
    def is_alone(self) -> bool:
        """Whether the split is right without it."""
        return self.rest_p_value >= FAILS_BELOW


def split_test(actors: Sequence[int], shares: Sequence[float]) -> SplitTest:
    """Hold a split against its shares (Pearson's chi-square, one degree of freedom fewer than variants).

    Actors in a variant that should have none are a wrong split, however few.

    Raises:
        ValueError: Actors or shares are below 0 or no numbers, or all shares are 0.
    """
    if not all(0 <= each < math.inf for each in (*actors, *shares)) or not any(shares):
        raise ValueError(f"actors and shares of variants are 0 or more: {list(actors)}, {list(shares)}")
    if any(own and not share for own, share in zip(actors, shares, strict=True)):
        return SplitTest(math.inf, 0.0, is_told=True)
    actors, shares = zip(*((own, share) for own, share in zip(actors, shares, strict=True) if share), strict=True)
    whole, number = sum(shares), sum(actors)
    expected = [number * each / whole for each in shares]
    if len(actors) < 2 or min(expected) < FEWEST_EXPECTED:  # noqa: PLR2004 - two to compare
        return SplitTest(0.0, 1.0, is_told=False)
    statistic = math.fsum((one - other) ** 2 / other for one, other in zip(actors, expected, strict=True))
    return SplitTest(statistic, chi_square_tail(statistic, len(actors) - 1), is_told=True)


def located(levels: Mapping[str, Sequence[int]], shares: Sequence[float]) -> list[Misplaced]:
    """Return the levels of one dimension in which the split is wrong, the one farthest off first.

    Each level is tested, corrected for how many there are: a fault in a small one does not show in the whole. Where the
    split is wrong all over, all of the large ones are off, and none is alone.

    Args:
        levels: Actors by variant, of each level.
        shares: What the variants should have, in the same order.
    """
    whole = [sum(column) for column in zip(*levels.values(), strict=True)]
    tests = {name: split_test(actors, shares) for name, actors in levels.items()}
    told = sum(each.is_told for each in tests.values())
    found = []
    for name, test in tests.items():
        p_value = min(1.0, test.p_value * told)
        if not test.is_told or p_value >= FAILS_BELOW:
            continue
        rest = split_test([all_ - own for all_, own in zip(whole, levels[name], strict=True)], shares)
        found.append(Misplaced(name, tuple(levels[name]), test.statistic, p_value, rest.p_value))
    return sorted(found, key=lambda each: (-each.statistic, each.level))
