"""Where nothing is planted, nothing is found: thresholds and combinations over properties made up by seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from insight.small_steps import nothing, shop
from microconv.analyses.insight.combinations import MORE
from microconv.analyses.insight.thresholds import THRESHOLD


def found(folder: Path, seeds: range) -> list[tuple[int, str]]:
    """What is found in each; every other property has people who do more of everything, the goal included."""
    told: list[tuple[int, str]] = []
    for seed in seeds:
        with shop(folder / str(seed), 100 + seed, nothing, activity=0.8 * (seed % 2)) as project:
            thresholds = project.ask("thresholds", landmarks=["1h"]).thresholds
            told += [(seed, row.counted) for row in thresholds if row.says == THRESHOLD]
            for form in ({}, {"ordered": True}, {"size": 3}):
                combinations = project.ask("combinations", landmarks=["1h"], **form).combinations
                told += [(seed, row.combination) for row in combinations if row.says == MORE]
    return told


def test_nothing_is_found_in_ten_properties_where_nothing_is_planted(tmp_path: Path):
    assert found(tmp_path, range(10)) == []


@pytest.mark.long
def test_nothing_is_found_in_thirty_more(tmp_path: Path):
    assert found(tmp_path, range(10, 40)) == []
