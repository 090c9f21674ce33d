from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microconv.activation.audience import normalise
from microconv.activation.audience.normalise import (
    country_code,
    google_email,
    google_name,
    meta_country,
    meta_email,
    meta_name,
    meta_phone,
    meta_postal_code,
    plain_email,
    postal_code,
    sha256_hex,
)
from microconv.activation.audience.phones import e164
from microconv.activation.audience.reasons import Reason


def test_published_vectors_of_google_match() -> None:
    email = google_email("alexz@example.com")
    phone = e164("+18005550100", None)
    assert isinstance(email, str)
    assert isinstance(phone, str)
    assert sha256_hex(email) == "509e933019bb285a134a9334b8bb679dff79d0ce023d529af4bd744d47b4fd8a"
    assert sha256_hex(phone) == "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30"
    assert google_email("Cloudy.SanFrancisco+shopping@gmail.com") == "cloudysanfrancisco@gmail.com"


# E-mail


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


@pytest.mark.parametrize("email", [google_email, plain_email, meta_email])
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("jane doe@gmail.com", "janedoe@gmail.com"),
        ("jane\u00a0doe @\texample.com", "janedoe@example.com"),
        ("\u200bzw@example.com", "zw@example.com"),
        ("bom\ufeff@example.com", "bom@example.com"),
        ("soft\u00adhyphen@example\u2060.com", "softhyphen@example.com"),
        ("\u202amarks@example.com\u202c", "marks@example.com"),
    ],
)
def test_white_space_and_invisible_characters_inside_an_address_are_removed(email, raw: str, expected: str) -> None:
    assert email(raw) == expected


def test_plain_email_keeps_gmail_dots_and_suffix() -> None:
    assert plain_email(" A.B+news@Gmail.com") == "a.b+news@gmail.com"


def test_meta_email_loses_dots_at_its_ends_and_keeps_those_of_gmail() -> None:
    assert meta_email(" .A.B+news@Gmail.com. ") == "a.b+news@gmail.com"


@pytest.mark.parametrize("email", [google_email, plain_email])
@pytest.mark.parametrize(
    "raw",
    [
        "a..b@docomo.ne.jp",
        "a.b.@ezweb.ne.jp",
        ".ab@docomo.ne.jp",
        "a/b?c=d@example.com",
        "-a@under_score.example.com",
        "o'brien@example.com",
        f"{'a' * 70}@example.com",
    ],
)
def test_addresses_that_exist_though_no_syntax_allows_them_are_kept(email, raw: str) -> None:
    assert email(raw) == raw


@pytest.mark.parametrize("email", [google_email, plain_email, meta_email])
@pytest.mark.parametrize("domain", ["xn--bcher-kva.example.com", "b\u00fccher.example.com", "xn--nonsense-.com"])
def test_an_international_domain_stays_as_it_was_typed(email, domain: str) -> None:
    assert email(f"Jane@{domain}") == f"jane@{domain}"


@pytest.mark.parametrize("email", [google_email, plain_email, meta_email])
@pytest.mark.parametrize(
    "raw",
    [
        "",
        "alex",
        "alex@",
        "@example.com",
        "alex@localhost",
        "alex@shop.test",
        "alex@example",
        "alex@example..com",
        "alex@.com",
        "a@b@example.com",
        "Alex <alex@example.com>",
        "<alex@example.com>",
        "mailto:alex@example.com",
        "alex@example.com, ben@example.com",
        "alex@example.com;ben@example.com",
        "al\x00ex@example.com",
        "al\ud800ex@example.com",
        "=cmd()@",
        f"{'a' * 300}@example.com",
        "null",
        "N/A",
        "none@none.com",
        "Test@test.de",
        "undefined@undefined.undefined",
    ],
)
def test_what_is_not_an_email_address_is_rejected(email, raw: str) -> None:
    assert email(raw) is Reason.INVALID_EMAIL


def test_a_gmail_address_of_nothing_but_a_suffix_is_rejected() -> None:
    assert google_email("+news@gmail.com") is Reason.INVALID_EMAIL


# Names


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (" Zoe\u0308 ", "zo\u00eb"),
        ("O'Brien-Smith", "o'brien-smith"),
        ("\u674e", "\u674e"),
        (" Anna  Maria ", "anna  maria"),
        (" Jan\tKowalski ", "jan\tkowalski"),
        ("\ufeffAnna\u200b", "anna"),
        ("An\u200bna", "anna"),
        ("\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"),
        ("", Reason.INVALID_NAME),
        ("-", Reason.INVALID_NAME),
        ("A\x07", Reason.INVALID_NAME),
        ("A\ud800", Reason.INVALID_NAME),
    ],
)
def test_name_is_trimmed_lowered_and_composed_and_keeps_its_white_space(raw: str, expected: str | Reason) -> None:
    assert google_name(raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("Mrs. Anna", "anna"),
        ("mrs Anna", "anna"),
        ("Dr. Jane", "jane"),
        ("Prof. Dr. Jane", "jane"),
        ("Dr.Jane", "jane"),
        ("Frau Anna Maria", "anna maria"),
        ("King Jr.", "king"),
        ("King, Jr", "king"),
        ("King III", "king"),
        ("King Ph.D.", "king"),
        ("King, M.D., Esq.", "king"),
        ("King 3rd", "king"),
        ("Sir Ian", "ian"),
        ("Capt. Jack", "jack"),
        ("Se\u00f1ora Ana", "ana"),
        # Names, though they look like a title.
        ("Hon Wai", "hon wai"),
        ("Col Needham", "col needham"),
        ("St. John", "st. john"),
        ("M. Night", "m. night"),
        ("Drake", "drake"),
        ("Msgr", "msgr"),
        ("Jr. Smith", "jr. smith"),
        ("Ii", "ii"),
    ],
)
def test_titles_and_suffixes_are_no_part_of_a_name(raw: str, expected: str) -> None:
    assert google_name(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        *("N/A", "null", "NULL", "undefined", "None", "nan", "test", "Test", "-", "--", "(not set)", "[object Object]"),
        *("?", "First  Name", "unknown", "Mr. Null", "Mrs.", "Dr", "Jr.", "III"),
    ],
)
def test_placeholders_are_not_names(raw: str) -> None:
    assert google_name(raw) is Reason.INVALID_NAME
    assert meta_name(raw) is Reason.INVALID_NAME


