"""Events of other systems in BigQuery: the occurrences are those that DuckDB stages of the same rows."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.cloud import bigquery

import ga4
from bigquery_export import Export
from emulator import Emulator
from external_files import DAYS, SECTIONS, TAXONOMY, row, visit, write_rows
from microconv.config.load import load_config
from microconv.project import Project
from microconv.queries.templates import Query
from microconv.staging import mc_tables
from projects import write_bigquery_config, write_config

COLUMNS = (*mc_tables.MICRO_CONVERSIONS.column_names, "text_plan")
ORDER = "ORDER BY m.event_date, m.client_key, m.event_order, m.micro_conversion"
OCCURRENCES = f"SELECT {', '.join(f'm.{name}' for name in COLUMNS)} FROM mc_micro_conversions AS m {ORDER}"


def occurrences(project: Project) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = project.engine.query(Query("occurrences", OCCURRENCES, {})).to_pylist()
    return found


def test_files_and_tables_are_staged_alike_on_both_engines(tmp_path: Path, emulator: Emulator, export: Export):
    (tmp_path / "taxonomy.toml").write_text(TAXONOMY)
    working = f"w_{uuid.uuid4().hex}"
    table = f"{export.dataset}.stages"
    tables = f'[[external_events]]\nname = "desk"\ntable = "{table}"\nproperty = "p1"\n'
    files = tables.replace(f'table = "{table}"', 'path = "desk/*.csv"')
    theirs = write_bigquery_config(
        tmp_path, emulator, dataset=working, exports=export.dataset, timezone="Europe/Berlin", extra=tables + SECTIONS
    )
    ours = write_config(tmp_path, timezone="Europe/Berlin", extra=files + SECTIONS)
    desk = [row("2024-03-01T13:00:00+00:00", "requalified", user="u1"), row("2024-03-03T23:30:00+00:00", client="2.2")]

    def land(day: Any, events: list[dict[str, Any]]) -> None:
        file = ga4.write_parquet(tmp_path / "exports" / f"{ga4.shard_name(day, 'daily')}.parquet", events)
        export.load(file.stem, file)

    def write_desk(rows: list[dict[str, str]]) -> None:
        write_rows(tmp_path / "desk/a.csv", rows)
        with emulator.client() as client:
            fields = [bigquery.SchemaField(name, "STRING") for name in rows[0]]
            settings = bigquery.LoadJobConfig(schema=fields, write_disposition="WRITE_TRUNCATE")
            client.load_table_from_json(rows, f"{emulator.project}.{table}", job_config=settings).result()

    with Project(load_config(ours, {})) as duckdb, Project(load_config(theirs, {})) as cloud:
        land(DAYS[0], [visit(DAYS[0]), visit(DAYS[0], client="2.2")])
        cells = {"value": "12.5", "currency": "EUR", "plan": "p'\"\\ ü"}
        first = [row("2024-03-01T13:00:00Z", client="1.1"), row("2024-03-02 01:00:00", "won", user="u1", **cells)]
        path = write_rows(tmp_path / "crm/a.csv", [*first, first[0], row("soon", user="u1")])
        write_desk(desk)
        for project in (duckdb, cloud):
            assert project.sync().external == {"seen": 2, "read": 2, "skipped": 0}
        assert len(occurrences(duckdb)) == 6
        assert occurrences(cloud) == occurrences(duckdb)
        assert cloud.sync().external["read"] == 0

        # A client becomes known, a file gives other rows, and the table is changed.
        land(DAYS[1], [visit(DAYS[1], user="u1")])
        write_rows(path, [first[0], row("2024-03-03", user="u2")])
        os.utime(path, (1_710_000_000, 1_710_000_000))
        write_desk(desk[:1])
        for project in (duckdb, cloud):
            assert project.sync().external["read"] == 2
        assert occurrences(cloud) == occurrences(duckdb)
        assert {each["external_source"] for each in occurrences(cloud)} == {None, "crm", "desk"}

        plan = cloud.plan_external(datetime.now(tz=UTC))
        assert not plan.changes_something
        assert cloud.estimate().bytes == 0


def test_a_table_that_is_not_there_is_said(tmp_path: Path, emulator: Emulator, export: Export):
    file = ga4.write_parquet(tmp_path / "events_20240301.parquet", [visit(DAYS[0])])
    export.load(file.stem, file)
    sections = '[[external_events]]\nname = "desk"\ntable = "nowhere.stages"\n'
    path = write_bigquery_config(
        tmp_path, emulator, dataset=f"w_{uuid.uuid4().hex}", exports=export.dataset, extra=sections
    )
    with Project(load_config(path, {})) as project:
        assert any(each.check == "external_absent" for each in project.sync().findings)
