"""Times, trend and breakdown of a funnel are those of the ways that trying every path finds."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations, pairwise
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnel_logs import ITEMS, Log, Rules, Taking, bests, events_of, random_log, random_rules, rows_of, takings
from judges import JUDGES
from microconv.analyses.funnels.breakdown import Breakdown, FunnelBreakdown
from microconv.analyses.funnels.times import EDGES, FunnelTimes
from microconv.analyses.funnels.trend import FunnelTrend
from microconv.engines.duckdb import DuckDBEngine
from microconv.engines.tables import Column
from microconv.queries import templates
from microconv.staging.mc_tables import EVENTS, MICRO_CONVERSIONS, SESSIONS
from microconv.taxonomy import Taxonomy
from searches import search
from staged_rows import DAY, IN_MEMORY, SECOND, Row, at, entry, session

TAXONOMY = Taxonomy("letters", "1.0", tuple(entry(letter, events=("any",)) for letter in "abcx"))
ORDERS = ("ordered", "strict", "immediate")
COLUMNS = {
    "mc_micro_conversions": {column.name: column.type for column in MICRO_CONVERSIONS.columns} | {ITEMS: "STRING"},
    "mc_sessions": {column.name: column.type for column in SESSIONS.columns},
    "mc_events": {column.name: column.type for column in EVENTS.columns},
}
LATEST = at(DAY + 4)
CHANNELS = ("Direct", "Email", None)
Tables = dict[str, list[Row]]


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDBEngine]:
    with DuckDBEngine(IN_MEMORY) as opened:
        opened.ensure(MICRO_CONVERSIONS, (Column(ITEMS, "STRING", ""),))
        opened.ensure(SESSIONS)
        opened.ensure(EVENTS)
        yield opened


class OnDuckDB:
    """Asks DuckDB, with tables filled anew each time."""

    def __init__(self, engine: DuckDBEngine) -> None:
        self.engine = engine

    def __call__(self, query: templates.Query, tables: Tables) -> list[Row]:
        connection = self.engine._connection
        for name, rows in tables.items():
            connection.execute(f"DELETE FROM {name}")
            if rows:
                connection.register("given", pa.Table.from_pylist(rows))
                connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM given")
        return self.engine.query(query).to_pylist()


def by_the_reference(query: templates.Query, tables: Tables) -> list[Row]:
    params = {name: (_json(value), kind) for name, (kind, value) in query.params.items()}
    given = {
        name: (COLUMNS[name], [{column: _json(value) for column, value in row.items()} for row in rows])
        for name, rows in tables.items()
        if name in query.reads
    }
    return JUDGES["reference"](query.sql, params, given)


def _json(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def drawn(seed: int, order: str) -> tuple[Rules, list[Log], Tables]:
    """A funnel with logs of one client each, whose sessions come from a channel."""
    random = Random(seed)
    rules, logs = random_rules(random, order), [random_log(random, clients=1) for _ in range(12)]
    sessions = [
        session(place, actor * 10 + place, CHANNELS[(actor + place) % 3], actor=actor, session_number=place + 1)
        for actor in range(len(logs))
        for place in range(2)
    ]
    return rules, logs, {"mc_micro_conversions": rows_of(logs), "mc_events": events_of(logs), "mc_sessions": sessions}


def check_times(ask: Any, seed: int, order: str) -> None:
    rules, logs, tables = drawn(seed, order)
    pairs = [(a, b) for b in range(2, len(rules.config.steps) + 1) for a in range(1, b)]
    rows = ask(rules.query(FunnelTimes, TAXONOMY, pairs=pairs), tables)
    times: dict[tuple[int, int], list[int]] = defaultdict(list)
    for taking in bests(takings(rules, logs)).values():
        firsts = taking.firsts
        for pair in combinations(sorted(firsts), 2):
            times[pair].append(firsts[pair[1]].at_us - firsts[pair[0]].at_us)
    expected = {pair: sorted(took) for pair, took in times.items()}
    found: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in rows:
        found[row["from_step"], row["to_step"]].append(row)
    assert found.keys() == expected.keys()
    for pair, elapsed in expected.items():
        assert sum(row["units"] for row in found[pair]) == len(elapsed)
        buckets = Counter(bisect_right(EDGES, took / SECOND) for took in elapsed)
        assert {row["bucket"]: row["units"] for row in found[pair]} == buckets
        for row in found[pair]:
            assert row["seconds_mean"] == pytest.approx(sum(elapsed) / len(elapsed) / SECOND, abs=1e-9)
            for name, part in (("median", 0.5), ("p75", 0.75), ("p90", 0.9)):
                assert row[f"seconds_{name}"] == pytest.approx(between(elapsed, part) / SECOND, abs=1e-9)


def between(values: list[int], part: float) -> float:
    """The percentile of sorted values, between the two nearest."""
    place = part * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (place - below) * (values[above] - values[below])


def check_trend(ask: Any, seed: int, order: str) -> None:
    rules, logs, tables = drawn(seed, order)
    by_week = bool(seed % 2)
    query = rules.query(FunnelTrend, TAXONOMY, grain="week" if by_week else "day", latest_at=LATEST)
    rows = ask(query, tables)
    for row in rows:  # the reference writes days as text
        row["period_date"] = date.fromisoformat(str(row["period_date"]))
    found = takings(rules, logs)
    took: dict[Any, set[int]] = defaultdict(set)
    for taking in found:
        took[taking.unit].add(taking.step)
    units: Counter[tuple[date, int]] = Counter()
    incomplete: Counter[date] = Counter()
    for best in bests(found).values():
        start = best.path.start.date
        period = start - timedelta(days=start.weekday()) if by_week else start
        units.update((period, step) for step in {0, *took[best.unit]})
        since = best.path.start if rules.config.whole_window else best.path.last
        is_over = at(since.at_us + rules.window_us) <= LATEST
        incomplete[period] += best.step < len(rules.config.steps) and not is_over
    assert {(row["period_date"], row["step_index"]): row["units"] for row in rows} == units
    assert {row["period_date"]: row["incomplete"] for row in rows if row["step_index"] == 0} == incomplete


def check_breakdown(ask: Any, seed: int, order: str) -> None:
    rules, logs, tables = drawn(seed, order)
    by = Breakdown.parse(
        ("channel_group", "actor.channel_group", "actor.is_new", "page@first", "page@last", "page@2", "item_id@last")[
            seed % 7
        ]
    )
    top = 1 + seed % 3
    rows = ask(rules.query(FunnelBreakdown, TAXONOMY, by=str(by), top=top), tables)
    found = takings(rules, logs)
    took: dict[Any, dict[int, bool]] = defaultdict(dict)
    for taking in found:
        took[taking.unit][taking.step] = took[taking.unit].get(taking.step, False) or taking.is_continued
    values = {best.unit: value_of(by, best) or "(not set)" for best in bests(found).values()}
    ranking = sorted(Counter(values.values()).items(), key=lambda item: (-item[1], item[0]))
    place = {value: number if number <= top else None for number, (value, _) in enumerate(ranking, start=1)}
    expected: Counter[tuple[int | None, str | None, int]] = Counter()
    continued: Counter[tuple[int | None, str | None, int]] = Counter()
    for unit, value in values.items():
        for step, is_continued in took[unit].items():
            key = place[value], value if place[value] else None, step
            expected[key] += 1
            continued[key] += is_continued
    assert {(row["place"], row["value"], row["step_index"]): row["units"] for row in rows} == expected
    assert {(row["place"], row["value"], row["step_index"]): row["continued"] for row in rows} == continued


def value_of(by: Breakdown, best: Taking) -> str | None:
    actor = best.unit[0][0] if len(best.unit) > 2 else best.unit[0]
    if by.name == "is_new":
        return "new"
    if by.of == "actor":
        return CHANNELS[actor % 3]
    if by.of == "session":
        return CHANNELS[(actor + best.path.start.session) % 3]
    event = {"first": best.path.start, "last": best.path.last}.get(str(by.at)) or best.firsts.get(2)
    if event is None:
        return None
    return ", ".join(event.items) if by.name == "item_id" else event.page


CHECKS = {"times": check_times, "trend": check_trend, "breakdown": check_breakdown}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("what", CHECKS)
@search(7, 80)
@given(seed=st.integers(0, 2**32))
def test_duckdb_finds_the_ways_that_trying_all_paths_finds(
    engine: DuckDBEngine, what: str, order: str, seed: int
) -> None:
    CHECKS[what](OnDuckDB(engine), seed, order)


@pytest.mark.parametrize("seed", range(7))
@pytest.mark.parametrize("what", CHECKS)
def test_the_reference_finds_the_ways_that_trying_all_paths_finds(what: str, seed: int) -> None:
    CHECKS[what](by_the_reference, seed, ORDERS[seed % 3])


@pytest.mark.parametrize("order", ORDERS)
@search(10, 120)
@given(seed=st.integers(0, 2**32))
def test_the_parts_of_a_way_add_up_to_the_whole(engine: DuckDBEngine, order: str, seed: int) -> None:
    """Of one unit, the times from each step that it took to the next are those from its first step to its last."""
    random = Random(seed)
    rules, log = random_rules(random, order), random_log(random, clients=1, longest=14)
    rules = replace(rules, config=rules.config.model_copy(update={"count": "actors"}))
    tables = {"mc_micro_conversions": rows_of([log]), "mc_events": events_of([log]), "mc_sessions": []}
    steps = range(1, len(rules.config.steps) + 1)
    rows = OnDuckDB(engine)(rules.query(FunnelTimes, TAXONOMY, pairs=list(combinations(steps, 2))), tables)
    seconds = {(row["from_step"], row["to_step"]): row["seconds_mean"] for row in rows}
    taken = sorted({step for pair in seconds for step in pair})
    if taken:
        parts = [seconds[pair] for pair in pairwise(taken)]
        assert sum(parts) == pytest.approx(seconds[taken[0], taken[-1]], abs=1e-9)
        assert min(parts) >= 0
