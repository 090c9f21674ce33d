"""Segments: the rule of the configuration reaches the rows. Row-level cases lie in tests/sql/segments."""

from __future__ import annotations

import pytest

from microconv.config.sections import SegmentConfig
from microconv.errors import TaxonomyError
from microconv.segments import members
from microconv.segments.members import Member
from microconv.taxonomy import Taxonomy, load_taxonomy
from staged_rows import DAY, IN_MEMORY, SECOND, Row, at, entry, occurrence, session, staged

TAXONOMY = load_taxonomy(preset="ecommerce", file=None)
ROWS: dict[str, list[Row]] = {
    "mc_micro_conversions": [
        occurrence(8 * DAY, "add_to_cart", client=1, actor_key=77),
        occurrence(8 * DAY, "add_to_cart", client=2),
        occurrence(9 * DAY, "purchase", client=2),
        occurrence(2 * DAY, "add_to_cart", client=3),
        occurrence(3 * DAY, "add_to_cart", client=4),
    ],
    "mc_sessions": [session(8 * DAY, 1, "Email", actor=77, user_id="u-77")],
    "mc_events": [{"event_at": at(10 * DAY)}, {"event_at": at(SECOND)}],
}


def rule(**keys: object) -> SegmentConfig:
    return SegmentConfig(name="abandoned", rule={"did": "add_to_cart", "within": "7d", **keys})


def test_members_did_the_one_and_not_the_other():
    with staged(IN_MEMORY, **ROWS) as engine:
        as_of = members.default_as_of(engine)
        found = members.members(engine, rule(not_did="purchase"), TAXONOMY, as_of)
    assert as_of == at(10 * DAY)
    assert found == (Member(4, None), Member(77, "u-77"))


def test_without_exclusion_buyers_are_members_too():
    with staged(IN_MEMORY, **ROWS) as engine:
        found = members.members(engine, rule(), TAXONOMY, at(10 * DAY))
    assert [member.actor_key for member in found] == [2, 4, 77]


def test_earlier_as_of_shows_who_was_a_member_then():
    with staged(IN_MEMORY, **ROWS) as engine:
        found = members.members(engine, rule(not_did="purchase"), TAXONOMY, at(8 * DAY))
    assert [member.actor_key for member in found] == [2, 3, 4, 77]


def test_too_few_times_is_no_member():
    with staged(IN_MEMORY, **ROWS) as engine:
        assert members.members(engine, rule(at_least=2), TAXONOMY, at(10 * DAY)) == ()


def test_nothing_staged_has_no_latest_event_and_no_members():
    with staged(IN_MEMORY) as engine:
        assert members.default_as_of(engine) is None
        assert members.members(engine, rule(), TAXONOMY, at(0)) == ()


@pytest.mark.parametrize("keys", [{"did": "add_to_kart"}, {"not_did": "purchased"}])
def test_unknown_micro_conversion_names_the_segment(keys):
    with staged(IN_MEMORY) as engine, pytest.raises(TaxonomyError, match='segment "abandoned"'):
        members.members(engine, rule(**keys), TAXONOMY, at(0))


def test_deprecated_ids_count_as_their_replacements():
    old = [
        entry("cart", deprecated="1.1", replaced_by="add_to_cart"),
        entry("order", deprecated="1.1", replaced_by="purchase"),
    ]
    taxonomy = Taxonomy("shop", "1.1", (*old, entry("add_to_cart"), entry("purchase")))
    with staged(IN_MEMORY, **ROWS) as engine:
        found = members.members(engine, rule(did="cart", not_did="order"), taxonomy, at(10 * DAY))
    assert [member.actor_key for member in found] == [4, 77]
