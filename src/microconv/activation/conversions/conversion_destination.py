"""What sending conversions needs of an ad platform: each has an order id, by which the platform knows it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypeAlias

from microconv.activation.audience.audience_rows import IdentityKind
from microconv.activation.audience.normalise import Normalisation
from microconv.activation.push.audience_list import Answer, Identifier, ListLimits

ConversionOperation: TypeAlias = Literal["send", "restate", "retract"]
"""`send`: it happened. `restate`: its value is another one. `retract`: it did not happen, after all."""

ClickId: TypeAlias = Literal["gclid", "gbraid", "wbraid", "fbclid"]
"""The click ids that staged events have."""

MICROS = 1_000_000


@dataclass(frozen=True, slots=True, repr=False)
class Conversion:
    """A conversion as it is sent. Its `repr` shows nothing, so that no log or traceback can.

    Attributes:
        order_id: What the platform knows it by; never an address or a number of a person.
        occurred_at: When it happened, aware of its zone (UTC).
        said_at: When what is said of it was decided: of two statements the later one holds.
        value_micros: Its value in millionths of the currency; None: it has none. 0 where it is retracted.
        currency: Three capital letters; None where it has no value.
        clicks: The click ids of the last ad click before it, of the kinds that the platform takes.
        clicked_at: When that was.
        identifiers: Who converted, normalised and hashed as the platform's rules say. A retraction may have none, and
            no click id, where the order id is enough.
    """

    order_id: str
    occurred_at: datetime
    said_at: datetime
    value_micros: int | None = None
    currency: str | None = None
    clicks: Mapping[ClickId, str] = field(default_factory=dict)
    clicked_at: datetime | None = None
    identifiers: tuple[Identifier, ...] = ()

    @property
    def value(self) -> float | None:
        """Its value in the currency."""
        return None if self.value_micros is None else self.value_micros / MICROS

    def __repr__(self) -> str:
        return "Conversion(<personal data>)"


@dataclass(frozen=True)
class Adjustments:
    """What a platform can be told of a conversion that it has.

    Attributes:
        restates: Whether it takes another value.
        retracts: What a retraction does: `whole` takes the conversion back for good; `value` makes it worth 0, while it
            still counts as one. None: it takes none.
        by_order_id: Whether a retraction needs the order id alone. Else it names the person again, and so is not sent
            of those who withdrew consent.
        for_: So long after the conversion; later ones are not sent.
    """

    restates: bool = False
    retracts: Literal["whole", "value"] | None = None
    by_order_id: bool = False
    for_: timedelta = timedelta(days=55)


@dataclass(frozen=True)
class ConversionRules:
    """What a platform takes.

    Attributes:
        name: What messages call it.
        clicks: The click ids that it knows.
        identity: The identifiers that it takes; a conversion needs a click id or one of them.
        normalisation: Its rules for what is hashed.
        max_age: The oldest conversion that it takes.
        recognises_for: So long it knows an order id again, from when it was sent first, so that a repeated request is
            no second conversion; None: always. After that time nothing that may have arrived is said again.
        in_clear: The identifiers that it wants as they are, normalised; all others are hashed.
        adjustments: What it can be told later.
    """

    name: str
    clicks: frozenset[ClickId]
    identity: frozenset[IdentityKind]
    normalisation: Normalisation
    max_age: timedelta
    recognises_for: timedelta | None = None
    in_clear: frozenset[IdentityKind] = frozenset()
    adjustments: Adjustments = Adjustments()


class ConversionDestination(Protocol):
    """One kind of conversion at a platform, such as a conversion action of Google Ads or an event name of Meta."""

    @property
    def rules(self) -> ConversionRules:
        """What it takes."""
        ...

    @property
    def limits(self) -> ListLimits:
        """How many conversions one request may hold (`most_identifiers`), and the rest as for a list."""
        ...

    def send(self, operation: ConversionOperation, conversions: Sequence[Conversion]) -> Answer:
        """Send conversions, restate or retract them; only what `rules.adjustments` names is asked for.

        Raises:
            UnsureError: No answer came.
            RefusedError: It was refused whole; `rows` are places in `conversions`.
            TryLaterError: It was not looked at, for its rate or since the platform is down.
        """
        ...

    def validate(self, conversions: Sequence[Conversion]) -> Answer | None:
        """Let the platform check conversions without any effect; None where it cannot."""
        ...

    def ask(self, request_id: str) -> Answer:
        """Ask what became of a request: `accepted` while nobody knows yet, `unknown` where it is forgotten.

        Raises:
            UnsureError: No answer came.
        """
        ...

    def now(self) -> datetime | None:
        """Return the platform's own clock, where it tells it."""
        ...
