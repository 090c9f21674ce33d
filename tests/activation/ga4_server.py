"""GA4 on loopback: a data stream that takes the Measurement Protocol as documented, and its validation server.

`/mp/collect` answers 204 to nearly everything, and throws away in silence what is malformed. What it took takes effect
later, in any order. Names, values and counts have the documented limits.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from loopback import Asked, Told, answering

STREAM, SECRET = "G-TESTS12345", "secret-of-the-tests"
SLOWEST = 3
FAULTY_MINUTES = 16 * (SLOWEST + 1)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass
class Stream:
    """A stream: the user properties of devices, and what is on its way to them. Faults end after `FAULTY_MINUTES`."""

    stream: str = STREAM
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    is_faulty: bool = False
    minute: int = 0
    properties: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    """Values by client id and user id, by name."""
    waiting: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    validated: list[dict[str, Any]] = field(default_factory=list)
    lost: int = 0
    scripted: list[int] = field(default_factory=list)
    """Statuses of the next requests; 0: it hangs up; 1: it takes the request, and hangs up."""

    def collect(self, query: dict[str, str], document: dict[str, Any]) -> int:
        self.requests.append(document)
        told = self.scripted.pop(0) if self.scripted else self._fault()
        self.lost += told != 204
        if told not in (1, 204):
            return told
        is_ours = (query.get("measurement_id") or query.get("firebase_app_id")) == self.stream
        if is_ours and query.get("api_secret") == SECRET and not self.mistakes(document):
            self.waiting.append((self.minute + self.chance.randrange(SLOWEST), document))
        return told

    def _fault(self) -> int:
        if not self.is_faulty or self.minute >= FAULTY_MINUTES:
            return 204
        return self.chance.choices([204, 0, 1, 429, 503, 500, 404], [80, 4, 8, 2, 2, 2, 2])[0]

    def mistakes(self, document: dict[str, Any]) -> list[dict[str, str]]:
        """Return what the validation server says of a request."""
        found = []
        device = "app_instance_id" if ":" in self.stream else "client_id"
        if not document.get(device):
            found.append((device, "VALUE_REQUIRED"))
        names = [(f"events[{number}].name", each["name"], 40) for number, each in enumerate(document["events"])]
        names += [(f"user_properties.{each}", each, 24) for each in document.get("user_properties", {})]
        for place, name, longest in names:
            if not _NAME.fullmatch(name) or name.startswith(("ga_", "google_", "firebase_")):
                found.append((place, "NAME_INVALID"))
            elif len(name) > longest:
                found.append((place, "EXCEEDED_MAX_ENTITIES"))
        for name, each in document.get("user_properties", {}).items():
            if not isinstance(each.get("value"), str) or len(each["value"]) > 36:
                found.append((f"user_properties.{name}.value", "VALUE_INVALID"))
        if len(document["events"]) != 1 or len(document.get("user_properties", {})) > 25:
            found.append(("events", "EXCEEDED_MAX_ENTITIES"))
        return [
            {"fieldPath": place, "validationCode": code, "description": f"{document.get(device)} is wrong"}
            for place, code in found
        ]

    def tick(self) -> None:
        """Let a minute pass."""
        self.minute += 1
        due = [each for at, each in self.waiting if at < self.minute]
        self.waiting = [each for each in self.waiting if each[0] >= self.minute]
        self.chance.shuffle(due)
        for document in due:
            device = document.get("client_id") or document.get("app_instance_id")
            values = {name: each["value"] for name, each in document["user_properties"].items()}
            self.properties.setdefault((device, document["user_id"]), {}).update(values)

    def having(self, name: str, value: str) -> set[tuple[str, str]]:
        """Return the devices, with their users, whose property has a value."""
        return {device for device, values in self.properties.items() if values.get(name) == value}


@contextmanager
def serving(stream: Stream) -> Iterator[str]:
    """Serve on loopback; give the address."""

    def tell(asked: Asked) -> Told:
        parts, document = urlsplit(asked.target), json.loads(asked.body)
        if parts.path == "/debug/mp/collect":
            stream.validated.append(document)
            return Told(200, {"validationMessages": stream.mistakes(document)})
        if parts.path != "/mp/collect":
            return Told(404)
        status = stream.collect(dict(parse_qsl(parts.query)), document)
        return Told(status, headers={"Retry-After": "0"} if status == 429 else {}, hangs_up=status in (0, 1))

    with answering(tell) as address:
        yield address
