"""One text on two engines: what is staged from the same shards, and every answer from it, is the same row by row."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import ga4
from bigquery_export import Export
from emulator import Emulator
from microconv import tables
from microconv.config import load_config
from microconv.project import Project
from microconv.templates import Query
from projects import write_bigquery_config, write_config

STAGED = ("mc_events", "mc_sessions", "mc_micro_conversions")
QUESTIONS = """
[[funnels]]
name = "journey"
steps = ["view_item", "add_to_cart", "begin_checkout", "purchase"]
window = "2d"
[[funnels]]
name = "visit"
steps = ["view_item", "add_to_cart"]
count = "sessions"
[[segments]]
name = "carts"
rule = { did = "add_to_cart", within = "14d", not_did = "purchase" }
"""


@dataclass
class Both:
    """One project on each engine, over the same shards; DuckDB reads them as files, BigQuery as tables."""

    duckdb: Project
    bigquery: Project
    export: Export
    folder: Path

    def put(self, day: date, kind: str, events: list[dict[str, Any]]) -> None:
        """Write a shard for both."""
        name = ga4.shard_name(day, kind)
        self.load(ga4.write_parquet(self.folder / "exports" / f"{name}.parquet", events))

    def load(self, file: Path) -> None:
        """Give a file of DuckDB's export to BigQuery too."""
        self.export.load(file.stem, file)

    def rows(self, name: str) -> list[pa.Table]:
        """A table on both engines, in one order."""
        columns = tables.TABLES[name].column_names
        query = Query(name, f"SELECT {', '.join(f't.{column}' for column in columns)} FROM `{name}` AS t", {})
        order = [(column, "ascending") for column in columns]
        return [project.engine.query(query).sort_by(order) for project in (self.duckdb, self.bigquery)]

    def assert_same(self) -> None:
        """Hold all staged tables and all answers against each other."""
        for name in STAGED:
            ours, theirs = self.rows(name)
            assert ours.schema.names == theirs.schema.names
            assert [str(kind) for kind in ours.schema.types] == [str(kind) for kind in theirs.schema.types]
            assert ours.num_rows > 0
            assert ours.equals(theirs), name
        for answer in (
            lambda project: project.funnel("journey").document(),
            lambda project: project.funnel("visit").document(),
            lambda project: project.attribution().document(),
            lambda project: project.channels().document(),
            lambda project: project.coverage().document(),
            lambda project: project.members("carts"),
        ):
            assert answer(self.bigquery) == answer(self.duckdb)


@contextmanager
def both(folder: Path, emulator: Emulator, export: Export) -> Iterator[Both]:
    working = f"w_{uuid.uuid4().hex}"
    config = write_bigquery_config(folder, emulator, dataset=working, exports=export.dataset, extra=QUESTIONS)
    with (
        Project(load_config(write_config(folder, extra=QUESTIONS), {})) as duckdb,
        Project(load_config(config, {})) as bigquery,
    ):
        yield Both(duckdb, bigquery, export, folder)


def test_real_days_are_staged_and_answered_alike(sample: Path, tmp_path: Path, emulator: Emulator, export: Export):
    days = ("20201219", "20201220", "20201221")
    (tmp_path / "exports").mkdir()
    with both(tmp_path, emulator, export) as project:
        for day in days:
            file = tmp_path / "exports" / f"events_{day}.parquet"
            shutil.copyfile(sample / "ga4_sample" / file.name, file)
            project.load(file)
            # Day by day, so that sessions over midnight meet days that are staged.
            assert project.duckdb.sync().shards["staged"] == 1
            assert project.bigquery.sync().shards["staged"] == 1
        project.assert_same()

        sessions, _ = project.rows("mc_sessions")
        over_midnight = pc.not_equal(sessions["session_date"], sessions["last_event_date"])
        assert pc.sum(over_midnight).as_py() > 10


DAYS = [date(2024, 3, 1) + timedelta(days=offset) for offset in range(3)]
ODD = "https://shop.example/?a='\"`--;\n\u00fc\\"


def arrivals() -> Iterator[list[tuple[date, str, list[dict[str, Any]]]]]:
    """Shards as they land before each sync: duplicates, intraday before daily, a re-export, users, missing consent."""
    yield [(DAYS[0], "daily", ga4.simple_day(DAYS[0])), (DAYS[1], "intraday", ga4.simple_day(DAYS[1], clients=1))]
    bought = {"value": 12.5, "currency": "EUR", "page_location": ODD}
    signed_in = ga4.event(f"{DAYS[1]} 13:00:00", "purchase", user_id="u1", params=bought)
    yield [(DAYS[2], "daily", ga4.simple_day(DAYS[2]) * 2), (DAYS[1], "daily", [*ga4.simple_day(DAYS[1]), signed_in])]
    nobody = ga4.event(f"{DAYS[0]} 23:59:59", "add_to_cart", client=None, session=None)
    yield [(DAYS[0], "daily", [*ga4.simple_day(DAYS[0], clients=2), nobody])]


def test_history_of_arrivals_is_staged_and_answered_alike(tmp_path: Path, emulator: Emulator, export: Export):
    with both(tmp_path, emulator, export) as project:
        for landed in arrivals():
            for day, kind, events in landed:
                project.put(day, kind, events)
            ours, theirs = project.duckdb.sync(), project.bigquery.sync()
            assert (ours.shards, ours.rows) == (theirs.shards, theirs.rows)
            assert ours.duplicates_removed == theirs.duplicates_removed
        project.assert_same()
