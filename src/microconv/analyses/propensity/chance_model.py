"""A model of propensity as it is kept: what it looks at, its weights, and what it said of actors it did not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict

from microconv import wording
from microconv.analyses.propensity.features import GoalWindow, PropensityFeatures
from microconv.queries.templates import Value
from microconv.stats.intervals import Interval
from microconv.version import __version__

if TYPE_CHECKING:
    from microconv.stats.chance_models import Numbers

ACCEPTED, REFUSED = "accepted", "refused"
_MOST_REASONS = 3
_QUANTILE = 1.959964
_FAINT = 0.05
"""Below this much in log odds a feature does not move anything that anybody would notice."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class HoldOutFigures(_Kept):
    """How chances stood to what then happened, on the hold-out.

    Attributes:
        auc: How often an actor who reached the goal had the larger chance of two; 0.5 is no better than chance.
        auc_error: Its standard error (DeLong, DeLong and Clarke-Pearson, 1988); None where it is not known.
        brier: Mean squared distance of the chance from what happened.
        brier_skill: By what share that is smaller than with the base rate of the training for everybody.
        slope: Of what happened on the log odds of the chance; 1 is right, below 1 is too extreme.
        level: Its level; 0 is right.
        log_loss: Mean of minus the log of the chance given to what happened.
    """

    auc: float | None
    brier: float
    brier_skill: float | None
    slope: float | None
    level: float | None
    log_loss: float
    auc_error: float | None = None

    @property
    def auc_interval(self) -> Interval | None:
        """The 95% interval of the area, where that is known."""
        if self.auc is None or self.auc_error is None:
            return None
        margin = _QUANTILE * self.auc_error
        return Interval(max(self.auc - margin, 0.0), min(self.auc + margin, 1.0))

    @property
    def auc_in_words(self) -> str:
        """The area with its 95% interval, where that is known: `0.96 (0.94 to 0.99)`."""
        if (within := self.auc_interval) is None:
            return wording.cents(self.auc)
        return f"{wording.cents(self.auc)} ({wording.cents(within.low)} to {wording.cents(within.high)})"


class HoldOutDecile(_Kept):
    """A tenth of the actors of the hold-out by their chance: the mean chance, and how many reached the goal.

    `up` and `down` say how they differ from all, in what moves their chance most.
    """

    decile: int
    actors: int
    predicted: float
    reached: int
    up: tuple[str, ...]
    down: tuple[str, ...]


