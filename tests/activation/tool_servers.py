"""E-mail and CRM tools on loopback, as far as their makers document what our payloads ask of them.

Each checks its key, limits and shapes, and answers with its own error bodies. That proves what we send and how answers
are read; it says nothing about a tool's own validation.
"""

from __future__ import annotations

import base64
import json
import random
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from loopback import Asked, Told, answering
from microconv.activation.push.audience_list import Identifier

KEY = "key-of-the-tool"
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[a-z]+")


@dataclass
class Tool(ABC):
    """A tool: profiles with properties, by address or id. A subclass knows its paths."""

    chance: random.Random = field(default_factory=lambda: random.Random(0))
    is_faulty: bool = False
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    scripted: list[Told] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    url: ClassVar[str] = ""
    busy: ClassVar[Told] = Told(429)

    def told(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Told:
        """Answer a request."""
        document = json.loads(body) if body else None
        self.requests.append((method, path, headers, document))
        if self.scripted:
            return self.scripted.pop(0)
        if not self.is_ours(headers):
            return self.stranger()
        fault = self.chance.random() if self.is_faulty else 1.0
        if fault < 0.08:
            return self.busy
        if fault < 0.12:
            return self.chance.choice([Told(500), Told(503), Told(hangs_up=True), Told(502)])
        answer = self.get(path) if method == "GET" else self.post(path, headers, document, len(body))
        # The answer is lost, and it took effect.
        return self.chance.choice([Told(hangs_up=True), Told(504)]) if 0.12 <= fault < 0.2 else answer

    def is_ours(self, headers: dict[str, str]) -> bool:
        return headers.get("authorization") == f"Bearer {KEY}"

    def stranger(self) -> Told:
        return Told(401)

    @abstractmethod
    def get(self, path: str) -> Told:
        """Answer a GET."""

    @abstractmethod
    def post(self, path: str, headers: dict[str, str], document: Any, size: int) -> Told:
        """Answer any other request."""

    def tick(self) -> None:  # noqa: B027 - most tools have nothing under work
        """Let time pass: what is worked on is done."""

    def listed(self, segment: str) -> set[Identifier]:
        """Who is in a segment by the property that the tool has of people."""
        name = f"microconv_{segment.replace('-', '_')}"
        return {
            Identifier("email" if "@" in key else "user_id", key)
            for key, properties in self.profiles.items()
            if properties.get(name) in (True, "true")
        }


@dataclass
class Klaviyo(Tool):
    """https://developers.klaviyo.com/en/reference/bulk_import_profiles: jobs, of which only counts are told."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    waiting: list[tuple[str, list[dict[str, Any]]]] = field(default_factory=list)
    busy: ClassVar[Told] = Told(429, {"errors": [{"code": "throttled"}]}, {"Retry-After": "0"})

    def is_ours(self, headers: dict[str, str]) -> bool:
        return headers.get("authorization") == f"Klaviyo-API-Key {KEY}"

    def get(self, path: str) -> Told:
        place, _, query = path.partition("?")
        if place == "/api/profile-bulk-import-jobs":
            return Told(200, {"data": []}) if query == "page%5Bsize%5D=1" else Told(400)
        found = self.jobs.get(place.removeprefix("/api/profile-bulk-import-jobs/"))
        return Told(404, {"errors": [{"code": "not_found"}]}) if found is None else Told(200, {"data": found})

    def post(self, path: str, headers: dict[str, str], document: Any, size: int) -> Told:
        data = document["data"]
        profiles = data["attributes"]["profiles"]["data"]
        if path != "/api/profile-bulk-import-jobs" or data["type"] != "profile-bulk-import-job":
            return Told(404)
        if not re.fullmatch(r"20\d\d-\d\d-\d\d", headers.get("revision", "")):
            return self._refused("/data", "invalid revision")
        if size > 5_000_000 or len(profiles) > 10_000:
            return Told(413, {"errors": [{"code": "payload_too_large"}]})
        for place, each in enumerate(profiles):
            if each["type"] != "profile" or not isinstance(each["attributes"].get("email"), str):
                return self._refused(f"/data/attributes/profiles/data/{place}/attributes/email", "email is required")
        job = f"job{len(self.jobs)}"
        self.jobs[job] = {"type": "profile-bulk-import-job", "id": job, "attributes": {"status": "queued"}}
        self.waiting.append((job, profiles))
        return Told(202, {"data": self.jobs[job]})

    def _refused(self, pointer: str, detail: str) -> Told:
        return Told(400, {"errors": [{"code": "invalid", "detail": detail, "source": {"pointer": pointer}}]})

    def tick(self) -> None:
        for job, profiles in self.waiting:
            failed = 0
            for each in profiles:
                email = each["attributes"]["email"]
                if _ADDRESS.fullmatch(email):
                    self.profiles.setdefault(email, {}).update(each["attributes"]["properties"])
                else:
                    failed += 1
            counts = {"completed_count": len(profiles) - failed, "failed_count": failed}
            self.jobs[job]["attributes"] = {"status": "complete", "total_count": len(profiles), **counts}
        self.waiting.clear()


@dataclass
class HubSpot(Tool):
    """https://developers.hubspot.com/docs/api-reference/2026-03/crm/objects/contacts/batch/upsert-contacts."""

    properties: set[str] = field(default_factory=set)
    busy: ClassVar[Told] = Told(429, {"status": "error", "policyName": "TEN_SECONDLY_ROLLING"})

    def get(self, path: str) -> Told:
        name = path.removeprefix("/crm/v3/properties/contacts/")
        return Told(200, {"name": name}) if name in self.properties else Told(404, {"status": "error"})

    def post(self, path: str, headers: dict[str, str], document: Any, size: int) -> Told:
        del headers, size
        if path != "/crm/objects/2026-03/contacts/batch/upsert":
            return Told(404)
        inputs = document["inputs"]
        ids = Counter(each["id"] for each in inputs)
        unknown = {name for each in inputs for name in each["properties"]} - self.properties
        if len(inputs) > 100 or max(ids.values()) > 1:
            return Told(400, {"status": "error", "category": "VALIDATION_ERROR", "message": str(inputs[0]["id"])})
        if unknown:
            message = f"Property values were not valid: {sorted(unknown)}"
            return Told(400, {"status": "error", "category": "VALIDATION_ERROR", "message": message})
        if not all(isinstance(value, str) for each in inputs for value in each["properties"].values()):
            return Told(400, {"status": "error", "category": "VALIDATION_ERROR"})
        wrong = [each for each in inputs if each["idProperty"] != "email" or not _ADDRESS.fullmatch(each["id"])]
        for each in inputs:
            if each not in wrong:
                self.profiles.setdefault(each["id"], {}).update(each["properties"])
        if wrong:
            errors = [{"status": "error", "context": {"ids": [each["id"]]}} for each in wrong]
            return Told(207, {"status": "COMPLETE", "numErrors": len(wrong), "errors": errors})
        return Told(200, {"status": "COMPLETE", "results": [{"id": "1", "new": True} for _ in inputs]})


@dataclass
class Braze(Tool):
    """https://www.braze.com/docs/api/endpoints/user_data/post_user_track: users that exist, 75 at once."""

    known: set[str] | None = None
    busy: ClassVar[Told] = Told(429, {"message": "rate limited"}, {"X-RateLimit-Reset": "1"})

    def get(self, path: str) -> Told:
        del path
        return Told(404)

    def post(self, path: str, headers: dict[str, str], document: Any, size: int) -> Told:
        del headers, size
        attributes = document["attributes"]
        if path != "/users/track":
            return Told(404, {"message": "not found"})
        if len(attributes) > 75 or set(document) != {"attributes"}:
            return Told(400, {"message": "The max number of attributes per request was exceeded", "errors": []})
        errors = []
        for place, each in enumerate(attributes):
            key = each.get("external_id") or each.get("email")
            values = {name: value for name, value in each.items() if name not in ("external_id", "email")}
            update_only = values.pop("_update_existing_only", False)
            if not key or any(len(value) > 255 for value in values.values() if isinstance(value, str)):
                errors.append({"type": f"'{key}' is not valid", "input_array": "attributes", "index": place})
            elif not update_only or self.known is None or key in self.known:
                kept = self.profiles.setdefault(key, {})
                kept.update(values)
        said: dict[str, Any] = {"message": "success", "attributes_processed": len(attributes) - len(errors)}
        return Told(201, {**said, **({"errors": errors} if errors else {})})


@dataclass
class Mailchimp(Tool):
    """https://mailchimp.com/developer/marketing/api/list-segments/: static segments of the members of an audience."""

    members: dict[str, set[str]] = field(default_factory=dict)
    audience: set[str] | None = None
    answers: Callable[[dict[str, Any]], dict[str, Any]] = lambda told: told
    """Makes of the answer of a batch another one."""
    url: ClassVar[str] = "/3.0/lists/a1"
    busy: ClassVar[Told] = Told(429, {"title": "Too Many Requests", "status": 429})

    def is_ours(self, headers: dict[str, str]) -> bool:
        given = base64.b64decode(headers.get("authorization", "").removeprefix("Basic ")).decode()
        return given.partition(":")[2] == KEY

    def get(self, path: str) -> Told:
        place, _, query = path.partition("?")
        segment = place.removeprefix(f"{self.url}/segments/")
        if segment not in self.members or query != "fields=id,member_count":
            return Told(404, {"title": "Resource Not Found", "status": 404})
        return Told(200, {"id": segment, "member_count": len(self.members[segment])})

    def post(self, path: str, headers: dict[str, str], document: Any, size: int) -> Told:
        del headers, size
        segment = path.removeprefix(f"{self.url}/segments/")
        added, removed = document.get("members_to_add", []), document.get("members_to_remove", [])
        if segment not in self.members:
            return Told(404, {"title": "Resource Not Found", "status": 404})
        if len(added) > 500 or len(removed) > 500:
            return Told(400, {"title": "Invalid Resource", "detail": "Maximum allowed member items exceeded"})
        known = [each for each in added if self.audience is None or each in self.audience]
        strangers = sorted({*added, *removed} - set(known) - self.members[segment])
        self.members[segment] = (self.members[segment] | set(known)) - set(removed)
        errors = [{"email_addresses": strangers, "error": "not a member"}] if strangers else []
        return Told(200, self.answers({"total_added": len(known), "error_count": len(strangers), "errors": errors}))

    def listed(self, segment: str) -> set[Identifier]:
        return {Identifier("email", each) for each in self.members[segment]}


@contextmanager
def serving_tool(tool: Tool) -> Iterator[str]:
    """Serve a tool on loopback; give the address that goes into `url`."""

    def tell(asked: Asked) -> Told:
        told = tool.told(asked.method, asked.target, asked.headers, asked.body)
        tool.statuses.add(0 if told.hangs_up else told.status)
        return told

    with answering(tell) as address:
        yield f"{address}{tool.url}"
