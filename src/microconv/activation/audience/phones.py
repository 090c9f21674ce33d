"""Phone numbers: the number in E.164 that is certainly meant, or the reason why nobody can tell.

A number without its `+` may be read in several ways; where two of them reach two people, none is sent. A refusal holds
for all of them (`all_readings`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast

from microconv.activation.audience.reasons import Reason
from microconv.own_tables.placeholders import visible

if TYPE_CHECKING:
    from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberDesc

_SCHEME = re.compile(r"(?:tel|callto|phone|sms)\s*:\s*(?://)?", re.IGNORECASE)
_PUNCTUATION = re.compile(r"[\s().\-/\u2010-\u2015]+")
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}")
_NO_DIGIT = re.compile("[^0-9]+")
_TRUNK_ZERO = re.compile(r"\(\s*0\s*\)")
# What a spreadsheet makes of digits: 491701234567.0 is a number still, 4.9E+11 has lost its end.
_FLOAT = re.compile(r"(\+?[0-9]+)\.0+")
_ROUNDED = re.compile(r"[0-9]+(?:[.,][0-9]+)?E\+?[0-9]+", re.IGNORECASE)
# What stands between two numbers in one cell, or before an extension.
_BETWEEN = re.compile(r"[/;,|&\n]|\b(?:or|and|oder|und)\b|(?:\bext(?:ension)?|\bx|#)[.:]?(?=\s*[0-9])", re.IGNORECASE)
_RUNS = "01234567890123456789 98765432109876543210"
_SHORTEST_RUN = 7
_LOCAL = 8
"""Digits: so short a number is read within its country alone, since many others end in the same ones."""
# From abroad into a national network: 00 nearly everywhere, 011 in North America.
_ABROAD, _ABROAD_AMERICAN = "00", "011"
_LONGEST_NATIONAL = 13
"""Digits: a longer one that begins with 011 cannot be dialled within a country."""


def e164(raw: str, country: str | None) -> str | Reason:
    """Return the number as E.164 with its `+`, or why it is not sent.

    Only the length is held against the country's numbering plan: whether a range is in use changes faster than any
    library, and a number that nobody has matches nobody.

    Args:
        raw: A number in international form (`+44 …`, `(+44)`, `0044 …`, `tel:`), or as dialled inside `country`.
        country: ISO 3166 alpha-2 code; not looked at when the number says its own.
    """
    text = tidy(raw)
    plain = _PUNCTUATION.sub("", text)
    if plain.isdecimal():
        return _dialled(plain, plain, country)
    if _INTERNATIONAL.fullmatch(plain) and is_whole(plain[1:]):
        return Reason.INVALID_PHONE if is_filler(plain[1:]) or is_filler(_split(plain[1:])[1]) else plain
    digits = _digits_in(text)
    if not digits or _ROUNDED.fullmatch(text):
        return Reason.INVALID_PHONE
    if _says_country(text):
        return _text_of(_parsed(text)) or Reason.INVALID_PHONE
    return _dialled(text, digits, country)


def _dialled(text: str, digits: str, country: str | None) -> str | Reason:
    """Read a number without `+`; `digits` are those in it."""
    if is_filler(digits):
        return Reason.INVALID_PHONE
    region = phone_region(country)
    if region is None:
        return _abroad(digits) or (Reason.INVALID_PHONE if digits.startswith("00") else Reason.PHONE_WITHOUT_COUNTRY)
    if text == digits and (national := _plan(region).national(digits)) is not None:
        return Reason.INVALID_PHONE if is_filler(national) else f"+{_plan(region).code}{national}"
    return _within(text, digits, region)


def tidy(raw: str) -> str:
    """Return a number with ASCII digits, without invisible characters, `tel:` and the `.0` of a float."""
    text = raw.strip()
    if not text.isascii():
        text = unicodedata.normalize("NFKC", visible(text))
        text = "".join(str(unicodedata.digit(char)) if char.isdigit() else char for char in text).strip()
    scheme = _SCHEME.match(text)
    text = text[scheme.end() :] if scheme else text
    whole = _FLOAT.fullmatch(text)
    return whole[1] if whole else text


def is_filler(digits: str) -> bool:
    """Tell whether digits only fill in a form: all the same, or counted up or down."""
    return digits.count(digits[:1]) == len(digits) or (len(digits) >= _SHORTEST_RUN and digits in _RUNS)


def phone_region(country: str | None) -> str | None:
    """Return the code of a country that has phone numbers; None for any other text."""
    import phonenumbers

    code = (country or "").strip().upper()
    return code if code in phonenumbers.SUPPORTED_REGIONS else None


def all_readings(raw: str, country: str | None) -> tuple[set[str], set[str]]:
    """Return every number that a text may mean: whole ones (E.164 without `+`), and endings, whose country is unknown.

    For refusals: what does not parse, or parses in two ways, still says who does not want to be reached.
    """
    whole: set[str] = set()
    endings: set[str] = set()
    text = _TRUNK_ZERO.sub("", tidy(raw))
    plain = _PUNCTUATION.sub("", text)
    if _INTERNATIONAL.fullmatch(plain) and is_whole(plain[1:]):
        return {plain[1:]}, endings
    region = phone_region(country)
    pieces = [text, *_BETWEEN.split(text)]
    for piece in pieces:
        digits = _digits_in(piece)
        ending = digits.lstrip("0")
        if len(ending) < _SHORTEST_RUN:
            continue
        known = {*_readings(piece, digits, region)}
        whole |= {number.removeprefix("+") for number in known} | {ending}
        is_certain = bool(known) and (_says_country(piece) or (region is not None and len(ending) <= _LOCAL))
        if not is_certain:
            endings.add(ending)
        if known and piece is text:
            break
    return whole, endings


def looks_like_phone(text: str) -> bool:
    """Tell whether a user id is a phone number: one that says its country, or bare digits that are a mobile number."""
    import phonenumbers

    tidied = tidy(text)
    digits = _digits_in(tidied)
    if len(digits) < _SHORTEST_RUN or re.search(r"[^0-9+().\-/\s]", tidied):
        return False
    if _says_country(tidied) or _SCHEME.match(text.strip()):
        return True
    if _abroad(digits) is not None:
        return True
    number = _parsed("+" + digits)
    if number is None or not phonenumbers.is_valid_number(number):
        return False
    mobile = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
    return digits != tidied or phonenumbers.number_type(number) in mobile


def _digits_in(text: str) -> str:
    return _NO_DIGIT.sub("", text)


def _says_country(text: str) -> bool:
    first = re.search(r"[+0-9]", text)
    return first is not None and first[0] == "+"


def _within(text: str, digits: str, region: str) -> str | Reason:
    """Read a number without `+` that somebody in `region` wrote."""
    import phonenumbers

    home = _parsed(text, region)
    is_valid = home is not None and phonenumbers.is_valid_number(home)
    if not is_valid and (abroad := _abroad(digits)) is not None:
        return abroad
    # Its + may have been lost on the way.
    whole = _valid("+" + digits) if digits.startswith(_plan(region).code) else None
    if whole is None or whole == _text_of(home):
        return _text_of(home) or Reason.INVALID_PHONE
    return Reason.AMBIGUOUS_PHONE if is_valid else whole


def _abroad(digits: str) -> str | None:
    """Read 0049… or 01149…; a national number that begins so is not taken for one of another country."""
    if digits.startswith(_ABROAD):
        return _text_of(_parsed("+" + digits.removeprefix(_ABROAD)))
    if digits.startswith(_ABROAD_AMERICAN) and len(digits) > _LONGEST_NATIONAL:
        return _valid("+" + digits.removeprefix(_ABROAD_AMERICAN))
    return None


def _readings(text: str, digits: str, region: str | None) -> Iterator[str]:
    """Yield the possible numbers that a text may mean, in E.164."""
    if _says_country(text):
        found = _text_of(_parsed(text))
        return iter((found,) if found else ())
    abroad = {digits, digits.removeprefix(_ABROAD), digits.removeprefix(_ABROAD_AMERICAN)}
    candidates = [_whole("+" + each) for each in abroad if not each.startswith("0")]
    if region is not None:
        national = _plan(region).national(digits) if _PUNCTUATION.sub("", text) == digits else None
        candidates.append(_text_of(_parsed(text, region)) if national is None else f"+{_plan(region).code}{national}")
    return (found for found in candidates if found)


def _whole(text: str) -> str | None:
    """Return a possible number that says its country."""
    return text if is_whole(text[1:]) else _text_of(_parsed(text))


def _parsed(text: str, region: str | None = None) -> PhoneNumber | None:
    """Return a number that is possible in its country and whole."""
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    # The number before an extension is the switchboard's: it would match whoever else gave it.
    if not possible or number.extension or any(map(is_filler, (_digits_of(number), str(number.national_number)))):
        return None
    return number


def _digits_of(number: PhoneNumber) -> str:
    zeros = "0" * (number.number_of_leading_zeros or 1) if number.italian_leading_zero else ""
    return f"{number.country_code}{zeros}{number.national_number}"


def _valid(text: str) -> str | None:
    import phonenumbers

    number = _parsed(text)
    return _text_of(number) if number is not None and phonenumbers.is_valid_number(number) else None


def _text_of(number: PhoneNumber | None) -> str | None:
    return None if number is None else "+" + _digits_of(number)


def _split(digits: str) -> tuple[str, str]:
    codes = _calling_codes()
    for length in (1, 2, 3):
        if digits[:length] in codes:
            return digits[:length], digits[length:]
    return "", digits


@cache
def _calling_codes() -> frozenset[str]:
    import phonenumbers

    return frozenset(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE))


def is_whole(digits: str) -> bool:
    """Tell whether digits after a `+` are a possible number as they stand: of a length in use, with nothing to strip.

    The library reads such a number as itself, at ten times the cost. Of all others it is asked.
    """
    code, national = _split(digits)
    if not code or national[:1] in {"0", ""}:
        return False
    plan = _plan_of_code(int(code))
    return plan is not None and len(national) in plan.lengths and not plan.begins_with_prefix(national)


@dataclass(frozen=True)
class _Plan:
    """The numbering plan of a region: enough to read plain numbers, for which the library takes ten times as long.

    Attributes:
        code: Its country code.
        lengths: The possible lengths of national numbers.
        prefix: What may come before one within the country, or be written by mistake after the code.
        abroad: What is dialled before a number of another country.
        general: What all its national numbers look like.
        is_plain: Whether nothing but a single zero comes before a national number, and nothing in it is rewritten.
    """

    code: str
    lengths: frozenset[int]
    prefix: re.Pattern[str] | None
    abroad: re.Pattern[str] | None
    general: re.Pattern[str]
    is_plain: bool

    def begins_with_prefix(self, national: str) -> bool:
        return self.prefix is not None and self.prefix.match(national) is not None

    def national(self, digits: str) -> str | None:
        """Return the national number that is dialled so within the region; None: ask the library."""
        if digits.startswith(self.code) or (self.abroad is not None and self.abroad.match(digits)):
            return None
        if digits[0] != "0":
            return digits if len(digits) in self.lengths and not self.begins_with_prefix(digits) else None
        national = digits[1:]
        if not self.is_plain or len(national) not in self.lengths or national[0] == "0":
            return None
        # The library keeps a zero without which the number would no longer look like one of the country.
        kept = self.general.fullmatch(digits) is not None and self.general.fullmatch(national) is None
        return None if kept or digits.startswith(_ABROAD_AMERICAN) else national


@cache
def _plan(region: str) -> _Plan:
    import phonenumbers

    return _read_plan(phonenumbers.PhoneMetadata.metadata_for_region(region))


@cache
def _plan_of_code(code: int) -> _Plan | None:
    import phonenumbers

    region = phonenumbers.region_code_for_country_code(code)
    if region != "001":
        return _plan(region)
    metadata = phonenumbers.PhoneMetadata.metadata_for_nongeo_region(code)
    return None if metadata is None else _read_plan(metadata)


def _read_plan(found: PhoneMetadata | None) -> _Plan:
    metadata = cast("PhoneMetadata", found)  # asked for regions that the library knows
    general = cast("PhoneNumberDesc", metadata.general_desc)  # each has one
    prefix, abroad = metadata.national_prefix_for_parsing, metadata.international_prefix
    return _Plan(
        code=str(metadata.country_code),
        lengths=frozenset(general.possible_length) - frozenset(general.possible_length_local_only),
        prefix=re.compile(prefix) if prefix else None,
        abroad=re.compile(abroad) if abroad else None,
        general=re.compile(general.national_number_pattern or ""),
        is_plain=prefix == "0" and metadata.national_prefix_transform_rule is None,
    )
