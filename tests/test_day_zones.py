"""Which time zones fit the days of an export, and that a wrong one is told once, however little it is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import ga4
from commands import microconv
from microconv.config.load import load_config
from microconv.findings import Finding
from microconv.project import Project
from microconv.staging.day_zones import Week, fit, misfits
from projects import write_config

HOUR = timedelta(hours=1)


def write_export(
    folder: Path, zone: str, first: date, days: int, *, hours: Iterable[float] = range(24), stray: int = 0
) -> None:
    """Write days of a property in a zone, with an event at each of these hours of its clock; one day in `stray` has one
    that is five hours late."""
    info = ZoneInfo(zone)
    for number in range(days):
        day = first + timedelta(days=number)
        midnight = datetime.combine(day, time(), tzinfo=info).astimezone(UTC)
        moments = [midnight + hour * HOUR for hour in hours]
        if stray and number % stray == 0:
            moments.append(midnight + 29 * HOUR)
        events = [
            ga4.event(int(moment.timestamp() * 1_000_000), "page_view", event_date=f"{day:%Y%m%d}")
            for moment in moments
        ]
        ga4.write_parquet(folder / "exports" / f"{ga4.shard_name(day)}.parquet", events)


def told(folder: Path, zone: str) -> list[Finding]:
    """What a project in that zone is told of it."""
    with Project(load_config(write_config(folder, timezone=zone), {})) as project:
        result = project.sync()
        assert not result.warnings
        return [finding for finding in result.findings if finding.check == "time_zone"]


@pytest.mark.parametrize("wrong", ["America/Denver", "America/Anchorage", "UTC", "Asia/Tokyo"])
def test_a_zone_that_is_wrong_by_an_hour_or_by_many_is_told_once(tmp_path, wrong):
    write_export(tmp_path, "America/Los_Angeles", date(2024, 1, 8), 14)

    (finding,) = told(tmp_path, wrong)

    assert finding.message == (
        f"project.timezone is {wrong}, but the days of the export begin at midnight of UTC-08:00 "
        "(such as America/Los_Angeles)."
    )
    assert "No figure changes" in finding.remedy


@pytest.mark.parametrize("right", ["America/Los_Angeles", "America/Tijuana"])
def test_a_zone_that_fits_is_not_doubted(tmp_path, right):
    write_export(tmp_path, "America/Los_Angeles", date(2024, 1, 8), 14)

    assert told(tmp_path, right) == []


def test_a_zone_with_summer_time_fits_both_halves_of_the_year(tmp_path):
    write_export(tmp_path, "Europe/Berlin", date(2024, 3, 18), 28)  # clocks change on 31 March

    assert told(tmp_path, "Europe/Berlin") == []
    (finding,) = told(tmp_path, "Africa/Lagos")  # always UTC+01:00
    assert finding.message.endswith("begin at midnight in Europe/Berlin.")


def test_zones_of_half_and_quarter_hours_are_told_apart(tmp_path):
    write_export(tmp_path, "Asia/Kathmandu", date(2024, 1, 8), 7, hours=[quarter / 4 for quarter in range(96)])

    assert told(tmp_path, "Asia/Kathmandu") == []
    (finding,) = told(tmp_path, "Asia/Kolkata")
    assert "UTC+05:45 (such as Asia/Kathmandu)" in finding.message


def test_few_events_do_not_contradict_a_zone(tmp_path):
    write_export(tmp_path, "America/Los_Angeles", date(2024, 1, 8), 3, hours=[12, 15])

    assert told(tmp_path, "America/New_York") == []


def test_a_stray_event_now_and_then_does_not_contradict_a_zone(tmp_path):
    write_export(tmp_path, "America/Los_Angeles", date(2024, 1, 8), 28, stray=7)

    assert told(tmp_path, "America/Los_Angeles") == []
    assert len(told(tmp_path, "America/Denver")) == 1


def test_where_nothing_fits_no_zone_is_named(tmp_path):
    write_export(tmp_path, "America/Los_Angeles", date(2024, 1, 8), 14, stray=1)

    assert told(tmp_path, "America/Los_Angeles") == []


def test_staging_is_the_same_whatever_the_zone_unless_an_absence_is_dated(tmp_path):
    write_export(tmp_path, "America/Los_Angeles", date(2024, 1, 8), 3)
    goal = '[[micro_conversions]]\nid = "goal"\nevent = "purchase"\nkind = "macro"\nstage = "decision"\n'
    (tmp_path / "plain.toml").write_text(f'version = "1.0"\n{goal}', encoding="utf-8")

    for section, restaged in (('preset = "none"\nfile = "plain.toml"\n', 0), ('preset = "ecommerce"\n', 3)):
        extra = f"[taxonomy]\n{section}"
        with Project(load_config(write_config(tmp_path, timezone="America/Los_Angeles", extra=extra), {})) as project:
            project.sync()
        with Project(load_config(write_config(tmp_path, timezone="Asia/Tokyo", extra=extra), {})) as project:
            assert len(project.plan().days) == restaged


def test_doctor_says_it_too(tmp_path):
    write_export(tmp_path, "America/Los_Angeles", date(2024, 1, 8), 7)
    told(tmp_path, "UTC")

    checks = microconv(tmp_path, "doctor", "--format", "json").document["checks"]

    (checked,) = (check for check in checks if check["check"] == "staged export")
    assert checked["severity"] == "warning"
    assert "begin at midnight of UTC-08:00" in checked["message"]


def test_the_limits_of_a_week_are_included():
    week = Week("p", date(2024, 1, 8), 60, 60, 7)

    assert misfits("Europe/Berlin", [week]) == 0
    assert misfits("Europe/London", [week]) == misfits("Europe/Athens", [week]) == 7
    assert fit([week]).offsets == (60,)
    assert fit([week]).zones[0] == "Europe/Berlin"
    assert fit([week]).is_telling


def test_days_that_fit_many_offsets_tell_none():
    assert not fit([Week("p", date(2024, 1, 8), -600, 600, 7)]).is_telling
    assert not fit([]).is_telling
