"""What a variant changes, against figures that GrowthBook publishes for its statistics and that R prints."""

from __future__ import annotations

import math

import pytest

from microconv.stats.effects import (
    Side,
    VariantEffect,
    anytime_valid,
    anytime_width,
    effect,
    fixed_horizon,
    posterior,
)
from microconv.stats.moments import (
    AdjustedRatioSums,
    AdjustedSums,
    MeanSums,
    RatioSums,
    VariantMoments,
    adjusted_pair,
    covariance,
)

CONTROL, TREATED = MeanSums(3407, 1396.87, 52377.9767), MeanSums(3461, 2422.7, 134698.29)
FEWER = MeanSums(3000, 1396.87, 52377.9767)
DIGITS = 5e-6


def found(control: VariantMoments, treated: VariantMoments, *, is_relative: bool = True) -> VariantEffect:
    """The effect, which is there."""
    told = effect(control, treated, is_relative=is_relative)
    assert told is not None
    return told


def adjusted_ratio(*sums: float, n: int = 100) -> AdjustedRatioSums:
    """Sums and squares of top and bottom after and before, then the six sums of products."""
    values = [MeanSums(n, *sums[place : place + 2]) for place in range(0, 8, 2)]
    return AdjustedRatioSums(*values, *sums[8:])


RATIO_CONTROL = adjusted_ratio(
    *(485.112236689623, 2715.484666118136, 679.9093275844917, 4939.424001640236),
    *(192.59138069991536, 460.076026390857, 290.1398399750233, 920.9461385038898),
    *(3602.146836776702, 1113.6215759318352, 1559.2878434944676),
    *(1460.3181079276983, 2130.9404074446747, 634.239482353647),
)
RATIO_TREATED = adjusted_ratio(
    *(514.7757826608777, 2994.897482705013, 705.4090874383759, 5291.36604146392),
    *(206.94157227402536, 514.2903702246757, 302.54389139107326, 994.4506208125663),
    *(3918.1561431600717, 1237.0953021125997, 1701.0287270040265),
    *(1604.0759503266522, 2292.081739775257, 698.4173425817908),
)
BEFORE = (
    AdjustedSums(FEWER, MeanSums(3000, 16.87, 527.9767), 1),
    AdjustedSums(TREATED, MeanSums(3461, 22.7, 1348.29), 1),
)
"""Sums of the tests that GrowthBook publishes."""


@pytest.mark.parametrize(
    ("control", "treated", "is_relative", "published"),
    [
        (CONTROL, TREATED, True, (0.70732, -0.03526, 1.44989, 0.06191)),
        (CONTROL, TREATED, False, (0.29, 0.04538, 0.53462, 0.02016)),
        (MeanSums.of_share(28, 14), MeanSums.of_share(30, 16), True, (0.06667, -0.47767, 0.61101, 0.80707)),
        (RATIO_CONTROL, RATIO_TREATED, True, (-0.0007, -0.00841, 0.00700, 0.85771)),
    ],
    ids=["relative", "absolute", "shares", "ratio-adjusted-by-a-ratio"],
)
def test_welch_from_sums_is_the_published_test(control, treated, is_relative, published):
    assert fixed_horizon(found(control, treated, is_relative=is_relative)) == pytest.approx(published, abs=DIGITS)


@pytest.mark.parametrize(
    ("side", "is_relative", "published"),
    [
        ("greater", True, (0.5033610858562358, -0.045136675850396046, math.inf, 0.06558262868467746)),
        ("greater", False, (0.23437666666666668, 0.020791480063255735, math.inf, 0.03554272489873023)),
        ("less", True, (0.5033610858562358, -math.inf, 1.0518588475628676, 0.9344173713153225)),
        ("less", False, (0.23437666666666668, -math.inf, 0.44796185327007765, 0.9644572751012698)),
    ],
)
def test_one_sided_tests_are_the_published_ones(side: Side, is_relative, published):
    told = fixed_horizon(found(FEWER, TREATED, is_relative=is_relative), side=side)
    assert told == pytest.approx(published, rel=1e-12)


