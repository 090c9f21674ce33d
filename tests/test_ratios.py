"""Ratios of rates and risks against published figures and against statistics that count all cases."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from scipy.stats import binom

from microconv.stats.multiplicity import Correction, adjusted
from microconv.stats.ratios import (
    RateStratum,
    Ratio,
    RiskStratum,
    e_value,
    exact_rate_ratio,
    exposed_events,
    pooled_risk_ratio,
    rate_interval,
    rate_ratio,
    ratio_of,
    risk_ratio,
)

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


def test_how_likely_events_of_the_exposed_are_is_exact_over_strata():
    one = exposed_events([RateStratum(3, 10, 5, 70)])
    assert (one.events, one.of_strata) == (3, (8,))
    assert one.expected == pytest.approx(1)
    assert one.p_value() == pytest.approx(2 * binom.sf(2, 8, 1 / 8))
    assert one.p_value(3.0) == pytest.approx(min(1, 2 * binom.cdf(3, 8, 3 / 10), 2 * binom.sf(2, 8, 3 / 10)))

    several = [RateStratum(6, 5, 14, 95), RateStratum(5, 60, 1, 40), RateStratum(1, 0, 4, 10)]
    chances = np.convolve(binom.pmf(np.arange(21), 20, 0.05), binom.pmf(np.arange(7), 6, 0.6))
    assert exposed_events(several).p_value() == pytest.approx(2 * chances[11:].sum())
    assert exposed_events([]).p_value() == 1.0


def test_one_event_where_hardly_any_was_expected_is_as_likely_as_it_is():
    found = exposed_events([RateStratum(1, 2, 1_000, 1_000_000)])
    assert found.p_value() == pytest.approx(2 * 0.002, rel=0.01)
    wald = rate_ratio([RateStratum(1, 2, 1_000, 1_000_000)])
    assert wald is not None
    assert wald.p_value < 1e-8


def test_a_ratio_of_risks_over_strata_is_the_published_one():
    """Deaths in the University Group Diabetes Program by age (Rothman's example; Stata's cs, by(age))."""
    found = pooled_risk_ratio([RiskStratum(106, 8, 120, 5), RiskStratum(98, 22, 85, 16)])

    assert found is not None
    assert (found.ratio, found.low, found.high) == pytest.approx((1.325555, 0.797907, 2.202132), abs=1e-6)
    one = pooled_risk_ratio([RiskStratum(106, 8, 120, 5), RiskStratum(9, 3, 0, 0)])
    assert one == pytest.approx(risk_ratio(8, 106, 5, 120))
    assert pooled_risk_ratio([RiskStratum(5, 5, 3, 3)]) is None
    assert pooled_risk_ratio([]) is None


def test_a_ratio_without_error_is_none():
    assert risk_ratio(5, 5, 3, 3) is None
    with pytest.raises(ValueError, match="at most 1"):
        risk_ratio(10, 5, 3, 4)
    for ratio, error in ((2.0, 0.0), (2.0, -1.0), (0.0, 1.0), (math.nan, 1.0)):
        with pytest.raises(ValueError, match="above 0"):
            ratio_of(ratio, error)


def adjusted_uncut(p_values: list[float]) -> list[float]:
    """Benjamini and Hochberg by the definition: the least of all from the rank on, not cut at 1."""
    number = len(p_values)
    return [min(number / (later + 1) * p_values[later] for later in range(place, number)) for place in range(number)]


@pytest.mark.parametrize("correction", get_args(Correction))
def test_the_order_of_the_tests_does_not_matter(correction: Correction):
    forwards = adjusted([0.01, 0.2, 0.03], correction)
    assert adjusted([0.03, 0.01, 0.2], correction) == [forwards[2], forwards[0], forwards[1]]
