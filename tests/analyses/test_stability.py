"""Stability of attribution: planted shares come back, and no sentence says more than the shares show."""

from __future__ import annotations

import json
import math
import re
from statistics import correlation

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from microconv.analyses.attribution.stability import FEWEST_GROUPS, Recalculated, StabilityResult, stability
from microconv.wording import Sheet

GROUPS = 64
NAMES = ("Search", "Email", "Direct")


def credit_of(shares: list, *, weeks: int = 1, groups: int = GROUPS) -> np.ndarray:
    """Spread shares by [model, window, touchpoint] evenly over weeks and groups of actors: nothing left to chance."""
    by_window = np.array(shares, dtype=float)
    return np.broadcast_to(by_window[:, :, None, None, :], (*by_window.shape[:2], weeks, groups, by_window.shape[2]))


def compare(credit: np.ndarray, **options: object) -> StabilityResult:
    models, windows, weeks, _, touchpoints = credit.shape
    return stability(
        credit,
        models=["first", "last", "linear"][:models],
        windows=["7 days", "30 days"][-windows:],
        weeks=[f"week {number}" for number in range(1, weeks + 1)],
        touchpoints=NAMES[:touchpoints],
        **options,
    )


def at(share) -> tuple:
    return share.model, share.window, share.week, pytest.approx(share.share)


PLANTED = credit_of([[[60, 30, 10], [50, 20, 30]], [[70, 10, 20], [40, 35, 25]]])


def test_spans_name_the_shares_between_which_a_touchpoint_moves():
    search, email, _ = compare(PLANTED).touchpoints

    assert at(search.over_models.low) == ("last", "30 days", None, 0.4)
    assert at(search.over_models.high) == ("first", "30 days", None, 0.5)
    assert at(search.over_windows.low) == ("last", "30 days", None, 0.4)
    assert at(search.over_windows.high) == ("last", "7 days", None, 0.7)
    assert (at(email.widest_swing.low), at(email.widest_swing.high)) == (
        ("last", "7 days", None, 0.1),
        ("last", "30 days", None, 0.35),
    )


def test_windows_are_compared_within_one_model():
    search = compare(credit_of([[[50, 50], [50, 50]], [[10, 90], [20, 80]]])).touchpoints[0]

    assert (at(search.over_windows.low), at(search.over_windows.high)) == (
        ("last", "7 days", None, 0.1),
        ("last", "30 days", None, 0.2),
    )
    assert at(search.widest_swing.high) == ("first", "7 days", None, 0.5)


def test_weeks_are_compared_in_the_widest_window():
    credit = np.array(credit_of([[[1, 1, 0], [1, 1, 2]], [[1, 1, 0], [0, 1, 1]]], weeks=2))
    credit[0, 1, 1, :, 0] = 7  # first, 30 days, the second week

    search, email, _ = compare(credit).touchpoints

    assert at(search.over_weeks.low) == ("first", "30 days", "week 1", 0.25)
    assert at(search.over_weeks.high) == ("first", "30 days", "week 2", 0.7)
    assert at(email.over_weeks.low) == ("first", "30 days", "week 2", 0.1)
    assert at(compare(credit[:, :1]).touchpoints[0].over_weeks.high) == ("first", "30 days", "week 1", 0.5)


def test_places_run_over_every_model_and_window():
    places = [(found.best_place, found.worst_place) for found in compare(PLANTED).touchpoints]

    assert places == [(1, 1), (2, 3), (2, 3)]


def test_equal_shares_hold_all_their_places():
    result = compare(credit_of([[[1, 1 + 1e-14, 0.5]]]))

    assert [(found.best_place, found.worst_place) for found in result.touchpoints] == [(1, 2), (1, 2), (3, 3)]


FIRST_PLACE = "first place by every model in every window"
OTHER_PLACE = "place 2 to 3 across models and windows"
NO_CHANCE = "chance not estimated."


def test_sentences_say_what_was_planted():
    result = compare(PLANTED)

    assert [found.sentence.split("; ") for found in result.touchpoints] == [
        ["Search: between 40.0% and 50.0% depending on the model within 30 days", FIRST_PLACE, NO_CHANCE],
        ["Email: between 20.0% and 35.0% depending on the model within 30 days", OTHER_PLACE, NO_CHANCE],
        ["Direct: between 25.0% and 30.0% depending on the model within 30 days", OTHER_PLACE, NO_CHANCE],
    ]
    assert result.sentence == "The share of Search moves most: from 40.0% (last, 30 days) to 70.0% (last, 7 days)."


