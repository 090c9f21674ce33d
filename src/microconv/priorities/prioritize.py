"""What to do first: the ideas that the data propose and one's own, ranked by impact, confidence, risk and effort."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from microconv import wording
from microconv.analyses.amounts import Amount
from microconv.analyses.insight.buyers import ACTOR_GROUPS, BuyerQuestion, staged_days
from microconv.analyses.insight.entry_lift import EntryLift
from microconv.analyses.insight.evidence import DISCOUNTS, is_nothing, unused
from microconv.analyses.insight.goals import can_be_invited_to, milestones_before, steps_up_to
from microconv.analyses.insight.lift import Lift
from microconv.analyses.insight.onward_rates import Followed, ends
from microconv.analyses.insight.tested_entries import ExperimentRecord, records, shown_by_experiments
from microconv.audit.audit_tables import AUDIT_RUNS
from microconv.audit.kept_findings import Memory
from microconv.config.priority_settings import IdeaConfig
from microconv.errors import ConfigError
from microconv.guardrails.ethics import ethics_result
from microconv.guardrails.guardrails_question import guardrail_state
from microconv.priorities.ideas import Idea, improvements, own_idea, promotions, scaled
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, Option
from microconv.result import Result, column, sheet
from microconv.stats.ranks import Rank, in_order, ranks
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

PERIOD_DAYS = 28
"""What ideas bring is told for so many days."""
_FEWEST_DAYS = 14
"""Days below which what ideas bring in a month is said to rest on few."""
_STILL_GOING = timedelta(days=7)
_MOST_FAULTS = 10
_SHORT = 10


def _signed(value: float | None) -> str:
    return wording.NOTHING if value is None else f"{value:+,.1f}"


@dataclass(frozen=True)
class Priority:
    """An idea in its place.

    Attributes:
        place: In which order to do it: dependencies come first.
        rank: Its rank by score; None where nothing is scored.
        rank_low: The best rank that it may have (90% of draws), `rank_high` the worst.
        idea: Its id.
        kind: improve, promote, test, fix, retire or own.
        what: What to do.
        goals: How many more actors reach the goal in 28 days, before any discount; `low` to `high` is its 95% interval.
        value: What these are worth, in the project's currency.
        tier: The evidence.
        confidence: How far it is believed (0 to 1): the tier's discount, times support, times steadiness.
        effort: Days of work.
        risk: How much of what it brings is taken off for the trust that it may cost (0 to 1).
        score: Goals (or value, where all have some) times confidence, less risk, by day of work.
        after: Ids of the ideas that must come first.
        says: What else there is to say.
        see_also: The command that looks closer at what it rests on.
    """

    place: int = column("order", wording.count)
    rank: int | None = column("rank", wording.count)
    rank_low: int | None = column("rank from", wording.count)
    rank_high: int | None = column("rank to", wording.count)
    idea: str = column("idea", is_whole=True)
    kind: str = column("kind")
    what: str = column("what to do")
    goals: float | None = column("more goals", _signed)
    low: float | None = column("from", _signed)
    high: float | None = column("to", _signed)
    value: float | None = column("worth", wording.cents)
    tier: str = column("evidence")
    confidence: float | None = column("confidence", wording.cents)
    effort: float = column("days of work", wording.decimal)
    risk: float = column("risk", wording.cents)
    score: float | None = column("score", wording.cents)
    after: str = column("after")
    says: str = column("says")
    see_also: str = column("see also")


@dataclass(frozen=True)
class PrioritiesResult(Result):
    """Ideas in the order in which to do them; what brings nothing that can be told comes last."""

    row_type: ClassVar[type] = Priority

    goal: str
    currency: str
    scored_by: str
    priorities: tuple[Priority, ...]
    amounts: tuple[Amount, ...]
    sentence: str
    assumptions: tuple[str, ...]
    since: date | None = None
    until: date | None = None

    @property
    def rows(self) -> tuple[Priority, ...]:
        """The ideas."""
        return self.priorities

    def sheets(self) -> Iterator[Sheet | str]:
        """Show what to do in order, then what the order rests on."""
        yield sheet(
            "What to do first",
            self.priorities,
            Priority,
            only=(
                *("place", "idea", "what", "rank", "rank_low", "rank_high"),
                *(("after",) if any(row.after for row in self.priorities) else ()),
                "says",
            ),
        )
        scored = [row for row in self.priorities if row.goals is not None]
        yield sheet(
            f"What that rests on: more actors who reach {self.goal} in {PERIOD_DAYS} days, worth in {self.currency}",
            scored,
            Priority,
            only=(
                *("idea", "goals", "low", "high"),
                *(("value",) if any(row.value for row in scored) else ()),
                *("tier", "confidence", "effort", "risk", "score", "see_also"),
            ),
        )

    def bars(self) -> tuple[Bar, ...]:
        """One bar per idea that has a score."""
        return tuple(
            Bar(row.idea, row.score, f"{wording.cents(row.score)} (rank {row.rank_low} to {row.rank_high})")
            for row in self.priorities
            if row.score is not None and row.score >= 0
        )


class Prioritize(BuyerQuestion):
    """Say what to do first: improve a step, test or promote an entry, mend the tracking, retire what says nothing.

    Ideas come from lift, onward rates and the audit, and from [[prioritize.ideas]]. Each is weighed by what it brings
    in 28 days, discounted by the evidence, less the risk to trust, by day of work; ranks come with intervals.
    """

    options: ClassVar[Mapping[str, Option]] = {**BuyerQuestion.options}
    examples: ClassVar[tuple[str, ...]] = ("prioritize", "prioritize --goal purchase --format csv")

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return those of lift, then two of what follows entries, then that of amounts by currency."""
        taxonomy, goal = context.taxonomy, self.goal_in(context.taxonomy)
        amounts = self.amounts_query(context)
        return (
            *self._lift.queries(context),
            self._onward(context, self._entries(taxonomy), steps_up_to(goal, taxonomy)),
            self._onward(context, milestones_before(goal, taxonomy), self._invitations(taxonomy)),
            *((amounts,) if amounts is not None else ()),
        )

    def result(self, tables: Sequence[pa.Table], context: Context) -> PrioritiesResult:
        """Make ideas of what is known, weigh them, and put them in order."""
        taxonomy, config = context.taxonomy, context.config
        goal = self.goal_in(taxonomy)
        split = len(self._lift.queries(context))
        has_amounts = self.amounts_query(context) is not None
        amounts = self.amounts(tables[-1] if has_amounts else None, context)
        lifts = self._lift.result(tables[:split], context).lifts
        followed = _followed([*tables[split].to_pylist(), *tables[split + 1].to_pylist()], goal)
        ideas = [
            *self._proposed(lifts, followed, context),
            *self._own(lifts, followed, context),
            *_faults(context, config.prioritize.ideas),
        ]
        first, last = staged_days(context)
        days = max((min(self.until or last, last) - max(self.since or first, first)).days + 1, 1)
        rows, scored_by = _weighed(ideas, context, goal, PERIOD_DAYS / days)
        return PrioritiesResult(
            goal=goal,
            currency=config.project.currency,
            scored_by=scored_by,
            priorities=rows,
            amounts=amounts,
            sentence=_sentence(rows, goal, config.prioritize.response, days),
            assumptions=(*self._assumptions(context, goal, scored_by, days), *self.of_value(context, amounts)),
            since=self.since,
            until=self.until,
        )

    @property
    def _lift(self) -> Lift:
        return Lift(goal=self.goal, since=self.since, until=self.until)

    def _entries(self, taxonomy: Taxonomy) -> list[str]:
        goal = self.goal_in(taxonomy)
        return [
            each
            for each in sorted({entry.counts_as for entry in taxonomy.staged}, key=taxonomy.rank)
            if each != goal and taxonomy.entry(each).kind != "macro"
        ]

    def _invitations(self, taxonomy: Taxonomy) -> list[str]:
        return [each for each in self._entries(taxonomy) if can_be_invited_to(each, taxonomy)]

    def _onward(self, context: Context, entries: Sequence[str], steps: Sequence[str]) -> Query:
        params = {
            **{key: value for key, value in self.purchases(context).items() if key not in ("end_date", "until_date")},
            "entries": list(entries),
            "steps": list(steps),
            "end_at": context.latest_event_at or templates.EXAMPLE_MOMENT,
            "actor_groups": ACTOR_GROUPS,
        }
        return templates.query("analyses/insight/onward", params=params)

    def _proposed(
        self, lifts: Sequence[EntryLift], followed: Mapping[str, Followed], context: Context
    ) -> Iterator[Idea]:
        taxonomy, goal = context.taxonomy, self.goal_in(context.taxonomy)
        response, milestones = context.config.prioritize.response, milestones_before(goal, taxonomy)
        yield from improvements(milestones, followed, goal, response)
        start = next((each for each in milestones if each in followed), None)
        invitable = [row for row in lifts if can_be_invited_to(row.micro_conversion, taxonomy)]
        yield from promotions(invitable, start, followed, goal, response, tested=self._tested(context))
        yield from _retirements(lifts, context, goal)

    def _own(self, lifts: Sequence[EntryLift], followed: Mapping[str, Followed], context: Context) -> Iterator[Idea]:
        taxonomy, goal = context.taxonomy, self.goal_in(context.taxonomy)
        by_entry, tested = {row.micro_conversion: row for row in lifts}, self._tested(context)
        for each in context.config.prioritize.ideas:
            if each.entry is None or each.more is None:
                continue
            entry = taxonomy.counted(each.entry)
            if entry not in followed:
                says = f"{entry} does not come before {goal}"
                yield Idea(each.id, "own", each.what or f"More {entry}.", (entry,), "what-if", says=says)
                continue
            yield own_idea(each, entry, by_entry.get(entry), followed[entry], goal, tested=tested.get(entry))

    def _tested(self, context: Context) -> dict[str, ExperimentRecord]:
        return shown_by_experiments(records(context.engine), self.goal_in(context.taxonomy))

    def _assumptions(self, context: Context, goal: str, scored_by: str, days: int) -> Iterator[str]:
        response = wording.share(context.config.prioritize.response)
        yield (
            f"improve: {response} of those who came to no later step get another chance as good as the first, and come "
            f"to {goal} at the rate of all who did the step. test, promote: {response} of those who did the first "
            "milestone and never the entry do it, and of them only those count who would not have come anyway: by what "
            "an experiment showed of those whom it made do it, else by the entry's ratio. own: so much more by people "
            f"who are here already. All of it is per {PERIOD_DAYS} days, at the rate of {wording.plural(days, 'day')}. "
            "Intervals take the responses as given. microconv what-if asks something else: what more people at a step "
            "would bring."
        )
        if days < _FEWEST_DAYS:
            yield (
                f"{wording.plural(days, 'day')} are few: who did something on the last of them had hardly any time to "
                f"come to {goal}, and {PERIOD_DAYS} days need not be like these."
            )
        yield (
            "What entries do only together, or only from a number of times on, is not looked at here: see microconv "
            "combinations and thresholds."
        )
        discounts = ", ".join(f"{tier} {value:g}" for tier, value in DISCOUNTS.items())
        yield (
            f"Confidence is the discount by evidence ({discounts}: a convention, no estimate), times n / (n + 20) for "
            "n goals behind it, times the share of weeks that agree. Score: what it brings "
            f"({scored_by}) x confidence x (1 - risk) / days of work."
        )
        yield (
            "Ranks are of scores; their interval holds 90% of the ranks when what is uncertain is drawn 1,000 times. "
            "Ideas whose intervals overlap are as good as tied: take the cheaper or the safer one."
        )
        yield (
            "A fault of the tracking brings nothing by itself: it stands before the first idea whose figures rest on "
            f"the entry that it touches; faults of {goal} touch all of them alike. {_of_audit(context)}"
        )
        risk, why = trust_at_risk(context)
        yield (
            f"Risk is that to trust: {risk:g} for what tries to make people do something ({why}). Responses, days of "
            "work and risks that nobody has estimated are usual ones: [prioritize] changes them."
        )


