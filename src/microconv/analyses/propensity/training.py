"""Train a model of propensity: features before a moment, the goal after it; held against a later one it did not see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from microconv import wording
from microconv.analyses.propensity.chance_model import (
    ChanceForm,
    ChanceModel,
    HoldOutDecile,
    HoldOutFigures,
    TrainedFigures,
)
from microconv.analyses.propensity.features import (
    EVERYBODY,
    GoalWindow,
    PropensityFeatures,
    goal_rate_query,
    part_of_actors,
    traits_query,
)
from microconv.config.sections import Config
from microconv.config.values import Duration
from microconv.engines.base import AddRows, Engine
from microconv.errors import FindingsError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.segments.propensity_tables import PROPENSITY_MODELS
from microconv.taxonomy import Taxonomy

if TYPE_CHECKING:
    from microconv.stats.chance_models import LogisticChances, Numbers, TreesChances

DEFAULT_WINDOW = Duration.parse("7d")
FEWEST_TRAINED = 40
"""Cases in which the goal was reached, in training, below which nothing is fitted."""
FEWEST_HELD_OUT = 20
"""The same in the hold-out, below which nothing can be tested."""
LEVEL = 0.001
"""How likely chance alone may be to rank the hold-out as well, for a model to be accepted."""

_WEEK = timedelta(days=7)
_LOOKBACKS = tuple(timedelta(days=days) for days in (28, 14, 7))
USUAL_LOOKBACK_SECONDS = 28 * 86_400
_MOST_CUT_OFFS = 8
_WANTED_CUT_OFFS = 3
_USUAL_ROWS, _MOST_ROWS = 100_000, 400_000
_WANTED_REACHED = 200
_FEWEST_OF_A_FEATURE = 20
_FOLDS = 5
_STEPS = ("counting", "features", "logistic regression", "boosted trees", "hold-out", "writing")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class CutOffs:
    """The moments of a training: those that a model is fitted at, and the latest whose whole window is in the data."""

    training: tuple[datetime, ...]
    hold_out: datetime
    lookback: timedelta

    @classmethod
    def of(cls, first: datetime, end: datetime, window: timedelta) -> CutOffs | None:
        """Choose them, a week apart; None where the data are too short.

        No window of the training reaches beyond the moment of the hold-out. Features look back as far as leaves
        `_WANTED_CUT_OFFS` moments, so that all of them look back as far.
        """
        hold_out = end - window
        weeks = -(-window // _WEEK)
        for lookback in _LOOKBACKS:
            moments = [hold_out - (weeks + number) * _WEEK for number in range(_MOST_CUT_OFFS)]
            kept = tuple(each for each in reversed(moments) if each - lookback >= first)
            if len(kept) >= (_WANTED_CUT_OFFS if lookback > _LOOKBACKS[-1] else 1):
                return cls(kept, hold_out, lookback)
        return None

    @property
    def all_us(self) -> list[int]:
        """All of them, in microseconds since 1970; that of the hold-out is the last."""
        return [micros(each) for each in (*self.training, self.hold_out)]


def micros(moment: datetime) -> int:
    """Return microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def train(
    engine: Engine,
    taxonomy: Taxonomy,
    *,
    goal: str | None,
    window: Duration,
    as_of: datetime,
    model_id: str,
    now: datetime,
    on_progress: Callable[[int, int, str], None] = lambda _done, _total, _step: None,
) -> ChanceModel:
    """Train a model, hold it against what then happened, and keep it, refused ones too. Whoever calls holds the lock.

    Args:
        engine: Where the staged tables are, and the models.
        taxonomy: The taxonomy that the tables were staged with.
        goal: The micro-conversion; None is the first macro-conversion.
        window: Within how long the goal is to be reached.
        as_of: Until when the data reach (UTC): the end of the hold-out's window.
        model_id: The id that the model gets.
        now: The current time.
        on_progress: Told what is done, of how much, and the step.

    Raises:
        TaxonomyError: The taxonomy has no such goal.
        FindingsError: There are too few data: nothing is kept.
        EngineError: The engine failed.
    """
    goal_id = taxonomy.goal(goal)
    show = _Steps(on_progress)
    show("counting")
    cut_offs = _cut_offs(engine, as_of, window)
    lookback, spans = int(cut_offs.lookback.total_seconds()), cut_offs.all_us
    asked = GoalWindow(goal_id, window.seconds, lookback)
    rates = {row["cut_off_us"]: row for row in engine.query(goal_rate_query(asked, spans)).to_pylist()}
    last_hash = _sample(rates, cut_offs, goal_id, window)
    traits = engine.query(traits_query(spans[0] - lookback * 1_000_000, spans[-2])).to_pylist()

    show("features")
    features = PropensityFeatures.candidates(taxonomy, goal_id, traits)
    table = engine.query(features.query(asked, spans, last_hash, is_ordered=True))
    cases = _Cases.of(table, len(features.features), spans[-1])
    kept = cases.varied()
    features, cases = features.only(kept), cases.only(kept)

    show("logistic regression")
    form, logistic = _fitted(features, cases)
    show("boosted trees")
    trees = _trees(cases)
    show("hold-out")
    figures = _figures(form, cases, logistic, trees, cut_offs, is_sample=last_hash != EVERYBODY)
    model = ChanceModel(
        model_id=model_id,
        goal=goal_id,
        trained_at=now,
        as_of=as_of,
        reason=_refusal(figures, goal_id),
        window_seconds=window.seconds,
        lookback_seconds=lookback,
        taxonomy=f"{taxonomy.name} {taxonomy.version}",
        taxonomy_fingerprint=taxonomy.fingerprint,
        form=form,
        figures=figures,
    )
    show("writing")
    engine.ensure(PROPENSITY_MODELS)
    engine.apply([AddRows(PROPENSITY_MODELS, (model.row(),))])
    return model


