"""Tails and quantiles are those of `scipy.stats`, which takes longer to load."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta, binom, chi2, hypergeom, t

from microconv.stats import distributions


@pytest.mark.parametrize("freedom", [0.7, 1, 2.5, 30, 1e5])
def test_t_and_chi_square(freedom: float):
    for value in (0.0, 0.5, 2.0, 8.0, 40.0):
        assert distributions.t_tail(value, freedom) == pytest.approx(t.sf(value, freedom), rel=1e-9, abs=0)
        assert distributions.chi_square_tail(value, freedom) == pytest.approx(chi2.sf(value, freedom), rel=1e-9, abs=0)
    for chance in (1e-9, 0.005, 0.025, 0.5, 0.975, 1 - 1e-9):
        assert distributions.t_quantile(chance, freedom) == pytest.approx(t.ppf(chance, freedom), rel=1e-9, abs=1e-12)
        expected = pytest.approx(chi2.ppf(chance, freedom), rel=1e-9)
        assert distributions.chi_square_quantile(chance, freedom) == expected


@pytest.mark.parametrize(("events", "trials"), [(0, 5), (1, 1), (3, 40), (900, 1_000)])
def test_beta_and_binomial(events: int, trials: int):
    for share in (0.01, 0.3, 0.9):
        assert distributions.binomial_tails(events, trials, share) == pytest.approx(
            (binom.cdf(events, trials, share), binom.sf(events - 1, trials, share)), rel=1e-9, abs=0
        )
        low = distributions.beta_quantile(share, events + 1, trials - events + 1)
        assert low == pytest.approx(beta.ppf(share, events + 1, trials - events + 1), rel=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_sums_of_binomials(seed: int):
    """Exact where there are few events, within half a per cent beyond; whole distributions are convolved."""
    rng = np.random.default_rng(seed)
    trials = rng.integers(1, (20, 200, 1_000)[seed % 3], 12)
    chances = 10 ** rng.uniform(-4, -0.01, 12)
    whole = np.ones(1)
    for number, chance in zip(trials, chances, strict=True):
        whole = np.convolve(whole, binom.pmf(np.arange(number + 1), number, chance))
    mean, most = round(float(trials @ chances)), int(trials.sum())
    for events in {0, 1, mean, mean + 5, min(round(mean * 1.5), most), max(mean - 30, 0), most}:
        tails = whole[: events + 1].sum(), whole[events:].sum()
        for found, exact in zip(distributions.binomials_tails(events, trials, chances), tails, strict=True):
            if exact > 1e-12:
                assert found == pytest.approx(exact, rel=1e-6 if events <= 60 else 5e-3)


def test_one_event_of_a_million_that_hardly_lets_expect_one():
    few, many = distributions.binomials_tails(1, [1_000_000, 5], [2e-9, 0.0001])
    assert many == pytest.approx(-math.expm1(-0.0025), rel=1e-4)
    assert few == pytest.approx(1, abs=1e-5)
    assert distributions.binomials_tails(0, [], []) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("events", "drawn", "all_events", "all_units"),
    [(3, 4, 4, 8), (0, 10, 3, 20), (10, 10, 10, 10), (40, 200, 60, 1_000), (900, 20_000, 1_500, 60_000), (5, 4, 6, 9)],
)
def test_hypergeometric(events: int, drawn: int, all_events: int, all_units: int):
    expected = pytest.approx(hypergeom.sf(events - 1, all_units, all_events, drawn), rel=1e-7, abs=1e-300)

    assert distributions.hypergeometric_tail(events, drawn, all_events, all_units) == expected
