"""Which small steps go with more conversions: the rate ratio over time, how sure it is, and what it does not say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from microconv import wording
from microconv.analyses.insight.balances import ALIKE, EntryBalance, balance_query, read_balances
from microconv.analyses.insight.banded import (
    ACTIVITY_FROM,
    FEWEST_A_SIDE,
    FEWEST_TARGETS,
    LAG_SECONDS,
    PLACEBO,
    PLACEBOS,
    RECENCY,
    banded_query,
    read_banded,
    read_by_context,
    read_exposed,
    read_ratios,
)
from microconv.analyses.insight.buyers import not_enough
from microconv.analyses.insight.context_differences import ContextDifference, differences_between, in_words
from microconv.analyses.insight.entry_lift import (
    FEWER,
    MORE,
    ON_PATH,
    EntryEstimate,
    EntryLift,
    experimental,
    judged_rows,
    row_of,
    says_of,
)
from microconv.analyses.insight.evidence import LEVEL
from microconv.analyses.insight.goals import NEXT_STAGE, entries_before, next_stages, small_steps
from microconv.analyses.insight.placebos import PlaceboBand, placebo_band
from microconv.analyses.insight.tested_entries import records, shown_by_experiments
from microconv.config.sections import Period
from microconv.config.values import EntryId
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, Option, Question
from microconv.result import Result, sheet
from microconv.stats.ratios import Ratio
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar, Heading, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

Tier = Literal["adjusted", "observed"]
By = Literal["device_category", "channel_group", "new_or_returning", "hour"]

_LANDMARK = timedelta(days=1)
_BALANCE = 3
_FEWEST_OF_A_WEEK = 5
_SENTENCES = 5


@dataclass(frozen=True)
class LiftResult(Result):
    """Entries, those that go with more first; what lies on the path, or cannot be told, last.

    `placebo` is the ratio of small steps picked by chance; 95% of such steps lie between `placebo_low` and
    `placebo_high`, and `among_placebos` entries do. None where nothing is held against them. `balances` says how alike
    the sides are, before and after; only of the adjusted tier, without `by`. `differences` says, with `by`, whether
    ratios differ between contexts.
    """

    row_type: ClassVar[type] = EntryLift

    goal: str
    by: str | None
    tier: str
    lifts: tuple[EntryLift, ...]
    placebo: float | None
    placebo_low: float | None
    placebo_high: float | None
    among_placebos: int | None
    balances: tuple[EntryBalance, ...]
    differences: tuple[ContextDifference, ...]
    sentence: str
    assumptions: tuple[str, ...]
    since: date | None = None
    until: date | None = None

    @property
    def rows(self) -> tuple[EntryLift, ...]:
        """The entries."""
        return self.lifts

    def sheets(self) -> Iterator[Sheet | str]:
        """Show the ratios, what they rest on, how stable they are, and the first of them in words."""
        first = (
            "micro_conversion",
            *(("context",) if self.by else ()),
            *(("goal",) if self.goal == NEXT_STAGE else ()),
        )
        told = (
            "verdict",
            "ratio",
            "low",
            "high",
            *(("beyond", "beyond_low", "beyond_high", "observed") if self.tier == "adjusted" else ()),
            "shrunken",
            *(("unlike",) if any(row.unlike and row.verdict in (MORE, FEWER) for row in self.lifts) else ()),
            *(("tier",) if any(row.tier == "experimental" for row in self.lifts) else ()),
        )
        yield self._sheet(f"Lift towards {self.goal}, {self.tier}", (*first, *told))
        if self.placebo_low is not None and self.placebo_high is not None:
            told_of = sum(row.ratio is not None for row in self.lifts)
            yield (
                f"Small steps picked by chance (placebos{', of all actors' if self.by else ''}) lie between "
                f"{wording.times(self.placebo_low)} and {wording.times(self.placebo_high)}; so do "
                f"{wording.count(self.among_placebos)} of {wording.plural(told_of, 'ratio')}."
            )
        if self.differences:
            yield sheet("Whether ratios differ between them", self.differences, ContextDifference)
        thin = len(self.lifts) - len(self._shown)
        if thin:
            of_all = f"{wording.count(thin)} of {wording.count(len(self.lifts))}"
            yield f"Not enough data in {of_all}: only JSON and CSV have these."
        support = ("exposed", "exposed_targets", "other_targets", "exposed_rate", "other_rate", "lag_targets")
        yield self._sheet(
            "What it rests on (rates: per 1,000 days of actors, not to be divided by each other)", (*first, *support)
        )
        if not self.by:
            e_values = ("e_value", "e_value_low") if self.tier == "adjusted" else ()
            steady = ("landmark", "weeks", "before_data", "p_value", *e_values)
            yield self._sheet("How steady it is", (*first, *steady))
        if self.balances:
            without = ("goal",) if self.goal != NEXT_STAGE else ()
            yield sheet("How alike they are (standardised differences)", self.balances, EntryBalance, without=without)
        for row in [each for each in self.lifts if each.verdict in (MORE, FEWER)][:_SENTENCES]:
            # What lies above is not told again; what an experiment says has no placebos.
            yield row.says if self.placebo_low is None or row.tier == "experimental" else says_of(row, None)

    def _sheet(self, title: str, names: Sequence[str]) -> Sheet:
        headings: Mapping[str, Heading] = {
            name: EntryLift.__dataclass_fields__[name].metadata["heading"] for name in names
        }
        rows = tuple(tuple(getattr(row, name) for name in names) for row in self._shown)
        return Sheet(title, tuple(headings.values()), rows)

    @property
    def _shown(self) -> Sequence[EntryLift]:
        """The rows for people: where there are many contexts, most of them say that there is not enough data."""
        return [row for row in self.lifts if row.ratio is not None or row.verdict == ON_PATH] if self.by else self.lifts

    def bars(self) -> tuple[Bar, ...]:
        """One bar per entry with a ratio: its shrunken one."""
        return tuple(
            Bar(" ".join(filter(None, (row.micro_conversion, row.context))), row.shrunken, wording.times(row.shrunken))
            for row in self.lifts
            if row.shrunken is not None
        )


class Lift(Period, Question):
    """Say which small steps go with more conversions, counted only by what came before them, and how sure that is.

    The rate of the goal after an entry is held against the rate without it, at the same time since people began. By
    default only like actors are compared: device, channel, country, and how much they had done so far.
    """

    options: ClassVar[Mapping[str, Option]] = {"goal": Option(metavar="ID|next_stage")}
    examples: ClassVar[tuple[str, ...]] = (
        "lift",
        "lift --goal next_stage",
        "lift --goal add_to_cart --by device_category",
        "lift --tier observed --format json",
    )

    goal: EntryId | None = Field(
        default=None, description="the micro-conversion to come to, or next_stage; default: the first macro-conversion"
    )
    by: By | None = Field(default=None, description="tell actors apart by what their first session was like")
    tier: Tier = Field(default="adjusted", description="whether only like actors are compared")
    correction: Literal["by", "bh"] = Field(
        default="by", description="how p-values are corrected: by (any dependence), bh (no negative dependence)"
    )

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the goal, where it is an entry."""
        if self.goal is not None and self.goal != NEXT_STAGE:
            yield self.goal, "goal"

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the queries of each group of entries with one goal.

        Raises:
            UsageError: The taxonomy has no entry that may go before the goal.
        """
        end = context.latest_event_at or templates.EXAMPLE_MOMENT
        end_at, zone = end + timedelta(milliseconds=1), context.config.project.timezone
        found = []
        for entries, goals in self._groups(context.taxonomy):
            asked = (entries, goals, end_at, self.since, self.until)
            found.append(banded_query(*asked, context=self.by, timezone=zone))
            if self.by is None:
                found.append(banded_query(*asked, landmark=_LANDMARK))
                found.append(banded_query(*asked, context="week"))
            if self.tier == "adjusted":
                steps = small_steps(set(goals), context.taxonomy)
                if self.by is None:
                    found.append(balance_query(*asked, small_steps=steps))
                among = banded_query(
                    *asked, context=self.by, timezone=zone, alike=True, small_steps=steps, placebos=True
                )
                found.append(among)
        return tuple(found)

    def result(self, tables: Sequence[pa.Table], context: Context) -> LiftResult:
        """Rank the entries by their shrunken ratios."""
        groups = self._groups(context.taxonomy)
        size = len(tables) // len(groups)
        rows: list[EntryLift] = []
        balances: list[EntryBalance] = []
        band: PlaceboBand | None = None
        for place, (_, goals) in enumerate(groups):
            of_goal = tables[place * size : (place + 1) * size]
            known = []
            if self.by is None and self.tier == "adjusted":
                known = [*read_balances(of_goal[_BALANCE].to_pylist(), _goal_of(goals))]
            found, of_group = self._of_group(of_goal, goals, {each.micro_conversion: each.unlike for each in known})
            rows += found
            balances += known
            band = of_group or band
        if self.by is None and context.open_engine is not None:
            shown = shown_by_experiments(records(context.engine), self._goal(context.taxonomy))
            rows = [experimental(row, shown.get(row.micro_conversion)) for row in rows]
        rows.sort(
            key=lambda row: (
                row.shrunken is None,
                -(row.shrunken or 0),
                row.verdict,
                -row.exposed,
                row.micro_conversion,
            )
        )
        ranks = {row.micro_conversion: place for place, row in enumerate(rows)}
        goal = self._goal(context.taxonomy)
        only = band if len(groups) == 1 else None
        differences: tuple[ContextDifference, ...] = ()
        if self.by:
            differences = tuple(
                differences_between(
                    (row.micro_conversion, row.context, Ratio(row.ratio, row.low, row.high, 1.0))
                    for row in rows
                    if row.ratio is not None and row.low is not None and row.high is not None
                )
            )
        return LiftResult(
            goal=goal,
            by=self.by,
            tier=self.tier,
            lifts=tuple(rows),
            placebo=None if only is None else only.ratio,
            placebo_low=None if only is None else only.low,
            placebo_high=None if only is None else only.high,
            among_placebos=None if only is None else sum(row.is_among_placebos is True for row in rows),
            balances=tuple(sorted(balances, key=lambda each: ranks[each.micro_conversion])),
            differences=differences,
            sentence=(
                _sentence([row for row in rows if row.tier != "experimental"], goal, self.tier)
                + _tested(rows)
                + in_words(differences, self.by)
            ),
            assumptions=tuple(self._assumptions(goal, context.config.project.timezone)),
            since=self.since,
            until=self.until,
        )

    def _goal(self, taxonomy: Taxonomy) -> str:
        return NEXT_STAGE if self.goal == NEXT_STAGE else taxonomy.goal(self.goal)

    def _groups(self, taxonomy: Taxonomy) -> list[tuple[list[str], list[str]]]:
        goal = self._goal(taxonomy)
        groups = next_stages(taxonomy) if goal == NEXT_STAGE else [(entries_before(goal, taxonomy), [goal])]
        if not any(entries for entries, _ in groups):
            raise UsageError(
                f"The taxonomy has nothing that may go before {goal}.",
                hint="Add micro-conversions to it: docs/taxonomy.md.",
            )
        return groups

    def _of_group(
        self, tables: Sequence[pa.Table], goals: Sequence[str], unlike: Mapping[str, str]
    ) -> tuple[list[EntryLift], PlaceboBand | None]:
        goal = _goal_of(goals)
        plain, is_adjusted = tables[0].to_pylist(), self.tier == "adjusted"
        # Who is returning began before the data: to leave these out would leave only the new.
        whoever = None if self.by == "new_or_returning" else False
        found = read_by_context(plain, began_before=whoever)
        alike = tables[-1].to_pylist() if is_adjusted else []
        by_context = self.by is not None
        among = read_ratios(alike, by_context=by_context, began_before=whoever)
        after = read_exposed(alike if is_adjusted else plain, by_context=by_context, began_before=whoever)
        of_all = among if self.by is None else read_ratios(alike, began_before=whoever)
        band = placebo_band(ratio for (name, _), ratio in of_all.items() if name.startswith(PLACEBO))
        rows, estimates = [], []
        for key, each in found.items():
            ratio = each.ratio
            if is_adjusted:
                ratio = None if each.is_thin else among.get(key)
            observed = None if each.ratio is None or each.is_on_path else each.ratio.ratio
            row = replace(row_of(each, *key, goal, self.tier), observed=observed, unlike=unlike.get(key[0], ""))
            if ratio is not None and not row.verdict:
                events = after[key]
                if max(events.events, events.expected) < FEWEST_A_SIDE:
                    row = replace(row, verdict=not_enough(round(events.events)))
            rows.append(row)
            estimates.append(None if ratio is None or row.verdict else EntryEstimate(ratio, after[key]))
        rows = judged_rows(rows, estimates, band, self.correction)
        return (self._with_steadiness(rows, plain, tables) if self.by is None else rows), band

    def _with_steadiness(
        self,
        rows: Sequence[EntryLift],
        plain: Sequence[Mapping[str, Any]],
        tables: Sequence[pa.Table],
    ) -> list[EntryLift]:
        """Return the rows with what says how steady they are: landmark, weeks, and who began before the data."""
        observed, before = read_banded(plain), read_banded(plain, began_before=True)
        landmark, of_weeks = read_banded(tables[1].to_pylist()), tables[2].to_pylist()
        by_week, week_ratios = read_by_context(of_weeks), read_ratios(of_weeks, by_context=True)
        found = []
        for row in rows:
            name = row.micro_conversion
            at_landmark, earlier = landmark.get(name), before.get(name)
            told = [
                ratio
                for key, ratio in week_ratios.items()
                if key[0] == name and ratio and by_week[key].fewest_targets >= _FEWEST_OF_A_WEEK
            ]
            found.append(
                replace(
                    row,
                    landmark=at_landmark.ratio.ratio if at_landmark and at_landmark.ratio else None,
                    before_data=earlier.ratio.ratio if earlier and earlier.ratio else None,
                    weeks=weeks_alike(observed[name].ratio, told),
                )
            )
        return found

    def _assumptions(self, goal: str, timezone: str) -> Iterator[str]:
        yield (
            "Time at risk begins with an actor's first session in the data, and ends with the goal or the data. "
            f"An entry counts from {LAG_SECONDS} seconds after it on, and both sides are compared at the same time "
            "since they began (Mantel and Haenszel)."
        )
        if self.tier == "adjusted":
            levels = ", ".join(map(str, ACTIVITY_FROM))
            yield (
                "Adjusted: actors are compared with others of the same device, channel and country (the five largest, "
                f"and the rest), who had done about as much so far (none, or from {levels} early small steps on), and "
                f"who had last shown themselves as long ago (up to {RECENCY}, or longer): who is here now does "
                "everything more often. What an entry does by making people do more, or come back, does not count for "
                "it."
            )
            if self.by is None:
                yield (
                    "How alike: the largest difference of any device, channel, country, number of small steps, or time "
                    "since the latest act, between those who had done an entry by the end of their first day and those "
                    f"who had not, in standard deviations; up to {ALIKE} is alike. After is what is left when both "
                    "sides of each stratum weigh the same."
                )
            yield (
                f"Placebos: {PLACEBOS} made-up entries of small steps picked by chance. What lies among them is not "
                "called a lift, whatever its interval."
            )
        yield "It is what goes together. Only an experiment shows that one causes the other."
        yield from self._of_columns()
        names = {"by": "Benjamini and Yekutieli", "bh": "Benjamini and Hochberg: no entries may depend negatively"}
        yield (
            f"p-values are corrected over all entries ({names[self.correction]}), and a lift is told up to "
            f"{LEVEL:.0%}: where nothing is there, fewer than one in a hundred data sets is told one. Shrunken ratios "
            "are drawn to that of all, as the largest of many is too large."
        )
        if self.by == "new_or_returning":
            yield "What returning actors had done before the data is unknown: it counts as not done."
        else:
            apart = "left out" if self.by else "apart"
            yield f"Actors whose history began before the data are {apart}: what they had done then is unknown."
        if self.by == "hour":
            yield f"The hour is that of the first session, in {timezone}."
        if self.by:
            yield (
                "Whether ratios differ between contexts is tested by Cochran's Q, corrected over all entries (Holm): "
                "two ratios that look different may be one."
            )
        if goal == NEXT_STAGE:
            yield "The next stage is whatever comes first of a later one, for decisions a macro-conversion."

    def _of_columns(self) -> Iterator[str]:
        """Explain the columns of the tables that are shown, and what they do not tell."""
        told = (
            "Columns: ratios compare at the same time since people began, the two rates are of all time: one rate "
            "divided by the other is not the ratio. Within moments: goals so soon after the entry that they count on "
            "neither side."
        )
        if not self.by:
            told += (
                " By the first day: the observed ratio from the second day on, of those who did it in the first. Weeks "
                "alike: in how many weeks of people's beginning the observed ratio lies on the same side of 1. Began "
                "before: the observed ratio of those whose history began before the data. p: corrected."
            )
        if not self.by and self.tier == "adjusted":
            told += (
                " E-value: how strongly something unknown would have to go with both entry and goal to explain away "
                "what is beyond any step; of its interval: to explain away that it is sure to be. Have like actors: "
                "the share of those who did it beside whom anybody alike had not."
            )
        yield told
        yield (
            "What does something only from a number of times on, or only together with another, may show nothing here: "
            "microconv thresholds, microconv combinations. Days on which the tracking of an entry was down count as if "
            "nobody did it: microconv coverage names them."
        )


def _goal_of(goals: Sequence[str]) -> str:
    return goals[0] if len(goals) == 1 else "a later stage"


def _tested(rows: Sequence[EntryLift]) -> str:
    """Name what experiments tested; nothing where they tested nothing."""
    named = [
        f"{row.micro_conversion} ({wording.times(row.ratio)} times as many, {wording.times(row.low)} to "
        f"{wording.times(row.high)})"
        for row in rows
        if row.tier == "experimental"
    ]
    return f" Tested by an experiment: {wording.listed(named)}." if named else ""


def weeks_alike(ratio: Ratio | None, of_weeks: Sequence[Ratio]) -> str:
    """Say in how many weeks the ratio lies on the same side of 1."""
    if ratio is None or not of_weeks:
        return ""
    return f"{sum((each.ratio > 1) == (ratio.ratio > 1) for each in of_weeks)} of {len(of_weeks)}"


def _sentence(rows: Sequence[EntryLift], goal: str, tier: str) -> str:
    told = [row for row in rows if row.ratio is not None]
    if not told:
        most = max((row.exposed_targets + row.other_targets for row in rows), default=0)
        return (
            f"Not enough data to tell what goes with {goal}: n = {wording.count(most)}, "
            f"and {FEWEST_TARGETS} who come to it are needed."
        )
    more = [row for row in told if row.verdict == MORE]
    among = "among like actors" if tier == "adjusted" else "among all actors, whatever they are like"
    if not more:
        return f"Of {len(told)} that can be told, none goes with clearly more {goal} {among}."
    first = more[0]
    unlike = f", beside actors who are not quite alike ({first.unlike})" if first.unlike else ""
    named = f"{first.micro_conversion} ({first.context})" if first.context else first.micro_conversion
    return (
        f"{len(more)} of {len(told)} go with more {goal} {among}; {named} with most: {wording.times(first.ratio)} "
        f"times as many ({wording.times(first.low)} to {wording.times(first.high)}; shrunken "
        f"{wording.times(first.shrunken)}){unlike}. That does not prove a cause."
    )
