"""Shapley attribution: conversions shared as a cooperative game between touchpoints shares its worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from microconv.analyses.attribution.touch_paths import TouchPaths, total_by
from microconv.errors import UsageError

Vector = NDArray[np.float64]

Game = Literal["conversions", "rate"]

GAMES: dict[Game, str] = {
    "conversions": "a set of touchpoints is worth the conversions that came over no other touchpoint",
    "rate": "a set of touchpoints is worth the conversion rate of the journeys over exactly these touchpoints, or of "
    "the best set within it where that is higher",
}
"""What a set of touchpoints is worth in each game."""

MOST_PLAYERS = 12
"""Touchpoints up to which the game "rate" is played: it looks at every subset."""


@dataclass(frozen=True, eq=False)
class ShapleyResult:
    """Credit by touchpoint, in the order of those of the paths; sums to the touched conversions and their value."""

    game: Game
    conversions: Vector
    values: Vector

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Say which game was played."""
        return (f'shapley plays the game "{self.game}": {GAMES[self.game]}; order and repeats do not count.',)


def shapley(paths: TouchPaths, *, game: Game = "conversions") -> ShapleyResult:
    """Credit touchpoints by their Shapley value: what each adds, averaged over all orders of joining.

    `conversions`: v(S) = conversions whose set of touchpoints lies in S. This is the simplified form of Zhao, Mahboobi
    and Bagheri (2018): each conversion is shared equally by the touchpoints of its set, whatever their number.

    `rate`: v(S) = the highest rate of any subset of S, where the rate of a set is conversions / journeys among journeys
    over exactly this set, 0 where there is none. The conversions of each set T are shared in proportion to the Shapley
    values of the game between the members of T. The highest rate and not that of S itself, so that no touchpoint can do
    harm: where a set converts worse than a part of it, credit would turn negative. A rate is as certain as its journeys
    are many, and small sets count as much as large ones.

    Raises:
        UsageError: A game that is not known, or the game `rate` between more than `MOST_PLAYERS` touchpoints.
    """
    if game not in GAMES:
        raise UsageError(f'There is no Shapley game "{game}".', hint=f"Use one of {', '.join(GAMES)}.")
    sets = paths.transformed("first")
    amounts = (sets.conversions, sets.values)
    conversions, values = _equally(sets, amounts) if game == "conversions" else _by_rate(sets, amounts)
    return ShapleyResult(game, conversions, values)


def _equally(sets: TouchPaths, amounts: tuple[Vector, ...]) -> list[Vector]:
    """Share the amount of each set equally."""
    return [
        total_by(sets.steps, np.repeat(amount / np.maximum(sets.lengths, 1), sets.lengths), len(sets.touchpoints))
        for amount in amounts
    ]


def _by_rate(sets: TouchPaths, amounts: tuple[Vector, ...]) -> list[Vector]:
    """Share the amount of each set by the game between its members."""
    players, seat = np.unique(sets.steps, return_inverse=True)
    if len(players) > MOST_PLAYERS:
        raise UsageError(
            f'The Shapley game "rate" looks at every subset of touchpoints, so it takes at most {MOST_PLAYERS}; '
            f"there are {len(players)}.",
            hint='Use coarser touchpoints, or the game "conversions", which takes any number.',
        )
    subsets = 1 << len(players)
    # A set is a number whose bits are its members; 0 is the empty set, which belongs to nobody.
    members = total_by(sets.path_of_step(), (1 << seat).astype(np.float64), len(sets.lengths)).astype(np.int64)
    conversions, others = (total_by(members, weights, subsets) for weights in (sets.conversions, sets.others))
    conversions[0] = 0
    journeys = conversions + others
    worth = np.divide(conversions, journeys, out=np.zeros(subsets), where=journeys > 0)
    _over_subsets(np.maximum, worth)
    credit = _values_of_every_subgame(worth, len(players))
    whole = credit.sum(axis=0)
    shares = np.divide(credit, whole, out=credit, where=conversions > 0)
    found = []
    for amount in amounts:
        shared = np.zeros(len(sets.touchpoints))
        shared[players] = shares @ total_by(members, amount, subsets)
        found.append(shared)
    return found


def _values_of_every_subgame(worth: Vector, players: int) -> Vector:
    """Return the Shapley value of each player (row) in the game between the members of each set (column).

    By Harsanyi's dividends: what a set is worth beyond its subsets is shared equally by its members.
    """
    sets = np.arange(len(worth))
    dividends = worth.copy()
    _over_subsets(np.subtract, dividends)
    each = dividends / np.maximum(np.bitwise_count(sets), 1)
    values = np.where(sets >> np.arange(players)[:, np.newaxis] & 1, each, 0.0)
    _over_subsets(np.add, values)
    return values


def _over_subsets(combine: np.ufunc, amounts: Vector) -> None:
    """Combine the amount of each set (along the last axis) with those of all its subsets, in place."""
    size = 1
    while size < amounts.shape[-1]:
        without, added = amounts.reshape(-1, 2, size).swapaxes(0, 1)
        combine(added, without, out=added)
        size *= 2
