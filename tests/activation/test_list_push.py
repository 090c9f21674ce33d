"""A push of one list, step by step: each time that a request leaves is written ahead, and belongs to its moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from activation.slow_list import MINUTE, START
from microconv.activation.push.audience_list import (
    Answer,
    Identifier,
    ListLimits,
    Operation,
    RefusedError,
    TryLaterError,
    UnsureError,
)
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.push_ledger import WANTED, LedgerBatch, PushLedger
from microconv.engines.base import Engine
from microconv.engines.duckdb import IN_MEMORY, DuckDBEngine

SCHEMA = pa.schema([("kind", pa.string()), ("identifier", pa.string()), ("people", pa.int64())])


@pytest.fixture
def engine() -> Iterator[DuckDBEngine]:
    with DuckDBEngine(IN_MEMORY, threads=1) as opened:
        yield opened


@dataclass
class Watched:
    """A list that looks into the ledger whenever a request comes in; it answers as it was told, then with success."""

    ledger: PushLedger
    answers: list[Exception | Answer] = field(default_factory=list)
    minute: int = 0
    seen: list[tuple[LedgerBatch, tuple[str, ...]]] = field(default_factory=list)
    limits: ListLimits = field(default_factory=lambda: ListLimits(4, 4 * MINUTE, timedelta(days=1)))

    def send(self, _operation: Operation, identifiers: Sequence[Identifier], /) -> Answer:
        batch = [each for each in self.ledger.open_batches() if each.state == "sent"][-1]
        self.seen.append((batch, tuple(each.value for each in identifiers)))
        self.minute += 1
        told = self.answers.pop(0) if self.answers else Answer("success")
        if isinstance(told, Exception):
            raise told
        return told

    def finish(self) -> None:
        """Do nothing."""

    def ask(self, request_id: str) -> Answer:
        return Answer("unknown", request_id)

    def now(self) -> datetime | None:
        return START + self.minute * MINUTE

    def wait(self, _error: TryLaterError, times: int) -> bool:
        self.minute += 10
        return times < 3


Push = Callable[..., tuple[ListPush, Watched]]


def want(engine: Engine, values: str) -> None:
    rows = [{"kind": "email", "identifier": each, "people": 1} for each in values]
    engine.load(pa.Table.from_pylist(rows, schema=SCHEMA).to_reader(), WANTED)


@pytest.fixture
def made(engine: DuckDBEngine) -> Push:
    def make(*answers: Exception | Answer) -> tuple[ListPush, Watched]:
        ledger = PushLedger(engine, "ads", "buyers")
        ledger.prepare()
        audience = Watched(ledger, list(answers))
        return ListPush(ledger, audience, lambda: START, wait_for=audience.wait), audience

    return make


def test_each_time_that_a_request_leaves_is_written_ahead(engine: DuckDBEngine, made: Push):
    push, audience = made(TryLaterError("429"), TryLaterError("429"), UnsureError("reset"))
    want(engine, "a")
    moments: list[int] = []
    push.before_send = lambda _: moments.append(audience.minute)

    (batch,) = push.push("p1", normalisation="n1").batches

    left = [0, 11, 22]
    assert moments == left
    assert [seen.sent_at for seen, _ in audience.seen] == [START + each * MINUTE for each in left]
    assert (batch.state, batch.attempts) == ("sent", 3)
    # Until four minutes after the last try it may still arrive: said again, it is said once more after that.
    assert push.push("p2", normalisation="n1").planned.of("send") == 1
    assert not push.push("p3", normalisation="n1").is_settled
    audience.minute += 5
    push.push("p4", normalisation="n1")
    assert push.push("p5", normalisation="n1").is_settled
    assert push.ledger.open_batches() == []


def test_what_was_never_looked_at_has_failed_and_is_said_again(engine: DuckDBEngine, made: Push):
    push, _ = made(*(TryLaterError("down") for _ in range(3)))
    want(engine, "a")
    (batch,) = push.push("p1", normalisation="n1").batches
    assert (batch.state, batch.reason, batch.attempts) == ("failed", "down", 3)
    (batch,) = push.push("p2", normalisation="n1").batches
    assert batch.state == "success"


def test_who_is_refused_by_name_is_set_apart_and_the_rest_is_sent_again(engine: DuckDBEngine, made: Push):
    push, audience = made(RefusedError("a row is wrong", rows=[1]), RefusedError("another", rows=[0, 99]))
    want(engine, "abcd")
    outcome = push.push("p1", normalisation="n1")
    assert [values for _, values in audience.seen] == [("a", "b", "c", "d"), ("a", "c", "d"), ("c", "d")]
    assert [(each.state, each.identifiers) for each in outcome.batches] == [
        ("success", 2),
        ("failed", 1),
        ("failed", 1),
    ]
    counts = push.push("p2", normalisation="n1").planned
    assert (counts.of("refused"), counts.of("send"), counts.is_settled) == (2, 0, True)
    audience.minute += 24 * 60
    assert push.push("p3", normalisation="n1").planned.of("send") == 2


def test_who_is_refused_by_name_while_the_rest_was_taken_is_set_apart_and_nothing_is_sent_again(
    engine: DuckDBEngine, made: Push
):
    push, audience = made(Answer("success", reason="they are not known", refused=(1, 3)))
    audience.limits = replace(audience.limits, most_identifiers=8)
    want(engine, "abcd")
    batch, refused = push.push("p1", normalisation="n1").batches
    assert (batch.state, batch.identifiers, batch.reason) == ("success", 2, None)
    assert (refused.state, refused.rejected, refused.reason) == ("failed", 2, "they are not known")
    assert len(audience.seen) == 1
    counts = push.push("p2", normalisation="n1").planned
    assert (counts.of("refused"), counts.of("send"), counts.is_settled) == (2, 0, True)
    audience.minute += 24 * 60
    push.push("p3", normalisation="n1")
    assert audience.seen[-1][1] == ("b", "d")
    assert push.push("p4", normalisation="n1").is_settled


def test_a_batch_of_which_all_are_refused_by_name_has_failed(engine: DuckDBEngine, made: Push):
    push, _ = made(Answer("success", refused=(0, 1)))
    want(engine, "ab")
    (batch,) = push.push("p1", normalisation="n1").batches
    assert (batch.state, batch.identifiers, batch.is_set_apart) == ("failed", 2, True)
    assert push.push("p2", normalisation="n1").planned.of("refused") == 2


def test_a_row_that_is_wrong_and_not_named_is_found_by_smaller_batches(engine: DuckDBEngine, made: Push):
    push, audience = made()
    send = audience.send

    def refusing(operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        send(operation, identifiers)
        if any(each.value == "c" for each in identifiers):
            raise RefusedError("some row is wrong", rows=None)
        return Answer("success")

    audience.send = refusing
    want(engine, "abcd")
    for number in range(8):
        push.push(f"p{number}", normalisation="n1")
    counts = push.push("last", normalisation="n1").planned
    assert (counts.of("refused"), counts.is_settled) == (1, True)
    assert len(audience.seen) <= 12


def test_what_stops_a_push_leaves_the_rest_planned(engine: DuckDBEngine, made: Push):
    push, audience = made()
    want(engine, "abcdefgh")

    def stop(_: LedgerBatch) -> None:
        if audience.seen:
            raise RuntimeError("consent changed")

    push.before_send = stop
    with pytest.raises(RuntimeError):
        push.push("p1", normalisation="n1")
    assert [each.state for each in push.ledger.open_batches()] == ["planned"]
    push.before_send = lambda _: None
    push.push("p2", normalisation="n1")
    assert push.push("p3", normalisation="n1").is_settled
    assert push.ledger.open_batches() == []
