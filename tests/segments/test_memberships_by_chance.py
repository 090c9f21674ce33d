"""Builds of drawn segments, actors and moments leave the memberships that plain Python says; built again, the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from microconv.config.sections import PushConfig
from microconv.config.segment_settings import SegmentConfig
from microconv.engines.base import DeleteDays, PutRow
from microconv.engines.duckdb import DuckDBEngine
from microconv.queries.templates import Query
from microconv.segments import memberships
from microconv.segments.membership_tables import SEGMENT_MEMBERS
from microconv.staging import mc_tables
from microconv.taxonomy import Taxonomy
from searches import search
from segments.stays import Build, Memberships, Rules, Stay
from staged_rows import IN_MEMORY, SECOND, START, at, entry, occurrence, session, staged

CLIENTS, USERS = (1, 2), (20, 21)
NAMES = ("a", "b", "c")
TAXONOMY = Taxonomy("t", "1.0", tuple(entry(name) for name in NAMES))
LENGTHS = st.none() | st.integers(1, 60)
ALL_MEMBERS = Query("rows", f"SELECT {', '.join(SEGMENT_MEMBERS.column_names)} FROM mc_segment_members", {})
OWNERS = st.sampled_from([None, (20,), (21,), (20, 21)])


@dataclass(frozen=True)
class Drawn:
    """One build: how many seconds after the one before, of which segments, with which matches."""

    later: int
    segments: tuple[SegmentConfig, ...]
    matching: frozenset[tuple[str, int]]
    owners: dict[int, set[int]]


@st.composite
def segments(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = []
    for name in NAMES:
        held, expires = draw(LENGTHS), draw(LENGTHS)
        if held and expires and expires < held:
            held, expires = expires, held
        lengths = {"held_for": held, "expires_after": expires, "away_for": draw(LENGTHS)}
        found.append(
            {
                "name": name,
                **{key: f"{seconds}s" for key, seconds in lengths.items() if seconds},
                "route": draw(st.sampled_from([None, "one"])),
                "priority": draw(st.sampled_from([None, 1, 2])),
            }
        )
    return found


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Drawn], PushConfig]:
    sections = draw(segments())
    builds = []
    for _ in range(draw(st.integers(1, 6))):
        owned = {client: draw(OWNERS) for client in CLIENTS}
        owners = {client: set(users or (client,)) for client, users in owned.items()}
        actors = sorted({actor for found in owners.values() for actor in found})
        there = (
            draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=3))
            if draw(st.integers(0, 3)) == 0
            else list(NAMES)
        )
        changed = draw(st.sampled_from([None, None, *NAMES]))
        chosen = tuple(
            SegmentConfig.model_validate(
                {
                    **section,
                    "rule": {
                        "did": section["name"],
                        "within": "1s",
                        "at_least": 2 if section["name"] == changed else 1,
                    },
                }
            )
            for section in sections
            if section["name"] in there
        )
        matching = draw(st.frozensets(st.tuples(st.sampled_from(NAMES), st.sampled_from(actors))))
        builds.append(Drawn(draw(st.integers(0, 40)), chosen, matching, owners))
    most = draw(st.none() | st.tuples(st.integers(1, 2), st.integers(1, 60)))
    return builds, PushConfig() if most is None else PushConfig.model_validate(
        {"at_most": most[0], "per": f"{most[1]}s"}
    )


def stage(engine: DuckDBEngine, drawn: Drawn, moment: int) -> None:
    """Stage who owns each client, and at this moment what each actor matches by."""
    rows = []
    for client, owners in drawn.owners.items():
        for place in range(2):  # the same two sessions each time, of one owner or of two
            actor = sorted(owners)[place % len(owners)]
            user = f"u{actor}" if actor in USERS else None
            rows.append(session(moment, client * 10 + place, "Direct", actor=actor, client_key=client, user_id=user))
    client_of = {actor: client for client, owners in drawn.owners.items() for actor in owners}
    done = [
        occurrence(moment * SECOND, name, client=client_of[actor], actor_key=actor, place=2 * actor + place)
        for name, actor in drawn.matching
        for place in range(2)
    ]
    engine.apply(
        [
            DeleteDays(mc_tables.MICRO_CONVERSIONS, "p", (START.date(),)),
            *(PutRow(mc_tables.SESSIONS, row) for row in rows),
            *(PutRow(mc_tables.MICRO_CONVERSIONS, row) for row in done),
        ]
    )


def kept(engine: DuckDBEngine) -> list[str]:
    return sorted(map(repr, engine.query(ALL_MEMBERS).to_pylist()))


def utc(us: int) -> datetime:
    return at(us).astimezone(ZoneInfo("UTC"))  # as the engine gives it


def rows(stays: list[Stay]) -> list[str]:
    return sorted(
        repr(
            {
                "segment": stay.segment,
                "actor_key": stay.actor,
                "user_id": f"u{stay.actor}" if stay.actor in USERS else None,
                "since": utc(stay.since * SECOND),
                "until": None if stay.until is None else utc(stay.until * SECOND),
                "rule_version": stay.version,
                "run_id": stay.run,
                "reason": stay.reason,
            }
        )
        for stay in stays
    )


@search(7, 100)
@given(histories())
def test_builds_leave_the_memberships_that_plain_python_says(history):
    drawn, push = history
    expected = Memberships([])
    moment = 0
    with staged(IN_MEMORY) as engine:
        for number, each in enumerate(drawn):
            moment += each.later
            stage(engine, each, moment)
            config: Any = SimpleNamespace(segments=each.segments, push=push)
            built = memberships.build(
                engine, config, TAXONOMY, at(moment * SECOND), f"r{number}", now=at(10_000 * SECOND)
            )
            found = kept(engine)

            rules = [
                Rules(
                    one.name,
                    memberships.rule_version(one, TAXONOMY),
                    *(length and length.seconds for length in (one.held_for, one.expires_after, one.away_for)),
                    one.route,
                )
                for one in memberships.in_order(each.segments)
            ]
            matching = {name: {actor for did, actor in each.matching if did == name} for name in NAMES}
            most = None if push.at_most is None or push.per is None else (push.at_most, push.per.seconds)
            expected.build(Build(moment, f"r{number}", rules, matching, most), each.owners)
            assert found == rows(expected.stays)
            assert {one.segment: one.members for one in built.segments} == {
                name: sum(stay.is_open for stay in expected.stays if stay.segment == name)
                for name in {one.segment for one in built.segments}
            }

            again = memberships.build(engine, config, TAXONOMY, at(moment * SECOND), "again", now=at(10_000 * SECOND))
            assert kept(engine) == found
            assert not any(one.entered or one.left for one in again.segments)