def test_one_model_and_one_window_are_not_called_every_model_in_every_window():
    result = compare(credit_of([[[9_999, 1, 0]]]))

    assert [found.sentence for found in result.touchpoints] == [
        "Search: >99.9% by first within 30 days; first place; chance not estimated.",
        "Email: <0.1% by first within 30 days; second place; chance not estimated.",
        "Direct: no credit from any model in any window.",
    ]
    assert result.sentence == "No share moves by a point or more between models and windows."


def test_no_conversion_gives_sentences_without_a_figure():
    result = compare(np.zeros((2, 2, 1, GROUPS, 2)))

    assert result.sentence == "No conversion had a touchpoint, so there are no shares to compare."
    assert result.touchpoints[0].sentence == "Search: no share, since no conversion had a touchpoint."
    assert {share.share for share in result.shares} == {None}
    assert {found.correlation for found in result.correlations} == {None}
    assert result.touchpoints[0].best_place is None


def test_a_window_without_conversions_is_left_out_and_said_to_be():
    narrow, widest = [[[0, 0, 0], [3, 2, 1]]], [[[3, 2, 1], [0, 0, 0]]]

    assert "first place in every window with credit;" in compare(credit_of(narrow)).touchpoints[0].sentence
    assert compare(credit_of(widest)).touchpoints[0].sentence == (
        "Search: no share within 30 days, where no conversion had a touchpoint; "
        "first place in every window with credit."
    )


def planted_by_chance(conversions: int) -> np.ndarray:
    """One model; every conversion falls into a group and, three in ten, to Search, by the seed alone."""
    rng = np.random.default_rng(7)
    credit = np.zeros((1, 1, 1, GROUPS, 2))
    np.add.at(credit[0, 0, 0], (rng.integers(0, GROUPS, conversions), (rng.random(conversions) > 0.3).astype(int)), 1.0)
    return credit


def test_interval_by_resampling_is_as_wide_as_theory_says():
    (interval,), (mirrored,) = (found.intervals for found in compare(planted_by_chance(4000)).touchpoints)

    error = math.sqrt(0.3 * 0.7 / 4000)
    assert interval.low < interval.share < interval.high
    assert interval.low == pytest.approx(interval.share - 1.96 * error, abs=0.35 * error)
    assert interval.high == pytest.approx(interval.share + 1.96 * error, abs=0.35 * error)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((interval.low, interval.high))


def test_intervals_are_those_of_the_widest_window():
    chance = planted_by_chance(4000)
    mirrored = chance[..., ::-1]

    (of_chance,) = compare(np.concatenate([mirrored, chance], axis=1)).touchpoints[0].intervals
    (of_mirrored,) = compare(np.concatenate([chance, mirrored], axis=1)).touchpoints[0].intervals

    assert (of_chance.low, of_chance.share, of_chance.high) == pytest.approx((0.30, 0.31, 0.33), abs=0.01)
    assert (of_mirrored.low, of_mirrored.share, of_mirrored.high) == pytest.approx((0.67, 0.69, 0.70), abs=0.01)


def test_chance_is_rounded_up():
    (interval,) = compare(planted_by_chance(4000)).touchpoints[0].intervals
    margin = 100 * max(interval.share - interval.low, interval.high - interval.share)

    assert 1 < margin < 2
    assert "; ±2 points by chance." in compare(planted_by_chance(4000)).touchpoints[0].sentence
    assert "; less than ±1 point by chance." in compare(planted_by_chance(40_000)).touchpoints[0].sentence


def test_the_same_seed_draws_the_same_interval():
    credit = planted_by_chance(500)

    assert compare(credit, seed=3) == compare(credit, seed=3)
    assert compare(credit, seed=3) != compare(credit, seed=4)


def test_too_few_groups_with_credit_leave_chance_open():
    credit = planted_by_chance(500)
    credit[..., FEWEST_GROUPS - 1 :, :] = 0

    found = compare(credit).touchpoints[0]

    assert (found.intervals, found.sentence.endswith("chance not estimated.")) == ((), True)


