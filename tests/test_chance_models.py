"""Fitted chances are those of independent references; what moved is measured as published."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from microconv.stats.chance_models import fit_logistic, fit_trees, platt, ranks_by_chance
from microconv.stats.population_shift import binned, edges_of, stability_index


def cases(seed: int, n: int = 3_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    columns = np.log1p(rng.poisson(2.0, (n, 4)).astype(float))
    odds = -2.0 + columns @ np.array([1.0, -0.5, 0.0, 0.3])
    return columns, (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float), rng.integers(0, 5, n)


def test_logistic_form_is_that_of_sklearn_calibrated_on_what_it_did_not_see():
    columns, happened, folds = cases(1)
    found = fit_logistic(columns, happened, folds)
    scaled = StandardScaler().fit_transform(columns)

    def fitted(rows: np.ndarray) -> LogisticRegression:
        return LogisticRegression(C=found.penalty, tol=1e-10, max_iter=1_000).fit(scaled[rows], happened[rows])

    told = np.empty(len(happened))
    for fold in range(5):
        told[folds == fold] = fitted(folds != fold).decision_function(scaled[folds == fold])
    again = LogisticRegression(C=1e12, tol=1e-10, max_iter=1_000).fit(told[:, None], happened)
    whole = fitted(np.ones(len(happened), dtype=bool)).decision_function(scaled)

    assert np.abs(found.chances(columns) - again.predict_proba(whole[:, None])[:, 1]).max() < 1e-4


def test_weights_are_those_that_made_the_data():
    columns, happened, folds = cases(2, n=60_000)
    found = fit_logistic(columns, happened, folds)

    assert found.weights == pytest.approx([1.0, -0.5, 0.0, 0.3], abs=0.08)
    assert found.intercept == pytest.approx(-2.0, abs=0.12)


def test_trees_find_what_a_sum_cannot_say():
    columns, _, folds = cases(3, n=8_000)
    rng = np.random.default_rng(3)
    either = (columns[:, 0] > 1) ^ (columns[:, 1] > 1)
    happened = (rng.random(len(columns)) < np.where(either, 0.4, 0.05)).astype(float)

    assert fit_trees(columns, happened, folds).loss < fit_logistic(columns, happened, folds).loss - 0.05


def test_chances_that_say_nothing_become_the_base_rate():
    happened = np.array([1.0, 0.0, 0.0, 0.0] * 50)
    slope, level = platt(np.full(200, 0.3), happened)

    assert slope == 0
    assert level == pytest.approx(np.log(0.25 / 0.75))


def test_ranks_are_tested_as_mann_and_whitney_do():
    rng = np.random.default_rng(4)
    chances, happened = np.round(rng.random(300), 1), (rng.random(300) < 0.3).astype(float)
    reference = mannwhitneyu(
        chances[happened == 1], chances[happened == 0], alternative="greater", method="asymptotic", use_continuity=False
    )

    assert ranks_by_chance(chances, happened) == pytest.approx(reference.pvalue, rel=1e-6)


@pytest.mark.parametrize("happened", [[1.0] * 5, [0.0] * 5])
def test_ranks_of_all_or_of_nobody_are_no_better_than_chance(happened: list[float]):
    assert ranks_by_chance(np.arange(5) / 10, np.array(happened)) == 1
    assert ranks_by_chance(np.full(4, 0.5), np.array([1.0, 0.0, 1.0, 0.0])) == 1


def test_stability_index_is_that_of_its_definition():
    # Half a case is added to each bin: shares 50.5/101 and 80.5/101.
    a, b = 50.5 / 101, 80.5 / 101
    by_hand = (b - a) * np.log(b / a) + ((1 - b) - (1 - a)) * np.log((1 - b) / (1 - a))

    assert stability_index((50, 50), (80, 20)) == pytest.approx(by_hand)
    assert stability_index((50, 50), (500, 500)) == pytest.approx(0, abs=1e-4)
    assert np.isfinite(stability_index((100, 0), (0, 100)))


def test_bins_keep_whole_values_and_most_of_one_value_is_a_bin():
    counts = {0: 900, 1: 50, 2: 30, 3: 20}
    edges = edges_of(counts)

    assert edges == (0,)
    assert binned(counts, edges) == (900, 100)
    assert binned({7: 5}, edges) == (0, 5)
    assert edges_of({4: 10}) == ()
    even = edges_of(dict.fromkeys(range(100), 1))
    assert len(even) == 9
    assert binned(dict.fromkeys(range(100), 1), even) == (10,) * 10
