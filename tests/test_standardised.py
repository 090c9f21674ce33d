"""Risks as if both sides were alike: against a published example, and one way against the other."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest

from microconv.stats.ratios import RiskStratum
from microconv.stats.standardised import (
    Balance,
    Population,
    StratumCell,
    balance,
    side_weights,
    standardised,
    weighted,
)

HEARTS = (RiskStratum(4, 1, 4, 1), RiskStratum(9, 6, 3, 2))
"""Heart transplants of 20 people, by whether they are in a critical condition (Hernán and Robins, tables 2.2 and 2.3):
exposed are those with a transplant, the outcome is death."""


def test_risks_of_the_published_example_are_those_of_the_book():
    """Causal Inference: What If, section 2.3: both standardised risks are 0.5, so the ratio is 1; crude it is 1.26."""
    for found in (standardised(HEARTS), weighted(HEARTS)):
        assert found is not None
        assert (found.exposed, found.other) == pytest.approx((0.5, 0.5), abs=1e-12)
        assert found.ratio == pytest.approx(1.0, abs=1e-12)
        assert (found.difference, found.covered) == pytest.approx((0.0, 1.0), abs=1e-12)
    crude = standardised([RiskStratum(*(sum(each) for each in zip(*HEARTS, strict=True)))])
    assert crude is not None
    assert (crude.exposed, crude.other) == pytest.approx((7 / 13, 3 / 7))
    assert crude.ratio == pytest.approx(1.26, abs=0.005)


def test_weights_of_the_published_example_make_forty_people_of_twenty():
    """Figure 2.3 of the book: everybody as if exposed, and everybody as if not."""
    weights = [side_weights(each.exposed, each.other) for each in HEARTS]
    assert [tuple(each) for each in weights] == [pytest.approx((2, 2)), pytest.approx((12 / 9, 4))]
    people = sum(w.exposed * each.exposed + w.other * each.other for w, each in zip(weights, HEARTS, strict=True))
    assert people == pytest.approx(40)


@pytest.mark.parametrize("population", get_args(Population))
def test_weights_give_what_standardisation_gives_where_strata_are_as_fine(population: Population):
    rng = np.random.default_rng(7)
    for _ in range(50):
        strata = []
        for _ in range(int(rng.integers(1, 12))):
            exposed, other = rng.integers(1, 200, 2)
            strata.append(RiskStratum(exposed, rng.integers(0, exposed + 1), other, rng.integers(0, other + 1)))
        by_mix, by_weight = standardised(strata, population), weighted(strata, population)
        assert by_mix is not None
        assert by_weight is not None
        assert tuple(by_weight) == pytest.approx(tuple(by_mix), abs=1e-12)


def test_where_one_side_is_missing_nothing_is_made_up():
    alone = RiskStratum(5, 5, 0, 0)
    assert standardised([alone]) is None
    assert weighted([alone]) is None
    found = standardised([*HEARTS, alone])
    assert found is not None
    assert found.exposed == pytest.approx(0.5)
    assert found.covered == pytest.approx(20 / 25)
    nobody = standardised([RiskStratum(4, 1, 4, 0)])
    assert nobody is not None
    assert nobody.ratio is None


def test_sides_that_differ_before_are_alike_after_in_what_strata_hold():
    """9 of 13 exposed and 3 of 7 others are critical: by hand (9/13 - 3/7) / sqrt((36/169 + 12/49) / 2) = 0.5512."""
    cells = [
        StratumCell(critical, {"critical": critical}, each.exposed, each.other)
        for critical, each in zip("ny", HEARTS, strict=True)
    ]
    for population in get_args(Population):
        found = balance(cells, population)
        assert found is not None
        no, yes = found.levels
        assert yes.before == pytest.approx(0.5512, abs=5e-5)
        assert no.before == pytest.approx(-yes.before)
        assert yes.after == pytest.approx(0, abs=1e-12)
        assert found.largest(is_after=False) == pytest.approx(0.5512, abs=5e-5)
        assert found.covered == 1


def test_what_is_finer_than_strata_may_differ_after_as_well():
    """In the one stratum, 3 of 4 exposed and 1 of 4 others did much: weights cannot mend it."""
    cells = [
        StratumCell("s", {"steps": "much"}, 3, 1),
        StratumCell("s", {"steps": "little"}, 1, 3),
        StratumCell("t", {"steps": "much"}, 2, 0),
    ]
    found = balance(cells)
    assert found is not None
    little, much = found.levels
    assert (little.covariate, little.level, much.level) == ("steps", "little", "much")
    spread = math.sqrt((5 / 6 * 1 / 6 + 1 / 4 * 3 / 4) / 2)
    assert much.before == pytest.approx((5 / 6 - 1 / 4) / spread)
    assert much.after == pytest.approx((3 / 4 - 1 / 4) / spread)
    assert found.covered == pytest.approx(4 / 6)


def test_balance_has_no_infinite_difference_and_none_without_both_sides():
    apart = balance([StratumCell("s", {"x": "a"}, 5, 0), StratumCell("s", {"x": "b"}, 0, 5)])
    assert apart is not None
    assert apart.levels == (Balance("x", "a", None, None), Balance("x", "b", None, None))
    assert apart.largest(is_after=True) is None
    assert balance([StratumCell("s", {"x": "a"}, 5, 0)]) is None
    assert balance([StratumCell("s", {"x": "a"}, 5, 0), StratumCell("t", {"x": "a"}, 0, 5)]) is None
