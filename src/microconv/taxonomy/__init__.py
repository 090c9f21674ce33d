"""The micro-conversion taxonomy: which events count as what, in a versioned file."""

from __future__ import annotations

from microconv.taxonomy.contract import ga4_limits
from microconv.taxonomy.derived import LONGEST_LOOKBACK, Derivation, Derived
from microconv.taxonomy.difference import Effect, TaxonomyDifference, difference
from microconv.taxonomy.entry import MicroConversion
from microconv.taxonomy.event_conditions import Clause, Condition, Group
from microconv.taxonomy.model import Taxonomy
from microconv.taxonomy.names import version_key
from microconv.taxonomy.taxonomy_file import PRESETS, find_problems, find_warnings, load_taxonomy, went_back

__all__ = [
    "LONGEST_LOOKBACK",
    "PRESETS",
    "Clause",
    "Condition",
    "Derivation",
    "Derived",
    "Effect",
    "Group",
    "MicroConversion",
    "Taxonomy",
    "TaxonomyDifference",
    "difference",
    "find_problems",
    "find_warnings",
    "ga4_limits",
    "load_taxonomy",
    "version_key",
    "went_back",
]
