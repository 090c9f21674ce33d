"""Identifiers in the exact form a destination hashes. Each destination has its own rules: there is no shared hash.

Every function returns the text to send or to hash, or the `Reason` why the value is not sent. Nothing is raised: an
exception chained from a parser would carry the raw value into tracebacks and logs.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from microconv.activation.audience.reasons import Reason

Normalised: TypeAlias = str | Reason

_GMAIL_DOMAINS = frozenset({"gmail.com", "googlemail.com"})
_POSTAL_CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 -]{0,14}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Normalisation:
    """The rules of one destination, with the version that the manifest records.

    A change that gives another hash for the same person needs a new version: a platform tells members apart by hash.
    """

    version: str
    email: Callable[[str], Normalised]
    phone: Callable[[str, str | None], Normalised]


def sha256_hex(text: str) -> str:
    """Return the SHA-256 digest of the UTF-8 text, as 64 lower-case hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def plain_email(raw: str) -> Normalised:
    """Return the address trimmed and in lower case, as most platforms take it, or `INVALID_EMAIL`.

    The syntax is checked, no name server is asked. Domains reserved for local use (`localhost`, `.test`) are invalid.
    """
    from email_validator import EmailNotValidError, validate_email

    try:
        address = validate_email(raw.strip(), check_deliverability=False).normalized
    except EmailNotValidError:
        return Reason.INVALID_EMAIL
    # Lower case can undo the composed form (of \u03ab with an accent, say), so composing comes last.
    return unicodedata.normalize("NFC", address.lower())


def google_email(raw: str) -> Normalised:
    """Return the address as Google hashes it, or `INVALID_EMAIL`.

    Trimmed and in lower case; in `gmail.com` and `googlemail.com`, and nowhere else, dots and a `+suffix` are removed.
    """
    address = plain_email(raw)
    if isinstance(address, Reason):
        return address
    local, _, domain = address.rpartition("@")
    if domain not in _GMAIL_DOMAINS:
        return address
    local = local.partition("+")[0].replace(".", "")
    return f"{local}@{domain}" if local else Reason.INVALID_EMAIL


def e164(raw: str, country: str | None) -> Normalised:
    """Return the phone number as E.164 with its `+`, or `INVALID_PHONE` or `PHONE_WITHOUT_COUNTRY`.

    Only the length is held against the country's numbering plan: whether a range is in use changes faster than any
    library, and a number that nobody has matches nobody.

    Args:
        raw: A number in international form (`+44 …`), or as dialled inside `country`.
        country: ISO 3166 alpha-2 code; not looked at when the number starts with `+`.
    """
    import phonenumbers

    region = None
    if not raw.strip().startswith("+"):
        known = country_code(country or "")
        if isinstance(known, Reason):
            return Reason.PHONE_WITHOUT_COUNTRY
        region = known
    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        return Reason.INVALID_PHONE
    whole = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    # The number before an extension is the switchboard's: it would match whoever else gave it.
    if not whole or number.extension:
        return Reason.INVALID_PHONE
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def dialled_digits(raw: str) -> str:
    """Return the digits of a phone number in whatever script, without the zeros that only dial out of an area."""
    import phonenumbers

    return phonenumbers.normalize_digits_only(raw).lstrip("0")


def google_phone(raw: str, country: str | None) -> Normalised:
    """Return the phone number as Google hashes it: E.164 with its `+` (see `e164`)."""
    return e164(raw, country)


def google_name(raw: str) -> Normalised:
    """Return a name as Google hashes it (trimmed, single spaces, lower case, composed: NFC), or `INVALID_NAME`."""
    name = unicodedata.normalize("NFC", " ".join(raw.split()).lower())
    return name if name.isprintable() and any(map(str.isalpha, name)) else Reason.INVALID_NAME


def country_code(raw: str) -> Normalised:
    """Return the ISO 3166 alpha-2 code in capitals, or `INVALID_COUNTRY`."""
    import phonenumbers

    code = raw.strip().upper()
    return code if code in phonenumbers.SUPPORTED_REGIONS else Reason.INVALID_COUNTRY


def postal_code(raw: str) -> Normalised:
    """Return the trimmed postal code, or `INVALID_POSTAL_CODE`.

    It is sent in clear, so it may hold only what postal codes hold: a cell can then never start a spreadsheet formula.
    """
    code = raw.strip()
    return code if _POSTAL_CODE.fullmatch(code) else Reason.INVALID_POSTAL_CODE


GOOGLE = Normalisation("google/1", google_email, google_phone)
PLAIN = Normalisation("plain/1", plain_email, e164)
