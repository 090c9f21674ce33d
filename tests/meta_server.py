"""Meta on loopback: the edges of the Graph API that custom audiences and conversions use, over real HTTP.

Tokens and proofs are checked, limits kept, and identifiers in an address never taken. What was acknowledged takes
effect later, in any order. What goes wrong is what Meta documents or was seen to do: HTML with status 200, errors that
pass, errors by subcode, allowances in headers. It says nothing about Meta's own validation.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from loopback import Asked, Told, answering
from microconv.activation.push.audience_list import Identifier
from microconv.activation.push.identifiers import Address

TOKEN, APP_SECRET = "token-of-the-tests", "app-secret-of-the-tests"
ACCOUNT, DATASET = "1234567890", "5550001112"
START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SLOWEST = 4
PROOF = hmac.new(APP_SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
_KINDS = {"EMAIL": "email", "PHONE": "phone", "EXTERN_ID": "user_id"}
_ADDRESS = ("FN", "LN", "COUNTRY", "ZIP")


def error(code: int, subcode: int | None = None, status: int = 400, *, passing: bool = False, **headers: str) -> Told:
    """Answer as the Graph API refuses; the message quotes what was sent, as vendors' messages do."""
    said = {"message": "(#100) anna@shop.example is not valid", "type": "OAuthException", "code": code}
    said |= {"error_subcode": subcode} if subcode else {}
    said |= {"is_transient": passing, "fbtrace_id": "AbC"}
    return Told(status, {"error": said}, {name.replace("_", "-"): value for name, value in headers.items()})


def usage(minutes: int = 0, share: int = 100) -> dict[str, str]:
    said = {"type": "custom_audience", "call_count": share, "total_cputime": 25, "total_time": 25}
    return {"X-Business-Use-Case-Usage": json.dumps({"77": [said | {"estimated_time_to_regain_access": minutes}]})}


HTML = Told(200, page="<!DOCTYPE html><html><body>Sorry, something went wrong.</body></html>")
BEFORE = {
    0.03: Told(hangs_up=True),
    0.05: error(80003, status=400),
    0.07: error(4),
    0.08: Told(429),
    0.10: error(2, status=500, passing=True),
    0.12: HTML,
    0.14: error(190),
    0.15: error(100, 1713230),
    0.16: error(100),
    0.17: Told(302, headers={"Location": "http://127.0.0.1:9/elsewhere"}),
}
"""What it answers, by chance, before anything took effect."""


