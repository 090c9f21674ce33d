"""A signed webhook: batches of identifiers as JSON, to a service of your own or to a tool that takes them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from microconv.activation.audience.audience_rows import IdentityKind
from microconv.activation.audience.normalise import PLAIN
from microconv.activation.destinations.base import Accepts, Destination, DestinationSettings, ListFacts
from microconv.activation.destinations.payloads import (
    Payload,
    PayloadName,
    Values,
    in_path,
    payload,
    payload_in,
    pointed,
)
from microconv.activation.push.audience_list import (
    Answer,
    Identifier,
    ListLimits,
    Operation,
    Origin,
    RefusedError,
    TryLaterError,
    UnsureError,
)
from microconv.clients.outgoing import NoAnswerError, NotSentError, Outgoing, Reply
from microconv.config.problems import HiddenError, ItemError
from microconv.config.secret import Secret
from microconv.config.values import Duration, InFolder, Label, Length, PropertyName
from microconv.errors import DestinationError, UsageError
from microconv.findings import Finding, fault, ok, warning

_STATUS_PATH = re.compile(r"/[A-Za-z0-9/_.~%?=&:@!$'()*+,;-]{0,499}")
_NOT_TAKEN = "its answer names them as not taken"
_LONGEST_RULE = 250
"""Braze takes texts of 255 characters."""
_SECRET_IN_A_QUERY = re.compile(r"key|token|secret|passw|sig|auth|code", re.IGNORECASE)


def _webhook_url(address: str) -> str:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise HiddenError('is not an address such as "https://hooks.example.com/audiences"') from None
    if parts.scheme not in ("http", "https") or not host or not address.isascii() or re.search(r"[\s\\]", address):
        raise HiddenError('is not an address such as "https://hooks.example.com/audiences"')
    if parts.username is not None or parts.password is not None:
        raise HiddenError("holds a user or a password in clear: leave them out, and use token or secret")
    if any(_SECRET_IN_A_QUERY.search(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise HiddenError("holds what looks like a secret in clear, behind the ?: use token or secret")
    if parts.fragment:
        raise HiddenError("has a part behind #, which is never sent: leave it out")
    if parts.scheme == "http" and host not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError("must begin with https://, since people's data are sent there (http:// is for this machine)")
    return address


class WebhookSettings(DestinationSettings):
    """`[[destinations]]` of the kind `webhook`."""

    kind: Literal["webhook"] = "webhook"
    url: Annotated[str, AfterValidator(_webhook_url)] | None = Field(default=None, description="where to post to")
    payload: PayloadName = Field(default="microconv", description="what is posted: ours, or what a tool takes")
    payload_file: InFolder | None = Field(default=None, description="instead of payload: one of your own")
    secret: Secret | None = Field(default=None, description='what signs each request: { env = "NAME" }')
    token: Secret | None = Field(default=None, description='the key of the tool: { env = "NAME" }')
    list: Label | None = Field(default=None, description="the list there, for tools that have lists")
    property: PropertyName | None = Field(
        default=None, description="the property of people there that says who is in; default: microconv_<segment>"
    )
    in_clear: tuple[IdentityKind, ...] = Field(default=(), description="identifiers that are sent as they are")
    most_identifiers: int | None = Field(default=None, ge=1, le=10_000, strict=True)
    requests_per_minute: int | None = Field(default=None, ge=1, le=100_000, strict=True)
    timeout: Length = Duration.parse("30s")
    settles_after: Length = Field(
        default=Duration.parse("1h"), description="after that time nothing that was sent takes effect any more"
    )
    answers_for: Length = Field(
        default=Duration.parse("1d"), description="so long it can say what became of what it accepted"
    )
    expires_after: Length | None = Field(
        default=None, description="so long it keeps who was added; default: until removed"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.payload_file is not None:
            if "payload" in self.model_fields_set:
                raise ItemError("cannot be given beside payload; keep one of the two", ("payload_file",))
            return self
        shape = payload(self.payload)
        for needed in sorted(shape.needs):
            if getattr(self, needed) is None:
                raise ItemError(f'is required with payload = "{self.payload}"', (needed,))
        most = shape.most_identifiers
        if self.payload != "microconv" and self.most_identifiers is not None and self.most_identifiers > most:
            raise ItemError(f"is more than {self.payload} takes at once ({most:,})", ("most_identifiers",))
        if self.url is None and shape.url is None:
            raise ItemError("is required: where to post to", ("url",))
        if self.payload == "microconv" and self.secret is None:
            raise ItemError(
                'is required: it signs each request, so that the other side knows who sent it; { env = "NAME" }',
                ("secret",),
            )
        return self


class WebhookDestination(Destination):
    """Somewhere that takes changes of a list by POST."""

    settings_type: ClassVar[type[DestinationSettings]] = WebhookSettings
    settings: WebhookSettings

    @property
    def payload(self) -> Payload:
        """What it is sent."""
        if self.settings.payload_file is not None:
            return payload_in(self.settings.payload_file)
        return payload(self.settings.payload)

    @property
    def accepts(self) -> Accepts:
        """What its payload carries."""
        kinds = self.payload.kinds()
        in_clear = kinds & {*self.payload.in_clear, *self.settings.in_clear}
        return Accepts(self.settings.name, kinds, PLAIN, in_clear=in_clear, with_origins=self.payload.tells_why)

    def audience_list(self, segment: str, push_id: str, facts: Mapping[str, Any] | None = None) -> WebhookList:
        """Give the list of a segment to a push; nothing is sent yet.

        Raises:
            ConfigError: A secret is missing, or others may read it.
            UsageError: It is not known where to post to, or with which key.
        """
        settings, shape, lifespan = self.settings, self.payload, self.settings.expires_after
        url = settings.url or shape.url
        for needed, given in (("url", url), ("token", settings.token), ("list", settings.list)):
            if given is None and (needed == "url" or needed in shape.needs):
                raise UsageError(
                    f"The destination {settings.name} needs {needed}: its payload names it.",
                    hint=f"Give {needed} in its entry of [[destinations]].",
                )
        secret, token = self._secrets()
        lineage = (facts or {}).get("lineage", {})
        words = lineage.get("rule_in_words")
        values = {
            **self._places(segment),
            "segment": segment,
            "push_id": push_id,
            "rule": None if words is None else textwrap.shorten(words, _LONGEST_RULE, placeholder=" …"),
            "rule_version": lineage.get("rule_version"),
        }
        return WebhookList(
            str(url),
            shape,
            values,
            Signing(secret),
            token,
            limits=ListLimits(
                settings.most_identifiers or shape.most_identifiers,
                settles_after=timedelta(seconds=settings.settles_after.seconds),
                answers_for=timedelta(seconds=settings.answers_for.seconds),
                requests_per_minute=settings.requests_per_minute or shape.requests_per_minute,
                lifespan=None if lifespan is None else timedelta(seconds=lifespan.seconds),
            ),
            outgoing=Outgoing(float(settings.timeout.seconds)),
        )

    @property
    def account(self) -> str:
        """The address that is posted to; for a tool that all accounts reach by one address, where its key is."""
        if self.payload.url is None and self.settings.url is not None:
            return self.settings.url.rstrip("/")
        return f"{self.settings.payload} {self.settings.token!r}"

    def list_place(self, segment: str) -> str:
        """Say by what its payload tells the list of a segment from others."""
        return " ".join(self.payload.place({**self._places(segment), "segment": segment}))

    def examine(self, segments: Sequence[str]) -> Iterator[Finding]:
        """Ask a tool for what a push needs there, where its payload says what that is: a key, lists, properties."""
        asked: set[str] = set()
        for segment in segments:
            there = self.audience_list(segment, "examination")
            paths = [in_path(path, self._places(segment)) for path in self.payload.examine]
            found = [each for path in paths if path not in asked for each in _findings(there, path)]
            asked.update(paths)
            yield from found
            if paths and not found:
                yield ok(f"the key is good, and what {segment} needs is there.")

    def list_facts(self, segment: str) -> ListFacts | None:
        """Ask a tool how many members its list has, where it says so.

        Raises:
            DestinationError: It did not say.
        """
        shape = self.payload
        if shape.members is None or not shape.examine:
            return None
        reply = self.audience_list(segment, "status").look(in_path(shape.examine[0], self._places(segment)))
        if reply.status == 404:  # noqa: PLR2004 - not found
            return ListFacts(is_open=False, notes=("there is no such list",))
        members = pointed(reply.document, shape.members)
        if reply.status != 200 or not isinstance(members, int):  # noqa: PLR2004 - OK
            raise DestinationError(f"{self.settings.name} did not say (HTTP {reply.status}).", hint="Ask again later.")
        return ListFacts(members)

    def _places(self, segment: str) -> dict[str, str | None]:
        """Return the names that the other side knows a segment by."""
        settings = self.settings
        own = f"microconv_{segment.replace('-', '_')}"
        return {"list": settings.list or "", "property": settings.property or own}

    def check_ready(self) -> None:
        """Read the secrets and the payload; nothing is asked of the other side.

        Raises:
            ConfigError: A secret is missing, or others may read it; the payload cannot be used.
        """
        _ = self.payload
        self._secrets()

    def _secrets(self) -> tuple[SecretStr | None, SecretStr | None]:
        secret, token = (
            None if place is None else place.read(f"The {name} of the destination {self.settings.name}")
            for name, place in (("secret", self.settings.secret), ("token", self.settings.token))
        )
        return secret, token


def _findings(there: WebhookList, path: str) -> Iterator[Finding]:
    """Say what is wrong with what a path leads to; nothing where it is there."""
    try:
        status = there.look(path).status
    except DestinationError as error:
        yield fault(error.message, error.hint)
        return
    if status in (401, 403):
        yield fault(
            f"it does not accept our key (HTTP {status}) for {path}.", "Check token, and what that key may do there."
        )
    elif status in (404, 410):
        yield fault(f"it has no {path}.", "Make there what that names, or correct url, list or property.")
    elif not 200 <= status < 300:  # noqa: PLR2004 - success
        yield warning(f"it did not say whether it has {path} (HTTP {status}).", "Run this again later.")


class Signing:
    """Signs requests with HMAC-SHA256 over `<seconds since 1970>.<body>`; without a secret they are not signed."""

    def __init__(self, secret: SecretStr | None, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock

    def headers(self, body: bytes) -> dict[str, str]:
        """Return the headers that prove who sent a body, and when."""
        if self._secret is None:
            return {}
        timestamp = str(int(self._clock()))
        return {
            "Microconv-Timestamp": timestamp,
            "Microconv-Signature": f"sha256={self._digest(timestamp.encode() + b'.' + body)}",
        }

    def request_id(self, push_id: str, operation: Operation, identifiers: Sequence[Identifier]) -> str:
        """Name a request: the same within a push for the same identifiers, and no key to these for anybody else."""
        if self._secret is None:
            return str(uuid.uuid4())
        parts = [push_id, operation, *(part for each in identifiers for part in each)]
        return self._digest("\n".join(parts).encode("utf-8", "surrogatepass"))[:32]

    def _digest(self, message: bytes) -> str:
        assert self._secret is not None  # noqa: S101 - both callers looked
        return hmac.new(self._secret.get_secret_value().encode(), message, hashlib.sha256).hexdigest()


class WebhookList:
    """The list of a segment behind a webhook."""

    def __init__(
        self,
        url: str,
        shape: Payload,
        values: Values,
        signing: Signing,
        token: SecretStr | None,
        *,
        limits: ListLimits,
        outgoing: Outgoing,
    ) -> None:
        self.limits = limits
        self._url = url
        self._shape = shape
        self._values = values
        self._signing = signing
        self._token = token
        self._outgoing = outgoing
        self._origins: Mapping[Identifier, Origin] = {}
        self._others = Origin()

    def explain(self, origins: Mapping[Identifier, Origin], others: Origin) -> None:
        """Take what the next request says of identifiers: why they are on the list, or leave it."""
        self._origins, self._others = origins, others

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        """Post a batch.

        Raises:
            TryLaterError: Nothing was sent, or it asked for patience.
            UnsureError: It was sent, and no answer tells what came of it.
            RefusedError: It was refused.
        """
        foreign = [place for place, each in enumerate(identifiers) if each.kind not in self._shape.kinds(operation)]
        if foreign:
            raise RefusedError("the payload carries no such identifiers", rows=foreign)
        request_id = self._signing.request_id(self._values["push_id"] or "", operation, identifiers)
        values = {
            **self._values,
            "operation": operation,
            "request_id": request_id,
            "sent_at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        }
        body = self._shape.body(operation, values, identifiers, lambda each: self._origins.get(each, self._others))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": request_id,
            **self._own_headers(request_id),
            **self._signing.headers(body),
        }
        reply = self._called("POST", self._url + self._shape.path(operation, values), headers, body)
        return self._judged(reply, operation, identifiers, request_id)

    def finish(self) -> None:
        """Do nothing: each request stands for itself."""

    def ask(self, request_id: str) -> Answer:
        """Ask at the place that an earlier answer named.

        Raises:
            TryLaterError: It could not be asked.
            UnsureError: It did not say.
        """
        if not _STATUS_PATH.fullmatch(request_id):
            return Answer("unknown", request_id, reason="it named no place to ask at")
        headers = {**self._own_headers(""), **self._signing.headers(request_id.encode())}
        reply = self._called("GET", self._origin + request_id, headers)
        if reply.status in (404, 410):
            return Answer("unknown", request_id, reason=f"it does not know the request any more (HTTP {reply.status})")
        if reply.status != 200:  # noqa: PLR2004 - OK
            raise UnsureError(f"HTTP {reply.status}")
        status = self._shape.status
        word = pointed(reply.document, status.state if status else "/state")
        states = status.states if status else {each: each for each in ("accepted", "success", "partial", "failed")}
        state = states.get(word) if isinstance(word, str) else None
        if word == "unknown":
            return Answer("unknown", request_id, reason="it does not know the request any more")
        if state is None:
            raise UnsureError("its answer has no state")
        rejected = self._shape.rejected.read(reply.document)
        if state == "success" and rejected:
            state = "partial"
        return Answer(state, request_id, rejected=rejected or None)

    def look(self, path: str) -> Reply:
        """Ask for something behind the address; nothing is changed by that.

        Raises:
            DestinationError: There was no answer.
        """
        place = self._url.removeprefix(self._origin) + path
        headers = {**self._own_headers(""), **self._signing.headers(place.encode())}
        try:
            return self._outgoing.call("GET", self._origin + place, headers)
        except (NotSentError, NoAnswerError) as error:
            raise DestinationError(
                f"there is no answer to a question: {error}.",
                hint="Check url, and that this machine may reach it (network, proxy, firewall).",
            ) from None

    def now(self) -> datetime | None:
        """Tell no time: this machine's clock counts."""
        return None

    def __repr__(self) -> str:
        return f"WebhookList({self._values['segment']!r})"

    @property
    def _origin(self) -> str:
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc}"

    def _own_headers(self, request_id: str) -> dict[str, str]:
        token = "" if self._token is None else self._token.get_secret_value()
        values = {
            "token": token,
            "token_basic": base64.b64encode(f"microconv:{token}".encode()).decode(),
            "request_id": request_id,
        }
        filled = self._shape.headers.items()
        return {
            "User-Agent": "microconv",
            "Accept": "application/json",
            **{name: re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], text) for name, text in filled},
        }

    def _called(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Reply:
        try:
            reply = self._outgoing.call(method, url, headers, body)
        except NotSentError as error:
            raise TryLaterError(str(error)) from None
        except NoAnswerError as error:
            raise UnsureError(str(error)) from None
        if reply.status in (429, 503):
            raise TryLaterError(f"HTTP {reply.status}", retry_after=reply.retry_after())
        return reply

    def _judged(self, reply: Reply, operation: Operation, identifiers: Sequence[Identifier], request_id: str) -> Answer:
        """Say what an answer means. Its text is somebody else's, and is never shown."""
        status, count = reply.status, len(identifiers)
        if status == 202 or (self._shape.status and status in (200, 201)):  # noqa: PLR2004 - accepted
            place = self._status_path(reply)
            if place is not None:
                return Answer("accepted", place)
            return Answer("unknown", request_id, reason=f"it accepted (HTTP {status}) and named no place to ask at")
        if 200 <= status < 300:  # noqa: PLR2004 - success
            rejected = min(self._shape.rejected.read(reply.document), count)
            if not rejected:
                refused = self._shape.refused(operation, reply.document, identifiers)
                return Answer("success", request_id, reason=_NOT_TAKEN if refused else None, refused=refused)
            state: Literal["partial", "failed"] = "partial" if rejected < count else "failed"
            return Answer(state, request_id, rejected=rejected)
        if 300 <= status < 400:  # noqa: PLR2004 - redirections
            raise RefusedError(f"HTTP {status}: it answered with a redirect, which is not followed")
        if status in (401, 403):
            raise RefusedError(f"HTTP {status}: it does not accept our key or signature")
        if status in (404, 405, 410):
            raise RefusedError(f"HTTP {status}: the list or the address does not exist")
        if status in (400, 413, 415, 422) or 418 <= status < 425 or 426 <= status < 500:  # noqa: PLR2004 - refusals
            rows = self._shape.rows(operation, reply.document, count)
            raise RefusedError(f"HTTP {status}", rows=rows or None)
        # Also a conflict: another request of that name may be under way.
        raise UnsureError(f"HTTP {status}")

    def _status_path(self, reply: Reply) -> str | None:
        """Return where to ask later; only on the same server, where our key may go."""
        if self._shape.status is not None:
            number = pointed(reply.document, self._shape.status.id)
            is_plain = isinstance(number, str | int) and re.fullmatch(r"[A-Za-z0-9._=-]{1,200}", str(number))
            return self._shape.status.path.replace("{{id}}", str(number)) if is_plain else None
        found = reply.headers.get("location") or pointed(reply.document, "/status_url")
        if not isinstance(found, str):
            return None
        place = found.removeprefix(self._origin)
        return place if _STATUS_PATH.fullmatch(place) and not place.startswith("//") else None
