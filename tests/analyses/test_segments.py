"""Segments: the rule of the configuration reaches the rows. Row-level cases lie in tests/sql/segments."""

from __future__ import annotations

from datetime import datetime

import pytest

from asking import CONFIG, answer
from microconv.config.segment_settings import SegmentConfig
from microconv.engines.base import Engine
from microconv.errors import TaxonomyError
from microconv.question import Context
from microconv.segments.members import Member, members
from microconv.segments.size import Segment
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


def found(engine: Engine, asked: SegmentConfig, as_of: datetime, taxonomy: Taxonomy = TAXONOMY) -> list[Member]:
    return list(members(engine, asked, taxonomy, as_of))


def test_members_did_the_one_and_not_the_other():
    with staged(IN_MEMORY, **ROWS) as engine:
        as_of = Context(CONFIG, TAXONOMY, lambda: engine).latest_event_at
        abandoned = found(engine, rule(not_did="purchase"), as_of)
    assert as_of == at(10 * DAY)
    assert abandoned == [Member(4, None), Member(77, "u-77")]


def test_without_exclusion_buyers_are_members_too():
    with staged(IN_MEMORY, **ROWS) as engine:
        carted = found(engine, rule(), at(10 * DAY))
    assert [member.actor_key for member in carted] == [2, 4, 77]


def test_earlier_as_of_shows_who_was_a_member_then():
    with staged(IN_MEMORY, **ROWS) as engine:
        abandoned = found(engine, rule(not_did="purchase"), at(8 * DAY))
    assert [member.actor_key for member in abandoned] == [2, 3, 4, 77]


def test_too_few_times_is_no_member():
    with staged(IN_MEMORY, **ROWS) as engine:
        assert found(engine, rule(at_least=2), at(10 * DAY)) == []


def test_nothing_staged_has_no_latest_event_and_no_members():
    with staged(IN_MEMORY) as engine:
        assert Context(CONFIG, TAXONOMY, lambda: engine).latest_event_at is None
        assert found(engine, rule(), at(0)) == []


def test_who_bought_before_the_cart_is_a_member_unless_not_within_looks_that_far_back():
    rows = [occurrence(2 * DAY, "purchase", client=1), occurrence(9 * DAY, "add_to_cart", client=1)]
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:

        def keys_found(**keys: str) -> list[int]:
            asked = rule(not_did="purchase", within="14d", **keys)
            return [member.actor_key for member in found(engine, asked, at(10 * DAY))]

        assert (keys_found(), keys_found(not_within="7d"), keys_found(not_within="8d")) == ([1], [1], [])


def test_segment_says_what_undoes_and_in_what_time():
    asked = rule(not_did="purchase", not_within="3d")
    with staged(IN_MEMORY, **ROWS) as engine:
        said = answer(engine, Segment.model_validate(asked.model_dump()), TAXONOMY).assumptions
    rule_in_words = (
        "Members are actors who did add_to_cart in the last 7 days, "
        "and no purchase after that nor at any time in the last 3 days."
    )
    assert said == (
        rule_in_words,
        "What undoes counts only when it comes after; what came before does not matter.",
        "Times are looked at backwards from that moment; both ends of each are included.",
        "Occurrences with the same transaction id count once, at the earliest.",
    )


@pytest.mark.parametrize("keys", [{"did": "add_to_kart"}, {"not_did": "purchased"}])
def test_unknown_micro_conversion_names_the_segment(keys):
    with staged(IN_MEMORY) as engine, pytest.raises(TaxonomyError, match='segment "abandoned"'):
        answer(engine, Segment.model_validate(rule(**keys).model_dump()), TAXONOMY)


def test_deprecated_ids_count_as_their_replacements():
    old = [
        entry("cart", deprecated_in="1.1", replaced_by="add_to_cart"),
        entry("order", deprecated_in="1.1", replaced_by="purchase"),
    ]
    taxonomy = Taxonomy("shop", "1.1", (*old, entry("add_to_cart"), entry("purchase")))
    with staged(IN_MEMORY, **ROWS) as engine:
        abandoned = found(engine, rule(did="cart", not_did="order"), at(10 * DAY), taxonomy)
    assert [member.actor_key for member in abandoned] == [4, 77]


def test_size_counts_the_members_and_those_with_a_user_id_as_of_the_latest_event():
    question = Segment.model_validate(rule(not_did="purchase").model_dump())
    with staged(IN_MEMORY, **ROWS) as engine:
        latest = answer(engine, question, TAXONOMY)
        earlier = answer(engine, question.model_copy(update={"as_of": at(8 * DAY)}), TAXONOMY)
    assert (latest.segment, latest.as_of, latest.members, latest.with_user_id) == ("abandoned", at(10 * DAY), 2, 1)
    assert (earlier.as_of, earlier.members, earlier.with_user_id) == (at(8 * DAY), 4, 1)


def test_size_of_nothing_staged_is_zero_at_no_moment():
    with staged(IN_MEMORY) as engine:
        size = answer(engine, Segment.model_validate(rule().model_dump()), TAXONOMY)
    assert (size.as_of, size.members, size.with_user_id) == (None, 0, 0)
    assert size.sentence == "abandoned: 0 members, since no event is staged."
