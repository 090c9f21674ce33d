"""Properties made up by seed: daily counts of six events of a shop, without a fault, and with one of a known kind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

import numpy as np

from microconv.stats.daily_counts import DailyCounts

EVENTS = ("page_view", "view_item", "add_to_cart", "begin_checkout", "add_payment_info", "purchase")
USUAL = (4000.0, 1500.0, 400.0, 150.0, 100.0, 60.0)
"""Events of an ordinary day."""
REAL_NOISE = (0.03, 0.08, 0.15, 0.24, 0.24, 0.30)
"""Robust daily noise of shares in a real export, by depth of the funnel."""
_OTHERS = 6000.0
_FIRST = date(2024, 3, 4)

Fault = Literal["blackout", "halved", "doubled", "level_halved", "level_doubled"]


@dataclass(frozen=True)
class Planted:
    """Where a fault lies: the event, and its first and last day by index."""

    fault: Fault
    event: str
    first: int
    last: int


def clean(seed: int, noise: float | None, days: int = 60) -> DailyCounts:
    """Return a property without a fault.

    Traffic has a weekly pattern, a trend, noise of its own that lasts from day to day, and one to three promotions of 3
    to 6 days, which lift all events together; shares have a milder week of their own and daily noise.

    Args:
        seed: All randomness comes from it.
        noise: Standard deviation of the logarithm of a daily share; None: that of real events by depth of the funnel.
        days: How many.
    """
    random = np.random.default_rng(seed)
    calendar = tuple(_FIRST + timedelta(days=day) for day in range(days))
    weekdays = np.array([day.weekday() for day in calendar])
    week = 1 - 0.35 * random.uniform(0, 1) * (weekdays >= 5)
    trend = np.exp(np.linspace(0, random.uniform(-0.25, 0.25), days))
    demand = np.zeros(days)
    for day in range(1, days):
        demand[day] = 0.6 * demand[day - 1] + random.normal(0, 0.06)
    promotions = np.ones(days)
    for _ in range(random.integers(1, 4)):
        first = random.integers(0, days - 6)
        promotions[first : first + random.integers(3, 7)] *= random.uniform(1.3, 3.0)
    traffic = random.uniform(0.7, 2.0) * week * trend * np.exp(demand) * promotions
    counts = []
    for event, usual in enumerate(USUAL):
        spread = REAL_NOISE[event] if noise is None else noise
        own_week = np.exp(random.normal(0, 0.05, 7))[weekdays]
        mean = usual * traffic * own_week * np.exp(random.normal(0, spread, days))
        counts.append(random.poisson(mean))
    others = random.poisson(_OTHERS * traffic * np.exp(random.normal(0, 0.03, days)))
    every = np.array(counts, dtype=np.float64)
    return DailyCounts(EVENTS, calendar, every, every.sum(axis=0) + others, np.ones(days, dtype=bool))


def faulty(data: DailyCounts, fault: Fault, seed: int) -> tuple[DailyCounts, Planted]:
    """Return the property with one fault of one event, drawn by seed: two or three days, or 12 to 25 for a level."""
    random = np.random.default_rng([seed, 1])
    row = int(random.integers(len(data.subjects)))
    length = 2 if fault == "blackout" else int(random.integers(12, 26)) if fault.startswith("level") else 3
    margin = 10 if fault.startswith("level") else 0
    first = int(random.integers(margin, len(data.days) - length + 1 - margin))
    counts, days = data.counts.copy(), slice(first, first + length)
    before = counts[row, days].copy()
    if fault == "blackout":
        counts[row, days] = 0
    elif fault.endswith("halved"):
        counts[row, days] = random.binomial(before.astype(int), 0.5)
    else:
        counts[row, days] = before * 2
    traffic = data.traffic.copy()
    traffic[days] += counts[row, days] - before
    return replace(data, counts=counts, traffic=traffic), Planted(fault, data.subjects[row], first, first + length - 1)
