"""Derived occurrences of a batch: made anew, from the first day on that the batch may change, for the actors concerned.

An occurrence is decided by what its actor did up to its moment, no longer before it than its rule reaches (and, where
something did not happen, by whether all days until then are staged and over). So what a batch changes can change
derived occurrences from its first day on, and those of the actors concerned only. They are deleted and made anew, level
by level: those of a level are made of ordinary ones and of the levels below. Whatever the order in which days arrive,
that leaves what a rebuild from nothing makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import groupby

from microconv.engines.base import Change, DeleteDerived, Engine, InsertScratch
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.staging import mc_tables, properties
from microconv.staging.properties import Property
from microconv.staging.rules import Rules
from microconv.taxonomy import Derived, MicroConversion, Taxonomy

ACTORS = "derived_actors"
INGREDIENTS = "ingredients"
SESSION_STARTS = "session_starts"
TEMPLATES: Mapping[str, str] = {
    "counts": "staging/derived_thresholds",
    "counts_of_several": "staging/derived_thresholds",
    "counts_of_values": "staging/derived_thresholds",
    "absences": "staging/derived_absences",
    "returns": "staging/derived_returns",
}
"""The template of each family of rules. Thresholds are three: what some of them take costs the others nothing so."""

_APART_DAYS = 2
"""So far may the days of two occurrences be out of order: one begins up to 14 hours before UTC's, or ends 12 after."""
_SECONDS_OF_DAY = 24 * 60 * 60

Days = tuple["date | None", "date | None"]


@dataclass(frozen=True)
class Reached:
    """The staged days that were over when they were staged, before the batch and after it."""

    before: frozenset[date]
    after: frozenset[date]

    @property
    def news(self) -> Days:
        """The first and last day that are among them now and were not before, or the other way round."""
        others = self.before ^ self.after
        return min(others, default=None), max(others, default=None)

    def runs(self) -> tuple[list[date], list[date]]:
        """Return the days after the batch, and for each the first day from which on none lacks."""
        days, since = sorted(self.after), list[date]()
        for day in days:
            since.append(since[-1] if day - timedelta(days=1) in self.after else day)
        return days, since


