"""Score actors by a model: in SQL, so that they never leave the engine; refused where the data drifted away from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from microconv import wording
from microconv.analyses.propensity.chance_model import ChanceModel
from microconv.analyses.propensity.features import GoalWindow, PropensityFeatures, goal_rate_query
from microconv.analyses.propensity.training import DEFAULT_WINDOW, USUAL_LOOKBACK_SECONDS, micros
from microconv.config.sections import Config
from microconv.engines.base import DeleteKeys, Engine, InsertScratch
from microconv.errors import FindingsError, SourceError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.result import Result, column, sheet
from microconv.segments.propensity_rules import STALE_AFTER, last_models
from microconv.segments.propensity_tables import PROPENSITY_SCORES
from microconv.stats.intervals import wilson
from microconv.stats.population_shift import binned, stability_index
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar, Sheet

FEWEST_TO_JUDGE = 500
"""Actors below which it is not judged whether features drifted: chance alone moves them much."""
MOST_DRIFT = 0.25
"""The population stability index of a feature from which nobody is scored."""

_FEWEST_EXPECTED = 20
_FEATURES, _SCORED = "propensity_features", "propensity_scored"
_STEPS = ("features", "drift", "scores", "writing")


@dataclass(frozen=True)
class ScoredDecile:
    """A tenth of the scored actors: their mean chance, and what moves it most against that of all."""

    decile: int = column("decile", wording.count)
    actors: int = column("actors", wording.count)
    chance: float | None = column("mean chance", wording.fine_share)
    up: str = column("pushes up")
    down: str = column("pushes down")


@dataclass(frozen=True)
class ScoresResult(Result):
    """Who was scored, by decile, the largest chances first.

    Attributes:
        goal: The micro-conversion.
        model_id: The model.
        scored_at: The moment up to which actors were looked at (UTC).
        actors: How many were scored.
        deciles: The rows.
        drift: The population stability index of each feature, the largest first; empty where it was not judged.
    """

    row_type: ClassVar[type] = ScoredDecile

    goal: str
    model_id: str
    scored_at: datetime
    actors: int
    deciles: tuple[ScoredDecile, ...]
    drift: tuple[tuple[str, float], ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[ScoredDecile, ...]:
        """The deciles."""
        return self.deciles

    def sheets(self) -> Iterator[Sheet | str]:
        """Show the deciles."""
        yield sheet(f"Chance to reach {self.goal}", self.deciles, ScoredDecile)

    def bars(self) -> tuple[Bar, ...]:
        """One bar per decile: the mean chance."""
        return tuple(
            Bar(f"decile {row.decile}", row.chance or 0.0, wording.fine_share(row.chance)) for row in self.deciles
        )


def score(
    engine: Engine,
    taxonomy: Taxonomy,
    *,
    goal: str | None,
    as_of: datetime,
    on_progress: Callable[[int, int, str], None] = lambda _done, _total, _step: None,
) -> ScoresResult:
    """Score all actors seen in the time that the model of a goal looks back on; replace earlier scores of the goal.

    Whoever calls holds the lock.

    Args:
        engine: Where the staged tables, the models and the scores are.
        taxonomy: The taxonomy that the tables were staged with.
        goal: The micro-conversion; None is the first macro-conversion.
        as_of: The moment up to which actors are looked at (UTC).
        on_progress: Told what is done, of how much, and the step.

    Raises:
        TaxonomyError: The taxonomy has no such goal.
        SourceError: No model of the goal was trained.
        FindingsError: The model was refused, the data drifted away, or nobody can be scored; nothing is changed.
        EngineError: The engine failed; nothing is changed.
    """
    model = model_of(engine, taxonomy.goal(goal))
    _check(model, taxonomy)
    on_progress(0, len(_STEPS), _STEPS[0])
    number = len(model.form.weights)
    engine.materialise(_features_query(model, as_of), _FEATURES)
    on_progress(1, len(_STEPS), _STEPS[1])
    values = _values(engine.query(values_query(number)).to_pylist(), number)
    actors = sum(values[0].values())
    drift = _drift(model, values, actors)
    rate = recent_rate(engine, model, as_of)
    on_progress(2, len(_STEPS), _STEPS[2])
    engine.ensure(PROPENSITY_SCORES)
    engine.materialise(scores_query(model, as_of), _SCORED)
    means = engine.query(means_query(number)).to_pylist()
    on_progress(3, len(_STEPS), _STEPS[3])
    engine.apply([DeleteKeys(PROPENSITY_SCORES, "goal", _SCORED), InsertScratch(PROPENSITY_SCORES, _SCORED)])
    engine.discard(_FEATURES, _SCORED)
    on_progress(len(_STEPS), len(_STEPS), "done")
    deciles = tuple(_deciles(model, means))
    return ScoresResult(
        goal=model.goal,
        model_id=model.model_id,
        scored_at=as_of,
        actors=actors,
        deciles=deciles,
        drift=drift,
        sentence=_sentence(model, deciles, actors, as_of),
        assumptions=tuple(_assumptions(model, taxonomy, as_of, drift, actors, rate)),
    )


def model_of(engine: Engine, goal: str) -> ChanceModel:
    """Return the model of a goal that was trained last.

    Raises:
        SourceError: None was.
    """
    found = last_models(engine).get(goal)
    if found is None:
        raise SourceError(
            f"No model of the propensity to {goal} was trained.",
            hint=f"Run `microconv propensity train --goal {goal}`.",
        )
    return ChanceModel.of_row(found)


def values_query(features: int) -> Query:
    """Return the query of how many actors have each value of each feature."""
    return templates.query("analyses/propensity/feature_values", structure={"features": features})


def means_query(features: int) -> Query:
    """Return the query of what the actors of each decile are like."""
    return templates.query("analyses/propensity/decile_means", structure={"features": features})


def scores_query(model: ChanceModel, as_of: datetime) -> Query:
    """Return the query of the chances, by the logistic form: its weights are parameters."""
    return _chances_query(model.goal, model.model_id, as_of, model.form.intercept, model.form.weights)


def _chances_query(goal: str, model_id: str, as_of: datetime, intercept: float, weights: Sequence[float]) -> Query:
    return templates.query(
        "analyses/propensity/scores",
        params={
            "goal": goal,
            "model_id": model_id,
            "scored_at": as_of,
            "intercept": intercept,
            "weights": list(weights),
        },
        structure={"features": len(weights)},
    )


def _features_query(model: ChanceModel, as_of: datetime) -> Query:
    # What happened at the moment itself is known by then; features are of what lies before a cut-off.
    return model.form.features.query(model.asked, [micros(as_of) + 1])


def _check(model: ChanceModel, taxonomy: Taxonomy) -> None:
    train = f"Run `microconv propensity train --goal {model.goal}`"
    if model.reason is not None:
        raise FindingsError(
            f"Nobody is scored for {model.goal}: the model trained last, {model.model_id}, was refused: {model.reason}",
            hint=f"{train} once there are more data, with another --window or for another --goal.",
        )
    counted = {entry.counts_as for entry in taxonomy.entries}
    if gone := [each for each in model.form.features.entries if each not in counted]:
        raise FindingsError(
            f"Nobody is scored for {model.goal}: the model looks at {wording.listed(gone)}, which the taxonomy "
            f'"{taxonomy.name}" {taxonomy.version} does not count any more.',
            hint=f"{train}: it learns from what is counted now.",
        )


def _values(rows: Sequence[Mapping[str, Any]], features: int) -> list[dict[int, int]]:
    found: list[dict[int, int]] = [{} for _ in range(features)]
    for row in rows:
        found[row["place"]][row["value"]] = row["actors"]
    return found


def _drift(model: ChanceModel, values: Sequence[Mapping[int, int]], actors: int) -> tuple[tuple[str, float], ...]:
    """Return how far each feature moved, where enough actors tell; FindingsError where one is gone or moved too far."""
    form = model.form
    if not actors:
        raise FindingsError(
            f"Nobody is scored for {model.goal}: no actor was there in the last {model.lookback} who had not reached "
            "it before.",
            hint="Look whether all days are staged: `microconv runs list`.",
        )
    hint = (
        f"If that is how it is now, run `microconv propensity train --goal {model.goal}`; if it should not be, look "
        "for the cause with `microconv coverage` and `microconv audit`."
    )
    features = form.features.features
    for feature, share, now in zip(features, form.shares, values, strict=True):
        if set(now) == {0} and share * actors >= _FEWEST_EXPECTED:
            raise FindingsError(
                f"Nobody is scored for {model.goal}: {feature.name} is gone. In training "
                f"{wording.fine_share(share)} of the actors had it; of the {wording.count(actors)} now, nobody has.",
                hint=hint,
            )
    if actors < FEWEST_TO_JUDGE:
        return ()
    found = [
        (feature.name, stability_index(before, binned(now, edges)))
        for feature, before, now, edges in zip(features, form.bins, values, form.edges, strict=True)
    ]
    found.sort(key=lambda each: (-each[1], each[0]))
    if moved := [each for each in found if each[1] > MOST_DRIFT]:
        said = wording.listed([f"{name} ({wording.cents(index)})" for name, index in moved])
        raise FindingsError(
            f"Nobody is scored for {model.goal}: the {wording.count(actors)} actors of now are not like those that the "
            f"model learnt from. These features moved by a population stability index above {MOST_DRIFT}: {said}.",
            hint=hint,
        )
    return tuple(found)


@dataclass(frozen=True)
class RecentRate:
    """How many reached the goal in the last window that the data hold whole, of those who were there before it."""

    actors: int
    reached: int

    def in_words(self, model: ChanceModel) -> str:
        """Say how it stands to the training."""
        before = f"in training it was {wording.fine_share(model.figures.base_rate)}"
        within = wilson(self.reached, self.actors)
        if within is None:
            return f"Base rate: nobody can be counted in the last {model.window}; {before}."
        said = (
            f"Base rate: in the last {model.window}, {wording.fine_share(self.reached / self.actors)} of "
            f"{wording.plural(self.actors, 'actor')} reached {model.goal}, of those with a session in the "
            f"{model.lookback} before who had not reached it by then; {before}."
        )
        if within.low <= model.figures.base_rate <= within.high:
            return said
        way = "high" if within.high < model.figures.base_rate else "low"
        return f"{said} That is more than chance: the chances told may be too {way} by as much; their order may hold."


def recent_rate(engine: Engine, model: ChanceModel, as_of: datetime) -> RecentRate:
    """Count who reached the goal in the last whole window before a moment."""
    cut_off = micros(as_of - timedelta(seconds=model.window_seconds))
    rows = engine.query(rate_query(model, cut_off)).to_pylist()
    return RecentRate(rows[0]["actors"], rows[0]["reached"]) if rows else RecentRate(0, 0)


def rate_query(model: ChanceModel, cut_off_us: int) -> Query:
    """Return the query of who reached the goal in the window after a moment."""
    return goal_rate_query(model.asked, [cut_off_us])


def _deciles(model: ChanceModel, rows: Sequence[Mapping[str, Any]]) -> Iterator[ScoredDecile]:
    """Yield the deciles, the largest chances first, with what moves each against all who were scored."""
    number = range(len(model.form.weights))
    actors = sum(row["actors"] for row in rows)

    def of_all(name: str) -> list[float]:
        return [sum(row[f"{name}_{place}"] * row["actors"] for row in rows) / actors for place in number]

    logs, means = of_all("log_mean"), of_all("mean")
    for row in sorted(rows, key=lambda each: -each["decile"]):
        up, down = model.form.reasons(
            [row[f"log_mean_{place}"] for place in number], [row[f"mean_{place}"] for place in number], logs, means
        )
        yield ScoredDecile(
            decile=row["decile"],
            actors=row["actors"],
            chance=row["probability"],
            up="; ".join(up),
            down="; ".join(down),
        )


def _sentence(model: ChanceModel, deciles: Sequence[ScoredDecile], actors: int, as_of: datetime) -> str:
    top, last = deciles[0], deciles[-1]
    said = (
        f"{wording.plural(actors, 'actor')} scored as of {wording.minute(as_of)} UTC for {model.goal} in the next "
        f"{model.window}: the mean chance is {wording.fine_share(top.chance)} in decile {top.decile}"
    )
    if len(deciles) == 1:
        return f"{said}, in which all of them are."
    return f"{said} and {wording.fine_share(last.chance)} in decile {last.decile}."


def _assumptions(  # noqa: PLR0917 - all that a scoring found
    model: ChanceModel,
    taxonomy: Taxonomy,
    as_of: datetime,
    drift: tuple[tuple[str, float], ...],
    actors: int,
    rate: RecentRate,
) -> Iterator[str]:
    yield (
        f"Model {model.model_id}, trained at moments until {wording.minute(model.figures.last_cut_off)} UTC; on its "
        f"hold-out, {wording.minute(model.figures.hold_out_at)} UTC, the slope of calibration was "
        f"{wording.cents(model.figures.logistic.slope)} and the AUC {model.figures.logistic.auc_in_words}."
    )
    yield (
        f"Scored are actors with a session in the {model.lookback} before that moment who had never reached "
        f"{model.goal}. Others have no score, and are in no decile."
    )
    yield (
        "A decile is a tenth of them by their chance, 10 the largest; actors of equal chances are in one. After 'all:' "
        "stands the mean of all who were scored."
    )
    if drift:
        name, index = drift[0]
        yield f"Drift: the feature that moved most is {name}, by {wording.cents(index)} (refused above {MOST_DRIFT})."
    else:
        yield (
            f"Drift was not judged: not enough data: n = {wording.plural(actors, 'actor')} "
            f"(at least {FEWEST_TO_JUDGE})."
        )
    yield rate.in_words(model)
    if model.taxonomy_fingerprint != taxonomy.fingerprint:
        yield (
            f"The taxonomy has changed since the training ({model.taxonomy}): train again to learn from what counts "
            "now."
        )
    yield (
        f"A chance says who is likely to reach {model.goal}, not who can be moved to: whom an offer changes only an "
        "experiment tells."
    )
    yield f"Segments may use these scores for {STALE_AFTER.days} days of data after {wording.minute(as_of)} UTC."


def examples(_config: Config, taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of a scoring, with an example of a model."""
    goal, moment = taxonomy.goal(None), templates.EXAMPLE_MOMENT
    features = PropensityFeatures.candidates(taxonomy, goal, [])
    number = len(features.features)
    asked = GoalWindow(goal, DEFAULT_WINDOW.seconds, USUAL_LOOKBACK_SECONDS)
    yield None, features.query(asked, [micros(moment) + 1])
    yield None, values_query(number)
    yield None, _chances_query(goal, "model", moment, -3.0, [0.1] * number)
    yield None, means_query(number)
