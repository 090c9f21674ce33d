"""Serve BigQuery on loopback while standard input is open; `emulator.py` runs it, in an environment of its own.

The system picks the ports, and standard output tells them once they are bound: whoever listens there is this process.
Three faults of the emulator are put right on the way: see `read_numbers_as_bigquery_does`, `TypesFirst` and
`objects_by_name`.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import duckdb
import uvicorn
from local_bigquery import app
from local_bigquery.catalog import tables
from local_bigquery.engine import database
from local_bigquery.engine.database import fetch, objects
from local_bigquery.grpc import server
from local_bigquery.jobs import query
from local_bigquery.settings import settings
from local_bigquery.sql.rules import NODE_RULES, partitions
from sqlglot import exp

TEMPORARY = "SELECT table_name FROM duckdb_tables() WHERE temporary"
HOST = "127.0.0.1"
NUMBERS = {
    exp.DataType.Type.BIGINT: r"\s*[+-]?([0-9]+|0[xX][0-9a-fA-F]+)\s*",
    exp.DataType.Type.DOUBLE: r"(?i)\s*[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf|infinity|nan)\s*",
}


def read_numbers_as_bigquery_does(node: exp.Expression, _context: object) -> exp.Expression:
    """Let SAFE_CAST read what BigQuery reads: the emulator takes '1.5' for the INT64 2, and '1_000' for a number."""
    pattern = NUMBERS.get(node.to.this) if isinstance(node, exp.TryCast) else None
    if pattern is None:
        return node
    text = exp.cast(node.this.copy(), "VARCHAR")
    return exp.Case().when(exp.func("REGEXP_FULL_MATCH", text, exp.Literal.string(pattern)), node)


class TypesFirst:
    """A cursor whose `sql` tells the columns of a query with parameters; DuckDB's own runs it whole for that.

    The emulator asks so once for a dry run, and twice before it runs a query.
    """

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def sql(self, text: str, params: dict[str, Any] | None = None) -> Any:
        return self._cursor.sql(f"SELECT * FROM ({text}) LIMIT 0" if params else text, params=params)


class FreshCursor(TypesFirst):
    """A cursor of a job outside a session: it has no temporary tables that DuckDB would have to look for among all."""

    def sql(self, text: str, params: dict[str, Any] | None = None) -> Any:
        none = " AND false" if text == TEMPORARY else ""
        return self._cursor.sql(f"{text}{none}", params=params)


def objects_by_name(project_id: str, dataset_id: str, table_id: str | None = None) -> list[tuple[str, str, int]]:
    """Return tables and views of a dataset, or one of them: name, kind, rows.

    The emulator asks for a table hundreds of times a sync, and each time DuckDB tells all tables of all datasets, and
    what each job left, of which one is kept. Here DuckLake's own catalogue is asked for the one.
    """
    if project_id == "emulator":
        return result_of_job(dataset_id, table_id) if table_id else objects(project_id, dataset_id, table_id)
    catalogue = database.quote(f"__ducklake_metadata_{project_id}")
    of_dataset = (
        "WHERE c.schema_name = $1 AND c.end_snapshot IS NULL AND t.end_snapshot IS NULL "
        "AND t.{name} = coalesce($2, t.{name})"
    )
    return database.fetch(
        f"SELECT t.table_name, 'TABLE', coalesce(s.record_count, 0) FROM {catalogue}.ducklake_table AS t "
        f"JOIN {catalogue}.ducklake_schema AS c USING (schema_id) "
        f"LEFT JOIN {catalogue}.ducklake_table_stats AS s USING (table_id) {of_dataset.format(name='table_name')} "
        f"UNION ALL SELECT t.view_name, 'VIEW', 0 FROM {catalogue}.ducklake_view AS t "
        f"JOIN {catalogue}.ducklake_schema AS c USING (schema_id) {of_dataset.format(name='view_name')} ORDER BY 1",
        [dataset_id, table_id],
    )


def result_of_job(dataset_id: str, table_id: str) -> list[tuple[str, str, int]]:
    """Return the table that a job left, as `objects_by_name` does, or nothing where it left none."""
    table = database.quote("emulator", dataset_id, table_id)
    try:
        return [(table_id, "TABLE", fetch(f"SELECT count(*) FROM {table}")[0][0])]
    except duckdb.CatalogException:
        return []


def fetch_by_name(sql: str, params: list[Any] | None = None) -> list[tuple[Any, ...]]:
    """Answer from DuckLake's own catalogue which columns of a table may not be NULL; all else as it is.

    DuckDB would tell all columns of all tables, of which those of one are kept.
    """
    if params is None or "FROM duckdb_columns()" not in sql:
        return fetch(sql, params)
    if params[0] == "emulator":
        return []  # what a job left: any of its columns may be NULL
    catalogue = database.quote(f"__ducklake_metadata_{params[0]}")
    return fetch(
        f"SELECT k.column_name FROM {catalogue}.ducklake_column AS k "
        f"JOIN {catalogue}.ducklake_table AS t USING (table_id) "
        f"JOIN {catalogue}.ducklake_schema AS c USING (schema_id) WHERE c.schema_name = $1 AND t.table_name = $2 "
        "AND c.end_snapshot IS NULL AND t.end_snapshot IS NULL AND k.end_snapshot IS NULL AND NOT k.nulls_allowed",
        params[1:],
    )


def mend() -> None:
    """Put the emulator's faults right, and spare it what takes most of its time."""
    execute, write = query.execute, tables.write

    def execute_typed(cursor: Any, *args: Any, dry_run: bool = False, session: Any = None, **named: Any) -> Any:
        cursor = cursor if session else FreshCursor(cursor)
        return execute(TypesFirst(cursor) if dry_run else cursor, *args, dry_run=dry_run, session=session, **named)

    def write_typed(cursor: Any, *args: Any, isolated: bool = False, **named: Any) -> Any:
        # Isolated, it reads the rows themselves through `sql`.
        return write(cursor if isolated else TypesFirst(cursor), *args, isolated=isolated, **named)

    query.execute, tables.write = execute_typed, write_typed
    database.objects = objects_by_name
    partitions._hidden = lambda _table: False  # no table of the tests is partitioned by the time of its ingestion
    database.fetch = fetch_by_name
    sys.modules["pandas"] = None  # not there, and DuckDB looks for it at each parameter of a query
    NODE_RULES.append(read_numbers_as_bigquery_does)


def serve(project: str, folder: str) -> None:
    settings.data_dir = Path(folder)
    settings.default_project_id = project
    mend()
    database.connection().execute("SET threads = 1")  # tables of tests are small: threads that wait cost a fifth
    _, grpc_port = server.start(HOST, 0)
    listener = socket.create_server((HOST, 0))
    rest = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    threading.Thread(target=rest.run, kwargs={"sockets": [listener]}, daemon=True).start()
    sys.stdout.write(json.dumps({"rest": listener.getsockname()[1], "grpc": grpc_port}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="microconv-emulator-", ignore_cleanup_errors=True) as scratch:
        serve(sys.argv[1], scratch)
    os._exit(0)  # nobody waits for queries under way
