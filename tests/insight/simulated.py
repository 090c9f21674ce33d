"""Staged rows of a simulated property: who came when and did what, as arrays, with a truth that the maker knows.

Staging an export takes a second; a test of forty properties puts the rows of each where staging would have put them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from microconv.engines.base import InsertScratch
from microconv.engines.duckdb import DuckDBEngine
from microconv.engines.tables import Table
from microconv.staging import mc_tables
from microconv.taxonomy import MicroConversion, Taxonomy

START: Final = datetime(2024, 3, 1, tzinfo=UTC)
SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_START_US: Final = int(START.timestamp()) * SECOND
_SESSION_US: Final = 30 * MINUTE
_EVENTS_A_SESSION: Final = 10

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Visits:
    """One entry per session: its actor (0, 1, 2 …), its start in microseconds after START, and other columns.

    A visit lasts 30 minutes. `session_number` counts an actor's visits from 1 where `columns` does not give it.
    """

    actor: Numbers
    at_us: Numbers
    columns: Mapping[str, Sequence[Any] | NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """One entry per occurrence of a micro-conversion: its actor, its moment as in Visits, and other columns."""

    actor: Numbers
    at_us: Numbers
    columns: Mapping[str, Sequence[Any] | NDArray[Any]] = field(default_factory=dict)


def taxonomy(**entries: Mapping[str, str]) -> Taxonomy:
    """Return a taxonomy of these entries, in this order: `seen={"kind": "secondary", "stage": "awareness"}`."""
    return Taxonomy(
        "simulated",
        "1.0",
        tuple(
            MicroConversion.model_validate({"id": entry_id, "name": entry_id, "event": entry_id, **facts})
            for entry_id, facts in entries.items()
        ),
    )


def staged(path: Path, known: Taxonomy, visits: Visits, done: Mapping[str, Done], *, days: int) -> DuckDBEngine:
    """Open an engine that holds these visits and occurrences; what lies beyond the last of the `days` is left out.

    Each occurrence lies in the actor's latest visit that had begun, and in none before the first. Ties of a moment are
    in the order of the taxonomy.
    """
    engine = DuckDBEngine(path)
    for table in mc_tables.TABLES.values():
        engine.ensure(table)
    end_us = days * DAY
    sessions = _sessions(visits, end_us)
    _put(engine, mc_tables.SESSIONS, sessions)
    rows = [_occurrences(known, name, each, sessions, end_us) for name, each in done.items()]
    for table in rows:
        _put(engine, mc_tables.MICRO_CONVERSIONS, table)
    _put(engine, mc_tables.EVENTS, _latest_event(sessions, rows))
    _put(engine, mc_tables.SHARDS, _shards(days))
    return engine


def _sessions(visits: Visits, end_us: int) -> pa.Table:
    kept = visits.at_us < end_us
    order = np.lexsort((visits.at_us, visits.actor))
    order = order[kept[order]]
    actor, at_us = visits.actor[order], visits.at_us[order]
    _, first, place = np.unique(actor, return_index=True, return_inverse=True)
    count = len(actor)
    columns: dict[str, Any] = {
        "property": ["p"] * count,
        "session_key": np.arange(1, count + 1),
        "client_key": actor,
        "actor_key": actor,
        "user_pseudo_id": [f"c{each}" for each in actor],
        "session_number": np.arange(count) - first[place] + 1,
        "started_at": _moments(at_us),
        "ended_at": _moments(at_us + _SESSION_US),
        "session_date": _dates(at_us),
        "last_event_date": _dates(at_us),
        "events": np.full(count, _EVENTS_A_SESSION),
        "page_views": np.full(count, 2),
        "is_engaged": np.full(count, fill_value=True),
        "channel_group": ["Direct"] * count,
        "device_category": ["desktop"] * count,
        "country": ["Norway"] * count,
        "source_rule": ["collected"] * count,
        "is_provisional": np.full(count, fill_value=False),
    }
    columns |= {name: np.asarray(values)[order] for name, values in visits.columns.items()}
    return pa.table(columns)


def _occurrences(known: Taxonomy, name: str, done: Done, sessions: pa.Table, end_us: int) -> pa.Table:
    entry = known.entry(name)
    order = np.lexsort((done.at_us, done.actor))
    order = order[done.at_us[order] < end_us]
    actor, at_us = done.actor[order], done.at_us[order]
    count = len(actor)
    keys = np.arange(count)
    # The place among rows of one entry, actor and moment keeps the order total.
    first = np.r_[True, (actor[1:] != actor[:-1]) | (at_us[1:] != at_us[:-1])] if count else np.array([], dtype=bool)
    among = keys - np.maximum.accumulate(np.where(first, keys, 0)) if count else keys
    columns: dict[str, Any] = {
        "property": ["p"] * count,
        "event_date": _dates(at_us),
        "event_at": _moments(at_us),
        "event_order": (_START_US + at_us) * 1_000 + known.rank(name) * 20 + among,
        "micro_conversion": [name] * count,
        "kind": [entry.kind] * count,
        "stage": [entry.stage] * count,
        "client_key": actor,
        "actor_key": actor,
        "session_key": _session_of(actor, at_us, sessions),
        "is_provisional": np.full(count, fill_value=False),
        "copies": np.ones(count, dtype=np.int64),
        "is_derived": np.full(count, fill_value=False),
    }
    columns |= {each: np.asarray(values)[order] for each, values in done.columns.items()}
    return pa.table(columns)


def _session_of(actor: Numbers, at_us: Numbers, sessions: pa.Table) -> pa.Array:
    """Return the latest session of the actor that had begun, for each moment."""
    of = sessions["actor_key"].to_numpy()
    began = sessions["started_at"].cast(pa.int64()).to_numpy() - _START_US
    span = int(max(began.max(initial=0), at_us.max(initial=0))) + 1
    place = np.searchsorted(of * span + began, actor * span + at_us, side="right") - 1
    found = (place >= 0) & (of[np.maximum(place, 0)] == actor) if len(of) else np.zeros(len(actor), dtype=bool)
    return pa.array(np.where(found, place + 1, 0), mask=~found)


def _latest_event(sessions: pa.Table, rows: Sequence[pa.Table]) -> pa.Table:
    """One event, the latest: from it questions know where the data end."""
    moments = [
        *sessions["ended_at"].cast(pa.int64()).to_pylist(),
        *(at for table in rows for at in table["event_at"].cast(pa.int64()).to_pylist()),
    ]
    latest_us = max(moments, default=_START_US) - _START_US
    at_us = np.array([latest_us])
    return pa.table(
        {
            "property": ["p"],
            "event_date": _dates(at_us),
            "event_at": _moments(at_us),
            "event_order": (_START_US + at_us) * 1_000,
            "event_name": ["page_view"],
            "client_key": [0],
        }
    )


def _shards(days: int) -> pa.Table:
    return pa.table(
        {
            "property": ["p"] * days,
            "event_date": [START.date() + timedelta(days=each) for each in range(days)],
            "kind": ["daily"] * days,
            "events": [_EVENTS_A_SESSION] * days,
            "consentless_events": [0] * days,
            "duplicates_removed": [0] * days,
        }
    )


def _put(engine: DuckDBEngine, table: Table, rows: pa.Table) -> None:
    engine.load(rows.to_reader(), "simulated")
    engine.apply([InsertScratch(table, "simulated")])


def _moments(at_us: Numbers) -> pa.Array:
    return pa.array(_START_US + at_us, pa.int64()).cast(pa.timestamp("us", tz="UTC"))


def _dates(at_us: Numbers) -> pa.Array:
    return pa.array((_START_US + at_us) // DAY, pa.int64()).cast(pa.int32()).cast(pa.date32())
