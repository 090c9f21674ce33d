"""From what is known of entries to segments that are ready to paste, and to entries that nobody needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from microconv import wording
from microconv.analyses.insight.among_like import among_like_queries, read_among_like
from microconv.analyses.insight.buyers import ACTOR_GROUPS, BuyerQuestion, between, not_enough
from microconv.analyses.insight.evidence import (
    DISCOUNTS,
    FEWEST_TO_RETIRE,
    LEVEL,
    NOTHING,
    Evidence,
    unused,
    weigh,
)
from microconv.analyses.insight.goals import milestones_before
from microconv.analyses.insight.onward_rates import Followed
from microconv.analyses.insight.segment_drafts import Draft, Drafts
from microconv.config.sections import Config
from microconv.config.toml import literal
from microconv.config.values import Duration, EntryId, Length
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, Option
from microconv.result import Result, column, sheet
from microconv.segments.members import actors_query, members_query
from microconv.segments.size import Segment
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar, Sheet, Verbatim

if TYPE_CHECKING:
    import pyarrow as pa

FEWEST_MEMBERS = 20
"""Members below which a segment is shown, and not proposed."""


@dataclass(frozen=True)
class SegmentProposal:
    """A segment worth building: its rule on one line of TOML, its size now, and what to expect of it.

    `expected` is how many more members would reach the goal, of those who respond, after the discount by tier; None
    where that cannot be told.
    """

    segment: str = column("segment")
    why: str = column("why")
    members: int = column("members", wording.count)
    share: float | None = column("share of all", wording.share)
    expected: float | None = column("expected more", wording.decimal)
    low: float | None = column("expected from", wording.decimal)
    high: float | None = column("expected to", wording.decimal)
    tier: str = column("evidence")
    rule: str = column("rule")


@dataclass(frozen=True)
class Retirement:
    """An entry that the goal follows about as often as among like actors without it, and that nothing uses."""

    entry: str = column("entry")
    actors: int = column("actors", wording.count)
    ratio: float | None = column("times as often", lambda each: wording.decimal(each, 2))
    low: float | None = column("from", lambda each: wording.decimal(each, 2))
    high: float | None = column("to", lambda each: wording.decimal(each, 2))
    why: str = column("why")


@dataclass(frozen=True)
class SuggestedSegmentsResult(Result):
    """Segments to build, the most expected first, and entries to retire.

    Attributes:
        goal: What members should reach.
        as_of: The moment of the sizes; None where nothing is staged.
        proposals: The segments; last those with too few members, of which nothing is expected.
        configured: How many more follow, and are configured already.
        toml: Those with enough members as `[[segments]]` blocks; empty without any.
        retirements: The entries.
    """

    row_type: ClassVar[type] = SegmentProposal

    goal: str
    as_of: datetime | None
    proposals: tuple[SegmentProposal, ...]
    configured: int
    toml: str
    retirements: tuple[Retirement, ...]
    sentence: str
    assumptions: tuple[str, ...]
    since: date | None = None
    until: date | None = None

    @property
    def rows(self) -> tuple[SegmentProposal, ...]:
        """The segments."""
        return self.proposals

    def sheets(self) -> Iterator[Sheet | str]:
        """Show the segments, then what to paste, then what to retire."""
        yield sheet(f"Segments to build for {self.goal}", self.proposals, SegmentProposal, without=("rule",))
        if self.toml:
            yield Verbatim(f"\n{self.toml}")
        if self.retirements:
            yield sheet(
                f"Entries that {self.goal} does not follow more often, and that nothing uses",
                self.retirements,
                Retirement,
            )

    def bars(self) -> tuple[Bar, ...]:
        """One bar per segment: its members."""
        return tuple(Bar(row.segment, row.members, wording.count(row.members)) for row in self.proposals)


class SuggestSegments(BuyerQuestion):
    """Propose segments from what the data say of entries, as rules to paste; and entries to retire.

    Each comes with its size now, what to expect if some of its members respond, discounted by the kind of evidence,
    and where it could be sent. Nothing is written and nothing is sent.
    """

    options: ClassVar[Mapping[str, Option]] = {**BuyerQuestion.options, "within": Option(metavar="TIME")}
    examples: ClassVar[tuple[str, ...]] = (
        "suggest-segments",
        "suggest-segments --goal purchase --within 30d --response 0.02 --format json",
    )
    in_report: ClassVar[bool] = False

    goal: EntryId | None = Field(
        default=None, description="what members should reach; default: the first macro-conversion"
    )
    within: Length = Field(
        default=Duration.parse("14d"), description="how long ago members did what they are chosen for, at most"
    )
    response: float = Field(
        default=0.05, gt=0, le=1, description="share of members who respond, for what is to be expected"
    )
    top: int = Field(default=10, ge=1, le=30, description="maximum number of segments to propose")

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the query of how many actors there are, and those of the members of each segment.

        What segments are made of is looked up first.
        """
        moment = context.latest_event_at
        members = (members_query(self._asked(each), context.taxonomy, moment) for each in self._drafts(context))
        return (actors_query(moment), *members)

    def result(self, tables: Sequence[pa.Table], context: Context) -> SuggestedSegmentsResult:
        """Count the segments, keep those that are large enough, and find what to retire."""
        goal, moment = self.goal_in(context.taxonomy), context.latest_event_at
        actors, *members = tables
        known = actors.column("actors")[0].as_py()
        drafts = self._drafts(context)
        counted = [
            (draft, self._asked(draft).result((table, actors), context).members)
            for draft, table in zip(drafts, members, strict=True)
        ]
        configured = self._all_there_are(context) - len(drafts)
        counted.sort(
            key=lambda each: (
                each[1] < FEWEST_MEMBERS,
                -(each[0].per_response or 0.0) * DISCOUNTS[each[0].tier] * each[1],
                -each[1],
                each[0].name,
            )
        )
        rows = tuple(self._proposal(draft, size, known) for draft, size in counted if size)[: self.top]
        large = sum(size >= FEWEST_MEMBERS for _, size in counted)
        proposals = tuple(row for row in rows if row.members >= FEWEST_MEMBERS)
        retirements = tuple(_retirements(self._evidence(context), context, goal))
        return SuggestedSegmentsResult(
            goal=goal,
            as_of=moment,
            proposals=rows,
            configured=configured,
            toml="\n".join(self._toml(row, place, context.config) for place, row in enumerate(proposals, start=1)),
            retirements=retirements,
            sentence=_sentence(proposals, large=large, goal=goal, actors=known, response=self.response)
            + (_of_configured(configured, len(drafts), proposals, goal) + _retired(retirements, goal) if known else ""),
            assumptions=tuple(self._assumptions(goal)),
            since=self.since,
            until=self.until,
        )

    def _looked_at(self, taxonomy: Taxonomy) -> list[str]:
        """Return the entries up to the sale but for the goal, in the order of the journey."""
        goal = self.goal_in(taxonomy)
        counted = sorted({entry.counts_as for entry in taxonomy.entries}, key=taxonomy.rank)
        entries = (taxonomy.entry(each) for each in counted if each != goal)
        return [each.id for each in entries if each.kind != "macro" and each.stage != "post_sale"]

    def _milestones(self, taxonomy: Taxonomy) -> list[str]:
        """Return the milestones before the goal, in the order of the journey."""
        looked_at = set(self._looked_at(taxonomy))
        return [each for each in milestones_before(self.goal_in(taxonomy), taxonomy) if each in looked_at]

    def _evidence(self, context: Context) -> dict[str, Evidence]:
        goal = self.goal_in(context.taxonomy)
        end_at = context.latest_event_at or templates.EXAMPLE_MOMENT
        queries = among_like_queries(
            self._looked_at(context.taxonomy), goal, end_at, self.since, self.until, taxonomy=context.taxonomy
        )
        return weigh(read_among_like(*(context.look_up(each) for each in queries)))

    def _followed(self, context: Context) -> dict[str, Followed]:
        goal, entries = self.goal_in(context.taxonomy), self._looked_at(context.taxonomy)
        params = {
            **{key: each for key, each in self.purchases(context).items() if key not in ("end_date", "until_date")},
            "entries": entries,
            "steps": [goal],
            "end_at": context.latest_event_at or templates.EXAMPLE_MOMENT,
            "actor_groups": ACTOR_GROUPS,
        }
        rows = context.look_up(templates.query("analyses/insight/onward", params=params))
        return {entry: Followed.read(rows, entry, goal) for entry in entries}

    def _drafts(self, context: Context) -> list[Draft]:
        if context.latest_event_at is None:
            return []
        return Drafts(
            context,
            self.goal_in(context.taxonomy),
            str(self.within),
            self._milestones(context.taxonomy),
            self._evidence(context),
            self._followed(context),
            self.since,
            self.until,
        ).new()

    def _all_there_are(self, context: Context) -> int:
        """Return how many segments follow, with those that are configured already."""
        nothing = context.config.model_copy(update={"segments": ()})
        return len(self._drafts(replace(context, config=nothing)))

    def _asked(self, draft: Draft) -> Segment:
        return Segment(name=draft.name, rule=draft.rule)

    def _proposal(self, draft: Draft, size: int, actors: int) -> SegmentProposal:
        factor = size * self.response * DISCOUNTS[draft.tier]
        enough = size >= FEWEST_MEMBERS
        told = enough and draft.per_response is not None
        return SegmentProposal(
            segment=draft.name,
            why=draft.why,
            members=size,
            share=wording.ratio(size, actors),
            expected=factor * (draft.per_response or 0.0) if told else None,
            low=factor * (draft.low or 0.0) if told else None,
            high=factor * (draft.high or 0.0) if told else None,
            tier=draft.tier if enough else not_enough(size),
            rule=literal(draft.rule.model_dump(mode="json")),
        )

    def _toml(self, row: SegmentProposal, place: int, config: Config) -> str:
        kinds = [f"{each.name} ({each.kind})" for each in config.destinations]
        where = (
            f"configured: {wording.listed(kinds)}"
            if kinds
            else 'an example: needs [[destinations]] with name = "mails" and kind = "webhook"'
        )
        names = [each.name for each in config.destinations] or ["mails"]
        discount = next((each for tier, each in DISCOUNTS.items() if tier == row.tier), None)
        more = (
            f"{wording.decimal(row.expected)} more{_of_a_response(row)}, after the assumed discount of {discount}"
            if row.expected is not None and discount is not None
            else "not told"
        )
        lines = [
            "[[segments]]",
            f"# {row.why}",
            f"# {wording.plural(row.members, 'member')}; if {wording.share(self.response)} respond (assumed): {more}",
            f"name = {literal(row.segment)}",
            f"rule = {row.rule}",
            '# route = "suggested" # nobody is in two segments of one route',
            f"# priority = {place}",
            f"# destinations = {literal(names)} # {where}",
        ]
        return "\n".join(lines) + "\n"

    def _assumptions(self, goal: str) -> Iterator[str]:
        yield (
            f"Expected more: that {wording.share(self.response)} of the members respond (--response) is assumed. Those "
            f"brought back go on to {goal} like those who did the same before; those who are invited, as far as "
            "those who did it went beyond what like actors did anyway, and beyond what a small step picked by chance "
            "shows; those one short of a number, as far as those who did it so often went beyond the others; those who "
            "did one of a pair, as far as those who did both went beyond all that can be expected without. It is times "
            f"{DISCOUNTS['observed']} where the evidence is observed, and times {DISCOUNTS['adjusted']} where it is "
            "adjusted, which is a convention. The 95% interval is that of what a response brings alone: response "
            "and discount are taken as given. An experiment tells."
        )
        yield (
            f"An entry is a signal if {goal} follows it over {NOTHING[1]} times as often as like actors reach it "
            "without, over what a small step picked by chance shows (microconv lift), by the whole interval and after "
            f"a correction for all entries that were looked at (Benjamini and Yekutieli, {LEVEL:.0%}). What nearly "
            "all do who reach the goal is not a signal, nor is what a quarter of all actors do. Divided by "
            "what any small step shows is the ratio that microconv lift calls beyond any step."
        )
        yield "Sizes are those of now, each segment by itself; members without consent are among them."
        yield (
            f"An entry is proposed for retirement if {goal} follows it about as often as among like actors without it, "
            "over what a small step picked by chance shows: if the whole 95% interval of that ratio lies between "
            f"{NOTHING[0]} and {NOTHING[1]}, with at least {FEWEST_TO_RETIRE} actors, and no funnel, segment, "
            "attribution, conversion, derived entry or `triggers` names it. Where no placebos can be told, none is. "
            "It may go with another goal, or with the next stage: microconv lift --goal next_stage."
        )


