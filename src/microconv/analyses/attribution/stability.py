"""Stability of attribution: how far a touchpoint's share moves between models, windows and weeks, and by chance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from operator import itemgetter
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from microconv import wording
from microconv.result import Result, column, pivot
from microconv.stats.intervals import percentile_interval
from microconv.wording import Bar, Heading, Sheet

Array = NDArray[np.float64]

FEWEST_GROUPS = 10
"""Groups of actors with credit below which chance is not estimated: resampling so few would look too sure."""

LEVEL = 0.95
"""The level (0 to 1) of the intervals."""

RESAMPLES = 500
"""How often groups of actors are drawn with replacement."""

# Credits that are equal on paper differ in the last digits, since they were added in another order.
_DIGITS = 12
_NOISE = 10**-_DIGITS

_POINT = 0.01


@dataclass(frozen=True, eq=False)
class Recalculated:
    """Credit of a model that does not add up over weeks and groups (Markov): recalculated for every selection.

    Attributes:
        model: Its name.
        credits: By window and touchpoint.
        weekly: By week and touchpoint within the widest window; None when it was not calculated.
        resampled: By resampling of actors and touchpoint within that window; None when it was not calculated.
    """

    model: str
    credits: Array
    weekly: Array | None = None
    resampled: Array | None = None


@dataclass(frozen=True)
class Share:
    """The share (0 to 1) of the touched credit that a model gives a touchpoint; None when there was no credit.

    `week` is None for all weeks together.
    """

    touchpoint: str = column("touchpoint")
    model: str = column("model")
    window: str = column("window")
    week: str | None = column("week")
    share: float | None = column("share", wording.share)


@dataclass(frozen=True)
class Span:
    """The lowest and the highest of several shares; the first named of equals."""

    low: Share
    high: Share


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation of the touchpoints' ranks; None where ranks are all equal or there was no credit."""

    model_a: str
    window_a: str
    model_b: str
    window_b: str
    correlation: float | None


@dataclass(frozen=True)
class ShareInterval:
    """How far chance may move a share: the percentile interval over resamplings of actors."""

    model: str
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class TouchpointStability:
    """How far the share of one touchpoint moves.

    Attributes:
        touchpoint: Its name.
        over_models: Between models, in the widest window.
        over_windows: Between windows, by the model for which that is most.
        over_weeks: Between weeks, by the model for which that is most, in the widest window.
        widest_swing: Between any two pairs of model and window, all weeks together.
        best_place: The best place that any model gives it in any window (1: the largest share).
        worst_place: The worst. Equal shares hold all their places, so two that lead together have places 1 to 2.
        intervals: By chance, by model, in the widest window. A model is left out when it has too few groups
            of actors with credit, or when no resampling moved the share.
        sentence: The same in words.

    Spans and places are None where no conversion was touched.
    """

    touchpoint: str
    over_models: Span | None
    over_windows: Span | None
    over_weeks: Span | None
    widest_swing: Span | None
    best_place: int | None
    worst_place: int | None
    intervals: tuple[ShareInterval, ...]
    sentence: str


