"""Views in place of tables: staged by the engine BigQuery, named in pull mode, which cannot read them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.cloud import bigquery

import ga4
from commands import FIRST_DAY
from microconv.config.load import load_config
from microconv.errors import SourceError
from microconv.exports.pull import PulledSource
from microconv.project import Project
from projects import write_bigquery_config


@pytest.fixture
def viewed(export: Any) -> Any:
    """An export whose one day is a view, over a table that GA4 did not name."""
    export.put("raw", ga4.simple_day(FIRST_DAY))
    view = bigquery.Table(export.place("events_20240301"))
    view.view_query = f"SELECT * FROM `{export.place('raw')}`"
    export.client.create_table(view)
    return export


def test_engine_bigquery_stages_a_view_and_again_once_a_date_only(viewed: Any, emulator: Any, tmp_path: Path):
    path = write_bigquery_config(tmp_path, emulator, dataset=emulator.dataset(), exports=viewed.dataset)
    with Project(load_config(path, {})) as project:
        first = project.sync()
        again = project.sync()

    assert (first.rows["mc_events"], first.shards["staged"]) == (12, 1)
    assert again.shards["staged"] == 0


def test_pull_mode_reads_tables_and_names_views(viewed: Any, tmp_path: Path):
    source = PulledSource(viewed.source(), tmp_path)

    with pytest.raises(SourceError, match=r"holds views of the export and no tables of it .* cannot be pulled"):
        source.shards()
    viewed.put("events_20240302", ga4.simple_day(FIRST_DAY))
    assert [shard.name for shard in source.shards()] == ["events_20240302"]
    assert [each.said for each in source.passed_over()] == [
        f"{viewed.place('events_20240301')} (it is a view or external, which cannot be pulled)"
    ]


def test_view_in_legacy_sql_is_refused_by_name(viewed: Any):
    source = viewed.source()
    (shard,) = source.shards()
    assert shard.table is not None
    legacy = replace(shard, table=replace(shard.table, flaw="is a view in legacy SQL, which other queries cannot read"))

    with pytest.raises(SourceError, match="events_20240301 is a view in legacy SQL"):
        source.open(legacy)


def test_table_that_holds_what_ga4_does_not_write_is_named(export: Any, emulator: Any, tmp_path: Path):
    export.put("events_20240301", ga4.simple_day(FIRST_DAY))
    export.put("events_20240302", [{**ga4.event("2024-03-02 10:00:00", "page_view"), "event_date": "2024-03-02"}])
    path = write_bigquery_config(tmp_path, emulator, dataset=emulator.dataset(), exports=export.dataset)

    with Project(load_config(path, {})) as project, pytest.raises(SourceError) as raised:
        project.sync()

    assert f"{export.place('events_20240302')} cannot be read: an event_date is not eight digits" in str(raised.value)
    assert "1 other changed day was staged" in str(raised.value)
