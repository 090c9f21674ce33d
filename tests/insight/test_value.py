"""What a buyer is worth: models where the data carry them, averages elsewhere, and never a figure without its basis."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from insight.simulated import DAY as DAY_US
from insight.simulated import Done, Visits, taxonomy
from insight.simulated import staged as simulated
from microconv import wording
from microconv.analyses.insight.lifetime import BuyerValue, LifetimeValue, LifetimeValueResult, _is_apart
from microconv.analyses.insight.post_sale import PostSaleResult
from microconv.analyses.insight.retention import RetentionResult
from microconv.analyses.insight.value_estimates import ByAge, NotCarriedError, ValueModel
from microconv.config.load import load_config
from microconv.project import Project
from microconv.stats.intervals import wilson
from microconv.stats.lifetime_value import Spending
from microconv.stats.mean_cumulative import mean_cumulative, resampled_at
from microconv.wording import Sheet
from projects import write_config
from staged_rows import DAY, Row, at, occurrence, session, shard, staged

MONEY = 'currency = "EUR"\n'


def opened(folder: Path, occurrences: list[Row], sessions: list[Row] = [], *, days: int = 30) -> Project:  # noqa: B006 - never changed
    config = write_config(folder)
    config.write_text(config.read_text().replace("[project]\n", f"[project]\n{MONEY}"))
    rows = {
        "mc_shards": [shard(number, events=1) for number in range(1, days + 1)],
        "mc_micro_conversions": occurrences,
        "mc_sessions": sessions,
        "mc_events": [
            {"property": "p", "event_date": at(days * DAY - 1).date(), "event_at": at(days * DAY - 1), "event_order": 1}
        ],
    }
    staged(folder / "microconv.duckdb", **rows).close()
    return Project(load_config(config, {}))


def bought(day: float, actor: int, value: float | None = 10.0, **columns: Any) -> Row:
    return occurrence(int(day * DAY), "purchase", client=actor, value=value, currency="EUR", **columns)


def lifetime(folder: Path, occurrences: list[Row], sessions: list[Row] = [], **asked: Any) -> LifetimeValueResult:  # noqa: B006 - never changed
    days = asked.pop("days", 30)
    with opened(folder, occurrences, sessions, days=days) as project:
        result = project.ask("lifetime_value", **asked)
    assert isinstance(result, LifetimeValueResult)
    json.dumps(result.document(), allow_nan=False)
    return result


# Averages


def test_who_is_known_for_fewer_days_pulls_no_average_down(tmp_path: Path):
    # 30 buyers bring 10 on the first day and 20 ten days later; 30 more came five days before the end.
    early = [row for actor in range(30) for row in (bought(0, actor), bought(10, actor, 20.0))]
    late = [bought(25, actor) for actor in range(100, 130)]
    result = lifetime(tmp_path, early + late)

    assert (result.basis, result.horizon_days) == ("cohort averages", 29)
    assert result.total.value == pytest.approx(30.0)
    assert result.total.purchases == pytest.approx(2.0)
    assert result.total.first_value == pytest.approx(10.0)
    # Half of all have bought again so far, and all who are known for the ten days that it takes.
    assert (result.total.came_back, result.total.repeat_rate, result.repeat_days) == (30, 1.0, 29)
    assert result.why is not None
    assert "only 30 days are staged, and a model needs 56" in result.why
    assert any(result.why in each for each in result.assumptions)
    assert "by cohort averages" in result.sentence


def test_few_buyers_are_named_and_not_averaged(tmp_path: Path):
    result = lifetime(tmp_path, [bought(0, actor) for actor in range(19)])

    assert (result.total.value, result.total.repeat_rate, result.total.buyers) == (None, None, 19)
    assert result.total.basis == "not enough data: n = 19"
    assert result.sentence == "There are only 19 buyers: not enough data: n = 19."


def test_purchases_without_a_value_have_a_repeat_rate_and_no_worth(tmp_path: Path):
    result = lifetime(tmp_path, [bought(0, actor, None) for actor in range(40)])

    assert result.total.value is None
    assert result.total.purchases == pytest.approx(1.0)
    assert result.sentence == (
        "None of 40 buyers has come to purchase again within 29 days (95% interval: 0.0% to 8.8%); "
        "no purchase has a value."
    )


def test_repeat_rate_is_of_its_days_and_not_of_those_who_came_of_late(tmp_path: Path):
    # Of 100 who are known for 29 days, 20 buy again after 5; 100 came 2 days before the end.
    rows = [bought(0, actor) for actor in range(100)] + [bought(5, actor) for actor in range(20)]
    rows += [bought(27, actor) for actor in range(100, 200)]
    result = lifetime(tmp_path, rows)

    assert (result.horizon_days, result.repeat_days, result.total.came_back) == (29, 29, 20)
    assert result.total.repeat_rate == pytest.approx(0.2)
    assert result.total.purchases == pytest.approx(1.2)
    # With everybody else followed to the end, it is Greenwood's interval of 20 of 100.
    assert (result.total.repeat_low, result.total.repeat_high) == pytest.approx((0.134, 0.292), abs=0.001)
    assert "20.0% of buyers come to purchase again within 29 days (95% interval: 13.4% to 29.3%)" in result.sentence
    assert [heading.label for heading in next(iter(result.sheets())).headings][2:4] == [
        "purchase again so far",
        "repeat rate in 29 days",
    ]


def test_repeat_rate_of_none_is_as_sure_as_those_who_are_known_for_long(tmp_path: Path):
    rows = [bought(0, actor) for actor in range(40)] + [bought(27, actor) for actor in range(100, 300)]
    result = lifetime(tmp_path, rows)
    interval = wilson(0, 40)

    assert interval is not None
    assert (result.total.repeat_low, result.total.repeat_high) == (0.0, interval.high)
    assert "none of 240 buyers has come to purchase again within 29 days" in result.sentence


def test_buyers_of_the_last_day_have_no_repeat_rate_yet(tmp_path: Path):
    result = lifetime(tmp_path, [bought(29, actor) for actor in range(40)])

    assert (result.repeat_days, result.total.repeat_rate, result.total.repeat_high) == (0, None, None)
    assert result.sentence.endswith("none of 40 buyers has come to purchase again.")


def test_what_buyers_of_the_last_day_bring_is_not_told(tmp_path: Path):
    result = lifetime(tmp_path, [bought(29, actor) for actor in range(40)])

    assert (result.horizon_days, result.total.value, result.total.purchases) == (0, None, None)
    assert result.total.basis == "not enough data: n = 0"
    assert result.total.first_value == pytest.approx(10.0)
    assert result.sentence.startswith(
        "What a buyer brings after the first day is not told (not enough data: n = 0 buyers known for longer); the "
        "first purchase is worth 10.00 EUR on average, and none of 40 buyers"
    )


def test_who_came_again_so_far_is_said_to_be_of_any_time(tmp_path: Path):
    # All buy again, and a tenth of them within the three days that are asked about.
    rows = [bought(day, actor) for actor in range(100) for day in (0, 2 if actor < 10 else 5)]
    result = lifetime(tmp_path, rows, horizon="3d")

    assert "10.0% of buyers come to purchase again within 3 days" in result.sentence
    assert result.sentence.endswith(", and 100 of 100 did at any time so far.")


def test_sentence_and_table_name_the_goal_that_is_come_to_again(tmp_path: Path):
    rows = [occurrence(day * DAY, "add_to_cart", client=actor) for actor in range(40) for day in (0, 3)]
    result = lifetime(tmp_path, rows, goal="add_to_cart")
    labels = [heading.label for heading in next(iter(result.sheets())).headings]

    assert result.sentence.startswith("100.0% of buyers come to add_to_cart again within 29 days")
    assert result.sentence.endswith("; no add_to_cart has a value.")
    assert {"add_to_cart again so far", "first add_to_cart"} < {*labels}


@pytest.mark.parametrize("wrong", ["36h", "90m", "12h"])
def test_horizon_that_is_no_whole_number_of_days_is_refused(wrong: str):
    with pytest.raises(ValidationError, match="must be whole days"):
        LifetimeValue.model_validate({"horizon": wrong})


def test_horizon_may_be_written_in_hours():
    assert LifetimeValue.model_validate({"horizon": "48h"}).horizon.seconds == 2 * 86_400


def test_other_currencies_are_named_and_never_added(tmp_path: Path):
    rows = [bought(0, actor) for actor in range(30)]
    rows += [occurrence(0, "purchase", client=actor, value=1000.0, currency="JPY") for actor in range(100, 110)]
    result = lifetime(tmp_path, rows)

    assert result.total.buyers == 40
    assert result.total.value == pytest.approx(300 / 40)
    assert any("Left out: 10,000.00 JPY (10 conversions)" in each for each in result.assumptions)


def test_buyers_are_split_by_where_they_came_from_first_and_order_is_claimed_only_beyond_chance(tmp_path: Path):
    rng = np.random.default_rng(2)
    rows, sessions = [], []
    for actor in range(300):
        channel = ("Email", "Direct", "Referral")[actor % 3]
        worth = {"Email": 100.0, "Direct": 20.0, "Referral": 20.0}[channel]
        rows.append(bought(1, actor, worth + float(rng.normal(0, 5))))
        sessions.append(session(0, actor * 2 + 1, channel, actor=actor, session_number=1))
        sessions.append(session(DAY // 2, actor * 2 + 2, "Paid Search", actor=actor, session_number=2))
    sessions[0]["session_number"] = 3
    result = lifetime(tmp_path, rows, sessions, by="first_channel")
    found = {row.context: row for row in result.groups}

    assert {name: row.buyers for name, row in found.items()} == {
        "Email": 99,
        "Direct": 100,
        "Referral": 100,
        "(before the data)": 1,
    }
    assert found["(before the data)"].basis == "not enough data: n = 1"
    assert result.sentence.endswith(".")
    # Of those who began before the data too few are known, so that there is nothing to leave out.
    assert ". Email brings most" in result.sentence
    assert "may be chance" not in result.sentence
    for name, truth in (("Email", 100), ("Direct", 20), ("Referral", 20)):
        row = found[name]
        assert row.low is not None
        assert row.high is not None
        assert row.low < truth < row.high


def test_sentence_says_that_it_leaves_out_those_who_began_before_the_data(tmp_path: Path):
    rows, sessions = [], []
    for actor in range(90):
        before = actor >= 60
        rows.append(bought(1, actor, 500.0 if before else 20.0 + actor % 2))
        columns = {"actor": actor, "session_number": 3 if before else 1}
        sessions.append(session(0, actor + 1, ("Email", "Direct")[actor % 2], **columns))
    result = lifetime(tmp_path, rows, sessions, by="first_channel")
    values = {row.context: row.value for row in result.groups}

    assert max(values, key=lambda each: values[each] or 0) == "(before the data)"
    assert "Apart from (before the data), Direct brings most (21.00 EUR), Email least (20.00 EUR)" in result.sentence


def test_first_micro_conversion_is_told_from_the_last(tmp_path: Path):
    rows = [bought(2, actor) for actor in range(60)]
    rows += [occurrence(actor, "view_item" if actor % 2 else "search", client=actor) for actor in range(60)]
    rows += [occurrence(DAY, "search" if actor % 2 else "view_item", client=actor) for actor in range(60)]
    result = lifetime(tmp_path, rows, by="first_micro_conversion")

    assert {row.context: row.buyers for row in result.groups} == {"search": 30, "view_item": 30}


def interval_covers(seed: int) -> bool:
    rng = np.random.default_rng(seed)
    ages, buyers = 40, 3_000
    seen = rng.integers(0, ages, buyers)
    group = rng.integers(0, 64, buyers)
    amounts, last_seen = np.zeros((64, ages)), np.zeros((64, ages))
    np.add.at(last_seen, (group, seen), 1)
    np.add.at(amounts, (group, 0), rng.gamma(2, 30, buyers))
    more = rng.poisson(0.5, buyers)
    for actor in np.repeat(np.arange(buyers), more):
        age = int(rng.integers(1, ages))
        if age <= seen[actor]:
            amounts[group[actor], age] += float(rng.gamma(2, 30))
    found = resampled_at(amounts, last_seen, 30, 1)
    truth = 60 + 0.5 * 60 * 30 / (ages - 1)
    return found is not None and found.low <= truth <= found.high


def test_interval_of_averages_covers_the_truth_in_36_of_40():
    assert sum(interval_covers(seed) for seed in range(40)) >= 36


def test_mean_cumulative_is_that_of_the_hand():
    # Three are known for 0, 1 and 2 days: 3 / 3 on the first, 4 / 2 on the second, 5 / 1 on the third.
    found = mean_cumulative(np.array([3.0, 4.0, 5.0]), np.array([1.0, 1.0, 1.0]))

    assert found.mean.tolist() == [1.0, 3.0, 8.0]
    assert found.at_risk.tolist() == [3.0, 2.0, 1.0]


# The model

SHOP = taxonomy(
    view={"kind": "secondary", "stage": "awareness"},
    buy={"kind": "macro", "stage": "decision", "value": "event"},
)
WEEKS, R, ALPHA, A, B, P, Q, GAMMA = 40, 0.8, 12.0, 0.9, 2.6, 6.0, 4.0, 15.0
"""Rates in purchases a week; a purchase is worth P * GAMMA / (Q - 1) = 30 on average."""


def customers(seed: int, buyers: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Purchases of buyers as BG/NBD and Gamma-Gamma have them: actor, microseconds, value."""
    rng = np.random.default_rng(seed)
    actors, moments, values = [], [], []
    begins = rng.uniform(0, WEEKS * 7 * 0.6, buyers)
    rates, losses = rng.gamma(R, 1 / ALPHA, buyers), rng.beta(A, B, buyers)
    worths = rng.gamma(Q, 1 / GAMMA, buyers)
    for actor in range(buyers):
        day = begins[actor]
        while day < WEEKS * 7:
            actors.append(actor)
            moments.append(int(day * DAY_US))
            values.append(round(float(rng.gamma(P, 1 / worths[actor])), 2))
            if len(actors) > 1 and actors[-2] == actor and rng.random() < losses[actor]:
                break
            day += float(rng.exponential(7 / rates[actor]))
    return np.array(actors), np.array(moments), np.array(values)


