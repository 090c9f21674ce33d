"""How long actors take from one stage to the next, where some have not got there yet; and whether groups differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from microconv import wording
from microconv.analyses.insight.buyers import between, not_enough
from microconv.analyses.insight.evidence import LEVEL
from microconv.analyses.insight.momentum_question import (
    BEYOND_GOAL,
    GOAL_LEVEL,
    MomentumQuestion,
    in_minutes,
    levels_of,
)
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, days
from microconv.result import Result, column, sheet
from microconv.taxonomy.entry import STAGES
from microconv.wording import Bar, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

    from microconv.stats.survival import CurveStep, Waited

By = Literal["device_category", "channel_group", "new_or_returning"]
ALL = "(all)"
"""Stands for all actors together."""
FIRST_VISIT, BEYOND = "(first visit)", "(any later stage)"
"""Stand for where an actor's history begins, and for whatever lies beyond a stage."""
FEWEST_ACTORS = 20
"""Actors below which no time is told."""
FEWEST_LEFT = 10
"""Actors still looked at after a time, below which no share is told for it."""
MOST_CURVE_STEPS = 100
"""Steps of a curve that the JSON document has at most, evenly picked, the last one among them."""

_LEAST_P = 0.0001
_HOUR, _DAY = 3_600, 86_400
_WITHIN = (_HOUR, _DAY, 7 * _DAY, 28 * _DAY)


def _p_value(value: float) -> str:
    return "<0.0001" if value < _LEAST_P else wording.decimal(value, 4)


@dataclass(frozen=True)
class StageTime:
    """How long actors of one kind take from one stage to the next; what cannot be told is None, and `says` why.

    Shares are of all who began, by Kaplan and Meier: those of whom the data end too early count for as long as they
    were seen. `movers_seconds` is the time after which half of those who moved on in the time seen had done so,
    `median_seconds` that after which half of all had.
    """

    from_stage: str = column("from")
    to_stage: str = column("to")
    context: str = column("actors of")
    actors: int = column("actors", wording.count)
    reached: int = column("moved on", wording.count)
    within_hour: float | None = column("in 1 hour", wording.fine_share)
    within_day: float | None = column("in 1 day", wording.fine_share)
    within_week: float | None = column("in 7 days", wording.fine_share)
    week_low: float | None = column("7 days from", wording.fine_share)
    week_high: float | None = column("7 days to", wording.fine_share)
    within_four_weeks: float | None = column("in 28 days", wording.fine_share)
    movers_seconds: float | None = column("half of movers after", in_minutes)
    median_seconds: float | None = column("half of all after", in_minutes)
    median_low: float | None = column("half from", in_minutes)
    median_high: float | None = column("half to", in_minutes)
    says: str = column("says")


@dataclass(frozen=True)
class StageCurve:
    """Kaplan and Meier's curve of one row: the steps at which somebody moved on.

    `waiting` is the share that has not moved on after `seconds`, `low` and `high` its interval at 95%.
    """

    from_stage: str
    to_stage: str
    context: str
    steps: tuple[CurveStep, ...]


@dataclass(frozen=True)
class StageTest:
    """Whether groups take equally long from one stage to the next: the log-rank test, and its p-value by Holm."""

    from_stage: str = column("from")
    to_stage: str = column("to")
    groups: int = column("groups", wording.count)
    chi_square: float = column("chi-square", wording.cents)
    freedom: int = column("degrees of freedom", wording.count)
    p_value: float = column("p", _p_value)
    adjusted: float = column("p, all tests", _p_value)


