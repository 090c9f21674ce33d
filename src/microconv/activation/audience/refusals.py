"""Refusals: whom nothing may be sent of. They are compared in a strict form that no destination has.

A refusal is a person's, however the address was spelled, and also when it does not parse. So a mailbox is reduced as
far as any platform reduces one (Gmail ignores dots, TikTok cuts every +suffix), and a number counts in every reading
that may be meant. Two mailboxes that only look alike are then both withheld: that is the safe side.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from microconv.activation.audience.people import Person
from microconv.activation.audience.phones import all_readings, looks_like_phone, tidy
from microconv.own_tables.placeholders import visible

_SIMPLE = re.compile(r"[a-z0-9._-]+@[a-z0-9.-]+")
# What no address holds, and what one may hold, but may as well stand around it.
_BRACKETS = re.compile(r"[<>()\[\],;:\"\\]+")
_QUOTES = "'`*"
_MAY_BE_BRACKETS = re.compile(r"[<>()\[\]{},;:\"|\\\s]+")
_LARGEST_NUMBER = 10**18


class Refusals:
    """Mailboxes and numbers of people who refused, as sets of whole numbers."""

    def __init__(self) -> None:
        self._mailboxes: set[int] = set()
        self._numbers: set[int] = set()
        self._endings: dict[int, set[int]] = {}

    def add_person(self, person: Person) -> None:
        """Remember the address and the number of somebody who refused."""
        if person.email:
            self._add_mailboxes(person.email)
            # People type numbers into fields for addresses, and the other way round.
            if "@" not in person.email:
                self._add_numbers(person.email, person.country)
        if person.phone:
            self._add_numbers(person.phone, person.country)
            if "@" in person.phone:
                self._add_mailboxes(person.phone)

    def add_user(self, user_id: str) -> None:
        """Remember the user id of somebody who refused, where it is an address or a number itself."""
        if "@" in user_id or "%40" in user_id:
            self._add_mailboxes(user_id)
        elif looks_like_phone(user_id):
            self._add_numbers(user_id, None)

    def mailboxes(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell which of these mailboxes (`mailbox_key`) are refused."""
        return np.isin(keys, np.fromiter(self._mailboxes, np.int64, len(self._mailboxes)))

    def numbers(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell which of these numbers (E.164 without `+`) are refused."""
        refused = np.isin(numbers, np.fromiter(self._numbers, np.int64, len(self._numbers)))
        for length, endings in self._endings.items():
            refused |= np.isin(numbers % 10**length, np.fromiter(endings, np.int64, len(endings)))
        return refused

    def _add_mailboxes(self, raw: str) -> None:
        self._mailboxes.update(map(_hashed, strict_mailboxes(raw)))

    def _add_numbers(self, raw: str, country: str | None) -> None:
        whole, endings = all_readings(raw, country)
        self._numbers.update(number for number in map(int, whole) if number < _LARGEST_NUMBER)
        for ending in endings:
            if int(ending) < _LARGEST_NUMBER:
                self._endings.setdefault(len(ending), set()).add(int(ending))


def mailbox_key(address: str) -> int:
    """Return a whole number for the strict form of an address as a destination would get it."""
    local, _, domain = address.rpartition("@")
    if not _SIMPLE.fullmatch(address) or domain == "googlemail.com" or "xn--" in domain:
        return _hashed(_strict(local, domain))
    return _hashed(f"{local.replace('.', '')}@{domain}")


def strict_mailboxes(raw: str) -> set[str]:
    """Return every mailbox that a text may mean, in strict form: `Jane <Jane.Doe+x@Googlemail.com>` is one."""
    typed = visible(raw.encode("utf-8", "replace").decode())
    folded = visible(unicodedata.normalize("NFKC", typed))
    pieces: set[str] = set()
    for each in {typed, folded, unquote(folded)}:
        pieces.update(_BRACKETS.split("".join(each.split())), _MAY_BE_BRACKETS.split(each))
        pieces.update(*map(str.split, _BRACKETS.split(each)))
    found = set()
    for piece in pieces:
        sides = re.split("@+", piece)
        found |= {_strict(local, domain) for local, domain in pairwise(sides) if local and domain}
    return found


def is_address(user_id: str) -> bool:
    """Tell whether a user id is, or holds, an e-mail address."""
    return bool(("@" in user_id or "%40" in user_id or "\uff20" in user_id) and strict_mailboxes(user_id))


def is_number(user_id: str, phone: str | None) -> bool:
    """Tell whether a user id is a phone number, or the digits of the phone number that its identity row has."""
    if looks_like_phone(user_id):
        return True
    digits = re.sub(r"[^0-9]", "", tidy(phone or ""))
    return user_id.isdigit() and len(user_id.lstrip("0")) > 6 and digits.endswith(user_id.lstrip("0"))  # noqa: PLR2004 - digits of a local number


def _strict(local: str, domain: str) -> str:
    domain = re.split(r"[?/&#]", unicodedata.normalize("NFKC", domain).casefold())[0].strip(".'`*")
    domain = ".".join(_unicode_label(label) for label in domain.split("."))
    if domain == "googlemail.com":
        domain = "gmail.com"
    local = _plain_letters(local).strip(".'`*").partition("+")[0]
    return f"{local.replace('.', '').strip(_QUOTES)}@{domain}"


def _unicode_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label.removeprefix("xn--").encode().decode("punycode")
    except ValueError:
        return label


def _plain_letters(text: str) -> str:
    """Return it folded, without accents."""
    if text.isascii():
        return text.lower()
    return "".join(char for char in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(char))


def _hashed(text: str) -> int:
    # Salted anew in each process. Two of a million mailboxes share a number in one of ten million runs, and then one
    # person too many is withheld.
    return hash(text)
