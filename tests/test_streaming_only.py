"""A property that exports by streaming only: its intraday days are complete once they are over."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import ga4
from microconv.config.load import load_config
from microconv.project import Project
from microconv.staging import Scope, SyncResult, find_shards, plan, sync
from projects import write_config

FIRST = date(2024, 9, 1)
DAYS = 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six intraday days of 40 carts each, but for the fourth with 4 of them."""
    write_config(tmp_path, timezone="America/New_York")
    for offset in range(DAYS):
        write(tmp_path, FIRST + timedelta(days=offset), carts=4 if offset == 3 else 40)
    return tmp_path


def write(folder: Path, day: date, kind: str = "intraday", *, carts: int = 40) -> Path:
    noon = ga4.microseconds(f"{day} 16:00:00")
    events = [
        ga4.event(noon + number * 1_000_000, name, client=f"{number}.7", session=number, event_date=f"{day:%Y%m%d}")
        for number in range(1, 101)
        for name in ("page_view", "add_to_cart")[: 2 if number <= carts else 1]
    ]
    return ga4.write_parquet(folder / "exports" / f"{ga4.shard_name(day, kind)}.parquet", events)


def run(project: Project, at: str) -> SyncResult:
    """Sync at a moment (UTC)."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return sync(project.engine, project.sources, project.config, project.taxonomy, now=lambda: moment)


def low(project: Project) -> list[Any]:
    return [(each.micro_conversion, each.first_date.day) for each in project.coverage().outages]


def test_past_days_are_complete_and_the_one_under_way_is_not(folder: Path):
    with Project(load_config(folder / "microconv.toml", {})) as project:
        run(project, "2024-09-06 20:00:00")

        assert project.summary().provisional_days == 1
        assert low(project) == [("add_to_cart", 4)]


def test_a_day_is_over_in_the_zone_of_the_property(folder: Path):
    with Project(load_config(folder / "microconv.toml", {})) as project:
        run(project, "2024-09-07 03:59:00")  # 23:59 in New York
        assert project.summary().provisional_days == 1
    (folder / "microconv.duckdb").unlink()
    with Project(load_config(folder / "microconv.toml", {})) as project:
        run(project, "2024-09-07 04:00:00")
        assert project.summary().provisional_days == 0


def test_day_that_was_staged_while_it_lasted_is_staged_once_more_when_it_is_over(folder: Path):
    with Project(load_config(folder / "microconv.toml", {})) as project:
        run(project, "2024-09-06 20:00:00")
        planned = plan(
            project.engine, find_shards(project.sources, Scope()), project.rules, Scope(), today=date(2024, 9, 7)
        )
        assert planned.reasons() == {"over": 1}

        assert run(project, "2024-09-07 20:00:00").shards["staged"] == 1
        assert project.summary().provisional_days == 0
        assert run(project, "2024-09-08 20:00:00").shards["staged"] == 0


def test_with_daily_shards_about_an_intraday_day_stays_provisional(folder: Path):
    write(folder, FIRST, "daily")
    with Project(load_config(folder / "microconv.toml", {})) as project:
        run(project, "2024-09-20 20:00:00")

        assert project.summary().provisional_days == DAYS - 1
        assert low(project) == []


def test_rows_say_what_kind_of_shard_they_came_from(folder: Path):
    with Project(load_config(folder / "microconv.toml", {})) as project:
        run(project, "2024-09-20 20:00:00")

        flags = project.engine._connection.sql("SELECT DISTINCT is_provisional FROM mc_sessions").fetchall()
        assert flags == [(True,)]
