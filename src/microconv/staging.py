"""The queries of staging: raw shards -> events -> sessions -> micro-conversions, for one batch of changed days."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from microconv import tables, templates
from microconv.tables import Column
from microconv.traffic import load_channel_rules, session_params, session_structure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from microconv.exports import ShardSchema
    from microconv.taxonomy import Taxonomy
    from microconv.templates import Query, Value

LOOKBACK_US = 90 * 24 * 60 * 60 * 1_000_000
"""How long a non-direct source outlives its session: GA4's 90 days."""

# Names of the scratch tables of one batch, as the templates call them.
CHANGED_EVENTS = "changed_events"
TOUCHED_SESSIONS = "touched_sessions"
NEIGHBOUR_EVENTS = "neighbour_events"
MOVED_SESSIONS = "moved_sessions"
SESSIONS = "sessions"
MICRO_CONVERSIONS = "micro_conversions"

Span = tuple["date | None", "date | None"]
"""First and last day of some sessions; None where there are none."""

_DECIDING = tuple(
    f"staging/{name}"
    for name in ("events", "micro_conversions", "moved_sessions", "neighbour_events", "sessions", "touched_sessions")
)
"""The templates whose rows are staged, or decide which are."""


@dataclass(frozen=True)
class CarriedColumn:
    """A parameter that taxonomy conditions read, as a column of mc_events: text, or number when `as_number`."""

    name: str
    parameter: str
    as_number: bool

    @property
    def column(self) -> Column:
        """The column's definition."""
        kind, form = ("FLOAT64", "number") if self.as_number else ("STRING", "text")
        return Column(self.name, kind, f"event parameter {self.parameter} as {form}")


def carried_columns(taxonomy: Taxonomy) -> tuple[CarriedColumn, ...]:
    """Return the extra columns of mc_events that a taxonomy asks for, in a fixed order.

    A parameter whose name is not plain keeps apart from its look-alikes by a piece of its hash.
    """
    return tuple(
        CarriedColumn(_column_name(each.name, as_number=each.as_number), each.name, each.as_number)
        for each in taxonomy.carried_parameters()
    )


def _column_name(parameter: str, *, as_number: bool) -> str:
    plain = re.sub(r"[^a-z0-9]+", "_", parameter.lower())
    if plain != parameter:
        plain = f"{plain}_{hashlib.sha256(parameter.encode()).hexdigest()[:6]}"
    return f"{'number' if as_number else 'text'}_{plain}"


def fingerprint(taxonomy: Taxonomy) -> str:
    """Fingerprint all that decides staged rows besides the shard: a day staged under another one is restaged.

    Comments and layout of the templates do not count: restaging costs money where queries are billed.
    """
    versions = [(table.name, table.version) for table in (tables.EVENTS, tables.SESSIONS, tables.MICRO_CONVERSIONS)]
    digest = hashlib.sha256(f"{versions} {taxonomy.fingerprint} {load_channel_rules()}".encode())
    for name in _DECIDING:
        for text in templates.sources(name):
            digest.update(templates.without_comments(text).encode())
    return digest.hexdigest()[:16]


def events(property_id: str, schema: ShardSchema, taxonomy: Taxonomy, *, is_provisional: bool) -> Query:
    """Flat events of `raw_events`, which holds shards of this schema; one extra column, `copies`."""
    carried = carried_columns(taxonomy)
    ranks = taxonomy.event_ranks()
    return templates.query(
        "staging/events",
        params={
            "property": property_id,
            "is_provisional": is_provisional,
            "ranked_events": sorted(ranks, key=lambda name: (ranks[name], name)),
            **{f"carried_{place}": column.parameter for place, column in enumerate(carried)},
        },
        structure={"leaves": schema.leaves, "carried": [asdict(column) for column in carried]},
    )


def staged_days() -> Query:
    """Rows, duplicates and consent-less rows of each changed day."""
    return templates.query("staging/staged_days")


def touched_sessions(property_id: str, dates: Sequence[date]) -> Query:
    """Sessions with an event on a changed day, before or after."""
    return templates.query("staging/touched_sessions", params={"property": property_id, "changed_dates": list(dates)})


def session_span(property_id: str, chosen: str) -> Query:
    """The days between which the sessions of a scratch table lie, as staged."""
    return templates.query("staging/session_span", params={"property": property_id}, structure={"chosen": chosen})


def neighbour_events(property_id: str, dates: Sequence[date], span: Span, taxonomy: Taxonomy) -> Query:
    """Events of the touched sessions on other days, which lie within `span`."""
    first, last = span
    return templates.query(
        "staging/neighbour_events",
        params={"property": property_id, "changed_dates": list(dates), "first_date": first, "last_date": last},
        structure={"carried": [asdict(column) for column in carried_columns(taxonomy)]},
    )


def sessions(taxonomy: Taxonomy) -> Query:
    """Every session of every client whose sessions are touched."""
    rules = load_channel_rules()
    # As in GA4, a key event is known by its name: a macro-conversion that also asks for conditions names none.
    key_events = sorted(
        {
            event
            for entry in taxonomy.entries
            if taxonomy.entry(entry.counts_as).kind == "macro" and not entry.where
            for event in entry.events
        }
    )
    return templates.query(
        "staging/sessions",
        params={"key_events": key_events, "lookback_us": LOOKBACK_US, **session_params(rules)},
        structure=session_structure(rules),
    )


def moved_sessions() -> Query:
    """Untouched sessions of those clients that another actor has now."""
    return templates.query("staging/moved_sessions")


def micro_conversions(taxonomy: Taxonomy, moved: Span) -> Query:
    """Occurrences of the taxonomy's entries on the changed days and in touched and moved sessions.

    The moved sessions lie within `moved`.
    """
    columns = {(each.parameter, each.as_number): each.name for each in carried_columns(taxonomy)}
    params: dict[str, Value] = {}
    conditions = []
    for place, entry in enumerate(taxonomy.entries):
        tests = []
        for condition in entry.where:
            number = len([name for name in params if name.startswith(("text_", "texts_", "number_"))])
            operator = condition.operator
            if operator == "exists":
                operator = "exists" if condition.operand else "is_absent"
            elif operator == "any_of":
                params[f"texts_{number}"] = list(condition.any_of or ())
            elif condition.is_numeric:
                params[f"number_{number}"] = condition.operand
            else:
                params[f"text_{number}"] = condition.operand
            column = columns[condition.parameter, condition.is_numeric] if condition.parameter else None
            tests.append({"column": column, "operator": operator, "number": number})
        if tests:
            conditions.append({"entry": place, "tests": tests})
    pairs = [(event, place) for place, entry in enumerate(taxonomy.entries) for event in dict.fromkeys(entry.events)]
    counted = [taxonomy.entry(taxonomy.entries[place].counts_as) for _, place in pairs]
    params |= {
        "pair_events": [event for event, _ in pairs],
        "pair_entries": [place for _, place in pairs],
        "counts_as": [entry.id for entry in counted],
        "kinds": [entry.kind for entry in counted],
        "stages": [entry.stage for entry in counted],
        "value_rules": [
            "none" if entry.value is None else "event" if entry.value == "event" else "fixed" for entry in counted
        ],
        "fixed_values": [entry.value if isinstance(entry.value, float) else 0.0 for entry in counted],
        "first_moved": moved[0],
        "last_moved": moved[1],
    }
    return templates.query(
        "staging/micro_conversions",
        params=params,
        structure={
            "carried": [asdict(column) for column in carried_columns(taxonomy)],
            "conditions": conditions,
            "merges": any(entry.counts_as != entry.id for entry in taxonomy.entries),
        },
    )
