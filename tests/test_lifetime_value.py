"""BG/NBD and Gamma-Gamma on the CDNOW sample (2,357 customers, 39 weeks), against the figures of the papers."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest

from microconv.stats.lifetime_value import Buyers, Comebacks, NotFittedError, Spending

CDNOW = Path(__file__).parent / "published" / "cdnow.csv.gz"
"""Weeks; published by Fader and Hardie with their papers (brucehardie.com/datasets)."""


@cache
def cdnow() -> dict[str, np.ndarray]:
    table = pyarrow.csv.read_csv(CDNOW)
    return {name: table[name].to_numpy().astype(float) for name in table.column_names}


@cache
def comebacks() -> Comebacks:
    data = cdnow()
    return Comebacks.fitted(Buyers(data["repeats"], data["last"], data["seen"], np.ones(len(data["last"]))))


@cache
def spending() -> Spending:
    data = cdnow()
    return Spending.fitted(data["repeats"], data["mean"], np.ones(len(data["mean"])))


def test_parameters_and_likelihood_are_those_of_the_paper():
    found = comebacks()
    assert (round(found.r, 3), round(found.alpha, 3), round(found.a, 3), round(found.b, 3)) == (
        0.243,
        4.414,
        0.793,
        2.426,
    )
    assert round(found.log_likelihood, 1) == -9582.4


def test_expectations_of_one_customer_are_those_of_the_note():
    # Fader, Hardie and Lee's spreadsheet: customer 0001 (x = 2, t_x = 30.43, T = 38.86) makes 1.226 more in 39 weeks.
    one = (np.array([2.0]), np.array([30.43]), np.array([38.86]))
    assert comebacks().to_come(39, *one)[0] == pytest.approx(1.226, abs=5e-4)


def averaged(r: float, alpha: float, a: float, b: float, time: float) -> float:
    """The same by its definition: (1 - (alpha / (alpha + p time))^r) / p, averaged over a beta distribution of p."""
    shares = np.random.default_rng(1).beta(a, b, 2_000_000)
    return float(np.mean(-np.expm1(-r * np.log1p(shares * time / alpha)) / np.maximum(shares, 1e-300)))


@pytest.mark.parametrize(("a", "b"), [(0.793, 2.426), (1.0, 2.426), (1.00001, 2.4), (0.4, 0.6), (90.0, 900.0)])
@pytest.mark.parametrize("time", [5.0, 52.0])
def test_expected_is_the_average_over_chances_to_be_lost_also_where_the_formula_is_0_of_0(a, b, time):
    found = Comebacks(0.243, 4.414, a, b, 0.0).expected(time)
    assert found == pytest.approx(averaged(0.243, 4.414, a, b, time), rel=2e-3)
    apart = [Comebacks(0.243, 4.414, a * (1 + shift), b, 0.0).expected(time) for shift in (-1e-3, 1e-3)]
    assert min(apart) < found < max(apart)
    assert found == pytest.approx(sum(apart) / 2, rel=1e-5)


def test_a_model_of_hardly_any_loss_far_out_is_finite():
    # Here the hypergeometric function is beyond what a number can be.
    found = Comebacks(0.0063, 1.0, 0.0189, 770.0, 0.0).expected(2205.0)
    assert found == pytest.approx(averaged(0.0063, 1.0, 0.0189, 770.0, 2205.0), rel=2e-3)


def test_those_who_bought_very_often_are_told_what_is_to_come():
    # The numbers overflow where the powers of the formula are taken one by one.
    repeats, seen = np.array([10.0, 800.0, 2_000.0]), np.full(3, 31.0)
    found = comebacks().to_come(52, repeats, np.full(3, 30.86), seen)
    assert np.isfinite(found).all()
    model = comebacks()
    for number, told in zip(repeats, found, strict=True):
        alive = model.alive(np.array([number]), np.array([30.86]), np.array([31.0]))[0]
        rate = averaged(model.r + number, model.alpha + 31, model.a, model.b + number, 52)
        assert told == pytest.approx(alive * rate, rel=5e-3)
    # And those who have not come for long after it are lost.
    assert comebacks().to_come(52, np.array([2_000.0]), np.array([1.0]), np.array([31.0]))[0] == 0


def test_expected_of_all_add_up_to_what_was_seen():
    data = cdnow()
    told = sum(comebacks().expected(time) for time in data["seen"])
    assert told == pytest.approx(data["repeats"].sum(), rel=0.03)


def test_gamma_gamma_is_that_of_the_paper():
    found = spending()
    # The note has 15.44, from means that are not rounded to cents as those of the published sample are.
    assert (round(found.p, 2), round(found.q, 2)) == (6.25, 3.74)
    assert found.gamma == pytest.approx(15.44, abs=0.01)


def test_customers_that_are_alike_may_come_as_one_row():
    data = cdnow()
    rows, customers = np.unique(
        np.column_stack([data["repeats"], data["last"], data["seen"]]), axis=0, return_counts=True
    )
    found = Comebacks.fitted(Buyers(*rows.T, customers.astype(float)))
    assert found.log_likelihood == pytest.approx(comebacks().log_likelihood, abs=1e-6)
    assert found.r == pytest.approx(comebacks().r, rel=1e-4)


def test_a_value_lies_between_that_of_the_customer_and_that_of_all():
    model = spending()
    values = model.expected(np.array([0.0, 1.0, 50.0]), np.array([0.0, 100.0, 100.0]))
    assert values[0] == pytest.approx(model.mean)
    assert model.mean < values[1] < values[2] < 100


def test_the_unit_of_time_changes_nothing_but_alpha():
    data = cdnow()
    days = Comebacks.fitted(Buyers(data["repeats"], 7 * data["last"], 7 * data["seen"], np.ones(len(data["last"]))))
    assert days.alpha == pytest.approx(7 * comebacks().alpha, rel=1e-3)
    assert days.b == pytest.approx(comebacks().b, rel=1e-2)


def test_where_nobody_came_back_there_is_no_model():
    nothing = np.zeros(5)
    with pytest.raises(NotFittedError):
        Comebacks.fitted(Buyers(nothing, nothing, np.full(5, 30.0), np.ones(5)))
    with pytest.raises(NotFittedError):
        Spending.fitted(nothing, nothing, np.ones(5))


def test_a_purchase_without_a_mean_is_not_told():
    model = Spending(6.0, 0.9, 15.0, 0.0)
    assert model.mean == np.inf
    with pytest.raises(ValueError, match="has no mean"):
        model.expected(np.array([0.0]), np.array([0.0]))
    # With purchases of their own, it has one.
    assert model.expected(np.array([2.0]), np.array([30.0]))[0] == pytest.approx(6 * (15 + 60) / 11.9)
