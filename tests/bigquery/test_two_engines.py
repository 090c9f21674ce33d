"""One text on two engines: what is staged from the same shards, and every answer from it, is the same row by row.

Every question of the catalogue is asked here, a new one without a word more.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import ga4
from bigquery_export import Export
from emulator import Emulator
from every_question import ASKED, EVERY_QUESTION
from microconv.audit.audit_findings import AuditResult
from microconv.config.load import load_config
from microconv.project import Project
from microconv.queries.templates import Query
from microconv.question import Context, Question, ask
from microconv.staging import mc_tables
from projects import write_bigquery_config, write_config

STAGED = ("mc_events", "mc_sessions", "mc_micro_conversions")
CARRIED = '[taxonomy]\ncarry = ["page_title", "percent_scrolled"]\n'


class Asker:
    """A project's engine that runs each query once: several questions share some, and the emulator takes seconds."""

    def __init__(self, project: Project) -> None:
        self._engine = project.engine
        self._found: list[tuple[Query, pa.Table]] = []
        self.context = Context(project.config, project.taxonomy, lambda: self)

    def query(self, query: Query) -> pa.Table:
        found = next((table for known, table in self._found if known == query), None)
        if found is None:
            found = self._engine.query(query)
            self._found.append((query, found))
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


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

    def assert_same_rows(self) -> None:
        """Hold all staged tables, what they hold in all, and the members of a segment against each other."""
        for name in STAGED:
            ours, theirs = self.rows(name)
            assert ours.schema.names == theirs.schema.names
            assert [str(kind) for kind in ours.schema.types] == [str(kind) for kind in theirs.schema.types]
            assert ours.num_rows > 0
            assert ours.equals(theirs), name
        assert self.bigquery.summary() == self.duckdb.summary()
        assert self.bigquery.members("cart_abandoners") == self.duckdb.members("cart_abandoners")

    def assert_same_answer(self, question: Question) -> None:
        """Hold the answers to a question against each other."""
        ours, theirs = (ask(question, asker.context) for asker in self.askers)
        assert theirs == ours
        assert theirs.document() == ours.document()

    @cached_property
    def askers(self) -> tuple[Asker, Asker]:
        return Asker(self.duckdb), Asker(self.bigquery)


@contextmanager
def both(folder: Path, emulator: Emulator, export: Export, questions: str = CARRIED + ASKED) -> Iterator[Both]:
    working = f"w_{uuid.uuid4().hex}"
    config = write_bigquery_config(folder, emulator, dataset=working, exports=export.dataset, extra=questions)
    with (
        Project(load_config(write_config(folder, extra=questions), {})) as duckdb,
        Project(load_config(config, {})) as bigquery,
    ):
        yield Both(duckdb, bigquery, export, folder)


# The rest is asked of few rows: of real days the emulator takes long.
ON_REAL_DAYS = ("funnel-1", "funnel-2", "path_sequences-1", "attribution-1", "channels-1", "coverage-1", "segment-1")


def test_real_days_are_staged_and_answered_alike(sample: Path, tmp_path: Path, emulator: Emulator, export: Export):
    days = ("20201219", "20201220")
    (tmp_path / "exports").mkdir()
    with both(tmp_path, emulator, export) as project:
        for day in days:
            file = tmp_path / "exports" / f"events_{day}.parquet"
            shutil.copyfile(sample / "ga4_sample" / file.name, file)
            project.load(file)
            # Day by day, so that sessions over midnight meet days that are staged.
            assert project.duckdb.sync().shards["staged"] == 1
            assert project.bigquery.sync().shards["staged"] == 1
        project.assert_same_rows()
        for key in ON_REAL_DAYS:
            project.assert_same_answer(EVERY_QUESTION[key])

        sessions, _ = project.rows("mc_sessions")
        over_midnight = pc.not_equal(sessions["session_date"], sessions["last_event_date"])
        assert pc.sum(over_midnight).as_py() > 5


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


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory, emulator: Emulator) -> Iterator[Both]:
    """Both projects after all arrivals."""
    folder = tmp_path_factory.mktemp("history")
    # Only here are there items: the emulator takes minutes to read those of a real day.
    questions = CARRIED.replace("carry = [", 'carry = ["item_id", "item_name", ') + ASKED
    with emulator.client() as client:
        export = Export(emulator, client, folder)
        with both(folder, emulator, export, questions) as project:
            for landed in arrivals():
                for day, kind, events in landed:
                    project.put(day, kind, events)
                ours, theirs = project.duckdb.sync(), project.bigquery.sync()
                assert (ours.shards, ours.rows) == (theirs.shards, theirs.rows)
                assert ours.duplicates_removed == theirs.duplicates_removed
            yield project
        export.close()


def test_history_of_arrivals_is_staged_alike(history: Both):
    history.assert_same_rows()
    occurrences, _ = history.rows("mc_micro_conversions")
    assert "B\nb\n\u00e4" in occurrences["items_item_id"].to_pylist()


@pytest.mark.parametrize("key", EVERY_QUESTION)
def test_history_of_arrivals_is_answered_alike(key: str, history: Both):
    history.assert_same_answer(EVERY_QUESTION[key])


AUDITED_AT = datetime(2024, 4, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def audits(history: Both) -> list[tuple[AuditResult, AuditResult]]:
    """Two audits on each engine, a day apart."""
    moments = [AUDITED_AT + timedelta(days=day) for day in (0, 1)]
    return [(history.duckdb.audit(now=each), history.bigquery.audit(now=each)) for each in moments]


def test_an_audit_finds_and_remembers_the_same(history: Both, audits: list[tuple[AuditResult, AuditResult]]):
    both_projects = (history.duckdb, history.bigquery)
    # Each engine has a query of its own for the same check; how long they take is nobody's finding.
    first, second = ([[replace(found, query="") for found in each.findings] for each in audit] for audit in audits)

    assert first[0] == first[1] != []
    assert second[0] == second[1]
    assert [each.id for each in second[0]] == [each.id for each in first[0]]
    assert {each.status for each in first[0]} == {"new"}
    assert {each.status for each in second[0]} == {"still"}
    for project in both_projects:
        until = date.today() + timedelta(days=1)
        kept = project.accept_finding(first[0][0].id[:6], reason="known", until=until)
        assert [(each.id, each.reason, each.until) for each in project.accepted_findings()] == [
            (kept.id, "known", until)
        ]
        project.take_back_finding(kept.id)
        assert project.accepted_findings() == ()


def test_every_check_can_be_made_on_both(audits: list[tuple[AuditResult, AuditResult]]):
    for audit in audits:
        for each in audit:
            assert not [made for made in each.checks if made.reason.startswith("It could not be asked")]
