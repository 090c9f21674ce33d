"""Funnels: the figures, and how the configuration's steps reach them. Row-level cases lie under tests/sql."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from asking import answer
from microconv.analyses.funnels.counts import Funnel, FunnelResult
from microconv.config.funnel_settings import FunnelConfig
from microconv.config.segment_settings import SegmentConfig
from microconv.engines.base import Engine
from microconv.errors import ConfigError, TaxonomyError, UsageError
from microconv.taxonomy import Taxonomy, load_taxonomy
from staged_rows import DAY, IN_MEMORY, SECOND, entry, occurrence, staged

TAXONOMY = load_taxonomy(preset="ecommerce", file=None)
JOURNEY = ("view_item", "add_to_cart", "purchase")


def config(*steps: Any, **rules: Any) -> FunnelConfig:
    window = {} if "step_window" in rules else {"window": "1d"}
    return FunnelConfig.model_validate({"name": "journey", "steps": steps} | window | rules)


def funnel(engine: Engine, asked: FunnelConfig, taxonomy: Taxonomy, **given: Any) -> FunnelResult:
    return answer(engine, Funnel.over(asked, given), taxonomy)


def test_shares_are_of_the_step_before_and_of_the_first():
    rows = [occurrence(0, "view_item", client=client) for client in range(4)]
    rows += [occurrence(3 * SECOND, "add_to_cart", client=client) for client in range(2)]
    rows += [occurrence(9 * SECOND, "purchase", client=0)]
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        result = funnel(engine, config(*JOURNEY), TAXONOMY)
    assert [(step.step, step.count) for step in result.steps] == [("view_item", 4), ("add_to_cart", 2), ("purchase", 1)]
    assert [step.from_previous for step in result.steps] == [None, 0.5, 0.5]
    assert [step.from_first for step in result.steps] == [1.0, 0.5, 0.25]
    assert [step.seconds_median for step in result.steps] == [0.0, 3.0, 9.0]
    assert (result.funnel, result.count, result.window_seconds) == ("journey", "actors", 86_400)


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"order": "strict"},
        {"order": "unordered"},
        {"entry": "open"},
        {"count": "attempts"},
        {"step_window": "1d"},
        {"exclude": ["search"]},
    ],
)
def test_empty_tables_give_zeros_and_a_sentence(rules: dict[str, Any]):
    with staged(IN_MEMORY) as engine:
        result = funnel(engine, config(*JOURNEY, **rules), TAXONOMY)
    assert [(step.count, step.from_previous, step.from_first, step.seconds_median) for step in result.steps] == [
        (0, None, None, None)
    ] * 3
    assert result.sentence.startswith("No ")


def test_sessions_are_counted_by_themselves():
    rows = [
        occurrence(0, "view_item", session_key=1),
        occurrence(SECOND, "view_item", session_key=2),
        occurrence(2 * SECOND, "add_to_cart", session_key=2),
    ]
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        by_session = funnel(engine, config("view_item", "add_to_cart", count="sessions"), TAXONOMY)
        by_actor = funnel(engine, config("view_item", "add_to_cart"), TAXONOMY)
    assert [step.count for step in by_session.steps] == [2, 1]
    assert [step.count for step in by_actor.steps] == [1, 1]


def test_deprecated_step_counts_as_its_replacement():
    old = entry("cart_start", deprecated_in="1.1", replaced_by="add_to_cart")
    taxonomy = Taxonomy("shop", "1.1", (entry("view_item"), old, entry("add_to_cart")))
    rows = [occurrence(0, "view_item"), occurrence(SECOND, "add_to_cart")]
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        result = funnel(engine, config("view_item", "cart_start"), taxonomy)
    assert [(step.step, step.count) for step in result.steps] == [("view_item", 1), ("add_to_cart", 1)]


def test_unknown_step_names_the_funnel_and_the_nearest_id():
    with staged(IN_MEMORY) as engine, pytest.raises(TaxonomyError) as caught:
        funnel(engine, config("view_item", "add_to_kart"), TAXONOMY)
    assert 'funnel "journey"' in caught.value.message
    assert "did you mean add_to_cart" in caught.value.message


def test_a_share_is_of_the_last_step_that_nobody_may_leave_out():
    rows = [occurrence(0, "view_item", client=client) for client in range(4)]
    rows += [occurrence(SECOND, "add_to_cart", client=0)]
    rows += [occurrence(2 * SECOND, "purchase", client=client) for client in range(3)]
    steps = ("view_item", {"did": "add_to_cart", "optional": True}, "purchase")
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        closed = funnel(engine, config(*steps), TAXONOMY)
        opened = funnel(engine, config(*steps, entry="open"), TAXONOMY)
    assert [(step.count, step.from_previous) for step in closed.steps] == [(4, None), (1, 0.25), (3, 0.75)]
    # Some may have come in at the optional step: there is no whole to be a share of.
    assert [(step.count, step.from_previous) for step in opened.steps] == [(4, None), (1, 0.25), (3, None)]


def test_an_open_funnel_tells_who_came_in_from_who_went_on():
    rows = [occurrence(0, "view_item", client=1), occurrence(SECOND, "add_to_cart", client=1)]
    rows += [occurrence(0, "add_to_cart", client=2), occurrence(0, "add_to_cart", client=3)]
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        steps = funnel(engine, config("view_item", "add_to_cart", entry="open"), TAXONOMY).steps
    assert [(step.count, step.entered, step.continued) for step in steps] == [(1, 1, 0), (3, 2, 1)]
    assert [step.from_previous for step in steps] == [None, 1.0]
    assert [step.seconds_median for step in steps] == [None, 1.0]


def test_an_unordered_funnel_counts_any_steps():
    rows = [occurrence(0, "purchase"), occurrence(SECOND, "view_item")]
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        result = funnel(engine, config(*JOURNEY, order="unordered"), TAXONOMY)
    assert [(step.step, step.count) for step in result.steps] == [
        ("any 1 of 3", 1),
        ("any 2 of 3", 1),
        ("any 3 of 3", 0),
    ]


def test_attempts_in_any_order_are_refused():
    with staged(IN_MEMORY) as engine, pytest.raises(ConfigError) as caught:
        funnel(engine, config(*JOURNEY, order="unordered", count="attempts"), TAXONOMY)
    assert "nothing says which occurrence begins an attempt" in caught.value.message


def test_too_many_steps_of_one_event_in_any_order_are_refused():
    taxonomy = Taxonomy("pages", "1.0", tuple(entry(letter, events=("page_view",)) for letter in "abcdef"))
    with staged(IN_MEMORY) as engine:
        funnel(engine, config(*"abcde", order="unordered"), taxonomy)
        with pytest.raises(ConfigError, match="6 steps may be met by one event"):
            funnel(engine, config(*"abcdef", order="unordered"), taxonomy)


def test_starts_may_be_limited_to_days():
    rows = [occurrence(number * DAY, "view_item", client=number) for number in range(4)]
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:

        def starts(since: date | None, until: date | None) -> int:
            return funnel(engine, config(*JOURNEY), TAXONOMY, since=since, until=until).steps[0].count

        assert starts(date(2024, 3, 2), date(2024, 3, 3)) == 2
        assert starts(date(2024, 3, 2), None) == 3
        assert starts(None, date(2024, 3, 2)) == 2


def test_a_period_that_ends_before_it_begins_is_refused():
    with pytest.raises(UsageError, match=r"until is before since \(2024-03-02\): swap the two days"):
        Funnel.over(config(*JOURNEY), {"since": date(2024, 3, 2), "until": date(2024, 3, 1)})


def test_only_actors_of_the_segment_count_as_of_the_latest_event():
    buyers = SegmentConfig.model_validate({"name": "buyers", "rule": {"did": "purchase", "within": "1d"}})
    rows = [occurrence(0, "view_item", client=1), occurrence(SECOND, "purchase", client=1)]
    rows += [occurrence(0, "view_item", client=2)]
    late = {"property": "p", "event_date": date(2024, 3, 1), "event_at": rows[1]["event_at"], "event_order": 1}
    with staged(IN_MEMORY, mc_micro_conversions=rows, mc_events=[late]) as engine:
        result = funnel(engine, config(*JOURNEY), TAXONOMY, segment=buyers)
    assert [step.count for step in result.steps] == [1, 0, 0]
    assert "Only actors of the segment buyers as of 2024-03-01 00:00 UTC count." in result.assumptions


def test_steps_bear_their_names():
    steps = ({"did": "view_item", "name": "Looked"}, {"did": ["add_to_cart", "add_to_wishlist"]}, "purchase")
    with staged(IN_MEMORY) as engine:
        result = funnel(engine, config(*steps), TAXONOMY)
    assert [step.step for step in result.steps] == ["Looked", "add_to_cart or add_to_wishlist", "purchase"]


def test_results_become_documents_and_frames():
    with staged(IN_MEMORY, mc_micro_conversions=[occurrence(0, "view_item")]) as engine:
        result = funnel(engine, config(*JOURNEY), TAXONOMY)
    assert set(result.document()) == {
        *("funnel", "count", "order", "entry", "window_seconds", "step_window_seconds"),
        *("steps", "sentence", "assumptions"),
    }
    assert list(result.to_pandas()["count"]) == [1, 0, 0]
    assert result.sentence == "0 of 1 actor (0.0%) went from view_item to purchase within 1 day."


def test_strict_passes_over_a_repeat_that_takes_no_step_itself():
    strict = FunnelConfig.model_validate(
        {
            "name": "f",
            "steps": ["view_item", "add_to_cart", "purchase"],
            "order": "strict",
            "exclude": [{"did": "search", "between": (1, 2)}],
        }
    )
    names = ("view_item", "add_to_cart", "search", "add_to_cart", "purchase")
    rows = [occurrence(place * SECOND, name) for place, name in enumerate(names)]
    taxonomy = Taxonomy("shop", "1.0", tuple(entry(name) for name in dict.fromkeys(names)))
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        assert [step.count for step in funnel(engine, strict, taxonomy).steps] == [1, 1, 1]
