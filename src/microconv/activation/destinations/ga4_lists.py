"""The list of a segment in GA4: events that set a user property, by the Data Manager API or Measurement Protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from microconv.activation.destinations.data_manager_answers import as_answers, asked
from microconv.activation.push.audience_list import (
    Answer,
    Identifier,
    ListLimits,
    Operation,
    RefusedError,
    TryLaterError,
    UnsureError,
)
from microconv.activation.push.identifiers import DEVICE, SignedInDevice
from microconv.clients.data_manager import MOST_EVENTS, REQUESTS_PER_MINUTE, DataManager, Receiver
from microconv.clients.measurement_protocol import MeasurementProtocol
from microconv.clients.outgoing import NoAnswerError, NotSentError
from microconv.errors import UsageError

OUT = "(out)"
"""The value of who left a segment; no segment is called so."""
UNCONFIRMED = "sent, unconfirmed: the Measurement Protocol never says what became of it"
_LONGEST_VALUE = 36
_PER_BATCH = 200
_ANSWERS_FOR = timedelta(days=3)
"""Google remembers a request for fifty days; whoever waits for that long is never told again."""


class KeptFor(NamedTuple):
    """How long what was sent may take to arrive, and how long GA4 then keeps it."""

    settles_after: timedelta
    expires_after: timedelta


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
    def example(self) -> Identifier:
        """A device that is nobody's, for requests that are only looked at."""
        client_id = "0" * 32 if self._is_app else "1234567890.1234567890"
        return Identifier(DEVICE, SignedInDevice(client_id, "example").identifier)

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
        times: KeptFor,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.limits = ListLimits(
            MOST_EVENTS, times.settles_after, _ANSWERS_FOR, times.expires_after, REQUESTS_PER_MINUTE
        )
        self._client = client
        self._receiver = receiver
        self.membership = membership
        self._clock = clock

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        """Send a batch.

        Raises:
            TryLaterError: Nothing was taken.
            RefusedError: It was refused; the devices at fault are named, where Google names them.
            UnsureError: No answer came.
        """
        now = self._clock()
        events = [self.membership.event(operation, device, now) for device in devices_in(identifiers)]
        with as_answers():
            return Answer("accepted", self._client.ingest_events([self._receiver], events))

    def validate(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        """Let Google look at a batch, without any effect.

        Raises:
            RefusedError: It would be refused.
            TryLaterError: It was not looked at.
            UnsureError: No answer came.
        """
        now = self._clock()
        events = [self.membership.event(operation, device, now) for device in devices_in(identifiers)]
        with as_answers():
            self._client.ingest_events([self._receiver], events, validate_only=True)
        return Answer("success")

    def finish(self) -> None:
        """Do nothing: each request stands for itself."""

    def ask(self, request_id: str) -> Answer:
        """Ask what became of a request.

        Raises:
            UnsureError: It did not say.
        """
        return asked(self._client, request_id)

    def now(self) -> datetime | None:
        """Tell no time: this machine's clock counts."""
        return None

    def __repr__(self) -> str:
        return f"EventList({self.membership.segment!r})"


class ProtocolList:
    """The list of a segment, told by the Measurement Protocol: one request a device, and none is confirmed."""

    def __init__(
        self,
        protocol: MeasurementProtocol,
        membership: Membership,
        times: KeptFor,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # It says nothing, so nobody waits for that.
        self.limits = ListLimits(_PER_BATCH, times.settles_after, timedelta(seconds=1), times.expires_after)
        self._protocol = protocol
        self.membership = membership
        self._clock = clock

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        """Send a batch, device by device.

        Raises:
            TryLaterError: The first was not taken, so none was.
            RefusedError: The first was refused.
            UnsureError: No answer came, or some were taken before one was not.
        """
        for place, device in enumerate(devices_in(identifiers)):
            payload = self.membership.payload(operation, device, self._clock())
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

    def validate(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        """Let the validation server look at the request of the first device: all others are like it.

        Raises:
            UnsureError: It did not say.
        """
        device = devices_in(identifiers)[0]
        try:
            mistakes = self._protocol.mistakes(self.membership.payload(operation, device, self._clock()))
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
        return f"ProtocolList({self.membership.segment!r})"
