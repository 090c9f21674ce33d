"""Jobs when BigQuery misbehaves: nothing runs twice, what passes is tried again, what costs too much is not run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from google.cloud import bigquery
from tenacity import Retrying, stop_after_attempt

from calls import EachFails
from faulty_proxy import Call, CutOff, Drop, Edit, Fault, FaultyProxy, Garble, Refuse
from microconv.clients.bigquery_connection import Connection
from microconv.engines.base import PutRow
from microconv.engines.bigquery import BigQueryEngine
from microconv.errors import BudgetError, EngineError
from microconv.queries.templates import Query
from microconv.staging.mc_tables import RUNS

MIB = 2**20


def sql(text: str, **params: tuple[str, Any]) -> Query:
    return Query(name="tests/query", sql=text, params=params)


def is_submit(call: Call) -> bool:
    return call.method == "POST" and call.path.endswith("/jobs") and not config(call).get("dryRun")


def config(call: Call) -> dict[str, Any]:
    return call.json()["configuration"]


def submits(proxy: FaultyProxy) -> list[dict[str, Any]]:
    return [call.json() for call in proxy.calls if is_submit(call)]


def reckons(number_of_bytes: int) -> Callable[[Call], Fault | None]:
    """A rule by which dry runs say so many bytes."""

    def change(job: dict[str, Any]) -> dict[str, Any]:
        job["statistics"] |= {"totalBytesProcessed": str(number_of_bytes)}
        job["statistics"]["query"] |= {"totalBytesProcessed": str(number_of_bytes)}
        return job

    return lambda call: Edit(change) if call.path.endswith("/jobs") and not is_submit(call) else None


def small_run(engine: BigQueryEngine) -> list[dict[str, Any]]:
    """Use every kind of call once, and return what was written."""
    engine.begin("r1", "host:1")
    engine.ensure(RUNS)
    engine.materialise(sql("SELECT 'r0' AS run_id, 'done' AS status"), "numbers")
    engine.apply([PutRow(RUNS, {"run_id": "r1", "status": "done"})])
    rows = engine.query(sql("SELECT run_id, status FROM mc_runs")).to_pylist()
    engine.end()
    return rows


def test_a_job_says_who_it_is_for_and_what_it_may_cost(
    open_engine: Callable[..., BigQueryEngine], proxy: FaultyProxy, dataset: str, client: bigquery.Client
):
    engine = open_engine(maximum_bytes_billed=20 * MIB, lease_seconds=900)
    engine.begin("20240305T120000Z-ABC", "host:1")
    engine.materialise(sql("SELECT 1 AS a"), "numbers")

    submit = submits(proxy)[-1]
    assert submit["jobReference"]["jobId"].startswith("microconv-20240305T120000Z-ABC-")
    assert submit["jobReference"]["jobId"].endswith("-2-tests-query")
    job = submit["configuration"]
    assert job["labels"] == {"app": "microconv", "run": "20240305t120000z-abc", "step": "tests_query"}
    assert job["jobTimeoutMs"] == "600000"
    assert job["query"]["maximumBytesBilled"] == str(20 * MIB)
    assert job["query"]["defaultDataset"] == {"projectId": client.project, "datasetId": dataset}


def test_a_submit_whose_answer_is_lost_does_not_run_twice(
    engine: BigQueryEngine, proxy: FaultyProxy, client: bigquery.Client
):
    engine.ensure(RUNS)
    proxy.rule = lambda call: Drop(after=True) if is_submit(call) and len(submits(proxy)) == 1 else None

    engine.apply([PutRow(RUNS, {"run_id": "r1"})])

    first, again = submits(proxy)
    assert first["jobReference"]["jobId"] == again["jobReference"]["jobId"]
    children = list(client.list_jobs(parent_job=first["jobReference"]["jobId"]))
    assert len(children) == 4  # begin, delete, insert, commit
    assert engine.query(sql("SELECT run_id FROM mc_runs")).to_pylist() == [{"run_id": "r1"}]


def test_a_job_that_is_there_but_not_yet_seen_is_waited_for(engine: BigQueryEngine, proxy: FaultyProxy):
    def rule(call: Call) -> Fault | None:
        if is_submit(call) and len(submits(proxy)) == 1:
            return Drop(after=True)
        return Refuse(404, "notFound") if call.method == "GET" and "/jobs/" in call.path and call.nth == 1 else None

    proxy.rule = rule

    assert engine.query(sql("SELECT 1 AS a")).to_pylist() == [{"a": 1}]


def failing_job(reason: str, *, times: int) -> Callable[[Call], Fault | None]:
    """A rule by which the first jobs end in an error of their own."""
    failed: set[str] = set()

    def change(job: dict[str, Any]) -> dict[str, Any]:
        name = job["jobReference"]["jobId"]
        if name in failed or len(failed) < times:
            failed.add(name)
            error = {"reason": reason, "message": "the job failed"}
            job["status"] = {"state": "DONE", "errorResult": error, "errors": [error]}
        return job

    return lambda call: Edit(change) if is_submit(call) or (call.method == "GET" and "/jobs/" in call.path) else None


@pytest.mark.parametrize("reason", ["backendError", "jobInternalError", "rateLimitExceeded"])
def test_a_job_that_bigquery_failed_runs_again_under_another_id(
    reason: str, engine: BigQueryEngine, proxy: FaultyProxy
):
    proxy.rule = failing_job(reason, times=2)

    assert engine.query(sql("SELECT 1 AS a")).to_pylist() == [{"a": 1}]

    names = [submit["jobReference"]["jobId"] for submit in submits(proxy)]
    assert names == [names[0], f"{names[0]}-2", f"{names[0]}-3"]


@pytest.mark.parametrize("reason", ["invalidQuery", "quotaExceeded", "accessDenied", "resourcesExceeded", "stopped"])
def test_a_job_that_failed_for_good_is_not_run_again(reason: str, engine: BigQueryEngine, proxy: FaultyProxy):
    proxy.rule = failing_job(reason, times=1)

    with pytest.raises(EngineError, match="tests/query: the job failed"):
        engine.query(sql("SELECT 1 AS a"))
    assert len(submits(proxy)) == 1


FAULTS = (
    Refuse(503),
    Drop(after=True),
    Refuse(500, "internalError"),
    Garble(),
    Refuse(429, "rateLimitExceeded"),
    CutOff(),
    Refuse(403, "rateLimitExceeded"),
    Drop(),
)


@pytest.mark.parametrize(
    "faults",
    [(Refuse(503),), (Drop(after=True),), (Garble(),), FAULTS],
    ids=["refused", "answer lost", "garbled", "in turn"],
)
def test_each_call_may_fail_once(faults: tuple[Fault, ...], engine: BigQueryEngine, proxy: FaultyProxy):
    proxy.rule = EachFails(1, faults)

    assert small_run(engine) == [{"run_id": "r1", "status": "done"}]


def test_each_call_may_fail_three_times(
    open_engine: Callable[..., BigQueryEngine],
    connect: Callable[..., Connection],
    impatient: Retrying,
    proxy: FaultyProxy,
):
    proxy.rule = EachFails(3, [Refuse(503)])
    # To wait for a job takes several requests in one attempt, of which each may be refused.
    patient = connect(retrying=impatient.copy(stop=stop_after_attempt(12)))

    assert small_run(open_engine(patient)) == [{"run_id": "r1", "status": "done"}]


def test_an_outage_is_told_after_the_deadline_and_nothing_is_changed(engine: BigQueryEngine, proxy: FaultyProxy):
    engine.ensure(RUNS)
    proxy.rule = lambda _: Refuse(503)

    with pytest.raises(EngineError, match="did not answer in time"):
        engine.apply([PutRow(RUNS, {"run_id": "r1"})])
    with pytest.raises(EngineError, match="did not answer in time"):
        engine.begin("r1", "host:1")

    proxy.rule = lambda _: None
    assert engine.query(sql("SELECT run_id FROM mc_runs")).num_rows == 0


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_told_at_once(status: int, engine: BigQueryEngine, proxy: FaultyProxy):
    proxy.rule = lambda _: Refuse(status, "accessDenied", "ann@example.com may not")

    with pytest.raises(EngineError) as raised:
        engine.query(sql("SELECT 1 AS a"))
    assert len(proxy.calls) == 1
    assert "example.com" not in str(raised.value)


def test_a_query_beyond_the_limit_of_a_job_is_not_run(open_engine: Callable[..., BigQueryEngine], proxy: FaultyProxy):
    engine = open_engine(maximum_bytes_billed=100 * MIB)
    proxy.rule = reckons(150 * MIB)

    for run in (engine.query, lambda query: engine.materialise(query, "numbers")):
        with pytest.raises(BudgetError) as raised:
            run(sql("SELECT 1 AS a"))
        assert "would read 150.0 MiB; engine.maximum_bytes_billed allows 100.0 MiB" in raised.value.message
        assert "--since" in raised.value.hint
    assert submits(proxy) == []
    assert engine.estimate(sql("SELECT 1 AS a")) == 150 * MIB


def test_a_query_beyond_the_budget_of_the_run_is_not_run(
    open_engine: Callable[..., BigQueryEngine], proxy: FaultyProxy
):
    engine = open_engine(maximum_bytes_per_run=100 * MIB)
    dry_run = reckons(60 * MIB)

    def bill(job: dict[str, Any]) -> dict[str, Any]:
        job["statistics"].setdefault("query", {})["totalBytesBilled"] = str(60 * MIB)
        return job

    proxy.rule = lambda call: dry_run(call) or (Edit(bill) if is_submit(call) or "/jobs/" in call.path else None)
    engine.query(sql("SELECT 1 AS a"))

    assert engine.bytes_billed == 60 * MIB
    with pytest.raises(BudgetError, match=r"would read 60\.0 MiB after 60\.0 MiB billed so far"):
        engine.query(sql("SELECT 1 AS a"))
    assert len(submits(proxy)) == 1


def test_a_limit_that_bigquery_enforces_is_a_matter_of_budget(engine: BigQueryEngine, proxy: FaultyProxy):
    proxy.rule = failing_job("bytesBilledLimitExceeded", times=1)

    with pytest.raises(BudgetError, match=r"engine\.maximum_bytes_billed"):
        engine.query(sql("SELECT 1 AS a"))


def test_ctrl_c_cancels_the_job_that_runs(connect: Callable[..., Connection], proxy: FaultyProxy, dataset: str):
    engine = BigQueryEngine(connect(), dataset=dataset)
    main = threading.main_thread().ident
    interrupted = threading.Event()

    def rule(call: Call) -> Fault | None:
        if call.method == "GET" and "/queries/" in call.path and not interrupted.is_set():
            interrupted.set()
            signal.pthread_kill(main, signal.SIGINT)
        return None

    proxy.rule = rule

    with pytest.raises(KeyboardInterrupt):
        engine.query(sql("SELECT COUNT(*) AS n FROM UNNEST(GENERATE_ARRAY(1, 3000000)) AS a WHERE MOD(a, 7) = 1"))

    (submit,) = submits(proxy)
    (cancel,) = proxy.calls_to("POST", "/cancel")
    assert cancel.path.endswith(f"/jobs/{submit['jobReference']['jobId']}/cancel")
