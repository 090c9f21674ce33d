from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microconv.activation.audience.people import Consent, ConsentRecord, consent_by_user

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
DAY_1, DAY_2 = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def row(answer: str | None, changed_at: str | None = DAY_1, personalization: str | None = "same") -> ConsentRecord:
    return ConsentRecord("u", answer, answer if personalization == "same" else personalization, changed_at)


def decide(*rows: ConsentRecord) -> Consent | None:
    return consent_by_user(rows, NOW).get("u")


@pytest.mark.parametrize("word", ["granted", "GRANTED", " Granted ", "true", "TRUE", "yes", "Yes"])
def test_words_that_grant(word: str) -> None:
    assert decide(row(word)) is Consent.GRANTED


@pytest.mark.parametrize(
    "word", ["denied", "DENIED", "false", "no", "", None, "1", "y", "grant", "not granted", "unset"]
)
def test_every_other_word_denies(word: str | None) -> None:
    assert decide(row(word)) is Consent.DENIED
    assert decide(row("granted", personalization=word)) is Consent.DENIED
    assert decide(row(word, personalization="granted")) is Consent.DENIED


def test_user_without_a_row_is_not_in_the_answer() -> None:
    assert consent_by_user([], NOW) == {}


def test_latest_row_decides_in_any_order() -> None:
    assert decide(row("granted", DAY_1), row("denied", DAY_2)) is Consent.DENIED
    assert decide(row("denied", DAY_2), row("granted", DAY_1)) is Consent.DENIED
    assert decide(row("denied", DAY_1), row("granted", DAY_2)) is Consent.GRANTED


def test_latest_is_judged_in_utc_whatever_way_it_is_written() -> None:
    # 23:30 at -05:00 is 04:30 UTC of the next day, later than 01:00 UTC.
    assert (
        decide(row("denied", "2026-01-01T23:30:00-05:00"), row("granted", "2026-01-02 01:00:00 UTC")) is Consent.DENIED
    )
    assert decide(row("granted", "2026-01-01"), row("denied", "2026-01-01T00:00:00.000001")) is Consent.DENIED


def test_contradicting_rows_of_one_instant_deny() -> None:
    same_instant = "2026-01-01T01:00:00+01:00"
    assert decide(row("granted", DAY_1), row("denied", same_instant)) is Consent.DENIED
    assert decide(row("denied", DAY_1), row("granted", same_instant)) is Consent.DENIED
    assert decide(row("granted", DAY_1), row("GRANTED", same_instant)) is Consent.GRANTED


@pytest.mark.parametrize(
    "changed_at",
    [
        None,
        "",
        "soon",
        "01.02.2026",
        "1767225600",
        "1767122560000",
        "1767225600000000",
        "2026-13-01",
        "0",
        "2026-01-01T25:00",
    ],
)
def test_one_unreadable_timestamp_makes_the_user_unreadable(changed_at: str | None) -> None:
    assert decide(row("granted", changed_at)) is Consent.UNREADABLE
    assert decide(row("granted", DAY_2), row("denied", changed_at)) is Consent.UNREADABLE
    assert decide(row("granted", changed_at), row("granted", DAY_2)) is Consent.UNREADABLE


def test_timestamps_at_the_end_of_the_calendar_can_be_compared() -> None:
    assert decide(row("granted", "0001-01-01T00:00:00+14:00"), row("denied", DAY_1)) is Consent.DENIED
    assert decide(row("granted", "9999-12-31T23:59:59-14:00"), row("denied", DAY_1)) is Consent.UNREADABLE


@pytest.mark.parametrize("answer", ["granted", "denied"])
@pytest.mark.parametrize(
    "changed_at", ["2099-01-01", "2026-03-01T08:00:00.000001Z", "2026-03-01T03:00:01-05:00", "2026-03-01 09:00:00 UTC"]
)
def test_a_row_from_the_future_withholds_whatever_else_there_is(answer: str, changed_at: str) -> None:
    assert decide(row(answer, changed_at)) is Consent.UNREADABLE
    assert decide(row("denied", DAY_1), row(answer, changed_at)) is Consent.UNREADABLE
    assert decide(row(answer, changed_at), row("granted", DAY_2)) is Consent.UNREADABLE


def test_a_row_of_this_very_moment_counts() -> None:
    assert decide(row("granted", "2026-03-01T08:00:00Z")) is Consent.GRANTED
    assert decide(row("granted", "2026-03-01T10:00:00+02:00"), row("denied", DAY_2)) is Consent.GRANTED


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.booleans(), st.booleans(), st.sampled_from([1, 2, 3, None])),
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_decision_does_not_depend_on_order_and_grants_only_what_the_last_instant_granted(
    rows: list[tuple[str, bool, bool, int | None]], shuffler: random.Random
) -> None:
    records = [
        ConsentRecord(user, str(data), str(ads), f"2026-01-0{day}" if day else "?") for user, data, ads, day in rows
    ]
    decided = consent_by_user(records, NOW)
    shuffler.shuffle(records)
    assert consent_by_user(records, NOW) == decided
    for user, consent in decided.items():
        own = [(data and ads, day) for owner, data, ads, day in rows if owner == user]
        if consent is Consent.GRANTED:
            last = max(day for _, day in own if day is not None)
            assert all(day is not None for _, day in own)
            assert all(granted for granted, day in own if day == last)
