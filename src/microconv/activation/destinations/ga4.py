"""GA4: who is in a segment, as a user property of the devices on which people who agreed have signed in.

Each segment has a property of its own, whose value is the segment's name for who is in it and `(out)` for who left. An
audience of GA4 that looks for that value is what Google Ads then gets.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from microconv import wording
from microconv.activation.audience.normalise import GA4
from microconv.activation.destinations.base import Accepts, Destination, DestinationSettings
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
from microconv.activation.push.identifiers import DEVICE, DevicesOf, SignedInDevice
from microconv.clients.analytics_access import Access
from microconv.clients.analytics_admin import AnalyticsAdmin
from microconv.clients.analytics_failures import EDIT_SCOPE, READ_SCOPE, Asked
from microconv.clients.audience_exports import AudienceExports
from microconv.clients.data_manager import (
    MOST_EVENTS,
    REQUESTS_PER_MINUTE,
    Account,
    DataManager,
    DataManagerAccess,
    Receiver,
)
from microconv.clients.data_manager_failures import BusyError, RequestRefusedError
from microconv.clients.measurement_protocol import ENDPOINT, MeasurementProtocol, is_app
from microconv.clients.outgoing import NoAnswerError, NotSentError, Outgoing
from microconv.config.problems import ItemError
from microconv.config.secret import Secret
from microconv.config.values import Duration, FileStem, Ga4Property, InFolder, Label, Length, SafeEndpoint
from microconv.errors import ConfigError, UsageError

OUT = "(out)"
"""The value of who left a segment; no segment is called so."""
_LONGEST_PROPERTY, _LONGEST_VALUE = 24, 36
_PER_BATCH = 200
_ANSWERS_FOR = timedelta(days=3)
"""Google remembers a request for fifty days; whoever waits for that long is never told again."""
_FINAL: Mapping[str, BatchState] = {"success": "success", "partial": "partial", "failed": "failed"}
UNCONFIRMED = "sent, unconfirmed: the Measurement Protocol never says what became of it"


def _stream(text: str) -> str:
    if not re.fullmatch(r"G-[A-Z0-9]{4,20}|[0-9]{1,3}:[0-9]{1,20}:(?:ios|android):[0-9a-f]{8,64}", text):
        raise ValueError(
            'is not the id of a data stream: the measurement id of a web stream, such as "G-ABC123DEF4" (Admin > Data '
            'streams), or the app id of Firebase, such as "1:1234567890:android:321abc456def7890"'
        )
    return text


def _event_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", text) or re.match(r"(?:google|ga|firebase)_", text):
        raise ValueError("is not the name of an event: a letter, then letters, digits and _, 40 at most")
    return text


def _user_property(text: str) -> str:
    reserved = ("first_open_time", "first_visit_time", "last_deep_link_referrer", "user_id", "first_open_after_install")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", text) or len(text) > _LONGEST_PROPERTY:
        raise ValueError(
            f"is not the name of a user property: a letter, then letters, digits and _, {_LONGEST_PROPERTY} at most"
        )
    if text in reserved or re.match(r"(?:google|ga|firebase)_", text):
        raise ValueError("is a name that GA4 keeps for itself: take another one")
    if text.startswith("mc_"):
        raise ValueError("begins with mc_, as the properties of segments that are not named here do")
    return text


class Ga4Settings(DestinationSettings):
    """`[[destinations]]` of the kind `ga4`."""

    kind: Literal["ga4"] = "ga4"
    ga4_property: Ga4Property = Field(description='the number of the property in GA4, such as "123456789"')
    stream: Annotated[str, AfterValidator(_stream)] = Field(
        description='the data stream: the measurement id ("G-…"), or the Firebase app id of an app'
    )
    property: Label | None = Field(default=None, description="its label under [[sources]], where there are several")
    via: Literal["data_manager", "measurement_protocol"] = Field(
        default="data_manager", description="how it is told; the Measurement Protocol never says what became of it"
    )
    api_secret: Secret | None = Field(
        default=None, description='an API secret of the stream, for the Measurement Protocol: { env = "NAME" }'
    )
    credentials_file: InFolder | None = Field(
        default=None, description="the key file of a service account; default: application default credentials"
    )
    user_properties: Mapping[FileStem, Annotated[str, AfterValidator(_user_property)]] = Field(
        default_factory=dict, description="user properties by segment; default: mc_<segment>"
    )
    event: Annotated[str, AfterValidator(_event_name)] = Field(
        default="microconv_segment", description="the event that carries the user property"
    )
    transport: Literal["grpc", "rest"] = "grpc"
    endpoint: SafeEndpoint | None = Field(default=None, description="another address than Google's to send to")
    admin_endpoint: SafeEndpoint | None = Field(default=None, description="the same, of the Admin API")
    data_endpoint: SafeEndpoint | None = Field(default=None, description="the same, of the Data API")
    timeout: Length = Duration.parse("60s")
    settles_after: Length = Field(
        default=Duration.parse("1d"), description="after that time nothing that was sent takes effect any more"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.via == "measurement_protocol" and self.api_secret is None:
            raise ItemError(
                'is required with via = "measurement_protocol" (GA4: Admin > Data streams > Measurement Protocol API '
                'secrets); { env = "NAME" }',
                ("api_secret",),
            )
        seen: dict[str, str] = {}
        for segment, name in self.user_properties.items():
            if name in seen:
                raise ItemError(f"is the user property of {seen[name]} already", ("user_properties", segment))
            seen[name] = segment
        return self

    def user_property(self, segment: str) -> str:
        """Return the user property of a segment.

        Raises:
            UsageError: There is none, since the name of the segment cannot be a part of one.
        """
        if segment in self.user_properties:
            return self.user_properties[segment]
        name = f"mc_{segment}"
        if "-" in segment or len(name) > _LONGEST_PROPERTY:
            raise UsageError(
                f"The destination {self.name} has no user property for the segment {segment}: names of user properties "
                f"have letters, digits and _, {_LONGEST_PROPERTY} at most.",
                hint=f'Name one: user_properties = {{ "{segment}" = "…" }} in the entry of {self.name}.',
            )
        return name


class Ga4Destination(Destination):
    """A data stream of GA4."""

    settings_type: ClassVar[type[DestinationSettings]] = Ga4Settings
    settings: Ga4Settings

    @property
    def accepts(self) -> Accepts:
        """Devices of people whose user id may be sent."""
        return Accepts(
            self.settings.name,
            frozenset({"user_id"}),
            GA4,
            in_clear=frozenset({"user_id"}),
            devices=DevicesOf(is_app(self.settings.stream), self.settings.property),
        )

    def audience_list(
        self, segment: str, push_id: str, facts: Mapping[str, Any] | None = None
    ) -> EventList | ProtocolList:
        """Give the list of a segment to a push; nothing is sent yet.

        Raises:
            UsageError: The name of the segment cannot be a user property, or its value; or credentials are missing.
            ConfigError: The secret is missing, or others may read it.
        """
        del push_id, facts
        settings = self.settings
        membership = Membership(
            segment, settings.user_property(segment), settings.event, is_app=is_app(settings.stream)
        )
        settles_after = timedelta(seconds=settings.settles_after.seconds)
        if settings.via == "measurement_protocol":
            # It says nothing, so nobody waits for that.
            limits = ListLimits(_PER_BATCH, settles_after, answers_for=timedelta(seconds=1))
            return ProtocolList(self._protocol(), membership, limits)
        account = Account(settings.ga4_property, "GOOGLE_ANALYTICS_PROPERTY")
        return EventList(self._data_manager, Receiver(account, settings.stream), membership, settles_after)

    def admin(self, *, reading: bool = False) -> AnalyticsAdmin:
        """Give the Admin API of the property, perhaps to read only; whoever asks for it closes it."""
        scope = READ_SCOPE if reading else EDIT_SCOPE
        asked = self._asked("Admin API", "analyticsadmin.googleapis.com", scope)
        return AnalyticsAdmin(self._access(self.settings.admin_endpoint), asked)

    def exports(self) -> AudienceExports:
        """Give the exports of audiences of the property; whoever asks for them closes them."""
        asked = self._asked("Data API", "analyticsdata.googleapis.com", READ_SCOPE)
        return AudienceExports(self._access(self.settings.data_endpoint), asked)

    def _access(self, endpoint: str | None) -> Access:
        settings = self.settings
        timeout = float(settings.timeout.seconds)
        return Access(settings.ga4_property, settings.credentials_file, endpoint, settings.transport, timeout)

    def _asked(self, api: str, host: str, scope: str) -> Asked:
        return Asked(api, host, scope, f"{self.settings.name}.", "Run the same command again later.", ConfigError)

    @cached_property
    def _data_manager(self) -> DataManager:
        settings = self.settings
        access = DataManagerAccess(
            settings.credentials_file, settings.endpoint, settings.transport, float(settings.timeout.seconds)
        )
        return DataManager(access)

    def _protocol(self) -> MeasurementProtocol:
        settings = self.settings
        assert settings.api_secret is not None  # noqa: S101 - the settings looked
        secret = settings.api_secret.read(f"The api_secret of the destination {settings.name}")
        outgoing = Outgoing(float(settings.timeout.seconds))
        return MeasurementProtocol(settings.stream, secret, outgoing, settings.endpoint or ENDPOINT)


class Membership:
    """Says of a device that its user is in a segment, or is not."""

    def __init__(self, segment: str, user_property: str, event: str, *, is_app: bool) -> None:
        if len(segment) > _LONGEST_VALUE:
            raise UsageError(
                f"The name of the segment {segment} is too long for GA4, where it is the value of a user property.",
                hint=f"Give it a name of {_LONGEST_VALUE} letters at most.",
            )
        self.segment = segment
        self.user_property = user_property
        self._event = event
        self._is_app = is_app

    @property
    def example(self) -> SignedInDevice:
        """A device that is nobody's, for requests that are only looked at."""
        return SignedInDevice("0" * 32 if self._is_app else "1234567890.1234567890", "example")

    def value(self, operation: Operation) -> str:
        """Return the value of the user property after an operation."""
        return self.segment if operation == "add" else OUT

    def payload(self, operation: Operation, device: SignedInDevice, now: float) -> dict[str, Any]:
        """Return what the Measurement Protocol is sent of a device. An addition says that its user agreed."""
        granted = {"ad_user_data": "GRANTED", "ad_personalization": "GRANTED"}
        return {
            "app_instance_id" if self._is_app else "client_id": device.client_id,
            "user_id": device.user_id,
            # A request that comes late does not undo a later one.
            "timestamp_micros": int(now * 1_000_000),
            **({"consent": granted} if operation == "add" else {}),
            "user_properties": {self.user_property: {"value": self.value(operation)}},
            "events": [{"name": self._event, "params": {}}],
        }

    def event(self, operation: Operation, device: SignedInDevice, now: float) -> dict[str, Any]:
        """Return the event of the Data Manager API that says the same."""
        granted = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
        property_now = {"propertyName": self.user_property, "value": self.value(operation)}
        return {
            "appInstanceId" if self._is_app else "clientId": device.client_id,
            "userId": device.user_id,
            "eventTimestamp": datetime.fromtimestamp(now, tz=UTC).isoformat(),
            "eventName": self._event,
            "eventSource": "APP" if self._is_app else "WEB",
            **({"consent": granted} if operation == "add" else {}),
            "userProperties": {"additionalUserProperties": [property_now]},
        }


