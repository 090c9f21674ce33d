"""Attribution: which touchpoints earn the credit for a conversion, by every model and over several lookback windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from microconv.analyses.attribution.assumptions import assumptions_of
from microconv.analyses.attribution.query import (
    HEAVY_PAIRS,
    PATH_MODELS,
    Selection,
    attribution_query,
    conversion_id,
    is_limited,
    listed_touchpoints,
    paths_query,
    spend_query,
)
from microconv.analyses.attribution.results import (
    AttributionCredit,
    AttributionResult,
    RemovalEffect,
    ReturnResult,
    Untouched,
)
from microconv.analyses.attribution.spend import Spend
from microconv.config.sections import AttributionConfig
from microconv.engines.base import Engine
from microconv.errors import ConfigError
from microconv.result import OTHER
from microconv.staging.summary import summary
from microconv.taxonomy import Taxonomy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Earned = Mapping[str, tuple[float, float]]
    """Credit and value by touchpoint."""

# The template sums whole numbers of such units, so that a result does not depend on the order of adding.
UNITS_OF_CREDIT = 10**10
UNITS_OF_VALUE = 10**6


def attribution(
    engine: Engine,
    config: AttributionConfig,
    taxonomy: Taxonomy,
    *,
    since: date | None = None,
    until: date | None = None,
    heavy_pairs: int = HEAVY_PAIRS,
) -> AttributionResult:
    """Credit touchpoints for a conversion by every configured model, within every configured window.

    Rule models come from `sql/analyses/attribution/credits.sql`, all windows in one pass; Markov and Shapley from
    `sql/analyses/attribution/paths.sql`. A touchpoint has no row for a window in which it touched no conversion.

    Args:
        engine: Where the staged tables are.
        config: The conversion, touchpoints, windows (ascending), models and their settings, and spend.
        taxonomy: The taxonomy the tables were staged with.
        since: The first of the property's days whose conversions are credited; their touchpoints may be older.
        until: The last.
        heavy_pairs: Where the linear way of counting takes over; it changes the cost, not the result.

    Raises:
        TaxonomyError: The configuration names a micro-conversion that the taxonomy does not have.
        ConfigError: The half-life is so short against a window that weights would vanish; or spend cannot be read, or
            goes with touchpoints that are no sessions.
        UsageError: A Markov chain or a Shapley game is larger than what is solved.
        EngineError: The engine failed.
    """
    check_spend(config)
    selection = select(engine, config, taxonomy, since=since, until=until, heavy_pairs=heavy_pairs)
    rows = engine.query(attribution_query(config, taxonomy, selection)).to_pylist()
    learned = _learned(engine, config, taxonomy, selection)
    results = tuple(_credits(config, rows, learned))
    conversion = conversion_id(config, taxonomy)
    conversions = round(_credit(sum(row["credit_first_1"] for row in rows)))
    untouched = tuple(_untouched(config, rows))
    spend = _spend(engine, config, results, selection)
    return AttributionResult(
        conversion=conversion,
        conversions=conversions,
        value=_value(sum(row["value_first_1"] for row in rows)),
        results=results,
        untouched=untouched,
        assumptions=(*assumptions_of(config), *learned.assumptions, *(spend.assumptions if spend else ())),
        touchpoint=config.touchpoint,
        count=config.count,
        since=config.since,
        first_date=since,
        last_date=until,
        shapley_game=config.shapley_game if "shapley" in config.models else None,
        removal_effects=tuple(learned.removal_effects),
        shortened_journeys=tuple(learned.shortened),
        spend=spend,
        sentence=_sentence(conversion, conversions, results, untouched[-1]),
    )


def select(
    engine: Engine,
    config: AttributionConfig,
    taxonomy: Taxonomy,
    *,
    since: date | None,
    until: date | None,
    grouped: bool = False,
    heavy_pairs: int = HEAVY_PAIRS,
) -> Selection:
    """Return the selection of conversions, with the touchpoints that are told apart where queries need to know them."""
    needed = is_limited(config) or any(model in PATH_MODELS for model in config.models)
    touchpoints = listed_touchpoints(engine, config, taxonomy) if needed else (OTHER,)
    return Selection(touchpoints, since, until, grouped, heavy_pairs)


def check_spend(config: AttributionConfig) -> None:
    """Refuse spend on touchpoints that are no sessions: nobody pays for a micro-conversion."""
    if config.touchpoint == "micro_conversion" and (config.spend_file or config.spend_table):
        raise ConfigError(
            'attribution has spend, and touchpoint = "micro_conversion", which costs nothing.',
            hint='Leave spend out, or use touchpoint = "channel_group" (or another of sessions).',
        )


@dataclass
class _Learned:
    """What the models say that learn from paths: by model and number of the window, and what goes with it."""

    earned: dict[tuple[str, int], Earned] = field(default_factory=dict)
    removal_effects: list[RemovalEffect] = field(default_factory=list)
    shortened: list[int] = field(default_factory=list)
    assumptions: tuple[str, ...] = ()


def _learned(engine: Engine, config: AttributionConfig, taxonomy: Taxonomy, selection: Selection) -> _Learned:
    learned = _Learned()
    if not any(model in PATH_MODELS for model in config.models):
        return learned
    import pyarrow.compute as pc

    from microconv.analyses.attribution.markov import markov
    from microconv.analyses.attribution.paths import Paths
    from microconv.analyses.attribution.shapley import shapley

    names = selection.touchpoints
    table = engine.query(paths_query(config, taxonomy, selection))
    said: dict[str, None] = {}
    for number, window in enumerate(config.windows, start=1):
        of_window = table.filter(pc.equal(table["window_number"], number))
        learned.shortened.append(sum(of_window["shortened"].to_pylist()))
        paths = Paths.read(of_window, names).transformed(config.path)
        if "markov" in config.models:
            chain = markov(paths, order=config.markov_order, self_loops=config.self_loops)
            learned.earned["markov", number] = _by_name(names, chain.conversions, chain.values)
            effects = [
                RemovalEffect(window.text, name, float(effect))
                for name, effect in zip(names, chain.removal_effects, strict=True)
                if effect > 0
            ]
            learned.removal_effects += sorted(effects, key=lambda row: (-row.effect, row.touchpoint))
            said |= dict.fromkeys(chain.assumptions)
        if "shapley" in config.models:
            game = shapley(paths, game=config.shapley_game)
            learned.earned["shapley", number] = _by_name(names, game.conversions, game.values)
            said |= dict.fromkeys(game.assumptions)
    learned.assumptions = tuple(said)
    return learned


def _by_name(names: Sequence[str], credit: NDArray[np.float64], value: NDArray[np.float64]) -> Earned:
    return {
        name: (float(earned), float(worth)) for name, earned, worth in zip(names, credit, value, strict=True) if earned
    }


def _credits(config: AttributionConfig, rows: Sequence[dict[str, Any]], learned: _Learned) -> list[AttributionCredit]:
    found: list[AttributionCredit] = []
    for model in config.models:
        for number, window in enumerate(config.windows, start=1):
            # Linear credit is never zero where there was a touch.
            touched = [row for row in rows if row["touchpoint"] is not None and row[f"credit_linear_{number}"] > 0]
            earned = learned.earned.get((model, number))
            if earned is None:
                earned = {
                    row["touchpoint"]: (
                        _credit(row[f"credit_{model}_{number}"]),
                        _value(row[f"value_{model}_{number}"]),
                    )
                    for row in touched
                }
            names = {*(row["touchpoint"] for row in touched), *earned}
            of_window = [
                AttributionCredit(model, window.text, name, *earned.get(name, (0.0, 0.0))) for name in sorted(names)
            ]
            found += sorted(of_window, key=lambda row: -row.credit)
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
    return units / UNITS_OF_CREDIT


def _value(units: int) -> float:
    return units / UNITS_OF_VALUE


def _spend(
    engine: Engine, config: AttributionConfig, results: Sequence[AttributionCredit], selection: Selection
) -> ReturnResult | None:
    if config.spend_file is None and config.spend_table is None:
        return None
    from microconv.analyses.attribution.spend import join_spend, read_spend

    staged = summary(engine)
    first, last = selection.first or staged.first_date, selection.last or staged.last_date
    if first is None or last is None:
        return None
    costs: Sequence[Spend]
    if config.spend_file is not None:
        costs = read_spend(config.spend_file)
    else:
        costs = _spend_table(engine, str(config.spend_table))
    windows = [window.text for window in config.windows]
    return join_spend(results, costs, models=config.models, windows=windows, first=first, last=last)


def _spend_table(engine: Engine, table: str) -> list[Spend]:
    from microconv.analyses.attribution.spend import Spend

    return [Spend(**row) for row in engine.query(spend_query(table)).to_pylist()]


def _sentence(conversion: str, conversions: int, results: Sequence[AttributionCredit], untouched: Untouched) -> str:
    """Say who leads within the widest window, and what had no touchpoint there."""
    if conversions == 0:
        return f"No {conversion} was counted, so there is no credit to give."
    lost = f"{untouched.conversions:,} of {conversions:,} conversions had no touchpoint"
    leaders: dict[str, int] = {}
    models = set()
    for row in results:
        if row.window == untouched.window and row.model not in models:
            models.add(row.model)
            leaders[row.touchpoint] = leaders.get(row.touchpoint, 0) + 1
    if not leaders:
        return f"Within {untouched.window}, {lost}, so there is no credit to give."
    leader, votes = max(leaders.items(), key=lambda item: item[1])
    by = f"{votes} of {len(models)} models" if len(models) > 1 else next(iter(models))
    return f"Within {untouched.window}, {leader} earns most by {by}; {lost}."
