"""Sync: plan what changed, stage it in transactions, record it; safe to repeat, to interrupt and to kill."""

from microconv.sync.estimate import Estimate, Step, estimate
from microconv.sync.plan import REASONS, KeptDay, Plan, PlannedDay, Reason, Scope, compare, find_shards, plan
from microconv.sync.rounds import Progress
from microconv.sync.run import SyncResult, is_at_cap, sync, upgrades

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
