"""How far a HyperLogLog++ estimate of a number of distinct things may lie from the truth."""

from __future__ import annotations

import math

USER_PRECISION = 14
SESSION_PRECISION = 12
"""Precisions of GA4's estimates; 3 standard errors are 2.4% and 4.9%.

Source: https://developers.google.com/analytics/blog/2022/hll.
"""
_SPARSE_BITS = 5
"""By how much the sparse form, in which small sets are kept, is more precise.

Source: https://cloud.google.com/bigquery/docs/reference/standard-sql/hll_functions.
"""
_SPARSE_UP_TO = 0.18
"""Elements per register up to which the sparse form is smaller than the registers, at 4 bytes an element."""
_LINEAR_UP_TO = 0.7
"""Elements per register up to which empty registers are counted, which is more precise than the estimate proper."""


def standard_error(distinct: float, precision: int) -> float:
    """Return the relative standard error of an estimate of so many distinct things.

    Sparse sets are counted linearly in 2^(precision + 5) buckets, larger ones in 2^precision, and those beyond by the
    estimate of HyperLogLog, 1.04 / sqrt(2^precision).
    Source: Heule, Nunkesser, Hall, "HyperLogLog in Practice", 2013.
    """
    registers = 2.0**precision
    if distinct <= 0:
        return 0.0
    if distinct > _LINEAR_UP_TO * registers:
        return 1.04 / math.sqrt(registers)
    buckets = registers * 2**_SPARSE_BITS if distinct <= _SPARSE_UP_TO * registers else registers
    load = distinct / buckets
    return math.sqrt(buckets * (math.expm1(load) - load)) / distinct


def tolerance(distinct: float, precision: int, errors: float = 3.0) -> float:
    """Return how far an estimate may be off, as a number of things: so many standard errors, and one for rounding."""
    return 1.0 + errors * standard_error(distinct, precision) * distinct