def worth_within(weeks: float) -> float:
    rng = np.random.default_rng(7)
    rates, losses = rng.gamma(R, 1 / ALPHA, 400_000), rng.beta(A, B, 400_000)
    time, alive = np.zeros(len(rates)), np.ones(len(rates), dtype=bool)
    purchases = 0
    while alive.any():
        time += rng.exponential(1 / np.maximum(rates, 1e-12))
        alive &= time <= weeks
        purchases += int(alive.sum())
        alive &= rng.random(len(rates)) >= losses
    return P * GAMMA / (Q - 1) * (1 + purchases / len(rates))


def model_of(folder: Path, seed: int) -> LifetimeValueResult:
    actor, at_us, value = customers(seed, 2_500)
    done = {"buy": Done(actor, at_us, {"value": value, "currency": ["USD"] * len(value)})}
    visits = Visits(actor, at_us)
    folder.mkdir(exist_ok=True)
    simulated(folder / "microconv.duckdb", SHOP, visits, done, days=WEEKS * 7).close()
    (folder / "taxonomy.toml").write_text(
        'name = "shop"\nversion = "1.0"\n'
        '[[micro_conversions]]\nid = "view"\nevent = "view"\nkind = "secondary"\nstage = "awareness"\n'
        '[[micro_conversions]]\nid = "buy"\nevent = "buy"\nkind = "macro"\nstage = "decision"\nvalue = "event"\n'
    )
    config = write_config(folder, extra='[taxonomy]\nfile = "taxonomy.toml"\n')
    with Project(load_config(config, {})) as project:
        result = project.ask("lifetime_value", goal="buy")
    assert isinstance(result, LifetimeValueResult)
    return result


