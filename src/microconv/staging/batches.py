"""One batch of days: read its shards, and replace the days with every session and occurrence that they touch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from itertools import groupby
from typing import Any

from microconv.engines.base import Change, DeleteDays, DeleteKeys, Engine, InsertScratch, PutRow
from microconv.engines.tables import Table
from microconv.errors import SourceError
from microconv.exports import OpenShard
from microconv.staging import batch_queries, derived_occurrences, mc_tables, profile
from microconv.staging.erasures import leave_out_erased
from microconv.staging.own_hosts import OwnHosts
from microconv.staging.rules import Rules
from microconv.staging.traffic import load_channel_rules

Batch = tuple["OpenShard", ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"seconds": 1_000_000, "milliseconds": 1_000}
"""What timestamps are counted in by mistake, as microseconds."""
_STRAY_SECONDS = 7 * 24 * 60 * 60
"""So far may an event lie from its day: zones differ by a day, and what is sent late is sent within three."""

MOST_SHARDS = 100
"""A query may name so many tables that its text stays far below BigQuery's limits (1,000 tables, 1 MB)."""


COUNTED = (
    *("events", "duplicates_removed", "consentless_events", "sessionless_events", "placeholder_client_ids"),
    *("user_ids", "placeholder_user_ids", "transaction_ids", "placeholder_transaction_ids"),
    "stray_events",
)
"""What mc_shards keeps of the rows of `staging/staged_days`."""


@dataclass(frozen=True)
class Stamp:
    """What mc_shards says about who staged a day, and when; `zone` is where days begin and end."""

    run_id: str
    staged_at: datetime
    zone: tzinfo = UTC

    def is_over(self, day: date) -> bool:
        """Tell whether a day had ended."""
        return self.staged_at.astimezone(self.zone).date() > day


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
    engine.read_shards([day.shard for day in batch], batch[0].schema)
    engine.materialise(
        batch_queries.events(first.property_id, batch[0].schema, rules, is_provisional=first.is_provisional),
        batch_queries.CHANGED_EVENTS,
    )
    days: list[dict[str, Any]] = engine.query(batch_queries.staged_days()).to_pylist()
    _refuse_foreign_days(batch, days)
    _refuse_incomplete_events(batch, days)
    _refuse_other_units(batch, days)
    leave_out_erased(engine, rules)
    if rules.is_profiled:
        engine.materialise(profile.query(first.property_id, batch[0].schema), batch_queries.PROFILE)
    by_date = {day["event_date"]: day for day in days}
    states: list[dict[str, Any]] = []
    for day in batch:
        counts = by_date.get(day.shard.day, dict.fromkeys(COUNTED, 0))
        state = {
            "property": day.shard.property_id,
            "event_date": day.shard.day,
            "shard": day.shard.name,
            "kind": day.shard.kind,
            "is_day_over": stamp.is_over(day.shard.day),
            "modified_at": day.shard.modified_at,
            "bytes": day.shard.bytes,
            "source_rows": counts["events"] + counts["duplicates_removed"],
            "schema_fingerprint": (day.shard.table.schema if day.shard.table else day.schema).fingerprint,
            "staging_fingerprint": rules.fingerprint,
            "own_hosts": ",".join(rules.own_hosts.get(day.shard.property_id, ())),
            "absence_zone": rules.absence_zone,
            "carried_columns": rules.carried_columns,
            "events_fingerprint": rules.events_fingerprint,
            "event_columns": rules.event_columns,
            "profile_fingerprint": rules.profile_fingerprint,
            **{name: counts[name] for name in COUNTED},
            "first_event_at": counts.get("first_event_at"),
            "last_event_at": counts.get("last_event_at"),
            "run_id": stamp.run_id,
            "staged_at": stamp.staged_at,
        }
        states.append(state)
    _replace(engine, first.property_id, rules, states, are_events_new=True, others=_profiled(batch, rules))
    return days


def restage(engine: Engine, property_id: str, dates: Sequence[date], rules: Rules, stamp: Stamp) -> None:
    """Make all that follows from the staged events of some days anew, and no shard is read.

    That is what staging their shards again would leave, when the staged events have every column that the rules want
    (`sync_plan` looks): sessions and occurrences, and the events themselves where the taxonomy's ranks put those of one
    instant in another order.

    Raises:
        EngineError: the engine failed; nothing was changed.
    """
    engine.materialise(batch_queries.events_again(property_id, dates, rules), batch_queries.CHANGED_EVENTS)
    ((moved,),) = (row.values() for row in engine.query(batch_queries.moved_events()).to_pylist())
    are_events_new = moved > 0
    states: list[dict[str, Any]] = engine.query(batch_queries.shards_of_days(property_id, dates)).to_pylist()
    for state in states:
        state |= {
            "is_day_over": stamp.is_over(state["event_date"]),
            "staging_fingerprint": rules.fingerprint,
            "own_hosts": ",".join(rules.own_hosts.get(property_id, ())),
            "absence_zone": rules.absence_zone,
            "carried_columns": rules.carried_columns,
            "run_id": stamp.run_id,
            "staged_at": stamp.staged_at,
        }
        if are_events_new:  # else they keep the columns that nobody asks for any more
            state["event_columns"] = rules.event_columns
    _replace(engine, property_id, rules, states, are_events_new=are_events_new)


