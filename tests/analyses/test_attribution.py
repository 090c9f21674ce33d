"""Attribution: six models against plain Python, and what the result says about itself."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microconv import templates
from microconv.analyses.attribution import attribution
from microconv.config import AttributionConfig, Duration
from microconv.errors import ConfigError, TaxonomyError
from microconv.taxonomy import load_taxonomy
from staged_rows import DAY, IN_MEMORY, SECOND, Row, occurrence, session, staged

TAXONOMY = load_taxonomy(preset="ecommerce", file=None)
MODELS = ("first", "last", "last_non_direct", "linear", "time_decay", "position")


def config(*windows: str, models: tuple[str, ...] = MODELS, **columns: object) -> AttributionConfig:
    return AttributionConfig(windows=tuple(map(Duration.parse, windows)), models=models, **columns)


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


def test_credits_and_untouched_sum_to_the_conversions():
    with staged(IN_MEMORY, **JOURNEY) as engine:
        result = attribution(engine, config("1d", "7d"), TAXONOMY)
    assert (result.conversion, result.conversions, result.value) == ("purchase", 3, 120.0)
    assert [(row.window, row.conversions, row.value) for row in result.untouched] == [("1d", 2, 20.0), ("7d", 2, 20.0)]
    for model in MODELS:
        for window in ("1d", "7d"):
            rows = [row for row in result.results if (row.model, row.window) == (model, window)]
            assert sum(row.credit for row in rows) == pytest.approx(1.0, abs=1e-9)
            assert sum(row.value for row in rows) == pytest.approx(100.0, abs=1e-5)


def test_rows_come_by_model_as_configured_then_window_then_credit():
    with staged(IN_MEMORY, **JOURNEY) as engine:
        result = attribution(engine, config("1d", "7d", models=("position", "last_non_direct")), TAXONOMY)
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
        few = attribution(engine, config("7d", models=("last",)), TAXONOMY).assumptions
        all_models = attribution(engine, config("7d", half_life=Duration.parse("36h")), TAXONOMY).assumptions
    assert set(few) < set(all_models)
    assert [said for said in all_models if said not in few] == [
        "time_decay halves the weight of a touchpoint for every 36h before the conversion.",
        "position gives 40 % to the first touchpoint, 40 % to the last, 20 % to all between; 50 % each of two.",
    ]


def test_empty_tables_give_zeros():
    with staged(IN_MEMORY) as engine:
        result = attribution(engine, config("1d", "7d"), TAXONOMY)
    assert (result.conversions, result.value, result.results) == (0, 0.0, ())
    assert [(row.window, row.conversions, row.value) for row in result.untouched] == [("1d", 0, 0.0), ("7d", 0, 0.0)]


def test_unknown_conversion_names_the_key():
    with staged(IN_MEMORY) as engine, pytest.raises(TaxonomyError, match=r"attribution\.conversion.*purchased"):
        attribution(engine, config("7d", conversion="purchased"), TAXONOMY)


def test_weights_hold_out_to_a_thousand_half_lives():
    rows = {
        "mc_sessions": [session(0, 1, "Email"), session(SECOND, 2, "Display")],
        "mc_micro_conversions": [occurrence(1_000 * SECOND, "purchase")],
    }
    for heavy_pairs in (0, 100):
        with staged(IN_MEMORY, **rows) as engine:
            settings_ = config("1000s", models=("time_decay",), half_life=Duration.parse("1s"))
            result = attribution(engine, settings_, TAXONOMY, heavy_pairs=heavy_pairs)
        assert {row.touchpoint: row.credit for row in result.results} == {
            "Email": pytest.approx(1 / 3, abs=1e-9),
            "Display": pytest.approx(2 / 3, abs=1e-9),
        }


def test_half_life_too_short_for_the_window_is_refused():
    with (
        staged(IN_MEMORY) as engine,
        pytest.raises(ConfigError, match="half_life of 1s is too short for the window 30d"),
    ):
        attribution(engine, config("1d", "30d", half_life=Duration.parse("1s")), TAXONOMY)


# Few instants: windows of 2, 5 and 9 microseconds hit exactly. Many actors in one example: queries cost more than rows.
TOUCHES = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.integers(1, 6),
        st.sampled_from(["Direct", "Email", "Display", None]),
        st.sampled_from(["collected", "last_non_direct"]),
    ),
    max_size=40,
)
CONVERSIONS = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.integers(1, 7),
        st.sampled_from([None, None, "t1", "t2"]),
        st.sampled_from([None, 3.0, 0.1]),
    ),
    max_size=20,
)
WINDOWS_US = (2, 5, 9)
HALF_LIFE_US = 4


def shares(touches: list[tuple[int, int, str]], moment: int) -> dict[str, list[float]]:
    """The share of each touch, in order, by model; touches are (time, key, touchpoint)."""
    size = len(touches)
    others = [index for index, touch in enumerate(touches) if touch[2] != "Direct"]
    winner = others[-1] if others else size - 1
    weights = [0.5 ** ((moment - touch[0]) / HALF_LIFE_US) for touch in touches]
    between = [0.2 / (size - 2)] * (size - 2) if size > 2 else []
    return {
        "first": [float(index == 0) for index in range(size)],
        "last": [float(index == size - 1) for index in range(size)],
        "last_non_direct": [float(index == winner) for index in range(size)],
        "linear": [1 / size] * size,
        "time_decay": [weight / sum(weights) for weight in weights],
        "position": [0.4, *between, 0.4] if between else [1 / size] * size,
    }


def in_plain_python(touches, conversions) -> dict[str | None, dict[str, float]]:
    """Touchpoint -> column of the template -> credit or value."""
    expected: dict[str | None, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    counted = set()
    for moment, _, actor, transaction, value in sorted(
        (us, place, actor, transaction, value) for place, (us, actor, transaction, value) in enumerate(conversions)
    ):
        if transaction is not None and transaction in counted:
            continue
        counted.add(transaction)
        for number, window in enumerate(WINDOWS_US, start=1):
            seen = sorted(
                (us, key, "Direct" if rule == "last_non_direct" else channel or "Unassigned")
                for key, (us, owner, channel, rule) in enumerate(touches)
                if owner == actor and 0 <= moment - us <= window
            )
            for model, by_touch in (shares(seen, moment) if seen else {model: [1.0] for model in MODELS}).items():
                for share, touchpoint in zip(by_touch, [touch[2] for touch in seen] or [None], strict=True):
                    expected[touchpoint][f"credit_{model}_{number}"] += share
                    expected[touchpoint][f"value_{model}_{number}"] += share * (value or 0)
    return expected


@settings(max_examples=20, deadline=None)
@given(touches=TOUCHES, conversions=CONVERSIONS, heavy_pairs=st.sampled_from([0, 4, 1_000]))
@example(touches=[(0, 1, "Email", "collected")], conversions=[(9, 1, None, 3.0)], heavy_pairs=0)
@example(touches=[(0, 1, "Email", "collected")], conversions=[(10, 1, None, 3.0)], heavy_pairs=0)
def test_models_equal_plain_python_however_actors_are_counted(touches, conversions, heavy_pairs):
    rows = {
        "mc_sessions": [
            session(us, key, channel, actor=actor, source_rule=rule)
            for key, (us, actor, channel, rule) in enumerate(touches)
        ],
        # Places differ across clients too, so that it is plain which occurrence of a transaction is the earliest.
        "mc_micro_conversions": [
            occurrence(us, "purchase", client=actor, place=place, transaction_id=transaction, value=value)
            for place, (us, actor, transaction, value) in enumerate(conversions)
        ],
    }
    query = templates.query(
        "analyses/attribution",
        structure={"windows": len(WINDOWS_US)},
        params={
            "conversion": "purchase",
            "half_life_us": HALF_LIFE_US,
            "heavy_pairs": heavy_pairs,
            **{f"window_us_{number}": window for number, window in enumerate(WINDOWS_US, start=1)},
        },
    )
    with staged(IN_MEMORY, **rows) as engine:
        found = {row.pop("touchpoint"): row for row in engine.query(query).to_pylist()}
    expected = in_plain_python(touches, conversions)
    for touchpoint in set(expected) | set(found):
        assert {
            column: units / (10**10 if column.startswith("credit") else 10**6)
            for column, units in found.get(touchpoint, {}).items()
            if units
        } == pytest.approx({column: share for column, share in expected[touchpoint].items() if share}, abs=2e-5)
