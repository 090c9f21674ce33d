"""Google's Data Manager API on loopback, by gRPC and by REST over one state: slow, out of order, busy, forgetful.

It takes and checks requests as the API's reference says, answers what it documents (asynchronous states, quotas,
details of errors), has a clock of its own, and breaks calls on demand or by chance. It says nothing about Google's own
validation.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
from google.ads import datamanager_v1 as api
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SLOWEST = 4
"""So many minutes after it was accepted, a request has taken effect at the latest."""
REMEMBERS = timedelta(days=50)
_CODES = {
    400: ("INVALID_ARGUMENT", grpc.StatusCode.INVALID_ARGUMENT),
    401: ("UNAUTHENTICATED", grpc.StatusCode.UNAUTHENTICATED),
    403: ("PERMISSION_DENIED", grpc.StatusCode.PERMISSION_DENIED),
    404: ("NOT_FOUND", grpc.StatusCode.NOT_FOUND),
    409: ("ALREADY_EXISTS", grpc.StatusCode.ALREADY_EXISTS),
    429: ("RESOURCE_EXHAUSTED", grpc.StatusCode.RESOURCE_EXHAUSTED),
    500: ("INTERNAL", grpc.StatusCode.INTERNAL),
    503: ("UNAVAILABLE", grpc.StatusCode.UNAVAILABLE),
    504: ("DEADLINE_EXCEEDED", grpc.StatusCode.DEADLINE_EXCEEDED),
}
_HEX = re.compile("[0-9a-f]{64}")
_WRITES = ("IngestAudienceMembers", "RemoveAudienceMembers", "RemoveAllAudienceMembers", "IngestEvents")

Key = tuple[str, str]
"""An identifier: `email`, `phone` or `mobile_id` and its text; `address` and its parts with tabs between."""


@dataclass(frozen=True)
class Refuse:
    """The call is answered with an error, and takes no effect."""

    status: int
    reason: str = ""
    violations: tuple[tuple[str, str], ...] = ()
    retry_after: float | None = None
    message: str = "broken on purpose"


@dataclass(frozen=True)
class HangUp:
    """The connection breaks, before or after the call took effect."""

    is_done: bool = False


@dataclass(frozen=True)
class Fail:
    """A server error is answered, though the call takes effect."""

    status: int = 503


@dataclass(frozen=True)
class Slow:
    """The answer comes so late."""

    seconds: float


@dataclass(frozen=True)
class HtmlPage:
    """REST only: something in between answers with a page of its own."""

    status: int = 200


Fault = Refuse | HangUp | Fail | Slow | HtmlPage


class _RefusedError(Exception):
    def __init__(self, refuse: Refuse) -> None:
        super().__init__(refuse.reason)
        self.refuse = refuse


@dataclass
class AudienceModel:
    """A user list: what Google keeps of it, and when each member was last added."""

    user_list: api.UserList
    members: dict[Key, datetime] = field(default_factory=dict)


@dataclass
class AcceptedRequest:
    """A request that was accepted: when it takes effect, what then happens, and what became of it."""

    accepted_at: datetime
    due_at: datetime
    apply: Callable[[], list[api.RequestStatusPerDestination]]
    receivers: list[api.Destination]
    statuses: list[api.RequestStatusPerDestination] | None = None


@dataclass
class SentEvent:
    """An event that took effect at a receiver."""

    receiver: api.Destination
    event: api.Event
    at: datetime


@dataclass
class DataManagerModel:
    """All state behind the server.

    Attributes:
        chance: Says when something goes wrong, and how long requests take.
        is_faulty: Whether anything goes wrong by chance.
        slowest: After so many minutes at most a request takes effect; 0: at once.
        account: The account whose lists are kept here; others are refused.
        lists: Lists by number.
        events: Events that took effect, in their order.
        conversions: For each receiver and transaction id the last event; one that says nothing new is rejected.
        writes_per_minute: The quota for requests that change something; None: any number.
        bad: Identifiers that are refused.
        faults: What the next calls meet, one each.
        scripted: What the next calls of a method meet; None: nothing.
        calls: The methods that were called.
        requests: Requests that were not refused by `faults`.
        metadata: Headers of the last call, in small letters.
        terms_signed: Whether the account has the terms of Customer Match.
        filters: Whether lists are filtered by what was asked for.
    """

    chance: random.Random = field(default_factory=lambda: random.Random(0))
    is_faulty: bool = False
    slowest: int = 0
    account: str = "1234567890"
    now: datetime = START
    lists: dict[str, AudienceModel] = field(default_factory=dict)
    events: list[SentEvent] = field(default_factory=list)
    conversions: dict[tuple[str, str], api.Event] = field(default_factory=dict)
    writes_per_minute: int | None = None
    bad: set[Key] = field(default_factory=set)
    faults: deque[Fault | None] = field(default_factory=deque)
    scripted: dict[str, deque[Fault | None]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    accepted: dict[str, AcceptedRequest] = field(default_factory=dict)
    terms_signed: bool = True
    filters: bool = True
    _numbers: int = 1000
    _written: deque[datetime] = field(default_factory=deque)

    # What tests look at

    def members(self, integration_code: str) -> set[Key]:
        """Return who is on the list with a code; nobody where there is none."""
        found = [each for each in self.lists.values() if each.user_list.integration_code == integration_code]
        return set(found[0].members) if found else set()

    def add_list(self, integration_code: str, name: str = "a list", **fields: Any) -> AudienceModel:
        """Keep a list that somebody made before."""
        return self._kept(api.UserList(display_name=name, integration_code=integration_code, **fields))

    def tick(self, minutes: int = 1) -> None:
        """Let time pass; what is due takes effect, in no order."""
        for _ in range(minutes):
            self.now += MINUTE
            self.settle(self.now)
        for each in self.lists.values():
            keeps = each.user_list.membership_duration or timedelta(days=540)
            each.members = {key: at for key, at in each.members.items() if self.now - at < keeps}

    def settle(self, until: datetime | None = None) -> None:
        """Let requests take effect that are due at a time; without one, all."""
        due = [
            each for each in self.accepted.values() if each.statuses is None and (until is None or each.due_at <= until)
        ]
        self.chance.shuffle(due)
        for each in due:
            each.statuses = each.apply()

    # Calls

    def answer(self, method: str, request: Any, metadata: Mapping[str, str]) -> tuple[Any, Fault | None]:
        """Answer a call: what it gives, and what becomes of the answer on its way."""
        self.calls.append(method)
        self.metadata = dict(metadata)
        fault = self._fault(method)
        if isinstance(fault, Refuse):
            raise _RefusedError(fault)
        if fault == HangUp() or isinstance(fault, HtmlPage):
            return None, fault
        self.requests.append(request)
        if method in _WRITES:
            self._take_quota()
        return getattr(self, f"_{re.sub('(?<!^)(?=[A-Z])', '_', method).lower()}")(request), fault

    def _fault(self, method: str) -> Fault | None:
        for queue in (self.scripted.get(method), self.faults):
            if queue:
                return queue.popleft()
        if not self.is_faulty:
            return None
        dice = self.chance.random()
        for limit, fault in _BY_CHANCE.items():
            if dice < limit:
                return fault
        return None

    def _take_quota(self) -> None:
        if self.writes_per_minute is None:
            return
        while self._written and self.now - self._written[0] >= MINUTE:
            self._written.popleft()
        if len(self._written) >= self.writes_per_minute:
            raise _RefusedError(Refuse(429, "RESOURCE_EXHAUSTED", retry_after=60.0))
        self._written.append(self.now)

    def _ingest_audience_members(self, request: Any) -> Any:
        terms = request.terms_of_service.customer_match_terms_of_service_status
        if terms != api.TermsOfServiceStatus.ACCEPTED or not self.terms_signed:
            raise _RefusedError(Refuse(400, "TERMS_AND_CONDITIONS_NOT_SIGNED"))
        members, lists = self._checked(request)
        for member in request.audience_members:
            consent = member.consent if "consent" in member else request.consent
            granted = api.ConsentStatus.CONSENT_GRANTED
            assert consent.ad_user_data == consent.ad_personalization == granted, "sent without consent"

        def apply() -> list[api.RequestStatusPerDestination]:
            taken, rejected = self._some(members)
            for each in lists:
                each.members.update(dict.fromkeys((key for keys in taken for key in keys), self.now))
            return [
                self._status(
                    each,
                    len(members),
                    rejected,
                    audience_members_ingestion_status=api.RequestStatusPerDestination.IngestAudienceMembersStatus(
                        user_data_ingestion_status=api.RequestStatusPerDestination.IngestUserDataStatus(
                            record_count=len(members),
                            user_identifier_count=sum(map(len, members)),
                            upload_match_rate_range="MATCH_RATE_RANGE_51_TO_60",
                        )
                    ),
                )
                for each in request.destinations
            ]

        return api.IngestAudienceMembersResponse(request_id=self._accept(request, apply))

    def _remove_audience_members(self, request: Any) -> Any:
        members, lists = self._checked(request)

        def apply() -> list[api.RequestStatusPerDestination]:
            taken, rejected = self._some(members)
            for each in lists:
                for key in (key for keys in taken for key in keys):
                    each.members.pop(key, None)
            return [self._status(each, len(members), rejected) for each in request.destinations]

        return api.RemoveAudienceMembersResponse(request_id=self._accept(request, apply))

    def _remove_all_audience_members(self, request: Any) -> Any:
        lists = [self._list_of(each) for each in request.destinations]
        before = self.now
        if "remove_as_of_time" in request:
            before = datetime.fromtimestamp(request.remove_as_of_time.timestamp(), tz=UTC)
        if before > self.now:
            raise _RefusedError(Refuse(400, "INVALID_REMOVE_AS_OF_TIME"))

        def apply() -> list[api.RequestStatusPerDestination]:
            for each in lists:
                each.members = {key: at for key, at in each.members.items() if at >= before}
            return [self._status(each, 0, 0) for each in request.destinations]

        return api.RemoveAllAudienceMembersResponse(request_id=self._accept(request, apply))

    def _ingest_events(self, request: Any) -> Any:
        if not 0 < len(request.events) <= 2000:
            raise _RefusedError(Refuse(400, "TOO_MANY_EVENTS" if request.events else "REQUIRED_FIELD_MISSING"))
        self._check_receivers(request.destinations)
        violations = [
            (f"events.{place}.{path}", reason)
            for place, event in enumerate(request.events)
            for path, reason in self._faulty_event(event)
        ]
        if violations:
            raise _RefusedError(Refuse(400, "INVALID_ARGUMENT", tuple(violations)))
        events = list(request.events)

        def apply() -> list[api.RequestStatusPerDestination]:
            taken, lost = self._some(events)
            statuses = []
            for receiver in request.destinations:
                doubled = sum(not self._counted(receiver, event) for event in taken)
                done = api.RequestStatusPerDestination.IngestEventsStatus(record_count=len(events))
                statuses.append(self._status(receiver, len(events), lost, doubled, events_ingestion_status=done))
            return statuses

        return api.IngestEventsResponse(request_id=self._accept(request, apply))

    def _counted(self, receiver: api.Destination, event: api.Event) -> bool:
        """Count an event; one with the transaction id of another restates it, or says nothing new."""
        if event.transaction_id:
            key = (receiver.product_destination_id, event.transaction_id)
            known = self.conversions.setdefault(key, event)
            if known is not event:
                is_new = (known.conversion_value, known.currency) != (event.conversion_value, event.currency)
                self.conversions[key] = event
                return is_new
        self.events.append(SentEvent(receiver, event, self.now))
        return True

    def _faulty_event(self, event: api.Event) -> Iterator[tuple[str, str]]:
        if "event_timestamp" not in event:
            yield "event_timestamp", "REQUIRED_FIELD_MISSING"
        if event.client_id and event.app_instance_id:
            yield "client_id", "BOTH_CLIENT_ID_AND_APP_INSTANCE_ID_NOT_ALLOWED"
        for place, one in enumerate(event.user_data.user_identifiers):
            if reason := _wrong(one):
                yield f"user_data.user_identifiers.{place}", reason

    def _retrieve_request_status(self, request: Any) -> Any:
        found = self.accepted.get(request.request_id)
        if found is None:
            raise _RefusedError(Refuse(400, "INVALID_REQUEST_ID"))
        if self.now - found.accepted_at > REMEMBERS:
            raise _RefusedError(Refuse(400, "REQUEST_TOO_OLD"))
        statuses = found.statuses or [
            api.RequestStatusPerDestination(destination=each, request_status="PROCESSING") for each in found.receivers
        ]
        return api.RetrieveRequestStatusResponse(request_status_per_destination=statuses)

    def _list_user_lists(self, request: Any) -> Any:
        self._check_account(request.parent)
        wanted = re.fullmatch(r'integration_code = "([^"]*)"', request.filter)
        if request.filter and wanted is None:
            raise _RefusedError(Refuse(400, "INVALID_FILTER"))
        found = [
            self._shown(each)
            for each in self.lists.values()
            if wanted is None or not self.filters or each.user_list.integration_code == wanted[1]
        ]
        size = min(request.page_size or 50, 1000)
        start = int(request.page_token or 0)
        more = str(start + size) if start + size < len(found) else ""
        return api.ListUserListsResponse(user_lists=found[start : start + size], next_page_token=more)

    def _get_user_list(self, request: Any) -> Any:
        parent, _, number = request.name.partition("/userLists/")
        self._check_account(parent)
        if number not in self.lists:
            raise _RefusedError(Refuse(404, "NOT_FOUND"))
        return self._shown(self.lists[number])

    def _create_user_list(self, request: Any) -> Any:
        self._check_account(request.parent)
        seconds = request.user_list.membership_duration.total_seconds()
        if seconds % 86400:
            raise _RefusedError(Refuse(400, "INVALID_ARGUMENT", (("user_list.membership_duration", "INVALID_FORMAT"),)))
        if seconds > 540 * 86400:
            raise _RefusedError(Refuse(400, "MEMBERSHIP_DURATION_TOO_LONG"))
        if request.user_list.display_name in {each.user_list.display_name for each in self.lists.values()}:
            raise _RefusedError(Refuse(400, "DISPLAY_NAME_ALREADY_USED"))
        if request.validate_only:
            return api.UserList()
        return self._shown(self._kept(request.user_list))

    # Parts of it

    def _kept(self, given: api.UserList) -> AudienceModel:
        self._numbers += 1
        kept = api.UserList(given)
        kept.id = self._numbers
        kept.name = f"accountTypes/GOOGLE_ADS/accounts/{self.account}/userLists/{self._numbers}"
        if not kept.membership_status:
            kept.membership_status = api.UserList.MembershipStatus.OPEN
        self.lists[str(self._numbers)] = AudienceModel(kept)
        return self.lists[str(self._numbers)]

    def _shown(self, model: AudienceModel) -> api.UserList:
        shown = api.UserList(model.user_list)
        size = len(model.members)
        shown.size_info = api.SizeInfo(
            display_network_members_count=size, search_network_members_count=size // 2, youtube_members_count=size
        )
        if size:
            shown.ingested_user_list_info.contact_id_info.match_rate_percentage = 56
        return shown

    def _check_account(self, name: str) -> None:
        if name != f"accountTypes/GOOGLE_ADS/accounts/{self.account}":
            raise _RefusedError(Refuse(403, "PERMISSION_DENIED"))

    def _check_receivers(self, receivers: Any) -> None:
        if not 0 < len(receivers) <= 10:
            raise _RefusedError(Refuse(400, "TOO_MANY_DESTINATIONS" if receivers else "REQUIRED_FIELD_MISSING"))
        if any(not each.operating_account.account_type for each in receivers):
            raise _RefusedError(Refuse(400, "INVALID_DESTINATION"))

    def _list_of(self, receiver: api.Destination) -> AudienceModel:
        if receiver.operating_account.account_id != self.account:
            raise _RefusedError(Refuse(403, "PERMISSION_DENIED"))
        found = self.lists.get(receiver.product_destination_id)
        if found is None:
            raise _RefusedError(Refuse(400, "INVALID_USER_LIST_ID"))
        return found

    def _checked(self, request: Any) -> tuple[list[list[Key]], list[AudienceModel]]:
        """Check what ingest and remove have in common; return the identifiers of each member, and the lists."""
        self._check_receivers(request.destinations)
        lists = [self._list_of(each) for each in request.destinations]
        if len(request.audience_members) > 10_000:
            raise _RefusedError(Refuse(400, "TOO_MANY_AUDIENCE_MEMBERS"))
        if not request.audience_members or not request.encoding:
            raise _RefusedError(Refuse(400, "REQUIRED_FIELD_MISSING"))
        raw = [api.AudienceMember.pb(each) for each in request.audience_members]
        if len({each.WhichOneof("data") for each in raw}) > 1:
            raise _RefusedError(Refuse(400, "MULTIPLE_DATA_TYPES_NOT_ALLOWED"))
        violations: list[tuple[str, str]] = []
        members: list[list[Key]] = []
        for place, member in enumerate(raw):
            keys = [*map(_key, member.user_data.user_identifiers)]
            keys += [("mobile_id", each) for each in member.mobile_data.mobile_ids]
            path = f"audience_members.{place}.user_data.user_identifiers"
            if not 0 < len(keys) <= 10:
                violations.append((path, "TOO_MANY_USER_IDENTIFIERS" if keys else "REQUIRED_FIELD_MISSING"))
            for at, one in enumerate(member.user_data.user_identifiers):
                reason = _wrong(one) or ("INVALID_SHA256_FORMAT" if keys[at] in self.bad else None)
                if reason:
                    violations.append((f"{path}.{at}", reason))
            members.append(keys)
        if violations:
            says_where = not self.is_faulty or self.chance.random() < 0.7
            raise _RefusedError(Refuse(400, "INVALID_ARGUMENT", tuple(violations) if says_where else ()))
        return members, lists

    def _accept(self, request: Any, apply: Callable[[], list[api.RequestStatusPerDestination]]) -> str:
        """Accept a request that is sound; what is only to be checked gets no id."""
        if request.validate_only:
            return ""
        request_id = f"req-{len(self.accepted)}"
        delay = self.chance.randrange(self.slowest) * MINUTE if self.slowest else timedelta(0)
        accepted = AcceptedRequest(self.now, self.now + delay, apply, list(request.destinations))
        self.accepted[request_id] = accepted
        if not self.slowest:
            accepted.statuses = apply()
        return request_id

    def _some(self, records: list[Any]) -> tuple[list[Any], int]:
        """Lose some records by chance; return those that take effect, and how many were lost."""
        if not self.is_faulty or self.chance.random() >= 0.15:
            return records, 0
        taken = [each for each in records if self.chance.random() < 0.6]
        return taken, len(records) - len(taken)

    def _status(
        self, receiver: api.Destination, records: int, lost: int, doubled: int = 0, **more: Any
    ) -> api.RequestStatusPerDestination:
        rejected = lost + doubled
        state = "SUCCESS" if not rejected else "PARTIAL_SUCCESS" if rejected < records else "FAILED"
        said = api.RequestStatusPerDestination(destination=receiver, request_status=state, **more)
        # How many, and why, is not always told.
        if rejected and not (self.is_faulty and self.chance.random() < 0.5):
            counts = {"INVALID_FORMAT": lost, "DUPLICATE_TRANSACTION_ID": doubled}
            said.error_info = api.ErrorInfo(
                error_counts=[
                    api.ErrorCount(record_count=count, reason=f"PROCESSING_ERROR_REASON_{name}")
                    for name, count in counts.items()
                    if count
                ]
            )
        return said


_BY_CHANCE: dict[float, Fault] = {
    0.05: HangUp(),
    0.11: HangUp(is_done=True),
    0.14: Fail(503),
    0.16: Fail(500),
    0.18: Fail(504),
    0.21: Refuse(503),
    0.24: Refuse(429, "RESOURCE_EXHAUSTED", retry_after=0.0),
    0.25: Refuse(403, "PERMISSION_DENIED"),
    0.26: Refuse(400, "INVALID_USER_LIST_ID"),
}
"""What calls meet by chance."""


def _key(one: Any) -> Key:
    kind = one.WhichOneof("identifier")
    if kind == "address":
        parts = (one.address.given_name, one.address.family_name, one.address.region_code, one.address.postal_code)
        return "address", "\t".join(parts)
    return {"email_address": "email", "phone_number": "phone"}[kind], getattr(one, kind)


def _wrong(one: Any) -> str | None:
    """Return what is wrong with an identifier, in the API's words."""
    raw = api.UserIdentifier.pb(one) if isinstance(one, api.UserIdentifier) else one
    kind = raw.WhichOneof("identifier")
    if kind is None:
        return "REQUIRED_FIELD_MISSING"
    if kind != "address":
        return None if _HEX.fullmatch(getattr(raw, kind)) else "INVALID_HEX_ENCODING"
    if not all(map(_HEX.fullmatch, (raw.address.given_name, raw.address.family_name))):
        return "INVALID_HEX_ENCODING"
    if not re.fullmatch("[A-Z]{2}", raw.address.region_code):
        return "INVALID_REGION_CODE"
    return None if raw.address.postal_code else "INVALID_POSTAL_CODE"


