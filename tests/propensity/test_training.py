"""A model of propensity is right on actors it did not know, or is refused; and what comes later is never a feature."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from insight.simulated import DAY, HOUR, Done, Visits, staged
from microconv.analyses.propensity.chance_model import HoldOutFigures
from microconv.analyses.propensity.features import EVERYBODY, GoalWindow, PropensityFeatures, part_of_actors
from microconv.analyses.propensity.model_card import PropensityDecile
from microconv.analyses.propensity.scoring import ScoredDecile
from microconv.analyses.propensity.training import CutOffs, micros
from microconv.errors import FindingsError, TaxonomyError, UsageError
from microconv.project import Project
from microconv.result import sheet
from microconv.wording import minute
from propensity.returning_visitors import KNOWN, shop

WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return shop(tmp_path_factory.mktemp("known") / "shop", 1)


def test_slope_on_the_hold_out_is_right_in_eighteen_of_twenty(tmp_path: Path):
    right = 0
    for seed in range(20):
        with shop(tmp_path / str(seed), seed) as project:
            result = project.propensity.train()
        assert result.status == "accepted", (seed, result.sentence)
        slope = next(float(each.model) for each in result.figures if each.figure == "slope of calibration")
        right += 0.8 <= slope <= 1.2

    assert right >= 18


def test_model_without_signal_is_refused_in_twenty_of_twenty(tmp_path: Path):
    for seed in range(20):
        with shop(tmp_path / str(seed), seed, signal=0) as project:
            result = project.propensity.train()
        assert result.status == "refused", (seed, result.sentence)


def test_the_same_data_give_the_same_figures_twice(known: Project):
    first, second = known.propensity.train(), known.propensity.train()

    assert first.model_id != second.model_id
    assert (first.deciles, first.figures, first.weights) == (second.deciles, second.figures, second.weights)


def test_card_says_what_it_is_and_is_not(known: Project):
    result = known.propensity.train()
    document = json.loads(json.dumps(result.document(), allow_nan=False))

    assert known.ask("propensity").rows == result.rows
    assert document["status"] == "accepted"
    assert [row.decile for row in result.rows] == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
    for row in result.rows:
        assert row.low <= row.rate == row.reached / row.actors <= row.high
    assert result.rows[0].rate > 3 * result.rows[-1].rate
    assert "more " in result.rows[0].up
    assert "fewer " in result.rows[-1].down
    assert any("not who can be moved to" in each for each in result.assumptions)
    assert any("Boosted trees are a yardstick" in each for each in result.assumptions)


def test_card_tells_the_moments_of_the_training_from_that_of_the_hold_out(known: Project):
    """The data reach to the end of the hold-out's window: to say that they trained the model reads like a leak."""
    said = known.propensity.train().assumptions[0]
    end = known.default_as_of()
    last, hold_out = end - 2 * WEEK, end - WEEK

    assert f" to {minute(last)} UTC: " in said
    assert f"one later moment, {minute(hold_out)} UTC, with what followed until {minute(end)} UTC" in said
    assert "trained on data until" not in said


def test_area_has_the_interval_of_delong_and_none_in_models_kept_before(known: Project):
    (shown,) = (each for each in known.propensity.train().figures if each.figure == "AUC")
    area, low, high = map(float, re.fullmatch(r"(\S+) \((\S+) to (\S+)\)", shown.model).groups())
    figures = HoldOutFigures(auc=0.96, brier=0.1, brier_skill=None, slope=None, level=None, log_loss=0.1)

    assert low < area < high <= 1
    assert figures.auc_in_words == "0.96"
    assert figures.model_copy(update={"auc_error": 0.01}).auc_in_words == "0.96 (0.94 to 0.98)"
    assert figures.model_copy(update={"auc_error": 0.03}).auc_in_words == "0.96 (0.90 to 1.00)"


def test_json_has_numbers_beside_what_is_written(known: Project):
    result = known.propensity.train()
    document = result.document()
    area = document["figures"][0]

    assert (area["figure"], area["model_value"], area["model_low"]) == ("AUC", result.auc, result.auc_low)
    assert area["model"] == f"{result.auc:.2f} ({result.auc_low:.2f} to {result.auc_high:.2f})"
    assert result.auc_low < result.auc < result.auc_high
    assert all(isinstance(each["model_value"], float) for each in document["figures"])
    assert all(isinstance(each["trees_value"], float) for each in document["figures"])
    assert all(isinstance(each["mean"], float) for each in document["weights"])
    assert 0 < document["base_rate"] < 1


def test_shares_below_one_percent_have_two_digits_that_count():
    row = PropensityDecile(1, 2_500, 0.00057, 1, 0.0004, 0.000071, 0.0023, "", "", "")

    written = sheet("", (row,), PropensityDecile, only=("predicted", "rate", "low", "high")).cells()
    scored = sheet("", (ScoredDecile(1, 2_500, 0.00096, "", ""),), ScoredDecile, only=("chance",)).cells()

    assert written == [["0.057%", "0.040%", "0.0071%", "0.23%"]]
    assert scored == [["0.096%"]]


def test_means_say_whether_they_are_of_the_training_or_of_the_hold_out(known: Project):
    titles = {each.title: each for each in known.propensity.train().sheets() if not isinstance(each, str)}

    assert "What moves the chance of each decile most, against all of the hold-out" in titles
    assert "mean in training" in [each.label for each in titles["What the features weigh"].headings]


