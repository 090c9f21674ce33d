from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from microconv.activation.audience.phones import all_readings, e164, is_filler, is_whole, looks_like_phone
from microconv.activation.audience.reasons import Reason


@pytest.mark.parametrize(
    ("raw", "country", "expected"),
    [
        ("+1 (800) 555-0100", None, "+18005550100"),
        ("\uff0b1 800 555 0100", "US", "+18005550100"),
        ("800-555-0100", "us", "+18005550100"),
        ("07700 900123", " GB ", "+447700900123"),
        ("0044 7700 900123", "GB", "+447700900123"),
        ("+447700900123", "nowhere", "+447700900123"),
        ("+49 (0)170 1234567", None, "+491701234567"),
        ("+39 06 1234 5678", None, "+390612345678"),
        ("8005550100.0", "US", "+18005550100"),
        ("1701234567.0", "DE", "+491701234567"),
        ("800.555.0100", "US", "+18005550100"),
    ],
)
def test_phone_becomes_e164_with_plus(raw: str, country: str | None, expected: str) -> None:
    assert e164(raw, country) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("\u200e+18005550100", "+18005550100"),
        ("\u202d+1 800 555 0100\u202c", "+18005550100"),
        ("\uff0b\uff11\uff18\uff10\uff10\uff15\uff15\uff15\uff10\uff11\uff10\uff12", "+18005550102"),
        ("+\u0661\u0668\u0660\u0660\u0665\u0665\u0665\u0660\u0661\u0660\u0660", "+18005550100"),
        ("tel:+1-800-555-0103", "+18005550103"),
        ("TEL: +1-800-555-0103", "+18005550103"),
        ("(+49)1701234567", "+491701234567"),
        ("( +49 ) 170 1234567", "+491701234567"),
        ("[+49] 170/1234567", "+491701234567"),
        ("0049 170 1234567", "+491701234567"),
        ("tel:0049-170-1234567", "+491701234567"),
        ("011 49 170 1234567", "+491701234567"),
        ("0044 7700 900123", "+447700900123"),
        ("011 44 7700 900123", Reason.PHONE_WITHOUT_COUNTRY),
    ],
)
def test_a_number_that_says_its_country_needs_none_beside_it(raw: str, expected: str | Reason) -> None:
    assert e164(raw, None) == expected


@pytest.mark.parametrize(
    ("raw", "country", "expected"),
    [
        ("011 49 170 1234567", "US", "+491701234567"),
        ("0049 170 1234567", "US", "+491701234567"),
        ("0049 170 1234567", "FR", "+491701234567"),
        ("0011 49 170 1234567", "AU", "+491701234567"),
        ("011 5551234", "IT", "+390115551234"),
        ("0114 960 0000", "GB", "+441149600000"),
    ],
)
def test_prefixes_for_calls_abroad_are_read_where_no_national_number_begins_so(
    raw: str, country: str, expected: str
) -> None:
    assert e164(raw, country) == expected


@pytest.mark.parametrize(
    ("raw", "country", "somebody_else"),
    [
        ("491701234567", "DE", "+49491701234567"),
        ("4915112345678", "DE", "+494915112345678"),
        ("468123456", "SE", "+46468123456"),
        ("62812345678", "ID", "+6262812345678"),
        ("38344123456", "XK", "+38338344123456"),
    ],
)
def test_a_number_that_lost_its_plus_is_never_taken_for_one_of_somebody_else(
    raw: str, country: str, somebody_else: str
) -> None:
    assert e164(raw, country) is Reason.AMBIGUOUS_PHONE
    # The whole way in is the number that must not be reached.
    assert e164(somebody_else, None) == somebody_else


@pytest.mark.parametrize(
    ("raw", "country", "expected"),
    [
        ("18005550101", "US", "+18005550101"),
        ("393401234567", "IT", "+393401234567"),
        ("33612345678", "FR", "+33612345678"),
        ("447911123456", "GB", "+447911123456"),
        ("8005550100", "US", "+18005550100"),
        ("2125550100", "US", "+12125550100"),
        ("1701234567", "DE", "+491701234567"),
        ("45123456", "DK", "+4545123456"),
        ("447911123456", "US", Reason.INVALID_PHONE),
    ],
)
def test_a_number_without_plus_is_sent_where_only_one_can_be_meant(
    raw: str, country: str, expected: str | Reason
) -> None:
    assert e164(raw, country) == expected


MOBILE_NUMBERS = {
    region: phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    if (number := phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)) is not None
    and not is_filler(str(number.national_number))
}


@pytest.mark.parametrize(("region", "right"), MOBILE_NUMBERS.items())
def test_no_region_turns_a_mobile_number_without_plus_into_another_one(region: str, right: str) -> None:
    assert e164(right, None) == right
    assert e164(right.removeprefix("+"), region) in {right, Reason.AMBIGUOUS_PHONE}


@pytest.mark.parametrize(
    "raw",
    [
        *("0000000000", "000-000-0000", "999 999 9999", "1111111111", "1234567890", "123-456-7890", "0123456789"),
        *("9876543210", "+0000000000", "+10000000000", "+11111111111", "+1 234 567 8901", "+1 999 999 9999"),
        *("+49 1111111111", "0049 1234567890", "\uff10\uff10\uff10\uff10\uff10\uff10\uff10\uff10", "tel:1111111"),
    ],
)
def test_fillers_are_not_numbers(raw: str) -> None:
    for country in ("US", "DE", None):
        assert e164(raw, country) is Reason.INVALID_PHONE


