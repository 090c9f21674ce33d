"""Estimates of one kind: their spread beyond chance, and the largest of them when chance is taken off."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from microconv.stats.shrinkage import Common, Estimated, common, shrunken

SCHOOLS = [
    (28.39, 14.9),
    (7.94, 10.2),
    (-2.75, 16.3),
    (6.82, 11.0),
    (-0.64, 9.4),
    (0.63, 11.4),
    (18.01, 10.4),
    (12.16, 17.6),
]
"""Coaching in eight schools (Rubin, 1981): the errors alone explain the differences."""
BCG = [
    (-0.8893, 0.3256), (-1.5854, 0.1946), (-1.3481, 0.4154), (-1.4416, 0.0200), (-0.2175, 0.0512), (-0.7861, 0.0069),
    (-1.6209, 0.2230), (0.0120, 0.0040), (-0.4694, 0.0564), (-1.3713, 0.0730), (-0.3394, 0.0124), (0.4459, 0.5325),
    (-0.0173, 0.0714),
]  # fmt: skip
"""Log ratio and its variance in thirteen trials of a vaccine (Colditz and others, 1994), as metafor has them."""


def test_where_errors_explain_all_nothing_is_left_of_any_estimate():
    found = common([Estimated(*each) for each in SCHOOLS])
    assert found is not None
    assert found.spread == 0
    assert found.mean == pytest.approx(7.69, abs=0.2)
    assert shrunken(Estimated(28.39, 14.9), found).value == found.mean


def test_spread_is_that_of_paule_and_mandel():
    # metafor: rma(yi, vi, data = dat.bcg, method = "PM") has tau² 0.3181 and estimate -0.7150.
    found = common([Estimated(value, variance**0.5) for value, variance in BCG])
    assert found is not None
    assert found.spread**2 == pytest.approx(0.3181, abs=5e-4)
    assert found.mean == pytest.approx(-0.7150, abs=5e-4)


def test_the_largest_of_many_is_too_large_and_its_shrunken_value_is_not():
    chance = random.Random(1)
    raw, less = [], []
    for _ in range(300):
        truths = [chance.gauss(0.1, 0.2) for _ in range(30)]
        seen = [Estimated(chance.gauss(truth, 0.3), 0.3) for truth in truths]
        of_all = common(seen)
        assert of_all is not None
        best = max(range(30), key=lambda place: seen[place].value)
        raw.append(seen[best].value - truths[best])
        less.append(shrunken(seen[best], of_all).value - truths[best])
    assert fmean(raw) > 0.3
    assert abs(fmean(less)) < 0.03


def test_a_sure_estimate_stays_and_an_unsure_one_goes_to_the_mean():
    of_all = Common(1.0, 0.5, 0.01)
    assert shrunken(Estimated(3.0, 0.001), of_all).value == pytest.approx(3.0, abs=1e-4)
    assert shrunken(Estimated(3.0, 100.0), of_all).value == pytest.approx(1.0, abs=1e-3)


def test_of_nothing_there_is_no_mean():
    assert common([]) is None


def test_error_of_the_mean_is_what_its_estimates_leave_and_that_of_all_drawn_to_it():
    # Four estimates with an error of 2 each: their mean has 2 / sqrt(4).
    found = common([Estimated(value, 2.0) for value in (0.9, 1.0, 1.0, 1.1)])
    assert found == pytest.approx((1.0, 0.0, 1.0))
    assert found is not None
    assert shrunken(Estimated(0.9, 2.0), found) == pytest.approx((1.0, 1.0))


def test_error_of_a_drawn_estimate_is_the_errors_of_both_as_far_as_each_counts():
    # Spread and error are alike: half of each counts.
    drawn = shrunken(Estimated(3.0, 0.5), Common(1.0, 0.5, 0.2))
    assert drawn == pytest.approx((2.0, (0.125 + 0.1**2) ** 0.5))
    nearly = shrunken(Estimated(3.0, 0.5), Common(1.0, 1e-9, 0.2))
    assert nearly.error == pytest.approx(shrunken(Estimated(3.0, 0.5), Common(1.0, 0.0, 0.2)).error)


@pytest.mark.parametrize("error", [0.0, -1.0, float("nan")])
def test_an_estimate_without_an_error_is_refused(error: float):
    with pytest.raises(ValueError, match="standard error above 0"):
        common([Estimated(1.0, error)])
    with pytest.raises(ValueError, match="standard error above 0"):
        shrunken(Estimated(1.0, error), Common(1.0, 0.5, 0.1))