def _followed(rows: Sequence[Mapping[str, Any]], goal: str) -> dict[str, Followed]:
    """Return what follows each entry that anybody did."""
    by_entry: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_entry.setdefault(row["micro_conversion"], []).append(row)
    return {entry: Followed.read(of_entry, entry, goal) for entry, of_entry in by_entry.items()}


def _retirements(lifts: Sequence[EntryLift], context: Context, goal: str) -> Iterator[Idea]:
    """Yield entries that say nothing of the goal and that nothing uses."""
    may_go = unused(goal, context)
    for row in lifts:
        entry = row.micro_conversion
        if row.beyond is None or row.beyond_low is None or row.beyond_high is None or entry not in may_go:
            continue
        if is_nothing(row.exposed, row.beyond_low, row.beyond_high):
            what = (
                f"Retire {entry}: {goal} follows it about as often as like actors reach it without, beyond what any "
                f"small step shows ({wording.times(row.beyond_low)} to {wording.times(row.beyond_high)}), and nothing "
                "uses it."
            )
            yield Idea(f"retire:{entry}", "retire", what, (entry,), "suggest-segments")


def _faults(context: Context, known: Sequence[IdeaConfig]) -> Iterator[Idea]:
    """Yield faults that the last audit found, that still went on, and that touch macro-conversions, the most first."""
    moment = context.latest_event_at
    if moment is None:
        return
    named = {each.id for each in known}
    going = [
        each
        for each in Memory.read(context.engine).last
        if each.status in ("new", "still")
        and each.severity in ("error", "warning")
        and (each.last_date is None or each.last_date >= moment.date() - _STILL_GOING)
    ]
    going.sort(key=lambda each: (-each.at_stake, each.check, each.id))
    kept = [each for each in going if each.at_stake][:_MOST_FAULTS]
    kept += [each for each in going if f"fix:{each.id[:_SHORT]}" in named and each not in kept]
    for each in kept:
        yield Idea(
            f"fix:{each.id[:_SHORT]}",
            "fix",
            each.message,
            _touched(each.subject, context.taxonomy),
            f"audit show {each.check}",
            says=f"{wording.plural(each.at_stake, 'macro-conversion')} at stake" if each.at_stake else "",
        )


