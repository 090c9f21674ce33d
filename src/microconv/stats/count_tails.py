"""How likely a count is, or one further out: exact tails of the Poisson and the negative binomial distribution."""

from __future__ import annotations

import math

_NEGLIGIBLE = 1e-12
_LARGE = 1e4
"""From this size on the first terms of Stirling's series give all digits."""
_NO_DIGIT = 1e-100
"""Overdispersion that changes no digit of what Poisson gives."""


def lower_tail(count: int, mean: float, overdispersion: float = 0.0) -> float:
    """Return the probability of `count` or less.

    Args:
        count: What was seen, 0 or more.
        mean: What was expected, 0 or more.
        overdispersion: The variance beyond Poisson's, as a share of the squared mean: variance = mean + it * mean².
            0 is the Poisson distribution, more is the negative binomial (a Poisson count whose mean varies as a gamma
            distribution; Hilbe, Negative Binomial Regression, 2011, NB2).
    """
    if count < 0:
        return 0.0
    if mean == 0:
        return 1.0
    if count > mean:
        return 1.0 - upper_tail(count + 1, mean, overdispersion)
    # Below the mode each term is smaller than the one above it: summed downwards, until what remains is negligible.
    term = total = math.exp(_log_probability(count, mean, overdispersion))
    for k in range(count, 0, -1):
        term /= _growth(k - 1, mean, overdispersion)
        total += term
        if term < total * _NEGLIGIBLE:
            break
    return min(total, 1.0)


def upper_tail(count: int, mean: float, overdispersion: float = 0.0) -> float:
    """Return the probability of `count` or more; arguments are those of `lower_tail`."""
    if count <= 0:
        return 1.0
    if mean == 0:
        return 0.0
    if count <= mean:
        return 1.0 - lower_tail(count - 1, mean, overdispersion)
    term = total = math.exp(_log_probability(count, mean, overdispersion))
    k = count
    while term >= total * _NEGLIGIBLE and term > 0:
        term *= _growth(k, mean, overdispersion)
        total += term
        k += 1
    return min(total, 1.0)


def _log_probability(count: int, mean: float, overdispersion: float) -> float:
    if overdispersion <= _NO_DIGIT:
        return count * math.log(mean) - mean - math.lgamma(count + 1)
    size = 1 / overdispersion
    return (
        _log_rising(size, count)
        + count * math.log(mean)
        - math.lgamma(count + 1)
        - (size + count) * math.log1p(mean / size)
    )


def _log_rising(size: float, count: int) -> float:
    """Return the logarithm of size (size + 1) … (size + count - 1), less that of size to the power of `count`.

    Of a large size both gammas are the same but for their last digits; there it is the difference of Stirling's series.
    """
    if size < _LARGE:
        return math.lgamma(count + size) - math.lgamma(size) - count * math.log(size)
    grown = math.log1p(count / size)
    return size * grown - count + (count - 0.5) * grown + (1 / (size + count) - 1 / size) / 12


def _growth(count: int, mean: float, overdispersion: float) -> float:
    """Return the probability of `count` + 1, divided by that of `count`."""
    if overdispersion <= 0:
        return mean / (count + 1)
    return (1 + overdispersion * count) * mean / ((1 + overdispersion * mean) * (count + 1))
