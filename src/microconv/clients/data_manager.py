"""Google's Data Manager API: audience members, events and user lists, by gRPC or REST.

The one place that calls it. Each call is made once, with a time limit, and never again by the client itself: a request
that may have taken effect is the ledger's to say again. Only what reads is tried again here.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from microconv.clients import data_manager_failures as failures
from microconv.clients.data_manager_failures import SCOPE, BusyError, RequestRefusedError, short
from microconv.clients.outgoing import NoAnswerError, NotSentError
from microconv.errors import needs_extra

if TYPE_CHECKING:
    from google.ads.datamanager_v1 import IngestionServiceClient, UserListServiceClient
    from google.auth.credentials import Credentials

ResultT = TypeVar("ResultT")
IngestState: TypeAlias = Literal["processing", "success", "partial", "failed", "unknown"]

MOST_MEMBERS = 10_000
MOST_EVENTS = 2_000
REQUESTS_PER_MINUTE = 270
"""With the tenth of them that may leave at once, fewer than the 300 that a project may write in a minute.

Source: https://developers.google.com/data-manager/api/devguides/limits.
"""
CALL_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
_TRIES = 4
_PAGE = 1_000
_STATES: dict[str, IngestState] = {
    "SUCCESS": "success",
    "PROCESSING": "processing",
    "FAILED": "failed",
    "PARTIAL_SUCCESS": "partial",
}
_FORGOTTEN = frozenset({"INVALID_REQUEST_ID", "REQUEST_TOO_OLD", "NOT_FOUND"})
_LOGGED = "google.ads.datamanager_v1"


@dataclass(frozen=True)
class DataManagerAccess:
    """How the API is reached. `endpoint` is `https://host[:port]`, or `http://` on this machine; None is Google's."""

    credentials_file: Path | None = None
    endpoint: str | None = None
    transport: Literal["grpc", "rest"] = "grpc"
    timeout_seconds: float = CALL_SECONDS
    extra: str = "google-ads"
    """The extra that brings its package, as messages name it."""


@dataclass(frozen=True)
class Account:
    """An account at Google.

    Attributes:
        account_id: Its number, without dashes.
        account_type: `GOOGLE_ADS`, `GOOGLE_ANALYTICS_PROPERTY`, …
    """

    account_id: str
    account_type: str = "GOOGLE_ADS"

    @property
    def name(self) -> str:
        """The name by which lists are kept."""
        return f"accountTypes/{self.account_type}/accounts/{self.account_id}"


@dataclass(frozen=True)
class Receiver:
    """Where members or events go.

    Attributes:
        account: The account that gets them.
        product_destination_id: The list, the conversion action, or the measurement id of a stream.
        login_account: The account that signs in, where that is another: a manager.
    """

    account: Account
    product_destination_id: str
    login_account: Account | None = None


@dataclass(frozen=True)
class MemberKey:
    """What a member is known by.

    Attributes:
        kind: What it is.
        value: A hash; four parts for an address: hashed names, country, postal code.
    """

    kind: Literal["email", "phone", "address"]
    value: str | tuple[str, str, str, str]


@dataclass(frozen=True)
class ReceiverStatus:
    """What became of a request at one receiver.

    Attributes:
        product_destination_id: Which.
        state: What became of it.
        records: How many members or events it held, where that is told.
        rejected: How many of them were rejected, where that is told; never which.
        reasons: Why, in the API's words, with counts.
        match_rate_range: The share of them that Google knows, in its words, such as `MATCH_RATE_RANGE_51_TO_60`.
    """

    product_destination_id: str
    state: IngestState
    records: int | None = None
    rejected: int | None = None
    reasons: tuple[tuple[str, int], ...] = ()
    match_rate_range: str | None = None


