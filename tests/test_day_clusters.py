"""Figures over days: intervals are wide enough for what goes together on a day, and a level that lasts is seen."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from scipy.stats import t

from microconv.stats.day_clusters import (
    DayCount,
    mean_over_days,
    rate_over_days,
    ratio_over_days,
    share_over_days,
)
from microconv.stats.intervals import wilson
from microconv.stats.ratios import rate_interval

FIRST = date(2026, 1, 1)


def counts(pairs: list[tuple[float, float]]) -> list[DayCount]:
    return [DayCount(FIRST + timedelta(days=place), *pair) for place, pair in enumerate(pairs)]


def test_share_of_one_day_has_the_interval_of_wilson():
    found = share_over_days(counts([(30, 100)]))
    plain = wilson(30, 100)

    assert found is not None
    assert plain is not None
    assert (found.low, found.high) == pytest.approx(plain)
    assert (found.value, found.design_effect) == (0.3, 1.0)


def test_rate_of_one_day_has_the_exact_interval_of_poisson():
    found = rate_over_days(counts([(4, 200)]))

    assert found is not None
    assert (found.low, found.high) == pytest.approx(rate_interval(4, 200))


def test_days_that_differ_widen_the_interval_by_their_successive_differences():
    """By hand: residuals -20, 20, -20, 20; squares of differences 3 * 1600; variance 4 * 4800 / 2 / 3 = 3200."""
    found = share_over_days(counts([(10, 100), (50, 100), (10, 100), (50, 100)]))

    assert found is not None
    assert found.value == 0.3
    assert found.design_effect == pytest.approx(3200 / (400 * 0.3 * 0.7))


def test_days_that_are_all_alike_never_make_an_interval_narrower_than_chance_within_days():
    found = share_over_days(counts([(30, 100)] * 28))
    plain = wilson(30 * 28, 2800)

    assert found is not None
    assert plain is not None
    assert found.design_effect == 1.0
    assert found.low < plain.low < plain.high < found.high


def test_a_level_that_lasts_is_the_figure_and_no_chance():
    """Three weeks at 20%, then a week at 60%: the mean of 30% is known well, and is beyond 25%."""
    found = share_over_days(counts([(200, 1000)] * 21 + [(600, 1000)] * 7))

    assert found is not None
    assert found.low > 0.25


def test_nothing_seen_says_how_much_there_may_be():
    found = rate_over_days(counts([(0, 100)] * 10))

    assert found is not None
    assert (found.value, found.low) == (0.0, 0.0)
    assert 3.688 / 1000 < found.high < 2 * 3.688 / 1000  # Garwood's upper end of 0 events is 3.6889


def test_mean_of_daily_values_by_hand():
    """Differences 1, 1, -2, 1; variance of the mean 5 * 7 / 2 / 4 / 25; 32 / 11 degrees of freedom."""
    found = mean_over_days([(FIRST + timedelta(days=n), value) for n, value in enumerate([1.0, 2.0, 3.0, 1.0, 2.0])])

    assert found is not None
    assert found.value == pytest.approx(1.8)
    assert found.high - found.value == pytest.approx(t.ppf(0.975, 32 / 11) * (5 * 7 / 2 / 4) ** 0.5 / 5)


def test_ratio_of_amounts_needs_two_days():
    assert ratio_over_days(counts([(1.5, 10)])) is None
    assert mean_over_days([]) is None


def test_ratios_of_days_that_are_all_alike_are_not_told():
    assert ratio_over_days(counts([(0.1, 3), (0.2, 6), (0.3, 9)])) is None
    assert mean_over_days([(FIRST + timedelta(days=n), 2.5) for n in range(9)]) is None
    assert mean_over_days([(FIRST + timedelta(days=n), -3.0) for n in range(9)]) is None


@pytest.mark.parametrize("estimate", [share_over_days, rate_over_days, ratio_over_days])
def test_no_units_is_no_figure(estimate):
    assert estimate(counts([(0, 0), (0, 0)])) is None


def _of_the_day(rng: np.random.Generator, days: int) -> tuple[list[DayCount], float]:
    """Bounces of days that differ by more than chance."""
    shares = np.clip(rng.normal(0.4, 0.05, days), 0.01, 0.99)
    sessions = rng.poisson(300, days)
    pairs = zip(rng.binomial(sessions, shares).tolist(), sessions.tolist(), strict=True)
    return counts(list(pairs)), 0.4


def _in_heaps(rng: np.random.Generator, days: int) -> tuple[list[DayCount], float]:
    """Errors of which one person has about five."""
    sessions = rng.poisson(300, days)
    errors = rng.poisson(rng.gamma(sessions * 0.02 / 5, 5))
    return counts(list(zip(errors.tolist(), sessions.tolist(), strict=True))), 0.02


@pytest.mark.parametrize(
    ("world", "estimate"), [(_of_the_day, share_over_days), (_in_heaps, rate_over_days)], ids=["shares", "rates"]
)
@pytest.mark.parametrize("days", [7, 28])
def test_interval_holds_the_truth_as_often_as_it_says(world, estimate, days: int):
    rng = np.random.default_rng(20261129)
    held = 0
    for _ in range(400):
        seen, truth = world(rng, days)
        found = estimate(seen)
        held += found.low <= truth <= found.high
    # Of 400, 95% are 380; three standard errors are 13.
    assert held >= 367