@dataclass
class Audience:
    """A custom audience: who is in it, and what is on its way."""

    number: str
    fields: dict[str, Any]
    listed: dict[Identifier, int] = field(default_factory=dict)
    waiting: list[tuple[int, str, tuple[Identifier, ...]]] = field(default_factory=list)
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class MetaModel:
    """An ad account and a dataset. Requests take effect up to `SLOWEST` minutes later, in any order."""

    chance: random.Random = field(default_factory=lambda: random.Random(0))
    is_faulty: bool = False
    minute: int = 0
    audiences: dict[str, Audience] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """Method, path, and parameters that were decoded."""
    scripted: list[Callable[[], Told | None]] = field(default_factory=list)
    """Answers to the next requests, before they take effect; None: as it is."""
    after: list[Told] = field(default_factory=list)
    """Answers to the next requests that write, after they took effect."""
    events: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """Conversions by event name and event id: of two within `recognises` the first counts."""
    recognises: timedelta = timedelta(hours=48)
    counted: list[tuple[int, tuple[str, str]]] = field(default_factory=list)
    """When each event counted, in minutes, and which it was."""
    per_page: int = 2
    refuses: set[Identifier] = field(default_factory=set)
    has_terms: bool = True

    @property
    def now(self) -> datetime:
        return START + self.minute * MINUTE

    def timestamp(self) -> float:
        return self.now.timestamp()

    def audience(self, description: str) -> Audience | None:
        return next((each for each in self.audiences.values() if each.fields["description"] == description), None)

    def call(self, method: str, path: str, parameters: dict[str, str]) -> Told:  # noqa: PLR0911 - a fault each
        decoded = {name: _decoded(value) for name, value in parameters.items()}
        self.requests.append((method, path, decoded))
        if self.scripted and (told := self.scripted.pop(0)()) is not None:
            return told
        fault = self.chance.random() if self.is_faulty else 1.0
        for limit, told in BEFORE.items():
            if fault < limit:
                return told
        told = self._done(method, path, decoded)
        if method != "GET" and told.status == 200:
            if self.after:
                return self.after.pop(0)
            if fault < 0.22:
                return Told(hangs_up=True)
            if fault < 0.25:
                return HTML
            if fault < 0.28:
                return error(1, status=500)
        if fault > 0.95 and self.is_faulty:
            told.headers |= usage(minutes=1)
        return told

    def _done(self, method: str, path: str, parameters: dict[str, Any]) -> Told:  # noqa: PLR0911 - an edge each
        if method == "GET" and path == f"act_{ACCOUNT}":
            terms = {"custom_audience_tos": 1} if self.has_terms else {}
            return Told(document={"id": path, "name": "Shop", "account_status": 1, "tos_accepted": terms})
        if path == f"act_{ACCOUNT}/customaudiences":
            return self._list(parameters) if method == "GET" else self._make(parameters)
        if path == DATASET and method == "GET":
            return Told(document={"id": DATASET})
        if path == f"{DATASET}/events" and method == "POST":
            return self._take_events(parameters["data"])
        number, _, edge = path.partition("/")
        audience = self.audiences.get(number)
        if audience is None:
            return error(100, 33)
        if edge == "users" and method in ("POST", "DELETE"):
            return self._change(audience, method, parameters)
        if edge == "sessions" and method == "GET":
            noted = audience.sessions.get(str(parameters["session_id"]))
            return Told(document={"data": [noted] if noted else []})
        if not edge and method == "GET":
            wanted = parameters["fields"].split(",")
            return Told(document={name: value for name, value in self._facts(audience).items() if name in wanted})
        return error(100)

    def _facts(self, audience: Audience) -> dict[str, Any]:
        count = len(audience.listed)
        counts = {"approximate_count_lower_bound": count, "approximate_count_upper_bound": count + 100}
        status = {"operation_status": {"code": 200, "description": "Normal"}, "delivery_status": {"code": 200}}
        return {"id": audience.number, **counts, **status, **audience.fields}

    def _list(self, parameters: dict[str, Any]) -> Told:
        start = int(str(parameters.get("after", "0")))
        numbers = list(self.audiences)
        page = [
            {"id": number, "description": self.audiences[number].fields["description"]}
            for number in numbers[start : start + self.per_page]
        ]
        end = start + self.per_page
        paging = {"cursors": {"after": str(end)}, **({"next": "https://…"} if end < len(numbers) else {})}
        return Told(document={"data": page, "paging": paging})

    def _make(self, parameters: dict[str, Any]) -> Told:
        needed = {"name", "subtype", "description", "customer_file_source"}
        if not needed <= set(parameters) or parameters["subtype"] != "CUSTOM":
            return error(2654)
        number = str(23_850_000_000_000_000 + len(self.audiences))
        self.audiences[number] = Audience(number, {name: parameters[name] for name in needed})
        return Told(document={"id": number})

    def _change(self, audience: Audience, method: str, parameters: dict[str, Any]) -> Told:
        session, payload = parameters["session"], parameters["payload"]
        rows = payload["data"]
        identifiers = tuple(_identifier(payload["schema"], row) for row in rows)
        if len(rows) > 10_000 or session["estimated_num_total"] != len(rows) or None in identifiers:
            return error(100)
        if session["batch_seq"] != 1 or session["last_batch_flag"] is not True:
            return error(100)
        if self.is_faulty and self.refuses & set(identifiers) and self.chance.random() < 0.3:
            return error(100)
        taken = [each for each in identifiers if each and each not in self.refuses]
        if self.is_faulty and self.chance.random() < 0.1:
            taken.pop()
        invalid = len(rows) - len(taken)
        at = self.minute + (self.chance.randrange(SLOWEST) if self.is_faulty else 0)
        audience.waiting.append((at, method, tuple(taken)))
        is_late = invalid > 0 and self.chance.random() < 0.5
        number = str(session["session_id"])
        audience.sessions[number] = {"session_id": number, "num_invalid_entries": str(invalid), "stage": "uploading"}
        said = {"audience_id": audience.number, "session_id": number, "num_received": len(rows)}
        said["num_invalid_entries"] = 0 if is_late else invalid
        said["invalid_entry_samples"] = {str(place): "a sample" for place in range(invalid)}
        return Told(document=said)

    def _take_events(self, events: list[dict[str, Any]]) -> Told:
        now = self.now.timestamp()
        for each in events:
            oldest = 62 if each.get("action_source") == "physical_store" else 7
            user = each.get("user_data", {})
            if not each.get("event_name") or not user or now - each["event_time"] > oldest * 86_400:
                return error(100, 2804003)
            if each["event_time"] > now or len(events) > 1_000 or "action_source" not in each:
                return error(100, 2804003)
        for each in events:
            key = (each["event_name"], each["event_id"])
            since = self.minute - self.recognises // MINUTE
            if not any(of == key and at >= since for at, of in self.counted):
                self.counted.append((self.minute, key))
                self.events.setdefault(key, each)
        return Told(document={"events_received": len(events), "messages": [], "fbtrace_id": "AbC"})

    def tick(self, minutes: int = 1) -> None:
        """Let minutes pass."""
        for _ in range(minutes):
            self.minute += 1
            for audience in self.audiences.values():
                due = [each for each in audience.waiting if each[0] < self.minute]
                audience.waiting = [each for each in audience.waiting if each[0] >= self.minute]
                self.chance.shuffle(due)
                for _, method, identifiers in due:
                    for each in identifiers:
                        if method == "POST":
                            audience.listed[each] = self.minute
                        else:
                            audience.listed.pop(each, None)