def _of_audit(context: Context) -> str:
    """Say which audit the faults are from."""
    moments = [each.audited_at for each in Memory.read(context.engine).last if each.audited_at is not None]
    if not moments and context.engine.version(AUDIT_RUNS.name) is None:
        return "None is named here, as no audit is kept: run microconv audit, and they stand here, too."
    if not moments:
        return "The last audit found none."
    return f"They are those of the audit of {wording.day(max(moments).date())}."


def _touched(subject: str, taxonomy: Taxonomy) -> tuple[str, ...]:
    """Return the entries whose figures a fault touches: the one it is about, or those made of that event."""
    return tuple(
        dict.fromkeys(entry.counts_as for entry in taxonomy.staged if subject in (entry.id, entry.name, *entry.events))
    )


def _weighed(ideas: Sequence[Idea], context: Context, goal: str, factor: float) -> tuple[tuple[Priority, ...], str]:
    """Return the ideas in their order, with their scores, and what these count."""
    import numpy as np

    settings = context.config.prioritize
    known = {each.id: each for each in settings.ideas}
    usual_risk, _ = trust_at_risk(context)
    ids = {each.id: place for place, each in enumerate(ideas)}
    _check_names(settings.ideas, ids)
    gains = [scaled(each, factor) for each in ideas]
    by_value = all(gain.value > 0 for gain in gains if gain is not None and gain.goals > 0) and any(gains)
    efforts, risks, afters = [], [], []
    for each in ideas:
        of_it = known.get(each.id)
        efforts.append(of_it.effort if of_it and of_it.effort else settings.days_of(each.kind))
        risks.append(of_it.risk if of_it and of_it.risk is not None else usual_risk * each.moves_people)
        afters.append([ids[name] for name in (of_it.after if of_it else ()) if name in ids])
    for place, each in enumerate(ideas):
        if each.gain is not None:
            afters[place] += [
                other
                for other, fault in enumerate(ideas)
                if fault.kind == "fix"
                and set(fault.entries) & set(each.entries) - {goal}
                and other not in afters[place]
            ]
    weights = [each.confidence * (1 - risk) / effort for each, risk, effort in zip(ideas, risks, efforts, strict=True)]
    scores = [
        -1.0 if gain is None else weight * (gain.value if by_value else gain.goals)
        for gain, weight in zip(gains, weights, strict=True)
    ]
    told = [place for place, gain in enumerate(gains) if gain is not None]
    drawn = (
        np.stack(
            [
                weights[place] * (gain.drawn_value if by_value else gain.drawn_goals)
                for place in told
                for gain in [gains[place]]
                if gain
            ],
            axis=1,
        )
        if told
        else np.zeros((1, 0))
    )
    found: dict[int, Rank] = dict(zip(told, ranks([scores[place] for place in told], drawn), strict=True))
    # What cannot be scored keeps its order behind what can: faults by what is at stake, then what is to be retired.
    unscored = {"fix": -1.0, "retire": -3.0}
    order_by = [
        scores[place] if gains[place] is not None else unscored.get(ideas[place].kind, -2.0)
        for place in range(len(ideas))
    ]
    rows = []
    for number, place in enumerate(in_order(order_by, afters), start=1):
        idea, gain, rank = ideas[place], gains[place], found.get(place)
        low, high = ends(gain.drawn_goals) if gain is not None else (None, None)
        rows.append(
            Priority(
                place=number,
                rank=rank.rank if rank else None,
                rank_low=rank.low if rank else None,
                rank_high=rank.high if rank else None,
                idea=idea.id,
                kind=idea.kind,
                what=known[idea.id].what or idea.what if idea.id in known else idea.what,
                goals=gain.goals if gain is not None else None,
                low=low,
                high=high,
                value=gain.value if gain is not None and gain.value else None,
                tier=idea.tier or "",
                confidence=idea.confidence if gain is not None else None,
                effort=efforts[place],
                risk=risks[place],
                score=scores[place] if gain is not None else None,
                after=", ".join(ideas[each].id for each in afters[place]),
                says=idea.says or _tied(place, found, ideas),
                see_also=f"microconv {idea.see_also}",
            )
        )
    return tuple(rows), f"value in {context.config.project.currency}" if by_value else "goals"


