"""Two schedulers at once, or one that slept: one run works, the other changes nothing and says who holds the lock."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import story
from places import COMPARED, FEW_ENTRIES, EmulatedPlace, LocalPlace, contents, run, write_project

from calls import run_of, step
from commands import COMMAND, assert_consistent, environment, write_many_batches
from commands import runs as runs_in
from emulator import Emulator
from faulty_proxy import Call, FaultyProxy
from microconv.errors import LockedError
from microconv.staging import SyncResult
from projects import write_bigquery_config, write_config

DAYS = 6
SECONDS = 300
"""Long enough on a machine that does much else; what is waited for comes, or the test fails."""
WAIT_AND_RUN = 'read -r go; exec "$@"'


def start_together(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> list[subprocess.Popen[str]]:
    """Start the command twice; both processes wait until both are there."""
    both = [
        subprocess.Popen(
            ["sh", "-c", WAIT_AND_RUN, "sh", str(COMMAND), *arguments],
            cwd=folder,
            env=environment(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    return both


def outcomes(both: Sequence[subprocess.Popen[str]]) -> dict[int, tuple[subprocess.Popen[str], str]]:
    """Each process by its exit code, with what it said on stderr."""
    try:
        ended = [(process, process.communicate(timeout=SECONDS)[1]) for process in both]
    finally:
        for process in both:
            process.kill()
            process.communicate()  # closes its pipes
    return {process.returncode: (process, said) for process, said in ended}


@pytest.mark.parametrize("repetition", range(3))
def test_of_two_first_runs_on_duckdb_one_works(repetition: int, tmp_path: Path):
    write_config(tmp_path)
    write_many_batches(tmp_path, DAYS, clients=1000)

    ended = outcomes(start_together(tmp_path, "sync"))

    assert ended.keys() == {0, 5}, (repetition, ended)
    assert f"microconv.duckdb is in use by process {ended[0][0].pid}" in ended[5][1]
    assert runs_in(tmp_path / "microconv.duckdb") == [("done", None)]
    assert assert_consistent(tmp_path / "microconv.duckdb") == DAYS


def test_of_two_first_runs_on_bigquery_one_works(
    place: EmulatedPlace, proxy: FaultyProxy, emulator: Emulator, tmp_path: Path
):
    story.begin(place)
    place.make_working_dataset()
    write_bigquery_config(tmp_path, emulator, dataset=place.working, exports=place.export)
    together, meeting, one_has_ended = threading.Barrier(2), threading.Lock(), threading.Event()
    met: set[str] = set()

    def meet(call: Call) -> None:
        """Let both ask for the lock at the same moment, and the one that gets it go on when the other has ended."""
        if step(call) == "lock":
            with meeting:
                is_first = run_of(call) not in met
                met.add(run_of(call))
            if is_first:
                together.wait(SECONDS)
        elif step(call) == "staging_events":
            one_has_ended.wait(SECONDS)

    proxy.rule = meet
    both = start_together(tmp_path, "-c", "bigquery.toml", "sync", env={"MICROCONV_ENGINE__API_ENDPOINT": proxy.url})
    waiting = [threading.Thread(target=lambda each=each: (each.wait(), one_has_ended.set())) for each in both]
    for thread in waiting:
        thread.start()
    ended = outcomes(both)
    for thread in waiting:
        thread.join()

    assert ended.keys() == {0, 5}, ended
    assert f"process {ended[0][0].pid} (run " in ended[5][1]
    assert "its lease ends at" in ended[5][1]
    assert contents(place).runs == [("done", None)]


@pytest.mark.parametrize("repetition", range(5))
def test_of_runs_that_begin_together_where_there_is_nothing_yet_one_gets_the_lock(
    repetition: int, place: EmulatedPlace
):
    place.make_working_dataset()
    engines = [replace(place, lease_seconds=SECONDS).open()[0] for _ in range(3)]
    together = threading.Barrier(len(engines))
    refused: list[LockedError] = []

    def begin(number: int) -> None:
        together.wait(SECONDS)
        try:
            engines[number].begin(f"r{number}", f"host:{number}")
        except LockedError as error:
            refused.append(error)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(len(engines))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    holder = engines[0].holder()
    assert len(refused) == len(engines) - 1, repetition
    assert all(f"is locked by {holder.owner} (run {holder.run_id})" in error.message for error in refused)
    for engine in engines:
        engine.close()


def test_a_run_that_slept_while_another_took_over_changes_nothing_any_more(
    place: EmulatedPlace, proxy: FaultyProxy, tmp_path: Path
):
    local = LocalPlace(write_project(tmp_path / "local", entries=FEW_ENTRIES))
    for each in (place, local):
        each.put(story.DAYS[0], story.FIRST)
    run(local)
    slept: list[Call] = []
    other: list[SyncResult] = []

    def sleep(call: Call) -> None:
        """Let the first transaction wait until another run has done everything; no lost scratch table would stop it."""
        if step(call) == "apply" and not slept:
            slept.append(call)  # before the wait: a client that loses patience says it again
            place.await_lease_end()
            other.append(run(replace(place, api=place.emulator, lease_seconds=SECONDS)))

    proxy.rule = sleep

    with pytest.raises(LockedError, match=r"This run lost its lock: it was silent for longer than its lease\."):
        run(place)

    found = contents(place, COMPARED)
    assert found.staged == contents(local, COMPARED).staged
    assert found.runs == [("done", None)]
    assert {row["run_id"] for row in place.tables()["mc_shards"]} == {other[0].run_id}
