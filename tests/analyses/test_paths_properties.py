"""Paths equal walking every journey by hand, on DuckDB and on Google's reference implementation."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asking import CONFIG
from journey_logs import EVENTS, PAGES, QUESTIONS, TAXONOMY, Event, Walked, staged_log, walk
from judges import JUDGES
from judges.types import to_json
from microconv.analyses.paths.path_questions import PathSequences, PathsQuestion
from microconv.queries.templates import Query
from microconv.question import Context
from microconv.result import EXIT, START
from microconv.staging.mc_tables import TABLES
from searches import search
from staged_rows import IN_MEMORY, staged

STATES = 2


def queries(question: PathsQuestion, window_us: int) -> list[Query]:
    """The three queries of a question, with a window in microseconds and a matrix of few states."""
    sequences, transitions, links = question.queries(Context(CONFIG, TAXONOMY))
    few = replace(transitions, params={**transitions.params, "most": ("INT64", STATES)})
    return [
        replace(query, params={**query.params, "window_us": ("INT64", window_us)}) for query in (sequences, few, links)
    ]


def as_walked(sequences: list[Any], transitions: list[Any], links: list[Any]) -> Walked:
    return Walked(
        {row["sequence"]: (row["journeys"], row["conversions"], row["seconds_median"]) for row in sequences},
        {(row["from_position"], row["from_node"], row["to_node"]): row["journeys"] for row in links},
        {
            (row["from_node"], row["to_node"]): (
                row["transitions"],
                row["returns"],
                row["skips"],
                row["seconds_median"],
            )
            for row in transitions
        },
    )


def assert_same(found: Walked, expected: Walked) -> None:
    assert list(found.sequences) == list(expected.sequences)
    assert_figures(found.sequences, expected.sequences)
    assert found.links == expected.links
    assert_figures(found.transitions, expected.transitions)


def assert_figures(found: dict[Any, tuple[Any, ...]], expected: dict[Any, tuple[Any, ...]]) -> None:
    assert {name: figures[:-1] for name, figures in found.items()} == {
        name: figures[:-1] for name, figures in expected.items()
    }
    for name, figures in expected.items():
        assert found[name][-1] == pytest.approx(figures[-1], abs=1e-12), name


@search(8, 120)
@given(events=EVENTS, question=QUESTIONS, window_us=st.integers(0, 5))
def test_paths_equal_walking_every_journey(events: list[Event], question: PathsQuestion, window_us: int):
    with staged(IN_MEMORY, **staged_log(events)) as engine:
        found = as_walked(*(engine.query(query).to_pylist() for query in queries(question, window_us)))
    assert_same(found, walk(events, question, window_us, STATES))


@search(16, 240)
@given(events=EVENTS, question=QUESTIONS)
def test_flow_into_a_node_is_the_flow_out_of_it(events: list[Event], question: PathsQuestion):
    with staged(IN_MEMORY, **staged_log(events)) as engine:
        asked = question.queries(Context(CONFIG, TAXONOMY))
        sequences, _, links = (engine.query(query).to_pylist() for query in asked)
    into, out_of = Counter[tuple[int, str]](), Counter[tuple[int, str]]()
    for link in links:
        out_of[link["from_position"], link["from_node"]] += link["journeys"]
        into[link["from_position"] + 1, link["to_node"]] += link["journeys"]
    positions = {position for position, _ in into | out_of}
    inner = {
        (position, name)
        for position, name in into | out_of
        if min(positions) < position < max(positions) and name not in (START, EXIT)
    }
    assert {place: into[place] for place in inner} == {place: out_of[place] for place in inner}
    if question.direction == "to":
        assert sum(count for (position, _), count in into.items() if position == 0) == sum(
            row["journeys"] for row in sequences
        )
    elif question.length > 1 or question.point is not None:
        assert sum(count for (position, _), count in out_of.items() if position == 0) == sum(
            row["journeys"] for row in sequences
        )


def many_events(seed: int, actors: int) -> list[Event]:
    """A log of many actors with few events each: one query answers for as many small logs."""
    chance = random.Random(seed)
    return [
        Event(
            us=chance.randrange(6),
            client=chance.randrange(1, 2 * actors),
            session=chance.choice([None, 1, 1, 2]),
            kinds=frozenset(chance.sample("abcdz", chance.choice([0, 1, 1, 2]))),
            page=chance.choice([None, None, *PAGES]),
            user=chance.choice([None] * 12 + ["u", "v"]),
        )
        for _ in range(12 * actors)
    ]


@pytest.mark.parametrize("count", ["sessions", "actors"])
@pytest.mark.parametrize("nodes", ["micro_conversion", "page"])
def test_reference_implementation_agrees(count: Any, nodes: Any):
    events = many_events(seed=4, actors=40)
    tables = {
        name: ({column.name: column.type for column in TABLES[name].columns}, [to_json(row) for row in rows])
        for name, rows in staged_log(events).items()
    }
    leads = [{}, *({leads: point} for leads in ("to", "from_") for point in ("b", "z", "page:/x"))]
    for point, keep_repeats in product(leads, [False, True]):
        question = PathSequences(
            **point,
            goal="z",
            count=count,
            nodes=nodes,
            without=("d",),
            length=3,
            keep_repeats=keep_repeats,
            max_nodes=2,
            top=1_000,
        )
        rows = []
        for query in queries(question, window_us=3):
            read = {name: table for name, table in tables.items() if f"`{name}`" in query.sql}
            params = {name: (value, kind) for name, (kind, value) in query.params.items()}
            rows.append(JUDGES["reference"](query.sql, params, read))
        assert_same(as_walked(*rows), walk(events, question, 3, STATES))
