"""The same model and the same scores on both engines: what is in SQL means the same on each."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import emulator as emulators
from microconv.analyses.propensity.propensity_models import PropensityModels
from microconv.clients import retries
from microconv.clients.bigquery_connection import Connection, Endpoints
from microconv.engines.base import AddRows, Engine
from microconv.engines.bigquery import BigQueryEngine
from microconv.engines.tables import Table
from microconv.project import Project
from microconv.queries.templates import Query
from microconv.segments.propensity_tables import PROPENSITY_SCORES as SCORES
from microconv.staging import mc_tables
from propensity.returning_visitors import KNOWN, shop

TABLES = (mc_tables.SESSIONS, mc_tables.MICRO_CONVERSIONS, mc_tables.EVENTS, mc_tables.SHARDS)
_BATCH = 2_000


def rows_of(engine: Engine, table: Table) -> list[dict[str, object]]:
    columns = ", ".join(f"t.{name}" for name in table.column_names)
    return engine.query(Query("tests/rows", f"SELECT {columns} FROM `{table.name}` AS t", {})).to_pylist()


def copied(project: Project, engine: Engine) -> None:
    for table in TABLES:
        engine.ensure(table)
        rows = rows_of(project.engine, table)
        for start in range(0, len(rows), _BATCH):
            engine.apply([AddRows(table, tuple(rows[start : start + _BATCH]))])


class Running:
    """Holds the lock of an engine, as a project does."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __call__(self) -> Running:
        return self

    def __enter__(self) -> tuple[Engine, str]:
        self.engine.begin("run", "tests")
        return self.engine, "run"

    def __exit__(self, *_: object) -> None:
        self.engine.end()


def test_both_engines_train_the_same_model_and_give_the_same_scores(tmp_path: Path, emulator: emulators.Emulator):
    endpoints = Endpoints(emulator.rest_url, f"http://{emulator.grpc_address}", is_anonymous=True)
    connection = Connection(emulator.project, endpoints=endpoints, retrying=retries.policy(3, slowest_wait=0.02))
    with (
        shop(tmp_path / "shop", 1, actors=2_000, rate=0.3, signal=2.0) as project,
        BigQueryEngine(connection, dataset=emulator.dataset()) as there,
    ):
        copied(project, there)
        latest = project.default_as_of()
        now = datetime(2024, 6, 1, tzinfo=UTC)
        answers = []
        for engine in (project.engine, there):
            models = PropensityModels(Running(engine), KNOWN, lambda: latest, lambda: now)
            answers.append((models.train("buy"), models.score("buy"), models.score("buy")))
        (ours, our_scores, again), (theirs, their_scores, _) = answers
        kept = [
            sorted((row["actor_key"], row["decile"], round(row["probability"], 9)) for row in rows_of(engine, SCORES))
            for engine in (project.engine, there)
        ]

    assert ours.status == "accepted"
    assert theirs.document() == ours.document()
    assert [(row.decile, row.actors, row.up, row.down) for row in their_scores.rows] == [
        (row.decile, row.actors, row.up, row.down) for row in our_scores.rows
    ]
    assert again.rows == our_scores.rows
    assert kept[0] == kept[1]
    assert len(kept[0]) == our_scores.actors > 100
