"""Daily counts are judged rightly: tails are exact, clean properties raise no alarm, and faults are found."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.power import power
from benchmarks.properties import EVENTS, clean, faulty

from microconv.stats.count_tails import lower_tail, upper_tail
from microconv.stats.daily_counts import DailyCounts, judge, outlying_runs, ratio_shifts

SEED = 7


def negative_binomial(count: int, mean: float, overdispersion: float) -> float:
    size = 1 / overdispersion
    return math.exp(
        math.lgamma(count + size)
        - math.lgamma(size)
        - math.lgamma(count + 1)
        + size * math.log(size / (size + mean))
        + count * math.log(mean / (size + mean))
    )


@pytest.mark.parametrize("mean", [0.3, 10.0, 75.5])
@pytest.mark.parametrize("overdispersion", [0.0, 0.01, 0.5])
def test_tails_are_the_sums_of_their_probabilities(mean: float, overdispersion: float):
    def probability(k: int) -> float:
        if overdispersion:
            return negative_binomial(k, mean, overdispersion)
        return math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))

    for count in (0, 1, 5, 10, 40, 120):
        assert lower_tail(count, mean, overdispersion) == pytest.approx(
            sum(probability(k) for k in range(count + 1)), rel=1e-9
        )
        assert upper_tail(count, mean, overdispersion) == pytest.approx(
            sum(probability(k) for k in range(count, count + 4000)), rel=1e-9, abs=1e-15
        )


def test_poisson_count_of_ten_is_zero_once_in_22_000():
    assert 1 / lower_tail(0, 10) == pytest.approx(22_026, rel=1e-3)


def test_a_promotion_that_lifts_all_is_not_a_fault():
    data = clean(SEED, 0.07)
    lifted = np.where(np.arange(60) // 4 == 5, 5.0, 1.0)

    promoted = replace(data, counts=np.round(data.counts * lifted), traffic=np.round(data.traffic * lifted))

    assert judge(promoted) == judge(data)
    assert not judge(promoted).runs


def test_page_views_that_double_are_told_and_nothing_else_is():
    data, planted = faulty_of("page_view", "doubled")

    (run,) = judge(data).runs

    assert (run.subject, run.first, run.last, run.kind) == ("page_view", planted.first, planted.last, "high")
    assert not judge(data).shifts


def test_events_that_go_together_and_rise_together_are_demand():
    data = clean(SEED, 0.07)
    counts = data.counts.copy()
    deep = [EVENTS.index(each) for each in ("begin_checkout", "add_payment_info", "purchase", "add_to_cart")]
    counts[deep] *= np.exp(np.random.default_rng(SEED).normal(0, 0.15, 60))
    counts[deep, 30:34] *= 3
    alone = data.counts.copy()
    alone[deep[0], 30:34] *= 3

    assert not judge(replace(data, counts=np.round(counts))).runs
    assert judge(replace(data, counts=alone)).runs


def test_days_of_one_incident_do_not_train_another():
    data = clean(SEED, 0.07)
    row = EVENTS.index("add_to_cart")
    counts = data.counts.copy()
    for first in (5, 15, 25, 35, 45):
        counts[row, first : first + 2] = 0
    counts[row, 52:55] = np.round(counts[row, 52:55] / 2)

    found = judge(replace(data, counts=counts)).runs

    assert [(run.first, run.last, run.kind) for run in found] == [
        *((first, first + 1, "missing") for first in (5, 15, 25, 35, 45)),
        (52, 54, "low"),
    ]


def test_a_level_that_lasts_is_a_shift_and_no_run():
    data = clean(SEED, 0.07)
    counts = data.counts.copy()
    counts[EVENTS.index("begin_checkout"), 40:] *= 2

    found = judge(replace(data, counts=counts))

    (shift,) = found.shifts
    assert (shift.subject, shift.first, shift.last) == ("begin_checkout", 40, 59)
    assert shift.factor == pytest.approx(2, rel=0.15)
    assert not found.runs


def test_an_event_that_comes_for_a_while_and_goes_is_not_missing():
    data = clean(SEED, 0.07)
    counts = data.counts.copy()
    counts[3, :40] = 0
    counts[3, 56:] = 0

    assert not judge(replace(data, counts=counts)).runs


def test_days_after_a_level_that_ended_are_back_and_not_too_high():
    data = clean(SEED, 0.07)
    counts = data.counts.copy()
    counts[3, 40:57] = np.round(counts[3, 40:57] / 2)

    found = judge(replace(data, counts=counts))

    assert [(each.subject, each.first) for each in found.shifts] == [("begin_checkout", 40)]
    assert not found.runs


def test_a_slow_drift_is_no_shift():
    data = clean(SEED, 0.07)
    counts = data.counts.copy()
    counts[EVENTS.index("begin_checkout")] *= np.exp(np.linspace(0, 0.9, 60))

    assert not judge(replace(data, counts=np.round(counts))).shifts


def test_fewer_than_ten_expected_are_never_judged():
    data = clean(SEED, 0.07)
    counts = data.counts.copy()
    counts[EVENTS.index("purchase")] = np.where(np.arange(60) % 2, 2, 1)
    counts[EVENTS.index("purchase"), 20:24] = 0

    assert not judge(replace(data, counts=counts)).runs


def test_a_day_that_is_not_over_is_missing_at_most():
    data = clean(SEED, 0.07)
    counts = data.counts.copy()
    counts[1, 59] = 10
    counts[2, 59] = 0
    provisional = replace(data, counts=counts, is_over=np.arange(60) < 59)

    assert [(run.subject, run.kind) for run in judge(provisional).runs] == [("add_to_cart", "missing")]


def test_ten_other_days_are_needed():
    data = clean(SEED, 0.07)
    counts = data.counts.copy()
    counts[2, 5] = 0

    def first(days: int) -> DailyCounts:
        return DailyCounts(
            data.subjects, data.days[:days], counts[:, :days], data.traffic[:days], np.ones(days, dtype=bool)
        )

    assert not outlying_runs(first(10))
    assert len(outlying_runs(first(11))) == 1


def test_a_ratio_of_neighbours_that_goes_up_twice_is_two_shifts():
    random = np.random.default_rng(SEED)
    steps = np.repeat([1.0, 2.0, 3.0], 20) * np.exp(random.normal(0, 0.05, 60))

    found = ratio_shifts("begin_checkout", clean(SEED, 0.07).days, list(steps), [200.0] * 60)

    assert [(each.first, round(each.before), round(each.after)) for each in found] == [(20, 1, 2), (40, 2, 3)]


def faulty_of(event: str, fault):
    for seed in range(100):
        data, planted = faulty(clean(SEED, 0.07), fault, seed)
        if planted.event == event:
            return data, planted
    raise AssertionError(event)


def test_power_and_false_alarms_reach_their_goals(capsys):
    """Forty properties, as the goal says, on seeds that nobody tuned on; `make test-long` has many more."""
    found = power(range(50_000, 50_040), noise=0.07, faults=("blackout", "halved", "doubled"))

    with capsys.disabled():
        sys.stdout.write(f"\n{found.text}\n")
    assert found.alarmed <= 1
    assert found.share("blackout") == 1
    assert found.share("halved") >= 0.85
    assert found.share("doubled") >= 0.85


@pytest.mark.long
@pytest.mark.parametrize(("noise", "least"), [(0.07, 0.95), (0.14, 0.7), (None, 0.4)])
def test_power_on_many_properties(capsys, noise: float | None, least: float):
    """The rates that the short test's forty properties only sample."""
    found = power(range(60_000, 60_400), noise=noise)

    with capsys.disabled():
        sys.stdout.write(f"\n{found.text}\n")
    assert found.alarmed <= found.properties / 40
    assert found.share("blackout") >= 0.99
    assert min(found.share("halved"), found.share("doubled")) >= least
