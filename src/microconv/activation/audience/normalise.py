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

from microconv.activation.audience.countries import ISO_3166
from microconv.activation.audience.phones import e164
from microconv.activation.audience.reasons import Reason
from microconv.own_tables.placeholders import is_no_mailbox, is_no_name, visible

Normalised: TypeAlias = str | Reason

GMAIL_DOMAINS = frozenset({"gmail.com", "googlemail.com"})
# Two sides with one @ between them, and a dot in the domain. Mailboxes that no syntax allows exist (a..b@docomo.ne.jp),
# and no platform asks for more; what cannot be there belongs to a list or a display name.
_WORD = r"[^@<>()\[\],;:\"\\\x00-\x20\x7f]"
_ADDRESS = re.compile(rf"({_WORD}+)@((?:{_WORD.replace('^@', '^@.')}+\.)+{_WORD.replace('^@', '^@.')}+)")
_LONGEST_ADDRESS = 254
# Domains for local use, by RFC 6761 and 7686: nobody has a mailbox there.
_LOCAL_DOMAINS = frozenset({"arpa", "invalid", "local", "localhost", "onion", "test"})

# A title before a name, a suffix after it; where the word is a name, too, it is a title only with its dot.
_TITLES = frozenset(
    {
        *("mr", "mrs", "ms", "miss", "mx", "sir", "madam", "dr", "prof", "professor", "rev", "herr", "frau", "mme"),
        *("mlle", "madame", "monsieur", "sra", "srta", "se\u00f1or", "se\u00f1ora", "signor", "signora", "dipl.-ing"),
    }
)
_TITLES_WITH_DOT = frozenset(
    {
        *("hon", "sr", "dra", "dott", "ing", "mag", "hr", "fr", "sig", "capt", "col", "gen", "lt", "maj", "sgt"),
        *("dr.h.c", "h.c", "dipl"),
    }
)
_SUFFIXES = frozenset(
    {
        *("jr", "sr", "junior", "senior", "2nd", "3rd", "4th", "ii", "iii", "iv", "esq", "phd", "ph.d", "md", "m.d"),
        *("mba", "dds", "d.d.s", "dvm", "rn", "cpa"),
    }
)
# Alone, these are nobody's name.
_NO_NAMES = (_TITLES | {"jr", "iii", "2nd", "3rd", "esq", "phd", "ph.d"}) - {"sir", "madam", "se\u00f1or"}

_POSTAL_CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 -]{0,14}[A-Za-z0-9])?")
_ZIP = re.compile(r"([0-9]{4,5})(?:-?([0-9]{4}))?")
# Where a postal code is five digits and may begin with 0: a spreadsheet takes that away.
_FIVE_DIGITS = frozenset({"US", "DE", "FR", "ES", "IT"})


@dataclass(frozen=True)
class Normalisation:
    """The rules of one destination, with the version that the manifest records.

    A change that gives another hash for the same person needs a new version: a platform tells members apart by hash.

    Attributes:
        version: Its name and number.
        email: From the raw address to the text that is hashed.
        phone: From the raw number and the country to the text that is hashed.
        name: From a raw first or last name to the text that is hashed.
        postal_code: From the raw code and its country, checked, to what is sent.
        country: From the raw code to what is sent.
        hashes_place: Whether country and postal code are hashed, too.
    """

    version: str
    email: Callable[[str], Normalised]
    phone: Callable[[str, str | None], Normalised]
    name: Callable[[str], Normalised]
    postal_code: Callable[[str, str], Normalised]
    country: Callable[[str], Normalised]
    hashes_place: bool = False


