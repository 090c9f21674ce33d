"""A small project whose occurrences come from two places: an export and the tables of other systems."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import ga4
from microconv.config.load import load_config
from microconv.project import Project
from projects import write_config

DAYS = [date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 3)]
TAXONOMY = """version = "1.0"
[[micro_conversions]]
id = "lead"
kind = "milestone"
stage = "decision"
external = ["qualified", "requalified"]
value = 5
[[micro_conversions]]
id = "deal"
kind = "macro"
stage = "post_sale"
external = "won"
value = "event"
"""
CRM = '[[external_events]]\nname = "crm"\npath = "crm/*.csv"\n'
SECTIONS = CRM + '[taxonomy]\nfile = "taxonomy.toml"\ncarry = ["plan"]\n'
COLUMNS = (
    *("user_id", "user_pseudo_id", "stream_id", "occurred_at", "name"),
    *("value", "currency", "transaction_id", "plan"),
)
OF_EXTERNAL = (
    "SELECT * FROM mc_micro_conversions WHERE external_source IS NOT NULL ORDER BY event_order, micro_conversion"
)


def row(at: str, name: str = "qualified", *, user: str = "", client: str = "", **cells: str) -> dict[str, str]:
    """One row: a user's, or that of a client of stream 1."""
    return {"occurred_at": at, "name": name, "user_id": user, "user_pseudo_id": client, "stream_id": "1"} | cells


def write_rows(path: Path, rows: Sequence[dict[str, str]], columns: Sequence[str] = COLUMNS) -> Path:
    """Write a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_day(folder: Path, day: date, events: Sequence[dict[str, Any]]) -> Path:
    """Write a shard of the export."""
    return ga4.write_parquet(folder / "exports" / f"{ga4.shard_name(day, 'daily')}.parquet", list(events))


def visit(day: date, *, client: str = "1.1", user: str | None = None, name: str = "view_item") -> dict[str, Any]:
    """One event at noon."""
    return ga4.event(f"{day} 12:00:00", name, client=client, session=day.day, user_id=user)


@contextmanager
def opened(
    folder: Path, sections: str = SECTIONS, *, taxonomy: str = TAXONOMY, timezone: str = "UTC", database: str = "one"
) -> Iterator[Project]:
    """Open the project, with the files that it needs."""
    (folder / "taxonomy.toml").write_text(taxonomy, encoding="utf-8")
    path = write_config(folder, extra=sections, timezone=timezone)
    with Project(load_config(path, {"MICROCONV_ENGINE__PATH": str(folder / f"{database}.duckdb")})) as project:
        yield project


def ask(project: Project, sql: str) -> list[dict[str, Any]]:
    """Rows of a query in the project's database."""
    found: list[dict[str, Any]] = project.engine._connection.sql(sql).to_arrow_table().to_pylist()
    return found


def external(project: Project) -> list[dict[str, Any]]:
    """The occurrences that other systems told."""
    return ask(project, OF_EXTERNAL)


def told(result: Any, check: str) -> str:
    """What a sync says under one check; nothing where it says nothing."""
    return " ".join(each.message for each in result.findings if each.check == check)