@dataclass(frozen=True)
class StabilityResult(Result):
    """How far shares of credit move; `window` is the widest, in which models, weeks and chance are looked at."""

    row_type: ClassVar[type] = Share

    window: str
    shares: tuple[Share, ...]
    correlations: tuple[RankCorrelation, ...]
    touchpoints: tuple[TouchpointStability, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[Share, ...]:
        """The shares by touchpoint, model and window."""
        return self.shares

    def sheets(self) -> Iterator[Sheet | str]:
        """Show shares by model and window, how like the rankings are, and a sentence for each touchpoint."""
        for window in dict.fromkeys(share.window for share in self.shares):
            yield pivot(
                f"Shares of credit, window {window}",
                {(row.touchpoint, row.model): row.share for row in self.shares if row.window == window},
                down=Heading("touchpoint"),
                write=wording.share,
            )
        models = list(dict.fromkeys(share.model for share in self.shares))
        if len(models) > 1:
            yield self._rank_correlations(models)
        yield "\n".join(each.sentence for each in self.touchpoints)

    def _rank_correlations(self, models: Sequence[str]) -> Sheet:
        """Show each pair of models once, within the widest window."""
        alike = {
            (pair.model_a, pair.model_b): wording.cents(pair.correlation)
            for pair in self.correlations
            if pair.window_a == pair.window_b == self.window
        }
        return Sheet(
            f"Rank correlation of models, window {self.window}",
            (Heading("model"), *(Heading(model, str) for model in models[1:])),
            tuple((one, *(alike.get((one, other), "") for other in models[1:])) for one in models[:-1]),
        )

    def bars(self) -> tuple[Bar, ...]:
        """One bar per touchpoint and model, within the widest window."""
        return tuple(
            Bar(f"{row.touchpoint}, {row.model}", row.share or 0, wording.share(row.share))
            for row in self.shares
            if row.window == self.window
        )


def stability(
    credit: Array,
    *,
    models: Sequence[str],
    windows: Sequence[str],
    weeks: Sequence[str],
    touchpoints: Sequence[str],
    recalculated: Sequence[Recalculated] = (),
    seed: int = 1,
) -> StabilityResult:
    """Compare shares of credit over models, windows and weeks, and resample actors to see what chance does.

    Args:
        credit: Touched credit by [model, window, week, group, touchpoint], of models whose credit adds up over
            conversions. Groups are disjoint sets of actors, alike but for chance (such as by a hash of the actor).
        models: The names along the first axis.
        windows: The names along the second axis, narrowest first.
        weeks: The names along the third axis.
        touchpoints: The names along the last axis.
        recalculated: Further models, which come after `models`.
        seed: The same seed draws the same groups.
    """
    unknown = np.zeros((len(weeks), len(touchpoints)))
    others_weekly = [unknown if model.weekly is None else model.weekly for model in recalculated]
    cells = _Cells(
        models=(*models, *(model.model for model in recalculated)),
        windows=tuple(windows),
        weeks=tuple(weeks),
        touchpoints=tuple(touchpoints),
        whole=_shares(np.stack([*credit.sum(axis=(2, 3)), *(model.credits for model in recalculated)])),
        weekly=_shares(np.stack([*credit[:, -1].sum(axis=2), *others_weekly])),
    )
    draws = [
        *_resampled(credit[:, -1].sum(axis=1), seed),
        *(None if model.resampled is None else _shares(model.resampled) for model in recalculated),
    ]
    numbers = range(len(touchpoints))
    found = tuple(_stability_of(cells, number, _intervals(cells, number, draws)) for number in numbers)
    return StabilityResult(
        window=windows[-1],
        shares=tuple(share for number in numbers for row in cells.by_window(number) for share in row),
        correlations=_correlations(cells),
        touchpoints=found,
        sentence=_overall(found),
        assumptions=(
            "Shares are of the credit that touchpoints earned; untouched conversions are not part of it.",
            f"Ranges over models, over weeks and by chance are within the window of {wording.window(windows[-1])}.",
            f"By chance: {LEVEL:.0%} percentile interval of {RESAMPLES} resamplings of {credit.shape[3]} actor groups.",
            "Weeks are not resampled: one with few conversions moves far by chance alone.",
            "Models that agree may be wrong together: a narrow range shows agreement, not what a touchpoint caused.",
        ),
    )


@dataclass(frozen=True, eq=False)
class _Cells:
    """Shares with the names along their axes.

    `whole` is by [model, window, touchpoint]; `weekly` by [model, week, touchpoint], in the widest window.
    """

    models: tuple[str, ...]
    windows: tuple[str, ...]
    weeks: tuple[str, ...]
    touchpoints: tuple[str, ...]
    whole: Array
    weekly: Array

    @property
    def complete(self) -> bool:
        """Whether every model has credit in every window."""
        return not np.isnan(self.whole).any()

    @cached_property
    def places(self) -> Array:
        """The best and the worst place by [model, window, touchpoint]; NaN where there is no share.

        Equal shares hold all their places; the mean of best and worst is the mean rank of Spearman's correlation.
        """
        places = np.full((2, *self.whole.shape), np.nan)
        for at in np.ndindex(self.whole.shape[:-1]):
            if not np.isnan(self.whole[at]).any():
                rounded = -np.round(self.whole[at], _DIGITS)
                _, same, counts = np.unique(rounded, return_inverse=True, return_counts=True)
                worst = np.cumsum(counts)
                places[0][at], places[1][at] = (worst - counts + 1)[same], worst[same]
        return places

    def by_window(self, touchpoint: int) -> list[list[Share]]:
        """Name the shares of a touchpoint over all weeks, a row by model."""
        return [
            [
                Share(self.touchpoints[touchpoint], model, window, None, _known(share))
                for window, share in zip(self.windows, row, strict=True)
            ]
            for model, row in zip(self.models, self.whole[..., touchpoint], strict=True)
        ]

    def by_week(self, touchpoint: int) -> list[list[Share]]:
        """Name the weekly shares of a touchpoint, a row by model."""
        return [
            [
                Share(self.touchpoints[touchpoint], model, self.windows[-1], week, _known(share))
                for week, share in zip(self.weeks, row, strict=True)
            ]
            for model, row in zip(self.models, self.weekly[..., touchpoint], strict=True)
        ]


def _shares(credit: Array) -> Array:
    """Divide by the sum over the last axis; NaN where it is not positive."""
    whole = credit.sum(axis=-1, keepdims=True)
    shares = np.full(credit.shape, np.nan)
    np.divide(credit, whole, out=shares, where=whole > 0)
    return shares


def _known(share: float) -> float | None:
    return None if math.isnan(share) else float(share)


def _correlations(cells: _Cells) -> tuple[RankCorrelation, ...]:
    ranks = cells.places.mean(axis=0)
    columns = [
        (model, window, ranks[m, w]) for m, model in enumerate(cells.models) for w, window in enumerate(cells.windows)
    ]
    return tuple(
        RankCorrelation(model_a, window_a, model_b, window_b, _correlation(a, b))
        for (model_a, window_a, a), (model_b, window_b, b) in combinations(columns, 2)
    )


def _correlation(a: Array, b: Array) -> float | None:
    if not a.size:
        return None
    a, b = a - a.mean(), b - b.mean()
    spread = math.sqrt((a @ a) * (b @ b))
    # NaN where there was no credit, 0 where all ranks are equal.
    return max(-1.0, min(1.0, float(a @ b) / spread)) if spread > 0 else None


def _resampled(credit: Array, seed: int) -> list[Array | None]:
    """Draw groups with replacement, as many as there are; return, by model, shares by [resampling, touchpoint].

    None for a model with too few groups.

    Args:
        credit: By [model, group, touchpoint].
        seed: For the generator.
    """
    groups = credit.shape[1]
    draws = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=RESAMPLES)
    enough = (credit.sum(axis=2) > 0).sum(axis=1) >= FEWEST_GROUPS
    return [_shares(draws @ of_model) if sure else None for of_model, sure in zip(credit, enough, strict=True)]


