"""Saved results: every row with its assumptions, on both engines, beside what was saved before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import pytest

from emulator import Emulator
from microconv import wording
from microconv.analyses.funnels.breakdown import FunnelBreakdown
from microconv.analyses.saving import save
from microconv.clients.bigquery_connection import Connection, Endpoints
from microconv.engines.base import Engine
from microconv.engines.bigquery import BigQueryEngine
from microconv.engines.duckdb import DuckDBEngine
from microconv.errors import UsageError
from microconv.queries.templates import Query
from microconv.result import Result, column

ODD = "a \"b\" 'c' \\ \n\t$.x {} \U0001f600 é"


@dataclass(frozen=True)
class Row:
    step: str = column("step")
    day: date | None = column("day")
    count: int = column("count", wording.count)
    share: float | None = column("share", wording.share)
    complete: bool = column("complete")
    model: Literal["first", "last"] = column("model", default="first")


@dataclass(frozen=True)
class Found(Result):
    row_type = Row
    found: tuple[Row, ...]
    sentence: str = "Two rows."
    assumptions: tuple[str, ...] = ("All is well.", ODD)

    @property
    def rows(self) -> tuple[Row, ...]:
        return self.found


FOUND = Found((Row(ODD, date(2024, 2, 29), 2**62, 1 / 3, complete=True), Row("", None, 0, None, complete=False)))

QUESTION = FunnelBreakdown.model_validate({"name": "f", "steps": ["view_item", "purchase"], "window": "2h", "by": ODD})


@contextmanager
def opened(kind: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Engine]:
    if kind == "duckdb":
        with DuckDBEngine(folder / "m.duckdb") as engine:
            yield engine
        return
    emulator: Emulator = request.getfixturevalue("emulator")
    endpoints = Endpoints(emulator.rest_url, f"http://{emulator.grpc_address}", is_anonymous=True)
    connection = Connection(emulator.project, endpoints=endpoints)
    with BigQueryEngine(connection, dataset=emulator.dataset(), exports=()) as engine:
        yield engine


def saved(engine: Engine) -> list[dict[str, object]]:
    rows = engine.query(Query("saved", "SELECT t.* FROM `mc_result_test` AS t", {})).to_pylist()
    return sorted(rows, key=lambda row: (row["saved_at"], row["row_number"]))


@pytest.mark.parametrize("kind", ["duckdb", "bigquery"])
def test_rows_of_two_results_are_kept_apart_with_question_and_assumptions(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
):
    with opened(kind, tmp_path, request) as engine:
        ids = [save(engine, "test", QUESTION, FOUND) for _ in range(2)]
        rows = saved(engine)

    assert [row["result_id"] for row in rows] == [ids[0], ids[0], ids[1], ids[1]]
    assert len(set(ids)) == 2
    assert [row["row_number"] for row in rows] == [1, 2, 1, 2]
    first, second = rows[:2]
    assert (first["step"], first["day"], first["count"], first["share"], first["complete"], first["model"]) == (
        *(ODD, date(2024, 2, 29), 2**62, 1 / 3, True, "first"),
    )
    assert (second["step"], second["day"], second["share"], second["complete"]) == ("", None, None, False)
    for row in rows:
        assert (json.loads(row["question"])["by"], json.loads(row["question"])["window"]) == (ODD, "2h")
        assert FunnelBreakdown.model_validate_json(row["question"]) == QUESTION
        assert json.loads(row["assumptions"]) == ["All is well.", ODD]


def test_result_without_rows_leaves_no_table(tmp_path: Path):
    with DuckDBEngine(tmp_path / "m.duckdb") as engine:
        with pytest.raises(UsageError, match="no rows"):
            save(engine, "test", QUESTION, Found(()))
        assert engine.version("mc_result_test") is None
