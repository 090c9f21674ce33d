"""How requests leave: at the rate that a destination allows, again where it asked for that, and no longer than agreed.

What may have taken effect is never sent again here: that is for the ledger to say, in the next push. Nor does a request
wait inside `send`: the push waits, then reads consent and writes ahead again, as both belong to the moment of sending.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from microconv import wording
from microconv.activation.push.audience_list import (
    Answer,
    AudienceList,
    Identifier,
    ListLimits,
    Operation,
    Origin,
    OriginReason,
    TellsWhy,
    TryLaterError,
    UnsureError,
)
from microconv.errors import DestinationError

_MOST_FAILURES = 5
"""After so many requests in a row without an answer, no more are sent: the destination is down."""
_SHORTEST_WAIT, _LONGEST_WAIT = 1.0, 60.0
_BURSTS_PER_MINUTE = 10


@dataclass
class Deadline:
    """The time by which a push has to have sent all it sends."""

    seconds: float
    monotonic: Callable[[], float] = time.monotonic
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = self.monotonic() + self.seconds

    def is_before(self, seconds: float = 0.0) -> bool:
        """Tell whether it is over in so many seconds."""
        return self.monotonic() + seconds > self._end


@dataclass
class TokenBucket:
    """Lets so many requests through in a minute, and a tenth of them at once."""

    per_minute: int
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    _tokens: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._tokens = self._most
        self._at = self.monotonic()

    @property
    def _most(self) -> float:
        return max(1.0, self.per_minute / _BURSTS_PER_MINUTE)

    def take(self) -> None:
        """Take a token, and wait for it if there is none."""
        now = self.monotonic()
        self._tokens = min(self._most, self._tokens + (now - self._at) * self.per_minute / 60)
        self._at = now
        if self._tokens < 1:
            wait = (1 - self._tokens) * 60 / self.per_minute
            self.sleep(wait)
            self._at, self._tokens = now + wait, 1.0
        self._tokens -= 1


@dataclass
class Rates:
    """How often a destination may be sent to, and asked: all of its lists together. It counts the two apart."""

    sent: TokenBucket | None
    asked: TokenBucket | None

    @classmethod
    def of(cls, limits: ListLimits, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> Rates:
        """Return the rates that a list of it names."""
        rate = limits.requests_per_minute
        sent, asked = (None if rate is None else TokenBucket(rate, monotonic, sleep) for _ in range(2))
        return cls(sent, asked)


@dataclass
class Sending:
    """A list that is sent to with patience; for all else it is the list itself.

    Attributes:
        audience: The list.
        deadline: When all must have been sent.
        monotonic: Seconds that only grow.
        sleep: Waits for seconds.
        chance: Spreads waits, so that several senders do not knock at one time.
        rates: How often its destination may be called; by default, what the list alone may be.
        command: What messages say to run again.
    """

    audience: AudienceList
    deadline: Deadline
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: random.Random = field(default_factory=random.Random)
    rates: Rates | None = None
    command: str = "microconv push"
    _rates: Rates = field(init=False)
    _failures: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._rates = self.rates or Rates.of(self.audience.limits, self.monotonic, self.sleep)

    @property
    def limits(self) -> ListLimits:
        """The limits of the list."""
        return self.audience.limits

    def explain(self, others: OriginReason, origins: Mapping[Identifier, Origin] | None = None) -> None:
        """Say to a list that tells it why identifiers are on it or leave it; `others` are those without an origin."""
        if isinstance(self.audience, TellsWhy):
            self.audience.explain(origins or {}, Origin(others))

    def await_turn(self, name: str) -> None:
        """Wait until another request may leave; `name` is how messages call the list.

        Raises:
            DestinationError: The destination is down, or time is up. What was not sent stays planned.
        """
        if self._failures >= _MOST_FAILURES:
            raise DestinationError(
                f"{name}: {_MOST_FAILURES} requests in a row were not answered, so no more were sent.",
                hint=f"Look whether the destination is up, then run `{self.command}` again: it goes on from here.",
            )
        if self.deadline.is_before():
            span = wording.span(round(self.deadline.seconds))
            raise DestinationError(
                f"{name}: the push was not done within {span} (push.deadline), so the rest was not sent.",
                hint=f"Run `{self.command}` again: it goes on from here. Or give push.deadline more time.",
            )
        if self._rates.sent is not None:
            self._rates.sent.take()

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        """Send a request."""
        try:
            answer = self.audience.send(operation, identifiers)
        except UnsureError:
            self._failures += 1
            raise
        self._failures = 0
        return answer

    def wait_for(self, error: TryLaterError, times: int) -> bool:
        """Wait as long as a destination asks for, else longer each time; tell whether there was time for that."""
        if error.retry_after is not None:
            wait = max(0.0, error.retry_after.total_seconds())
        else:
            wait = self.chance.uniform(_SHORTEST_WAIT, min(_LONGEST_WAIT, _SHORTEST_WAIT * 2.0**times))
        if self.deadline.is_before(wait):
            self._failures += 1
            return False
        self.sleep(wait)
        return True

    def finish(self) -> None:
        """Publish what waits for that."""
        self.audience.finish()

    def ask(self, request_id: str) -> Answer:
        """Ask what became of a request; who is too busy to say has not said."""
        if self._rates.asked is not None:
            self._rates.asked.take()
        try:
            return self.audience.ask(request_id)
        except TryLaterError as error:
            raise UnsureError(str(error)) from error

    def now(self) -> datetime | None:
        """Return the destination's own clock."""
        return self.audience.now()
