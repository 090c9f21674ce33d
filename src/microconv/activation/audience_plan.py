"""The plan of a delivery: who would be sent where, who would not and why. A dry run and an export make the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, get_args

from microconv import wording
from microconv.activation.audience.audience_rows import IdentityKind
from microconv.activation.audience.build import Audience, build_audience
from microconv.activation.audience.people import ConsentRecord, Person
from microconv.activation.destinations.base import Accepts
from microconv.errors import UsageError
from microconv.segments.members import Member


@dataclass(frozen=True)
class AudiencePlan:
    """What would be sent of a segment; `members` equals `written` plus the sum of `excluded`.

    Attributes:
        segment: The name of the segment.
        destination: The name of the destination in the configuration.
        identity: The identifiers that would be sent.
        normalisation: The version of the rules by which they are hashed.
        audience: The rows, and who is rejected.
        warnings: What people should look at.
        lineage: Where the membership comes from (rule, as_of, taxonomy, days): JSON values and dates.
        known_until: The moment of the latest event that the membership knows of; None: that is not asked.
    """

    segment: str
    destination: str
    identity: tuple[IdentityKind, ...]
    normalisation: str
    audience: Audience
    warnings: tuple[str, ...]
    lineage: Mapping[str, Any]
    known_until: datetime | None = None

    @property
    def members(self) -> int:
        """How many are in the segment."""
        return self.audience.members

    @property
    def written(self) -> int:
        """How many of them would be sent."""
        return len(self.audience.rows)

    @cached_property
    def excluded(self) -> dict[str, int]:
        """How many would not, by reason."""
        return self.audience.excluded

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what would be sent and where: equal plans send the same."""
        digest = hashlib.sha256()
        digest.update("\n".join((self.segment, self.destination, self.normalisation, *self.identity, "")).encode())
        self.audience.rows.update(digest)
        return digest.hexdigest()

    def facts(self, run_id: str, now: datetime) -> dict[str, Any]:
        """Return what a destination keeps of a delivery of the plan: counts, rules and origin, as JSON."""
        return {
            "members": self.members,
            "written": self.written,
            "excluded": self.excluded,
            "values_left_out": dict(self.audience.values_left_out),
            "identity": list(self.identity),
            "normalisation": self.normalisation,
            "run_id": run_id,
            "created_at": now.astimezone(UTC).isoformat(),
            "lineage": wording.iso_dates(dict(self.lineage)),
            "plan": self.fingerprint,
        }


def plan_audience(
    members: Iterable[Member],
    people: Iterable[Person],
    consents: Iterable[ConsentRecord],
    *,
    segment: str,
    identity: Sequence[str],
    destination: str,
    accepts: Accepts,
    lineage: Mapping[str, Any],
    now: datetime,
    known_until: datetime | None = None,
) -> AudiencePlan:
    """Decide who would be sent. Each table is read once, row by row.

    Args:
        members: The segment's members.
        people: Rows of the identity table.
        consents: Rows of the consent table. Without a row that grants, a member is not sent.
        segment: The segment's name.
        identity: Which of `email`, `phone` and `user_id` may be sent; a member needs one of them.
        destination: The destination's name in the configuration.
        accepts: What it accepts.
        lineage: Where the membership comes from.
        now: The current time, aware of its zone.
        known_until: The moment of the latest event that the membership knows of.

    Raises:
        UsageError: `identity` names what does not exist, or the destination carries none of it.
    """
    kinds = _carried(identity, accepts)
    audience = build_audience(
        members,
        people,
        consents,
        identity=kinds,
        normalisation=accepts.normalisation,
        with_address=accepts.with_address,
        now=now,
        in_clear=accepts.in_clear,
        with_origins=accepts.with_origins,
    )
    dropped = sorted(set(identity) - set(kinds))
    return AudiencePlan(
        segment=segment,
        destination=destination,
        identity=kinds,
        normalisation=accepts.normalisation.version,
        audience=audience,
        warnings=(
            *(f"{accepts.name} does not carry {kind}: it was left out." for kind in dropped),
            *audience.warnings,
            *_warnings(audience, accepts),
        ),
        lineage=lineage,
        known_until=known_until,
    )


def _warnings(audience: Audience, accepts: Accepts) -> Iterable[str]:
    written = len(audience.rows)
    if written < accepts.minimum:
        yield (
            f"{wording.count(written)} people are fewer than the {wording.count(accepts.minimum)} matched users that "
            f"{accepts.name} needs to serve a list."
        )
    if audience.values_left_out:
        yield f"In the audience, but with these values left blank: {reasons(audience.values_left_out)}."


def reasons(counts: Mapping[str, int]) -> str:
    """Write counts by reason: `consent_denied 24, no_user_id 319`."""
    return ", ".join(f"{reason} {wording.count(number)}" for reason, number in counts.items())


def _carried(identity: Sequence[str], accepts: Accepts) -> tuple[IdentityKind, ...]:
    every: tuple[IdentityKind, ...] = get_args(IdentityKind)
    unknown = [kind for kind in identity if kind not in every]
    if unknown:
        raise UsageError(f"Identity {unknown[0]!r} is unknown.", hint=f"Choose from {', '.join(every)}.")
    carried = tuple(kind for kind in every if kind in identity and kind in accepts.identity)
    if not carried:
        raise UsageError(
            f"{accepts.name} carries none of the segment's identity ({', '.join(identity) or 'empty'}).",
            hint=f"Add one of {', '.join(sorted(accepts.identity))} to the segment's identity.",
        )
    return carried
