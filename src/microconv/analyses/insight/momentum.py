"""How actors move: who accelerates, is steady, hesitates, is stalled or has converted, and how that changes by week."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from microconv import wording
from microconv.analyses.insight.buyers import between, not_enough
from microconv.analyses.insight.momentum_question import STATES, MomentumQuestion, of_states, week_end
from microconv.queries.templates import Query
from microconv.question import Context
from microconv.result import Result, column, pivot, sheet
from microconv.stats.intervals import wilson
from microconv.taxonomy.entry import STAGES
from microconv.wording import Bar, Heading, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

NEW = "(new)"
"""Stands for the state a week before of actors who had not been seen then."""
UNKNOWN = "(earliest week)"
"""Stands for the state a week before in the earliest week that is looked at."""
NO_STAGE = "(none)"
"""Stands for the furthest stage of actors of whom only signs of hesitation are known."""
FEWEST_ACTORS = 10
"""Actors in a state below which nothing is told of what became of them."""
FEWEST_CONVERSIONS = 20
"""Conversions, of all states, below which states are not compared."""
_CONVERTED = "converted"


@dataclass(frozen=True)
class MomentumState:
    """Actors in one state now, and how often those in it at the end of a week converted within the next one.

    `observed` and `conversions` are of all pairs of weeks; `rate` is their ratio (0 to 1), None where they are too few
    to tell.
    """

    state: str = column("state")
    actors: int = column("actors now", wording.count)
    share: float | None = column("share", wording.share)
    observed: int | None = column("in it at a week's end", wording.count)
    conversions: int | None = column("converted in the next", wording.count)
    rate: float | None = column("rate", wording.fine_share)
    low: float | None = column("from", wording.fine_share)
    high: float | None = column("to", wording.fine_share)
    says: str = column("says")


@dataclass(frozen=True)
class StateAtStage:
    """Actors in one state now whose furthest stage is this one."""

    state: str
    stage: str
    actors: int


@dataclass(frozen=True)
class MomentumResult(Result):
    """The states of all actors at the end of a day.

    Attributes:
        goal: The micro-conversion that actors are on the way to.
        day: At whose end states are told.
        weeks: How many pairs of weeks the rates come from.
        states: One row each.
        stages: The same actors by the furthest stage they reached.
    """

    row_type: ClassVar[type] = MomentumState

    goal: str
    day: date
    weeks: int
    states: tuple[MomentumState, ...]
    stages: tuple[StateAtStage, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[MomentumState, ...]:
        """The states."""
        return self.states

    def sheets(self) -> Iterator[Sheet | str]:
        """Show states, then how far the actors in each came."""
        yield sheet(
            f"Momentum at the end of {wording.day(self.day)}, on the way to {self.goal}",
            self.rows,
            MomentumState,
            without=() if any(row.says for row in self.rows) else ("says",),
        )
        if self.stages:
            yield pivot(
                "The furthest stage that these actors reached",
                {(each.state, each.stage): each.actors for each in self.stages},
                down=Heading("state"),
                write=wording.count,
            )

    def bars(self) -> tuple[Bar, ...]:
        """One bar per state: its actors."""
        return tuple(
            Bar(row.state, row.actors, f"{wording.count(row.actors)} ({wording.share(row.share)})") for row in self.rows
        )


class Momentum(MomentumQuestion):
    """Say who moves towards the goal: how many actors accelerate, are steady, hesitate, are stalled or have converted.

    --show weeks tells how the states move from week to week, --show times how long it takes from one stage to the next,
    --show wavering at which mindset people turn back or hesitate, --show score whether momentum foretells who converts
    better than how recently and how often somebody came.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "momentum",
        "momentum --show states --segment cart_abandoners --until 2024-03-31",
        "momentum --show weeks --weeks 12 --format csv",
        "momentum --show times --by device_category",
        "momentum --show wavering --window 14d",
    )

    weeks: int = Field(default=8, ge=1, le=53, description="maximum number of weeks to look back")

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the one query."""
        weeks = self.week_numbers(context, self.weeks)
        return (self.query("analyses/insight/momentum", context, self.standing(context, weeks)),)

    def result(self, tables: Sequence[pa.Table], context: Context) -> MomentumResult:
        """Count states now, and what became of them from week to week."""
        rows = tables[0].to_pylist()
        goal, weeks = self.goal_in(context.taxonomy), self.week_numbers(context, self.weeks)
        states = _states(rows, len(weeks) - 1)
        stages = Counter[tuple[str, str]]()
        for row in rows:
            if row["weeks_ago"] == 0:
                stages[row["state"], _stage(row)] += row["actors"]
        return MomentumResult(
            goal=goal,
            day=self.last_day(context),
            weeks=len(weeks) - 1,
            states=states,
            stages=tuple(
                StateAtStage(row.state, stage, stages[row.state, stage])
                for row in states
                for stage in (*STAGES, NO_STAGE)
                if row.actors and any(stages[each, stage] for each in STATES)
            ),
            sentence=_sentence(states, goal),
            assumptions=(
                *of_states(goal, rows),
                (
                    "Rates count each actor once for each week at whose end it was in the state and had not converted; "
                    "intervals are Wilson's, at 95%. They tell what became of them, not what would help."
                ),
                *_of_the_others(states),
                *self.of_actors(context),
            ),
        )


@dataclass(frozen=True)
class MomentumMove:
    """Actors who were in one state at the end of a week, and in another (or the same) at the end of the next.

    `week` is the last day of the later one; `share` is of those who were in the first state (0 to 1). In the earliest
    week, nobody knows the state before.
    """

    week: date = column("week to")
    state_before: str = column("from")
    state: str = column("to")
    actors: int = column("actors", wording.count)
    share: float = column("share", wording.fine_share)


@dataclass(frozen=True)
class MomentumWeeksResult(Result):
    """How the states move from week to week, the latest week last.

    Attributes:
        goal: The micro-conversion that actors are on the way to.
        moves: By week, state before and state.
        counts: Actors by the last day of the week and state.
    """

    row_type: ClassVar[type] = MomentumMove

    goal: str
    moves: tuple[MomentumMove, ...]
    counts: tuple[tuple[date, str, int], ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[MomentumMove, ...]:
        """The moves."""
        return self.moves

    def sheets(self) -> Iterator[Sheet | str]:
        """Show the states of each week, then where those of each state were a week later, over all weeks."""
        yield pivot(
            f"Momentum at the end of each week, on the way to {self.goal}",
            {(week, state): actors for week, state, actors in self.counts},
            down=Heading("week to"),
            write=wording.count,
        )
        total = _moves_in_all(self.moves)
        if total:
            known = Counter[str]()
            for (before, _), actors in total.items():
                known[before] += actors
            yield pivot(
                "From one week to the next, over all these weeks",
                {
                    (before, state): wording.ratio(total[before, state], known[before])
                    for before in (*STATES, NEW)
                    if known[before]
                    for state in STATES
                },
                down=Heading("from"),
                write=wording.fine_share,
                beside={Heading("actors", wording.count): known.__getitem__},
            )

    def bars(self) -> tuple[Bar, ...]:
        """One bar per move to another state, over all weeks: its actors."""
        return tuple(
            Bar(f"{before} > {state}", actors, wording.count(actors))
            for (before, state), actors in _moves_in_all(self.moves).items()
            if before != state
        )


class MomentumWeeks(MomentumQuestion):
    """Show how the states of momentum move from week to week."""

    weeks: int = Field(default=8, ge=1, le=53, description="maximum number of weeks to look back")

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the one query."""
        weeks = self.week_numbers(context, self.weeks)
        return (self.query("analyses/insight/momentum", context, self.standing(context, weeks)),)

    def result(self, tables: Sequence[pa.Table], context: Context) -> MomentumWeeksResult:
        """Gather the moves of each week."""
        rows = tables[0].to_pylist()
        goal, last = self.goal_in(context.taxonomy), self.last_day(context)
        counts, moves, known = Counter[tuple[int, str]](), Counter[tuple[int, str, str]](), Counter[tuple[int, str]]()
        oldest = len(self.week_numbers(context, self.weeks)) - 1
        for row in rows:
            ago = row["weeks_ago"]
            before = row["state_before"] or (NEW if ago < oldest else UNKNOWN)
            counts[ago, row["state"]] += row["actors"]
            moves[ago, before, row["state"]] += row["actors"]
            known[ago, before] += row["actors"]
        found = tuple(
            MomentumMove(
                week_end(last, ago),
                before,
                state,
                moves[ago, before, state],
                moves[ago, before, state] / known[ago, before],
            )
            for ago in range(oldest, -1, -1)
            for before in (*STATES, NEW, UNKNOWN)
            for state in STATES
            if moves[ago, before, state]
        )
        return MomentumWeeksResult(
            goal=goal,
            moves=found,
            counts=tuple(
                (week_end(last, ago), state, counts[ago, state])
                for ago in range(oldest, -1, -1)
                for state in STATES
                if rows
            ),
            sentence=_sentence_of_weeks(found),
            assumptions=(
                *of_states(goal, rows),
                "A week's states rest on what was done up to its last day. Who is new was not seen a week before.",
                *self.of_actors(context),
            ),
        )


