"""A score of momentum, if it foretells who converts better than how recently and how often somebody came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from microconv import wording
from microconv.analyses.insight.buyers import not_enough
from microconv.analyses.insight.momentum_question import STATES, MomentumQuestion, of_states, week_end
from microconv.queries.templates import Query
from microconv.question import Context
from microconv.result import Result, column, sheet
from microconv.stats.intervals import Interval, wilson
from microconv.taxonomy.entry import STAGES
from microconv.wording import Bar, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

    from microconv.stats.auc_comparison import ComparedAreas, Numbers

FEWEST_CONVERSIONS = 20
"""Conversions in the weeks learned from, and in the week tested on, below which nothing is told."""
BASELINE, MOMENTUM, BOTH = "recency and frequency", "momentum", "both together"
_USES = {
    BASELINE: "days since the last one active, number of days active",
    MOMENTUM: "state, furthest stage, points now, pace before",
    BOTH: "all of these",
}
_TENTHS = 10
_WEEK = timedelta(days=7)


def _area(value: float | None) -> str:
    return wording.decimal(value, 3)


@dataclass(frozen=True)
class ScoredBy:
    """How well one set of properties orders actors in the week tested on, and how that differs from the baseline.

    `auc` is how often somebody who converted is placed before somebody who did not, ties by half; `difference` is that
    less the baseline's. What cannot be told is None, and `says` why.
    """

    model: str = column("by")
    uses: str = column("uses")
    auc: float | None = column("AUC", _area)
    auc_low: float | None = column("AUC from", _area)
    auc_high: float | None = column("AUC to", _area)
    difference: float | None = column("difference", _area)
    difference_low: float | None = column("difference from", _area)
    difference_high: float | None = column("difference to", _area)
    says: str = column("says")


@dataclass(frozen=True)
class ScoreTenth:
    """Actors of the week tested on, by the tenth of all in which their score begins, the highest first.

    Equal scores stay together, so that groups are not of one size, and a tenth may have nobody.
    """

    tenth: int = column("tenth", wording.count)
    actors: int = column("actors", wording.count)
    expected: float = column("expected", wording.fine_share)
    conversions: int = column("converted", wording.count)
    rate: float = column("rate", wording.fine_share)
    low: float = column("from", wording.fine_share)
    high: float = column("to", wording.fine_share)


@dataclass(frozen=True)
class MomentumScoreResult(Result):
    """Whether momentum's score is of use, and its tenths where it is.

    Attributes:
        goal: The micro-conversion that actors are on the way to.
        is_used: Whether the score beats recency and frequency: the whole interval of the difference is above 0.
        day: The last day of what was known of the actors tested on; the goal counts in the 7 days after it.
        actors: Actors tested on.
        conversions: Those of them who converted in that week.
        learned_weeks: How many earlier weeks were learned from.
        learned_conversions: Conversions in them.
        models: One row each.
        tenths: The tenths of the score, none where it is not used.
    """

    row_type: ClassVar[type] = ScoredBy

    goal: str
    is_used: bool
    day: date
    actors: int
    conversions: int
    learned_weeks: int
    learned_conversions: int
    models: tuple[ScoredBy, ...]
    tenths: tuple[ScoreTenth, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[ScoredBy, ...]:
        """The models."""
        return self.models

    def sheets(self) -> Iterator[Sheet | str]:
        """Show how the models compare, then the tenths of the score."""
        yield sheet(
            f"Who converts ({self.goal}) in the 7 days after {wording.day(self.day)}",
            self.rows,
            ScoredBy,
            without=() if any(row.says for row in self.rows) else ("says",),
        )
        if self.tenths:
            yield sheet("Actors by momentum's score, the highest tenth first", self.tenths, ScoreTenth)
            sizes = [row.actors for row in self.tenths]
            if len(sizes) < _TENTHS or max(sizes) - min(sizes) > 1:
                yield (
                    "A tenth is where the scores of a group begin: actors of the same score stay together, so that "
                    f"these {len(sizes)} groups have from {wording.count(min(sizes))} to "
                    f"{wording.plural(max(sizes), 'actor')}, each of which would have "
                    f"{wording.count(round(self.actors / _TENTHS))} if no two scores were the same."
                )

    def bars(self) -> tuple[Bar, ...]:
        """One bar per tenth: its rate; where the score is not used, one per model: its AUC."""
        if self.tenths:
            return tuple(Bar(f"tenth {row.tenth}", row.rate, wording.fine_share(row.rate)) for row in self.tenths)
        return tuple(Bar(row.model, row.auc, _area(row.auc)) for row in self.models if row.auc is not None)


class MomentumScore(MomentumQuestion):
    """Say whether a score of momentum foretells who converts better than recency and frequency, on a held-out week."""

    weeks: int = Field(default=8, ge=1, le=53, description="maximum number of weeks to look back")

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the one query."""
        params = self.standing(context, self._weeks_ago(context), end=self._day(context))
        return (self.query("analyses/insight/momentum_score", context, params),)

    def _day(self, context: Context) -> date:
        """Return the last day of what is known of the actors tested on: a week before the end."""
        return week_end(self.last_day(context), 1)

    def _weeks_ago(self, context: Context) -> range:
        """Return the weeks at whose ends something is known, counted back from that day."""
        return range(max(len(self.week_numbers(context, self.weeks + 1)) - 1, 1))

    def result(self, tables: Sequence[pa.Table], context: Context) -> MomentumScoreResult:
        """Learn from the earlier weeks, test on the latest, and compare."""
        rows, goal, day = tables[0].to_pylist(), self.goal_in(context.taxonomy), self._day(context)
        tested = [row for row in rows if row["weeks_ago"] == 0]
        learned = [row for row in rows if row["weeks_ago"] > 0]
        conversions, known = _sum(tested, "conversions"), _sum(learned, "conversions")
        actors = _sum(tested, "actors")
        if min(conversions, known, actors - conversions) < FEWEST_CONVERSIONS:
            fewest, others = min(conversions, known), actors - conversions
            few = not_enough(fewest, "conversion")
            if fewest >= FEWEST_CONVERSIONS:
                few = f"{not_enough(others, 'actor')} without a conversion"
            models = tuple(ScoredBy(name, uses, *(None,) * 6, says=few) for name, uses in _USES.items())
            tenths: tuple[ScoreTenth, ...] = ()
            sentence = (
                f"It is too early to say whether momentum foretells who converts: {few} (at least {FEWEST_CONVERSIONS} "
                "conversions are needed in the week tested on, and in those before it, and as many actors without one)."
            )
            is_used = False
        else:
            told = {name: _told(name, learned, tested) for name in _USES}
            compared = {name: _compared(told[BASELINE], told[name], tested) for name in (MOMENTUM, BOTH)}
            models = (_of_baseline(compared[MOMENTUM]), *(_of(name, each) for name, each in compared.items()))
            is_used = (models[1].difference_low or 0.0) > 0
            tenths = _tenths(told[MOMENTUM], tested) if is_used else ()
            sentence = _sentence(models, tenths, conversions / actors)
        return MomentumScoreResult(
            goal=goal,
            is_used=is_used,
            day=day,
            actors=actors,
            conversions=conversions,
            learned_weeks=len({row["weeks_ago"] for row in learned}),
            learned_conversions=known,
            models=models,
            tenths=tenths,
            sentence=sentence,
            assumptions=(*self._assumptions(goal, day), *of_states(goal, []), *self.of_actors(context)),
        )

    def _assumptions(self, goal: str, day: date) -> Iterator[str]:
        yield (
            f"Actors who had not done {goal} by the end of {wording.day(day)} are ordered by what was known then. "
            f"What counts is whether they did it from {wording.day(day + timedelta(days=1))} to "
            f"{wording.day(day + _WEEK)}. How to order them is learned from the weeks before, by logistic regression."
        )
        yield (
            "AUC: how often somebody who converted is placed before somebody who did not; 0.5 is chance, 1 is perfect. "
            "Intervals are DeLong's, at 95%. The score is used only where it beats recency and frequency: where the "
            "whole interval of the difference is above 0."
        )
        yield "The score tells who is likely to convert, not whom an offer would change."


