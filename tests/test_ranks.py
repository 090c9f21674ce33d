"""Ranks of drawn scores, and the order in which things are done that need each other."""

from __future__ import annotations

import numpy as np
import pytest

from microconv.stats.ranks import Rank, in_order, ranks


def test_scores_far_apart_have_a_rank_each():
    drawn = np.array([10.0, 1.0, 5.0]) + np.random.default_rng(1).normal(0, 0.1, (1_000, 3))
    assert ranks([10.0, 1.0, 5.0], drawn) == [Rank(1, 1, 1), Rank(3, 3, 3), Rank(2, 2, 2)]


def test_scores_within_their_noise_share_their_ranks():
    drawn = np.array([5.1, 5.0, 1.0]) + np.random.default_rng(1).normal(0, 1.0, (1_000, 3))
    assert ranks([5.1, 5.0, 1.0], drawn) == [Rank(1, 1, 2), Rank(2, 1, 2), Rank(3, 3, 3)]


def test_scores_that_move_together_keep_their_ranks():
    noise = np.random.default_rng(1).normal(0, 5.0, (1_000, 1))
    assert ranks([5.1, 5.0], np.array([5.1, 5.0]) + noise) == [Rank(1, 1, 1), Rank(2, 2, 2)]


def test_equal_scores_are_tied():
    assert ranks([2.0, 2.0], np.full((100, 2), 2.0)) == [Rank(1, 1, 2), Rank(2, 1, 2)]


def test_nothing_has_no_rank():
    assert ranks([], np.zeros((1, 0))) == []


@pytest.mark.parametrize(
    ("scores", "after", "order"),
    [
        ([1.0, 3.0, 2.0], [[], [], []], [1, 2, 0]),
        ([1.0, 3.0, 2.0], [[], [0], []], [0, 1, 2]),
        ([1.0, 3.0, 2.0, 0.5], [[3], [0], [], []], [3, 0, 1, 2]),
        ([1.0, 3.0, 2.0], [[], [0, 2], []], [2, 0, 1]),
        ([1.0, 2.0], [[1], [0]], [0, 1]),
    ],
)
def test_what_is_needed_comes_right_before(scores, after, order):
    assert in_order(scores, after) == order
