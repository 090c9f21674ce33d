"""Decide member by member who goes into an audience, with which hashed identifiers, and why everybody else does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from microconv.activation.audience.normalise import (
    Normalisation,
    Normalised,
    country_code,
    dialled_digits,
    google_name,
    postal_code,
    sha256_hex,
)
from microconv.activation.audience.people import Consent, ConsentRecord, Directory, Person, consent_by_user
from microconv.activation.audience.reasons import Reason
from microconv.segments.members import Member

IdentityKind: TypeAlias = Literal["email", "phone", "user_id"]

# Fewer digits end too many numbers to say anything about one of them.
_TELLING_DIGITS = 7
_CONSENT_REASON = {Consent.DENIED: Reason.CONSENT_DENIED, Consent.UNREADABLE: Reason.CONSENT_UNREADABLE}


@dataclass(frozen=True, slots=True, order=True)
class AudienceRow:
    """One person as a destination gets it: SHA-256 in hex, "" where there is nothing.

    Country and postal code are in clear, as platforms ask. The four address parts are all there or all empty: they are
    matched together.
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


@dataclass(frozen=True)
class Audience:
    """What goes out: `len(rows) + len(rejects) == members`, always.

    Rows are sorted by their own values and rejects by actor, so equal membership gives equal files. `values_left_out`
    counts single values that were not sent although their person was.
    """

    members: int
    rows: tuple[AudienceRow, ...]
    rejects: tuple[Reject, ...]
    values_left_out: Mapping[str, int]

    @property
    def excluded(self) -> dict[str, int]:
        """Return the number of members left out, by reason code."""
        return _counts(reject.reason for reject in self.rejects)


def build_audience(
    members: Iterable[Member],
    people: Iterable[Person],
    consents: Iterable[ConsentRecord],
    *,
    identity: Sequence[IdentityKind],
    normalisation: Normalisation,
    with_address: bool,
) -> Audience:
    """Gate members by consent, look them up, normalise and hash what `identity` allows, and drop duplicates.

    Args:
        members: The segment's members; order does not matter.
        people: Rows of the identity table.
        consents: Rows of the consent table; a user without one is excluded.
        identity: Which identifiers may be sent. A member needs at least one of them.
        normalisation: The destination's rules.
        with_address: Whether the format carries names, country and postal code beside an identifier.
    """
    people = tuple(people)
    resolver = _Resolver(
        consent=consent_by_user(consents),
        directory=Directory(people),
        identity=tuple(dict.fromkeys(identity)),
        normalisation=normalisation,
        with_address=with_address,
    )
    resolver.withhold_shared(people)
    rows: list[AudienceRow] = []
    rejects: list[Reject] = []
    written: set[tuple[str, str, str]] = set()
    left_out: list[Reason] = []
    # Of two members with the same identifiers the lower key wins, whatever order they came in.
    for member in sorted(members, key=lambda member: (member.actor_key, member.user_id or "")):
        found = resolver.resolve(member)
        if isinstance(found, Reason):
            rejects.append(Reject(member.actor_key, found))
            continue
        row, reasons = found
        identifiers = (row.email, row.phone, row.external_id)
        if identifiers in written:
            rejects.append(Reject(member.actor_key, Reason.DUPLICATE_IDENTIFIER))
            continue
        written.add(identifiers)
        rows.append(row)
        left_out += reasons
    return Audience(len(rows) + len(rejects), tuple(sorted(rows)), tuple(rejects), _counts(left_out))


