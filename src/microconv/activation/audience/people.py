"""Who a user is, and what that user has consented to: rows of the identity and consent tables, and the consent gate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

_GRANTED_WORDS = frozenset({"granted", "true", "yes"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Before every instant that a text can say, and even, so that neither grants.
_NEVER, _UNREADABLE = -(2**80), -(2**81)


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """One row of the identity table, raw. Its `repr` shows nothing, so that no log or traceback can.

    `is_readable` is false when one of its values could not be read; the value is then missing.
    """

    user_id: str
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    country: str | None = None
    postal_code: str | None = None
    is_readable: bool = True

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


def consent_by_user(
    records: Iterable[ConsentRecord], now: datetime, granted_at: dict[str, int] | None = None
) -> dict[str, Consent]:
    """Decide for each user from all of that user's rows, in any order. A user without a row is not in the result.

    The row with the latest `changed_at` decides; it grants only when both answers say granted, true or yes. Rows of the
    same instant must all grant. A `changed_at` that cannot be read, or lies after `now` (aware), makes its user
    unreadable: it might be the latest, and what it says cannot have happened.

    Where `granted_at` is given, the microsecond since 1970 of each grant is put there.
    """
    # One whole number per user, so that a million of them fit: twice the microsecond, and one more for a grant.
    latest: dict[str, int] = {}
    end = _micros(now)
    for record in records:
        micros = _instant(record.changed_at)
        known = latest.get(record.user_id, _NEVER)
        if micros is None or micros > end or known == _UNREADABLE:
            latest[record.user_id] = _UNREADABLE
            continue
        row = 2 * micros + (_is_granted(record.ad_user_data) and _is_granted(record.ad_personalization))
        latest[record.user_id] = min(row, known) if row >> 1 == known >> 1 else max(row, known)
    decided: dict[str, Consent] = {}
    while latest:  # from one to the other, so that both are never there in full
        user_id, row = latest.popitem()
        granted = Consent.GRANTED if row & 1 else Consent.DENIED
        decided[user_id] = Consent.UNREADABLE if row == _UNREADABLE else granted
        if granted_at is not None and decided[user_id] is Consent.GRANTED:
            granted_at[user_id] = row >> 1
    return decided


def _is_granted(answer: str | None) -> bool:
    return (answer or "").strip().lower() in _GRANTED_WORDS


def _instant(text: str | None) -> int | None:
    """Return the microsecond since 1970; None where the text does not say one."""
    # BigQuery writes "2026-01-31 08:00:00 UTC" into CSV files.
    iso = (text or "").strip().removesuffix(" UTC")
    # The parser reads some epoch numbers as compact dates in the eighteenth century.
    if iso.isdigit() and len(iso) != len("YYYYMMDD"):
        return None
    try:
        parsed = datetime.fromisoformat(iso)
    except ValueError:
        return None
    return _micros(parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))


def _micros(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
