"""The card of a model of propensity: how it did on actors it did not know, its weights in words, and what it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from microconv import wording
from microconv.analyses.propensity.chance_model import ACCEPTED, ChanceModel, TrainedFigures
from microconv.analyses.propensity.features import GoalWindow, goal_rate_query
from microconv.analyses.propensity.scoring import RecentRate, rate_query
from microconv.analyses.propensity.training import DEFAULT_WINDOW, USUAL_LOOKBACK_SECONDS, micros
from microconv.config.values import EntryId
from microconv.queries.templates import EXAMPLE_MOMENT, Query
from microconv.question import Context, Option, Question
from microconv.result import Result, column, sheet
from microconv.segments.propensity_rules import models_query, scores_query
from microconv.segments.propensity_tables import PROPENSITY_MODELS, PROPENSITY_SCORES
from microconv.stats.intervals import wilson
from microconv.wording import Bar, Heading, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_WEIGHTS = 15
_FAINT = 0.02
_SLOPES = (0.8, 1.2)
_AS_WRITTEN = ("figure", "model", "trees", "reads")


@dataclass(frozen=True)
class PropensityDecile:
    """A tenth of the hold-out by its chance: what was said of it, and what then happened.

    `low` and `high` are Wilson's interval of `rate` (95%). A model that was not trained yet is one row that says so.
    """

    decile: int | None = column("decile", wording.count)
    actors: int | None = column("actors", wording.count)
    predicted: float | None = column("mean chance", wording.fine_share)
    reached: int | None = column("reached the goal", wording.count)
    rate: float | None = column("rate", wording.fine_share)
    low: float | None = column("rate from", wording.fine_share)
    high: float | None = column("rate to", wording.fine_share)
    up: str = column("pushes up")
    down: str = column("pushes down")
    says: str = column("says")


@dataclass(frozen=True)
class HoldOutFigure:
    """A figure of the hold-out, for the model and for boosted trees, and how it is read.

    `model` and `trees` are as they are written, `model_value` and `trees_value` the numbers, each with its 95% interval
    where one is known.
    """

    figure: str = column("figure")
    model: str = column("this model")
    trees: str = column("boosted trees")
    reads: str = column("read it as")
    model_value: float | None = None
    model_low: float | None = None
    model_high: float | None = None
    trees_value: float | None = None
    trees_low: float | None = None
    trees_high: float | None = None


@dataclass(frozen=True)
class FeatureWeight:
    """A feature of a model: by what it multiplies the odds of the goal, all other features held as they are.

    `odds` is for having it where actors have it or not, else for the first time and again for each doubling (from 1 to
    3, 3 to 7 …). `strength` is the weight times the standard deviation, in log odds. `usual` is the mean as it is
    written, `mean` the number: hours, a share of cases, or how many.
    """

    feature: str = column("feature")
    odds: float = column("odds times", wording.times)
    per: str = column("for")
    usual: str = column("mean in training")
    strength: float = column("moves log odds by", wording.cents)
    mean: float | None = None


@dataclass(frozen=True)
class PropensityResult(Result):
    """The card of the model of a goal that was trained last; without one, that there is none.

    Attributes:
        goal: The micro-conversion.
        model_id: The model; None where none was trained.
        status: Accepted, refused or none.
        auc: Of the model on the hold-out, `auc_low` to `auc_high` its 95% interval; None without a model.
        base_rate: The share that reached the goal in training.
        deciles: The rows: the hold-out by chance, the largest first.
        figures: How the model and boosted trees did on the hold-out.
        weights: The features, those that move chances most first.
        scored_at: The moment up to which actors were scored last (UTC); None where none were.
        scored_actors: How many were.
    """

    row_type: ClassVar[type] = PropensityDecile

    goal: str
    model_id: str | None
    status: str
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    base_rate: float | None
    deciles: tuple[PropensityDecile, ...]
    figures: tuple[HoldOutFigure, ...]
    weights: tuple[FeatureWeight, ...]
    scored_at: datetime | None
    scored_actors: int
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[PropensityDecile, ...]:
        """The deciles."""
        return self.deciles

    @property
    def title(self) -> str:
        """What the table of the rows is called."""
        return f"Chance to reach {self.goal}, and what happened, on the hold-out"

    def sheets(self) -> Iterator[Sheet | str]:
        """Show figures, deciles, what moves them, and weights."""
        if not self.figures:
            yield sheet(self.title, self.rows, PropensityDecile, only=("says",))
            return
        yield sheet(f"How the model of {self.goal} did on the hold-out", self.figures, HoldOutFigure, only=_AS_WRITTEN)
        yield sheet(self.title, self.rows, PropensityDecile, without=("up", "down", "says"))
        if self.status != ACCEPTED:  # what a model weighs that ranks nobody says nothing
            return
        yield Sheet(
            "What moves the chance of each decile most, against all of the hold-out",
            (Heading("decile", wording.count), Heading("pushes up"), Heading("pushes down")),
            tuple((row.decile, row.up, row.down) for row in self.rows),
        )
        yield sheet("What the features weigh", self.weights[:_MOST_WEIGHTS], FeatureWeight, without=("mean",))
        if len(self.weights) > _MOST_WEIGHTS:
            yield f"{wording.plural(len(self.weights) - _MOST_WEIGHTS, 'more feature')}: see --format json."

    def bars(self) -> Sequence[Bar]:
        """Two bars per decile: the chance that was told, and the rate that followed."""
        return [
            Bar(f"decile {row.decile} {what}", share, wording.fine_share(share))
            for row in self.rows
            for what, share in (("told", row.predicted), ("came", row.rate))
            if share is not None
        ]


class Propensity(Question):
    """Show the model that gives each actor a chance to reach a goal: how it did on actors that it did not know.

    `propensity train` makes a model, `propensity score` gives chances; segments then name deciles of them.
    """

    options: ClassVar[Mapping[str, Option]] = {"goal": Option(metavar="ID")}
    examples: ClassVar[tuple[str, ...]] = (
        "propensity show",
        "propensity show --goal add_to_cart --chart",
        "propensity show --format json",
    )

    goal: EntryId | None = Field(
        default=None, description="the micro-conversion to reach; default: the first macro-conversion"
    )

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the goal."""
        if self.goal is not None:
            yield self.goal, "the goal of propensity"

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the query of how often the goal was reached of late; the model was looked up."""
        latest = context.latest_event_at or EXAMPLE_MOMENT
        model = self._model(context)
        if model is None:
            cut_off = micros(latest - timedelta(seconds=DEFAULT_WINDOW.seconds))
            return (
                goal_rate_query(
                    GoalWindow(context.taxonomy.goal(self.goal), DEFAULT_WINDOW.seconds, USUAL_LOOKBACK_SECONDS),
                    [cut_off],
                ),
            )
        return (rate_query(model, micros(latest - timedelta(seconds=model.window_seconds))),)

    def result(self, tables: Sequence[pa.Table], context: Context) -> PropensityResult:
        """Make the card."""
        goal, model = context.taxonomy.goal(self.goal), self._model(context)
        rows = tables[0].to_pylist()
        rate = RecentRate(rows[0]["actors"], rows[0]["reached"]) if rows else RecentRate(0, 0)
        if model is None:
            return _no_model(goal, rate)
        found = _kept(context, PROPENSITY_SCORES.name, scores_query())
        scored = next((row for row in found if row["goal"] == goal), None)
        return card(model, scored, rate)

    def _model(self, context: Context) -> ChanceModel | None:
        goal = context.taxonomy.goal(self.goal)
        found = _kept(context, PROPENSITY_MODELS.name, models_query())
        return next((ChanceModel.of_row(row) for row in found if row["goal"] == goal), None)


def _kept(context: Context, table: str, query: Query) -> list[dict[str, object]]:
    """Return the rows of a query of a table that may not be there yet; without an engine only the query is kept."""
    if context.open_engine is not None and context.engine.version(table) is None:
        return []
    return context.look_up(query)


def card(model: ChanceModel, scored: Mapping[str, object] | None, rate: RecentRate | None = None) -> PropensityResult:
    """Return the card of a model.

    Args:
        model: The model.
        scored: The row of its goal of `sql/segments/propensity_scored.sql`, if anybody was scored.
        rate: How often the goal was reached of late.
    """
    weights = tuple(_weights(model))
    within = model.figures.logistic.auc_interval
    scored_at = scored["scored_at"] if scored else None
    actors = scored["actors"] if scored else 0
    return PropensityResult(
        goal=model.goal,
        model_id=model.model_id,
        status=model.status,
        auc=model.figures.logistic.auc,
        auc_low=within.low if within else None,
        auc_high=within.high if within else None,
        base_rate=model.figures.base_rate,
        deciles=tuple(_deciles(model)),
        figures=tuple(_figures(model)),
        weights=weights,
        scored_at=scored_at if isinstance(scored_at, datetime) else None,
        scored_actors=actors if isinstance(actors, int) else 0,
        sentence=_sentence(model),
        assumptions=tuple(_assumptions(model, scored, rate)),
    )


def _no_model(goal: str, rate: RecentRate) -> PropensityResult:
    lookback, window = wording.span(USUAL_LOOKBACK_SECONDS), wording.span(DEFAULT_WINDOW.seconds)
    counted = (
        f"Of {wording.plural(rate.actors, 'actor')} with a session in the {lookback} before the last {window}, who had "
        f"not reached {goal} by then, {wording.count(rate.reached)} reached it in the last {window}. A training looks "
        "back 28, 14 or 7 days, as far as the staged days let it, so it may count fewer."
    )
    return PropensityResult(
        goal=goal,
        model_id=None,
        status="none",
        auc=None,
        auc_low=None,
        auc_high=None,
        base_rate=None,
        deciles=(PropensityDecile(None, None, None, None, None, None, None, "", "", "no model was trained"),),
        figures=(),
        weights=(),
        scored_at=None,
        scored_actors=0,
        sentence=(
            f"No model of the propensity to {goal} was trained yet: the command propensity train makes one, where "
            "enough data are staged. With few, stage more days, ask for a longer --window, or for another --goal."
        ),
        assumptions=(counted,),
    )


def _deciles(model: ChanceModel) -> Iterator[PropensityDecile]:
    for each in reversed(model.figures.deciles):
        within = wilson(each.reached, each.actors)
        yield PropensityDecile(
            decile=each.decile,
            actors=each.actors,
            predicted=each.predicted,
            reached=each.reached,
            rate=each.reached / each.actors,
            low=within.low if within else None,
            high=within.high if within else None,
            up="; ".join(each.up),
            down="; ".join(each.down),
            says="",
        )


def _figures(model: ChanceModel) -> Iterator[HoldOutFigure]:
    of, trees = model.figures.logistic, model.figures.trees
    base = wording.fine_share(model.figures.base_rate)
    own, of_trees = of.auc_interval, trees.auc_interval
    yield HoldOutFigure(
        "AUC",
        of.auc_in_words,
        trees.auc_in_words,
        "of two actors, one of whom reached it, how often that one had the larger chance (95% interval); 0.50: chance",
        model_value=of.auc,
        model_low=own.low if own else None,
        model_high=own.high if own else None,
        trees_value=trees.auc,
        trees_low=of_trees.low if of_trees else None,
        trees_high=of_trees.high if of_trees else None,
    )
    others: tuple[tuple[str, Callable[[float | None], str], float | None, float | None, str], ...] = (
        (
            "Brier skill",
            wording.fine_share,
            of.brier_skill,
            trees.brier_skill,
            f"by how much chances lie nearer to what happened than {base} for everybody",
        ),
        ("Brier", _four_digits, of.brier, trees.brier, "mean squared distance; 0 is best"),
        (
            "slope of calibration",
            wording.cents,
            of.slope,
            trees.slope,
            "1 is right; below it chances are too extreme, above it too timid",
        ),
        ("level of calibration", wording.cents, of.level, trees.level, "0 is right, beside a slope of 1"),
    )
    for name, write, value, of_tree, reads in others:
        yield HoldOutFigure(name, write(value), write(of_tree), reads, model_value=value, trees_value=of_tree)


def _four_digits(value: float | None) -> str:
    return wording.decimal(value, 4)


def _weights(model: ChanceModel) -> Iterator[FeatureWeight]:
    places = sorted(range(len(model.form.weights)), key=lambda place: (-model.strength(place), place))
    for place in places:
        feature = model.form.features.features[place]
        yield FeatureWeight(
            feature=feature.name,
            odds=model.effect(place),
            per="having it" if feature.is_flag else "each doubling" if feature.is_time else "the first, each doubling",
            usual=feature.written(model.form.means[place]),
            strength=model.strength(place),
            mean=model.form.means[place],
        )


def _sentence(model: ChanceModel) -> str:
    of, figures = model.figures.logistic, model.figures
    if model.reason is not None:
        return f"The model of {model.goal} was refused: {model.reason}"
    top = figures.deciles[-1]
    n = f"n = {wording.count(figures.hold_out_reached)} of {wording.count(figures.hold_out_actors)} actors"
    of_top, of_all = top.reached / top.actors, figures.hold_out_reached / figures.hold_out_actors
    said = (
        f"Of the hold-out's actors with the largest chances (decile {top.decile}), {wording.fine_share(of_top)} "
        f"reached {model.goal} within {model.window}, against {wording.fine_share(of_all)} of all ({n})."
    )
    if of.slope is None or not _SLOPES[0] <= of.slope <= _SLOPES[1]:
        way = "too extreme" if of.slope is not None and of.slope < 1 else "too timid"
        said += f" Chances are {way} (slope {wording.cents(of.slope)}): use their order more than their size."
    return said


def _moments(figures: TrainedFigures) -> str:
    """Name the moments of the training."""
    first = wording.minute(figures.first_cut_off)
    if figures.cut_offs == 1:
        return f"one moment, {first}"
    last = wording.minute(figures.last_cut_off)
    return f"{figures.cut_offs} moments a week apart, from {first} to {last}"


def _assumptions(model: ChanceModel, scored: Mapping[str, object] | None, rate: RecentRate | None) -> Iterator[str]:
    figures = model.figures
    part = ", of a part of the actors (by a hash)" if figures.is_sample else ""
    yield (
        f"Model {model.model_id} learnt at {_moments(figures)} UTC: {wording.plural(figures.actors, 'case')}{part}, in "
        f"{wording.count(figures.reached)} of which {model.goal} was reached within {model.window} after. The hold-out "
        f"is one later moment, {wording.minute(figures.hold_out_at)} UTC, with what followed until "
        f"{wording.minute(model.as_of)} UTC, where the data ended. No window of the training reaches into it."
    )
    yield (
        f"A case is an actor with a session in the {model.lookback} before a moment who had not reached {model.goal} "
        "by then. Features are of what lay before the moment, in that time, alone."
    )
    trees = figures.trees
    yield (
        "The model is a logistic regression, calibrated; it scores in SQL. Boosted trees are a yardstick, and score "
        f"nobody: on the hold-out their AUC is {wording.cents(trees.auc)} against "
        f"{wording.cents(figures.logistic.auc)}."
    )
    yield (
        "Weights hold all other features as they are; of two that go together either may weigh for both. Their means "
        "are of the cases of the training; what stands after 'all:' is of those of the hold-out."
    )
    if rate is not None:
        yield rate.in_words(model)
    if model.status != ACCEPTED:
        yield (
            f"Next: the command propensity train --goal {model.goal} once there are more data, or now with another "
            "--window or --goal."
        )
    elif scored is None:
        yield "Nobody was scored yet: the command propensity score does."
    else:
        at = scored["scored_at"]
        when = wording.minute(at) if isinstance(at, datetime) else ""
        actors = scored["actors"]
        yield (
            f"{wording.plural(actors if isinstance(actors, int) else 0, 'actor')} were scored as of {when} UTC"
            f"{'' if scored['model_id'] == model.model_id else ', by an earlier model'}."
        )
    yield (
        f"A chance says who is likely to reach {model.goal}, not who can be moved to: whom an offer changes only an "
        "experiment tells."
    )
