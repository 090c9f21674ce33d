"""Which content leads to a goal: planted differences are told, chance and thin data are not."""

from __future__ import annotations

from typing import Any

import pytest

from microconv.analyses.insight.content import CHANCE, LESS, MORE, ON_PATH, ContentOutcome, _outcomes


def counted(goal: str = "buy", **contents: tuple[int, int]) -> list[dict[str, Any]]:
    total = [sum(each[place] for each in contents.values()) for place in (0, 1)]
    return [
        {
            "content": name,
            "goal": goal,
            "actors": actors,
            "reached": reached,
            "all_actors": total[0],
            "all_reached": total[1],
            "everybody_reached": total[1],
            "contents": len(contents),
        }
        for name, (actors, reached) in contents.items()
    ]


def told(rows: list[dict[str, Any]]) -> dict[str, ContentOutcome]:
    return {row.content: row for row in _outcomes(rows, ["buy"], may_be_on_path=True)["buy"]}


def test_content_is_held_against_the_others_of_its_kind():
    rows = told(counted(good=(1_000, 100), usual=(2_000, 100), bad=(1_000, 10)))

    assert {name: row.says for name, row in rows.items()} == {"good": MORE, "usual": CHANCE, "bad": LESS}
    assert rows["good"].rate == pytest.approx(0.1)
    assert rows["good"].other_rate == pytest.approx(110 / 3_000)
    assert rows["good"].ratio == pytest.approx(0.1 / (110 / 3_000))


def test_largest_ratio_of_few_is_drawn_to_the_others():
    rows = told(counted(few=(40, 4), one=(2_000, 100), two=(2_000, 100), three=(2_000, 98)))

    few = rows["few"]
    assert few.says == CHANCE
    assert few.ratio is not None
    assert few.shrunken is not None
    assert 1 <= few.shrunken < few.ratio


def test_page_that_all_pass_is_on_the_path():
    rows = counted(cart=(200, 98), other=(2_000, 100))
    for row in rows:
        row["everybody_reached"] = 100

    found = told(rows)
    assert found["cart"].says == ON_PATH
    assert found["cart"].ratio is None


def test_few_who_saw_it_and_few_goals_are_not_enough_data():
    assert told(counted(few=(29, 5), other=(900, 40)))["few"].says == "not enough data: n = 29 saw it"
    row = told(counted(one=(900, 9), other=(900, 10)))["one"]
    assert row.says == "not enough data: n = 19 reached buy"
    assert row.rate is None