class ChanceForm(_Kept):
    """What a model is: the logistic form over LN(1 + feature), and what the features were like in training.

    Attributes:
        features: What it looks at.
        intercept: Of the log odds.
        weights: Of each feature, in their order.
        log_means: Mean of LN(1 + feature) in training.
        log_spreads: Its standard deviation.
        means: Mean of the feature itself.
        shares: Share of the cases in which it was more than 0.
        edges: For each feature, the largest value of each bin but the last.
        bins: How many actors were in each bin.
    """

    features: PropensityFeatures
    intercept: float
    weights: tuple[float, ...]
    log_means: tuple[float, ...]
    log_spreads: tuple[float, ...]
    means: tuple[float, ...]
    shares: tuple[float, ...]
    edges: tuple[tuple[int, ...], ...]
    bins: tuple[tuple[int, ...], ...]

    def reasons(
        self, log_means: Sequence[float], means: Sequence[float], of_all_logs: Sequence[float], of_all: Sequence[float]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return what pushes the chance of some actors up against that of all, and what pushes it down, most first."""
        moves = [
            (weight * (own - everybody), place)
            for place, (weight, own, everybody) in enumerate(zip(self.weights, log_means, of_all_logs, strict=True))
        ]

        def said(chosen: list[tuple[float, int]]) -> tuple[str, ...]:
            return tuple(
                self.features.features[place].compared(means[place], of_all[place])
                for _, place in chosen[:_MOST_REASONS]
            )

        up = sorted(((move, place) for move, place in moves if move > _FAINT), reverse=True)
        down = sorted((move, place) for move, place in moves if move < -_FAINT)
        return said(up), said(down)

    def log_odds(self, columns: Numbers) -> Numbers:
        """Return the log odds of rows of LN(1 + feature)."""
        import numpy as np  # slow to load

        found: Numbers = self.intercept + columns @ np.array(self.weights)
        return found


class TrainedFigures(_Kept):
    """What a model was trained on, and how it did on the hold-out.

    Attributes:
        cut_offs: How many moments it was trained at.
        first_cut_off: The earliest of them (UTC).
        hold_out_at: The moment of the hold-out (UTC).
        actors: Pairs of actor and moment that it was trained on.
        reached: Of these, those in which the goal was reached in the window.
        hold_out_actors: Actors of the hold-out.
        hold_out_reached: Of these, those who reached the goal in the window.
        is_sample: Whether a part of the actors was taken.
        penalty: The strength of the penalty that was chosen.
        p_value: How likely chance alone ranks those who reached the goal so high.
        base_log_loss: The log loss of the base rate of the training for everybody, on the hold-out.
        logistic: How the logistic form did.
        trees: How boosted trees did, which are a yardstick and score nobody.
        deciles: The hold-out by chance, the smallest chances first.
    """

    cut_offs: int
    first_cut_off: datetime
    hold_out_at: datetime
    actors: int
    reached: int
    hold_out_actors: int
    hold_out_reached: int
    is_sample: bool
    penalty: float
    p_value: float
    base_log_loss: float
    logistic: HoldOutFigures
    trees: HoldOutFigures
    deciles: tuple[HoldOutDecile, ...]

    @property
    def last_cut_off(self) -> datetime:
        """The latest moment that it was trained at (UTC): moments lie a week apart."""
        return self.first_cut_off + timedelta(days=7 * (self.cut_offs - 1))

    @property
    def base_rate(self) -> float:
        """The share that reached the goal in training."""
        return self.reached / self.actors


class ChanceModel(_Kept):
    """A model with its place and time; `reason` says why it was refused."""

    model_id: str
    goal: str
    trained_at: datetime
    as_of: datetime
    reason: str | None
    window_seconds: int
    lookback_seconds: int
    taxonomy: str
    taxonomy_fingerprint: str
    form: ChanceForm
    figures: TrainedFigures

    @property
    def status(self) -> str:
        """Accepted or refused."""
        return ACCEPTED if self.reason is None else REFUSED

    @property
    def window(self) -> str:
        """The window in words."""
        return wording.span(self.window_seconds)

    @property
    def lookback(self) -> str:
        """How far back it looks, in words."""
        return wording.span(self.lookback_seconds)

    @property
    def asked(self) -> GoalWindow:
        """The goal, the window and how far back it looks."""
        return GoalWindow(self.goal, self.window_seconds, self.lookback_seconds)

    def row(self) -> dict[str, Value]:
        """Return its row of `mc_propensity_models`."""
        kept = self.model_dump(mode="json", include={"form", "figures"})
        return {
            **{name: getattr(self, name) for name in _COLUMNS},
            "status": self.status,
            "model": _json(kept),
            "version": __version__,
        }

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of `sql/segments/propensity_models.sql`."""
        import json

        return cls(**{name: row[name] for name in _COLUMNS}, **json.loads(row["model"]))

    def effect(self, place: int) -> float:
        """Return by what a doubling of (1 + the feature) multiplies the odds; of a flag, having it."""
        return 2 ** self.form.weights[place]

    def strength(self, place: int) -> float:
        """Return how far the feature moves log odds over the actors: weight times standard deviation."""
        return abs(self.form.weights[place]) * self.form.log_spreads[place]


_COLUMNS = (
    "model_id",
    "goal",
    "trained_at",
    "as_of",
    "reason",
    "window_seconds",
    "lookback_seconds",
    "taxonomy",
    "taxonomy_fingerprint",
)


def _json(document: Any) -> str:  # noqa: ANN401 - any JSON
    import json

    return json.dumps(document, allow_nan=False)
