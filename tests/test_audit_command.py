"""`microconv audit`: from staged tables or from an export that nothing describes, to findings and an exit code."""

from __future__ import annotations

import json
import signal
import subprocess
from datetime import date, datetime, time, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest

import ga4
from commands import COMMAND, Done, environment, microconv
from projects import write_config

FIRST = date(2024, 3, 1)
MISSING = 4
DAYS = tuple(day for day in range(9) if day != MISSING)


def write_exports(folder: Path, names: tuple[str, ...] = ("page_view", "view_item", "purchase")) -> None:
    """Write nine days but one; each hour of a day, in UTC, a client does all that is named."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in DAYS:
        day = FIRST + timedelta(days=number)
        midnight = ga4.microseconds(f"{day} 00:00:00")
        events = [
            ga4.event(
                midnight + hour * 3_600_000_000 + place * 1_000_000,
                name,
                client=f"{number}.{hour}",
                params={"page_location": "https://shop.example/"}
                | (
                    {"value": 5.0, "currency": "EUR", "transaction_id": f"{number}-{hour}"}
                    if name == "purchase"
                    else {}
                ),
            )
            for hour in range(24)
            for place, name in enumerate(names)
        ]
        ga4.write_parquet(folder / f"{ga4.shard_name(day)}.parquet", events)


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose export lacks a day, staged."""
    folder = tmp_path_factory.mktemp("audited")
    write_config(folder)
    write_exports(folder / "exports")
    assert microconv(folder, "sync").code == 0
    return folder


def audit(folder: Path, *arguments: str) -> Done:
    return microconv(folder, "audit", *arguments)


def missing_day(done: Done) -> dict:
    """The finding of the missing day."""
    return next(each for each in done.document["findings"] if each["check"] == "missing_days")


def test_an_error_is_told_and_stops_a_pipeline(synced):
    done = audit(synced, "--only", "missing_days", "--format", "json")

    assert done.code == 1
    assert done.stderr.startswith("Error: The audit found 1 error: missing_days.")
    assert done.document["passed"] is False
    finding = missing_day(done)
    assert finding["message"] == "Property p1 has no events at all on 5 March 2024."
    assert finding["query"].startswith("--")


def test_fail_on_never_only_tells(synced):
    done = audit(synced, "--only", "missing_days", "--fail-on", "never")

    assert (done.code, done.stderr) == (0, "")
    assert "Property p1 has no events at all on 5 March 2024." in done.stdout
    assert "Look in BigQuery" in done.stdout


def test_days_that_are_not_asked_for_are_not_looked_at(synced):
    done = audit(synced, "--only", "missing_days", "--since", "2024-03-06", "--format", "json")

    assert (done.code, done.document["findings"]) == (0, [])


def test_every_check_runs_and_says_what_became_of_it(synced):
    done = audit(synced, "--fail-on", "never", "--format", "json")
    listed = audit(synced, "list", "--format", "json")

    assert {each["check"] for each in done.document["checks"]} == {each["check"] for each in listed.document["checks"]}
    untested = [each for each in done.document["checks"] if each["status"] == "not_tested"]
    assert all(each["reason"] for each in untested)
    assert not [each["reason"] for each in untested if each["reason"].startswith("It could not be asked")]


@pytest.mark.parametrize("form", ["json", "csv", "markdown", "junit", "html"])
def test_a_file_holds_the_audit_and_replaces_only_an_older_one(synced, form, tmp_path):
    path = tmp_path / "audit.out"

    done = audit(synced, "--only", "volume", "--fail-on", "never", "--format", form, "--output", str(path))

    assert (done.code, done.stdout) == (0, "")
    assert "5 March 2024" in path.read_text()
    path.write_text("notes of mine")
    refused = audit(synced, "--only", "volume", "--format", form, "--output", str(path))
    refused.assert_failed(2, "audit of microconv")
    assert path.read_text() == "notes of mine"


def test_junit_on_stdout_is_xml(synced):
    done = audit(synced, "--only", "volume", "--format", "junit")

    assert done.code == 1
    assert ET.fromstring(done.stdout.encode()).find(".//failure") is not None


def test_show_says_meaning_remedy_and_query(synced):
    done = audit(synced, "show", "missing_days")

    assert done.code == 0
    for part in ("Days without any event", "Look in BigQuery", "SELECT"):
        assert part in done.stdout


@pytest.mark.parametrize("arguments", [("show", "missing_day"), ("--only", "missing_day")])
def test_an_unknown_check_is_named_with_the_nearest(synced, arguments):
    audit(synced, *arguments).assert_failed(2, "missing_days")