def test_model_is_fitted_where_the_data_carry_it_and_finds_the_truth(tmp_path: Path):
    result = model_of(tmp_path, 0)

    assert (result.basis, result.why, result.total.basis) == ("model", None, "model")
    assert result.horizon_days == 365
    assert result.repeat_days < 280
    assert result.total.low is not None
    assert result.total.high is not None
    assert result.total.low < worth_within(365 / 7) < result.total.high
    assert result.total.high - result.total.low < 0.25 * result.total.low
    assert any("tried on the last 93 days, it foretold" in each for each in result.assumptions)
    assert any("280 days are staged" in each and "foretold, not seen" in each for each in result.assumptions)


@pytest.mark.long
def test_interval_of_the_model_covers_the_truth_in_36_of_40(tmp_path: Path):
    truth = worth_within(365 / 7)
    found = [model_of(tmp_path / str(seed), seed) for seed in range(40)]
    told = [each.total for each in found if each.basis == "model"]

    assert len(told) >= 36
    covered = sum(1 for each in told if each.low is not None and each.high is not None and each.low < truth < each.high)
    assert covered >= 0.9 * len(told)


def test_model_that_misses_its_hold_out_is_not_used(tmp_path: Path):
    # They buy as BG/NBD has it for two thirds of the time; then the shop closes.
    actors, moments, _ = customers(1, 1_500)
    rows = [
        bought(at_us / DAY_US, int(actor)) for actor, at_us in zip(actors, moments, strict=True) if at_us < 185 * DAY_US
    ]
    result = lifetime(tmp_path, rows, days=280)

    assert result.basis == "cohort averages"
    assert result.why is not None
    assert "misses: tried on the last 93 days, it foretold" in result.why


