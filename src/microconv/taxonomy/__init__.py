"""The micro-conversion taxonomy: which events count as what, in a versioned file."""

from __future__ import annotations

from microconv.taxonomy.model import CarriedParameter, Condition, MicroConversion, Taxonomy
from microconv.taxonomy.taxonomy_file import PRESETS, find_problems, load_taxonomy

__all__ = [
    "PRESETS",
    "CarriedParameter",
    "Condition",
    "MicroConversion",
    "Taxonomy",
    "find_problems",
    "load_taxonomy",
]
