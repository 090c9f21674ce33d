"""Where confidence wavers: from one mindset to the next, who hesitates or turns back, and who goes on all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from microconv import wording
from microconv.analyses.insight.buyers import between, not_enough
from microconv.analyses.insight.momentum_question import (
    BEYOND_GOAL,
    GOAL_LEVEL,
    MomentumQuestion,
    hesitations_of,
    in_minutes,
    levels_of,
)
from microconv.config.problems import ItemError
from microconv.config.values import Duration, Length
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, days
from microconv.result import Result, column, sheet
from microconv.stats.intervals import Interval, newcombe, wilson
from microconv.taxonomy.entry import MINDSETS
from microconv.wording import Bar, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

FEWEST_ACTORS = 20
"""Actors who came to a mindset, below which no share of them is told."""
FEWEST_COMPARED = 10
"""Actors on either side, below which those who hesitated are not held against the others."""

_Row = Mapping[str, Any]


@dataclass(frozen=True)
class WaveringTransition:
    """Actors who came to one mindset, and how they went on to the next; what cannot be told is None, and `says` why.

    All shares are between 0 and 1; `median_seconds` is of those who went on. What comes after it looks only at those
    who had not gone on by the landmark: who had hesitated by then, and who had not, and how many of each still went on
    in the window. `difference_low` and `difference_high` are the interval of the difference of these two rates.
    """

    from_mindset: str = column("from")
    to_mindset: str = column("to")
    actors: int = column("actors", wording.count)
    went_on: int = column("went on", wording.count)
    went_on_share: float | None = column("share", wording.fine_share)
    went_on_low: float | None = column("share from", wording.fine_share)
    went_on_high: float | None = column("share to", wording.fine_share)
    median_seconds: float | None = column("half of them after", in_minutes)
    hesitated: int = column("hesitated", wording.count)
    hesitated_share: float | None = column("hesitated, share", wording.fine_share)
    turned_back: int | None = column("turned back", wording.count)
    turned_back_share: float | None = column("turned back, share", wording.fine_share)
    early: int = column("had hesitated", wording.count)
    early_rate: float | None = column("went on later", wording.fine_share)
    early_low: float | None = column("later from", wording.fine_share)
    early_high: float | None = column("later to", wording.fine_share)
    others: int = column("had not hesitated", wording.count)
    others_rate: float | None = column("others went on later", wording.fine_share)
    others_low: float | None = column("others from", wording.fine_share)
    others_high: float | None = column("others to", wording.fine_share)
    difference_low: float | None = column("difference from", wording.share)
    difference_high: float | None = column("difference to", wording.share)
    says: str = column("says")


_COMPARED = (
    "from_mindset",
    "to_mindset",
    "early",
    "early_rate",
    "early_low",
    "early_high",
    "others",
    "others_rate",
    "others_low",
    "others_high",
    "difference_low",
    "difference_high",
)


@dataclass(frozen=True)
class WaveringResult(Result):
    """Transitions between mindsets on the way to the goal, in their order.

    Attributes:
        goal: The micro-conversion that actors are on the way to; it lies behind all mindsets up to commitment.
        window: How long each actor is looked at, from when it came to a mindset.
        landmark: How long after that those who had hesitated are held against the others.
        transitions: One row each.
        too_recent: Arrivals that the data do not follow for the whole window; they are left out.
        left_out: Arrivals of actors whose history began before the data; they are left out.
    """

    row_type: ClassVar[type] = WaveringTransition

    goal: str
    window: str
    landmark: str
    transitions: tuple[WaveringTransition, ...]
    too_recent: int
    left_out: int
    sentence: str
    assumptions: tuple[str, ...]
    since: date | None = None
    until: date | None = None

    @property
    def rows(self) -> tuple[WaveringTransition, ...]:
        """The transitions."""
        return self.transitions

    def sheets(self) -> Iterator[Sheet | str]:
        """Show who goes on and who wavers, then whether those who had hesitated went on less often."""
        yield sheet(
            f"Wavering within {wording.window(self.window)} of coming to a mindset",
            self.rows,
            WaveringTransition,
            without={*_COMPARED[2:], *(() if any(row.went_on_share is None for row in self.rows) else ("says",))},
        )
        compared = [row for row in self.rows if row.early and row.went_on_share is not None]
        if compared:
            yield sheet(
                f"Of those who had not gone on after {wording.window(self.landmark)}: who still did",
                compared,
                WaveringTransition,
                only=(*_COMPARED, *(("says",) if any(row.says for row in compared) else ())),
            )

    def bars(self) -> tuple[Bar, ...]:
        """One bar per transition: the share that turned back."""
        return tuple(
            Bar(
                f"{row.from_mindset} > {row.to_mindset}",
                row.turned_back_share,
                wording.fine_share(row.turned_back_share),
            )
            for row in self.transitions
            if row.turned_back_share is not None
        )


class Wavering(MomentumQuestion):
    """Say between which mindsets confidence wavers: who hesitates or turns back, and who goes on all the same.

    `since` and `until` are the days on which actors came to a mindset.
    """

    window: Length = Field(
        default=Duration.parse("14d"), description="how long actors are looked at from a mindset on, such as 14d"
    )
    landmark: Length = Field(
        default=Duration.parse("1d"),
        description="when those who had hesitated are held against the others, from a mindset on, such as 1d",
    )

    @model_validator(mode="after")
    def _landmark_in_the_window(self) -> Self:
        if self.landmark.seconds >= self.window.seconds:
            raise ItemError("must be shorter than window, which is what is looked at in all", ("landmark",))
        return self

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the one query."""
        levels = levels_of(context.taxonomy, self.goal_in(context.taxonomy), "mindset")
        params = {
            "entries": list(levels),
            "levels": list(levels.values()),
            "hesitations": hesitations_of(context.taxonomy),
            "window_us": self.window.microseconds,
            "landmark_us": self.landmark.microseconds,
            "end_at": context.latest_event_at or templates.EXAMPLE_MOMENT,
            **days(self),
        }
        return (self.query("analyses/insight/wavering", context, params),)

    def result(self, tables: Sequence[pa.Table], context: Context) -> WaveringResult:
        """Count those who went on, hesitated and turned back, and hold them against each other."""
        goal, rows = self.goal_in(context.taxonomy), tables[0].to_pylist()
        known = {*levels_of(context.taxonomy, goal, "mindset").values()}
        kept = [row for row in rows if row["is_followed"] and not row["began_before"]]
        transitions = tuple(
            _transition(level, goal, [row for row in kept if row["level"] == level])
            for level in sorted(known)
            if level < GOAL_LEVEL or (level == GOAL_LEVEL and BEYOND_GOAL in known)
        )
        left_out = _total(rows, lambda row: row["began_before"])
        too_recent = _total(rows, lambda row: not row["is_followed"] and not row["began_before"])
        return WaveringResult(
            goal=goal,
            window=self.window.text,
            landmark=self.landmark.text,
            transitions=transitions,
            too_recent=too_recent,
            left_out=left_out,
            sentence=_sentence(transitions, self.landmark.text, has_signs=bool(hesitations_of(context.taxonomy))),
            assumptions=tuple(self._assumptions(context, goal, too_recent, left_out)),
            since=self.since,
            until=self.until,
        )

    def _assumptions(self, context: Context, goal: str, too_recent: int, left_out: int) -> Iterator[str]:
        window, landmark = wording.window(self.window.text), wording.window(self.landmark.text)
        yield (
            "An actor comes to a mindset with the first thing it did there, unless something beyond was before it, and "
            f"goes on with the first thing beyond: of any higher mindset, or {goal}, which lies behind all mindsets up "
            f"to {MINDSETS[2]}. Each is looked at for {window}."
        )
        yield (
            "Hesitated: a sign of hesitation came before going on. Turned back: did something of an earlier mindset, "
            "and did not go on. Times are whole minutes within the first day, and whole hours after it."
        )
        yield (
            "Who goes on at once has no time to hesitate. So those who had hesitated are held only against others who "
            f"had not gone on after {landmark} either, and what they did in the rest of the {window} counts. The two "
            "may differ for other reasons than the hesitation. Intervals are at 95% (Wilson, Newcombe)."
        )
        if too_recent:
            yield (
                f"{wording.plural(too_recent, 'arrival')} less than {window} before the data end "
                f"{'is' if too_recent == 1 else 'are'} left out."
            )
        if left_out:
            yield (
                f"{wording.plural(left_out, 'arrival')} of actors whose first session in the data was not their first "
                f"{'is' if left_out == 1 else 'are'} left out: nobody knows when they came to a mindset."
            )
        yield from self.of_actors(context)


