"""Who is behind each order, and whether anything may be sent of them: consent first, then click ids and identifiers.

The rules are those of an audience: no consent row is no consent, an identifier that also belongs to somebody who
refused is withheld, and contradicting rows of the identity table name nobody. Unlike in an audience, two users with one
mailbox are two: each has orders of their own.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args

import numpy as np
import pyarrow as pa

from microconv.activation.audience.audience_rows import IdentityKind
from microconv.activation.audience.normalise import Normalisation, sha256_hex
from microconv.activation.audience.people import Consent, ConsentRecord, Person, consent_by_user
from microconv.activation.audience.reasons import Reason
from microconv.activation.audience.refusals import Refusals, is_address, is_number, mailbox_key
from microconv.activation.conversions.conversion_destination import ClickId, ConversionRules
from microconv.activation.push.audience_list import Identifier
from microconv.engines.base import Engine
from microconv.own_tables.placeholders import is_nobody
from microconv.queries import templates

ORDERS, PEOPLE = "conversion_orders", "conversion_people"
NOTHING_TO_MATCH = "no_click_or_identifier"
"""Nothing is known of who converted that the destination could match with an ad."""

_SCHEMA = pa.schema([("order_id", pa.string()), ("reason", pa.string()), ("who", pa.string())])
_CLICKS: tuple[ClickId, ...] = get_args(ClickId)
_CLICK_ID = re.compile(r"[A-Za-z0-9._~-]{1,1000}")
_CLEAR_USER_ID = re.compile(r"[\x21-\x7e]{1,200}")
_BATCH_ROWS = 20_000
_WITHHELD = {Consent.DENIED: Reason.CONSENT_DENIED, Consent.UNREADABLE: Reason.CONSENT_UNREADABLE}


@dataclass(frozen=True)
class Who:
    """What an order is matched by: click ids, when the click was, and identifiers; kept as JSON."""

    clicks: Mapping[ClickId, str] = field(default_factory=dict)
    clicked_us: int | None = None
    identifiers: tuple[Identifier, ...] = ()

    @property
    def text(self) -> str:
        """The same as text, always in one way."""
        document = {"clicks": self.clicks, "clicked_us": self.clicked_us, "identifiers": self.identifiers}
        return json.dumps(document, sort_keys=True, separators=(",", ":"))

    @classmethod
    def of(cls, text: str | None) -> Who:
        """Return what such a text says."""
        if text is None:
            return cls()
        document = json.loads(text)
        return cls(
            document["clicks"], document["clicked_us"], tuple(Identifier(*each) for each in document["identifiers"])
        )


@dataclass
class CountedOrders:
    """How many orders count, and how many of them are not sent, by reason."""

    orders: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def load_people(
    engine: Engine,
    people: Iterable[Person],
    consents: Iterable[ConsentRecord],
    *,
    rules: ConversionRules,
    identity: Collection[IdentityKind],
    now: datetime,
) -> CountedOrders:
    """Write for each of `conversion_orders` who is behind it, or why nothing is sent, as `conversion_people`."""
    answers = consent_by_user(consents, now)
    orders = engine.query(templates.query("activation/conversion_actors"))
    wanted = {user_id for each in orders.column("user_id").to_pylist() if (user_id := _named(each)) is not None}
    kinds = [kind for kind in identity if kind in rules.identity]
    known = _Known({each for each in wanted if answers.get(each) is Consent.GRANTED}, kinds, rules)
    refusals = Refusals()
    for user_id, answer in answers.items():
        if answer is not Consent.GRANTED:
            refusals.add_user(user_id)
    for person in people:
        if person.user_id not in answers:
            continue
        if answers[person.user_id] is Consent.GRANTED:
            known.add(person)
        else:
            refusals.add_person(person)
    identifiers = known.identifiers(refusals)
    counted = CountedOrders()

    def rows() -> Iterator[pa.RecordBatch]:
        for batch in orders.to_batches(max_chunksize=_BATCH_ROWS):
            decided = []
            for row in batch.to_pylist():
                reason = _withheld(_named(row["user_id"]), answers)
                who = _who(row, identifiers) if reason is None else None
                if reason is None and who is None:
                    reason = NOTHING_TO_MATCH
                if row["standing"] == "there":
                    counted.orders += 1
                    counted.left_out.update([] if reason is None else [reason])
                decided.append((row["order_id"], reason, who))
            columns = [list(column) for column in zip(*decided, strict=True)] or [[], [], []]
            yield pa.record_batch([pa.array(each, pa.string()) for each in columns], schema=_SCHEMA)

    engine.load(pa.RecordBatchReader.from_batches(_SCHEMA, rows()), PEOPLE)
    return counted


def _named(user_id: str | None) -> str | None:
    name = (user_id or "").strip()
    return None if not name or is_nobody(name) else name


def _withheld(user_id: str | None, answers: Mapping[str, Consent]) -> str | None:
    """Return why nothing may be sent of a user, if so."""
    if user_id is None:
        return Reason.NO_USER_ID.value
    answer = answers.get(user_id)
    if answer is None:
        return Reason.NO_CONSENT_RECORD.value
    return None if answer is Consent.GRANTED else _WITHHELD[answer].value


def _who(row: Mapping[str, Any], identifiers: Mapping[str, tuple[Identifier, ...]]) -> str | None:
    """Return what an order is matched by, as text; None where there is nothing."""
    clicks = {name: row[name] for name in _CLICKS if row[name] and _CLICK_ID.fullmatch(row[name])}
    who = Who(clicks, row["clicked_us"] if clicks else None, identifiers.get(str(row["user_id"]).strip(), ()))
    if not clicks and row["said_who"] is not None:
        said = Who.of(row["said_who"])
        who = Who(said.clicks, said.clicked_us, who.identifiers)
    return who.text if who.clicks or who.identifiers else None


class _Known:
    """What the identity table has of users, normalised as one destination's rules say."""

    def __init__(self, users: Collection[str], kinds: Collection[IdentityKind], rules: ConversionRules) -> None:
        self._users = users
        self._kinds = kinds
        self._rules: Normalisation = rules.normalisation
        self._in_clear = rules.in_clear
        self._found: dict[str, tuple[str, str]] = {}
        """Address and number of a user; "" where there is none."""
        self._unclear: set[str] = set()
        self._numbers_as_ids: set[str] = set()

    def add(self, person: Person) -> None:
        """Take down a row of the identity table."""
        name = person.user_id
        if name not in self._users:
            return
        if is_number(name, person.phone):
            self._numbers_as_ids.add(name)
        email = self._rules.email(person.email) if person.email and "email" in self._kinds else ""
        phone = self._rules.phone(person.phone, person.country) if person.phone and "phone" in self._kinds else ""
        found = ("" if isinstance(email, Reason) else email, "" if isinstance(phone, Reason) else phone)
        if not person.is_readable or self._found.setdefault(name, found) != found:
            self._unclear.add(name)

    def identifiers(self, refusals: Refusals) -> dict[str, tuple[Identifier, ...]]:
        """Return what may be sent of each user: nothing that also belongs to somebody who refused."""
        names = [name for name in self._found if name not in self._unclear]
        mailboxes = np.array([mailbox_key(email) if (email := self._found[name][0]) else 0 for name in names], np.int64)
        numbers = np.array([int(self._found[name][1].lstrip("+") or 0) for name in names], np.int64)
        found: dict[str, list[Identifier]] = {name: [] for name in self._users}
        refused = zip(names, refusals.mailboxes(mailboxes).tolist(), refusals.numbers(numbers).tolist(), strict=True)
        for name, is_mailbox_refused, is_number_refused in refused:
            email, phone = self._found[name]
            if email and not is_mailbox_refused:
                found[name].append(self._sent("email", email))
            if phone and not is_number_refused:
                found[name].append(self._sent("phone", phone))
        if "user_id" in self._kinds:
            for name, known in found.items():
                is_personal = name in self._numbers_as_ids or is_address(name) or is_number(name, None)
                if not is_personal and ("user_id" not in self._in_clear or _CLEAR_USER_ID.fullmatch(name)):
                    known.append(self._sent("user_id", name))
        return {name: tuple(known) for name, known in found.items()}

    def _sent(self, kind: IdentityKind, text: str) -> Identifier:
        return Identifier(kind, text if kind in self._in_clear else sha256_hex(text))
