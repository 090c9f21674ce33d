"""Make staged rows by hand. Times are microseconds after a fixed start; what a test does not name is NULL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from microconv.engines.base import PutRow
from microconv.engines.duckdb import DuckDBEngine
from microconv.engines.tables import Column
from microconv.staging import mc_tables
from microconv.taxonomy import MicroConversion

START = datetime(2024, 3, 1, tzinfo=UTC)
START_US = int(START.timestamp()) * 1_000_000
SECOND = 1_000_000
DAY = 86_400 * SECOND

Row = dict[str, Any]


def at(us: int) -> datetime:
    """The moment `us` microseconds after the start."""
    return START + timedelta(microseconds=us)


def day(number: int) -> date:
    """Day 1 is the day of the start."""
    return START.date() + timedelta(days=number - 1)


def occurrence(us: int, micro_conversion: str, *, client: int = 1, place: int = 0, **columns: Any) -> Row:
    """A row of mc_micro_conversions; the actor is the client unless given, and a value is in US dollars."""
    row = {
        "property": "p",
        "event_date": at(us).date(),
        "event_at": at(us),
        "event_order": (START_US + us) * 1_000 + place,
        "micro_conversion": micro_conversion,
        "client_key": client,
        "actor_key": client,
        "copies": 1,
    }
    return row | ({"currency": "USD"} if columns.get("value") is not None else {}) | columns


def session(us: int, key: int, channel: str, *, actor: int = 1, **columns: Any) -> Row:
    """A row of mc_sessions."""
    row = {"session_key": key, "actor_key": actor, "started_at": at(us), "channel_group": channel}
    return row | {"source_rule": "collected"} | columns


def shard(number: int, *, events: int, **columns: Any) -> Row:
    """A row of mc_shards for day `number`."""
    row = {"property": "p", "event_date": day(number), "kind": "daily", "events": events}
    return row | {"consentless_events": 0, "duplicates_removed": 0} | columns


def entry(entry_id: str, **columns: Any) -> MicroConversion:
    """A taxonomy entry of which only the id matters, unless `deprecated_in` and `replaced_by` are given."""
    facts = {"kind": "macro", "stage": "decision", "mindset": "commitment", "value": None, "events": (entry_id,)}
    history = {"where": (), "since": "1.0", "deprecated_in": None, "replaced_by": None}
    return MicroConversion(id=entry_id, name=entry_id, **(facts | history | columns))


def staged(path: Path, *, carried: Sequence[Column] = (), **rows: list[Row]) -> DuckDBEngine:
    """Open an engine with all tables, holding `rows` (`mc_sessions=[...]`); events and occurrences are `carried`."""
    engine = DuckDBEngine(path)
    fill(engine, carried=carried, **rows)
    return engine


def fill(engine: DuckDBEngine, *, carried: Sequence[Column] = (), **rows: list[Row]) -> None:
    """Create what is missing of the tables and put rows into them."""
    carry = ("mc_events", "mc_micro_conversions", "mc_external_events", "mc_signals")
    tables = {
        name: replace(table, columns=(*table.columns, *carried)) if name in carry else table
        for name, table in mc_tables.TABLES.items()
    }
    for table in tables.values():
        engine.ensure(table)
    for name, given in rows.items():
        table = tables[name]
        engine.apply([PutRow(table, dict.fromkeys(table.grain) | row) for row in given])


IN_MEMORY = Path(":memory:")