def test_those_who_buy_often_and_pay_more_each_time_break_the_model(tmp_path: Path):
    rng = np.random.default_rng(3)
    rows = []
    for actor in range(400):
        times = int(rng.poisson(2))
        days = sorted(rng.choice(100, times + 1, replace=False))
        rows += [bought(float(day), actor, 10.0 * (times + 1)) for day in days]
    result = lifetime(tmp_path, rows, days=100)

    assert result.basis == "cohort averages"
    assert result.why is not None


def rows_of(q: float, buyers: int, *, paid: float = 1.0) -> tuple[list[Row], list[Row], ByAge]:
    """Rows of `customers.sql` at the end and at the cut, of which a share of those who bought again paid for it."""
    rng = np.random.default_rng(5)
    rows, held_out = [], []
    last, cut = WEEKS * 7, WEEKS * 7 * 2 // 3
    by_age = ByAge(np.zeros((256, 2)), np.zeros((256, 2)), np.zeros((256, 2)))
    for actor in range(buyers):
        moments = [float(rng.uniform(0, last * 0.6))]
        rate, loss, worth = rng.gamma(R, 1 / ALPHA), rng.beta(A, B), rng.gamma(q, 1 / GAMMA)
        while (day := moments[-1] + float(rng.exponential(7 / rate))) < last:
            moments.append(day)
            if rng.random() < loss:
                break
        first, *later = sorted({int(day) for day in moments})
        means = float(rng.gamma(P * max(len(later), 1), 1 / worth)) if actor % 100 < paid * 100 else 0.0
        by_age.value[actor % 256, 0] += 30
        by_age.last_seen[actor % 256, 1] += 1
        for end, found in ((last, rows), (cut, held_out)):
            before = [day - first for day in later if day <= end]
            if first <= end:
                found.append(
                    {
                        "repeats": len(before),
                        "second_days": before[0] if before else 0,
                        "last_days": before[-1] if before else 0,
                        "seen_days": end - first,
                        "repeat_value_micros": int(means * 1e6) if before else 0,
                        "customers": 1,
                        "later": len(later) - len(before),
                    }
                )
    return rows, held_out, by_age


