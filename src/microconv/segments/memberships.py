"""Memberships: who is in a segment since when, and who left it when and why. A build brings them up to a moment.

A segment is more than its rule: members stay a while (`held_for`), leave after a while (`expires_after`), stay away for
a while (`away_for`), and are in one segment of a route only. All segments are built together, in one transaction:
`sql/segments/member_changes.sql` decides, and says how.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from microconv import wording
from microconv.config.sections import Config, PushConfig
from microconv.config.segment_settings import SegmentConfig
from microconv.engines.base import AddRows, DeleteKeys, Engine, InsertScratch
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.segments.builds import REASONS, Build, SegmentBuild, changes_of_query, days_query
from microconv.segments.members import Member, members_query
from microconv.segments.membership_tables import SEGMENT_BUILDS, SEGMENT_MEMBERS, TABLES
from microconv.segments.propensity_rules import check_scores
from microconv.staging import properties
from microconv.taxonomy import Taxonomy

_BATCH_ROWS = 20_000
_MOST_SHOWN = 100
_MATCHES = "segment_matches_"
_MOVED = "moved_members"
_CHANGES = "member_changes"
_CHANGED = "changed_members"


def build(
    engine: Engine,
    config: Config,
    taxonomy: Taxonomy,
    as_of: datetime,
    run_id: str,
    *,
    now: datetime | None = None,
    on_progress: Callable[[int, int, str], None] = lambda _done, _total, _step: None,
) -> Build:
    """Bring the memberships of all segments up to a moment, in one transaction. Whoever calls holds the run lock.

    Built again for the same moment of the same data, nothing changes.

    Args:
        engine: Where the staged tables are, and the memberships.
        config: The configuration with the segments.
        taxonomy: The taxonomy the tables were staged with.
        as_of: An aware timestamp, not before that of the last build.
        run_id: The id that the build gets.
        now: The current time, unless it is that of this machine.
        on_progress: Told what is done, of how much, and the step.

    Raises:
        UsageError: The moment lies before the last build, or in the future.
        TaxonomyError: A rule names a micro-conversion that the taxonomy does not have.
        SourceError: A rule looks at a property that is not staged yet, or at chances that nobody scored.
        FindingsError: The chances that a rule looks at may not be used.
        EngineError: The engine failed; nothing was changed.
        LockedError: The lock was lost meanwhile; nothing was changed.
    """
    built_at = now or datetime.now(tz=UTC)
    found = _decide(engine, config, taxonomy, as_of, run_id, built_at, on_progress, is_preview=False)
    steps = len(config.segments) + 2
    on_progress(steps - 1, steps, "writing")
    engine.materialise(changed_query(as_of, run_id), _CHANGED)
    engine.apply(
        [
            DeleteKeys(SEGMENT_MEMBERS, "actor_key", _MOVED),
            DeleteKeys(SEGMENT_MEMBERS, "actor_key", _CHANGED),
            InsertScratch(SEGMENT_MEMBERS, _CHANGED),
            AddRows(SEGMENT_BUILDS, tuple(_row(each, found, built_at) for each in found.segments)),
        ]
    )
    engine.discard(*(f"{_MATCHES}{place}" for place in range(len(config.segments))), _MOVED, _CHANGES, _CHANGED)
    on_progress(steps, steps, "done")
    return found


def preview(
    engine: Engine,
    config: Config,
    taxonomy: Taxonomy,
    as_of: datetime,
    run_id: str,
    *,
    now: datetime | None = None,
    on_progress: Callable[[int, int, str], None] = lambda _done, _total, _step: None,
) -> Build:
    """Say what a build would change, and change nothing; see `build`. Whoever calls holds the run lock."""
    moment = now or datetime.now(tz=UTC)
    return _decide(engine, config, taxonomy, as_of, run_id, moment, on_progress, is_preview=True)


def default_moment(engine: Engine, latest: datetime, now: datetime) -> datetime:
    """Return the moment that a build is for unless one is named: that of the latest staged event.

    Where the clock of a device ran ahead it is now, and never before the last build, although days may be staged again.
    """
    built = max((row["as_of"] for row in last_builds(engine).values()), default=latest)
    return max(min(latest, now), min(built, now))


def current(engine: Engine, segment: str) -> Iterator[Member]:
    """Yield who is in a segment by the last build, by actor key; nobody where it was never built."""
    if engine.version(SEGMENT_MEMBERS.name) is not None:
        yield from _members(engine, current_query(segment))


def upcoming(engine: Engine, segment: str) -> Iterator[Member]:
    """Yield who is in a segment after the build that was previewed last in this run, by actor key."""
    yield from _members(engine, upcoming_query(segment))


def _members(engine: Engine, query: Query) -> Iterator[Member]:
    table = engine.query(query)
    for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
        yield from map(Member, batch.column("actor_key").to_pylist(), batch.column("user_id").to_pylist())


def current_query(segment: str) -> Query:
    """Return the query of who is in a segment by the last build: `actor_key` and `user_id`, by actor key."""
    return templates.query("segments/current_members", params={"segment": segment})


def upcoming_query(segment: str) -> Query:
    """Return the query of who is in a segment after the build that was previewed last."""
    return templates.query("segments/members_after", params={"segment": segment})


def last_builds(engine: Engine) -> dict[str, dict[str, Any]]:
    """Return the last build of each segment, as `mc_segment_builds` has it; none where nothing was built."""
    if engine.version(SEGMENT_BUILDS.name) is None:
        return {}
    return {row["segment"]: row for row in engine.query(templates.query("segments/last_builds")).to_pylist()}


def erasing(scratch: str) -> DeleteKeys:
    """Return the change that removes the memberships of the actors whose `actor_key` is in a scratch table."""
    return DeleteKeys(SEGMENT_MEMBERS, "actor_key", scratch)


def rule_version(segment: SegmentConfig, taxonomy: Taxonomy) -> str:
    """Fingerprint what decides whom the rule of a segment holds for: its compiled form, and the taxonomy."""
    query = members_query(segment, taxonomy, None)
    values = {name: each for name, each in query.params.items() if name != "as_of"}
    compiled = json.dumps([query.structure, values, taxonomy.fingerprint], sort_keys=True, default=_plain)
    return hashlib.sha256(compiled.encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else to_jsonable_python(value)


def in_order(segments: Sequence[SegmentConfig]) -> tuple[SegmentConfig, ...]:
    """Return segments as they are looked at: by priority, 1 first, then those without one; ties as in the file."""
    return tuple(sorted(segments, key=lambda each: (each.priority is None, each.priority or 0)))


def changes_query(
    segments: Sequence[SegmentConfig], push: PushConfig, taxonomy: Taxonomy, as_of: datetime | None
) -> Query:
    """Return the query of what a build changes, for segments in the order in which they are looked at."""
    routes: dict[str, int] = {}
    for place, each in enumerate(segments):
        routes.setdefault(_route(each), place)
    params: dict[str, Value] = {
        "as_of": as_of,
        "segments": [each.name for each in segments],
        "routes": [routes[_route(each)] for each in segments],
        "held_us": [_micros(each.held_for) for each in segments],
        "expires_us": [_micros(each.expires_after) for each in segments],
        "away_us": [_micros(each.away_for) for each in segments],
        "rule_versions": [rule_version(each, taxonomy) for each in segments],
        "at_most": push.at_most,
        "per_us": None if push.per is None else push.per.microseconds,
    }
    return templates.query("segments/member_changes", params=params, structure={"matches": len(segments)})


def changed_query(as_of: datetime, run_id: str) -> Query:
    """Return the query of all memberships of the actors that a build changes anything for."""
    return templates.query("segments/changed_members", params={"as_of": as_of, "run_id": run_id})


def _route(segment: SegmentConfig) -> str:
    """Name the route of a segment; one that has none is alone in its own."""
    return f"segment {segment.name}" if segment.route is None else f"route {segment.route}"


def _micros(length: Any) -> int:  # noqa: ANN401 - a length of time, or none
    return 0 if length is None else int(length.microseconds)


def _decide(  # noqa: PLR0917 - what a build is given
    engine: Engine,
    config: Config,
    taxonomy: Taxonomy,
    as_of: datetime,
    run_id: str,
    now: datetime,
    on_progress: Callable[[int, int, str], None],
    *,
    is_preview: bool,
) -> Build:
    """Work out what a build changes, into the scratch tables `member_changes` and `moved_members`."""
    before = last_builds(engine)
    last = max((row["as_of"] for row in before.values()), default=None)
    _check_moment(as_of, last, now)
    for table in TABLES.values():
        engine.ensure(table)
    segments = in_order(config.segments)
    steps = len(segments) + 2
    properties.check(engine, (each for one in segments for each in properties.of_rule(one.rule)), config, taxonomy)
    check_scores(engine, [each.rule for each in segments], taxonomy, as_of)
    for place, segment in enumerate(segments):
        on_progress(place, steps, f"segment {segment.name}")
        engine.materialise(members_query(segment, taxonomy, as_of), f"{_MATCHES}{place}")
    on_progress(len(segments), steps, "memberships")
    engine.materialise(templates.query("segments/moved_members"), _MOVED)
    engine.materialise(changes_query(segments, config.push, taxonomy, as_of), _CHANGES)
    counted = _counted(engine, segments, taxonomy)
    order = {each.name: place for place, each in enumerate(config.segments)}
    listed = tuple(sorted(counted, key=lambda each: order.get(each.segment, len(order))))
    return Build.of(run_id, as_of, last, listed, is_preview=is_preview)


def _counted(engine: Engine, segments: Sequence[SegmentConfig], taxonomy: Taxonomy) -> list[SegmentBuild]:
    """Count what changes, by segment; segments that the configuration no longer has are there when somebody leaves."""
    changes: dict[str, dict[str, int]] = {}
    for row in engine.query(templates.query("segments/change_counts")).to_pylist():
        changes.setdefault(row["segment"], {})[row["reason"] or row["change"]] = row["actors"]
    matching = _matching(engine, len(segments))
    after = {row["segment"]: row for row in engine.query(templates.query("segments/counts_after")).to_pylist()}
    versions = {each.name: rule_version(each, taxonomy) for each in segments}
    places = {each.name: place for place, each in enumerate(segments)}
    return [
        SegmentBuild(
            segment=name,
            matching=matching.get(places.get(name, -1), 0),
            members=after[name]["members"] if name in after else 0,
            with_user_id=after[name]["with_user_id"] if name in after else 0,
            entered=changes.get(name, {}).get("entered", 0),
            left=sum(changes.get(name, {}).get(reason, 0) for reason in REASONS),
            **{reason.replace(" ", "_"): changes.get(name, {}).get(reason, 0) for reason in REASONS},
            rule_version=versions.get(name),
        )
        for name in (*versions, *sorted(changes.keys() - versions.keys()))
    ]


def _matching(engine: Engine, segments: int) -> dict[int, int]:
    rows = engine.query(matching_query(segments)).to_pylist() if segments else []
    return {row["place"]: row["actors"] for row in rows}


def matching_query(segments: int) -> Query:
    """Return the query of how many actors the rule of each segment holds for."""
    return templates.query("segments/matching_counts", structure={"matches": segments})


def _check_moment(as_of: datetime, last: datetime | None, now: datetime) -> None:
    if as_of > now:
        raise UsageError(
            f"Segments cannot be built for {wording.second(as_of)}, which is in the future.",
            hint="Name an earlier moment with --as-of, or leave it out: the latest event decides.",
        )
    if last is not None and as_of < last:
        raise UsageError(
            f"Segments cannot be built for {wording.second(as_of)}: they were built for {wording.second(last)} "
            "already, and nobody can enter or leave before that. Nothing was changed.",
            hint=f"Name that moment or a later one: --as-of {last.isoformat()}.",
        )


def _row(each: SegmentBuild, found: Build, now: datetime) -> dict[str, Value]:
    return {
        "run_id": found.run_id,
        "segment": each.segment,
        "as_of": found.as_of,
        "built_at": now,
        "rule_version": each.rule_version,
        "matching": each.matching,
        "members": each.members,
        "with_user_id": each.with_user_id,
        "entered_members": each.entered,
        "left_members": each.left,
    }


def examples(config: Config, taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of a build, and those of what it kept."""
    segments = in_order(config.segments)
    yield None, templates.query("segments/moved_members")
    yield None, changes_query(segments, config.push, taxonomy, templates.EXAMPLE_MOMENT)
    yield None, templates.query("segments/change_counts")
    yield None, templates.query("segments/counts_after")
    yield None, changed_query(templates.EXAMPLE_MOMENT, "run")
    yield None, templates.query("segments/last_builds")
    if segments:
        yield None, matching_query(len(segments))
    for segment in config.segments:
        about = f"segment {segment.name}"
        yield about, current_query(segment.name)
        yield about, upcoming_query(segment.name)
        yield about, days_query(segment.name, config.project.timezone)
        yield about, changes_of_query(segment.name, _MOST_SHOWN)