@dataclass(frozen=True)
class StageTimesResult(Result):
    """Times between stages, in the order of the way; with `by`, all actors first, then each group.

    Attributes:
        goal: The micro-conversion that actors are on the way to.
        by: What actors are split by.
        times: The rows.
        tests: Whether the groups differ, where there are two or more.
        curves: The curve of each row that tells a time.
        left_out: Actors whose history began before the data, who are left out.
    """

    row_type: ClassVar[type] = StageTime

    goal: str
    by: By | None
    times: tuple[StageTime, ...]
    tests: tuple[StageTest, ...]
    curves: tuple[StageCurve, ...]
    left_out: int
    sentence: str
    assumptions: tuple[str, ...]
    since: date | None = None
    until: date | None = None

    @property
    def rows(self) -> tuple[StageTime, ...]:
        """The times."""
        return self.times

    def sheets(self) -> Iterator[Sheet | str]:
        """Show times, then whether groups differ."""
        medians = ("median_seconds", "median_low", "median_high")
        without = {
            *(() if self.by else ("context",)),
            *(() if any(row.says for row in self.times) else ("says",)),
            *(() if any(row.median_seconds is not None for row in self.times) else medians),
        }
        labels = {"context": self.by.replace("_", " ")} if self.by else {}
        yield sheet("Time from one stage to the next", self.rows, StageTime, without=without, labels=labels)
        if self.tests:
            yield sheet("Whether these groups take equally long (log-rank)", self.tests, StageTest)

    def bars(self) -> tuple[Bar, ...]:
        """One bar per row: the share that moves on within 7 days."""
        return tuple(
            Bar(
                f"{row.from_stage} > {row.to_stage}" + (f", {row.context}" if self.by else ""),
                row.within_week,
                wording.fine_share(row.within_week),
            )
            for row in self.times
            if row.within_week is not None
        )


