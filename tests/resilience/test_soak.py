"""Weeks of arrivals with failing calls and kills end in the tables that a rebuild makes."""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random

import pytest
from arrivals import Arrivals
from crashing import DieAt, Moment, Strike, Victims
from places import (
    COMPARED,
    FEW_ENTRIES,
    EmulatedPlace,
    LocalPlace,
    Place,
    assert_consistent,
    contents,
    run,
    write_project,
)

from faulty_proxy import Call, CutOff, Drop, Fault, FaultyProxy, Garble, Refuse
from microconv.errors import EngineError, SourceError

DAYS_ON_BIGQUERY = 5
"""A run on the emulator takes seconds, and tests have minutes."""
PASSING: tuple[Fault, ...] = (Refuse(503), Refuse(429), Refuse(403, "rateLimitExceeded"), Drop(), CutOff(), Garble())


class Unreliable:
    """Fails now and then, before a step or after it."""

    def __init__(self, chance: Random, share: float) -> None:
        self._chance = chance
        self._share = share

    def __call__(self, moment: Moment) -> None:
        if moment.when != "within" and self._chance.random() < self._share:
            raise EngineError(f"Failed on purpose {moment.when} step {moment.number}.", hint="")


def soak(place: Place, arrivals: Arrivals, strike: Strike | None = None) -> Counter[str]:
    """Let all days pass, with a run each, of which every fifth is killed; count how they ended."""
    ends: Counter[str] = Counter()
    chance = Random(arrivals.seed)
    with Victims() as victims:
        for day in range(arrivals.days):
            arrivals.next_day()
            if day == arrivals.days * 2 // 3:
                arrivals.delete_oldest()
            if day % 5 == 4:
                code = victims.run(partial(run, place, DieAt(Moment(chance.randrange(1, 45)))))
                ends["killed" if code < 0 else "done" if code == 0 else "failed"] += 1
                place.await_lease_end()
            else:
                try:
                    run(place, strike)
                    ends["done"] += 1
                except (EngineError, SourceError):
                    ends["failed"] += 1
            assert_consistent(contents(place).staged)
    return ends


def assert_ends_like_a_rebuild(place: Place, arrivals: Arrivals, rebuilt: LocalPlace) -> None:
    arrivals.catch_up()
    run(place)
    arrivals.repeat_at(rebuilt)
    run(rebuilt)

    found = contents(place, COMPARED)
    assert found.staged == contents(rebuilt, COMPARED).staged
    assert "running" not in {status for status, _ in found.runs}


@pytest.mark.parametrize(("days", "fewest"), [(30, 5), pytest.param(60, 10, marks=pytest.mark.long)])
def test_weeks_on_duckdb(days: int, fewest: int, tmp_path: Path):
    """A failing step ends its run, as nothing is tried again: one in a hundred does, and with it many a run."""
    place = LocalPlace(write_project(tmp_path / "place"))
    arrivals = Arrivals(place, days, seed=1)

    ends = soak(place, arrivals, Unreliable(Random(1), 0.01))

    assert min(ends["killed"], ends["failed"]) >= fewest, ends
    assert_ends_like_a_rebuild(place, arrivals, LocalPlace(write_project(tmp_path / "rebuilt")))


def test_five_days_on_bigquery_while_a_fifth_of_the_calls_fail(
    place: EmulatedPlace, proxy: FaultyProxy, tmp_path: Path
):
    arrivals = Arrivals(place, DAYS_ON_BIGQUERY, seed=2)
    chance = Random(2)
    drawing = threading.Lock()
    failed: Counter[bool] = Counter()

    def often(_: Call) -> Fault | None:
        with drawing:
            fails = chance.random() < 0.2
            failed[fails] += 1
            return chance.choice(PASSING) if fails else None

    proxy.rule = often
    ends = soak(place, arrivals)

    assert ends["killed"] == 1, ends
    assert failed[True] > 50, failed
    rebuilt = LocalPlace(write_project(tmp_path / "rebuilt", entries=FEW_ENTRIES))
    assert_ends_like_a_rebuild(place, arrivals, rebuilt)