def _stage(row: Mapping[str, Any]) -> str:
    return NO_STAGE if row["stage"] is None else STAGES[row["stage"] - 1]


def _states(rows: Sequence[Mapping[str, Any]], oldest: int) -> tuple[MomentumState, ...]:
    now, observed, conversions = Counter[str](), Counter[str](), Counter[str]()
    for row in rows:
        if row["weeks_ago"] == 0:
            now[row["state"]] += row["actors"]
        if row["weeks_ago"] < oldest and row["state_before"] is not None:
            observed[row["state_before"]] += row["actors"]
            conversions[row["state_before"]] += row["actors"] * (row["state"] == _CONVERTED)
    total = now.total()
    all_conversions = sum(conversions[state] for state in STATES if state != _CONVERTED)
    return tuple(
        _state(state, now[state], total, observed[state], conversions[state], all_conversions=all_conversions)
        for state in STATES
    )


def _state(
    state: str, actors: int, total: int, observed: int, conversions: int, *, all_conversions: int
) -> MomentumState:
    share = wording.ratio(actors, total)
    if state == _CONVERTED:
        return MomentumState(state, actors, share, *(None,) * 5, says="")
    if all_conversions < FEWEST_CONVERSIONS or observed < FEWEST_ACTORS:
        lacking = (all_conversions, "conversion") if all_conversions < FEWEST_CONVERSIONS else (observed, "actor")
        return MomentumState(state, actors, share, observed, conversions, *(None,) * 3, says=not_enough(*lacking))
    low, high = wilson(conversions, observed) or (None, None)
    return MomentumState(state, actors, share, observed, conversions, conversions / observed, low, high, says="")


