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
from microconv.analyses.insight.what_if import ALL, HERE, NEW, WhatIfResult, WhatIfStep, read_changes
from microconv.config.load import load_config
from microconv.errors import TaxonomyError, UsageError
from microconv.project import Project
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
def test_intervals_cover_the_truth_in_36_of_40(ratio: float, tmp_path: Path):
    gross, net = truth(ratio)
    covered = {NEW: 0, HERE: 0}
    for seed in range(40):
        with project_of(tmp_path / str(seed), seed, ratio) as project:
            result = asked(project, "look +10%", goal="buy")
        for who, share in ((NEW, gross), (HERE, net)):
            row = goal_row(result, who)
            assert row.low is not None
            assert row.high is not None
            covered[who] += row.low <= 0.1 * share * ACTORS <= row.high

    assert min(covered.values()) >= 36, covered


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


def test_several_changes_are_added_up(project: Project):
    one = goal_row(asked(project, "look +10%"), NEW)
    both = asked(project, "look +10%, cart +5%")

    # Nobody has a cart here, so that nothing can be told of it, nor of both.
    assert goal_row(both, NEW, "look +10%") == one
    assert goal_row(both, NEW, "cart +5%").says == "not enough data: n = 0"
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
    assert here.says == "on the path: nobody gets there without it"
    assert "nobody gets to buy without it" in result.sentence
    together = goal_row(both, NEW, ALL)
    parts = [goal_row(both, NEW, change).added for change in ("look +10%", "cart +10%")]
    assert together.added == pytest.approx(sum(parts))


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
