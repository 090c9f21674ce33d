"""A build brings the memberships of all segments up to a moment, or changes nothing at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from config_files import MINIMAL, problem, write
from microconv.config.load import load_config
from microconv.config.sections import PushConfig
from microconv.config.segment_settings import SegmentConfig
from microconv.engines.base import InsertScratch
from microconv.engines.duckdb import DuckDBEngine
from microconv.errors import EngineError, TaxonomyError, UsageError
from microconv.queries.templates import Query
from microconv.segments import memberships
from microconv.segments.members import Member
from microconv.segments.membership_tables import SEGMENT_BUILDS, SEGMENT_MEMBERS
from microconv.taxonomy import Taxonomy, load_taxonomy
from staged_rows import IN_MEMORY, SECOND, at, entry, fill, occurrence, session, staged

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TAXONOMY = Taxonomy("t", "1.0", (entry("view"), entry("cart")))


def segment(name: str, did: str = "cart", **keys: Any) -> SegmentConfig:
    return SegmentConfig.model_validate({"name": name, "rule": {"did": did, "within": "1h"}, **keys})


def config(*segments: SegmentConfig, **push: Any) -> Any:
    return SimpleNamespace(segments=segments, push=PushConfig.model_validate(push))


def build(engine: DuckDBEngine, given: Any, second: int, run_id: str = "r", **options: Any) -> memberships.Build:
    return memberships.build(engine, given, TAXONOMY, at(second * SECOND), run_id, now=NOW, **options)


def rows(engine: DuckDBEngine, table: Any = SEGMENT_MEMBERS) -> list[dict[str, Any]]:
    columns = ", ".join(table.column_names)
    found: list[dict[str, Any]] = engine.query(Query("rows", f"SELECT {columns} FROM {table.name}", {})).to_pylist()
    return sorted(found, key=str)


@pytest.fixture
def engine() -> Iterator[DuckDBEngine]:
    """An engine where users 20 and 21 and client 1 put something into a cart in the first second."""
    done = [occurrence(1, "cart", client=1), *(occurrence(2, "cart", client=2, actor_key=user) for user in (20, 21))]
    done[2]["event_order"] += 1
    sessions = [session(0, user, "Direct", actor=user, client_key=2, user_id=f"u{user}") for user in (20, 21)]
    with staged(IN_MEMORY, mc_micro_conversions=done, mc_sessions=sessions) as opened:
        yield opened


def test_members_are_given_by_actor_key_with_their_user_id(engine):
    assert list(memberships.current(engine, "carts")) == []

    build(engine, config(segment("carts"), segment("views", "view")), 10)

    assert list(memberships.current(engine, "carts")) == [Member(1, None), Member(20, "u20"), Member(21, "u21")]
    assert list(memberships.current(engine, "views")) == []


def test_who_left_is_no_member(engine):
    given = config(segment("carts"))
    build(engine, given, 10)
    built = build(engine, given, 4_000, "later")

    assert list(memberships.current(engine, "carts")) == []
    assert [(each.entered, each.no_longer_matches, each.members) for each in built.segments] == [(0, 3, 0)]
    assert {row["reason"] for row in rows(engine)} == {"no longer matches"}


def test_each_build_is_recorded_with_its_counts(engine):
    given = config(segment("carts"))
    build(engine, given, 10, "one")
    build(engine, given, 20, "two")

    recorded = [
        (row["run_id"], row["matching"], row["members"], row["with_user_id"], row["entered_members"])
        for row in rows(engine, SEGMENT_BUILDS)
    ]
    assert sorted(recorded) == [("one", 3, 3, 2, 3), ("two", 3, 3, 2, 0)]
    assert memberships.last_builds(engine)["carts"]["run_id"] == "two"


def test_built_again_for_the_same_moment_nothing_changes(engine):
    given = config(segment("carts", expires_after="10s"), segment("first", route="one"), segment("next", route="one"))
    build(engine, given, 10)
    build(engine, given, 20)
    before = rows(engine)
    built = build(engine, given, 20, "again")

    assert rows(engine) == before
    assert {row["reason"] for row in before if row["segment"] == "carts"} == {"expired"}
    assert not any(each.entered or each.left for each in built.segments)


def test_a_moment_before_the_last_build_is_refused_and_nothing_changes(engine):
    build(engine, config(segment("carts")), 20)
    before = rows(engine), rows(engine, SEGMENT_BUILDS)

    with pytest.raises(UsageError, match="they were built for 2024-03-01 00:00:20 UTC already") as caught:
        build(engine, config(segment("views", "view")), 19)

    assert "--as-of 2024-03-01T00:00:20+00:00" in caught.value.hint
    assert (rows(engine), rows(engine, SEGMENT_BUILDS)) == before


def test_a_moment_in_the_future_is_refused(engine):
    with pytest.raises(UsageError, match="in the future"):
        memberships.build(engine, config(segment("carts")), TAXONOMY, datetime(2026, 3, 2, tzinfo=UTC), "r", now=NOW)


def test_an_unknown_micro_conversion_changes_nothing(engine):
    build(engine, config(segment("carts")), 10)
    before = rows(engine)

    with pytest.raises(TaxonomyError):
        build(engine, config(segment("carts", "unheard_of")), 20)

    assert rows(engine) == before


def test_a_removed_segment_ends_and_comes_back_empty_handed(engine):
    build(engine, config(segment("carts"), segment("views", "view")), 10, "one")
    built = build(engine, config(segment("views", "view")), 20, "two")

    assert [(each.segment, each.removed, each.rule_version) for each in built.segments if each.left] == [
        ("carts", 3, None)
    ]
    assert built.removed == ("carts",)
    assert {(row["reason"], row["until"]) for row in rows(engine)} == {("removed", at(20 * SECOND))}
    assert build(engine, config(), 30, "three").segments == ()
    again = build(engine, config(segment("carts", away_for="15s")), 34, "four")
    assert [each.entered for each in again.segments] == [0]
    assert [each.entered for each in build(engine, config(segment("carts", away_for="15s")), 35).segments] == [3]


def test_a_failure_while_writing_changes_nothing(engine, monkeypatch):
    build(engine, config(segment("carts")), 10)
    before = rows(engine)
    applied = engine.apply

    def fails(changes: Any) -> None:
        applied([*changes[:-1], InsertScratch(SEGMENT_BUILDS, "not_there")])  # the last of the transaction

    monkeypatch.setattr(engine, "apply", fails)
    with pytest.raises(EngineError):
        build(engine, config(), 20)

    assert rows(engine) == before


def test_a_preview_counts_the_same_and_changes_nothing(engine):
    given = config(segment("carts"))
    build(engine, given, 10)
    fill(engine, mc_micro_conversions=[occurrence(3_000 * SECOND, "cart", client=5)])
    before = rows(engine), rows(engine, SEGMENT_BUILDS)

    previewed = memberships.preview(engine, given, TAXONOMY, at(4_000 * SECOND), "p", now=NOW)

    assert [(each.entered, each.left, each.members) for each in previewed.segments] == [(1, 3, 1)]
    assert (rows(engine), rows(engine, SEGMENT_BUILDS)) == before
    assert build(engine, given, 4_000, "p").segments == previewed.segments


def test_members_of_a_preview_are_those_that_a_build_leaves(engine):
    given = config(segment("carts"), segment("views", "view"))
    build(engine, given, 10)
    moved = [session(0, user, "Direct", actor=20, client_key=2, user_id="u20") for user in (20, 21)]
    fill(engine, mc_sessions=moved, mc_micro_conversions=[occurrence(3_000 * SECOND, "view", client=5)])

    memberships.preview(engine, given, TAXONOMY, at(3_601 * SECOND), "p", now=NOW)
    previewed = {name: list(memberships.upcoming(engine, name)) for name in ("carts", "views")}
    assert list(memberships.current(engine, "views")) == []
    build(engine, given, 3_601)

    assert previewed == {name: list(memberships.current(engine, name)) for name in ("carts", "views")}
    assert previewed["views"] == [Member(5, None)]


def test_unless_a_moment_is_named_a_build_is_for_the_latest_event_but_not_back_and_not_in_the_future(engine):
    assert memberships.default_moment(engine, at(5), NOW) == at(5)
    assert memberships.default_moment(engine, NOW + timedelta(days=1), NOW) == NOW
    build(engine, config(segment("carts")), 20)

    assert memberships.default_moment(engine, at(5), NOW) == at(20 * SECOND)
    assert memberships.default_moment(engine, at(21 * SECOND), NOW) == at(21 * SECOND)


def test_who_is_erased_has_no_membership_left(engine):
    given = config(segment("carts"), segment("views", "view"))
    build(engine, given, 10)
    engine.materialise(Query("keys", "SELECT 20 AS actor_key", {}), "erased")
    engine.apply([memberships.erasing("erased")])

    assert [row["actor_key"] for row in rows(engine)] == [1, 21]


def test_a_rule_version_is_that_of_rule_and_taxonomy():
    other = Taxonomy("t", "1.0", (entry("view"), entry("cart"), entry("more")))
    one = segment("carts")

    assert memberships.rule_version(one, TAXONOMY) == memberships.rule_version(
        segment("others", held_for="1d"), TAXONOMY
    )
    assert memberships.rule_version(one, TAXONOMY) != memberships.rule_version(segment("carts", "view"), TAXONOMY)
    assert memberships.rule_version(one, TAXONOMY) != memberships.rule_version(one, other)


def test_a_rule_version_is_also_that_of_the_segments_that_a_rule_refers_to(tmp_path):
    def version(within: str) -> str:
        rules = {
            "carts": f'{{ did = "add_to_cart", within = "{within}" }}',
            "both": '{ all = [{ segment = "carts" }, { did = "view_item", within = "1d" }] }',
        }
        text = "".join(f'[[segments]]\nname = "{name}"\nrule = {rule}\n' for name, rule in rules.items())
        loaded = load_config(write(tmp_path, MINIMAL + text), {})
        taxonomy = load_taxonomy(preset="ecommerce", file=None)
        return memberships.rule_version(loaded.segments[1], taxonomy)

    assert version("1d") == version("1d")
    assert version("1d") != version("2d")


def test_segments_are_looked_at_by_priority_then_as_in_the_file():
    given = [segment("a"), segment("b", priority=2), segment("c", priority=1), segment("d", priority=2), segment("e")]

    assert [each.name for each in memberships.in_order(given)] == ["c", "b", "d", "a", "e"]


SEGMENT = '[[segments]]\nname = "carts"\nrule = { did = "add_to_cart", within = "1d" }\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f'{SEGMENT}held_for = "2d"\nexpires_after = "1d"\n',
            'segments[0].expires_after = "1d" is shorter than held_for',
        ),
        (f"{SEGMENT}priority = 0\n", "segments[0].priority = 0"),
        (f'{SEGMENT}away_for = "soon"\n', 'segments[0].away_for = "soon" is not a length of time'),
        ("[push]\nat_most = 3\n", "push.at_most = 3 needs the time in which it is counted: add per"),
        ('[push]\nper = "3d"\n', 'push.per = "3d" is the time of at_most, which is not there'),
        ('[push]\nat_most = 0\nper = "3d"\n', "push.at_most = 0"),
    ],
)
def test_keys_that_cannot_be_are_refused(tmp_path, text, said):
    assert said in problem(tmp_path, MINIMAL + text)
