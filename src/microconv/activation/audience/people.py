"""Who a user is, and what that user has consented to: rows of the identity and consent tables, and the consent gate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

_GRANTED_WORDS = frozenset({"granted", "true", "yes"})


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """One row of the identity table, raw. Its `repr` shows nothing, so that no log or traceback can."""

    user_id: str
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    country: str | None = None
    postal_code: str | None = None

    def __repr__(self) -> str:
        return "Person(<personal data>)"


@dataclass(frozen=True, slots=True, repr=False)
class ConsentRecord:
    """One row of the consent table, raw: two answers, and when they were given (ISO 8601; UTC where no offset is)."""

    user_id: str
    ad_user_data: str | None
    ad_personalization: str | None
    changed_at: str | None

    def __repr__(self) -> str:
        return "ConsentRecord(<personal data>)"


class Consent(Enum):
    """What the consent table says about a user who has at least one row in it."""

    GRANTED = "granted"
    DENIED = "denied"
    UNREADABLE = "unreadable"


def consent_by_user(records: Iterable[ConsentRecord]) -> dict[str, Consent]:
    """Decide for each user from all of that user's rows, in any order. A user without a row is not in the result.

    The row with the latest `changed_at` decides; it grants only when both answers say granted, true or yes. Rows of the
    same instant must all grant. A `changed_at` that cannot be read makes its user unreadable: it might be the latest.
    """
    latest: dict[str, tuple[datetime, bool]] = {}
    unreadable: set[str] = set()
    for record in records:
        changed_at = _instant(record.changed_at)
        if changed_at is None:
            unreadable.add(record.user_id)
            continue
        granted = _is_granted(record.ad_user_data) and _is_granted(record.ad_personalization)
        known = latest.get(record.user_id)
        if known is None or changed_at > known[0]:
            latest[record.user_id] = (changed_at, granted)
        elif changed_at == known[0]:
            latest[record.user_id] = (changed_at, granted and known[1])
    decided = {user_id: Consent.GRANTED if granted else Consent.DENIED for user_id, (_, granted) in latest.items()}
    return decided | dict.fromkeys(unreadable, Consent.UNREADABLE)


def _is_granted(answer: str | None) -> bool:
    return (answer or "").strip().lower() in _GRANTED_WORDS


def _instant(text: str | None) -> datetime | None:
    # BigQuery writes "2026-01-31 08:00:00 UTC" into CSV files.
    iso = (text or "").strip().removesuffix(" UTC")
    # The parser reads some epoch numbers as compact dates in the eighteenth century.
    if iso.isdigit() and len(iso) != len("YYYYMMDD"):
        return None
    try:
        parsed = datetime.fromisoformat(iso)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


class Directory:
    """The identity table by user. Equal rows of one user count once; rows that contradict each other name nobody."""

    def __init__(self, people: Iterable[Person]) -> None:
        self._people: dict[str, Person] = {}
        self._ambiguous: set[str] = set()
        for person in people:
            if self._people.setdefault(person.user_id, person) != person:
                self._ambiguous.add(person.user_id)

    def find(self, user_id: str) -> Person | None:
        """Return the user's row; None for an unknown user. Ask `is_ambiguous` first."""
        return self._people.get(user_id)

    def is_ambiguous(self, user_id: str) -> bool:
        """Tell whether rows of this user contradict each other."""
        return user_id in self._ambiguous