# The server

_SERVICES: dict[str, dict[str, tuple[Any, Any]]] = {
    "IngestionService": {
        "IngestAudienceMembers": (api.IngestAudienceMembersRequest, api.IngestAudienceMembersResponse),
        "RemoveAudienceMembers": (api.RemoveAudienceMembersRequest, api.RemoveAudienceMembersResponse),
        "RemoveAllAudienceMembers": (api.RemoveAllAudienceMembersRequest, api.RemoveAllAudienceMembersResponse),
        "IngestEvents": (api.IngestEventsRequest, api.IngestEventsResponse),
        "RetrieveRequestStatus": (api.RetrieveRequestStatusRequest, api.RetrieveRequestStatusResponse),
    },
    "UserListService": {
        "ListUserLists": (api.ListUserListsRequest, api.ListUserListsResponse),
        "GetUserList": (api.GetUserListRequest, api.UserList),
        "CreateUserList": (api.CreateUserListRequest, api.UserList),
    },
}
_REQUESTS = {method: types[0] for service in _SERVICES.values() for method, types in service.items()}
_PATHS = {
    "audienceMembers:ingest": "IngestAudienceMembers",
    "audienceMembers:remove": "RemoveAudienceMembers",
    "audienceMembers:removeAll": "RemoveAllAudienceMembers",
    "events:ingest": "IngestEvents",
}


