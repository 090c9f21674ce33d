"""Properties in which it is known how much more often a goal follows each entry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from insight.simulated import DAY, HOUR, MINUTE, SECOND, Done, Visits, staged, taxonomy
from microconv.engines.duckdb import DuckDBEngine

DAYS: Final = 28
FACTORS: Final = {"nothing": 1.0, "helps": 1.5, "doubles": 2.0}
"""What each entry truly does to the rate of the goal, from the moment after it on."""

TAXONOMY = taxonomy(
    look={"kind": "secondary", "stage": "awareness"},
    busy={"kind": "secondary", "stage": "consideration"},
    **{name: {"kind": "secondary", "stage": "consideration"} for name in FACTORS},
    checkout={"kind": "milestone", "stage": "decision"},
    buy={"kind": "macro", "stage": "decision"},
)

_EDGES = np.array([0, HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY, DAYS * DAY], dtype=float)
_HAZARD = np.array([20.0, 6.0, 3.0, 1.2, 0.6, 0.3])
"""The rate of everything by time since the first visit, relative: it falls steeply."""

Times = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """How large a property is, and what is planted.

    Attributes:
        actors: Number of actors.
        goals: Rate of the goal per day, at a relative rate of 1.
        factors: What entries do to it.
        activity: Rates of activity of the two kinds of actors, half of them each: of all that they do, goals included.
        began_before: Share of actors whose history began before the data.
        device: Rates of the goal, and of the entry `busy`, by device; half of the actors have each.
    """

    actors: int = 6_000
    goals: float = 0.004
    factors: tuple[tuple[str, float], ...] = tuple(FACTORS.items())
    activity: tuple[float, float] = (1.0, 1.0)
    began_before: float = 0.0
    device: tuple[float, float] = (1.0, 1.0)


def made(path: Path, world: World, seed: int) -> DuckDBEngine:
    """Stage a property of a world."""
    rng = np.random.default_rng(seed)
    n = world.actors
    began = rng.integers(0, 14 * DAY, n)
    active = np.asarray(world.activity)[rng.integers(0, 2, n)]
    device = rng.integers(0, 2, n)
    of_device = np.asarray(world.device)[device]
    earlier = rng.random(n) < world.began_before
    firsts = {name: _first(rng, active * 0.03) for name, _ in world.factors}
    firsts["busy"] = _first(rng, active * of_device * 0.03)
    bought = _goal(rng, world.goals * active * of_device, [(firsts[name], factor) for name, factor in world.factors])
    # Whoever began before the data did some of it then, unseen: what they did first is not the first.
    looks = [_first(rng, active * 0.1) for _ in range(8)]
    actors = np.arange(n)
    done = {name: _done(actors, at, began) for name, at in firsts.items()}
    done["look"] = _joined([_done(actors, at, began) for at in looks])
    done["buy"] = _done(actors, bought, began)
    # Nobody buys but through the checkout, a minute before; some who come to it leave.
    left = np.where(rng.random(n) < 0.02, _first(rng, np.full(n, 1.0)), np.inf)
    done["checkout"] = _joined(
        [_done(actors, bought - MINUTE, began), _done(actors, np.where(bought < np.inf, np.inf, left), began)]
    )
    visits = Visits(
        actors,
        began,
        {
            "device_category": np.where(device == 0, "desktop", "mobile"),
            "session_number": np.where(earlier, 4, 1),
        },
    )
    return staged(path, TAXONOMY, visits, done, days=DAYS)


@dataclass(frozen=True)
class VisitsWorld:
    """A property whose people come in visits of ten minutes and reach the goal during visits only.

    Attributes:
        actors: Number of actors.
        goals: Rate of the goal per hour of visits.
        factors: What entries do to it, from the moment after them on.
        visits: Average visits per actor of the two kinds of actors, half of them each; one is the least.
    """

    actors: int = 6_000
    goals: float = 0.15
    factors: tuple[tuple[str, float], ...] = tuple(FACTORS.items())
    visits: tuple[float, float] = (1.5, 6.0)


_VISIT: Final = 10 * MINUTE
_MOST_VISITS: Final = 24
_LOOKS: Final = 3


def made_of_visits(path: Path, world: VisitsWorld, seed: int) -> DuckDBEngine:
    """Stage a property that is visited: all that people do is drawn in the time of their visits, put end to end."""
    rng = np.random.default_rng(seed)
    n = world.actors
    actors = np.arange(n)
    count = np.minimum(1 + rng.poisson(np.asarray(world.visits)[rng.integers(0, 2, n)] - 1), _MOST_VISITS)
    starts = np.sort(rng.integers(0, DAYS * DAY, (n, _MOST_VISITS)), axis=1)
    here = count * float(_VISIT)
    firsts = {name: rng.exponential(2.0 * HOUR, n) for name, _ in (*world.factors, ("busy", 1.0))}
    effects = [(np.minimum(firsts[name], here), factor) for name, factor in world.factors]
    edges = np.sort(np.column_stack([np.zeros(n), *(at for at, _ in effects), here]), axis=1)
    bought, left = np.full(n, np.inf), rng.exponential(size=n)
    for place in range(edges.shape[1] - 1):
        start, end = edges[:, place], edges[:, place + 1]
        rate = world.goals / HOUR * np.prod([np.where(at <= start, factor, 1.0) for at, factor in effects], axis=0)
        now = (left <= rate * (end - start)) & ~np.isfinite(bought)
        bought[now] = start[now] + left[now] / rate[now]
        left = left - rate * (end - start)
    firsts["buy"] = bought

    def happened(of: NDArray[np.int64], since: Times) -> Done:
        inside = since < here[of]
        of, since = of[inside], since[inside].astype(np.int64)
        return Done(of, np.maximum(starts[of, since // _VISIT] + since % _VISIT, starts[of, 0] + SECOND))

    visit = np.arange(_MOST_VISITS) < count[:, None]
    of = np.repeat(actors, count)
    done = {name: happened(actors, at) for name, at in firsts.items()}
    order = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)
    done["look"] = _joined([happened(of, (order + rng.random(len(of))) * _VISIT) for _ in range(_LOOKS)])
    return staged(path, TAXONOMY, Visits(of, starts[visit]), done, days=DAYS)


def _first(rng: np.random.Generator, rate: Times) -> Times:
    """When each actor does something first, in microseconds since it began; inf for never."""
    return _after(rng.exponential(size=len(rate)), np.tile(rate[:, None], (1, len(_HAZARD))) * _HAZARD)


def _goal(rng: np.random.Generator, rate: Times, effects: list[tuple[Times, float]]) -> Times:
    """When each actor reaches the goal: its rate is multiplied from each entry on."""
    n = len(rate)
    reached = np.full(n, np.inf)
    left = rng.exponential(size=n)
    edges = np.sort(
        np.column_stack([np.tile(_EDGES, (n, 1)), *(np.minimum(at, _EDGES[-1]) for at, _ in effects)]), axis=1
    )
    for place in range(edges.shape[1] - 1):
        start, end = edges[:, place], edges[:, place + 1]
        hazard = rate * _HAZARD[np.clip(np.searchsorted(_EDGES, start, side="right") - 1, 0, len(_HAZARD) - 1)]
        for at, factor in effects:
            hazard = np.where(at <= start, hazard * factor, hazard)
        passed = hazard * (end - start) / DAY
        now = (left <= passed) & ~np.isfinite(reached)
        reached[now] = start[now] + left[now] / hazard[now] * DAY
        left = left - passed
    return reached


def _after(drawn: Times, hazard: Times) -> Times:
    passed = np.cumsum(hazard * np.diff(_EDGES) / DAY, axis=1)
    band = (drawn[:, None] > passed).sum(axis=1)
    is_reached = band < len(_HAZARD)
    band = np.minimum(band, len(_HAZARD) - 1)
    rows = np.arange(len(drawn))
    before = np.where(band > 0, passed[rows, np.maximum(band - 1, 0)], 0.0)
    at = _EDGES[band] + (drawn - before) / hazard[rows, band] * DAY
    return np.where(is_reached, at, np.inf)


def _done(actors: NDArray[np.int64], since: Times, began: NDArray[np.int64]) -> Done:
    happened = np.isfinite(since)
    at = began[happened] + np.maximum(since[happened], SECOND).astype(np.int64)
    return Done(actors[happened], at)


def _joined(parts: list[Done]) -> Done:
    return Done(np.concatenate([each.actor for each in parts]), np.concatenate([each.at_us for each in parts]))
