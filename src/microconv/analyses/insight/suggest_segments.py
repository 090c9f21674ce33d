"""From what is known of entries to segments that are ready to paste, and to entries that nobody needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from microconv import wording
from microconv.analyses.hesitation import Hesitation, HesitationResult
from microconv.analyses.insight.among_like import among_like_queries, read_among_like
from microconv.analyses.insight.buyers import ACTOR_GROUPS, BuyerQuestion, between, not_enough
from microconv.analyses.insight.evidence import (
    DISCOUNTS,
    FEWEST_TO_RETIRE,
    NOTHING,
    Evidence,
    Tier,
    rule_as_toml,
    weigh,
)
from microconv.analyses.insight.momentum import Momentum, MomentumState
from microconv.analyses.insight.onward_rates import Followed, beyond, ends, resampling
from microconv.analyses.insight.thresholds import THRESHOLD, CountThreshold, Thresholds, ThresholdsResult
from microconv.config.sections import Config
from microconv.config.segment_rules import ANYTHING, SegmentRule
from microconv.config.values import Duration, Length
from microconv.errors import FindingsError, SourceError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, Option
from microconv.result import Result, column, sheet
from microconv.segments.members import actors_query, members_query
from microconv.segments.propensity_rules import check_asked
from microconv.segments.size import Segment
from microconv.stats.intervals import newcombe, wilson
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar, Sheet, Verbatim

if TYPE_CHECKING:
    import pyarrow as pa

FEWEST_MEMBERS = 20
"""Members below which a segment is shown, and not proposed."""

_FEWEST_REACHED = 10
_MOST_SIGNALS = 4
_LONGEST_NAME = 100
_LONG_AGO = "365d"


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
    """An entry that predicts nothing and that nothing uses."""

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
        toml: Those with enough members as `[[segments]]` blocks; empty without any.
        retirements: The entries.
    """

    row_type: ClassVar[type] = SegmentProposal

    goal: str
    as_of: datetime | None
    proposals: tuple[SegmentProposal, ...]
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
            yield sheet("Entries that predict nothing, and that nothing uses", self.retirements, Retirement)

    def bars(self) -> tuple[Bar, ...]:
        """One bar per segment: its members."""
        return tuple(Bar(row.segment, row.members, wording.count(row.members)) for row in self.proposals)


