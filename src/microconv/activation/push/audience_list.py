"""What a push needs of somebody else's list: identifiers go on it or off it, and later it says what came of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

Operation: TypeAlias = Literal["add", "remove"]
BatchState: TypeAlias = Literal["planned", "sent", "accepted", "success", "partial", "failed", "unknown"]
"""`planned`: written down, and still here. `sent`: it left, and nobody answered. `accepted`: it is being worked on. The
others are final: all of it, some of it, none of it, or nobody can tell any more."""

FINAL: tuple[BatchState, ...] = ("success", "partial", "failed", "unknown")


class Identifier(NamedTuple):
    """What a person is known by, in the form in which it is sent."""

    kind: str
    value: str


@dataclass(frozen=True)
class Answer:
    """What a destination says of a batch.

    Attributes:
        state: What became of it: accepted, or final.
        request_id: What the destination calls it.
        rejected: How many identifiers it refused, where it says so.
        reason: Why, in its words; never an identifier.
        refused: The places of identifiers that it refused by name, while the rest of the batch is as `state` says.
    """

    state: BatchState
    request_id: str | None = None
    rejected: int | None = None
    reason: str | None = None
    refused: tuple[int, ...] = ()


@dataclass(frozen=True)
class ListLimits:
    """What holds for a list.

    Attributes:
        most_identifiers: The most that one request may hold.
        settles_after: After that time nothing that was sent takes effect any more.
        answers_for: So long the destination can say what became of a request.
        lifespan: How long an identifier stays on the list; None: until it is removed.
        requests_per_minute: The most that the destination takes; None: any number.
    """

    most_identifiers: int
    settles_after: timedelta
    answers_for: timedelta
    lifespan: timedelta | None = None
    requests_per_minute: int | None = None

    @property
    def refresh_after(self) -> timedelta | None:
        """When an addition is said again: at four fifths of the lifespan."""
        return None if self.lifespan is None else self.lifespan * 4 // 5


class UnsureError(Exception):
    """A request left, and no answer came: nobody knows whether it took effect."""


class RefusedError(Exception):
    """The destination refused a request: nothing of it took effect. The text says why, without any identifier.

    `rows` are the places of the identifiers at fault, counted from 0; none when it is about something else, such as a
    list that is closed; None when some of them are at fault, and nobody says which.
    """

    def __init__(self, reason: str, *, rows: Sequence[int] | None = ()) -> None:
        super().__init__(reason)
        self.rows = None if rows is None else tuple(rows)


class TryLaterError(Exception):
    """A request was not taken, and nothing of it took effect; `retry_after` is the wait that was asked for."""

    def __init__(self, reason: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


OriginReason: TypeAlias = Literal["member", "left", "refused", "unknown"]


@dataclass(frozen=True)
class Origin:
    """Why an identifier is on a list, or leaves it. Of several people who share it, the first in and the last to agree.

    Attributes:
        reason: Somebody in the segment has it; who had it left (or is not known to agree any more), or refused (denied,
            or was erased).
        since: Since when they are in the segment.
        consented_at: When they agreed to both purposes.
    """

    reason: OriginReason = "unknown"
    since: datetime | None = None
    consented_at: datetime | None = None


@runtime_checkable
class TellsWhy(Protocol):
    """A list whose requests say why each identifier is on it or leaves it; see `Accepts.with_origins`."""

    def explain(self, origins: Mapping[Identifier, Origin], others: Origin) -> None:
        """Take what the next request says: of these identifiers, and of all others."""
        ...


class AudienceList(Protocol):
    """One list at a destination."""

    @property
    def limits(self) -> ListLimits:
        """What holds for it."""
        ...

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        """Ask for an operation on identifiers.

        Raises:
            UnsureError: No answer came.
            RefusedError: It was refused whole.
            TryLaterError: It was not looked at, for its rate or since the destination is down.
        """
        ...

    def finish(self) -> None:
        """Take note that all batches of this push were sent: what waits for that is published."""
        ...

    def ask(self, request_id: str) -> Answer:
        """Ask what became of a request: `accepted` while nobody knows yet, `unknown` where it is forgotten.

        Raises:
            UnsureError: No answer came.
        """
        ...

    def now(self) -> datetime | None:
        """Return the destination's own clock, where it tells it: a clock that jumps here then changes nothing."""
        ...
