"""Files of an export as DuckDB reads them: the SQL that does, and what its errors mean."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import duckdb

from microconv.errors import SourceError
from microconv.exports import RAW_COLUMNS, Shard, ShardSchema, columns_of, struct_fields

_TYPES = {
    "STRING": "VARCHAR",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "BOOL": "BOOLEAN",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMPTZ",
}
_MAX_JSON_OBJECT_BYTES = 64 * 1024 * 1024
_IDS = ("user_pseudo_id", "user_id", "ecommerce.transaction_id")
"""Text that tells people and purchases apart: read as a JSON number it would lose digits, and join two of them."""
_NO_ID = "is not written as text"
_TOO_FAR = ("Overflow in multiplication", "imestamp out of range", "imestamp microseconds out of range")
_LISTED = 10
"""Files whose columns are looked at one by one, to name the one that cannot be read."""


def duckdb_type(googlesql: str, path: str | None = None) -> str:
    """Translate a GoogleSQL type, nested ones included, to DuckDB's.

    With the dotted path of a column of the export, ids in it are JSON: text and number must be told apart.
    """
    if path in _IDS:
        return "JSON"
    if googlesql in _TYPES:
        return _TYPES[googlesql]
    if googlesql.startswith("ARRAY<"):
        return f"{duckdb_type(googlesql[len('ARRAY<') : -1])}[]"
    fields = (
        f"{quote(name)} {duckdb_type(kind, path and f'{path}.{name}')}" for name, kind in struct_fields(googlesql)
    )
    return f"STRUCT({', '.join(fields)})"


def quote(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """Write a string literal, for the one place where DuckDB takes no parameter: table functions in a view."""
    return "'" + str(value).replace("'", "''") + "'"


def rows_of(shards: Sequence[Shard], schema: ShardSchema) -> str:
    """Return a SELECT of the rows of these shards, which have one schema, with the columns that staging knows."""
    paths = tuple(path for shard in shards for path in shard.files if _has_bytes(path))
    known = sorted(columns_of(schema.leaves))
    if shards[0].format == "parquet":
        return f"SELECT {', '.join(map(quote, known))} FROM read_parquet({_listed(paths)}, hive_partitioning = false)"
    if not paths:
        columns = (f"CAST(NULL AS {duckdb_type(RAW_COLUMNS[name])}) AS {quote(name)}" for name in known)
        return f"SELECT {', '.join(columns)} WHERE false"
    columns = (_read(name, RAW_COLUMNS[name], name) for name in known)
    named = ", ".join(f"{column} AS {quote(name)}" for column, name in zip(columns, known, strict=True))
    return f"SELECT {named} FROM {_read_json(paths, RAW_COLUMNS)}"


def _has_bytes(path: Path) -> bool:
    """Tell whether a file holds anything. One that was taken away meanwhile counts: reading it says what happened."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return True


def _listed(paths: Sequence[Path]) -> str:
    # To DuckDB a name is a pattern, and a folder such as `event_date=2024-03-01` a column.
    return f"[{', '.join(literal(glob.escape(str(path))) for path in paths)}]"


def _read_json(paths: Sequence[Path], columns: Mapping[str, str]) -> str:
    types = ", ".join(f"{literal(name)}: {literal(duckdb_type(kind, name))}" for name, kind in columns.items())
    compression = "gzip" if all(path.suffix.lower() == ".gz" for path in paths) else "auto"
    return (
        f"read_json({_listed(paths)}, hive_partitioning = false, format = 'newline_delimited', columns = {{{types}}}, "
        f"compression = {literal(compression)}, maximum_object_size = {_MAX_JSON_OBJECT_BYTES})"
    )


