"""`microconv report`: where the page is, and what needs attention."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from click.testing import Result as Done

from microconv.cli import cli
from microconv.errors import DestinationError, SourceError
from projects import write_config
from staged_rows import occurrence, session, shard, staged

FUNNEL = '[[funnels]]\nname = "trial"\nsteps = ["sign_up", "purchase"]\n'


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Done]:
    """Run the command on a project whose data have something to find."""
    config = write_config(tmp_path, extra=FUNNEL)
    rows = {
        "mc_shards": [shard(1, events=9), shard(3, events=9)],
        "mc_sessions": [session(0, 1, "Email", is_engaged=True, page_views=2)],
        "mc_micro_conversions": [occurrence(0, "view_item")],
    }
    staged(tmp_path / "microconv.duckdb", **rows).close()
    return lambda *arguments: CliRunner().invoke(cli, ["-c", str(config), "report", *arguments])


def test_json_names_the_page_and_has_the_keys_of_all_findings(command, tmp_path):
    page = tmp_path / "page.html"

    document = json.loads(command("--output", str(page), "--format", "json").stdout)

    assert document["path"] == str(page)
    assert "<h2>Funnels</h2>" in page.read_text(encoding="utf-8")
    assert [set(finding) for finding in document["findings"]] == [
        {"check", "severity", "subject", "message", "remedy"}
    ] * len(document["findings"])
    assert document["findings"][0] == {
        "check": "missing_days",
        "severity": "error",
        "subject": "",
        "message": "1 day of 1 to 3 March 2024 has no export: every total is too low.",
        "remedy": "`microconv doctor` names the days: check whether their shards were deleted, "
        "expired or never copied.",
    }
    assert ("empty_funnel", "trial") in {(each["check"], each["subject"]) for each in document["findings"]}


def test_people_read_what_was_found_and_what_to_do(command, tmp_path):
    lines = command("--output", str(tmp_path / "page.html")).stdout.splitlines()

    assert lines[0] == f"Report written to {tmp_path / 'page.html'}."
    assert lines[1].startswith(
        "error: 1 day of 1 to 3 March 2024 has no export: every total is too low. `microconv -c "
    )
    assert "/microconv.toml doctor` names the days" in lines[1]  # works as it is typed
    assert all(line.startswith(("error: ", "warning: ", "note: ")) for line in lines[1:])


def test_a_page_that_cannot_be_written_is_a_failed_destination(command, tmp_path):
    assert command("--output", str(tmp_path / "gone" / "page.html")).exit_code == DestinationError.exit_code


def test_before_the_first_sync_there_is_nothing_to_report(tmp_path):
    done = CliRunner().invoke(cli, ["-c", str(write_config(tmp_path)), "report", "--output", str(tmp_path / "r.html")])

    assert done.exit_code == SourceError.exit_code
    assert "Nothing is staged yet" in done.stderr
    assert not (tmp_path / "r.html").exists()
