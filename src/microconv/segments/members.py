"""Segments: which actors a rule holds for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from microconv.config.sections import SegmentConfig
from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Member:
    """An actor in a segment, and the `user_id` it signed in with, if it ever did."""

    actor_key: int
    user_id: str | None = field(repr=False)


def members(engine: Engine, segment: SegmentConfig, taxonomy: Taxonomy, as_of: datetime) -> tuple[Member, ...]:
    """Return the actors in a segment at one moment (`sql/segments/members.sql`), by actor key.

    The rule looks at the time from `as_of` minus its `within` to `as_of`, both included. Later ones do not count.
    Occurrences of one property with the same transaction id count once.

    Args:
        engine: Where the staged tables are.
        segment: The rule.
        taxonomy: The taxonomy the tables were staged with.
        as_of: An aware timestamp; `default_as_of` gives the usual one.

    Raises:
        TaxonomyError: The rule names no micro-conversion of the taxonomy.
        EngineError: The engine failed.
    """
    rows = engine.query(members_query(segment, taxonomy, as_of)).to_pylist()
    return tuple(Member(row["actor_key"], row["user_id"]) for row in rows)


def members_query(segment: SegmentConfig, taxonomy: Taxonomy, as_of: datetime) -> Query:
    """Return the query of a segment's members; TaxonomyError when the rule names no micro-conversion."""
    rule, named_by = segment.rule, f'segment "{segment.name}"'
    return templates.query(
        "segments/members",
        params={
            "did": taxonomy.counted_id(rule.did, named_by=named_by),
            "not_did": None if rule.not_did is None else taxonomy.counted_id(rule.not_did, named_by=named_by),
            "at_least": rule.at_least,
            "within_us": rule.within.microseconds,
            "as_of": as_of,
        },
    )


def default_as_of(engine: Engine) -> datetime | None:
    """Return when the latest staged event happened (UTC), or None when nothing is staged.

    Raises:
        EngineError: The engine failed.
    """
    (row,) = engine.query(templates.query("segments/latest_event")).to_pylist()
    latest: datetime | None = row["latest_event_at"]
    return latest
