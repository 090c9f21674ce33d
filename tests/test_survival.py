"""Kaplan and Meier's curve and the log-rank test on the remission times of Freireich and others (1963)."""

from __future__ import annotations

import math

import pytest

from microconv.stats.survival import Waited, kaplan_meier, known_until, log_rank, time_by

# Weeks of remission of 21 children each; + where remission lasted when they were seen last.
TREATED = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"
PLACEBO = "1 1 2 2 3 4 4 5 5 8 8 8 8 11 11 12 12 15 17 22 23"


def waits(text: str) -> list[Waited]:
    return [Waited(float(each.rstrip("+")), not each.endswith("+"), each.endswith("+")) for each in text.split()]


def test_the_curve_is_the_published_one():
    steps = kaplan_meier(waits(TREATED))
    published = [0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482]
    assert [step.time for step in steps] == [6, 7, 10, 13, 16, 22, 23]
    assert [step.at_risk for step in steps] == [21, 17, 15, 12, 11, 7, 6]
    assert [step.waiting for step in steps] == pytest.approx(published, abs=5e-5)
    # Limits on the scale of log(-log), as R's survfit(conf.type = "log-log") gives them.
    assert (steps[0].low, steps[0].high) == pytest.approx((0.6197, 0.9516), abs=5e-5)
    assert (steps[-1].low, steps[-1].high) == pytest.approx((0.1881, 0.6801), abs=5e-5)


def test_medians_are_the_published_ones():
    assert time_by(kaplan_meier(waits(TREATED)))[0] == 23
    assert time_by(kaplan_meier(waits(PLACEBO)))[0] == 8
    assert time_by(kaplan_meier(waits(TREATED)))[1] == (13, math.inf)
    assert time_by(kaplan_meier(waits(TREATED)), 0.9) == (None, (math.inf, math.inf))


def test_log_rank_is_the_published_one():
    found = log_rank([waits(TREATED), waits(PLACEBO)])
    assert found is not None
    assert (round(found.chi_square, 2), found.freedom) == (16.79, 1)
    assert found.p_value == pytest.approx(4.17e-5, rel=1e-3)


def test_sums_give_what_single_people_give():
    single = waits(TREATED)
    summed = [Waited(6, 3, 1), Waited(32, 0, 2), *(each for each in single if each.time not in (6, 32))]
    assert kaplan_meier(summed) == kaplan_meier(single)
    assert log_rank([summed, waits(PLACEBO)]) == log_rank([single, waits(PLACEBO)])


def test_nothing_is_compared_where_nothing_happened():
    assert kaplan_meier([]) == []
    assert kaplan_meier([Waited(3, 0, 5)]) == []
    assert log_rank([[Waited(3, 0, 5)], [Waited(4, 0, 5)]]) is None


def test_when_all_got_there_the_curve_ends_at_nothing_and_its_interval_does_not():
    """Of 2 at risk, nobody is left: up to 66% may be (Wilson). Of few at the end, no more than a step before."""
    assert kaplan_meier([Waited(1, 2, 0)])[-1][3:] == pytest.approx((0.0, 0.0, 0.6576), abs=1e-4)
    assert kaplan_meier([Waited(1, 25, 0)])[-1].high == pytest.approx(0.1332, abs=1e-4)
    placebo = kaplan_meier(waits(PLACEBO))
    assert placebo[-1].waiting == 0
    assert placebo[-1].high == placebo[-2].high < 0.3


def test_no_end_of_a_median_comes_from_a_curve_that_ends_with_few():
    """As R gives it: of five who got there at 1, 2, 3, 4 and 50 the median is 3, and its upper end is not known."""
    assert time_by(kaplan_meier([Waited(time, 1, 0) for time in (1, 2, 3, 4, 50)])) == (3, (1, math.inf))
    assert time_by(kaplan_meier([Waited(1, 1, 0)])) == (1, (1, math.inf))


def test_how_long_a_curve_may_be_told_counts_those_who_got_there():
    all_there = [Waited(60.0 * minute, 1, 0) for minute in range(1, 26)]
    assert known_until(all_there, 20) == math.inf
    nearly_all = [*(Waited(60.0 * minute, 1, 0) for minute in range(1, 91)), Waited(2_592_000.0, 0, 10)]
    assert known_until(nearly_all, 20) == 2_592_000
    # Few got there: of the rest, 20 must still be seen.
    seen = [Waited(1.0, 5, 0), Waited(2.0, 0, 80), Waited(3.0, 1, 19), Waited(4.0, 1, 5)]
    assert known_until(seen, 20) == 3
    assert known_until([Waited(1.0, 1, 3)], 20) == 0


def test_groups_of_nobody_are_not_compared_and_negative_numbers_are_refused():
    two = [waits(TREATED), waits(PLACEBO)]
    assert log_rank([*two, []]) == log_rank(two)
    with pytest.raises(ValueError, match="negative"):
        kaplan_meier([Waited(1, -1, 3)])
