"""Google Ads Customer Match: a list for each segment, kept by Google's Data Manager API.

A list is found by its integration code, or made when the first members are sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import AfterValidator, Field

from microconv import wording
from microconv.activation.audience.normalise import GOOGLE, sha256_hex
from microconv.activation.destinations.base import Accepts, Destination, DestinationSettings, ListFacts
from microconv.activation.destinations.data_manager_answers import as_answers, asked
from microconv.activation.destinations.google_conversions import GoogleConversions
from microconv.activation.push.audience_list import (
    Answer,
    Identifier,
    ListLimits,
    Operation,
    RefusedError,
    TryLaterError,
    UnsureError,
)
from microconv.activation.push.identifiers import Address
from microconv.clients.data_manager import (
    MOST_EVENTS,
    MOST_MEMBERS,
    REQUESTS_PER_MINUTE,
    Account,
    DataManager,
    DataManagerAccess,
    MemberKey,
    Receiver,
    UserListFacts,
)
from microconv.clients.data_manager_failures import BusyError, RequestRefusedError
from microconv.clients.outgoing import NoAnswerError, NotSentError
from microconv.config.values import Duration, FileStem, InFolder, Label, Length, SafeEndpoint
from microconv.errors import DestinationError, UsageError
from microconv.findings import Finding, fault, not_tested, ok

LONGEST_MEMBERSHIP = 540
_KINDS = frozenset({"email", "phone", "address"})
_LONGEST_ID = 10
_REFUSED = "The reason is Google's; docs/google-ads.md says what an account needs, and who may use it."
EXAMPLE = MemberKey("email", sha256_hex("alexz@example.com"))
"""Nobody's: the address of Google's own documentation."""
_NO_LIST = "the list is gone at Google"
_REACHED = (
    "Check the account in the entry of [[destinations]], and that this machine may reach datamanager.googleapis.com "
    "(network, proxy, firewall); `microconv doctor` tells more."
)


def _customer_id(text: str) -> str:
    digits = text.replace("-", "")
    if not re.fullmatch(rf"[0-9]{{{_LONGEST_ID}}}", digits):
        raise ValueError('is not the number of a Google Ads account, such as "123-456-7890" (top right in Google Ads)')
    return digits


def _list_id(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,18}", text):
        raise ValueError('is not the number of a list, such as "9876543210" (in the address of its page in Google Ads)')
    return text


def _accepted(value: object) -> object:
    if value is not True:
        raise ValueError(
            "must be true: read Google's Customer Match policy (support.google.com/adspolicy/answer/6299717), and say "
            "that your account accepts its terms"
        )
    return value


CustomerId = Annotated[str, AfterValidator(_customer_id)]


class GoogleAdsSettings(DestinationSettings):
    """`[[destinations]]` of the kind `google_ads`."""

    kind: Literal["google_ads"] = "google_ads"
    customer_id: CustomerId = Field(description='the number of the account, such as "123-456-7890"')
    login_customer_id: CustomerId | None = Field(
        default=None, description="the manager account whose user the credentials are; default: the account itself"
    )
    accepts_customer_match_terms: Annotated[bool, AfterValidator(_accepted)] | None = Field(
        default=None, strict=True, description="true: the account accepts the terms of Customer Match; lists need that"
    )
    lists: Mapping[FileStem, Annotated[str, AfterValidator(_list_id)]] = Field(
        default_factory=dict, description="numbers of lists that are there, by segment; default: a list of ours"
    )
    list_names: Mapping[FileStem, Label] = Field(
        default_factory=dict, description="names for lists that are made, by segment; default: microconv <segment>"
    )
    membership_days: int = Field(
        default=LONGEST_MEMBERSHIP, ge=1, le=LONGEST_MEMBERSHIP, strict=True, description="how long members stay"
    )
    credentials_file: InFolder | None = Field(
        default=None, description="the key file of a service account; default: application default credentials"
    )
    transport: Literal["grpc", "rest"] = Field(default="grpc", description="how requests travel")
    endpoint: SafeEndpoint | None = Field(default=None, description="another address than Google's to send to")
    timeout: Length = Duration.parse("60s")
    requests_per_minute: int = Field(default=REQUESTS_PER_MINUTE, ge=1, le=REQUESTS_PER_MINUTE, strict=True)
    settles_after: Length = Field(
        default=Duration.parse("2d"), description="after that time nothing that was sent takes effect any more"
    )
    answers_for: Length = Field(
        default=Duration.parse("45d"), description="so long Google can say what became of a request (about 50 days)"
    )


class GoogleAdsDestination(Destination):
    """An account of Google Ads."""

    settings_type: ClassVar[type[DestinationSettings]] = GoogleAdsSettings
    extra: ClassVar[str | None] = "google-ads"
    settings: GoogleAdsSettings

    @property
    def accepts(self) -> Accepts:
        """What Customer Match takes."""
        return Accepts("Google Ads", frozenset({"email", "phone"}), GOOGLE, with_address=True, minimum=100)

    def audience_list(self, segment: str, push_id: str, facts: Mapping[str, Any] | None = None) -> GoogleAdsList:
        """Give the list of a segment to a push; nothing is asked or sent yet.

        Raises:
            UsageError: The account does not accept the terms of Customer Match.
        """
        del push_id, facts
        self._check_terms()
        settings = self.settings
        limits = ListLimits(
            MOST_MEMBERS,
            settles_after=timedelta(seconds=settings.settles_after.seconds),
            answers_for=timedelta(seconds=settings.answers_for.seconds),
            lifespan=timedelta(days=settings.membership_days),
            requests_per_minute=settings.requests_per_minute,
        )
        return GoogleAdsList(self.user_list(segment), limits)

    def conversions(self, action: str) -> GoogleConversions:
        """Give what takes conversions; `action` is the number of a conversion action. Nothing is sent yet.

        Raises:
            UsageError: That is not a number.
        """
        settings = self.settings
        if not re.fullmatch(r"[1-9][0-9]{0,18}", action):
            raise UsageError(
                f"The action of a conversion at {settings.name} is not the number of a conversion action.",
                hint="Give `action` under [[conversions]] the number behind ctId= in the address of its page there.",
            )
        login = settings.login_customer_id
        limits = ListLimits(
            MOST_EVENTS,
            settles_after=timedelta(seconds=settings.settles_after.seconds),
            answers_for=timedelta(seconds=settings.answers_for.seconds),
            requests_per_minute=settings.requests_per_minute,
        )
        receiver = Receiver(Account(settings.customer_id), action, None if login is None else Account(login))
        return GoogleConversions(self._client, receiver, limits)

    def check_ready(self) -> None:
        """Make sure that Google takes our credentials.

        Raises:
            UsageError: The package or the credentials are missing, or Google does not take these.
        """
        try:
            self._client.check_credentials()
        except NotSentError as error:
            raise DestinationError(f"{self.settings.name}: {error}.", hint=_REACHED) from None

    def _check_terms(self) -> None:
        if not self.settings.accepts_customer_match_terms:
            raise UsageError(
                f"The destination {self.settings.name} keeps no lists: it does not say that the account accepts the "
                "terms of Customer Match.",
                hint="Read Google's policy (support.google.com/adspolicy/answer/6299717), and give "
                "accepts_customer_match_terms = true in its entry of [[destinations]].",
            )

    @property
    def account(self) -> str:
        """The account of Google Ads."""
        return self.settings.customer_id

    def list_place(self, segment: str) -> str:
        """Return the number that the settings give, or the code of a list of ours."""
        return self.settings.lists.get(segment, self._code(segment))

    def _code(self, segment: str) -> str:
        return f"microconv:{self.settings.name}:{segment}"

    def starts_anew(self, segment: str) -> bool:
        """Tell whether Google has no list of a segment.

        Raises:
            DestinationError: Google did not say.
        """
        return self._facts(segment) is None

    def list_facts(self, segment: str) -> ListFacts | None:
        """Tell what Google says of the list of a segment: sizes are estimates, by network.

        Raises:
            DestinationError: Google did not say.
        """
        facts = self._facts(segment)
        if facts is None:
            return None
        members = max(facts.sizes.values(), default=0)
        networks = ", ".join(f"{name} {wording.count(size)}" for name, size in facts.sizes.items())
        notes = [f"estimated by network: {networks}"]
        if members < self.accepts.minimum:
            notes.append(
                f"Google serves no list of fewer than {self.accepts.minimum} active people, and takes up to two days "
                "to count them"
            )
        wrong = self.user_list(segment).wrong(facts)
        return ListFacts(members, facts.match_rate, facts.is_open, (*notes, *([wrong] if wrong else [])))

    def examine(self, segments: Sequence[str]) -> Iterator[Finding]:
        """Look at the list of each segment, and let Google check a member who is nobody; nothing is changed."""
        if segments:
            self._check_terms()
        else:
            self._facts("none")
            yield ok("Google lets these credentials read the lists of the account.")
        for segment in segments:
            yield self._examined(segment)

    def validate(self, segment: str, operation: Operation, identifiers: Sequence[Identifier]) -> Answer | None:
        """Let Google check a request.

        Raises:
            RefusedError: It would be refused.
            TryLaterError, UnsureError: It was not checked.
        """
        return self.user_list(segment).checked(operation, _members(identifiers))

    def _examined(self, segment: str) -> Finding:
        try:
            answer = self.user_list(segment).checked("add", [[EXAMPLE]])
        except RefusedError as error:
            return fault(f"Google would not take members of {segment}: {error}.", _REFUSED)
        except (TryLaterError, UnsureError) as error:
            return not_tested(f"Google did not say whether it would take members of {segment}: {error}.")
        if answer.state == "unknown":
            return ok(f"Google has no list of {segment} yet, and would let the first push make it.")
        return ok(f"Google would take members of {segment}: it checked one who is nobody.")

    def _facts(self, segment: str) -> UserListFacts | None:
        try:
            return self.user_list(segment).facts()
        except (NotSentError, NoAnswerError, BusyError, RequestRefusedError, RefusedError) as error:
            raise DestinationError(
                f"{segment} at {self.settings.name}: Google did not tell about its list ({error}).", hint=_REACHED
            ) from None

    def take_off_older(self, segment: str, added_before: datetime, *, validate_only: bool = False) -> Answer:
        """Take off the list of a segment whoever was last added before a moment.

        Raises:
            TryLaterError, UnsureError, RefusedError: See `GoogleAdsList.send`.
        """
        receiver = self.user_list(segment).receiver("remove")
        if receiver is None:
            return Answer("success", reason=_NO_LIST)
        with as_answers():
            return Answer("accepted", self._client.remove_all([receiver], added_before, validate_only=validate_only))

    def user_list(self, segment: str) -> CustomerMatchList:
        """Return the list of a segment at Google."""
        settings = self.settings
        login = settings.login_customer_id
        return CustomerMatchList(
            self._client,
            Account(settings.customer_id),
            None if login is None else Account(login),
            code=self._code(segment),
            name=settings.list_names.get(segment, f"microconv {segment}"),
            keeps_for=timedelta(days=settings.membership_days),
            list_id=settings.lists.get(segment),
        )

    @cached_property
    def _client(self) -> DataManager:
        settings = self.settings
        return DataManager(
            DataManagerAccess(
                settings.credentials_file, settings.endpoint, settings.transport, float(settings.timeout.seconds)
            )
        )


class CustomerMatchList:
    """A list at Google: one with a number of its own, or the one with our code, which is made when it is needed."""

    def __init__(
        self,
        client: DataManager,
        account: Account,
        login: Account | None,
        *,
        code: str,
        name: str,
        keeps_for: timedelta,
        list_id: str | None = None,
    ) -> None:
        self.client = client
        self._account = account
        self._login = login
        self._code = code
        self._name = name
        self._keeps_for = keeps_for
        self._list_id = list_id
        self._found: UserListFacts | None = None

    def facts(self) -> UserListFacts | None:
        """Return what Google says of it; None where it is not there.

        Raises:
            RequestRefusedError: Google refused, or there are several lists with our code.
            NotSentError, NoAnswerError, BusyError: See `DataManager`; it has been tried several times.
        """
        if self._list_id is not None:
            return self.client.user_list(self._account, self._list_id, self._login)
        found = self.client.user_lists(self._account, self._code, self._login)
        if len(found) > 1:
            raise RefusedError(f"the account has {len(found)} lists with the code {self._code}: delete all but one")
        return found[0] if found else None

    def receiver(self, operation: Operation) -> Receiver | None:
        """Return where members go; None where they go nowhere, since there is no list to take them off.

        Raises:
            TryLaterError: It is not known yet: Google did not answer. No member was sent.
            RefusedError: The list cannot take them.
        """
        if self._found is None:
            try:
                with as_answers():
                    self._found = self.facts() or (self._made() if operation == "add" else None)
            except UnsureError as error:
                # Also where it was made unseen: by its code it is found the next time.
                raise TryLaterError(f"its list: {error}") from None
        if self._found is None:
            return None
        if operation == "add" and (wrong := self.wrong(self._found)):
            raise RefusedError(wrong)
        return Receiver(self._account, self._found.list_id, self._login)

    def checked(self, operation: Operation, members: Sequence[Sequence[MemberKey]]) -> Answer:
        """Let Google check whether it would take members; `unknown` where there is no list yet.

        Raises:
            RefusedError: It would be refused.
            TryLaterError, UnsureError: It was not checked.
        """
        with as_answers():
            facts = self.facts()
            if facts is None:
                if operation == "add":
                    self._made(validate_only=True)
                return Answer("unknown", reason="there is no list yet, the push makes it")
            if operation == "add" and (wrong := self.wrong(facts)):
                raise RefusedError(wrong)
            call = self.client.ingest_members if operation == "add" else self.client.remove_members
            call([Receiver(self._account, facts.list_id, self._login)], members, validate_only=True)
        return Answer("success")

    def wrong(self, facts: UserListFacts) -> str | None:
        """Say why a list cannot take our members; None where it can."""
        keeps = facts.keeps_for or timedelta(days=LONGEST_MEMBERSHIP)
        if facts.is_read_only:
            return "the list is read-only for this account"
        if not facts.is_open:
            return f"the list is closed{_why_closed(facts)}"
        if facts.key_types and "CONTACT_ID" not in facts.key_types:
            return "the list is not one for addresses and numbers of people (its upload key type is another)"
        if keeps < self._keeps_for:
            days = wording.count(keeps.days)
            return (
                f"the list forgets members after {days} days: set membership_days = {days}, or make it keep them longer"
            )
        return None

    def _made(self, *, validate_only: bool = False) -> UserListFacts:
        return self.client.create_user_list(
            self._account,
            name=self._name,
            integration_code=self._code,
            description="Kept by microconv: members are added and removed by it.",
            keeps_for=self._keeps_for,
            login=self._login,
            validate_only=validate_only,
        )


def _why_closed(facts: UserListFacts) -> str:
    if facts.closing_reason == "UNUSED":
        return ", since no campaign has used it for long (UNUSED): open it again in Google Ads, and use it"
    return f" ({facts.closing_reason})" if facts.closing_reason else ": open it again in Google Ads"


class GoogleAdsList:
    """The list of a segment. Each identifier is a member of its own, so that it can be taken off alone."""

    def __init__(self, user_list: CustomerMatchList, limits: ListLimits) -> None:
        self.limits = limits
        self._list = user_list

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        """Send members, or take them off.

        Raises:
            TryLaterError: Nothing was sent, or it was turned away for its rate.
            UnsureError: It was sent, and no answer tells what came of it.
            RefusedError: It was refused.
        """
        members = _members(identifiers)
        receiver = self._list.receiver(operation)
        if receiver is None:
            return Answer("success", reason=_NO_LIST)
        client = self._list.client
        call = client.ingest_members if operation == "add" else client.remove_members
        with as_answers():
            return Answer("accepted", call([receiver], members))

    def finish(self) -> None:
        """Do nothing: each request stands for itself."""

    def ask(self, request_id: str) -> Answer:
        """Ask what became of a request.

        Raises:
            UnsureError: Google did not say.
        """
        return asked(self._list.client, request_id)

    def now(self) -> datetime | None:
        """Tell no time: this machine's clock counts."""
        return None


def _members(identifiers: Sequence[Identifier]) -> list[list[MemberKey]]:
    foreign = [place for place, each in enumerate(identifiers) if each.kind not in _KINDS]
    if foreign:
        raise RefusedError("Customer Match takes e-mail addresses, phone numbers and postal addresses", rows=foreign)
    return [[_key(each)] for each in identifiers]


def _key(identifier: Identifier) -> MemberKey:
    if identifier.kind == "address":
        first_name, last_name, country, postal_code = Address.of(identifier.value)
        return MemberKey("address", (first_name, last_name, country, postal_code))
    return MemberKey(cast("Literal['email', 'phone']", identifier.kind), identifier.value)