def test_recalculated_models_take_part_with_what_they_have():
    draws = np.random.default_rng(0).uniform([0.1, 0.5, 0.2], [0.3, 0.6, 0.3], (200, 3))
    markov = Recalculated("markov", np.array([[1.0, 8, 1], [2, 6, 2]]), np.array([[9.0, 1, 0], [4, 5, 1]]), draws)
    bare = Recalculated("bare", np.array([[1.0, 8, 1], [2, 6, 2]]))

    search, email, _ = compare(np.repeat(PLANTED, 2, axis=2), recalculated=[markov, bare]).touchpoints

    assert at(search.over_models.low) == ("markov", "30 days", None, 0.2)
    assert at(search.over_weeks.high) == ("markov", "30 days", "week 1", 0.9)
    assert at(email.over_weeks.low) == ("markov", "30 days", "week 1", 0.1)
    assert [found.model for found in search.intervals] == ["markov"]
    assert search.sentence.endswith("points by chance (markov).")


def test_rank_correlation_gives_the_published_figure():
    """IQ against hours of television: -29 / 165 (the example of the encyclopaedias)."""
    iq = [106, 86, 100, 101, 99, 103, 97, 113, 112, 110]
    hours = [7, 0, 27, 50, 28, 29, 20, 12, 6, 17]

    result = stability(
        credit_of([[iq], [hours]]), models=["a", "b"], windows=["w"], weeks=["k"], touchpoints=list("abcdefghij")
    )

    assert [found.correlation for found in result.correlations] == [pytest.approx(-29 / 165)]


def mean_ranks(values: list[float]) -> list[float]:
    return [sum(1.0 for other in values if other < one) + values.count(one) / 2 for one in values]


@given(columns=st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=2, max_size=2))
def test_rank_correlation_gives_ties_their_mean_rank(columns):
    (found,) = stability(
        credit_of([[column] for column in columns]),
        models=["a", "b"],
        windows=["w"],
        weeks=["k"],
        touchpoints=list("abcdef"),
    ).correlations

    ranks = [mean_ranks(column) for column in columns]
    if all(len(set(column)) > 1 for column in columns):
        assert found.correlation == pytest.approx(correlation(*ranks))
    else:
        assert found.correlation is None


@settings(max_examples=60)
@given(credit=arrays(np.float64, (2, 2, 2, 12, 3), elements=st.integers(0, 3), fill=st.just(0.0)))
def test_no_sentence_says_more_than_the_shares_show(credit):
    assume(credit.sum() > 0)
    result = compare(credit)

    cells = {(share.model, share.window): {} for share in result.shares if share.share is not None}
    for share in result.shares:
        if share.share is not None:
            cells[share.model, share.window][share.touchpoint] = share.share
    for found in result.touchpoints:
        name = found.touchpoint
        if "first place" in found.sentence:
            assert all(
                shares[name] > max(shares[other] for other in NAMES if other != name) for shares in cells.values()
            )
        if "in every window" in found.sentence and "with credit" not in found.sentence:
            assert len(cells) == 4
        if said := re.search(r"between ([\d.]+)% and ([\d.]+)%", found.sentence):
            now = [shares[name] for (_, window), shares in cells.items() if window == "30 days"]
            assert [float(percent) for percent in said.groups()] == pytest.approx(
                [100 * min(now), 100 * max(now)], abs=0.05 + 1e-9
            )
        if said := re.search(r"±(\d+) point", found.sentence):
            margins = [max(i.share - i.low, i.high - i.share) for i in found.intervals]
            assert float(said[1]) >= 100 * max(margins)


@pytest.mark.parametrize("credit", [PLANTED, np.zeros((1, 2, 2, 3, 1))], ids=["planted", "empty"])
def test_the_document_is_json_without_nan_and_the_frame_has_every_cell(credit):
    result = compare(credit)

    assert json.loads(json.dumps(result.document(), allow_nan=False))["window"] == "30 days"
    assert len(result.to_pandas()) == credit.shape[0] * credit.shape[1] * credit.shape[4]


def tables_of(result: StabilityResult) -> list[str]:
    return [each.title for each in result.sheets() if isinstance(each, Sheet)]


def test_rankings_are_compared_where_there_are_two():
    assert "Rank correlation of models, window 30 days" in tables_of(compare(PLANTED))
    assert tables_of(compare(PLANTED[:1])) == ["Shares of credit, window 7 days", "Shares of credit, window 30 days"]
    assert tables_of(compare(np.zeros((2, 1, 1, GROUPS, 0)))) == []