def _total(rows: Sequence[_Row], counts: Callable[[_Row], bool]) -> int:
    return sum(row["actors"] for row in rows if counts(row))


def _transition(level: int, goal: str, rows: Sequence[_Row]) -> WaveringTransition:
    names = (*MINDSETS[:3], goal, MINDSETS[3])
    actors, went_on = _total(rows, lambda _: True), _total(rows, lambda row: row["waited_seconds"] is not None)
    hesitated = _total(rows, lambda row: row["hesitated"])
    is_first = level == 1  # nothing lies before it
    turned_back = None if is_first else _total(rows, lambda row: row["went_back"] and row["waited_seconds"] is None)
    late = [row for row in rows if row["is_late"]]
    sides = [[row for row in late if row["hesitated_early"] is early] for early in (True, False)]
    n = [_total(side, lambda _: True) for side in sides]
    then = [_total(side, lambda row: row["waited_seconds"] is not None) for side in sides]
    is_told, is_compared = actors >= FEWEST_ACTORS, min(n) >= FEWEST_COMPARED and actors >= FEWEST_ACTORS
    nothing = Interval(0.0, 0.0)
    of_all = wilson(went_on, actors) or nothing
    early, others = wilson(then[0], n[0]) or nothing, wilson(then[1], n[1]) or nothing
    apart = newcombe(then[0], n[0], then[1], n[1]) or nothing
    if not is_told:
        says = not_enough(actors)
    elif not is_compared and n[0]:
        says = f"not enough data to compare: n = {wording.count(min(n))}"
    else:
        says = ""
    return WaveringTransition(
        from_mindset=names[level - 1],
        to_mindset=names[level],
        actors=actors,
        went_on=went_on,
        went_on_share=went_on / actors if is_told else None,
        went_on_low=of_all.low if is_told else None,
        went_on_high=of_all.high if is_told else None,
        median_seconds=_median(rows) if is_told and went_on >= FEWEST_COMPARED else None,
        hesitated=hesitated,
        hesitated_share=hesitated / actors if is_told else None,
        turned_back=turned_back,
        turned_back_share=turned_back / actors if is_told and turned_back is not None else None,
        early=n[0],
        early_rate=then[0] / n[0] if is_compared else None,
        early_low=early.low if is_compared else None,
        early_high=early.high if is_compared else None,
        others=n[1],
        others_rate=then[1] / n[1] if is_compared else None,
        others_low=others.low if is_compared else None,
        others_high=others.high if is_compared else None,
        difference_low=apart.low if is_compared else None,
        difference_high=apart.high if is_compared else None,
        says=says,
    )


