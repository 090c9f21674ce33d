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
from microconv.analyses.insight.among_like import among_like_queries, read_among_like
from microconv.analyses.insight.banded import FEWEST_A_SIDE, FEWEST_TARGETS, Banded
from microconv.analyses.insight.buyers import ACTOR_GROUPS, BuyerQuestion, between, not_enough
from microconv.analyses.insight.evidence import Tier
from microconv.analyses.insight.goals import steps_up_to
from microconv.analyses.insight.onward_rates import RESAMPLES, Followed, beyond, ends, resampling
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

ON_PATH, MAYBE_NOTHING = "on the path: nobody gets there without it", "may be nothing"
"""What is said of a step that all take who reach the goal, and of an interval that holds 0."""
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
        """Return the changes, by the ids under which entries are staged."""
        if given := read_changes(self.changes):
            return tuple(StepChange(taxonomy.counted(each.entry), each.share) for each in given)
        goal = self.goal_in(taxonomy)
        counted = sorted({entry.counts_as for entry in taxonomy.entries}, key=taxonomy.rank)
        return tuple(
            StepChange(each, _USUAL)
            for each in counted
            if taxonomy.entry(each).kind == "milestone" and taxonomy.rank(each) < taxonomy.rank(goal)
        )

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the queries of what follows each entry, of its ratio to the goal (two), and of amounts by currency."""
        goal = self.goal_in(context.taxonomy)
        entries = [each.entry for each in self.asked_changes(context.taxonomy)]
        end_at = context.latest_event_at or templates.EXAMPLE_MOMENT
        params: dict[str, Value] = {
            **{key: value for key, value in self.purchases(context).items() if key not in ("end_date", "until_date")},
            "entries": entries,
            "steps": steps_up_to(goal, context.taxonomy),
            "end_at": end_at,
            "actor_groups": ACTOR_GROUPS,
        }
        asked = [
            templates.query("analyses/insight/onward", params=params),
            *among_like_queries(entries, goal, end_at, self.since, self.until, taxonomy=context.taxonomy),
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
        ratios = read_among_like(tables[1].to_pylist(), tables[2].to_pylist()).banded
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
            assumptions=(*self._assumptions(goal, changes), *self.of_value(context, amounts)),
            since=self.since,
            until=self.until,
        )

    def _assumptions(self, goal: str, changes: Sequence[StepChange]) -> Iterator[str]:
        yield (
            f"{NEW.capitalize()}: assumes that those added behave like those who are there, and that all later steps "
            "take them in at the rates of now. Whoever is harder to win usually behaves worse."
        )
        yield (
            f"{HERE.capitalize()}: assumes that the step brings them what it brings those who do it now, beyond what "
            f"they would have done anyway. How much that is comes from the ratio of reaching {goal} among like actors, "
            "over that of a small step picked by chance (evidence: adjusted, as in microconv lift). People who do the "
            "step may want more from the start, so it is not proof that the step causes it, and more likely too high "
            "than too low."
        )
        yield (
            "An actor counts from the first time they did the step, and a later step if it came after that. Intervals "
            f"are those of {wording.count(RESAMPLES)} resamplings of {ACTOR_GROUPS} groups of actors, at 95%."
        )
        if len(changes) > 1 and self.changes:
            yield "Several changes are added up: whoever two of them would win counts twice."
        if self.since is not None or self.until is not None:
            yield "The days asked for are those on which actors did the step first; what came later counts, too."


def _later(taxonomy: Taxonomy, entry: str, goal: str) -> list[str]:
    """Return the steps after an entry."""
    return [
        each
        for each in steps_up_to(goal, taxonomy)
        if each != entry and (each == goal or taxonomy.rank(each) > taxonomy.rank(entry))
    ]


def _carried(
    change: StepChange, followed: Followed, later: Sequence[str], banded: Banded | None, goal: str
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
        says="" if enough else not_enough(number),
    )
    if change.entry == goal:
        return
    for step in later:
        yield _row(change, step, NEW, followed, goal, extra=None)
    if banded is not None and number >= FEWEST_A_SIDE:
        yield _row(change, goal, HERE, followed, goal, extra=banded)


def _row(change: StepChange, step: str, who: str, followed: Followed, goal: str, *, extra: Banded | None) -> WhatIfStep:
    """Return what a change brings at a step; with `extra`, beyond what they would have done anyway."""
    number, reached = int(followed.actors.sum()), int(followed.at(step).sum())
    says = _why_not(number, reached, extra)
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


def _why_not(number: int, reached: int, extra: Banded | None) -> str:
    if number < FEWEST_A_SIDE:
        return not_enough(number)
    if reached < FEWEST_A_SIDE:
        return not_enough(reached)
    if extra is None or extra.is_on_path:
        return ""
    targets = extra.exposed_targets + extra.other_targets
    if targets < FEWEST_TARGETS:
        return not_enough(targets)
    if extra.ratio is None:
        return NOBODY_ALIKE if min(extra.exposed_targets, extra.other_targets) else not_enough(extra.exposed_targets)
    return ""


def _says(change: StepChange, extra: Banded | None, low: float, high: float) -> str:
    if extra is None or not change.share:
        return ""
    if extra.is_on_path:
        return ON_PATH
    return MAYBE_NOTHING if low <= 0 <= high else ""


def _together(
    changes: Sequence[StepChange], followed: Mapping[str, Followed], ratios: Mapping[str, Banded], goal: str
) -> Iterator[WhatIfStep]:
    """Yield the goal with all changes together, added up; nothing where one of them cannot be told."""
    import numpy as np

    weights = resampling()
    for who in (NEW, HERE):
        added = value = 0.0
        drawn_added, drawn_value = np.zeros(len(weights)), np.zeros(len(weights))
        for change in changes:
            each = followed[change.entry]
            extra = ratios.get(change.entry) if who == HERE else None
            number, reached = int(each.actors.sum()), int(each.at(goal).sum())
            if change.entry == goal or (who == HERE and extra is None) or _why_not(number, reached, extra):
                break
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
                tier=_tier([ratios.get(each.entry) for each in changes] if who == HERE else []),
                says=MAYBE_NOTHING if who == HERE and low <= 0 <= high and any(each.share for each in changes) else "",
            )


def _sentence(changes: Sequence[StepChange], steps: Sequence[WhatIfStep], goal: str, currency: str) -> str:
    if not changes:
        return f'The taxonomy has no milestone before {goal}: name a change, such as "add_to_cart +5%".'
    told = {(row.change, row.who): row for row in steps if row.step == goal and row.added is not None}
    known = [row for (_, who), row in told.items() if who == NEW]
    if not known:
        most = max((row.actors or 0 for row in steps), default=0)
        return f"What {wording.listed([str(each) for each in changes])} would bring cannot be told: {not_enough(most)}."
    row = told.get((ALL, NEW)) or max(known, key=lambda each: abs(each.added or 0.0))
    change = wording.listed([str(each) for each in changes]) if row.change == ALL else row.change
    first = "" if row.change == ALL or len(changes) == 1 else "Of the same change at each step, most comes of "
    if not row.added:
        return f"{change}: nothing changes, so that nothing is added."
    less = row.added < 0
    who = "those who go behave" if less else "those added behave"
    said = f"{first}{change}: {_amount(row, goal, currency)} if {who} like those who are there"
    here = told.get((row.change, HERE))
    if here is None:
        return f"{said}."
    if here.says == ON_PATH:
        return f"{said}; nobody gets to {goal} without it, so it is the same for people who are here already."
    may = ", which may be nothing" if here.says == MAYBE_NOTHING else ""
    stay = "they stay and only leave it out" if less else "they are people who are here already"
    return f"{said}; {_amount(here, goal, currency)} if {stay}, beyond what these would do anyway{may}."


def _amount(row: WhatIfStep, goal: str, currency: str) -> str:
    more = "more" if (row.added or 0.0) >= 0 else "fewer"
    sign = 1 if more == "more" else -1
    low, high = sorted(sign * each for each in (row.low or 0.0, row.high or 0.0))
    added = f"{wording.decimal(sign * (row.added or 0.0))} {more} actors reach {goal}"
    worth = "" if row.value is None else f", worth {wording.money(sign * row.value, currency)},"
    return f"{added}{between(low, high, wording.decimal)}{worth}"
