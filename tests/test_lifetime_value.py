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
