"""How far HyperLogLog++ estimates may be off, held against estimates that are really made."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from microconv.stats.cardinality import SESSION_PRECISION, USER_PRECISION, standard_error, tolerance


def linear_counts(distinct: int, buckets: int, times: int) -> np.ndarray:
    """Estimate so many distinct things by the buckets that stay empty."""
    random = np.random.default_rng(distinct)
    empty = [buckets - np.unique(random.integers(0, buckets, distinct)).size for _ in range(times)]
    return -buckets * np.log(np.array(empty) / buckets)


def register_counts(distinct: int, precision: int, times: int) -> np.ndarray:
    """Estimate so many distinct things by the longest run of zeros in each register."""
    random = np.random.default_rng(distinct)
    registers = 2**precision
    estimates = []
    for _ in range(times):
        place = random.integers(0, registers, distinct)
        longest = np.zeros(registers)
        np.maximum.at(longest, place, random.geometric(0.5, distinct))
        estimates.append(0.7213 / (1 + 1.079 / registers) * registers**2 / np.sum(2.0**-longest))
    return np.array(estimates)


@pytest.mark.parametrize("distinct", [100, 600])
def test_small_sets_are_nearly_exact(distinct: int):
    found = linear_counts(distinct, 2 ** (SESSION_PRECISION + 5), 2_000).std() / distinct
    assert found == pytest.approx(standard_error(distinct, SESSION_PRECISION), rel=0.15)


@pytest.mark.parametrize("distinct", [1_000, 1_500, 2_500])
def test_middling_sets_are_counted_by_empty_registers(distinct: int):
    found = linear_counts(distinct, 2**SESSION_PRECISION, 1_000).std() / distinct
    assert found == pytest.approx(standard_error(distinct, SESSION_PRECISION), rel=0.15)


def test_large_sets_have_the_error_of_the_registers():
    found = register_counts(60_000, SESSION_PRECISION, 200).std() / 60_000
    assert found == pytest.approx(standard_error(60_000, SESSION_PRECISION), rel=0.2)


@pytest.mark.parametrize(("precision", "share"), [(USER_PRECISION, 0.024), (SESSION_PRECISION, 0.049)])
def test_three_standard_errors_of_large_sets_are_what_ga4_documents(precision: int, share: float):
    assert tolerance(1_000_000, precision) / 1_000_000 == pytest.approx(share, abs=0.0005)


def test_nothing_may_be_off_by_one():
    assert tolerance(0, USER_PRECISION) == 1


def test_the_tolerance_never_shrinks_as_counts_grow():
    allowed = [tolerance(distinct, USER_PRECISION) for distinct in range(0, 200_000, 50)]
    assert all(more >= less * 0.999 for less, more in pairwise(allowed))
