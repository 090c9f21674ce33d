"""Logistic regression of cases that are counted in groups: how many of each row it happened to, and did not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

PENALTY = 1.0
"""What is added for each squared weight of a standardised column, halved: enough to keep weights finite, no more."""
_ROUNDS = 100
_CLOSE = 1e-9


def grouped_logistic(columns: Numbers, with_it: Numbers, without: Numbers) -> Numbers:
    """Return the intercept and the weight of each column, by maximum likelihood with a squared penalty on the weights.

    Columns are standardised over all cases before the penalty; the weights returned are of the columns as given. It is
    Newton's method, with the step halved where it overshoots; the same input gives the same figures.

    Args:
        columns: A row for each group, a column for each property.
        with_it: How many cases of each group it happened to.
        without: How many it did not happen to.
    """
    cases = with_it + without
    means = np.average(columns, axis=0, weights=cases)
    spreads = np.sqrt(np.average((columns - means) ** 2, axis=0, weights=cases))
    spreads = np.where(spreads > 0, spreads, 1.0)
    scaled = np.column_stack([np.ones(len(cases)), (columns - means) / spreads])
    penalty = np.full(scaled.shape[1], PENALTY)
    penalty[0] = 0.0
    found = np.zeros(scaled.shape[1])
    found[0] = np.log((with_it.sum() + 0.5) / (without.sum() + 0.5))
    loss = _loss(scaled, with_it, without, penalty, found)
    for _ in range(_ROUNDS):
        told = 1 / (1 + np.exp(-scaled @ found))
        slope = scaled.T @ (with_it - cases * told) - penalty * found
        curve = scaled.T @ (scaled * (cases * told * (1 - told))[:, None]) + np.diag(penalty)
        step = np.linalg.lstsq(curve, slope, rcond=None)[0]
        while (next_loss := _loss(scaled, with_it, without, penalty, found + step)) > loss and np.abs(
            step
        ).max() > _CLOSE:
            step = step / 2
        found, loss = found + step, next_loss
        if np.abs(step).max() < _CLOSE:
            break
    weights = found[1:] / spreads
    return np.concatenate([[found[0] - weights @ means], weights])


def chances_of(weights: Numbers, columns: Numbers) -> Numbers:
    """Return the chance of each row, by the weights that `grouped_logistic` returned."""
    chances: Numbers = 1 / (1 + np.exp(-np.clip(weights[0] + columns @ weights[1:], -500, 500)))
    return chances


def _loss(scaled: Numbers, with_it: Numbers, without: Numbers, penalty: Numbers, found: Numbers) -> float:
    odds = scaled @ found
    return float(with_it @ np.logaddexp(0, -odds) + without @ np.logaddexp(0, odds) + (penalty * found**2).sum() / 2)
