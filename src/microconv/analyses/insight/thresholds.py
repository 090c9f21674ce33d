"""How often is enough: whether a goal is reached more often from some number of micro-conversions on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import AfterValidator, Field

from microconv import wording
from microconv.analyses.insight.landmarks import (
    CANDIDATE_LEVEL,
    FEWEST_A_SIDE,
    FEWEST_TARGETS,
    FINDING,
    LEVEL,
    LandmarkQuestion,
    too_few,
)
from microconv.config.values import Duration, EntryId, Length, unique
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, Option
from microconv.result import Result, column, pivot, sheet
from microconv.stats import steps
from microconv.stats.intervals import wilson
from microconv.stats.multiplicity import adjusted
from microconv.stats.ratios import risk_ratio
from microconv.stats.steps import Dose, RateStep
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar, Heading, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

TOGETHER = {
    "any": "any micro-conversion",
    "distinct": "different micro-conversions",
    "milestone": "milestones",
    "secondary": "secondary micro-conversions",
}
"""What is counted besides single entries, as `--of` takes it, and in words."""

THRESHOLD, ONCE, RISES, STEADY, NOTHING = (
    "threshold",
    "once is enough",
    "rises",
    "rises steadily",
    "nothing found",
)
"""What is said of a number: it has a threshold, of 2 or more; the first time matters, and more adds nothing that shows;
the rate rises, and from which number on cannot be told; every one more helps a bit; none of these."""

MOST_TIMES = 20
"""The number at which counting ends: more is as much."""

_BETTER = 1.0
"""By how much a step must beat the steady line in log-likelihood, in each half."""
_LANDMARKS = tuple(Duration.parse(each) for each in ("1h", "1d", "3d", "7d"))


def _landmarks(given: tuple[Duration, ...]) -> tuple[Duration, ...]:
    return tuple(sorted(unique(given)))


def _small(value: float | None) -> str:
    """Write a p-value."""
    return "<0.0001" if value is not None and value < 0.0001 else wording.decimal(value, 4)  # noqa: PLR2004 - as written


@dataclass(frozen=True)
class CountThreshold:
    """What was found of one number at one landmark; rates and their ratio are those of the half for testing.

    Attributes:
        counted: What is counted: an entry, or several together.
        landmark: Until how long after the first session.
        says: Whether there is a threshold.
        times: The smallest number that matters, where there is one.
        times_low: The smallest number that fits the finding half nearly as well (95%).
        times_high: The largest such number.
        rate_below: Share of those below it who reached the goal in the window.
        rate_from: Share of those who had done it so often, or more.
        ratio: Of the two rates, with its interval.
        p_value: Corrected for all that was tested; None where nothing was.
        actors: In both halves.
        reached: How many of them reached the goal in the window.
    """

    counted: str = column("counted")
    landmark: str = column("within")
    says: str = column("says")
    times: int | None = column("times", wording.count)
    times_low: int | None = column("times from", wording.count)
    times_high: int | None = column("times to", wording.count)
    rate_below: float | None = column("rate below", wording.share)
    rate_from: float | None = column("rate from there on", wording.share)
    ratio: float | None = column("ratio", wording.cents)
    low: float | None = column("ratio from", wording.cents)
    high: float | None = column("ratio to", wording.cents)
    p_value: float | None = column("corrected p", _small)
    actors: int = column("actors", wording.count)
    reached: int = column("reached the goal", wording.count)
    tier: str = column("evidence", default="observed")


@dataclass(frozen=True)
class TimesRate:
    """How many had done something so many times by a landmark, and how many of them reached the goal; both halves."""

    counted: str = column("counted")
    landmark: str = column("within")
    times: str = column("times")
    actors: int = column("actors", wording.count)
    reached: int = column("reached the goal", wording.count)
    rate: float | None = column("rate", wording.share)
    low: float | None = column("rate from", wording.share)
    high: float | None = column("rate to", wording.share)


def _rate_of(row: TimesRate | None) -> str:
    return wording.NOTHING if row is None else f"{wording.share(row.rate)} of {wording.count(row.actors)}"


@dataclass(frozen=True)
class ThresholdsResult(Result):
    """Thresholds, those found first; and how the rate rises with what is found, or else with all together.

    Attributes:
        goal: The micro-conversion to reach.
        thresholds: The rows: one for each number and landmark.
        curves: The rate by number, with 95% intervals.
        tested: How many of the rows had a candidate in the first half, and were tested on the other.
    """

    row_type: ClassVar[type] = CountThreshold

    goal: str
    thresholds: tuple[CountThreshold, ...]
    curves: tuple[TimesRate, ...]
    tested: int
    sentence: str
    assumptions: tuple[str, ...]
    since: date | None = None
    until: date | None = None

    @property
    def rows(self) -> tuple[CountThreshold, ...]:
        """The thresholds."""
        return self.thresholds

    @property
    def title(self) -> str:
        """What the table is called."""
        return f"From how often on {self.goal} follows more often"

    def sheets(self) -> Iterator[Sheet | str]:
        """Yield what was found, how many have nothing, and the rate by number."""
        found = [row for row in self.thresholds if row.says in _ORDER[:-1]]
        if found or not self.curves:
            yield sheet(self.title, found, CountThreshold)
        nothing = sum(row.says == NOTHING for row in self.thresholds)
        thin = len(self.thresholds) - len(found) - nothing
        yield (
            f"Nothing was found in {wording.count(nothing)} of {wording.plural(len(self.thresholds), 'row')}, and "
            f"{wording.count(thin)} {'has' if thin == 1 else 'have'} not enough data (all: --format csv)."
        )
        if self.curves:
            yield from self._curves_of_one()

    def _curves_of_one(self) -> Iterator[Sheet]:
        """One table for each thing that is counted: numbers down, landmarks across."""
        for counted in dict.fromkeys(row.counted for row in self.curves):
            rows = [row for row in self.curves if row.counted == counted]
            rows.sort(key=lambda row: int(row.times.split()[0]))
            yield pivot(
                f"How often {self.goal} follows, by number of times: {counted}",
                {(row.times, row.landmark): row for row in rows},
                down=Heading("times"),
                write=_rate_of,
                label=lambda landmark: f"within {landmark}",
            )

    def bars(self) -> tuple[Bar, ...]:
        """One bar per number of the first curve: the rate."""
        return tuple(
            Bar(f"{row.times} × {row.counted} within {row.landmark}", row.rate, wording.share(row.rate))  # noqa: RUF001 - times
            for row in self.curves
            if (row.counted, row.landmark) == (self.curves[0].counted, self.curves[0].landmark) and row.rate is not None
        )


class Thresholds(LandmarkQuestion):
    """Say from how many micro-conversions on a goal follows more often: of one, of a kind, of all, of different ones.

    The number is chosen on half of the actors and tested on the other half.
    """

    options: ClassVar[Mapping[str, Option]] = {**LandmarkQuestion.options, "measure": Option(metavar="ID")}
    examples: ClassVar[tuple[str, ...]] = (
        "thresholds",
        "thresholds --measure view_item --landmarks 1d --window 14d",
        "thresholds --measure distinct --goal add_to_cart --format json",
    )

    measure: EntryId | None = Field(
        default=None,
        description="only this: a micro-conversion, any, distinct (different ones), milestone or secondary",
    )
    landmarks: Annotated[tuple[Length, ...], Field(min_length=1), AfterValidator(_landmarks)] = Field(
        default=_LANDMARKS, description="until how long after an actor's first session is counted, such as 1d"
    )

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the goal, and the entry that is measured."""
        if self.goal is not None:
            yield self.goal, "the goal of thresholds"
        if self.measure is not None and self.measure not in TOGETHER:
            yield self.measure, "the measure of thresholds"

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the one query."""
        taxonomy = context.taxonomy
        entries = self._entries(taxonomy)
        return (
            templates.query(
                "analyses/insight/thresholds",
                params={
                    "entries": entries,
                    "kinds": [taxonomy.entry(each).kind for each in entries],
                    "measures": [f"({each})" if each in TOGETHER else each for each in self._measures(taxonomy)],
                    "most": MOST_TIMES,
                    **self.at_landmarks(context, self.landmarks),
                },
            ),
        )

    def result(self, tables: Sequence[pa.Table], context: Context) -> ThresholdsResult:
        """Choose a number for each measure and landmark on one half, and test it on the other."""
        goal = self.goal_in(context.taxonomy)
        doses = _doses(tables[0].to_pylist())
        cells = [_Cell(each, landmark) for each in self._measures(context.taxonomy) for landmark in self.landmarks]
        chosen = {cell: _choose(*doses.get(cell.key, ((), ()))) for cell in cells}
        tested = [cell for cell in cells if chosen[cell].p_value is not None]
        p_values = adjusted([chosen[cell].p_value or 0.0 for cell in tested], "holm")
        corrected = dict(zip(tested, p_values, strict=True))
        rows = {cell: _row(cell, chosen[cell], corrected.get(cell), goal) for cell in cells}
        ordered = sorted(cells, key=lambda cell: _place(rows[cell]))
        shown = [cell for cell in ordered if rows[cell].says == THRESHOLD][:_MOST_CURVES]
        shown = shown or [cell for cell in cells if cell.measure == cells[0].measure]
        return ThresholdsResult(
            goal=goal,
            thresholds=tuple(rows[cell] for cell in ordered),
            curves=tuple(rate for cell in shown for rate in _curve(cell, chosen[cell])),
            tested=len(tested),
            sentence=_sentence([rows[cell] for cell in ordered], goal, self.window),
            assumptions=tuple(self._assumptions(goal, len(cells), len(tested))),
            since=self.since,
            until=self.until,
        )

    def _entries(self, taxonomy: Taxonomy) -> list[str]:
        if self.measure is None or self.measure in TOGETHER:
            return self.small_steps(taxonomy)
        return [taxonomy.counted(self.measure)]

    def _measures(self, taxonomy: Taxonomy) -> list[str]:
        if self.measure is None:
            return [*TOGETHER, *self._entries(taxonomy)]
        return [self.measure] if self.measure in TOGETHER else self._entries(taxonomy)

    def _assumptions(self, goal: str, cells: int, tested: int) -> Iterator[str]:
        yield from self.of_actors(goal)
        yield (
            "A number is a threshold where a jump from there on describes the rate better than no rise, and better "
            f"than a steady one, in both halves. Of {wording.plural(cells, 'row')}, {wording.count(tested)} had a "
            "candidate in the first half and came to the test."
        )
        yield (
            "Evidence: observed. Actors who do more may want more from the start, so it is not proof that doing it "
            f"more often causes {goal}."
        )


_MOST_CURVES = 3
_ORDER = (THRESHOLD, ONCE, RISES, STEADY, NOTHING)


class _Cell(NamedTuple):
    """A measure at a landmark."""

    measure: str
    landmark: Duration

    @property
    def key(self) -> tuple[str, int]:
        return f"({self.measure})" if self.measure in TOGETHER else self.measure, self.landmark.seconds * 1_000

    @property
    def counted(self) -> str:
        return TOGETHER.get(self.measure, self.measure)

    @property
    def within(self) -> str:
        return wording.window(self.landmark.text)


@dataclass(frozen=True)
class _Choice:
    """What the first half proposes, and what the other says of it before correction."""

    finding: Sequence[Dose]
    testing: Sequence[Dose]
    step: RateStep | None = None
    p_value: float | None = None
    says: str = NOTHING
    is_rare: bool = False

    @property
    def did(self) -> int:
        return sum(each.actors for each in (*self.finding, *self.testing) if each.times)

    @property
    def actors(self) -> int:
        return sum(each.actors for each in (*self.finding, *self.testing))

    @property
    def reached(self) -> int:
        return sum(each.reached for each in (*self.finding, *self.testing))


def _doses(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], tuple[list[Dose], list[Dose]]]:
    """Return the doses of both halves, by measure and landmark."""
    found: dict[tuple[str, int], tuple[list[Dose], list[Dose]]] = {}
    for row in rows:
        halves = found.setdefault((row["measure"], row["landmark_ms"]), ([], []))
        halves[row["half"] - FINDING].append(Dose(row["times"], row["actors"], row["reached"]))
    return found


def _choose(finding: Sequence[Dose], testing: Sequence[Dose]) -> _Choice:
    """Choose the number on one half, or a steady rise, and test it on the other."""
    nothing = _Choice(finding, testing)
    if min(sum(dose.reached for dose in half) for half in (finding, testing)) < FEWEST_TARGETS:
        return replace(nothing, says="")
    if min(sum(dose.actors for dose in half if dose.times) for half in (finding, testing)) < FEWEST_A_SIDE:
        return replace(nothing, says="", is_rare=True)
    step = steps.best_step(finding, FEWEST_A_SIDE)
    if step is None or min(each.actors for each in steps.split(testing, step.at)) < FEWEST_A_SIDE:
        return nothing
    below, above = steps.split(testing, step.at)
    gain = max(step.log_likelihood - steps.flat_log_likelihood(finding), 0.0)
    by_chance = min(1.0, math.erfc(math.sqrt(gain)) / 2 * step.tried)
    if min(by_chance, steps.trend_test(finding)) > CANDIDATE_LEVEL:
        return nothing
    margins = (
        step.log_likelihood - steps.steady_log_likelihood(finding),
        steps.step_log_likelihood(testing, step.at) - steps.steady_log_likelihood(testing),
    )
    if margins[0] > _BETTER:
        is_step = margins[1] > _BETTER
        says = RISES if not is_step else ONCE if step.at == 1 else THRESHOLD
        return replace(nothing, step=step, says=says, p_value=steps.higher_rate_test(above, below))
    says = STEADY if sum(margins) < -_BETTER else RISES
    return replace(nothing, says=says, p_value=steps.trend_test(testing))


def _row(cell: _Cell, choice: _Choice, corrected: float | None, goal: str) -> CountThreshold:
    too_few_did = f"not enough data: n = {wording.count(choice.did)} did it"
    row = CountThreshold(
        counted=cell.counted,
        landmark=cell.within,
        says=choice.says or (too_few_did if choice.is_rare else too_few(choice.reached, goal)),
        times=None,
        times_low=None,
        times_high=None,
        rate_below=None,
        rate_from=None,
        ratio=None,
        low=None,
        high=None,
        p_value=corrected,
        actors=choice.actors,
        reached=choice.reached,
    )
    if corrected is None or corrected > LEVEL:
        return replace(row, says=row.says if corrected is None else NOTHING)
    if choice.says not in (THRESHOLD, ONCE) or choice.step is None:
        return row
    below, above = steps.split(choice.testing, choice.step.at)
    ratio = risk_ratio(above.reached, above.actors, below.reached, below.actors)
    return replace(
        row,
        times=choice.step.at,
        times_low=choice.step.low,
        times_high=choice.step.high,
        rate_below=wording.ratio(below.reached, below.actors),
        rate_from=wording.ratio(above.reached, above.actors),
        ratio=ratio.ratio if ratio else None,
        low=ratio.low if ratio else None,
        high=ratio.high if ratio else None,
    )


def _place(row: CountThreshold) -> tuple[int, float]:
    place = _ORDER.index(row.says) if row.says in _ORDER else len(_ORDER)
    return place, 1.0 if row.p_value is None else row.p_value


def _curve(cell: _Cell, choice: _Choice) -> Iterator[TimesRate]:
    """Yield the rate by number, of both halves together."""
    numbers = sorted({each.times for each in (*choice.finding, *choice.testing)})
    for number in numbers:
        doses = [each for each in (*choice.finding, *choice.testing) if each.times == number]
        actors, reached = sum(each.actors for each in doses), sum(each.reached for each in doses)
        interval = wilson(reached, actors)
        if interval is None:
            continue
        yield TimesRate(
            counted=cell.counted,
            landmark=cell.within,
            times=f"{number} or more" if number == MOST_TIMES else str(number),
            actors=actors,
            reached=reached,
            rate=wording.ratio(reached, actors),
            low=interval.low,
            high=interval.high,
        )


def _sentence(rows: Sequence[CountThreshold], goal: str, window: Duration) -> str:
    within = f"in the {wording.window(window.text)} after it"
    found = [row for row in rows if row.says == THRESHOLD]
    if found:
        row = found[0]
        more = f" ({wording.plural(len(found) - 1, 'further row')} with one below)" if len(found) > 1 else ""
        return (
            f"From {row.times} on, {row.counted} within {row.landmark}: {within}, {_rates(row, goal)}, on the half of "
            f"the actors that the number was not chosen on{more}. It goes with {goal}; that is not proof that it "
            "causes it."
        )
    none = f"No number of micro-conversions, from 2 on, is a threshold for {goal}"
    most = max(rows, key=lambda each: each.reached, default=None)
    if most is None or rows[0].says not in _ORDER:
        return f"Whether {goal} has a threshold cannot be told: {too_few(most.reached if most else 0, goal)}."
    row = rows[0]
    if row.says == NOTHING:
        of_all = f"of {wording.plural(most.actors, 'actor')}, {wording.count(most.reached)} reached it"
        return f"{none}: {of_all}."
    if row.says == ONCE:
        return (
            f"{none}. Once is enough: after {row.counted} within {row.landmark}, {_rates(row, goal)} {within}; more of "
            "it adds nothing that shows."
        )
    how = "steadily: every one more helps a bit" if row.says == STEADY else "but from which number on cannot be told"
    return f"{none}. With {row.counted} within {row.landmark} its rate rises {how}."


def _rates(row: CountThreshold, goal: str) -> str:
    times = "" if row.ratio is None else f"{wording.decimal(row.ratio)} times as often: "
    return f"{goal} follows {times}{wording.share(row.rate_from)} against {wording.share(row.rate_below)} of the others"