def test_without_a_model_it_is_said_whom_the_counts_are_of_and_what_to_do(tmp_path: Path):
    with shop(tmp_path / "thin", 1, actors=300, rate=0.02) as project:
        result = project.ask("propensity")
        with pytest.raises(FindingsError) as caught:
            project.propensity.train()

    assert (
        "with a session in the 28 days before the last 7 days, who had not reached buy by then"
        in (result.assumptions[0])
    )
    assert result.sentence.endswith("stage more days, ask for a longer --window, or for another --goal.")
    assert re.search(r"had a session in the \d+ days before the moment", caught.value.message)


def test_who_had_reached_the_goal_is_no_case(known: Project):
    sessions = known.query(
        "SELECT COUNT(DISTINCT actor_key) FROM mc_sessions WHERE started_at < TIMESTAMPTZ '2024-04-26 00:00:00+00' AND "
        "started_at >= TIMESTAMPTZ '2024-03-29 00:00:00+00' AND actor_key NOT IN (SELECT actor_key FROM "
        "mc_micro_conversions WHERE micro_conversion = 'buy' AND event_at < TIMESTAMPTZ '2024-04-26 00:00:00+00')"
    ).rows[0][0]
    cut_off = micros(datetime(2024, 4, 26, tzinfo=UTC))
    rows = known.engine.query(features().query(GoalWindow("buy", 7 * 86_400, 28 * 86_400), [cut_off])).num_rows

    assert rows == sessions > 1_000


def features() -> PropensityFeatures:
    traits = [{"trait": "device", "value": each, "actors": 1} for each in ("desktop", "mobile")]
    return PropensityFeatures.candidates(KNOWN, "buy", traits)


def test_nothing_at_the_cut_off_or_after_it_is_a_feature(tmp_path: Path):
    cut_off_us = 20 * DAY
    rng = np.random.default_rng(7)
    actor = rng.integers(0, 200, 3_000)
    at = rng.integers(0, 40 * DAY, len(actor))
    at[::100] = cut_off_us  # the moment itself is later, too
    later = at >= cut_off_us
    step = rng.choice(["look", "save", "cart"], len(actor))
    asked = GoalWindow("buy", 7 * 86_400, 14 * 86_400)
    query = features().query(asked, [micros(datetime(2024, 3, 1, tzinfo=UTC)) + cut_off_us], is_ordered=True)

    def known_at_cut_off(folder: Path, kept: np.ndarray, moved: np.ndarray) -> tuple[dict, list[bool]]:
        who, when, what = actor[kept], moved[kept], step[kept]
        device = np.where(when < cut_off_us, "desktop", "mobile")
        done = {name: Done(who[what == name], when[what == name] + 1) for name in ("look", "save", "cart")}
        bought = (who % 5 == 0) & (when >= cut_off_us)
        done["buy"] = Done(who[bought], when[bought])
        with staged(folder, KNOWN, Visits(who, when, {"device_category": device}), done, days=60) as engine:
            table = engine.query(query)
        columns = [name for name in table.column_names if name != "is_reached"]
        return table.select(columns).to_pydict(), table["is_reached"].to_pylist()

    everything = np.ones(len(actor), dtype=bool)
    as_it_was, reached = known_at_cut_off(tmp_path / "a.duckdb", everything, at)
    without, nobody = known_at_cut_off(tmp_path / "b.duckdb", ~later, at)
    shifted = np.where(later, cut_off_us + (at - cut_off_us) // 3 + 5 * HOUR, at)
    moved, reached_sooner = known_at_cut_off(tmp_path / "c.duckdb", everything, shifted)

    assert len(as_it_was["actor_key"]) > 150
    assert moved == without == as_it_was
    assert sum(nobody) == 0 < sum(reached) < sum(reached_sooner)


def test_hold_out_is_later_than_every_window_of_the_training():
    first, end = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)
    for days in (1, 7, 10, 14, 21):
        window = timedelta(days=days)
        found = CutOffs.of(first, end, window)
        assert found is not None
        assert found.hold_out + window == end
        assert max(found.training) + window <= found.hold_out
        assert min(found.training) - found.lookback >= first
        assert {later - earlier for earlier, later in zip(found.training, found.training[1:], strict=False)} <= {WEEK}
        assert (found.hold_out - max(found.training)) % WEEK == timedelta(0)


@pytest.mark.parametrize(
    ("days", "expected"),
    [(20, None), (21, (7, 1)), (34, (7, 2)), (35, (7, 3)), (41, (7, 3)), (42, (14, 3)), (55, (14, 4)), (56, (28, 3))],
)
def test_features_look_back_as_far_as_leaves_three_moments(days: int, expected: tuple[int, int] | None):
    first = datetime(2024, 1, 1, tzinfo=UTC)
    found = CutOffs.of(first, first + timedelta(days=days), WEEK)

    assert expected == (found and (found.lookback.days, len(found.training)))


def test_too_few_days_say_how_many_it_takes(tmp_path: Path):
    with shop(tmp_path / "short", 1, days=12) as project, pytest.raises(FindingsError) as caught:
        project.propensity.train()

    assert "not enough data: n = 12 days" in caught.value.message
    assert "21 days" in caught.value.message
    assert caught.value.exit_code == 1


def test_too_few_who_reached_the_goal_are_counted(tmp_path: Path):
    with shop(tmp_path / "thin", 1, actors=300, rate=0.02) as project, pytest.raises(FindingsError) as caught:
        project.propensity.train()

    assert "not enough data: n = " in caught.value.message


def test_goal_and_window_are_checked(known: Project):
    with pytest.raises(TaxonomyError):
        known.propensity.train("bye")
    with pytest.raises(UsageError):
        known.propensity.train(window="soon")


def test_part_of_the_actors_is_the_share_asked_for():
    assert part_of_actors(1.0) == EVERYBODY
    assert part_of_actors(0.5) == "7fffff"
    assert part_of_actors(0.0) == "000000"