class DataManagerServer:
    """`rest` and `grpc` are its addresses; `model` may be replaced at any time."""

    def __init__(self, model: DataManagerModel | None = None) -> None:
        self.model = model or DataManagerModel()
        self.token: str | None = None
        """What the token endpoint gives out, and a call over REST must carry."""
        self.lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.data_manager = self
        self.rest = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        limit = [("grpc.max_receive_message_length", 64 * 2**20)]
        self._grpc = grpc.server(ThreadPoolExecutor(4), options=limit)
        for service, methods in _SERVICES.items():
            handlers = {
                method: grpc.unary_unary_rpc_method_handler(
                    self._over_grpc(method), given.deserialize, returned.serialize
                )
                for method, (given, returned) in methods.items()
            }
            name = f"google.ads.datamanager.v1.{service}"
            self._grpc.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, handlers)])
        self.grpc = f"http://127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> DataManagerServer:
        self._thread.start()
        self._grpc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._grpc.stop(None).wait()

    def url(self, transport: str) -> str:
        return self.grpc if transport == "grpc" else self.rest

    def _over_grpc(self, method: str) -> Callable[[Any, grpc.ServicerContext], Any]:
        def called(request: Any, context: grpc.ServicerContext) -> Any:
            metadata = {each.key: str(each.value) for each in context.invocation_metadata()}
            try:
                with self.lock:
                    answer, fault = self.model.answer(method, request, metadata)
            except _RefusedError as error:
                _abort(context, error.refuse)
            match fault:
                case HangUp() | HtmlPage():
                    context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
                case Fail(status=status):
                    _abort(context, Refuse(status))
                case Slow(seconds=seconds):
                    time.sleep(seconds)
            return answer

        return called


