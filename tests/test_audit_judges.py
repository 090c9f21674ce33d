"""Judges turn series into rows of a check: what was wrong, on which days, how much of it."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from microconv.audit import judges
from microconv.audit.joining import faults
from microconv.audit.judges import NotTestedError, Row

LIMITS = {"false_alarms": 0.01, "low": 0.7, "high": 1.4, "fewest_expected": 10, "shift": 1.4, "repeats": 2}
SHARES = {"false_alarms": 0.01, "min_share": 0.1}
FIRST = date(2024, 3, 4)


def series(changed: dict[str, dict[int, float]], days: int = 40, prop: str = "p1") -> list[Row]:
    """Five events of a steady site; `changed` gives what counts of an event are multiplied by, by day."""
    random = np.random.default_rng(3)
    rows: list[Row] = []
    for name, usual in {"cart": 300, "checkout": 200, "order": 100, "page": 3000, "view": 900}.items():
        for day in range(days):
            count = round(usual * float(np.exp(random.normal(0, 0.06))) * changed.get(name, {}).get(day, 1.0))
            rows.append(
                {
                    "property": prop,
                    "subject": name,
                    "event_date": FIRST + timedelta(days=day),
                    "count": count,
                    "total": 9000,
                    "is_provisional": False,
                    "is_asked": True,
                }
            )
    return rows


def told(rows: list[Row]) -> list[tuple[str, int, int]]:
    return [
        (each.subject, (each.days[0] - FIRST).days, (each.days[-1] - FIRST).days)
        for each in sorted(faults(rows), key=lambda each: each.subject)
    ]


def test_each_judge_tells_its_kind_of_days_alone():
    rows = series({"cart": {10: 0, 11: 0}, "order": {20: 0.4, 21: 0.4, 22: 0.4}, "view": {30: 2, 31: 2}})

    assert told(judges.blackout(rows, LIMITS)) == [("cart", 10, 11)]
    assert told(judges.low_volume(rows, LIMITS)) == [("order", 20, 22)]
    assert told(judges.high_volume(rows, LIMITS)) == [("view", 30, 31)]
    assert judges.level_shift(rows, LIMITS) == []


def test_a_blackout_counts_what_was_expected():
    found = judges.blackout(series({"cart": {10: 0, 11: 0}}), LIMITS)

    assert sum(row["count"] for row in found) == sum(row["total"] for row in found) == pytest.approx(600, rel=0.05)


def test_days_that_were_not_asked_for_are_history_and_no_finding():
    rows = series({"cart": {10: 0, 11: 0}})
    for row in rows:
        row["is_asked"] = row["event_date"] != FIRST + timedelta(days=10)

    assert told(judges.blackout(rows, LIMITS)) == [("cart", 11, 11)]


def test_properties_are_judged_apart_and_named():
    rows = [*series({}, prop="p1"), *series({"cart": {10: 0}}, prop="p2")]

    assert told(judges.blackout(rows, LIMITS)) == [("cart of property p2", 10, 10)]


def test_a_level_that_goes_back_is_one_finding_of_the_days_between():
    rows = series({"cart": dict.fromkeys(range(12, 26), 2.0)})

    (fault,) = faults(judges.level_shift(rows, LIMITS))

    assert told(judges.level_shift(rows, LIMITS)) == [("cart", 12, 25)]
    assert fault.share == pytest.approx(0.5, abs=0.05)
    assert "times its share of the traffic before" in fault.details[0]


@pytest.mark.parametrize("judge", [judges.blackout, judges.low_volume, judges.high_volume, judges.level_shift])
def test_too_little_history_is_not_tested(judge):
    with pytest.raises(NotTestedError, match="There are 10 days of history, and it takes 11"):
        judge(series({}, days=10), LIMITS)


def pair(rows_each: list[float], sessions: int = 100, others: int = 100) -> list[Row]:
    return [
        {
            "property": "p1",
            "subject": "begin_checkout",
            "event_date": FIRST + timedelta(days=day),
            "count": round(others * each * sessions / 100),
            "total": others,
            "neighbour": "add_shipping_info",
            "count_sessions": sessions,
            "total_sessions": 100,
            "is_provisional": False,
            "is_asked": True,
        }
        for day, each in enumerate(rows_each)
    ]


def test_a_step_that_is_usually_recorded_three_times_is_told_with_all_days():
    (fault,) = faults(judges.neighbour_ratio(pair([3.0] * 20), LIMITS))

    assert (fault.days[0], fault.days[-1]) == (FIRST, FIRST + timedelta(days=19))
    assert fault.share == pytest.approx(2 / 3, abs=0.01)
    (detail,) = fault.details
    assert detail == "3.00 times for each add_shipping_info (by 2,000 sessions, add_shipping_info by 2,000)"


def test_a_ratio_that_doubles_is_told_from_then_on():
    assert told(judges.neighbour_ratio(pair([1.0] * 20 + [2.0] * 20), LIMITS)) == [("begin_checkout", 20, 39)]


def test_steps_that_more_sessions_do_may_be_done_more_often():
    assert judges.neighbour_ratio(pair([3.0] * 20, sessions=300), LIMITS) == []


def test_small_steps_are_not_tested():
    with pytest.raises(NotTestedError, match="No two neighbouring steps"):
        judges.neighbour_ratio(pair([3.0] * 20, others=2), LIMITS)


def shares(counts: list[int], total: int = 100) -> list[Row]:
    return [
        {
            "property": "p1",
            "subject": "purchase",
            "event_date": FIRST + timedelta(days=day),
            "count": count,
            "total": total,
            "is_provisional": False,
            "is_asked": True,
        }
        for day, count in enumerate(counts)
    ]


def test_a_share_that_jumps_is_told_and_one_that_is_usual_is_not():
    assert told(judges.sudden_share(shares([5] * 15 + [40, 41] + [5] * 15), SHARES)) == [("purchase", 15, 16)]
    assert judges.sudden_share(shares([40] * 30), SHARES) == []
    assert judges.sudden_share(shares([5] * 15 + [11] + [5] * 15), SHARES) == []


def test_no_event_of_the_kind_is_not_tested():
    with pytest.raises(NotTestedError):
        judges.sudden_share([], SHARES)
