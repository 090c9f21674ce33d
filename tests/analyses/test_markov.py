"""Markov attribution: the closed form against removing each touchpoint by hand and solving the chain again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microconv.analyses.attribution import markov as module
from microconv.analyses.attribution.markov import markov
from microconv.errors import UsageError
from touch_paths import Came, came_over, paths_of

START, END = "start", "end"


def chain_by_hand(rows: Sequence[Came], order: int, self_loops: bool):
    """Count the chain as written: {state: {next state: probability}}, and the reward on leaving a state for good."""
    counts = defaultdict(lambda: defaultdict(float))
    rewards = defaultdict(lambda: np.zeros(2))
    for row in rows:
        weight = row.conversions + row.others
        if not row.steps or not weight:
            continue
        states = [START, *(row.steps[max(0, end - order) : end] for end in range(1, len(row.steps) + 1)), END]
        for state, following in pairwise(states):
            if state != following or self_loops:
                counts[state][following] += weight
        rewards[states[-2]] += (row.conversions, row.value)
    probabilities, expected = {}, {}
    for state, following in counts.items():
        total = sum(following.values())
        probabilities[state] = {name: count / total for name, count in following.items()}
        expected[state] = rewards[state] / total
    return probabilities, expected


def solve(probabilities, expected, removed: int | None = None):
    """Return the probability to convert and the expected value from the start, entries into `removed` being lost."""
    states = list(probabilities)
    matrix = np.eye(len(states))
    for row, state in enumerate(states):
        for following, probability in probabilities[state].items():
            if following != END and following[-1] != removed:
                matrix[row, states.index(following)] -= probability
    return np.linalg.solve(matrix, np.array([expected[state] for state in states]))[states.index(START)]


@settings(max_examples=150)
@given(
    rows=st.lists(came_over(4), min_size=1, max_size=8),
    order=st.sampled_from([1, 2, 3]),
    self_loops=st.booleans(),
)
def test_removal_effects_equal_removing_each_touchpoint_and_solving_again(rows, order, self_loops):
    result = markov(paths_of("abcd", *rows), order=order, self_loops=self_loops)

    probabilities, expected = chain_by_hand(rows, order, self_loops)
    if not probabilities:
        assert result.conversion_probability is None
        return
    base = solve(probabilities, expected)
    lost = np.array([base - solve(probabilities, expected, removed) for removed in range(4)])
    assert result.conversion_probability == pytest.approx(base[0], abs=1e-12)
    if base[0]:
        assert result.removal_effects == pytest.approx(lost[:, 0] / base[0], abs=1e-9)
        touched = sum(row.conversions for row in rows if row.steps)
        assert result.conversions == pytest.approx(touched * lost[:, 0] / lost[:, 0].sum(), abs=1e-9)
    if base[1]:
        value = sum(row.value for row in rows if row.steps)
        assert result.values == pytest.approx(value * lost[:, 1] / lost[:, 1].sum(), abs=1e-9)


@given(rows=st.lists(came_over(4), max_size=8), order=st.sampled_from([1, 2, 3]))
def test_credit_sums_to_the_touched_conversions_and_their_value(rows, order):
    result = markov(paths_of("abcd", *rows), order=order)

    assert result.conversions.sum() == pytest.approx(sum(row.conversions for row in rows if row.steps), abs=1e-9)
    assert result.values.sum() == pytest.approx(sum(row.value for row in rows if row.steps), abs=1e-9)


@given(rows=st.lists(came_over(3), max_size=8), order=st.sampled_from([1, 2, 3]))
def test_self_loops_change_no_credit(rows, order):
    paths = paths_of("abc", *rows)

    with_loops, without = markov(paths, order=order), markov(paths, order=order, self_loops=False)

    assert with_loops.conversions == pytest.approx(without.conversions, abs=1e-9)
    assert with_loops.removal_effects == pytest.approx(without.removal_effects, abs=1e-9)


def test_published_example_of_three_journeys():
    """C1 > C2 > C3 converts, C1 and C2 > C3 do not: removal effects 0.5, 1, 1 (Bryl, 2016)."""
    paths = paths_of(["C1", "C2", "C3"], Came((0, 1, 2)), Came((0,), 0, others=1), Came((1, 2), 0, others=1))

    result = markov(paths)

    assert result.conversion_probability == pytest.approx(1 / 3)
    assert result.removal_effects == pytest.approx([0.5, 1, 1])
    assert result.conversions == pytest.approx([0.2, 0.4, 0.4])


def test_published_example_of_counted_paths():
    """Google Ads 2, mailing 1, both 1, one Google Ads lost: P(conversion) = 0.8 (Puzyrov, 2019)."""
    paths = paths_of(["google ads", "mailing"], Came((0,), 2, others=1), Came((1,)), Came((0, 1)))

    result = markov(paths)

    assert result.conversion_probability == pytest.approx(0.8)
    assert result.removal_effects == pytest.approx([0.75, 0.5])
    assert result.conversions == pytest.approx([2.4, 1.6])


def test_higher_orders_tell_apart_what_came_before():
    """After a, b always converts; after c, never: only order 2 sees that c does nothing."""
    paths = paths_of("abc", Came((0, 1), 10), Came((2, 1), 0, others=10))

    assert markov(paths, order=1).conversions[2] > 1
    assert markov(paths, order=2).conversions == pytest.approx([5, 5, 0])


def test_value_follows_the_touchpoints_of_the_valuable_conversions():
    result = markov(paths_of("ab", Came((0,), 1, value=90), Came((1,), 1, value=10)))

    assert result.conversions == pytest.approx([1, 1])
    assert result.values == pytest.approx([90, 10])


def test_value_that_nothing_gains_follows_conversions():
    result = markov(paths_of("ab", Came((0,), 3, value=-8), Came((1,), 1, value=4)))

    assert result.values == pytest.approx([-3, -1])


def test_one_touchpoint_earns_every_touched_conversion():
    result = markov(paths_of("a", Came((0, 0), 3, value=9, others=5), Came((), 4)))

    assert (result.removal_effects, result.conversions, result.values) == ([1], [3], [9])


def test_without_conversions_there_is_no_credit():
    result = markov(paths_of("ab", Came((0, 1), 0, others=4), Came((), 2, value=7)), order=2)

    assert result.conversion_probability == 0
    assert not any([*result.removal_effects, *result.conversions, *result.values])


@pytest.mark.parametrize("rows", [(), (Came((), 3),), (Came((0,), 0),)], ids=["no_path", "untouched", "nobody"])
def test_without_journeys_there_is_no_probability(rows):
    result = markov(paths_of("ab", *rows))

    assert result.conversion_probability is None
    assert result.conversions.tolist() == [0, 0]


def test_when_every_journey_converts_removal_loses_what_passes_through():
    result = markov(paths_of("abc", Came((0, 1), 6), Came((2,), 2)))

    assert result.conversion_probability == pytest.approx(1)
    assert result.removal_effects == pytest.approx([0.75, 0.75, 0.25])


def test_an_order_that_is_not_offered_is_refused():
    with pytest.raises(UsageError, match="order 4"):
        markov(paths_of("a", Came((0,))), order=4)


def test_a_chain_with_too_many_states_is_refused_with_advice(monkeypatch):
    monkeypatch.setattr(module, "MOST_STATES", 3)
    paths = paths_of("abcd", Came((0, 1, 2, 3)))

    assert markov(paths_of("abc", Came((0, 1, 2)))).conversions == pytest.approx([1 / 3] * 3)

    with pytest.raises(UsageError, match="4 states; at most 3 can be solved") as refused:
        markov(paths)

    assert "coarser touchpoints" in refused.value.hint


def test_assumptions_name_the_order():
    paths = paths_of("a", Came((0,)))

    assert "last touchpoint alone" in markov(paths).assumptions[0]
    assert "order 3" in markov(paths, order=3).assumptions[0]
