"""An export in BigQuery, pulled as files: for those who may read a client's tables but not write beside them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from microconv.errors import ConfigError, EngineError, SourceError
from microconv.exports.file_source import read_schema
from microconv.exports.reading import TableReader
from microconv.exports.shards import OpenShard, Shard
from microconv.exports.table_source import TableSource, table_of, vanished
from microconv.exports.unread import PassedOver
from microconv.files import replacing

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ROW_GROUP_ROWS = 100_000
ROW_GROUP_BYTES = 64 * 1024 * 1024
"""A row group is written when it has so many rows or bytes, whichever comes first: no more than that is held back."""
_PULLS = 3
_STATE = b"microconv"
_PLAIN_NAME = re.compile(r"[a-z0-9_-]{1,64}")


@dataclass(frozen=True)
class PulledSource:
    """The export of one property in BigQuery, each shard copied to `folder` once it is opened, and again if it changed.

    Copies hold the leaves that staging reads; those of shards that are gone at the source are kept.
    """

    source: TableSource
    folder: Path

    @property
    def property_id(self) -> str:
        """The label of the property."""
        return self.source.property_id

    @property
    def daily_cap(self) -> int:
        """Rows a day at which GA4 stops to export."""
        return self.source.daily_cap

    def shards(self, since: date | None = None, until: date | None = None) -> tuple[Shard, ...]:
        """List the shards of these days as they are at the source; see `TableSource.shards`.

        Raises:
            SourceError: it cannot be listed, or holds nothing but views, which only queries can read.
        """
        found = self.source.shards(since, until)
        tables = tuple(shard for shard in found if not (shard.table and shard.table.is_view))
        if found and not tables and since is None and until is None:
            raise SourceError(
                f"{self.source.project}.{self.source.dataset} holds views of the export and no tables of it "
                f"({found[0].name} and others): a view cannot be pulled.",
                hint='Stage them with [engine] kind = "bigquery", or write them into tables of the same names.',
            )
        return tables

    def passed_over(self, read_elsewhere: frozenset[Path] = frozenset()) -> tuple[PassedOver, ...]:
        """List what looks like shards and is not read: views too, which only queries can read.

        Raises:
            SourceError: the dataset cannot be listed.
        """
        return (*self.source.passed_over(read_elsewhere), *self.source.views())

    def bytes_to_open(self, shard: Shard) -> int:
        """Return how many bytes BigQuery would read, and bill, to pull a shard now: none if its copy is there.

        Raises:
            VanishedError: the table is no longer there.
            SourceError: it cannot be read.
        """
        from google.api_core import exceptions as api

        if _is_copy(self.path(shard), shard):
            return 0
        try:
            estimate = self._reader(shard).estimate()
        except api.NotFound as error:
            raise vanished(shard) from error
        return shard.bytes if estimate is None else estimate

    def open(self, shard: Shard) -> OpenShard:
        """Pull a shard, unless its copy is there; it has the format of the copy, and what the table's metadata say.

        A table that changes meanwhile is pulled again, so that the shard returned may be newer than the one given. One
        that GA4 is still writing is taken as it was at one moment: the next sync sees that it has changed.

        Raises:
            VanishedError: the table is no longer there.
            SourceError: it cannot be read, or does not stop to change.
            EngineError: the copy cannot be written.
            ConfigError: there is a file in its place that is not a copy.
        """
        self.source.open(shard)
        path = self.path(shard)
        current, pulls = shard, 0
        while not _is_copy(path, current):
            if pulls == _PULLS:
                raise SourceError(
                    f"{shard.place} changed each time while it was pulled ({_PULLS} times).",
                    hint="Run again when whatever writes it has ended.",
                )
            current, pulls = self._pull(current, path), pulls + 1
        copy = replace(current, format="parquet", files=(path,))
        return OpenShard(copy, read_schema(copy, self.source.leaves))

    def path(self, shard: Shard) -> Path:
        """Where the copy of a shard lies, or would lie."""
        return self.folder / _folder_name(self.property_id) / f"{shard.name}.parquet"

    def _reader(self, shard: Shard) -> TableReader:
        table = table_of(shard)
        return TableReader(self.source.connection, table.project, table.dataset, shard.name, table.schema.leaves)

    def _pull(self, shard: Shard, path: Path) -> Shard:
        """Copy a table to `path`, and return the shard as it is then: once it has changed, the file is not its copy."""
        from google.api_core import exceptions as api

        if _is_of_others(path):
            raise ConfigError(
                f"{path} is a Parquet file that was not pulled by microconv, and was left as it is.",
                hint="Set `cache` under [[sources]] to a folder of its own.",
            )
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with replacing(path) as hidden:
                rows = self._download(shard, hidden)
                after = self.source.refresh(shard)
                if shard.is_provisional:
                    after = shard
                expected = table_of(shard).schema.rows
                if after == shard and expected not in (None, rows):
                    raise SourceError(
                        f"{shard.place} has {expected} rows by its metadata, but {rows} could be read.",
                        hint="Run again; a policy on the table may hide rows from this account.",
                    )
        except OSError as error:  # of the disk: what the network raises has been put in our words
            raise EngineError(
                f"{path} cannot be written: {os.strerror(error.errno or 0)}.",
                hint="Free some space, or set `cache` under [[sources]] to a folder that can be written.",
            ) from error
        except (api.NotFound, api.Conflict, api.PreconditionFailed) as error:
            self.source.refresh(shard)
            raise SourceError(f"BigQuery gave up reading {shard.place}.", hint="Run again.") from error
        return after

    def _download(self, shard: Shard, path: Path) -> int:
        """Write the rows of a table into a Parquet file, and return how many there were."""
        import pyarrow.parquet as pq

        reader = self._reader(shard)
        reading = reader.open()
        schema = reading.schema.with_metadata({_STATE: _state(shard)})
        with path.open("wb") as sink, pq.ParquetWriter(sink, schema, compression="zstd") as writer:
            groups = _RowGroups(writer, schema)
            reader.read(reading.streams, groups.add)
            groups.flush()
        return groups.rows


@dataclass
class _RowGroups:
    """Batches from several threads, written into one file a row group at a time."""

    writer: pq.ParquetWriter
    schema: pa.Schema
    rows: int = 0
    _held: list[pa.RecordBatch] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def add(self, batch: pa.RecordBatch) -> None:
        """Take a batch; write those held when they make a row group."""
        with self._lock:
            self._held.append(batch)
            self.rows += batch.num_rows
            is_full = sum(each.num_rows for each in self._held) >= ROW_GROUP_ROWS
            if is_full or sum(each.nbytes for each in self._held) >= ROW_GROUP_BYTES:
                self.flush()

    def flush(self) -> None:
        """Write what is held."""
        import pyarrow as pa

        if self._held:
            self.writer.write_table(pa.Table.from_batches(self._held, self.schema))
            self._held.clear()


def _state(shard: Shard) -> bytes:
    """Tell the state of a table, as its copy keeps it in its footer."""
    table = table_of(shard)
    state = {
        "table": shard.place,
        "modified_at": shard.modified_at.isoformat(),
        "bytes": shard.bytes,
        "rows": table.schema.rows,
        "schema": table.schema.fingerprint,
        "leaves": sorted(table.schema.leaves),
    }
    return json.dumps(state, sort_keys=True).encode()


def _is_copy(path: Path, shard: Shard) -> bool:
    """Whether a file is the whole copy of a table in this state."""
    return (_metadata(path) or {}).get(_STATE) == _state(shard)


def _is_of_others(path: Path) -> bool:
    """Whether there is a whole file that no sync pulled."""
    metadata = _metadata(path)
    return metadata is not None and _STATE not in metadata


def _metadata(path: Path) -> dict[bytes, bytes] | None:
    """Return what the footer of a Parquet file says about it; None if there is none, or it is damaged."""
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            return pq.read_schema(file).metadata or {}
    except (OSError, ValueError):  # pyarrow's ArrowInvalid is a ValueError
        return None


def _folder_name(property_id: str) -> str:
    """Name the folder of a property: two of them share none, even where names ignore case."""
    if _PLAIN_NAME.fullmatch(property_id):
        return property_id
    readable = re.sub(r"[^a-z0-9]+", "_", property_id.lower())[:40].strip("_")
    return f"{readable or 'property'}.{hashlib.sha256(property_id.encode()).hexdigest()[:12]}"