@dataclass(frozen=True)
class _Resolver:
    consent: Mapping[str, Consent]
    directory: Directory
    identity: tuple[IdentityKind, ...]
    normalisation: Normalisation
    with_address: bool
    withheld: set[str] = field(default_factory=set)
    withheld_endings: set[str] = field(default_factory=set)

    def withhold_shared(self, people: Iterable[Person]) -> None:
        """Remember the identifiers of users who denied: one e-mail address may stand behind two accounts.

        A phone number of theirs that lacks its country may be anybody's that ends in the same digits.
        """
        for person in people:
            if self.consent.get(person.user_id) not in _CONSENT_REASON:
                continue
            for kind in self.identity:
                value = None if kind == "user_id" else self._normalise(kind, person)
                if isinstance(value, str):
                    self.withheld.add(value)
                elif value is Reason.PHONE_WITHOUT_COUNTRY:
                    digits = dialled_digits(person.phone or "")
                    if len(digits) >= _TELLING_DIGITS:
                        self.withheld_endings.add(digits)

    def _is_withheld(self, kind: Literal["email", "phone"], value: str) -> bool:
        if value in self.withheld:
            return True
        lengths = {len(ending) for ending in self.withheld_endings} if kind == "phone" else set()
        return any(value[-length:] in self.withheld_endings for length in lengths)

    def resolve(self, member: Member) -> tuple[AudienceRow, list[Reason]] | Reason:
        """Return the member's row with the reasons for values left out of it, or why the member is excluded."""
        if not member.user_id:
            return Reason.NO_USER_ID
        barred = self._barred(member.user_id)
        if barred is not None:
            return barred
        external_id = sha256_hex(member.user_id) if "user_id" in self.identity else ""
        if self.identity == ("user_id",):
            return AudienceRow(external_id=external_id), []
        if self.directory.is_ambiguous(member.user_id):
            return Reason.AMBIGUOUS_IDENTITY
        person = self.directory.find(member.user_id)
        if person is None:
            return (AudienceRow(external_id=external_id), []) if external_id else Reason.NO_IDENTITY_RECORD
        return self._row(person, external_id)

    def _barred(self, user_id: str) -> Reason | None:
        consent = self.consent.get(user_id)
        return Reason.NO_CONSENT_RECORD if consent is None else _CONSENT_REASON.get(consent)

    def _row(self, person: Person, external_id: str) -> tuple[AudienceRow, list[Reason]] | Reason:
        parts: dict[str, str] = {"external_id": external_id}
        reasons: list[Reason] = []
        for kind in self.identity:
            if kind == "user_id":
                continue
            value = self._normalise(kind, person)
            if isinstance(value, str) and self._is_withheld(kind, value):
                value = Reason.SHARED_WITH_DENIED
            if isinstance(value, str):
                parts[kind] = sha256_hex(value)
            elif value is not None:
                reasons.append(value)
        if not any(parts.values()):
            return reasons[0] if reasons else Reason.NO_IDENTIFIER
        if self.with_address:
            address, wrong = _address(person)
            parts |= address
            reasons += wrong
        return AudienceRow(**parts), reasons

    def _normalise(self, kind: Literal["email", "phone"], person: Person) -> Normalised | None:
        if kind == "email":
            return self.normalisation.email(person.email) if person.email else None
        return self.normalisation.phone(person.phone, person.country) if person.phone else None


def _address(person: Person) -> tuple[dict[str, str], list[Reason]]:
    """Return the four parts, or none of them, and what was wrong with those that are there."""

    def hashed_name(raw: str) -> Normalised:
        name = google_name(raw)
        return name if isinstance(name, Reason) else sha256_hex(name)

    raw_parts: dict[str, tuple[str | None, Callable[[str], Normalised]]] = {
        "first_name": (person.first_name, hashed_name),
        "last_name": (person.last_name, hashed_name),
        "country": (person.country, country_code),
        "postal_code": (person.postal_code, postal_code),
    }
    values = {name: normalise(raw) for name, (raw, normalise) in raw_parts.items() if raw}
    wrong = [value for value in values.values() if isinstance(value, Reason)]
    whole = {name: value for name, value in values.items() if isinstance(value, str)}
    return (whole if len(whole) == len(raw_parts) else {}), wrong


def _counts(reasons: Iterable[Reason]) -> dict[str, int]:
    return dict(sorted(Counter(reason.value for reason in reasons).items()))
