"""A plan says how many actors and days a test needs, and mistakes in the configuration are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from config_files import MINIMAL, problem
from microconv.config.load import load_config
from microconv.experiments.planning import days_until
from microconv.project import Project
from microconv.stats.sample_sizes import actors_for_shares
from projects import write_config
from staged_rows import DAY, at, occurrence, session, shard, staged

ACTORS = 560


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory):
    """28 days on each of which 20 new actors come: half of them view, a quarter adds to the cart, a tenth buys."""
    folder = tmp_path_factory.mktemp("plan")
    sessions, occurrences = [], []
    for actor in range(ACTORS):
        start = (actor // 20) * DAY + actor * 1_000_000
        days = {"session_date": at(start).date(), "last_event_date": at(start).date()}
        sessions.append(session(start, actor + 1, "Direct", actor=actor + 1, **days))
        for place, (entry, every) in enumerate((("view_item", 2), ("add_to_cart", 4), ("purchase", 10))):
            if actor % every == 0:
                occurrences.append(occurrence(start + place + 1, entry, client=actor + 1))
    rows = {
        "mc_sessions": sessions,
        "mc_micro_conversions": occurrences,
        "mc_shards": [shard(number, events=1) for number in range(1, 29)],
        "mc_events": [{"event_at": at(28 * DAY), "event_date": at(27 * DAY).date(), "property": "p", "event_order": 1}],
    }
    staged(folder / "microconv.duckdb", **rows).close()
    with Project(load_config(write_config(folder), {})) as found:
        yield found


def test_plan_needs_what_the_baseline_asks_for_and_a_milestone_answers_sooner(project: Project):
    found = project.ask("experiment_plan", lift=0.3)
    rows = {row.micro_conversion: row for row in found.rows}
    assert next(iter(rows)) == "purchase"
    assert (rows["purchase"].actors, rows["purchase"].doers) == (ACTORS, ACTORS // 10)
    for entry, base in (("purchase", 0.1), ("add_to_cart", 0.25)):
        needed = actors_for_shares(base, base * 1.3)
        assert needed is not None
        assert rows[entry].needed == pytest.approx(2 * needed, abs=2)
        assert rows[entry].days == -(-(rows[entry].needed or 0) // 20)
    assert rows["add_to_cart"].sooner == rows["purchase"].days - rows["add_to_cart"].days
    assert "days sooner" in found.sentence
    assert "A lift of 30.0% in purchase (from 10.0% to 13.0% of actors) needs" in found.sentence
    assert rows["begin_checkout"].says == "not enough data: n = 0"


def test_reading_at_any_time_needs_more_actors(project: Project):
    once, anytime = (
        project.ask("experiment_plan", lift=0.3, horizon=each).rows[0].needed for each in ("fixed", "anytime")
    )
    assert anytime > once * 1.2


def test_actors_may_come_in_with_an_entry(project: Project):
    found = project.ask("experiment_plan", exposure="view_item", lift=0.3)
    rows = {row.micro_conversion: row for row in found.rows}
    assert rows["purchase"].actors == ACTORS // 2
    assert "view_item" not in rows


def test_what_cannot_rise_so_much_is_said(project: Project):
    rows = {row.micro_conversion: row for row in project.ask("experiment_plan", lift=1.5).rows}
    assert rows["view_item"].says == "cannot rise so much: at most by 100.0%"


@pytest.mark.parametrize(
    ("needed", "arriving", "days"),
    [(10, [4, 6, 9], 2), (20, [4, 6, 9], 4), (100_000, [4, 6, 9], None), (5, [0, 0], None), (1, [], None)],
)
def test_days_are_those_until_so_many_have_come(needed: int, arriving: list[int], days: int | None):
    assert days_until(needed, arriving) == days


VALID = """[[experiments]]
name = "e"
hypothesis = "h"
exposure = { event = "seen" }
variant = "v"
control = "a"
variants = { a = 0.5, b = 0.5 }
actors = 100
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('control = "a"', 'control = "c"', 'experiments[0].control = "c" is not one of variants'),
        ("b = 0.5", "b = 0.4", "must add up to 1, and add up to 0.9"),
        ("variants = { a = 0.5, b = 0.5 }", "variants = { a = 0.9 }", "needs at least two: the control and another"),
        ("actors = 100", "", 'is required with horizon = "fixed", or actors: when the result is read'),
        ("actors = 100", 'horizon = "anytime"\nactors = 100', 'actors = 100 is a key of horizon = "fixed"'),
        ("actors = 100", "actors = 100\ntuning = 9", 'tuning = 9 is a key of horizon = "anytime"'),
        ('event = "seen"', "", "the event with which an actor is in the experiment, or external"),
        ('event = "seen"', 'event = "seen", external = "x"', "cannot be given beside event; keep one of the two"),
        ('event = "seen" }\nvariant = "v"', 'external = "x" }\nvariant = { user_property = "v" }', "name a column"),
        (
            'variant = "v"',
            'variant = { parameter = "v", user_property = "w" }',
            "must be the name of an event parameter",
        ),
        ("actors = 100", "until = 2024-03-01\nsince = 2024-03-02", "is before since (2024-03-02): swap the two days"),
        (
            "actors = 100",
            'actors = 100\nmetrics = [{ entry = "x", kind = "ratio" }]',
            'per is required with kind = "ratio"',
        ),
        ("actors = 100", 'actors = 100\nmetrics = [{ entry = "x", per = "y" }]', 'is a key of kind = "ratio"'),
        ("actors = 100", 'actors = 100\nmetrics = [{ entry = "x", winsorise = 0.9 }]', 'is a key of kind = "revenue"'),
        (
            "actors = 100",
            'actors = 100\nmetrics = [{ entry = "x" }, { entry = "x" }]',
            "another one: give it a name",
        ),
        ("actors = 100", 'actors = 100\nguardrails = [{ entry = "x" }]', "margin"),
        (
            "actors = 100",
            'actors = 100\nmust_hold = ["slw"]\n[[guardrails]]\nname = "slow"\nmetric = "bounce_rate"\nat_most = 0.5',
            'experiments[0].must_hold[0] = "slw" names no guardrail of [[guardrails]] (did you mean "slow"?)',
        ),
    ],
)
def test_mistakes_in_an_experiment_are_named(tmp_path: Path, old: str, new: str, said: str):
    assert said in problem(tmp_path, MINIMAL + VALID.replace(old, new))


def test_unknown_micro_conversions_of_an_experiment_are_named(tmp_path: Path):
    config = load_config(write_config(tmp_path, extra=VALID.replace("actors", 'tests = "add_to_crat"\nactors')), {})
    named = list(config.named())
    assert ("add_to_crat", 'experiment "e"') in named
