"""Credit by week of conversion and group of actors: rules add up over them, models that learn are solved anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from microconv.analyses.attribution.attribution_question import ACTOR_GROUPS, PATH_MODELS, AttributionQuestion, left_out
from microconv.analyses.attribution.credits import UNITS_OF_CREDIT
from microconv.analyses.attribution.markov import markov
from microconv.analyses.attribution.shapley import shapley
from microconv.analyses.attribution.stability import FEWEST_GROUPS, Recalculated, StabilityResult, stability
from microconv.analyses.attribution.touch_paths import TouchPaths, total_by

if TYPE_CHECKING:
    import pyarrow as pa

Array = NDArray[np.float64]

RESAMPLES = 200
"""How often actors are drawn to see what chance does to a model that learns from paths."""

MOST_RESAMPLED_STEPS = 250_000
"""Steps of all distinct paths above which such a model is not resampled: it would take minutes."""

_SEED = 1


def compare(
    asked: AttributionQuestion, goal: str, listed: Sequence[str], tables: Sequence[pa.Table]
) -> StabilityResult:
    """Lay credits out by model, window, week, group and touchpoint, and hold them against each other.

    Args:
        asked: What is asked.
        goal: The id under which conversions are staged.
        listed: The touchpoints that are told apart, by number.
        tables: The rows of the rule models and, where a model learns, of the paths; both grouped.
    """
    everything = tables[0].to_pylist()
    rows = [row for row in everything if row["touchpoint"] is not None]
    rules = [model for model in asked.models if model not in PATH_MODELS]
    weeks = sorted({row["week"] for row in rows})
    total: dict[str, int] = {}
    for row in rows:
        total[row["touchpoint"]] = total.get(row["touchpoint"], 0) + row[f"credit_linear_{len(asked.windows)}"]
    touchpoints = sorted(total, key=lambda name: (-total[name], name))
    credit = np.zeros((len(rules), len(asked.windows), len(weeks), ACTOR_GROUPS, len(touchpoints)))
    places = {name: place for place, name in enumerate(touchpoints)}
    for row in rows:
        at = (weeks.index(row["week"]), row["actor_group"], places[row["touchpoint"]])
        for m, model in enumerate(rules):
            for w in range(len(asked.windows)):
                credit[(m, w, *at)] = row[f"credit_{model}_{w + 1}"] / UNITS_OF_CREDIT
    recalculated: list[Recalculated] = []
    unsure: tuple[str, ...] = ()
    if asked.learns:
        journeys = _journeys(tables[1], asked, listed)
        order = np.array([listed.index(name) for name in touchpoints], dtype=np.int64)
        recalculated = [
            _recalculated(model, _solver(model, asked, order), journeys, weeks)
            for model in asked.models
            if model in PATH_MODELS
        ]
        unsure = (_of_chance(journeys[-1]),)
    found = stability(
        credit,
        models=rules,
        windows=[window.text for window in asked.windows],
        weeks=[week.isoformat() for week in weeks],
        touchpoints=touchpoints,
        recalculated=recalculated,
    )
    return replace(
        found,
        assumptions=(
            *asked.assumptions(goal),
            *left_out(None, sum(row["left_out_conversions"] for row in everything)),
            *found.assumptions,
            *unsure,
        ),
    )


@dataclass(frozen=True, eq=False)
class _Journeys:
    """Journeys within a window: distinct paths, and by path, week and group of actors what came over it."""

    paths: TouchPaths
    path: NDArray[np.int64]
    week: NDArray[np.object_]
    group: NDArray[np.int64]
    conversions: Array
    others: Array

    def weighted(self, times: Array) -> TouchPaths:
        """Return the paths as if each row of journeys were there so many times."""
        size = len(self.paths.lengths)
        conversions = total_by(self.path, self.conversions * times, size)
        others = total_by(self.path, self.others * times, size)
        return replace(self.paths, conversions=conversions, values=conversions, others=others)


def _journeys(table: pa.Table, asked: AttributionQuestion, touchpoints: Sequence[str]) -> list[_Journeys]:
    """Read the journeys within each window."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = []
    for number in range(1, len(asked.windows) + 1):
        of_window = table.filter(pc.equal(table["window_number"], number))
        path = of_window["path"].cast(pa.string()).combine_chunks().dictionary_encode()
        nothing = pa.array([0] * len(path.dictionary), pa.int64())
        distinct = {"path": path.dictionary, "conversions": nothing, "value_micros": nothing, "others": nothing}
        found.append(
            _Journeys(
                paths=TouchPaths.read(pa.table(distinct), touchpoints).transformed(asked.path),
                path=path.indices.cast(pa.int64()).to_numpy(),
                week=np.array(of_window["week"].to_pylist(), dtype=np.object_),
                group=of_window["actor_group"].to_numpy(),
                conversions=of_window["conversions"].to_numpy().astype(np.float64),
                others=of_window["others"].to_numpy().astype(np.float64),
            )
        )
    return found


def _solver(model: str, asked: AttributionQuestion, order: NDArray[np.int64]) -> Callable[[TouchPaths], Array]:
    """Return what solves a model: from paths to the credit of touchpoints in that order."""
    if model == "markov":
        return lambda paths: markov(paths, order=asked.markov_order, self_loops=asked.self_loops).conversions[order]
    return lambda paths: shapley(paths, game=asked.shapley_game).conversions[order]


def _recalculated(
    model: str, solve: Callable[[TouchPaths], Array], journeys: Sequence[_Journeys], weeks: Sequence[date]
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
