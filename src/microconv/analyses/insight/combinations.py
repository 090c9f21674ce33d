"""What goes together: combinations of small steps after which a goal follows more often than after their parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import AfterValidator, Field

from microconv import wording
from microconv.analyses.insight.evidence import LEVEL
from microconv.analyses.insight.landmarks import (
    FEWEST_A_SIDE,
    FEWEST_TARGETS,
    FINDING,
    TESTING,
    LandmarkQuestion,
    of_other_systems,
    too_few,
)
from microconv.config.values import Duration, Length, unique
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context
from microconv.result import Result, column, sheet
from microconv.stats.interaction import Beyond, OutcomeCell, Reference, Stratum, beyond, total
from microconv.stats.multiplicity import adjusted
from microconv.wording import Bar, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

MORE, NOTHING = "more than its parts", "nothing found"
"""What is said of a combination: all that it is held against is surpassed, or not."""

ANY_ORDER, THIS_ORDER = "any order", "this order"
_IN_ANY_ORDER, _IN_THIS_ORDER = " + ", " > "

_CANDIDATE_LEVEL = 0.1
"""How likely chance may be in the first half for a combination to be tested. It has to surpass several references at
once, of which the least sure one counts: chance alone comes below this far more rarely than it says."""

MOST_ENTRIES = 40
"""How many entries are combined: those that most actors had done."""

_SHOWN = 10
_LANDMARKS = (Duration.parse("1d"),)


def _landmarks(given: tuple[Duration, ...]) -> tuple[Duration, ...]:
    return tuple(sorted(unique(given)))


@dataclass(frozen=True)
class StepCombination:
    """One combination of small steps by one landmark; all figures are those of the half for testing.

    Attributes:
        combination: Its entries: joined by `+`, or by `>` in the order in which each was first done.
        order: Whether any order counts.
        landmark: Until how long after the first session.
        says: Whether the goal follows more often than its parts let expect.
        actors: Who had done all of it by the landmark.
        reached: How many of them reached the goal in the window.
        rate: Their share.
        expected: The share that would have reached it, by what it is held against; at most 100%.
        against: What it is held against: of all its parts, what lets expect most.
        ratio: The rate over what is expected, among actors who did as much else, with its 95% interval.
        p_value: That it surpasses everything it is held against, corrected for all that was tested; None where it was
            not.
        meaning: What it says and what it does not.
    """

    combination: str = column("combination")
    order: str = column("order")
    landmark: str = column("within")
    says: str = column("says")
    actors: int = column("did all", wording.count)
    reached: int = column("reached the goal", wording.count)
    rate: float | None = column("rate", wording.fine_share)
    expected: float | None = column("expected", wording.fine_share)
    against: str = column("expected from")
    ratio: float | None = column("ratio", wording.times)
    low: float | None = column("from", wording.times)
    high: float | None = column("to", wording.times)
    p_value: float | None = column("corrected p", wording.p_value)
    tier: str = column("evidence", default="observed")
    meaning: str = column("meaning", default="")

    @property
    def entries(self) -> tuple[str, ...]:
        """The entries of it."""
        return tuple(self.combination.split(_IN_THIS_ORDER if self.order == THIS_ORDER else _IN_ANY_ORDER))


@dataclass(frozen=True)
class CombinationsResult(Result):
    """Combinations, those that do more than their parts first, then by how near they come to it.

    Attributes:
        goal: The micro-conversion to reach.
        combinations: The rows, at most as many as asked for.
        found: How many combinations do more than their parts.
        tested: How many had a candidate in the first half, and were tested on the other.
        thin: How many have not enough data.
        looked_at: How many combinations there are in all.
    """

    row_type: ClassVar[type] = StepCombination

    goal: str
    combinations: tuple[StepCombination, ...]
    found: int
    tested: int
    thin: int
    looked_at: int
    sentence: str
    assumptions: tuple[str, ...]
    since: date | None = None
    until: date | None = None

    @property
    def rows(self) -> tuple[StepCombination, ...]:
        """The combinations."""
        return self.combinations

    @property
    def title(self) -> str:
        """What the table is called."""
        return f"What goes together with {self.goal}"

    def sheets(self) -> Iterator[Sheet | str]:
        """Yield the combinations, how many there are of each kind, and what those found mean."""
        if self.combinations:
            yield sheet(self.title, self.combinations, StepCombination, without=("meaning",))
        nothing = self.looked_at - self.found - self.thin
        more = "does more than its parts" if self.found == 1 else "do more than their parts"
        # CSV has no more than the table: --top is for both.
        cut = wording.first_shown(len(self.combinations), self.looked_at)
        yield (
            f"Of {wording.plural(self.looked_at, 'combination')}, {wording.count(self.tested)} looked promising in the "
            f"first half and came to the test; {wording.count(self.found)} {more}, nothing was found in "
            f"{wording.count(nothing)}, and {wording.count(self.thin)} {'has' if self.thin == 1 else 'have'} not "
            f"enough data.{cut}"
        )
        # The first is the sentence of the whole.
        for row in self.combinations[1:]:
            if row.says == MORE:
                yield row.meaning

    def bars(self) -> tuple[Bar, ...]:
        """Two bars per combination with enough data: its rate, and what its parts let expect."""
        return tuple(
            Bar(f"{row.combination}{what}", rate, wording.fine_share(rate))
            for row in self.combinations
            for what, rate in (("", row.rate), (f" (expected from {row.against})", row.expected))
            if row.expected is not None and rate is not None
        )


class Combinations(LandmarkQuestion):
    """Say after which combinations of small steps a goal follows more often than after their parts.

    They are found on half of the actors and tested on the other half.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "combinations",
        "combinations --size 3 --goal add_to_cart --landmarks 3d",
        "combinations --ordered --window 14d --format json",
    )

    size: int = Field(default=2, ge=2, le=3, description="how many small steps a combination has: 2 or 3")
    ordered: bool = Field(default=False, description="tell their orders apart: first this, then that")
    landmarks: Annotated[tuple[Length, ...], Field(min_length=1), AfterValidator(_landmarks)] = Field(
        default=_LANDMARKS, description="until how long after an actor's first session is counted, such as 1d"
    )
    top: int = Field(default=_SHOWN, ge=1, description="how many combinations to show")

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the one query."""
        return (
            templates.query(
                "analyses/insight/combinations",
                params={
                    "entries": self.small_steps(context.taxonomy),
                    "most_entries": MOST_ENTRIES,
                    **self.at_landmarks(context, self.landmarks),
                },
                structure={"size": self.size, "is_ordered": self.ordered},
            ),
        )

    def result(self, tables: Sequence[pa.Table], context: Context) -> CombinationsResult:
        """Find combinations on one half, and test them on the other."""
        goal = self.goal_in(context.taxonomy)
        counts = _Counts.of(tables[0].to_pylist())
        steps = self.small_steps(context.taxonomy)
        shapes = [
            _Shape(landmark, entries, is_ordered=self.ordered)
            for landmark in self.landmarks
            for kept in [_combined(steps, counts.entries(_ms(landmark)), self.size)]
            for entries in (permutations(kept, self.size) if self.ordered else combinations(kept, self.size))
        ]
        judged = {shape: _judge(shape, counts, goal) for shape in shapes}
        tested = [shape for shape in shapes if judged[shape].p_value is not None]
        p_values = adjusted([judged[shape].p_value or 0.0 for shape in tested], "holm")
        corrected = dict(zip(tested, p_values, strict=True))
        rows = [_row(shape, judged[shape], corrected.get(shape), goal, self.window) for shape in shapes]
        rows.sort(key=_place)
        thin = sum(row.says not in (MORE, NOTHING) for row in rows)
        found = sum(row.says == MORE for row in rows)
        reached = max((counts.total(_ms(landmark)).reached for landmark in self.landmarks), default=0)
        actors = max((counts.total(_ms(landmark)).actors for landmark in self.landmarks), default=0)
        return CombinationsResult(
            goal=goal,
            combinations=tuple(rows[: self.top]),
            found=found,
            tested=len(tested),
            thin=thin,
            looked_at=len(rows),
            sentence=_sentence(rows, thin, OutcomeCell(actors, reached), goal),
            assumptions=(*self._assumptions(goal), *of_other_systems((goal,), context.taxonomy)),
            since=self.since,
            until=self.until,
        )

    def _assumptions(self, goal: str) -> Iterator[str]:
        yield from self.of_actors(goal)
        yield (
            "A combination does more than its parts where the rate of those who did all of it surpasses whatever can "
            "be expected without it: the ratios of its parts, multiplied as if each worked independently, "
            "and the rate of those who did only some of it"
            + (", and of those who did all of it in another order" if self.ordered else "")
            + ". All rates are compared among actors who had done as many other small steps."
        )
        yield (
            f"Macro-conversions and hesitation are not part of a combination, nor is {goal}. Of what is "
            f"left, at most {MOST_ENTRIES} entries are combined: those that most actors had done."
        )
        yield (
            "Evidence: observed. Those who do all of it may want more from the start, so it is not proof that the "
            f"combination causes {goal}."
        )


class _Shape(NamedTuple):
    """A combination at a landmark; a NamedTuple, since there are thousands."""

    landmark: Duration
    entries: tuple[str, ...]
    is_ordered: bool

    @property
    def written(self) -> str:
        return (_IN_THIS_ORDER if self.is_ordered else _IN_ANY_ORDER).join(self.entries)


@dataclass(frozen=True)
class _Judged:
    """What both halves say of a combination, before correction."""

    says: str
    all_of_it: OutcomeCell
    held: Beyond | None = None
    against: str = ""
    p_value: float | None = None


class _Counts:
    """How many had done what, by how many small steps they had done in all; by landmark and half."""

    def __init__(self) -> None:
        self._sequences: dict[tuple[int, int], dict[tuple[str, ...], dict[int, OutcomeCell]]] = defaultdict(dict)
        self._sets: dict[tuple[int, int], dict[frozenset[str], dict[int, OutcomeCell]]] = defaultdict(dict)

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> _Counts:
        counts = cls()
        for row in rows:
            where = row["landmark_ms"], row["half"]
            entries = tuple(filter(None, (row["first_entry"], row["second_entry"], row["third_entry"])))
            cell = OutcomeCell(row["actors"], row["reached"])
            counts._sequences[where].setdefault(entries, {})[row["steps"]] = cell
            by_steps = counts._sets[where].setdefault(frozenset(entries), {})
            before = by_steps.get(row["steps"], _NOBODY)
            by_steps[row["steps"]] = OutcomeCell(before.actors + cell.actors, before.reached + cell.reached)
        return counts

    def entries(self, landmark_ms: int) -> set[str]:
        """Return the entries that are combined."""
        return {
            entry
            for half in (FINDING, TESTING)
            for entries in self._sets[landmark_ms, half]
            if len(entries) == 1
            for entry in entries
        }

    def total(self, landmark_ms: int, half: int | None = None) -> OutcomeCell:
        """Return all actors, of one half or of both."""
        cells = [
            cell
            for each in ((FINDING, TESTING) if half is None else (half,))
            for cell in self._sets[landmark_ms, each].get(frozenset(), {}).values()
        ]
        return OutcomeCell(sum(cell.actors for cell in cells), sum(cell.reached for cell in cells))

    def did_all(self, shape: _Shape, half: int) -> OutcomeCell:
        """Return those who had done all of it, in this order where it has one."""
        where = _ms(shape.landmark), half
        cells = (
            self._sequences[where].get(shape.entries, {})
            if shape.is_ordered
            else self._sets[where].get(frozenset(shape.entries), {})
        ).values()
        return OutcomeCell(sum(cell.actors for cell in cells), sum(cell.reached for cell in cells))

    def strata(self, shape: _Shape, half: int) -> list[Stratum]:
        """Return the actors by what else they had done, told apart by which of the entries they had done.

        Place `n` of a stratum is of those who had done the entries whose bits `n` has, and no others of the
        combination.
        With an order, the last but one place is of those who did all in this order, and the last of all other orders.
        """
        sets = self._sets[_ms(shape.landmark), half]
        masks = range(2 ** len(shape.entries))
        # Who had done these, and perhaps others of the combination: for exactly these, others are taken off again.
        at_least = [sets.get(frozenset(_chosen(shape.entries, mask)), {}) for mask in masks]
        most = max((max(each, default=0) for each in at_least), default=0)
        found: list[Stratum] = []
        for others in range(most + 1):
            cells = []
            for mask in masks:
                steps = others + mask.bit_count()
                actors = reached = 0
                for wider in masks:
                    if wider & mask == mask:
                        sign = -1 if (wider.bit_count() - mask.bit_count()) % 2 else 1
                        cell = at_least[wider].get(steps, _NOBODY)
                        actors += sign * cell.actors
                        reached += sign * cell.reached
                cells.append(OutcomeCell(actors, reached))
            if shape.is_ordered:
                in_order = self._sequences[_ms(shape.landmark), half].get(shape.entries, {})
                this = in_order.get(others + len(shape.entries), _NOBODY)
                cells[-1:] = [this, OutcomeCell(cells[-1].actors - this.actors, cells[-1].reached - this.reached)]
            found.append(cells)
        return found


_NOBODY = OutcomeCell(0, 0)


def _combined(steps: Sequence[str], done: set[str], size: int) -> list[str]:
    """Return the entries to combine, in the order of the taxonomy: those done, or any where these are too few to."""
    return [step for step in steps if step in done] if len(done) >= size else list(steps[:MOST_ENTRIES])


def _ms(landmark: Duration) -> int:
    return landmark.seconds * 1_000


def _chosen(entries: Sequence[str], mask: int) -> list[str]:
    return [entry for place, entry in enumerate(entries) if mask >> place & 1]


def _references(shape: _Shape) -> Iterator[tuple[str, Reference]]:
    """Yield what a combination is held against, with its name."""
    all_of_it = 2 ** len(shape.entries) - 1
    name = {mask: " + ".join(_chosen(shape.entries, mask)) for mask in range(1, all_of_it)}
    for parts in _partitions(all_of_it):
        yield f"{' and '.join(name[part] for part in parts)}, each apart", Reference(0, parts)
    yield "none of it", Reference(0)
    for mask, written in name.items():
        yield f"{written} alone", Reference(mask)
    if shape.is_ordered:
        yield "another order" if len(shape.entries) == 2 else "other orders", Reference(all_of_it + 1)  # noqa: PLR2004 - a pair


def _partitions(whole: int) -> Iterator[tuple[int, ...]]:
    """Yield the ways to take a set apart, as bits: two parts or more."""
    yield tuple(1 << place for place in range(whole.bit_length()))
    if whole.bit_length() > 2:  # noqa: PLR2004 - a pair has one way
        yield from ((whole ^ 1 << place, 1 << place) for place in range(whole.bit_length()))


def _judge(shape: _Shape, counts: _Counts, goal: str) -> _Judged:
    """Look at one half whether a combination does more than its parts, and if so test it on the other."""
    did = [counts.did_all(shape, half) for half in (FINDING, TESTING)]
    actors = [cell.actors for cell in did]
    if min(actors) < FEWEST_A_SIDE:
        # Most triples: they are not looked at any further.
        return _Judged(_thin(shape, 2 ** len(shape.entries) - 1, sum(actors)), did[1])
    halves = {half: counts.strata(shape, half) for half in (FINDING, TESTING)}
    all_of_it = 2 ** len(shape.entries) - 1
    nothing = _Judged(NOTHING, total(halves[TESTING], all_of_it))
    landmark_ms = _ms(shape.landmark)
    if min(counts.total(landmark_ms, half).reached for half in halves) < FEWEST_TARGETS:
        return replace(nothing, says=too_few(counts.total(landmark_ms).reached, goal))
    for kind in (all_of_it, *range(all_of_it), *((all_of_it + 1,) if shape.is_ordered else ())):
        cells = [total(strata, kind) for strata in halves.values()]
        if min(cell.actors for cell in cells) < FEWEST_A_SIDE:
            return replace(nothing, says=_thin(shape, kind, sum(cell.actors for cell in cells)))
    found = _hold(halves[FINDING], shape)
    tested = _hold(halves[TESTING], shape)
    if tested is not None:
        nothing = replace(nothing, held=tested.most, against=tested.against)
    if found is None or found.p_value > _CANDIDATE_LEVEL:
        return nothing
    return replace(nothing, says=MORE, p_value=1.0 if tested is None else tested.p_value)


class _Held(NamedTuple):
    most: Beyond
    against: str
    p_value: float


def _hold(strata: Sequence[Stratum], shape: _Shape) -> _Held | None:
    """Hold those who did all of it against every reference: None where none of them reached the goal."""
    held = [(beyond(strata, 2 ** len(shape.entries) - 1, each), name) for name, each in _references(shape)]
    told = [(each, name) for each, name in held if each is not None]
    if len(told) < len(held):
        return None
    most, against = max(told, key=lambda each: each[0].expected)
    return _Held(most, against, max(each.p_value for each, _ in told))


def _thin(shape: _Shape, kind: int, actors: int) -> str:
    number = f"not enough data: n = {wording.count(actors)}"
    all_of_it = 2 ** len(shape.entries) - 1
    if kind == all_of_it:
        return f"{number} did all of it{' in this order' if shape.is_ordered else ''}"
    if kind > all_of_it:
        return f"{number} did it in another order"
    return f"{number} did only {' + '.join(_chosen(shape.entries, kind))}" if kind else f"{number} did none of it"


def _row(shape: _Shape, judged: _Judged, corrected: float | None, goal: str, window: Duration) -> StepCombination:
    all_of_it, held = judged.all_of_it, judged.held
    row = StepCombination(
        combination=shape.written,
        order=THIS_ORDER if shape.is_ordered else ANY_ORDER,
        landmark=wording.window(shape.landmark.text),
        says=NOTHING if judged.says == MORE and (corrected is None or corrected > LEVEL) else judged.says,
        actors=all_of_it.actors,
        reached=all_of_it.reached,
        rate=wording.ratio(all_of_it.reached, all_of_it.actors) if judged.says in (MORE, NOTHING) else None,
        expected=min(held.expected / all_of_it.actors, 1.0) if held else None,
        against=judged.against,
        ratio=held.ratio if held else None,
        low=held.low if held else None,
        high=held.high if held else None,
        p_value=corrected,
    )
    return replace(row, meaning=_meaning(row, goal, window))


def _meaning(row: StepCombination, goal: str, window: Duration) -> str:
    if row.says not in (MORE, NOTHING):
        return f"Nothing can be said of {row.combination}: {row.says}."
    if row.says == NOTHING:
        return (
            f"It is not shown that {goal} follows more often after {row.combination} than its parts let expect, nor "
            "that it does not."
        )
    in_order = " in this order" if row.order == THIS_ORDER else ""
    return (
        f"Of those who had done {row.combination}{in_order} within {row.landmark}, {wording.fine_share(row.rate)} "
        f"reached {goal} in the {wording.window(window.text)} after it, where {wording.fine_share(row.expected)} would "
        f"be expected from {row.against}: {wording.times(row.ratio)} times as many (95% interval "
        f"{wording.times(row.low)} to {wording.times(row.high)}). It does not say that {goal} would follow more often "
        "if people were brought to do all of it."
    )


def _place(row: StepCombination) -> tuple[int, float, float]:
    place = (MORE, NOTHING).index(row.says) if row.says in (MORE, NOTHING) else 2
    return place, 1.0 if row.p_value is None else row.p_value, -(row.ratio or 0.0)


def _sentence(rows: Sequence[StepCombination], thin: int, of_all: OutcomeCell, goal: str) -> str:
    found = [row for row in rows if row.says == MORE]
    if found:
        more = f" {wording.plural(len(found) - 1, 'further combination')} below." if len(found) > 1 else ""
        return f"{found[0].meaning}{more}"
    if not rows:
        return (
            f"Whether anything goes together with {goal} cannot be told: no two small steps were done by enough actors."
        )
    if thin == len(rows):
        return (
            f"Whether a combination does more for {goal} than its parts cannot be told: not enough data in any of "
            f"{wording.count(len(rows))} (of {wording.plural(of_all.actors, 'actor')}, {wording.count(of_all.reached)} "
            "reached it)."
        )
    return (
        f"No combination of small steps does more for {goal} than its parts: {wording.count(len(rows) - thin)} had "
        f"enough data (of {wording.plural(of_all.actors, 'actor')}, {wording.count(of_all.reached)} reached it)."
    )