@dataclass(frozen=True)
class DerivedRules:
    """What the templates are told of a taxonomy's derived entries; `suffix` ends the names of scratch tables."""

    rules: Rules
    suffix: str = ""

    @property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy."""
        return self.rules.taxonomy

    @property
    def derived(self) -> tuple[Derived, ...]:
        """The derived entries, each after those that it is made of."""
        return self.taxonomy.derived

    @cached_property
    def levels(self) -> tuple[tuple[int, tuple[tuple[str, tuple[Derived, ...]], ...]], ...]:
        """The levels from 1 on, each with its families of templates and their entries."""
        found = []
        for level, entries in groupby(self.derived, key=lambda each: each.level):
            of_level = tuple(entries)
            families = ((family, tuple(each for each in of_level if family_of(each) == family)) for family in TEMPLATES)
            found.append((level, tuple((family, those) for family, those in families if those)))
        return tuple(found)

    @cached_property
    def doings(self) -> tuple[str, ...]:
        """What ends a pause: everything that counts and is not derived itself."""
        return tuple(dict.fromkeys(each.counts_as for each in self.taxonomy.entries if each.derivation is None))

    @cached_property
    def ingredients(self) -> tuple[str, ...]:
        """The ids whose occurrences derived ones are made of."""
        needed = {each for entry in self.derived for each in entry.needs}
        has_pauses = any(each.rule.pause_after for each in self.derived)
        return tuple(sorted({*needed, *(self.doings if has_pauses else ())}))

    @property
    def waiting(self) -> tuple[str, ...]:
        """The ids after which something may not happen."""
        rules = (each.rule for each in self.derived)
        named = {one for rule in rules for one in (*(rule.start or ()), *(rule.stalled_after or ()))}
        return tuple(sorted({self._counted[each] for each in named}))

    @property
    def reach_days(self) -> int:
        """How many days before a derived occurrence the first may lie that decides it, on one level."""
        longest = max((each.rule.reach.seconds for each in self.derived), default=0)
        return -(-longest // _SECONDS_OF_DAY) + _APART_DAYS + 1

    @property
    def has_returns(self) -> bool:
        """Whether the beginnings of sessions are needed."""
        return any(each.rule.family == "returns" for each in self.derived)

    def scratch(self, level: int, family: str) -> str:
        """Return the name of the scratch table that holds what one template makes on one level."""
        return f"derived_{level}_{family}{self.suffix}"

    def queries(self, first_day: date, reached: Reached) -> Iterator[tuple[str, Query]]:
        """Yield what is made on each level by each template, with the scratch table for it; each reads those before."""
        for level, families in self.levels:
            for family, entries in families:
                yield self.scratch(level, family), self._query(level, family, entries, (first_day, reached))

    def _query(self, level: int, family: str, entries: Sequence[Derived], days: tuple[date, Reached]) -> Query:
        first_day, reached = days
        looked_at = self._looked_at(entries)
        places = {each.name: place for place, each in enumerate(looked_at)}
        params: dict[str, Value] = {
            **self._results(entries),
            "rule_within_us": [each.rule.reach.microseconds for each in entries],
            "rule_same": [places.get(each.rule.held or "", -1) for each in entries],
            "first_day": first_day,
        }
        structure: dict[str, object] = {
            "earlier": [
                self.scratch(below, each) for below, families in self.levels if below < level for each, _ in families
            ],
            "properties": [each.column for each in self.rules.carried],
            "looked_at": [
                {"place": place, "column": each.column, "is_number": each.is_number, "is_list": each.is_list}
                for place, each in enumerate(looked_at)
            ],
        }
        if TEMPLATES[family] == TEMPLATES["counts"]:
            params |= {
                "rule_measures": [each.rule.measure for each in entries],
                "rule_needs": [each.rule.need for each in entries],
                "rule_counted": [places.get(each.rule.counted or "", -1) for each in entries],
                "rule_least_rows": [each.rule.least_rows for each in entries],
            }
            sides = [
                (one, place, side)
                for place, each in enumerate(entries)
                for side, group in enumerate(((each.rule.of or ()),) if each.rule.of else _each(each.rule.between))
                for one in self._as_counted(group)
            ]
            params |= _pairs(sides, "pair_sides")
            structure["holds"] = any(each.rule.held for each in entries)
            structure["merges"] = len(sides) > len(entries)
            structure["gathers"] = any(each.rule.measure == "distinct" for each in entries)
        else:
            roles = [
                (one, place, role)
                for place, each in enumerate(entries)
                for role, group in self._roles(each)
                for one in self._as_counted(group)
            ]
            params |= _pairs(roles, "pair_roles")
            if family == "absences":
                over, since = reached.runs()
                params |= {"doings": list(self.doings), "days_over": over, "over_since": since, "zone": self.rules.zone}
            else:
                params["session_rules"] = [place for place, each in enumerate(entries) if each.rule.is_of_sessions]
        return templates.query(TEMPLATES[family], params=params, structure=structure)

    def _roles(self, derived: Derived) -> Iterator[tuple[str, Sequence[str]]]:
        rule = derived.rule
        yield "start", (*(rule.start or ()), *(rule.stalled_after or ()))
        yield "pause", rule.pause_after or ()
        yield "first", rule.first or ()
        yield "then", () if rule.is_of_sessions else rule.then or ()
        yield "end", (*(rule.without or ()), *sorted(self.taxonomy.progress_after(derived.id)))

    def _as_counted(self, ids: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._counted[each] for each in ids))

    @cached_property
    def _counted(self) -> dict[str, str]:
        return {entry.id: entry.counts_as for entry in self.taxonomy.staged}

    def _results(self, entries: Sequence[Derived]) -> dict[str, Value]:
        made = [self.taxonomy.entry(each.id) for each in entries]
        return {
            "rule_ids": [entry.id for entry in made],
            "rule_kinds": [entry.kind for entry in made],
            "rule_stages": [entry.stage for entry in made],
            "rule_value_rules": [value_rule(entry) for entry in made],
            "rule_fixed_values": [entry.value if isinstance(entry.value, float) else 0.0 for entry in made],
        }

    def _looked_at(self, entries: Sequence[Derived]) -> tuple[Property, ...]:
        named = sorted({name for each in entries for name in each.rule.properties()})
        return tuple(properties.resolve(name) for name in named)


def family_of(derived: Derived) -> str:
    """Return the family of a derived entry: a key of `TEMPLATES`."""
    rule = derived.rule
    if rule.family != "thresholds":
        return rule.family
    if rule.held or rule.distinct:
        return "counts_of_values"
    return "counts" if rule.of and len(rule.of) == 1 else "counts_of_several"


def value_rule(entry: MicroConversion) -> str:
    """Return how the templates find the value of an entry's occurrences."""
    return "none" if entry.value is None else "event" if entry.value == "event" else "fixed"


def _each(pair: tuple[str, str] | None) -> Sequence[Sequence[str]]:
    return tuple((one,) for one in pair or ())


def _pairs(rows: Sequence[tuple[str, int, int | str]], third: str) -> dict[str, Value]:
    return {
        "pair_entries": [row[0] for row in rows],
        "pair_rules": [row[1] for row in rows],
        third: [row[2] for row in rows],  # type: ignore[dict-item]  # all of one kind
    }


def days_over(property_id: str, dates: Sequence[date]) -> Query:
    """The staged days that were over when they were staged, and which of them are none of these."""
    return templates.query("staging/days_over", params={"property": property_id, "changed_dates": list(dates)})


