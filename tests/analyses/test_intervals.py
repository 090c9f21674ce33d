"""Intervals and tests against the figures of the papers and courses that define them."""

from __future__ import annotations

from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microconv.stats.intervals import newcombe, percentile_interval, two_proportion_test, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_figures_of_newcombe_1998a(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("a", "b", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_newcombe_gives_the_figures_of_newcombe_1998b_method_10(a, b, low, high):
    assert newcombe(*a, *b) == pytest.approx((low, high), abs=5e-5)


def test_pooled_test_gives_the_figures_of_a_textbook():
    """351 of 605 against 41 of 195: Z = 8.99 (Penn State, STAT 415, lesson 9.4)."""
    assert two_proportion_test(351, 605, 41, 195).z == pytest.approx(8.99, abs=5e-3)


def test_p_value_is_two_sided():
    """38 of 100 against 102 of 200: z = -2.13, p = 0.034 with z so rounded (stattrek.com, two proportions)."""
    z, p_value = two_proportion_test(38, 100, 102, 200)

    assert z == pytest.approx(-2.13, abs=5e-3)
    assert p_value == pytest.approx(0.034, abs=1e-3)


def test_equal_proportions_show_no_difference():
    assert two_proportion_test(0, 10, 0, 7) == (0, 1)
    assert two_proportion_test(7, 7, 10, 10) == (0, 1)


@pytest.mark.parametrize("counts", [(0, 0, 1, 2), (1, 2, 0, 0), (0, 0, 0, 0)])
def test_nothing_counted_gives_nothing(counts):
    assert (newcombe(*counts), two_proportion_test(*counts), wilson(0, 0)) == (None, None, None)


COUNTS = st.integers(1, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(a=COUNTS, b=COUNTS, level=st.floats(0.5, 0.999))
def test_intervals_hold_the_estimate_and_stay_in_their_bounds(a, b, level):
    share_a, share_b = a[0] / a[1], b[0] / b[1]
    low, high = wilson(*a, level)
    assert 0 <= low <= share_a <= high <= 1
    low, high = newcombe(*a, *b, level)
    assert -1 <= low <= share_a - share_b <= high <= 1


@given(a=COUNTS, b=COUNTS)
def test_exchanging_the_groups_turns_the_sign(a, b):
    low, high = newcombe(*a, *b)

    assert newcombe(*b, *a) == pytest.approx((-high, -low), abs=1e-15)


def test_a_higher_level_is_wider():
    assert wilson(5, 10, 0.99).low < wilson(5, 10, 0.9).low


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60))
def test_percentile_interval_cuts_off_equal_tails(values):
    cuts = quantiles(values, n=40, method="inclusive")

    assert percentile_interval(values) == pytest.approx((cuts[0], cuts[-1]), rel=1e-9, abs=1e-9)


def test_percentile_interval_of_one_value_and_of_none():
    assert percentile_interval([3.5]) == (3.5, 3.5)
    assert percentile_interval([]) is None


@pytest.mark.parametrize(
    ("successes", "n"), [(float("nan"), 10), (1, float("nan")), (1, -10), (-1, 10), (5, 3), (1, 0), (1, float("inf"))]
)
def test_what_cannot_be_counted_is_refused(successes, n):
    for asked in (
        lambda: wilson(successes, n),
        lambda: newcombe(1, 2, successes, n),
        lambda: two_proportion_test(successes, n, 1, 2),
    ):
        with pytest.raises(ValueError, match="from none to all"):
            asked()


def test_an_effective_number_need_not_be_whole():
    assert wilson(2.5, 9.75).low < 2.5 / 9.75 < wilson(2.5, 9.75).high
