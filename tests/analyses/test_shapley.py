"""Shapley attribution: each game against all orders of joining, and the axioms that make it Shapley's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microconv.analyses.attribution.shapley import GAMES, MOST_PLAYERS, shapley
from microconv.errors import UsageError
from touch_paths import Came, came_over, paths_of

Worth = Callable[[frozenset[int]], float]


def rate_of(rows: Sequence[Came], members: frozenset[int]) -> float:
    exactly = [row for row in rows if row.steps and frozenset(row.steps) == members]
    journeys = sum(row.conversions + row.others for row in exactly)
    return sum(row.conversions for row in exactly) / journeys if journeys else 0.0


def best_rate_within(rows: Sequence[Came], members: frozenset[int]) -> float:
    return max([0.0, *(rate_of(rows, frozenset(row.steps)) for row in rows if members.issuperset(row.steps))])


def by_all_orders(players: Sequence[int], worth: Worth) -> dict[int, float]:
    """Return Shapley values by their definition: what each adds, averaged over all orders of joining."""
    added = dict.fromkeys(players, 0.0)
    orders = list(permutations(players))
    for order in orders:
        for place, player in enumerate(order):
            added[player] += worth(frozenset(order[: place + 1])) - worth(frozenset(order[:place]))
    return {player: total / len(orders) for player, total in added.items()}


def rate_game_by_hand(rows: Sequence[Came], touchpoints: int, worth: Worth) -> list[float]:
    credit = [0.0] * touchpoints
    for row in rows:
        if row.steps and row.conversions:
            members = frozenset(row.steps)
            for player, value in by_all_orders(sorted(members), worth).items():
                credit[player] += row.conversions * value / worth(members)
    return credit


@settings(max_examples=60)
@given(rows=st.lists(came_over(5), max_size=8))
def test_conversions_game_equals_all_orders_of_joining(rows):
    def worth(amount: str) -> Worth:
        return lambda members: sum(getattr(row, amount) for row in rows if row.steps and members.issuperset(row.steps))

    result = shapley(paths_of("abcde", *rows))

    assert result.conversions == pytest.approx(list(by_all_orders(range(5), worth("conversions")).values()), abs=1e-9)
    assert result.values == pytest.approx(list(by_all_orders(range(5), worth("value")).values()), abs=1e-9)


@settings(max_examples=60)
@given(rows=st.lists(came_over(5), max_size=8))
def test_rate_game_equals_all_orders_of_joining(rows):
    result = shapley(paths_of("abcde", *rows), game="rate")

    by_hand = rate_game_by_hand(rows, 5, lambda members: best_rate_within(rows, members))
    assert result.conversions == pytest.approx(by_hand, abs=1e-9)


@pytest.mark.parametrize("game", GAMES)
@given(rows=st.lists(came_over(6), max_size=10))
def test_credit_sums_to_the_touched_conversions_and_their_value(game, rows):
    result = shapley(paths_of("abcdef", *rows), game=game)

    assert result.conversions.sum() == pytest.approx(sum(row.conversions for row in rows if row.steps), abs=1e-7)
    assert result.values.sum() == pytest.approx(sum(row.value for row in rows if row.steps), abs=1e-7)


@pytest.mark.parametrize("game", GAMES)
@given(rows=st.lists(came_over(4), max_size=6))
def test_touchpoints_that_do_the_same_earn_the_same(game, rows):
    swapped = [row._replace(steps=tuple({0: 1, 1: 0}.get(step, step) for step in row.steps)) for row in rows]

    result = shapley(paths_of("abcd", *rows, *swapped), game=game)

    assert result.conversions[0] == pytest.approx(result.conversions[1], abs=1e-7)


@given(rows=st.lists(came_over(4), max_size=8))
def test_rate_game_gives_no_negative_credit(rows):
    assert shapley(paths_of("abcd", *rows), game="rate").conversions.min() >= -1e-9


def test_a_touchpoint_that_adds_nothing_to_any_set_earns_nothing():
    rows = (Came((0,), 2, others=8), Came((1,), 0, others=10), Came((0, 1), 4, others=16))

    assert shapley(paths_of("ab", *rows), game="rate").conversions == pytest.approx([6, 0])


def test_published_example():
    result = shapley(paths_of("ab", Came((0,), 4), Came((0, 1), 6)))

    assert result.conversions.tolist() == [7, 3]


def test_order_and_repeats_of_a_journey_do_not_count():
    once = shapley(paths_of("ab", Came((0, 1), 6)))
    often = shapley(paths_of("ab", Came((1, 0, 0, 1), 6)))

    assert once.conversions.tolist() == often.conversions.tolist() == [3, 3]


def test_a_set_that_converts_worse_than_its_part_is_worth_as_much_as_the_part():
    rows = (Came((0,), 5, others=5), Came((0, 1), 10, others=90))

    assert shapley(paths_of("ab", *rows), game="rate").conversions == pytest.approx([15, 0])


@pytest.mark.parametrize("game", GAMES)
def test_untouched_conversions_are_nobody_s(game):
    result = shapley(paths_of("ab", Came((), 9, value=9, others=1)), game=game)

    assert not any([*result.conversions, *result.values])


def test_rate_game_refuses_more_players_than_it_can_enumerate():
    names = [f"c{number}" for number in range(MOST_PLAYERS + 1)]
    all_of_them = Came(tuple(range(MOST_PLAYERS + 1)))

    assert shapley(paths_of(names, Came((0, MOST_PLAYERS))), game="rate").conversions.sum() == pytest.approx(1)
    assert shapley(paths_of(names, all_of_them)).conversions == pytest.approx([1 / 13] * 13)
    with pytest.raises(UsageError, match="at most 12; there are 13") as refused:
        shapley(paths_of(names, all_of_them), game="rate")
    assert '"conversions"' in refused.value.hint


def test_an_unknown_game_is_refused():
    with pytest.raises(UsageError, match='no Shapley game "chess"'):
        shapley(paths_of("a"), game="chess")


@pytest.mark.parametrize("game", GAMES)
def test_the_result_names_the_game(game):
    result = shapley(paths_of("a", Came((0,))), game=game)

    assert (result.game, f'"{game}"' in result.assumptions[0]) == (game, True)
