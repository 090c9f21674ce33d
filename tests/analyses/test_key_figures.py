"""What changed: the days that are held against each other, what is called a change, and what is not told."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest

from every_question import CONFIG
from microconv.analyses.key_figures import CHANCE, DOWN, UP, Changes, ChangesResult
from microconv.question import Context
from microconv.taxonomy import load_taxonomy

TAXONOMY = load_taxonomy(preset="ecommerce", file=None)
FIRST = date(2024, 3, 4)
WOBBLE = (0, 3, -2, 1, -1, 2, -3)


def changes(numbers: dict[str, tuple[int, int]], *, length: int = 14, lacking: set[int] = frozenset(), **asked: Any):
    """The result for figures that are so large before, and so large in the last `length` days."""
    days = [FIRST + timedelta(days=number) for number in range(2 * length)]
    figures = {
        "(sessions)": (1_000, 1_000),
        "(engaged_sessions)": (600, 600),
        "(actors)": (900, 900),
        "(value)": (0, 0),
    }
    figures |= dict.fromkeys({each.counts_as for each in TAXONOMY.staged}, (0, 0)) | numbers
    rows = [
        {
            "event_date": day,
            "figure": figure,
            "number": max(size[place >= length] + (WOBBLE[place % 5] if min(size) > 5 else 0), 0),
        }
        for place, day in enumerate(days)
        if place not in lacking
        for figure, size in figures.items()
    ]
    context = Context(CONFIG, TAXONOMY)
    object.__setattr__(context, "look_up", lambda _: [{"first_date": days[0], "last_complete_date": days[-1]}])
    schema = pa.schema([("event_date", pa.date32()), ("figure", pa.string()), ("number", pa.int64())])
    return Changes(**asked).result((pa.Table.from_pylist(rows, schema=schema),), context)


def found(result: ChangesResult) -> dict[str, str]:
    return {row.figure: row.says for row in result.changes}


def test_moves_are_told_and_days_that_differ_anyway_are_not():
    result = changes({"view_item": (300, 300), "add_to_cart": (100, 160), "purchase": (60, 30)})
    says = found(result)
    assert (says["view_item"], says["add_to_cart"], says["purchase"]) == (CHANCE, UP, DOWN)
    (purchase,) = (row for row in result.changes if row.figure == "purchase")
    assert purchase.change == pytest.approx(-0.5, abs=0.01)
    assert purchase.low < purchase.change < purchase.high < 0
    assert result.sentence.startswith(
        "18 to 31 March 2024 against the 14 days before: share of actors with purchase -5"
    )


def test_goal_is_not_drowned_by_the_number_of_entries():
    others = {each.counts_as: (100, 100) for each in TAXONOMY.staged}
    moved = {"purchase": (30, 37), "view_item": (30, 37)}
    result = changes(others | moved)
    rows = {row.figure: row for row in result.changes}

    # The same move: the goal is one of five that anybody asks about, the other one of as many as there are entries.
    assert (rows["purchase"].says, rows["view_item"].says) == (UP, CHANCE)
    assert rows["purchase"].p_value < rows["view_item"].p_value / 10
    assert rows["sessions"].says == CHANCE


def test_shares_are_told_apart_from_numbers_in_the_sentence():
    moved = {
        "purchase": (60, 30),
        "add_to_cart": (100, 160),
        "(sessions)": (1_000, 1_300),
    }
    said = changes(moved).sentence
    assert "share of actors with purchase -" in said
    assert ", sessions +" in said
    assert " share of engaged sessions -" in said
    still = changes({"purchase": (60, 60)}).sentence
    assert ": share of actors with purchase changed no more than days differ by anyway" in still


def test_interval_is_said_to_be_of_each_figure_by_itself_and_what_is_said_to_be_corrected():
    others = {each.counts_as: (100, 100) for each in TAXONOMY.staged}
    result = changes(others | {"view_item": (30, 37)})
    (row,) = (each for each in result.changes if each.figure == "view_item")
    assert row.low > 0
    assert row.says == CHANCE
    assert any("by itself, not corrected. What it says is corrected" in each for each in result.assumptions)


def test_few_occurrences_are_not_held_against_each_other():
    says = found(changes({"view_item": (300, 300), "purchase": (0, 0), "search": (0, 1)}))
    assert says["search"].startswith("not enough data: n = ")
    assert "purchase" not in says


def test_fewer_than_seven_days_are_not_enough():
    assert set(found(changes({"purchase": (60, 30)}, length=5, days=5)).values()) == {
        "not enough days: 5, at least 7 are needed"
    }


def test_missing_day_is_left_out_with_the_one_it_would_be_held_against():
    result = changes({"purchase": (60, 30)}, lacking={3})
    assert result.days == 13
    assert result.left_out == (FIRST + timedelta(days=3),)
    assert any("7 March 2024" in each for each in result.assumptions)


def test_part_of_a_week_is_said_to_be_one():
    said = changes({"purchase": (60, 60)}, length=10, days=10).assumptions
    assert any("not whole weeks" in each for each in said)
    assert not any("not whole weeks" in each for each in changes({"purchase": (60, 60)}).assumptions)


def test_days_asked_for_are_held_against_as_many_before():
    asked = Changes(since=date(2024, 3, 18), until=date(2024, 3, 24))
    context = Context(CONFIG, TAXONOMY)
    object.__setattr__(
        context, "look_up", lambda _: [{"first_date": date(2024, 1, 1), "last_complete_date": date(2024, 3, 31)}]
    )
    (query,) = asked.queries(context)
    assert (query.params["first_date"][1], query.params["last_date"][1]) == (date(2024, 3, 11), date(2024, 3, 24))
