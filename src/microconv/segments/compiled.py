"""From a rule to what `sql/segments/_matching.sql` is told: the shape of its tree and leaves, and the values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from microconv.config.occurrences import PropertyCondition
from microconv.config.segment_rules import ANYTHING, ENGAGEMENT, EVERYONE, STAGES, TRAITS, VALUE, SegmentRule
from microconv.config.values import Duration
from microconv.errors import ConfigError, TaxonomyError
from microconv.queries.conditions import Operands
from microconv.queries.templates import Value
from microconv.staging import properties
from microconv.staging.properties import Property
from microconv.taxonomy import Taxonomy

Tree: TypeAlias = dict[str, Any]
"""`{"leaf": n}`, `{"not": tree}`, or `{"op": "all" | "any", "of": [trees]}`."""

_EVER = 10**17
"""Microseconds, more than three thousand years: no limit."""
_MOST = 2**62
_FIRST_OPERAND = 1000
"""From here on parameters of conditions are numbered, so that those of the query around it keep theirs."""
_MOST_LEAVES = 500
_TRAIT_COLUMNS = {
    "channel": "channel_group",
    "campaign": "campaign",
    "source": "source",
    "medium": "medium",
    "country": "country",
    "device": "device_category",
    "language": "language",
}
_COUNTED, _UNDOING = 0, -1


@dataclass(frozen=True)
class CompiledRule:
    """A rule as templates take it: the structure `rule`, and the parameters."""

    structure: dict[str, Any]
    params: dict[str, Value]


@dataclass
class _Pair:
    entry: str
    leaf: int
    place: int
    within_us: int
    condition: int


@dataclass
class _Leaf:
    """One thing that holds for an actor or not: a figure between two bounds, a sequence, a trait, a visit."""

    measure: str
    low: int = 1
    high: int = _MOST
    not_within_us: int = -1
    amount: int = -1
    gathers: int = -1
    steps: int = 0
    gap_us: int = _EVER
    window_us: int = _EVER


@dataclass
class _Compiler:
    taxonomy: Taxonomy
    leaves: list[_Leaf] = field(default_factory=list)
    pairs: list[_Pair] = field(default_factory=list)
    traits: list[tuple[int, str, str, str]] = field(default_factory=list)
    visits: list[tuple[int, int]] = field(default_factory=list)
    scores: list[tuple[int, str, int, int]] = field(default_factory=list)
    operands: Operands = field(default_factory=lambda: Operands(first=_FIRST_OPERAND))
    conditions: list[dict[str, Any]] = field(default_factory=list)
    amounts: list[Property | None] = field(default_factory=list)
    gathers: list[Property] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)
    currency: tuple[str | None, str | None] = (None, None)
    merges: bool = False
    known: dict[str, Tree] = field(default_factory=dict)

    def tree(self, rule: SegmentRule) -> Tree:
        """Return the tree of a rule; the same leaf twice is one."""
        if rule.kind in ("all", "any"):
            return _of(rule.kind, [self.tree(each) for _, each in rule.parts])
        if rule.not_ is not None:
            return {"not": self.tree(rule.not_)}
        if rule.segment is not None:
            if rule.rule is None:
                raise ConfigError(
                    f'The segment "{rule.segment}" is named by a rule that was not read with its configuration.',
                    hint="Take the segment from a configuration that was loaded.",
                )
            return self.tree(rule.rule)
        key = rule.model_dump_json()
        if key not in self.known:
            self.known[key] = getattr(self, f"_{rule.kind}")(rule)
        if len(self.leaves) > _MOST_LEAVES:
            raise ConfigError(
                f"A segment's rule asks more than {_MOST_LEAVES:,} things, with those of the segments that it names.",
                hint="Name fewer segments, or ids of which any will do as a list in one did.",
            )
        return self.known[key]

    def _did(self, rule: SegmentRule) -> Tree:
        parts = []
        bounds = rule.times
        if bounds is not None:
            low, high = bounds
            gathers = -1
            if rule.distinct is not None:
                gathers = self._place(self.gathers, properties.resolve(rule.distinct))
            measure = "values" if rule.distinct is not None else "times"
            if low:
                parts.append(
                    self._counting(rule, _Leaf(measure, low, _MOST if high is None else high, gathers=gathers))
                )
            elif high is not None:  # never counts, too
                parts.append({"not": self._counting(rule, _Leaf(measure, high + 1, gathers=gathers))})
        if rule.in_sessions is not None:
            self.columns.add("session_key")
            parts.append(self._counting(rule, _Leaf("sessions", rule.in_sessions)))
        if rule.on_days is not None:
            self.columns.add("event_date")
            parts.append(self._counting(rule, _Leaf("days", rule.on_days)))
        return _of("all", parts)

    def _counting(self, rule: SegmentRule, leaf: _Leaf) -> Tree:
        """Add a leaf that looks at occurrences of `did`, but for those that `not_did` undid."""
        within, not_within = _us(rule.within), _us(rule.not_within, -1)
        leaf.not_within_us = not_within
        number = self._add(leaf)
        counted = self._pair(number, _COUNTED, rule.did, within, rule.where)
        self._pair(number, _UNDOING, rule.not_did, max(within, not_within))
        if leaf.measure in ("times", "total"):
            self.merges |= counted > 1
        return {"leaf": number}

    def _total(self, rule: SegmentRule) -> Tree:
        looked_at = None if rule.total == ENGAGEMENT else properties.resolve(rule.total or "")
        if looked_at is not None and looked_at.is_list:
            raise ConfigError(
                f"{rule.total} is text, one for each item: it cannot be added up.",
                hint="Add up value, engagement_seconds or a numeric property in the segment's rule.",
            )
        self.columns.add("engagement_msec" if looked_at is None else looked_at.column)
        if rule.total == VALUE:
            self.columns |= {"currency", "value_in_usd"}
            self.currency = rule.currency, rule.assumed_currency
        bound = rule.at_least if rule.below is None else rule.below
        leaf = _Leaf("total", low=max(1, round((bound or 0) * 1000)), amount=self._place(self.amounts, looked_at))
        number = self._add(leaf)
        self.merges |= self._pair(number, _COUNTED, rule.of, _us(rule.within), rule.where) > 1
        return {"leaf": number} if rule.below is None else {"not": {"leaf": number}}

    def _first(self, rule: SegmentRule) -> Tree:
        number = self._add(_Leaf("first", low=0, high=_us(rule.within)))
        self._pair(number, _COUNTED, rule.first, _EVER, rule.where)
        return {"leaf": number}

    def _last(self, rule: SegmentRule) -> Tree:
        assert rule.between is not None  # noqa: S101 - the rule was read with it
        low, high = (each.microseconds for each in rule.between)
        return self._last_time(rule.last, rule.where, low, high)

    def _lapsed(self, rule: SegmentRule) -> Tree:
        absence = _us(rule.for_)
        did = self._last_time(rule.lapsed, rule.where, absence, _EVER)
        if ANYTHING not in rule.of:
            return did
        visit = self._add(_Leaf("visit"))
        self.visits.append((visit, absence))
        return _of("all", [did, {"not": {"leaf": visit}}])

    def _last_time(self, ids: Sequence[str], where: Sequence[PropertyCondition], low: int, high: int) -> Tree:
        number = self._add(_Leaf("last", low=low, high=high))
        self._pair(number, _COUNTED, ids, _EVER, where)
        return {"leaf": number}

    def _sequence(self, rule: SegmentRule) -> Tree:
        leaf = _Leaf("sequence", steps=len(rule.sequence), gap_us=_us(rule.gap), window_us=_us(rule.window))
        number, within = self._add(leaf), _us(rule.within)
        for place, step in enumerate(rule.sequence, start=1):
            self._pair(number, place, step.did, within, step.where)
        self._pair(number, _UNDOING, rule.without, within)
        return {"leaf": number}

    def _stage(self, rule: SegmentRule) -> Tree:
        """Compile the furthest stage reached: one of these was, and none beyond it."""
        ways = []
        for stage in rule.stage:
            if not self._entries((stage,)):
                raise TaxonomyError(
                    f'In a segment\'s rule: the taxonomy "{self.taxonomy.name}" {self.taxonomy.version} has no '
                    f'micro-conversion of the stage "{stage}".',
                    hint="Name another stage; `microconv taxonomy show` lists the stages of all micro-conversions.",
                )
            reached = self._any_of(rule, (stage,))
            beyond = STAGES[STAGES.index(stage) + 1 :]
            further = self._any_of(rule, beyond) if self._entries(beyond) else None
            ways.append(_of("all", [reached, *([{"not": further}] if further else [])]))
        return _of("any", ways)

    def _entries(self, stages: Sequence[str]) -> list[str]:
        """Return the ids of what people do on their way in these stages; hesitation does not count as progress."""
        return [
            entry.id
            for entry in self.taxonomy.entries
            if entry.stage in stages and entry.counts_as == entry.id and not entry.is_hesitation
        ]

    def _any_of(self, rule: SegmentRule, stages: Sequence[str]) -> Tree:
        key = f"{stages} {rule.within}"
        if key not in self.known:
            number = self._add(_Leaf("last", low=0))
            self._pair(number, _COUNTED, self._entries(stages), _us(rule.within))
            self.known[key] = {"leaf": number}
        return self.known[key]

    def _propensity(self, rule: SegmentRule) -> Tree:
        low, high = rule.deciles or (0, 0)
        number = self._add(_Leaf("score"))
        self.scores.append((number, self.taxonomy.goal(rule.goal), low, high))
        return {"leaf": number}

    def _session(self, rule: SegmentRule) -> Tree:
        parts: list[Tree] = []
        for trait in TRAITS:
            if values := getattr(rule, trait):
                number = self._add(_Leaf("trait"))
                self.traits += ((number, trait, rule.touch or "last", value) for value in values)
                parts.append({"leaf": number})
        return _of("all", parts)

    def _add(self, leaf: _Leaf) -> int:
        self.leaves.append(leaf)
        return len(self.leaves) - 1

    def _pair(
        self, leaf: int, place: int, ids: Sequence[str], within_us: int, where: Sequence[PropertyCondition] = ()
    ) -> int:
        """Put entries at a place of a leaf, and return how many they are once deprecated ones count as others."""
        number = -1
        if where and ids:
            number = len(self.conditions)
            tests = [properties.criterion(each, self.operands) for each in where]
            self.columns.update(test["column"] or "" for test in tests)
            self.conditions.append({"place": number, "tests": tests})
        entries = dict.fromkeys(self.taxonomy.counted(entry) for entry in ids)
        self.pairs += (_Pair(entry, leaf, place, within_us, number) for entry in entries)
        return len(entries)

    def _place(self, places: list[Any], looked_at: Property | None) -> int:
        if looked_at not in places:
            places.append(looked_at)
        if looked_at is not None:
            self.columns.add(looked_at.column)
        return places.index(looked_at)


def compiled(rule: SegmentRule, taxonomy: Taxonomy, as_of: datetime | None) -> CompiledRule:
    """Compile a rule; the shape of the SQL is that of the tree, and all values are parameters.

    Raises:
        TaxonomyError: it names a micro-conversion or a stage that the taxonomy does not have.
        ConfigError: it holds for everyone, compares text with a number, or names a segment that was not looked up.
    """
    if rule.holds_without_anything():
        raise ConfigError(f"A segment's rule {EVERYONE}.", hint="See docs/segments.md.")
    made = _Compiler(taxonomy)
    tree = made.tree(rule)
    structure = {
        "tree": tree,
        "pairs": bool(made.pairs),
        "columns": sorted(made.columns),
        "conditions": made.conditions,
        "undoes": any(each.place == _UNDOING and not made.leaves[each.leaf].steps for each in made.pairs),
        "merges": made.merges,
        "measures": _measures(made),
        "amounts": [
            {
                "place": place,
                "column": "engagement_msec" if each is None else each.column,
                "is_number": each is not None and each.is_number,
                "is_engagement": each is None,
                "is_money": each is not None and each.column == VALUE,
            }
            for place, each in enumerate(made.amounts)
        ],
        "gathers": [
            {"place": place, "column": each.column, "is_list": each.is_list} for place, each in enumerate(made.gathers)
        ],
        "steps": max((each.steps for each in made.leaves), default=0),
        "traits": [
            {"name": trait, "column": _TRAIT_COLUMNS[trait]} for trait in sorted({each[1] for each in made.traits})
        ],
        "touches": sorted({each[2] for each in made.traits}),
        "visits": bool(made.visits),
        "scores": bool(made.scores),
    }
    return CompiledRule(structure, _params(made, structure) | {"as_of": as_of})


def _measures(made: _Compiler) -> list[str]:
    kinds = ("times", "sessions", "days", "first", "last", "total")
    return [kind for kind in kinds if any(each.measure == kind for each in made.leaves)]


def _params(made: _Compiler, structure: dict[str, Any]) -> dict[str, Value]:
    """Return the parameters that the template uses with this structure."""
    params: dict[str, Value] = dict(made.operands.params)
    if made.pairs:
        params["pair_entries"] = [each.entry for each in made.pairs]
        params["pair_leaves"] = [each.leaf for each in made.pairs]
        params["pair_places"] = [each.place for each in made.pairs]
        params["pair_within_us"] = [each.within_us for each in made.pairs]
        params["reach_us"] = max(each.within_us for each in made.pairs)
    if made.conditions:
        params["pair_conditions"] = [each.condition for each in made.pairs]
    if structure["measures"]:
        params["leaf_measures"] = [each.measure for each in made.leaves]
    if structure["measures"] or made.gathers:
        params["leaf_lows"] = [each.low for each in made.leaves]
        params["leaf_highs"] = [each.high for each in made.leaves]
    if structure["undoes"] and (structure["measures"] or made.gathers):
        params["leaf_not_within_us"] = [each.not_within_us for each in made.leaves]
    if made.amounts:
        params["leaf_amounts"] = [each.amount for each in made.leaves]
    if any(each["is_money"] for each in structure["amounts"]):
        params["rule_currency"], params["rule_assumed_currency"] = made.currency
        params["rule_priced_entries"] = [each.id for each in made.taxonomy.entries if each.value not in (None, "event")]
    if made.gathers:
        params["leaf_gathers"] = [each.gathers for each in made.leaves]
    if structure["steps"]:
        params["leaf_steps"] = [each.steps for each in made.leaves]
        params["leaf_gaps_us"] = [each.gap_us for each in made.leaves]
        params["leaf_windows_us"] = [each.window_us for each in made.leaves]
    if made.traits:
        leaves, kinds, touches, values = zip(*made.traits, strict=True)
        params |= {"trait_leaves": list(leaves), "trait_kinds": list(kinds)}
        params |= {"trait_touches": list(touches), "trait_values": list(values)}
    if made.visits:
        params["visit_leaves"] = [leaf for leaf, _ in made.visits]
        params["visit_within_us"] = [within for _, within in made.visits]
    if made.scores:
        leaves, goals, lows, highs = zip(*made.scores, strict=True)
        params |= {"score_leaves": list(leaves), "score_goals": list(goals)}
        params |= {"score_lows": list(lows), "score_highs": list(highs)}
    return params


def _of(op: str, parts: Sequence[Tree]) -> Tree:
    return parts[0] if len(parts) == 1 else {"op": op, "of": list(parts)}


def _us(length: Duration | None, default: int = _EVER) -> int:
    return default if length is None else length.microseconds
