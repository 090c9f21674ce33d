"""The same story of one list on both engines: what is planned, sent and recorded is the same."""

from __future__ import annotations

import random
from datetime import timedelta

import pyarrow as pa

from activation.slow_list import MINUTE, START, SlowList
from microconv.activation.push.audience_list import (
    Answer,
    Identifier,
    Operation,
    RefusedError,
    UnsureError,
)
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.push_ledger import WANTED, PushLedger
from microconv.engines.base import Engine
from microconv.queries.templates import Query

WANTED_BY_STEP = ("ab", "abc", "c", "cd", "cd", "", "")
"""Who is wanted at each push."""
SCHEMA = pa.schema([("kind", pa.string()), ("identifier", pa.string()), ("people", pa.int64())])
TABLES = ("mc_sent", "mc_ledger")


class Scripted(SlowList):
    """A list on which some sends go wrong, always the same."""

    sends = 0

    def send(self, operation: Operation, identifiers: list[Identifier]) -> Answer:
        self.sends += 1
        if self.sends == 2:
            raise RefusedError("the second is wrong", rows=[0])
        answer = super().send(operation, identifiers)
        if self.sends in (3, 5):
            raise UnsureError("the answer was lost")
        return answer


def told(engine: Engine) -> dict[str, list[str]]:
    """All that the ledger knows, in an order of its own."""
    return {
        name: sorted(map(str, engine.query(Query(name, f"SELECT * FROM {name}", {})).to_pylist())) for name in TABLES
    }


def story(engine: Engine) -> tuple[list[object], set[Identifier]]:
    audience = Scripted(random.Random(1), is_faulty=False)
    ledger = PushLedger(engine, "ads", "buyers")
    ledger.prepare()
    planned: list[object] = []
    for step, wanted in enumerate(WANTED_BY_STEP):
        rows = [{"kind": "email", "identifier": each, "people": 1} for each in wanted]
        engine.load(pa.Table.from_pylist(rows, schema=SCHEMA).to_reader(), WANTED)
        outcome = ListPush(ledger, audience, lambda: START).push(f"p{step}", normalisation="n1")
        planned += [outcome.planned, [batch.state for batch in outcome.batches], outcome.is_settled]
        audience.tick(1 if step < len(WANTED_BY_STEP) - 2 else 2 * timedelta(days=1) // MINUTE)
    return planned, set(audience.listed)


def test_the_same_story_is_the_same_on_both_engines(engines: tuple[Engine, Engine]):
    here, there = (story(engine) for engine in engines)
    assert here == there
    assert told(engines[0]) == told(engines[1])