def _tied(place: int, found: Mapping[int, Rank], ideas: Sequence[Idea]) -> str:
    """Say with which better-ranked idea one is as good as tied."""
    mine = found.get(place)
    if mine is None or mine.rank == 1:
        return ""
    above = next(other for other, rank in found.items() if rank.rank == mine.rank - 1)
    return f"may as well come before {ideas[above].id}" if mine.low <= found[above].rank else ""


def trust_at_risk(context: Context) -> tuple[float, str]:
    """Return the usual risk of ideas that try to make people do something, by guardrails and ethics, and why.

    0 where all guardrails hold, 0.1 where there are none, 0.25 where one is close to its bound, 0.5 where one is
    breached or cannot be measured, or where a question of ethics is open.
    """
    moment = context.latest_event_at
    if moment is None:
        return 0.1, "nothing is staged"
    open_questions = [each for each in ethics_result(context.config, moment.date()).rows if each.is_open]
    if open_questions:
        return 0.5, f"{wording.plural(len(open_questions), 'question')} of ethics open"
    states = [guardrail_state(each.name, context, moment) for each in context.config.guardrails]
    if not states:
        return 0.1, "no guardrail is configured"
    stopping = [each.guardrail for each in states if each.stops]
    if stopping:
        return 0.5, f"not held or not measured: {wording.listed(stopping)}"
    close = [each.guardrail for each in states if each.state != "ok"]
    if close:
        return 0.25, f"close to the bound: {wording.listed(close)}"
    return 0.0, "all guardrails hold"


