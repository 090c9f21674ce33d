"""Changes of a batch as one script: a transaction of DML statements, with parameters for all values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from itertools import groupby

from microconv.engines.base import AddRows, Change, DeleteDays, DeleteKeys, InsertScratch, PutRow
from microconv.engines.tables import Table
from microconv.queries.templates import Value, quote

Params = dict[str, tuple[str, "Value"]]


class Script:
    """Statements that grow one by one, and their parameters.

    `columns_of` gives the columns of a table or scratch table, `scratch_name` the table that a scratch name stands for.
    """

    def __init__(self, columns_of: Callable[[str], tuple[str, ...]], scratch_name: Callable[[str], str]) -> None:
        self.statements: list[str] = []
        self.params: Params = {}
        self._columns_of = columns_of
        self._scratch_name = scratch_name

    def add(self, changes: Sequence[Change]) -> None:
        """Add changes in order; rows put into one table after each other become one statement."""
        for _, group in groupby(changes, key=_kind):
            first, *rest = group
            if isinstance(first, PutRow):
                self._put([first, *(each for each in rest if isinstance(each, PutRow))])
            else:
                self._change(first)

    def _change(self, change: DeleteDays | DeleteKeys | InsertScratch | AddRows) -> None:
        table = quote(change.table.name)
        match change:
            case DeleteDays(property_id=property_id, dates=dates):
                # The range is what keeps other partitions from being read.
                first, last = (self._parameter("DATE", end) for end in (min(dates), max(dates)))
                self.statements.append(
                    f"DELETE FROM {table} AS t WHERE t.property = {self._parameter('STRING', property_id)} "
                    f"AND t.event_date BETWEEN {first} AND {last} "
                    f"AND t.event_date IN UNNEST({self._parameter('ARRAY<DATE>', dates)})"
                )
            case DeleteKeys(column=column, scratch=scratch):
                keys = f"SELECT s.{quote(column)} FROM {quote(self._scratch_name(scratch))} AS s"
                self.statements.append(f"DELETE FROM {table} AS t WHERE t.{quote(column)} IN ({keys})")
            case InsertScratch(scratch=scratch):
                source = self._scratch_name(scratch)
                there = set(self._columns_of(source))
                common = [name for name in self._columns_of(change.table.name) if name in there]
                values = ", ".join(f"s.{quote(name)}" for name in common)
                self.statements.append(
                    f"INSERT INTO {table} ({_names(common)}) SELECT {values} FROM {quote(source)} AS s"
                )

            case AddRows(rows=rows):
                self._add_rows(change.table, rows)

    def _add_rows(self, table: Table, rows: Sequence[Mapping[str, Value]]) -> None:
        """Insert any number of rows with one parameter: a query takes 10,000 of them, and arrays of them no NULL."""
        columns = [column for column in table.columns if any(column.name in row for row in rows)]
        texts = (f"JSON_VALUE(r, '$.{column.name}')" for column in columns)
        values = (
            text if column.type == "STRING" else f"CAST({text} AS {column.type})"
            for text, column in zip(texts, columns, strict=True)
        )
        document = self._parameter("STRING", json.dumps(list(map(dict, rows)), default=_iso))
        self.statements.append(
            f"INSERT INTO {quote(table.name)} ({_names([column.name for column in columns])}) "
            f"SELECT {', '.join(values)} FROM UNNEST(JSON_QUERY_ARRAY({document})) AS r"
        )

    def _put(self, puts: Sequence[PutRow]) -> None:
        table = puts[0].table
        kinds = {column.name: column.type for column in table.columns}
        names = list(puts[0].row)
        # Of several rows with one grain, the last stays.
        rows = {tuple(put.row[name] for name in table.grain): put.row for put in puts}
        written = [{name: self._parameter(kinds[name], row[name]) for name in names} for row in rows.values()]
        same = (" AND ".join(f"t.{quote(name)} = {row[name]}" for name in table.grain) for row in written)
        self.statements.append(f"DELETE FROM {quote(table.name)} AS t WHERE {' OR '.join(f'({one})' for one in same)}")
        values = ", ".join(f"({', '.join(row.values())})" for row in written)
        self.statements.append(f"INSERT INTO {quote(table.name)} ({_names(names)}) VALUES {values}")

    def _parameter(self, kind: str, value: Value) -> str:
        name = f"p{len(self.params)}"
        self.params[name] = (kind, value)
        return f"@{name}"


def _kind(change: Change) -> object:
    """Tell which changes can be made together: rows with the same columns for the same table, and nothing else."""
    return (change.table.name, tuple(change.row)) if isinstance(change, PutRow) else id(change)


def _iso(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _names(columns: Sequence[str]) -> str:
    return ", ".join(quote(name) for name in columns)


def transaction(statements: Sequence[str]) -> str:
    """Write statements as one transaction. It needs no handler: BigQuery rolls back what a failed script began.

    Source: https://cloud.google.com/bigquery/docs/transactions.
    """
    return "".join(f"{statement};\n" for statement in ("BEGIN TRANSACTION", *statements, "COMMIT TRANSACTION"))
