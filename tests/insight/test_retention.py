"""What is said of cohorts of which too little is known."""

from __future__ import annotations

from datetime import date
from typing import Any

from microconv.analyses.insight.retention import _cohorts, _sentence


def cohort(day: date, age: int = 0) -> dict[str, Any]:
    return {
        "cohort": day,
        "age": age,
        "buyers": 855,
        "bought_again": 0,
        "came_back": 0,
        "value_micros": 0,
    }


def test_buyers_of_a_whole_later_period_are_what_fell_short_and_not_all_buyers():
    """There are 855 buyers, and no month after their first is over."""
    rows = [cohort(date(2021, 1, 1))]
    found = tuple(_cohorts(rows, "month", date(2021, 1, 1), date(2021, 2, 10)))

    assert _sentence(found, "month", "purchase") == (
        "Too few buyers are known for a whole month after their first: not enough data: n = 0 buyers."
    )
