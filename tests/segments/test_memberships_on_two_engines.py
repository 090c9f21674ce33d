"""The same builds on both engines leave the same memberships, with stays held, expired, routed, moved and removed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

import emulator as emulators
from microconv.clients import retries
from microconv.clients.bigquery_connection import Connection, Endpoints
from microconv.config.sections import PushConfig
from microconv.config.segment_settings import SegmentConfig
from microconv.engines.base import AddRows, Change, DeleteDays, Engine, PutRow
from microconv.engines.bigquery import BigQueryEngine
from microconv.engines.duckdb import IN_MEMORY, DuckDBEngine
from microconv.errors import LockedError
from microconv.queries.templates import Query
from microconv.segments import memberships
from microconv.segments.membership_tables import SEGMENT_BUILDS, SEGMENT_MEMBERS
from microconv.staging import mc_tables
from microconv.taxonomy import Taxonomy
from staged_rows import SECOND, START, at, entry, occurrence, session

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TAXONOMY = Taxonomy("t", "1.0", (entry("view"), entry("cart")))
PUSH = PushConfig.model_validate({"at_most": 3, "per": "1h"})
CARTS = {"name": "carts", "rule": {"did": "cart", "within": "10s"}, "route": "r", "held_for": "30s", "priority": 1}
VIEWS = {"name": "views", "rule": {"did": "view", "within": "10s"}, "route": "r", "expires_after": "40s"}
ALL = {"name": "all", "rule": {"did": "view", "within": "1h"}, "away_for": "50s"}
STORY: list[tuple[int, list[dict[str, Any]], list[tuple[str, int]], dict[int, int]]] = [
    # second, segments, what clients did then, who owns a client (itself unless told)
    (10, [CARTS, VIEWS, ALL], [("view", 1), ("view", 2), ("cart", 2)], {}),
    (30, [CARTS, VIEWS, ALL], [("cart", 1), ("view", 1)], {}),
    (60, [CARTS, VIEWS, ALL], [("view", 2), ("view", 3)], {1: 20}),
    (110, [CARTS, VIEWS], [("view", 1), ("view", 2)], {1: 20, 2: 20}),
    (160, [CARTS, {**VIEWS, "route": None}, ALL], [("cart", 3), ("view", 3), ("view", 1)], {1: 20, 2: 20}),
]


@pytest.fixture
def connection(request: pytest.FixtureRequest) -> Connection:
    emulator: emulators.Emulator = request.getfixturevalue("emulator")
    endpoints = Endpoints(emulator.rest_url, f"http://{emulator.grpc_address}", is_anonymous=True)
    return Connection(emulator.project, endpoints=endpoints, retrying=retries.policy(3, slowest_wait=0.02))


@pytest.fixture
def dataset(emulator: emulators.Emulator) -> str:
    return emulator.dataset()


@pytest.fixture
def engines(connection: Connection, dataset: str) -> Iterator[list[Engine]]:
    with DuckDBEngine(IN_MEMORY, threads=1) as here, BigQueryEngine(connection, dataset=dataset) as there:
        yield [here, there]


def stage(engine: Engine, done: list[tuple[int, str, int]], owners: dict[int, int]) -> None:
    """Stage all that clients did so far, under those who own them now."""
    changes: list[Change] = [DeleteDays(mc_tables.MICRO_CONVERSIONS, "p", (START.date(),))]
    for client in (1, 2, 3):
        actor = owners.get(client, client)
        user = None if actor == client else f"u{actor}"
        changes.append(
            PutRow(mc_tables.SESSIONS, session(0, client, "Direct", actor=actor, client_key=client, user_id=user))
        )
    rows = [
        occurrence(second * SECOND, did, client=client, actor_key=owners.get(client, client))
        for second, did, client in done
    ]
    engine.apply([*changes, AddRows(mc_tables.MICRO_CONVERSIONS, tuple(rows))])


def told(engine: Engine) -> dict[str, list[str]]:
    return {
        table.name: sorted(
            map(
                str,
                engine.query(
                    Query(table.name, f"SELECT {', '.join(table.column_names)} FROM {table.name}", {})
                ).to_pylist(),
            )
        )
        for table in (SEGMENT_MEMBERS, SEGMENT_BUILDS)
    }


def test_the_same_builds_leave_the_same_memberships(engines: list[Engine]):
    for engine in engines:
        engine.begin("r", "tests")
        for table in mc_tables.TABLES.values():
            engine.ensure(table)
    done: list[tuple[int, str, int]] = []
    for number, (second, segments, now_done, owners) in enumerate(STORY):
        done += [(second, did, client) for did, client in now_done]
        config: Any = SimpleNamespace(
            segments=tuple(SegmentConfig.model_validate(each) for each in segments), push=PUSH
        )
        built = []
        for engine in engines:
            stage(engine, done, owners)
            built.append(memberships.build(engine, config, TAXONOMY, at(second * SECOND), f"r{number}", now=NOW))
        assert built[0] == built[1]
        assert told(engines[0]) == told(engines[1])
        assert list(memberships.current(engines[0], "all")) == list(memberships.current(engines[1], "all"))

    reasons = {row.partition("'reason': ")[2] for row in told(engines[0])[SEGMENT_MEMBERS.name]}
    assert len(reasons) == 5, reasons


def test_a_second_build_is_told_who_holds_the_lock(connection: Connection, dataset: str):
    with BigQueryEngine(connection, dataset=dataset) as one, BigQueryEngine(connection, dataset=dataset) as other:
        one.begin("r1", "alpha process 17")
        with pytest.raises(LockedError, match="alpha process 17"):
            other.begin("r2", "beta process 18")
