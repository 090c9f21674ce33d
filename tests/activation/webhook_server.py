"""A server of ours on loopback that takes webhooks as real ones do: slow, out of order, silent, busy, forgetful.

It speaks the protocol of docs/destinations.md over real HTTP, checks every signature, and has a clock of its own. What
it does wrong is what vendors document or were seen to do; it says nothing about a vendor's own validation.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from loopback import Asked, Told, answering
from microconv.activation.push.audience_list import Identifier

SECRET = "s3cret-of-the-tests"
START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SLOWEST = 4


BEFORE = {
    0.04: Told(hangs_up=True),
    0.07: Told(429, headers={"Retry-After": "0"}),
    0.10: Told(503),
    0.13: Told(500),
    0.15: Told(410),  # the list is closed for a while
    0.16: Told(422),
    0.17: Told(302, headers={"Location": "http://127.0.0.1:9/elsewhere"}),
}
"""What it answers, by chance, before anything took effect."""


def _identifier(document: dict[str, str]) -> Identifier:
    return Identifier(document["kind"], document["value"])


@dataclass
class AudienceService:
    """The service behind the server. Requests take effect up to `SLOWEST` minutes later, in any order."""

    chance: random.Random = field(default_factory=lambda: random.Random(0))
    lifespan: timedelta | None = None
    is_faulty: bool = False
    minute: int = 0
    listed: dict[Identifier, int] = field(default_factory=dict)
    waiting: list[tuple[int, str, str, tuple[Identifier, ...]]] = field(default_factory=list)
    became: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[dict[str, str], Any]] = field(default_factory=list)
    bad: set[Identifier] = field(default_factory=set)
    scripted: list[Callable[[Any], Told | None]] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return START + self.minute * MINUTE

    def post(self, headers: dict[str, str], body: bytes) -> Told:
        if not self._is_signed(headers, body):
            return Told(401)
        document = json.loads(body)
        self.requests.append((headers, document))
        if self.scripted:
            told = self.scripted.pop(0)(document)
            if told is not None:
                return told
        return self._told(document["operation"], tuple(map(_identifier, document["identifiers"])))

    def _told(self, operation: str, identifiers: tuple[Identifier, ...]) -> Told:
        fault = self.chance.random() if self.is_faulty else 1.0
        for limit, told in BEFORE.items():
            if fault < limit:
                return told
        wrong = [place for place, each in enumerate(identifiers) if each in self.bad]
        if wrong and self.is_faulty:
            errors = [{"pointer": f"/identifiers/{place}/value", "detail": identifiers[place].value} for place in wrong]
            return Told(422, {"errors": errors if fault < 0.8 else []})
        if fault < 0.25:
            taken = tuple(each for each in identifiers if self.chance.random() < 0.7)
            self._apply(operation, taken)
            return Told(200, {"rejected": len(identifiers) - len(taken)}) if fault < 0.22 else Told(hangs_up=True)
        if fault < 0.45:
            self._apply(operation, identifiers)
            return Told(hangs_up=True) if fault < 0.28 else Told(500) if fault < 0.30 else Told(200, {})
        request_id = f"r{len(self.became)}"
        self.waiting.append((self.minute + self.chance.randrange(SLOWEST), request_id, operation, identifiers))
        self.became[request_id] = {"state": "accepted"}
        place = Told(202, {}, {"Location": f"/status/{request_id}"})
        # 202 alone names no place to ask at.
        return Told(hangs_up=True) if fault < 0.50 else Told(202) if fault < 0.52 else place

    def get(self, path: str) -> Told:
        if self.is_faulty and self.chance.random() < 0.10:
            return self.chance.choice([Told(hangs_up=True), Told(500), Told(404), Told(200, {}), Told(429)])
        found = self.became.get(path.removeprefix("/status/"))
        return Told(404) if found is None else Told(200, found)

    def tick(self) -> None:
        """Let a minute pass."""
        self.minute += 1
        due = [each for each in self.waiting if each[0] < self.minute]
        self.waiting = [each for each in self.waiting if each[0] >= self.minute]
        self.chance.shuffle(due)
        for _, request_id, operation, identifiers in due:
            taken = list(identifiers)
            if self.is_faulty and self.chance.random() < 0.15:
                taken.remove(self.chance.choice(taken))
            self._apply(operation, tuple(taken))
            lost = len(identifiers) - len(taken)
            state = "success" if not lost else "partial" if taken else "failed"
            says_how_many = lost and self.chance.random() < 0.5
            self.became[request_id] = {"state": state, **({"rejected": lost} if says_how_many else {})}
        if self.lifespan is not None:
            alive = self.lifespan // MINUTE
            self.listed = {each: at for each, at in self.listed.items() if self.minute - at < alive}

    def _apply(self, operation: str, identifiers: tuple[Identifier, ...]) -> None:
        for each in identifiers:
            if operation == "add":
                self.listed[each] = self.minute
            else:
                self.listed.pop(each, None)

    def _is_signed(self, headers: dict[str, str], body: bytes) -> bool:
        message = headers.get("microconv-timestamp", "").encode() + b"." + body
        expected = "sha256=" + hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, headers.get("microconv-signature", ""))


@contextmanager
def serving(service: AudienceService) -> Iterator[str]:
    """Serve on loopback; give the address."""

    def tell(asked: Asked) -> Told:
        if asked.method == "POST":
            return service.post(asked.headers, asked.body)
        return service.get(asked.target) if service._is_signed(asked.headers, asked.target.encode()) else Told(401)

    with answering(tell) as address:
        yield f"{address}/audiences"