@contextmanager
def serving(model: DataManagerModel | None = None) -> Iterator[DataManagerServer]:
    """Serve on loopback."""
    with DataManagerServer(model) as server:
        yield server


def _abort(context: grpc.ServicerContext, refuse: Refuse) -> None:
    details = []
    messages: list[Any] = []
    if refuse.reason:
        messages.append(error_details_pb2.ErrorInfo(reason=refuse.reason, domain="datamanager.googleapis.com"))
    if refuse.violations:
        violation = error_details_pb2.BadRequest.FieldViolation
        named = [violation(field=path, reason=reason, description="it is so") for path, reason in refuse.violations]
        messages.append(error_details_pb2.BadRequest(field_violations=named))
    if refuse.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromTimedelta(timedelta(seconds=refuse.retry_after))
        messages.append(error_details_pb2.RetryInfo(retry_delay=delay))
    for message in messages:
        packed = any_pb2.Any()
        packed.Pack(message)
        details.append(packed)
    code = _CODES[refuse.status][1].value[0]
    context.abort_with_status(
        rpc_status.to_status(status_pb2.Status(code=code, message=refuse.message, details=details))
    )


class _Server(ThreadingHTTPServer):
    data_manager: DataManagerServer
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that break: here they do on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items() if not name.startswith("$")}
        path = parts.path.removeprefix("/v1/")
        if path == "requestStatus:retrieve":
            self._call("RetrieveRequestStatus", query)
        elif path.endswith("/userLists"):
            self._call("ListUserLists", {**query, "parent": path.removesuffix("/userLists")})
        else:
            self._call("GetUserList", {**query, "name": path})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        if parts.path == "/token":
            token = self.server.data_manager.token
            answer = {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}
            self._send(*((200, answer) if token else (400, {"error": "invalid_grant"})))
            return
        path = parts.path.removeprefix("/v1/")
        if path.endswith("/userLists"):
            only = parse_qs(parts.query).get("validateOnly") == ["true"]
            document = {"parent": path.removesuffix("/userLists"), "userList": json.loads(body), "validateOnly": only}
            self._call("CreateUserList", document)
        else:
            self._call(_PATHS[path], json.loads(body))

    def _call(self, method: str, document: Mapping[str, Any]) -> None:
        server = self.server.data_manager
        if server.token is not None and self.headers.get("Authorization") != f"Bearer {server.token}":
            self._refuse(Refuse(401, message="Request had invalid authentication credentials."))
            return
        request = _REQUESTS[method].from_json(json.dumps(document))
        metadata = {name.lower(): value for name, value in self.headers.items()}
        try:
            with server.lock:
                answer, fault = server.model.answer(method, request, metadata)
        except _RefusedError as error:
            self._refuse(error.refuse)
            return
        match fault:
            case HangUp():
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            case Fail(status=status):
                self._refuse(Refuse(status))
                return
            case HtmlPage(status=status):
                self._send(status, None)
                return
            case Slow(seconds=seconds):
                time.sleep(seconds)
        self._send(200, json.loads(type(answer).to_json(answer, always_print_fields_with_no_presence=False)))

    def _refuse(self, refuse: Refuse) -> None:
        details: list[dict[str, Any]] = []
        kind = "type.googleapis.com/google.rpc."
        if refuse.reason:
            info = {"@type": f"{kind}ErrorInfo", "reason": refuse.reason, "domain": "datamanager.googleapis.com"}
            details.append(info)
        if refuse.violations:
            named = [{"field": path, "reason": reason, "description": "it is so"} for path, reason in refuse.violations]
            details.append({"@type": f"{kind}BadRequest", "fieldViolations": named})
        if refuse.retry_after is not None:
            details.append({"@type": f"{kind}RetryInfo", "retryDelay": f"{refuse.retry_after:g}s"})
        name = _CODES[refuse.status][0]
        error = {"code": refuse.status, "status": name, "message": refuse.message, "details": details}
        self._send(refuse.status, {"error": error})

    def _send(self, status: int, document: Mapping[str, Any] | None) -> None:
        content = b"<html>sign in</html>" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if document is None else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name of the method it replaces
        """Log nothing."""