def _sum(rows: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(row[name] for row in rows)


def _columns(name: str, rows: Sequence[Mapping[str, Any]]) -> Numbers:
    import numpy as np

    def logs(*names: str) -> list[Numbers]:
        return [np.log1p(np.array([row[each] for row in rows], dtype=np.float64)) for each in names]

    def marks(field: str, values: Sequence[object]) -> list[Numbers]:
        return [np.array([row[field] == each for row in rows], dtype=np.float64) for each in values]

    baseline = logs("recency_days", "active_days")
    momentum = [
        *marks("state", STATES[:-1]),
        *marks("stage", range(1, len(STAGES) + 1)),
        *logs("points_now", "pace_before"),
    ]
    return np.column_stack({BASELINE: baseline, MOMENTUM: momentum, BOTH: [*baseline, *momentum]}[name])


def _counts(rows: Sequence[Mapping[str, Any]]) -> tuple[Numbers, Numbers]:
    import numpy as np

    with_it = np.array([row["conversions"] for row in rows], dtype=np.float64)
    return with_it, np.array([row["actors"] for row in rows], dtype=np.float64) - with_it


def _told(name: str, learned: Sequence[Mapping[str, Any]], tested: Sequence[Mapping[str, Any]]) -> Numbers:
    from microconv.stats.grouped_logistic import chances_of, grouped_logistic

    return chances_of(grouped_logistic(_columns(name, learned), *_counts(learned)), _columns(name, tested))


def _compared(baseline: Numbers, other: Numbers, tested: Sequence[Mapping[str, Any]]) -> ComparedAreas:
    from microconv.stats.auc_comparison import compare_areas

    compared = compare_areas(baseline.round(12), other.round(12), *_counts(tested))
    assert compared is not None  # noqa: S101 - there are conversions and others, or nothing is compared
    return compared


def _inside(interval: Interval | None) -> tuple[float | None, float | None]:
    """Return the part of an interval at which an area can be."""
    return (None, None) if interval is None else (max(interval.low, 0.0), min(interval.high, 1.0))


def _of_baseline(areas: ComparedAreas) -> ScoredBy:
    low, high = _inside(areas.interval(areas.first, areas.first_error))
    return ScoredBy(BASELINE, _USES[BASELINE], areas.first, low, high, None, None, None, says="")


def _of(name: str, areas: ComparedAreas) -> ScoredBy:
    low, high = _inside(areas.interval(areas.second, areas.second_error))
    least, most = areas.interval(areas.difference, areas.difference_error) or (None, None)
    return ScoredBy(name, _USES[name], areas.second, low, high, areas.difference, least, most, says="")


def _tenths(chances: Numbers, tested: Sequence[Mapping[str, Any]]) -> tuple[ScoreTenth, ...]:
    together: dict[float, list[int]] = {}
    for chance, row in sorted(zip(chances.round(12).tolist(), tested, strict=True), key=lambda each: -each[0]):
        of = together.setdefault(chance, [0, 0])
        of[0] += row["actors"]
        of[1] += row["conversions"]
    total, so_far = sum(actors for actors, _ in together.values()), 0
    found: dict[int, tuple[int, int, float]] = {}
    for chance, (actors, conversions) in together.items():
        tenth = _TENTHS * so_far // total
        before = found.get(tenth, (0, 0, 0.0))
        found[tenth] = (before[0] + actors, before[1] + conversions, before[2] + chance * actors)
        so_far += actors
    return tuple(
        ScoreTenth(tenth + 1, actors, expected / actors, conversions, conversions / actors, interval.low, interval.high)
        for tenth, (actors, conversions, expected) in found.items()
        if (interval := wilson(conversions, actors)) is not None
    )


def _sentence(models: Sequence[ScoredBy], tenths: Sequence[ScoreTenth], base: float) -> str:
    baseline, momentum = models[0], models[1]
    figures = (
        f"AUC {_area(momentum.auc)} against {_area(baseline.auc)}, difference {_area(momentum.difference)}, "
        f"95% interval {_area(momentum.difference_low)} to {_area(momentum.difference_high)}"
    )
    if not tenths:
        return f"Momentum's score does not beat recency and frequency ({figures}): it is not used."
    first, actors = tenths[0], sum(each.actors for each in tenths)
    return (
        f"Momentum's score beats recency and frequency ({figures}). Of the {wording.share(first.actors / actors)} "
        f"of actors with the highest score, {wording.fine_share(first.rate)} converted in the week after, against "
        f"{wording.fine_share(base)} of all."
    )