@dataclass(frozen=True)
class UserListFacts:
    """What Google says of a list.

    Attributes:
        list_id: Its number.
        name: How people call it; somebody else's text.
        integration_code: What we call it.
        is_open: Whether it takes members.
        closing_reason: Why it was closed, in Google's word.
        is_read_only: Whether it cannot be changed by this account.
        key_types: What it holds, such as `CONTACT_ID`; it can never be changed.
        keeps_for: How long members stay.
        sizes: Members by network (`display`, `search`, `youtube`, `gmail`), estimated.
        match_rate: The share of what was uploaded that Google knows, from 0 to 1.
    """

    list_id: str
    name: str
    integration_code: str
    is_open: bool
    closing_reason: str | None
    is_read_only: bool
    key_types: tuple[str, ...]
    keeps_for: timedelta | None
    sizes: Mapping[str, int]
    match_rate: float | None


class DataManager:
    """The API.

    Every call may raise these; one that reads has then been tried several times.

    - NotSentError: there was no connection, so nothing took effect;
    - NoAnswerError: it may have taken effect;
    - BusyError: it was turned away for its rate, and nothing took effect;
    - RequestRefusedError: it was refused, and nothing took effect;
    - UsageError: the package or the credentials are missing.
    """

    def __init__(self, access: DataManagerAccess, *, retrying: Retrying | None = None) -> None:
        """Take how to reach it; nothing is opened before it is needed. Tests pass a policy that does not wait."""
        self.access = access
        policy = retrying or Retrying(wait=wait_random_exponential(multiplier=1.0, max=16.0))
        again = retry_if_exception_type((NotSentError, NoAnswerError, BusyError))
        self._retrying = policy.copy(retry=again, stop=stop_after_attempt(_TRIES), reraise=True)

    def check_credentials(self) -> None:
        """Make sure that there are credentials which can be used now.

        Raises:
            UsageError: The package or credentials are missing, or Google does not take these.
            NotSentError: Google's server for sign-in cannot be reached.
        """
        from google.auth import exceptions as auth

        _needed(self.access.extra)
        try:
            if not self._credentials.valid:
                from google.auth.transport.requests import Request

                self._credentials.refresh(Request())  # type: ignore[no-untyped-call]  # ships no types
        except auth.TransportError as failure:
            raise failures.in_our_words(failure) from None
        except auth.GoogleAuthError as failure:
            raise failures.without_credentials(failure, self.access.credentials_file) from None

    def ingest_members(
        self, receivers: Sequence[Receiver], members: Sequence[Sequence[MemberKey]], *, validate_only: bool = False
    ) -> str:
        """Put members on lists, who have all consented to both purposes; return the id of the request.

        With `validate_only` it is only checked, and the id is empty.
        """
        from google.ads import datamanager_v1 as dm

        message = dm.IngestAudienceMembersRequest.pb()(
            destinations=_destinations(receivers),
            audience_members=_members(members, with_consent=True),
            encoding="HEX",
            validate_only=validate_only,
            terms_of_service={"customer_match_terms_of_service_status": "ACCEPTED"},
        )
        request = dm.IngestAudienceMembersRequest.wrap(message)
        return self._written(lambda **how: self._ingestion.ingest_audience_members(request, **how), validate_only)

    def remove_members(
        self, receivers: Sequence[Receiver], members: Sequence[Sequence[MemberKey]], *, validate_only: bool = False
    ) -> str:
        """Take members off lists; return the id of the request."""
        from google.ads import datamanager_v1 as dm

        message = dm.RemoveAudienceMembersRequest.pb()(
            destinations=_destinations(receivers),
            audience_members=_members(members, with_consent=False),
            encoding="HEX",
            validate_only=validate_only,
        )
        request = dm.RemoveAudienceMembersRequest.wrap(message)
        return self._written(lambda **how: self._ingestion.remove_audience_members(request, **how), validate_only)

    def remove_all(self, receivers: Sequence[Receiver], added_before: datetime, *, validate_only: bool = False) -> str:
        """Take off the lists whoever was last added before a moment (aware); return the id of the request."""
        from google.ads import datamanager_v1 as dm
        from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]  # ships no types

        moment = Timestamp()
        moment.FromDatetime(added_before.astimezone(UTC).replace(tzinfo=None))
        message = dm.RemoveAllAudienceMembersRequest.pb()(
            destinations=_destinations(receivers), remove_as_of_time=moment, validate_only=validate_only
        )
        request = dm.RemoveAllAudienceMembersRequest.wrap(message)
        return self._written(lambda **how: self._ingestion.remove_all_audience_members(request, **how), validate_only)

    def ingest_events(
        self, receivers: Sequence[Receiver], events: Sequence[Mapping[str, Any]], *, validate_only: bool = False
    ) -> str:
        """Send events, each written as the JSON of the API's reference says; return the id of the request.

        Source: https://developers.google.com/data-manager/api/reference/rest/v1/Event.
        """
        from google.ads import datamanager_v1 as dm
        from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]  # ships no types

        message = dm.IngestEventsRequest.pb()(
            destinations=_destinations(receivers), encoding="HEX", validate_only=validate_only
        )
        for event in events:
            ParseDict(event, message.events.add())
        request = dm.IngestEventsRequest.wrap(message)
        return self._written(lambda **how: self._ingestion.ingest_events(request, **how), validate_only)

    def status(self, request_id: str) -> tuple[ReceiverStatus, ...]:
        """Return what became of a request at each of its receivers; none where the API does not know it any more."""
        from google.ads import datamanager_v1 as dm

        request = dm.RetrieveRequestStatusRequest(request_id=request_id)
        try:
            answer = self._called(lambda **how: self._ingestion.retrieve_request_status(request, **how))
        except RequestRefusedError as refused:
            if refused.reason in _FORGOTTEN:
                return ()
            raise
        found = tuple(map(_status, answer.request_status_per_destination))
        if not found:
            raise NoAnswerError("its answer names no destination")
        return found

    def user_lists(self, account: Account, integration_code: str, login: Account | None = None) -> list[UserListFacts]:
        """Return the lists of an account with a code of ours."""
        if '"' in integration_code or "\\" in integration_code:
            raise ValueError("such a code cannot be looked for")
        from google.ads import datamanager_v1 as dm

        def read() -> list[UserListFacts]:
            request = dm.ListUserListsRequest(
                parent=account.name, filter=f'integration_code = "{integration_code}"', page_size=_PAGE
            )
            by = _signed_in_by(account, login)
            pages = self._called(lambda **limits: self._lists.list_user_lists(request, **limits, metadata=by).pages)
            found = [_facts(each) for page in self._each(pages) for each in page.user_lists]
            # A server that does not filter must not hand us somebody else's list.
            return [each for each in found if each.integration_code == integration_code]

        return self._retrying.copy()(read)

    def user_list(self, account: Account, list_id: str, login: Account | None = None) -> UserListFacts:
        """Return what is known of a list."""
        from google.ads import datamanager_v1 as dm

        request = dm.GetUserListRequest(name=f"{account.name}/userLists/{list_id}")
        by = _signed_in_by(account, login)
        return self._retrying.copy()(
            lambda: _facts(self._called(lambda **limits: self._lists.get_user_list(request, **limits, metadata=by)))
        )

    def create_user_list(
        self,
        account: Account,
        *,
        name: str,
        integration_code: str,
        description: str,
        keeps_for: timedelta,
        login: Account | None = None,
        validate_only: bool = False,
    ) -> UserListFacts:
        """Make a list for contact data of one's own; it keeps members for whole days."""
        from google.ads import datamanager_v1 as dm

        user_list = dm.UserList(
            display_name=name,
            integration_code=integration_code,
            description=description,
            membership_duration=timedelta(days=keeps_for.days),
            membership_status="OPEN",
            ingested_user_list_info=dm.IngestedUserListInfo(
                upload_key_types=["CONTACT_ID"],
                contact_id_info=dm.ContactIdInfo(data_source_type="DATA_SOURCE_TYPE_FIRST_PARTY"),
            ),
        )
        request = dm.CreateUserListRequest(parent=account.name, user_list=user_list, validate_only=validate_only)
        by = _signed_in_by(account, login)
        return _facts(self._called(lambda **limits: self._lists.create_user_list(request, **limits, metadata=by)))

    def close(self) -> None:
        """Close what was opened."""
        for name in ("_ingestion", "_lists"):
            opened = self.__dict__.pop(name, None)
            if opened is not None:
                opened.transport.close()

    # Calls

    def _written(self, call: Callable[..., Any], validate_only: bool) -> str:
        request_id = str(self._called(call).request_id)
        if not request_id and not validate_only:
            raise NoAnswerError("its answer has no request id")
        return request_id

    def _called(self, call: Callable[..., ResultT]) -> ResultT:
        """Call once. The client's own retries are off, since they would hide from the ledger what may have left.

        The token is renewed before, where it has to be: over gRPC it would look like a lost connection.
        """
        self.check_credentials()
        try:
            return call(retry=None, timeout=self.access.timeout_seconds)
        except NotSentError:
            raise
        except Exception as failure:  # noqa: BLE001 - whatever came up, it may have left
            raise failures.in_our_words(failure) from None  # it may quote what was sent

    def _each(self, pages: Iterator[ResultT]) -> Iterator[ResultT]:
        while True:
            page = self._called(lambda **_: next(pages, None))
            if page is None:
                return
            yield page

    @cached_property
    def _credentials(self) -> Credentials:
        import google.auth
        from google.auth import exceptions as auth
        from google.auth.credentials import AnonymousCredentials
        from google.oauth2 import service_account

        file = self.access.credentials_file
        try:
            if file is not None:
                return service_account.Credentials.from_service_account_file(str(file), scopes=[SCOPE])  # type: ignore[no-any-return, no-untyped-call]  # ships no types
            if (self.access.endpoint or "").startswith("http://"):  # a server on this machine knows no credentials
                return AnonymousCredentials()  # type: ignore[no-untyped-call]  # ships no types
            return google.auth.default(scopes=[SCOPE])[0]
        except (OSError, auth.GoogleAuthError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise failures.without_credentials(error, file) from None  # it may quote what the file holds

    @cached_property
    def _ingestion(self) -> IngestionServiceClient:
        from google.ads.datamanager_v1 import IngestionServiceClient
        from google.ads.datamanager_v1.services.ingestion_service import transports

        of_rest, of_grpc = transports.IngestionServiceRestTransport, transports.IngestionServiceGrpcTransport
        return IngestionServiceClient(transport=self._transport(of_rest, of_grpc))

    @cached_property
    def _lists(self) -> UserListServiceClient:
        from google.ads.datamanager_v1 import UserListServiceClient
        from google.ads.datamanager_v1.services.user_list_service import transports

        of_rest, of_grpc = transports.UserListServiceRestTransport, transports.UserListServiceGrpcTransport
        return UserListServiceClient(transport=self._transport(of_rest, of_grpc))

    def _transport(self, of_rest: Callable[..., Any], of_grpc: Callable[..., Any]) -> Any:  # noqa: ANN401 - a transport
        # Set to DEBUG, the package's log holds whole requests.
        logging.getLogger(_LOGGED).setLevel(logging.INFO)
        scheme, _, host = (self.access.endpoint or f"https://{failures.API}").partition("://")
        if self.access.transport == "rest":
            return of_rest(host=host, url_scheme=scheme, credentials=self._credentials)
        # It writes to the terminal that a server has closed a connection, which is no news.
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        import grpc  # type: ignore[import-untyped]  # ships no types

        if scheme == "http":
            transport = of_grpc(channel=grpc.insecure_channel(host))
        else:
            transport = of_grpc(host=host, credentials=self._credentials)
        # A call on a channel that never came up would look like one whose answer was lost.
        try:
            wait = min(_CONNECT_SECONDS, self.access.timeout_seconds)
            grpc.channel_ready_future(transport.grpc_channel).result(timeout=wait)
        except grpc.FutureTimeoutError:
            transport.close()
            raise NotSentError("there was no connection") from None
        return transport


def _needed(extra: str) -> None:
    try:
        import google.ads.datamanager_v1  # noqa: F401 - looked for, and used by the functions below
    except ImportError:
        raise needs_extra("Google's Data Manager API", extra) from None


def _destinations(receivers: Sequence[Receiver]) -> list[dict[str, Any]]:
    def account(of: Account) -> dict[str, str]:
        return {"account_id": of.account_id, "account_type": of.account_type}

    return [
        {
            "operating_account": account(each.account),
            "product_destination_id": each.product_destination_id,
            **({} if each.login_account is None else {"login_account": account(each.login_account)}),
        }
        for each in receivers
    ]


def _members(members: Sequence[Sequence[MemberKey]], *, with_consent: bool) -> Iterator[Any]:
    from google.ads import datamanager_v1 as dm

    member, identifier = dm.AudienceMember.pb(), dm.UserIdentifier.pb()
    agreed = {"ad_user_data": "CONSENT_GRANTED", "ad_personalization": "CONSENT_GRANTED"}
    consent = {"consent": dm.Consent.pb()(**agreed)} if with_consent else {}
    for keys in members:
        yield member(user_data={"user_identifiers": [identifier(**_key(each)) for each in keys]}, **consent)


def _key(key: MemberKey) -> dict[str, Any]:
    if not isinstance(key.value, str):
        given, family, region, postal_code = key.value
        address = {"given_name": given, "family_name": family, "region_code": region, "postal_code": postal_code}
        return {"address": address}
    return {{"email": "email_address", "phone": "phone_number"}[key.kind]: key.value}


def _status(said: Any) -> ReceiverStatus:  # noqa: ANN401 - a RequestStatusPerDestination, whose package is loaded late
    counts = tuple(
        (short(getattr(each.reason, "name", "")), int(each.record_count)) for each in said.error_info.error_counts
    )
    of_user_data = said.audience_members_ingestion_status.user_data_ingestion_status
    records = of_user_data.record_count or said.events_ingestion_status.record_count
    rate = getattr(of_user_data.upload_match_rate_range, "name", "")
    return ReceiverStatus(
        said.destination.product_destination_id,
        _STATES.get(getattr(said.request_status, "name", ""), "unknown"),
        records=int(records) or None,
        rejected=sum(count for _, count in counts) or None,
        reasons=counts,
        match_rate_range=rate if rate and not rate.endswith("_UNKNOWN") else None,
    )


def _facts(said: Any) -> UserListFacts:  # noqa: ANN401 - a UserList, see above
    closing = getattr(said.closing_reason, "name", "")
    rate = int(said.ingested_user_list_info.contact_id_info.match_rate_percentage)
    networks = ("display_network", "search_network", "youtube", "gmail")
    return UserListFacts(
        list_id=str(said.id),
        name=str(said.display_name),
        integration_code=str(said.integration_code),
        is_open=getattr(said.membership_status, "name", "") != "CLOSED",
        closing_reason=short(closing) if closing and not closing.endswith("_UNSPECIFIED") else None,
        is_read_only=bool(said.read_only),
        key_types=tuple(short(getattr(each, "name", "")) for each in said.ingested_user_list_info.upload_key_types),
        keeps_for=said.membership_duration or None,
        sizes={
            name.removesuffix("_network"): int(getattr(said.size_info, f"{name}_members_count")) for name in networks
        },
        match_rate=rate / 100 if rate else None,
    )


def _signed_in_by(account: Account, login: Account | None) -> tuple[tuple[str, str], ...]:
    """Return the headers that say which account signs in to an account's lists, where that is another."""
    return () if login is None or login == account else (("login-account", login.name),)
