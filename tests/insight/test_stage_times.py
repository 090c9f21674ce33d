"""Time between stages: the published curve of Freireich's data comes out of the command, and groups are compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from insight.momentum_rows import DAYS, asked, did, opened
from microconv.analyses.insight.stage_times import ALL, BEYOND, FIRST_VISIT, StageTime, StageTimesResult
from microconv.cli import cli
from staged_rows import DAY, Row, at, occurrence, session

WEEK = 7 * DAY
WEEK_SECONDS = 7 * 86_400
# Weeks of remission of 21 children each (Freireich and others, 1963); + where it lasted when they were seen last.
TREATED = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"
PLACEBO = "1 1 2 2 3 4 4 5 5 8 8 8 8 11 11 12 12 15 17 22 23"
DATA_WEEKS = 36


def children() -> tuple[list[Row], list[Row]]:
    """A child is an actor who comes to the stage of decision, and buys after so many weeks, or is seen for so many."""
    occurrences, sessions = [], []
    for group, (device, text) in enumerate((("mobile", TREATED), ("desktop", PLACEBO))):
        for number, each in enumerate(text.split()):
            actor, weeks = 1 + group * 100 + number, int(each.rstrip("+"))
            end = DATA_WEEKS * WEEK - 1
            start = end - weeks * WEEK if each.endswith("+") else 0
            occurrences.append(occurrence(start, "add_to_cart", client=actor, session_key=actor))
            if not each.endswith("+"):
                occurrences.append(occurrence(start + weeks * WEEK, "purchase", client=actor))
            sessions.append(came(start, actor, device_category=device))
    return occurrences, sessions


def came(us: int, actor: int, **columns: Any) -> Row:
    return session(us, actor, "Email", actor=actor, session_date=at(us).date(), **columns)


def row(result: StageTimesResult, from_stage: str, context: str = ALL) -> StageTime:
    return next(each for each in result.times if (each.from_stage, each.context) == (from_stage, context))


def test_published_curve_comes_out_of_the_command(tmp_path: Path):
    occurrences, sessions = children()
    opened(tmp_path, occurrences, sessions, days=DATA_WEEKS * 7).close()
    line = ["momentum", "--show", "times", "--by", "device_category", "--format", "json"]
    done = CliRunner().invoke(cli, ["--config", str(tmp_path / "microconv.toml"), *line])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)

    (treated,) = [
        each["steps"] for each in document["curves"] if (each["from_stage"], each["context"]) == ("decision", "mobile")
    ]
    times, at_risk, events, waiting, low, high = zip(*treated, strict=True)
    assert [time / WEEK_SECONDS for time in times] == [6, 7, 10, 13, 16, 22, 23]
    assert at_risk == (21, 17, 15, 12, 11, 7, 6)
    assert events == (3, 1, 1, 1, 1, 1, 1)
    assert waiting == pytest.approx([0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482], abs=5e-5)
    assert (low[0], high[0], low[-1], high[-1]) == pytest.approx((0.6197, 0.9516, 0.1881, 0.6801), abs=5e-5)
    decision = {each["context"]: each for each in document["times"] if each["from_stage"] == "decision"}
    assert [decision[each]["median_seconds"] / WEEK_SECONDS for each in ("mobile", "desktop")] == [23, 8]
    assert (decision["mobile"]["actors"], decision["mobile"]["reached"]) == (21, 9)
    (test,) = [each for each in document["tests"] if each["from_stage"] == "decision"]
    assert (round(test["chi_square"], 2), test["freedom"]) == (16.79, 1)
    assert test["p_value"] == pytest.approx(4.17e-5, rel=1e-3)
    assert test["adjusted"] == pytest.approx(2 * test["p_value"])
    assert "By device category, times differ beyond chance" in document["sentence"]


def test_stage_ends_with_any_later_one_and_who_skips_it_does_not_count(tmp_path: Path):
    rows = []
    for actor in range(1, 31):
        rows.append(did(1, actor, "scroll"))
        if actor <= 12:
            rows.append(did(1, actor, "add_to_cart", 5))
        if actor <= 3:
            rows.append(did(2, actor, "purchase"))
    rows += [did(1, actor, "add_to_cart") for actor in range(31, 61)]
    rows += [did(2, actor, "scroll") for actor in range(31, 61)]

    result = asked(tmp_path, "stage_times", rows)

    awareness, decision = row(result, "awareness"), row(result, "decision")
    assert (awareness.to_stage, awareness.actors, awareness.reached) == (BEYOND, 30, 12)
    assert (awareness.within_hour, awareness.within_week, awareness.movers_seconds) == (0.4, 0.4, 300)
    assert awareness.median_seconds is None
    assert (decision.to_stage, decision.actors, decision.reached) == ("purchase", 42, 3)
    assert decision.within_hour == 0
    assert decision.within_four_weeks is None
    assert row(result, "consideration").says == "not enough data: n = 0 actors"


def test_actors_whose_beginning_is_unknown_are_left_out_and_counted(tmp_path: Path):
    rows = [did(2, actor, "view_item") for actor in range(1, 51)] + [
        did(3, actor, "purchase") for actor in range(1, 11)
    ]
    sessions = [came(DAY, actor, session_number=4 if actor <= 10 else 1) for actor in range(1, 51)]

    result = asked(tmp_path / "new", "stage_times", rows, sessions=sessions)
    both = asked(tmp_path / "both", "stage_times", rows, sessions=sessions, by="new_or_returning")

    assert (row(result, "consideration").actors, row(result, FIRST_VISIT).reached) == (40, 0)
    assert result.left_out == 10
    assert any(
        each.startswith("10 actors whose first session in the data was not their first") for each in result.assumptions
    )
    assert row(both, "consideration", "new").reached == 0
    assert row(both, "consideration", "returning").says == "not enough data: n = 10 actors"
    assert (row(both, "consideration").actors, both.tests, both.left_out) == (50, (), 0)


def test_stage_of_which_nothing_is_staged_is_said_to_be_so_and_has_no_share(tmp_path: Path):
    rows = [did(1, actor, "add_to_cart") for actor in range(1, 61)]
    bought = [did(2, actor, "purchase") for actor in range(1, 31)]

    without, with_goal = (
        asked(tmp_path / "no", "stage_times", rows),
        asked(tmp_path / "yes", "stage_times", rows + bought),
    )
    reviewed = asked(tmp_path / "all", "stage_times", [*rows, *bought, did(1, 60, "review_write")])

    before = row(without, "decision")
    assert (before.says, before.actors, before.within_hour) == ("no purchase is staged", 60, None)
    after = row(with_goal, "purchase")
    assert (after.says, after.actors, after.within_hour) == ("nothing of post_sale is staged", 30, None)
    assert not [each for each in with_goal.curves if each.from_stage == "purchase"]
    # It is staged, and nobody came to it after the goal.
    assert (row(reviewed, "purchase").says, row(reviewed, "purchase").within_hour) == ("nobody moved on", 0.0)


def test_what_falls_short_of_telling_how_long_a_stage_takes_is_counted(tmp_path: Path):
    few = asked(tmp_path / "few", "stage_times", [did(1, actor, "add_to_cart") for actor in range(1, 8)])
    nobody = asked(tmp_path / "nobody", "stage_times", [did(1, actor, "add_to_cart") for actor in range(1, 60)])

    assert few.sentence == "How long a stage takes cannot be told: not enough data: n = 7 actors at a stage."
    assert nobody.sentence == "How long a stage takes cannot be told: no purchase is staged."


def test_only_actors_of_the_segment_are_followed(tmp_path: Path):
    rows = [did(2, actor, "search" if actor <= 25 else "view_item") for actor in range(1, 51)]

    result = asked(tmp_path, "stage_times", rows, segment="searchers")

    assert row(result, "consideration").actors == 25


def test_groups_alike_are_not_told_to_differ(tmp_path: Path):
    rows, sessions = [], []
    for actor in range(1, 101):
        rows.append(did(1, actor, "view_item"))
        sessions.append(came(0, actor, device_category=("mobile", "desktop")[actor % 2]))
        if actor % 4 < 2:
            rows.append(did(1 + actor % 20, actor, "purchase", 1))

    result = asked(tmp_path, "stage_times", rows, sessions=sessions, by="device_category", days=DAYS)

    assert {each.freedom for each in result.tests} == {1}
    assert all(each.adjusted > 0.05 for each in result.tests)
    assert "By device category, no difference is beyond chance." in result.sentence


def test_nothing_staged_takes_no_time(tmp_path: Path):
    result = asked(tmp_path, "stage_times", [])

    assert result.sentence == "Nobody whose beginning is known came to a stage in these days."
    assert {each.within_week for each in result.times} == {None}
