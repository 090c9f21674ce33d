"""The scripts that only BigQuery runs, read by Google's own parser: the emulator's is another one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from zetasql.core.exceptions import ServerError
from zetasql.types import ParseRequest, ParseResponse

from faulty_proxy import FaultyProxy
from judges.reference_judge import service
from microconv.engines.base import DeleteDays, DeleteKeys, InsertScratch, PutRow
from microconv.engines.bigquery import BigQueryEngine
from microconv.queries.templates import Query
from microconv.staging.mc_tables import EVENTS, RUNS, SESSIONS


def parse(sql: str) -> None:
    """Read a script; an exception of zetasql says where it is none."""
    request = ParseRequest._PROTO_CLASS(sql_statement=sql, allow_script=True)
    service().wasm_client.call_grpc_func("ZetaSqlLocalService_Parse", request, ParseResponse._PROTO_CLASS)


def test_locks_and_transactions_are_googlesql(open_engine: Callable[..., BigQueryEngine], proxy: FaultyProxy):
    moments = iter([0.0])
    engine = open_engine(clock=lambda: next(moments, 10_000.0))  # the lease is renewed before each job
    engine.begin("r1", "host:1")
    for table in (EVENTS, SESSIONS, RUNS):
        engine.ensure(table)
    engine.materialise(Query("tests/query", "SELECT 1 AS client_key, 2 AS session_key", {}), "sessions")
    engine.apply(
        [
            DeleteDays(EVENTS, "p1", (date(2024, 3, 1),)),
            DeleteKeys(SESSIONS, "client_key", "sessions"),
            InsertScratch(SESSIONS, "sessions"),
            PutRow(RUNS, {"run_id": "r1"}),
            PutRow(RUNS, {"run_id": "r2"}),
        ]
    )
    engine.end()

    texts = {call.json()["configuration"]["query"]["query"] for call in proxy.calls_to("POST", "/jobs")}
    assert len([text for text in texts if "mc_lock" in text]) == 4  # taken, renewed, in a transaction, given back
    for text in texts:
        parse(text)
    with pytest.raises(ServerError, match="Syntax error"):
        parse("BEGIN TRANSACTION; UPDATE; COMMIT TRANSACTION;")
