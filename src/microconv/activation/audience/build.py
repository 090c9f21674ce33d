"""Decide member by member who goes into an audience, with which hashed identifiers, and why everybody else does not.

Each table is read once, row by row. What is kept of a million members are arrays: their keys, the digests of what may
be sent of them, and the strict form of each value, which is held against the refusals when all of those are known.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from microconv.activation.audience.audience_rows import IdentityKind
from microconv.activation.audience.normalise import Normalisation, Normalised, sha256_hex
from microconv.activation.audience.packed_rows import (
    DIGEST_BYTES,
    HASHED,
    AudienceRows,
    PersonOrigins,
    Rejects,
    code_of,
)
from microconv.activation.audience.people import Consent, ConsentRecord, Person, consent_by_user
from microconv.activation.audience.people_tables import UNREADABLE_USER
from microconv.activation.audience.reasons import Reason
from microconv.activation.audience.refusals import Refusals, is_address, is_number, mailbox_key
from microconv.own_tables.placeholders import is_nobody, visible
from microconv.segments.members import Member

Answers: TypeAlias = dict[str, Consent | int]
"""What users agreed to; in place of a grant of a member, the place of its user among those who may be sent."""

_EMAIL, _PHONE, _EXTERNAL, _FIRST, _LAST = HASHED
_CONSENT_REASON = {Consent.DENIED: Reason.CONSENT_DENIED, Consent.UNREADABLE: Reason.CONSENT_UNREADABLE}
_CACHED = 100_000


@dataclass(frozen=True)
class Audience:
    """What goes out: `len(rows) + len(rejects) == members`, always.

    Rows are sorted by their own values and rejects by actor, so equal membership gives equal files. `values_left_out`
    counts single values that were not sent although their person was. `warnings` says what people should look at.
    """

    members: int
    rows: AudienceRows
    rejects: Rejects
    values_left_out: Mapping[str, int]
    warnings: tuple[str, ...] = ()

    @property
    def excluded(self) -> dict[str, int]:
        """Return the number of members left out, by reason code."""
        return self.rejects.counts()


def build_audience(
    members: Iterable[Member],
    people: Iterable[Person],
    consents: Iterable[ConsentRecord],
    *,
    identity: Sequence[IdentityKind],
    normalisation: Normalisation,
    with_address: bool,
    now: datetime,
    in_clear: Collection[IdentityKind] = (),
    with_origins: bool = False,
) -> Audience:
    """Gate members by consent, look them up, normalise and hash what `identity` allows, and drop duplicates.

    Args:
        members: The segment's members; order does not matter.
        people: Rows of the identity table.
        consents: Rows of the consent table; a user without one is excluded.
        identity: Which identifiers may be sent. A member needs at least one of them.
        normalisation: The destination's rules.
        with_address: Whether the format carries names, country and postal code beside an identifier.
        now: The current time: consent given later is not consent.
        in_clear: Which identifiers go out as they are, normalised; all others are hashed.
        with_origins: Whether rows say which actor they come from, and when their consent was given.
    """
    granted_at: dict[str, int] | None = {} if with_origins else None
    answers: Answers = dict(consent_by_user(consents, now, granted_at))
    refusals = Refusals()
    for user_id, answer in answers.items():
        if answer is not Consent.GRANTED:
            refusals.add_user(user_id)
    roster = Roster(members, answers)
    kinds = tuple(dict.fromkeys(identity))
    desk = _Desk(roster, kinds, normalisation, with_address=with_address, in_clear=in_clear)
    for person in people:
        answer = answers.get(person.user_id, Consent.GRANTED)
        if isinstance(answer, int):
            desk.add(answer, person)
        elif answer is not Consent.GRANTED:
            refusals.add_person(person)
    desk.name_users(answers)
    warnings = _warnings(answers)
    origins = None if granted_at is None else roster.origins(answers, granted_at)
    answers.clear()
    desk.withhold(refusals)
    return desk.audience(warnings, origins)


def _warnings(answers: Answers) -> tuple[str, ...]:
    if UNREADABLE_USER not in answers:
        return ()
    return ("The consent table has rows whose user_id cannot be read: what they say holds for nobody.",)


class Roster:
    """The members of a segment: their keys by actor, and for each the place of its user, or why it has none.

    A user who granted gets a place, in `answers` itself: of a million user ids one copy is enough. A member that has no
    such user owns `-1` minus the code of the reason.
    """

    def __init__(self, members: Iterable[Member], answers: Answers) -> None:
        self.users = 0
        keys, owners = array("q"), array("q")
        for member in members:
            user_id = None if member.user_id is None else member.user_id.strip()
            if not user_id or is_nobody(user_id):
                owner: Consent | int = _out(Reason.NO_USER_ID)
            else:
                owner = answers.get(user_id, _out(Reason.NO_CONSENT_RECORD))
                if owner is Consent.GRANTED:
                    owner = answers[user_id] = self.users
                    self.users += 1
            keys.append(member.actor_key)
            owners.append(owner if isinstance(owner, int) else _out(_CONSENT_REASON[owner]))
        actor_keys, places = np.frombuffer(keys, np.int64), np.frombuffer(owners, np.int64)
        order = np.argsort(actor_keys, kind="stable")
        if (actor_keys[order[1:]] == actor_keys[order[:-1]]).any():
            names = {place: user_id for user_id, place in answers.items() if isinstance(place, int)}
            order = np.array(sorted(order.tolist(), key=lambda at: (keys[at], names.get(owners[at], ""))), np.int64)
        self.actor_keys: npt.NDArray[np.int64] = actor_keys[order]
        self.owners: npt.NDArray[np.int64] = places[order]

    def first_places(self) -> npt.NDArray[np.int64]:
        """Return for each user the place of its first member in the order of actors; the lower one is written first."""
        first = np.full(self.users, len(self.owners))
        known = np.flatnonzero(self.owners >= 0)
        np.minimum.at(first, self.owners[known], known)
        return first

    def origins(self, answers: Answers, granted_at: Mapping[str, int]) -> PersonOrigins:
        """Return for each user its first actor, and when it agreed."""
        moments = np.zeros(self.users, np.int64)
        for user_id, place in answers.items():
            if isinstance(place, int):
                moments[place] = granted_at[user_id]
        return PersonOrigins(self.actor_keys[self.first_places()], moments)


def _out(reason: Reason) -> int:
    return -1 - code_of(reason)


# In clear it may become a cell of a spreadsheet, which must not start a formula.
_PLAIN_USER_ID = re.compile(r"[^=+\-@\s\x00-\x1f\x7f][^\x00-\x1f\x7f\ud800-\udfff]{0,999}")


class _Found(NamedTuple):
    """What one identity row gives: digests by field, the place, strict forms, and why values are missing."""

    digests: bytes
    country: str
    postal_code: str
    mailbox: int
    number: int
    missing: tuple[tuple[str, Reason], ...]
    address_missing: tuple[Reason, ...]


_NOTHING = bytes(DIGEST_BYTES)


class _Desk:
    """Where what may be sent of each user is put together; users are known by their place in the roster."""

    def __init__(
        self,
        roster: Roster,
        identity: tuple[IdentityKind, ...],
        rules: Normalisation,
        *,
        with_address: bool,
        in_clear: Collection[IdentityKind],
    ) -> None:
        self._roster = roster
        self._identity = identity
        self._rules = rules
        self._with_address = with_address
        self._name = _hashed_once(rules.name)
        self._place = _placed_once(rules)
        sent = {_EMAIL: "email" in identity, _PHONE: "phone" in identity, _EXTERNAL: "user_id" in identity}
        self._fields = tuple(field for field in HASHED if sent.get(field, with_address))
        self._slots = {field: slot for slot, field in enumerate(self._fields)}
        self._row_bytes = len(self._fields) * DIGEST_BYTES
        # Two views of the same bytes: one to write a row, the other to work on columns.
        self._packed = memoryview(bytearray(roster.users * self._row_bytes))
        self._digests = np.frombuffer(self._packed, np.uint8).reshape(roster.users, len(self._fields), DIGEST_BYTES)
        self._codes = np.zeros(roster.users, np.uint8)
        """One more than the code of the reason why a user is excluded; 0: not yet."""
        self._known = np.zeros(roster.users, np.bool_)
        self._mailboxes = np.zeros(roster.users, np.int64)
        self._numbers = np.zeros(roster.users, np.int64)
        self._countries = [""] * roster.users
        self._postal_codes = [""] * roster.users
        self._missing: dict[int, dict[str, Reason]] = {}
        self._address_missing: dict[int, tuple[Reason, ...]] = {}
        self._phones_as_ids: set[int] = set()
        of_kind = {"email": _EMAIL, "phone": _PHONE, "user_id": _EXTERNAL}
        self._clear: dict[str, dict[str, str]] = {of_kind[kind]: {} for kind in in_clear if kind in identity}

    @property
    def _looks_up(self) -> bool:
        """Whether anything of the identity table is sent."""
        return self._identity != ("user_id",)

    def exclude(self, place: int, reason: Reason) -> None:
        """Exclude a user; the first reason stays."""
        if not self._codes[place]:
            self._codes[place] = code_of(reason) + 1

    def add(self, place: int, person: Person) -> None:
        """Take down an identity row of a user. Rows that differ in what would be sent name nobody."""
        if "user_id" in self._identity and is_number(person.user_id, person.phone):
            self._phones_as_ids.add(place)
        if not self._looks_up:
            return
        if not person.is_readable:
            self.exclude(place, Reason.IDENTITY_UNREADABLE)
            return
        found = self._found(person)
        if self._known[place]:
            if found != self._noted(place):
                self.exclude(place, Reason.AMBIGUOUS_IDENTITY)
            return
        self._known[place] = True
        self._packed[place * self._row_bytes : (place + 1) * self._row_bytes] = found.digests
        self._countries[place], self._postal_codes[place] = found.country, found.postal_code
        self._mailboxes[place], self._numbers[place] = found.mailbox, found.number
        if found.missing:
            self._missing[place] = dict(found.missing)
        if found.address_missing:
            self._address_missing[place] = found.address_missing

    def _noted(self, place: int) -> _Found:
        return _Found(
            digests=bytes(self._packed[place * self._row_bytes : (place + 1) * self._row_bytes]),
            country=self._countries[place],
            postal_code=self._postal_codes[place],
            mailbox=int(self._mailboxes[place]),
            number=int(self._numbers[place]),
            missing=tuple(self._missing.get(place, {}).items()),
            address_missing=self._address_missing.get(place, ()),
        )

    def _found(self, person: Person) -> _Found:
        digests = dict.fromkeys(self._fields, _NOTHING)
        mailbox = number = 0
        missing: list[tuple[str, Reason]] = []
        if person.email and _EMAIL in digests:
            email = self._rules.email(person.email)
            if isinstance(email, Reason):
                missing.append((_EMAIL, email))
            else:
                digests[_EMAIL], mailbox = self._digest(_EMAIL, email), mailbox_key(email)
        if person.phone and _PHONE in digests:
            phone = self._rules.phone(person.phone, person.country)
            if isinstance(phone, Reason):
                missing.append((_PHONE, phone))
            else:
                digests[_PHONE], number = self._digest(_PHONE, phone), int(phone.removeprefix("+"))
        country = postal_code = ""
        wrong: tuple[Reason, ...] = ()
        if self._with_address:
            parts, wrong = self._address(person)
            if parts is not None:
                digests[_FIRST], digests[_LAST], country, postal_code = parts
        return _Found(b"".join(digests.values()), country, postal_code, mailbox, number, tuple(missing), wrong)

    def _digest(self, field: str, text: str) -> bytes:
        """Return the digest of an identifier; where it goes out as it is, keep the text, too."""
        digest = sha256(text.encode("utf-8", "surrogatepass")).digest()
        if field in self._clear:
            self._clear[field][digest.hex()] = text
        return digest

    def _address(self, person: Person) -> tuple[tuple[bytes, bytes, str, str] | None, tuple[Reason, ...]]:
        """Return the four parts, or none of them, and what was wrong with those that are there."""
        names = [self._name(raw) if raw else None for raw in (person.first_name, person.last_name)]
        places = self._place(person.country, person.postal_code)
        wrong = tuple(each for each in (*names, *places) if isinstance(each, Reason))
        first, last = names
        country, postal_code = places
        if isinstance(first, bytes) and isinstance(last, bytes) and country and postal_code and not wrong:
            return (first, last, str(country), str(postal_code)), wrong
        return None, wrong

    def name_users(self, answers: Answers) -> None:
        """Hash the user ids, where they are sent and are not an address or a number."""
        if _EXTERNAL not in self._slots:
            return
        for user_id, place in answers.items():
            if not isinstance(place, int) or self._codes[place]:
                continue
            if place in self._phones_as_ids or is_address(user_id) or is_number(user_id, None):
                self._missing.setdefault(place, {})[_EXTERNAL] = Reason.PERSONAL_USER_ID
            elif _EXTERNAL in self._clear and not _PLAIN_USER_ID.fullmatch(user_id):
                self._missing.setdefault(place, {})[_EXTERNAL] = Reason.UNSAFE_USER_ID
            else:
                digest = self._digest(_EXTERNAL, user_id)
                self._column(_EXTERNAL)[place] = np.frombuffer(digest, np.uint8)

    def withhold(self, refusals: Refusals) -> None:
        """Take out every address and number that also belongs to somebody who refused."""
        for field, refused in (
            (_EMAIL, refusals.mailboxes(self._mailboxes)),
            (_PHONE, refusals.numbers(self._numbers)),
        ):
            places = np.flatnonzero(refused & self._has(field))
            for place in places.tolist():
                self._column(field)[place] = 0
                self._missing.setdefault(place, {})[field] = Reason.SHARED_WITH_DENIED

    def audience(self, warnings: tuple[str, ...], origins: PersonOrigins | None) -> Audience:
        """Return who is written, one row a person and each digest in one row, and who is not."""
        self._exclude_the_empty()
        rank = self._roster.first_places()
        self._merge_mailboxes(rank)
        self._share_numbers(rank)
        self._exclude_the_empty()
        owners = self._roster.owners
        codes = np.where(owners < 0, -owners, 0).astype(np.uint8)
        known = np.flatnonzero(owners >= 0)
        codes[known] = self._codes[owners[known]]
        again = known[(codes[known] == 0) & (rank[owners[known]] != known)]
        codes[again] = code_of(Reason.DUPLICATE_IDENTIFIER) + 1
        rejected = codes != 0
        return Audience(
            members=len(owners),
            rows=self._rows(origins),
            rejects=Rejects(self._roster.actor_keys[rejected], codes[rejected] - 1),
            values_left_out=self._left_out(),
            warnings=warnings,
        )

    def _column(self, field: str) -> npt.NDArray[np.uint8]:
        """Return the digests of a field, one a user; what is written into it is written into the rows."""
        return self._digests[:, self._slots[field]]

    def _has(self, field: str) -> npt.NDArray[np.bool_]:
        """Tell which users have a value for a field."""
        if field not in self._slots:
            return np.zeros(self._roster.users, np.bool_)
        return np.asarray(self._column(field).any(axis=1))

    def _word(self, field: str, word: int) -> npt.NDArray[np.uint64]:
        """Return eight bytes of each digest as a number."""
        part = np.ascontiguousarray(self._column(field)[:, 8 * word : 8 * word + 8])
        return part.view(">u8").reshape(-1).astype(np.uint64)

    def _exclude_the_empty(self) -> None:
        """Exclude users of whom nothing is left to send, with the first reason; an address alone names nobody."""
        empty = ~(self._has(_EMAIL) | self._has(_PHONE) | self._has(_EXTERNAL)) & (self._codes == 0)
        for place in np.flatnonzero(empty).tolist():
            reasons = self._missing.get(place, {})
            first = next((reasons[field] for field in (_EMAIL, _PHONE) if field in reasons), None)
            if first is None:
                first = reasons.get(_EXTERNAL)
            if first is None:
                first = Reason.NO_IDENTIFIER if self._known[place] else Reason.NO_IDENTITY_RECORD
            self.exclude(place, first)

    def _repeats(self, field: str, rank: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
        """Return each user whose digest an earlier one has, after that one, in the order of actors."""
        places = np.flatnonzero(self._has(field) & (self._codes == 0))
        if not len(places):
            return []
        _, group, size = np.unique(self._word(field, 0)[places], return_inverse=True, return_counts=True)
        suspects = places[size[group] > 1]
        firsts: dict[bytes, int] = {}
        column = self._column(field)
        in_order = suspects[np.argsort(rank[suspects])].tolist()
        found = [(firsts.setdefault(column[place].tobytes(), place), place) for place in in_order]
        return [(first, place) for first, place in found if first != place]

    def _merge_mailboxes(self, rank: npt.NDArray[np.int64]) -> None:
        """Make one row of the accounts that share a mailbox: the first one's, with what only the others know."""
        for first, place in self._repeats(_EMAIL, rank):
            self.exclude(place, Reason.DUPLICATE_IDENTIFIER)
            for field in {_PHONE, _EXTERNAL} & self._slots.keys():
                column = self._column(field)
                if not column[first].any() and column[place].any():
                    column[first] = column[place]
                    self._missing.get(first, {}).pop(field, None)
            if not self._countries[first] and self._countries[place]:
                for field in (_FIRST, _LAST):
                    self._column(field)[first] = self._column(field)[place]
                self._countries[first], self._postal_codes[first] = self._countries[place], self._postal_codes[place]
                self._address_missing.pop(first, None)

    def _share_numbers(self, rank: npt.NDArray[np.int64]) -> None:
        """Leave a number that several people share to the first of them."""
        for _, place in self._repeats(_PHONE, rank):
            self._column(_PHONE)[place] = 0
            self._missing.setdefault(place, {})[_PHONE] = Reason.DUPLICATE_IDENTIFIER

    def _rows(self, origins: PersonOrigins | None) -> AudienceRows:
        written = np.flatnonzero(self._codes == 0)
        # Sixteen bytes of each identifier; no two rows share one, so that other fields decide nothing.
        used = [field for field in (_EXTERNAL, _PHONE, _EMAIL) if field in self._slots]
        keys = [self._word(field, word)[written] for field in used for word in (1, 0)]
        order = written[np.lexsort(keys)]
        shared = (self._fields, self._digests, self._countries, self._postal_codes)
        return AudienceRows(*shared, order, clear=self._clear, origins=origins)

    def _left_out(self) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for place, reasons in self._missing.items():
            if not self._codes[place]:
                counts.update(reason.value for reason in reasons.values())
        for place, wrong in self._address_missing.items():
            if not self._codes[place]:
                counts.update(reason.value for reason in wrong)
        return dict(sorted(counts.items()))


def _hashed_once(normalise: Callable[[str], Normalised]) -> Callable[[str], bytes | Reason]:
    """Return a function of a raw name that gives its digest: names repeat."""

    @lru_cache(maxsize=_CACHED)
    def digest(raw: str) -> bytes | Reason:
        name = normalise(raw)
        return name if isinstance(name, Reason) else sha256(name.encode()).digest()

    return digest


def _placed_once(
    rules: Normalisation,
) -> Callable[[str | None, str | None], tuple[Normalised | None, Normalised | None]]:
    """Return a function of a raw country and postal code that gives what is sent of them."""

    def sent(text: Normalised) -> Normalised:
        return sha256_hex(text) if rules.hashes_place and not isinstance(text, Reason) else text

    @lru_cache(maxsize=_CACHED)
    def places(raw_country: str | None, raw_code: str | None) -> tuple[Normalised | None, Normalised | None]:
        country = rules.country(raw_country) if raw_country else None
        known = visible(raw_country or "").strip().upper() if isinstance(country, str) else ""
        code = rules.postal_code(raw_code, known) if raw_code else None
        return country if country is None else sent(country), code if code is None else sent(code)

    return places
