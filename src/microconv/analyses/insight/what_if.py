"""What more of a step would bring: carried through what follows it now, to the goal and its value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

from pydantic import AfterValidator, Field

from microconv import wording
from microconv.analyses.amounts import Amount
from microconv.analyses.insight.among_like import read_among_like
from microconv.analyses.insight.banded import FEWEST_A_SIDE, FEWEST_TARGETS, Banded
from microconv.analyses.insight.buyers import ACTOR_GROUPS, NOT_ENOUGH, BuyerQuestion, between, not_enough
from microconv.analyses.insight.entry_lift import FEWER, MORE
from microconv.analyses.insight.evidence import Tier
from microconv.analyses.insight.goals import steps_up_to
from microconv.analyses.insight.lift import Lift
from microconv.analyses.insight.onward_rates import RESAMPLES, Followed, beyond, ends, resampling
from microconv.config.values import EntryId
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.question import Context, Option
from microconv.result import Result, column
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar

if TYPE_CHECKING:
    import pyarrow as pa

NEW, HERE, ALL = "new people", "people already here", "all changes"
"""Who does more of a step: people who come in addition, or people who are here and would not have done it."""

ON_PATH, MAYBE_NOTHING = "on the path", "may be nothing"
"""What is said of a step that all take who reach the goal, and of an interval that holds 0."""
_AS_MUCH = 0.99
"""What brings at least so much of the most that any change brings, brings as much."""
NOBODY_ALIKE = "nobody alike did without it, so that it cannot be told"
"""What is said where no actors are as active and as present as those who did the step, but did not do it."""

_CHANGE = re.compile(r"\s*([A-Za-z0-9_]+)\s*([+-]\s*\d{1,4}(?:\.\d{1,4})?)\s*%\s*")
_LEAST, _MOST = -1.0, 10.0
_USUAL = 0.05


class StepChange(NamedTuple):
    """More or less of a step: `share` is 0.05 for 5% more."""

    entry: str
    share: float

    def __str__(self) -> str:
        """Write it as it is asked for: `add_to_cart +5%`."""
        return f"{self.entry} {self.share * 100:+g}%"


def read_changes(text: str) -> tuple[StepChange, ...]:
    """Read `add_to_cart +5%, view_item -10%`.

    Raises:
        ValueError: It is something else.
    """
    changes = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        matched = _CHANGE.fullmatch(part.replace("\N{MINUS SIGN}", "-"))
        if matched is None:
            raise ValueError(f'is not a change such as "add_to_cart +5%" (several with commas), but {part!r}')
        share = float(matched[2].replace(" ", "")) / 100 + 0.0  # no -0
        if not _LEAST <= share <= _MOST:
            raise ValueError(f"must lie between -100% and +1000%, and {part!r} does not")
        changes.append(StepChange(matched[1], share))
    named = [each.entry for each in changes]
    if doubled := next((each for each in named if named.count(each) > 1), None):
        raise ValueError(f"changes {doubled} twice")
    return tuple(changes)


def _checked(text: str) -> str:
    read_changes(text)
    return text


@dataclass(frozen=True)
class WhatIfStep:
    """What one change brings at one step: more actors there, and more value where the step is the goal.

    `actors` did the step after the changed one; `onward` is their share of those who did the changed one. `added` and
    `value` come with 95% intervals; None where they cannot be told, and `says` why.
    """

    change: str = column("change")
    step: str = column("step")
    who: str = column("who does it")
    actors: int | None = column("actors now", wording.count)
    onward: float | None = column("onward rate", wording.share)
    added: float | None = column("added", wording.decimal)
    low: float | None = column("added from", wording.decimal)
    high: float | None = column("added to", wording.decimal)
    value: float | None = column("value added", wording.cents)
    value_low: float | None = column("value from", wording.cents)
    value_high: float | None = column("value to", wording.cents)
    tier: str = column("evidence")
    says: str = column("says")


@dataclass(frozen=True)
class WhatIfResult(Result):
    """What changes bring: for each, the steps after it with new people, and the goal with people already here.

    Attributes:
        goal: The micro-conversion that changes are carried through to.
        steps: The rows; those of all changes together last.
        currency: Of values.
        amounts: What conversions are worth by the currency that their events name.
    """

    row_type: ClassVar[type] = WhatIfStep

    goal: str
    steps: tuple[WhatIfStep, ...]
    currency: str
    amounts: tuple[Amount, ...]
    sentence: str
    assumptions: tuple[str, ...]
    since: date | None = None
    until: date | None = None

    @property
    def rows(self) -> tuple[WhatIfStep, ...]:
        """The steps."""
        return self.steps

    @property
    def title(self) -> str:
        """What the table is called."""
        return f"What more of a step would bring up to {self.goal}, value in {self.currency}"

    def bars(self) -> tuple[Bar, ...]:
        """One bar per change and reading: the goals added; what would be lost has none."""
        return tuple(
            Bar(f"{row.change}, {row.who}", row.added, wording.decimal(row.added))
            for row in self.steps
            if row.step == self.goal and row.added is not None and row.added >= 0
        )


class WhatIf(BuyerQuestion):
    """Say what more of a step would bring: carried through what follows the step now, to the goal and its value.

    CHANGES is such as "add_to_cart +5%", or several with commas; without it, each milestone before the goal gets 5%
    more. It is told twice: if those added are new people who behave like those who are there, and if they are people
    who are here already and would have done without, some of whom reach the goal anyway.
    """

    options: ClassVar[Mapping[str, Option]] = {
        **BuyerQuestion.options,
        "changes": Option(metavar="[CHANGES]", is_argument=True),
    }
    examples: ClassVar[tuple[str, ...]] = (
        'what-if "add_to_cart +5%"',
        'what-if "view_item +10%, add_to_cart +5%" --format json',
        "what-if",
    )

    goal: EntryId | None = Field(
        default=None,
        description="the micro-conversion that changes are carried through to; default: the first macro-conversion",
    )
    changes: Annotated[str, AfterValidator(_checked)] = Field(
        default="", description='changes such as "add_to_cart +5%"; default: 5% more of each milestone before the goal'
    )

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the goal and the entries that change."""
        if self.goal is not None:
            yield self.goal, "the goal of what-if"
        for change in read_changes(self.changes):
            yield change.entry, "the changes of what-if"

    def asked_changes(self, taxonomy: Taxonomy) -> tuple[StepChange, ...]:
        """Return the changes, by the ids under which entries are staged.

        Raises:
            UsageError: The goal is among them: what more of it brings is itself.
        """
        goal = self.goal_in(taxonomy)
        if given := read_changes(self.changes):
            asked = tuple(StepChange(taxonomy.counted(each.entry), each.share) for each in given)
            if any(each.entry == goal for each in asked):
                raise UsageError(
                    f"{goal} is the goal itself: more of it brings just that.",
                    hint="Change a step before it, or name another --goal.",
                )
            return asked
        counted = sorted({entry.counts_as for entry in taxonomy.entries}, key=taxonomy.rank)
        return tuple(
            StepChange(each, _USUAL)
            for each in counted
            if taxonomy.entry(each).kind == "milestone" and taxonomy.rank(each) < taxonomy.rank(goal)
        )

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the queries of what follows each entry, of the ratios that lift tells (two), and of amounts."""
        goal = self.goal_in(context.taxonomy)
        entries = [each.entry for each in self.asked_changes(context.taxonomy)]
        everybody, *_, alike = self._lift.queries(context)
        params: dict[str, Value] = {
            **{key: value for key, value in self.purchases(context).items() if key not in ("end_date", "until_date")},
            "entries": entries,
            "steps": steps_up_to(goal, context.taxonomy),
            "end_at": context.latest_event_at or templates.EXAMPLE_MOMENT,
            "actor_groups": ACTOR_GROUPS,
        }
        asked = [
            templates.query("analyses/insight/onward", params=params),
            everybody,
            alike,
        ]
        if (amounts := self.amounts_query(context)) is not None:
            asked.append(amounts)
        return tuple(asked)

    def result(self, tables: Sequence[pa.Table], context: Context) -> WhatIfResult:
        """Carry each change through what follows its step."""
        taxonomy, currency = context.taxonomy, context.config.project.currency
        goal, changes = self.goal_in(taxonomy), self.asked_changes(taxonomy)
        amounts = self.amounts(tables[3] if len(tables) > 3 else None, context)  # noqa: PLR2004 - the fourth query
        onward = tables[0].to_pylist()
        ratios = self._ratios(tables[1], tables[2], context)
        followed = {change.entry: Followed.read(onward, change.entry, goal) for change in changes}
        steps: list[WhatIfStep] = []
        for change in changes:
            steps += _carried(
                change,
                followed[change.entry],
                _later(taxonomy, change.entry, goal) if self.changes else (goal,),
                ratios.get(change.entry),
                goal,
            )
        if len(changes) > 1 and self.changes:
            steps += _together(changes, followed, ratios, goal)
        return WhatIfResult(
            goal=goal,
            steps=tuple(steps),
            currency=currency,
            amounts=amounts,
            sentence=_sentence(changes, steps, goal, currency),
            assumptions=(*self._assumptions(goal, steps), *self.of_value(context, amounts)),
            since=self.since,
            until=self.until,
        )

    @property
    def _lift(self) -> Lift:
        """What says of each entry whether it goes with more of the goal, corrected for all that it looks at."""
        return Lift(goal=self.goal, since=self.since, until=self.until)

    def _ratios(self, everybody: pa.Table, alike: pa.Table, context: Context) -> dict[str, _Weighed]:
        """Return how each entry stands to the goal, with what lift says of it."""
        lift = self._lift
        # What else it asks tells how steady its ratios are, on which no verdict rests.
        nothing = [everybody.slice(0, 0)] * (len(lift.queries(context)) - 2)
        judged = {row.micro_conversion: row for row in lift.result((everybody, *nothing, alike), context).lifts}
        banded = read_among_like(everybody.to_pylist(), alike.to_pylist()).banded
        return {entry: _Weighed(each, judged[entry].verdict) for entry, each in banded.items()}

    def _assumptions(self, goal: str, steps: Sequence[WhatIfStep]) -> Iterator[str]:
        told = [row for row in steps if row.added is not None]
        here = [row for row in steps if row.who == HERE]
        on_path = {row.change for row in here if row.says == ON_PATH}
        if any(row.who == NEW for row in told):
            yield (
                f"{NEW.capitalize()}: assumes that those added behave like those who are there, and that all later "
                "steps take them in at the rates of now. Whoever is harder to win usually behaves worse."
            )
        if any(row.who == HERE and row.says != ON_PATH for row in told):
            yield (
                f"{HERE.capitalize()}: assumes that the step brings them what it brings those who do it now, beyond "
                f"what they would have done anyway. How much that is comes from the ratio of reaching {goal} among "
                "like actors, over that of a small step picked by chance (evidence: adjusted, as in microconv lift). "
                "People who do the step may want more from the start, so it is not proof that the step causes it, and "
                "more likely too high than too low."
            )
        if any(row.added is None and not row.says.startswith(NOT_ENOUGH) for row in here):
            yield (
                f"No figure for {HERE}: it is told only of a step of which microconv lift says that it goes with more "
                f"{goal}, or with fewer. Of any other, the row says what lift says."
            )
        if on_path:
            yield (
                f"{ON_PATH.capitalize()}: hardly anybody gets to {goal} without the step, so that it brings people who "
                "are here as much as new ones."
                + (
                    " A share of such a step is the same share of all who get there, whichever it is: what differs is "
                    "how many new people it needs."
                    if len(on_path) > 1
                    else ""
                )
            )
        if told:
            yield (
                "An actor counts from the first time they did the step, and a later step if it came after that. "
                f"Intervals are those of {wording.count(RESAMPLES)} resamplings of {ACTOR_GROUPS} groups of actors, at "
                "95%."
            )
        if any(row.change == ALL for row in steps):
            yield "Several changes are added up: whoever two of them would win counts twice."
        if self.since is not None or self.until is not None:
            yield "The days asked for are those on which actors did the step first; what came later counts, too."


class _Weighed(NamedTuple):
    """How an entry stands to the goal, and what lift says of it."""

    banded: Banded
    verdict: str

    @property
    def untold(self) -> str:
        """Why nothing is said of people who are here already, though there is a ratio; empty where it is told."""
        if self.banded.is_on_path or self.banded.ratio is None:
            return ""
        if self.verdict not in (MORE, FEWER):
            return self.verdict
        is_more = self.banded.ratio.ratio > 1
        return "" if is_more == (self.verdict == MORE) else f"an experiment shows that it {self.verdict}"


def _later(taxonomy: Taxonomy, entry: str, goal: str) -> list[str]:
    """Return the steps after an entry."""
    return [
        each
        for each in steps_up_to(goal, taxonomy)
        if each != entry and (each == goal or taxonomy.rank(each) > taxonomy.rank(entry))
    ]


def _carried(
    change: StepChange, followed: Followed, later: Sequence[str], weighed: _Weighed | None, goal: str
) -> Iterator[WhatIfStep]:
    """Yield the changed step, what comes after it with new people, and the goal with people already here."""
    weights, number = resampling(), int(followed.actors.sum())
    drawn_actors = change.share * (weights @ followed.actors)
    enough = number >= FEWEST_A_SIDE
    low, high = ends(drawn_actors) if enough else (None, None)
    yield WhatIfStep(
        str(change),
        change.entry,
        NEW,
        number,
        None,
        change.share * number if enough else None,
        low,
        high,
        *(None,) * 3,
        tier="observed" if enough else "",
        says="" if enough else not_enough(number, "actor"),
    )
    for step in later:
        yield _row(change, step, NEW, followed, goal)
    if weighed is not None and number >= FEWEST_A_SIDE:
        yield _row(change, goal, HERE, followed, goal, weighed=weighed)


def _row(
    change: StepChange, step: str, who: str, followed: Followed, goal: str, *, weighed: _Weighed | None = None
) -> WhatIfStep:
    """Return what a change brings at a step; with `weighed`, beyond what they would have done anyway."""
    number, reached = int(followed.actors.sum()), int(followed.at(step).sum())
    extra = None if weighed is None else weighed.banded
    says = _why_not(change, followed, step, weighed)
    if says:
        onward = reached / number if number >= FEWEST_A_SIDE else None
        return WhatIfStep(str(change), step, who, reached, onward, *(None,) * 6, tier="", says=says)
    weights = resampling()
    actors, drawn = weights @ followed.actors, weights @ followed.at(step)
    kept, drawn_kept = beyond(extra, reached / number, drawn / actors.clip(min=1))
    value = float(followed.value.sum()) if step == goal else 0.0
    has_value = bool(followed.value.any()) and step == goal
    low, high = ends(change.share * drawn * drawn_kept)
    value_low, value_high = ends(change.share * (weights @ followed.value) * drawn_kept) if has_value else (None, None)
    return WhatIfStep(
        change=str(change),
        step=step,
        who=who,
        actors=reached,
        onward=reached / number,
        added=change.share * reached * kept,
        low=low,
        high=high,
        value=change.share * value * kept if has_value else None,
        value_low=value_low,
        value_high=value_high,
        tier=_tier([extra]),
        says=_says(change, extra, low, high),
    )


def _tier(extras: Sequence[Banded | None]) -> Tier:
    """Return what a figure rests on: ratios among like actors, all of them, or what is merely observed."""
    return "adjusted" if extras and all(each is not None and not each.is_on_path for each in extras) else "observed"


def _why_not(change: StepChange, followed: Followed, step: str, weighed: _Weighed | None) -> str:
    """Say why a change cannot be told at a step; with `weighed`, of people who are here already."""
    number, reached = int(followed.actors.sum()), int(followed.at(step).sum())
    if number < FEWEST_A_SIDE:
        return not_enough(number, "actor")
    if reached < FEWEST_A_SIDE:
        return f"{not_enough(reached)} reached {step} after it"
    if weighed is None or weighed.banded.is_on_path:
        return ""
    extra = weighed.banded
    if extra.targets < FEWEST_TARGETS:
        return f"{not_enough(extra.targets)} reached {step}"
    if extra.ratio is None:
        is_there = min(extra.exposed_targets, extra.other_targets)
        return NOBODY_ALIKE if is_there else f"{not_enough(extra.exposed_targets)} reached {step} after it"
    return weighed.untold if change.share else ""


def _says(change: StepChange, extra: Banded | None, low: float, high: float) -> str:
    if extra is None or not change.share:
        return ""
    if extra.is_on_path:
        return ON_PATH
    return MAYBE_NOTHING if low <= 0 <= high else ""


def _together(
    changes: Sequence[StepChange], followed: Mapping[str, Followed], ratios: Mapping[str, _Weighed], goal: str
) -> Iterator[WhatIfStep]:
    """Yield the goal with all changes together, added up; nothing where one of them cannot be told."""
    import numpy as np

    weights = resampling()
    for who in (NEW, HERE):
        added = value = 0.0
        extras: list[Banded | None] = []
        drawn_added, drawn_value = np.zeros(len(weights)), np.zeros(len(weights))
        for change in changes:
            each = followed[change.entry]
            weighed = ratios.get(change.entry) if who == HERE else None
            number, reached = int(each.actors.sum()), int(each.at(goal).sum())
            if (who == HERE and weighed is None) or _why_not(change, each, goal, weighed):
                break
            extra = None if weighed is None else weighed.banded
            extras.append(extra)
            actors, drawn = weights @ each.actors, weights @ each.at(goal)
            kept, drawn_kept = beyond(extra, reached / number, drawn / actors.clip(min=1))
            added += change.share * reached * kept
            value += change.share * float(each.value.sum()) * kept
            drawn_added += change.share * drawn * drawn_kept
            drawn_value += change.share * (weights @ each.value) * drawn_kept
        else:
            has_value = any(each.value.any() for each in followed.values())
            low, high = ends(drawn_added)
            value_low, value_high = ends(drawn_value) if has_value else (None, None)
            yield WhatIfStep(
                change=ALL,
                step=goal,
                who=who,
                actors=None,
                onward=None,
                added=added,
                low=low,
                high=high,
                value=value if has_value else None,
                value_low=value_low,
                value_high=value_high,
                tier=_tier(extras),
                says=MAYBE_NOTHING if who == HERE and low <= 0 <= high and any(each.share for each in changes) else "",
            )


def _sentence(changes: Sequence[StepChange], steps: Sequence[WhatIfStep], goal: str, currency: str) -> str:
    if not changes:
        return f'The taxonomy has no milestone before {goal}: name a change, such as "add_to_cart +5%".'
    at_goal = [row for row in steps if row.step == goal]
    known = [row for row in at_goal if row.who == NEW and row.added is not None]
    if not known:
        why = {row.change: row.says for row in at_goal if row.who == NEW}
        if len(why) == 1:
            return "".join(f"What {change} would bring cannot be told: {says}." for change, says in why.items())
        each = wording.listed([f"{change} ({says})" for change, says in why.items()])
        return f"Nothing can be told of what these would bring: {each}."
    row = next((each for each in known if each.change == ALL), None) or max(
        known, key=lambda each: abs(each.added or 0)
    )
    change = wording.listed([str(each) for each in changes]) if row.change == ALL else row.change
    first = "" if row.change == ALL or len(changes) == 1 else _most_of(changes)
    if not row.added:
        return f"{change}: nothing changes, so that nothing is added."
    equals = [each for each in known if row.change != ALL and (each.added or 0.0) >= _AS_MUCH * row.added > 0]
    if len(equals) > 1:
        return _as_much(equals, steps, goal, currency)
    less = row.added < 0
    who = "those who go behave" if less else "those added behave"
    said = f"{first}{change}: {_amount(row, goal, currency)} if {who} like those who are there"
    return f"{said}{_if_here(row, at_goal, goal, currency)}."


def _most_of(changes: Sequence[StepChange]) -> str:
    what = "the same change at each step" if len({each.share for each in changes}) == 1 else "these"
    return f"Of {what}, most comes of "


def _if_here(new: WhatIfStep, at_goal: Sequence[WhatIfStep], goal: str, currency: str) -> str:
    """Say what the same change brings with people already here; no figure where none is told."""
    stay = "they stay and only leave it out" if (new.added or 0.0) < 0 else "they are people who are here already"
    here = next((row for row in at_goal if (row.change, row.who) == (new.change, HERE)), None)
    if here is None:
        untold = [f"{row.change} ({row.says})" for row in at_goal if row.who == HERE and row.added is None]
        return f"; if {stay}, it cannot be told of {wording.listed(untold)}" if untold else ""
    if here.added is None:
        return f"; if {stay}, it cannot be told ({here.says})"
    if here.says == ON_PATH:
        return f"; hardly anybody gets to {goal} without it: people who are here already bring as much"
    may = ", which may be nothing" if here.says == MAYBE_NOTHING else ""
    return f"; {_amount(here, goal, currency)} if {stay}, beyond what these would do anyway{may}"


def _as_much(rows: Sequence[WhatIfStep], steps: Sequence[WhatIfStep], goal: str, currency: str) -> str:
    """Say that several changes bring the same, and which of them needs the fewest new people."""
    at_goal = {row.change: row for row in rows}
    own = [row for row in steps if row.change in at_goal and row.who == NEW and row.step != goal]
    fewest = min(own, key=lambda row: row.added or 0.0)
    return (
        f"{wording.listed([row.change for row in rows])} bring the most, about as much each. Of these, "
        f"{fewest.change} needs the fewest new people, {wording.decimal(fewest.added)}: if they behave like those who "
        f"are there, {_amount(at_goal[fewest.change], goal, currency)}."
    )


def _amount(row: WhatIfStep, goal: str, currency: str) -> str:
    more = "more" if (row.added or 0.0) >= 0 else "fewer"
    sign = 1 if more == "more" else -1
    low, high = sorted(sign * each for each in (row.low or 0.0, row.high or 0.0))
    added = f"{wording.decimal(sign * (row.added or 0.0))} {more} actors reach {goal}"
    worth = "" if row.value is None else f", worth {wording.money(sign * row.value, currency)},"
    return f"{added}{between(low, high, wording.decimal)}{worth}"
