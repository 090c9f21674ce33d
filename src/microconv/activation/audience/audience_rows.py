"""What goes out of one person, and who does not: the words that destinations and the audience share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from microconv.activation.audience.reasons import Reason

IdentityKind: TypeAlias = Literal["email", "phone", "user_id"]
"""What a person may be known by outside."""


@dataclass(frozen=True, slots=True, order=True)
class AudienceRow:
    """One person as a destination gets it: SHA-256 in hex, "" where there is nothing.

    Country and postal code are in clear where the platform asks for that. The four address parts are all there or all
    empty: they are matched together.
    """

    email: str = ""
    phone: str = ""
    external_id: str = ""
    first_name: str = ""
    last_name: str = ""
    country: str = ""
    postal_code: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """A member that is not in the audience, and why."""

    actor_key: int
    reason: Reason
