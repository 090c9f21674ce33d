"""Figures of two periods, day by day: the ratio, its interval, and that chance is rarely called a change."""

from __future__ import annotations

import math

import numpy as np
import pytest

from microconv.stats.paired_days import DayPair, ratio_of_periods


def test_ratio_is_of_sums_and_its_interval_of_the_spread_between_pairs():
    pairs = [DayPair(120, 1_000, 100, 1_000), DayPair(60, 500, 55, 500), DayPair(130, 1_200, 90, 1_000)]
    found = ratio_of_periods(pairs)
    assert found.ratio == pytest.approx(310 / 2_700 / (245 / 2_500))
    parts = [a / 310 - n / 2_700 - b / 245 + m / 2_500 for a, n, b, m in pairs]
    between = 3 / 2 * sum(part**2 for part in parts)
    error = math.sqrt(max(between, 1 / 310 + 1 / 245))
    # Student's t with two degrees of freedom at 97.5%.
    assert found.high == pytest.approx(found.ratio * math.exp(4.302653 * error), rel=1e-6)
    assert found.low == pytest.approx(found.ratio**2 / found.high)


def test_days_that_look_alike_do_not_make_few_events_certain():
    alike = ratio_of_periods([DayPair(3, 100, 2, 100)] * 7)
    assert alike.ratio == pytest.approx(1.5)
    assert alike.low < 1 < alike.high


def test_money_is_as_uncertain_as_the_conversions_behind_it():
    pairs = [DayPair(300.0, 1, 200.0, 1)] * 7
    few, many = (ratio_of_periods(pairs, events=(each, each)) for each in (10, 10_000))
    assert few.low < 1 < many.low


@pytest.mark.parametrize("pairs", [[], [DayPair(1, 1, 1, 1)], [DayPair(0, 1, 1, 1)] * 3, [DayPair(1, 1, 0, 1)] * 3])
def test_nothing_is_told_without_spread_or_events(pairs):
    assert ratio_of_periods(pairs) is None


def test_chance_between_days_is_called_a_change_one_time_in_twenty():
    """Weeks repeat, traffic wanders from day to day, and nothing changes."""
    random = np.random.default_rng(3)
    week = np.array([1.0, 1.1, 1.0, 0.9, 1.2, 0.6, 0.5] * 2)
    called = 0
    for _ in range(1_000):
        now, before = (random.poisson(200 * week * np.exp(random.normal(0, 0.3, 14))) for _ in range(2))
        pairs = [DayPair(*map(float, each)) for each in zip(now, np.ones(14), before, np.ones(14), strict=True)]
        called += ratio_of_periods(pairs).p_value <= 0.05
    assert 25 <= called <= 75