@dataclass(frozen=True)
class _Draft:
    """A segment before it is counted: what a member who responds brings, with what was drawn of it."""

    name: str
    rule: SegmentRule
    why: str
    per_response: float | None
    low: float | None
    high: float | None
    tier: Tier = "observed"


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
        drafts = self._drafts(context)
        members = (members_query(self._asked(each), context.taxonomy, moment) for each in drafts)
        return (actors_query(moment), *members)

    def result(self, tables: Sequence[pa.Table], context: Context) -> SuggestedSegmentsResult:
        """Count the segments, keep those that are large enough, and find what to retire."""
        goal, moment = self.goal_in(context.taxonomy), context.latest_event_at
        actors, *members = tables
        known = actors.column("actors")[0].as_py()
        counted = [
            (draft, self._asked(draft).result((table, actors), context).members)
            for draft, table in zip(self._drafts(context), members, strict=True)
        ]
        counted.sort(
            key=lambda each: (
                each[1] < FEWEST_MEMBERS,
                -(each[0].per_response or 0.0) * DISCOUNTS[each[0].tier] * each[1],
                -each[1],
                each[0].name,
            )
        )
        rows = tuple(self._proposal(draft, size, known) for draft, size in counted if size)[: self.top]
        proposals = tuple(row for row in rows if row.members >= FEWEST_MEMBERS)
        retirements = tuple(_retirements(self._evidence(context), context, goal))
        return SuggestedSegmentsResult(
            goal=goal,
            as_of=moment,
            proposals=rows,
            toml="\n".join(self._toml(row, place, context.config) for place, row in enumerate(proposals, start=1)),
            retirements=retirements,
            sentence=_sentence(proposals, retirements, goal, known, self.response),
            assumptions=tuple(self._assumptions(goal)),
            since=self.since,
            until=self.until,
        )

    # What is known of entries

    def _looked_at(self, taxonomy: Taxonomy) -> list[str]:
        """Return the entries up to the sale but for the goal, in the order of the journey."""
        goal = self.goal_in(taxonomy)
        counted = sorted({entry.counts_as for entry in taxonomy.entries}, key=taxonomy.rank)
        entries = (taxonomy.entry(each) for each in counted if each != goal)
        return [each.id for each in entries if each.kind != "macro" and each.stage != "post_sale"]

    def _milestones(self, taxonomy: Taxonomy) -> list[str]:
        """Return the milestones before the goal, in the order of the journey."""
        last = taxonomy.rank(self.goal_in(taxonomy))
        return [
            each
            for each in self._looked_at(taxonomy)
            if taxonomy.entry(each).kind == "milestone"
            and not taxonomy.entry(each).is_hesitation
            and taxonomy.rank(each) < last
        ]

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

    def _momentum(self, context: Context) -> tuple[int | None, dict[str, MomentumState]]:
        """Return after how many days of silence actors are stalled, and the states."""
        import pyarrow as pa

        asked = Momentum(goal=self.goal, since=self.since, until=self.until)
        (query,) = asked.queries(context)
        rows = context.look_up(query)
        states = asked.result((pa.Table.from_pylist(rows),), context).states
        return rows[0]["usual_pause_days"] if rows else None, {each.state: each for each in states}

    def _thresholds(self, context: Context) -> ThresholdsResult:
        import pyarrow as pa

        asked = Thresholds(goal=self.goal, since=self.since, until=self.until)
        (query,) = asked.queries(context)
        return asked.result((pa.Table.from_pylist(context.look_up(query)),), context)

    def _hesitation(self, context: Context) -> HesitationResult:
        import pyarrow as pa

        asked = Hesitation(since=self.since, until=self.until)
        (query,) = asked.queries(context)
        return asked.result((pa.Table.from_pylist(context.look_up(query)),), context)

    # From there to segments

    def _drafts(self, context: Context) -> list[_Draft]:
        """Return the segments to count, without those that the configuration has already."""
        if context.latest_event_at is None:
            return []
        taxonomy, goal = context.taxonomy, self.goal_in(context.taxonomy)
        evidence, followed = self._evidence(context), self._followed(context)
        drafts = [
            *self._of_milestones(taxonomy, goal, evidence, followed),
            *self._of_signals(taxonomy, goal, evidence, followed),
            *self._of_thresholds(context, goal),
            *self._of_hesitation(context, goal, evidence, followed),
            *self._of_momentum(context, goal),
            *self._of_propensity(context, goal),
        ]
        taken = {each.name for each in context.config.segments}
        rules = [each.rule.model_dump_json() for each in context.config.segments]
        named = []
        for draft in drafts:
            if draft.rule.model_dump_json() not in rules:
                name = _free_name(draft.name, taken)
                taken.add(name)
                named.append(replace(draft, name=name))
        return named

    def _of_milestones(
        self, taxonomy: Taxonomy, goal: str, evidence: Mapping[str, Evidence], followed: Mapping[str, Followed]
    ) -> Iterator[_Draft]:
        """Yield those who came as far as a milestone and no further."""
        milestones = self._milestones(taxonomy)
        for place, entry in enumerate(milestones):
            further = [*milestones[place + 1 :], goal]
            rule = SegmentRule.model_validate({"did": entry, "within": str(self.within), "not_did": further})
            said = evidence[entry].in_words(goal) if entry in evidence else "its ratio is not known"
            yield self._draft(
                f"{entry}_no_further", rule, f"came as far as {entry} and no further; {said}", followed[entry], goal
            )

    def _of_signals(
        self, taxonomy: Taxonomy, goal: str, evidence: Mapping[str, Evidence], followed: Mapping[str, Followed]
    ) -> Iterator[_Draft]:
        """Yield, for what goes with the goal most: who did it without the goal, and who could be invited to it."""
        found = [
            each
            for entry, each in evidence.items()
            if each.is_signal and taxonomy.entry(entry).kind == "secondary" and not taxonomy.entry(entry).is_hesitation
        ]
        found.sort(key=lambda each: (-(each.shrunken or 0.0), taxonomy.rank(each.entry)))
        # Two entries with the same figures are one act that is called two names.
        found = list({each.banded: each for each in reversed(found)}.values())[::-1]
        start = self._start(taxonomy, evidence)
        for each in found[:_MOST_SIGNALS]:
            entry, within = each.entry, str(self.within)
            rule = {"did": entry, "within": within, "not_did": goal}
            yield self._draft(
                f"{entry}_without_{goal}",
                SegmentRule.model_validate(rule),
                f"did {entry} and not {goal} after it; {each.in_words(goal)}",
                followed[entry],
                goal,
            )
            if start is None or not _can_be_invited_to(taxonomy, entry):
                continue
            yield self._draft(
                f"invite_to_{entry}",
                SegmentRule.model_validate(
                    {
                        "all": [
                            {"did": start, "within": within, "not_did": goal},
                            {"not": {"did": entry, "within": _LONG_AGO}},
                        ]
                    }
                ),
                f"did {start} and has not done {entry} yet; {each.in_words(goal)}",
                followed[entry],
                goal,
                extra=each,
            )

    def _start(self, taxonomy: Taxonomy, evidence: Mapping[str, Evidence]) -> str | None:
        """Return the first milestone on the way to the goal that anybody did."""
        milestones = self._milestones(taxonomy)
        return next((each for each in milestones if each in evidence and evidence[each].banded.exposed), None)

    def _of_hesitation(
        self, context: Context, goal: str, evidence: Mapping[str, Evidence], followed: Mapping[str, Followed]
    ) -> Iterator[_Draft]:
        """Yield those who wavered, by the hesitation that happens most between two mindsets."""
        result = self._hesitation(context)
        largest: dict[str, Any] = {}
        for row in result.transitions:
            if row.micro_conversion not in largest or row.occurrences > largest[row.micro_conversion].occurrences:
                largest[row.micro_conversion] = row
        for entry, row in sorted(largest.items(), key=lambda each: (-each[1].occurrences, each[0])):
            if entry not in followed or entry == goal:
                continue
            rule = SegmentRule.model_validate({"did": entry, "within": str(self.within), "not_did": goal})
            said = evidence[entry].in_words(goal) if entry in evidence else "its ratio is not known"
            yield self._draft(
                f"{entry}_without_{goal}",
                rule,
                f"wavered ({entry}), most often between {row.from_mindset} and {row.to_mindset}; {said}",
                followed[entry],
                goal,
            )

    def _of_thresholds(self, context: Context, goal: str) -> Iterator[_Draft]:
        """Yield, for entries of which a number matters: who did it so often, and who is short of it by one."""
        result = self._thresholds(context)
        named: set[str] = set()
        for row in result.thresholds:
            times = row.times
            if row.says != THRESHOLD or times is None or row.counted in named:
                continue
            below, above = _around(row, times, result)
            apart = newcombe(*reversed(above), *reversed(below)) if above[0] and below[0] else None
            share = wilson(above[1], above[0]) if above[0] else None
            if not _is_entry(row.counted, context.taxonomy) or apart is None or share is None or apart.low <= 0:
                continue
            named.add(row.counted)
            within, entry = str(self.within), row.counted
            enough = {"did": entry, "at_least": times, "within": within, "not_did": goal}
            short = {"did": entry, "at_least": times - 1, "within": within, "not_did": goal}
            said = (
                f"from {times} times within {row.landmark} on, {wording.share(row.rate_from)} reach {goal} in the week "
                f"after, and {wording.share(row.rate_below)} below; not proof that doing it once more causes it"
            )
            rate, lower = above[1] / above[0], below[1] / below[0]
            yield _Draft(
                f"{entry}_{times}_times_without_{goal}",
                SegmentRule.model_validate(enough),
                f"did {entry} {times} times or more, and not {goal} after it; {said}",
                rate,
                share.low,
                share.high,
            )
            yield _Draft(
                f"{entry}_one_short_of_{times}",
                SegmentRule.model_validate(
                    {"all": [short, {"not": {"did": entry, "at_least": times, "within": within}}]}
                ),
                f"did {entry} {wording.plural(times - 1, 'time')}, and not {goal} after it; {said}",
                rate - lower,
                apart.low,
                apart.high,
            )

    def _of_momentum(self, context: Context, goal: str) -> Iterator[_Draft]:
        """Yield those who came to a milestone and have been silent for longer than people usually are."""
        pause, states = self._momentum(context)
        milestones = self._milestones(context.taxonomy)
        if not pause or not milestones:
            return
        rule = SegmentRule.model_validate(
            {
                "all": [
                    {"lapsed": milestones, "of": ANYTHING, "for": f"{pause}d"},
                    {"not": {"did": goal, "within": _LONG_AGO}},
                ]
            }
        )
        steady, stalled = states["steady"], states["stalled"]
        if steady.rate is None or stalled.rate is None or not steady.observed or not stalled.observed:
            return
        apart = newcombe(steady.conversions or 0, steady.observed, stalled.conversions or 0, stalled.observed)
        if apart is None or apart.low <= 0:  # then nothing says that coming back brings anything
            return
        why = (
            f"came to a milestone, and did not come at all for {wording.plural(pause, 'day')} since; "
            f"{wording.share(stalled.rate)} of the stalled reach {goal} in a week, and {wording.share(steady.rate)} "
            "of the steady; not proof that bringing them back makes them steady"
        )
        yield _Draft(f"stalled_before_{goal}", rule, why, steady.rate - stalled.rate, apart.low, apart.high)

    def _of_propensity(self, context: Context, goal: str) -> Iterator[_Draft]:
        """Yield the actors with the largest chances, where scores may be used.

        What a response of theirs brings is not told: who comes is likely to have come anyway.
        """
        if context.open_engine is None:
            return
        rule = SegmentRule.model_validate({"propensity": "9..10", "goal": goal})
        try:
            check_asked(context, rule, context.latest_event_at)
        except (SourceError, FindingsError):  # nothing scored, or nothing that may be used: `propensity` says so
            return
        why = (
            f"has one of the largest fifth of chances to reach {goal} (`microconv propensity show`); many would come "
            "anyway, so it is not told what more a response brings"
        )
        yield _Draft(f"likely_to_{goal}", rule, why, None, None, None)

    def _draft(
        self, name: str, rule: SegmentRule, why: str, followed: Followed, goal: str, *, extra: Evidence | None = None
    ) -> _Draft:
        """Return a segment with what each member who responds brings, before the discount."""
        number, reached = float(followed.actors.sum()), float(followed.at(goal).sum())
        if number < _FEWEST_REACHED or reached < _FEWEST_REACHED:
            return _Draft(name, rule, why, None, None, None)
        weights = resampling()
        rates = (weights @ followed.at(goal)) / (weights @ followed.actors).clip(min=1)
        kept, drawn = beyond(extra.banded if extra else None, reached / number, rates)
        low, high = ends(rates * drawn)
        return _Draft(name, rule, why, reached / number * kept, low, high, "adjusted" if extra else "observed")

    # What is printed

    def _asked(self, draft: _Draft) -> Segment:
        return Segment(name=draft.name, rule=draft.rule)

    def _proposal(self, draft: _Draft, size: int, actors: int) -> SegmentProposal:
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
            rule=rule_as_toml(draft.rule.model_dump(mode="json")),
        )

    def _toml(self, row: SegmentProposal, place: int, config: Config) -> str:
        kinds = [f"{each.name} ({each.kind})" for each in config.destinations]
        where = (
            f"configured: {wording.listed(kinds)}"
            if kinds
            else 'an example: needs [[destinations]] with name = "mails" and kind = "webhook"'
        )
        names = [each.name for each in config.destinations] or ["mails"]
        expected = (
            f"{wording.decimal(row.expected)} more{between(row.low, row.high, wording.decimal)}"
            if row.expected is not None
            else "not told"
        )
        lines = [
            "[[segments]]",
            f"# {row.why}",
            f"# {wording.plural(row.members, 'member')}; if {wording.share(self.response)} respond: {expected}",
            f"name = {rule_as_toml(row.segment)}",
            f"rule = {row.rule}",
            '# route = "suggested" # nobody is in two segments of one route',
            f"# priority = {place}",
            f"# destinations = {rule_as_toml(names)} # {where}",
        ]
        return "\n".join(lines) + "\n"

    def _assumptions(self, goal: str) -> Iterator[str]:
        yield (
            f"Expected more: that {wording.share(self.response)} of the members respond (--response) is assumed. Those "
            f"brought back go on to {goal} like those who did the same before; those who are invited, as far as "
            "those who did it went beyond what like actors did anyway, and beyond what a small step picked by chance "
            "shows; those one short of a number, as far as those who did it so often went beyond the others. It is "
            f"times {DISCOUNTS['observed']} where the evidence is observed, and times {DISCOUNTS['adjusted']} where "
            "it is adjusted, which is a convention. An experiment tells."
        )
        yield (
            f"An entry is a signal if {goal} follows it over {NOTHING[1]} times as often as like actors reach it "
            "without, over what a small step picked by chance shows (microconv lift), by the whole interval and after "
            "a correction for all entries that were looked at (Benjamini and Yekutieli, 5%). What nearly all do who "
            "reach the goal is not a signal, nor is what a quarter of all actors do."
        )
        yield "Sizes are those of now, each segment by itself; members without consent are among them."
        yield (
            f"An entry predicts nothing if the whole 95% interval lies between {NOTHING[0]} and {NOTHING[1]}, with at"
            f" least {FEWEST_TO_RETIRE} actors. It is proposed for retirement if no funnel, segment, attribution, "
            "conversion, derived entry or `triggers` names it."
        )


