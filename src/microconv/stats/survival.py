"""How long something takes where some have not got there yet: Kaplan and Meier's curve, and the test of two or more."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from microconv.stats.distributions import chi_square_tail
from microconv.stats.intervals import Interval, wilson


class Waited(NamedTuple):
    """How many got there after a time, and how many had not when they were seen last, after the same time."""

    time: float
    events: float
    censored: float


class CurveStep(NamedTuple):
    """The curve from a time on.

    Attributes:
        time: When somebody got there.
        at_risk: How many had not got there before, and were still seen.
        events: How many got there at that time.
        waiting: The share that has not got there after it.
        low: The lower end of its interval.
        high: The upper end.
    """

    time: float
    at_risk: float
    events: float
    waiting: float
    low: float
    high: float


class LogRank(NamedTuple):
    """The test that several groups take equally long: chi-square, degrees of freedom, p-value."""

    chi_square: float
    freedom: int
    p_value: float


def kaplan_meier(waits: Iterable[Waited], level: float = 0.95) -> list[CurveStep]:
    """Return the share that has not got there yet, at each time at which somebody did (Kaplan and Meier, 1958).

    Who was seen last at a time counts as at risk until just after it. Intervals: Greenwood's variance (1926) on the
    scale of log(-log), which stays between 0 and 1 (Kalbfleisch and Prentice, 1980). Where all got there that variance
    is without bounds: the upper end is then that of 0 of those at risk (Wilson, 1927), or the one before.
    """
    gathered = _gathered(waits)
    at_risk = math.fsum(each.events + each.censored for each in gathered)
    steps: list[CurveStep] = []
    waiting, greenwood = 1.0, 0.0
    quantile = NormalDist().inv_cdf((1 + level) / 2)
    for each in gathered:
        if each.events:
            left = at_risk - each.events
            waiting *= left / at_risk
            if left > 0:
                greenwood += each.events / (at_risk * left)
                low, high = _between(waiting, greenwood, quantile)
            else:
                none = wilson(0, at_risk, level)
                low, high = 0.0, min(none.high if none else 1.0, steps[-1].high if steps else 1.0)
            steps.append(CurveStep(each.time, at_risk, each.events, waiting, low, high))
        at_risk -= each.events + each.censored
    return steps


def time_by(steps: Sequence[CurveStep], share: float = 0.5) -> tuple[float | None, Interval]:
    """Return the time by which a share of all got there, and its interval (Brookmeyer and Crowley, 1982).

    An end is infinite, and the time None, where the curve does not get that far.
    """
    rest = 1 - share + 1e-12

    def first(value: str) -> float:
        return next((step.time for step in steps if getattr(step, value) <= rest), math.inf)

    middle = first("waiting")
    return (None if math.isinf(middle) else middle), Interval(first("low"), first("high"))


def known_until(waits: Iterable[Waited], fewest: int) -> float:
    """Return up to which time a curve may be told: each who is still seen stands for at most one in `fewest` of all.

    Who got there is known for ever, so it takes fewer who are still seen to tell the rest of the curve: as many as
    `fewest` times the share that is waiting. Infinite where all got there; 0 where there are too few from the start.
    """
    gathered = _gathered(waits)
    at_risk = math.fsum(each.events + each.censored for each in gathered)
    waiting, until = 1.0, 0.0
    for each in gathered:
        if at_risk < fewest * waiting * (1 - 1e-9):
            return until
        until = each.time
        waiting *= (at_risk - each.events) / at_risk
        at_risk -= each.events + each.censored
    return math.inf if gathered and waiting <= 0 else until


def log_rank(groups: Sequence[Iterable[Waited]]) -> LogRank | None:
    """Test whether groups take equally long (Mantel, 1966; Peto and Peto, 1972); None where nothing can be compared.

    Groups of nobody are left out.
    """
    known = [{each.time: each for each in _gathered(group)} for group in groups]
    tables = [table for table in known if table]
    at_risk = np.array([math.fsum(each.events + each.censored for each in table.values()) for table in tables])
    size = len(tables)
    observed, expected, covariance = np.zeros(size), np.zeros(size), np.zeros((size, size))
    nobody = Waited(0, 0, 0)
    for time in sorted(set().union(*tables)):
        events = np.array([table.get(time, nobody).events for table in tables])
        total, happened = at_risk.sum(), events.sum()
        if happened and total > 1:
            shares = at_risk / total
            observed += events
            expected += happened * shares
            spread = happened * (total - happened) / (total - 1)
            covariance += spread * (np.diag(shares) - np.outer(shares, shares))
        at_risk = at_risk - events - np.array([table.get(time, nobody).censored for table in tables])
    freedom = size - 1
    rest = covariance[:freedom, :freedom]
    if freedom < 1 or np.linalg.matrix_rank(rest) < freedom:
        return None
    difference = (observed - expected)[:freedom]
    chi_square = float(difference @ np.linalg.solve(rest, difference))
    return LogRank(chi_square, freedom, chi_square_tail(chi_square, freedom))


def _gathered(waits: Iterable[Waited]) -> list[Waited]:
    """Add up what is at the same time, in order of time."""
    sums: dict[float, list[float]] = {}
    for each in waits:
        if not (each.events >= 0 and each.censored >= 0):
            raise ValueError("nobody can have waited a negative number of times")
        row = sums.setdefault(each.time, [0.0, 0.0])
        row[0] += each.events
        row[1] += each.censored
    return [Waited(time, *sums[time]) for time in sorted(sums)]


def _between(waiting: float, greenwood: float, quantile: float) -> tuple[float, float]:
    log = math.log(waiting)
    margin = quantile * math.sqrt(greenwood) / abs(log)
    return math.exp(log * math.exp(margin)), math.exp(log * math.exp(-margin))