def test_meta_name_has_no_punctuation_and_no_white_space() -> None:
    assert meta_name("Mrs. Anna-Maria  O'Brien") == "annamariaobrien"
    assert meta_name("Zoe\u0308") == "zo\u00eb"


# Places


@pytest.mark.parametrize("raw", ["=1+1", "+1", "-1", "@A1", "\tA", "1\n2", "\uff1d1", "1;2", '1"', "", "-", "1" * 17])
def test_postal_code_is_nothing_but_letters_digits_spaces_and_hyphens(raw: str) -> None:
    assert postal_code(raw, "NL") is Reason.INVALID_POSTAL_CODE


@pytest.mark.parametrize("raw", ["null", "undefined", "N-A", "none", "0000", "00000", "00000-0000"])
def test_placeholders_are_not_postal_codes(raw: str) -> None:
    for country in ("US", "NL", "DE", ""):
        assert postal_code(raw, country) is Reason.INVALID_POSTAL_CODE


@pytest.mark.parametrize(
    ("raw", "country"),
    [("94016", "US"), ("94016-1234", "US"), (" WC2H 8LG ", "GB"), ("1012 AB", "NL"), ("101", "IS"), ("01067", "DE")],
)
def test_real_postal_codes_pass_trimmed(raw: str, country: str) -> None:
    assert postal_code(raw, country) == raw.strip()


@pytest.mark.parametrize(
    ("raw", "country", "expected"),
    [
        ("2138", "US", "02138"),
        ("2138-1234", "US", "02138-1234"),
        ("021381234", "US", "02138-1234"),
        ("1067", "DE", "01067"),
        ("2138", "NO", "2138"),
        ("2138.0", "US", "02138"),
    ],
)
def test_a_zero_that_a_spreadsheet_took_away_is_put_back(raw: str, country: str, expected: str) -> None:
    assert postal_code(raw, country) == expected


@pytest.mark.parametrize(
    ("raw", "country"),
    [("SW1A 1AA", "US"), ("501", "US"), ("123456", "US"), ("2138-12", "US"), ("01067-1234", "DE"), ("A1067", "DE")],
)
def test_a_postal_code_of_another_form_than_its_country_has_is_rejected(raw: str, country: str) -> None:
    assert postal_code(raw, country) is Reason.INVALID_POSTAL_CODE


def test_meta_postal_code_is_small_without_white_space_and_five_digits_in_the_united_states() -> None:
    assert meta_postal_code("WC2H 8LG", "GB") == "wc2h8lg"
    assert meta_postal_code("94016-1234", "US") == "94016"
    assert meta_postal_code("2138", "US") == "02138"
    assert meta_postal_code("null", "GB") is Reason.INVALID_POSTAL_CODE


def test_country_is_an_iso_code_and_not_a_region_of_phone_numbers() -> None:
    assert country_code(" de ") == "DE"
    assert meta_country(" DE ") == "de"
    for raw in ("AQ", "PN", "TF"):
        assert country_code(raw) == raw
    for raw in ("Germany", "XX", "=A", "", "001", "D", "UK", "EU", "XK", "AC", "TA", "null"):
        assert country_code(raw) is Reason.INVALID_COUNTRY
        assert meta_country(raw) is Reason.INVALID_COUNTRY


# All


def test_meta_phone_is_digits_only() -> None:
    assert meta_phone("+1 (800) 555-0100", None) == "18005550100"
    assert meta_phone("0170 1234567", "DE") == "491701234567"
    assert meta_phone("0170 1234567", None) is Reason.PHONE_WITHOUT_COUNTRY


@given(st.text(alphabet=st.characters()) | st.emails())
def test_email_normalisation_never_raises_and_is_stable(raw: str) -> None:
    for email in (google_email, plain_email, meta_email):
        once = email(raw)
        if isinstance(once, str):
            assert email(once) == once
            assert len(sha256_hex(once)) == 64


@given(st.text(alphabet=st.characters()))
def test_name_normalisation_never_raises_and_never_gives_a_blank(raw: str) -> None:
    for name in (google_name(raw), meta_name(raw)):
        assert isinstance(name, Reason) or (name.strip() == name and name and sha256_hex(name))


@given(st.text(alphabet=st.characters()), st.sampled_from(["US", "NL", ""]))
def test_clear_text_parts_can_never_start_a_formula(raw: str, country: str) -> None:
    for part in (country_code(raw), postal_code(raw, country)):
        assert isinstance(part, Reason) or part[0].isalnum()


def test_every_destination_has_its_own_version() -> None:
    rules = [value for value in vars(normalise).values() if isinstance(value, normalise.Normalisation)]
    assert len(rules) >= 3
    assert len({rule.version for rule in rules}) == len(rules)
