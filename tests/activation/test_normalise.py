from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microconv.activation.audience import normalise
from microconv.activation.audience.normalise import (
    country_code,
    e164,
    google_email,
    google_name,
    google_phone,
    plain_email,
    postal_code,
    sha256_hex,
)
from microconv.activation.audience.reasons import Reason


def test_published_vectors_of_google_match() -> None:
    email = google_email("alexz@example.com")
    phone = google_phone("+18005550100", None)
    assert isinstance(email, str)
    assert isinstance(phone, str)
    assert sha256_hex(email) == "509e933019bb285a134a9334b8bb679dff79d0ce023d529af4bd744d47b4fd8a"
    assert sha256_hex(phone) == "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30"
    assert google_email("Cloudy.SanFrancisco+shopping@gmail.com") == "cloudysanfrancisco@gmail.com"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("  AlexZ@Example.COM \n", "alexz@example.com"),
        ("a.b.c+x+y@GoogleMail.com", "abc@googlemail.com"),
        ("a.b+x@example.com", "a.b+x@example.com"),
        ("a.b+x@notgmail.com", "a.b+x@notgmail.com"),
        ("a.b+x@gmail.com.example.org", "a.b+x@gmail.com.example.org"),
        ("u\u0308ser@example.com", "\u00fcser@example.com"),
        ("\u03ab\u0301x@example.com", "\u03b0x@example.com"),
    ],
)
def test_google_email_is_trimmed_lowered_and_only_gmail_loses_dots_and_suffix(raw: str, expected: str) -> None:
    assert google_email(raw) == expected


def test_plain_email_keeps_gmail_dots_and_suffix() -> None:
    assert plain_email(" A.B+news@Gmail.com") == "a.b+news@gmail.com"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "alex",
        "alex@",
        "@example.com",
        "alex@localhost",
        "alex@shop.test",
        "a b@example.com",
        "a@b@example.com",
        "Alex <alex@example.com>",
        "alex@example.com, ben@example.com",
        "al\x00ex@example.com",
        "al\u200bex@example.com",
        "al\ud800ex@example.com",
        "a..b@gmail.com",
        "+news@gmail.com",
        "=cmd()@",
        f"{'a' * 300}@example.com",
    ],
)
def test_what_is_no_email_address_is_rejected(raw: str) -> None:
    assert google_email(raw) is Reason.INVALID_EMAIL


@pytest.mark.parametrize(
    ("raw", "country", "expected"),
    [
        ("+1 (800) 555-0100", None, "+18005550100"),
        ("\uff0b1 800 555 0100", "US", "+18005550100"),
        ("800-555-0100", "us", "+18005550100"),
        ("07700 900123", " GB ", "+447700900123"),
        ("0044 7700 900123", "GB", "+447700900123"),
        ("+447700900123", "nowhere", "+447700900123"),
    ],
)
def test_phone_becomes_e164_with_plus(raw: str, country: str | None, expected: str) -> None:
    assert e164(raw, country) == expected
    assert google_phone(raw, country) == expected


@pytest.mark.parametrize(
    ("raw", "country", "reason"),
    [
        ("800-555-0100", None, Reason.PHONE_WITHOUT_COUNTRY),
        ("800-555-0100", "", Reason.PHONE_WITHOUT_COUNTRY),
        ("800-555-0100", "USA", Reason.PHONE_WITHOUT_COUNTRY),
        ("0044 7700 900123", None, Reason.PHONE_WITHOUT_COUNTRY),
        ("call me", "US", Reason.INVALID_PHONE),
        ("555-0100", "US", Reason.INVALID_PHONE),
        ("+999 123456", None, Reason.INVALID_PHONE),
        ("+1 800 555 0100 0000", None, Reason.INVALID_PHONE),
        ("8005550100.0", "US", Reason.INVALID_PHONE),
        ("+1 800 555 0100 ext. 7", None, Reason.INVALID_PHONE),
        ("+", None, Reason.INVALID_PHONE),
    ],
)
def test_phone_that_cannot_be_dialled_from_abroad_is_rejected(raw: str, country: str | None, reason: Reason) -> None:
    assert e164(raw, country) is reason


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (" Zoe\u0308 ", "zo\u00eb"),
        ("Mary  Ann", "mary ann"),
        ("O'Brien-Smith", "o'brien-smith"),
        ("\u674e", "\u674e"),
        ("", Reason.INVALID_NAME),
        ("-", Reason.INVALID_NAME),
        ("A\x07", Reason.INVALID_NAME),
        ("A\ud800", Reason.INVALID_NAME),
    ],
)
def test_name_is_trimmed_lowered_and_composed(raw: str, expected: str | Reason) -> None:
    assert google_name(raw) == expected


@pytest.mark.parametrize("raw", ["=1+1", "+1", "-1", "@A1", "\tA", "1\n2", "\uff1d1", "1;2", '1"', "", "-", "1" * 17])
def test_postal_code_is_nothing_but_letters_digits_spaces_and_hyphens(raw: str) -> None:
    result = postal_code(raw)
    # White space around a value is trimmed before it is judged.
    assert result is Reason.INVALID_POSTAL_CODE or result == raw.strip() == "A"


@pytest.mark.parametrize("raw", ["94016", "94016-1234", " WC2H 8LG ", "1012 AB", "7"])
def test_real_postal_codes_pass_trimmed(raw: str) -> None:
    assert postal_code(raw) == raw.strip()


def test_country_is_an_iso_code() -> None:
    assert country_code(" de ") == "DE"
    for raw in ("Germany", "XX", "=A", "", "001", "D"):
        assert country_code(raw) is Reason.INVALID_COUNTRY


@given(st.text(alphabet=st.characters()) | st.emails())
def test_email_normalisation_never_raises_and_is_stable(raw: str) -> None:
    once = google_email(raw)
    if isinstance(once, str):
        assert google_email(once) == once
        assert len(sha256_hex(once)) == 64


@given(st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from("+0123456789 ().-x;=")), st.text(max_size=3))
def test_phone_normalisation_never_raises_and_is_stable(raw: str, country: str) -> None:
    once = e164(raw, country)
    if isinstance(once, str):
        assert once[0] == "+"
        assert once[1:].isascii()
        assert once[1:].isdigit()
        assert e164(once, None) == once


@given(st.text(alphabet=st.characters()))
def test_clear_text_parts_can_never_start_a_formula(raw: str) -> None:
    for part in (country_code(raw), postal_code(raw)):
        assert isinstance(part, Reason) or part[0].isalnum()


def test_every_destination_has_its_own_version() -> None:
    rules = [value for value in vars(normalise).values() if isinstance(value, normalise.Normalisation)]
    assert len(rules) >= 2
    assert len({rule.version for rule in rules}) == len(rules)
