"""How often is enough: whether a goal is reached more often from some number of micro-conversions on."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import AfterValidator, Field

from microconv import wording
from microconv.analyses.insight.banded import banded_query, read_banded
from microconv.analyses.insight.entry_lift import ON_PATH
from microconv.analyses.insight.evidence import LEVEL
from microconv.analyses.insight.landmarks import (
    CANDIDATE_LEVEL,
    FEWEST_A_SIDE,
    FEWEST_REACHED_A_SIDE,
    FEWEST_TARGETS,
    FINDING,
    LandmarkQuestion,
    of_other_systems,
    too_few,
)
from microconv.config.values import Duration, EntryId, Length, unique
from microconv.errors import UsageError
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
the rate rises, and from which number on cannot be told; it is a bit higher with every one more; none of these."""

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
    """What was found of one number at one landmark; rates, their ratio and all counts are of the half for testing.

    Attributes:
        counted: What is counted: an entry, or several together.
        landmark: Until how long after the first session.
        says: Whether there is a threshold; `on the path` of what hardly anybody reaches the goal without, as of `lift`.
        times: The smallest number that matters, where there is one.
        times_low: The smallest number that fits the finding half nearly as well, which is not a 95% interval.
        times_high: The largest such number.
        rate_below: Share of those below it who reached the goal in the window.
        rate_from: Share of those who had done it so often, or more.
        actors_from: How many had done it so often, or more.
        reached_from: How many of these reached the goal in the window.
        ratio: Of the two rates, with its interval.
        p_value: Corrected for all that was tested; None where nothing was.
        actors: All actors; those below the number are the rest.
        reached: How many of all reached the goal in the window.
    """

    counted: str = column("counted")
    landmark: str = column("within")
    says: str = column("says")
    times: int | None = column("times", wording.count)
    times_low: int | None = column("nearly as well from", wording.count)
    times_high: int | None = column("nearly as well to", wording.count)
    rate_below: float | None = column("rate below", wording.fine_share)
    rate_from: float | None = column("rate from there on", wording.fine_share)
    actors_from: int | None = column("did it so often", wording.count)
    reached_from: int | None = column("of them reached the goal", wording.count)
    ratio: float | None = column("ratio", wording.times)
    low: float | None = column("ratio from", wording.times)
    high: float | None = column("ratio to", wording.times)
    p_value: float | None = column("corrected p", _small)
    actors: int = column("all actors", wording.count)
    reached: int = column("of all reached the goal", wording.count)
    tier: str = column("evidence", default="observed")


@dataclass(frozen=True)
class TimesRate:
    """How many had done something so many times by a landmark, and how many of them reached the goal; both halves."""

    counted: str = column("counted")
    landmark: str = column("within")
    times: str = column("times")
    actors: int = column("actors", wording.count)
    reached: int = column("reached the goal", wording.count)
    rate: float | None = column("rate", wording.fine_share)
    low: float | None = column("rate from", wording.fine_share)
    high: float | None = column("rate to", wording.fine_share)


