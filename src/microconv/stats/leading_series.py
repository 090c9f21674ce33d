"""Does one daily series move before another? Pre-whitening, cross-correlations, and forecasts from a rolling origin.

Two series that each go on as they are (trends, weeks, momentum of their own) correlate at many lags without having
anything to do with each other. So the leading series is fitted by an autoregression, both are filtered by it, and what
is left of the two is correlated (Box and Jenkins, 1976, chapter 11). And a lead that is real must help to forecast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from microconv.stats.distributions import t_tail

Floats = NDArray[np.float64]

MOST_ORDER = 7
"""The longest autoregression that is tried: a week of days."""
_RIDGE = 1e-10
_ROUNDING = 1e-8
"""Up to what share of the largest value of a series that which is left of it is rounding."""


def weekday_terms(days: Sequence[date]) -> Floats:
    """Return the terms that are known of each day: a level, six days of the week (against Monday) and a trend (0 to 1).

    A row for each day. A day of the week that does not occur has no term.
    """
    count = len(days)
    weekdays = np.array([day.weekday() for day in days])
    columns = [np.ones(count), np.arange(count) / max(count - 1, 1)]
    columns += [(weekdays == each).astype(np.float64) for each in range(1, 7) if (weekdays == each).any()]
    return np.column_stack(columns)


@dataclass(frozen=True)
class AutoRegression:
    """An autoregression, fitted by least squares given the first values.

    Attributes:
        lags: What the value of one day before, two days before … counts.
        known: What the terms count that are known of each day.
        residuals: What is left of each day, the first `order` days left out.
        aic: Akaike's criterion of the fit, comparable between orders only over the same days.
    """

    lags: Floats
    known: Floats
    residuals: Floats
    aic: float

    @property
    def order(self) -> int:
        """How many days back it looks."""
        return len(self.lags)


def autoregression(series: Floats, terms: Floats, order: int, *, first: int | None = None) -> AutoRegression:
    """Fit an autoregression of an order, with terms that are known of each day (conditional least squares).

    Args:
        series: A value for each day.
        terms: Their known terms, a row for each day; see `weekday_terms`.
        order: How many days back it looks.
        first: The first day that is fitted; by default the first that has so many days before it.
    """
    begin = order if first is None else first
    inputs = np.column_stack([terms[begin:], *(series[begin - lag : len(series) - lag] for lag in range(1, order + 1))])
    found: Floats = np.linalg.lstsq(inputs, series[begin:], rcond=None)[0].astype(np.float64)
    residuals = series[begin:] - inputs @ found
    count = len(residuals)
    variance = float(residuals @ residuals) / count
    # Of the normal likelihood at its maximum; the variance is a parameter as well.
    aic = count * (math.log(2 * math.pi * max(variance, 1e-300)) + 1) + 2 * (inputs.shape[1] + 1)
    known = terms.shape[1]
    return AutoRegression(found[known:], found[:known], residuals, aic)


def best_autoregression(series: Floats, terms: Floats, most_order: int = MOST_ORDER) -> AutoRegression:
    """Fit the order with the smallest criterion of Akaike (1974); all orders are compared over the same days."""
    tried = [autoregression(series, terms, order, first=most_order) for order in range(most_order + 1)]
    return autoregression(series, terms, min(tried, key=lambda each: (each.aic, each.order)).order)


def filtered(series: Floats, terms: Floats, by: AutoRegression) -> Floats:
    """Filter a series by the autoregression of another, and take out its own level, trend and days of the week."""
    order = by.order
    moved = series[order:] - sum(
        (weight * series[order - lag : len(series) - lag] for lag, weight in enumerate(by.lags, start=1)),
        start=np.zeros(len(series) - order),
    )
    own, *_ = np.linalg.lstsq(terms[order:], moved, rcond=None)
    rest: Floats = moved - terms[order:] @ own
    return rest


@dataclass(frozen=True)
class CrossCorrelation:
    """How one series goes with another some days later: correlation (-1 to 1), and how often chance does as much."""

    lag: int
    correlation: float
    p_value: float


def leads(leading: Floats, following: Floats, terms: Floats, most_lag: int) -> list[CrossCorrelation]:
    """Return the cross-correlations at lags of 1, 2 … days, of what pre-whitening leaves of both (Box and Jenkins).

    The leading series is fitted by its best autoregression, and both are filtered by it; then a correlation at any lag
    has the variance 1/n where nothing leads, whatever the other series is like. Tested by t, with as many degrees of
    freedom as there are pairs, less what was fitted.

    Args:
        leading: The series that may move first.
        following: The series that may follow, of the same days.
        terms: The known terms of these days; see `weekday_terms`.
        most_lag: The longest lag.
    """
    fit = best_autoregression(leading, terms)
    white, other = fit.residuals, filtered(following, terms, fit)
    is_still = any(
        np.abs(rest).max() <= _ROUNDING * np.abs(series).max()
        for rest, series in ((white, leading), (other, following))
    )
    scale = 0.0 if is_still else math.sqrt(float(white @ white) * float(other @ other))
    found = []
    for lag in range(1, most_lag + 1):
        correlation = float(white[: len(white) - lag] @ other[lag:]) / scale if scale > 0 else 0.0
        freedom = len(white) - lag - fit.order - terms.shape[1] - 1
        if freedom < 1 or abs(correlation) >= 1:
            found.append(CrossCorrelation(lag, correlation, 1.0 if freedom < 1 else 0.0))
            continue
        statistic = correlation * math.sqrt(freedom / (1 - correlation**2))
        found.append(CrossCorrelation(lag, correlation, 2 * t_tail(abs(statistic), freedom)))
    return found


@dataclass(frozen=True)
class ForecastContest:
    """Forecasts of the next day, with another series and without: who was closer on days that neither had seen.

    Attributes:
        days: How many days were forecast.
        error_without: Root of the mean squared error of the series' own past.
        error_with: The same with the other series.
        p_value: How often chance makes the other series help as much (Clark and West, 2007), one-sided.
    """

    days: int
    error_without: float
    error_with: float
    p_value: float

    @property
    def gain(self) -> float:
        """By what share the error gets smaller; below 0 where it gets larger."""
        return 1 - self.error_with / self.error_without if self.error_without > 0 else 0.0


def forecast_contest(following: Floats, leading: Floats, terms: Floats, lag: int, first: int) -> ForecastContest | None:
    """Forecast each day from `first` on by the days before it (rolling origin), with the other series and without.

    Without: an autoregression with the known terms, whose order is chosen on the days before `first`. With: the same
    and the value of the other series `lag` days before. Both are fitted anew each day. As one contains the other, the
    test is that of Clark and West (2007): errors are corrected for the noise of the parameter that is one more.

    Errors that are only rounding are 0; where those without are, nothing can help, and p is 1.

    Returns:
        None where no day is left to forecast.
    """
    if first >= len(following):
        return None
    order = best_autoregression(following[:first], terms[:first]).order
    begin = max(order, lag)
    own = [following[begin - back : len(following) - back] for back in range(1, order + 1)]
    without = np.column_stack([terms[begin:], *own])
    both = np.column_stack([without, leading[begin - lag : len(leading) - lag]])
    seen = following[begin:]
    plain, helped = (_one_step(inputs, seen, first - begin) for inputs in (without, both))
    actual = seen[first - begin :]
    error_plain, error_helped = (actual - plain) ** 2, (actual - helped) ** 2
    adjusted = error_plain - (error_helped - (plain - helped) ** 2)
    spread = float(adjusted.std(ddof=1)) if len(adjusted) > 1 else 0.0
    statistic = float(adjusted.mean()) / spread * math.sqrt(len(adjusted)) if spread > 0 else 0.0
    least = _ROUNDING * float(np.abs(following).max())
    without_it, with_it = (
        error if error > least else 0.0
        for error in (math.sqrt(float(each.mean())) for each in (error_plain, error_helped))
    )
    p_value = 1 - NormalDist().cdf(statistic) if without_it else 1.0
    return ForecastContest(len(actual), without_it, with_it, p_value)


def _one_step(inputs: Floats, seen: Floats, first: int) -> Floats:
    """Forecast each row from `first` on by least squares on the rows before it."""
    products = np.cumsum(inputs[:, :, None] * inputs[:, None, :], axis=0)[first - 1 : -1]
    sums = np.cumsum(inputs * seen[:, None], axis=0)[first - 1 : -1]
    # A day of the week that has not been yet has no effect yet.
    ridge = _RIDGE * np.maximum(np.trace(products, axis1=1, axis2=2), 1.0)[:, None, None] * np.eye(inputs.shape[1])
    weights = np.linalg.solve(products + ridge, sums[:, :, None])[:, :, 0]
    forecasts: Floats = np.einsum("ij,ij->i", inputs[first:], weights)
    return forecasts
