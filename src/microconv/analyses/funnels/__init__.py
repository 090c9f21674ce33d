"""Funnels: who takes the steps, how long that takes, and where the others went."""

from microconv.analyses.funnels.breakdown import Breakdown, breakdown, breakdown_query
from microconv.analyses.funnels.counts import funnel, funnel_query
from microconv.analyses.funnels.drop_off import drop_off, drop_off_query
from microconv.analyses.funnels.machine import Selection
from microconv.analyses.funnels.times import times, times_query
from microconv.analyses.funnels.trend import trend, trend_query

__all__ = [
    "Breakdown",
    "Selection",
    "breakdown",
    "breakdown_query",
    "drop_off",
    "drop_off_query",
    "funnel",
    "funnel_query",
    "times",
    "times_query",
    "trend",
    "trend_query",
]
