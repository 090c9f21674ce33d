"""Plan an experiment: how many actors and days a lift needs to show, at the goal and at the steps before it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from microconv import wording
from microconv.analyses.insight.banded import FEWEST_TARGETS
from microconv.analyses.insight.buyers import not_enough, staged_days
from microconv.analyses.insight.goals import steps_up_to
from microconv.config.sections import Config
from microconv.config.values import EntryId
from microconv.experiments.shipping import open_questions
from microconv.guardrails.ethics import checklist, open_words
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.question import Context, Option, Question
from microconv.result import Result, column
from microconv.stats.sample_sizes import (
    actors_for_effect,
    actors_for_shares,
    share_variance,
    smallest_relative_lift,
)
from microconv.wording import Bar

if TYPE_CHECKING:
    import pyarrow as pa

_NEAR = 1e-4
LONGEST_DAYS = 365
"""Beyond so many days, an experiment is not planned: people and pages are others by then."""


def _percent(value: float) -> str:
    return wording.share(value)


@dataclass(frozen=True)
class PlannedTest:
    """What a test of one micro-conversion needs.

    Attributes:
        micro_conversion: What is measured.
        actors: Actors in the days looked at; `doers` did it, which is the share `baseline`.
        lift: The relative lift that is to be found.
        needed: Actors that all variants together need; None where no number would do.
        days: Days until so many have come; None beyond a year.
        smallest: The smallest relative lift that shows in as many days as were looked at.
        sooner: How many days sooner than the goal it answers.
        says: What that comes to.
    """

    micro_conversion: str = column("micro-conversion")
    actors: int = column("actors", wording.count)
    doers: int = column("did it", wording.count)
    baseline: float | None = column("baseline", wording.share)
    lift: float = column("lift to find", _percent)
    needed: int | None = column("actors needed", wording.count)
    days: int | None = column("days needed", wording.count)
    smallest: float | None = column("shows in those days", wording.share)
    sooner: int | None = column("days sooner", wording.count)
    says: str = column("so")


@dataclass(frozen=True)
class PlanResult(Result):
    """What a test needs, at the goal and at the steps before it, the goal first.

    `first_date` to `last_date` are the days that the baseline comes from, `arrivals` how many actors came on them.
    """

    row_type: ClassVar[type] = PlannedTest

    goal: str
    lift: float
    power: float
    horizon: str
    variants: int
    first_date: date | None
    last_date: date | None
    arrivals: int
    tests: tuple[PlannedTest, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[PlannedTest, ...]:
        """The tests."""
        return self.tests

    @property
    def title(self) -> str:
        """What the table is called."""
        variants = wording.plural(self.variants, "variant")
        return f"What a test needs to find a lift of {wording.share(self.lift)}, {variants}"

    def bars(self) -> tuple[Bar, ...]:
        """One bar per test: the days that it needs."""
        return tuple(
            Bar(each.micro_conversion, each.days, wording.plural(each.days, "day"))
            for each in self.tests
            if each.days is not None
        )


class ExperimentPlan(Question):
    """Say how many actors and days a test needs to find a lift, at the goal and at the micro-conversions before it.

    The baseline is what actors did in the last days of the data. A micro-conversion before the goal answers sooner;
    what it means for the goal then rests on what follows it, which is observed.
    """

    options: ClassVar[Mapping[str, Option]] = {
        "goal": Option(metavar="ID"),
        "exposure": Option(metavar="ID"),
    }
    examples: ClassVar[tuple[str, ...]] = (
        "experiment plan",
        "experiment plan --goal add_to_cart --lift 0.05 --exposure view_item",
        "experiment plan --horizon anytime --variants 3 --format json",
    )
    in_report: ClassVar[bool] = False

    goal: EntryId | None = Field(
        default=None, description="what the test should raise; default: the first macro-conversion"
    )
    lift: Annotated[float, Field(gt=0, le=10)] = Field(
        default=0.1, description="the relative lift to find, such as 0.1"
    )
    exposure: EntryId | None = Field(
        default=None,
        description="the micro-conversion with which actors come into the test; default: their first session",
    )
    days: int = Field(default=28, ge=1, le=366, description="how many of the last days the baseline comes from")
    power: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.8, description="the chance to find the lift if it is there"
    )
    level: Annotated[float, Field(gt=0, lt=1)] = Field(default=0.95, description="of the intervals")
    variants: int = Field(default=2, ge=2, le=10, description="how many variants, the control among them")
    horizon: Literal["fixed", "anytime"] = Field(
        default="fixed", description="fixed: read once; anytime: read as often as you like"
    )

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the goal and the exposure."""
        if self.goal is not None:
            yield self.goal, "the goal of experiment plan"
        if self.exposure is not None:
            yield self.exposure, "the exposure of experiment plan"

    def _days(self, context: Context) -> tuple[date, date]:
        first, last = staged_days(context)
        return max(first, last - timedelta(days=self.days - 1)), last

    def _entries(self, context: Context) -> list[str]:
        """Return the goal and the steps before it, from the goal backwards; those after the exposure alone."""
        taxonomy = context.taxonomy
        goal = taxonomy.goal(self.goal)
        exposed = None if self.exposure is None else taxonomy.counted(self.exposure)
        steps = [
            each
            for each in steps_up_to(goal, taxonomy)
            if each == goal or exposed is None or taxonomy.rank(each) > taxonomy.rank(exposed)
        ]
        return steps[::-1]

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the queries of the baselines, and of who comes on each day."""
        first, last = self._days(context)
        exposed = None if self.exposure is None else context.taxonomy.counted(self.exposure)
        params: dict[str, Value] = {
            "first_date": first,
            "last_date": last,
            "end_at": context.latest_event_at or templates.EXAMPLE_MOMENT,
            **({} if exposed is None else {"exposure": exposed}),
        }
        structure = {"has_exposure": exposed is not None}
        return (
            templates.query(
                "experiments/baseline", params={**params, "entries": self._entries(context)}, structure=structure
            ),
            templates.query("experiments/arrivals", params=params, structure=structure),
        )

    def result(self, tables: Sequence[pa.Table], context: Context) -> PlanResult:
        """Say what each test needs."""
        first, last = self._days(context)
        counted = {row["micro_conversion"]: row for row in tables[0].to_pylist()}
        by_day = {row["arrived_date"]: int(row["actors"]) for row in tables[1].to_pylist()}
        length = (last - first).days + 1
        arriving = [by_day.get(first + timedelta(days=each), 0) for each in range(length)]
        entries = self._entries(context)
        tests: list[PlannedTest] = []
        for entry in entries:
            row = counted.get(entry, {"actors": 0, "doers": 0})
            tests.append(
                self._test(entry, int(row["actors"]), int(row["doers"]), arriving, tests[0] if tests else None)
            )
        goal = entries[0]
        return PlanResult(
            goal=goal,
            lift=self.lift,
            power=self.power,
            horizon=self.horizon,
            variants=self.variants,
            first_date=first if by_day else None,
            last_date=last if by_day else None,
            arrivals=sum(arriving),
            tests=tuple(tests),
            sentence=_sentence(tests, goal),
            assumptions=tuple(self._assumptions(first, last, arriving, context.config)),
        )

    def _test(
        self, entry: str, actors: int, doers: int, arriving: Sequence[int], goal: PlannedTest | None
    ) -> PlannedTest:
        baseline = wording.ratio(doers, actors)
        if baseline is None or doers < FEWEST_TARGETS:
            return PlannedTest(
                entry, actors, doers, baseline, self.lift, None, None, None, None, says=not_enough(doers)
            )
        needed = self._needed(baseline, self.lift)
        smallest = self._smallest(baseline, actors)
        if needed is None:
            most = 1 / baseline - 1
            says = f"cannot rise so much: at most by {wording.share(most)}" if doers < actors else "all do it already"
            return PlannedTest(entry, actors, doers, baseline, self.lift, None, None, smallest, None, says=says)
        days = days_until(needed, arriving)
        sooner = None if goal is None or goal.days is None or days is None else goal.days - days
        if days is None:
            says = f"longer than {LONGEST_DAYS} days: look for a larger lift, or an earlier step"
        elif sooner is not None and sooner > 0:
            says = f"answers {wording.plural(sooner, 'day')} sooner"
        elif goal is not None and goal.days is None and goal.doers >= FEWEST_TARGETS:
            says = "answers within a year, which the goal does not"
        else:
            says = ""
        return PlannedTest(entry, actors, doers, baseline, self.lift, needed, days, smallest, sooner, says=says)

    def _smallest(self, baseline: float, actors: int) -> float | None:
        """Return the smallest lift that so many actors show, to a ten-thousandth."""
        if self.horizon == "fixed":
            return smallest_relative_lift(baseline, actors / self.variants, level=self.level, power=self.power)
        low, high = 0.0, 1 / baseline - 1
        if (self._needed(baseline, high) or math.inf) > actors:
            return None
        while high - low > _NEAR:
            middle = (low + high) / 2
            low, high = (low, middle) if (self._needed(baseline, middle) or math.inf) <= actors else (middle, high)
        return high

    def _needed(self, baseline: float, lift: float) -> int | None:
        """Return the actors of all variants together."""
        raised = baseline * (1 + lift)
        if raised > 1:
            return None
        fixed = actors_for_shares(baseline, raised, level=self.level, power=self.power)
        if fixed is None:
            return None
        of_one = fixed
        if self.horizon == "anytime":
            # Tuned to about the number of actors that it will have.
            both = actors_for_effect(
                raised - baseline,
                share_variance(baseline, raised),
                level=self.level,
                power=self.power,
                tuning=2 * fixed,
            )
            if both is None:
                return None
            of_one = both / 2
        return int(-(-of_one // 1)) * self.variants

    def _assumptions(self, first: date, last: date, arriving: Sequence[int], config: Config) -> Iterator[str]:
        who = f"their first {self.exposure}" if self.exposure else "their first session"
        yield (
            f"Baselines are of {first} to {last}: {wording.count(sum(arriving))} actors, each from {who} in those days "
            "to their end."
        )
        yield "Days needed count new actors as they came in those days; after them, as many a day as in the last seven."
        how = (
            "read once, at the end"
            if self.horizon == "fixed"
            else "read as often as you like: an anytime-valid interval needs more actors for that"
        )
        yield (
            f"A test at {wording.share(self.level)} that finds the lift in {wording.share(self.power)} of cases, with "
            f"equal shares, {how}. Several metrics at once need more."
        )
        yield (
            "A lift of a step before the goal is the same lift of the goal only if those added go on like those who "
            "are there; that is observed, not tested."
        )
        yield "Whole weeks are better than parts of one: let a test run at least two."
        yield from _of_ethics(config)


def _of_ethics(config: Config) -> Iterator[str]:
    """Say which questions of ethics must be answered before a variant is shipped, and where they are open."""
    required = [each.id for each in checklist()] if config.ethics.require == "all" else config.ethics.require
    if not required:
        return
    stops = " before a variant is shipped" if config.ethics.stop else ""
    yield f"Of the checklist of ethics, {wording.listed(required)} must be answered for each experiment{stops}."
    for each in config.experiments:
        if found := open_questions(each, config):
            yield f"Open for the experiment {each.name}: {open_words(found)}."


def days_until(needed: int, arriving: Sequence[int]) -> int | None:
    """Return after how many days so many actors have come; None beyond a year.

    Args:
        needed: How many.
        arriving: New actors on each of some days; after them, as many a day come as on the last seven.
    """
    came = 0
    for day, number in enumerate(arriving, start=1):
        came += number
        if came >= needed:
            return day
    last = arriving[-7:]
    a_day = sum(last) / len(last) if last else 0.0
    if a_day <= 0:
        return None
    days = len(arriving) + int(-(-(needed - came) // a_day))
    return days if days <= LONGEST_DAYS else None


def _sentence(tests: Sequence[PlannedTest], goal: str) -> str:
    first = tests[0]
    if first.baseline is None or first.doers < FEWEST_TARGETS:
        return f"A test of {goal} cannot be planned: {not_enough(first.doers)}."
    lift = wording.share(first.lift)
    if first.needed is None:
        said = f"{goal} cannot rise by {lift}: {wording.share(first.baseline)} of actors do it"
    elif first.days is None:
        said = f"A lift of {lift} in {goal} needs {wording.count(first.needed)} actors, more than come in a year"
    else:
        said = (
            f"A lift of {lift} in {goal} (from {wording.share(first.baseline)} to "
            f"{wording.share(first.baseline * (1 + first.lift))} of actors) needs "
            f"{wording.count(first.needed)} actors, {wording.plural(first.days, 'day')}"
        )
    nearest = next((each for each in tests[1:] if each.days is not None), None)
    if nearest is None or nearest.needed is None:
        return f"{said}."
    told = f"the same lift in {nearest.micro_conversion} needs {wording.count(nearest.needed)} actors"
    days = wording.plural(nearest.days or 0, "day")
    sooner = f", {wording.plural(nearest.sooner, 'day')} sooner" if nearest.sooner and nearest.sooner > 0 else ""
    return f"{said}; {told}, {days}{sooner}."