def _read(path: str, kind: str, column: str) -> str:
    """Return an expression of a column as its own type: ids, read as JSON, become the text that they are."""
    if path in _IDS:
        return (
            f"CASE WHEN starts_with(CAST({column} AS VARCHAR), '\"') THEN {column} ->> '$' "
            f"WHEN {column} IS NULL OR regexp_full_match(CAST({column} AS VARCHAR), '-?[0-9]+') "
            f"THEN CAST({column} AS VARCHAR) ELSE error({literal(f'{path} {_NO_ID}')}) END"
        )
    if any(each.startswith(f"{path}.") for each in _IDS):
        inner = ((name, _read(f"{path}.{name}", each, f"{column}.{name}")) for name, each in struct_fields(kind))
        packed = f"struct_pack({', '.join(f'{name} := {each}' for name, each in inner)})"
        return f"CASE WHEN {column} IS NOT NULL THEN {packed} END"
    return column


def reading_error(
    error: duckdb.Error, shards: Sequence[Shard], run: Callable[[str], object] = lambda _sql: None
) -> SourceError:
    """Say what is wrong with the files that a query over these shards could not read.

    No value of a row is in the message: it may be personal data. `run` runs a query, to find the column at fault.
    """
    paths = tuple(path for shard in shards for path in shard.files)
    files = str(paths[0]) if len(paths) == 1 else f"One of {paths[0]} to {paths[-1]}"
    said = str(error)
    if match := re.search(rf"(\S+) {_NO_ID}", said):
        return SourceError(
            f"{files} holds {match[1]} as a JSON number or as another type than text, so ids have lost digits; "
            "it was not staged.",
            hint="Write it as a string: `1008825.5342360620` is text, not a number. The other days are not affected.",
        )
    if any(sign in said for sign in _TOO_FAR):
        return _wrong_value(files, "an event_timestamp is too far from today: it counts microseconds since 1970 (UTC)")
    if "Could not parse string" in said:
        return _wrong_value(files, "an event_date is not eight digits (YYYYMMDD)")
    if isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException) or "transform error" in said:
        column = _column(said) or next(_unreadable_columns(paths, run), None)
        where = re.search(r"in line (\d+)", said) if len(paths) == 1 else None
        return _wrong_value(
            files,
            f"{column or 'a field'} is not of the type that GA4 exports"
            + (f" (line {where[1]})" if where else "")
            + (f": {_kind_of(RAW_COLUMNS[column])}" if column in RAW_COLUMNS else ""),
        )
    return SourceError(
        f"{files} cannot be read ({_without_values(said, paths)}); it was not staged.",
        hint="The file is damaged: export or copy it again; the other days are not affected.",
    )


def _wrong_value(files: str, what: str) -> SourceError:
    return SourceError(
        f"{files} cannot be read: {what}; it was not staged.",
        hint="The file is not damaged: correct what writes it. Copying it again will not help. "
        "The other days are not affected.",
    )


def _column(said: str) -> str | None:
    """Name the column of the export that a failed cast names."""
    match = re.search(r"source column (?:\w+\.)*(\w+)", said)
    return match[1] if match and match[1] in RAW_COLUMNS else None


def _kind_of(googlesql: str) -> str:
    kinds = {"STRING": "text", "INT64": "whole numbers", "FLOAT64": "numbers"}
    return f"expected are {'records' if '<' in googlesql else kinds.get(googlesql, googlesql)}"


def _unreadable_columns(paths: Sequence[Path], run: Callable[[str], object]) -> Iterator[str]:
    """Yield the columns of JSON files that cannot be read as what they should be."""
    if any(path.suffix.lower() == ".parquet" for path in paths) or len(paths) > _LISTED:
        return
    for name, kind in RAW_COLUMNS.items():
        try:
            run(f"SELECT COUNT({quote(name)}) FROM {_read_json(paths, {name: kind})}")
        except duckdb.Error:
            yield name


def _without_values(said: str, reading: Sequence[Path]) -> str:
    """Sum up a message without the pieces of rows that it cites, which may be personal data; names of files stay."""
    for path in reading:
        said = said.replace(f'"{path}"', str(path))
    return re.sub(r"""(got \w+: |["']).*""", "…", said.strip().splitlines()[0]).rstrip(". ")
