"""Which pages, items, videos, campaigns and e-mails lead to which goal: rates after actors first saw them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from microconv import wording
from microconv.analyses.insight.evidence import LEVEL
from microconv.analyses.insight.landmarks import of_other_systems
from microconv.config.sections import Period
from microconv.config.values import Duration, EntryId, Length
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, Option, Question, days
from microconv.result import Result, column, sheet
from microconv.staging.properties import Property, resolve
from microconv.stats.intervals import wilson
from microconv.stats.multiplicity import adjusted
from microconv.stats.ratios import Ratio, RiskStratum, exposed_cases, pooled_risk_ratio
from microconv.stats.shrinkage import Estimated, common, shrunken
from microconv.taxonomy import Taxonomy
from microconv.taxonomy.entry import STAGES
from microconv.wording import Bar, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

What = Literal["page", "item", "video", "campaign", "email"]

PLURAL = {"page": "pages", "item": "items", "video": "videos", "campaign": "campaigns", "email": "e-mails"}
_PROPERTIES = {"item": "item_name", "video": "video_title"}

MORE, LESS, CHANCE, ON_PATH = "leads more often", "leads less often", "no difference shows", "on the path"
"""What is said of a content: its rate is above that of the others of its kind, below, neither; or hardly anybody
reached the goal without it."""

FEWEST_EXPOSED = 30
"""Actors who saw it, below which nothing is told."""
FEWEST_TARGETS = 20
"""Actors who reached a goal after any content of the kind, below which nothing is told of it."""
MOST_SEEN = 30
"""From which number on contents of one actor are not told apart by how many came before."""
MOST_CONTENTS = 200
"""How many contents are looked at: those that most actors saw."""
_PATH_SHARE = 0.95
_LAG_SECONDS = 10
_SHOWN = 10


@dataclass(frozen=True)
class ContentOutcome:
    """How often one goal follows one content.

    Attributes:
        content: The path of a page, the name of an item, the title of a video, or the campaign; two, with `>`, of a
            sequence.
        goal: What is counted after it.
        says: Whether the goal follows more often than after others of the kind.
        actors: Who saw it, before the goal and long enough before the data end.
        reached: How many of them reached the goal in the time after they first saw it.
        rate: Their share, with its 95% interval (Wilson).
        other_rate: The share of others who came upon another content of the kind as theirs of the same number, such
            as the third; each number counts for as many as came upon this one so.
        ratio: The one over the other by Mantel and Haenszel over these numbers, with its 95% interval.
        shrunken: The ratio drawn to the mean of its kind, the more the less sure it is: the one to rank by.
        p_value: That both rates are one, corrected over all contents and goals.
        share_of_goals: Of those who reached the goal after any content of the kind, how many did so after this one.
    """

    content: str = column("content")
    goal: str = column("goal")
    says: str = column("says")
    actors: int = column("saw it", wording.count)
    reached: int = column("reached the goal", wording.count)
    rate: float | None = column("rate", wording.fine_share)
    low: float | None = column("from", wording.fine_share)
    high: float | None = column("to", wording.fine_share)
    other_rate: float | None = column("rate of others", wording.fine_share)
    ratio: float | None = column("ratio", wording.times)
    ratio_low: float | None = column("ratio from", wording.times)
    ratio_high: float | None = column("ratio to", wording.times)
    shrunken: float | None = column("shrunken", wording.times)
    p_value: float | None = column("corrected p", wording.p_value)
    share_of_goals: float | None = column("share of goals", wording.share)
    tier: str = column("evidence", default="observed")


@dataclass(frozen=True)
class ContentGoal:
    """How many contents one goal was tried with.

    Attributes:
        goal: What is counted after them.
        looked_at: How many contents.
        tested: How many were held against the others; the rest have not enough data, or are on the path.
        more: How many lead to it more often.
        less: How many lead to it less often.
    """

    goal: str
    looked_at: int
    tested: int
    more: int
    less: int

    @classmethod
    def of(cls, goal: str, rows: Sequence[ContentOutcome]) -> ContentGoal:
        """Count the rows of a goal."""
        says = Counter(row.says for row in rows)
        return cls(goal, len(rows), says[MORE] + says[LESS] + says[CHANCE], says[MORE], says[LESS])


@dataclass(frozen=True)
class ContentResult(Result):
    """Contents, for each goal those that lead to it more often first.

    Attributes:
        what: The kind of content.
        goals: The outcomes, in the order of the taxonomy.
        contents: The rows, for each goal at most as many as asked for.
        counts: For each goal, how many contents were looked at, tested and found.
        looked_at: How many contents there are, over all goals.
    """

    row_type: ClassVar[type] = ContentOutcome

    what: str
    goals: tuple[str, ...]
    contents: tuple[ContentOutcome, ...]
    counts: tuple[ContentGoal, ...]
    looked_at: int
    sentence: str
    assumptions: tuple[str, ...]
    since: date | None = None
    until: date | None = None

    @property
    def rows(self) -> tuple[ContentOutcome, ...]:
        """The contents."""
        return self.contents

    @property
    def title(self) -> str:
        """What the table is called."""
        return f"What {PLURAL[self.what]} lead to"

    def sheets(self) -> Iterator[Sheet | str]:
        """Yield a table for each goal, and how many contents there are of each kind."""
        for of_goal in self.counts:
            goal = of_goal.goal
            rows = [row for row in self.contents if row.goal == goal]
            if not rows:
                continue
            yield sheet(
                f"Which {PLURAL[self.what]} lead to {goal}",
                rows,
                ContentOutcome,
                labels={"content": self.what},
                without=("goal", "tier"),
            )
            # CSV has no more than the table: --top is for both.
            cut = wording.first_shown(len(rows), of_goal.looked_at)
            lead = f"{wording.count(of_goal.more)} {'leads' if of_goal.more == 1 else 'lead'}"
            yield (
                f"Of {wording.count(of_goal.looked_at)} {PLURAL[self.what]} that were looked at, "
                f"{wording.count(of_goal.tested)} were tested: {lead} to {goal} more often, and "
                f"{wording.count(of_goal.less)} less often.{cut}"
            )

    def bars(self) -> tuple[Bar, ...]:
        """One bar per content of the first goal: its rate."""
        return tuple(
            Bar(row.content, row.rate, wording.fine_share(row.rate))
            for row in self.contents
            if row.goal == self.goals[0] and row.rate is not None
        )


class Content(Period, Question):
    """Say which pages, items, videos, campaigns or e-mails lead to which goal.

    Goals are by default the macro-conversions and what other systems say of the outcome, such as a qualified lead.
    """

    options: ClassVar[Mapping[str, Option]] = {"goal": Option(metavar="ID")}
    examples: ClassVar[tuple[str, ...]] = (
        "content",
        "content --what campaign --goal purchase --within 14d",
        "content --what email --sequences --format json",
    )

    what: What = Field(default="page", description="the kind of content")
    goal: EntryId | None = Field(
        default=None,
        description="the micro-conversion to reach; default: all macro-conversions, and what other systems tell",
    )
    within: Length = Field(
        default=Duration.parse("7d"), description="how long after it was first seen the goal counts, such as 7d"
    )
    sequences: bool = Field(default=False, description="one after another instead of each by itself")
    top: int = Field(default=_SHOWN, ge=1, description="how many to show for each goal")

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the goal."""
        if self.goal is not None:
            yield self.goal, "the goal of content"

    def properties(self) -> Collection[Property]:
        """Return the property that names an item or a video."""
        return (resolve(_PROPERTIES[self.what]),) if self.what in _PROPERTIES else ()

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the one query."""
        names = [each.column for each in self.properties()]
        params = {
            "goals": self._goals(context.taxonomy),
            "window_ms": self.within.seconds * 1_000,
            "lag_ms": _LAG_SECONDS * 1_000,
            "most": MOST_CONTENTS,
            "most_seen": MOST_SEEN,
            "end_at": context.latest_event_at or templates.EXAMPLE_MOMENT,
            **days(self),
        }
        if names:
            params["stages"] = list(STAGES[:2])
        return (
            templates.query(
                "analyses/insight/content",
                params=params,
                structure={"what": self.what, "column": names[0] if names else "", "sequences": self.sequences},
            ),
        )

    def result(self, tables: Sequence[pa.Table], context: Context) -> ContentResult:
        """Hold each content against the others of its kind that were seen as the same number of an actor's."""
        goals = self._goals(context.taxonomy)
        counts = tables[0].to_pylist()
        outcomes = _outcomes(counts, goals, may_be_on_path=not self.sequences)
        contents = max((row["contents"] for row in counts), default=0)
        return ContentResult(
            what=self.what,
            goals=tuple(goals),
            contents=tuple(row for goal in goals for row in outcomes[goal][: self.top]),
            counts=tuple(ContentGoal.of(goal, outcomes[goal]) for goal in goals),
            looked_at=contents,
            sentence=_sentence(outcomes, goals[0], self),
            assumptions=(*self._assumptions(contents), *of_other_systems(goals, context.taxonomy)),
            since=self.since,
            until=self.until,
        )

    def _goals(self, taxonomy: Taxonomy) -> list[str]:
        if self.goal is not None:
            return [taxonomy.counted(self.goal)]
        outcomes = {*taxonomy.macros, *(each.id for each in taxonomy.external_entries)}
        return sorted(
            {taxonomy.counted(each) for each in outcomes if not taxonomy.entry(each).is_hesitation},
            key=lambda each: (taxonomy.entry(each).kind != "macro", taxonomy.rank(each)),
        )

    def _assumptions(self, contents: int) -> Iterator[str]:
        yield (
            f"An actor counts once for each of the {PLURAL[self.what]} and each goal: from the first time it was "
            f"seen, if the goal had not been reached by then, nor within {_LAG_SECONDS} seconds after it. The goal "
            f"counts in the {wording.window(self.within.text)} after; who cannot be followed for that long in the data "
            "is left out."
        )
        yield (
            f"Others came upon another one of the {PLURAL[self.what]} as theirs of the same number: who saw it as the "
            "first is compared with those who saw another as their first, the second with the second (from the "
            f"{MOST_SEEN}th on all together), by Mantel and Haenszel. Whoever sees many is on the way, whatever it is."
        )
        yield (
            "p-values are of the number who reached the goal (exact, at most), corrected over all contents and goals "
            "(Benjamini and Yekutieli). Rank by the shrunken ratio: the largest of many is too large by chance."
        )
        yield (
            f"The share of goals is of those who reached the goal after any of the {PLURAL[self.what]}. Whoever saw "
            "several counts for each of them, so that these shares add up to more than 100%."
        )
        if self.sequences:
            yield "A sequence is one and, as the next that is another, a second; the time runs from the second."
        if contents > MOST_CONTENTS:
            yield (
                f"There are {wording.count(contents)} {PLURAL[self.what]}. Only the {MOST_CONTENTS} that most actors "
                "saw are looked at one by one; the rate of others includes all the rest."
            )
        yield (
            "Evidence: observed. Who sees one content may be another kind of person than who sees another, or further "
            "on the way, as whoever sees the cart is; it is not proof that it brings anybody to the goal."
        )
        if self.since is not None or self.until is not None:
            yield "The days asked for are those on which something was seen; goals count after them, too."