def _sentence(states: Sequence[MomentumState], goal: str) -> str:
    total = sum(row.actors for row in states)
    if not total:
        return "Nothing that counts is staged in these days, so nobody moves."
    by_state = {row.state: row for row in states}
    told = ", ".join(
        f"{wording.share(by_state[state].share)} {verb}"
        for state, verb in (
            ("accelerating", "accelerate"),
            ("steady", "are steady"),
            ("hesitating", "hesitate"),
            ("stalled", "are stalled"),
        )
    )
    said = (
        f"Of {wording.plural(total, 'actor')} who did anything that counts, {told}, and "
        f"{wording.share(by_state[_CONVERTED].share)} have converted ({goal})."
    )
    fast, steady = by_state["accelerating"], by_state["steady"]
    if fast.rate is None or steady.rate is None:
        return (
            f"{said} How often each state converts cannot be told yet: "
            f"{wording.plural(_seen(states), 'conversion')} from one week to the next."
        )
    hesitating = by_state["hesitating"]
    return (
        f"{said} Of those who accelerated at the end of a week, {_rate(fast, ' converted in the next')}; of the steady "
        f"ones, {_rate(steady)}{'' if hesitating.rate is None else f'; of those who hesitated, {_rate(hesitating)}'}."
    )


def _rate(row: MomentumState, verb: str = "") -> str:
    return f"{wording.fine_share(row.rate)}{verb}{between(row.low, row.high, wording.fine_share)}"


def _of_the_others(states: Sequence[MomentumState]) -> Iterator[str]:
    """Say why most who have converted are in no rate: they never had a state before."""
    converted = next(row.actors for row in states if row.state == _CONVERTED)
    if converted > _seen(states):
        yield (
            f"Of {wording.plural(converted, 'actor')} who {'has' if converted == 1 else 'have'} converted, "
            f"{wording.count(_seen(states))} had a state at the end of the week before. The others converted in the "
            "week in which they were first seen, or before the earliest of these weeks ended: no state came before it."
        )


def _seen(states: Sequence[MomentumState]) -> int:
    return sum(row.conversions or 0 for row in states)


def _moves_in_all(moves: Sequence[MomentumMove]) -> Counter[tuple[str, str]]:
    total = Counter[tuple[str, str]]()
    for each in moves:
        if each.state_before != UNKNOWN:
            total[each.state_before, each.state] += each.actors
    return total


def _sentence_of_weeks(moves: Sequence[MomentumMove]) -> str:
    total = _moves_in_all(moves)
    if not total:
        return "Nobody is known at the ends of two weeks in these days, so nothing moves from one to the next."
    known = Counter[str]()
    for (before, _), actors in total.items():
        known[before] += actors
    said = []
    told = (
        ("hesitating", "stalled", "who hesitate are stalled a week later"),
        ("stalled", "accelerating", "who are stalled accelerate again a week later"),
        ("accelerating", _CONVERTED, "who accelerate convert within a week"),
    )
    for before, state, verb in told:
        if known[before] >= FEWEST_ACTORS:
            said.append(f"{wording.fine_share(total[before, state] / known[before])} of those {verb}")
    weeks = len({each.week for each in moves if each.state_before != UNKNOWN})
    over = f"over {wording.plural(weeks, 'pair')} of weeks"
    if not said:
        most = max(known[before] for before, _, _ in told)
        return f"Too few hesitate, are stalled or accelerate to tell how they move: {not_enough(most, 'actor')}."
    return f"{wording.listed(said)}, {over}."
