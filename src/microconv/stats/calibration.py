"""Whether predicted chances are what happens: order (AUC), distance (Brier), and slope and level of calibration.

All take arrays of one length: chances between 0 and 1, what happened (0 or 1), and how many cases each row stands for.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
_ROUNDS = 50
_CLOSE = 1e-10
_EDGE = 1e-9


class Calibration(NamedTuple):
    """The logistic regression of what happened on the log odds of the prediction (Cox, 1958).

    A slope of 1 and a level of 0 are those of right predictions; a slope below 1 is that of predictions too extreme.
    """

    slope: float
    level: float


class ChanceGroup(NamedTuple):
    """Cases of similar predictions: how many, the mean prediction, and the share to whom it happened."""

    cases: float
    predicted: float
    happened: float


def brier(chances: Numbers, happened: Numbers, cases: Numbers | None = None) -> float:
    """Return the mean squared distance of predictions from what happened (Brier, 1950).

    Raises:
        ValueError: There are no cases.
    """
    if not (len(chances) if cases is None else cases.sum()):
        raise ValueError("there are no predictions")
    return float(np.average((chances - happened) ** 2, weights=cases))


def auc(chances: Numbers, happened: Numbers, cases: Numbers | None = None) -> float | None:
    """Return how often somebody to whom it happened has the larger chance; ties count half (Hanley, McNeil, 1982).

    None where it happened to all or to nobody.
    """
    weights = np.ones(len(chances)) if cases is None else cases
    values, places = np.unique(chances, return_inverse=True)
    with_it = np.bincount(places, weights * happened, len(values))
    without = np.bincount(places, weights * (1 - happened), len(values))
    pairs = with_it.sum() * without.sum()
    if not pairs:
        return None
    return float((with_it * (np.cumsum(without) - without / 2)).sum() / pairs)


def calibration(chances: Numbers, happened: Numbers, cases: Numbers | None = None) -> Calibration | None:
    """Return slope and level by maximum likelihood; None where there is no maximum."""
    weights = np.ones(len(chances)) if cases is None else cases
    inside = np.clip(chances, _EDGE, 1 - _EDGE)
    odds = np.log(inside / (1 - inside))
    columns = np.column_stack([np.ones(len(odds)), odds])
    found = np.array([0.0, 1.0])
    for _ in range(_ROUNDS):
        told = 1 / (1 + np.exp(-np.clip(columns @ found, -500, 500)))
        information = columns.T @ (columns * (weights * told * (1 - told))[:, None])
        if np.linalg.cond(information) > 1 / np.finfo(float).eps:
            return None
        step = np.linalg.solve(information, columns.T @ (weights * (happened - told)))
        found = found + step
        if np.abs(step).max() < _CLOSE:
            return Calibration(float(found[1]), float(found[0]))
    return None


def groups(chances: Numbers, happened: Numbers, number: int = 10) -> list[ChanceGroup]:
    """Return cases in groups of equal size, from the smallest chances to the largest; equal chances stay together."""
    order = np.argsort(chances, kind="stable")
    values = chances[order]
    ends = [round(len(values) * part / number) for part in range(number + 1)]
    # An end inside of equal chances moves behind the last of them.
    ends = [0, *(int(np.searchsorted(values, values[end - 1], "right")) if end else 0 for end in ends[1:])]
    return [
        ChanceGroup(high - low, float(values[low:high].mean()), float(happened[order[low:high]].mean()))
        for low, high in pairwise(ends)
        if high > low
    ]
