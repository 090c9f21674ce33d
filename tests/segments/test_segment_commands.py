"""`microconv segment build|preview|size`: what they say, what they refuse, and that a question stays a question."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import duckdb
import pytest
from click.testing import CliRunner, Result

import microconv.cli.segment
from microconv.cli import cli
from microconv.config.load import load_config
from microconv.engines.duckdb import DuckDBEngine
from microconv.errors import LockedError, SourceError, UsageError
from microconv.project import Project
from projects import write_config
from staged_rows import SECOND, START, at, occurrence, session, shard, staged

SEGMENTS = """
[[segments]]
name = "carts"
rule = { did = "add_to_cart", within = "1h" }
[[segments]]
name = "views"
rule = { did = "view_item", within = "1h" }
"""
ROWS = {
    "mc_micro_conversions": [occurrence(10 * SECOND, "add_to_cart", client=1), occurrence(0, "view_item", client=2)],
    "mc_sessions": [session(0, 1, "Direct", actor=1, client_key=1, user_id="jane@example.com")],
    "mc_events": [
        {"property": "p", "client_key": 1, "event_order": 1, "event_at": at(10 * SECOND), "event_date": START.date()}
    ],
    "mc_shards": [shard(1, events=1)],
}
Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_config(tmp_path, extra=SEGMENTS)
    staged(tmp_path / "microconv.duckdb", **ROWS).close()
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    return lambda *words: CliRunner().invoke(cli, ["-c", str(folder / "microconv.toml"), *words])


def document(done: Result) -> Any:
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def members(folder: Path) -> list[Any]:
    with duckdb.connect(str(folder / "microconv.duckdb")) as connection:
        return connection.sql(
            "SELECT segment, actor_key, until IS NULL FROM mc_segment_members ORDER BY ALL"
        ).fetchall()


def test_a_build_says_who_entered_and_keeps_it(folder: Path, run: Run):
    built = document(run("segment", "build", "--format", "json"))

    assert [(each["segment"], each["members"], each["with_user_id"]) for each in built["segments"]] == [
        ("carts", 1, 1),
        ("views", 1, 0),
    ]
    assert built["sentence"] == "Built as of 2024-03-01 00:00:10 UTC: 2 entries and 0 exits."
    assert members(folder) == [("carts", 1, True), ("views", 2, True)]


def test_a_build_for_a_later_moment_says_why_members_left(folder: Path, run: Run):
    run("segment", "build")
    done = run("segment", "build", "--as-of", "2024-03-01T01:00:05+00:00")

    assert "0 entries and 1 exit (1 no longer matches)" in done.stdout
    assert members(folder) == [("carts", 1, True), ("views", 2, False)]


def test_a_build_for_an_earlier_moment_is_refused(folder: Path, run: Run):
    run("segment", "build")
    before = members(folder)
    done = run("segment", "build", "--as-of", "2024-03-01T00:00:09Z")

    assert (done.exit_code, done.stdout) == (UsageError.exit_code, "")
    assert "they were built for 2024-03-01 00:00:10 UTC already" in done.stderr
    assert members(folder) == before


def test_a_removed_segment_is_told(folder: Path, run: Run):
    run("segment", "build")
    write_config(folder, extra=SEGMENTS.partition('[[segments]]\nname = "views"')[0])
    done = run("segment", "build")

    assert (
        "Warning: The configuration has no segment views any more: everybody who was in it has left it." in done.stderr
    )
    assert members(folder) == [("carts", 1, True), ("views", 2, False)]


def test_a_preview_changes_nothing_and_names_nobody(folder: Path, run: Run):
    run("segment", "build")
    before = members(folder)
    done = run("segment", "preview", "views", "--as-of", "2024-03-02T00:00:00Z", "--format", "json")

    assert [(each["segment"], each["left"]) for each in document(done)["segments"]] == [("views", 1)]
    assert members(folder) == before
    assert "jane" not in run("segment", "preview", "carts", "--as-of", "2024-03-02T00:00:00Z").output


@pytest.mark.parametrize("form", [(), ("--format", "json"), ("--format", "csv")])
def test_single_people_are_shown_on_a_terminal_only(run: Run, form: tuple[str, ...]):
    done = run("segment", "preview", "carts", "--reveal", *form)

    assert (done.exit_code, done.stdout) == (UsageError.exit_code, "")
    assert "on a terminal only" in done.stderr


def test_single_people_are_shown_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(microconv.cli.segment, "is_terminal", lambda: True)

    shown = run("segment", "preview", "carts", "--reveal").stdout
    assert "Single people" in shown
    assert "jane@example.com" in shown
    assert "jane@example.com" not in run("segment", "preview", "views", "--reveal").stdout


def test_the_size_by_day_has_the_last_build_of_each_day(run: Run):
    for moment in ("2024-03-01T00:00:10Z", "2024-03-01T01:00:05Z", "2024-03-02T00:00:00Z"):
        run("segment", "build", "--as-of", moment)
    days = document(run("segment", "size", "carts", "--by-day", "--format", "json"))["days"]

    assert [(each["day"], each["members"], each["entrants"], each["leavers"], each["builds"]) for each in days] == [
        ("2024-03-01", 1, 1, 0, 2),
        ("2024-03-02", 0, 0, 1, 1),
    ]


def test_the_size_by_day_of_what_was_never_built_says_so(run: Run):
    assert "carts was never built: " in run("segment", "size", "carts", "--by-day").stdout


def test_the_size_is_that_of_the_rule_at_a_moment(run: Run):
    asked = ("carts", "--as-of", "2024-03-01T00:00:10Z", "--format", "json")
    assert document(run("segment", "size", *asked)) == document(run("segment", *asked))


@pytest.mark.parametrize("words", [("preview", "nobody"), ("size", "nobody", "--by-day"), ("size", "nobody")])
def test_an_unknown_segment_is_told(run: Run, words: tuple[str, ...]):
    done = run("segment", *words)

    assert (done.exit_code, done.stdout) == (UsageError.exit_code, "")
    assert "It has: carts, views." in done.stderr


def test_options_that_do_not_fit_together_are_refused(run: Run):
    for words in (("--by-day", "--as-of", "2024-03-01"), ("--chart", "--format", "json")):
        assert run("segment", "size", "carts", *words).exit_code == UsageError.exit_code


def test_nothing_is_built_before_something_is_staged(tmp_path: Path):
    config = write_config(tmp_path, extra=SEGMENTS)
    done = CliRunner().invoke(cli, ["-c", str(config), "segment", "build"])

    assert (done.exit_code, done.stdout) == (SourceError.exit_code, "")
    assert not (tmp_path / "microconv.duckdb").exists()


def test_a_question_about_a_segment_stays_one_with_its_options_behind_the_name(run: Run):
    assert run("segment", "carts", "--format", "csv").stdout.startswith(
        "segment,as_of,members,with_user_id,actors,share\n"
    )
    assert run("segment", "carts", "views").exit_code == click.UsageError.exit_code


def test_a_build_holds_the_run_lock(folder: Path, monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    monkeypatch.setattr(DuckDBEngine, "begin", lambda _engine, run_id, owner: told.append(f"{run_id} by {owner}"))
    monkeypatch.setattr(DuckDBEngine, "end", lambda _engine: told.append("end"))
    with Project(load_config(folder / "microconv.toml", {})) as project:
        built = project.build_segments()
        assert told[0].startswith(f"{built.run_id} by ")
        assert told[1:] == ["end"]

        def locked(*_: str) -> None:
            raise LockedError("another run holds it.", hint="Wait.")

        monkeypatch.setattr(DuckDBEngine, "begin", locked)
        before = told.copy()
        with pytest.raises(LockedError):
            project.build_segments()
        assert told == before


def test_a_dry_run_of_an_export_lets_nobody_enter(folder: Path, run: Run):
    (folder / "people.csv").write_text("user_id,email\njane@example.com,jane@example.com\n")
    (folder / "consent.csv").write_text(
        "user_id,ad_user_data,ad_personalization,changed_at\njane@example.com,granted,granted,2024-01-01\n"
    )
    destination = '[[destinations]]\nname = "list"\nformat = "csv"\nmax_age = "3650d"\n'
    tables = '[identity]\nfile = "people.csv"\n[consent]\nfile = "consent.csv"\n'
    write_config(folder, extra=SEGMENTS + destination + tables)

    dry = document(run("export", "carts", "--dry-run", "--format", "json"))
    assert dry["written"] == 1
    assert members(folder) == []
    assert document(run("export", "carts", "--format", "json"))["plan"] == dry["plan"]
    assert members(folder) == [("carts", 1, True), ("views", 2, True)]


def test_segments_are_listed_and_shown_in_words_without_a_database(folder: Path, run: Run):
    (folder / "microconv.duckdb").unlink()

    listed = document(run("segment", "list", "--format", "json"))["segments"]
    shown = document(run("segment", "show", "carts", "--format", "json"))

    assert [each["segment"] for each in listed] == ["carts", "views"]
    assert listed[0]["rule"] == "Members are actors who did add_to_cart in the last 1 hour."
    assert (shown["sentence"], shown["ga4_obstacles"]) == (
        f"{listed[0]['rule']} An audience of GA4 itself could express this rule, without transactions counting once.",
        [],
    )
    assert not (folder / "microconv.duckdb").exists()


def test_the_overlap_of_segments_is_a_matrix_and_pairs(tmp_path: Path):
    both = '[[segments]]\nname = "both"\nrule = { did = ["add_to_cart", "view_item"], within = "1h" }\n'
    write_config(tmp_path, extra=SEGMENTS + both)
    staged(tmp_path / "microconv.duckdb", **ROWS).close()

    with Project.load(tmp_path / "microconv.toml") as project:
        found = project.segment_overlap()
        none = project.segment_overlap(as_of=at(-SECOND))

    pairs = {(each.segment, each.other): (each.both, each.members, each.share) for each in found.rows}
    assert pairs["carts", "both"] == (1, 1, 1.0)
    assert pairs["both", "carts"] == (1, 2, 0.5)
    assert pairs["carts", "views"] == (0, 1, 0.0)
    assert found.sentence == "The largest overlap: 100.0% of carts (1 actor) are in both, too."
    (matrix,) = found.sheets()
    assert matrix.rows[2] == ("both", 0.5, 0.5, None, 2)
    assert none.sentence == "No actor is in two of the segments."


def test_the_overlap_of_one_segment_says_that_it_needs_two(tmp_path: Path):
    write_config(tmp_path, extra='[[segments]]\nname = "one"\nrule = { did = "add_to_cart", within = "1h" }\n')
    staged(tmp_path / "microconv.duckdb", **ROWS).close()

    done = CliRunner().invoke(cli, ["-c", str(tmp_path / "microconv.toml"), "segment", "overlap"])

    assert done.exit_code == 0
    assert "An overlap needs two segments or more" in done.stdout


def test_the_size_is_a_share_of_all_actors(run: Run):
    size = document(run("segment", "size", "carts", "--format", "json"))

    assert (size["members"], size["actors"]) == (1, 2)
    assert "1 member as of 2024-03-01 00:00 UTC, 50.0% of all actors" in size["sentence"]
