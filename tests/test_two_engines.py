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
from microconv.analyses.funnels import Selection
from microconv.analyses.funnels.breakdown import Breakdown
from microconv.analyses.paths import PathsQuestion
from microconv.config.load import load_config
from microconv.config.sections import AttributionConfig
from microconv.project import Project
from microconv.queries.templates import Query
from microconv.staging import mc_tables
from projects import write_bigquery_config, write_config

STAGED = ("mc_events", "mc_sessions", "mc_micro_conversions")
QUESTIONS = """
[taxonomy]
carry = ["page_title", "percent_scrolled"]
[[funnels]]
name = "journey"
steps = ["view_item", "add_to_cart", "begin_checkout", "purchase"]
window = "2d"
[[funnels]]
name = "visit"
steps = ["view_item", "add_to_cart"]
count = "sessions"
[[funnels]]
name = "product"
steps = ["view_item", { did = ["add_to_cart", "begin_checkout"], optional = true }, "purchase"]
entry = "open"
step_window = "1d"
hold = "page"
[[funnels]]
name = "straight"
steps = ["view_item", { did = "add_to_cart", where = [{ property = "page", exists = true }] }, "begin_checkout"]
order = "strict"
count = "attempts"
exclude = ["purchase"]
[[funnels]]
name = "anyhow"
steps = ["view_item", "add_to_cart", "purchase"]
order = "unordered"
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
        extra = self.duckdb.rules.extra_columns(mc_tables.TABLES[name])
        columns = (*mc_tables.TABLES[name].column_names, *(column.name for column in extra))
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
            lambda project: project.paths(PathsQuestion(to="purchase")).document(),
            lambda project: rounded(project.attribution().document()),
            lambda project: project.channels().document(),
            lambda project: project.coverage().document(),
            lambda project: project.members("carts"),
        ):
            assert answer(self.bigquery) == answer(self.duckdb)

    def assert_same_in_depth(self) -> None:
        """Hold answers to rarer questions against each other, on few rows: the emulator takes seconds for each."""
        for answer in (
            *(lambda project, name=each.name: project.funnel(name).document() for each in self.duckdb.config.funnels),
            lambda project: project.funnels.drop_off("journey").document(),
            lambda project: project.funnels.times("journey").document(),
            lambda project: project.funnels.trend("visit", grain="week").document(),
            lambda project: project.funnels.breakdown("journey", Breakdown.parse("page@first"), top=3).document(),
            lambda project: project.funnels.breakdown("visit", Breakdown.parse("actor.channel_group")).document(),
            lambda project: project.funnel("visit", carts(project)).document(),
            lambda project: project.paths(PathsQuestion(nodes="page", by="actor")).document(),
            lambda project: project.discover("add_to_cart").document(),
            lambda project: rounded(project.attribution(OF_STEPS).document()),
            lambda project: rounded(project.compare_attribution().document()),
        ):
            assert answer(self.bigquery) == answer(self.duckdb)


def carts(project: Project) -> Selection:
    return Selection(since=DAYS[1], segment=project.segment_config("carts"))


def rounded(value: Any) -> Any:
    """A document without the last digits of its floats: engines add weights in other orders."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


OF_STEPS = AttributionConfig.model_validate(
    {
        "touchpoint": "micro_conversion",
        "conversion": "add_to_cart",
        "count": "sessions",
        "since": "last_conversion",
        "windows": ["30m", "1d"],
        "path": "exposure",
        "markov_order": 2,
    }
)


@contextmanager
def both(folder: Path, emulator: Emulator, export: Export, questions: str = QUESTIONS) -> Iterator[Both]:
    working = f"w_{uuid.uuid4().hex}"
    config = write_bigquery_config(folder, emulator, dataset=working, exports=export.dataset, extra=questions)
    with (
        Project(load_config(write_config(folder, extra=questions), {})) as duckdb,
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
    items = [{"item_id": "b", "item_name": ODD}, {"item_id": "B"}, {"item_id": "\u00e4"}, {"item_id": "(not set)"}]
    signed_in = ga4.event(f"{DAYS[1]} 13:00:00", "purchase", user_id="u1", params=bought, items=items)
    yield [(DAYS[2], "daily", ga4.simple_day(DAYS[2]) * 2), (DAYS[1], "daily", [*ga4.simple_day(DAYS[1]), signed_in])]
    nobody = ga4.event(f"{DAYS[0]} 23:59:59", "add_to_cart", client=None, session=None)
    yield [(DAYS[0], "daily", [*ga4.simple_day(DAYS[0], clients=2), nobody])]


def test_history_of_arrivals_is_staged_and_answered_alike(tmp_path: Path, emulator: Emulator, export: Export):
    # Only here are there items: the emulator takes minutes to read those of a real day.
    questions = QUESTIONS.replace("carry = [", 'carry = ["item_id", "item_name", ')
    with both(tmp_path, emulator, export, questions) as project:
        for landed in arrivals():
            for day, kind, events in landed:
                project.put(day, kind, events)
            ours, theirs = project.duckdb.sync(), project.bigquery.sync()
            assert (ours.shards, ours.rows) == (theirs.shards, theirs.rows)
            assert ours.duplicates_removed == theirs.duplicates_removed
        project.assert_same()
        project.assert_same_in_depth()
        occurrences, _ = project.rows("mc_micro_conversions")
        assert "B\nb\n\u00e4" in occurrences["items_item_id"].to_pylist()