def _replace(
    engine: Engine,
    property_id: str,
    rules: Rules,
    states: Sequence[dict[str, Any]],
    *,
    are_events_new: bool,
    others: Iterable[Change] = (),
) -> None:
    """Replace days by what `changed_events` holds of them, with all they touch; `states` are rows of mc_shards.

    `others` are changes that are made with these.
    """
    dates = tuple(state["event_date"] for state in states)
    engine.materialise(batch_queries.page_hosts(property_id), batch_queries.PAGE_HOSTS)
    hosts = engine.query(batch_queries.hosts_of_property(property_id, dates)).to_pylist()
    own = OwnHosts.of_batch(hosts, rules.own_hosts.get(property_id, ()), load_channel_rules())
    engine.materialise(batch_queries.touched_sessions(property_id, dates, own), batch_queries.TOUCHED_SESSIONS)
    touched = _span(engine, property_id, batch_queries.TOUCHED_SESSIONS)
    engine.materialise(
        batch_queries.neighbour_events(property_id, dates, touched, rules), batch_queries.NEIGHBOUR_EVENTS
    )
    engine.materialise(batch_queries.sessions(rules.taxonomy, own), batch_queries.SESSIONS)
    engine.materialise(batch_queries.moved_sessions(), batch_queries.MOVED_SESSIONS)
    moved = _span(engine, property_id, batch_queries.MOVED_SESSIONS)
    engine.materialise(batch_queries.micro_conversions(rules, moved), batch_queries.MICRO_CONVERSIONS)
    engine.materialise(batch_queries.micro_conversions(rules, moved, of_signals=True), batch_queries.SIGNALS)
    over = tuple(state["event_date"] for state in states if state["is_day_over"])
    changed = derived_occurrences.Changed(property_id, dates, over, (touched, moved))
    changes: list[Change] = [
        DeleteKeys(mc_tables.SESSIONS, "client_key", batch_queries.TOUCHED_SESSIONS),
        InsertScratch(mc_tables.SESSIONS, batch_queries.SESSIONS),
        DeleteDays(mc_tables.HOSTS, property_id, dates),
        InsertScratch(mc_tables.HOSTS, batch_queries.PAGE_HOSTS),
        *_replaced(mc_tables.MICRO_CONVERSIONS, batch_queries.MICRO_CONVERSIONS, property_id, dates),
        *_replaced(mc_tables.SIGNALS, batch_queries.SIGNALS, property_id, dates),
        *derived_occurrences.changes(engine, rules, changed),
    ]
    if are_events_new:
        changes = [
            DeleteDays(mc_tables.EVENTS, property_id, dates),
            InsertScratch(mc_tables.EVENTS, batch_queries.CHANGED_EVENTS),
            *changes,
        ]
    changes += [*others, *(PutRow(mc_tables.SHARDS, state) for state in states)]
    engine.apply(changes)


def _profiled(batch: Batch, rules: Rules) -> Iterator[Change]:
    """Replace the profile of some days; without one, what there was of an earlier shard goes."""
    yield DeleteDays(mc_tables.PROFILE, batch[0].shard.property_id, tuple(one.shard.day for one in batch))
    if rules.is_profiled:
        yield InsertScratch(mc_tables.PROFILE, batch_queries.PROFILE)


def _replaced(table: Table, scratch: str, property_id: str, dates: tuple[date, ...]) -> Iterator[Change]:
    """Replace the occurrences of the changed days, and of touched and moved sessions.

    What other systems told of these days is not the shard's.
    """
    yield DeleteDays(table, property_id, dates, lacking="external_source")
    yield DeleteKeys(table, "session_key", batch_queries.TOUCHED_SESSIONS)
    yield DeleteKeys(table, "session_key", batch_queries.MOVED_SESSIONS)
    yield InsertScratch(table, scratch)


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


def _refuse_other_units(batch: Batch, days: Sequence[dict[str, Any]]) -> None:
    """Times that count seconds or milliseconds would all be read as moments of January 1970."""
    places = {one.shard.day: one.shard.place for one in batch}
    for day in days:
        midnight = (datetime.combine(day["event_date"], time.min, tzinfo=UTC) - _EPOCH).total_seconds()
        read = [(day[end] - _EPOCH).total_seconds() for end in ("first_event_at", "last_event_at")]
        for unit, factor in _UNITS.items():
            if all(abs(moment * factor - midnight) < _STRAY_SECONDS for moment in read):
                raise SourceError(
                    f"{places[day['event_date']]} cannot be read: event_timestamp counts {unit}; it was not staged.",
                    hint="Write it as GA4 does, in microseconds since 1970 (UTC). The other days are not affected.",
                )


def describe(batch: Batch) -> str:
    """Name a batch by its first and last shard."""
    names = [day.shard.name for day in batch]
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
