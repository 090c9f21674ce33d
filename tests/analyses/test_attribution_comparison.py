"""How stable attribution is, from the engine: planted truths, empty data, and what is said about chance."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asking import CONFIG, answer
from microconv.analyses.attribution import recalculation
from microconv.analyses.attribution.agreement import AttributionComparison
from microconv.analyses.attribution.attribution_question import AttributionQuestion
from microconv.analyses.attribution.credits import Attribution, AttributionResult
from microconv.analyses.attribution.stability import StabilityResult
from microconv.engines.base import Engine
from microconv.taxonomy import load_taxonomy
from staged_rows import DAY, IN_MEMORY, SECOND, Row, at, occurrence, session, staged

TAXONOMY = load_taxonomy(preset="ecommerce", file=None)
MODELS = ("first", "last", "linear", "markov", "shapley")


def asked(kind: type[AttributionQuestion], **fields: Any) -> AttributionQuestion:
    return kind.asked(CONFIG, {"windows": ("1d", "7d"), "models": MODELS} | fields)


def compare(engine: Engine, **fields: Any) -> StabilityResult:
    return answer(engine, asked(AttributionComparison, **fields), TAXONOMY)


def attribution(engine: Engine, **fields: Any) -> AttributionResult:
    return answer(engine, asked(Attribution, **fields), TAXONOMY)


def journeys() -> dict[str, list[Row]]:
    """120 actors over three weeks: Email first, two days later Display; every second one converts."""
    rows: dict[str, list[Row]] = {"mc_sessions": [], "mc_micro_conversions": []}
    for actor in range(1, 121):
        start = (actor % 3) * 7 * DAY
        for place, channel in enumerate(["Email", "Display"]):
            us = start + place * 2 * DAY
            rows["mc_sessions"].append(session(us, 2 * actor + place, channel, actor=actor, session_date=at(us).date()))
        if actor % 2:
            rows["mc_micro_conversions"].append(occurrence(start + 2 * DAY + SECOND, "purchase", client=actor, value=1))
    return rows


def test_shares_are_those_of_attribution_in_every_model_and_window():
    with staged(IN_MEMORY, **journeys()) as engine:
        found, credited = compare(engine), attribution(engine)
    shares = {(row.model, row.window, row.touchpoint): row.share for row in found.shares}
    for row in credited.results:
        assert shares[row.model, row.window, row.touchpoint] == pytest.approx(row.credit / 60, abs=1e-9)
    assert shares["first", "7d", "Email"] == shares["last", "7d", "Display"] == 1.0
    assert shares["last", "1d", "Email"] == 0.0


def test_weeks_and_chance_are_looked_at_for_every_model():
    with staged(IN_MEMORY, **journeys()) as engine:
        found = compare(engine)
    email = next(touchpoint for touchpoint in found.touchpoints if touchpoint.touchpoint == "Email")
    assert email.over_weeks is not None
    assert email.over_weeks.low.week in ("2024-02-26", "2024-03-04", "2024-03-11", "2024-03-18")
    # All journeys are alike, so chance moves nothing.
    assert email.intervals == ()
    assert set(attribution_assumptions()) < set(found.assumptions)
    assert any("200 resamplings, each solved anew" in said for said in found.assumptions)


def attribution_assumptions() -> tuple[str, ...]:
    with staged(IN_MEMORY) as engine:
        return attribution(engine, models=MODELS[:3]).assumptions[:4]


def test_chance_is_estimated_for_models_that_learn_from_paths():
    rows = journeys()
    # Half of those who convert came by Display alone.
    rows["mc_sessions"] = [
        row for row in rows["mc_sessions"] if not (row["channel_group"] == "Email" and row["actor_key"] % 4 == 1)
    ]
    with staged(IN_MEMORY, **rows) as engine:
        found = compare(engine)
    email = next(touchpoint for touchpoint in found.touchpoints if touchpoint.touchpoint == "Email")
    assert {interval.model for interval in email.intervals} == {"first", "linear", "markov", "shapley"}
    for interval in email.intervals:
        assert interval.low < interval.share < interval.high


def test_too_many_paths_are_not_resampled_and_that_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recalculation, "MOST_RESAMPLED_STEPS", 0)
    with staged(IN_MEMORY, **journeys()) as engine:
        found = compare(engine)
    assert any("chance is not estimated" in said for said in found.assumptions)


def test_days_bound_the_weeks():
    with staged(IN_MEMORY, **journeys()) as engine:
        found = compare(engine, models=("first",), since=at(0).date(), until=at(6 * DAY).date())
    for touchpoint in found.touchpoints:
        assert touchpoint.over_weeks is not None
        assert touchpoint.over_weeks.low.week == touchpoint.over_weeks.high.week == "2024-02-26"


@pytest.mark.parametrize("models", [("first",), ("markov", "shapley"), MODELS])
@pytest.mark.parametrize(
    "rows", [{}, {"mc_micro_conversions": [occurrence(0, "purchase")]}], ids=["empty", "untouched"]
)
def test_nothing_to_compare_is_said(rows: dict[str, list[Row]], models: tuple[str, ...]):
    with staged(IN_MEMORY, **rows) as engine:
        found = compare(engine, models=models)
    assert found.touchpoints == ()
    assert found.sentence
    json.dumps(found.document(), allow_nan=False)


def test_one_actor_is_too_few_for_chance():
    rows = {
        "mc_sessions": [session(0, 1, "Email", session_date=at(0).date())],
        "mc_micro_conversions": [occurrence(SECOND, "purchase")],
    }
    with staged(IN_MEMORY, **rows) as engine:
        found = compare(engine)
    assert found.touchpoints[0].intervals == ()
    assert found.touchpoints[0].widest_swing is not None


def test_actors_beyond_the_limit_of_pairs_are_no_part_of_the_comparison(monkeypatch: pytest.MonkeyPatch):
    rows = journeys()
    robot = [session(key, 1_000 + key, "Referral", actor=500, session_date=at(0).date()) for key in range(5)]
    bought = [occurrence(DAY, "purchase", client=500), occurrence(8 * DAY, "purchase", client=500)]
    with_robot = {name: rows[name] + more for name, more in zip(rows, (robot, bought), strict=True)}
    with staged(IN_MEMORY, **with_robot) as engine:
        assert "Referral" in {touchpoint.touchpoint for touchpoint in compare(engine).touchpoints}
        monkeypatch.setattr("microconv.analyses.attribution.attribution_question.MOST_PAIRS", 9)
        found = compare(engine)
    with staged(IN_MEMORY, **rows) as engine:
        without = compare(engine)
    assert (found.shares, found.touchpoints, found.correlations) == (
        without.shares,
        without.touchpoints,
        without.correlations,
    )
    (said,) = set(found.assumptions) - set(without.assumptions)
    assert said == (
        "Actors with more than 9 pairs of touchpoints and conversions, as robots have, are left out: "
        "their 2 conversions count as untouched."
    )
