"""What goes out of one person, and who does not: the words that destinations and the audience share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from microconv.activation.audience.reasons import Reason
from microconv.activation.push.audience_list import Identifier

IdentityKind: TypeAlias = Literal["email", "phone", "user_id"]
"""What a person may be known by outside."""

ADDRESS = "address"
"""The kind of an identifier that is a name with country and postal code."""
FIELD_OF = {"email": "email", "phone": "phone", "user_id": "external_id"}
"""The field of a row that has the identifiers of a kind."""
# Neither a digest nor a code of a country or a postal code has it.
_BETWEEN_PARTS = "|"


@dataclass(frozen=True, slots=True, order=True)
class AudienceRow:
    """One person as a destination gets it: SHA-256 in hex, "" where there is nothing.

    Country and postal code are in clear where the platform asks for that, and so is an identifier. The four address
    parts are all there or all empty: they are matched together.
    """

    email: str = ""
    phone: str = ""
    external_id: str = ""
    first_name: str = ""
    last_name: str = ""
    country: str = ""
    postal_code: str = ""

    def identifiers(self) -> Iterator[Identifier]:
        """Yield what the person is known by, each by itself; an address is one, of four parts."""
        for kind, field in FIELD_OF.items():
            if value := getattr(self, field):
                yield Identifier(kind, value)
        if self.first_name:
            parts = (self.first_name, self.last_name, self.country, self.postal_code)
            yield Identifier(ADDRESS, _BETWEEN_PARTS.join(parts))

    @classmethod
    def of(cls, identifier: Identifier) -> AudienceRow:
        """Return the row of one identifier alone."""
        if identifier.kind != ADDRESS:
            return cls(**{FIELD_OF[identifier.kind]: identifier.value})
        first_name, last_name, country, postal_code = identifier.value.split(_BETWEEN_PARTS)
        return cls(first_name=first_name, last_name=last_name, country=country, postal_code=postal_code)


@dataclass(frozen=True, slots=True)
class Reject:
    """A member that is not in the audience, and why."""

    actor_key: int
    reason: Reason
