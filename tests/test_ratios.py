"""Ratios of rates and risks against published figures and against statistics that count all cases."""

from __future__ import annotations

import math
from typing import get_args

import pytest

from microconv.stats.multiplicity import Correction, adjusted
from microconv.stats.ratios import RateStratum, Ratio, e_value, exact_rate_ratio, rate_interval, rate_ratio, risk_ratio

DOCTORS = [
    RateStratum(32, 52407, 2, 18790),
    RateStratum(104, 43248, 12, 10673),
    RateStratum(206, 28612, 28, 5710),
    RateStratum(186, 12663, 28, 2585),
    RateStratum(102, 5317, 31, 1462),
]
"""Coronary deaths and years of British doctors who smoked and who did not, by age (Doll and Hill, 1966)."""


def test_mantel_haenszel_of_the_british_doctors_is_the_published_one():
    found = rate_ratio(DOCTORS)
    assert found is not None
    assert found[:3] == pytest.approx((1.424682, 1.154703, 1.757784), abs=5e-7)


def test_of_one_stratum_it_is_the_plain_ratio_with_the_usual_error():
    whole = RateStratum(*map(sum, zip(*DOCTORS, strict=True)))
    found = rate_ratio([whole])
    assert found is not None
    assert found.ratio == pytest.approx(630 / 142247 / (101 / 39220))
    assert found.log_error == pytest.approx(math.sqrt(1 / 630 + 1 / 101))


def test_exact_ratio_of_rates_is_that_of_the_doctors():
    found = exact_rate_ratio(RateStratum(630, 142247, 101, 39220))
    assert found is not None
    assert found[:3] == pytest.approx((1.719823, 1.391992, 2.143530), abs=5e-4)


@pytest.mark.parametrize(
    ("events", "low", "high"),
    [(0, 0, 3.688879), (1, 0.025318, 5.571643), (5, 1.623486, 11.668332), (10, 4.795389, 18.390356)],
)
def test_exact_interval_of_a_count_is_the_published_one(events: int, low: float, high: float):
    assert rate_interval(events, 1.0) == pytest.approx((low, high), abs=5e-6)


def test_e_value_is_that_of_the_paper():
    # VanderWeele and Ding (2017): 3.9 (1.8 to 8.7), and 0.80 (0.71 to 0.91).
    assert e_value(Ratio(3.9, 1.8, 8.7, 0)) == pytest.approx((3.0, 7.26), abs=5e-3)
    assert e_value(Ratio(0.80, 0.71, 0.91, 0)) == pytest.approx((1.43, 1.81), abs=5e-3)


def test_nothing_has_to_explain_an_interval_that_holds_one():
    assert e_value(Ratio(1.2, 0.9, 1.6, 0.2)).low == 1.0
    assert e_value(Ratio(0.9, 0.7, 1.1, 0.2)).low == 1.0


def test_katz_interval():
    # Physicians' Health Study: myocardial infarction with aspirin, 104 of 11,037, and with placebo, 189 of 11,034.
    found = risk_ratio(189, 11034, 104, 11037)
    assert found is not None
    assert found[:3] == pytest.approx((1.82, 1.43, 2.31), abs=5e-3)


@pytest.mark.parametrize(
    "stratum",
    [RateStratum(0, 10, 5, 10), RateStratum(5, 10, 0, 10), RateStratum(5, 0, 5, 10), RateStratum(5, 10, 5, 0)],
)
def test_no_ratio_is_told_where_there_is_none(stratum: RateStratum):
    assert rate_ratio([stratum]) is None
    assert exact_rate_ratio(stratum) is None


def test_adjusted_p_values_are_those_of_the_paper():
    # Benjamini and Hochberg (1995), the fifteen endpoints of thrombolysis: four are found at 0.05, three by Bonferroni.
    p_values = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1.0,
    ]
    assert sum(each <= 0.05 for each in adjusted(p_values, "bh")) == 4
    assert sum(each <= 0.05 for each in adjusted(p_values, "holm")) == 3
    assert adjusted(p_values, "by") == pytest.approx(
        [min(1, 3.318229 * each) for each in adjusted_uncut(p_values)], abs=1e-6
    )


def adjusted_uncut(p_values: list[float]) -> list[float]:
    """Benjamini and Hochberg by the definition: the least of all from the rank on, not cut at 1."""
    number = len(p_values)
    return [min(number / (later + 1) * p_values[later] for later in range(place, number)) for place in range(number)]


@pytest.mark.parametrize("correction", get_args(Correction))
def test_the_order_of_the_tests_does_not_matter(correction: Correction):
    forwards = adjusted([0.01, 0.2, 0.03], correction)
    assert adjusted([0.03, 0.01, 0.2], correction) == [forwards[2], forwards[0], forwards[1]]
