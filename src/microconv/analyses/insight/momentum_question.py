"""What all questions about momentum share: the goal, the stages, the days, and whose actors count."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date, timedelta
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from microconv import wording
from microconv.analyses.insight.buyers import staged_days
from microconv.config.load import find_named
from microconv.config.sections import Config, Period
from microconv.config.segment_settings import SegmentConfig
from microconv.config.values import EntryId
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.question import Context, Option, Question, section_of
from microconv.segments.compiled import compiled
from microconv.segments.propensity_rules import check_asked
from microconv.staging import properties
from microconv.staging.properties import Property
from microconv.taxonomy import Taxonomy
from microconv.taxonomy.entry import MINDSETS, STAGES

STATES = ("accelerating", "steady", "hesitating", "stalled", "converted")
"""The states of an actor, as people read them."""

WINDOW_DAYS = 7
"""The days of which the pace now is."""

_WEEK = 7


class MomentumQuestion(Period, Question):
    """A question about how actors move up the stages on their way to a goal; maybe only those of a segment."""

    options: ClassVar[Mapping[str, Option]] = {"goal": Option(metavar="ID"), "segment": Option(metavar="NAME")}

    goal: EntryId | None = Field(
        default=None, description="the micro-conversion that actors are on the way to; default: the first macro"
    )
    segment: SegmentConfig | None = Field(default=None, description="only actors who are in this segment now")

    @classmethod
    def asked(cls, config: Config, given: Mapping[str, Any]) -> Self:
        """Return the question with these fields; the segment is named."""
        changed = dict(given)
        if isinstance(segment := changed.get("segment"), str):
            changed["segment"] = find_named(config.segments, segment, "segment")
        return section_of(cls, changed)

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the goal, and the ids of the segment."""
        if self.goal is not None:
            yield self.goal, "the goal of momentum"
        if self.segment is not None:
            yield from self.segment.named()

    def properties(self) -> Collection[Property]:
        """Return the properties that the segment's rule names."""
        return properties.of_rule(self.segment.rule) if self.segment else ()

    def goal_in(self, taxonomy: Taxonomy) -> str:
        """Return the id under which the goal is staged."""
        return taxonomy.goal(self.goal)

    def query(self, name: str, context: Context, params: Mapping[str, Value], **structure: Any) -> Query:  # noqa: ANN401 - as templates take it
        """Return the query of a template that counts only the actors of the segment, if there is one."""
        rule = None
        if self.segment is not None:
            check_asked(context, self.segment.rule, context.latest_event_at)
            rule = compiled(self.segment.rule, context.taxonomy, context.latest_event_at)
        return templates.query(
            name,
            params={**params, **(rule.params if rule else {})},
            structure={"segment": rule.structure if rule else None, **structure},
        )

    def standing(self, context: Context, weeks_ago: Collection[int], *, end: date | None = None) -> dict[str, Value]:
        """Return the parameters of `_standings.sql`: what counts how much, and at the ends of which weeks."""
        taxonomy = context.taxonomy
        entries = steps_of(taxonomy)
        return {
            "entries": entries,
            "points": [STAGES.index(taxonomy.entry(each).stage) + 1 for each in entries],
            "hesitations": hesitations_of(taxonomy),
            "goals": [self.goal_in(taxonomy)],
            "weeks_ago": list(weeks_ago),
            "window_days": WINDOW_DAYS,
            "end_date": end or self.last_day(context),
            "first_date": self.since,
        }

    def last_day(self, context: Context) -> date:
        """Return the day at whose end it is asked: the last one staged, or `until` where that is before."""
        last = staged_days(context)[1]
        return min(self.until or last, last)

    def week_numbers(self, context: Context, most: int) -> range:
        """Return the weeks, counted back from the last day, at whose ends a whole week of data had been seen."""
        first = max(self.since or date.min, staged_days(context)[0])
        return range(max(min(((self.last_day(context) - first).days + 1) // _WEEK, most), 1))

    def of_actors(self, context: Context) -> Iterator[str]:
        """Say which actors count."""
        if self.segment is not None:
            moment = context.latest_event_at
            as_of = f" as of {moment:%Y-%m-%d %H:%M} UTC" if moment else ""
            yield f"Only actors of the segment {self.segment.name}{as_of} count; earlier they may not have been in it."


def steps_of(taxonomy: Taxonomy) -> list[str]:
    """Return what moves an actor on: all that counts but hesitation."""
    return [each for each in _staged(taxonomy) if not taxonomy.entry(each).is_hesitation]


def hesitations_of(taxonomy: Taxonomy) -> list[str]:
    """Return what shows hesitation."""
    return [each for each in _staged(taxonomy) if taxonomy.entry(each).is_hesitation]


def _staged(taxonomy: Taxonomy) -> list[str]:
    return sorted({entry.counts_as for entry in taxonomy.staged}, key=taxonomy.rank)


GOAL_LEVEL, BEYOND_GOAL = 4, 5
"""Levels of the way to the goal: 1 to 3 are stages or mindsets up to it, 4 is the goal, 5 what comes after it."""


def levels_of(taxonomy: Taxonomy, goal: str, of: Literal["stage", "mindset"]) -> dict[str, int]:
    """Return how far on the way each entry is, but for hesitation: by its stage or its mindset; the goal is level 4."""
    ladder: tuple[str, ...] = STAGES if of == "stage" else MINDSETS
    found = {each: ladder.index(getattr(taxonomy.entry(each), of)) + 1 for each in steps_of(taxonomy)}
    return {each: BEYOND_GOAL if level == len(ladder) else level for each, level in found.items()} | {goal: GOAL_LEVEL}


def in_minutes(seconds: float | None) -> str:
    """Write a time that is known to the minute."""
    return "under 1 min" if seconds == 0 else wording.elapsed(seconds)


def week_end(last: date, weeks_ago: int) -> date:
    """Return the last day of a week, so many weeks before."""
    return last - timedelta(days=_WEEK * weeks_ago)


def of_states(goal: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Say what the states are, with the figures that everyone's pace gave."""
    known = rows[0] if rows else {}
    yield f"Converted: did {goal} by then, once or more often."
    pause = known.get("usual_pause_days")
    usual = f" ({wording.plural(pause, 'day')})" if pause is not None else ""
    yield (
        "Stalled: silent for longer than nine in ten take who come back"
        f"{usual}, and for longer than the actor's own longest pause."
    )
    yield "Hesitating: the last thing done was a sign of hesitation, such as an abandoned cart."
    half, fast = known.get("usual_points"), known.get("fast_points")
    of_all = f" ({wording.plural(half, 'point')})" if half is not None else ""
    of_new = f" ({wording.plural(fast, 'point')})" if fast is not None else ""
    yield (
        f"Accelerating: more points in the last 7 days than half of all active actors{of_all}, and 1.5 times the "
        f"actor's own pace before; who is new that week: more than three quarters of them{of_new}. Steady: all others."
    )
    yield (
        "Points: each micro-conversion counts once a day, with 1 point in the stage awareness, 2 in consideration, "
        "3 in decision, 4 in post_sale."
    )
