"""What attribution returns and says about itself; that its figures are right is in `test_attribution_models.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from asking import CONFIG, answer
from microconv.analyses.attribution.credits import Attribution, AttributionResult
from microconv.config.attribution_settings import AttributionConfig
from microconv.config.sections import Config
from microconv.errors import ConfigError, TaxonomyError, UsageError
from microconv.taxonomy import load_taxonomy
from staged_rows import DAY, IN_MEMORY, SECOND, Row, day, occurrence, session, shard, staged

TAXONOMY = load_taxonomy(preset="ecommerce", file=None)
MODELS = ("first", "last", "last_non_direct", "linear", "time_decay", "position")
ALL_MODELS = (*MODELS, "markov", "shapley")


def question(*windows: str, models: tuple[str, ...] = MODELS, **fields: Any) -> Attribution:
    return Attribution.asked(CONFIG, {"windows": windows, "models": models, **fields})


JOURNEY: dict[str, list[Row]] = {
    "mc_sessions": [
        session(0, 1, "Email"),
        session(6 * DAY, 2, "Paid Search"),
        session(7 * DAY, 3, "Direct"),
        session(0, 4, "Email", actor=2),
    ],
    "mc_micro_conversions": [
        occurrence(7 * DAY, "purchase", value=100.0, transaction_id="t1"),
        occurrence(8 * DAY, "purchase", place=1, value=100.0, transaction_id="t1"),
        occurrence(7 * DAY, "purchase", client=3, value=20.0),
        occurrence(7 * DAY, "purchase", client=4),
    ],
}


def ask(rows: dict[str, list[Row]], asked: Attribution) -> AttributionResult:
    with staged(IN_MEMORY, **rows) as engine:
        return answer(engine, asked, TAXONOMY)


def credit_of(result: AttributionResult, model: str, window: str = "7d") -> dict[str, float]:
    return {row.touchpoint: row.credit for row in result.results if (row.model, row.window) == (model, window)}


def test_credits_and_untouched_sum_to_the_conversions():
    result = ask(JOURNEY, question("1d", "7d", models=ALL_MODELS))
    assert (result.goal, result.conversions, result.value) == ("purchase", 3, 120.0)
    assert [(row.window, row.conversions, row.value) for row in result.untouched] == [("1d", 2, 20.0), ("7d", 2, 20.0)]
    for model in ALL_MODELS:
        for window in ("1d", "7d"):
            rows = [row for row in result.results if (row.model, row.window) == (model, window)]
            assert sum(row.credit for row in rows) == pytest.approx(1.0, abs=1e-9)
            assert sum(row.value for row in rows) == pytest.approx(100.0, abs=1e-5)


def test_rows_come_by_model_as_configured_then_window_then_credit():
    with staged(IN_MEMORY, **JOURNEY) as engine:
        result = answer(engine, question("1d", "7d", models=("position", "last_non_direct")), TAXONOMY)
    assert [(row.model, row.window, row.touchpoint, row.credit) for row in result.results] == [
        ("position", "1d", "Direct", 0.5),
        ("position", "1d", "Paid Search", 0.5),
        ("position", "7d", "Direct", 0.4),
        ("position", "7d", "Email", 0.4),
        ("position", "7d", "Paid Search", 0.2),
        ("last_non_direct", "1d", "Paid Search", 1.0),
        ("last_non_direct", "1d", "Direct", 0.0),
        ("last_non_direct", "7d", "Paid Search", 1.0),
        ("last_non_direct", "7d", "Direct", 0.0),
        ("last_non_direct", "7d", "Email", 0.0),
    ]


def test_assumptions_say_what_the_models_in_use_rest_on():
    with staged(IN_MEMORY) as engine:
        few = answer(engine, question("7d", models=("last",)), TAXONOMY).assumptions
        all_models = answer(engine, question("7d", half_life="36h"), TAXONOMY).assumptions
    assert set(few) < set(all_models)
    assert [said for said in all_models if said not in few] == [
        "time_decay halves the weight of a touchpoint for every 36 hours before the conversion.",
        (
            "position gives 40.0% to the first touchpoint, 40.0% to the last, 20.0% to all between; "
            "with only two, 50.0% each."
        ),
    ]


def test_empty_tables_give_zeros():
    with staged(IN_MEMORY) as engine:
        result = answer(engine, question("1d", "7d"), TAXONOMY)
    assert (result.conversions, result.value, result.results) == (0, 0.0, ())
    assert [(row.window, row.conversions, row.value) for row in result.untouched] == [("1d", 0, 0.0), ("7d", 0, 0.0)]


@pytest.mark.parametrize("preset", ["ecommerce", "saas", "publisher", "lead_generation", "mobile_app"])
def test_without_a_goal_the_first_macro_conversion_is_credited(preset: str):
    taxonomy = load_taxonomy(preset=preset, file=None)
    goal = taxonomy.macros[0]
    rows = {"mc_sessions": [session(0, 1, "Email")], "mc_micro_conversions": [occurrence(SECOND, goal)]}
    with staged(IN_MEMORY, **rows) as engine:
        result = answer(engine, Attribution.asked(CONFIG, {}), taxonomy)
    assert (result.goal, result.conversions) == (goal, 1)
    assert credit_of(result, "last") == {"Email": 1.0}


def configured(**keys: Any) -> Config:
    return CONFIG.model_copy(update={"attribution": AttributionConfig.model_validate(keys)})


def test_days_do_not_hide_that_conversions_reset():
    config = configured(goal="purchase", reset_after_conversion=True, windows=["30d"])
    asked = Attribution.asked(config, {"since": day(2), "windows": ["7d"]})
    with staged(IN_MEMORY, **JOURNEY) as engine:
        result = answer(engine, asked, TAXONOMY)
    assert (result.reset_after_conversion, result.since, result.until) == (True, day(2), None)
    kept = json.loads(asked.model_dump_json())
    assert (kept["reset_after_conversion"], kept["since"], kept["windows"]) == (True, "2024-03-02", ["7d"])
    assert Attribution.model_validate(kept) == asked


def test_another_kind_of_touchpoint_drops_what_goes_with_the_configured_one(tmp_path: Path):
    named = configured(touchpoint="micro_conversion", micro_conversions=["view_item"])
    assert Attribution.asked(named, {}).micro_conversions == ("view_item",)
    assert Attribution.asked(named, {"touchpoint": "micro_conversion"}).micro_conversions == ("view_item",)
    assert Attribution.asked(named, {"touchpoint": "campaign"}).micro_conversions == ()
    with pytest.raises(UsageError, match="micro_conversions"):
        Attribution.asked(named, {"touchpoint": "campaign", "micro_conversions": ["search"]})

    paid = configured(spend_table="costs")
    assert Attribution.asked(paid, {"touchpoint": "campaign"}).spend_table == "costs"
    assert Attribution.asked(paid, {"touchpoint": "micro_conversion"}).spend_table is None
    of_file = Attribution.asked(paid, {"spend_file": tmp_path / "spend.csv"})
    assert (of_file.spend_file, of_file.spend_table) == (tmp_path / "spend.csv", None)


def test_unknown_conversion_names_the_key():
    with staged(IN_MEMORY) as engine, pytest.raises(TaxonomyError, match=r"attribution\.goal.*purchased"):
        answer(engine, question("7d", goal="purchased"), TAXONOMY)


def test_weights_hold_out_to_a_thousand_half_lives():
    rows = {
        "mc_sessions": [session(0, 1, "Email"), session(SECOND, 2, "Display")],
        "mc_micro_conversions": [occurrence(1_000 * SECOND, "purchase")],
    }
    result = ask(rows, question("1000s", models=("time_decay",), half_life="1s"))
    assert {row.touchpoint: row.credit for row in result.results} == {
        "Email": pytest.approx(1 / 3, abs=1e-9),
        "Display": pytest.approx(2 / 3, abs=1e-9),
    }


def test_half_life_too_short_for_the_window_is_refused():
    with (
        staged(IN_MEMORY) as engine,
        pytest.raises(ConfigError, match="half_life of 1s is too short for the window 30d"),
    ):
        answer(engine, question("1d", "30d", half_life="1s"), TAXONOMY)


def test_markov_and_shapley_learn_from_paths_and_say_what_they_are():
    rows = {
        "mc_sessions": [
            *(session(0, key, "Email", actor=key, session_date=day(1)) for key in range(1, 11)),
            *(session(SECOND, 10 + key, "Display", actor=key, session_date=day(1)) for key in range(5, 11)),
            session(0, 30, "Referral", actor=30, session_date=day(1)),
        ],
        "mc_micro_conversions": [occurrence(2 * SECOND, "purchase", client=key) for key in range(1, 11)],
    }
    result = ask(rows, question("7d", models=("shapley", "markov")))
    # The published case {a: 4, a>b: 6}: a 7, b 3.
    assert credit_of(result, "shapley") == {"Email": 7.0, "Display": 3.0}
    assert result.shapley_game == "conversions"
    assert [(row.touchpoint, row.effect) for row in result.removal_effects] == [
        ("Email", pytest.approx(1.0)),
        ("Display", pytest.approx(0.6)),
    ]
    assert credit_of(result, "markov") == {"Email": pytest.approx(10 / 1.6), "Display": pytest.approx(6 / 1.6)}
    assert result.shortened_journeys == (0,)
    assert any('the game "conversions"' in said for said in result.assumptions)
    assert any(said.startswith("markov (order 1)") for said in result.assumptions)


def test_path_transform_changes_paths_and_not_rules():
    rows = {
        "mc_sessions": [
            session(key * SECOND, key, channel, session_date=day(1))
            for key, channel in enumerate(["Email", "Email", "Display", "Email"])
        ],
        "mc_micro_conversions": [occurrence(9 * SECOND, "purchase")],
    }
    results = [ask(rows, question("7d", models=ALL_MODELS, path=path)) for path in ("unique", "exposure", "first")]
    assert len({tuple(sorted(credit_of(result, "linear").items())) for result in results}) == 1
    assert [any("repeats that follow each other" in said for said in result.assumptions) for result in results] == [
        False,
        True,
        False,
    ]


def test_a_rate_game_between_too_many_touchpoints_is_refused():
    rows = {
        "mc_sessions": [session(key, key, f"Channel {key}", session_date=day(1)) for key in range(13)],
        "mc_micro_conversions": [occurrence(DAY, "purchase")],
    }
    with pytest.raises(UsageError):
        ask(rows, question("7d", models=("shapley",), shapley_game="rate"))


def test_a_robot_shortens_paths_and_the_result_counts_them():
    rows = {
        "mc_sessions": [session(key * SECOND, key, "Email", session_date=day(1)) for key in range(201)],
        "mc_micro_conversions": [occurrence(DAY, "purchase"), occurrence(DAY, "purchase", place=1)],
    }
    result = ask(rows, question("7d", models=ALL_MODELS))
    assert result.shortened_journeys == (2,)
    assert all(credit_of(result, model) == {"Email": pytest.approx(2.0, abs=1e-6)} for model in ALL_MODELS)


def test_campaigns_beyond_the_most_frequent_are_one_touchpoint(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("microconv.analyses.attribution.attribution_question.MOST_TOUCHPOINTS", 1)
    campaigns = ["spring", "spring", "autumn", "winter"]
    rows = {
        "mc_sessions": [
            session(key * SECOND, key, "Email", campaign=campaign, session_date=day(1))
            for key, campaign in enumerate(campaigns)
        ],
        "mc_micro_conversions": [occurrence(DAY, "purchase")],
    }
    result = ask(rows, question("7d", models=ALL_MODELS, touchpoint="campaign"))
    assert credit_of(result, "linear") == {"(other)": 0.5, "spring": 0.5}
    assert credit_of(result, "shapley") == {"(other)": 0.5, "spring": 0.5}
    assert result.touchpoint == "campaign"


def test_micro_conversions_as_touchpoints_are_all_but_the_conversion_or_those_named():
    rows = {
        "mc_micro_conversions": [
            occurrence(0, "view_item"),
            occurrence(SECOND, "add_to_cart"),
            occurrence(2 * SECOND, "purchase"),
            occurrence(3 * SECOND, "purchase"),
        ]
    }
    fields: dict[str, Any] = {"models": ALL_MODELS, "touchpoint": "micro_conversion"}
    assert credit_of(ask(rows, question("7d", **fields)), "linear") == {"add_to_cart": 1.0, "view_item": 1.0}
    result = ask(rows, question("7d", **fields, micro_conversions=("view_item", "purchase")))
    assert credit_of(result, "linear") == {"purchase": 0.5, "view_item": 1.5}
    assert any("view_item, purchase" in said for said in result.assumptions)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"count": "actors"}, "Only each actor's first conversion counts"),
        ({"count": "sessions"}, "Only each session's first conversion counts"),
        ({"reset_after_conversion": True}, "not for a second one in the same session"),
        ({"direct": "drop"}, "Direct sessions are left out of every path; a path that holds nothing else keeps them."),
        ({"direct": "drop_trailing"}, "Direct sessions after the last other touchpoint are left out of every path"),
        ({"direct": "drop", "touchpoint": "micro_conversion"}, "No micro-conversion is direct"),
        ({"touchpoint": "landing_page"}, "The 50 touchpoints with most sessions are told apart"),
        ({"touchpoint": "micro_conversion"}, "any but purchase"),
        (
            {"position_weights": (0.6, 0.1, 0.3)},
            "30.0% to the last, 10.0% to all between; with only two, 66.7% and 33.3%",
        ),
    ],
)
def test_assumptions_name_what_is_asked_beyond_the_usual(change: dict[str, Any], said: str):
    usual, asked = ask(JOURNEY, question("7d")), ask(JOURNEY, question("7d", **change))
    assert not any(said in assumption for assumption in usual.assumptions)
    assert any(said in assumption for assumption in asked.assumptions)


def test_days_bound_the_conversions_and_not_their_touchpoints():
    result = ask(JOURNEY, question("7d", since=day(8), until=day(8)))
    assert (result.conversions, result.since, result.until) == (3, day(8), day(8))
    assert credit_of(result, "first") == {"Email": 1.0, "Paid Search": 0.0, "Direct": 0.0}
    assert ask(JOURNEY, question("7d", since=day(9))).conversions == 0


def test_the_sentence_says_who_leads_and_what_was_untouched():
    assert ask(JOURNEY, question("1d", "7d", models=("last",))).sentence == (
        "Within 7 days, Direct earns most by last; 2 of 3 conversions had no touchpoint."
    )
    alone = {"mc_micro_conversions": [occurrence(0, "purchase")]}
    assert ask(alone, question("7d", models=ALL_MODELS)).sentence == (
        "Within 7 days, 1 of 1 conversion had no touchpoint, so no touchpoint gets credit."
    )
    touched = alone | {"mc_sessions": [session(0, 1, "Email")]}
    assert ask(touched, question("7d")).sentence == (
        "Within 7 days, Email earns most by 6 of 6 models; the only conversion had a touchpoint."
    )
    assert ask({}, question("7d")).sentence == "No purchase was counted, so no touchpoint gets credit."


@pytest.mark.parametrize("touchpoint", ["channel_group", "source_medium", "landing_page", "micro_conversion"])
@pytest.mark.parametrize("rows", [{}, {"mc_sessions": JOURNEY["mc_sessions"]}], ids=["empty", "never"])
def test_a_conversion_that_never_happened_gives_zeros(touchpoint: str, rows: dict[str, list[Row]]):
    result = ask(rows, question("1d", "999d", models=ALL_MODELS, touchpoint=touchpoint))
    assert (result.conversions, result.value, result.results) == (0, 0.0, ())
    json.dumps(result.document(), allow_nan=False)


def test_document_and_frame_hold_every_row():
    result = ask(JOURNEY, question("1d", "7d", models=ALL_MODELS))
    assert json.loads(json.dumps(result.document(), allow_nan=False))["results"][0]["model"] == "first"
    assert list(result.to_pandas().columns) == ["model", "window", "touchpoint", "credit", "value"]
    assert len(result.to_pandas()) == len(result.results)


SPENT = "date,touchpoint,cost\n2024-03-01,Email,4\n2024-03-02,Radio,1.5\n2024-02-01,Email,100\n"
STAGED_DAYS = {**JOURNEY, "mc_shards": [shard(1, events=1), shard(9, events=1)]}


def test_spend_of_a_file_becomes_cost_per_conversion_and_return(tmp_path: Path):
    (tmp_path / "spend.csv").write_text(SPENT)
    result = ask(STAGED_DAYS, question("7d", models=("first",), spend_file=tmp_path / "spend.csv"))
    assert result.spend is not None
    assert [(row.touchpoint, row.cost, row.cost_per_conversion, row.return_on_spend) for row in result.spend.rows] == [
        ("Email", 4.0, 4.0, 25.0),
        ("Radio", 1.5, None, 0.0),
        ("Direct", 0.0, None, None),
        ("Paid Search", 0.0, None, None),
    ]
    assert result.spend.cost_outside_days == 100.0
    assert set(result.spend.assumptions) < set(result.assumptions)


def test_spend_may_be_a_table_of_the_engine():
    with staged(IN_MEMORY, **STAGED_DAYS) as engine:
        engine._connection.execute(
            "CREATE TABLE costs AS SELECT DATE '2024-03-01' AS date, 'Email' AS touchpoint, 4.0 AS cost"
        )
        result = answer(engine, question("7d", models=("first",), spend_table="costs"), TAXONOMY)
    assert result.spend is not None
    assert result.spend.rows[0].cost_per_conversion == 4.0


def test_spend_without_staged_days_is_left_out(tmp_path: Path):
    (tmp_path / "spend.csv").write_text(SPENT)
    assert ask({}, question("7d", spend_file=tmp_path / "spend.csv")).spend is None


def test_spend_on_micro_conversions_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="costs nothing"):
        ask(JOURNEY, question("7d", touchpoint="micro_conversion", spend_file=tmp_path / "spend.csv"))


LIMIT = "microconv.analyses.attribution.attribution_question.MOST_PAIRS"


def of_actor(rows: dict[str, list[Row]], *actors: int) -> dict[str, list[Row]]:
    return {name: [row for row in given if row["actor_key"] in actors] for name, given in rows.items()}


# Actor 1 has 4 touches and 2 conversions; actor 2 has 2 and 1, and actor 3, who never converts, 20 touches.
BUSY: dict[str, list[Row]] = {
    "mc_sessions": [
        *(
            session(key * SECOND, key, channel, session_date=day(1))
            for key, channel in enumerate(["Email", "Direct"] * 2)
        ),
        session(0, 10, "Email", actor=2, session_date=day(1)),
        session(DAY, 11, "Display", actor=2, session_date=day(2)),
        *(session(key, 100 + key, "Display", actor=3, session_date=day(1)) for key in range(20)),
    ],
    "mc_micro_conversions": [
        occurrence(DAY, "purchase", value=5.0),
        occurrence(2 * DAY, "purchase", value=7.0),
        occurrence(2 * DAY, "purchase", client=2, value=11.0),
    ],
}


@pytest.mark.parametrize("touchpoint", ["channel_group", "source_medium"])
def test_an_actor_at_the_limit_of_pairs_is_counted_as_if_there_were_none(
    monkeypatch: pytest.MonkeyPatch, touchpoint: str
):
    asked = question("1d", "7d", models=ALL_MODELS, touchpoint=touchpoint)
    without_limit = ask(BUSY, asked)
    monkeypatch.setattr(LIMIT, 4 * 2)
    assert ask(BUSY, asked) == without_limit
    assert (without_limit.left_out_actors, without_limit.left_out_conversions) == (0, 0)
    assert not any("left out" in said for said in without_limit.assumptions)


@pytest.mark.parametrize("touchpoint", ["channel_group", "source_medium"])
def test_conversions_of_an_actor_beyond_the_limit_of_pairs_are_untouched(
    monkeypatch: pytest.MonkeyPatch, touchpoint: str
):
    monkeypatch.setattr(LIMIT, 4 * 2 - 1)
    asked = question("1d", "7d", models=ALL_MODELS, touchpoint=touchpoint)
    result, others = ask(BUSY, asked), ask(of_actor(BUSY, 2, 3), asked)

    assert (result.left_out_actors, result.left_out_conversions) == (1, 2)
    assert (
        "1 actor with more than 7 pairs of touchpoints and conversions, as robots have, is left out: "
        "its 2 conversions count as untouched." in result.assumptions
    )
    assert (result.conversions, result.value) == (3, 23.0)
    assert [(row.window, row.conversions, row.value) for row in result.untouched] == [("1d", 2, 12.0), ("7d", 2, 12.0)]
    for model in ALL_MODELS:
        for untouched in result.untouched:
            credit = sum(credit_of(result, model, untouched.window).values())
            assert credit + untouched.conversions == pytest.approx(result.conversions, abs=1e-9)
    assert result.results == others.results
    assert result.removal_effects == others.removal_effects


def test_the_limit_of_pairs_looks_at_the_conversions_that_are_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(LIMIT, 4)
    assert ask(BUSY, question("7d", since=day(3))).left_out_actors == 0
    assert ask(BUSY, question("7d", count="actors")).left_out_actors == 0
    assert ask(BUSY, question("7d")).left_out_actors == 1


def test_micro_conversions_have_a_limit_of_pairs_too(monkeypatch: pytest.MonkeyPatch):
    rows = {"mc_micro_conversions": [*(occurrence(us, "search") for us in range(9)), occurrence(9, "purchase")]}
    asked = question("7d", models=ALL_MODELS, touchpoint="micro_conversion", micro_conversions=("search",))
    monkeypatch.setattr(LIMIT, 9)
    assert credit_of(ask(rows, asked), "shapley") == {"search": 1.0}
    monkeypatch.setattr(LIMIT, 8)
    result = ask(rows, asked)
    assert (result.results, result.untouched[0].conversions) == ((), 1)
    assert any("its 1 conversion counts as untouched" in said for said in result.assumptions)


def test_several_actors_beyond_the_limit_of_pairs_are_one_assumption(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(LIMIT, 0)
    said = [each for each in ask(BUSY, question("7d")).assumptions if "left out" in each]
    assert len(said) == 1
    assert said[0].startswith("2 actors with more than 0 pairs")
    assert said[0].endswith("are left out: their 3 conversions count as untouched.")


# Currencies


def priced(*values: tuple[float, str | None, float | None]) -> dict[str, list[Row]]:
    """Conversions of actors of their own, each after one session: value, currency, value in US dollars."""
    return {
        "mc_sessions": [session(0, place, "Email", actor=place) for place, _ in enumerate(values, 1)],
        "mc_micro_conversions": [
            occurrence(DAY, "purchase", client=place, value=value, currency=currency, value_in_usd=in_usd)
            for place, (value, currency, in_usd) in enumerate(values, 1)
        ],
    }


def in_project(rows: dict[str, list[Row]], **project: Any) -> AttributionResult:
    config = CONFIG.model_copy(update={"project": CONFIG.project.model_copy(update=project)})
    with staged(IN_MEMORY, **rows) as engine:
        return answer(engine, question("7d", models=ALL_MODELS), TAXONOMY, config)


MIXED = priced((100.0, "USD", None), (10_000.0, "JPY", None), (50.0, None, None))


def test_currencies_are_never_added_up_and_every_conversion_earns_credit():
    result = in_project(MIXED)

    assert (result.conversions, result.value, result.currency) == (3, 100.0, "USD")
    for model in ALL_MODELS:
        assert credit_of(result, model) == {"Email": pytest.approx(3.0)}
        assert sum(row.value for row in result.results if row.model == model) == pytest.approx(100.0)
    assert [(each.currency, each.conversions, each.amount, each.value) for each in result.amounts] == [
        ("USD", 1, 100.0, 100.0),
        (None, 1, 50.0, None),
        ("JPY", 1, 10_000.0, None),
    ]
    (said,) = (each for each in result.assumptions if "currency" in each)
    assert "Left out: 50.00 without a currency (1 conversion) and 10,000.00 JPY (1 conversion)." in said


def test_the_projects_currency_decides_what_counts():
    assert in_project(MIXED, currency="JPY").value == 10_000.0
    assert in_project(MIXED, currency="EUR").value == 0.0
    assumed = in_project(MIXED, assume_currency=True)
    assert assumed.value == 150.0
    assert any("50.00 without a currency (1 conversion) count as 50.00 USD" in each for each in assumed.assumptions)


def test_ga4s_conversion_counts_in_us_dollars_and_in_no_other_currency():
    rows = priced((100.0, "EUR", 108.0), (5.0, None, 5.5), (-8.0, "EUR", -8.64))

    result = in_project(rows)

    assert result.value == pytest.approx(104.86)
    assert any("92.00 EUR (2 conversions) count as 99.36 USD, by GA4's own conversion" in e for e in result.assumptions)
    assert any("5.00 without a currency (1 conversion) count as 5.50 USD" in each for each in result.assumptions)
    assert in_project(rows, currency="GBP").value == 0.0


def test_one_currency_alone_is_worth_no_words():
    result = in_project(priced((100.0, "USD", None), (-20.0, "USD", None), (0.0, None, None)))

    assert result.value == 80.0
    assert not any("currency" in each for each in result.assumptions)
    assert not any("by currency" in each.title for each in result.sheets() if not isinstance(each, str))


def test_amounts_by_currency_are_a_table_where_there_are_several():
    (sheet,) = (
        each for each in in_project(MIXED).sheets() if not isinstance(each, str) and "by currency" in each.title
    )

    assert [row[0] for row in sheet.rows] == ["USD", None, "JPY"]


def test_a_window_longer_than_what_is_staged_is_said_to_see_no_more():
    ten_days = {**JOURNEY, "mc_shards": [shard(number, events=1) for number in range(1, 11)]}

    result = ask(ten_days, question("7d", "10d", "30d", "90d"))

    (said,) = (each for each in result.assumptions if "staged: a window" in each)
    assert said == (
        "Only 10 days are staged: a window longer than that (30 days and 90 days) sees no more than those days hold."
    )
    assert not any("staged: a window" in each for each in ask(ten_days, question("10d")).assumptions)
    assert not any("staged: a window" in each for each in ask(JOURNEY, question("30d")).assumptions)
