"""Combinations that do more than their parts are found where they are planted, and none where busy people do all."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from insight.small_steps import ask_of, chat_and_film, guide_before_share, nothing, shop, three_together
from microconv.analyses.insight.combinations import MORE, NOTHING, CombinationsResult
from microconv.errors import UsageError
from microconv.project import Project
from microconv.stats.interaction import OutcomeCell, Reference, beyond
from microconv.stats.ratios import risk_ratio


def found(result: CombinationsResult) -> set[str]:
    json.dumps(result.document(), allow_nan=False)
    return {row.combination for row in result.combinations if row.says == MORE}


def test_planted_pair_is_found_with_its_ratio(tmp_path: Path):
    right = covered = 0
    for seed in range(4):
        result = ask_of(
            shop(tmp_path / str(seed), seed, chat_and_film, actors=24_000), "combinations", landmarks=["1h"], top=15
        )
        row = next(row for row in result.combinations if row.combination == "chat + film")
        right += found(result) == {"chat + film"}
        assert row.low is not None
        assert row.high is not None
        covered += row.against != "chat and film, each apart" or row.low <= 3 <= row.high

    assert right >= 3
    assert covered >= 3


def test_planted_order_is_found_and_not_the_other(tmp_path: Path):
    right = 0
    for seed in range(4):
        project = shop(tmp_path / str(seed), seed, guide_before_share, actors=16_000)
        right += found(ask_of(project, "combinations", landmarks=["1h"], ordered=True)) == {"guide > share"}

    assert right >= 3


def test_planted_triple_is_found(tmp_path: Path):
    project = shop(tmp_path / "shop", 3, three_together)

    result = ask_of(project, "combinations", landmarks=["1h"], size=3)

    assert found(result) == {"save + chat + guide"}
    assert "It does not say that buy would follow more often if people were brought to do all of it" in result.sentence
    assert "1 does more than its parts" in "\n".join(each for each in result.sheets() if isinstance(each, str))


def test_busy_people_make_no_combination(tmp_path: Path):
    for seed in range(3):
        project = shop(tmp_path / str(seed), seed, nothing, activity=0.8)
        with project:
            assert found(project.ask("combinations", landmarks=["1h"])) == set()
            assert found(project.ask("combinations", landmarks=["1h"], ordered=True)) == set()


def chat_alone(counts: dict[str, np.ndarray], _: object) -> np.ndarray:
    return np.where(counts["chat"] > 0, 0.12, 0.02)


@pytest.fixture(scope="module")
def one_step(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return shop(tmp_path_factory.mktemp("one") / "shop", 1, chat_alone)


def test_one_strong_step_makes_no_combination_of_its_pairs(one_step: Project):
    result = one_step.ask("combinations", landmarks=["1h"], top=100)

    assert found(result) == set()
    assert result.looked_at == 15
    assert {row.says for row in result.combinations} == {NOTHING}
    assert all(row.p_value is None or row.p_value > 0.01 for row in result.combinations)


def test_figures_of_a_row_are_those_of_the_testing_half(one_step: Project):
    row = one_step.ask("combinations", landmarks=["1h"]).combinations[0]

    assert row.rate == pytest.approx(row.reached / row.actors)
    # Half of 8,000 actors, of whom 0.44 did each of two steps.
    assert 400 < row.actors < 1_200


def test_rows_end_at_top_and_numbers_are_of_all(one_step: Project):
    result = one_step.ask("combinations", landmarks=["1h"], top=2)

    assert len(result.combinations) == 2
    assert result.looked_at == 15
    said = "\n".join(each for each in result.sheets() if isinstance(each, str))
    assert "Of 15 combinations" in said
    assert "0 do more than their parts" in said
    assert said.endswith("The first 2 are shown (more: --top).")
    # The shop has six small steps and not 40.
    assert any("at most 40 entries are combined" in each for each in result.assumptions)


def test_few_who_did_all_of_it_are_not_enough_data(one_step: Project):
    # Within the first minute of 50 hardly anybody did two things.
    result = one_step.ask("combinations", landmarks=["1m"], top=100)

    rows = [row for row in result.combinations if row.says.startswith("not enough data: n = ")]
    assert result.thin == len(rows) > 10
    assert all(row.ratio is None and row.rate is None for row in rows)
    assert any(row.says.endswith(" did all of it") for row in rows)


def test_combination_of_four_is_refused(one_step: Project):
    with pytest.raises(UsageError, match="size"):
        one_step.ask("combinations", size=4)


def cells(*pairs: tuple[int, int]) -> list[OutcomeCell]:
    return [OutcomeCell(actors, reached) for actors, reached in pairs]


def test_contrast_of_one_stratum_is_that_of_four_rates():
    # Neither 20 of 1000, one alone 30 of 500, the other alone 12 of 300, both 36 of 200: 0.18 * 0.02 / (0.06 * 0.04).
    of = beyond([cells((1000, 20), (500, 30), (300, 12), (200, 36))], 3, Reference(0, (1, 2)))

    assert of is not None
    assert of.ratio == pytest.approx(1.5)
    assert of.expected == pytest.approx(24)
    error = math.sqrt(sum((1 / r - 1 / n) * n / (n - 1) for n, r in ((1000, 20), (500, 30), (300, 12), (200, 36))))
    assert math.log(of.high / of.low) == pytest.approx(2 * 1.959964 * error)


def test_ratio_against_one_kind_is_that_of_katz():
    of = beyond([cells((2000, 40), (100, 10))], 1, Reference(0))
    katz = risk_ratio(10, 100, 40, 2000)

    assert of is not None
    assert katz is not None
    assert (of.ratio, of.low, of.high) == pytest.approx((katz.ratio, katz.low, katz.high), rel=0.01)


def test_strata_take_away_what_goes_with_activity():
    # In each stratum both parts do nothing, nor do they together; rates rise with activity, and so do parts.
    idle = cells((900, 9), (100, 1), (100, 1), (100, 1))
    busy = cells((100, 10), (300, 30), (300, 30), (900, 90))
    pooled = [OutcomeCell(a.actors + b.actors, a.reached + b.reached) for a, b in zip(idle, busy, strict=True)]

    within = beyond([idle, busy], 3, Reference(0))
    crude = beyond([pooled], 3, Reference(0))

    assert within is not None
    assert crude is not None
    assert within.ratio == pytest.approx(1)
    assert crude.ratio > 4


def test_part_that_nobody_came_from_counts_as_if_one_had():
    of = beyond([cells((1000, 10), (100, 0), (100, 2), (100, 12))], 3, Reference(0, (1, 2)))

    assert of is not None
    # 0.12 * 0.01 / (0.01 * 0.02), with one of 100 in the place of none.
    assert of.ratio == pytest.approx(6)


def test_nobody_who_did_all_of_it_reached_the_goal_is_no_ratio():
    assert beyond([cells((1000, 10), (100, 5), (100, 2), (100, 0))], 3, Reference(0, (1, 2))) is None


@pytest.mark.parametrize("strata", [1, 8])
def test_chance_is_found_no_more_often_than_the_test_says(strata: int):
    rng = np.random.default_rng(2)
    p_values = []
    for _ in range(2_000):
        drawn = [
            [
                OutcomeCell(int(n), int(rng.binomial(n, 0.01)))
                for n in rng.multinomial(4_000 // strata, [0.64, 0.16, 0.16, 0.04])
            ]
            for _ in range(strata)
        ]
        of = beyond(drawn, 3, Reference(0, (1, 2)))
        p_values.append(1.0 if of is None else of.p_value)

    assert np.mean(np.array(p_values) <= 0.05) < 0.065
    assert np.mean(np.array(p_values) <= 0.001) <= 0.002