def sha256_hex(text: str) -> str:
    """Return the SHA-256 digest of the UTF-8 text, as 64 lower-case hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


# E-mail


def plain_email(raw: str) -> Normalised:
    """Return the address without white space and invisible characters, in lower case, or `INVALID_EMAIL`.

    An international domain stays as it was typed, in letters or in punycode. Domains for local use (`.test`) and
    addresses that fill in a form (`none@none.com`) are invalid. No name server is asked.
    """
    address = "".join(raw.split())
    if address.isascii():
        address = address.lower()
    else:
        # Lower case can undo the composed form (of \u03ab with an accent, say), so composing comes last.
        address = unicodedata.normalize("NFC", visible(address).lower())
        if not address.isprintable():
            return Reason.INVALID_EMAIL
    found = _ADDRESS.fullmatch(address)
    if found is None or len(address) > _LONGEST_ADDRESS:
        return Reason.INVALID_EMAIL
    local, domain = found.groups()
    if domain.rpartition(".")[2] in _LOCAL_DOMAINS or is_no_mailbox(local, domain):
        return Reason.INVALID_EMAIL
    return address


def google_email(raw: str) -> Normalised:
    """Return the address as Google hashes it, or `INVALID_EMAIL`.

    As `plain_email`; in `gmail.com` and `googlemail.com`, and nowhere else, dots and a `+suffix` are removed.
    """
    address = plain_email(raw)
    if isinstance(address, Reason):
        return address
    local, _, domain = address.rpartition("@")
    if domain not in GMAIL_DOMAINS:
        return address
    local = local.partition("+")[0].replace(".", "")
    return f"{local}@{domain}" if local else Reason.INVALID_EMAIL


def meta_email(raw: str) -> Normalised:
    """Return the address as Meta hashes it (as `plain_email`, without dots at its ends), or `INVALID_EMAIL`."""
    return plain_email(visible(raw).strip().strip("."))


# Phone


def meta_phone(raw: str, country: str | None) -> Normalised:
    """Return the phone number as Meta hashes it: the digits of E.164 alone."""
    number = e164(raw, country)
    return number if isinstance(number, Reason) else number.removeprefix("+")


# Names


def google_name(raw: str) -> Normalised:
    """Return a name as Google hashes it, or `INVALID_NAME`.

    Trimmed, lower case, composed (NFC), without titles and suffixes; white space inside it stays as it is.
    """
    name = unicodedata.normalize("NFC", _without_titles(_trimmed(raw)).lower())
    if (
        is_no_name(name)
        or name.removesuffix(".") in _NO_NAMES
        or not "".join(name.split()).replace("\u200c", "").replace("\u200d", "").isprintable()
    ):
        return Reason.INVALID_NAME
    return name if any(map(str.isalpha, name)) else Reason.INVALID_NAME


def meta_name(raw: str) -> Normalised:
    """Return a name as Meta hashes it: as `google_name`, without punctuation and white space."""
    name = google_name(raw)
    if isinstance(name, Reason):
        return name
    return "".join(char for char in name if unicodedata.category(char)[0] in "LMN")


def _trimmed(raw: str) -> str:
    """Trim white space and invisible characters; those that join letters stay where they join some."""
    text = raw.strip()
    if text.isascii():
        return text
    joined = "".join(char for char in text if char in "\u200c\u200d" or visible(char))
    return joined.strip("\u200c\u200d").strip()


def _without_titles(name: str) -> str:
    while (first := re.match(r"(\S+?)(\.?)(?:\s+|(?<=\.)(?=\w))", name)) is not None:
        word = first[1].lower()
        if word not in _TITLES and not (word in _TITLES_WITH_DOT and first[2]):
            break
        name = name[first.end() :]
    while (last := re.search(r"[\s,]+([^\s,]+?)\.?$", name)) is not None and last.start() > 0:
        if last[1].lower() not in _SUFFIXES:
            break
        name = name[: last.start()]
    return name


# Places


def country_code(raw: str) -> Normalised:
    """Return the ISO 3166-1 alpha-2 code in capitals, or `INVALID_COUNTRY`."""
    code = visible(raw).strip().upper()
    return code if code in ISO_3166 else Reason.INVALID_COUNTRY


def postal_code(raw: str, country: str) -> Normalised:
    """Return the postal code, or `INVALID_POSTAL_CODE`; a leading zero that a spreadsheet took away is put back.

    It is sent in clear, so it may hold only what postal codes hold: a cell can then never start a spreadsheet formula.
    One wrong code can make a platform refuse the whole request.
    """
    code = re.sub(r"^([0-9]+)\.0+$", r"\1", visible(raw).strip())
    if not _POSTAL_CODE.fullmatch(code) or not code.strip("0 -") or not re.search("[0-9]", code):
        return Reason.INVALID_POSTAL_CODE
    if country not in _FIVE_DIGITS:
        return code
    digits = _ZIP.fullmatch(code)
    if digits is None or (digits[2] and country != "US"):
        return Reason.INVALID_POSTAL_CODE
    return digits[1].zfill(5) + (f"-{digits[2]}" if digits[2] else "")


def meta_postal_code(raw: str, country: str) -> Normalised:
    """Return the postal code as Meta hashes it: lower case, no white space, of the United States five digits."""
    code = postal_code(raw, country)
    if isinstance(code, Reason):
        return code
    return code[:5] if country == "US" else "".join(code.lower().split())


def meta_country(raw: str) -> Normalised:
    """Return the country code as Meta hashes it: in small letters."""
    code = country_code(raw)
    return code if isinstance(code, Reason) else code.lower()


GOOGLE = Normalisation("google/2", google_email, e164, google_name, postal_code, country_code)
META = Normalisation("meta/1", meta_email, meta_phone, meta_name, meta_postal_code, meta_country, hashes_place=True)
PLAIN = Normalisation("plain/2", plain_email, e164, google_name, postal_code, country_code)
# All of these take an address in small letters without white space, and digits alone of a number. Each has a version of
# its own, so that one can change without the others.
# ads.tiktok.com/help/article/list-of-supported-ids-and-formats-for-a-customer-file: numbers with or without +.
TIKTOK = Normalisation("tiktok/1", plain_email, meta_phone, google_name, postal_code, country_code)
# Unverified: Microsoft's page on preparing lists was not read to its end.
MICROSOFT = Normalisation("microsoft/1", plain_email, meta_phone, google_name, postal_code, country_code)
PINTEREST = Normalisation("pinterest/1", plain_email, meta_phone, google_name, postal_code, country_code)
LINKEDIN = Normalisation("linkedin/1", plain_email, meta_phone, google_name, postal_code, country_code)
# developers.snap.com/api/marketing-api/Conversions-API/BestPractices
SNAP = Normalisation("snap/1", plain_email, meta_phone, google_name, postal_code, country_code)
# A user id goes out as the site sends it.
GA4 = Normalisation("ga4/1", plain_email, e164, google_name, postal_code, country_code)
