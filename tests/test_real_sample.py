"""The main way on real input: 32 days of a public GA4 sample, against figures computed from raw rows by other code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microconv.config.load import load_config
from microconv.project import Project
from microconv.staging import SyncResult
from projects import write_config

BY_DEFINITION = "engagement_msec > 10000 OR key_events > 0 OR page_views >= 2"
"""The old definition of an engaged session, by which the reference counts."""
ENGAGED = 89_934
"""Engaged sessions by the definition of today: those, and the ones of which GA4 said so in words."""
STEPS = '["view_item", "add_to_cart", "begin_checkout", "purchase"]'
FUNNELS = {
    "session_ordered": ("session", "3650d"),
    "actor_ordered_7d": ("actor", "7d"),
    "actor_ordered_1d": ("actor", "1d"),
    "actor_ordered_30m": ("actor", "30m"),
}


@pytest.fixture(scope="module")
def reference(sample: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((sample / "reference.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def synced(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, SyncResult]]:
    folder = tmp_path_factory.mktemp("sample")
    funnels = "".join(
        f'[[funnels]]\nname = "{name}"\nsteps = {STEPS}\ncount = "{unit}s"\nwindow = "{window}"\n'
        for name, (unit, window) in FUNNELS.items()
    )
    config = write_config(folder, exports=str(sample / "ga4_sample" / "events_*.parquet"), extra=funnels)
    with Project(load_config(config, {})) as project:
        yield project, project.sync()


def table(project: Project, sql: str) -> dict[Any, Any]:
    return dict(project.engine._connection.execute(sql).fetchall())


def test_every_row_is_staged_and_none_twice(synced: tuple[Project, SyncResult], reference: dict[str, Any]) -> None:
    _, result = synced
    assert result.shards == {"seen": reference["days"], "staged": reference["days"], "skipped": 0}
    assert result.rows["mc_events"] == reference["events"]
    assert result.rows["mc_sessions"] == reference["sessions"]
    assert result.duplicates_removed == 0
    assert result.warnings == ()


def test_events_clients_and_sessions_by_name(synced: tuple[Project, SyncResult], reference: dict[str, Any]) -> None:
    project, _ = synced
    for figure, measure in (
        ("events_by_name", "COUNT(*)"),
        ("users_by_name", "COUNT(DISTINCT client_key)"),
        ("sessions_by_name", "COUNT(DISTINCT session_key)"),
    ):
        assert table(project, f"SELECT event_name, {measure} FROM mc_events GROUP BY ALL") == reference[figure]


def test_sessions_engaged_sessions_and_clients(synced: tuple[Project, SyncResult], reference: dict[str, Any]) -> None:
    project, _ = synced
    summary = project.summary()
    assert summary.sessions == reference["sessions"]
    assert table(project, f"SELECT 'n', COUNT(*) FROM mc_sessions WHERE {BY_DEFINITION}") == {
        "n": reference["engaged_sessions_by_definition"]
    }
    assert summary.engaged_sessions == ENGAGED
    assert summary.actors == reference["users"]
    assert table(project, "SELECT 'ms', SUM(engagement_msec) FROM mc_sessions") == {"ms": reference["engagement_msec"]}
    channels = project.channels().channels
    assert sum(channel.sessions for channel in channels) == reference["sessions"]


def test_purchases_and_revenue(synced: tuple[Project, SyncResult], reference: dict[str, Any]) -> None:
    project, _ = synced
    purchases = "FROM mc_micro_conversions WHERE micro_conversion = 'purchase'"
    (found,) = project.engine._connection.execute(
        f"SELECT COUNT(*), SUM(value), COUNT(DISTINCT transaction_id), COUNT(*) - COUNT(transaction_id) {purchases}"
    ).fetchall()
    expected = reference["purchase"]
    assert found == (
        expected["events"],
        expected["revenue"],
        expected["distinct_valid_tid"],
        expected["null_tid"] + expected["notset_tid"],
    )


@pytest.mark.parametrize("name", FUNNELS)
def test_funnel_matches_exactly(synced: tuple[Project, SyncResult], reference: dict[str, Any], name: str) -> None:
    project, _ = synced
    assert {step.step: step.count for step in project.funnel(name).steps} == reference["funnels"][name]


def test_repeats_of_begin_checkout_are_one_act_and_stay_countable(
    synced: tuple[Project, SyncResult], reference: dict[str, Any]
) -> None:
    """Figures by rows are those of raw events; those by acts come from other code, over raw events as well."""
    project, _ = synced
    rows_of = table(project, "SELECT micro_conversion, SUM(copies) FROM mc_micro_conversions GROUP BY ALL")
    acts_of = table(project, "SELECT micro_conversion, COUNT(*) FROM mc_micro_conversions GROUP BY ALL")
    assert rows_of["begin_checkout"] == reference["events_by_name"]["begin_checkout"] == 9_763
    assert acts_of["begin_checkout"] == 3_329
    assert {name for name, rows in rows_of.items() if rows != acts_of[name]} == {"begin_checkout"}
    by_actor = "FROM mc_micro_conversions WHERE micro_conversion = 'begin_checkout' GROUP BY actor_key"
    ((by_rows, by_acts, actors),) = project.engine._connection.execute(
        "SELECT COUNTIF(rows_of >= 3), COUNTIF(acts >= 3), COUNT(*) "
        f"FROM (SELECT SUM(copies) AS rows_of, COUNT(*) AS acts {by_actor})"
    ).fetchall()
    assert (by_rows, by_acts, actors) == (1_572, 399, 1_602)
    covered = dict(project.coverage().by_entry())
    assert sum(day.event_rows for day in covered["begin_checkout"]) == 9_763
    assert sum(day.occurrences for day in covered["begin_checkout"]) == 3_329


def test_attribution_conserves_conversions(synced: tuple[Project, SyncResult], reference: dict[str, Any]) -> None:
    project, _ = synced
    result = project.attribution()
    purchase = reference["purchase"]
    assert result.conversions == purchase["distinct_valid_tid"] + purchase["null_tid"] + purchase["notset_tid"]
    for untouched in result.untouched:
        for model in project.config.attribution.models:
            credit = sum(r.credit for r in result.results if (r.model, r.window) == (model, untouched.window))
            assert credit == pytest.approx(result.conversions - untouched.conversions, abs=1e-6)


def test_coverage_raises_no_false_alarm(synced: tuple[Project, SyncResult]) -> None:
    project, _ = synced
    result = project.coverage()
    assert result.outages == ()
    assert len({day.event_date for day in result.days}) == 32


def test_second_sync_stages_nothing_and_one_touched_shard_stages_its_day_alone(
    synced: tuple[Project, SyncResult], sample: Path, tmp_path: Path
) -> None:
    project, _ = synced
    assert project.sync().shards["staged"] == 0
    # The sample itself is read-only: the same days as links, one of them a copy with another time.
    (tmp_path / "exports").mkdir()
    for shard in (sample / "ga4_sample").glob("events_2020122*.parquet"):
        (tmp_path / "exports" / shard.name).symlink_to(shard)
    with Project(load_config(write_config(tmp_path), {})) as small:
        first = small.sync()
        before = table(small, "SELECT session_key, md5(mc_sessions::VARCHAR) FROM mc_sessions")
        touched = tmp_path / "exports" / "events_20201224.parquet"
        content = touched.read_bytes()
        touched.unlink()
        touched.write_bytes(content)
        second = small.sync()
        assert second.shards == {"seen": 10, "staged": 1, "skipped": 9}
        assert second.rows == first.rows
        assert table(small, "SELECT session_key, md5(mc_sessions::VARCHAR) FROM mc_sessions") == before
