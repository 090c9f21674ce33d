"""An export as tables of BigQuery: list them, and read what they hold from their metadata, which costs nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from microconv.clients.bigquery_connection import ONE_TRY, Connection
from microconv.errors import SourceError, VanishedError
from microconv.exports.shards import (
    BASIC_LEAVES,
    PRECEDENCE,
    REQUIRED_LEAVES,
    TABLE_NAME,
    TEXT_LEAVES,
    ExportTable,
    Kind,
    OpenShard,
    Shard,
    ShardSchema,
    columns_of,
    fingerprint_of,
    is_repeated,
    parse_day,
)
from microconv.exports.unread import PassedOver, said_of, why_no_table

if TYPE_CHECKING:
    from google.cloud.bigquery import SchemaField, Table

DAILY_CAP = 1_000_000
"""Rows a day at which GA4 stops the daily export of a standard property."""
_NAME = re.compile(TABLE_NAME)
_TABLES = ("TABLE", "SNAPSHOT")
_VIEWS = ("VIEW", "MATERIALIZED_VIEW", "EXTERNAL")
_OF_ALL_DAYS = re.compile(r"(?:all_)?events(?:_(?:all|view|union|raw|flat|flattened|partitioned))?", re.IGNORECASE)
_FRACTIONS = ("FLOAT", "FLOAT64", "NUMERIC", "BIGNUMERIC")
_SETTLED_DAYS = 4
"""GA4 brings a day's table up to date for three days; a view over it does not say when."""
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
    now: Callable[[], datetime] = lambda: datetime.now(tz=UTC)

    def shards(self, since: date | None = None, until: date | None = None) -> tuple[Shard, ...]:
        """List the shards of these days, both included, sorted by day and kind; a view may stand in place of a table.

        Raises:
            SourceError: there is no such dataset, it may not be read, or it holds no shard at all.
        """
        tables = self._list_tables()
        readable = (*_TABLES, *_VIEWS)
        named = {name: parsed for name, kind in tables if kind in readable and (parsed := _kind_and_day(name))}
        if not named:
            alike = tuple(self._passed_over(tables))
            raise SourceError(
                f"{self.project}.{self.dataset} holds no GA4 export ({len(tables)} tables, none of them a shard)."
                + (f" What looks like one: {said_of(alike)}." if alike else ""),
                hint="Shards are tables named events_YYYYMMDD, events_intraday_YYYYMMDD or events_fresh_YYYYMMDD; set "
                "`dataset` under [[sources]] to the one that GA4 writes to, such as analytics_123456789.",
            )
        asked = [name for name, (_, day) in named.items() if (since or day) <= day <= (until or day)]
        with ThreadPoolExecutor(_CALLS_AT_ONCE) as pool:
            # What vanished since it was listed is not there.
            found = [shard for shard in pool.map(lambda name: self._read(name, *named[name]), asked) if shard]
        return tuple(sorted(found, key=lambda shard: (shard.day, PRECEDENCE[shard.kind])))

    def passed_over(self, read_elsewhere: frozenset[Path] = frozenset()) -> tuple[PassedOver, ...]:  # noqa: ARG002 - the protocol's signature
        """List the tables and views that look like shards and are not read.

        Raises:
            SourceError: the dataset cannot be listed.
        """
        return tuple(self._passed_over(self._list_tables()))

    def views(self) -> tuple[PassedOver, ...]:
        """List the shards that are views, for a reader that can read none.

        Raises:
            SourceError: the dataset cannot be listed.
        """
        reason = "it is a view or external, which cannot be pulled"
        return tuple(
            PassedOver(f"{self.project}.{self.dataset}.{name}", reason)
            for name, kind in self._list_tables()
            if kind in _VIEWS and _kind_and_day(name)
        )

    def _passed_over(self, tables: Iterable[tuple[str, str]]) -> Iterator[PassedOver]:
        for name, kind in tables:
            reason = why_no_table(name)
            if _kind_and_day(name) and kind not in (*_TABLES, *_VIEWS):
                reason = f"it is of the type {kind}"
            elif _OF_ALL_DAYS.fullmatch(name):
                reason = "it may hold all days: make a view for each day, named events_YYYYMMDD"
            if reason:
                yield PassedOver(f"{self.project}.{self.dataset}.{name}", reason)

    def bytes_to_open(self, shard: Shard) -> int:  # noqa: ARG002 - the protocol's signature
        """Return 0: metadata are free."""
        return 0

    def open(self, shard: Shard) -> OpenShard:
        """Return what the metadata told when the shard was listed.

        Raises:
            SourceError: a column nothing works without is missing, or `user_pseudo_id` is not a STRING.
        """
        table = table_of(shard)
        if table.flaw:
            raise SourceError(
                f"{shard.place} {table.flaw}; it was not staged.",
                hint="Keep the tables as GA4 writes them, ids as STRING, and views in GoogleSQL. Other days are not "
                "affected.",
            )
        schema = table.schema
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
        is_view = table.table_type in _VIEWS
        return Shard(
            property_id=self.property_id,
            kind=kind,
            day=day,
            format="bigquery",
            files=(),
            modified_at=self._seen_at(table, day) if is_view else table.modified,
            bytes=0 if is_view else table.num_bytes or 0,
            table=ExportTable(
                self.project,
                self.dataset,
                _schema(table, self.leaves, is_growing=is_view or kind != "daily"),
                is_view=is_view,
                flaw=_flaw(table),
            ),
        )

    def _seen_at(self, view: Table, day: date) -> datetime:
        """Return the time of change that a view counts as having: nobody can tell when the rows behind it changed.

        It is the last midnight (UTC), but no later than four days after its day, so that each sync of another date
        stages it again as long as GA4 may still bring the day up to date.
        """
        today = datetime.combine(self.now().astimezone(UTC).date(), time.min, tzinfo=UTC)
        settled = datetime.combine(day, time.min, tzinfo=UTC) + timedelta(days=_SETTLED_DAYS)
        return max(view.modified or settled, min(today, settled))


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


