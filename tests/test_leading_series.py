"""Autoregression, pre-whitening and forecasts: on Series M of Box and Jenkins, whose sales follow by three periods."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from microconv.stats.leading_series import (
    autoregression,
    best_autoregression,
    filtered,
    forecast_contest,
    leads,
    weekday_terms,
)

PUBLISHED = Path(__file__).parent / "published" / "series_m.csv"


@pytest.fixture(scope="module")
def series_m() -> tuple[np.ndarray, np.ndarray]:
    """The leading indicator and the sales (Box and Jenkins, 1976, page 537): 150 periods each."""
    with PUBLISHED.open(encoding="utf-8") as file:
        rows = [(float(row["lead"]), float(row["sales"])) for row in csv.DictReader(file)]
    lead, sales = np.array(rows).T
    return lead, sales


def level(count: int) -> np.ndarray:
    return np.ones((count, 1))


@pytest.mark.parametrize(
    ("order", "lags", "constant", "aic"),
    [
        (2, [0.53804792, 0.4409876], 0.28210423, 52.653052527),
        (3, [0.47786798, 0.3668095, 0.1387795], 0.23319496, 51.962593359),
    ],
)
def test_autoregression_is_that_of_statsmodels(order: int, lags: list[float], constant: float, aic: float, series_m):
    fit = autoregression(series_m[0], level(150), order)

    assert fit.lags == pytest.approx(lags, abs=1e-8)
    assert fit.known == pytest.approx([constant], abs=1e-8)
    assert fit.aic == pytest.approx(aic, abs=1e-8)


def test_autoregression_with_weeks_and_a_trend_is_that_of_statsmodels(series_m):
    lead = series_m[0]
    monday = date(2024, 1, 1)
    terms = weekday_terms([monday + timedelta(days=each) for each in range(150)])
    fit = autoregression(lead, terms, 3)

    # AutoReg(lead, 3, trend="ct", seasonal=True, period=7): its trend counts days from 1, ours goes from 0 to 1.
    assert fit.lags == pytest.approx([0.45984739, 0.34940074, 0.11966512], abs=1e-7)
    seasons = [-0.03413573, -0.05099394, -0.03491019, -0.0596565, 0.02201887, -0.01580952]
    assert fit.known[2:] == pytest.approx(seasons, abs=1e-7)
    assert fit.known[1] / 149 == pytest.approx(0.00174563, abs=1e-7)
    assert fit.known[0] == pytest.approx(0.7691204 + 0.00174563, abs=1e-6)
    assert fit.aic == pytest.approx(62.102750363, abs=1e-7)
    assert fit.residuals[[0, 1, 2, -1]] == pytest.approx([-0.45313106, 0.31745255, -0.0634378, -0.25752583], abs=1e-7)


def test_order_is_that_of_the_smallest_criterion(series_m):
    lead = series_m[0]

    assert best_autoregression(np.diff(lead), level(149)).order == 2
    assert best_autoregression(lead, level(150)).order == 3


def test_series_m_leads_by_three_periods(series_m):
    lead, sales = np.diff(series_m[0]), np.diff(series_m[1])
    found = leads(lead, sales, level(149), 8)

    # As statsmodels' ccf gives them of what the filter leaves.
    correlations = [-0.01020868, -0.00310065, 0.6801969, 0.50146708, 0.3037251, 0.19457202, 0.22679163, 0.1724817]
    assert [each.correlation for each in found] == pytest.approx(correlations, abs=1e-7)
    assert min(found, key=lambda each: each.p_value).lag == 3
    assert [each.lag for each in found if each.p_value < 0.001] == [3, 4, 5]
    assert all(each.p_value > 0.01 for each in leads(sales, lead, level(149), 8))


def test_forecasts_get_closer_with_what_leads_and_not_the_other_way_round(series_m):
    lead, sales = np.diff(series_m[0]), np.diff(series_m[1])

    helped = forecast_contest(sales, lead, level(149), 3, 100)
    assert helped is not None
    assert helped.days == 49
    assert helped.gain > 0.6
    assert helped.p_value < 1e-6
    useless = forecast_contest(lead, sales, level(149), 3, 100)
    assert useless is not None
    assert useless.gain < 0.01
    assert useless.p_value > 0.3


def test_forecast_of_a_day_rests_on_the_days_before_it_alone(series_m):
    lead, sales = np.diff(series_m[0]), np.diff(series_m[1])
    changed = sales.copy()
    changed[-1] += 100

    before = forecast_contest(sales[:-1], lead[:-1], level(148), 3, 100)
    after = forecast_contest(changed, lead, level(149), 3, 100)
    assert before is not None
    assert after is not None
    errors = [each.error_with**2 * each.days for each in (before, after)]
    # All that the last day adds is its own error: its forecast knows nothing of it.
    own = np.sqrt(errors[1] - errors[0])
    assert own == pytest.approx(100, abs=3)


def test_filter_takes_weeks_and_trend_out():
    days = [date(2024, 1, 1) + timedelta(days=each) for each in range(70)]
    terms = weekday_terms(days)
    flat = np.array([day.weekday() * 3.0 + place for place, day in enumerate(days)])
    noise = np.random.default_rng(1).normal(size=70)
    fit = best_autoregression(noise, terms)

    assert np.abs(filtered(flat, terms, fit)).max() < 1e-9


def test_series_without_any_movement_leads_nothing():
    terms = level(80)
    still, moving = np.zeros(80), np.random.default_rng(2).normal(size=80)

    assert {(each.correlation, each.p_value) for each in leads(still, moving, terms, 5)} == {(0.0, 1.0)}
    contest = forecast_contest(still, moving, terms, 2, 50)
    assert contest is not None
    assert (contest.gain, contest.p_value) == (0, 1)


@pytest.mark.parametrize("level_of_it", [-8.0, 3.7, 0.01, 1_000.0])
@pytest.mark.parametrize("weekly", [False, True])
def test_what_rounding_leaves_of_a_constant_series_is_not_helped_by_anything(level_of_it: float, weekly: bool):
    days = [date(2024, 1, 1) + timedelta(days=each) for each in range(80)]
    terms = weekday_terms(days) if weekly else level(80)
    still = np.full(80, level_of_it)

    for leading in (np.full(80, 1.3), np.random.default_rng(2).normal(size=80)):
        contest = forecast_contest(still, leading, terms, 2, 50)
        assert contest is not None
        assert (contest.error_without, contest.error_with, contest.gain, contest.p_value) == (0, 0, 0, 1)
        for one, other in ((still, leading), (leading, still)):
            assert {(each.correlation, each.p_value) for each in leads(one, other, terms, 5)} == {(0.0, 1.0)}


def test_without_a_day_to_forecast_there_is_no_contest():
    moving = np.random.default_rng(2).normal(size=80)
    assert forecast_contest(moving, moving, level(80), 2, 80) is None
