"""Rule models and paths against plain Python, which tries every pair, for every kind of question."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

import attribution_log as log
from attribution_log import ASKED, EVENTS, MODELS, VISITS, WINDOWS_US, Asked, Event, Visit
from judges import JUDGES
from microconv.engines.duckdb import DuckDBEngine
from microconv.queries import templates
from microconv.queries.templates import Query
from staged_rows import IN_MEMORY, Row, staged

ON_DUCKDB = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# There a query takes half a second: so none is made smaller.
ON_REFERENCE = settings(
    max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
)


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDBEngine]:
    with staged(IN_MEMORY) as engine:
        yield engine


def question(template: str, asked: Asked, *, grouped: bool = False) -> Query:
    structure: dict[str, Any] = {
        "windows": len(WINDOWS_US),
        "touchpoint": asked.touchpoint,
        "count": asked.count,
        "resets": asked.resets,
        "direct": asked.direct,
    }
    params = {
        "conversion": "purchase",
        "currency": asked.currency,
        "assumed_currency": asked.currency if asked.assumes else None,
        "first_date": None,
        "last_date": None,
        "most_pairs": asked.most_pairs,
        **{f"window_us_{number}": window for number, window in enumerate(WINDOWS_US, start=1)},
    }
    if grouped:
        params["actor_groups"] = 3
    if template == "analyses/attribution/paths":
        params |= {"touchpoints": list(asked.names), "most_steps": asked.most_steps}
    else:
        listed = asked.touchpoint != "channel_group"
        params |= dict(zip(("first_weight", "middle_weight", "last_weight"), asked.weights, strict=True))
        params |= {"half_life_us": log.HALF_LIFE_US} | ({"touchpoints": list(asked.names)} if listed else {})
        structure["listed"] = listed
    return templates.query(template, params=params, structure={**structure, "grouped": grouped})


def answer(engine: DuckDBEngine | None, query: Query, visits: list[Visit], events: list[Event]) -> list[Row]:
    """The rows from DuckDB, or from the reference implementation where there is no engine."""
    rows = log.rows_of(visits, events)
    if engine is None:
        params = {name: (value, kind) for name, (kind, value) in query.params.items()}
        return JUDGES["reference"](query.sql, params, log.judged(rows))
    log.refill(engine, rows)
    return engine.query(query).to_pylist()


def check_credits(engine: DuckDBEngine | None, visits: list[Visit], events: list[Event], asked: Asked) -> None:
    rows = answer(engine, question("analyses/attribution/credits", asked), visits, events)
    found = {row.pop("touchpoint"): row for row in rows}
    expected = log.credits_of(visits, events, asked)
    columns = [f"{model}_{number}" for model in MODELS for number in range(1, len(WINDOWS_US) + 1)]
    for touchpoint in {**expected, **found}:
        of_touchpoint = found.get(touchpoint, {})
        for column in columns:
            credit, value = (
                of_touchpoint.get(f"credit_{column}", 0) / 1e10,
                of_touchpoint.get(f"value_{column}", 0) / 1e6,
            )
            wanted = expected[touchpoint]
            assert credit == pytest.approx(wanted[f"credit_{column}"], abs=1e-8), (touchpoint, column)
            assert value == pytest.approx(wanted[f"value_{column}"], abs=1e-4), (touchpoint, column)
    conversions = log.conversions_of(events, asked)
    without = log.left_out(log.touches_of(visits, events, asked), conversions, asked)
    assert sum(row["left_out_actors"] for row in rows) == len(without)
    assert sum(row["left_out_conversions"] for row in rows) == sum(event.actor in without for event, _ in conversions)
    for column in columns:
        assert sum(row[f"credit_{column}"] for row in rows) / 1e10 == pytest.approx(len(conversions), abs=1e-8)
        worth = sum(event.worth(asked) for event, _ in conversions)
        assert sum(row[f"value_{column}"] for row in rows) / 1e6 == pytest.approx(worth, abs=1e-4)


def check_paths(engine: DuckDBEngine | None, visits: list[Visit], events: list[Event], asked: Asked) -> None:
    rows = answer(engine, question("analyses/attribution/paths", asked), visits, events)
    found = {
        (row["window_number"], row["path"]): [
            row["conversions"],
            pytest.approx(row["value_micros"] / 1e6),
            row["others"],
            row["shortened"],
        ]
        for row in rows
    }
    assert found == log.paths_of(visits, events, asked)


PURCHASE = frozenset({"purchase"})


@ON_DUCKDB
@given(visits=VISITS, events=EVENTS, asked=ASKED)
@example([Visit(0, 1, "Email", "collected", "/")], [Event(9, 0, 1, PURCHASE, None, None, 3.0)], Asked(most_pairs=1))
@example([Visit(0, 1, "Email", "collected", "/")], [Event(10, 0, 1, PURCHASE, None, None, 3.0)], Asked(most_pairs=1))
@example([Visit(0, 1, "Email", "collected", "/")], [Event(9, 0, 1, PURCHASE, None, None, 3.0)], Asked(most_pairs=0))
def test_models_equal_plain_python(engine: DuckDBEngine, visits: list[Visit], events: list[Event], asked: Asked):
    check_credits(engine, visits, events, asked)


@ON_DUCKDB
@given(visits=VISITS, events=EVENTS, asked=ASKED)
def test_paths_equal_plain_python(engine: DuckDBEngine, visits: list[Visit], events: list[Event], asked: Asked):
    check_paths(engine, visits, events, asked)


@ON_REFERENCE
@given(visits=VISITS, events=EVENTS, asked=ASKED)
def test_models_equal_plain_python_on_the_reference_implementation(visits, events, asked):
    check_credits(None, visits, events, asked)


@ON_REFERENCE
@given(visits=VISITS, events=EVENTS, asked=ASKED)
def test_paths_equal_plain_python_on_the_reference_implementation(visits, events, asked):
    check_paths(None, visits, events, asked)


@settings(parent=ON_DUCKDB, max_examples=15)
@given(visits=VISITS, events=EVENTS, asked=ASKED)
@pytest.mark.parametrize("template", ["analyses/attribution/credits", "analyses/attribution/paths"])
def test_figures_by_group_of_actors_add_up(engine, template, visits, events, asked):
    keys = [key for key in templates.load(template).grain if key not in ("week", "actor_group")]
    whole = answer(engine, question(template, asked), visits, events)
    split = answer(engine, question(template, asked, grouped=True), visits, events)
    assert all(row["actor_group"] in (0, 1, 2) and row["week"] == date(2024, 2, 26) for row in split)
    summed: dict[Any, Counter[str]] = defaultdict(Counter)
    for row in split:
        figures = {name: value for name, value in row.items() if name not in (*keys, "week", "actor_group")}
        summed[tuple(row[key] for key in keys)].update(figures)
    for row in whole:
        for name, value in summed[tuple(row[key] for key in keys)].items():
            assert row[name] == value, name
    assert len(summed) == len(whole)