@dataclass(frozen=True)
class Changed:
    """What a batch changes: days of a property, and sessions.

    `over` are those of the days that are over; `spans` the days between which touched and moved sessions lie.
    A batch is of shards, unless it `brings` what another system tells of these days: the scratch table of that.
    """

    property_id: str
    dates: tuple[date, ...]
    over: tuple[date, ...] = ()
    spans: tuple[Days, ...] = ()
    brings: str | None = None

    @property
    def structure(self) -> dict[str, object]:
        """What the templates are told of it."""
        return {"brings": self.brings or ""}


def actors(changed: Changed, waiting: Sequence[str], waits: Days) -> Query:
    """Those whose derived occurrences may be others once the batch is staged."""
    ends = [day for span in changed.spans for day in span if day is not None]
    of_shards: dict[str, Value] = {
        "first_session": min(ends, default=None),
        "last_session": max(ends, default=None),
        "waiting": list(waiting),
        "first_waiting": waits[0],
        "last_waiting": waits[1],
    }
    return templates.query(
        "staging/derived_actors",
        params={
            "property": changed.property_id,
            "changed_dates": list(changed.dates),
            **({} if changed.brings else of_shards),
        },
        structure=changed.structure,
    )


def ingredients(changed: Changed, told: DerivedRules, first_day: date, first_read: date) -> Query:
    """What their derived occurrences are made of."""
    return templates.query(
        "staging/ingredients",
        params={
            "property": changed.property_id,
            "changed_dates": list(changed.dates),
            "entries": list(told.ingredients),
            "first_day": first_day,
            "first_read": first_read,
        },
        structure={"properties": [each.column for each in told.rules.carried], **changed.structure},
    )


def session_starts(changed: Changed, first_read: date) -> Query:
    """The beginnings of their sessions."""
    params: dict[str, Value] = {"property": changed.property_id, "first_read": first_read}
    return templates.query("staging/session_starts", params=params, structure=changed.structure)


def changes(engine: Engine, rules: Rules, changed: Changed) -> list[Change]:
    """Make the derived occurrences that a batch changes, and return how the staged table becomes right.

    The scratch tables of the batch must be there, and nothing of it staged yet.
    """
    first_changed = min(day for day in (*changed.dates, *(day for span in changed.spans for day in span)) if day)
    # Changes of several batches may wait for one transaction, so that each keeps tables of its own.
    told = DerivedRules(rules, f"_{changed.brings}" if changed.brings else "")
    if not told.derived:
        # Those of an earlier taxonomy may lie on days that are not staged, on which nothing else deletes them.
        first_day = first_changed - timedelta(days=_APART_DAYS)
        return [DeleteDerived(mc_tables.MICRO_CONVERSIONS, changed.property_id, first_day, "actor_key", None)]
    over = engine.query(days_over(changed.property_id, () if changed.brings else changed.dates)).to_pylist()
    reached = Reached(
        frozenset(row["event_date"] for row in over),
        frozenset({*(row["event_date"] for row in over if row["stays"]), *changed.over}),
    )
    newly, last_newly = reached.news if told.waiting else (None, None)
    waits: Days = (None, None)
    if newly is not None and last_newly is not None:
        waits = newly - timedelta(days=told.reach_days), last_newly + timedelta(days=_APART_DAYS)
    first_day = min([first_changed, *([newly] if newly else [])]) - timedelta(days=_APART_DAYS)
    first_read = first_day - timedelta(days=told.reach_days)
    engine.materialise(actors(changed, told.waiting, waits), ACTORS)
    engine.materialise(ingredients(changed, told, first_day, first_read), INGREDIENTS)
    if told.has_returns:
        engine.materialise(session_starts(changed, first_read), SESSION_STARTS)
    table, kept = mc_tables.MICRO_CONVERSIONS, ACTORS
    if told.suffix:
        kept = f"{ACTORS}{told.suffix}"
        engine.materialise(actors(changed, told.waiting, waits), kept)
    made: list[Change] = [DeleteDerived(table, changed.property_id, first_day, "actor_key", kept)]
    for name, query in told.queries(first_day, reached):
        engine.materialise(query, name)
        made.append(InsertScratch(table, name))
    return made


def examples(rules: Rules, labels: Sequence[str]) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries that a batch adds for derived entries, each with what it is for."""
    told = DerivedRules(rules)
    if not told.derived:
        return
    day = templates.EXAMPLE_MOMENT.date()
    for label in labels:
        changed = Changed(label, (day,), (day,), ((day, day),))
        yield f"property {label}", days_over(label, [day])
        yield f"property {label}", actors(changed, told.waiting, (day, day))
        yield f"property {label}", ingredients(changed, told, day, day)
        if told.has_returns:
            yield f"property {label}", session_starts(changed, day)
    yield from ((None, query) for _, query in told.queries(day, Reached(frozenset(), frozenset({day}))))
