"""The audience of GA4 that says what a rule says, as its Admin API takes it; or why there is none.

`ga4_audiences.obstacles` says what GA4 cannot express at all. What is left is translated here, as far as that can be
done without guessing: an event and how often it came within whole days, an absence, a recency, a stage, a first source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from microconv import wording
from microconv.config.segment_rules import STAGES, SegmentRule
from microconv.config.segment_settings import SegmentConfig
from microconv.config.values import Duration
from microconv.segments.ga4_audiences import obstacles, plain_rule
from microconv.segments.sentence import sentence
from microconv.taxonomy import MicroConversion, Taxonomy

Expression: TypeAlias = dict[str, Any]
"""A filter expression of the Admin API."""

LONGEST_DAYS = 540
_DAY_SECONDS = 86_400
_LONGEST_DESCRIPTION = 200
_FIRST_TOUCH = {
    "channel": "firstUserDefaultChannelGroup",
    "campaign": "firstUserCampaignName",
    "source": "firstUserSource",
    "medium": "firstUserMedium",
}


class UntranslatedError(Exception):
    """A part of a rule that is not translated; the text is a sentence that says why."""


@dataclass(frozen=True)
class Ga4Definition:
    """An audience of GA4.

    Attributes:
        display_name: What GA4 calls it.
        description: What it is, for people who look at it there.
        membership_duration_days: How long somebody stays in it at most.
        filter_clauses: The clauses of the Admin API.
    """

    display_name: str
    description: str
    membership_duration_days: int
    filter_clauses: tuple[Expression, ...]

    def document(self) -> dict[str, Any]:
        """Return it as the Admin API takes it."""
        return {
            "display_name": self.display_name,
            "description": self.description,
            "membership_duration_days": self.membership_duration_days,
            # Who meets what excludes is out for as long as they meet it.
            "exclusion_duration_mode": "EXCLUDE_TEMPORARILY",
            "filter_clauses": list(self.filter_clauses),
        }


def by_rule(segment: SegmentConfig, taxonomy: Taxonomy) -> tuple[Ga4Definition | None, tuple[str, ...]]:
    """Return the audience that says what the rule of a segment says, or None, with the reasons.

    Raises:
        TaxonomyError: It names a micro-conversion that the taxonomy does not have.
    """
    reasons = list(obstacles(segment.rule, taxonomy))
    unknown = (key for key in ("held_for", "route", "away_for") if getattr(segment, key) is not None)
    reasons += (f"GA4 knows nothing like {key} of a segment." for key in unknown)
    clauses = _Clauses(taxonomy)
    if not reasons:
        try:
            clauses.read(plain_rule(segment.rule))
        except UntranslatedError as error:
            reasons.append(str(error))
    if reasons:
        return None, tuple(reasons)
    longest = LONGEST_DAYS if clauses.days is None else clauses.days
    if segment.expires_after is not None:
        longest = min(longest, max(1, segment.expires_after.seconds // _DAY_SECONDS))
    made = Ga4Definition(
        f"{audience_name(segment.name)} (rule)", _described(sentence(segment.rule)), longest, clauses.document()
    )
    return made, ()


def by_user_property(segment: str, user_property: str) -> Ga4Definition:
    """Return the audience of those whose user property says that they are in a segment, as a push sets it."""
    exactly = {"match_type": "EXACT", "value": segment, "case_sensitive": True}
    has_it = {"dimension_or_metric_filter": {"field_name": f"customUser:{user_property}", "string_filter": exactly}}
    return Ga4Definition(
        audience_name(segment),
        f"Users whose {user_property} is {segment}, as microconv push says.",
        LONGEST_DAYS,
        (_clause("INCLUDE", [[has_it]]),),
    )


def audience_name(segment: str) -> str:
    """Return what the audience of a segment is called in GA4."""
    return f"microconv {segment}"


def _described(text: str) -> str:
    return text if len(text) <= _LONGEST_DESCRIPTION else f"{text[: _LONGEST_DESCRIPTION - 1]}…"


class _Clauses:
    """The clauses of a rule: what includes is an AND of ORs; each group that is left out excludes."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy
        self._included: list[list[Expression]] = []
        self._excluded: list[list[Expression]] = []
        self._looked_back: list[int | None] = []

    @property
    def days(self) -> int | None:
        """The longest look back of what includes; None: without an end."""
        found = [each for each in self._looked_back if each is not None]
        return max(found, default=None) if len(found) == len(self._looked_back) else None

    def read(self, rule: SegmentRule) -> None:
        for part in map(plain_rule, rule.all or (rule,)):
            if part.not_ is not None:
                self._excluded.append(self._either(plain_rule(part.not_)))
            elif part.any:
                self._included.append(self._either(part))
            else:
                self._leaf(part)
        if not self._included:
            raise UntranslatedError("An audience of GA4 needs something that its members did.")

    def document(self) -> tuple[Expression, ...]:
        excluding = [_clause("EXCLUDE", [group]) for group in self._excluded]
        return (_clause("INCLUDE", self._included), *excluding)

    def _either(self, rule: SegmentRule) -> list[Expression]:
        """Return the expressions of which any will do."""
        return [each for leaf in map(plain_rule, rule.any or (rule,)) for each in self._single(leaf)]

    def _single(self, leaf: SegmentRule) -> list[Expression]:
        """Return a leaf that is one group of expressions of which any will do."""
        inner = _Clauses(self._taxonomy)
        inner._leaf(leaf)
        if len(inner._included) != 1 or inner._excluded:
            raise UntranslatedError("Of several conditions any of which will do, each must be a single one in GA4.")
        self._looked_back += inner._looked_back
        return inner._included[0]

    def _leaf(self, leaf: SegmentRule) -> None:
        if leaf.where:
            raise UntranslatedError("Conditions on properties (where) are not translated.")
        if leaf.did:
            self._did(leaf)
        elif leaf.lapsed:
            assert leaf.for_ is not None  # noqa: S101 - the rule was read with it
            self._include(self._events(leaf.lapsed), None)
            self._excluded.append(self._events(leaf.lapsed, days=_days(leaf.for_)))
        elif leaf.last:
            assert leaf.between is not None  # noqa: S101 - the rule was read with it
            since, until = map(_days, leaf.between)
            self._include(self._events(leaf.last, days=until), until)
            self._excluded.append(self._events(leaf.last, days=since))
        elif leaf.stage:
            self._stage(leaf)
        elif leaf.kind == "session":
            for trait, field in _FIRST_TOUCH.items():
                if values := getattr(leaf, trait):
                    listed = {"values": list(values), "case_sensitive": True}
                    one = {"dimension_or_metric_filter": {"field_name": field, "in_list_filter": listed}}
                    self._include([one], None)
        else:
            raise UntranslatedError("A sequence of GA4 has no look-back of its own, so within is not translated.")

    def _did(self, leaf: SegmentRule) -> None:
        assert leaf.within is not None  # noqa: S101 - the rule was read with it
        assert leaf.times is not None  # noqa: S101 - sessions and days are obstacles
        days = _days(leaf.within)
        least, most = leaf.times
        if least == 0:
            assert most is not None  # noqa: S101 - else it holds for everyone
            self._excluded.append(self._events(leaf.did, days=days, least=most + 1))
        else:
            self._include(self._events(leaf.did, days=days, least=least, most=most), days)

    def _stage(self, leaf: SegmentRule) -> None:
        places = sorted(STAGES.index(stage) for stage in leaf.stage)
        if places != list(range(places[0], places[-1] + 1)):
            raise UntranslatedError("Stages that do not follow each other are not translated.")
        days = None if leaf.within is None else _days(leaf.within)
        self._include(self._events(self._of_stages(leaf.stage), days=days), days)
        if beyond := self._of_stages(STAGES[places[-1] + 1 :]):
            self._excluded.append(self._events(beyond, days=days))

    def _of_stages(self, stages: Sequence[str]) -> list[str]:
        return [
            entry.id
            for entry in self._taxonomy.entries
            if entry.stage in stages and entry.counts_as == entry.id and not entry.is_hesitation
        ]

    def _include(self, group: list[Expression], days: int | None) -> None:
        self._included.append(group)
        self._looked_back.append(days)

    def _events(
        self, ids: Sequence[str], *, days: int | None = None, least: int = 1, most: int | None = None
    ) -> list[Expression]:
        """Return a filter for each event that counts as one of these micro-conversions."""
        counted = set(map(self._taxonomy.counted, ids))
        # Deprecated entries count as those that replaced them, and so do their events.
        entries = [entry for entry in self._taxonomy.staged if entry.counts_as in counted]
        is_counted = least > 1 or most is not None
        for entry in entries:
            _check(entry, is_counted=is_counted)
        names = list(dict.fromkeys(name for entry in entries for name in entry.events))
        if is_counted and len(names) > 1:
            raise UntranslatedError(
                f"GA4 counts each event by itself, and not {wording.listed(names)} together, so a number of times is "
                "not translated."
            )
        return [_event(name, days, least, most) for name in names]