@pytest.mark.parametrize(
    ("control", "treated", "tuning", "published"),
    [
        (FEWER, TREATED, 1_000, (0.50336, -0.55844, 1.56516, 1)),
        (MeanSums.of_share(3000, 1396), MeanSums.of_share(3461, 2422), 5_000, (0.50386, 0.40098, 0.60675, 0)),
        (*BEFORE, 5_000, (0.50338, -0.50969, 1.51646, 1)),
        (RATIO_CONTROL, RATIO_TREATED, 5_000, (-0.0007, -0.02063, 0.01923, 1)),
    ],
    ids=["means", "shares", "adjusted", "ratio-adjusted-by-a-ratio"],
)
def test_anytime_valid_intervals_are_the_published_ones(control, treated, tuning, published):
    assert anytime_valid(found(control, treated), tuning=tuning) == pytest.approx(published, abs=DIGITS)


@pytest.mark.parametrize(
    ("side", "is_relative", "published"),
    [
        ("greater", True, (0.5033610858562358, -0.42356454602790883, math.inf, 0.4999)),
        ("greater", False, (0.23437666666666668, -0.12656844172804982, math.inf, 0.46316491943359384)),
        ("less", True, (0.5033610858562358, -math.inf, 1.4302867177403806, 0.4999)),
        ("less", False, (0.23437666666666668, -math.inf, 0.5953217750613832, 0.4999)),
    ],
)
def test_one_sided_anytime_valid_tests_are_the_published_ones(side: Side, is_relative, published):
    told = anytime_valid(found(FEWER, TREATED, is_relative=is_relative), side=side)
    assert told == pytest.approx(published, rel=1e-12)


def test_standard_errors_are_the_published_ones():
    assert found(CONTROL, TREATED).error == pytest.approx(0.37879, abs=DIGITS)
    assert found(CONTROL, TREATED, is_relative=False).error == pytest.approx(0.12478, abs=DIGITS)
    assert found(RATIO_CONTROL, RATIO_TREATED).error == pytest.approx(0.00391, abs=DIGITS)
    assert found(*BEFORE).error == pytest.approx(0.33341, abs=DIGITS)


@pytest.mark.parametrize("tuning", [10, 10_000])
def test_anytime_valid_interval_is_tightest_at_the_number_it_is_tuned_to(tuning):
    told = found(FEWER, TREATED)
    assert anytime_width(told, 0.95, tuning=told.n) < anytime_width(told, 0.95, tuning=tuning)


