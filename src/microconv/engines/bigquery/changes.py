"""Changes of a batch as one script: a transaction of DML statements, with parameters for all values."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from microconv.engines.base import AddRows, Change, DeleteDays, DeleteDerived, DeleteKeys, InsertScratch, PutRow
from microconv.engines.tables import Table
from microconv.errors import EngineError
from microconv.queries.templates import Value, quote
from microconv.wording import human_bytes

MOST_BYTES = 9_500_000
"""How large a document of rows may be: a request takes 10 MB, with all that is in it.

Unverified: so from memory of https://cloud.google.com/bigquery/quotas#query_jobs, which could not be read.
"""

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

    def _change(self, change: DeleteDays | DeleteKeys | DeleteDerived | InsertScratch | AddRows) -> None:
        table = quote(change.table.name)
        match change:
            case DeleteDays(property_id=property_id, dates=dates, having=having, lacking=lacking):
                only = f" AND t.{quote(having)} IS NOT NULL" if having else ""
                only += f" AND t.{quote(lacking)} IS NULL" if lacking else ""
                # The range is what keeps other partitions from being read.
                first, last = (self._parameter("DATE", end) for end in (min(dates), max(dates)))
                self.statements.append(
                    f"DELETE FROM {table} AS t WHERE t.property = {self._parameter('STRING', property_id)} "
                    f"AND t.event_date BETWEEN {first} AND {last} "
                    f"AND t.event_date IN UNNEST({self._parameter('ARRAY<DATE>', dates)}){only}"
                )
            case DeleteKeys(column=column, scratch=scratch):
                keys = self._keys(column, scratch)
                self.statements.append(f"DELETE FROM {table} AS t WHERE t.{quote(column)} IN ({keys})")
            case DeleteDerived(property_id=property_id, first_day=first_day, column=column, scratch=scratch):
                of = f" AND t.{quote(column)} IN ({self._keys(column, scratch)})" if scratch else ""
                self.statements.append(
                    f"DELETE FROM {table} AS t WHERE t.property = {self._parameter('STRING', property_id)} "
                    f"AND t.event_date >= {self._parameter('DATE', first_day)} AND t.is_derived{of}"
                )
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

    def _keys(self, column: str, scratch: str) -> str:
        return f"SELECT s.{quote(column)} FROM {quote(self._scratch_name(scratch))} AS s"

    def _add_rows(self, table: Table, rows: Sequence[Mapping[str, Value]]) -> None:
        """Insert many rows with one JSON document: a query takes 10,000 parameters at most, and arrays hold no NULL.

        So that they fit into a request, the document holds no names, and what all rows share is a parameter of its own.

        Raises:
            EngineError: They do not fit.
        """
        if not rows:
            return
        values: list[str] = []
        varying: list[list[Value]] = []
        columns = [column for column in table.columns if any(column.name in row for row in rows)]
        for column in columns:
            found = [_json_value(row.get(column.name)) for row in rows]
            if all(value == found[0] for value in found):
                value = self._parameter(column.type, found[0])
            else:
                text = f"JSON_VALUE(r, '$[{len(varying)}]')"
                value = text if column.type == "STRING" else f"CAST({text} AS {column.type})"
                varying.append(found)
            values.append(f"{value} AS {quote(column.name)}")
        # Rows that are all alike are still as many.
        cells = list(zip(*varying, strict=True)) or [()] * len(rows)
        document = json.dumps(cells, ensure_ascii=False, default=str, separators=(",", ":"))
        if (size := len(json.dumps(document))) > MOST_BYTES:
            raise EngineError(
                f"{len(rows):,} rows for {table.name} are {human_bytes(size)}; BigQuery takes "
                f"{human_bytes(MOST_BYTES)} at once.",
                hint="Keep fewer rows at a time: ask for fewer days, or for less detail.",
            )
        self.statements.append(
            f"INSERT INTO {quote(table.name)} ({_names([column.name for column in columns])}) "
            f"SELECT {', '.join(values)} FROM UNNEST(JSON_QUERY_ARRAY({self._parameter('STRING', document)})) AS r"
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


def _json_value(value: Value) -> Value:
    """Write what JSON has no number for as GoogleSQL reads it: `nan`, `inf`."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _names(columns: Sequence[str]) -> str:
    return ", ".join(quote(name) for name in columns)


def transaction(statements: Sequence[str]) -> str:
    """Write statements as one transaction. It needs no handler: BigQuery rolls back what a failed script began.

    Source: https://cloud.google.com/bigquery/docs/transactions.
    """
    return "".join(f"{statement};\n" for statement in ("BEGIN TRANSACTION", *statements, "COMMIT TRANSACTION"))
