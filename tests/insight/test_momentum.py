"""Momentum: each state means what its definition says, rates count those in a state, and thin data say so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from insight.momentum_rows import DAYS, asked, did
from microconv.analyses.insight.momentum import NEW, UNKNOWN, MomentumResult, MomentumWeeksResult
from microconv.stats.intervals import wilson
from staged_rows import Row


def comeback(actor: int, first: int, pause: int) -> Iterator[Row]:
    yield did(first, actor, "scroll")
    yield did(first + pause, actor, "scroll")


# Ten pauses: nine of three days and one of twelve. The usual pause is three days.
PAUSES = [row for actor in range(100, 109) for row in comeback(actor, 1, 3)] + list(comeback(109, 1, 12))


def states(result: MomentumResult) -> dict[str, int]:
    return {row.state: row.actors for row in result.states}


# Among them, twenty who are new and do little.
OTHERS = [*PAUSES, *(did(DAYS, actor, "scroll") for actor in range(200, 220))]


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    return states(asked(tmp_path_factory.mktemp("without"), "momentum", OTHERS))


BUSY = [did(27, 1, "scroll"), did(27, 1, "view_item", 1), did(27, 1, "add_to_cart", 2)]


@pytest.mark.parametrize(
    ("rows", "state"),
    [
        ([did(28, 1, "view_item"), did(28, 1, "purchase", 1)], "converted"),
        ([did(2, 1, "purchase")], "converted"),
        ([did(26, 1, "scroll"), did(25, 1, "scroll")], "steady"),
        ([did(25, 1, "scroll")], "steady"),
        ([did(24, 1, "scroll")], "stalled"),
        # Its own longest pause is as long as this silence.
        ([did(14, 1, "scroll"), did(21, 1, "scroll")], "steady"),
        ([did(15, 1, "scroll"), did(21, 1, "scroll")], "stalled"),
        ([did(26, 1, "add_to_cart"), did(27, 1, "abandoned_cart")], "hesitating"),
        ([did(26, 1, "add_to_cart"), did(27, 1, "abandoned_cart"), did(27, 1, "scroll", 1)], "accelerating"),
        # Time alone made it true: nobody was there.
        ([did(20, 1, "add_to_cart"), did(27, 1, "abandoned_cart")], "stalled"),
        # An event that shows hesitation is one that somebody was there for.
        ([did(20, 1, "add_to_cart"), did(27, 1, "remove_from_cart")], "hesitating"),
        (BUSY, "accelerating"),
        # New, and no faster than three quarters of all.
        ([did(28, 1, "scroll")], "steady"),
        ([did(2, 1, "scroll"), *BUSY], "accelerating"),
        # As fast as before: 6 points in the 7 days before these.
        ([*BUSY, did(20, 1, "scroll"), did(20, 1, "view_item"), did(20, 1, "add_to_cart")], "steady"),
        # 4 points before, and 1.5 times as many now.
        ([*BUSY, did(20, 1, "scroll"), did(20, 1, "add_to_cart")], "accelerating"),
        # What is done twice on a day counts once.
        ([did(28, 1, "scroll", place) for place in range(9)], "steady"),
    ],
)
def test_state_is_the_one_that_the_definition_says(
    rows: list[Row], state: str, without: dict[str, int], tmp_path: Path
):
    held = states(asked(tmp_path, "momentum", OTHERS + rows))

    assert held == without | {state: without[state] + 1}


def test_rate_is_of_those_in_the_state_a_week_before(tmp_path: Path):
    # 50 are new and busy in each of the first two weeks; 15 of each convert a week later, 5 two weeks later.
    rows = []
    for actor in range(1, 101):
        start = 1 if actor <= 50 else 8
        rows += [did(start + 6, actor, "view_item"), did(start + 6, actor, "add_to_cart", 1)]
        if actor % 50 < 15:
            rows.append(did(start + 10, actor, "purchase"))
        elif actor % 50 < 20:
            rows.append(did(start + 17, actor, "purchase"))
    rows += [did(day, 1_000 + day * 400 + each, "scroll") for day in range(1, 29) for each in range(30)]

    result = asked(tmp_path, "momentum", rows)

    fast = next(row for row in result.states if row.state == "accelerating")
    assert (fast.observed, fast.conversions, fast.rate) == (100, 30, 0.3)
    assert (fast.low, fast.high) == wilson(30, 100)
    assert result.weeks == 3
    assert "Of those who accelerated at the end of a week, 30.0% converted in the next" in result.sentence


def test_sentence_compares_those_who_hesitate_too_and_says_who_came_out_of_no_state(tmp_path: Path):
    rows = [did(day, 2_000 + day * 400 + each, "scroll") for day in range(1, 29) for each in range(30)]
    # All are new in the second week: 40 abandon a cart, 40 are busy, 8 of each convert in the third. Two buy at once.
    for actor in range(40):
        rows += [did(13, actor, "add_to_cart"), did(14, actor, "remove_from_cart")]
        rows += [did(14, 100 + actor, "view_item"), did(14, 100 + actor, "add_to_cart", 1)]
        rows += [did(16, first + actor, "purchase") for first in (0, 100) if actor < (8 if first else 16)]
    # In the week in which they were first seen, and before the earliest week ended.
    rows += [
        row for day in (3, 17) for row in (did(day, 1_000 + day, "view_item"), did(day, 1_000 + day, "purchase", 1))
    ]

    result = asked(tmp_path, "momentum", rows)

    assert "; of those who hesitated, 40.0% (95% interval: " in result.sentence
    assert any(
        each.startswith("Of 26 actors who have converted, 24 had a state at the end of the week before. The others")
        for each in result.assumptions
    )


def test_rates_below_one_percent_can_be_told_apart(tmp_path: Path):
    rows = [did(day, 2_000 + day * 400 + each, "scroll") for day in range(1, 29) for each in range(300)]
    # Their pause of 4 days is the usual one: at each of three weeks' ends, those of 5 days are steady.
    rows += [did(17, 2_000 + 13 * 400 + each, "purchase") for each in range(24)]
    result = asked(tmp_path, "momentum", rows)
    written = next(iter(result.sheets())).cells()

    steady = next(cells for cells in written if cells[0] == "steady")
    assert steady[3:8] == ["4,500", "24", "0.53%", "0.36%", "0.79%"]


def test_states_by_week_are_what_was_known_then(tmp_path: Path):
    cart = [did(1, 2, "add_to_cart"), did(2, 2, "abandoned_cart"), did(8, 2, "purchase")]
    rows = [*PAUSES, did(1, 1, "scroll"), *cart]

    result: MomentumWeeksResult = asked(tmp_path, "momentum_weeks", rows)

    weeks = sorted({week for week, _, _ in result.counts})
    assert weeks == [date(2024, 3, 7), date(2024, 3, 14), date(2024, 3, 21), date(2024, 3, 28)]
    of = {(week.day, state): actors for week, state, actors in result.counts}
    assert [of[day, "converted"] for day in (7, 14, 21, 28)] == [0, 1, 1, 1]
    assert sum(of[7, state] for state in ("accelerating", "steady", "hesitating", "stalled", "converted")) == 12
    moves = {(each.week.day, each.state_before, each.state): each for each in result.moves}
    assert moves[14, "hesitating", "converted"].actors == 1
    assert moves[28, "converted", "converted"].share == 1.0
    assert not [each for each in result.moves if each.state_before == NEW]
    assert {each.week.day for each in result.moves if each.state_before == UNKNOWN} == {7}
    # With the last days left out, the weeks before them stay as they are.
    shorter = asked(tmp_path / "shorter", "momentum_weeks", rows, until=date(2024, 3, 21))
    assert shorter.counts == tuple(each for each in result.counts if each[0].day < 28)


def test_only_actors_of_the_segment_count(tmp_path: Path):
    rows = [did(27, 1, "search"), did(27, 2, "scroll"), did(27, 3, "purchase"), did(20, 3, "search")]

    result = asked(tmp_path, "momentum", rows, segment="searchers")

    assert states(result) | {"steady": 0} == dict.fromkeys(states(result), 0) | {"converted": 1}
    assert sum(states(result).values()) == 2
    assert any("Only actors of the segment searchers" in each for each in result.assumptions)


def test_few_conversions_are_told_as_too_few_and_counted_themselves(tmp_path: Path):
    result = asked(tmp_path, "momentum", PAUSES)

    assert {row.rate for row in result.states} == {None}
    assert [row.says for row in result.states if row.observed] == ["not enough data: n = 0 conversions"] * 2
    assert "cannot be told yet: 0 conversions" in result.sentence


def test_nothing_staged_moves_nobody(tmp_path: Path):
    result = asked(tmp_path, "momentum", [])

    assert sum(states(result).values()) == 0
    assert result.sentence == "Nothing that counts is staged in these days, so nobody moves."
    assert asked(tmp_path / "weeks", "momentum_weeks", []).moves == ()