def test_anytime_valid_p_value_is_the_tail_at_which_the_interval_ends_at_nothing():
    told = VariantEffect(3.6, 1.0, 999.0, 1_000)
    tail = anytime_valid(told).p_value
    mixture = (-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / 5_000
    scale = 1_000 * mixture + 1
    assert 0 < tail < 1
    assert math.sqrt(2 * scale * math.log(math.sqrt(scale) / tail) / (1_000 * mixture)) == pytest.approx(3.6)


def test_margin_moves_what_is_tested_and_not_the_interval():
    told = found(CONTROL, TREATED, is_relative=False)
    plain, moved = (fixed_horizon(told, side="greater", null=null) for null in (0.0, -0.1))
    assert moved.low == plain.low
    assert moved.p_value < plain.p_value
    anyway = anytime_valid(told, side="greater", null=told.estimate)
    assert anyway.p_value == 0.4999


@pytest.mark.parametrize(
    ("control", "treated", "prior", "published"),
    [
        (
            MeanSums.of_share(100, 49),
            MeanSums.of_share(100, 51),
            {},
            (0.04082, 0.14725, -0.24779, 0.32943, 0.60918, 0.0814, 0.04058),
        ),
        (
            MeanSums(10, 100, 1002.25),
            MeanSums(10, 105, 1111.5),
            {},
            (0.05, 0.03572, -0.02, 0.12, 0.91923, 0.05131, 0.00131),
        ),
        (
            MeanSums(10, 100, 1002.25),
            MeanSums(10, 105, 1111.5),
            {"prior_mean": 0.1, "prior_variance": 0.1},
            (0.05063, 0.03549, -0.01893, 0.12019, 0.92315, 0.05186, 0.00123),
        ),
    ],
    ids=["shares", "means", "with-a-prior"],
)
def test_chance_and_risk_are_the_published_ones(control, treated, prior, published):
    assert posterior(found(control, treated), **prior) == pytest.approx(published, abs=DIGITS)


def test_variances_are_those_of_the_values_themselves():
    values, others = [0.3, 0.5, 0.9, 22], [2, 1, 5, 3]
    one = MeanSums(4, sum(values), sum(each**2 for each in values))
    other = MeanSums(4, sum(others), sum(each**2 for each in others))
    products = sum(a * b for a, b in zip(values, others, strict=True))
    mean = sum(values) / 4
    assert one.variance == pytest.approx(sum((each - mean) ** 2 for each in values) / 3)
    assert covariance(one, other, products) == pytest.approx(
        sum((a - mean) * (b - 2.75) for a, b in zip(values, others, strict=True)) / 3
    )
    assert MeanSums.of_share(4, 3).variance == pytest.approx(0.75 * 0.25)


def test_ratio_of_constants_per_actor_has_no_spread():
    twice = RatioSums(MeanSums(3, 12, 56), MeanSums(3, 6, 14), 28)
    assert twice.mean == 2
    assert twice.variance == pytest.approx(0)


def test_a_period_before_that_tells_all_leaves_no_spread_and_one_that_tells_nothing_changes_nothing():
    control, treated = MeanSums(4, 10, 30), MeanSums(4, 14, 54)
    told = adjusted_pair(AdjustedSums(control, MeanSums(4, 10, 30), 30), AdjustedSums(treated, MeanSums(4, 10, 30), 40))
    assert told[0].variance < control.variance
    flat = MeanSums(4, 4, 4)
    assert adjusted_pair(AdjustedSums(control, flat, 10), AdjustedSums(treated, flat, 14)) == (control, treated)
    ratio = AdjustedRatioSums(control, flat, flat, flat, 10, 10, 10, 4, 4, 4)
    assert adjusted_pair(ratio, ratio) == (ratio.after, ratio.after)


@pytest.mark.parametrize(
    ("control", "treated"),
    [
        (MeanSums(1, 1, 1), TREATED),
        (MeanSums.of_share(50, 0), MeanSums.of_share(50, 10)),
        (MeanSums(0, 0, 0), MeanSums(0, 0, 0)),
        (RatioSums(MeanSums(9, 0, 0), MeanSums(9, 0, 0), 0), RatioSums(MeanSums(9, 9, 9), MeanSums(9, 9, 9), 9)),
    ],
    ids=["one-actor", "nobody", "no-actors", "nothing-to-count-per"],
)
def test_what_cannot_be_told_is_not_told(control, treated):
    assert effect(control, treated, is_relative=True) is None
    assert effect(control, treated, is_relative=False) is None


def test_of_a_control_of_nothing_there_is_a_difference_and_no_relative_change():
    control, treated = MeanSums(4, 0, 4), MeanSums(4, 4, 8)
    assert effect(control, treated, is_relative=True) is None
    assert found(control, treated, is_relative=False).estimate == 1


def test_a_loss_that_gets_smaller_is_a_rise():
    control, treated = MeanSums(100, -1_000, 20_000), MeanSums(100, -500, 12_000)
    relative, absolute = found(control, treated), found(control, treated, is_relative=False)
    assert (relative.estimate, absolute.estimate) == (0.5, 5.0)
    mirrored = found(MeanSums(100, 1_000, 20_000), MeanSums(100, 500, 12_000))
    assert (mirrored.estimate, mirrored.error) == (-0.5, relative.error)


@pytest.mark.parametrize("error", [0.0, math.nan])
def test_an_effect_without_an_error_is_refused(error):
    for asked in (fixed_horizon, anytime_valid, posterior):
        with pytest.raises(ValueError, match="standard error above 0"):
            asked(VariantEffect(1.0, error, 10.0, 12))


TESTS, DAYS, A_DAY = 400, 28, 60


def false_findings(*, is_anytime: bool) -> float:
    """The share of tests of nothing in which a difference is found: on any day, or at the end."""
    import numpy as np

    rng = np.random.default_rng(20_261_129)
    done = rng.binomial(A_DAY, 0.1, (TESTS, 2, DAYS)).cumsum(axis=2)
    wrong = 0
    for test in done:
        looks = range(DAYS) if is_anytime else (DAYS - 1,)
        for day in looks:
            variants = [MeanSums.of_share(A_DAY * (day + 1), int(each[day])) for each in test]
            told = effect(*variants, is_relative=False)
            if told is not None and (anytime_valid(told) if is_anytime else fixed_horizon(told)).p_value < 0.05:
                wrong += 1
                break
    return wrong / TESTS


def test_looking_every_day_finds_nothing_in_nothing_more_often_than_said():
    assert false_findings(is_anytime=True) <= 0.05


def test_fixed_horizon_is_wrong_as_often_as_it_says():
    assert false_findings(is_anytime=False) == pytest.approx(0.05, abs=2.6 * math.sqrt(0.05 * 0.95 / TESTS))