def _of_a_response(row: SegmentProposal) -> str:
    """Write the interval, and of what it is: the response and the discount have none."""
    return between(row.low, row.high, wording.decimal, of=" of what a response brings")


def _retirements(evidence: Mapping[str, Evidence], context: Context, goal: str) -> Iterator[Retirement]:
    may_go = unused(goal, context)
    for entry, each in evidence.items():
        ratio = each.ratio
        if ratio is None or not each.is_nothing or not each.is_beyond or entry not in may_go:
            continue
        yield Retirement(
            entry,
            each.banded.exposed,
            ratio.ratio,
            ratio.low,
            ratio.high,
            f"{goal} follows it about as often as among like actors without it, and nothing uses it",
        )


def _retired(retirements: Sequence[Retirement], goal: str) -> str:
    """Say what to retire, and on what grounds: that of like actors, and of this goal alone."""
    if not retirements:
        return " No entry is to be retired."
    names = wording.listed([each.entry for each in retirements])
    it = "it" if len(retirements) == 1 else "them"
    return f" Retire {names}: {goal} follows {it} about as often as among like actors without, and nothing uses {it}."


def _of_configured(configured: int, new: int, proposals: Sequence[SegmentProposal], goal: str) -> str:
    """Say how many segments follow that are configured already, and what that leaves."""
    if proposals:
        are = "is" if configured == 1 else "are"
        return f" {wording.count(configured)} more {are} configured already." if configured else ""
    if not configured:
        return f"No segment of {FEWEST_MEMBERS} members or more follows from what the data say about {goal}."
    number = wording.plural(configured, "segment")
    what = f"that {'follows' if configured == 1 else 'follow'} from what the data say about {goal}"
    are = "is" if configured == 1 else "are"
    if new:
        return f"{number} {what} {are} configured already; no other has {FEWEST_MEMBERS} members or more."
    return f"{'The one segment' if configured == 1 else f'All {number}'} {what} {are} configured already."


def _sentence(proposals: Sequence[SegmentProposal], *, large: int, goal: str, actors: int, response: float) -> str:
    if not actors:
        return "Nothing is staged, so nothing can be proposed."
    if not proposals:
        return ""
    first = proposals[0]
    expected = (
        f"; if {wording.share(response)} respond, expect {wording.decimal(first.expected)} more to reach {goal}"
        f"{_of_a_response(first)}, discounted since it is {first.tier}"
        if first.expected is not None
        else ""
    )
    number = wording.plural(large, "segment")
    shown = number if len(proposals) == large else f"{wording.count(len(proposals))} of {number} (--top)"
    return f"{shown} to build for {goal}, {first.segment} first: {wording.plural(first.members, 'member')}{expected}."
