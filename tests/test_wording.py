"""How numbers, times, dates, bytes and money read."""

from __future__ import annotations

from datetime import date

import pytest

from microconv import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0%"),
        (0.0001, "<0.1%"),
        (0.345, "34.5%"),
        (0.99999, ">99.9%"),
        (1.0, "100.0%"),
        (None, "–"),  # noqa: RUF001 - the dash readers see
        (float("nan"), "–"),  # noqa: RUF001 - the dash readers see
    ],
)
def test_shares_have_one_decimal_and_never_round_to_nothing_or_all(value, text):
    assert wording.share(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.345, "34.5%"),
        (0.01, "1.0%"),
        (0.00996, "1.0%"),
        (0.0061, "0.61%"),
        (0.000494, "0.049%"),
        (0.00001, "0.0010%"),
        (1e-17, "<0.001%"),
        (0.0, "0.0%"),
        (0.99999, ">99.9%"),
        (None, "–"),  # noqa: RUF001 - the dash readers see
    ],
)
def test_fine_shares_have_two_digits_below_one_percent_so_that_they_can_be_compared(value, text):
    assert wording.fine_share(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (45.4, "45.4 s"),
        (60, "1 min"),
        (3_725, "1 h 2 min"),
        (86_400, "1 d"),
        (86_460, "1 d"),
        (1_000_000, "11 d 13 h"),
        (None, "–"),  # noqa: RUF001 - the dash readers see
        (float("inf"), "–"),  # noqa: RUF001 - the dash readers see
    ],
)
def test_measured_times_read_in_their_two_largest_units(seconds, text):
    assert wording.elapsed(seconds) == text


@pytest.mark.parametrize(
    ("text", "words"), [("1d", "1 day"), ("7d", "7 days"), ("24h", "1 day"), ("90m", "90 minutes"), ("all", "all")]
)
def test_windows_read_in_words(text, words):
    assert wording.window(text) == words


def test_counts_have_separators():
    assert wording.count(1_234_567) == "1,234,567"
    assert wording.short_count(9_999_999) == "9,999,999"
    assert wording.short_count(49_382_716) == "49.4 M"
    assert wording.money(1_234.5, "EUR") == "1,234.50 EUR"


def test_periods_do_not_repeat_themselves():
    assert wording.period(date(2026, 11, 3), date(2026, 11, 3)) == "3 November 2026"
    assert wording.period(date(2026, 11, 3), date(2026, 11, 4)) == "3 to 4 November 2026"
    assert wording.period(date(2026, 10, 20), date(2026, 11, 4)) == "20 October to 4 November 2026"
    assert wording.period(date(2025, 12, 20), date(2026, 1, 4)) == "20 December 2025 to 4 January 2026"


def test_long_lists_are_cut_with_a_count():
    assert wording.listed(("a",)) == "a"
    assert wording.listed(("a", "b", "c")) == "a, b and c"
    assert wording.listed(tuple("abcdefgh"), limit=2) == "a, b and 6 more"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (10 * 2**20, "10.0 MiB"),
        (2**30 - 1, "1.0 GiB"),
        (3 * 2**39, "1.5 TiB"),
        (2**50, "1.0 PiB"),
        (2**60, "1,024.0 PiB"),
    ],
)
def test_bytes_come_in_the_unit_that_keeps_them_short(count, said):
    assert wording.human_bytes(count) == said


@pytest.mark.parametrize(
    ("count", "price", "said"),
    [
        (2**40, 6.25, "$6.25"),
        (2**40 * 400, 6.25, "$2,500.00"),
        (0, 6.25, "$0.00"),
        (2**20, 6.25, "under $0.01"),
        (2**40, 0, "$0.00"),
    ],
)
def test_money_is_bytes_times_the_price_of_a_tebibyte(count, price, said):
    assert wording.dollars_for_bytes(count, price) == said


def test_amount_is_not_rounded():
    assert wording.price_of_bytes(2**30, 6.25) == 6.25 / 1024


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("campaign\x1b[31m", "campaign\\x1b[31m"),
        ("a\tb\nc\rd", "a\\tb\\nc\\rd"),
        ("\x9b2J\x7f", "\\x9b2J\\x7f"),
        ("\u202eevil\u2066\u200f", "\\u202eevil\\u2066\\u200f"),
        ("\u200bhidden\ufeff\U000e0041", "\\u200bhidden\\ufeff\\U000e0041"),
        ("half \ud83d", "half \\ud83d"),
        ("Größe 尺寸 🙂", "Größe 尺寸 🙂"),
        ("👩\u200d👧 \u0645\u06cc\u200c\u062e", "👩\u200d👧 \u0645\u06cc\u200c\u062e"),
    ],
)
def test_what_a_terminal_would_obey_is_seen_and_letters_stay(value, written):
    assert wording.visible(value) == written


def test_that_rows_are_left_out_is_said_where_some_are():
    assert wording.first_shown(10, 66) == " The first 10 are shown (more: --top)."
    assert wording.first_shown(10, 10) == ""


def test_message_keeps_its_beginning_and_its_end_and_has_a_limit():
    name = "a\n" * 5_000
    said = wording.message(f"There is no segment {name}. Correct the name.")

    assert len(said) < 2_010
    assert said.startswith("There is no segment a\\na\\n")
    assert said.endswith("a\\n. Correct the name.")
    assert wording.message("Short. Do it.") == "Short. Do it."


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-a", "'-a"),
        ("@sum", "'@sum"),
        ("\tx", "'\tx"),
        ("\rx", '"\'\rx"'),
        ("＝1", "'＝1"),  # noqa: RUF001 - the wide form on purpose
        ("a\rb", '"a\rb"'),
        ("a\nb", '"a\nb"'),
        ('a"b,c', '"a""b,c"'),
        ("a=b", "a=b"),
        ("-5", "-5"),
        ("-0.5", "-0.5"),
        (-5, "-5"),
        (-1e-07, "-1e-07"),
        (True, "True"),
        (date(2026, 11, 9), "2026-11-09"),
        (None, '""'),
    ],
)
def test_csv_holds_no_formula_and_quotes_line_breaks_and_numbers_stay_numbers(value, written):
    assert wording.csv_row([value]) == written
