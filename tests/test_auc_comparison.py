"""Areas under ROC curves on the same cases: the published example of DeLong and others, ties, counts, no variance."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from microconv.stats.auc_comparison import compare_areas
from microconv.stats.calibration import auc
from microconv.stats.grouped_logistic import chances_of, grouped_logistic

# Ovarian cancer and bowel obstruction (DeLong, DeLong and Clarke-Pearson, 1988), as SAS's documentation of PROC
# LOGISTIC gives it: albumin, total protein, K-G score, and 1 for a patient who did not benefit from surgery.
PATIENTS = """
3.0 5.8 10 0   3.2 6.3  5 1   3.9 6.8  3 1   2.8 4.8  6 0   3.2 5.8  3 1   0.9 4.0  5 0   2.5 5.7  8 0   1.6 5.6  5 1
3.8 5.7  5 1   3.7 6.7  6 1   3.2 5.4  4 1   3.8 6.6  6 1   4.1 6.6  5 1   3.6 5.7  5 1   4.3 7.0  4 1   3.6 6.7  4 0
2.3 4.4  6 1   4.2 7.6  4 0   4.0 6.6  6 0   3.5 5.8  6 1   3.8 6.8  7 1   3.0 4.7  8 0   4.5 7.4  5 1   3.7 7.4  5 1
3.1 6.6  6 1   4.1 8.2  6 1   4.3 7.0  5 1   4.3 6.5  4 1   3.2 5.1  5 1   2.6 4.7  6 1   3.3 6.8  6 0   1.7 4.0  7 0
3.7 6.1  5 1   3.3 6.3  7 1   4.2 7.7  6 1   3.5 6.2  5 1   2.9 5.7  9 0   2.1 4.8  7 1   2.8 6.2  8 0   4.0 7.0  7 1
3.3 5.7  6 1   3.7 6.9  5 1   3.6 6.6  5 1
"""


def patients() -> np.ndarray:
    return np.array(PATIENTS.split(), dtype=float).reshape(-1, 4).T


def test_areas_and_errors_are_those_published():
    albumin, protein, score, without = patients()

    of_protein = compare_areas(-score, protein, without, 1 - without)
    of_albumin = compare_areas(-score, albumin, without, 1 - without)

    assert of_protein is not None
    assert of_albumin is not None
    assert (of_albumin.first, of_protein.second, of_albumin.second) == pytest.approx((0.7258, 0.6478, 0.7366), abs=5e-5)
    errors = (of_albumin.first_error, of_protein.second_error, of_albumin.second_error)
    assert errors == pytest.approx((0.1028, 0.1000, 0.0927), abs=5e-5)
    assert of_albumin.difference == pytest.approx(0.0108, abs=5e-5)


def pairwise_difference(first, second, happened) -> tuple[float, float]:
    """The difference and its error by the definition: every case beside every control, one by one."""
    cases, controls = np.flatnonzero(happened == 1), np.flatnonzero(happened == 0)
    kernels = [
        (each[cases][:, None] > each[controls]) + (each[cases][:, None] == each[controls]) / 2
        for each in (first, second)
    ]
    apart = kernels[1] - kernels[0]
    variance = apart.mean(axis=1).var(ddof=1) / len(cases) + apart.mean(axis=0).var(ddof=1) / len(controls)
    return float(apart.mean()), float(np.sqrt(variance))


def test_difference_and_its_error_follow_the_definition_with_ties():
    random = np.random.default_rng(7)
    happened = (random.random(200) < 0.3).astype(float)
    first, second = np.round(random.random(200) + happened / 3, 1), np.round(random.random(200) + happened / 2, 1)

    compared = compare_areas(first, second, happened, 1 - happened)

    assert compared is not None
    assert (compared.difference, compared.difference_error) == pytest.approx(
        pairwise_difference(first, second, happened)
    )
    assert compared.first == pytest.approx(auc(first, happened))


def test_counted_rows_are_the_cases_that_they_stand_for():
    values = np.array([0.1, 0.2, 0.2, 0.7])
    other = np.array([0.4, 0.1, 0.6, 0.6])
    with_it, without = np.array([1.0, 0.0, 3.0, 4.0]), np.array([5.0, 2.0, 1.0, 2.0])
    repeats = np.concatenate([with_it, without]).astype(int)
    single = [np.repeat(np.tile(each, 2), repeats) for each in (values, other)]
    happened = np.repeat([1.0] * 4 + [0.0] * 4, repeats)

    counted, one_by_one = compare_areas(values, other, with_it, without), compare_areas(*single, happened, 1 - happened)

    assert counted is not None
    assert one_by_one is not None
    assert astuple(counted) == pytest.approx(astuple(one_by_one))


def test_one_case_has_no_error_and_none_has_no_area():
    values = np.array([0.1, 0.2, 0.9])

    one = compare_areas(values, values, np.array([0.0, 0.0, 1.0]), np.array([1.0, 1.0, 0.0]))

    assert one is not None
    assert (one.first, one.first_error, one.interval(one.first, one.first_error)) == (1.0, None, None)
    assert compare_areas(values, values, np.zeros(3), np.ones(3)) is None


def test_perfect_order_has_no_error_however_few_the_cases():
    with_it, without = np.array([0.0, 0.0, 1.0, 1.0]), np.array([1.0, 1.0, 0.0, 0.0])
    order = np.array([1.0, 2.0, 3.0, 4.0])

    found = compare_areas(order, np.array([1.0, 3.0, 2.0, 4.0]), with_it, without)
    wrong_way = compare_areas(-order, order, with_it, without)

    assert found is not None
    assert wrong_way is not None
    assert (found.first, found.first_error, found.difference_error) == (1.0, None, None)
    assert (found.second, found.second_error) == (0.75, pytest.approx(0.125**0.5))
    assert (wrong_way.first, wrong_way.second) == (0.0, 1.0)
    assert (wrong_way.first_error, wrong_way.second_error, wrong_way.difference_error) == (None, None, None)


def test_the_same_prediction_twice_differs_by_nothing():
    values = np.array([0.1, 0.4, 0.4, 0.9])

    compared = compare_areas(values, values, np.array([1.0, 2.0, 3.0, 4.0]), np.array([4.0, 3.0, 2.0, 1.0]))

    assert compared is not None
    assert (compared.difference, compared.difference_error) == (0.0, 0.0)


def test_logistic_regression_of_groups_is_that_of_its_cases():
    linear_model = pytest.importorskip("sklearn.linear_model")
    random = np.random.default_rng(3)
    columns = np.column_stack([random.poisson(2, 400), random.random(400) * 10, np.ones(400)])
    with_it = random.binomial(20, 1 / (1 + np.exp(2 - columns[:, 0] / 2 + columns[:, 1] / 5))).astype(float)
    without = 20 - with_it

    weights = grouped_logistic(columns, with_it, without)

    spread = np.where(columns.std(axis=0) > 0, columns.std(axis=0), 1)
    model = linear_model.LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000)
    model.fit(
        np.vstack([columns / spread] * 2), np.repeat([1, 0], 400), sample_weight=np.concatenate([with_it, without])
    )
    assert weights[1:] == pytest.approx(model.coef_[0] / spread, abs=1e-5)
    assert chances_of(weights, columns) == pytest.approx(model.predict_proba(columns / spread)[:, 1], abs=1e-5)


def test_weights_stay_finite_where_a_column_tells_everything():
    columns = np.array([[0.0], [1.0]])

    weights = grouped_logistic(columns, np.array([0.0, 50.0]), np.array([5_000.0, 0.0]))

    assert np.isfinite(weights).all()
    first, second = chances_of(weights, columns)
    assert first < 0.01
    assert second > 0.9
