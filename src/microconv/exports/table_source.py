"""An export as tables of BigQuery: list them, and read what they hold from their metadata, which costs nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from microconv.clients.bigquery_connection import ONE_TRY, Connection
from microconv.errors import SourceError, VanishedError
from microconv.exports.shards import (
    BASIC_LEAVES,
    PRECEDENCE,
    REQUIRED_LEAVES,
    TABLE_NAME,
    ExportTable,
    Kind,
    OpenShard,
    Shard,
    ShardSchema,
    columns_of,
    fingerprint_of,
    parse_day,
)

if TYPE_CHECKING:
    from google.cloud.bigquery import SchemaField, Table

DAILY_CAP = 1_000_000
"""Rows a day at which GA4 stops the daily export of a standard property."""
_NAME = re.compile(TABLE_NAME)
_PAGE_TABLES = 1000
_CALLS_AT_ONCE = 8


@dataclass(frozen=True)
class TableSource:
    """The export of one property as a dataset of BigQuery; `project` is the one that holds it, whoever pays.

    Of its tables, `leaves` are read.
    """

    property_id: str
    connection: Connection
    project: str
    dataset: str
    daily_cap: int = DAILY_CAP
    leaves: frozenset[str] = BASIC_LEAVES

    def shards(self, since: date | None = None, until: date | None = None) -> tuple[Shard, ...]:
        """List the shards of these days, both included, sorted by day and kind; views and other tables are none.

        Raises:
            SourceError: there is no such dataset, it may not be read, or it holds no shard at all.
        """
        tables = self._list_tables()
        named = {name: parsed for name, kind in tables if kind == "TABLE" and (parsed := _kind_and_day(name))}
        if not named:
            raise SourceError(
                f"{self.project}.{self.dataset} holds no GA4 export ({len(tables)} tables, none of them a shard).",
                hint="Shards are tables named events_YYYYMMDD, events_intraday_YYYYMMDD or events_fresh_YYYYMMDD; set "
                "`dataset` under [[sources]] to the one that GA4 writes to, such as analytics_123456789.",
            )
        asked = [name for name, (_, day) in named.items() if (since or day) <= day <= (until or day)]
        with ThreadPoolExecutor(_CALLS_AT_ONCE) as pool:
            # What vanished since it was listed is not there.
            found = [shard for shard in pool.map(lambda name: self._read(name, *named[name]), asked) if shard]
        return tuple(sorted(found, key=lambda shard: (shard.day, PRECEDENCE[shard.kind])))

    def bytes_to_open(self, shard: Shard) -> int:  # noqa: ARG002 - the protocol's signature
        """Return 0: metadata are free."""
        return 0

    def open(self, shard: Shard) -> OpenShard:
        """Return what the metadata told when the shard was listed.

        Raises:
            SourceError: a column nothing works without is missing, or `user_pseudo_id` is not a STRING.
        """
        schema = table_of(shard).schema
        missing = [leaf for leaf in REQUIRED_LEAVES if leaf not in schema.leaves]
        if missing:
            raise SourceError(
                f"{shard.place} is not a GA4 event shard: it lacks {', '.join(missing)}.",
                hint="Keep the tables as GA4 writes them, nesting intact and user_pseudo_id as STRING.",
            )
        return OpenShard(shard, schema)

    def refresh(self, shard: Shard) -> Shard:
        """Return a shard as it is now, which equals the one given unless the table has changed since.

        Raises:
            VanishedError: the table is no longer there.
            SourceError: its metadata cannot be read.
        """
        refreshed = self._read(shard.name, shard.kind, shard.day)
        if refreshed is None:
            raise vanished(shard)
        return refreshed

    def _list_tables(self) -> list[tuple[str, str]]:
        """Return name and type of every table of the dataset."""
        from google.api_core import exceptions as api
        from google.cloud.bigquery import DatasetReference

        client = self.connection.client
        dataset = DatasetReference(self.project, self.dataset)

        def read() -> list[tuple[str, str]]:
            pages = client.list_tables(
                dataset,
                page_size=_PAGE_TABLES,
                **ONE_TRY,
            )
            return [(table.table_id, table.table_type) for table in pages]

        try:
            return self.connection.call(f"listing {self.project}.{self.dataset}", read, error=SourceError)
        except api.NotFound as error:
            raise SourceError(
                f"There is no dataset {self.project}.{self.dataset} for property {self.property_id}.",
                hint="Check `project` and `dataset` under [[sources]]; the link to BigQuery in GA4's admin pages names "
                "the project, and the dataset is called analytics_ and the property's number.",
            ) from error

    def _read(self, name: str, kind: Kind, day: date) -> Shard | None:
        """Read the metadata of a table; None when it is no longer there."""
        from google.api_core import exceptions as api
        from google.cloud.bigquery import DatasetReference

        client = self.connection.client
        reference = DatasetReference(self.project, self.dataset).table(name)
        try:
            table = self.connection.call(
                f"reading the metadata of {self.project}.{self.dataset}.{name}",
                lambda: client.get_table(
                    reference,
                    **ONE_TRY,
                ),
                error=SourceError,
            )
        except api.NotFound:
            return None
        return Shard(
            property_id=self.property_id,
            kind=kind,
            day=day,
            format="bigquery",
            files=(),
            modified_at=table.modified,
            bytes=table.num_bytes or 0,
            table=ExportTable(self.project, self.dataset, _schema(table, self.leaves, is_provisional=kind != "daily")),
        )


def _kind_and_day(name: str) -> tuple[Kind, date] | None:
    """Read the name of a table; None when it is not a shard."""
    match = _NAME.fullmatch(name)
    day = parse_day(match["day"]) if match else None
    if match is None or day is None:
        return None
    kind: Kind = match["kind"] or "daily"  # type: ignore[assignment]  # the pattern allows only the literals
    return kind, day


def table_of(shard: Shard) -> ExportTable:
    """Return the table of a shard that a `TableSource` listed."""
    if shard.table is None:
        raise ValueError(f"{shard.place} is not a table")
    return shard.table


def vanished(shard: Shard) -> VanishedError:
    """Return the error for a table that was listed and is no longer there."""
    return VanishedError(
        f"{shard.place} is no longer there.",
        hint="Run again, to read what is there now: GA4 deletes an intraday table when the daily one lands.",
    )


def _schema(table: Table, wanted: frozenset[str], *, is_provisional: bool) -> ShardSchema:
    """Read which leaves a table holds; its rows are unknown while they are streamed in, since the count lags."""
    leaves = frozenset(leaf for field in table.schema for leaf in _leaves(field)) & wanted
    # Of shards of one fingerprint whole columns are put together, so that what else is in them counts too.
    types = {
        field.name: json.dumps(field.to_standard_sql().to_api_repr()["type"])
        for field in table.schema
        if field.name in columns_of(wanted)
    }
    is_growing = is_provisional or table.streaming_buffer is not None
    return ShardSchema(leaves, fingerprint_of(types), None if is_growing else table.num_rows)


def _leaves(field: SchemaField, path: str = "") -> Iterator[str]:
    """Yield the leaves of a column, dotted. A client id that is not a STRING has lost digits: left out."""
    name = f"{path}{field.name}"
    if field.field_type in ("RECORD", "STRUCT"):
        for inner in field.fields:
            yield from _leaves(inner, f"{name}.")
    elif name != "user_pseudo_id" or field.field_type == "STRING":
        yield name
