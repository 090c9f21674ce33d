"""`microconv funnel`, `attribution` and `coverage` over staged tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from microconv.cli import cli
from microconv.engines.duckdb import DuckDBEngine
from microconv.errors import FindingsError, UsageError
from microconv.queries.templates import Query
from microconv.wording import elapsed
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
    assert "Funnel buying, ordered, closed, by actor, within 1 day" in shown
    assert "100.0%" in shown
    assert "2 min 5 s" in shown


def test_csv_has_the_rows_and_nothing_else(run):
    assert run("funnel", "buying", "--format", "csv").stdout.splitlines() == [
        "step,count,from_previous,from_first,seconds_median,entered,continued",
        "view_item,1,,1.0,0.0,,",
        "add_to_cart,1,1.0,1.0,125.0,,",
        "purchase,1,1.0,1.0,299.0,,",
    ]


def test_chart_draws_the_longest_bar_for_the_largest_count(run):
    lines = run("funnel", "--steps", "search,view_item", "--entry", "open", "--chart").stdout.splitlines()
    bars = {line.split()[0]: line.count("\u2588") for line in lines if "\u2588" in line}
    assert bars == {"search": 50, "view_item": 50}


def test_a_window_of_the_other_kind_takes_the_place_of_the_configured_one(run):
    document = json.loads(run("funnel", "buying", "--step-window", "2h", "--format", "json").stdout)
    assert (document["window_seconds"], document["step_window_seconds"]) == (None, 7_200)


def test_chart_beside_json_is_a_usage_error(run):
    result = run("funnel", "buying", "--chart", "--format", "json")
    assert (result.exit_code, result.stdout) == (UsageError.exit_code, "")


def test_saved_result_holds_what_was_asked_and_what_it_rests_on(run, tmp_path):
    result = run("funnel", "buying", "--window", "2h", "--save")
    assert result.exit_code == 0
    (saved,) = [line.split()[2] for line in result.stderr.splitlines() if line.startswith("Saved as")]
    with DuckDBEngine(tmp_path / "microconv.duckdb") as engine:
        rows = engine.query(
            Query("saved", "SELECT * FROM `mc_result_funnel` AS f ORDER BY f.row_number", {})
        ).to_pylist()
    assert [(row["result_id"], row["step"], row["count"]) for row in rows] == [
        (saved, step, 1) for step in ("view_item", "add_to_cart", "purchase")
    ]
    question = json.loads(rows[0]["question"])
    assert (question["name"], question["window"], question["segment"]) == ("buying", "2h", None)
    assert "The last step of a path lies within 2 hours of the first, inclusive." in json.loads(rows[0]["assumptions"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("funnel",), "by its name, or by its steps"),
        (("funnel", "buying", "--steps", "a,b"), "by its name, or by its steps"),
        (("funnel", "--steps", "view_item"), "steps needs at least 2 entries"),
        (("funnel", "buying", "--window", "1x"), 'window = "1x" is not a length of time'),
        (("funnel", "buying", "--window", "1d", "--step-window", "1d"), "cannot be given beside window"),
        (("funnel", "buying", "--times", "--drop-off"), "--times and --drop-off are different questions"),
        (("funnel", "buying", "--top", "3"), "--top goes with --by or --drop-off"),
        (("funnel", "buying", "--against", "x..y"), "'x' is not a day"),
        (("funnel", "buying", "--segment", "nobody"), "no segment named 'nobody'"),
        (("funnel", "buying", "--against", "nobody"), "no segment named 'nobody'"),
        (("funnel", "buying", "--as-of", "2024-03-01T00:00:00"), "as_of is the moment of a segment"),
        (("funnel", "buying", "--trend", "month"), "'month' is not one of 'day', 'week'"),
        (("segment", "nobody"), "no segment named 'nobody'"),
        (("channels", "--since", "2024-03-02", "--until", "2024-03-01"), "until is before since (2024-03-02)"),
        (("funnel", "buying", "--hold", "item_brand"), 'Add "item_brand" to `carry` under [taxonomy]'),
        (("funnel", "buying", "--by", "nothing"), "nothing cannot break down a funnel"),
        (("funnel", "buying", "--since", "2024-03-02", "--until", "2024-03-01"), "until is before since (2024-03-02)"),
        (("paths", "--to", "purchase", "--from", "view_item"), "cannot be given beside from"),
        (("discover", "--goal", "nothing"), 'no micro-conversion "nothing"'),
        (("attribution", "--model", "best"), "'best' is not one of 'first'"),
        (("attribution", "--window", "0d"), "is not a length of time"),
        (("attribution", "--goal", "nothing"), 'no micro-conversion "nothing"'),
    ],
)
def test_question_that_cannot_be_asked_is_told_without_an_answer(run, arguments, said):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (UsageError.exit_code, "")
    assert said in result.stderr


def test_unknown_funnel_is_a_usage_error(run):
    result = run("funnel", "selling")
    assert result.exit_code == UsageError.exit_code
    assert "no funnel named 'selling'" in result.stderr


def test_attribution_as_json_has_the_documented_keys(run):
    document = json.loads(run("attribution", "--format", "json").stdout)
    assert (document["goal"], document["conversions"], document["value"]) == ("purchase", 1, 9.5)
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
    assert elapsed(seconds) == text
