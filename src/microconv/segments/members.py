"""Members: the actors that a rule holds for at one moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from microconv.config.load import find_named
from microconv.config.sections import Config
from microconv.config.segment_settings import SegmentConfig
from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.segments.compiled import compiled
from microconv.segments.propensity_rules import check_scores
from microconv.staging import properties
from microconv.taxonomy import Taxonomy

_BATCH_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Member:
    """An actor in a segment, and the `user_id` it signed in with, if it ever did."""

    actor_key: int
    user_id: str | None = field(repr=False)


def members(engine: Engine, segment: SegmentConfig, taxonomy: Taxonomy, as_of: datetime) -> Iterator[Member]:
    """Yield the actors in a segment at one moment (`sql/segments/members.sql`), by actor key.

    What happened after `as_of` does not count. Occurrences of one property with the same transaction id count once, at
    the earliest.

    Args:
        engine: Where the staged tables are.
        segment: The rule.
        taxonomy: The taxonomy the tables were staged with.
        as_of: An aware timestamp, usually that of the latest staged event.

    Raises:
        TaxonomyError: The rule names a micro-conversion or stage that the taxonomy does not have.
        ConfigError: The rule holds for everyone, or compares text with a number.
        EngineError: The engine failed.
    """
    table = engine.query(members_query(segment, taxonomy, as_of))
    for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
        yield from map(Member, batch.column("actor_key").to_pylist(), batch.column("user_id").to_pylist())


def named_members(engine: Engine, config: Config, name: str, taxonomy: Taxonomy, as_of: datetime) -> Iterator[Member]:
    """Yield the actors in the segment of that name; see `members`.

    Raises:
        UsageError: The configuration has no segment of that name.
        SourceError: The rule looks at a property that is not staged yet, or at chances that nobody scored.
        FindingsError: The chances that it looks at may not be used.
    """
    segment = find_named(config.segments, name, "segment")
    properties.check(engine, properties.of_rule(segment.rule), config, taxonomy)
    check_scores(engine, [segment.rule], taxonomy, as_of)
    return members(engine, segment, taxonomy, as_of)


def members_query(segment: SegmentConfig, taxonomy: Taxonomy, as_of: datetime | None) -> Query:
    """Return the query of a segment's members."""
    rule = compiled(segment.rule, taxonomy, as_of)
    return templates.query("segments/members", params=rule.params, structure={"rule": rule.structure})


def actors_query(as_of: datetime | None) -> Query:
    """Return the query of how many actors there were up to a moment."""
    return templates.query("segments/known_actors", params={"as_of": as_of})


def has_user_ids(engine: Engine) -> bool:
    """Tell whether any session of the staged export has a `user_id` (`sql/segments/user_ids.sql`)."""
    (row,) = engine.query(templates.query("segments/user_ids")).to_pylist()
    return bool(row["sessions"])


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the query of who signed in."""
    yield None, templates.query("segments/user_ids")
