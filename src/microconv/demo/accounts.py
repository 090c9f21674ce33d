"""Made-up people behind the demo's accounts: identity.csv and consent.csv, with the flaws real tables have."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from microconv.demo.folder import DemoFolder
from microconv.demo.journeys import Bools, Integers, some
from microconv.demo.shop import PLACES, Place

IDENTITY_COLUMNS: Final = ("user_id", "email", "phone", "first_name", "last_name", "country", "postal_code")
CONSENT_COLUMNS: Final = ("user_id", "ad_user_data", "ad_personalization", "changed_at")

_FIRST_NAMES: Final = ("Ada", "Ben", "Chloé", "David", "Emma", "Finn", "Grace", "Hugo", "Ida", "Jonas", "Klara", "Léa")
_LAST_NAMES: Final = ("Becker", "Dubois", "Fischer", "Johnson", "Krüger", "Martin", "Novak", "O'Neil", "Smith", "Weber")
_FICTION: Final = {
    "DE": ("+49", "0", ("30 23125", "40 66969", "69 90009", "89 99998", "221 4710"), 3),
    "FR": ("+33", "0", ("1 9900",), 4),
    "GB": ("+44", "0", ("20 7946 0", "113 496 0", "114 496 0", "121 496 0", "161 496 0"), 3),
    "US": ("+1", "", tuple(f"{area} 555 01" for area in (202, 206, 212, 303, 305, 312, 404, 415, 602, 617)), 2),
}
"""Per country: prefix, trunk digit, and the beginnings of its numbers for film and print, with the digits left free."""
_BROKEN_EMAILS: Final = ("not-an-address", "two@@example.com", "nobody@", "@example.org")
_BROKEN_PHONE: Final = "12"
_GRANTED, _DENIED = "granted", "denied"
_CONSENT_DAY: Final = "2025-09-{day:02d}T09:{minute:02d}:00Z"
_LATER_DAY: Final = "2025-10-{day:02d}T18:{minute:02d}:00Z"


@dataclass(frozen=True)
class PeopleTruth:
    """Counts of `identity.csv` and `consent.csv`.

    All but `identity_rows` and `consent_rows` count accounts. `identical_rows` have their row twice,
    `conflicting_accounts` two rows that disagree. By consent an account is one of `granted`, `denied` (its latest row
    denies a purpose, in `partly_denied` only one) and `without_consent_row`; `denied_later` and `granted_later` changed
    their mind.
    """

    accounts: int
    identity_rows: int
    without_identity: int
    identical_rows: int
    conflicting_accounts: int
    invalid_emails: int
    invalid_phones: int
    missing_phones: int
    consent_rows: int
    granted: int
    denied: int
    denied_later: int
    granted_later: int
    partly_denied: int
    without_consent_row: int


class _Person(NamedTuple):
    user_id: str
    email: str
    phone: str
    first_name: str
    last_name: str
    country: str
    postal_code: str


def write_people(place: DemoFolder, users: list[str], places: Integers, rng: np.random.Generator) -> PeopleTruth:
    """Write `identity.csv` and `consent.csv` for the accounts `users`, who live at `places` (of the catalogue).

    Every address is on example.com or example.org, every phone number from a range kept free for fiction.
    """
    count = len(users)
    everyone = np.ones(count, bool)
    without_identity = some(rng, everyone, 0.08)
    flawed = _parted(rng, ~without_identity, (0.03, 0.03, 0.12, 0.01, 0.01))
    invalid_email, invalid_phone, missing_phone, identical, conflicting = flawed
    people = [
        _person(user, number, PLACES[places[number]])
        for number, user in enumerate(users)
        if not without_identity[number]
    ]
    people = [
        person._replace(
            email=_BROKEN_EMAILS[number % len(_BROKEN_EMAILS)] if invalid_email[number] else person.email,
            phone="" if missing_phone[number] else _BROKEN_PHONE if invalid_phone[number] else person.phone,
        )
        for person in people
        for number in [_number(person)]
    ]
    twice = [person for person in people if (identical | conflicting)[_number(person)]]
    people += [
        person._replace(email=f"other.{person.email}") if conflicting[_number(person)] else person for person in twice
    ]
    _write_csv(place, "identity.csv", IDENTITY_COLUMNS, people)

    without_row, denied, partly, denied_later, granted_later = _parted(rng, everyone, (0.15, 0.08, 0.04, 0.06, 0.04))
    rows: list[tuple[str, str, str, str]] = []
    for number, user in enumerate(users):
        if without_row[number]:
            continue
        first = _DENIED if denied[number] or granted_later[number] else _GRANTED
        stamp = {"day": 1 + number % 28, "minute": number % 60}
        rows.append((user, first, _DENIED if partly[number] else first, _CONSENT_DAY.format(**stamp)))
        if denied_later[number] or granted_later[number]:
            second = _DENIED if denied_later[number] else _GRANTED
            rows.append((user, second, second, _LATER_DAY.format(**stamp)))
    # The latest row decides by its time, not by its place in the file.
    rows = [rows[place] for place in rng.permutation(len(rows))]
    _write_csv(place, "consent.csv", CONSENT_COLUMNS, rows)

    refused = denied | partly | denied_later
    return PeopleTruth(
        accounts=count,
        identity_rows=len(people),
        without_identity=_count(without_identity),
        identical_rows=_count(identical),
        conflicting_accounts=_count(conflicting),
        invalid_emails=_count(invalid_email),
        invalid_phones=_count(invalid_phone),
        missing_phones=_count(missing_phone),
        consent_rows=len(rows),
        granted=count - _count(refused) - _count(without_row),
        denied=_count(refused),
        denied_later=_count(denied_later),
        granted_later=_count(granted_later),
        partly_denied=_count(partly),
        without_consent_row=_count(without_row),
    )


def _person(user: str, number: int, home: Place) -> _Person:
    first = _FIRST_NAMES[number % len(_FIRST_NAMES)]
    last = _LAST_NAMES[number // len(_FIRST_NAMES) % len(_LAST_NAMES)]
    # As people type them: some in capitals, some with a blank at the end.
    email = f"{'User' if number % 7 == 0 else 'user'}.{number + 1}@example.{'org' if number % 3 else 'com'}"
    if number % 11 == 0:
        email += " "
    return _Person(
        user_id=user,
        email=email,
        phone=_phone(home.country_code, number),
        first_name=first,
        last_name=last,
        country=home.country_code,
        postal_code=home.postal_code,
    )


def _phone(country_code: str, number: int) -> str:
    """Return a number no one answers, of a range that regulators keep for fiction (numbers repeat in large demos)."""
    prefix, trunk, areas, digits = _FICTION.get(country_code, _FICTION["DE"])
    size = 10**digits
    line = f"{areas[number // size % len(areas)]}{number % size:0{digits}d}"
    # Austria keeps no such range; people there have a German number, which is not national to them.
    is_national = country_code in _FICTION and number % 2 == 0
    return f"{trunk}{line}" if is_national else f"{prefix} {line}"


def _number(person: _Person) -> int:
    return int(person.user_id.removeprefix("u")) - 1


def _parted(rng: np.random.Generator, candidates: Bools, shares: tuple[float, ...]) -> list[Bools]:
    """Choose disjoint shares of the candidates, at least one each where there are enough."""
    parts = []
    left, total = candidates.copy(), candidates.sum()
    for share in shares:
        part = some(rng, left, share * total / max(1, left.sum()))
        parts.append(part)
        left &= ~part
    return parts


def _write_csv(
    place: DemoFolder, name: str, header: tuple[str, ...], rows: list[_Person] | list[tuple[str, str, str, str]]
) -> None:
    with place.replacing(name) as hidden, hidden.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _count(flags: Bools) -> int:
    return int(flags.sum())
