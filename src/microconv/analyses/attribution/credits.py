"""Attribution: which touchpoints earn the credit for a conversion, by six rules and over several lookback windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microconv import templates
from microconv.analyses.attribution.results import AttributionCredit, AttributionResult, Untouched
from microconv.analyses.entries import counted_id
from microconv.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from microconv.config import AttributionConfig
    from microconv.engines.base import Engine
    from microconv.taxonomy import Taxonomy
    from microconv.templates import Query, Value

# The template sums whole numbers of such units, so that a result does not depend on the order of adding.
_UNITS_OF_CREDIT = 10**10
_UNITS_OF_VALUE = 10**6

HEAVY_PAIRS = 10_000
"""Sessions times conversions of one actor above which they are no longer paired: a robot would pair millions."""

_MOST_HALF_LIVES = 1_000
"""Weights are powers of two in FLOAT64, which ends at 2 to the 1023."""


def attribution(
    engine: Engine, config: AttributionConfig, taxonomy: Taxonomy, *, heavy_pairs: int = HEAVY_PAIRS
) -> AttributionResult:
    """Credit sessions for a conversion (`sql/analyses/attribution.sql`), all windows and models in one pass.

    Rows come by model as configured, window ascending, credit descending, touchpoint. A touchpoint has no row for a
    window in which it touched no conversion.

    Args:
        engine: Where the staged tables are.
        config: The conversion, windows (ascending), models and half-life.
        taxonomy: The taxonomy the tables were staged with.
        heavy_pairs: Where the linear way of counting takes over; it changes the cost, not the result.

    Raises:
        TaxonomyError: The conversion is no micro-conversion of the taxonomy.
        ConfigError: The half-life is so short against a window that weights would vanish.
        EngineError: The engine failed.
    """
    rows = engine.query(attribution_query(config, taxonomy, heavy_pairs=heavy_pairs)).to_pylist()
    return AttributionResult(
        conversion=_conversion(config, taxonomy),
        conversions=round(_credit(sum(row["credit_first_1"] for row in rows))),
        value=_value(sum(row["value_first_1"] for row in rows)),
        results=tuple(_credits(config, rows)),
        untouched=tuple(_untouched(config, rows)),
        assumptions=_assumptions(config),
    )


def attribution_query(config: AttributionConfig, taxonomy: Taxonomy, *, heavy_pairs: int = HEAVY_PAIRS) -> Query:
    """Return the query of attribution.

    Raises:
        TaxonomyError: The conversion is no micro-conversion of the taxonomy.
        ConfigError: The half-life is so short against a window that weights would vanish.
    """
    longest = config.windows[-1]
    if longest.seconds > _MOST_HALF_LIVES * config.half_life.seconds:
        raise ConfigError(
            f"attribution.half_life of {config.half_life} is too short for the window {longest}: "
            f"more than {_MOST_HALF_LIVES} half-lives fit in.",
            hint="Use a longer half_life or shorter windows.",
        )
    windows: dict[str, Value] = {
        f"window_us_{number}": window.microseconds for number, window in enumerate(config.windows, start=1)
    }
    return templates.query(
        "analyses/attribution",
        params={
            **windows,
            "conversion": _conversion(config, taxonomy),
            "half_life_us": config.half_life.microseconds,
            "heavy_pairs": heavy_pairs,
        },
        structure={"windows": len(windows)},
    )


def _conversion(config: AttributionConfig, taxonomy: Taxonomy) -> str:
    return counted_id(taxonomy, config.conversion, named_by="attribution.conversion")


def _credits(config: AttributionConfig, rows: Sequence[dict[str, Any]]) -> list[AttributionCredit]:
    found: list[AttributionCredit] = []
    for model in config.models:
        for number, window in enumerate(config.windows, start=1):
            # Linear credit is never zero where there was a touch.
            touched = [row for row in rows if row["touchpoint"] is not None and row[f"credit_linear_{number}"] > 0]
            credit, value = f"credit_{model}_{number}", f"value_{model}_{number}"
            touched.sort(key=lambda row: (-row[credit], row["touchpoint"]))
            found += [
                AttributionCredit(model, window.text, row["touchpoint"], _credit(row[credit]), _value(row[value]))
                for row in touched
            ]
    return found


def _untouched(config: AttributionConfig, rows: Sequence[dict[str, Any]]) -> list[Untouched]:
    nowhere = next((row for row in rows if row["touchpoint"] is None), None)
    return [
        Untouched(window.text, 0, 0.0)
        if nowhere is None
        else Untouched(
            window.text,
            round(_credit(nowhere[f"credit_first_{number}"])),
            _value(nowhere[f"value_first_{number}"]),
        )
        for number, window in enumerate(config.windows, start=1)
    ]


def _credit(units: int) -> float:
    return units / _UNITS_OF_CREDIT


def _value(units: int) -> float:
    return units / _UNITS_OF_VALUE


def _assumptions(config: AttributionConfig) -> tuple[str, ...]:
    said = [
        "A touchpoint is a session with its default channel group.",
        "It can earn credit when it started up to one window before a conversion of its actor, both ends included.",
        "A session without a source of its own counts as Direct, whatever earlier source it took over.",
        "Conversions of one property with the same transaction id count once, the earliest; without an id each counts.",
        "Conversions without a touchpoint in the window are untouched: their credit goes to nobody.",
        "Sessions before the first staged day are unknown, so early conversions see less than the window.",
    ]
    if "time_decay" in config.models:
        said.append(f"time_decay halves the weight of a touchpoint for every {config.half_life} before the conversion.")
    if "position" in config.models:
        said.append(
            "position gives 40 % to the first touchpoint, 40 % to the last, 20 % to all between; 50 % each of two."
        )
    said.append("Every model is a convention: none of them shows what a channel caused.")
    return tuple(said)
