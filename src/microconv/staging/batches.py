"""One batch of days: read its shards, and replace the days with every session and occurrence that they touch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from microconv.engines.base import Change, DeleteDays, DeleteKeys, Engine, InsertScratch, PutRow
from microconv.errors import SourceError
from microconv.exports import OpenShard
from microconv.staging import batch_queries, mc_tables
from microconv.staging.rules import Rules

Batch = tuple["OpenShard", ...]

MOST_SHARDS = 100
"""A query may name so many tables that its text stays far below BigQuery's limits (1,000 tables, 1 MB)."""


@dataclass(frozen=True)
class Stamp:
    """What mc_shards says about who staged a day, and when."""

    run_id: str
    staged_at: datetime


def batches(shards: Iterable[OpenShard], most_rows: int) -> Iterator[Batch]:
    """Group shards that one query can read, in their order: same property, place, schema and standing.

    Shards whose rows cannot be counted beforehand go alone: nothing could tell whose a stray row is.
    """

    def kind(one: OpenShard) -> tuple[object, ...]:
        table = one.shard.table
        place = (table.project, table.dataset) if table else ()
        return one.shard.property_id, place, one.schema.fingerprint, one.shard.is_provisional

    for _, group in groupby(shards, key=kind):
        batch: list[OpenShard] = []
        for one in group:
            is_full = len(batch) == MOST_SHARDS or sum(each.rows for each in batch) + one.rows > most_rows
            if batch and (one.schema.rows is None or is_full):
                yield tuple(batch)
                batch = []
            batch.append(one)
        if batch:
            yield tuple(batch)


def stage(engine: Engine, batch: Batch, rules: Rules, stamp: Stamp) -> list[dict[str, Any]]:
    """Read a batch of days and replace them, with every session and occurrence they touch, in one transaction.

    Returns:
        The rows of `staging/staged_days`.

    Raises:
        SourceError: a shard cannot be read, or its rows are not what they should be; nothing was changed.
        EngineError: the engine failed; nothing was changed.
    """
    first = batch[0].shard
    dates = tuple(day.shard.day for day in batch)
    engine.read_shards([day.shard for day in batch], batch[0].schema)
    engine.materialise(
        batch_queries.events(first.property_id, batch[0].schema, rules, is_provisional=first.is_provisional),
        batch_queries.CHANGED_EVENTS,
    )
    days: list[dict[str, Any]] = engine.query(batch_queries.staged_days()).to_pylist()
    _refuse_foreign_days(batch, days)
    _refuse_incomplete_events(batch, days)
    engine.materialise(batch_queries.touched_sessions(first.property_id, dates), batch_queries.TOUCHED_SESSIONS)
    touched = _span(engine, first.property_id, batch_queries.TOUCHED_SESSIONS)
    engine.materialise(
        batch_queries.neighbour_events(first.property_id, dates, touched, rules), batch_queries.NEIGHBOUR_EVENTS
    )
    engine.materialise(batch_queries.sessions(rules.taxonomy), batch_queries.SESSIONS)
    engine.materialise(batch_queries.moved_sessions(), batch_queries.MOVED_SESSIONS)
    moved = _span(engine, first.property_id, batch_queries.MOVED_SESSIONS)
    engine.materialise(batch_queries.micro_conversions(rules, moved), batch_queries.MICRO_CONVERSIONS)
    by_date = {day["event_date"]: day for day in days}
    changes: list[Change] = [
        DeleteDays(mc_tables.EVENTS, first.property_id, dates),
        InsertScratch(mc_tables.EVENTS, batch_queries.CHANGED_EVENTS),
        DeleteKeys(mc_tables.SESSIONS, "client_key", batch_queries.TOUCHED_SESSIONS),
        InsertScratch(mc_tables.SESSIONS, batch_queries.SESSIONS),
        DeleteDays(mc_tables.MICRO_CONVERSIONS, first.property_id, dates),
        DeleteKeys(mc_tables.MICRO_CONVERSIONS, "session_key", batch_queries.TOUCHED_SESSIONS),
        DeleteKeys(mc_tables.MICRO_CONVERSIONS, "session_key", batch_queries.MOVED_SESSIONS),
        InsertScratch(mc_tables.MICRO_CONVERSIONS, batch_queries.MICRO_CONVERSIONS),
    ]
    for day in batch:
        counts = by_date.get(day.shard.day, {"events": 0, "duplicates_removed": 0, "consentless_events": 0})
        state = {
            "property": day.shard.property_id,
            "event_date": day.shard.day,
            "shard": day.shard.name,
            "kind": day.shard.kind,
            "modified_at": day.shard.modified_at,
            "bytes": day.shard.bytes,
            "source_rows": counts["events"] + counts["duplicates_removed"],
            "schema_fingerprint": (day.shard.table.schema if day.shard.table else day.schema).fingerprint,
            "staging_fingerprint": rules.fingerprint,
            "carried_columns": rules.carried_columns,
            "events": counts["events"],
            "duplicates_removed": counts["duplicates_removed"],
            "consentless_events": counts["consentless_events"],
            "run_id": stamp.run_id,
            "staged_at": stamp.staged_at,
        }
        changes.append(PutRow(mc_tables.SHARDS, state))
    engine.apply(changes)
    return days


def _span(engine: Engine, property_id: str, chosen: str) -> batch_queries.Span:
    """Find the days of some sessions. As parameters they keep BigQuery from reading, and billing, all others."""
    (row,) = engine.query(batch_queries.session_span(property_id, chosen)).to_pylist()
    return row["first_date"], row["last_date"]


def _refuse_foreign_days(batch: Batch, days: Sequence[dict[str, Any]]) -> None:
    """A shard holds its own day and nothing else; otherwise replacing the day would double or lose the strangers."""
    found = {day["event_date"]: day["events"] + day["duplicates_removed"] for day in days}
    expected = {one.shard.day: one.schema.rows for one in batch}
    if strangers := [day for day in found if day not in expected]:
        named = ", ".join("no date" if stranger is None else stranger.isoformat() for stranger in strangers)
        raise SourceError(
            f"The rows of {describe(batch)} are not all of the shard's own day (event_date found: {named}); "
            "it was not staged.",
            hint="A shard must hold one day; check how the files were written.",
        )
    for day, rows in expected.items():
        if rows is not None and rows != found.get(day, 0):
            raise SourceError(
                f"The shard of {day} has {rows} rows by its metadata, and {found.get(day, 0)} were read; "
                "it was not staged.",
                hint="It changed while it was being read, or holds rows of another day of the batch: sync again.",
            )


def _refuse_incomplete_events(batch: Batch, days: Sequence[dict[str, Any]]) -> None:
    """An event without a moment or a name has no place in any order or funnel, and GA4 writes none."""
    incomplete = sum(day["incomplete_events"] for day in days)
    if incomplete:
        raise SourceError(
            f"{incomplete} rows of {describe(batch)} lack event_timestamp or event_name; it was not staged.",
            hint="Export the whole events_YYYYMMDD table again, nesting intact.",
        )


def describe(batch: Batch) -> str:
    """Name a batch by its first and last shard."""
    names = [day.shard.name for day in batch]
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
