"""The sample-ratio test finds a split that went wrong, and where; sample sizes are those that R prints."""

from __future__ import annotations

import math

import numpy as np
import pytest

from microconv.stats.sample_ratio import FAILS_BELOW, located, split_test
from microconv.stats.sample_sizes import (
    actors_for_effect,
    actors_for_means,
    actors_for_shares,
    power_of,
    share_variance,
    smallest_relative_lift,
)

LEVELS = {
    "device": {"desktop": 0.45, "mobile": 0.4, "tablet": 0.15},
    "country": {"DE": 0.4, "FR": 0.3, "US": 0.2, "IT": 0.1},
    "day": {f"2024-03-{day:02}": 0.1 for day in range(1, 11)},
}


def test_split_is_tested_as_published():
    assert split_test([1000, 1200], [0.5, 0.5]).p_value == pytest.approx(0.000020079, abs=5e-10)
    assert split_test([700, 300], [0.7, 0.3]).p_value == 1


def test_too_few_actors_say_nothing():
    assert not split_test([9, 0], [0.5, 0.5]).is_told
    assert located({"DE": (9, 0), "FR": (5, 4)}, [0.5, 0.5]) == []


def test_actors_where_none_may_be_are_a_wrong_split():
    found = split_test([100, 5], [1, 0])
    assert (found.p_value, found.is_told) == (0.0, True)
    (only,) = located({"mobile": (50, 2), "desktop": (50, 0)}, [1, 0])
    assert only.level == "mobile"


def test_a_variant_that_should_have_none_and_has_none_counts_for_nothing():
    assert split_test([1000, 0, 1200], [0.5, 0, 0.5]) == split_test([1000, 1200], [0.5, 0.5])
    assert not split_test([100, 0], [1, 0]).is_told


@pytest.mark.parametrize(
    ("actors", "shares"),
    [
        ([math.nan, 100], [0.5, 0.5]),
        ([-100, 300], [0.5, 0.5]),
        ([100, 100], [math.nan, 0.5]),
        ([100, 100], [-0.5, 1.5]),
        ([100, 100], [0, 0]),
    ],
)
def test_what_cannot_be_a_split_is_refused(actors, shares):
    with pytest.raises(ValueError, match="actors and shares"):
        split_test(actors, shares)


def planted(seed: int) -> tuple[str, str, dict[str, dict[str, list[int]]]]:
    """20,000 actors, of whom some of one variant are lost at one level of one dimension; and what was planted."""
    rng = np.random.default_rng(seed)
    dimension = list(LEVELS)[seed % 3]
    wrong = list(LEVELS[dimension])[seed % len(LEVELS[dimension])]
    number = 20_000
    variant = rng.integers(0, 2, number)
    drawn = {name: rng.choice(list(shares), number, p=list(shares.values())) for name, shares in LEVELS.items()}
    lost = (drawn[dimension] == wrong) & (variant == 1) & (rng.random(number) < 0.35)
    counted = {
        name: {
            level: [int(((levels == level) & (variant == side) & ~lost).sum()) for side in (0, 1)]
            for level in LEVELS[name]
        }
        for name, levels in drawn.items()
    }
    return dimension, wrong, counted


def test_a_wrong_split_is_found_and_located_in_19_of_20_plants():
    right = 0
    for seed in range(20):
        dimension, wrong, counted = planted(seed)
        whole = [sum(column) for column in zip(*counted["device"].values(), strict=True)]
        places = [
            (each.statistic, name, each.level)
            for name, levels in counted.items()
            for each in located(levels, [0.5, 0.5])
        ]
        is_found = split_test(whole, [0.5, 0.5]).p_value < FAILS_BELOW or bool(places)
        right += is_found and bool(places) and max(places)[1:] == (dimension, wrong)
    assert right >= 19


def test_a_right_split_is_nowhere_wrong():
    rng = np.random.default_rng(1)
    even = [rng.multinomial(4_000, [0.5, 0.5]).tolist() for _ in range(40)]
    assert located({str(place): actors for place, actors in enumerate(even)}, [0.5, 0.5]) == []


def test_level_names_its_actors_and_what_is_left_without_it():
    (only,) = located({"mobile": (1_000, 700), "desktop": (1_000, 1_010)}, [0.5, 0.5])
    assert (only.level, only.actors) == ("mobile", (1_000, 700))
    assert only.rest_p_value == pytest.approx(split_test([1_000, 1_010], [0.5, 0.5]).p_value)
    assert only.is_alone
    everywhere = located({"mobile": (1_000, 700), "desktop": (1_000, 700)}, [0.5, 0.5])
    assert [each.is_alone for each in everywhere] == [False, False]


@pytest.mark.parametrize(
    ("base", "other", "power", "printed"),
    [(0.5, 0.75, 0.9, 76.7), (0.2, 0.25, 0.8, 1093.739), (0.1, 0.12, 0.8, 3840.8)],
)
def test_actors_for_shares_are_those_of_power_prop_test(base, other, power, printed):
    assert actors_for_shares(base, other, power=power) == pytest.approx(printed, abs=0.06)


def test_actors_for_means_are_those_of_power_t_test():
    assert actors_for_means(1, 1, power=0.9) == pytest.approx(22.02110, abs=5e-6)
    assert actors_for_means(1, 0.5) == pytest.approx(63.76576, abs=5e-6)


def test_power_is_the_published_one_of_a_running_test():
    # 500 actors a side, mean 1 and 1.05, variance 2: so many more as GrowthBook publishes give a power of 80%.
    relative = 2.0040080160320643 / 500 + 2.0040080160320643 * 1.05**2 / 500
    error = math.sqrt(2.004008 / 500 + 2.004008 * 1.05**2 / 500)
    assert error == pytest.approx(math.sqrt(relative), abs=1e-6)
    for tuning, published in ((None, 25.45703125), (5_000, 55.66796875)):
        needed = actors_for_effect(0.05, error**2 * 1_000, tuning=tuning)
        assert needed is not None
        assert needed / 1_000 - 1 == pytest.approx(published, rel=2e-3)
        n = round(needed)
        assert power_of(0.05, error * math.sqrt(1_000 / n), n=n, tuning=tuning) == pytest.approx(0.8, abs=1e-4)


def test_more_tests_at_once_need_more_actors():
    one, three = (actors_for_effect(0.01, share_variance(0.1, 0.11), tests=tests) for tests in (1, 3))
    assert one is not None
    assert three is not None
    assert three > one * 1.2


def test_smallest_lift_is_the_one_that_needs_so_many_actors():
    lift = smallest_relative_lift(0.2, 1093.739)
    assert lift == pytest.approx(0.25, abs=1e-5)
    assert smallest_relative_lift(0.2, 3) is None
    assert smallest_relative_lift(0.0, 1_000) is None


def test_nothing_to_find_needs_no_number():
    assert actors_for_shares(0.1, 0.1) is None
    assert actors_for_shares(0.1, 1.1) is None
    assert actors_for_means(1, 0) is None
    assert actors_for_effect(0, 1) is None
    assert actors_for_effect(1e-12, 1) is None


def test_what_is_no_number_needs_no_number_of_actors_but_an_answer():
    for asked in (
        lambda: actors_for_shares(math.nan, 0.1),
        lambda: actors_for_means(math.nan, 1),
        lambda: actors_for_means(1, 1, power=math.nan),
        lambda: actors_for_effect(math.nan, 1),
        lambda: power_of(1, math.nan),
        lambda: smallest_relative_lift(0.2, math.nan),
    ):
        with pytest.raises(ValueError, match="not all of these are numbers"):
            asked()