def _check_names(ideas: Sequence[IdeaConfig], ids: Mapping[str, int]) -> None:
    """Refuse what names an idea that is not there: a name that is mistyped would be ignored in silence."""
    from microconv.config.problems import nearest

    for each in ideas:
        for name in each.after:
            if name not in ids:
                raise ConfigError(
                    f'[[prioritize.ideas]] "{each.id}" comes after "{name}", which is not an idea'
                    f"{nearest(name, sorted(ids))}.",
                    hint="`microconv prioritize --format csv` lists the ids of those that the data propose.",
                )


def _sentence(rows: Sequence[Priority], goal: str, response: float, days: int) -> str:
    scored = sorted((row for row in rows if row.rank is not None), key=lambda row: row.rank or 0)
    if not scored:
        fixes = sum(row.kind == "fix" for row in rows)
        mend = f" {wording.plural(fixes, 'fault')} of the tracking to mend." if fixes else ""
        return f"Not enough data to say what would bring more actors to {goal}.{mend}"
    first = scored[0]
    tied = [row.idea for row in scored[1:] if (row.rank_low or 0) <= 1]
    between = f"{wording.decimal(first.low)} to {wording.decimal(first.high)}"
    condition = "" if first.kind == "own" else f"If {wording.share(response)} respond (assumed), it"
    few = f", extrapolated from {wording.plural(days, 'day')}" if days < _FEWEST_DAYS else ""
    said = (
        f"First: {first.idea}. {condition or 'It'} may bring {wording.decimal(first.goals)} more actors to {goal} in "
        f"{PERIOD_DAYS} days ({between}){few}, before the discount for {first.tier} evidence"
    )
    if tied:
        return f"{said}; as good as tied with {wording.listed(tied)}."
    return f"{said}."