def _flaw(table: Table) -> str:
    """Say what keeps the rows of a table from being staged; empty where nothing does."""
    if table.view_use_legacy_sql:
        return "is a view in legacy SQL, which other queries cannot read"
    kinds = {field.name: field.field_type for field in table.schema}
    if kinds.get("user_id") in _FRACTIONS:
        return f"holds user_id as {kinds['user_id']}, so ids have lost digits"
    return ""


def _schema(table: Table, wanted: frozenset[str], *, is_growing: bool) -> ShardSchema:
    """Read which leaves a table holds; its rows are unknown while they are streamed in, since the count lags."""
    kinds = {leaf: kind for field in table.schema for leaf, kind in _leaves(field) if leaf in wanted}
    # Of shards of one fingerprint whole columns are put together, so that what else is in them counts too.
    types = {
        field.name: json.dumps(field.to_standard_sql().to_api_repr()["type"])
        for field in table.schema
        if field.name in columns_of(wanted)
    }
    is_growing = is_growing or table.streaming_buffer is not None
    texts = frozenset(leaf for leaf, kind in kinds.items() if kind == "STRING") & TEXT_LEAVES
    return ShardSchema(frozenset(kinds), fingerprint_of(types), None if is_growing else table.num_rows, texts)


def _leaves(field: SchemaField, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of a column, dotted, with their types.

    A client id that is not a STRING has lost digits: left out. So is what has another shape than GA4's: a list where a
    record should be, or the other way round.
    """
    name = f"{path}{field.name}"
    if (field.mode == "REPEATED") != (not path and is_repeated(field.name)):
        return
    if field.field_type in ("RECORD", "STRUCT"):
        for inner in field.fields:
            yield from _leaves(inner, f"{name}.")
    elif name != "user_pseudo_id" or field.field_type == "STRING":
        yield name, field.field_type
