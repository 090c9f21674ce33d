"""Rows of a check become findings: one for each fault, with its days, in a sentence."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from microconv.audit.checks import Check
from microconv.audit.joining import Fault, faults, fingerprint

FIRST = date(2024, 3, 1)
CHECK = Check(
    "c", "volume", "M.", "warning", "{count} of {total} ({share}) of {subject} {dates}: {detail}.", "Do something."
)


def row(subject: str, day: int | None, count: int = 1, total: int = 2, **columns: Any) -> dict[str, Any]:
    """A row of a check on day `day`, from 0."""
    date_of = None if day is None else FIRST + timedelta(days=day)
    return {"subject": subject, "event_date": date_of, "count": count, "total": total, "detail": None} | columns


def days_of(fault: Fault) -> tuple[int | None, int | None]:
    """The first and last day, from 0."""
    return tuple(each if each is None else (each - FIRST).days for each in (fault.first_date, fault.last_date))


def test_no_rows_are_no_fault():
    assert faults([]) == ()


def test_days_that_follow_each_other_are_one_fault():
    (fault,) = faults([row("a", 2, 3, 10), row("a", 0, 1, 10), row("a", 1, 2, 20)])

    assert days_of(fault) == (0, 2)
    assert (fault.count, fault.total, fault.share) == (6, 40, 0.15)


def test_one_day_between_is_bridged_and_two_are_not():
    bridged = faults([row("a", 0), row("a", 2)])
    apart = faults([row("a", 0), row("a", 3)])

    assert [days_of(each) for each in bridged] == [(0, 2)]
    assert [days_of(each) for each in apart] == [(0, 0), (3, 3)]


def test_a_fault_that_comes_and_goes_is_told_once_with_its_days():
    (fault,) = faults([row("a", day) for day in (0, 5, 10, 15)])

    assert days_of(fault) == (0, 15)
    assert fault.dates == "on 4 days from 1 to 16 March 2024"


def test_two_subjects_are_two_faults_and_three_of_the_same_days_are_one():
    two = faults([row(name, day) for name in "ab" for day in (0, 1)])
    three = faults([row(name, day) for name in "abc" for day in (0, 1)])
    other_days = faults([row("a", 0), row("b", 0), row("c", 1)])

    assert [each.subjects for each in two] == [("a",), ("b",)]
    assert [(each.subjects, each.count, each.total) for each in three] == [(("a", "b", "c"), 6, 12)]
    assert len(other_days) == 3


def test_rows_of_no_day_are_a_fault_of_their_own():
    dated, undated = sorted(faults([row("a", None), row("a", 0)]), key=lambda each: each.first_date is None)

    assert days_of(dated) == (0, 0)
    assert days_of(undated) == (None, None)
    assert undated.dates == "in all that is staged"


def test_macro_conversions_that_a_check_knows_are_kept():
    (summed,) = faults([row("a", 0, macro_conversions=2), row("a", 1, macro_conversions=None)])
    (alike,) = faults([row(name, 0, macro_conversions=stake) for name, stake in (("a", 2), ("b", 7), ("c", 1))])

    assert summed.macro_conversions == 2
    assert alike.macro_conversions == 7, "the same days: their macro-conversions are the same ones"
    assert faults([row("a", 0)])[0].macro_conversions is None


def test_a_message_is_written_as_numbers_are_everywhere():
    (fault,) = faults([row("cart", 0, 1_234, 8_814, detail="x"), row("cart", 1, 0, 0, detail="x")])

    assert fault.message(CHECK) == "1,234 of 8,814 (14.0%) of cart from 1 to 2 March 2024: x."


def test_a_message_without_share_or_detail_has_dashes():
    (fault,) = faults([row("cart", 0, 0, 0)])

    assert fault.message(CHECK) == "0 of 0 (\N{EN DASH}) of cart on 1 March 2024: \N{EN DASH}."


def test_text_of_the_data_is_no_format():
    (fault,) = faults([row("{count.__class__}", 0, detail="{total}")])

    assert "{count.__class__}" in fault.message(CHECK)
    assert "{total}" in fault.message(CHECK)


def test_many_subjects_are_listed_shortly():
    (fault,) = faults([row(f"e{number}", 0) for number in range(1, 9)])

    assert "e6 and 2 more" in fault.message(CHECK)


def test_the_order_of_rows_changes_nothing():
    rows = [row(name, day) for name in "abcd" for day in (0, 1, 7)]

    assert faults(rows) == faults(rows[::-1])


def test_a_fingerprint_tells_check_subject_and_first_day_apart():
    ids = {
        fingerprint(*each)
        for each in (("c", "a", FIRST), ("d", "a", FIRST), ("c", "b", FIRST), ("c", "a", None), ("ca", "", FIRST))
    }

    assert len(ids) == 5
    assert all(len(each) == 10 for each in ids)
