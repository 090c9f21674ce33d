"""Rules in a sentence, and whether audiences of GA4 could express them; the commands that say so."""

from __future__ import annotations

from typing import Any

import pytest

from microconv.config.segment_rules import SegmentRule
from microconv.segments.ga4_audiences import obstacles
from microconv.segments.sentence import clause
from microconv.taxonomy import MicroConversion, Taxonomy
from staged_rows import entry

MADE = MicroConversion(id="made", kind="macro", stage="decision", external="crm_won")
TAXONOMY = Taxonomy("shop", "1.0", (entry("a"), entry("b"), entry("c"), MADE))
A = {"did": "a", "within": "7d"}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (A, "did a in the last 7 days"),
        (
            {"did": ["a", "b"], "within": "1d", "at_least": 2, "where": [{"property": "page", "equals": "/x"}]},
            "did a or b (where page equals /x) at least 2 times in the last 1 day",
        ),
        ({**A, "exactly": 0}, "did no a in the last 7 days"),
        ({**A, "exactly": 1}, "did a exactly 1 time in the last 7 days"),
        ({**A, "at_most": 3}, "did a at most 3 times (or never) in the last 7 days"),
        ({**A, "at_least": 2, "at_most": 3}, "did a 2 to 3 times in the last 7 days"),
        (
            {**A, "in_sessions": 2, "on_days": 1, "at_least": 4},
            "did a at least 4 times in at least 2 sessions on at least 1 day in the last 7 days",
        ),
        (
            {**A, "distinct": "item_id", "at_least": 3},
            "did a with at least 3 different values of item_id in the last 7 days",
        ),
        (
            {**A, "not_did": ["b", "c"], "not_within": "3d"},
            "did a in the last 7 days, and no b or c after that nor at any time in the last 3 days",
        ),
        (
            {"sequence": ["a", "b"], "within": "30d", "window": "7d", "gap": "1d", "without": "c"},
            (
                "did a, then b, all in the last 30 days, the last step within 7 days of the first, "
                "each step within 1 day of the step before, with no c in between"
            ),
        ),
        ({"first": "a", "within": "7d"}, "did a for the first time ever in the last 7 days"),
        ({"lapsed": "a", "for": "60d"}, "did a, and not again in the last 60 days"),
        (
            {"lapsed": "a", "for": "60d", "of": "anything"},
            "did a, and neither did it again nor visited in the last 60 days",
        ),
        ({"last": "a", "between": ["1d", "7d"]}, "did a last between 1 day and 7 days ago"),
        ({"stage": ["decision"], "within": "7d"}, "reached the stage decision, and none beyond it in the last 7 days"),
        (
            {"total": "value", "of": "a", "within": "7d", "at_least": 1000},
            "have a total value of at least 1,000 over a in the last 7 days",
        ),
        (
            {"total": "engagement_seconds", "of": "a", "within": "7d", "below": 2.5},
            "have a total engagement, in seconds, of below 2.5 (or none at all) over a in the last 7 days",
        ),
        (
            {"channel": ["Email", "Direct"], "device": "mobile", "touch": "first"},
            "came from the channel Email or Direct and on the device mobile in their first session",
        ),
        (
            {"all": [A, {"any": [A, {"segment": "carts"}]}, {"not": A}]},
            (
                "did a in the last 7 days; and who (did a in the last 7 days; or who are in the segment carts); "
                "and who are not among those who did a in the last 7 days"
            ),
        ),
    ],
)
def test_a_rule_is_one_clause_that_says_all_of_it(rule: dict[str, Any], said: str):
    assert clause(SegmentRule.model_validate(rule)) == said


def why_not(rule: dict[str, Any]) -> list[str]:
    return list(obstacles(SegmentRule.model_validate(rule), TAXONOMY))


@pytest.mark.parametrize(
    "rule",
    [
        A,
        {"all": [{"any": [A, {"did": "b", "within": "60d", "at_least": 3}]}, {"not": {"did": "c", "within": "7d"}}]},
        {"all": [A, {"not": {"any": [{"did": "b", "within": "7d"}, {"did": "c", "within": "7d"}]}}]},
        {"sequence": ["a", "b"], "within": "30d", "gap": "1d"},
        {"lapsed": "a", "for": "60d"},
        {"channel": "Email", "touch": "first"},
        {"segment": "other", "rule": A},
    ],
)
def test_what_ga4_could_express(rule: dict[str, Any]):
    assert why_not(rule) == []


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({**A, "within": "61d"}, "It looks back 61 days; GA4 looks back 60 days at most."),
        ({"segment": "other", "rule": {**A, "within": "90d"}}, "It looks back 90 days"),
        ({"any": [A, {"all": [A, {"did": "b", "within": "7d"}]}]}, "an AND of ORs"),
        ({"any": [A, {"all": [A, {"not": A}]}]}, "an AND of ORs"),
        ({"all": [A, {"not": {"all": [A, {"did": "b", "within": "7d"}]}}]}, "an AND of ORs"),
        ({"all": [A, {"not": {"lapsed": "b", "for": "7d"}}]}, "cannot itself leave out"),
        ({**A, "not_did": "b"}, "what came later undoes"),
        ({**A, "in_sessions": 2}, "sessions or days"),
        ({**A, "distinct": "page"}, "different values of page"),
        ({"sequence": ["a", "b"], "within": "7d", "without": "c"}, "between its steps"),
        ({"first": "a", "within": "7d"}, "first time ever"),
        ({"lapsed": "a", "for": "7d", "of": "anything"}, "come back at all"),
        ({"total": "value", "of": "a", "within": "7d", "at_least": 1}, "does not add up value"),
        ({"channel": "Email"}, "not that of the last session"),
        ({"country": "DE", "touch": "first"}, "not those of the first one"),
        ({"did": "made", "within": "7d"}, "made is not an event that GA4 has"),
    ],
)
def test_what_ga4_cannot_express_is_told_with_the_reason(rule: dict[str, Any], said: str):
    (reason,) = why_not(rule)
    assert said in reason
