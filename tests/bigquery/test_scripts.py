"""The scripts that only BigQuery runs, read by Google's own parser: the emulator's is another one."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date

import pytest
from zetasql.core.exceptions import ServerError
from zetasql.types import ParseRequest, ParseResponse

import many_rows
from faulty_proxy import FaultyProxy
from judges.reference_judge import run, service
from judges.types import to_json
from microconv.engines.base import AddRows, DeleteDays, DeleteKeys, InsertScratch, PutRow
from microconv.engines.bigquery import BigQueryEngine
from microconv.engines.bigquery.changes import Script
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
            AddRows(RUNS, ({"run_id": "r3", "seconds": 1.5}, {"run_id": "r4", "status": "done"})),
        ]
    )
    engine.end()

    texts = {call.json()["configuration"]["query"]["query"] for call in proxy.calls_to("POST", "/jobs")}
    assert len([text for text in texts if "mc_lock" in text]) == 4  # taken, renewed, in a transaction, given back
    for text in texts:
        parse(text)
    with pytest.raises(ServerError, match="Syntax error"):
        parse("BEGIN TRANSACTION; UPDATE; COMMIT TRANSACTION;")


def test_added_rows_are_the_rows_given():
    """As Google's own implementation reads the JSON that they travel in."""
    script = Script(lambda _: (), str)
    script.add([AddRows(many_rows.TABLE, many_rows.ROWS[:50])])
    columns = many_rows.TABLE.columns[:-1]  # no row names the last
    (insert,) = script.statements

    found = run(
        insert[insert.index("SELECT") :],
        {name: (to_json(value), kind) for name, (kind, value) in script.params.items()},
    )

    expected = [[to_json(row[column.name]) for column in columns] for row in many_rows.EXPECTED[:50]]
    assert [list(row.values()) for row in found] == expected


def test_numbers_that_json_has_no_word_for_are_added():
    script = Script(lambda _: (), str)
    script.add([AddRows(RUNS, tuple({"seconds": number} for number in (math.inf, -math.inf, 1e300)))])
    (insert,) = script.statements

    found = run(
        insert[insert.index("SELECT") :],
        {name: (to_json(value), kind) for name, (kind, value) in script.params.items()},
    )

    assert [list(row.values()) for row in found] == [["Infinity"], ["-Infinity"], [1e300]]
