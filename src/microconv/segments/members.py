"""Members: the actors that a rule holds for at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from microconv.config.sections import SegmentConfig, SegmentRule
from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.queries.templates import Query, Value
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
        as_of: An aware timestamp, usually that of the latest staged event.

    Raises:
        TaxonomyError: The rule names a micro-conversion that the taxonomy does not have.
        EngineError: The engine failed.
    """
    rows = engine.query(members_query(segment, taxonomy, as_of)).to_pylist()
    return tuple(Member(row["actor_key"], row["user_id"]) for row in rows)


def members_query(segment: SegmentConfig, taxonomy: Taxonomy, as_of: datetime | None) -> Query:
    """Return the query of a segment's members."""
    return templates.query("segments/members", params=rule_params(segment.rule, taxonomy, as_of))


def rule_params(rule: SegmentRule, taxonomy: Taxonomy, as_of: datetime | None) -> dict[str, Value]:
    """Return the parameters of `sql/segments/_matching.sql`: the actors that a rule holds for at a moment."""
    return {
        "did": taxonomy.counted(rule.did),
        "not_did": None if rule.not_did is None else taxonomy.counted(rule.not_did),
        "at_least": rule.at_least,
        "within_us": rule.within.microseconds,
        "as_of": as_of,
    }
