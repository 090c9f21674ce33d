"""Sync: plan what changed, stage it in transactions, record it; safe to repeat, to interrupt and to kill."""

from microconv.staging.estimate import Estimate, Step, estimate
from microconv.staging.plan import REASONS, KeptDay, Plan, PlannedDay, Reason, Scope, compare, find_shards, plan
from microconv.staging.rounds import Progress
from microconv.staging.sync import SyncResult, is_at_cap, sync, upgrades

__all__ = [
    "REASONS",
    "Estimate",
    "KeptDay",
    "Plan",
    "PlannedDay",
    "Progress",
    "Reason",
    "Scope",
    "Step",
    "SyncResult",
    "compare",
    "estimate",
    "find_shards",
    "is_at_cap",
    "plan",
    "sync",
    "upgrades",
]