def fitted(q: float, buyers: int, *, paid: float = 1.0) -> ValueModel:
    rows, held_out, by_age = rows_of(q, buyers, paid=paid)
    return ValueModel.fitted(rows, held_out, WEEKS * 7 // 3, by_age)


def test_model_whose_purchases_may_have_no_mean_is_not_used():
    with pytest.raises(NotCarriedError, match="varies so much that a model of it may have no mean"):
        fitted(1.1, 1_500)


def test_interval_of_a_model_that_is_used_has_both_ends():
    worth = fitted(1.8, 1_500).estimate(365)

    assert worth.low is not None
    assert worth.high is not None
    assert 0 < worth.low < worth.value < worth.high < np.inf


def test_interval_ends_below_the_draws_without_a_mean():
    # One draw in fifty is of a q below 1: that is less than what lies above the interval.
    model = fitted(4.0, 600)
    spending = Spending(6.0, 1.2, 15.0, 0.0, ((0.01, 0, 0), (0, (math.log(1.2) / 2.4) ** 2, 0), (0, 0, 0.01)))
    infinite = [each.mean for each in spending.drawn(500, 20_240_302)].count(np.inf)
    worth = replace(model, spending=spending).estimate(365)

    assert 0 < infinite <= 12
    assert worth.high is not None
    # Without these draws it would end lower.
    assert worth.value < worth.high < np.inf


def test_share_that_is_paid_for_moves_with_the_buyers():
    model = fitted(4.0, 1_500, paid=0.5)
    assert model.paid == pytest.approx(0.5, abs=0.05)
    assert model.paid_drawn.mean() == pytest.approx(model.paid, abs=0.005)
    # A ratio of sums over buyers: its error by the delta method.
    rows = [row for row in rows_of(4.0, 1_500, paid=0.5)[0] if row["repeats"]]
    repeats = np.array([row["repeats"] for row in rows])
    some = np.array([row["repeat_value_micros"] > 0 for row in rows])
    error = np.sqrt((((some - model.paid) * repeats) ** 2).sum()) / repeats.sum()
    assert model.paid_drawn.std() == pytest.approx(error, rel=0.1)
    held = replace(model, paid_drawn=np.full(500, model.paid)).estimate(365)
    free = model.estimate(365)
    assert (free.high or 0) - (free.low or 0) > (held.high or 0) - (held.low or 0)
    assert set(fitted(4.0, 600).paid_drawn) == {1.0}


def buyers_of(context: str, value: float, error: float) -> BuyerValue:
    margin = 1.96 * error
    return BuyerValue(context, 100, 0, None, None, None, None, None, value, value - margin, value + margin, "model")


def test_most_and_least_are_beyond_chance_only_if_all_pairs_allow_for_it():
    # Three errors of the difference apart: p = 0.0027, enough for one pair and for 18, not for 19.
    best, worst = buyers_of("Email", 13.0, 0.8), buyers_of("Direct", 10.0, 0.6)

    assert [_is_apart(best, worst, pairs) for pairs in (1, 18, 19, 45)] == [True, True, False, False]


def test_groups_that_are_alike_seldom_stand_out():
    rng = np.random.default_rng(9)
    told = 0
    for _ in range(2_000):
        rows = sorted((buyers_of("", each, 1.0) for each in rng.normal(10, 1, 12)), key=lambda row: -(row.value or 0))
        told += _is_apart(rows[0], rows[-1], 66)
    assert told / 2_000 <= 0.05


# Cohorts


def test_cohorts_have_a_row_for_each_period_and_shares_only_of_whole_ones(tmp_path: Path):
    # 1 March 2024 is a Friday, so that the first week is not whole.
    rows = [bought(4, actor) for actor in range(40)]  # Tuesday, 5 March
    rows += [bought(11, actor, 5.0) for actor in range(10)]
    sessions = [session(18 * DAY, actor + 1, "Email", actor=actor) for actor in range(20)]
    for row in sessions:
        row["session_date"] = at(18 * DAY).date()
    with opened(tmp_path, rows, sessions, days=27) as project:
        result = project.ask("retention_cohorts")
    assert isinstance(result, RetentionResult)
    found = {row.age: row for row in result.cohorts}

    assert {row.cohort for row in result.cohorts} == {date(2024, 3, 4)}
    assert [(age, row.bought_again, row.came_back, row.value, row.complete) for age, row in found.items()] == [
        (0, 0, 0, 10.0, True),
        (1, 10, 0, 11.25, True),
        (2, 0, 20, 11.25, True),
        (3, 0, 0, 11.25, False),
    ]
    assert found[1].share == 0.25
    assert result.sentence == (
        "In the week after that of the first purchase, 25.0% of 40 buyers came to purchase again "
        "(95% interval: 14.2% to 40.2%)."
    )
    # The fourth week is not over: it is in no table.
    again = [each for each in result.sheets() if isinstance(each, Sheet)][1]
    assert [heading.label for heading in again.headings] == ["first purchase from", "0", "1", "2"]


def test_cohorts_and_ages_of_dashes_only_are_in_the_rows_and_in_no_table(tmp_path: Path):
    rows = [bought(4, actor) for actor in range(40)] + [bought(11, actor, None) for actor in range(100, 105)]
    with opened(tmp_path, rows, days=27) as project:
        result = project.ask("retention_cohorts")
        months = project.ask("retention_cohorts", grain="month")
    sheets = [each for each in result.sheets() if isinstance(each, Sheet)]

    assert [len({row.cohort for row in result.rows}), *(len(each.rows) for each in sheets)] == [2, 2, 1, 1]
    for each in sheets:
        columns = zip(*each.cells(), strict=True)
        assert all(any(cell != wording.NOTHING for cell in column) for column in columns)
    # No month is over.
    assert [each for each in months.sheets() if isinstance(each, str)] == [
        f"{what}, by months after that of the first purchase: no month can be told yet."
        for what in ("Came to purchase again", "Came back")
    ]


def test_months_go_over_the_end_of_a_year(tmp_path: Path):
    rows = [bought(-92, actor) for actor in range(20)]  # 30 November 2023
    rows += [bought(3, actor) for actor in range(5)]
    with opened(tmp_path, rows, days=40) as project:
        result = project.ask("retention_cohorts", grain="month")
    assert isinstance(result, RetentionResult)

    assert [(row.cohort, row.age, row.bought_again) for row in result.cohorts] == [
        (date(2023, 11, 1), age, 5 if age == 4 else 0) for age in range(6)
    ]


# After the sale


def test_buyers_who_have_not_got_there_yet_count_for_as_long_as_they_were_seen(tmp_path: Path):
    # Of 40 known for 29 days, 30 write a review after a day; 40 more bought half a day before the end.
    rows = [bought(0, actor) for actor in range(40)] + [bought(29.5, actor) for actor in range(100, 140)]
    rows += [occurrence(DAY + actor, "review_write", client=actor) for actor in range(30)]
    with opened(tmp_path, rows, days=30) as project:
        result = project.ask("post_sale")
    assert isinstance(result, PostSaleResult)
    step = next(row for row in result.steps if row.micro_conversion == "review_write")

    assert (step.buyers, step.reached) == (80, 30)
    assert step.share == pytest.approx(0.75)
    assert step.median_seconds == 86_400
    assert "most buyers come to review_write: 75.0%" in result.sentence
    other = next(row for row in result.steps if row.micro_conversion == "refer_friend")
    assert (other.reached, other.share, other.median_seconds, other.says) == (0, 0.0, None, "nobody came to it")


def test_a_share_below_half_has_no_median_and_says_so(tmp_path: Path):
    rows = [bought(0, actor) for actor in range(40)]
    rows += [occurrence(DAY, "review_write", client=actor) for actor in range(10)]
    with opened(tmp_path, rows, days=30) as project:
        step = next(row for row in project.ask("post_sale").rows if row.micro_conversion == "review_write")

    assert (step.share, step.median_seconds) == (pytest.approx(0.25), None)
    assert step.says == "fewer than half come to it in the time seen"