class StageTimes(MomentumQuestion):
    """Measure how long actors take from one stage to the next, with those counted who have not got there yet.

    `since` and `until` are the days on which they came to a stage.
    """

    by: By | None = Field(default=None, description="split actors by the device, channel or kind of their first visit")

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the one query."""
        levels = levels_of(context.taxonomy, self.goal_in(context.taxonomy), "stage")
        end_at = context.latest_event_at or templates.EXAMPLE_MOMENT
        params = {"entries": list(levels), "levels": list(levels.values()), "end_at": end_at, **days(self)}
        return (self.query("analyses/insight/stage_times", context, params, by=self.by or "nothing"),)

    def result(self, tables: Sequence[pa.Table], context: Context) -> StageTimesResult:
        """Estimate the curves, and test whether they differ."""
        goal = self.goal_in(context.taxonomy)
        rows = tables[0].to_pylist()
        kept = [row for row in rows if self.by == "new_or_returning" or not row["began_before"]]
        known = {*levels_of(context.taxonomy, goal, "stage").values()}
        levels = sorted({0, *known} - ({BEYOND_GOAL} if BEYOND_GOAL in known else {GOAL_LEVEL}))
        found = [_Transition(level, goal, [row for row in kept if row["level"] == level], self.by) for level in levels]
        left_out = sum(row["reached"] + row["waiting"] for row in rows if row["began_before"] and row["level"] == 0)
        for each in found:
            each.untold = self._untold(each, context)
        times = tuple(row for each in found for row in each.rows())
        tests = _tests(found)
        return StageTimesResult(
            goal=goal,
            by=self.by,
            times=times,
            tests=tests,
            curves=tuple(curve for each in found for curve in each.curves()),
            left_out=0 if self.by == "new_or_returning" else left_out,
            sentence=_sentence(times, tests, self.by),
            assumptions=(
                (
                    "Time begins with the first thing that an actor did in a stage, unless something of a later stage "
                    "was before it, and ends with the first thing of any later stage; the goal lies behind all stages "
                    "up to the sale. From the first visit, only the goal counts."
                ),
                (
                    "Actors who had not moved on when the data end count for as long as they were seen (Kaplan and "
                    "Meier); those who never will cannot be told from those who have not yet. Intervals are at 95%."
                ),
                "Times are whole minutes within the first day, and whole hours after it. Hesitation is not a step.",
                *self._of_beginning(left_out),
                *self.of_actors(context),
            ),
            since=self.since,
            until=self.until,
        )

    def _of_beginning(self, left_out: int) -> Iterator[str]:
        if self.by == "new_or_returning":
            yield "Returning: the first session in the data was not the actor's first; it may have been further before."
        elif left_out:
            yield (
                f"{wording.plural(left_out, 'actor')} whose first session in the data was not their first are left "
                "out: nobody knows when they came to a stage. --by new_or_returning shows them beside the others."
            )
        if self.by:
            yield "Groups that differ may differ for other reasons than what they are split by."

    def _untold(self, found: _Transition, context: Context) -> str:
        """Say that nothing is staged of what would end a stage, so that nobody can have moved on; else nothing."""
        if found.has_movers or _size(found.groups[ALL]) < FEWEST_ACTORS or context.open_engine is None:
            return ""
        goal = self.goal_in(context.taxonomy)
        levels = levels_of(context.taxonomy, goal, "stage")
        ends = {goal} if found.level == 0 else {each for each, level in levels.items() if level > found.level}
        if ends & {row["micro_conversion"] for row in context.look_up(templates.query("operations/volumes"))}:
            return ""
        if found.to_stage == goal:
            return f"no {goal} is staged"
        return f"nothing of {'a later stage' if found.to_stage == BEYOND else found.to_stage} is staged"


class _Transition:
    """What actors did from one level on; `untold` says why there is nothing to tell of it, whoever began."""

    untold = ""

    def __init__(self, level: int, goal: str, rows: Sequence[dict[str, Any]], by: By | None) -> None:
        self.level = level
        self.from_stage = {0: FIRST_VISIT, GOAL_LEVEL: goal}.get(level, STAGES[min(level, len(STAGES)) - 1])
        self.to_stage = {0: goal, 3: goal, GOAL_LEVEL: STAGES[-1]}.get(level, BEYOND)
        self.groups: dict[str, list[Waited]] = {ALL: _waits(rows)}
        if by:
            sizes: dict[str, int] = {}
            for row in rows:
                sizes[row["context"]] = sizes.get(row["context"], 0) + row["reached"] + row["waiting"]
            for name in sorted(sizes, key=lambda each: (-sizes[each], each)):
                self.groups[name] = _waits([row for row in rows if row["context"] == name])

    def rows(self) -> Iterator[StageTime]:
        for name, waits in self.groups.items():
            yield _time(self.from_stage, self.to_stage, name, waits, self.untold)

    def curves(self) -> Iterator[StageCurve]:
        from microconv.stats.survival import kaplan_meier

        for name, waits in self.groups.items():
            if _size(waits) >= FEWEST_ACTORS and not self.untold:
                yield StageCurve(self.from_stage, self.to_stage, name, _thinned(kaplan_meier(waits)))

    @property
    def has_movers(self) -> bool:
        return any(each.events for each in self.groups[ALL])

    @property
    def compared(self) -> list[list[Waited]]:
        return [waits for name, waits in self.groups.items() if name != ALL and _size(waits) >= FEWEST_ACTORS]


def _waits(rows: Sequence[dict[str, Any]]) -> list[Waited]:
    # Loads numpy; who looks at the options does without.
    from microconv.stats.survival import Waited

    return [Waited(float(row["waited_seconds"]), row["reached"], row["waiting"]) for row in rows]


def _size(waits: Sequence[Waited]) -> int:
    return int(sum(each.events + each.censored for each in waits))


def _time(from_stage: str, to_stage: str, name: str, waits: Sequence[Waited], untold: str) -> StageTime:
    from microconv.stats.survival import kaplan_meier, time_by

    actors, reached = _size(waits), int(sum(each.events for each in waits))
    if untold or actors < FEWEST_ACTORS:
        says = untold or not_enough(actors, "actor")
        return StageTime(from_stage, to_stage, name, actors, reached, *(None,) * 10, says=says)
    curve = kaplan_meier(waits)
    hour, day, week, four_weeks = (_by(curve, waits, seconds) for seconds in _WITHIN)
    median, interval = time_by(curve)
    movers = time_by(curve, (1 - curve[-1].waiting) / 2)[0] if curve else None
    is_median = median is not None
    return StageTime(
        from_stage=from_stage,
        to_stage=to_stage,
        context=name,
        actors=actors,
        reached=reached,
        within_hour=None if hour is None else 1 - hour.waiting,
        within_day=None if day is None else 1 - day.waiting,
        within_week=None if week is None else 1 - week.waiting,
        week_low=None if week is None or week.waiting == 1 else 1 - week.high,
        week_high=None if week is None or week.waiting == 1 else 1 - week.low,
        within_four_weeks=None if four_weeks is None else 1 - four_weeks.waiting,
        movers_seconds=movers,
        median_seconds=median,
        median_low=_finite(interval.low) if is_median else None,
        median_high=_finite(interval.high) if is_median else None,
        says="" if reached else "nobody moved on",
    )


def _by(curve: Sequence[CurveStep], waits: Sequence[Waited], seconds: float) -> CurveStep | None:
    """Return the curve at a time; None where too few were seen for so long."""
    from microconv.stats.survival import CurveStep, known_until

    if known_until(waits, FEWEST_LEFT) < seconds:
        return None
    before = [step for step in curve if step.time <= seconds]
    return before[-1] if before else CurveStep(0, _size(waits), 0, 1.0, 1.0, 1.0)


def _thinned(steps: Sequence[CurveStep]) -> tuple[CurveStep, ...]:
    every = max(math.ceil(len(steps) / MOST_CURVE_STEPS), 1)
    return tuple(step for place, step in enumerate(reversed(steps)) if place % every == 0)[::-1]


def _tests(found: Sequence[_Transition]) -> tuple[StageTest, ...]:
    from microconv.stats.multiplicity import adjusted
    from microconv.stats.survival import log_rank

    compared = [(each, log_rank(each.compared)) for each in found if len(each.compared) > 1]
    told = [(each, test) for each, test in compared if test is not None]
    p_values = adjusted([test.p_value for _, test in told], "holm")
    return tuple(
        StageTest(
            each.from_stage, each.to_stage, len(each.compared), test.chi_square, test.freedom, test.p_value, p_value
        )
        for (each, test), p_value in zip(told, p_values, strict=True)
    )


def _lacking(overall: Sequence[StageTime]) -> str:
    """Say what falls short: actors at a stage, those of them who moved on, or those followed for 7 days."""
    rows = [row for row in overall if row.from_stage in STAGES[:-1]]
    enough = [row for row in rows if row.actors >= FEWEST_ACTORS]
    if not enough:
        most = max((row.actors for row in rows), default=0)
        return f"{not_enough(most, 'actor')} at a stage"
    if not any(row.reached for row in enough):
        return next((row.says for row in enough if row.within_week is None and row.says), "nobody moved on")
    return f"not enough data: fewer than {FEWEST_LEFT} actors were followed for 7 days, or none moved on in them"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _sentence(times: Sequence[StageTime], tests: Sequence[StageTest], by: By | None) -> str:
    overall = [row for row in times if row.context == ALL]
    if not any(row.actors for row in overall):
        return "Nobody whose beginning is known came to a stage in these days."
    known = [
        row
        for row in overall
        if row.within_week is not None and row.week_low is not None and row.from_stage in STAGES[:-1]
    ]
    if not known:
        return f"How long a stage takes cannot be told: {_lacking(overall)}."
    slowest = min(known, key=lambda row: row.within_week or 0.0)
    said = (
        f"Fewest actors take the step from {slowest.from_stage} to {slowest.to_stage.strip('()')}: "
        f"{wording.fine_share(slowest.within_week)} within 7 days"
        f"{between(slowest.week_low, slowest.week_high, wording.fine_share)}, half of those who do after "
        f"{in_minutes(slowest.movers_seconds)}"
    )
    if by is None:
        return f"{said}."
    apart = [f"from {each.from_stage} to {each.to_stage}" for each in tests if each.adjusted <= LEVEL]
    name = by.replace("_", " ")
    if not tests:
        return f"{said}. Too few of each {name} to compare them."
    if not apart:
        return f"{said}. By {name}, no difference is beyond chance."
    return f"{said}. By {name}, times differ beyond chance {wording.listed(apart)}."
