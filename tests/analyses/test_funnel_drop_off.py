"""What those did next whom a funnel lost, held against trying every path, on DuckDB and by Google's own SQL."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asking import answer
from funnel_logs import ITEMS, Log, Rules, events_of, random_log, random_rules, rows_of, sessions_of, takings
from judges import JUDGES
from microconv.analyses.funnels.drop_off import FunnelDropOff
from microconv.config.funnel_settings import FunnelConfig
from microconv.engines.duckdb import DuckDBEngine
from microconv.engines.tables import Column
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.staging.mc_tables import EVENTS, MICRO_CONVERSIONS, SESSIONS
from microconv.taxonomy import Taxonomy
from staged_rows import IN_MEMORY, START_US, Row, entry, occurrence, staged

TAXONOMY = Taxonomy("letters", "1.0", tuple(entry(letter, events=("any",)) for letter in "abcx"))
MOST_NEXT = 2
ORDERS = ("ordered", "strict", "immediate")
COLUMNS = {
    "mc_micro_conversions": {column.name: column.type for column in MICRO_CONVERSIONS.columns} | {ITEMS: "STRING"},
    "mc_sessions": {column.name: column.type for column in SESSIONS.columns},
    "mc_events": {column.name: column.type for column in EVENTS.columns},
}


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDBEngine]:
    with DuckDBEngine(IN_MEMORY) as opened:
        opened.ensure(MICRO_CONVERSIONS, (Column(ITEMS, "STRING", ""),))
        opened.ensure(SESSIONS)
        opened.ensure(EVENTS)
        yield opened


def tables_of(logs: list[Log]) -> dict[str, list[Row]]:
    return {"mc_micro_conversions": rows_of(logs), "mc_events": events_of(logs), "mc_sessions": sessions_of(logs)}


def query(rules: Rules) -> templates.Query:
    return rules.query(FunnelDropOff, TAXONOMY, most_next=MOST_NEXT)


def expected(rules: Rules, logs: list[Log]) -> Counter[tuple[Any, ...]]:
    """(step, place, micro-conversion) and how often, and for place 0 (step, 0, left the session, returned)."""
    ends: dict[Any, Any] = {}
    for taking in takings(rules, logs):
        known = ends.get(taking.unit)
        if known is None or _furthest(taking) < _furthest(known):
            ends[taking.unit] = taking
    rows: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
    for row in rows_of(logs):
        rows[row["actor_key"]].append((row["event_order"], row["client_key"], row["micro_conversion"]))
    found: Counter[tuple[Any, ...]] = Counter()
    for unit, taking in ends.items():
        if taking.step == len(rules.config.steps):
            continue
        actor = _actor(unit)
        end, log = taking.path.last, logs[actor]
        journey = sorted(rows[actor])
        after = 1 + max(
            index
            for index, row in enumerate(journey)
            if row[:2] == (START_US * 1_000 + end.order, actor * 10 + end.client)
        )
        for place in range(1, MOST_NEXT + 1):
            following = journey[after + place - 1 : after + place]
            found[taking.step, place, following[0][2] if following else None] += 1
        left = max(event.order for event in log if event.kinds and event.session == end.session) == end.order
        starts = [min(event.at_us for event in log if event.session == each) for each in {e.session for e in log}]
        found[taking.step, 0, left, max(starts) > end.at_us] += 1
    return found


def _furthest(taking: Any) -> tuple[int, int, int]:
    return -taking.step, taking.path.last.order, taking.path.last.client


def _actor(unit: Any) -> int:
    while isinstance(unit, tuple):
        unit = unit[0]
    return int(unit)


def check(found: list[Row], wanted: Counter[tuple[Any, ...]]) -> None:
    lost: Counter[tuple[Any, ...]] = Counter()
    nexts: Counter[tuple[Any, ...]] = Counter()
    for row in found:
        if row["place"] == 0:
            lost[row["step_index"]] = (row["units"], row["left_session"], row["returned"])
        else:
            nexts[row["step_index"], row["place"], row["micro_conversion"]] = row["units"]
    assert nexts == Counter({key: count for key, count in wanted.items() if key[1]})
    whole = {(key, count) for key, count in wanted.items() if not key[1]}
    assert lost == {
        step: tuple(
            sum(count for key, count in whole if key[0] == step and holds(key))
            for holds in (lambda key: not key[1], lambda key: key[2], lambda key: key[3])
        )
        for step in {key[0] for key, _ in whole}
    }


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_duckdb_follows_the_lost_as_trying_all_paths_does(engine: DuckDBEngine, seed: int) -> None:
    random = Random(seed)
    rules, logs = random_rules(random, random.choice(ORDERS)), [random_log(random) for _ in range(12)]
    connection = engine._connection
    for name, rows in tables_of(logs).items():
        connection.execute(f"DELETE FROM {name}")
        if rows:
            connection.register("given", pa.Table.from_pylist(rows))
            connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM given")
    check(engine.query(query(rules)).to_pylist(), expected(rules, logs))


@pytest.mark.parametrize("seed", range(6))
def test_the_reference_follows_the_lost_as_trying_all_paths_does(seed: int) -> None:
    random = Random(seed)
    rules, logs = random_rules(random, ORDERS[seed % 3]), [random_log(random) for _ in range(40)]
    asked = query(rules)
    rows = {name: of_table for name, of_table in tables_of(logs).items() if name in asked.reads}
    given = {
        name: (COLUMNS[name], [{key: _json(value) for key, value in row.items()} for row in rows[name]])
        for name in rows
    }
    params = {name: (_json(value), kind) for name, (kind, value) in asked.params.items()}
    check(JUDGES["reference"](asked.sql, params, given), expected(rules, logs))


def _json(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


FUNNEL = FunnelConfig.model_validate({"name": "f", "steps": ["a", "b", "c"], "window": "1d"})


def test_rare_ways_on_are_one_and_those_who_left_are_named() -> None:
    rows = [occurrence(0, "a", client=client, session_key=client) for client in range(5)]
    rows += [occurrence(1, name, client=client, session_key=client) for client, name in enumerate("bbxa")]
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        found = answer(engine, FunnelDropOff.over(FUNNEL, {"top": 1}), TAXONOMY)
    first = [(row.next, row.count, row.share) for row in found.nexts if (row.step, row.place) == ("a", 1)]
    assert first == [("(exit)", 1, 1 / 3), ("(other)", 2, 2 / 3)]
    assert [(step.step, step.lost, step.left_session) for step in found.steps] == [("a", 3, 1), ("b", 2, 2)]
    assert found.sentence.startswith("Most are lost after a: 3 actors, of whom 1 did nothing more")


def test_nobody_lost_is_a_sentence() -> None:
    with staged(IN_MEMORY, mc_micro_conversions=[]) as engine:
        found = answer(engine, FunnelDropOff.over(FUNNEL), TAXONOMY)
    assert (found.nexts, found.sentence) == ((), "No actor was lost on the way.")
    assert [step.lost for step in found.steps] == [0, 0]


def test_funnel_without_an_order_loses_nobody_after_a_step() -> None:
    unordered = FunnelConfig.model_validate({"name": "f", "steps": ["a", "b"], "order": "unordered"})
    with staged(IN_MEMORY) as engine, pytest.raises(UsageError, match="no order of steps"):
        answer(engine, FunnelDropOff.over(unordered), TAXONOMY)