def _is_entry(counted: str, taxonomy: Taxonomy) -> bool:
    """Whether one entry is counted, and not several together."""
    return counted in taxonomy.ids


def _around(row: CountThreshold, times: int, result: ThresholdsResult) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return actors, and how many of them reached the goal, below a number and from it on; of both halves."""
    below, above = [0, 0], [0, 0]
    for each in result.curves:
        if (each.counted, each.landmark) == (row.counted, row.landmark):
            side = above if int(each.times.split()[0]) >= times else below
            side[0] += each.actors
            side[1] += each.reached
    return (below[0], below[1]), (above[0], above[1])


def _can_be_invited_to(taxonomy: Taxonomy, entry: str) -> bool:
    """Whether people can do an entry of themselves before they decide: a single act, not what is seen from others."""
    asked = taxonomy.entry(entry)
    return asked.is_observed and asked.stage in ("awareness", "consideration")


def _free_name(name: str, taken: set[str]) -> str:
    """Return a name that no segment has."""
    names = (
        f"{name[: _LONGEST_NAME - 4]}{suffix}" for suffix in ("", *(f"_{each}" for each in range(2, len(taken) + 3)))
    )
    return next(each for each in names if each not in taken)


def _retirements(evidence: Mapping[str, Evidence], context: Context, goal: str) -> Iterator[Retirement]:
    taxonomy = context.taxonomy
    used = {goal, *(taxonomy.counted(entry) for entry, _ in context.config.named())}
    used |= {named for entry in taxonomy.entries if entry.derivation for _, named in entry.derivation.named()}
    for entry, each in evidence.items():
        kept = taxonomy.entry(entry)
        if entry in used or kept.is_retired or kept.triggers or kept.kind != "secondary" or not each.is_nothing:
            continue
        ratio = each.ratio
        assert ratio is not None  # noqa: S101 - `is_nothing` has one
        yield Retirement(
            entry,
            each.banded.exposed,
            ratio.ratio,
            ratio.low,
            ratio.high,
            f"{goal} follows it about as often as like actors reach it without, and nothing uses it",
        )


def _sentence(
    proposals: Sequence[SegmentProposal], retirements: Sequence[Retirement], goal: str, actors: int, response: float
) -> str:
    if not actors:
        return "Nothing is staged, so nothing can be proposed."
    retired = ""
    if retirements:
        names = wording.listed([each.entry for each in retirements])
        verb = "predicts" if len(retirements) == 1 else "predict"
        retired = f" {names} {verb} nothing, and nothing uses {'it' if len(retirements) == 1 else 'them'}: retire."
    if not proposals:
        return f"No segment of {FEWEST_MEMBERS} members or more follows from what the data say about {goal}.{retired}"
    first = proposals[0]
    expected = (
        f"; if {wording.share(response)} respond, expect {wording.decimal(first.expected)} more to reach {goal}"
        f"{between(first.low, first.high, wording.decimal)}, discounted since it is {first.tier}"
        if first.expected is not None
        else ""
    )
    return (
        f"{wording.plural(len(proposals), 'segment')} to build for {goal}, {first.segment} first: "
        f"{wording.plural(first.members, 'member')}{expected}.{retired}"
    )
