"""One funnel for two selections: shares, differences and what chance would do."""

from __future__ import annotations

import pyarrow as pa
import pytest

from asking import CONFIG
from microconv.analyses.funnels.comparison import FunnelComparison, FunnelComparisonResult
from microconv.config.funnel_settings import FunnelConfig
from microconv.question import Context
from microconv.taxonomy import Taxonomy
from staged_rows import entry

TAXONOMY = Taxonomy("letters", "1.0", tuple(entry(letter) for letter in "abcd"))


def config(*steps: object, **keys: object) -> FunnelConfig:
    return FunnelConfig.model_validate({"name": "f", "steps": list(steps), **keys})


def counts(*units: int, continued: tuple[int, ...] | None = None) -> pa.Table:
    """What the template of counts returns: the steps that were taken."""
    went_on = continued or (0, *units[1:])
    rows = [
        {"step_index": number, "units": count, "continued": went_on[number - 1], "seconds_median": None}
        for number, count in enumerate(units, start=1)
        if count
    ]
    return pa.Table.from_pylist(rows)


def compared(asked: FunnelConfig, before: pa.Table, after: pa.Table) -> FunnelComparisonResult:
    question = FunnelComparison.over(asked, {"against": {"since": "2024-02-01"}, "name_a": "before", "name_b": "after"})
    return question.result([before, after], Context(CONFIG, TAXONOMY))


def test_published_difference_is_that_of_newcombe():
    asked = config("a", "b")
    row, _ = compared(asked, counts(80, 48), counts(70, 56)).steps
    assert (row.reached_a, row.of_a, row.share_a, row.share_b) == (48, 80, 0.6, 0.8)
    # Newcombe (1998), 56/70 against 48/80, method 10.
    assert (row.difference, row.low, row.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert row.p_value == pytest.approx(0.0082, abs=5e-4)


def test_each_step_is_a_share_of_the_first_and_of_the_last_that_all_must_take():
    asked = config("a", {"did": "b", "optional": True}, "c")
    found = compared(asked, counts(100, 5, 40), counts(50, 1, 20))
    assert [(row.step, row.share_of, row.of_a, row.of_b) for row in found.steps] == [
        ("b", "first", 100, 50),
        ("b", "previous", 100, 50),
        ("c", "first", 100, 50),
        ("c", "previous", 100, 50),
    ]


def test_open_funnel_compares_those_who_went_on():
    asked = config("a", "b", {"did": "c", "optional": True}, "d", entry="open")
    a = counts(10, 30, 8, 9, continued=(0, 4, 6, 8))
    found = compared(asked, a, a)
    assert [(row.step, row.share_of, row.reached_a, row.of_a) for row in found.steps] == [
        ("b", "previous", 4, 10),
        ("c", "previous", 6, 30),
    ]
    assert "may leave out the one before" in found.sentence


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ((1_000, 100), (1_000, 200), "b: after differs from before by +10.0 points (+6.9 to +13.1), more than chance"),
        ((1_000, 100), (1_000, 105), "no more than chance may explain"),
        ((0, 0), (10, 5), "cannot be compared: on one side nobody took the step that b follows"),
    ],
)
def test_sentence_says_no_more_than_the_interval(before, after, said):
    asked = config("a", "b")
    found = compared(asked, counts(*before), counts(*after))
    assert said in found.sentence


def test_what_both_sides_rest_on_is_said_once_and_what_one_side_rests_on_is_its_own():
    found = compared(config("a", "b"), counts(9, 3), counts(8, 3))
    assert found.assumptions.count("Each step follows the one before; anything may happen in between.") == 1
    days = "Paths begin from 2024-02-01 to the last staged day; later steps may lie after that."
    assert days not in found.assumptions
    assert (days in found.a.assumptions, days in found.b.assumptions) == (False, True)


def test_nobody_on_a_side_is_unknown_and_no_error():
    asked = config("a", "b")
    row = compared(asked, counts(0, 0), counts(0, 0)).steps[0]
    assert (row.share_a, row.difference, row.low, row.p_value) == (None, None, None, None)


@pytest.mark.parametrize("count", ["sessions", "attempts"])
def test_counts_of_one_actor_more_than_once_are_said_to_be_less_sure(count):
    asked = config("a", "b", count=count)
    assert any("intervals are too narrow" in each for each in compared(asked, *[counts(9, 3)] * 2).assumptions)
