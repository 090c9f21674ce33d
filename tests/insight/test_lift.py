"""Lift towards goals whose truth is known: what is told, how sure, and what is not told."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asking import answer
from insight.lift_worlds import FACTORS, TAXONOMY, VisitsWorld, World, made, made_of_visits
from insight.simulated import HOUR, MINUTE, Done, Visits, staged, taxonomy
from microconv.analyses.insight import lift
from microconv.analyses.insight.lift import EntryLift, Lift, LiftResult
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
    assert observed.verdict == lift.MORE
    assert adjusted.verdict == lift.NOTHING_MORE
    assert adjusted.observed == observed.ratio


def test_whoever_is_here_now_seems_to_be_helped_by_anything_until_presence_is_compared(tmp_path: Path) -> None:
    """The goal is reached during visits only: after any act at all its rate is high."""
    world = VisitsWorld(factors=NOTHING)
    observed = by_name(asked(tmp_path, world, 1, tier="observed"))
    adjusted = asked(tmp_path, world, 1)
    for name in FACTORS:
        assert observed[name].verdict == lift.MORE
        assert by_name(adjusted)[name].verdict == lift.NOTHING_MORE
    assert adjusted.placebo == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    ("high", "beyond", "p_value", "is_among", "said"),
    [
        (3.0, 0.4, 0.001, False, lift.MORE),
        (3.0, 0.4, 0.05, False, lift.NOTHING_MORE),
        (3.0, 0.4, 0.001, True, lift.NOTHING_MORE),
        (1.9, -0.4, 0.001, False, lift.LESS),
        (0.9, -0.4, 0.001, False, lift.FEWER),
        (0.9, -0.4, 0.2, False, lift.NOTHING_MORE),
        (0.9, -0.4, 0.001, None, lift.FEWER),
        (3.0, 0.4, 0.05, None, lift.CHANCE),
    ],
)
def test_fewer_is_said_only_where_the_whole_ratio_lies_below_one(
    high: float, beyond: float, p_value: float, is_among: bool | None, said: str
) -> None:
    """Where a chance step goes with twice as many, one that goes with half as many again is less, not fewer."""
    ratio = Ratio(high * 0.8, high * 0.64, high, 0.01)
    assert lift.verdict_of(ratio, beyond, p_value, is_among_placebos=is_among) == said


def test_fewer_is_not_said_of_a_step_that_goes_with_as_many_among_all() -> None:
    """Beside steps of the way, a step that does nothing seems to do harm among those who did as much."""
    ratio = Ratio(0.2, 0.15, 0.3, 0.001)
    said = [lift.verdict_of(ratio, -1.5, 0.001, is_among_placebos=False, observed=each) for each in (1.02, 0.4)]
    assert said == [lift.LESS, lift.FEWER]


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


def test_a_step_that_all_take_is_on_the_path_and_not_ranked(tmp_path: Path) -> None:
    rows = asked(tmp_path, World(), 2).lifts
    last = rows[-1]
    assert (last.micro_conversion, last.verdict) == ("checkout", lift.ON_PATH)
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
        if row.verdict in (lift.MORE, lift.FEWER)
    ]


def test_nothing_is_found_where_nothing_is_planted(tmp_path: Path) -> None:
    assert [found for seed in range(300, 304) for found in _found(tmp_path, seed)] == []


def _found_in_visits(folder: Path, seed: int) -> list[str]:
    """What is said of properties that people visit, in which nothing does anything."""
    rows = asked(folder, VisitsWorld(factors=NOTHING), seed).lifts
    return [f"{seed}: {row.micro_conversion} {row.verdict}" for row in rows if row.verdict in (lift.MORE, lift.FEWER)]


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
    assert (adjusted.verdict, adjusted.ratio) == (lift.NOBODY_ALIKE, None)
    assert adjusted.observed == pytest.approx(observed.ratio) == pytest.approx(1, abs=0.1)


def test_no_figure_is_without_bounds(tmp_path: Path) -> None:
    for seed, world in enumerate((World(actors=400), World(actors=1_500, goals=0.03), World(actors=300, goals=0.3))):
        for row in asked(tmp_path, world, seed).lifts:
            for value in (
                row.ratio,
                row.low,
                row.high,
                row.beyond,
                row.shrunken,
                row.observed,
                row.landmark,
                row.e_value,
            ):
                assert value is None or math.isfinite(value)
