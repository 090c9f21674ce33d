"""How much of a segment could be sent, before a destination is chosen: what consent says, and by which identifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, get_args

from microconv import wording
from microconv.activation.audience.audience_rows import IdentityKind
from microconv.activation.audience.normalise import PLAIN
from microconv.activation.audience.reasons import Reason
from microconv.activation.audience_plan import AudiencePlan
from microconv.activation.destinations.base import Accepts
from microconv.activation.segment_audience import SegmentAudiences
from microconv.config.segment_settings import SegmentConfig
from microconv.result import Result, column, sheet
from microconv.wording import Bar, Sheet

_ANYTHING = Accepts("any destination", frozenset(get_args(IdentityKind)), PLAIN)
_CONSENT = {
    Reason.NO_USER_ID: "no user_id, so nobody can be asked",
    Reason.NO_CONSENT_RECORD: "no consent row",
    Reason.CONSENT_DENIED: "consent denied",
    Reason.CONSENT_UNREADABLE: "consent unreadable",
}
"""What consent says of members who cannot be sent, whatever is known of them."""

_ASSUMPTIONS = (
    "Members are those whom the rule holds for at the latest event; routes and limits may leave fewer of them.",
    "Two members who share an identifier count once. A destination may take fewer kinds of identifiers.",
)
_WAYS: dict[str, tuple[IdentityKind, ...]] = {
    "email": ("email",),
    "phone": ("phone",),
    "email or phone": ("email", "phone"),
    "user_id": ("user_id",),
}


@dataclass(frozen=True)
class ReachedPart:
    """A part of a segment: members of whom something holds."""

    part: str = column("members")
    members: int = column("how many", wording.count)
    share: float | None = column("share", wording.share)


@dataclass(frozen=True)
class Reach(Result):
    """How much of a segment could be sent.

    Attributes:
        segment: Its name.
        members: How many are in it.
        parts: Its parts by consent, which add up to all of it; then those who consented and have each identifier.
        sentence: How much could be sent at all.
        assumptions: What that rests on.
    """

    row_type: ClassVar[type] = ReachedPart

    segment: str
    members: int
    parts: tuple[ReachedPart, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[ReachedPart, ...]:
        """Its parts."""
        return self.parts

    def sheets(self) -> tuple[Sheet, ...]:
        """Return one table for consent, and one for identifiers."""
        consents = len(_CONSENT) + 1
        return (
            sheet(f"Consent of {self.segment}", self.rows[:consents], ReachedPart),
            sheet("Consented, and known by", self.rows[consents:], ReachedPart),
        )

    def bars(self) -> tuple[Bar, ...]:
        """Return a bar for each part."""
        return tuple(Bar(each.part, each.members, wording.count(each.members)) for each in self.rows)


def reach(audiences: SegmentAudiences, segment: SegmentConfig) -> Reach:
    """Say how much of a segment could be sent: its members by the rule at the latest event.

    Raises:
        ConfigError: There is no identity or consent table, or it cannot be read.
    """

    def planned(*kinds: IdentityKind) -> AudiencePlan:
        wanted = segment.model_copy(update={"identity": kinds})
        return audiences.plan_for(wanted, _ANYTHING.name, _ANYTHING, audiences.latest)

    plans = {way: planned(*kinds) for way, kinds in _WAYS.items()}
    known = {way: plan.written for way, plan in plans.items()}
    some = plans["user_id"]
    withheld = {said: some.excluded.get(reason.value, 0) for reason, said in _CONSENT.items()}
    consented = some.members - sum(withheld.values())
    counts = {"consented": consented, **withheld, **known}
    return Reach(
        segment.name,
        some.members,
        tuple(ReachedPart(name, number, wording.ratio(number, some.members)) for name, number in counts.items()),
        f"{segment.name}: {wording.count(consented)} of {wording.plural(some.members, 'member')} consented; "
        f"{wording.count(known['email or phone'])} could be sent by e-mail address or phone number, "
        f"{wording.count(known['user_id'])} by user_id.",
        _ASSUMPTIONS,
    )
