"""Audiences in a table of the engine: rows of now, rows of changes, on both engines."""

from __future__ import annotations

from typing import Any

import pytest

from microconv.activation.destinations.engine_table import EngineTableDestination, EngineTableSettings
from microconv.activation.push.audience_list import Identifier
from microconv.engines.base import Engine
from microconv.engines.duckdb import IN_MEMORY, DuckDBEngine
from microconv.errors import EngineError, UsageError
from microconv.queries.templates import Query

ANNA, BEN = Identifier("email", "aa"), Identifier("phone", "bb")


def table_in(engine: Engine, **keys: Any) -> EngineTableDestination:
    destination = EngineTableDestination(EngineTableSettings(name="crm-lists", **keys))
    destination.open_engine = lambda: engine
    return destination


def rows(engine: Engine, table: str) -> list[tuple[Any, ...]]:
    columns = "segment, kind, identifier, push_id"
    columns += ", operation" if table.endswith("_changes") else ""
    found = engine.query(Query("rows", f"SELECT {columns} FROM {table}", {})).to_pylist()
    return sorted(tuple(row.values()) for row in found)


def test_rows_are_what_is_on_the_list_and_what_changed(engine: Engine) -> None:
    destination = table_in(engine)
    assert engine.find_table("mc_audience_crm_lists") is None
    destination.audience_list("buyers", "p1").send("add", [ANNA, BEN])
    destination.audience_list("others", "p1").send("add", [ANNA])
    again = destination.audience_list("buyers", "p2")
    for _ in range(2):
        assert again.send("remove", [ANNA]).state == "success"
        again.send("add", [BEN])
    assert rows(engine, "mc_audience_crm_lists") == [("buyers", "phone", "bb", "p2"), ("others", "email", "aa", "p1")]
    assert rows(engine, "mc_audience_crm_lists_changes") == [
        ("buyers", "email", "aa", "p1", "add"),
        ("buyers", "email", "aa", "p2", "remove"),
        ("buyers", "phone", "bb", "p1", "add"),
        ("buyers", "phone", "bb", "p2", "add"),
        ("others", "email", "aa", "p1", "add"),
    ]


def test_named_table_is_used(engine: Engine) -> None:
    table_in(engine, table="crm_audience").audience_list("buyers", "p1").send("add", [ANNA])
    assert rows(engine, "crm_audience") == [("buyers", "email", "aa", "p1")]


def test_table_of_somebody_else_is_never_touched() -> None:
    with DuckDBEngine(IN_MEMORY, threads=1) as engine:
        engine._connection.execute("CREATE TABLE people (name VARCHAR)")
        with pytest.raises(UsageError, match="cannot write to people: there is such a table, with other"):
            table_in(engine, table="people").audience_list("buyers", "p1")


def test_failure_of_the_engine_is_told_and_nothing_is_written() -> None:
    with DuckDBEngine(IN_MEMORY, threads=1) as engine:
        audience = table_in(engine).audience_list("buyers", "p1")
        audience.send("add", [ANNA])
        engine._connection.execute("DROP TABLE mc_audience_crm_lists_changes")
        engine._connection.execute("CREATE VIEW mc_audience_crm_lists_changes AS SELECT 1 AS change_key")
        with pytest.raises(EngineError):
            audience.send("add", [BEN])
        assert rows(engine, "mc_audience_crm_lists") == [("buyers", "email", "aa", "p1")]


@pytest.mark.parametrize("name", ["mc_sent", "MC_ledger", "a.b", "a b", "", "1a", 'a"b'])
def test_names_that_a_table_cannot_have_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"is not the name of a table|begins as our own tables do"):
        EngineTableSettings(name="crm", table=name)


def test_two_destinations_cannot_write_one_table() -> None:
    first = EngineTableSettings(name="crm")
    assert EngineTableSettings(name="other", table="mc_audience_crm").clash(first)
    assert EngineTableSettings(name="other", table="MC_audience_crm_changes").clash(first)
    assert EngineTableSettings(name="other").clash(first) is None


def test_destination_without_an_engine_says_how_to_get_one() -> None:
    with pytest.raises(UsageError, match="nobody gave it one"):
        EngineTableDestination(EngineTableSettings(name="crm")).audience_list("buyers", "p1")
