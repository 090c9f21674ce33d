"""More of a step is carried through what follows it now; what people would have done anyway is not counted twice."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from insight.simulated import DAY, HOUR, MINUTE, Done, Visits, taxonomy
from insight.simulated import staged as simulated
from microconv.analyses.insight import what_if
from microconv.analyses.insight.banded import Banded
from microconv.analyses.insight.buyers import ACTOR_GROUPS
from microconv.analyses.insight.entry_lift import CHANCE, FEWER, LESS, MORE, NOTHING_MORE
from microconv.analyses.insight.lift import LiftResult
from microconv.analyses.insight.onward_rates import Followed
from microconv.analyses.insight.what_if import ALL, HERE, NEW, WhatIfResult, WhatIfStep, read_changes
from microconv.config.load import load_config
from microconv.errors import TaxonomyError, UsageError
from microconv.project import Project
from microconv.stats.ratios import ratio_of
from projects import write_config

KNOWN = taxonomy(
    page={"kind": "secondary", "stage": "awareness"},
    look={"kind": "secondary", "stage": "awareness"},
    cart={"kind": "milestone", "stage": "decision"},
    buy={"kind": "macro", "stage": "decision", "value": "event"},
)
TOML = (
    'name = "shop"\nversion = "1.0"\n'
    '[[micro_conversions]]\nid = "page"\nevent = "page"\nkind = "secondary"\nstage = "awareness"\n'
    '[[micro_conversions]]\nid = "look"\nevent = "look"\nkind = "secondary"\nstage = "awareness"\n'
    '[[micro_conversions]]\nid = "cart"\nevent = "cart"\nkind = "milestone"\nstage = "decision"\n'
    '[[micro_conversions]]\nid = "buy"\nevent = "buy"\nkind = "macro"\nstage = "decision"\nvalue = "event"\n'
)
DAYS, ACTORS = 30, 6_000
NEVER = 1_000 * DAY
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def lives(seed: int, ratio: float, actors: int) -> Arrays:
    """When actors begin; from then, when they look, reach the goal, and would have reached it had nobody looked.

    The rate of the goal falls after the first day, and is `ratio` times as high once somebody looked.
    """
    rng = np.random.default_rng(seed)
    begins = rng.uniform(0, DAYS * DAY, actors)
    looks = np.where(rng.random(actors) < 0.3, rng.exponential(6 * HOUR, actors), NEVER)
    due = rng.exponential(1, actors)  # reached when the rates have added up to it

    def reached(faster: float) -> np.ndarray:
        first, later = 0.06 / DAY, 0.004 / DAY
        times, left = np.full(actors, float(NEVER)), due.copy()
        edges = np.sort(np.stack([np.zeros(actors), looks, np.full(actors, DAY), np.full(actors, NEVER)]), axis=0)
        for low, high in pairwise(edges):
            rate = np.where(low < DAY, first, later) * np.where(low >= looks, faster, 1.0)
            here = (times == NEVER) & (left <= rate * (high - low))
            times = np.where(here, low + left / rate, times)
            left = left - rate * (high - low)
        return times

    return begins, looks, reached(ratio), reached(1.0)


def project_of(folder: Path, seed: int, ratio: float) -> Project:
    begins, looks, reached, _ = lives(seed, ratio, ACTORS)
    actor, end = np.arange(ACTORS), DAYS * DAY
    # Pages mean nothing; by them there are actors who did as much as those who look, and did not look.
    rng = np.random.default_rng(seed + 1_000)
    of = np.repeat(actor, rng.poisson(5, ACTORS))
    seen = begins[of] + rng.exponential(DAY, len(of))
    done = {"page": Done(of[seen < end], seen[seen < end].astype(np.int64))}
    for name, times in (("look", looks), ("buy", reached)):
        some = begins + times < end
        at_us = (begins[some] + times[some]).astype(np.int64)
        worth = {"value": np.full(len(at_us), 50.0), "currency": ["USD"] * len(at_us)} if name == "buy" else {}
        done[name] = Done(actor[some], at_us, worth)
    folder.mkdir(exist_ok=True)
    simulated(folder / "microconv.duckdb", KNOWN, Visits(actor, begins.astype(np.int64)), done, days=DAYS).close()
    return shop(folder)


def shop(folder: Path) -> Project:
    (folder / "taxonomy.toml").write_text(TOML)
    return Project(load_config(write_config(folder, extra='[taxonomy]\npreset = "none"\nfile = "taxonomy.toml"\n'), {}))


def asked(project: Project, changes: str, **fields: Any) -> WhatIfResult:
    result = project.ask("what_if", changes=changes, **fields)
    assert isinstance(result, WhatIfResult)
    json.dumps(result.document(), allow_nan=False)
    return result


def goal_row(result: WhatIfResult, who: str, change: str | None = None) -> WhatIfStep:
    return next(row for row in result.steps if row.step == "buy" and row.who == who and change in (None, row.change))


@cache
def truth(ratio: float) -> tuple[float, float]:
    """Who reach the goal after looking, and how many of them would not have without, per actor; of 600,000 actors."""
    begins, looks, reached, without = lives(10_000, ratio, 600_000)
    left = DAYS * DAY - begins
    did = (looks < left) & (looks < reached)
    after = did & (reached < left)
    return float(after.mean()), float((after & ~(without < left)).mean())


@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_intervals_cover_the_truth_in_36_of_40_and_a_step_without_effect_is_told_none(ratio: float, tmp_path: Path):
    gross, net = truth(ratio)
    covered, told = {NEW: 0, HERE: 0}, 0
    for seed in range(40):
        with project_of(tmp_path / str(seed), seed, ratio) as project:
            result = asked(project, "look +10%", goal="buy")
        for who, share in ((NEW, gross), (HERE, net)):
            row = goal_row(result, who)
            if row.low is None or row.high is None:
                assert who == HERE
                assert row.says in (CHANCE, NOTHING_MORE, LESS)
                continue
            told += who == HERE
            covered[who] += row.low <= 0.1 * share * ACTORS <= row.high

    assert covered[NEW] >= 36, covered
    assert covered[HERE] >= 0.9 * told
    assert told <= 1 if ratio == 1 else told >= 20


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with project_of(tmp_path_factory.mktemp("shop"), 1, 2.0) as project:
        yield project


def test_no_change_adds_nothing(project: Project):
    result = asked(project, "look +0%")

    assert {row.added for row in result.steps} <= {0.0, None}
    assert {(row.low, row.high, row.value) for row in result.steps if row.step == "buy"} == {(0.0, 0.0, 0.0)}
    assert "-0" not in json.dumps(result.document())
    assert result.sentence == "look +0%: nothing changes, so that nothing is added."


def test_twice_the_change_brings_twice_as_much_and_less_takes_away(project: Project):
    five, ten, less = (goal_row(asked(project, f"look {each}%"), HERE) for each in ("+5", "+10", "-10"))

    assert five.added is not None
    assert ten.added == pytest.approx(2 * five.added)
    assert less.added == pytest.approx(-2 * five.added)
    assert less.low is not None
    assert less.high is not None
    assert less.low <= -2 * five.added <= less.high < 0


def test_people_who_are_here_bring_less_than_new_ones_since_some_buy_anyway(project: Project):
    result = asked(project, "look +10%")
    new, here = goal_row(result, NEW), goal_row(result, HERE)

    assert new.onward == pytest.approx(new.actors / result.steps[0].actors)
    assert new.added == pytest.approx(0.1 * new.actors)
    assert new.value == pytest.approx(50 * new.added)
    assert here.value == pytest.approx(50 * here.added)
    assert 0.3 * new.added < here.added < 0.7 * new.added  # true ratio 2: about half
    assert "behave like those who are there" in result.sentence
    assert "beyond what these would do anyway" in result.sentence
    assert {row.tier for row in result.steps if row.who == NEW and row.added is not None} == {"observed"}
    assert here.tier == "adjusted"
    assert any("not proof" in each for each in result.assumptions)


def test_people_already_here_get_no_figure_where_lift_tells_neither_more_nor_fewer(tmp_path: Path):
    with project_of(tmp_path, 3, 1.0) as project:
        result = asked(project, "look +10%", goal="buy")
        lift = project.ask("lift", goal="buy")
    here = goal_row(result, HERE)

    assert isinstance(lift, LiftResult)
    verdict = next(row.verdict for row in lift.lifts if row.micro_conversion == "look")
    assert verdict in (CHANCE, NOTHING_MORE, LESS)
    assert here.says == verdict
    assert (here.added, here.low, here.high, here.value, here.tier) == (None, None, None, None, "")
    assert result.sentence.endswith(f"if they are people who are here already, it cannot be told ({verdict}).")
    assert any(each.startswith("No figure for people already here") for each in result.assumptions)


def test_what_lift_says_of_a_step_among_all_others_holds_whichever_change_is_asked(project: Project):
    both, one = asked(project, "look +10%, page +10%"), asked(project, "look +10%")

    assert goal_row(both, HERE, "look +10%") == goal_row(one, HERE)


@pytest.mark.parametrize(
    ("verdict", "ratio", "untold"),
    [
        (MORE, 1.5, ""),
        (FEWER, 0.6, ""),
        (CHANCE, 1.5, CHANCE),
        (NOTHING_MORE, 1.1, NOTHING_MORE),
        (LESS, 0.6, LESS),
        (FEWER, 1.5, f"an experiment shows that it {FEWER}"),
    ],
)
def test_only_more_and_fewer_are_told_and_only_with_a_ratio_on_the_same_side(verdict: str, ratio: float, untold: str):
    found = Banded(ratio_of(ratio, 0.1), False, 100, 50, 50, 1_000)

    assert what_if._Weighed(found, verdict).untold == untold


def test_assumptions_explain_only_the_readings_that_are_shown(project: Project):
    said = " ".join(asked(project, "look +10%").assumptions)

    assert "People already here: assumes" in said
    assert "On the path" not in said
    assert "No figure" not in said
    assert "Several changes" not in said


@pytest.mark.parametrize("changes", ["buy +5%", "look +5%, buy +5%"])
def test_the_goal_itself_is_no_step_to_change(changes: str, project: Project):
    with pytest.raises(UsageError, match="buy is the goal itself"):
        asked(project, changes)


def test_the_count_that_fell_short_is_told_in_row_and_sentence_alike(project: Project):
    result = asked(project, "cart +5%")

    assert {row.says for row in result.steps} == {"not enough data: n = 0 actors"}
    assert result.sentence == "What cart +5% would bring cannot be told: not enough data: n = 0 actors."


def test_who_reached_the_goal_after_a_step_is_what_fell_short_where_many_did_the_step():
    """Of 285 who did it, 6 reached the goal: 6 is too few, not 285."""
    groups = np.zeros(ACTOR_GROUPS)
    few, many = groups.copy(), groups.copy()
    few[0], many[0] = 6, 285
    followed = Followed(many, groups, {("buy", "reached"): few})
    change = read_changes("look +10%")
    steps = tuple(what_if._carried(change[0], followed, ("buy",), None, "buy"))

    assert steps[-1].says == "not enough data: n = 6 reached buy after it"
    assert what_if._sentence(change, steps, "buy", "USD") == (
        "What look +10% would bring cannot be told: not enough data: n = 6 reached buy after it."
    )


def test_less_of_several_steps_is_never_said_to_bring_the_same():
    changes = read_changes("look -5%, cart -5%")
    steps = [
        WhatIfStep(f"{entry} -5%", "buy", NEW, 100, 0.1, more, more - 1, more + 1, None, None, None, "observed", "")
        for entry, more in (("look", -50.0), ("cart", -5.0))
    ]

    said = what_if._sentence(changes, steps, "buy", "USD")

    assert said.startswith("Of the same change at each step, most comes of look -5%: 50.0 fewer actors reach buy")


def test_several_changes_are_added_up(project: Project):
    one = goal_row(asked(project, "look +10%"), NEW)
    both = asked(project, "look +10%, cart +5%")

    # Nobody has a cart here, so that nothing can be told of it, nor of both.
    assert goal_row(both, NEW, "look +10%") == one
    assert goal_row(both, NEW, "cart +5%").says == "not enough data: n = 0 actors"
    assert not [row for row in both.steps if row.change == ALL]


def test_a_step_of_the_way_brings_the_same_of_both_kinds(tmp_path: Path):
    rng = np.random.default_rng(5)
    actor = np.arange(3_000)
    begins = rng.integers(0, 20 * DAY, len(actor))
    carts = begins + HOUR
    some = rng.random(len(actor)) < 0.4
    buys = some & (rng.random(len(actor)) < 0.3)
    done = {
        "look": Done(actor, begins + MINUTE),
        "cart": Done(actor[some], carts[some]),
        "buy": Done(
            actor[buys],
            carts[buys] + HOUR,
            {"value": np.full(int(buys.sum()), 20.0), "currency": ["USD"] * int(buys.sum())},
        ),
    }
    simulated(tmp_path / "microconv.duckdb", KNOWN, Visits(actor, begins), done, days=30).close()
    with shop(tmp_path) as project:
        result = asked(project, "cart +10%")
        both = asked(project, "look +10%, cart +10%")
    new, here = goal_row(result, NEW), goal_row(result, HERE)

    assert (here.added, here.low, here.value) == (new.added, new.low, new.value)
    assert here.says == "on the path"
    assert "hardly anybody gets to buy without it" in result.sentence
    assert not any("People already here: assumes" in each for each in result.assumptions)
    assert any(each.startswith("On the path") for each in result.assumptions)
    together = goal_row(both, NEW, ALL)
    parts = [goal_row(both, NEW, change).added for change in ("look +10%", "cart +10%")]
    assert together.added == pytest.approx(sum(parts))


def test_steps_that_bring_the_same_are_told_together_with_the_one_that_needs_the_fewest_people():
    """5% more of a step that all who buy take is 5% more buyers, whichever it is."""
    changes = read_changes("look +5%, cart +5%, page +5%")
    added = {"look": (50.0, 5.03), "cart": (20.0, 4.99), "page": (100.0, 3.0)}
    steps = [
        WhatIfStep(f"{entry} +5%", step, NEW, 100, None, more, more - 1, more + 1, None, None, None, "observed", "")
        for entry, of_entry in added.items()
        for step, more in zip((entry, "buy"), of_entry, strict=True)
    ]

    said = what_if._sentence(changes, steps, "buy", "USD")

    assert said == (
        "look +5% and cart +5% bring the most, about as much each. Of these, cart +5% needs the fewest new people, "
        "20.0: if they behave like those who are there, 5.0 more actors reach buy (95% interval: 4.0 to 6.0)."
    )


def test_without_changes_each_milestone_is_asked(project: Project):
    assert {row.change for row in asked(project, "").steps} == {"cart +5%"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("look", "is not a change such as"),
        ("look 5%", "is not a change such as"),
        ("look +5", "is not a change such as"),
        ("look +2000%", "must lie between"),
        ("look -101%", "must lie between"),
        ("look +5%, look +6%", "changes look twice"),
    ],
)
def test_what_is_no_change_is_refused_in_words(text: str, said: str, project: Project):
    with pytest.raises(UsageError, match=said):
        project.ask("what_if", changes=text)


def test_an_unknown_step_is_refused_with_those_that_come_near(project: Project):
    with pytest.raises(TaxonomyError, match="did you mean look"):
        project.ask("what_if", changes="loook +5%")


def test_changes_are_read_with_blanks_and_a_typographic_minus():
    found = read_changes(" look  + 5 % ,cart \N{MINUS SIGN}2.5%")

    assert [(each.entry, each.share) for each in found] == [("look", 0.05), ("cart", -0.025)]
    assert [str(each) for each in found] == ["look +5%", "cart -2.5%"]
