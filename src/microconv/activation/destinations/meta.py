"""Meta: a custom audience for each segment, by the Graph API, and conversions by its Conversions API.

An audience is found by its description, which names destination and segment, or made when the first are added.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from microconv import wording
from microconv.activation.audience.audience_rows import IdentityKind
from microconv.activation.audience.normalise import META
from microconv.activation.destinations.base import Accepts, Destination, DestinationSettings, ListFacts
from microconv.activation.destinations.meta_answers import in_words_of_a_push, is_digest
from microconv.activation.destinations.meta_conversions import ActionSource, MetaConversions
from microconv.activation.push.audience_list import (
    Answer,
    BatchState,
    Identifier,
    ListLimits,
    Operation,
    RefusedError,
    TryLaterError,
    UnsureError,
)
from microconv.activation.push.identifiers import Address
from microconv.clients.graph import ENDPOINT, TERMS, Graph, GraphBusyError, GraphRefusedError, number_in
from microconv.clients.outgoing import NoAnswerError, NotSentError, Outgoing
from microconv.config.secret import Secret
from microconv.config.values import Duration, FileStem, Label, Length, SafeEndpoint, Switch
from microconv.errors import DestinationError, UsageError
from microconv.findings import Finding, fault, not_tested, ok, warning

MOST_ROWS = 10_000
_ACTIVE = 1
_ERRORS, _FLAGGED = 400, 471
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "email": ("EMAIL",),
    "phone": ("PHONE",),
    "user_id": ("EXTERN_ID",),
    "address": ("FN", "LN", "COUNTRY", "ZIP"),
}
"""The columns of each kind of identifier; an address has the four of `Address`, all hashed."""
_ACKNOWLEDGED = re.compile(r"([1-9][0-9]{0,19})/([1-9][0-9]{0,19})/([0-9]{1,12})/([0-9]{1,6})/([0-9]{1,6})")
"""What we call a request: audience, session, when Meta acknowledged it (seconds), rows, and rows that it refused."""
_ANSWERS_FOR = timedelta(days=7)
_REACHED = (
    "Check ad_account and access_token in the entry of [[destinations]], and that this machine may reach "
    "graph.facebook.com (network, proxy, firewall)."
)


def _number_of(what: str, example: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        digits = text.removeprefix("act_")
        if not re.fullmatch(r"[1-9][0-9]{0,19}", digits):
            raise ValueError(f'is not the number of {what}, such as "{example}"')
        return digits

    return check


AccountId = Annotated[str, AfterValidator(_number_of("an ad account", "act_1234567890"))]
DatasetId = Annotated[str, AfterValidator(_number_of("a dataset", "5550001112"))]
AudienceId = Annotated[str, AfterValidator(_number_of("an audience", "23850000000000000"))]


class MetaSettings(DestinationSettings):
    """`[[destinations]]` of the kind `meta`."""

    kind: Literal["meta"] = "meta"
    ad_account: AccountId = Field(description='the number of the ad account, such as "act_1234567890"')
    access_token: Secret = Field(description='the token of a system user: { env = "NAME" }')
    app_secret: Secret | None = Field(
        default=None, description='the secret of its app, which proves each request: { env = "NAME" }'
    )
    audiences: Mapping[FileStem, AudienceId] = Field(
        default_factory=dict, description="numbers of audiences that are there, by segment; default: one of ours"
    )
    audience_names: Mapping[FileStem, Label] = Field(
        default_factory=dict, description="names for audiences that are made, by segment; default: microconv <segment>"
    )
    customer_file_source: Literal["USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED"] = (
        Field(default="USER_PROVIDED_ONLY", description="who collected the data, as Meta wants it declared")
    )
    external_id: Switch = Field(
        default=False, description="whether user ids are sent, hashed, which your pixel or server sends to Meta, too"
    )
    dataset: DatasetId | None = Field(
        default=None, description="the number of the dataset (pixel) that takes conversions"
    )
    action_source: ActionSource = Field(
        default="system_generated", description="where conversions happened, as Meta wants it declared"
    )
    endpoint: SafeEndpoint | None = Field(default=None, description="another address than Meta's to send to")
    timeout: Length = Duration.parse("60s")
    settles_after: Length = Field(
        default=Duration.parse("1d"), description="after that time nothing that was sent takes effect any more"
    )


class MetaDestination(Destination):
    """An ad account of Meta."""

    settings_type: ClassVar[type[DestinationSettings]] = MetaSettings
    settings: MetaSettings
    clock: Callable[[], float] = staticmethod(time.time)

    @property
    def identity(self) -> frozenset[IdentityKind]:
        """The identifiers that are sent."""
        return frozenset({"email", "phone", *(("user_id",) if self.settings.external_id else ())})

    @property
    def accepts(self) -> Accepts:
        """What custom audiences take."""
        return Accepts("Meta", self.identity, META, with_address=True, minimum=100)

    def audience_list(self, segment: str, push_id: str, facts: Mapping[str, Any] | None = None) -> MetaList:
        """Give the list of a segment to a push; nothing is asked or sent yet.

        Raises:
            ConfigError: A secret is missing, or others may read it.
        """
        del push_id, facts
        settles_after = timedelta(seconds=self.settings.settles_after.seconds)
        limits = ListLimits(MOST_ROWS, settles_after, answers_for=settles_after + _ANSWERS_FOR)
        return MetaList(self.audience(segment), frozenset({*self.identity, "address"}), limits, self.clock)

    @property
    def account(self) -> str:
        """Meta: the number of an audience is that of one audience, whichever account it is asked for with."""
        return "Meta"

    def list_place(self, segment: str) -> str:
        """Return the number of an audience that is there already, or the mark of ours."""
        return self.settings.audiences.get(segment, self._mark(segment))

    def _mark(self, segment: str) -> str:
        return f"Kept by microconv: {self.settings.name}/{segment}"

    def conversion_place(self, action: str) -> str:
        """Return the dataset and the name of the event."""
        return f"{self.settings.dataset} {action}"

    def conversions(self, action: str) -> MetaConversions:
        """Give what takes conversions as events of a name, such as Lead; nothing is asked or sent yet.

        Raises:
            UsageError: No dataset is named, or no event can be called so.
            ConfigError: A secret is missing, or others may read it.
        """
        settings = self.settings
        if settings.dataset is None:
            raise UsageError(
                f"The destination {settings.name} takes no conversions: it does not say which dataset takes them.",
                hint="Give dataset in its entry of [[destinations]]: its number is in Meta's Events Manager.",
            )
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_ -]{0,49}", action):
            raise UsageError(
                f"{action!r} cannot be the name of an event at Meta.",
                hint='Use a standard event, such as "Lead" or "Purchase", or letters, digits, _ and -, 50 at most.',
            )
        return MetaConversions(
            self.graph,
            settings.dataset,
            action,
            action_source=settings.action_source,
            identity=self.identity,
            clock=self.clock,
        )

    def check_ready(self) -> None:
        """Make sure that our secrets are there and that Meta takes them for the account.

        Raises:
            ConfigError: A secret is missing, or others may read it.
            DestinationError: Meta does not take them, or cannot be reached.
        """
        self._account_facts()

    def examine(self, segments: Sequence[str]) -> Iterator[Finding]:
        """Look at token, account, terms and audiences; nothing is changed.

        Raises:
            DestinationError: Meta did not say.
        """
        account = self._account_facts()
        yield ok(f"Meta takes the token for the ad account {self.settings.ad_account}.")
        if self.settings.app_secret is None:
            said = "Requests are not proven by the app secret: whoever has the token alone may use it elsewhere."
            yield warning(said, "Give app_secret, and demand it in the settings of the app at Meta.")
        if account.get("account_status") not in (None, _ACTIVE):
            yield warning("The ad account is not active.", "Look at it in Ads Manager.")
        terms = account.get("tos_accepted")
        if not (isinstance(terms, dict) and terms.get("custom_audience_tos") == 1):
            said = "The terms of custom audiences were not accepted for the account: it can make no audience."
            yield fault(said, f"Accept them at {TERMS}, once.")
        for segment in segments:
            yield self._examined(segment)

    def examine_conversions(self, actions: Sequence[str]) -> Iterator[Finding]:
        """Look whether the dataset is there."""
        del actions
        if self.settings.dataset is not None:
            yield self._examined_dataset(self.settings.dataset)

    def _examined_dataset(self, dataset: str) -> Finding:
        try:
            self.graph.get(dataset, fields="id")
        except GraphRefusedError as error:
            remedy = "Give the system user the dataset in Business Settings, with the task of managing it."
            return fault(f"The dataset {dataset} takes no conversions: {error}.", remedy)
        except (NotSentError, NoAnswerError, GraphBusyError) as error:
            return not_tested(f"Meta did not tell about the dataset {dataset}: {error}.")
        return ok(f"The dataset {dataset} is there for conversions.")

    def _examined(self, segment: str) -> Finding:
        facts = self._facts(segment)
        if facts is None:
            return ok(f"The audience of {segment} is not there yet: the first push makes it.")
        if facts.wrong:
            return fault(f"The audience of {segment}: {facts.wrong}.", "Look into Audience Manager.")
        return ok(f"The audience of {segment} takes people ({facts.size}).")

    def list_facts(self, segment: str) -> ListFacts | None:
        """Ask how large the audience of a segment is, and whether it takes people.

        Raises:
            DestinationError: Meta did not say.
        """
        facts = self._facts(segment)
        if facts is None:
            return None
        notes = [f"Meta tells a rough range, about a day late: {facts.size}", *([facts.wrong] if facts.wrong else [])]
        return ListFacts(facts.at_least, is_open=facts.wrong is None, notes=tuple(notes))

    def _facts(self, segment: str) -> AudienceFacts | None:
        with self._asking(f"the audience of {segment}"):
            return self.audience(segment).facts()

    def _account_facts(self) -> Mapping[str, Any]:
        with self._asking("the ad account"):
            return self.graph.get(f"act_{self.settings.ad_account}", fields="account_status,tos_accepted")

    def starts_anew(self, segment: str) -> bool:
        """Tell whether Meta has no audience of a segment.

        Raises:
            DestinationError: Meta did not say.
        """
        with self._asking(f"the audience of {segment}"):
            return self.audience(segment).find() is None

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        try:
            yield
        except (NotSentError, NoAnswerError, GraphBusyError, GraphRefusedError, RefusedError) as error:
            raise DestinationError(
                f"{self.settings.name}: Meta did not tell about {what} ({error}).", hint=_REACHED
            ) from None

    def audience(self, segment: str) -> CustomAudience:
        """Return the audience of a segment at Meta."""
        settings = self.settings
        return CustomAudience(
            self.graph,
            settings.ad_account,
            mark=self._mark(segment),
            name=settings.audience_names.get(segment, f"microconv {segment}"),
            source=settings.customer_file_source,
            audience_id=settings.audiences.get(segment),
        )

    @cached_property
    def graph(self) -> Graph:
        """The Graph API, with our token."""
        settings = self.settings
        token = settings.access_token.read(f"The access_token of the destination {settings.name}")
        secret = None
        if settings.app_secret is not None:
            secret = settings.app_secret.read(f"The app_secret of the destination {settings.name}")
        outgoing = Outgoing(float(settings.timeout.seconds))
        return Graph(token, secret, outgoing, settings.endpoint or ENDPOINT)


@dataclass(frozen=True)
class AudienceFacts:
    """What Meta says of an audience: about how many people are in it (None: not told), and what is wrong with it."""

    at_least: int | None
    at_most: int | None
    wrong: str | None

    @property
    def size(self) -> str:
        """The size in words."""
        if self.at_least is None or self.at_most is None:
            return "Meta does not tell its size"
        return f"{wording.count(self.at_least)} to {wording.count(self.at_most)} people"


class CustomAudience:
    """An audience at Meta: one with a number of its own, or the one with our mark, which is made when it is needed."""

    def __init__(
        self, graph: Graph, account: str, *, mark: str, name: str, source: str, audience_id: str | None = None
    ) -> None:
        self.graph = graph
        self._account = account
        self._mark = mark
        self._name = name
        self._source = source
        self._audience_id = audience_id
        self._found: str | None = None

    def find(self) -> str | None:
        """Return its number; None where it is not there.

        Raises:
            RefusedError: There are several with our mark.
            GraphRefusedError, GraphBusyError, NotSentError, NoAnswerError: See `Graph.get`.
        """
        if self._audience_id is not None:
            try:
                self.graph.get(self._audience_id, fields="id")
            except GraphRefusedError as error:
                if not error.is_missing:
                    raise
                raise RefusedError(f"the audience {self._audience_id}: {error}") from None
            return self._audience_id
        edge = f"act_{self._account}/customaudiences"
        all_there = self.graph.all_of(edge, fields="id,description", limit="200")
        found = [number_in(each) for each in all_there if each.get("description") == self._mark]
        if len(found) > 1:
            raise RefusedError(
                f'the account has {len(found)} audiences with the description "{self._mark}": delete all but one'
            )
        return found[0] if found else None

    def facts(self) -> AudienceFacts | None:
        """Ask what Meta says of it; None where it is not there. Errors are those of `find`."""
        number = self.find()
        if number is None:
            return None
        bounds = ("approximate_count_lower_bound", "approximate_count_upper_bound")
        said = self.graph.get(number, fields=",".join((*bounds, "operation_status")))
        least, most = (value if isinstance(value := said.get(name), int) and value >= 0 else None for name in bounds)
        status = said.get("operation_status")
        code = status.get("code") if isinstance(status, dict) else None
        return AudienceFacts(least, most, _wrong(code) if isinstance(code, int) else None)

    def number(self, operation: Operation) -> str | None:
        """Return its number, once it is made; None where nobody is to be taken off, since it is not there.

        Raises:
            TryLaterError: It is not known yet: Meta did not answer. No identifier was sent.
            RefusedError: It cannot be found or made.
        """
        if self._found is None:
            try:
                with in_words_of_a_push():
                    self._found = self.find() or (self._made() if operation == "add" else None)
            except UnsureError as error:
                # Also where it was made unseen: by its mark it is found the next time.
                raise TryLaterError(f"its audience: {error}") from None
        return self._found

    def _made(self) -> str:
        made = self.graph.post(
            f"act_{self._account}/customaudiences",
            name=self._name,
            subtype="CUSTOM",
            description=self._mark,
            customer_file_source=self._source,
        )
        return number_in(made)


class MetaList:
    """The list of a segment. Each identifier is a row of its own, and each request a session of its own.

    Meta acknowledges a request at once, and works on it for up to a day; then what it acknowledged holds.
    """

    def __init__(
        self, audience: CustomAudience, kinds: frozenset[str], limits: ListLimits, clock: Callable[[], float]
    ) -> None:
        self.limits = limits
        self._audience = audience
        self._kinds = kinds
        self._clock = clock

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        """Add rows, or take them off.

        Raises:
            TryLaterError: Nothing was sent, or it was turned away for its rate.
            UnsureError: It was sent, and no answer tells what came of it.
            RefusedError: It was refused.
        """
        payload = self._payload(identifiers)
        number = self._audience.number(operation)
        if number is None:
            return Answer("success", reason="there is no audience any more")
        count = len(identifiers)
        session_id = secrets.randbelow(2**62) + 1
        session = {"session_id": session_id, "batch_seq": 1, "last_batch_flag": True, "estimated_num_total": count}
        graph = self._audience.graph
        call = graph.post if operation == "add" else graph.delete
        with in_words_of_a_push():
            said = call(f"{number}/users", session=session, payload=payload)
        received, invalid = said.get("num_received"), said.get("num_invalid_entries", 0)
        if not (isinstance(received, int) and isinstance(invalid, int)):
            raise UnsureError("its answer does not say how many rows it received")
        refused = max(0, min(count, count - received + max(0, invalid)))
        return Answer("accepted", f"{number}/{session_id}/{int(self._clock())}/{count}/{refused}")

    def finish(self) -> None:
        """Do nothing: each request stands for itself."""

    def ask(self, request_id: str) -> Answer:
        """Say what became of a request, once Meta has had its time; what it has noted of the session counts, too.

        Raises:
            UnsureError: Meta did not say.
            TryLaterError: It could not be asked.
        """
        found = _ACKNOWLEDGED.fullmatch(request_id)
        if found is None:
            return Answer("unknown", request_id, reason="it is not the name of a request of ours")
        number, session_id = found[1], found[2]
        at, count, refused = map(int, found.groups()[2:])
        if self._clock() - at < self.limits.settles_after.total_seconds():
            return Answer("accepted", request_id)
        refused = min(count, max(refused, self._noted_invalid(number, session_id)))
        state: BatchState = "success" if not refused else "partial" if refused < count else "failed"
        return Answer(state, request_id, rejected=refused or None)

    def now(self) -> datetime | None:
        """Tell no time: this machine's clock counts."""
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def _payload(self, identifiers: Sequence[Identifier]) -> dict[str, Any]:
        """Return a table with the columns that some of them have; in each row those of one are filled.

        Raises:
            RefusedError: Some cannot go there: of another kind, or not hashed.
        """
        values = [Address.of(each.value) if each.kind == "address" else (each.value,) for each in identifiers]
        foreign = [
            place
            for place, (each, parts) in enumerate(zip(identifiers, values, strict=True))
            if each.kind not in self._kinds or not all(map(is_digest, parts))
        ]
        if foreign:
            raise RefusedError("custom audiences take hashed addresses and numbers of people", rows=foreign)
        kinds = {each.kind for each in identifiers}
        schema = [column for kind, columns in _COLUMNS.items() if kind in kinds for column in columns]
        starts = {kind: schema.index(_COLUMNS[kind][0]) for kind in kinds}
        data = []
        for each, parts in zip(identifiers, values, strict=True):
            row = [""] * len(schema)
            row[starts[each.kind] : starts[each.kind] + len(parts)] = parts
            data.append(row)
        return {"schema": schema, "data": data}

    def _noted_invalid(self, number: str, session_id: str) -> int:
        try:
            with in_words_of_a_push():
                said = self._audience.graph.get(f"{number}/sessions", session_id=session_id)
        except RefusedError as error:
            # That it may not be asked now says nothing of the request.
            raise UnsureError(str(error)) from None
        entries = said.get("data")
        notes = [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
        of_ours = [each for each in notes if str(each.get("session_id")) == session_id]
        counts = (str(each.get("num_invalid_entries", "")) for each in of_ours)
        return max((int(text[:9]) for text in counts if text.isascii() and text.isdigit()), default=0)


def _wrong(code: int) -> str | None:
    """Say what a status of an audience means; None: it takes people."""
    if code == _FLAGGED:
        return "Meta blocked it, as it suggests something that its terms forbid (status 471): appeal, or begin another"
    return f"its status at Meta is {code}, an error" if code >= _ERRORS else None
