"""Times, trend and breakdown of a funnel: figures as people get them. Row-level cases lie under tests/sql."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from asking import answer
from microconv.analyses.funnels.breakdown import Breakdown, FunnelBreakdown
from microconv.analyses.funnels.times import FunnelTimes
from microconv.analyses.funnels.trend import FunnelTrend
from microconv.config.funnel_settings import FunnelConfig
from microconv.engines.duckdb import DuckDBEngine
from microconv.errors import UsageError
from microconv.result import Result
from microconv.taxonomy import load_taxonomy
from staged_rows import DAY, IN_MEMORY, SECOND, Row, at, occurrence, session, staged

TAXONOMY = load_taxonomy(preset="ecommerce", file=None)
HOUR = 3_600 * SECOND


def config(**rules: Any) -> FunnelConfig:
    return FunnelConfig.model_validate(
        {"name": "journey", "steps": ["view_item", "add_to_cart", "purchase"], "window": "1d"} | rules
    )


def journey(client: int, *, days: int = 0, steps: int = 3, hours: int = 1, **columns: Any) -> list[Row]:
    """An actor who takes so many steps, some hours apart, in a session of their own."""
    kinds = ("view_item", "add_to_cart", "purchase")[:steps]
    return [
        occurrence(days * DAY + place * hours * HOUR, kind, client=client, session_key=client, **columns)
        for place, kind in enumerate(kinds)
    ]


def event(us: int) -> Row:
    """The latest staged event."""
    return {"property": "p", "event_date": at(us).date(), "event_at": at(us), "event_order": us}


def test_times_between_steps_with_percentiles_and_histogram():
    rows = [row for client, hours in enumerate((1, 2, 3, 10)) for row in journey(client, hours=hours)]
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        result = answer(engine, FunnelTimes.over(config(), {"pairs": [(1, 2)]}), TAXONOMY)
    (time,) = result.times
    assert (time.from_step, time.to_step, time.count) == ("view_item", "add_to_cart", 4)
    assert (time.seconds_mean, time.seconds_median) == (4 * 3_600, 2.5 * 3_600)
    assert (time.seconds_p75, time.seconds_p90) == pytest.approx((4.75 * 3_600, 7.9 * 3_600))
    last = [(bucket.at_least_seconds, bucket.below_seconds, bucket.count) for bucket in result.histogram][-3:]
    assert last == [(3_600, 10_800, 2), (10_800, 21_600, 1), (21_600, 43_200, 1)]
    assert sum(bucket.count for bucket in result.histogram) == 4


def test_times_are_from_the_first_step_and_from_the_one_before_unless_asked_otherwise():
    with staged(IN_MEMORY, mc_micro_conversions=journey(1)) as engine:
        result = answer(engine, FunnelTimes.over(config()), TAXONOMY)
    assert [(time.from_step, time.to_step, time.seconds_median) for time in result.times] == [
        ("view_item", "add_to_cart", 3_600),
        ("view_item", "purchase", 7_200),
        ("add_to_cart", "purchase", 3_600),
    ]


def test_the_sentence_on_times_names_a_single_step_where_one_was_asked_for():
    with staged(IN_MEMORY, mc_micro_conversions=journey(1)) as engine:
        usual = answer(engine, FunnelTimes.over(config()), TAXONOMY)
        whole = answer(engine, FunnelTimes.over(config(), {"pairs": [(1, 3)]}), TAXONOMY)
    assert usual.sentence.startswith("It takes longest from view_item to add_to_cart: 1 h is the median of 1 actor")
    assert whole.sentence.startswith("It takes longest from view_item to purchase: 2 h is the median of 1 actor")


@pytest.mark.parametrize("pair", [(2, 1), (1, 1), (0, 2), (1, 4)])
def test_a_pair_that_is_no_way_through_the_funnel_is_refused(pair: tuple[int, int]):
    with staged(IN_MEMORY) as engine, pytest.raises(UsageError, match="The funnel journey does not lead from step"):
        answer(engine, FunnelTimes.over(config(), {"pairs": [pair]}), TAXONOMY)


def test_trend_has_no_gaps_and_marks_what_is_not_over():
    rows = [*journey(1), *journey(2, days=2, steps=1), *journey(3, days=3, steps=1)]
    with staged(IN_MEMORY, mc_micro_conversions=rows, mc_events=[event(3 * DAY + HOUR)]) as engine:
        result = answer(engine, FunnelTrend.over(config()), TAXONOMY)
    carts = [step for step in result.steps if step.step == "add_to_cart"]
    assert [step.period_date for step in carts] == [date(2024, 3, number) for number in (1, 2, 3, 4)]
    assert [(step.entered, step.count, step.share) for step in carts] == [
        (1, 1, 1.0),
        (0, 0, None),
        (1, 0, 0),
        (1, 0, 0),
    ]
    assert [step.incomplete for step in carts] == [0, 0, 0, 1]
    assert result.sentence == "3 actors began in 3 days; from 2024-03-04 on, 1 may still go further."


def test_trend_by_week_starts_on_mondays():
    rows = [*journey(1), *journey(2, days=9)]
    with staged(IN_MEMORY, mc_micro_conversions=rows, mc_events=[event(20 * DAY)]) as engine:
        result = answer(engine, FunnelTrend.over(config(), {"grain": "week"}), TAXONOMY)
    assert list(dict.fromkeys(step.period_date for step in result.steps)) == [
        date(2024, 2, 26),
        date(2024, 3, 4),
    ]
    assert result.sentence == "2 actors began in 2 weeks; none of them may still go further."


def test_breakdown_keeps_the_most_frequent_values_and_adds_up_the_rest():
    channels = ("Direct", "Direct", "Email", "Referral", None)
    rows = [row for client, _ in enumerate(channels) for row in journey(client, steps=1 + client % 2)]
    sessions = [session(0, client, channel, actor=client) for client, channel in enumerate(channels)]
    with staged(IN_MEMORY, mc_micro_conversions=rows, mc_sessions=sessions) as engine:
        result = answer(engine, FunnelBreakdown.over(config(), {"by": "channel_group", "top": 2}), TAXONOMY)
    assert [(step.value, step.count, step.from_first) for step in result.steps if step.step == "add_to_cart"] == [
        ("Direct", 1, 0.5),
        ("(not set)", 0, 0.0),
        ("(other)", 1, 0.5),
    ]
    assert [step.count for step in result.steps if step.step == "view_item"] == [2, 1, 2]
    assert result.sentence == "The most frequent channel_group is Direct, of 2 actors; 0 of them took purchase."


def test_breakdown_by_a_property_of_a_step():
    rows = [*journey(1, page="/a"), *journey(2, page="/a"), *journey(3, page="/b", steps=2)]
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        by_cart = answer(engine, FunnelBreakdown.over(config(), {"by": "page@2"}), TAXONOMY)
        by_purchase = answer(engine, FunnelBreakdown.over(config(), {"by": "page@3"}), TAXONOMY)
    assert [(step.value, step.count) for step in by_cart.steps if step.step == "purchase"] == [("/a", 2), ("/b", 0)]
    assert [(step.value, step.count) for step in by_purchase.steps if step.step == "view_item"] == [
        ("/a", 2),
        ("(not set)", 1),
    ]


@pytest.mark.parametrize("text", ["channel_group", "actor.is_new", "page@first", "item_id@last", "value@12"])
def test_a_breakdown_is_written_as_it_is_read(text: str):
    assert str(Breakdown.parse(text)) == text


@pytest.mark.parametrize("text", ["chanel_group", "", "page@", "@first", "page@middle", "page@0", "actor.page"])
def test_what_is_no_breakdown_is_refused(text: str):
    with pytest.raises(UsageError, match="cannot break down a funnel"):
        Breakdown.parse(text)


def test_a_breakdown_by_a_step_that_is_not_there_is_refused():
    with staged(IN_MEMORY) as engine, pytest.raises(UsageError, match="names step 4"):
        answer(engine, FunnelBreakdown.over(config(), {"by": "page@4"}), TAXONOMY)


ASKED: dict[str, Callable[[DuckDBEngine, FunnelConfig], Result]] = {
    "times": lambda engine, asked: answer(engine, FunnelTimes.over(asked), TAXONOMY),
    "trend": lambda engine, asked: answer(engine, FunnelTrend.over(asked), TAXONOMY),
    "breakdown": lambda engine, asked: answer(engine, FunnelBreakdown.over(asked, {"by": "country"}), TAXONOMY),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_empty_tables_give_a_sentence_and_a_document(ask: Callable[[DuckDBEngine, FunnelConfig], Any]):
    with staged(IN_MEMORY) as engine:
        result = ask(engine, config())
    assert result.sentence.startswith("No actor ")
    assert json.loads(json.dumps(result.document(), allow_nan=False))["funnel"] == "journey"
    assert len(result.to_pandas()) == len(result.rows)


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_what_needs_an_order_of_steps_says_so(ask: Callable[[DuckDBEngine, FunnelConfig], Any]):
    with staged(IN_MEMORY) as engine, pytest.raises(UsageError, match="has no order of steps") as caught:
        ask(engine, config(order="unordered"))
    assert 'order = "ordered"' in caught.value.hint
