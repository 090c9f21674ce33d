"""Every kind of funnel counts what trying every path through small logs counts, on DuckDB and by Google's own SQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funnel_logs import (
    ITEMS,
    Log,
    Rules,
    counted,
    counted_unordered,
    events_of,
    random_log,
    random_rules,
    rows_of,
    sessions_of,
)
from judges import JUDGES, assert_same_rows
from judges.cases import TemplateCase, discover
from microconv.analyses.funnels.counts import Funnel
from microconv.engines.duckdb import DuckDBEngine
from microconv.engines.tables import Column
from microconv.queries import templates
from microconv.staging.mc_tables import EVENTS, MICRO_CONVERSIONS, SESSIONS
from microconv.taxonomy import Taxonomy
from staged_rows import IN_MEMORY, Row, entry

# One GA4 event may be any of them, so that every step of a funnel in any order may share its events.
TAXONOMY = Taxonomy("letters", "1.0", tuple(entry(letter, events=("any",)) for letter in "abcx"))
ORDERS = ("ordered", "strict", "immediate", "unordered")
COLUMNS = {
    table.name: {column.name: column.type for column in table.columns}
    for table in (MICRO_CONVERSIONS, EVENTS, SESSIONS)
}
COLUMNS["mc_micro_conversions"][ITEMS] = "STRING"
Tables = dict[str, list[Row]]
Figures = dict[int, tuple[int, int, float | None]]


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDBEngine]:
    with DuckDBEngine(IN_MEMORY) as opened:
        opened.ensure(MICRO_CONVERSIONS, (Column(ITEMS, "STRING", ""),))
        opened.ensure(EVENTS)
        opened.ensure(SESSIONS)
        yield opened


def query(rules: Rules) -> templates.Query:
    return rules.query(Funnel, TAXONOMY)


def tables_of(logs: list[Log]) -> Tables:
    return {"mc_micro_conversions": rows_of(logs), "mc_events": events_of(logs), "mc_sessions": sessions_of(logs)}


def on_duckdb(engine: DuckDBEngine, rules: Rules, tables: Tables, *, as_googlesql: bool) -> list[Row]:
    connection = engine._connection
    for name, rows in tables.items():
        connection.execute(f"DELETE FROM {name}")
        if rows:
            connection.register("given", pa.Table.from_pylist(rows))
            connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM given")
    asked = query(rules)
    return engine.query(replace(asked, duckdb_form=None) if as_googlesql else asked).to_pylist()


def by_the_reference(rules: Rules, tables: Tables) -> list[Row]:
    asked = query(rules)
    params = {name: (_json(value), kind) for name, (kind, value) in asked.params.items()}
    given = {
        name: (COLUMNS[name], [{column: _json(value) for column, value in row.items()} for row in tables[name]])
        for name in asked.reads
    }
    return JUDGES["reference"](asked.sql, params, given)


def _json(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def check(found: list[Row], rules: Rules, logs: list[Log]) -> None:
    expected: Figures = (counted_unordered if rules.config.order == "unordered" else counted)(rules, logs)
    assert {row["step_index"]: (row["units"], row["continued"]) for row in found} == {
        step: (units, continued) for step, (units, continued, _) in expected.items()
    }
    for row in found:
        assert row["seconds_median"] == pytest.approx(expected[row["step_index"]][2], abs=1e-12)


@pytest.mark.parametrize("order", ORDERS)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), as_googlesql=st.booleans())
def test_duckdb_counts_as_trying_all_paths_does(
    engine: DuckDBEngine, order: str, seed: int, as_googlesql: bool
) -> None:
    random = Random(seed)
    rules, logs = random_rules(random, order), [random_log(random) for _ in range(12)]
    check(on_duckdb(engine, rules, tables_of(logs), as_googlesql=as_googlesql), rules, logs)


CASES = [case for case in discover() if case.template == "analyses/funnels/counts"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_form_of_duckdb_gives_the_rows_of_every_case(case: TemplateCase) -> None:
    assert case.query.duckdb_form is not None
    rows = JUDGES["duckdb"](case.query.duckdb_form, case.params, case.tables())
    columns = ["step_index", "units", "continued", "seconds_median"]
    assert_same_rows(rows, case.expected(columns), ordered=True, label=case.id)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("order", ORDERS)
def test_the_reference_counts_as_trying_all_paths_does(order: str, seed: int) -> None:
    random = Random(seed)
    rules, logs = random_rules(random, order), [random_log(random) for _ in range(40)]
    check(by_the_reference(rules, tables_of(logs)), rules, logs)


@pytest.mark.parametrize("order", ORDERS)
def test_the_random_logs_reach_every_step(order: str) -> None:
    """A test that compares nothing with nothing would pass: many of its funnels are gone through."""
    deepest = []
    for seed in range(60):
        random = Random(seed)
        rules, logs = random_rules(random, order), [random_log(random) for _ in range(12)]
        figures = (counted_unordered if order == "unordered" else counted)(rules, logs)
        deepest.append(max(figures, default=0) == len(rules.config.steps))
    assert sum(deepest) > len(deepest) / 4
