"""A look into the tables by SQL of one's own: what comes of it, and how DuckDB is opened so that nothing changes."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from microconv.engines.duckdb import OFFLINE, opening_error, refuse_other_files
from microconv.errors import EngineError, MicroconvError, UsageError
from microconv.wording import Heading, Sheet, csv_row

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

READS_ONLY = "What you ask can only read: give one SELECT."
_BATCH_ROWS = 2_048
# Nothing beside the database is read or written, no variable of Python is taken for a table, nothing spills to disk.
_SHUT: dict[str, Any] = {
    **OFFLINE,
    "enable_external_access": False,
    "python_enable_replacements": False,
    "temp_directory": "",
}
# What is wrong with the statement, in words that cite the statement. Other errors cite values of rows.
_OF_THE_STATEMENT = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.SyntaxException)


@dataclass(frozen=True)
class Looked:
    """Rows that a query of one's own gave, and whether they are all of them; values are those of Python."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    is_whole: bool
    numbers: tuple[bool, ...]
    """Which columns hold numbers."""

    @classmethod
    def of(cls, table: pa.Table, most: int) -> Looked:
        """Take up to `most` rows of a table that has one more when there are more.

        Raises:
            UsageError: two columns have one name.
        """
        import pyarrow as pa

        names = tuple(table.column_names)
        twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if twice is not None:
            raise UsageError(f"Two columns are called {twice}.", hint="Give each a name of its own, with AS.")
        kept = table.slice(0, most)
        values = [[_plain(value) for value in column.to_pylist()] for column in kept.columns]
        kinds = [column.type for column in table.columns]
        return cls(
            columns=names,
            rows=tuple(zip(*values, strict=True)),
            is_whole=table.num_rows <= most,
            numbers=tuple(
                pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) for kind in kinds
            ),
        )

    def document(self) -> dict[str, Any]:
        """Return the JSON document: columns, rows by column, and whether these are all rows."""
        rows = [dict(zip(self.columns, map(_for_json, row), strict=True)) for row in self.rows]
        return {"columns": list(self.columns), "rows": rows, "complete": self.is_whole}

    def csv(self) -> str:
        """Return the rows as CSV below a line of headings; NULL is empty."""
        lines = (
            [value if is_number or value is None else _text(value) for value, is_number in self._cells(row)]
            for row in self.rows
        )
        return "\n".join(csv_row(line) for line in (self.columns, *lines))

    def sheet(self) -> Sheet:
        """Return the rows as people read them, each value as it is: these are no figures of ours."""
        headings = (
            Heading(name, _exact) if is_number else Heading(name)
            for name, is_number in zip(self.columns, self.numbers, strict=True)
        )
        return Sheet("", tuple(headings), tuple(tuple(map(self._shown, row)) for row in self.rows))

    @staticmethod
    def _shown(value: Any) -> str:  # noqa: ANN401 - a value of any type
        # A moment with a space in it can be folded there.
        return "NULL" if value is None else str(value) if isinstance(value, date) else _text(value)

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a frame."""
        import pandas as pd  # costs 300 ms, and only a caller who wants a frame pays for it

        return pd.DataFrame(list(self.rows), columns=list(self.columns))

    def _cells(self, row: tuple[Any, ...]) -> Iterator[tuple[Any, bool]]:
        return zip(row, self.numbers, strict=True)


def look(path: Path, sql: str, most: int, *, memory_limit: str = "1GB", threads: int | None = None) -> Looked:
    """Ask a DuckDB file, opened to be read: no other file is in reach, and no setting can be changed.

    Args:
        path: The database.
        sql: One statement of DuckDB that reads (SELECT, DESCRIBE, SHOW, SUMMARIZE).
        most: The maximum number of rows to return.
        memory_limit: As for the engine.
        threads: As for the engine.

    Raises:
        UsageError: The statement does not only read, or cannot be run.
        LockedError: A run has the database open.
        EngineError: It cannot be opened, or the memory does not suffice.
    """
    settings = {**_SHUT, "memory_limit": memory_limit, **({} if threads is None else {"threads": threads})}
    try:
        refuse_other_files(path)
        connection = duckdb.connect(str(path), read_only=True, config=settings)
    except (duckdb.Error, OSError) as error:
        raise opening_error(path, error) from error
    with closing(connection):
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET lock_configuration = true")
        try:
            return _asked(connection, sql, most)
        except duckdb.InterruptException as error:
            raise KeyboardInterrupt from error
        except duckdb.Error as error:
            raise _failure(error) from error
        except RuntimeError as error:
            if "interrupt" in str(error).lower():  # how the driver reports most Ctrl-C during a query
                raise KeyboardInterrupt from error
            raise


def _asked(connection: duckdb.DuckDBPyConnection, sql: str, most: int) -> Looked:
    import pyarrow as pa

    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise UsageError(f"That is {len(statements)} statements of SQL.", hint=READS_ONLY)
    if statements[0].type != duckdb.StatementType.SELECT:
        raise UsageError(f"That is not a SELECT, but {statements[0].type.name.replace('_', ' ')}.", hint=READS_ONLY)
    reader = connection.sql(statements[0]).to_arrow_reader(_BATCH_ROWS)
    batches, rows = [], 0
    for batch in reader:
        batches.append(batch)
        rows += batch.num_rows
        if rows > most:
            break
    return Looked.of(pa.Table.from_batches(batches, reader.schema), most)


def _failure(error: duckdb.Error) -> MicroconvError:
    if isinstance(error, duckdb.OutOfMemoryException):
        return EngineError(
            "The query needs more memory than engine.memory_limit allows.",
            hint="Select fewer rows or columns, or raise engine.memory_limit.",
        )
    if isinstance(error, duckdb.PermissionException) or "read-only" in str(error) or "has been locked" in str(error):
        return UsageError("That reaches beyond the database, or would change it.", hint=READS_ONLY)
    # Behind an empty line DuckDB shows the place in the statement.
    said = " ".join(line.strip() for line in str(error).split("\n\n")[0].splitlines()).rstrip(".")
    if not isinstance(error, _OF_THE_STATEMENT):
        said = re.sub(r"""["'].*""", "…", said)
    return UsageError(
        f"DuckDB cannot run this query: {said}.",
        hint='`microconv query "SHOW TABLES"` lists the tables, and docs/tables.md says what they hold.',
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 - a value of any type
    """Return a value with whole decimals as whole numbers: sums of whole numbers come as decimals from DuckDB."""
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    return value


def _for_json(value: Any) -> Any:  # noqa: ANN401 - a value of any type
    """Return a value as JSON has it: exactly, so that what JSON has no number for is text."""
    written: Any
    match value:
        case None | bool() | int() | str():
            written = value
        case float():
            written = value if math.isfinite(value) else str(value)
        case Decimal():
            written = float(value) if Decimal(repr(float(value))) == value else str(value)
        case date() | time():
            written = value.isoformat()
        case bytes():
            written = base64.b64encode(value).decode("ascii")
        case dict():
            written = {str(key): _for_json(item) for key, item in value.items()}
        case list() | tuple():
            written = [_for_json(item) for item in value]
        case _:
            written = str(value)
    return written


def _text(value: Any) -> str:  # noqa: ANN401 - a value of any type
    shown = _for_json(value)
    return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)


def _exact(value: object) -> str:
    return str(value)
