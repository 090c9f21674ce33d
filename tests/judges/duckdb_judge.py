"""Judge 1: DuckDB, through the product's own dialect."""

from __future__ import annotations

import json

import duckdb

from judges.types import Params, Row, Tables, Type, complete, parse_timestamp, parse_type, row_type, to_json
from microconv.engines.dialect import to_duckdb


def run(sql: str, params: Params | None = None, tables: Tables | None = None) -> list[Row]:
    """Run one GoogleSQL query on the given tables in a fresh in-memory database; rows in result order."""
    given = params or {}
    declared = tuple((name, kind) for name, (_, kind) in given.items())
    values = {name: _value(value, parse_type(kind)) for name, (value, kind) in given.items()}
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, (columns, rows) in (tables or {}).items():
            kind = row_type(columns)
            definitions = ", ".join(f'"{column}" {field.duckdb}' for column, field in kind.fields)
            connection.execute(f'CREATE TABLE "{name}" ({definitions})')
            if rows:
                filled = [complete(dict(row), kind, f"{name}[{index}]") for index, row in enumerate(rows)]
                connection.execute(
                    f'INSERT INTO "{name}" SELECT unnest(CAST(CAST(? AS JSON) AS {kind.duckdb}[]), max_depth := 2)',
                    [json.dumps(filled)],
                )
        answer = connection.sql(to_duckdb(sql, declared), params=values).to_arrow_table()
    return [{name: to_json(value) for name, value in row.items()} for row in answer.to_pylist()]


def _value(value: object, kind: Type) -> object:
    checked = complete(value, kind, "parameter")
    if kind.name == "TIMESTAMP" and isinstance(checked, str):
        return parse_timestamp(checked)
    return checked