_ORDER = (MORE, CHANCE, LESS, ON_PATH)


def _outcomes(
    counts: Sequence[Mapping[str, Any]], goals: Sequence[str], *, may_be_on_path: bool
) -> dict[str, list[ContentOutcome]]:
    """Return the contents of each goal, those that lead to it more often first."""
    by_content: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for count in counts:
        by_content.setdefault((count["goal"], count["content"]), []).append(count)
    rows = [_row(each, may_be_on_path=may_be_on_path) for each in by_content.values()]
    told = [place for place, row in enumerate(rows) if row.p_value is not None]
    corrected = adjusted([rows[place].p_value or 0.0 for place in told], "by")
    for place, p_value in zip(told, corrected, strict=True):
        row = rows[place]
        says = CHANCE
        if p_value <= LEVEL:
            says = MORE if (row.ratio or 0.0) > 1 else LESS
        rows[place] = replace(row, p_value=p_value, says=says)
    found: dict[str, list[ContentOutcome]] = {goal: [] for goal in goals}
    for goal in goals:
        of_goal = [row for row in rows if row.goal == goal]
        kind = common([_estimated(row) for row in of_goal if row.ratio is not None])
        for row in of_goal:
            if row.ratio is not None and kind is not None:
                row = replace(row, shrunken=math.exp(shrunken(_estimated(row), kind).value))  # noqa: PLW2901 - completed
            found[goal].append(row)
        found[goal].sort(key=_place)
    return found


