"""Lift towards goals whose truth is known: what is told, how sure, and what is not told."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asking import answer
from insight.lift_worlds import FACTORS, TAXONOMY, VisitsWorld, World, made, made_of_visits
from insight.simulated import HOUR, MINUTE, Done, Visits, staged, taxonomy
from microconv.analyses.insight import entry_lift, lift
from microconv.analyses.insight.banded import read_ratios
from microconv.analyses.insight.context_differences import differences_between
from microconv.analyses.insight.entry_lift import EntryLift
from microconv.analyses.insight.lift import Lift, LiftResult
from microconv.analyses.insight.placebos import placebo_band
from microconv.stats.ratios import Ratio

SEEDS, MANY = 4, 40
"""In a usual run, and in `make test-long`."""
NOTHING = tuple((name, 1.0) for name in FACTORS)

WORLDS: dict[str, tuple[World | VisitsWorld, str]] = {
    "plain": (World(actors=12_000), "observed"),
    "histories that began before": (World(actors=12_000, began_before=0.3), "observed"),
    "activity behind both": (World(actors=12_000, activity=(0.5, 2.0)), "adjusted"),
    "device behind both": (World(actors=12_000, device=(0.5, 2.0)), "adjusted"),
    "visits": (VisitsWorld(), "adjusted"),
}
TRUTHS = FACTORS | {"busy": 1.0}


def asked(folder: Path, world: World | VisitsWorld, seed: int, **fields: Any) -> LiftResult:
    place = folder / f"{seed}.duckdb"
    with made(place, world, seed) if isinstance(world, World) else made_of_visits(place, world, seed) as engine:
        found: LiftResult = answer(engine, Lift(**fields), TAXONOMY)
    place.unlink()
    return found


def by_name(result: LiftResult) -> dict[str, EntryLift]:
    return {row.micro_conversion: row for row in result.lifts}


def held(folder: Path, name: str, seeds: range) -> Counter[str]:
    """In how many properties the interval of each entry holds its truth."""
    world, tier = WORLDS[name]
    found: Counter[str] = Counter()
    for seed in seeds:
        rows = by_name(asked(folder, world, seed, tier=tier))
        for entry, truth in TRUTHS.items():
            row = rows[entry]
            assert row.low is not None
            assert row.high is not None
            found[entry] += row.low <= truth <= row.high
    return found


@pytest.mark.parametrize("name", WORLDS)
def test_intervals_hold_the_truth(name: str, tmp_path: Path) -> None:
    """A part of the forty below, with the same share."""
    found = held(tmp_path, name, range(SEEDS))
    assert sum(found.values()) >= 0.9 * SEEDS * len(TRUTHS), found


@pytest.mark.long
@pytest.mark.parametrize("name", WORLDS)
def test_intervals_hold_the_truth_in_36_of_40(name: str, tmp_path: Path) -> None:
    found = held(tmp_path, name, range(MANY))
    assert min(found[entry] for entry in TRUTHS) >= 36, found


def test_what_active_people_do_seems_to_help_until_like_is_compared_with_like(tmp_path: Path) -> None:
    world = World(activity=(0.5, 2.0))
    observed = by_name(asked(tmp_path, world, 1, tier="observed"))["busy"]
    adjusted = by_name(asked(tmp_path, world, 1))["busy"]
    assert observed.verdict == entry_lift.MORE
    assert adjusted.verdict == entry_lift.NOTHING_MORE
    assert adjusted.observed == observed.ratio


def test_whoever_is_here_now_seems_to_be_helped_by_anything_until_presence_is_compared(tmp_path: Path) -> None:
    """The goal is reached during visits only: after any act at all its rate is high."""
    world = VisitsWorld(actors=12_000, factors=NOTHING)
    observed = by_name(asked(tmp_path, world, 1, tier="observed"))
    adjusted = asked(tmp_path, world, 1)
    for name in FACTORS:
        assert observed[name].verdict == entry_lift.MORE
        assert by_name(adjusted)[name].verdict == entry_lift.NOTHING_MORE
    assert adjusted.placebo == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    ("high", "beyond", "p_value", "is_among", "said"),
    [
        (3.0, 0.4, 0.001, False, entry_lift.MORE),
        (3.0, 0.4, 0.02, False, entry_lift.CHANCE),
        (3.0, 0.4, 0.001, True, entry_lift.NOTHING_MORE),
        (1.9, -0.4, 0.001, False, entry_lift.LESS),
        (0.9, -0.4, 0.001, False, entry_lift.FEWER),
        (0.9, -0.4, 0.2, False, entry_lift.CHANCE),
        (0.9, -0.4, 0.001, None, entry_lift.FEWER),
        (3.0, 0.4, 0.02, None, entry_lift.CHANCE),
        (3.0, 0.4, 0.01, None, entry_lift.MORE),
    ],
)
def test_fewer_is_said_only_where_the_whole_ratio_lies_below_one(
    high: float, beyond: float, p_value: float, is_among: bool | None, said: str
) -> None:
    """Where a chance step goes with twice as many, one that goes with half as many again is less, not fewer."""
    ratio = Ratio(high * 0.8, high * 0.64, high, 0.01)
    assert entry_lift.verdict_of(ratio, beyond, p_value, is_among_placebos=is_among) == said


def test_fewer_is_not_said_of_a_step_that_goes_with_as_many_among_all() -> None:
    """Beside steps of the way, a step that does nothing seems to do harm among those who did as much."""
    ratio = Ratio(0.2, 0.15, 0.3, 0.001)
    said = [entry_lift.verdict_of(ratio, -1.5, 0.001, is_among_placebos=False, observed=each) for each in (1.02, 0.4)]
    assert said == [entry_lift.LESS, entry_lift.FEWER]


def test_what_a_chance_step_could_have_is_no_lift_however_sure_it_is() -> None:
    """Placebos of 0.9 to 1.4: a ratio of 1.3 is among them, one of 1.6 is not; too few placebos say nothing."""
    placebos = [Ratio(each, each / 1.2, each * 1.2, 0.5) for each in (0.9, 1.0, 1.1, 1.2, 1.3, 1.4)]
    band = placebo_band(placebos)
    assert band is not None
    assert band.ratio == pytest.approx(1.14, abs=0.02)
    # They spread by 0.136 (Paule and Mandel) around 0.129, each is known to 0.093: 95% of such steps are in between.
    assert band.low == pytest.approx(math.exp(0.1285 - 1.96 * math.hypot(0.1365, 0.0930)), abs=0.005)
    assert band.high == pytest.approx(math.exp(0.1285 + 1.96 * math.hypot(0.1365, 0.0930)), abs=0.005)
    assert band.holds(Ratio(1.3, 1.29, 1.31, 0.0))
    assert not band.holds(Ratio(1.6, 1.2, 2.1, 0.0))
    assert placebo_band([*placebos[:4], None, None]) is None


def test_the_band_of_small_steps_is_told_once_in_text_and_with_each_entry_in_data(tmp_path: Path) -> None:
    result = asked(tmp_path, World(activity=(0.5, 2.0)), 1)
    shown = [each for each in result.sheets() if isinstance(each, str)]
    said = [row.says for row in result.lifts if row.verdict == entry_lift.MORE]
    assert said
    assert all("; small steps picked by chance: " in each for each in said)
    assert [" picked by chance" in each for each in shown] == [True, *(False for _ in said)]


def test_columns_are_explained_where_they_are_shown_and_rates_are_not_to_be_divided(tmp_path: Path) -> None:
    """Over all time, one rate divided by the other is another number than the ratio at the same time."""
    with made(tmp_path / "x.duckdb", World(), 1) as engine:
        found = [answer(engine, Lift(**fields), TAXONOMY) for fields in ({}, {"tier": "observed"}, {"by": "hour"})]
    adjusted, observed, by_hour = (" ".join(each.assumptions) for each in found)
    of_all = (
        "Within moments: ",
        "one rate divided by the other is not the ratio",
        "microconv thresholds, ",
        "coverage",
    )
    steady = ("By the first day: ", "Weeks alike: ", "Began before: ", "p: corrected.")
    alike = ("E-value: ", "Have like actors: ")
    assert all(each in adjusted for each in (*of_all, *steady, *alike))
    assert all(each in observed for each in (*of_all, *steady))
    assert all(each in by_hour for each in of_all)
    assert not any(each in observed for each in alike)
    assert not any(each in by_hour for each in (*steady, *alike))
    row = by_name(found[0])["doubles"]
    assert row.exposed_rate is not None
    assert row.other_rate is not None
    assert row.exposed_rate / row.other_rate != pytest.approx(row.observed, rel=0.05)


def test_a_step_that_all_take_is_on_the_path_and_not_ranked(tmp_path: Path) -> None:
    rows = asked(tmp_path, World(), 2).lifts
    last = rows[-1]
    assert (last.micro_conversion, last.verdict) == ("checkout", entry_lift.ON_PATH)
    assert (last.ratio, last.shrunken, last.other_targets) == (None, None, 0)
    assert last.exposed > last.exposed_targets >= 20


def test_time_before_a_step_is_not_held_against_it(tmp_path: Path) -> None:
    """Over whole histories, an entry without any effect seems to harm: who converts early had no time for it."""
    rows = by_name(asked(tmp_path, World(factors=NOTHING), 3, tier="observed"))
    for name in FACTORS:
        row = rows[name]
        did = row.exposed_targets / row.exposed
        did_not = row.other_targets / (World().actors - row.exposed)
        assert did < did_not
        assert row.ratio == pytest.approx(1, abs=0.35)


def test_whoever_began_before_the_data_is_apart(tmp_path: Path) -> None:
    row = by_name(asked(tmp_path, World(actors=12_000, began_before=0.5), 4, tier="observed"))["doubles"]
    none = by_name(asked(tmp_path, World(), 4, tier="observed"))["doubles"]
    assert row.before_data is not None
    assert 1 < row.before_data < 4
    assert none.before_data is None


def _found(folder: Path, seed: int) -> list[str]:
    """What is said of properties in which nothing does anything, in either tier, but of the checkout."""
    with made(folder / f"{seed}.duckdb", World(factors=NOTHING), seed) as engine:
        results = [answer(engine, Lift(tier=tier), TAXONOMY) for tier in ("observed", "adjusted")]
    return [
        f"{seed}: {row.micro_conversion} {row.tier} {row.verdict} {row.ratio}"
        for result in results
        for row in result.lifts
        if row.verdict in (entry_lift.MORE, entry_lift.FEWER)
    ]


def test_nothing_is_found_where_nothing_is_planted(tmp_path: Path) -> None:
    assert [found for seed in range(300, 304) for found in _found(tmp_path, seed)] == []


def _found_in_visits(folder: Path, seed: int) -> list[str]:
    """What is said of properties that people visit, in which nothing does anything."""
    rows = asked(folder, VisitsWorld(factors=NOTHING), seed).lifts
    return [
        f"{seed}: {row.micro_conversion} {row.verdict}"
        for row in rows
        if row.verdict in (entry_lift.MORE, entry_lift.FEWER)
    ]


def test_nothing_is_found_in_visits_where_nothing_is_planted(tmp_path: Path) -> None:
    assert [found for seed in range(300, 304) for found in _found_in_visits(tmp_path, seed)] == []


@pytest.mark.long
def test_nothing_is_found_in_the_visits_of_forty_properties(tmp_path: Path) -> None:
    assert [found for seed in range(300, 340) for found in _found_in_visits(tmp_path, seed)] == []


@pytest.mark.long
def test_nothing_is_found_in_forty_properties_where_nothing_is_planted(tmp_path: Path) -> None:
    assert [found for seed in range(300, 340) for found in _found(tmp_path, seed)] == []


def test_little_data_is_said_to_be_little(tmp_path: Path) -> None:
    result = asked(tmp_path, World(actors=150), 5)
    assert all(row.ratio is None and row.says for row in result.lifts)
    assert any(row.verdict.startswith("not enough data: n = ") for row in result.lifts)
    assert result.sentence.startswith("Not enough data to tell what goes with buy: n = ")


def test_one_goal_after_a_rare_step_is_no_lift_however_few_were_to_be_expected(tmp_path: Path) -> None:
    """Of 12 who do it, one reaches the goal a minute after: the error of a logarithm would be sure of it."""
    known = taxonomy(
        look={"kind": "secondary", "stage": "awareness"},
        rare={"kind": "secondary", "stage": "awareness"},
        buy={"kind": "macro", "stage": "decision"},
    )
    rng = np.random.default_rng(3)
    actors = np.arange(4_000)
    begins = actors * MINUTE
    rare, buys = actors[actors % 333 == 1], actors[actors % 9 == 0]
    at_rare = np.where(rare == 1, begins[rare] + 60 * MINUTE, begins[rare] + 9 * 24 * HOUR)
    at_buy = begins[buys] + rng.integers(MINUTE, 200 * HOUR, len(buys))
    done = {
        "look": Done(actors, begins + MINUTE),
        "rare": Done(rare, at_rare),
        "buy": Done(np.append(buys, 1), np.append(at_buy, at_rare[0] + MINUTE)),
    }
    with staged(tmp_path / "x.duckdb", known, Visits(actors, begins), done, days=30) as engine:
        row = by_name(answer(engine, Lift(tier="observed"), known))["rare"]
    assert (row.exposed, row.exposed_targets) == (len(rare), 1)
    assert row.verdict == "not enough data: n = 1"
    assert (row.ratio, row.p_value) == (None, None)


def test_weeks_are_alike_by_the_ratio_over_bands_of_time() -> None:
    """In each week the ratio is 1.5 in either band; all time together would show less than 1."""
    rows = [
        {
            "micro_conversion": "look",
            "context": f"week {week}",
            "began_before": False,
            "exposed_targets": exposed_targets,
            "exposed_ms": exposed_ms,
            "other_targets": other_targets,
            "other_ms": other_ms,
        }
        for week in range(4)
        for exposed_targets, exposed_ms, other_targets, other_ms in ((15, 100, 100, 1_000), (15, 1_000, 1, 100))
    ]
    by_week = read_ratios(rows, by_context=True)
    crude = (30 / 1_100) / (101 / 1_100)

    assert crude < 1
    assert [each.ratio for each in by_week.values() if each] == pytest.approx([1.5] * 4)
    assert lift.weeks_alike(Ratio(1.5, 1.2, 1.9, 0.001), [each for each in by_week.values() if each]) == "4 of 4"


def test_the_verdict_is_of_the_interval_beyond_placebos_and_so_is_the_e_value(tmp_path: Path) -> None:
    rows = asked(tmp_path, World(actors=12_000, activity=(0.5, 2.0)), 2).lifts
    told = [row for row in rows if row.beyond and row.beyond_low and row.beyond_high and row.low and row.high]
    for row in told:
        # What placebos differ by among each other is a part of the error.
        assert math.log(row.beyond_high / row.beyond_low) >= math.log(row.high / row.low)
        assert row.beyond_low < row.beyond < row.beyond_high
        assert (row.e_value is not None) == (row.verdict in (entry_lift.MORE, entry_lift.FEWER))
        if row.verdict == entry_lift.MORE:
            assert row.e_value == pytest.approx(row.beyond + math.sqrt(row.beyond * (row.beyond - 1)))
            assert row.e_value_low == pytest.approx(row.beyond_low + math.sqrt(row.beyond_low * (row.beyond_low - 1)))
    assert {row.verdict for row in told} >= {entry_lift.MORE, entry_lift.NOTHING_MORE}


def test_each_context_and_each_next_stage_is_told(tmp_path: Path) -> None:
    with made(tmp_path / "x.duckdb", World(device=(0.5, 2.0)), 6) as engine:
        split = answer(engine, Lift(by="device_category"), TAXONOMY)
        hours = answer(engine, Lift(by="hour"), TAXONOMY)
        onward = answer(engine, Lift(goal="next_stage"), TAXONOMY)
    assert {row.context for row in split.lifts} == {"desktop", "mobile"}
    assert {row.tier for row in split.lifts} == {"adjusted"}
    assert split.placebo_low is not None
    assert all(row.observed is not None and row.ratio != row.observed for row in split.lifts if row.ratio)
    assert len({row.context for row in hours.lifts}) == 24
    assert {row.micro_conversion: row.goal for row in onward.lifts} == {
        **dict.fromkeys(("look", "busy", *FACTORS), "a later stage"),
        "checkout": "buy",
    }


def test_whether_contexts_differ_is_tested_and_said(tmp_path: Path) -> None:
    """Of two ratios, 4 and 1.5 with an error of 0.1 each, Q is half the square of ln(4 / 1.5) / 0.1."""
    plain = asked(tmp_path, World(actors=12_000, device=(0.5, 2.0)), 6, by="device_category")
    assert {each.micro_conversion for each in plain.differences} == {
        row.micro_conversion for row in plain.lifts if row.ratio
    }
    assert min(each.p_value for each in plain.differences) > 0.01
    assert plain.sentence.endswith(" By device category, no ratio differs beyond chance.")

    half = math.exp(1.959964 * 0.1)
    apart = (("desktop", 4.0), ("mobile", 1.5))
    (found,) = differences_between(
        ("look", name, Ratio(ratio, ratio / half, ratio * half, 1.0)) for name, ratio in apart
    )
    assert found.chi_square == pytest.approx((math.log(4 / 1.5) / 0.1) ** 2 / 2)
    assert (found.highest, found.lowest) == ("desktop", "mobile")
    assert found.p_value < 1e-6


def test_tables_of_many_contexts_leave_out_what_cannot_be_told(tmp_path: Path) -> None:
    hours = asked(tmp_path, World(), 6, by="hour")
    first = next(each for each in hours.sheets() if not isinstance(each, str))

    assert len(first.rows) < len(hours.lifts)
    assert all("not enough data" not in str(row) for row in first.rows)
    told = len(hours.lifts) - len(first.rows)
    assert f"Not enough data in {told} of {len(hours.lifts)}: only JSON and CSV have these." in [*hours.sheets()]
    assert any(each == "The hour is that of the first session, in UTC." for each in hours.assumptions)


def test_actors_who_are_not_quite_alike_are_said_to_be_so(tmp_path: Path) -> None:
    result = asked(tmp_path, World(actors=12_000, activity=(0.5, 2.0)), 2)
    unlike = {each.micro_conversion: each for each in result.balances if each.after and each.after > 0.1}
    rows = by_name(result)

    assert {name for name, row in rows.items() if row.unlike} == unlike.keys()
    row = next(iter(rows.values()))
    said = entry_lift.says_of(replace(row, verdict=entry_lift.MORE, unlike="small steps: 2 (0.79)"), None)
    assert "They are not quite alike, though: most in small steps: 2 (0.79)." in said
    assert "not quite alike" not in entry_lift.says_of(replace(row, verdict=entry_lift.MORE, unlike=""), None)


def test_returning_actors_are_told_apart_from_new_ones(tmp_path: Path) -> None:
    split = asked(tmp_path, World(actors=12_000, began_before=0.5), 7, by="new_or_returning").lifts
    did = {(row.micro_conversion, row.context): row for row in split}
    assert {context for _, context in did} == {"new", "returning"}
    assert did["doubles", "returning"].exposed == pytest.approx(did["doubles", "new"].exposed, rel=0.1)
    for context in ("new", "returning"):
        assert did["doubles", context].ratio == pytest.approx(2, rel=0.4)


def test_where_nobody_did_as_much_without_it_that_is_said(tmp_path: Path) -> None:
    """The entry is the only small step there is: who did not do it did nothing."""
    known = taxonomy(look={"kind": "secondary", "stage": "awareness"}, buy={"kind": "macro", "stage": "decision"})
    actors = np.arange(2_000)
    begins = actors * MINUTE
    looks, buys = actors % 2 == 0, actors % 10 < 2
    done = {
        "look": Done(actors[looks], begins[looks] + MINUTE),
        "buy": Done(actors[buys], begins[buys] + 3 * HOUR),
    }
    with staged(tmp_path / "x.duckdb", known, Visits(actors, begins), done, days=10) as engine:
        adjusted, observed = (answer(engine, Lift(tier=tier), known).lifts[0] for tier in ("adjusted", "observed"))
    assert (adjusted.verdict, adjusted.ratio) == (entry_lift.NOBODY_ALIKE, None)
    assert adjusted.observed == pytest.approx(observed.ratio) == pytest.approx(1, abs=0.1)


def test_no_figure_is_without_bounds(tmp_path: Path) -> None:
    for seed, world in enumerate((World(actors=400), World(actors=1_500, goals=0.03), World(actors=300, goals=0.3))):
        for row in asked(tmp_path, world, seed).lifts:
            for value in (
                row.ratio,
                row.low,
                row.high,
                row.beyond,
                row.beyond_low,
                row.beyond_high,
                row.shrunken,
                row.observed,
                row.landmark,
                row.e_value,
                row.e_value_low,
            ):
                assert value is None or math.isfinite(value)
