"""How stable attribution is: the same credit by week of conversion and group of actors, for every model and window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from microconv.analyses.attribution.assumptions import assumptions_of
from microconv.analyses.attribution.credits import UNITS_OF_CREDIT, select
from microconv.analyses.attribution.markov import markov
from microconv.analyses.attribution.paths import Paths, total_by
from microconv.analyses.attribution.query import ACTOR_GROUPS, PATH_MODELS, attribution_query, paths_query
from microconv.analyses.attribution.shapley import shapley
from microconv.analyses.attribution.stability import FEWEST_GROUPS, Recalculated, StabilityResult, stability
from microconv.config.sections import AttributionConfig
from microconv.engines.base import Engine
from microconv.taxonomy import Taxonomy

if TYPE_CHECKING:
    import pyarrow as pa

Array = NDArray[np.float64]

RESAMPLES = 200
"""How often actors are drawn to see what chance does to a model that learns from paths."""

MOST_RESAMPLED_STEPS = 250_000
"""Steps of all distinct paths above which such a model is not resampled: it would take minutes."""

_SEED = 1


def compare(
    engine: Engine,
    config: AttributionConfig,
    taxonomy: Taxonomy,
    *,
    since: date | None = None,
    until: date | None = None,
) -> StabilityResult:
    """Compare shares of credit over all configured models and windows, over weeks of conversion, and by chance.

    Chance is estimated within the widest window, by drawing groups of actors with replacement; Markov chains and
    Shapley games are solved anew for each week and drawing.

    Args:
        engine: Where the staged tables are.
        config: As for `attribution`.
        taxonomy: The taxonomy the tables were staged with.
        since: The first of the property's days whose conversions are credited.
        until: The last.

    Raises:
        TaxonomyError: The configuration names a micro-conversion that the taxonomy does not have.
        ConfigError: The half-life is so short against a window that weights would vanish.
        UsageError: A Markov chain or a Shapley game is larger than what is solved.
        EngineError: The engine failed.
    """
    selection = select(engine, config, taxonomy, since=since, until=until, grouped=True)
    rows = [
        row
        for row in engine.query(attribution_query(config, taxonomy, selection)).to_pylist()
        if row["touchpoint"] is not None
    ]
    rules = [model for model in config.models if model not in PATH_MODELS]
    weeks = sorted({row["week"] for row in rows})
    total: dict[str, int] = {}
    for row in rows:
        total[row["touchpoint"]] = total.get(row["touchpoint"], 0) + row[f"credit_linear_{len(config.windows)}"]
    touchpoints = sorted(total, key=lambda name: (-total[name], name))
    credit = np.zeros((len(rules), len(config.windows), len(weeks), ACTOR_GROUPS, len(touchpoints)))
    places = {name: place for place, name in enumerate(touchpoints)}
    for row in rows:
        at = (weeks.index(row["week"]), row["actor_group"], places[row["touchpoint"]])
        for m, model in enumerate(rules):
            for w in range(len(config.windows)):
                credit[(m, w, *at)] = row[f"credit_{model}_{w + 1}"] / UNITS_OF_CREDIT
    recalculated: list[Recalculated] = []
    unsure: tuple[str, ...] = ()
    if len(rules) < len(config.models):
        table = engine.query(paths_query(config, taxonomy, selection))
        journeys = _journeys(table, config, selection.touchpoints)
        order = np.array([selection.touchpoints.index(name) for name in touchpoints], dtype=np.int64)
        recalculated = [
            _recalculated(model, _solver(model, config, order), journeys, weeks)
            for model in config.models
            if model in PATH_MODELS
        ]
        unsure = (_of_chance(journeys[-1]),)
    found = stability(
        credit,
        models=rules,
        windows=[window.text for window in config.windows],
        weeks=[week.isoformat() for week in weeks],
        touchpoints=touchpoints,
        recalculated=recalculated,
    )
    return replace(found, assumptions=(*assumptions_of(config), *found.assumptions, *unsure))


@dataclass(frozen=True, eq=False)
class _Journeys:
    """Journeys within a window: distinct paths, and by path, week and group of actors what came over it."""

    paths: Paths
    path: NDArray[np.int64]
    week: NDArray[np.object_]
    group: NDArray[np.int64]
    conversions: Array
    others: Array

    def weighted(self, times: Array) -> Paths:
        """Return the paths as if each row of journeys were there so many times."""
        size = len(self.paths.lengths)
        conversions = total_by(self.path, self.conversions * times, size)
        others = total_by(self.path, self.others * times, size)
        return replace(self.paths, conversions=conversions, values=conversions, others=others)


def _journeys(table: pa.Table, config: AttributionConfig, touchpoints: Sequence[str]) -> list[_Journeys]:
    """Read the journeys within each window."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = []
    for number in range(1, len(config.windows) + 1):
        of_window = table.filter(pc.equal(table["window_number"], number))
        path = of_window["path"].cast(pa.string()).combine_chunks().dictionary_encode()
        nothing = pa.array([0] * len(path.dictionary), pa.int64())
        distinct = {"path": path.dictionary, "conversions": nothing, "value_micros": nothing, "others": nothing}
        found.append(
            _Journeys(
                paths=Paths.read(pa.table(distinct), touchpoints).transformed(config.path),
                path=path.indices.cast(pa.int64()).to_numpy(),
                week=np.array(of_window["week"].to_pylist(), dtype=np.object_),
                group=of_window["actor_group"].to_numpy(),
                conversions=of_window["conversions"].to_numpy().astype(np.float64),
                others=of_window["others"].to_numpy().astype(np.float64),
            )
        )
    return found


def _solver(model: str, config: AttributionConfig, order: NDArray[np.int64]) -> Callable[[Paths], Array]:
    """Return what solves a model: from paths to the credit of touchpoints in that order."""
    if model == "markov":
        return lambda paths: markov(paths, order=config.markov_order, self_loops=config.self_loops).conversions[order]
    return lambda paths: shapley(paths, game=config.shapley_game).conversions[order]


def _recalculated(
    model: str, solve: Callable[[Paths], Array], journeys: Sequence[_Journeys], weeks: Sequence[date]
) -> Recalculated:
    """Solve a model for every window and, within the widest, for every week and many drawings of actors."""
    widest = journeys[-1]
    everyone = [np.ones(len(window.path)) for window in journeys]
    weekly = [solve(widest.weighted((widest.week == week).astype(np.float64))) for week in weeks]
    resampled = None
    if _is_resampled(widest):
        draws = np.random.default_rng(_SEED).multinomial(ACTOR_GROUPS, [1 / ACTOR_GROUPS] * ACTOR_GROUPS, RESAMPLES)
        resampled = np.array([solve(widest.weighted(times[widest.group])) for times in draws])
    return Recalculated(
        model=model,
        credits=np.array([solve(window.weighted(times)) for window, times in zip(journeys, everyone, strict=True)]),
        weekly=np.array(weekly) if weekly else None,
        resampled=resampled,
    )


def _is_resampled(widest: _Journeys) -> bool:
    """Whether solving so often takes seconds, and there are enough groups of actors who converted to draw from."""
    converting = np.unique(widest.group[widest.conversions > 0])
    return len(widest.paths.steps) <= MOST_RESAMPLED_STEPS and len(converting) >= FEWEST_GROUPS


def _of_chance(widest: _Journeys) -> str:
    if len(widest.paths.steps) > MOST_RESAMPLED_STEPS:
        return "Of models that learn from paths, chance is not estimated: there are too many paths to solve them often."
    return f"Of models that learn from paths, chance is estimated from {RESAMPLES} resamplings, each solved anew."