def _intervals(cells: _Cells, touchpoint: int, draws: Sequence[Array | None]) -> tuple[ShareInterval, ...]:
    found = []
    for model, share, drawn in zip(cells.models, cells.whole[:, -1, touchpoint], draws, strict=True):
        if drawn is None:
            continue
        known = drawn[~np.isnan(drawn[:, touchpoint]), touchpoint]
        interval = percentile_interval(known.tolist(), LEVEL)
        if interval is not None and interval.high - interval.low > _NOISE:
            found.append(ShareInterval(model, float(share), *interval))
    return tuple(found)


def _span(shares: Iterable[Share]) -> Span | None:
    known = [(share.share, share) for share in shares if share.share is not None]
    if not known:
        return None
    return Span(low=min(known, key=itemgetter(0))[1], high=max(known, key=itemgetter(0))[1])


def _widest(rows: Iterable[Sequence[Share]]) -> Span | None:
    spans = [span for span in map(_span, rows) if span is not None]
    return max(spans, key=_width, default=None)


def _width(span: Span) -> float:
    return (span.high.share or 0.0) - (span.low.share or 0.0)


def _stability_of(cells: _Cells, touchpoint: int, intervals: tuple[ShareInterval, ...]) -> TouchpointStability:
    by_window = cells.by_window(touchpoint)
    best, worst = cells.places[..., touchpoint]
    nowhere = np.isnan(best).all()
    found = TouchpointStability(
        touchpoint=cells.touchpoints[touchpoint],
        over_models=_span(row[-1] for row in by_window),
        over_windows=_widest(by_window),
        over_weeks=_widest(cells.by_week(touchpoint)),
        widest_swing=_span(share for row in by_window for share in row),
        best_place=None if nowhere else int(np.nanmin(best)),
        worst_place=None if nowhere else int(np.nanmax(worst)),
        intervals=intervals,
        sentence="",
    )
    return replace(found, sentence=f"{found.touchpoint}: {_in_words(found, cells)}.")


