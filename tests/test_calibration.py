"""Predictions against what happened: small cases by hand, and data whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from microconv.stats.calibration import auc, brier, calibration, groups


def test_brier_and_auc_by_hand():
    chances, happened = np.array([0.9, 0.8, 0.3, 0.3]), np.array([1.0, 0.0, 1.0, 0.0])
    assert brier(chances, happened) == pytest.approx((0.01 + 0.64 + 0.49 + 0.09) / 4)
    # Of four pairs two are in order, one is not, and one is a tie.
    assert auc(chances, happened) == pytest.approx(2.5 / 4)


def test_rows_that_stand_for_several_cases_count_as_often():
    chances, happened, cases = (
        np.array([0.2, 0.6, 0.7, 0.4]),
        np.array([0.0, 1.0, 0.0, 1.0]),
        np.array([3.0, 2.0, 1.0, 4.0]),
    )
    often = np.repeat(np.arange(4), cases.astype(int))
    assert brier(chances, happened, cases) == pytest.approx(brier(chances[often], happened[often]))
    assert auc(chances, happened, cases) == pytest.approx(auc(chances[often], happened[often]))
    assert calibration(chances, happened, cases) == pytest.approx(calibration(chances[often], happened[often]))


@pytest.mark.parametrize(("slope", "level"), [(1.0, 0.0), (0.6, 0.0), (1.4, -0.5)])
def test_slope_and_level_are_found(slope: float, level: float):
    chance = np.random.default_rng(1)
    odds = chance.normal(-2, 1.2, 200_000)
    truth = 1 / (1 + np.exp(-(level + slope * odds)))
    found = calibration(1 / (1 + np.exp(-odds)), (chance.random(len(odds)) < truth).astype(float))
    assert found == pytest.approx((slope, level), abs=0.03)


def test_without_a_maximum_there_is_no_slope():
    assert calibration(np.array([0.2, 0.8]), np.array([1.0, 1.0])) is None
    assert calibration(np.array([0.5, 0.5]), np.array([0.0, 1.0])) is None
    assert auc(np.array([0.2, 0.8]), np.array([1.0, 1.0])) is None


def test_groups_hold_all_cases_and_never_part_equal_chances():
    chance = np.random.default_rng(2)
    chances = np.round(chance.random(1000), 1)
    happened = (chance.random(1000) < chances).astype(float)
    found = groups(chances, happened)
    assert sum(each.cases for each in found) == 1000
    assert [each.predicted for each in found] == sorted({each.predicted for each in found})
    assert sum(each.cases * each.happened for each in found) == pytest.approx(happened.sum())


def test_of_no_predictions_there_is_nothing_to_tell():
    nothing = np.array([])
    with pytest.raises(ValueError, match="no predictions"):
        brier(nothing, nothing)
    with pytest.raises(ValueError, match="no predictions"):
        brier(np.array([0.5]), np.array([1.0]), np.array([0.0]))
    assert (auc(nothing, nothing), groups(nothing, nothing)) == (None, [])
