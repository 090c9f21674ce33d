"""A threshold is found where one is planted; and none where nothing is, or where every time helps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from insight.small_steps import ACTORS, ask_of, each_look_helps, from_three_looks, nothing, shop
from microconv.analyses.insight.thresholds import ONCE, STEADY, THRESHOLD, ThresholdsResult
from microconv.errors import TaxonomyError
from microconv.project import Project
from microconv.stats.steps import (
    Dose,
    best_step,
    flat_log_likelihood,
    higher_rate_test,
    steady_log_likelihood,
    step_log_likelihood,
    trend_test,
)


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
            assert "every one more helps a bit" in result.sentence


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
    assert sum(rate.actors for rate in result.curves) == result.thresholds[0].actors < ACTORS


def test_landmark_that_the_data_cannot_follow_has_not_enough(planted: Project):
    result = planted.ask("thresholds", measure="look", landmarks=["1h"], window="29d")

    assert result.thresholds[0].says.startswith("not enough data: n = ")
    assert "cannot be told: not enough data: n = " in result.sentence
    assert result.thresholds[0].ratio is None


def test_rare_entry_has_not_enough_data(planted: Project):
    # Within the first second of 50 minutes hardly anybody looked.
    result = planted.ask("thresholds", measure="look", landmarks=["1s"])

    assert result.thresholds[0].says.startswith("not enough data: n = ")
    assert result.thresholds[0].says.endswith(" did it")
    assert result.thresholds[0].ratio is None


def test_unknown_measure_is_refused_by_name(planted: Project):
    with pytest.raises(TaxonomyError, match="lok"):
        planted.ask("thresholds", measure="lok")


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


def test_once_is_enough_is_no_threshold(tmp_path: Path):
    def once(counts: dict[str, np.ndarray], _: object) -> np.ndarray:
        return np.where(counts["look"] > 0, 0.12, 0.03)

    result = ask_of(shop(tmp_path / "shop", 5, once), "thresholds", measure="look", landmarks=["1h"])

    assert found(result, ONCE) == [("look", "1 hour")]
    assert "Once is enough" in result.sentence
