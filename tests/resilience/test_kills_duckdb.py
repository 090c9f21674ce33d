"""Killed at any step, on DuckDB: whole batches are left, and the next run ends where an undisturbed one would."""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import story
from crashing import CrashingEngine, DieAt, Moment, Victims, When
from places import STAGED, Contents, LocalPlace, Staged, assert_consistent, contents, run, write_project

from microconv.engines.base import DeleteDays
from microconv.staging import Scope

KILLED = ("interrupted", "the process ended without a word")
HOSTS = 2
RUNNING, DONE = ("running", None), ("done", None)
WRITING = ("begin", "ensure", "apply", "end")


@dataclass(frozen=True)
class Told:
    """A run of two batches, undisturbed: what there is before it, between the batches and after it, and its steps."""

    place: LocalPlace
    states: tuple[Staged, ...]
    engine: CrashingEngine

    @property
    def commits(self) -> list[int]:
        """The numbers of the steps that replace days."""
        return [
            number
            for number, (name, arguments) in enumerate(self.engine.steps, start=1)
            if name == "apply" and isinstance(arguments[0][0], DeleteDays)
        ]

    @property
    def changes(self) -> int:
        """What replaces one day, in one transaction: events, sessions, occurrences, hosts and all."""
        (changes,) = {len(self.engine.steps[number - 1][1][0]) for number in self.commits}
        return changes

    def moments(self, when: When) -> Iterator[Moment]:
        """Every moment of the run of one kind."""
        for number, (name, arguments) in enumerate(self.engine.steps, start=1):
            if when != "within":
                yield Moment(number, when)
            elif name == "apply":
                yield from (Moment(number, when, change) for change in range(2, len(arguments[0]) + 1))

    @property
    def writes(self) -> set[int]:
        """The numbers of the steps that change what is kept: only they leave something else to go on from."""
        return {number for number, (name, _) in enumerate(self.engine.steps, start=1) if name in WRITING}

    def committed(self, moment: Moment) -> int:
        """How many batches are whole at a moment."""
        return sum(number < moment.number or moment == Moment(number, "after") for number in self.commits)

    def again(self, name: str) -> LocalPlace:
        """The project as it is before that run, with a database of its own."""
        return _copy(self.place, name)


def _copy(place: LocalPlace, name: str) -> LocalPlace:
    copied = replace(place, database=name)
    if (place.folder / place.database).exists():
        shutil.copy(place.folder / place.database, place.folder / name)
    return copied


def tell(folder: Path, *, is_first: bool) -> Told:
    place = LocalPlace(write_project(folder))
    story.begin(place)
    if not is_first:
        run(place)
    story.go_on(place)
    engines: list[CrashingEngine] = []

    def recorded(engine: Any) -> CrashingEngine:
        engines.append(CrashingEngine(engine))
        return engines[0]

    undisturbed = _copy(place, "undisturbed.duckdb")
    before = contents(undisturbed).staged
    run(undisturbed, scope=Scope(until=story.DAYS[1]))
    between = contents(undisturbed).staged
    run(undisturbed)
    after = contents(undisturbed).staged
    again = _copy(place, "recorded.duckdb")
    run(again, wrap=recorded)
    assert contents(again).staged == after
    return Told(place, (before, between, after), engines[0])


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The run that comes after a first one."""
    return tell(tmp_path_factory.mktemp("told"), is_first=False)


@pytest.fixture(scope="module")
def victims(told: Told) -> Iterator[Victims]:
    with Victims(told.engine.queries, hosts=HOSTS) as ready:
        yield ready


def kill(told: Told, victims: Victims, moment: Moment, *, completes: bool) -> None:
    """Kill a run at a moment, look at what it leaves, and let the next one complete it."""
    place = told.again(f"{moment.when}_{moment.number}_{moment.change}.duckdb")

    assert victims.run(partial(run, place, DieAt(moment))) == -signal.SIGKILL

    left = contents(place)
    assert left.staged == told.states[told.committed(moment)], moment
    if completes:
        assert victims.run(partial(run, place)) == 0
        expected = [*(KILLED if each == RUNNING else each for each in left.runs), DONE]
        assert contents(place) == Contents(told.states[-1], expected), moment


def kill_each(
    told: Told, victims: Victims, moments: Iterable[Moment], completes: Callable[[Moment], bool] = lambda _: True
) -> None:
    """Kill runs at these moments, each with a database of its own."""
    with ThreadPoolExecutor(HOSTS) as pool:
        killed = [pool.submit(kill, told, victims, each, completes=completes(each)) for each in moments]
        for each in killed:
            each.result()


def test_the_run_has_two_batches_that_change_days_sessions_and_actors(told: Told):
    before, between, after = told.states
    assert len(told.commits) == 2
    deleted = {each.table.name for each in told.engine.steps[told.commits[0] - 1][1][0] if isinstance(each, DeleteDays)}
    assert {"mc_events", "mc_micro_conversions", "mc_signals", "mc_hosts"} <= deleted
    assert Counter(moment.number for moment in told.moments("within")) == dict.fromkeys(told.commits, told.changes - 1)
    assert before != between != after
    for state in told.states:
        assert_consistent(state)
    moved = {dict(row)["actor_key"] for row in before["mc_sessions"] if dict(row)["ga_session_id"] == 11} ^ {
        dict(row)["actor_key"] for row in between["mc_sessions"] if dict(row)["ga_session_id"] == 11
    }
    assert len(moved) == 2
    over_midnight = [
        dict(row) for row in after["mc_sessions"] if dict(row)["session_date"] != dict(row)["last_event_date"]
    ]
    assert sorted(row["ga_session_id"] for row in over_midnight) == [21, 41]
    assert {name for name, _ in told.engine.steps} == {
        *("begin", "version", "ensure", "query", "read_shards", "materialise", "apply", "end")
    }


def test_killed_before_any_write_and_between(told: Told, victims: Victims):
    """Before each write the next run completes it; of the steps that only read, one in eight is interrupted."""
    moments = [each for each in told.moments("before") if each.number in told.writes or each.number % 8 == 0]
    kill_each(told, victims, moments, completes=lambda moment: moment.number in told.writes)


def test_killed_after_any_write(told: Told, victims: Victims):
    """What is left equals what is left before the following step, from where the test above goes on."""
    written = (each for each in told.moments("after") if each.number in told.writes)
    kill_each(told, victims, written, completes=lambda _: False)


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_step_at_all(when: When, told: Told, victims: Victims):
    kill_each(told, victims, told.moments(when))


def test_killed_before_any_change_of_a_transaction(told: Told, victims: Victims):
    kill_each(told, victims, told.moments("within"), completes=lambda moment: moment.change == told.changes)


def test_killed_before_any_step_of_the_first_run_until_it_stages(tmp_path: Path, victims: Victims):
    told = tell(tmp_path, is_first=True)
    assert told.states[0] == {name: [] for name in STAGED}
    until_it_stages = [moment for moment in told.moments("before") if moment.number <= told.commits[0]]
    kill_each(told, victims, until_it_stages, completes=lambda moment: moment.number in told.writes)
