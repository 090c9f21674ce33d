"""The state of a guardrail follows from its interval, and what nobody can tell is not called ok."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from microconv.config.guardrail_settings import GuardrailConfig
from microconv.guardrails.guardrail_states import counted_state, figure, mean_state, state_of
from microconv.stats.day_clusters import DayCount

FIRST = date(2026, 1, 1)
WINDOW = (FIRST, FIRST + timedelta(days=27))
BOUNCE = GuardrailConfig(name="bounce", metric="bounce_rate", at_most=0.5)
REFUNDS = GuardrailConfig(name="refunds", entry="refund", per="purchase", at_most=0.1)
SPEED = GuardrailConfig(name="speed", external="page_speed", at_most=2.5)


def days(*pairs: tuple[float, float], number: int = 28) -> list[DayCount]:
    return [DayCount(FIRST + timedelta(days=place), *pairs[place % len(pairs)]) for place in range(number)]


@pytest.mark.parametrize(
    ("low", "high", "upper", "lower"),
    [
        (0.51, 0.60, "breached", "ok"),
        (0.50, 0.60, "warning", "ok"),
        (0.45, 0.55, "warning", "warning"),
        (0.40, 0.50, "ok", "warning"),
        (0.40, 0.49, "ok", "breached"),
        (0.50, 0.50, "ok", "ok"),
    ],
)
def test_state_follows_from_the_interval_and_an_end_on_the_bound_is_not_beyond_it(low, high, upper, lower):
    assert state_of(low, high, 0.5, is_upper=True) == upper
    assert state_of(low, high, 0.5, is_upper=False) == lower


def test_point_beyond_the_bound_alone_is_a_warning_and_says_on_which_side():
    found = counted_state(BOUNCE, days((60, 100), (43, 100)), WINDOW)

    assert found.value == pytest.approx(0.515)
    assert found.state == "warning"
    assert "is beyond the bound" in found.says
    assert "is within the bound" in counted_state(BOUNCE, days((57, 100), (40, 100)), WINDOW).says


def test_whole_interval_beyond_the_bound_is_breached():
    found = counted_state(BOUNCE, days((60, 100), (61, 100)), WINDOW)

    assert (found.state, found.stops, found.says) == ("breached", True, "")
    assert found.words.startswith("guardrail bounce is breached: bounce rate 60.5% (95% interval ")
    assert found.words.endswith("at most 50.0%, in 28 days to 2026-01-28")


def test_too_few_units_or_days_say_how_many_there_are():
    few = counted_state(BOUNCE, days((3, 4), number=7), WINDOW)
    short = counted_state(BOUNCE, days((300, 1000), number=4), WINDOW)

    assert (few.state, few.says) == ("not measured", "not enough data: n = 28 sessions on 7 days")
    assert (short.state, short.says) == ("not measured", "not enough data: n = 4,000 sessions on 4 days")
    assert few.stops
    assert (few.value, few.low, few.high) == (None, None, None)


def test_nothing_counted_is_no_proof_where_it_was_counted_before():
    """70 refunds of 1,000 purchases before: 196 are to be expected of 2,800."""
    gone = counted_state(REFUNDS, days((0, 100)), WINDOW, before=(70, 1000))
    rare = counted_state(REFUNDS, days((0, 100)), WINDOW, before=(1, 1000))
    never = counted_state(REFUNDS, days((0, 100)), WINDOW, before=(0, 9000))

    assert gone.state == "not measured"
    assert "refund was not seen, where 196 were to be expected" in gone.says
    assert rare.state == "ok"
    assert never.state == "not measured"
    assert "not seen once" in never.says


def test_nothing_counted_of_what_there_must_be_is_breached():
    at_least = GuardrailConfig(name="help", entry="help", per="sessions", at_least=0.1)

    assert counted_state(at_least, days((0, 100)), WINDOW, before=(900, 1000)).state == "breached"


def test_actors_of_all_days_are_the_whole_and_not_those_of_each_day():
    config = GuardrailConfig(name="errors", event="exception", per="actors", at_most=0.1)

    found = counted_state(config, days((10, 100)), WINDOW, actors=700)

    assert found.value == pytest.approx(280 / 700)
    assert (found.units, found.of_how_many) == (700, "700 actors")


def test_mean_of_daily_values_needs_some_days():
    values = [(day.day, day.counted) for day in days((2.0, 1), (2.2, 1))]

    found = mean_state(SPEED, values, WINDOW)

    assert (found.state, found.value) == ("ok", pytest.approx(2.1))
    thin = mean_state(SPEED, values[:4], WINDOW)
    assert thin.says == "not enough data: n = 4 days with a value from 2026-01-01 to 2026-01-28"


COMPLAINTS = GuardrailConfig(name="complaints", external="complaints", at_most=0.1)


def test_days_without_a_complaint_do_not_say_that_there_will_be_none():
    """Of five days, up to 0.74 a day are possible: 3.69 / 5 (Garwood, 1936)."""
    found = mean_state(COMPLAINTS, [(day.day, 0.0) for day in days((0, 1), number=5)], WINDOW)

    assert found.state == "warning"
    assert found.high is not None
    assert found.high >= 0.737
    assert found.low == 0


def test_a_value_that_never_changes_is_not_measured():
    found = mean_state(SPEED, [(day.day, 2.6) for day in days((2.6, 1))], WINDOW)

    assert (found.state, found.value) == ("not measured", None)
    assert found.says.startswith("it is the same on each of these days")
    hours = GuardrailConfig(name="hours", entry="refund", per="purchase", at_most=0.1)
    assert counted_state(hours, days((0.5, 40)), WINDOW).state == "not measured"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        *((0.012345, "0.0123"), (0.5, "0.500"), (0, "0"), (4.567, "4.57")),
        *((12.34, "12.3"), (1234.5, "1,234"), (-0.02, "-0.0200")),
    ],
)
def test_figures_are_written_with_three_digits_that_count(value, written):
    assert figure(value) == written
