"""One run at a time, and none for ever: taking, keeping, losing and giving back the lock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from google.cloud import bigquery

from faulty_proxy import Call, Drop, Fault, FaultyProxy
from microconv.engines.base import PutRow
from microconv.engines.bigquery import BigQueryEngine
from microconv.errors import LockedError, MicroconvError
from microconv.queries.templates import Query
from microconv.staging.mc_tables import RUNS

Open = Callable[..., BigQueryEngine]


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def alter(client: bigquery.Client, dataset: str) -> Callable[[str], Any]:
    """Run a statement on the lock table, past all engines."""
    return lambda sql: client.query_and_wait(sql.replace("mc_lock", f"{dataset}.mc_lock"))


EXPIRE = "UPDATE mc_lock SET expires_at = TIMESTAMP '2024-01-01' WHERE TRUE"


def put(engine: BigQueryEngine, run_id: str) -> None:
    engine.apply([PutRow(RUNS, {"run_id": run_id})])


def written(engine: BigQueryEngine) -> list[str]:
    found = engine.query(Query("tests/query", "SELECT run_id FROM mc_runs ORDER BY run_id", {}))
    return found.column("run_id").to_pylist()


def test_a_second_run_is_told_who_holds_the_lock_and_until_when(open_engine: Open):
    first, second = open_engine(), open_engine()
    first.begin("r1", "alpha:17")

    with pytest.raises(LockedError) as raised:
        second.begin("r2", "beta:18")

    holder = second.holder()
    assert (holder.run_id, holder.owner) == ("r1", "alpha:17")
    assert (holder.expires_at - holder.acquired_at).total_seconds() == 1800
    assert "is locked by alpha:17 (run r1) since " in raised.value.message
    assert f"its lease ends at {holder.expires_at:%Y-%m-%d %H:%M:%S} UTC" in raised.value.message
    assert raised.value.exit_code == 5


def test_a_lock_that_is_held_is_not_touched(open_engine: Open, alter: Callable[[str], Any]):
    """A change would wait for the transactions of the run that holds it."""
    open_engine().begin("r1", "host:1")
    before = list(alter("SELECT * FROM mc_lock"))

    with pytest.raises(LockedError):
        open_engine().begin("r2", "host:2")

    assert list(alter("SELECT * FROM mc_lock")) == before


def test_the_lock_is_free_again_when_a_run_has_ended(open_engine: Open):
    first, second = open_engine(), open_engine()
    first.begin("r1", "host:1")
    first.end()
    assert second.holder() is None

    second.begin("r2", "host:2")
    first.end()

    assert second.holder().run_id == "r2"


def test_of_runs_that_begin_together_one_gets_the_lock(open_engine: Open):
    engines = {f"r{number}": open_engine() for number in range(4)}
    together = threading.Barrier(len(engines))
    outcomes: dict[str, MicroconvError | None] = {}

    def begin(run_id: str) -> None:
        together.wait()
        try:
            engines[run_id].begin(run_id, f"host:{run_id}")
            outcomes[run_id] = None
        except MicroconvError as error:
            outcomes[run_id] = error

    threads = [threading.Thread(target=begin, args=(run_id,)) for run_id in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (winner,) = (run_id for run_id, error in outcomes.items() if error is None)
    losers = [error for error in outcomes.values() if error is not None]
    assert [type(error) for error in losers] == [LockedError] * 3
    assert all(f"is locked by host:{winner} (run {winner})" in error.message for error in losers)
    assert engines[winner].holder().run_id == winner


def test_a_lock_outlives_its_owner_for_a_lease_and_no_longer(open_engine: Open, alter: Callable[[str], Any]):
    open_engine().begin("died", "host:1")
    alter(EXPIRE)
    following = open_engine()
    assert following.holder() is None

    following.begin("following", "host:2")

    assert following.holder().run_id == "following"


def test_a_run_that_slept_past_its_lease_writes_nothing(open_engine: Open, alter: Callable[[str], Any]):
    slept, awake = open_engine(), open_engine()
    slept.begin("slept", "host:1")
    slept.ensure(RUNS)
    put(slept, "before")
    alter(EXPIRE)
    awake.begin("awake", "host:2")
    put(awake, "awake")

    for _ in range(2):
        with pytest.raises(LockedError, match=r"This run lost its lock.*is locked by host:2 \(run awake\)"):
            put(slept, "after")
    slept.end()

    assert written(awake) == ["awake", "before"]
    assert awake.holder().run_id == "awake"


def test_a_run_that_slept_goes_on_when_nobody_took_over(open_engine: Open, alter: Callable[[str], Any]):
    slept = open_engine()
    slept.begin("slept", "host:1")
    slept.ensure(RUNS)
    alter(EXPIRE)

    put(slept, "after")

    assert written(slept) == ["after"]
    assert slept.holder().run_id == "slept"


def test_each_transaction_renews_the_lease(open_engine: Open):
    engine = open_engine()
    engine.begin("r1", "host:1")
    engine.ensure(RUNS)
    before = engine.holder()

    put(engine, "r1")

    assert engine.holder().expires_at > before.expires_at
    assert engine.holder().acquired_at == before.acquired_at


def test_the_lease_is_renewed_before_a_job_when_a_third_of_it_is_over(open_engine: Open):
    clock = Clock()
    engine = open_engine(lease_seconds=900, clock=clock)
    engine.begin("r1", "host:1")
    first = engine.holder().expires_at
    query = Query("tests/query", "SELECT 1 AS a", {})

    clock.now = 300
    engine.query(query)
    assert engine.holder().expires_at == first

    clock.now = 301
    engine.query(query)
    renewed = engine.holder().expires_at
    assert renewed > first

    clock.now = 600
    engine.query(query)
    assert engine.holder().expires_at == renewed


def test_a_run_that_lost_its_lock_learns_it_before_the_next_job(open_engine: Open, alter: Callable[[str], Any]):
    clock = Clock()
    engine = open_engine(clock=clock)
    engine.begin("r1", "host:1")
    alter(EXPIRE)
    open_engine().begin("r2", "host:2")

    clock.now = 3600
    with pytest.raises(LockedError, match=r"This run lost its lock.*run r2"):
        engine.materialise(Query("tests/query", "SELECT 1 AS a", {}), "numbers")


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM mc_lock WHERE TRUE",
        "INSERT INTO mc_lock SELECT * FROM mc_lock",
        "DROP TABLE mc_lock",
        "UPDATE mc_lock SET run_id = 'x', expires_at = NULL WHERE TRUE",
    ],
)
def test_no_damage_to_the_lock_locks_for_ever(damage: str, open_engine: Open, alter: Callable[[str], Any]):
    first, second = open_engine(), open_engine()
    first.begin("r1", "host:1")
    first.end()
    alter(damage)

    second.begin("r2", "host:2")

    assert second.holder().run_id == "r2"
    with pytest.raises(LockedError):
        first.begin("r3", "host:3")


def test_without_its_lock_table_a_run_writes_nothing(open_engine: Open, alter: Callable[[str], Any]):
    engine = open_engine()
    engine.begin("r1", "host:1")
    engine.ensure(RUNS)
    alter("DROP TABLE mc_lock")

    with pytest.raises(LockedError, match="This run lost its lock"):
        put(engine, "r1")
    engine.end()

    assert written(engine) == []


def test_a_run_cut_off_while_it_took_the_lock_gives_it_back(open_engine: Open, proxy: FaultyProxy):
    engine = open_engine()

    def rule(call: Call) -> Fault | None:
        # The script that takes the lock runs, and all that is heard of it from then on is silence.
        after = call.method == "POST" and b"mc_lock" in call.body
        return Drop(after=after) if after or any(b"mc_lock" in each.body for each in proxy.calls) else None

    proxy.rule = rule
    with pytest.raises(MicroconvError, match="did not answer in time"):
        engine.begin("r1", "host:1")
    proxy.rule = lambda _: None
    assert engine.holder().run_id == "r1"

    engine.close()

    assert open_engine().holder() is None
