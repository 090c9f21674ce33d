"""`microconv funnel`, `attribution` and `coverage` over staged tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from microconv.cli import cli
from microconv.cli.output import duration
from microconv.errors import FindingsError, UsageError
from projects import write_config
from staged_rows import DAY, SECOND, day, occurrence, session, shard, staged

FUNNEL = '[[funnels]]\nname = "buying"\nsteps = ["view_item", "add_to_cart", "purchase"]\nwindow = "1d"\n'
ROWS = {
    "mc_shards": [shard(number, events=1_000) for number in range(1, 6)],
    "mc_sessions": [session(0, 1, "Email"), session(SECOND, 2, "Direct")],
    "mc_micro_conversions": [
        occurrence(SECOND, "view_item"),
        occurrence(126 * SECOND, "add_to_cart"),
        occurrence(300 * SECOND, "purchase", value=9.5),
        *(occurrence(d * DAY, "search", client=2, place=place) for d in (0, 1, 2, 4) for place in range(12)),
    ],
}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    """Run a command on a project whose tables are filled."""
    config = write_config(tmp_path, extra=FUNNEL)
    staged(tmp_path / "microconv.duckdb", **ROWS).close()
    return lambda *arguments: CliRunner().invoke(cli, ["-c", str(config), *arguments])


def test_funnel_as_json_has_the_documented_keys(run):
    document = json.loads(run("funnel", "buying", "--format", "json").stdout)
    assert (document["funnel"], document["count"], document["entry"]) == ("buying", "actors", "closed")
    assert document["steps"][2] == {
        "step": "purchase",
        "count": 1,
        "from_previous": 1.0,
        "from_first": 1.0,
        "seconds_median": 299.0,
        "entered": None,
        "continued": None,
    }


def test_funnel_as_table_shows_counts_shares_and_times(run):
    shown = run("funnel", "buying").stdout
    assert "Funnel buying, ordered, closed, by actor, within 1 d of the first step" in shown
    assert "100.0%" in shown
    assert "2 min 5 s" in shown


def test_unknown_funnel_is_a_usage_error(run):
    result = run("funnel", "selling")
    assert result.exit_code == UsageError.exit_code
    assert "no funnel named 'selling'" in result.stderr


def test_attribution_as_json_has_the_documented_keys(run):
    document = json.loads(run("attribution", "--format", "json").stdout)
    assert (document["conversion"], document["conversions"], document["value"]) == ("purchase", 1, 9.5)
    assert {"model": "last", "window": "30d", "touchpoint": "Direct", "credit": 1.0, "value": 9.5} in document[
        "results"
    ]
    assert {"window": "7d", "conversions": 0, "value": 0.0} in document["untouched"]
    assert document["assumptions"]


def test_attribution_as_table_prints_its_assumptions(run):
    shown = run("attribution").stdout
    assert "purchase, window 30d, conversions: 1, untouched: 0" in shown
    assert "last_non_direct" in shown
    assert "Conversions without a touchpoint in the window are untouched" in shown


def test_coverage_as_json_has_outages_and_days(run):
    result = run("coverage", "--format", "json")
    document = json.loads(result.stdout)
    (outage,) = document["outages"]
    assert result.exit_code == 0
    assert (outage["micro_conversion"], outage["first_date"], outage["status"]) == (
        "search",
        day(4).isoformat(),
        "missing",
    )
    assert {row["event_date"] for row in document["days"]} == {day(number).isoformat() for number in range(1, 6)}
    assert "sign_up" in document["never_seen"]


def test_coverage_as_table_lists_outages_and_what_was_never_seen(run):
    shown = run("coverage").stdout
    assert "Coverage from 2024-03-01 to 2024-03-05" in shown
    assert "4 of 5" in shown
    assert "2024-03-04" in shown
    assert "Never seen: scroll, " in shown


def test_coverage_fails_on_an_outage_only_when_asked(run):
    failed = run("coverage", "--fail-on-outage", "--format", "json")
    assert failed.exit_code == FindingsError.exit_code
    assert json.loads(failed.stdout)["outages"]
    assert "search" in failed.stderr


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (6.36, "6.4 s"),
        (59.99, "60.0 s"),
        (60.0, "1 min"),
        (337.5, "5 min 38 s"),
        (3_600.0, "1 h"),
        (604_800.0, "7 d"),
        (93_600.0, "1 d 2 h"),
        (86_460.0, "1 d"),
    ],
)
def test_durations_read_with_two_units(seconds, text):
    assert duration(seconds) == text
