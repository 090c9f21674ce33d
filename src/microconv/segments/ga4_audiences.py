"""Whether an audience of GA4 itself could express a rule, and why not.

GA4's audiences look back 60 days at most; their conditions are an AND of ORs, beside groups that are left out; negation
within a condition exists for dimensions only. They know events, dimensions and sequences of these.
"""

from __future__ import annotations

from collections.abc import Iterator

from microconv import wording
from microconv.config.segment_rules import ENGAGEMENT, SegmentRule
from microconv.config.values import Duration
from microconv.taxonomy import Taxonomy

LONGEST_LOOKBACK = Duration.parse("60d")


def obstacles(rule: SegmentRule, taxonomy: Taxonomy) -> tuple[str, ...]:
    """Return why no audience of GA4 can express a rule, one sentence each; none where one can.

    Raises:
        TaxonomyError: It names a micro-conversion that the taxonomy does not have.
    """
    plain = plain_rule(rule)
    found = [*_of_tree(plain)]
    for leaf in plain.leaves():
        found += _of_leaf(leaf)
    for entry_id in dict.fromkeys(entry for entry, _ in plain.named()):
        entry = taxonomy.entry(taxonomy.counted(entry_id))
        if not entry.events and entry.event_pattern is None:
            found.append(f"{entry.id} is not an event that GA4 has: it is derived, or comes from another system.")
    return tuple(dict.fromkeys(found))


def plain_rule(rule: SegmentRule) -> SegmentRule:
    """Return the rule with those of the segments that it names in their place."""
    return plain_rule(rule.rule) if rule.rule is not None else rule


def _of_tree(rule: SegmentRule) -> Iterator[str]:
    """Say what is no AND of ORs with groups left out."""
    parts = [plain_rule(each) for each in rule.all] if rule.all else [rule]
    for part in parts:
        left_out = plain_rule(part.not_) if part.not_ is not None else part
        either = [plain_rule(each) for each in left_out.any] if left_out.any else [left_out]
        if any(each.all or each.any or each.not_ or _leaves_out(each) for each in either if each is not left_out) or (
            len(either) == 1 and (left_out.all or left_out.not_)
        ):
            yield "Conditions of GA4 are an AND of ORs, with NOT only around whole groups; this rule nests deeper."
        elif part.not_ is not None and _leaves_out(left_out):
            yield "What GA4 leaves out cannot itself leave out others."


def _leaves_out(leaf: SegmentRule) -> bool:
    """Whether a leaf needs a group that is left out: an absence, a recency, a stage with none beyond."""
    never = leaf.times is not None and leaf.times[0] == 0
    return bool(leaf.lapsed or leaf.last or leaf.stage or (leaf.did and never))


def _of_leaf(leaf: SegmentRule) -> Iterator[str]:
    longest = max((each for each in (leaf.within, leaf.for_, *(leaf.between or ())) if each), default=None)
    if longest is not None and longest > LONGEST_LOOKBACK:
        yield (
            f"It looks back {wording.span(longest.seconds)}; GA4 looks back {wording.span(LONGEST_LOOKBACK.seconds)} "
            "at most."
        )
    if leaf.not_did:
        yield "GA4 cannot say that what came later undoes what came before."
    if leaf.in_sessions or leaf.on_days:
        yield "GA4 does not count the sessions or days in which an event happened."
    if leaf.distinct:
        yield f"GA4 does not count different values of {leaf.distinct}."
    if leaf.without:
        yield "A sequence of GA4 cannot say what may not come between its steps."
    if leaf.first:
        yield "GA4 cannot say that an event happened for the first time ever."
    if leaf.of and leaf.lapsed:
        yield "GA4 cannot say that somebody did not come back at all."
    if leaf.total:
        amount = "engagement of chosen events" if leaf.total == ENGAGEMENT else leaf.total
        yield f"GA4 does not add up {amount} over a time."
    if leaf.propensity:
        yield "GA4 does not know the chances that microconv gives."
    if leaf.kind == "session":
        if leaf.touch != "first":
            yield "GA4 knows the first source of a user and that of any session, not that of the last session."
        elif leaf.country or leaf.device or leaf.language:
            yield "GA4 knows country, device and language of any session, not those of the first one."
