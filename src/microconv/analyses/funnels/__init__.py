"""Funnels: who takes the steps, how long that takes, and where the others went."""

from microconv.analyses.funnels.counts import funnel, funnel_query

__all__ = ["funnel", "funnel_query"]