def test_a_finding_is_accepted_listed_and_taken_back(synced):
    found = missing_day(audit(synced, "--only", "volume", "--fail-on", "never", "--format", "json"))

    accepted = audit(synced, "accept", found["id"][:5], "--reason", "paused", "--until", "2999-12-31")
    assert accepted.code == 0
    again = audit(synced, "--only", "volume", "--format", "json")
    assert (again.code, missing_day(again)["status"]) == (0, "accepted")
    listed = audit(synced, "accept", "--list", "--format", "json").document["accepted"]
    assert [(each["id"], each["reason"], each["until"]) for each in listed] == [(found["id"], "paused", "2999-12-31")]

    assert audit(synced, "accept", found["id"], "--take-back").code == 0
    assert audit(synced, "--only", "volume").code == 1


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("accept",), "Which finding?"),
        (("accept", "abcdef"), "--reason and --until"),
        (("accept", "zzzzzz", "--reason", "r", "--until", "2999-01-01"), "no finding 'zzzzzz'"),
        (("--timezone", "UTC"), "--timezone goes with --source"),
        (("--source", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_asked_is_said(synced, arguments, part):
    audit(synced, *arguments).assert_failed(2 if arguments[0] != "--source" else 3, part)


def test_before_a_sync_there_is_nothing_to_audit(tmp_path):
    write_config(tmp_path)

    audit(tmp_path).assert_failed(3, "microconv sync")


@pytest.mark.parametrize("check", ["missing_day", "ga4_figure"])
def test_a_threshold_of_an_unknown_check_is_a_mistake_of_the_configuration(synced, tmp_path, check):
    write_config(tmp_path, exports=f"{synced}/exports/events_*", extra=f"[audit.thresholds.{check}]\nmin_share = 0.5\n")
    assert microconv(tmp_path, "sync").code == 0

    audit(tmp_path).assert_failed(2, f"audit.thresholds.{check}", f"{check}s")


# An export that nothing describes


def test_a_folder_is_audited_without_a_configuration(tmp_path):
    write_exports(tmp_path / "shards")

    done = audit(tmp_path, "--source", "shards", "--format", "json")

    assert done.code == 1, done
    assert missing_day(done)["first_date"] == "2024-03-05"
    assert "The preset ecommerce fits best" in done.stderr
    assert "begin at midnight of UTC" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["shards"]


def test_the_preset_that_fits_best_is_chosen_and_named_with_the_next(tmp_path):
    write_exports(tmp_path / "shards", ("page_view", "generate_lead", "form_submit"))

    done = audit(tmp_path, "--source", "shards", "--keep", "kept", "--fail-on", "never")

    assert "The preset lead_generation fits best" in done.stderr
    assert 'preset = "lead_generation"' in (tmp_path / "kept" / "microconv.toml").read_text()


def test_another_time_zone_than_the_days_show_is_said(tmp_path):
    write_exports(tmp_path / "shards")

    done = audit(tmp_path, "--source", "shards", "--timezone", "Asia/Tokyo", "--fail-on", "never")

    assert "do not begin at midnight in Asia/Tokyo" in done.stderr


def test_what_is_kept_can_be_gone_on_with(tmp_path):
    write_exports(tmp_path / "shards")

    done = audit(tmp_path, "--source", "shards", "--keep", "kept", "--fail-on", "never", "--format", "json")

    again = microconv(tmp_path, "-c", "kept/microconv.toml", "audit", "--format", "json")
    assert missing_day(again)["id"] == missing_day(done)["id"]
    assert missing_day(again)["status"] == "still"


def test_a_folder_of_somebody_else_is_not_kept_in(tmp_path):
    write_exports(tmp_path / "shards")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "microconv.toml").write_text("# mine")

    audit(tmp_path, "--source", "shards", "--keep", "mine").assert_failed(2, "mine")

    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["microconv.toml"]
    assert (tmp_path / "mine" / "microconv.toml").read_text() == "# mine"


def test_a_dataset_is_audited_in_the_zone_and_currency_that_its_days_tell(tmp_path, emulator, export):
    berlin = "Europe/Berlin"
    for number in DAYS:
        day = FIRST + timedelta(days=number)
        midnight = int(datetime.combine(day, time(), ZoneInfo(berlin)).timestamp())
        events = [
            {**ga4.event((midnight + hour * 3_600) * 1_000_000, name, client=f"{number}.{hour}", params=params)}
            | {"event_date": f"{day:%Y%m%d}"}
            for hour in range(24)
            for name, params in (("page_view", {}), ("purchase", {"value": 5.0, "currency": "SEK"}))
        ]
        export.put(ga4.shard_name(day), events)
    env = {"BIGQUERY_EMULATOR_HOST": emulator.rest_url}

    source = f"{export.project}.{export.dataset}"
    done = microconv(tmp_path, "audit", "--source", source, "--keep", "kept", "--format", "json", env=env, timeout=500)

    assert done.code == 1, done
    assert missing_day(done)["first_date"] == "2024-03-05"
    assert f"The time zone is taken as {berlin}" in done.stderr
    kept = (tmp_path / "kept" / "microconv.toml").read_text()
    assert f'timezone = "{berlin}"' in kept
    assert 'currency = "SEK"' in kept


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_temporary_database(tmp_path, sent):
    write_exports(tmp_path / "shards")
    (tmp_path / "temporary").mkdir()
    running = subprocess.Popen(
        [COMMAND, "--log-format", "json", "audit", "--source", "shards"],
        cwd=tmp_path,
        env=environment({"TMPDIR": str(tmp_path / "temporary")}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    for line in running.stderr:
        if list((tmp_path / "temporary").iterdir()) and "Stag" in line:
            break
    running.send_signal(sent)
    _, stderr = running.communicate(timeout=60)

    assert running.returncode == 130, stderr
    assert json.loads(stderr.splitlines()[-1])["message"].startswith("Interrupted.")
    assert list((tmp_path / "temporary").iterdir()) == []
