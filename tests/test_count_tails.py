"""Tails of counts where numbers are far apart: next to no overdispersion, and nothing expected."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import pytest

from microconv.stats.count_tails import lower_tail, upper_tail


def exact_upper_tail(count: int, mean: float, overdispersion: float) -> float:
    """Sum the probabilities of a negative binomial with 60 digits."""
    with localcontext(prec=60):
        m, spread = Decimal(mean), Decimal(overdispersion)
        term = (-(1 + spread * m).ln() / spread).exp()
        total = Decimal(0)
        for k in range(count + 200):
            total += term if k >= count else 0
            term *= (1 + spread * k) * m / ((k + 1) * (1 + spread * m))
        return float(total)


@pytest.mark.parametrize("overdispersion", [1e-3, 1.01e-4, 0.99e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-14, 1e-16, 1e-30])
def test_overdispersion_of_any_size_gives_the_exact_tail(overdispersion: float):
    assert upper_tail(10, 5, overdispersion) == pytest.approx(exact_upper_tail(10, 5, overdispersion), rel=1e-11)


def test_next_to_no_overdispersion_is_poisson():
    poisson = 1 - sum(math.exp(-5) * 5**k / math.factorial(k) for k in range(10))
    for overdispersion in (0.0, 1e-12, 1e-14, 1e-16, 1e-300, 5e-324):
        assert upper_tail(10, 5, overdispersion) == pytest.approx(poisson, rel=1e-10)


def test_little_overdispersion_of_a_large_mean_still_counts():
    # The variance is 1% above that of Poisson: five deviations out, that is a seventh more.
    assert upper_tail(1_005_000, 1_000_000, 1e-8) / upper_tail(1_005_000, 1_000_000) == pytest.approx(1.137, abs=0.001)


@pytest.mark.parametrize("overdispersion", [0.0, 0.5])
def test_where_nothing_is_expected_nothing_comes(overdispersion: float):
    assert (upper_tail(5, 0, overdispersion), upper_tail(0, 0, overdispersion)) == (0.0, 1.0)
    assert (lower_tail(0, 0, overdispersion), lower_tail(5, 0, overdispersion)) == (1.0, 1.0)
