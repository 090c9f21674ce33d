"""A query of one's own in BigQuery: one SELECT, in the working dataset, within the limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from microconv.engines.bigquery import BigQueryEngine
from microconv.errors import BudgetError, UsageError
from microconv.staging import mc_tables

if TYPE_CHECKING:
    from faulty_proxy import FaultyProxy

SHARDS = mc_tables.TABLES["mc_shards"]


def jobs_that_run(proxy: FaultyProxy) -> list[str]:
    called = (call.json()["configuration"] for call in proxy.calls_to("POST", "/jobs"))
    return [configuration["query"]["query"] for configuration in called if not configuration.get("dryRun")]


def test_rows_of_a_table_of_the_working_dataset_are_returned(engine: BigQueryEngine):
    engine.ensure(SHARDS)
    looked = engine.look("SELECT COUNT(*) AS shards, 'a' AS letter FROM mc_shards", 10)

    assert (looked.columns, looked.rows, looked.is_whole) == (("shards", "letter"), ((0, "a"),), True)
    assert looked.numbers == (True, False)


def test_more_rows_than_asked_for_are_known_and_not_fetched(engine: BigQueryEngine):
    looked = engine.look("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 50)) AS n ORDER BY n", 3)

    assert (looked.rows, looked.is_whole) == (((1,), (2,), (3,)), False)


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE mc_shards",
        "DELETE FROM mc_shards WHERE TRUE",
        "CREATE TABLE t AS SELECT 1 AS a",
        "INSERT INTO mc_shards (shard) VALUES ('x')",
        "SELECT 1; DROP TABLE mc_shards",
        "BEGIN SELECT 1; END",
    ],
)
def test_statement_that_is_not_one_select_is_refused_before_it_runs(
    engine: BigQueryEngine, proxy: FaultyProxy, sql: str
):
    engine.ensure(SHARDS)
    before = jobs_that_run(proxy)
    with pytest.raises(UsageError) as raised:
        engine.look(sql, 10)

    assert raised.value.hint == "What you ask can only read: give one SELECT."
    assert jobs_that_run(proxy) == before
    assert engine.version("mc_shards") == SHARDS.version


def test_query_with_a_mistake_is_a_usage_error(engine: BigQueryEngine):
    engine.ensure(SHARDS)
    with pytest.raises(UsageError) as raised:
        engine.look("SELEC 1", 10)
    assert "bug" not in raised.value.hint

    with pytest.raises(UsageError):
        engine.look("SELECT * FROM mc_shard", 10)


def test_query_beyond_the_limit_is_not_run(open_engine, monkeypatch: pytest.MonkeyPatch):
    engine = open_engine(maximum_bytes_billed=1_000_000)
    monkeypatch.setattr(type(engine._jobs), "estimate", lambda *_: 2_000_000)  # the emulator reckons with 0 bytes
    with pytest.raises(BudgetError) as raised:
        engine.look("SELECT 1 AS one", 10)

    assert "engine.maximum_bytes_billed" in raised.value.message
    assert "Select fewer columns or days" in raised.value.hint
