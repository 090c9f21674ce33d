"""Random faults, kills and changes of mind, through the real engine of a push: what is left on a list in the end."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from microconv.activation.push.audience_list import (
    Answer,
    AudienceList,
    Identifier,
    ListLimits,
    Operation,
    RefusedError,
    TryLaterError,
    UnsureError,
)
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.push_ledger import WANTED, PushLedger
from microconv.engines.base import Change
from microconv.engines.duckdb import IN_MEMORY, DuckDBEngine

START = datetime(2026, 1, 1, tzinfo=UTC)
_FAULTY, _QUIET = 16, 8
_PEOPLE = 8
_KILLS_OF_THE_LEDGER, _KILLS_OF_REQUESTS = 0.03, 0.04


class KilledError(BaseException):
    """The process ends here."""


class _MortalEngine(DuckDBEngine):
    """DuckDB in a process that may end before or after each transaction."""

    chance = random.Random(0)  # noqa: S311 - a test, not a secret
    kill = 0.0

    def apply(self, changes: Sequence[Change]) -> None:
        self._maybe()
        super().apply(changes)
        self._maybe()

    def _maybe(self) -> None:
        if self.chance.random() < self.kill:
            raise KilledError


@dataclass
class FaultyList:
    """A list behind a network that loses requests and answers, in a process that may end at any moment.

    Attributes:
        audience: The list itself.
        chance: Says when something goes wrong.
        kill: How likely the process ends before, and after, a request.
    """

    audience: AudienceList
    chance: random.Random
    kill: float = _KILLS_OF_REQUESTS

    @property
    def limits(self) -> ListLimits:
        """Those of the list."""
        return self.audience.limits

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        """Send, or fail before the request left, or lose the answer."""
        self._maybe()
        fault = self.chance.random()
        if fault < 0.06:
            raise UnsureError("lost before it was read")
        if fault < 0.09:
            raise TryLaterError("too many requests", retry_after=timedelta(0))
        if fault < 0.12:
            raise RefusedError("closed for a while")
        answer = self.audience.send(operation, identifiers)
        self._maybe()
        if fault < 0.22:
            raise UnsureError("the answer was lost")
        return answer

    def finish(self) -> None:
        """Finish, or end before it or after it."""
        self._maybe()
        self.audience.finish()
        self._maybe()

    def ask(self, request_id: str) -> Answer:
        """Ask, or lose the answer."""
        if self.chance.random() < 0.05:
            raise UnsureError("no answer")
        return self.audience.ask(request_id)

    def now(self) -> datetime | None:
        """Return what the list says."""
        return self.audience.now()

    def _maybe(self) -> None:
        if self.chance.random() < self.kill:
            raise KilledError


@dataclass
class _Clock:
    moment: datetime = START

    def now(self) -> datetime:
        return self.moment


@dataclass
class _Shop:
    """People with identifiers, some shared; who is wanted changes, and so do identifiers; some refuse for good."""

    chance: random.Random
    identifiers: Sequence[Identifier]
    of: dict[int, tuple[Identifier, ...]] = field(init=False)
    wanted: set[int] = field(default_factory=set)
    refused: set[Identifier] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.of = {person: self._some() for person in range(_PEOPLE)}

    def _some(self) -> tuple[Identifier, ...]:
        return tuple(self.chance.sample(list(self.identifiers), self.chance.choice((1, 1, 2))))

    def change(self) -> None:
        for person in self.of:
            if self.chance.random() < 0.15:
                self.wanted ^= {person}
            if self.chance.random() < 0.03:
                self.of[person] = self._some()
        if self.chance.random() < 0.03:
            self.refused.add(self.chance.choice(list(self.identifiers)))

    def counts(self) -> Counter[Identifier]:
        return Counter(each for person in self.wanted for each in self.of[person] if each not in self.refused)


def want(engine: DuckDBEngine, counts: Counter[Identifier]) -> None:
    """Say what is wanted: identifiers, and how many people have each."""
    rows = list(counts.items())
    table = pa.table(
        {
            "kind": pa.array([each.kind for each, _ in rows], pa.string()),
            "identifier": pa.array([each.value for each, _ in rows], pa.string()),
            "people": pa.array([people for _, people in rows], pa.int64()),
        }
    )
    engine.load(table.to_reader(), WANTED)


def wrong_lists(
    seed: int,
    identifiers: Sequence[Identifier],
    audience_list: Callable[[str], AudienceList],
    listed: Callable[[], set[Identifier]],
    settle: Callable[[], None],
    *,
    segment: str = "buyers",
) -> list[str]:
    """Run a schedule: a time of faults in which people come, go and refuse, then a quiet one.

    Args:
        seed: Decides all that is random.
        identifiers: What people may have, at least two.
        audience_list: Gives the list for the push of an id. Ids are in the order of the pushes as text, too.
        listed: Looks at what is on the list.
        settle: Lets time pass until all that was sent has taken effect.
        segment: The name of the segment.

    Returns:
        What was wrong in the end, in words: how many were on the list against our will, how many were missing.
    """
    chance = random.Random(seed)  # noqa: S311 - a test, not a secret
    engine = _MortalEngine(IN_MEMORY, threads=1)
    shop = _Shop(chance, identifiers)
    ledger = PushLedger(engine, "there", segment)
    ledger.prepare()
    clock = _Clock()
    for step in range(_FAULTY + _QUIET):
        is_faulty = step < _FAULTY
        if is_faulty:
            shop.change()
        engine.chance, engine.kill = chance, _KILLS_OF_THE_LEDGER if is_faulty else 0.0
        with suppress(KilledError):
            audience = audience_list(f"s{seed:06d}-p{step:03d}")
            want(engine, shop.counts())
            ListPush(ledger, FaultyList(audience, chance) if is_faulty else audience, clock.now).push(
                f"s{seed:06d}-p{step:03d}", normalisation="n1"
            )
        settle()
        # Longer than anything takes to settle; in quiet times what was refused by name is tried again.
        clock.moment += timedelta(days=1, minutes=1)
    engine.close()
    found, wanted = listed(), set(shop.counts())
    return [f"seed {seed}: {len(found - wanted)} too many, {len(wanted - found)} missing"] if found != wanted else []
