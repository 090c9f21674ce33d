"""A threshold is found where one is planted; and none where nothing is, or where every time helps."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pytest

from insight.small_steps import ACTORS, KNOWN, ask_of, each_look_helps, from_three_looks, nothing, shop
from microconv import wording
from microconv.analyses.insight.lift import ON_PATH
from microconv.analyses.insight.thresholds import (
    ONCE,
    RISES,
    STEADY,
    THRESHOLD,
    TOGETHER,
    CountThreshold,
    Thresholds,
    ThresholdsResult,
)
from microconv.config.sections import Config
from microconv.errors import TaxonomyError, UsageError
from microconv.project import Project
from microconv.question import Context
from microconv.stats.steps import (
    Dose,
    best_step,
    flat_log_likelihood,
    higher_rate_test,
    steady_log_likelihood,
    step_log_likelihood,
    trend_test,
)
from microconv.wording import Sheet


def found(result: ThresholdsResult, says: str = THRESHOLD) -> list[tuple[str, str]]:
    json.dumps(result.document(), allow_nan=False)
    return [(row.counted, row.landmark) for row in result.thresholds if row.says == says]


def test_planted_threshold_is_found_with_its_ratio(tmp_path: Path):
    right = covered = 0
    for seed in range(10):
        result = ask_of(shop(tmp_path / str(seed), seed, from_three_looks), "thresholds", landmarks=["1h"])
        row = next((row for row in result.thresholds if row.counted == "look"), None)
        assert row is not None
        right += row.says == THRESHOLD and row.times == 3
        covered += row.low is not None and row.high is not None and row.low <= 4 <= row.high

    assert right >= 9
    assert covered >= 8


def test_what_every_time_helps_is_no_threshold(tmp_path: Path):
    for seed in range(10):
        result = ask_of(shop(tmp_path / str(seed), seed, each_look_helps), "thresholds", landmarks=["1h"])
        assert ("look", "1 hour") not in found(result)
        if seed == 0:
            assert ("look", "1 hour") in found(result, STEADY)
            assert "its rate rises steadily: it is a bit higher with every one more" in result.sentence
            assert "helps" not in " ".join((result.sentence, *result.assumptions))


def test_who_does_more_of_everything_makes_no_threshold(tmp_path: Path):
    for seed in range(10):
        result = ask_of(shop(tmp_path / str(seed), seed, nothing, activity=0.6), "thresholds", landmarks=["1h"])
        assert found(result) == []


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return shop(tmp_path_factory.mktemp("planted") / "shop", 1, from_three_looks)


def test_answer_says_what_it_is_and_is_not(planted: Project):
    result = planted.ask("thresholds", measure="look", landmarks=["1h"])

    assert "From 3 on, look within 1 hour" in result.sentence
    assert "is not proof" in result.sentence
    assert [rate.times for rate in result.curves][:4] == ["0", "1", "2", "3"]
    assert result.thresholds[0].actors < sum(rate.actors for rate in result.curves) < ACTORS


def test_counts_of_a_row_are_those_that_its_rates_rest_on(planted: Project):
    result = planted.ask("thresholds", measure="look", landmarks=["1h"])
    row = result.thresholds[0]
    of_both = sum(rate.actors for rate in result.curves)

    assert 0.4 < row.actors / of_both < 0.6
    assert row.rate_from == pytest.approx(row.reached_from / row.actors_from)
    below, reached_below = row.actors - row.actors_from, row.reached - row.reached_from
    assert row.rate_below == pytest.approx(reached_below / below)
    assert row.ratio == pytest.approx(row.rate_from / row.rate_below)
    assert f"({row.reached_from:,} of {row.actors_from:,})" in result.sentence
    assert f"({reached_below:,} of {below:,})" in result.sentence


def test_other_thresholds_are_named_in_the_sentence(planted: Project):
    result = planted.ask("thresholds", measure="look", landmarks=["1h", "2h"])

    assert found(result) == [("look", "1 hour"), ("look", "2 hours")]
    assert result.sentence.endswith(" look within 2 hours has one, too.")


def test_answer_explains_its_words_and_its_dashes(planted: Project):
    assumptions = " ".join(planted.ask("thresholds", measure="look").assumptions)

    assert all(f"'{says}'" in assumptions for says in (ONCE, RISES, STEADY))
    assert f"a {wording.NOTHING} stands there" in assumptions


def test_landmark_that_the_data_cannot_follow_has_not_enough(planted: Project):
    result = planted.ask("thresholds", measure="look", landmarks=["1h"], window="29d")

    assert result.thresholds[0].says.startswith("not enough data: n = ")
    assert "cannot be told: not enough data: n = " in result.sentence
    assert result.thresholds[0].ratio is None


def test_rare_entry_has_not_enough_data(planted: Project):
    # Within the first second of 50 minutes hardly anybody looked.
    result = planted.ask("thresholds", measure="look", landmarks=["1s"])

    assert result.thresholds[0].says.startswith("not enough data: n = ")
    assert result.thresholds[0].says.endswith(" did look")
    assert result.sentence == f"Whether buy has a threshold cannot be told: {result.thresholds[0].says}."
    assert result.thresholds[0].ratio is None


def test_unknown_measure_is_refused_by_name(planted: Project):
    with pytest.raises(TaxonomyError, match="lok"):
        planted.ask("thresholds", measure="lok")


def test_goal_is_no_measure_of_itself(planted: Project):
    with pytest.raises(UsageError, match="buy is the goal, so nobody had done it by a landmark") as refused:
        planted.ask("thresholds", measure="buy")

    assert refused.value.hint == "Give another --measure or another --goal."


def judged(
    measure: str, *below_and_above: tuple[int, int], targets: int = 300, without: int, among: str = "save"
) -> ThresholdsResult:
    """Judge a measure of which both halves have so many actors, and reached, by number; and what lift counts of one."""
    name = f"({measure})" if measure in TOGETHER else measure
    times = [
        {"measure": name, "landmark_ms": 3_600_000, "half": half, "times": number, "actors": actors, "reached": reached}
        for half in (1, 2)
        for number, (actors, reached) in enumerate(below_and_above)
    ]
    banded = {
        "micro_conversion": among,
        "context": "",
        "began_before": False,
        "exposed_actors": 1_000,
        "exposed_targets": targets - without,
        "exposed_ms": 10**9,
        "other_targets": without,
        "other_ms": 10**9,
        "lag_targets": 0,
        "actors": 5_000,
    }
    asked = Thresholds.model_validate({"measure": measure, "landmarks": ["1h"]})
    tables = (pa.Table.from_pylist(times), pa.Table.from_pylist([banded]))
    return asked.result(tables, Context(cast("Config", None), KNOWN))


def test_what_hardly_anybody_reaches_the_goal_without_is_on_the_path_and_no_finding():
    once = (5_000, 50), (200, 30), (100, 16)
    way, sign = judged("save", *once, without=3), judged("save", *once, without=4)

    assert [row.says for row in way.thresholds] == [ON_PATH]
    assert way.sentence == (
        "No number of micro-conversions, from 2 on, is a threshold for buy. "
        "Left out is save: hardly anybody reaches buy without it."
    )
    assert [row.says for row in sign.thresholds] == [ONCE]
    assert "Once is enough: after save within 1 hour" in sign.sentence


def test_number_of_a_step_of_the_way_is_no_threshold():
    from_two = (5_000, 50), (200, 2), (100, 16)

    assert [row.says for row in judged("save", *from_two, without=4).thresholds] == [THRESHOLD]
    assert [row.says for row in judged("save", *from_two, without=3).thresholds] == [ON_PATH]


def test_several_together_are_on_the_path_from_the_first_time_only():
    once, from_two = ((5_000, 50), (200, 30), (100, 16)), ((5_000, 50), (200, 2), (100, 16))

    assert [row.says for row in judged("any", *once, without=0).thresholds] == [ON_PATH]
    assert [row.says for row in judged("any", *from_two, without=0).thresholds] == [THRESHOLD]
    # A save is no milestone.
    assert [row.says for row in judged("milestone", *once, without=0).thresholds] == [ONCE]
    assert [row.says for row in judged("milestone", *once, without=0, among="guide").thresholds] == [ON_PATH]


def test_rate_that_rests_on_a_few_who_reached_the_goal_is_not_told():
    few, others = (
        judged("save", (30_000, 22), (30, 1), (30, 1), without=200),
        judged("save", (30_000, 4), (300, 15), (300, 15), without=200),
    )

    assert few.thresholds[0].says == "not enough data: n = 2 who did save reached buy"
    assert few.sentence == f"Whether buy has a threshold cannot be told: {few.thresholds[0].says}."
    assert others.thresholds[0].says == "not enough data: n = 4 others reached buy"
    assert (few.thresholds[0].ratio, few.thresholds[0].rate_from, few.tested) == (None, None, 1)


def test_ratio_has_the_same_digits_in_sentence_and_table():
    result = judged("save", (5_000, 5), (100, 15), (100, 15), without=200)
    shown = next(each for each in result.sheets() if isinstance(each, Sheet))
    ratio = [heading.label for heading in shown.headings].index("ratio")

    assert shown.cells()[0][ratio] == "150"
    assert "buy follows 150 times as often" in result.sentence


STEP = [Dose(0, 1000, 10), Dose(1, 500, 5), Dose(2, 300, 3), Dose(3, 100, 10), Dose(4, 100, 10)]


def test_step_fits_where_the_rate_jumps():
    step = best_step(STEP, 10)

    assert step is not None
    assert (step.at, step.low, step.high, step.tried) == (3, 3, 3, 4)
    # 18 of 1800 below, 20 of 200 from three on: binomial log-likelihoods by hand.
    assert step_log_likelihood(STEP, 3) == pytest.approx(
        18 * np.log(0.01) + 1782 * np.log(0.99) + 20 * np.log(0.1) + 180 * np.log(0.9)
    )
    assert step.log_likelihood > steady_log_likelihood(STEP) > flat_log_likelihood(STEP)


def test_numbers_that_fit_nearly_as_well_are_no_interval():
    said = " ".join(Thresholds()._assumptions("buy", 4, 1))
    labels = {each.name: each.metadata["heading"].label for each in fields(CountThreshold)}

    assert "fit the half that proposed it nearly as well (by likelihood). That is not a 95% interval" in said
    assert (labels["times_low"], labels["times_high"]) == ("nearly as well from", "nearly as well to")


def test_steps_down_are_none():
    assert best_step([Dose(0, 100, 50), Dose(1, 100, 10)], 10) is None


def test_logistic_line_is_that_of_a_saturated_pair():
    # Two doses: a line goes through both, so its likelihood is that of two rates of their own.
    pair = [Dose(0, 200, 10), Dose(1, 100, 30)]

    assert steady_log_likelihood(pair) == pytest.approx(step_log_likelihood(pair, 1), abs=1e-8)


def test_trend_is_that_of_a_known_example():
    # Agresti, Categorical Data Analysis: malformations by drinks a day (0, 0.5, 1.5, 4, 7; doubled), z = 2.56.
    doses = [Dose(0, 17114, 48), Dose(1, 14502, 38), Dose(3, 793, 5), Dose(8, 127, 1), Dose(14, 38, 1)]

    assert trend_test(doses) == pytest.approx(0.0052, abs=0.0001)


def test_exact_test_is_fishers_tea_taster():
    # Four of four cups recognised, and none of the others: 1 of 70 ways.
    assert higher_rate_test(Dose(1, 4, 4), Dose(0, 4, 0)) == pytest.approx(1 / 70)


@pytest.mark.parametrize("wrong", [Dose(1, 5, 9), Dose(1, 5, -1)])
def test_more_than_all_cannot_reach_the_goal(wrong: Dose):
    for pair in ((wrong, Dose(0, 10, 1)), (Dose(0, 10, 1), wrong)):
        with pytest.raises(ValueError, match="from none to all"):
            higher_rate_test(*pair)


def test_once_is_enough_is_no_threshold(tmp_path: Path):
    def once(counts: dict[str, np.ndarray], _: object) -> np.ndarray:
        return np.where(counts["look"] > 0, 0.12, 0.03)

    result = ask_of(shop(tmp_path / "shop", 5, once), "thresholds", measure="look", landmarks=["1h"])

    assert found(result, ONCE) == [("look", "1 hour")]
    assert "Once is enough" in result.sentence
