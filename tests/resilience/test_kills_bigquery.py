"""Killed on BigQuery: the lock goes back when the lease ends, and the next run ends where an undisturbed one would.

A run on the emulator takes seconds, so each kind of step is tried once or twice, and not each step as on DuckDB.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial

import pytest
import story
from crashing import DieIn, Victims
from places import (
    COMPARED,
    FEW_ENTRIES,
    Contents,
    EmulatedPlace,
    LocalPlace,
    Staged,
    assert_consistent,
    contents,
    run,
    write_project,
)

from calls import step
from faulty_proxy import Call, Drop, Fault, FaultyProxy
from microconv.errors import LockedError
from microconv.staging import Scope

RUNNING, DONE = ("running", None), ("done", None)
KILLED = ("interrupted", "the process ended without a word")


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> list[Staged]:
    """What is staged before a first run, after it, between the batches of a second run, and after that."""
    local = LocalPlace(write_project(tmp_path_factory.mktemp("states"), entries=FEW_ENTRIES))
    found = [contents(local, COMPARED).staged]
    story.begin(local)
    run(local)
    found.append(contents(local, COMPARED).staged)
    story.go_on(local)
    for scope in (Scope(until=story.DAYS[1]), Scope()):
        run(local, scope=scope)
        found.append(contents(local, COMPARED).staged)
    for state in found:
        assert_consistent(state)
    return found


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    with Victims() as ready:
        yield ready


def kill(place: EmulatedPlace, victims: Victims, at: DieIn | None = None) -> Contents:
    """Let a run be killed, wait for the end of its lease, and return what it leaves."""
    assert victims.run(partial(run, place, at)) == -signal.SIGKILL
    place.await_lease_end()
    return contents(place, COMPARED)


def assert_comes(place: EmulatedPlace, victims: Victims, expected: Contents) -> None:
    """Let a run be killed whose transaction goes on without it, and wait for what that leaves.

    Tables are read one after the other: while the transaction ends, some may be from before it, and some from after.
    """
    left, patience = kill(place, victims), time.monotonic() + 60
    while left != expected and time.monotonic() < patience:
        time.sleep(0.2)
        left = contents(place, COMPARED)
    assert left == expected


class KillsWhoCommits:
    """Kills the process whose transaction comes in, and makes it all the same."""

    def __init__(self, victims: Victims) -> None:
        self._victims = victims

    def __call__(self, call: Call) -> Fault | None:
        if step(call) != "apply" or "mc_events" not in str(call.json()):
            return None
        os.kill(self._victims.process_id, signal.SIGKILL)
        return Drop(after=True)


def test_a_killed_run_blocks_no_longer_than_its_lease(place: EmulatedPlace, victims: Victims):
    story.begin(place)
    assert victims.run(partial(run, place, DieIn("begin", "after"))) == -signal.SIGKILL
    engine, _ = place.open()

    with engine, pytest.raises(LockedError, match=rf"is locked by .* process {victims.process_id} \(run "):
        engine.begin("r2", "host:2")
    place.await_lease_end()
    with engine:
        engine.begin("r2", "host:2")


def test_killed_at_each_kind_of_step(place: EmulatedPlace, proxy: FaultyProxy, victims: Victims, states: list[Staged]):
    nothing, first, between, second = states
    story.begin(place)
    assert kill(place, victims, DieIn("ensure mc_sessions", "after")).staged == nothing
    assert kill(place, victims, DieIn("apply mc_runs", "after")) == Contents(nothing, [RUNNING])
    assert kill(place, victims, DieIn("apply mc_events")) == Contents(nothing, [KILLED, RUNNING])

    proxy.rule = KillsWhoCommits(victims)
    assert_comes(place, victims, Contents(first, [KILLED, KILLED, RUNNING]))

    story.go_on(place)
    proxy.rule = lambda _: None
    assert kill(place, victims, DieIn("apply mc_events", "after")) == Contents(between, [*[KILLED] * 3, RUNNING])

    proxy.rule = KillsWhoCommits(victims)
    assert_comes(place, victims, Contents(second, [*[KILLED] * 4, RUNNING]))

    assert kill(place, victims, DieIn("query staging/table_rows")) == Contents(second, [*[KILLED] * 5, RUNNING])
    assert kill(place, victims, DieIn("end")) == Contents(second, [*[KILLED] * 6, DONE])

    assert run(place).shards == {"seen": 3, "staged": 0, "skipped": 3}
    assert contents(place, COMPARED) == Contents(second, [*[KILLED] * 6, DONE, DONE])
    with place.client() as client:
        left = {table.table_id for table in client.list_tables(place.working)}
    assert not [name for name in left if "scratch" in name]
