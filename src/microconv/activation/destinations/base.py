"""The contract of a destination. It knows nothing of segments' rules, consent or guards: what reaches it is decided.

A push gives it changes: identifiers go on the list of a segment, or off it (`audience_list`). An ad platform takes
conversions as well (`conversions`). One that takes a whole audience at once, as files are, takes exports as well. Such
a delivery is one context: what is sent inside appears when it ends, and none of it when it ends in an error.

    with destination.begin(delivery) as send:
        receipts = [send(batch) for batch in batches]
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, TypeAlias

from pydantic import ConfigDict

from microconv.activation.audience.audience_rows import AudienceRow, IdentityKind
from microconv.activation.audience.normalise import Normalisation
from microconv.activation.conversions.conversion_destination import ConversionDestination
from microconv.activation.push.audience_list import Answer, AudienceList, Identifier, Operation
from microconv.activation.push.identifiers import DevicesOf, SignedInDevice
from microconv.config.destination_settings import DestinationConfig
from microconv.errors import UsageError
from microconv.findings import Finding

if TYPE_CHECKING:
    from microconv.engines.base import Engine

State: TypeAlias = Literal["accepted", "success", "partial", "failed", "unknown"]
"""What became of a batch. Only `accepted` may still change; after `unknown` nobody can tell any more."""


class DestinationSettings(DestinationConfig):
    """The keys of one kind of destination under `[[destinations]]`; a subclass adds its own, and no other is taken."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Accepts:
    """What a destination accepts.

    Attributes:
        name: What messages call it: a format or a platform.
        identity: The identifiers that it can carry.
        normalisation: Its rules for what is hashed.
        with_address: Whether it carries names, country and postal code beside an identifier.
        minimum: The number of people below which the platform does not serve a list; 0: not known.
        members_per_batch: The most that one batch of an export may hold; None: any number.
        in_clear: The identifiers that it wants as they are, normalised; all others are hashed.
        devices: It is told of devices instead: those of the people whose user ids may be sent to it.
        with_origins: It is told of each identifier why it is on the list or leaves it; its lists are then `TellsWhy`.
    """

    name: str
    identity: frozenset[IdentityKind]
    normalisation: Normalisation
    with_address: bool = False
    minimum: int = 0
    members_per_batch: int | None = None
    in_clear: frozenset[IdentityKind] = frozenset()
    devices: DevicesOf | None = None
    with_origins: bool = False


@dataclass(frozen=True)
class Target:
    """Where a segment goes: in words ("written to exports/buyers.csv"), and as facts for the JSON document."""

    words: str
    facts: Mapping[str, str]


@dataclass(frozen=True)
class Previous:
    """The last delivery of a segment: how many it held (None: nobody can tell), and the record that says so."""

    written: int | None
    record: str


@dataclass(frozen=True)
class Delivery:
    """What a destination is told before the first batch; it keeps `facts` and `rejects` as they are.

    Attributes:
        segment: The name of the segment.
        run_id: The run that delivers.
        now: The current time, aware of its zone.
        facts: Counts and origin of the whole, as JSON.
        rejects: Who is not in it, and why: pairs of actor key and reason code.
    """

    segment: str
    run_id: str
    now: datetime
    facts: Mapping[str, Any]
    rejects: Sequence[tuple[int, str]]


@dataclass(frozen=True)
class Batch:
    """Some of the rows of a delivery, at most as many as the destination accepts; `number` counts from 1."""

    number: int
    rows: Sequence[AudienceRow]


@dataclass(frozen=True)
class Receipt:
    """What a destination says of a batch.

    Attributes:
        batch: Its number.
        taken: How many of its rows were taken.
        state: What became of it.
        reference: What the destination calls it: a file, a request id. Never an identifier of a person.
    """

    batch: int
    taken: int
    state: State
    reference: str

    @property
    def is_final(self) -> bool:
        """Whether asking again can change nothing."""
        return self.state != "accepted"


@dataclass(frozen=True)
class ListFacts:
    """What a platform says of a list of ours now.

    Attributes:
        members: How many it counts on it, by its own count of people; None: it does not say.
        match_rate: The share of what was sent that it knows, from 0 to 1; None: it does not say.
        is_open: Whether the list takes members and serves.
        notes: What people should know: why it was closed, what must be declared, that it is too small to serve.
    """

    members: int | None = None
    match_rate: float | None = None
    is_open: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Forgotten:
    """What a platform was asked to delete of people: in words ("users of GA4"), and of how many ids."""

    what: str
    ids: int


Send: TypeAlias = Callable[[Batch], Receipt]


