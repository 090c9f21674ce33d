"""A refusal holds for the person: in any spelling, at any destination, also when it does not parse."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from segment_builder import SEVERAL_KINDS, Segment, file_of, read_rows

from microconv.activation.audience.normalise import google_email, meta_email, plain_email
from microconv.activation.audience.people import Person
from microconv.activation.audience.refusals import Refusals, is_address, is_number, mailbox_key, strict_mailboxes

IDENTITIES = {"email": ("Email", "email", "email_sha256"), "phone": ("Phone", "phone", "phone_sha256")}


def sent(segment: Segment, audience_format: str, identity: tuple[str, ...] = ("email", "phone")) -> dict[str, set[str]]:
    """Return the hashes that a file holds, by identifier; a control person keeps it from being empty."""
    people = segment.with_user("control", "granted", email="control@example.com", phone="+442071234567")
    rows = read_rows(file_of(people.export(format=audience_format, identity=identity)))
    return {kind: {row[key] for row in rows for key in keys if row.get(key)} for kind, keys in IDENTITIES.items()}


def control(audience_format: str) -> dict[str, set[str]]:
    phone = "442071234567" if audience_format == "meta" else "+442071234567"
    hashed = {"email": "control@example.com", "phone": phone}
    return {kind: {hashlib.sha256(text.encode()).hexdigest()} for kind, text in hashed.items()}


@pytest.mark.parametrize("audience_format", SEVERAL_KINDS)
@pytest.mark.parametrize(
    ("denied", "granted"),
    [
        ("jane.doe@gmail.com", "jane.doe+x@googlemail.com"),
        ("jane.doe@gmail.com", "janedoe@gmail.com"),
        ("janedoe@googlemail.com", "Jane.Doe+shop@gmail.com"),
        ("jane+news@example.com", "jane@example.com"),
        ("jane@example.com", "jane+news@example.com"),
        ("JANE@EXAMPLE.COM", "jane@example.com"),
        ("<jane@example.com>", "jane@example.com"),
        ("Jane Doe <jane@example.com>", "jane@example.com"),
        ('"Doe, Jane" <jane@example.com>', "jane@example.com"),
        ("jane@example.com (home)", "jane@example.com"),
        ("mailto:jane@example.com", "jane@example.com"),
        ("mailto:jane%40example.com?subject=hi", "jane@example.com"),
        ("'jane@example.com'", "jane@example.com"),
        ("jane@example.com.", "jane@example.com"),
        ("jane@@example.com", "jane@example.com"),
        ("other@example.com; jane@example.com", "jane@example.com"),
        ("other@example.com, jane@example.com", "jane@example.com"),
        ("jane @ example.com", "jane@example.com"),
        ("ja\u200bne@example.com", "jane@example.com"),
        ("\ufeffjane@example.com", "jane@example.com"),
        ("\uff4a\uff41\uff4e\uff45\uff20example.com", "jane@example.com"),
        ("jan\u00e9@example.com", "jane@example.com"),
        ("jane@xn--bcher-kva.example.com", "jane@b\u00fccher.example.com"),
        ("jane@b\u00fccher.example.com", "jane@xn--bcher-kva.example.com"),
    ],
)
def test_a_mailbox_that_refused_is_not_sent_in_another_spelling(
    segment: Segment, audience_format: str, denied: str, granted: str
) -> None:
    people = segment.with_user("u1", "denied", email=denied).with_user("u2", "granted", email=granted)
    assert sent(people, audience_format, ("email",))["email"] == control(audience_format)["email"]


@pytest.mark.parametrize("audience_format", SEVERAL_KINDS)
@pytest.mark.parametrize(
    ("denied", "country"),
    [
        ("+49 170 1234567", None),
        ("0170/1234567", "DE"),
        ("0170 1234567", None),
        ("170 1234567", None),
        ("491701234567", "DE"),
        ("491701234567", None),
        ("491701234567", "US"),
        ("0049 170 1234567", None),
        ("0049 170 1234567", "US"),
        ("011 49 170 1234567", None),
        ("011 49 170 1234567", "DE"),
        ("+49 (0)170 1234567", None),
        ("(+49)1701234567", None),
        ("+49 170 1234567 ext. 5", None),
        ("0170 1234567 x12", "DE"),
        ("tel:+491701234567", None),
        ("+49 170 1234567 / +49 171 7654321", None),
        ("0171 7654321 or 0170 1234567", "DE"),
        ("491701234567.0", None),
        ("\uff0b\uff14\uff19 170 1234567", None),
        ("0170 1234567", "AT"),
        ("0170 1234567", "nowhere"),
    ],
)
def test_a_number_that_refused_is_not_sent_in_another_spelling(
    segment: Segment, audience_format: str, denied: str, country: str | None
) -> None:
    people = segment.with_user("u1", "denied", phone=denied, country=country)
    people = people.with_user("u2", "granted", phone="+49 170 1234567")
    people = people.with_user("u3", "granted", phone="0170 1234567", country="DE")
    assert sent(people, audience_format, ("phone",))["phone"] == control(audience_format)["phone"]


def test_a_number_in_the_field_of_addresses_refuses_too(segment: Segment) -> None:
    people = segment.with_user("u1", "denied", email="+49 170 1234567", phone="jane@example.com")
    people = people.with_user("u2", "granted", email="jane@example.com", phone="+49 170 1234567")
    assert sent(people, "csv") == control("csv")


def test_a_refusal_holds_also_when_the_segment_sends_only_the_other_identifier(segment: Segment) -> None:
    people = segment.with_user("u1", "denied", email="jane@example.com", phone="+49 170 1234567")
    people = people.with_user("u2", "granted", email="jane@example.com", phone="+49 170 7654321")
    assert sent(people, "csv", ("email",))["email"] == control("csv")["email"]


def test_a_refusal_under_a_user_id_that_is_an_address_holds_for_the_mailbox(segment: Segment) -> None:
    people = segment.with_user("Jane.Doe@gmail.com", "denied").with_user("+491701234567", "denied")
    people = people.with_user("u2", "granted", email="janedoe+x@gmail.com", phone="0170 1234567", country="DE")
    assert sent(people, "csv") == control("csv")


def test_people_that_nobody_refused_for_are_sent(segment: Segment) -> None:
    people = segment.with_user("u1", "denied", email="<nobody at all>", phone="0000000000")
    people = people.with_user("u2", "denied", email="jane@example.com", phone="+49 170 1234567")
    people = people.with_user("u3", "granted", email="jane@example.org", phone="+49 170 1234568")
    found = sent(people, "csv")
    assert found["email"] - control("csv")["email"] == {hashlib.sha256(b"jane@example.org").hexdigest()}
    assert found["phone"] - control("csv")["phone"] == {hashlib.sha256(b"+491701234568").hexdigest()}


@example("%00@example.com")
@example("{a|b}@example.com")
@example(".+@gmail.com")
@example(".'@gmail.com")
@example("'+@gmail.com")
@example("a'+x@gmail.com")
@example("a@b.com\u00a8")
@example("...@gmail.com")
@given(st.emails() | st.from_regex(r"[a-zA-Z.+_'-]{1,12}@(gmail|googlemail|mail\.example)\.com", fullmatch=True))
def test_every_address_that_can_be_sent_is_withheld_by_its_own_refusal(raw: str) -> None:
    refusals = Refusals()
    refusals.add_person(Person("u", email=raw))
    for normalise in (google_email, plain_email, meta_email):
        address = normalise(raw)
        if isinstance(address, str):
            assert refusals.mailboxes(np.array([mailbox_key(address)])).all()


@given(st.text(max_size=30))
def test_reading_a_refusal_never_raises(raw: str) -> None:
    refusals = Refusals()
    refusals.add_person(Person("u", email=raw, phone=raw, country=raw))
    refusals.add_user(raw)
    assert isinstance(strict_mailboxes(raw), set)


@pytest.mark.parametrize(
    "user_id", ["jane@example.com", "auth0|jane@example.com", "jane%40example.com", "Jane <jane@example.com>"]
)
def test_user_ids_that_hold_an_address(user_id: str) -> None:
    assert is_address(user_id)


@pytest.mark.parametrize("user_id", ["u1", "@jane", "jane@", "a1b2c3", "100%"])
def test_user_ids_that_hold_no_address(user_id: str) -> None:
    assert not is_address(user_id)


def test_a_user_id_of_the_digits_of_its_own_number_is_a_number() -> None:
    assert is_number("01701234567", "+49 170 1234567")
    assert is_number("1701234567", "+49 170 1234567")
    assert not is_number("01701234567", "+49 170 7654321")
    assert not is_number("567", "+49 170 1234567")
    assert not is_number("12345678", None)
