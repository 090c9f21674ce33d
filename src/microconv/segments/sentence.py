"""A rule in plain English: one sentence that an analyst can check against what was meant."""

from __future__ import annotations

from collections.abc import Sequence

from microconv import wording
from microconv.config.occurrences import PropertyCondition
from microconv.config.segment_rules import ANYTHING, ENGAGEMENT, TRAITS, SegmentRule
from microconv.config.values import Duration

_FROM = {
    "channel": "from the channel",
    "campaign": "from the campaign",
    "source": "from the source",
    "medium": "by the medium",
    "country": "from the country",
    "device": "on the device",
    "language": "in the language",
}


def sentence(rule: SegmentRule) -> str:
    """Return the rule as one sentence."""
    return f"Members are actors who {clause(rule)}."


def clause(rule: SegmentRule) -> str:
    """Return what goes on after `actors who`."""
    match rule.kind:
        case "all" | "any":
            parts = [_inner(each) for _, each in rule.parts]
            if len(parts) == 1:
                return parts[0]
            return f"; {'and' if rule.all else 'or'} who ".join(parts)
        case "not":
            return "" if rule.not_ is None else f"are not among those who {_inner(rule.not_)}"
        case "segment":
            return f"are in the segment {rule.segment}"
    said: str = _LEAVES[rule.kind](rule)
    return said


def _inner(rule: SegmentRule) -> str:
    said = clause(rule)
    return f"({said})" if len(rule.all) > 1 or len(rule.any) > 1 else said


def _did(rule: SegmentRule) -> str:
    what = _what(rule.did, rule.where)
    numbers = []
    if rule.in_sessions is not None:
        numbers.append(f"in at least {wording.plural(rule.in_sessions, 'session')}")
    if rule.on_days is not None:
        numbers.append(f"on at least {wording.plural(rule.on_days, 'day')}")
    start = f"did {what}"
    if rule.times is not None:
        low, high = rule.times
        if (low, high) == (0, 0):
            start = f"did no {what}" if rule.distinct is None else f"did no {what} with a value of {rule.distinct}"
        elif (low, high) != (1, None) or rule.distinct is not None:
            numbers.insert(0, _number(low, high, rule.distinct))
    since = f", and no {' or '.join(rule.not_did)} after that" if rule.not_did else ""
    if rule.not_within is not None:
        since += f" nor at any time {_last(rule.not_within)}"
    return " ".join([start, *numbers, _last(rule.within)]) + since


def _number(low: int, high: int | None, distinct: str | None) -> str:
    def counted(number: int) -> str:
        if distinct is not None:
            return f"{wording.plural(number, 'different value')} of {distinct}"
        return wording.plural(number, "time")

    if high is None:
        said = f"at least {counted(low)}"
    elif low == high:
        said = f"exactly {counted(low)}"
    elif low == 0:
        said = f"at most {counted(high)} (or never)"
    else:
        said = f"{wording.count(low)} to {counted(high)}"
    return f"with {said}" if distinct is not None else said


def _sequence(rule: SegmentRule) -> str:
    steps = ", then ".join(_what(step.did, step.where) for step in rule.sequence)
    said = [f"did {steps}, all {_last(rule.within)}"]
    if rule.window is not None:
        said.append(f"the last step within {_span(rule.window)} of the first")
    if rule.gap is not None:
        said.append(f"each step within {_span(rule.gap)} of the step before")
    if rule.without:
        said.append(f"with no {' or '.join(rule.without)} in between")
    return ", ".join(said)


def _first(rule: SegmentRule) -> str:
    return f"did {_what(rule.first, rule.where)} for the first time ever {_last(rule.within)}"


def _lapsed(rule: SegmentRule) -> str:
    what = f"did {_what(rule.lapsed, rule.where)}"
    if ANYTHING in rule.of:
        return f"{what}, and neither did it again nor visited {_last(rule.for_)}"
    return f"{what}, and not again {_last(rule.for_)}"


def _last_time(rule: SegmentRule) -> str:
    low, high = rule.between or (None, None)
    return f"did {_what(rule.last, rule.where)} last between {_span(low)} and {_span(high)} ago"


def _stage(rule: SegmentRule) -> str:
    when = "" if rule.within is None else f" {_last(rule.within)}"
    return f"reached the stage {' or '.join(rule.stage)}, and none beyond it{when}"


def _total(rule: SegmentRule) -> str:
    of = _what(rule.of, rule.where)
    low, high = rule.at_least, rule.below
    unit = f" {rule.currency}" if rule.currency else ""
    bound = f"at least {low:,g}{unit}" if low is not None else f"below {high:,g}{unit} (or none at all)"
    what = "engagement, in seconds," if rule.total == ENGAGEMENT else rule.total
    return f"have a total {what} of {bound} over {of} {_last(rule.within)}"


def _propensity(rule: SegmentRule) -> str:
    low, high = rule.deciles or (0, 0)
    goal = rule.goal or "the first macro-conversion"
    which = f"decile {low}" if low == high else f"deciles {low} to {high}"
    return f"are in {which} of 10 by their chance to reach {goal} (10: the largest), as scored last"


def _session(rule: SegmentRule) -> str:
    said = [f"{_FROM[trait]} {' or '.join(values)}" for trait in TRAITS if (values := getattr(rule, trait))]
    return f"came {' and '.join(said)} in their {rule.touch or 'last'} session"


_LEAVES = {
    "did": _did,
    "sequence": _sequence,
    "first": _first,
    "lapsed": _lapsed,
    "last": _last_time,
    "stage": _stage,
    "total": _total,
    "propensity": _propensity,
    "session": _session,
}


def _what(ids: Sequence[str], where: Sequence[PropertyCondition]) -> str:
    conditions = " and ".join(condition.describe() for condition in where)
    return " or ".join(ids) + (f" (where {conditions})" if conditions else "")


def _span(length: Duration | None) -> str:
    return "" if length is None else wording.span(length.seconds)


def _last(length: Duration | None) -> str:
    return f"in the last {_span(length)}"