class _Steps:
    """Tells which step begins."""

    def __init__(self, on_progress: Callable[[int, int, str], None]) -> None:
        self._tell = on_progress

    def __call__(self, step: str) -> None:
        self._tell(_STEPS.index(step), len(_STEPS), step)


def _cut_offs(engine: Engine, as_of: datetime, window: Duration) -> CutOffs:
    (span,) = engine.query(templates.query("operations/span")).to_pylist()
    first = span["first_date"]
    days = 0 if first is None else (span["last_date"] - first).days + 1
    # The first day begins, in the property's zone, up to half a day before or after that of UTC.
    begin = as_of if first is None else datetime(first.year, first.month, first.day, tzinfo=UTC)
    found = CutOffs.of(begin, as_of, timedelta(seconds=window.seconds))
    if found is None:
        window_weeks = -(-timedelta(seconds=window.seconds) // _WEEK)
        needed = -(-(window_weeks * _WEEK + timedelta(seconds=window.seconds) + _LOOKBACKS[-1]) // timedelta(days=1))
        raise FindingsError(
            f"No model can be trained: not enough data: n = {wording.plural(days, 'day')} staged. With a window of "
            f"{wording.span(window.seconds)} it takes {wording.plural(needed, 'day')}: a week to look at, a window to "
            "learn from and a later one to hold the model against.",
            hint="Stage more days, or ask for a shorter --window.",
        )
    return found


def _sample(rates: dict[int, dict[str, Any]], cut_offs: CutOffs, goal: str, window: Duration) -> str:
    """Return which part of the actors is taken; FindingsError where too few reached the goal."""
    actors = sum(row["actors"] for row in rates.values())
    held_out = rates.get(cut_offs.all_us[-1], {"actors": 0, "reached": 0})["reached"]
    trained = sum(row["reached"] for row in rates.values()) - held_out
    if trained < FEWEST_TRAINED or held_out < FEWEST_HELD_OUT:
        raise FindingsError(
            f"No model can be trained: not enough data: n = {wording.count(trained)} reached {goal} in the "
            f"{wording.span(window.seconds)} after a moment of the training (at least {FEWEST_TRAINED}), and n = "
            f"{wording.count(held_out)} after that of the hold-out, {wording.minute(cut_offs.hold_out)} UTC (at least "
            f"{FEWEST_HELD_OUT}). Only those count who had a session in the "
            f"{wording.span(int(cut_offs.lookback.total_seconds()))} before the moment, as far as the staged days let "
            "all of them look back, and had not reached it by then.",
            hint="Stage more days, ask for a longer --window, or for a --goal that is reached more often.",
        )
    rows = max(_USUAL_ROWS, min(_MOST_ROWS, actors * _WANTED_REACHED // max(held_out, 1)))
    return EVERYBODY if actors <= rows else part_of_actors(rows / actors)


@dataclass(frozen=True)
class _Cases:
    """Pairs of actor and moment: features as they are and their logs, whether the goal was reached, and the fold."""

    values: Numbers
    logs: Numbers
    reached: Numbers
    folds: Any
    is_held_out: Any

    @classmethod
    def of(cls, table: Any, features: int, hold_out_us: int) -> _Cases:  # noqa: ANN401 - an Arrow table
        import numpy as np  # slow to load

        keys = table["actor_key"].to_numpy().astype(np.uint64)
        values = np.column_stack([table[f"feature_{place}"].to_numpy() for place in range(features)]).astype(np.float64)
        # A fold is of actors, so that what is said of one was learnt from others (Knuth's multiplicative hash).
        hashes = (keys * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(33)
        return cls(
            values,
            np.log1p(values),
            table["is_reached"].to_numpy(zero_copy_only=False).astype(np.float64),
            (hashes % np.uint64(_FOLDS)).astype(np.int64),
            table["cut_off_us"].to_numpy() == hold_out_us,
        )

    def varied(self) -> list[int]:
        """Return the features that differ among enough cases of the training."""
        own = self.values[~self.is_held_out]
        usual = own.max(axis=0) if len(own) else []
        return [
            place
            for place in range(self.values.shape[1])
            if min((own[:, place] > 0).sum(), (own[:, place] < usual[place]).sum()) >= _FEWEST_OF_A_FEATURE
        ]

    def only(self, places: Sequence[int]) -> _Cases:
        chosen = list(places)
        return _Cases(self.values[:, chosen], self.logs[:, chosen], self.reached, self.folds, self.is_held_out)


def _fitted(features: PropensityFeatures, cases: _Cases) -> tuple[ChanceForm, LogisticChances]:
    from microconv.stats.chance_models import fit_logistic
    from microconv.stats.population_shift import binned, edges_of

    own = ~cases.is_held_out
    logs, values = cases.logs[own], cases.values[own]
    logistic = fit_logistic(logs, cases.reached[own], cases.folds[own])
    counts = [_counts(values[:, place]) for place in range(values.shape[1])]
    edges = tuple(edges_of(each) for each in counts)
    form = ChanceForm(
        features=features,
        intercept=logistic.intercept,
        weights=logistic.weights,
        log_means=tuple(map(float, logs.mean(axis=0))),
        log_spreads=tuple(map(float, logs.std(axis=0))),
        means=tuple(map(float, values.mean(axis=0))),
        shares=tuple(map(float, (values > 0).mean(axis=0))),
        edges=edges,
        bins=tuple(binned(each, at) for each, at in zip(counts, edges, strict=True)),
    )
    return form, logistic


def _counts(values: Numbers) -> dict[int, int]:
    import numpy as np  # slow to load

    found, cases = np.unique(values, return_counts=True)
    return {int(value): int(number) for value, number in zip(found, cases, strict=True)}


def _trees(cases: _Cases) -> TreesChances:
    from microconv.stats.chance_models import fit_trees

    own = ~cases.is_held_out
    return fit_trees(cases.logs[own], cases.reached[own], cases.folds[own])


def _figures(
    form: ChanceForm,
    cases: _Cases,
    logistic: LogisticChances,
    trees: TreesChances,
    cut_offs: CutOffs,
    *,
    is_sample: bool,
) -> TrainedFigures:
    import numpy as np  # slow to load

    from microconv.stats.auc_comparison import compare_areas
    from microconv.stats.chance_models import log_loss, ranks_by_chance

    out = cases.is_held_out
    reached, trained = cases.reached[out], cases.reached[~out]
    base = float(trained.mean())
    chances, of_trees = logistic.chances(cases.logs[out]), trees.chances(cases.logs[out])
    areas = compare_areas(chances, of_trees, reached, 1 - reached)
    return TrainedFigures(
        cut_offs=len(cut_offs.training),
        first_cut_off=cut_offs.training[0],
        hold_out_at=cut_offs.hold_out,
        actors=len(trained),
        reached=int(trained.sum()),
        hold_out_actors=len(reached),
        hold_out_reached=int(reached.sum()),
        is_sample=is_sample,
        penalty=logistic.penalty,
        p_value=ranks_by_chance(chances, reached),
        base_log_loss=log_loss(np.full(len(reached), base), reached),
        logistic=_held_out(chances, reached, base, areas.first_error if areas else None),
        trees=_held_out(of_trees, reached, base, areas.second_error if areas else None),
        deciles=tuple(_deciles(form, chances, cases.values[out], cases.logs[out], reached)),
    )


def _held_out(chances: Numbers, reached: Numbers, base: float, auc_error: float | None) -> HoldOutFigures:
    import numpy as np  # slow to load

    from microconv.stats.calibration import auc, brier, calibration
    from microconv.stats.chance_models import log_loss

    found = calibration(chances, reached) if np.ptp(chances) else None
    of_base = brier(np.full(len(reached), base), reached)
    of_model = brier(chances, reached)
    return HoldOutFigures(
        auc=auc(chances, reached),
        brier=of_model,
        brier_skill=1 - of_model / of_base if of_base else None,
        slope=found.slope if found else None,
        level=found.level if found else None,
        log_loss=log_loss(chances, reached),
        auc_error=auc_error,
    )


def _deciles(
    form: ChanceForm, chances: Numbers, values: Numbers, logs: Numbers, reached: Numbers
) -> Iterator[HoldOutDecile]:
    import numpy as np  # slow to load

    # As `sql/analyses/propensity/scores.sql` makes them.
    levels = np.rint(chances * 10_000_000).astype(np.int64)
    below = np.searchsorted(np.sort(levels), levels, side="left")
    deciles = 1 + 10 * below // len(levels)
    everybody, all_logs = values.mean(axis=0), logs.mean(axis=0)
    for decile in np.unique(deciles):
        own = deciles == decile
        up, down = form.reasons(
            logs[own].mean(axis=0).tolist(),
            values[own].mean(axis=0).tolist(),
            all_logs.tolist(),
            everybody.tolist(),
        )
        yield HoldOutDecile(
            decile=int(decile),
            actors=int(own.sum()),
            predicted=float(chances[own].mean()),
            reached=int(reached[own].sum()),
            up=up,
            down=down,
        )


def _refusal(figures: TrainedFigures, goal: str) -> str | None:
    """Say why a model is refused, if it is."""
    of = figures.logistic
    n = f"n = {wording.count(figures.hold_out_reached)} of {wording.count(figures.hold_out_actors)} reached {goal}"
    if of.auc is None or figures.p_value > LEVEL:
        p_value = f"p = {wording.p_value(figures.p_value)}, at most {LEVEL} is asked"
        order = "" if of.auc is None else f" (AUC {wording.cents(of.auc)}, {p_value})"
        return f"on the hold-out it ranks actors no better than chance{order}, with {n}."
    is_nearer = of.brier_skill is not None and of.brier_skill > 0
    if not is_nearer and of.log_loss >= figures.base_log_loss:
        return (
            f"on the hold-out it does no better than the base rate of {wording.fine_share(figures.base_rate)} "
            f"for everybody (Brier skill {wording.decimal(of.brier_skill, 4)}), with {n}."
        )
    return None


def examples(config: Config, taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:  # noqa: ARG001 - as all have it
    """Yield the queries of a training, at example moments."""
    goal, moment = taxonomy.goal(None), micros(templates.EXAMPLE_MOMENT)
    asked = GoalWindow(goal, DEFAULT_WINDOW.seconds, USUAL_LOOKBACK_SECONDS)
    yield None, goal_rate_query(asked, [moment])
    yield None, traits_query(moment - USUAL_LOOKBACK_SECONDS * 1_000_000, moment)
    features = PropensityFeatures.candidates(taxonomy, goal, [])
    yield None, features.query(asked, [moment], is_ordered=True)
