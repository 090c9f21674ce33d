"""Chances fitted to what happened: a logistic regression, and boosted trees to hold it against; both calibrated.

Rows come with the fold that they are in. What a model says of a fold is said by one that did not see it, so that the
strength of the penalty and the calibration are chosen on what the model did not know. Arrays in, arrays and figures
out; the same input gives the same figures: one thread, fixed seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from microconv.stats import calibration

Numbers = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

PENALTIES = (0.001, 0.01, 0.1, 1.0)
"""The strengths of the penalty that are tried: the inverse of what is added for each squared weight."""
_EDGE = 1e-9
_MOST_TREES_ROWS = 60_000
_SEED = 20_240_229


@dataclass(frozen=True)
class LogisticChances:
    """Log odds that are a sum: `intercept` plus each column times its weight. The calibration is part of both."""

    intercept: float
    weights: tuple[float, ...]
    penalty: float
    loss: float

    def chances(self, columns: Numbers) -> Numbers:
        """Return the chance of each row."""
        return expit(self.intercept + columns @ np.array(self.weights))


@dataclass(frozen=True)
class TreesChances:
    """Boosted trees; `loss` is the mean log loss on rows that the trees did not see, calibrated."""

    predict: Callable[[Numbers], Numbers]
    loss: float

    def chances(self, columns: Numbers) -> Numbers:
        """Return the chance of each row."""
        return self.predict(columns)


def expit(log_odds: Numbers) -> Numbers:
    """Return chances of log odds."""
    return 1 / (1 + np.exp(-np.clip(log_odds, -30, 30)))


def logit(chances: Numbers) -> Numbers:
    """Return log odds of chances."""
    inside = np.clip(chances, _EDGE, 1 - _EDGE)
    return np.log(inside / (1 - inside))


def log_loss(chances: Numbers, happened: Numbers) -> float:
    """Return the mean of minus the log of the chance given to what happened."""
    inside = np.clip(chances, _EDGE, 1 - _EDGE)
    return float(-np.mean(happened * np.log(inside) + (1 - happened) * np.log(1 - inside)))


def ranks_by_chance(chances: Numbers, happened: Numbers) -> float:
    """Return how likely chance alone ranks those to whom it happened so high, or higher (Mann and Whitney, 1947).

    One-sided, by the normal approximation with ties; 1 where it happened to all or to nobody.
    """
    order = calibration.auc(chances, happened)
    n, with_it = len(chances), float(happened.sum())
    if order is None:
        return 1.0
    _, ties = np.unique(chances, return_counts=True)
    sizes = ties.astype(np.float64)
    spread = (n + 1) - float((sizes**3 - sizes).sum()) / (n * (n - 1))
    if spread <= 0:
        return 1.0
    error = math.sqrt(spread / (12 * with_it * (n - with_it)))
    return 1 - NormalDist().cdf((order - 0.5) / error)


def fit_logistic(columns: Numbers, happened: Numbers, folds: Places) -> LogisticChances:
    """Fit a logistic regression of standardised columns with a squared penalty, and calibrate it.

    The penalty is the one of `PENALTIES` with the smallest log loss over the folds; the calibration (Platt, 1999) is of
    what was said of each fold by a model that had not seen it.
    """
    from threadpoolctl import threadpool_limits

    means, spreads = columns.mean(axis=0), columns.std(axis=0)
    spreads = np.where(spreads > 0, spreads, 1.0)
    scaled = (columns - means) / spreads
    with threadpool_limits(limits=1):
        best: tuple[float, float, Numbers] | None = None
        for penalty in PENALTIES:
            told = np.empty(len(happened))
            for fold in np.unique(folds):
                kept = folds != fold
                told[~kept] = _logistic(scaled[kept], happened[kept], penalty).predict_proba(scaled[~kept])[:, 1]
            loss = log_loss(told, happened)
            if best is None or loss < best[0]:
                best = loss, penalty, told
        assert best is not None  # noqa: S101 - there are penalties to try
        _, penalty, told = best
        slope, level = platt(told, happened)
        fitted = _logistic(scaled, happened, penalty)
    weights = slope * fitted.coef_[0] / spreads
    intercept = level + slope * float(fitted.intercept_[0]) - float(weights @ means)
    loss = log_loss(expit(level + slope * logit(told)), happened)
    return LogisticChances(intercept, tuple(float(each) for each in weights), penalty, loss)


def fit_trees(columns: Numbers, happened: Numbers, folds: Places) -> TreesChances:
    """Fit boosted trees (histogram gradient boosting) on all folds but the last, and calibrate them on that one.

    Of many rows a part is taken, drawn with a fixed seed.
    """
    from threadpoolctl import threadpool_limits

    if len(happened) > _MOST_TREES_ROWS:
        kept = np.sort(np.random.default_rng(_SEED).choice(len(happened), _MOST_TREES_ROWS, replace=False))
        columns, happened, folds = columns[kept], happened[kept], folds[kept]
    apart = folds == folds.max()
    with threadpool_limits(limits=1):
        fitted = _trees(columns[~apart], happened[~apart])
        told = fitted.predict_proba(columns[apart])[:, 1]
    slope, level = platt(told, happened[apart])

    def predict(rows: Numbers) -> Numbers:
        with threadpool_limits(limits=1):
            return expit(level + slope * logit(fitted.predict_proba(rows)[:, 1]))

    return TreesChances(predict, log_loss(expit(level + slope * logit(told)), happened[apart]))


def platt(chances: Numbers, happened: Numbers) -> tuple[float, float]:
    """Return the slope and level that calibrate log odds; chances that say nothing get the slope 0."""
    found = calibration.calibration(chances, happened) if np.ptp(chances) else None
    base = float(happened.mean())
    if found is None or not 0 < found.slope < _STEEPEST:
        return 0.0, float(logit(np.array([base]))[0])
    return found.slope, found.level


_STEEPEST = 20.0


def _logistic(columns: Numbers, happened: Numbers, penalty: float) -> Any:  # noqa: ANN401 - sklearn has no types
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=penalty, solver="newton-cholesky", tol=1e-6, max_iter=200).fit(columns, happened)


def _trees(columns: Numbers, happened: Numbers) -> Any:  # noqa: ANN401 - sklearn has no types
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=60,
        max_leaf_nodes=12,
        min_samples_leaf=50,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=_SEED,
    ).fit(columns, happened)
