"""GA4: who is in a segment, as a user property of the devices on which people who agreed have signed in.

Each segment has a property of its own, whose value is the segment's name for who is in it and `(out)` for who left. An
audience of GA4 that looks for that value is what Google Ads then gets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from microconv import wording
from microconv.activation.audience.normalise import GA4
from microconv.activation.destinations.base import Accepts, Destination, DestinationSettings, Forgotten, ListFacts
from microconv.activation.destinations.ga4_lists import EventList, KeptFor, Membership, ProtocolList
from microconv.activation.push.audience_list import (
    Answer,
    Identifier,
    Operation,
    RefusedError,
    TryLaterError,
    UnsureError,
)
from microconv.activation.push.identifiers import DevicesOf, SignedInDevice
from microconv.clients.analytics_access import Access
from microconv.clients.analytics_admin import AnalyticsAdmin
from microconv.clients.analytics_failures import EDIT_SCOPE, READ_SCOPE, Asked
from microconv.clients.audience_exports import AudienceExports
from microconv.clients.data_manager import (
    Account,
    DataManager,
    DataManagerAccess,
    Receiver,
)
from microconv.clients.measurement_protocol import ENDPOINT, MeasurementProtocol, is_app
from microconv.clients.outgoing import NotSentError, Outgoing
from microconv.config.problems import ItemError
from microconv.config.secret import Secret
from microconv.config.values import Duration, FileStem, Ga4Property, InFolder, Label, Length, SafeEndpoint
from microconv.errors import ConfigError, DestinationError, MicroconvError, UsageError
from microconv.findings import Finding, fault, not_tested, ok, warning
from microconv.segments.ga4_definition import audience_name

_LONGEST_PROPERTY = 24
_MOST_DIMENSIONS = 25
"""User-scoped custom dimensions of a standard property."""


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
    deletes_users: bool = Field(
        default=True, strict=True, description="whether an erasure asks GA4 to delete the user, and the user's devices"
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
    expires_after: Length = Field(
        default=Duration.parse("60d"), description="so long GA4 keeps data of a user who does not come back"
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
    extra: ClassVar[str | None] = "ga4"
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
        times = KeptFor(
            timedelta(seconds=settings.settles_after.seconds), timedelta(seconds=settings.expires_after.seconds)
        )
        if settings.via == "measurement_protocol":
            return ProtocolList(self._protocol(), membership, times)
        account = Account(settings.ga4_property, "GOOGLE_ANALYTICS_PROPERTY")
        return EventList(self._data_manager, Receiver(account, settings.stream), membership, times)

    @property
    def account(self) -> str:
        """The property."""
        return self.settings.ga4_property

    def list_place(self, segment: str) -> str:
        """Return the user property of a segment; a web stream and an app have devices of their own."""
        devices = "apps" if is_app(self.settings.stream) else "the web"
        return f"{self.settings.user_property(segment)} on {devices}"

    def check_ready(self) -> None:
        """Make sure that Google takes our credentials, or that there is a secret for the Measurement Protocol.

        Raises:
            UsageError: The package or credentials are missing, or Google does not take these; or the secret is missing.
        """
        if self.settings.via == "measurement_protocol":
            self._protocol()
            return
        try:
            self._data_manager.check_credentials()
        except NotSentError as error:
            raise DestinationError(
                f"{self.settings.name}: {error}.", hint="Check that this machine may reach Google (network, proxy)."
            ) from None

    def examine(self, segments: Sequence[str]) -> Iterator[Finding]:
        """Find out whether segments can be pushed: GA4 looks at an event about nobody, and says what it has."""
        for segment in segments or ("test",):
            audience = self.audience_list(segment, "examination")
            try:
                answer = audience.validate("add", [audience.membership.example])
            except (RefusedError, TryLaterError, UnsureError) as error:
                is_refused = isinstance(error, RefusedError)
                remedy = "See docs/ga4-audiences.md for the permissions." if is_refused else "Try again later."
                yield fault(f"GA4 would not take an event of {segment}: {error}.", remedy)
                continue
            if answer.state == "success":
                yield ok(f"GA4 would take an event of {segment}.")
            else:
                said = f"GA4 would throw an event of {segment} away: {answer.reason}."
                yield fault(said, "Compare the names in its entry with those that GA4 takes.")
        try:
            yield from self._examined_property(segments)
        except MicroconvError as error:
            yield replace(not_tested(f"What the property has cannot be looked at. {error.message}"), remedy=error.hint)

    def _examined_property(self, segments: Sequence[str]) -> Iterator[Finding]:
        with closing(self.admin(reading=True)) as admin:
            dimensions, audiences = admin.user_dimensions(), admin.audiences()
        for segment in segments:
            user_property, name = self.settings.user_property(segment), audience_name(segment)
            remedy = f"`microconv segment ga4 {segment} --by-push --create` makes it."
            if user_property not in dimensions:
                said = f"The property has no user-scoped custom dimension {user_property}, which {segment} needs."
                yield warning(said, remedy)
            if name not in audiences:
                yield warning(f'The property has no audience "{name}": nobody gets the list.', remedy)
        missing = {self.settings.user_property(segment) for segment in segments} - set(dimensions)
        if missing and len(dimensions) + len(missing) > _MOST_DIMENSIONS:
            has = wording.plural(len(dimensions), "user-scoped custom dimension")
            said = f"The property has {has}, of {_MOST_DIMENSIONS} that it may have."
            yield fault(said, "Archive some in GA4, or push fewer segments to it.")

    def validate(self, segment: str, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        """Have GA4 look at the first batch of a push."""
        return self.audience_list(segment, "validation").validate(operation, identifiers)

    def list_facts(self, segment: str) -> ListFacts:
        """Return how many members the audience had when it was exported last: GA4 says so in no other way."""
        name = audience_name(segment)
        with closing(self.admin(reading=True)) as admin, closing(self.exports()) as exports:
            audience = admin.audiences().get(name)
            if audience is None:
                return ListFacts(notes=(f'the property has no audience "{name}"',))
            export = exports.latest(audience)
        if export is None or export.state != "active":
            return ListFacts(notes=("not exported yet: `microconv push verify-ga4`",))
        return ListFacts(export.rows, notes=(f"exported {wording.second(export.began_at)}",))

    def forget(self, user_ids: Sequence[str], devices: Sequence[SignedInDevice] = ()) -> Forgotten | None:
        """Ask GA4 to delete users, and the devices that it was told of as theirs.

        Raises:
            MicroconvError: It did not take one of them.
        """
        if not self.settings.deletes_users:
            return None
        of_device: Literal["app_instance_id", "client_id"] = (
            "app_instance_id" if is_app(self.settings.stream) else "client_id"
        )
        with closing(self.admin()) as admin:
            for user_id in user_ids:
                admin.delete_user("user_id", user_id)
            for device in devices:
                admin.delete_user(of_device, device.client_id)
        return Forgotten("users and devices of GA4", len(user_ids) + len(devices))

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
            settings.credentials_file, settings.endpoint, settings.transport, float(settings.timeout.seconds), "ga4"
        )
        return DataManager(access)

    def _protocol(self) -> MeasurementProtocol:
        settings = self.settings
        assert settings.api_secret is not None  # noqa: S101 - the settings looked
        secret = settings.api_secret.read(f"The api_secret of the destination {settings.name}")
        outgoing = Outgoing(float(settings.timeout.seconds))
        return MeasurementProtocol(settings.stream, secret, outgoing, settings.endpoint or ENDPOINT)