def _row(numbers: Sequence[Mapping[str, Any]], *, may_be_on_path: bool) -> ContentOutcome:
    """Return what is said of one content before correction, from its rows by number: `p_value` is then its own."""
    count = numbers[0]
    strata = [
        RiskStratum(
            each["actors"], each["reached"], each["all_actors"] - each["actors"], each["all_reached"] - each["reached"]
        )
        for each in numbers
    ]
    actors, reached = (sum(each[name] for each in numbers) for name in ("actors", "reached"))
    others = sum(each.other for each in strata if each.exposed)
    share_of_goals = wording.ratio(reached, count["everybody_reached"])
    row = ContentOutcome(
        content=count["content"],
        goal=count["goal"],
        says="",
        actors=actors,
        reached=reached,
        rate=None,
        low=None,
        high=None,
        other_rate=None,
        ratio=None,
        ratio_low=None,
        ratio_high=None,
        shrunken=None,
        p_value=None,
        share_of_goals=share_of_goals,
    )
    everybody = count["everybody_reached"]
    if everybody < FEWEST_TARGETS:
        return replace(row, says=f"not enough data: n = {wording.count(everybody)} reached {count['goal']}")
    if min(actors, others) < FEWEST_EXPOSED:
        n = (
            f"{actors:,} saw it"
            if actors < FEWEST_EXPOSED
            else f"{others:,.0f} saw another as theirs of the same number"
        )
        return replace(row, says=f"not enough data: n = {n}")
    interval, compared = wilson(reached, actors), [each for each in strata if each.is_shared]
    like = sum(each.exposed * each.other_events / each.other for each in compared)
    row = replace(
        row,
        rate=reached / actors,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        other_rate=like / sum(each.exposed for each in compared),
    )
    if may_be_on_path and share_of_goals is not None and share_of_goals >= _PATH_SHARE:
        return replace(row, says=ON_PATH)
    ratio = pooled_risk_ratio(compared)
    if ratio is None:
        return replace(row, p_value=exposed_cases(compared).p_value())
    return replace(
        row,
        ratio=ratio.ratio,
        ratio_low=ratio.low,
        ratio_high=ratio.high,
        p_value=max(ratio.p_value, exposed_cases(compared).p_value()),
    )