def _decoded(value: str) -> Any:
    return json.loads(value) if value[:1] in ("{", "[") else value


def _identifier(schema: list[str], row: list[str]) -> Identifier | None:
    """Return what a row holds; None: not one whole identifier, hashed."""
    filled = {column: value for column, value in zip(schema, row, strict=True) if value}
    if not all(re.fullmatch("[0-9a-f]{64}", value) for value in filled.values()):
        return None
    if set(filled) == set(_ADDRESS):
        return Identifier("address", Address(*(filled[column] for column in _ADDRESS)).identifier)
    ((column, value),) = filled.items() if len(filled) == 1 else (("", ""),)
    return Identifier(_KINDS[column], value) if column in _KINDS else None


class MetaServer:
    """A server for many tests: each puts a model of its own behind it."""

    def __init__(self, model: MetaModel, address: str) -> None:
        self.model = model
        self.address = address
        self.addresses: list[str] = []
        """The lines that requests began with, as logs of servers have them."""


@contextmanager
def serving() -> Iterator[MetaServer]:
    """Serve on loopback."""

    def tell(asked: Asked) -> Told:
        server.addresses.append(asked.line)
        target = urlsplit(asked.target)
        form = target.query if asked.method == "GET" else asked.body.decode()
        if asked.method != "GET" and target.query:
            return error(100)
        if asked.headers["authorization"] != f"Bearer {TOKEN}":
            return error(190)
        parameters = dict(parse_qsl(form, strict_parsing=True, keep_blank_values=True))
        if parameters.pop("appsecret_proof", "") != PROOF:
            return error(104)
        version, _, rest = target.path.removeprefix("/").partition("/")
        return server.model.call(asked.method, rest, parameters) if version == "v26.0" else error(2635)

    with answering(tell) as address:
        server = MetaServer(MetaModel(), address)
        yield server