def _in_words(found: TouchpointStability, cells: _Cells) -> str:
    if found.widest_swing is None:
        return "no share, since no conversion had a touchpoint"
    if not found.widest_swing.low.share and not found.widest_swing.high.share:
        return "no credit from any model in any window"
    window = cells.windows[-1]
    if found.over_models is None:
        return f"no share within {wording.window(window)}, where no conversion had a touchpoint; {_place(found, cells)}"
    extent = f"{_extent(found.over_models, len(cells.models))} within {wording.window(window)}"
    return "; ".join([extent, _place(found, cells), _chance(found.intervals, len(cells.models))])


def _extent(span: Span, models: int) -> str:
    low, high = wording.share(span.low.share), wording.share(span.high.share)
    if low != high:
        return f"between {low} and {high} depending on the model"
    return f"{low} by every model" if models > 1 else f"{low} by {span.low.model}"


def _place(found: TouchpointStability, cells: _Cells) -> str:
    many_models, many_windows = len(cells.models) > 1, len(cells.windows) > 1
    with_credit = "" if cells.complete else " with credit"
    best, worst = found.best_place, found.worst_place
    if best != worst:
        across = " and ".join(["models"] * many_models + [f"windows{with_credit}"] * many_windows)
        return f"place {best} to {worst}" + f" across {across}" * bool(across)
    place = {1: "first place", 2: "second place", 3: "third place"}.get(best or 0, f"place {best}")
    return place + " by every model" * many_models + f" in every window{with_credit}" * many_windows


def _chance(intervals: tuple[ShareInterval, ...], models: int) -> str:
    if not intervals:
        return "chance not estimated"
    points = 100 * max(max(found.share - found.low, found.high - found.share) for found in intervals)
    # Rounded up: no more may be claimed than was found.
    margin = "less than ±1 point" if points < 1 else f"±{math.ceil(points)} point{'s' if points > 1 else ''}"
    which = "" if len(intervals) == models else f" ({', '.join(found.model for found in intervals)})"
    return f"{margin} by chance{which}"


def _overall(touchpoints: Sequence[TouchpointStability]) -> str:
    swings = [found.widest_swing for found in touchpoints if found.widest_swing is not None]
    if not swings:
        return "No conversion had a touchpoint, so there are no shares to compare."
    widest = max(swings, key=_width)
    low, high = widest.low, widest.high
    if _width(widest) < _POINT:
        return "No share moves by a point or more between models and windows."
    return (
        f"The share of {low.touchpoint} moves most: from {wording.share(low.share)} ({low.model}, {low.window}) "
        f"to {wording.share(high.share)} ({high.model}, {high.window})."
    )