def _estimated(row: ContentOutcome) -> Estimated:
    ratio = Ratio(row.ratio or 1.0, row.ratio_low or 1.0, row.ratio_high or 1.0, 1.0)
    return Estimated(math.log(ratio.ratio), ratio.log_error)


def _place(row: ContentOutcome) -> tuple[int, float, int, str]:
    place = _ORDER.index(row.says) if row.says in _ORDER else len(_ORDER)
    return place, -(row.shrunken or 0.0), -row.actors, row.content


def _sentence(outcomes: Mapping[str, Sequence[ContentOutcome]], goal: str, question: Content) -> str:
    kinds = PLURAL[question.what]
    after = f"within {wording.window(question.within.text)}"
    first = next((rows[0] for rows in outcomes.values() if rows and rows[0].says == MORE), None)
    if first is not None:
        others = {1: "", 2: " The other goal has a table of its own."}
        return (
            f"Of {wording.plural(first.actors, 'actor')} who saw {first.content}, {wording.fine_share(first.rate)} "
            f"reached {first.goal} {after}, against {wording.fine_share(first.other_rate)} of others who had seen as "
            f"many {kinds}: the strongest of those that lead to it more often. That does not prove that it brings them "
            f"there.{others.get(len(outcomes), ' The other goals have tables of their own.')}"
        )
    rows = outcomes[goal]
    if not rows:
        return f"No {kinds} were seen by anybody who could be followed for {wording.window(question.within.text)}."
    told = sum(row.says in _ORDER for each in outcomes.values() for row in each)
    if not told:
        return f"Which {kinds} lead to {goal} cannot be told: {rows[0].says}."
    return f"None of the {kinds} leads to a goal more often than others; {wording.count(told)} could be told."
