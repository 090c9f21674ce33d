"""Leading indicators: one that is planted is found with its lag, and where nothing leads, nothing is found."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from every_question import CONFIG
from insight.simulated import DAY, Done, Visits
from insight.simulated import staged as simulated
from microconv.analyses.insight.leading import Leading, LeadingResult
from microconv.config.load import load_config
from microconv.project import Project
from microconv.question import Context
from microconv.taxonomy import load_taxonomy
from projects import write_config

ENTRIES = ("scroll", "search", "view_item", "select_item", "add_to_cart")
GOAL = "purchase"
TAXONOMY = load_taxonomy(preset="ecommerce", file=None)
START = date(2024, 3, 1)


def moving(random: np.random.Generator, days: int, after: float, spread: float) -> np.ndarray:
    """A rate, in logarithms, that goes on as it is for a while."""
    noise = random.normal(0, spread, days + 50)
    found = np.zeros(days + 50)
    for day in range(1, days + 50):
        found[day] = after * found[day - 1] + noise[day]
    return found[50:]


def counted(seed: int, *, days: int = 120, lag: int | None = None, follows: int | None = None) -> dict[str, np.ndarray]:
    """Actors a day by entry, and `sessions`: weeks, campaigns in the traffic, and rates that wander on their own.

    With `lag` the goal follows view_item by so many days; with `follows` search follows the goal.
    """
    random = np.random.default_rng(seed)
    week = 0.2 * np.sin(np.arange(days) * 2 * np.pi / 7)
    rates = {entry: moving(random, days, random.uniform(0, 0.8), 0.25) for entry in ENTRIES}
    goal = moving(random, days, 0.5, 0.15)
    if lag is not None:
        goal[lag:] += 0.8 * rates["view_item"][:-lag]
    if follows is not None:
        rates["search"] = np.concatenate([np.zeros(follows), goal[:-follows]]) + random.normal(0, 0.1, days)
    sessions = random.poisson(2_000 * np.exp(moving(random, days, 0.6, 0.2)))
    actors = {entry: random.poisson(sessions * 0.1 * np.exp(rate + week)) for entry, rate in rates.items()}
    return {**actors, GOAL: random.poisson(sessions * 0.03 * np.exp(goal + week)), "sessions": sessions}


def judged(counts: dict[str, np.ndarray], **asked: Any) -> LeadingResult:
    sessions = counts["sessions"]
    rows = [
        {
            "event_date": START + timedelta(days=day),
            "micro_conversion": entry,
            "actors": int(counts[entry][day]) if entry in counts else 0,
            "sessions": int(number),
        }
        for day, number in enumerate(sessions)
        for entry in sorted({each.counts_as for each in TAXONOMY.staged}, key=TAXONOMY.rank)
    ]
    result = Leading(**asked).result([pa.Table.from_pylist(rows)], Context(CONFIG, TAXONOMY))
    json.dumps(result.document(), allow_nan=False)
    return result


def leading(result: LeadingResult) -> list[tuple[str, int | None]]:
    return [(row.micro_conversion, row.lag_days) for row in result.entries if row.is_leading]


def test_planted_lead_of_three_days_is_found():
    found = [leading(judged(counted(seed, lag=3))) for seed in range(20)]

    assert sum(each == [("view_item", 3)] for each in found) >= 18


def test_nothing_is_found_where_nothing_leads():
    assert [leading(judged(counted(seed))) for seed in range(100, 140)] == [[]] * 40


def test_what_follows_the_goal_does_not_lead_it():
    assert [leading(judged(counted(seed, follows=2))) for seed in range(200, 210)] == [[]] * 10


@pytest.mark.long
def test_family_of_tests_finds_little_by_chance():
    found = [leading(judged(counted(seed, days=60 + seed % 120))) for seed in range(1_000, 1_400)]

    assert sum(bool(each) for each in found) <= 400 * 0.05


def test_all_figures_are_told():
    result = judged(counted(3, lag=3), lags=7)

    first = result.entries[0]
    assert (first.micro_conversion, first.lag_days, first.tried_lag, first.is_leading) == ("view_item", 3, 3, True)
    figures = (first.correlation, first.p_value, first.adjusted, first.gain, first.forecast_p)
    correlation, p_value, adjusted, gain, forecast_p = (each if each is not None else float("nan") for each in figures)
    assert correlation > 0.3
    assert p_value < adjusted <= 0.05
    assert gain > 0.02
    assert forecast_p <= 0.05
    assert (result.days, result.tests, result.held_out_days) == (120, len(ENTRIES) * 7, 40)
    others = [row for row in result.entries if row.micro_conversion in ENTRIES]
    assert all(row.correlation is not None and row.gain is not None and not row.says for row in others)
    assert result.sentence.startswith("Moving before the rate of purchase: view_item by 3 days (correlation 0.")
    assert result.sentence.endswith("That is not proof of a cause.")


def test_where_nothing_leads_the_closest_is_named_with_its_figures():
    result = judged(counted(101))

    assert result.sentence.startswith("No entry's rate moves before that of purchase beyond chance, of 70 tests")
    assert result.entries[0].micro_conversion in result.sentence


def test_fewer_than_60_days_in_a_row_are_not_enough():
    result = judged(counted(3, lag=3, days=59))

    assert result.sentence == (
        "What moves before purchase cannot be told yet: not enough data: n = 59 days in a row, and it takes 60 "
        "(1 more)."
    )
    assert {(row.correlation, row.is_leading) for row in result.entries} == {(None, False)}
    assert {row.says for row in result.entries} == {"not enough data: n = 59 days"}
    # A day on which nobody came parts them.
    gap = counted(3, lag=3, days=119)
    for counts in gap.values():
        counts[59] = 0
    assert judged(gap).days == 59


def test_what_holds_for_all_entries_is_told_once_and_rows_stay_in_data():
    few, rare_goal = counted(3, lag=3, days=32), counted(3, lag=3)
    rare_goal[GOAL][:] = 0
    for result in (judged(few), judged(rare_goal)):
        assert list(result.sheets()) == []
        assert len(result.document()["entries"]) == len(result.entries) > 5
    assert judged(few).sentence.endswith("n = 32 days in a row, and it takes 60 (28 more).")


def test_rare_entries_and_a_rare_goal_are_not_judged():
    counts = counted(3, lag=3)
    counts["search"][:] = 0
    counts["search"][::10] = 1
    result = judged(counts)
    rare = next(row for row in result.entries if row.micro_conversion == "search")
    assert (rare.correlation, rare.says) == (None, "not enough data: n = 12")
    assert result.tests == 4 * 14

    counts[GOAL][:] = 0
    assert judged(counts).sentence == "What moves before purchase cannot be told: purchase: not enough data: n = 0."


def test_outage_of_the_tracking_moves_no_rate():
    counts = counted(3, lag=3)
    counts["view_item"][50:53] = 0
    result = judged(counts)

    assert leading(result) == [("view_item", 3)]
    assert any("view_item (3 days)" in each for each in result.assumptions)


def test_lead_is_found_in_staged_rows_and_told_by_the_command(tmp_path: Path):
    counts, days = counted(3, lag=3), 120
    random = np.random.default_rng(1)
    # A quarter of all, so that the rows are few; each visit is that of another actor.
    sizes = {name: each // 4 for name, each in counts.items()}
    visits = np.repeat(np.arange(days), sizes["sessions"])
    moments = visits * DAY + random.integers(0, DAY - 3_600_000_000, len(visits))
    done = {}
    for entry in (*ENTRIES, GOAL):
        chosen = np.concatenate(
            [random.choice(np.flatnonzero(visits == day), sizes[entry][day], replace=False) for day in range(days)]
        )
        done[entry] = Done(chosen, moments[chosen])
    config = write_config(tmp_path)
    simulated(tmp_path / "microconv.duckdb", TAXONOMY, Visits(np.arange(len(visits)), moments), done, days=days).close()
    with Project(load_config(config, {})) as project:
        result = project.ask("leading")
        shorter = project.ask("leading", until=START + timedelta(days=31))

    assert isinstance(result, LeadingResult)
    assert leading(result) == [("view_item", 3)]
    assert result == judged(sizes)
    assert isinstance(shorter, LeadingResult)
    assert "not enough data: n = 32 days" in shorter.sentence