def _median(rows: Sequence[_Row]) -> float | None:
    """Return the shortest time by which half of those who went on had done so."""
    times = sorted((row["waited_seconds"], row["actors"]) for row in rows if row["waited_seconds"] is not None)
    half, so_far = sum(actors for _, actors in times) / 2, 0
    for seconds, actors in times:
        so_far += actors
        if so_far >= half:
            return float(seconds)
    return None


def _sentence(transitions: Sequence[WaveringTransition], landmark: str, *, has_signs: bool) -> str:
    known = [row for row in transitions if row.went_on_share is not None]
    if not known:
        most = max((row.actors for row in transitions), default=0)
        return f"Too few came to a mindset, and were followed for long enough, to tell: {not_enough(most)}."
    worst = max(known, key=lambda row: row.turned_back_share or 0.0)
    said = "Nobody turned back."
    if worst.turned_back:
        went_on = between(worst.went_on_low, worst.went_on_high, wording.fine_share)
        said = (
            f"Most turn back between {worst.from_mindset} and {worst.to_mindset}: "
            f"{wording.fine_share(worst.turned_back_share)} of {wording.plural(worst.actors, 'actor')}, "
            f"while {wording.fine_share(worst.went_on_share)} go on{went_on}."
        )
    if not has_signs:
        return f"{said} The taxonomy has no entry that shows hesitation."
    hesitant = max(known, key=lambda row: row.hesitated_share or 0.0)
    if not hesitant.hesitated:
        return f"{said} Nobody hesitated on the way."
    said += (
        f" Most hesitate between {hesitant.from_mindset} and {hesitant.to_mindset} "
        f"({wording.fine_share(hesitant.hesitated_share)})"
    )
    if hesitant.early_rate is None or hesitant.difference_low is None or hesitant.difference_high is None:
        return f"{said}; too few to hold them against the others."
    if hesitant.difference_low <= 0 <= hesitant.difference_high:
        verdict = "no difference beyond chance"
    else:
        verdict = "fewer than the others" if hesitant.difference_high < 0 else "more than the others"
    return (
        f"{said}: of those who had hesitated and not gone on after {wording.window(landmark)}, "
        f"{wording.fine_share(hesitant.early_rate)} still did, against {wording.fine_share(hesitant.others_rate)} of "
        f"those who had done neither: {verdict}."
    )