class Destination(ABC):
    """Somewhere an audience can go. A kind takes pushes, exports or both; the other is a `UsageError`."""

    settings_type: ClassVar[type[DestinationSettings]]
    """The class of its settings, by which its keys in the configuration are checked."""

    extra: ClassVar[str | None] = None
    """The extra with the packages that it needs, as in `pip install "microconv[…]"`; None: it needs no more."""

    open_engine: Callable[[], Engine] | None = None
    """Gives the engine of the project, for kinds that keep audiences there; whoever makes the destination sets it."""

    def __init__(self, settings: DestinationSettings) -> None:
        """Take the settings; nothing is opened before it is needed."""
        self.settings = settings

    @property
    @abstractmethod
    def accepts(self) -> Accepts:
        """What it accepts."""

    def audience_list(self, segment: str, push_id: str, facts: Mapping[str, Any] | None = None) -> AudienceList:
        """Give the list of a segment to a push; one that keeps records keeps `facts`, the origin of the push, as JSON.

        Raises:
            UsageError: It takes no pushes, or the segment cannot go there.
        """
        del segment, push_id, facts
        self._refuse("pushes", "microconv export")

    def check_ready(self) -> None:  # noqa: B027 - most need nothing
        """Make sure before a push that it can be reached at all: packages, credentials. Nothing is sent.

        Raises:
            UsageError: Something of that is missing.
            DestinationError: It cannot be reached.
        """

    @property
    def account(self) -> str:
        """Where its lists are at the platform: what has one `list_place` in one account of a kind is one list.

        By default no other destination has its lists there.
        """
        return self.settings.name

    def list_place(self, segment: str) -> str:
        """Return where the account keeps the list of a segment: no two segments may share it."""
        return segment

    def examine(self, segments: Sequence[str]) -> Iterator[Finding]:
        """Look, for the doctor, at what a push of these segments needs, after `check_ready`; nothing is changed.

        A call that tries whether the platform would take something holds no identifier of a person. By default there
        is nothing to look at.

        Raises:
            MicroconvError: Something cannot be looked at; that is a finding, too.
        """
        del segments
        yield from ()

    def examine_conversions(self, actions: Sequence[str]) -> Iterator[Finding]:
        """Look, for the doctor, at what conversions of these actions need in common; see `examine`.

        Each of them is then tried by itself, with one about nobody, where the platform checks without effect.
        """
        del actions
        yield from ()

    def list_facts(self, segment: str) -> ListFacts | None:
        """Ask what the platform says of the list of a segment; None: it says nothing of lists, or has no such list.

        Raises:
            MicroconvError: It did not say.
        """
        del segment
        return None

    def validate(self, segment: str, operation: Operation, identifiers: Sequence[Identifier]) -> Answer | None:
        """Have the platform check a request of a push without any effect, for a dry run.

        Args:
            segment: The name of the segment.
            operation: What would be asked.
            identifiers: The first batch of it, at most as many as a request holds.

        Returns:
            What would come of it; None: it cannot check.

        Raises:
            RefusedError: It would be refused.
            UnsureError, TryLaterError: It was not checked.
        """
        del segment, operation, identifiers
        return None

    def forget(self, user_ids: Sequence[str], devices: Sequence[SignedInDevice] = ()) -> Forgotten | None:
        """Ask the platform to delete all it has of users, in an erasure; to ask again changes nothing.

        `devices` are those that it was told of as theirs, if it is told of devices.

        None: it keeps nothing of users but what is on lists, which an erasure removes by itself.

        Raises:
            MicroconvError: It was not taken.
        """
        del user_ids, devices
        return None

    def starts_anew(self, segment: str) -> bool:
        """Tell whether the platform has no list of a segment, not yet or not any more: then all of it is to be said.

        Raises:
            DestinationError: It did not say.
        """
        del segment
        return False

    def take_off_older(self, segment: str, added_before: datetime, *, validate_only: bool = False) -> Answer:
        """Take off a list whoever was last added before a moment (aware of its zone); see `push.sweeping`.

        With `validate_only` the platform only checks the request.

        Raises:
            UsageError: The platform cannot do that.
            UnsureError, RefusedError, TryLaterError: See `AudienceList.send`.
        """
        del segment, added_before, validate_only
        raise UsageError(
            f"The destination {self.settings.name} ({self.settings.kind}) does not know when members were added.",
            hint="Empty its list there, and run `microconv push --full`.",
        )

    def conversion_place(self, action: str) -> str:
        """Return where the account counts conversions of an action: no two conversions may share it."""
        return action

    def conversions(self, action: str) -> ConversionDestination:
        """Give what takes conversions; `action` is what the platform calls their kind (`[[conversions]]`).

        Raises:
            UsageError: It takes no conversions, or none of that kind.
            ConfigError: A secret is missing, or others may read it.
        """
        del action
        raise UsageError(
            f"The destination {self.settings.name} ({self.settings.kind}) takes no conversions.",
            hint="Choose a destination of a kind that does: docs/conversions.md lists them.",
        )

    def target(self, segment: str) -> Target:
        """Say where an export of a segment goes.

        Raises:
            UsageError: It cannot go there.
        """
        del segment
        self._refuse("exports", "microconv push")

    def previous(self, segment: str) -> Previous | None:
        """Return what was exported of a segment last; None at the first time."""
        del segment
        self._refuse("exports", "microconv push")

    def begin(self, delivery: Delivery) -> AbstractContextManager[Send]:
        """Begin an export; its context gives the function that sends a batch.

        Raises:
            DestinationError: It could not be delivered. What was delivered before is as it was.
        """
        del delivery
        self._refuse("exports", "microconv push")

    def poll(self, receipt: Receipt) -> Receipt:
        """Ask again what became of a batch; a later run may ask, too. By default every receipt is final at once."""
        return receipt

    def _refuse(self, what: str, instead: str) -> NoReturn:
        raise UsageError(
            f"The destination {self.settings.name} ({self.settings.kind}) takes no {what}.",
            hint=f"Use `{instead}` for it.",
        )