def _rate_of(row: TimesRate | None) -> str:
    return wording.NOTHING if row is None else f"{wording.fine_share(row.rate)} of {wording.count(row.actors)}"


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
        return f"From which number of times {self.goal} is reached more often"

    def sheets(self) -> Iterator[Sheet | str]:
        """Yield what was found, how many have nothing, and the rate by number."""
        found = [row for row in self.thresholds if row.says in _ORDER[:-1]]
        if found or not self.curves:
            yield sheet(self.title, found, CountThreshold, without=("tier",))
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
            Bar(f"{row.times} × {row.counted} within {row.landmark}", row.rate, wording.fine_share(row.rate))  # noqa: RUF001 - times
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
        """Return the query of who did something how often, and that of lift, which tells what is on the path.

        Raises:
            UsageError: The measure is the goal.
        """
        taxonomy, goal = context.taxonomy, self.goal_in(context.taxonomy)
        entries = self._entries(taxonomy)
        if goal in entries:
            raise UsageError(
                f"{goal} is the goal, so nobody had done it by a landmark and not reached it.",
                hint="Give another --measure or another --goal.",
            )
        end = context.latest_event_at or templates.EXAMPLE_MOMENT
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
            banded_query(entries, goal, end + timedelta(milliseconds=1), self.since, self.until),
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
        on_path = {entry for entry, each in read_banded(tables[1].to_pylist()).items() if each.is_on_path}
        for cell in cells:
            if _is_way(rows[cell], cell, on_path, context.taxonomy):
                rows[cell] = replace(rows[cell], says=ON_PATH)
        most = max(cells, key=lambda cell: (chosen[cell].reached, chosen[cell].did))
        ordered = sorted(cells, key=lambda cell: _place(rows[cell]))
        shown = [cell for cell in ordered if rows[cell].says == THRESHOLD][:_MOST_CURVES]
        shown = shown or [cell for cell in cells if cell.measure == cells[0].measure]
        return ThresholdsResult(
            goal=goal,
            thresholds=tuple(rows[cell] for cell in ordered),
            curves=tuple(rate for cell in shown for rate in _curve(cell, chosen[cell])),
            tested=len(tested),
            sentence=_sentence([rows[cell] for cell in ordered], rows[most], chosen[most], goal, self.window),
            assumptions=(
                *self._assumptions(goal, len(cells), len(tested)),
                *of_other_systems((goal,), context.taxonomy),
            ),
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
            f"'{ONCE}' is the same from the first time on. '{RISES}': the rate rises, and from which number on cannot "
            f"be told. '{STEADY}': it is a bit higher with every one more, and no number matters more than others. "
            f"These two have no number and so no rates to hold against each other: a {wording.NOTHING} stands there."
        )
        yield (
            f"'{ON_PATH}': hardly anybody reaches {goal} without it at any time, as microconv lift has it, so that it "
            "is a step of the way and no sign. Several together are that from the first time on, if one of them is."
        )
        yield (
            "'Nearly as well from' and 'to' are the smallest and the largest number that fit the half that proposed it "
            "nearly as well (by likelihood). That is not a 95% interval."
        )
        yield (
            "The counts beside the rates are those of the testing half, too; the tables of rates by number of times "
            "are of both halves."
        )
        yield (
            "Evidence: observed. Actors who do more may want more from the start, so it is not proof that doing it "
            f"more often causes {goal}."
        )


_MOST_CURVES = 3
_RISING = (THRESHOLD, ONCE, RISES, STEADY)
_ORDER = (*_RISING, ON_PATH, NOTHING)


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
    too_few_did = f"not enough data: n = {wording.count(choice.did)} did {cell.counted}"
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
        actors_from=None,
        reached_from=None,
        p_value=corrected,
        actors=sum(each.actors for each in choice.testing),
        reached=sum(each.reached for each in choice.testing),
    )
    if corrected is None or corrected > LEVEL:
        return replace(row, says=row.says if corrected is None else NOTHING)
    is_step = choice.says in (THRESHOLD, ONCE) and choice.step is not None
    below, above = steps.split(choice.testing, choice.step.at if is_step and choice.step else 1)
    # It was tested, so it stays among what is corrected for; told is only what rests on enough.
    if above.reached < FEWEST_REACHED_A_SIDE:
        often = "so often" if choice.says == THRESHOLD else ""
        return replace(row, says=_too_few_of(above.reached, f"who did {cell.counted} {often}".rstrip(), goal))
    if not is_step or choice.step is None:
        return row
    if below.reached < FEWEST_REACHED_A_SIDE:
        return replace(row, says=_too_few_of(below.reached, "others", goal))
    ratio = risk_ratio(above.reached, above.actors, below.reached, below.actors)
    return replace(
        row,
        times=choice.step.at,
        times_low=choice.step.low,
        times_high=choice.step.high,
        rate_below=wording.ratio(below.reached, below.actors),
        rate_from=wording.ratio(above.reached, above.actors),
        actors_from=above.actors,
        reached_from=above.reached,
        ratio=ratio.ratio if ratio else None,
        low=ratio.low if ratio else None,
        high=ratio.high if ratio else None,
    )


