"""Segments that the data suggest, before they are counted: whom, why, and what a response of theirs brings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from microconv import wording
from microconv.analyses.hesitation import NOTHING_BEFORE, Hesitation
from microconv.analyses.insight.combinations import MORE, Combinations
from microconv.analyses.insight.evidence import Evidence, Tier
from microconv.analyses.insight.goals import can_be_invited_to
from microconv.analyses.insight.momentum import Momentum
from microconv.analyses.insight.onward_rates import Followed, beyond, ends, resampling
from microconv.analyses.insight.thresholds import THRESHOLD, CountThreshold, Thresholds, ThresholdsResult
from microconv.config.segment_rules import ANYTHING, SegmentRule
from microconv.errors import FindingsError, SourceError
from microconv.question import Context
from microconv.segments.propensity_rules import check_asked
from microconv.stats.intervals import newcombe, wilson

_FEWEST_REACHED = 10
_MOST_SIGNALS = 4
_MOST_COMBINATIONS = 3
_LONGEST_NAME = 100
_LONG_AGO = "365d"


@dataclass(frozen=True)
class Draft:
    """A segment before it is counted: what a member who responds brings, with its interval.

    `per_response` is how many more reach the goal for each member who responds, before any discount; None where that
    cannot be told.
    """

    name: str
    rule: SegmentRule
    why: str
    per_response: float | None
    low: float | None
    high: float | None
    tier: Tier = "observed"


@dataclass(frozen=True)
class Drafts:
    """What segments are made of.

    Attributes:
        context: The engine to look things up in, the taxonomy, and the segments that are configured already.
        goal: What members should reach.
        within: How long ago members did what they are chosen for, at most, such as `14d`.
        milestones: Those before the goal, in the order of the journey.
        evidence: What each entry goes with.
        followed: How many who did each entry reached the goal after it.
        since: The first of the days that evidence is taken from; None from the beginning.
        until: The last of them; None to the end.
    """

    context: Context
    goal: str
    within: str
    milestones: list[str]
    evidence: Mapping[str, Evidence]
    followed: Mapping[str, Followed]
    since: date | None
    until: date | None

    def new(self) -> list[Draft]:
        """Return the segments to count, without those that the configuration has already, under names of their own."""
        configured = self.context.config.segments
        taken = {each.name for each in configured}
        rules = [each.rule.model_dump_json() for each in configured]
        named = []
        for draft in self._all():
            if draft.rule.model_dump_json() not in rules:
                name = _free_name(draft.name, taken)
                taken.add(name)
                named.append(replace(draft, name=name))
        return named

    def _all(self) -> Iterator[Draft]:
        yield from self._of_milestones()
        yield from self._of_signals()
        yield from self._of_thresholds()
        yield from self._of_combinations()
        yield from self._of_hesitation()
        yield from self._of_momentum()
        yield from self._of_propensity()

    def _of_milestones(self) -> Iterator[Draft]:
        """Yield those who came as far as a milestone and no further."""
        for place, entry in enumerate(self.milestones):
            yield self._draft(
                f"{entry}_no_further",
                {"did": entry, "within": self.within, "not_did": [*self.milestones[place + 1 :], self.goal]},
                f"came as far as {entry} and no further; {self._said_of(entry)}",
                entry,
            )

    def _of_signals(self) -> Iterator[Draft]:
        """Yield, for what goes with the goal most: who did it without the goal, and who could be invited to it."""
        taxonomy = self.context.taxonomy
        found = [
            each
            for entry, each in self.evidence.items()
            if each.is_signal and taxonomy.entry(entry).kind == "secondary" and not taxonomy.entry(entry).is_hesitation
        ]
        found.sort(key=lambda each: (-(each.shrunken or 0.0), taxonomy.rank(each.entry)))
        # Two entries with the same figures are one act that is called two names.
        found = list({each.banded: each for each in reversed(found)}.values())[::-1]
        start = self._start()
        for each in found[:_MOST_SIGNALS]:
            entry = each.entry
            yield self._draft(
                f"{entry}_without_{self.goal}",
                self._did(entry),
                f"did {entry} and not {self.goal} after it; {self._said_of(entry)}",
                entry,
            )
            if start is not None and can_be_invited_to(entry, taxonomy):
                yield self._draft(
                    f"invite_to_{entry}",
                    {"all": [self._did(start), {"not": {"did": entry, "within": _LONG_AGO}}]},
                    f"did {start} and has not done {entry} yet; {self._said_of(entry)}",
                    entry,
                    extra=each,
                )

    def _start(self) -> str | None:
        """Return the first milestone on the way to the goal that anybody did."""
        known = (each for each in self.milestones if each in self.evidence)
        return next((each for each in known if self.evidence[each].banded.exposed), None)

    def _of_thresholds(self) -> Iterator[Draft]:
        """Yield, for entries of which a number matters: who did it so often, and who is short of it by one."""
        asked = Thresholds(goal=self.goal, since=self.since, until=self.until)
        result = asked.result(self.context.tables_of(asked), self.context)
        named: set[str] = set()
        for row in result.thresholds:
            times = row.times
            if row.says != THRESHOLD or times is None or row.counted in named:
                continue
            below, above = _around(row, times, result)
            apart = newcombe(*reversed(above), *reversed(below)) if above[0] and below[0] else None
            share = wilson(above[1], above[0]) if above[0] else None
            # What is counted may be several entries together.
            if row.counted not in self.context.taxonomy.ids or apart is None or share is None or apart.low <= 0:
                continue
            named.add(row.counted)
            entry = row.counted
            often = {"did": entry, "at_least": times, "within": self.within}
            said = (
                f"from {times} times within {row.landmark} of the first session on, "
                f"{wording.fine_share(row.rate_from)} reach {self.goal} in the week after, and "
                f"{wording.fine_share(row.rate_below)} below, while the rule counts over {self.within}; not proof that "
                "doing it once more causes it"
            )
            rate, lower = above[1] / above[0], below[1] / below[0]
            yield Draft(
                f"{entry}_{times}_times_without_{self.goal}",
                SegmentRule.model_validate({**often, "not_did": self.goal}),
                f"did {entry} {times} times or more, and not {self.goal} after it; {said}",
                rate,
                share.low,
                share.high,
            )
            yield Draft(
                f"{entry}_one_short_of_{times}",
                SegmentRule.model_validate(
                    {"all": [{**often, "at_least": times - 1, "not_did": self.goal}, {"not": often}]}
                ),
                f"did {entry} {wording.plural(times - 1, 'time')}, and not {self.goal} after it; {said}",
                rate - lower,
                apart.low,
                apart.high,
            )

    def _of_combinations(self) -> Iterator[Draft]:
        """Yield, for pairs that do more than their parts: who did both, and who did one and could be invited to both.

        What an invitation brings is the rate of those who did both, less all that can be expected without.
        """
        asked = Combinations(goal=self.goal, since=self.since, until=self.until)
        for row in asked.result(self.context.tables_of(asked), self.context).combinations[:_MOST_COMBINATIONS]:
            share = wilson(row.reached, row.actors)
            if row.says != MORE or share is None or row.rate is None or row.expected is None:
                continue
            low, high = row.low or 1.0, row.high or 1.0
            said = (
                f"{wording.fine_share(row.rate)} of those who did both within {row.landmark} of the first session "
                f"reach {self.goal} in the week after, and {wording.fine_share(row.expected)} would be expected from "
                f"{row.against}, while the rule counts over {self.within}; not proof that doing both causes it"
            )
            yield Draft(
                f"{'_and_'.join(row.entries)}_without_{self.goal}",
                SegmentRule.model_validate({"all": [self._did(each) for each in row.entries]}),
                f"did {wording.listed(row.entries)}, and not {self.goal} after them; {said}",
                row.rate,
                share.low,
                share.high,
            )
            if all(can_be_invited_to(each, self.context.taxonomy) for each in row.entries):
                both = {"all": [{"did": each, "within": _LONG_AGO} for each in row.entries]}
                yield Draft(
                    f"{'_or_'.join(row.entries)}_not_both",
                    SegmentRule.model_validate({"all": [self._did(list(row.entries)), {"not": both}]}),
                    f"did one of {wording.listed(row.entries)}, and not {self.goal} after it; {said}",
                    row.rate - row.expected,
                    row.expected * (low - 1),
                    min(row.expected * (high - 1), 1.0),
                )

    def _of_hesitation(self) -> Iterator[Draft]:
        """Yield those who wavered, by the hesitation that happens most between two mindsets."""
        asked = Hesitation(since=self.since, until=self.until)
        largest: dict[str, Any] = {}
        for row in asked.result(self.context.tables_of(asked), self.context).transitions:
            if row.micro_conversion not in largest or row.occurrences > largest[row.micro_conversion].occurrences:
                largest[row.micro_conversion] = row
        for entry, row in sorted(largest.items(), key=lambda each: (-each[1].occurrences, each[0])):
            if entry in self.followed and entry != self.goal:
                yield self._draft(
                    f"{entry}_without_{self.goal}",
                    self._did(entry),
                    f"wavered ({entry}), {_when(row.from_mindset)}; {self._said_of(entry)}",
                    entry,
                )

    def _of_momentum(self) -> Iterator[Draft]:
        """Yield those who came to a milestone and have been silent for longer than people usually are."""
        asked = Momentum(goal=self.goal, since=self.since, until=self.until)
        (table,) = tables = self.context.tables_of(asked)
        pause = table.column("usual_pause_days")[0].as_py() if table.num_rows else None
        if not pause or not self.milestones:
            return
        rule = SegmentRule.model_validate(
            {
                "all": [
                    {"lapsed": self.milestones, "of": ANYTHING, "for": f"{pause}d"},
                    {"not": {"did": self.goal, "within": _LONG_AGO}},
                ]
            }
        )
        states = {each.state: each for each in asked.result(tables, self.context).states}
        steady, stalled = states["steady"], states["stalled"]
        if steady.rate is None or stalled.rate is None or not steady.observed or not stalled.observed:
            return
        apart = newcombe(steady.conversions or 0, steady.observed, stalled.conversions or 0, stalled.observed)
        if apart is None or apart.low <= 0:  # then nothing says that coming back brings anything
            return
        why = (
            f"came to a milestone, and did not come at all for {wording.plural(pause, 'day')} since; "
            f"{wording.share(stalled.rate)} of the stalled reach {self.goal} in a week, and "
            f"{wording.share(steady.rate)} of the steady; not proof that bringing them back makes them steady"
        )
        yield Draft(f"stalled_before_{self.goal}", rule, why, steady.rate - stalled.rate, apart.low, apart.high)

    def _of_propensity(self) -> Iterator[Draft]:
        """Yield the actors with the largest chances, where scores may be used.

        What a response of theirs brings is not told: who comes is likely to have come anyway.
        """
        if self.context.open_engine is None:
            return
        rule = SegmentRule.model_validate({"propensity": "9..10", "goal": self.goal})
        try:
            check_asked(self.context, rule, self.context.latest_event_at)
        except (SourceError, FindingsError):  # nothing scored, or nothing that may be used: `propensity` says so
            return
        why = (
            f"has one of the largest fifth of chances to reach {self.goal} (`microconv propensity show`); many would "
            "come anyway, so it is not told what more a response brings"
        )
        yield Draft(f"likely_to_{self.goal}", rule, why, None, None, None)

    def _did(self, entries: str | list[str]) -> dict[str, Any]:
        """Return the rule of who did one of these, and not the goal after it."""
        return {"did": entries, "within": self.within, "not_did": self.goal}

    def _said_of(self, entry: str) -> str:
        return self.evidence[entry].in_words(self.goal) if entry in self.evidence else "its ratio is not known"

    def _draft(
        self, name: str, rule: Mapping[str, Any], why: str, entry: str, *, extra: Evidence | None = None
    ) -> Draft:
        """Return a segment of who did an entry, with what each member who responds brings."""
        followed, checked = self.followed[entry], SegmentRule.model_validate(rule)
        number, reached = float(followed.actors.sum()), float(followed.at(self.goal).sum())
        if number < _FEWEST_REACHED or reached < _FEWEST_REACHED:
            return Draft(name, checked, why, None, None, None)
        weights = resampling()
        rates = (weights @ followed.at(self.goal)) / (weights @ followed.actors).clip(min=1)
        kept, drawn = beyond(extra.banded if extra else None, reached / number, rates)
        low, high = ends(rates * drawn)
        return Draft(name, checked, why, reached / number * kept, low, high, "adjusted" if extra else "observed")


def _when(mindset: str) -> str:
    """Say after what people waver most: the mindset of the act before."""
    if mindset == NOTHING_BEFORE:
        return "most often with no act before it"
    return f"most often when the act before it showed {mindset}"


def _around(row: CountThreshold, times: int, result: ThresholdsResult) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return actors, and how many of them reached the goal, below a number and from it on; of both halves."""
    below, above = [0, 0], [0, 0]
    for each in result.curves:
        if (each.counted, each.landmark) == (row.counted, row.landmark):
            side = above if int(each.times.split()[0]) >= times else below
            side[0] += each.actors
            side[1] += each.reached
    return (below[0], below[1]), (above[0], above[1])


def _free_name(name: str, taken: set[str]) -> str:
    """Return a name that no segment has."""
    names = (
        f"{name[: _LONGEST_NAME - 4]}{suffix}" for suffix in ("", *(f"_{each}" for each in range(2, len(taken) + 3)))
    )
    return next(each for each in names if each not in taken)
