"""What is said of values: what counts, what is left out, and what has none."""

from __future__ import annotations

from typing import Any

from microconv.analyses.amounts import in_words, read_amounts


def row(currency: str, conversions: int, amount: float, *, is_counted: bool = True, without: int = 0) -> dict[str, Any]:
    micros = round(amount * 1e6)
    return {
        "currency": currency,
        "conversions": conversions,
        "without_value": without,
        "amount_micros": micros,
        "value_micros": micros if is_counted else 0,
        "is_counted": is_counted,
    }


def said(*rows: dict[str, Any]) -> tuple[str, ...]:
    return in_words(read_amounts(rows, "USD"), "USD", is_assumed=False)


def test_what_has_no_value_is_counted_and_said_to_count_as_nothing():
    none = row("", 0, 0.0, is_counted=False, without=61)
    assert said(row("USD", 911, 56_161.0), none) == (
        "Without a value, and counted as 0, in averages, too: 61 of 972 conversions. microconv audit looks closer.",
    )
    assert said(row("USD", 3, 30.0), row("JPY", 1, 10_000.0, is_counted=False, without=1)) == (
        (
            "Value is in USD, and no other currency is added to it. Left out: 10,000.00 JPY (1 conversion). "
            "Their conversions earn credit as all others do."
        ),
        "Without a value, and counted as 0, in averages, too: 1 of 5 conversions. microconv audit looks closer.",
    )
    assert said(row("USD", 3, 30.0)) == ()


def test_nothing_is_said_of_values_where_there_are_none():
    assert said() == ()