def _too_few_of(reached: int, who: str, goal: str) -> str:
    return f"not enough data: n = {wording.count(reached)} {who} reached {goal}"


def _is_way(row: CountThreshold, cell: _Cell, on_path: Collection[str], taxonomy: Taxonomy) -> bool:
    """Whether what is told of a row is that hardly anybody reaches the goal without what is counted."""
    if cell.measure not in TOGETHER:
        return row.says in _RISING and cell.measure in on_path
    kinds = {cell.measure} if cell.measure in ("milestone", "secondary") else {"milestone", "secondary"}
    return row.says == ONCE and any(taxonomy.entry(each).kind in kinds for each in on_path)


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


def _sentence(
    rows: Sequence[CountThreshold], widest: CountThreshold, most: _Choice, goal: str, window: Duration
) -> str:
    """Say what was found first; `widest` is the row in which most reached the goal, and `most` what it rests on."""
    within = f"in the {wording.window(window.text)} after it"
    way = _of_the_way(rows, goal)
    found = [row for row in rows if row.says == THRESHOLD]
    if found:
        row = found[0]
        others = (
            wording.listed([f"{each.counted} within {each.landmark}" for each in found[1:]], 3) if found[1:] else ""
        )
        more = f" {others} {'has one' if len(found) == 2 else 'have one each'}, too." if others else ""  # noqa: PLR2004 - one more
        return (
            f"From {row.times} on, {row.counted} within {row.landmark}: {within}, {_rates(row, goal)}, on the half of "
            f"the actors that the number was not chosen on. It goes with {goal}; that is not proof that it causes it."
            f"{more}{way}"
        )
    none = f"No number of micro-conversions, from 2 on, is a threshold for {goal}"
    told = [row for row in rows if row.says in (*_RISING, NOTHING)]
    if not told and way:
        return f"{none}.{way}"
    if not told:
        return f"Whether {goal} has a threshold cannot be told: {widest.says}."
    row = told[0]
    if row.says == NOTHING:
        of_all = f"of {wording.plural(most.actors, 'actor')}, {wording.count(most.reached)} reached it"
        return f"{none}: {of_all}.{way}"
    if row.says == ONCE:
        return (
            f"{none}. Once is enough: after {row.counted} within {row.landmark}, {_rates(row, goal)} {within}; more of "
            f"it adds nothing that shows.{way}"
        )
    how = (
        " steadily: it is a bit higher with every one more"
        if row.says == STEADY
        else ", but from which number on cannot be told"
    )
    return f"{none}. With {row.counted} within {row.landmark} its rate rises{how}.{way}"


def _of_the_way(rows: Sequence[CountThreshold], goal: str) -> str:
    """Name what is left out since hardly anybody reaches the goal without it; nothing where nothing is."""
    named = list(dict.fromkeys(row.counted for row in rows if row.says == ON_PATH))
    if not named:
        return ""
    are, them = ("is", "it") if len(named) == 1 else ("are", "them")
    return f" Left out {are} {wording.listed(named)}: hardly anybody reaches {goal} without {them}."


def _rates(row: CountThreshold, goal: str) -> str:
    times = "" if row.ratio is None else f"{wording.times(row.ratio)} times as often: "
    below, reached_below = row.actors - (row.actors_from or 0), row.reached - (row.reached_from or 0)
    return (
        f"{goal} follows {times}{wording.fine_share(row.rate_from)} ({wording.count(row.reached_from)} of "
        f"{wording.count(row.actors_from)}) against {wording.fine_share(row.rate_below)} of the others "
        f"({wording.count(reached_below)} of {wording.count(below)})"
    )
