"""Which of several comes first, and how sure that is: ranks of drawn scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LEVEL = 0.9


class Rank(NamedTuple):
    """A place among several, 1 the highest, and the places that hold it in so many of the draws (90%)."""

    rank: int
    low: int
    high: int


def ranks(scores: Sequence[float], drawn: npt.NDArray[np.float64], level: float = LEVEL) -> list[Rank]:
    """Rank scores, the highest first, and say between which places each lies when all of them are drawn anew.

    Args:
        scores: The scores as they are.
        drawn: A row per draw, a column per score; columns of one row belong together (draws may be dependent).
        level: Of the interval of places: percentiles of the places over the draws (Hall and Miller 2009 show where such
            an interval is honest: it widens as scores come close, which is what a tie should look like).

    Returns:
        In the order of `scores`. Equal scores keep their order, and have one place in the draws: their middle one.
    """
    import numpy as np

    if not scores:
        return []
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    own = {place: rank for rank, place in enumerate(order, start=1)}
    above = (drawn[:, np.newaxis, :] > drawn[:, :, np.newaxis]).sum(axis=2)
    alike = (drawn[:, np.newaxis, :] == drawn[:, :, np.newaxis]).sum(axis=2)
    places = above + (alike + 1) / 2
    tail = (1 - level) / 2
    low, high = np.quantile(places, (tail, 1 - tail), axis=0, method="inverted_cdf")
    return [
        Rank(own[place], min(int(np.floor(low[place])), own[place]), max(int(np.ceil(high[place])), own[place]))
        for place in range(len(scores))
    ]


def in_order(scores: Sequence[float], after: Sequence[Sequence[int]]) -> list[int]:
    """Return places in the order of doing: the highest score first, but nothing before what it needs.

    What is needed comes right before the first that needs it, the highest score first. Places that need each other in a
    circle are taken as they come.
    """
    done: list[int] = []

    def take(place: int, under: frozenset[int]) -> None:
        if place in done:
            return
        for needed in sorted(after[place], key=lambda each: -scores[each]):
            if needed not in under:
                take(needed, under | {place})
        done.append(place)

    for place in sorted(range(len(scores)), key=lambda each: -scores[each]):
        take(place, frozenset())
    return done