@pytest.mark.parametrize(
    ("raw", "country", "reason"),
    [
        ("800-555-0100", None, Reason.PHONE_WITHOUT_COUNTRY),
        ("800-555-0100", "", Reason.PHONE_WITHOUT_COUNTRY),
        ("800-555-0100", "USA", Reason.PHONE_WITHOUT_COUNTRY),
        ("18005550100", None, Reason.PHONE_WITHOUT_COUNTRY),
        ("0114 960 0000", None, Reason.PHONE_WITHOUT_COUNTRY),
        ("call me", "US", Reason.INVALID_PHONE),
        ("null", None, Reason.INVALID_PHONE),
        ("555-0100", "US", Reason.INVALID_PHONE),
        ("+999 123456", None, Reason.INVALID_PHONE),
        ("+1 800 555 0100 0000", None, Reason.INVALID_PHONE),
        ("800.555.010.0", "DK", Reason.INVALID_PHONE),
        ("4.91512E+11", "DE", Reason.INVALID_PHONE),
        ("4,91512e11", "DE", Reason.INVALID_PHONE),
        ("+1 800 555 0100 ext. 7", None, Reason.INVALID_PHONE),
        ("+", None, Reason.INVALID_PHONE),
        ("", "US", Reason.INVALID_PHONE),
    ],
)
def test_phone_that_cannot_be_dialled_from_abroad_is_rejected(raw: str, country: str | None, reason: Reason) -> None:
    assert e164(raw, country) is reason


@given(st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from("+0123456789 ().-x;=")), st.text(max_size=3))
def test_phone_normalisation_never_raises_and_is_stable(raw: str, country: str) -> None:
    once = e164(raw, country)
    if isinstance(once, str):
        assert once[0] == "+"
        assert once[1:].isascii()
        assert once[1:].isdigit()
        assert e164(once, None) == once


@example("15555555555")
@example("390612345678")
@example("5491112345678")
@example("521234567890")
@given(st.from_regex(r"[1-9][0-9]{5,14}", fullmatch=True))
def test_a_number_that_is_whole_as_it_stands_is_what_the_library_makes_of_it(digits: str) -> None:
    if is_whole(digits):
        number = phonenumbers.parse("+" + digits)
        assert phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == "+" + digits
        assert phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_region_has_numbers_that_need_no_parsing(region: str) -> None:
    number = phonenumbers.example_number(region)
    assert number is not None
    text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if is_whole(text[1:]):
        assert e164(text, None) in {text, Reason.INVALID_PHONE}


@pytest.mark.parametrize(
    ("raw", "country", "whole"),
    [
        ("491701234567", "DE", {"491701234567", "49491701234567"}),
        ("0170 1234567", "DE", {"491701234567"}),
        ("+49 170 1234567 ext. 5", None, {"491701234567"}),
        ("0170 1234567 / 0171 7654321", "DE", {"491701234567", "491717654321"}),
        ("011 49 170 1234567", None, {"491701234567"}),
        ("491701234567.0", None, {"491701234567"}),
        ("0170/1234567", "DE", {"491701234567"}),
        ("0170 1234567 x12", "DE", {"491701234567"}),
    ],
)
def test_a_refusal_is_read_in_every_way_that_may_be_meant(raw: str, country: str | None, whole: set[str]) -> None:
    assert whole <= all_readings(raw, country)[0]


def test_a_refused_number_whose_country_is_not_certain_counts_by_its_ending() -> None:
    assert "1701234567" in all_readings("0170 1234567", None)[1]
    assert "1701234567" in all_readings("0170 1234567", "AT")[1]
    assert all_readings("+49 170 1234567", None)[1] == set()
    # Many numbers of the world end in these.
    assert all_readings("555-0100", "IS") == ({"5550100", "3545550100"}, set())
    assert "1234567" not in all_readings("0170/1234567", "DE")[1]
    # Too short to be somebody's anywhere, or a filler.
    assert all_readings("12345", None) == (set(), set())
    assert all_readings("0000000000", None) == (set(), set())


@pytest.mark.parametrize("text", ["+18005550100", "+49 170 1234567", "0049 170 1234567", "tel:+491701234567"])
def test_a_user_id_in_the_form_of_a_phone_number_looks_like_one(text: str) -> None:
    assert looks_like_phone(text)


@pytest.mark.parametrize("text", ["491701234567", "447911123456"])
def test_bare_digits_look_like_a_phone_number_when_they_are_a_mobile_one(text: str) -> None:
    assert looks_like_phone(text)


@pytest.mark.parametrize("text", ["u1", "12345678", "007", "1700000000", "10000000123", "a+18005550100", "2024-01-31"])
def test_ids_of_customers_do_not_look_like_phone_numbers(text: str) -> None:
    assert not looks_like_phone(text)


@given(
    st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)),
    st.from_regex(r"0?[1-9][0-9]{5,12}", fullmatch=True),
)
def test_a_national_number_read_without_the_library_is_what_the_library_makes_of_it(region: str, digits: str) -> None:
    found = e164(digits, region)
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        number = phonenumbers.PhoneNumber()
    if isinstance(found, str) and not digits.startswith((str(phonenumbers.country_code_for_region(region)), "011")):
        assert found == phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        assert phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    elif found is Reason.INVALID_PHONE and not is_filler(digits) and not is_filler(str(number.national_number)):
        assert phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE
