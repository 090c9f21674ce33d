"""The queries of staging: raw shards -> events -> sessions -> micro-conversions, for one batch of changed days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from microconv.config.sections import Config
from microconv.engines.base import RAW_EVENTS
from microconv.exports import WHOLE_EXPORT, ShardSchema
from microconv.queries import templates
from microconv.queries.conditions import Operands
from microconv.queries.templates import Query, Value
from microconv.staging import derived_occurrences, mc_tables, own_hosts, profile
from microconv.staging.condition_groups import as_structure, condition_groups
from microconv.staging.mc_tables import SHARDS
from microconv.staging.own_hosts import OwnHosts
from microconv.staging.rules import Rules
from microconv.staging.traffic import load_channel_rules, session_params, session_structure
from microconv.taxonomy import Taxonomy

LOOKBACK_US = 90 * 24 * 60 * 60 * 1_000_000
"""How long a non-direct source outlives its session: GA4's 90 days."""

# Names of the scratch tables of one batch, as the templates call them.
CHANGED_EVENTS = "changed_events"
TOUCHED_SESSIONS = "touched_sessions"
NEIGHBOUR_EVENTS = "neighbour_events"
MOVED_SESSIONS = "moved_sessions"
PAGE_HOSTS = "page_hosts"
PROFILE = "profile"
SESSIONS = "sessions"
MICRO_CONVERSIONS = "micro_conversions"
SIGNALS = "signals"

OF_A_BATCH = frozenset(
    {
        RAW_EVENTS,
        CHANGED_EVENTS,
        PAGE_HOSTS,
        PROFILE,
        TOUCHED_SESSIONS,
        NEIGHBOUR_EVENTS,
        MOVED_SESSIONS,
        SESSIONS,
        MICRO_CONVERSIONS,
        SIGNALS,
        derived_occurrences.ACTORS,
        derived_occurrences.INGREDIENTS,
        derived_occurrences.SESSION_STARTS,
    }
)
"""Relations that are there only while a sync runs."""

Span = tuple["date | None", "date | None"]
"""First and last day of some sessions; None where there are none."""


def events(property_id: str, schema: ShardSchema, rules: Rules, *, is_provisional: bool) -> Query:
    """Flat events of `raw_events`, which holds shards of this schema; one extra column, `copies`."""
    params: dict[str, Value] = {
        "property": property_id,
        "is_provisional": is_provisional,
        **_ranks(rules.taxonomy),
        **{
            f"carried_{place}": each.name
            for place, each in enumerate(rules.of_events)
            if each.kind == "parameter" or (each.kind == "user_property" and "user_properties.key" in schema.leaves)
        },
    }
    return templates.query(
        "staging/events",
        params=params,
        structure={**schema.structure, "has_patterns": "patterns" in params, **rules.structure},
    )


def _ranks(taxonomy: Taxonomy) -> dict[str, Value]:
    """The ranks of events, as templates take them that put those of one instant in order."""
    ranks, patterns = taxonomy.event_ranks(), taxonomy.pattern_ranks()
    ranked = sorted(ranks, key=lambda name: (ranks[name], name))
    if not patterns:
        return {"ranked_events": ranked}
    return {
        "ranked_events": ranked,
        "event_ranks": [ranks[name] for name in ranked],
        "patterns": list(patterns),
        "pattern_ranks": list(patterns.values()),
    }


def events_again(property_id: str, dates: Sequence[date], rules: Rules) -> Query:
    """The staged events of some days, in the order that the taxonomy gives them now; one extra column, `was_order`."""
    ranks = _ranks(rules.taxonomy)
    return templates.query(
        "staging/events_again",
        params={
            "property": property_id,
            "dates": list(dates),
            "first_date": min(dates),
            "last_date": max(dates),
            **ranks,
        },
        structure={"has_patterns": "patterns" in ranks, **rules.structure},
    )


def moved_events() -> Query:
    """How many of these events have another place now."""
    return templates.query("staging/moved_events")


def shards_of_days(property_id: str, dates: Sequence[date]) -> Query:
    """All that mc_shards says about some days."""
    return templates.query(
        "staging/shards_of_days",
        params={"property": property_id, "dates": list(dates)},
        structure={"columns": list(SHARDS.column_names)},
    )


def staged_shards(columns: Sequence[str] = SHARDS.column_names) -> Query:
    """The state of every staged day, from the columns that mc_shards has."""
    return templates.query("staging/staged_shards", structure={"columns": list(columns)})


def staged_days() -> Query:
    """Rows, duplicates and consent-less rows of each changed day."""
    return templates.query("staging/staged_days")


def page_hosts(property_id: str) -> Query:
    """The hosts of the pages of the changed days."""
    return templates.query("staging/page_hosts", params={"property": property_id})


def hosts_of_property(property_id: str, dates: Sequence[date]) -> Query:
    """The hosts of a property's pages, before and after the changed days are replaced."""
    return templates.query("staging/own_hosts", params={"property": property_id, "changed_dates": list(dates)})


def touched_sessions(property_id: str, dates: Sequence[date], own: OwnHosts) -> Query:
    """Sessions with an event on a changed day, before or after, and those whose referrer is in another standing now."""
    params: dict[str, Value] = {"property": property_id, "changed_dates": list(dates)}
    if own.changed is not None:
        params["changed_hosts"] = own.changed
    return templates.query(
        "staging/touched_sessions", params=params, structure={"hosts_changed": own.changed is not None}
    )


def session_span(property_id: str, chosen: str) -> Query:
    """The days between which the sessions of a scratch table lie, as staged."""
    return templates.query("staging/session_span", params={"property": property_id}, structure={"chosen": chosen})


def neighbour_events(property_id: str, dates: Sequence[date], span: Span, rules: Rules) -> Query:
    """Events of the touched sessions on other days, which lie within `span`."""
    first, last = span
    return templates.query(
        "staging/neighbour_events",
        params={"property": property_id, "changed_dates": list(dates), "first_date": first, "last_date": last},
        structure=rules.structure,
    )


def sessions(taxonomy: Taxonomy, own: OwnHosts) -> Query:
    """Every session of every client whose sessions are touched; no own host is a source of them."""
    rules = load_channel_rules()
    # As in GA4, a key event is known by its name: a macro-conversion that also asks for conditions names none.
    goals = [entry for entry in taxonomy.entries if taxonomy.entry(entry.counts_as).kind == "macro" and not entry.where]
    patterns = sorted({entry.event_pattern.matches for entry in goals if entry.event_pattern})
    params: dict[str, Value] = {"key_events": sorted({event for entry in goals for event in entry.events})}
    if patterns:
        params["key_pattern"] = "|".join(f"(?:{pattern})" for pattern in patterns)
    return templates.query(
        "staging/sessions",
        params={
            **params,
            "lookback_us": LOOKBACK_US,
            "own_hosts": own.pattern,
            **session_params(rules),
        },
        structure={**session_structure(rules), "has_key_pattern": bool(patterns)},
    )


def moved_sessions() -> Query:
    """Untouched sessions of those clients that another actor has now."""
    return templates.query("staging/moved_sessions")


def micro_conversions(rules: Rules, moved: Span, *, of_signals: bool = False) -> Query:
    """Occurrences of the taxonomy's entries, or of its signals, on the changed days and in touched and moved sessions.

    The moved sessions lie within `moved`.
    """
    taxonomy = rules.taxonomy
    entries = taxonomy.signals if of_signals else taxonomy.entries
    by_id = {entry.id: entry for entry in entries}
    places = {entry.id: place for place, entry in enumerate(entries)}
    groups = condition_groups(entries)
    group_of = {entry.id: number for number, group in enumerate(groups, start=1) for entry in group}
    operands = Operands()
    asked = [as_structure(group, places, operands) for group in groups]
    # Names first, then patterns, which the query tells by their place.
    pairs = [(event, entry) for entry in entries for event in dict.fromkeys(entry.events)]
    first_pattern = len(pairs)
    pairs += [(entry.event_pattern.matches, entry) for entry in entries if entry.event_pattern]
    counted = [by_id[entry.counts_as] for _, entry in pairs]
    params: dict[str, Value] = {
        **operands.params,
        "pair_events": [event for event, _ in pairs],
        "pair_entries": [places[entry.id] for _, entry in pairs],
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
    collapses = any(entry.collapse for entry in counted)
    if collapses:
        params["collapses_us"] = [entry.collapse.microseconds if entry.collapse else 0 for entry in counted]
    if groups:
        params["pair_groups"] = [group_of.get(entry.id, 0) for _, entry in pairs]
    if first_pattern < len(pairs):
        params["first_pattern"] = first_pattern
    return templates.query(
        "staging/micro_conversions",
        params=params,
        structure={
            **rules.structure,
            "properties": [each.column for each in rules.carried],
            "groups": asked,
            "has_patterns": first_pattern < len(pairs),
            "merges": any(entry.counts_as != entry.id for entry in entries),
            "collapses": collapses,
            "staged": mc_tables.SIGNALS.name if of_signals else mc_tables.MICRO_CONVERSIONS.name,
        },
    )


# What is known only when a query runs.
_EXAMPLE_DAY = templates.EXAMPLE_MOMENT.date()
_EXAMPLE_SPAN = (_EXAMPLE_DAY, _EXAMPLE_DAY)
_EXAMPLE_HOSTS = OwnHosts(own_hosts.NOBODY, own_hosts.NOBODY)


def examples(config: Config, taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of a sync of one day, each with what it is for; raw events have every column."""
    rules = Rules.of(config, taxonomy)
    for label in dict.fromkeys(source.property for source in config.sources):
        yield from (
            (f"property {label}", query)
            for query in (
                events(label, WHOLE_EXPORT, rules, is_provisional=False),
                *([profile.query(label, WHOLE_EXPORT)] if rules.is_profiled else []),
                page_hosts(label),
                hosts_of_property(label, [_EXAMPLE_DAY]),
                touched_sessions(label, [_EXAMPLE_DAY], _EXAMPLE_HOSTS),
                session_span(label, TOUCHED_SESSIONS),
                neighbour_events(label, [_EXAMPLE_DAY], _EXAMPLE_SPAN, rules),
                events_again(label, [_EXAMPLE_DAY], rules),
                shards_of_days(label, [_EXAMPLE_DAY]),
            )
        )
    yield from (
        (None, query)
        for query in (
            staged_shards(),
            staged_days(),
            moved_events(),
            sessions(taxonomy, _EXAMPLE_HOSTS),
            moved_sessions(),
            micro_conversions(rules, _EXAMPLE_SPAN),
            *([micro_conversions(rules, _EXAMPLE_SPAN, of_signals=True)] if taxonomy.signals else []),
            templates.query("staging/carried_days"),
            templates.query("staging/table_rows"),
        )
    )
    yield from derived_occurrences.examples(rules, list(dict.fromkeys(source.property for source in config.sources)))
