"""What clients look into in their first session: some of it goes with buying later, from a number on or together.

As with lifts, outcomes are there first: who buys later is drawn with the journeys, and what such clients look into is
drawn given that. So no purchase changes. What is true of them is counted from what was written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from microconv.demo.journeys import BOUGHT, Bools, Integers, Journeys

READ: Final = "review_read"
ENOUGH_REVIEWS: Final = 3
"""From so many reviews on, clients buy more often; two are worth no more than none."""
CHECKS: Final = ("delivery_check", "store_check")
"""Each alone changes nothing; who does both buys more often."""
FIRST_DAYS: Final = 1
LATER_DAYS: Final = 7

_REVIEW_SHARES: Final = (0.5, 0.27, 0.11, 0.05, 0.04, 0.03)
"""How many clients read no review, one, two and so on."""
_CHECK_SHARE: Final = 0.15
_LATER_BUYERS_WHO_READ: Final = 0.8
_LATER_BUYERS_WHO_CHECK: Final = 0.8

_DAY_US: Final = 24 * 3_600 * 1_000_000


@dataclass(frozen=True)
class Interests:
    """Per client: how many reviews are read and which first, and what is checked, if the first session has room."""

    reviews: Integers
    first_review: Integers
    checks: tuple[Bools, ...]


@dataclass(frozen=True)
class InterestCell:
    """Clients who had looked into these and had not bought on their first day; how many bought in the days after."""

    did: tuple[str, ...]
    clients: int
    buyers: int


@dataclass(frozen=True)
class PlantedThreshold:
    """An event after which, from `times` on, clients buy more often; `below` and `from_there` are realised counts."""

    event: str
    times: int
    within_days: int
    goal: str
    window_days: int
    below: InterestCell
    from_there: InterestCell


@dataclass(frozen=True)
class PlantedCombination:
    """Two events after which clients buy more often only together; cells: neither, each alone, both."""

    events: tuple[str, ...]
    within_days: int
    goal: str
    window_days: int
    cells: tuple[InterestCell, ...]


def draw_interests(journeys: Journeys, rng: np.random.Generator) -> Interests:
    """Draw what each client looks into, given whether it buys after its first day."""
    count = len(journeys.clients)
    later = buys_later(journeys)
    reads = np.array(_REVIEW_SHARES)
    enough = np.arange(len(reads)) >= ENOUGH_REVIEWS
    by_chance = _CHECK_SHARE ** np.array([0, 1, 1, 2]) * (1 - _CHECK_SHARE) ** np.array([2, 1, 1, 0])
    readers = np.where(enough, _LATER_BUYERS_WHO_READ, 1 - _LATER_BUYERS_WHO_READ)
    together = np.array([0, 0, 0, _LATER_BUYERS_WHO_CHECK])
    reviews, checks = np.zeros(count, np.int8), np.zeros(count, np.int8)
    for who, of_reviews, of_checks in (
        (~later, reads, by_chance),
        (
            later,
            readers * reads / np.where(enough, reads[enough].sum(), reads[~enough].sum()),
            together + (1 - together.sum()) * by_chance,
        ),
    ):
        reviews[who] = _dealt(rng, of_reviews, int(who.sum()))
        checks[who] = _dealt(rng, of_checks, int(who.sum()))
    return Interests(
        reviews=reviews,
        first_review=rng.integers(0, 100, count).astype(np.int8),
        checks=((checks & 1) > 0, (checks & 2) > 0),
    )


def _dealt(rng: np.random.Generator, shares: NDArray[np.float64], count: int) -> Integers:
    """Deal places of `shares` to so many, in any order: each gets its share of them, give or take one."""
    found: Integers = np.searchsorted(np.cumsum(shares), (rng.permutation(count) + 0.5) / max(count, 1)).astype(np.int8)
    return np.minimum(found, len(shares) - 1)


def buys_later(journeys: Journeys) -> Bools:
    """Return who buys in a session that begins a day or more after the first, and within the days after that one."""
    first = first_starts(journeys)
    sessions = journeys.sessions
    bought = np.equal(sessions.stage, BOUGHT)
    found = np.zeros(len(journeys.clients), bool)
    client = sessions.client[bought]
    after = sessions.start_at[bought] - first[client]
    found[client] = (after >= FIRST_DAYS * _DAY_US) & (after < (FIRST_DAYS + LATER_DAYS) * _DAY_US)
    return found


def first_starts(journeys: Journeys) -> Integers:
    """Return when the first session of each client began."""
    found = np.full(len(journeys.clients), np.iinfo(np.int64).max)
    np.minimum.at(found, journeys.sessions.client, journeys.sessions.start_at)
    return found


def truths_of_interests(
    journeys: Journeys, did: dict[str, tuple[Integers, Integers]], bought: tuple[Integers, Integers]
) -> tuple[PlantedThreshold, PlantedCombination]:
    """Return what is true of them.

    Args:
        journeys: All of them.
        did: For each event of this module, the sessions and moments of its rows.
        bought: The same of purchases.
    """
    client = journeys.sessions.client
    begun = first_starts(journeys)
    # The first purchase of each client, after the start of its first session.
    purchase = np.full(len(begun), np.iinfo(np.int64).max)
    np.minimum.at(purchase, client[bought[0]], bought[1])
    after = purchase - np.minimum(begun, purchase)
    has_come = ~journeys.clients.denied & (begun < np.iinfo(np.int64).max)
    looked_at = has_come & (after >= FIRST_DAYS * _DAY_US)
    buys = looked_at & (after < (FIRST_DAYS + LATER_DAYS) * _DAY_US)
    times = {}
    for name, (session, at) in did.items():
        who = client[session]
        early = at - begun[who] < FIRST_DAYS * _DAY_US
        times[name] = np.bincount(who[early], minlength=len(begun))

    def cell(which: Bools, *names: str) -> InterestCell:
        return InterestCell(names, int((looked_at & which).sum()), int((buys & which).sum()))

    enough = times[READ] >= ENOUGH_REVIEWS
    one, other = (times[name] > 0 for name in CHECKS)
    return (
        PlantedThreshold(READ, ENOUGH_REVIEWS, FIRST_DAYS, "purchase", LATER_DAYS, cell(~enough), cell(enough, READ)),
        PlantedCombination(
            CHECKS,
            FIRST_DAYS,
            "purchase",
            LATER_DAYS,
            (
                cell(~one & ~other),
                cell(one & ~other, CHECKS[0]),
                cell(other & ~one, CHECKS[1]),
                cell(one & other, *CHECKS),
            ),
        ),
    )
