"""Sync: plan what changed, stage it in transactions, record it; safe to repeat, to interrupt and to kill."""

from microconv.staging.estimate import Estimate, estimate
from microconv.staging.rounds import Progress
from microconv.staging.sync import SyncResult, is_at_cap, sync
from microconv.staging.sync_plan import REASONS, Scope, SyncPlan, compare, find_shards, plan

__all__ = [
    "REASONS",
    "Estimate",
    "Progress",
    "Scope",
    "SyncPlan",
    "SyncResult",
    "compare",
    "estimate",
    "find_shards",
    "is_at_cap",
    "plan",
    "sync",
]
