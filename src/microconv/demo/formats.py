"""The two forms in which GA4 exports leave BigQuery: Parquet, and newline-delimited JSON with integers as strings."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

_ROWS_AS_OBJECTS: Final = 1_000


def write_parquet(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Write one shard as Parquet (ZSTD), a row group per table."""
    # Without Arrow's own copy of the schema the file looks like one that BigQuery wrote.
    with pq.ParquetWriter(path, schema, compression="zstd", store_schema=False) as writer:
        for table in tables:
            writer.write_table(table)
            del table  # frees it before the next one is built


def write_ndjson(path: Path, tables: Iterable[pa.Table]) -> None:
    """Write one shard as BigQuery's JSON export does: integers as strings, NULLs left out, gzip."""
    with (
        path.open("wb") as file,
        # No time of writing and no name in the header: the same seed gives the same bytes.
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0) as zipped,
    ):
        for table in tables:
            as_text = table.cast(pa.schema([field.with_type(_json_type(field.type)) for field in table.schema]))
            for row in _rows(as_text):
                zipped.write(
                    json.dumps(_without_nulls(row), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
                )


def _rows(table: pa.Table) -> Iterator[dict[str, object]]:
    # A row takes some 10 kB as Python objects: never a whole table of them.
    for batch in table.to_batches(max_chunksize=_ROWS_AS_OBJECTS):
        yield from batch.to_pylist()


def _json_type(of: pa.DataType) -> pa.DataType:
    if pa.types.is_integer(of):
        return pa.string()
    if pa.types.is_list(of):
        return pa.list_(_json_type(of.value_type))
    if pa.types.is_struct(of):
        return pa.struct([field.with_type(_json_type(field.type)) for field in of])
    return of


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