def _check(entry: MicroConversion, *, is_counted: bool) -> None:
    if not entry.events or entry.event_pattern is not None:
        raise UntranslatedError(f"{entry.id} is not a named event that GA4 has.")
    if entry.where:
        raise UntranslatedError(f"{entry.id} has conditions in the taxonomy, which are not translated.")
    if is_counted and entry.collapse is not None:
        raise UntranslatedError(f"GA4 counts each event, and {entry.id} counts repeats once (collapse).")


def _days(length: Duration) -> int:
    days, rest = divmod(length.seconds, _DAY_SECONDS)
    if rest:
        raise UntranslatedError(f"GA4 looks back whole days, and not {wording.span(length.seconds)}.")
    return days


def _event(name: str, days: int | None, least: int, most: int | None) -> Expression:
    if most is None:
        times: Expression = {"numeric_filter": {"operation": "GREATER_THAN", "value": _number(least - 1)}}
    elif most == least:
        times = {"numeric_filter": {"operation": "EQUAL", "value": _number(least)}}
    else:
        times = {"between_filter": {"from_value": _number(least), "to_value": _number(most)}}
    counted = {"field_name": "eventCount", **times, **({} if days is None else {"in_any_n_day_period": days})}
    inner = {"and_group": {"filter_expressions": [{"dimension_or_metric_filter": counted}]}}
    return {"event_filter": {"event_name": name, "event_parameter_filter_expression": inner}}


def _number(value: int) -> Mapping[str, int]:
    return {"int64_value": value}


def _clause(clause_type: str, groups: Sequence[Sequence[Expression]]) -> Expression:
    either = [{"or_group": {"filter_expressions": list(group)}} for group in groups]
    return {
        "clause_type": clause_type,
        "simple_filter": {
            "scope": "AUDIENCE_FILTER_SCOPE_ACROSS_ALL_SESSIONS",
            "filter_expression": {"and_group": {"filter_expressions": either}},
        },
    }


def differences(segment: SegmentConfig) -> Iterator[str]:
    """Yield what an audience of GA4 sees otherwise than the rule that it was made of."""
    yield (
        "It is GA4's own audience: who is in it is decided there, by the consent that GA4 was sent and not by your "
        "consent table. Only a push is gated by that."
    )
    yield "GA4 counts days of its calendar, today included; a rule looks back from the moment of its build."
    yield "GA4 counts every event; here, repeats of one transaction count once, and so do exact duplicates."
    if segment.rule.lapsed or any(each.lapsed for each in segment.rule.leaves()):
        yield "GA4 knows what happened before your export began, and forgets what is older than its retention."
