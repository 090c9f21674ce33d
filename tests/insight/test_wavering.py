"""Wavering: who hesitates or turns back between mindsets, and who goes on all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from insight.momentum_rows import asked, did, opened
from microconv.analyses.insight.wavering import WaveringResult, WaveringTransition
from microconv.cli import cli
from microconv.errors import UsageError
from staged_rows import DAY, Row, session


def between(result: WaveringResult, start: str) -> WaveringTransition:
    return next(row for row in result.transitions if row.from_mindset == start)


def wavering_rows() -> list[Row]:
    """Of 100 who look at an item on day 2, 40 add it at once; of 30 who rage-click 3 do on day 4, of 30 others 15."""
    rows = [did(2, actor, "view_item") for actor in range(1, 101)]
    rows += [did(2, actor, "add_to_cart", 5) for actor in range(1, 41)]
    rows += [did(2, actor, "rage_click", 10) for actor in range(41, 71)]
    rows += [did(4, actor, "add_to_cart") for actor in range(41, 44)]
    rows += [did(4, actor, "add_to_cart") for actor in range(71, 86)]
    rows += [did(3, actor, "scroll") for actor in (41, 42)]
    rows += [did(5, actor, "scroll") for actor in range(61, 81)]
    return rows


def test_those_who_hesitated_are_held_against_those_who_had_waited_as_long(tmp_path: Path):
    result = asked(tmp_path, "wavering", wavering_rows())

    row = between(result, "consideration")
    assert (row.to_mindset, row.actors, row.went_on, row.went_on_share) == ("commitment", 100, 58, 0.58)
    assert (row.hesitated, row.hesitated_share) == (30, 0.3)
    assert (row.early, row.early_rate, row.others, row.others_rate) == (30, 0.1, 30, 0.5)
    assert row.difference_high is not None
    assert row.difference_high < 0
    assert "10.0% still did, against 50.0% of those who had done neither: fewer than the others." in result.sentence


def test_turned_back_is_who_did_something_earlier_and_did_not_go_on(tmp_path: Path):
    result = asked(tmp_path, "wavering", wavering_rows())

    # 61 to 80 scrolled on day 5; 71 to 80 had gone on before. 41 and 42 scrolled on day 3, and went on after it.
    assert (between(result, "consideration").turned_back, between(result, "consideration").turned_back_share) == (
        10,
        0.1,
    )
    # They had come to commitment, and did not buy: 10 of the 58 there.
    assert result.sentence.startswith("Most turn back between commitment and purchase: 17.2% of 58 actors")
    assert between(result, "curiosity").turned_back is None


def test_half_of_those_who_went_on_had_done_so_by_the_median(tmp_path: Path):
    row = between(asked(tmp_path, "wavering", wavering_rows()), "consideration")

    assert row.median_seconds == 5 * 60


def test_goal_lies_behind_commitment(tmp_path: Path):
    rows = [did(2, actor, "add_to_cart") for actor in range(1, 41)]
    rows += [did(3, actor, "purchase") for actor in range(1, 11)]

    row = between(asked(tmp_path, "wavering", rows), "commitment")

    assert (row.to_mindset, row.actors, row.went_on) == ("purchase", 40, 10)
    assert row.says == ""


def test_thin_rows_tell_no_share(tmp_path: Path):
    result = asked(tmp_path, "wavering", [did(2, actor, "view_item") for actor in range(1, 20)])

    row = between(result, "consideration")
    assert (row.actors, row.went_on_share, row.turned_back_share, row.says) == (
        19,
        None,
        None,
        "not enough data: n = 19",
    )
    assert result.sentence.endswith("not enough data: n = 19.")


def test_few_who_hesitated_are_not_compared(tmp_path: Path):
    rows = [did(2, actor, "view_item") for actor in range(1, 101)]
    rows += [did(2, actor, "rage_click", 1) for actor in range(1, 10)]

    row = between(asked(tmp_path, "wavering", rows), "consideration")

    assert (row.early, row.early_rate, row.says) == (9, None, "not enough data to compare: n = 9")


def test_who_cannot_be_followed_or_began_before_is_left_out_and_counted(tmp_path: Path):
    rows = [did(2, actor, "view_item") for actor in range(1, 51)] + [did(20, actor, "view_item") for actor in (51, 52)]
    sessions = [session(DAY, 1, "Email", actor=1, session_number=3)]

    result = asked(tmp_path, "wavering", rows, sessions=sessions)

    assert between(result, "consideration").actors == 49
    assert (result.too_recent, result.left_out) == (2, 1)
    assert any(each.startswith("2 arrivals less than 14 days before the data end are") for each in result.assumptions)
    assert between(asked(tmp_path / "short", "wavering", rows, window="7d"), "consideration").actors == 52


def test_landmark_lies_in_the_window(tmp_path: Path):
    with pytest.raises(UsageError, match=r"landmark.*must be shorter than window"):
        asked(tmp_path, "wavering", [], landmark="14d")


def test_command_shows_both_tables(tmp_path: Path):
    opened(tmp_path, wavering_rows()).close()
    line = ["--config", str(tmp_path / "microconv.toml"), "momentum", "--show", "wavering"]

    shown = CliRunner().invoke(cli, line)
    document = json.loads(CliRunner().invoke(cli, [*line, "--format", "json"]).stdout)

    assert "Wavering within 14 days of coming to a mindset" in shown.stdout
    assert "Of those who had not gone on after 1 day: who still did" in shown.stdout
    assert [each["from_mindset"] for each in document["transitions"]] == [
        "curiosity",
        "consideration",
        "commitment",
        "purchase",
    ]


def test_nothing_staged_wavers_nowhere(tmp_path: Path):
    result = asked(tmp_path, "wavering", [])

    assert result.sentence.endswith("not enough data: n = 0.")