def devices_in(identifiers: Sequence[Identifier]) -> list[SignedInDevice]:
    """Return the devices of a batch.

    Raises:
        RefusedError: Some are something else.
    """
    foreign = [place for place, each in enumerate(identifiers) if each.kind != DEVICE]
    if foreign:
        raise RefusedError("GA4 is told of devices only", rows=foreign)
    return [SignedInDevice.of(each.value) for each in identifiers]


class EventList:
    """The list of a segment, told by events of the Data Manager API, which says later what became of them."""

    def __init__(
        self,
        client: DataManager,
        receiver: Receiver,
        membership: Membership,
        settles_after: timedelta,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.limits = ListLimits(
            MOST_EVENTS, settles_after, answers_for=_ANSWERS_FOR, requests_per_minute=REQUESTS_PER_MINUTE
        )
        self._client = client
        self._receiver = receiver
        self._membership = membership
        self._clock = clock

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        """Send a batch.

        Raises:
            TryLaterError: Nothing was taken.
            RefusedError: It was refused; the devices at fault are named, where Google names them.
            UnsureError: No answer came.
        """
        now = self._clock()
        events = [self._membership.event(operation, device, now) for device in devices_in(identifiers)]
        with _in_words_of_a_list():
            return Answer("accepted", self._client.ingest_events([self._receiver], events))

    def validate(self, operation: Operation) -> Answer:
        """Let Google look at an event about nobody.

        Raises:
            RefusedError: It would be refused.
            TryLaterError: It was not looked at.
            UnsureError: No answer came.
        """
        event = self._membership.event(operation, self._membership.example, self._clock())
        with _in_words_of_a_list():
            self._client.ingest_events([self._receiver], [event], validate_only=True)
        return Answer("success")

    def finish(self) -> None:
        """Do nothing: each request stands for itself."""

    def ask(self, request_id: str) -> Answer:
        """Ask what became of a request.

        Raises:
            UnsureError: It did not say.
            TryLaterError: It could not be asked.
        """
        try:
            with _in_words_of_a_list():
                found = self._client.status(request_id)
        except RefusedError as error:
            # That it may not be asked now says nothing of the request.
            raise UnsureError(str(error)) from None
        if not found:
            return Answer("unknown", request_id, reason="Google does not know the request any more")
        (of_us, *_) = found
        state = _FINAL.get(of_us.state, "accepted")
        reasons = ", ".join(f"{reason} {wording.count(count)}" for reason, count in of_us.reasons) or None
        return Answer(state, request_id, rejected=of_us.rejected, reason=reasons)

    def now(self) -> datetime | None:
        """Tell no time: this machine's clock counts."""
        return None

    def __repr__(self) -> str:
        return f"EventList({self._membership.segment!r})"


@contextmanager
def _in_words_of_a_list() -> Iterator[None]:
    try:
        yield
    except NotSentError as error:
        raise TryLaterError(str(error)) from None
    except NoAnswerError as error:
        raise UnsureError(str(error)) from None
    except BusyError as error:
        raise TryLaterError(str(error), retry_after=error.retry_after) from None
    except RequestRefusedError as error:
        raise RefusedError(str(error), rows=error.rows) from None


class ProtocolList:
    """The list of a segment, told by the Measurement Protocol: one request a device, and none is confirmed."""

    def __init__(
        self,
        protocol: MeasurementProtocol,
        membership: Membership,
        limits: ListLimits,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.limits = limits
        self._protocol = protocol
        self._membership = membership
        self._clock = clock

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        """Send a batch, device by device.

        Raises:
            TryLaterError: The first was not taken, so none was.
            RefusedError: The first was refused.
            UnsureError: No answer came, or some were taken before one was not.
        """
        for place, device in enumerate(devices_in(identifiers)):
            payload = self._membership.payload(operation, device, self._clock())
            try:
                reply = self._protocol.collect(payload)
            except NotSentError as error:
                if place:
                    raise UnsureError(str(error)) from None
                raise TryLaterError(str(error)) from None
            except NoAnswerError as error:
                raise UnsureError(str(error)) from None
            status = reply.status
            if 200 <= status < 300:  # noqa: PLR2004 - success
                continue
            if place or (status >= 500 and status != 503):  # noqa: PLR2004 - server errors
                raise UnsureError(f"HTTP {status}")
            if status in (429, 503):
                raise TryLaterError(f"HTTP {status}", retry_after=reply.retry_after())
            raise RefusedError(f"HTTP {status}")
        return Answer("unknown", reason=UNCONFIRMED)

    def validate(self, operation: Operation) -> Answer:
        """Let the validation server look at a request about nobody.

        Raises:
            UnsureError: It did not say.
        """
        payload = self._membership.payload(operation, self._membership.example, self._clock())
        try:
            mistakes = self._protocol.mistakes(payload)
        except (NotSentError, NoAnswerError) as error:
            raise UnsureError(str(error)) from None
        if mistakes is None:
            raise UnsureError("the validation server did not say")
        return Answer("failed", reason="; ".join(mistakes)) if mistakes else Answer("success")

    def finish(self) -> None:
        """Do nothing: each request stands for itself."""

    def ask(self, request_id: str) -> Answer:
        """Say that nobody can tell."""
        return Answer("unknown", request_id, reason=UNCONFIRMED)

    def now(self) -> datetime | None:
        """Tell no time: this machine's clock counts."""
        return None

    def __repr__(self) -> str:
        return f"ProtocolList({self._membership.segment!r})"
