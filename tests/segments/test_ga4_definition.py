"""From rules to audiences of GA4, as its Admin API takes them; and why some are not translated."""

from __future__ import annotations

from typing import Any

import pytest
from google.analytics import admin_v1alpha as admin

from analytics_property_server import mistakes
from microconv.config.segment_settings import SegmentConfig
from microconv.segments.ga4_definition import by_rule, by_user_property
from microconv.taxonomy import MicroConversion, Taxonomy
from staged_rows import entry

TAXONOMY = Taxonomy(
    "shop",
    "1.0",
    (
        entry("a", stage="awareness"),
        entry("b", stage="consideration"),
        entry("c", events=("c1", "c2")),
        entry("old", events=("a_before",), stage="awareness", deprecated_in="1.0", replaced_by="a"),
        MicroConversion.model_validate(
            {"id": "tel", "kind": "macro", "stage": "decision", "event": "click", "collapse": "30m"}
        ),
        MicroConversion.model_validate(
            {
                "id": "chat",
                "kind": "macro",
                "stage": "decision",
                "event": "click",
                "where": ({"parameter": "link_url", "starts_with": "chat:"},),
            }
        ),
    ),
)
B = {"did": "b", "within": "7d"}


def clauses(rule: dict[str, Any], **keys: Any) -> Any:
    segment = SegmentConfig.model_validate({"name": "carts", "rule": rule, **keys})
    made, reasons = by_rule(segment, TAXONOMY)
    if made is None:
        return list(reasons)
    audience = admin.Audience(made.document())
    # Google's own class takes it, and it keeps to what is documented.
    assert mistakes(audience) == ""
    return [
        (
            clause.clause_type.name,
            [_words(group) for group in clause.simple_filter.filter_expression.and_group.filter_expressions],
        )
        for clause in audience.filter_clauses
    ]


def _words(group: Any) -> list[str]:
    return [_one(each) for each in group.or_group.filter_expressions]


def _one(expression: Any) -> str:
    if "dimension_or_metric_filter" in expression:
        one = expression.dimension_or_metric_filter
        return f"{one.field_name} in {list(one.in_list_filter.values)}"
    event = expression.event_filter
    (inner,) = event.event_parameter_filter_expression.and_group.filter_expressions
    one = inner.dimension_or_metric_filter
    assert one.field_name == "eventCount"
    if "between_filter" in one:
        times = f"{one.between_filter.from_value.int64_value}..{one.between_filter.to_value.int64_value}"
    else:
        sign = {1: "=", 4: ">"}[one.numeric_filter.operation.value]
        times = f"{sign} {one.numeric_filter.value.int64_value}"
    return f"{event.event_name} {times}" + (f" in {one.in_any_n_day_period}d" if one.in_any_n_day_period else "")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (B, [("INCLUDE", [["b > 0 in 7d"]])]),
        ({**B, "at_least": 3}, [("INCLUDE", [["b > 2 in 7d"]])]),
        ({**B, "exactly": 2}, [("INCLUDE", [["b = 2 in 7d"]])]),
        ({**B, "at_least": 2, "at_most": 4}, [("INCLUDE", [["b 2..4 in 7d"]])]),
        # A deprecated entry counts as the one that replaced it.
        (
            {"did": ["a", "c"], "within": "24h"},
            [("INCLUDE", [["a > 0 in 1d", "c1 > 0 in 1d", "c2 > 0 in 1d", "a_before > 0 in 1d"]])],
        ),
        (
            {"all": [B, {"did": "c", "within": "30d", "exactly": 0}]},
            [("INCLUDE", [["b > 0 in 7d"]]), ("EXCLUDE", [["c1 > 0 in 30d", "c2 > 0 in 30d"]])],
        ),
        (
            {"all": [B, {"did": "b", "within": "30d", "at_most": 5}]},
            [("INCLUDE", [["b > 0 in 7d"]]), ("EXCLUDE", [["b > 5 in 30d"]])],
        ),
        (
            {
                "all": [
                    {"any": [B, {"did": "tel", "within": "1d"}]},
                    {"did": "a", "within": "2d"},
                    {"not": {"any": [{"did": "c", "within": "3d"}, B]}},
                ]
            },
            [
                ("INCLUDE", [["b > 0 in 7d", "click > 0 in 1d"], ["a > 0 in 2d", "a_before > 0 in 2d"]]),
                ("EXCLUDE", [["c1 > 0 in 3d", "c2 > 0 in 3d", "b > 0 in 7d"]]),
            ],
        ),
        ({"lapsed": "b", "for": "60d"}, [("INCLUDE", [["b > 0"]]), ("EXCLUDE", [["b > 0 in 60d"]])]),
        ({"last": "b", "between": ["1d", "7d"]}, [("INCLUDE", [["b > 0 in 7d"]]), ("EXCLUDE", [["b > 0 in 1d"]])]),
        (
            {"channel": ["Email", "Direct"], "source": "news", "touch": "first"},
            [("INCLUDE", [["firstUserDefaultChannelGroup in ['Email', 'Direct']"], ["firstUserSource in ['news']"]])],
        ),
        ({"segment": "other", "rule": B}, [("INCLUDE", [["b > 0 in 7d"]])]),
    ],
)
def test_rule_becomes_an_audience_that_google_takes(rule: dict[str, Any], expected: Any) -> None:
    assert clauses(rule) == expected


def test_stage_is_reached_and_none_beyond_it() -> None:
    of_events = Taxonomy("shop", "1.0", TAXONOMY.entries[:4])
    segment = SegmentConfig.model_validate(
        {"name": "s", "rule": {"stage": ["awareness", "consideration"], "within": "7d"}}
    )
    made, reasons = by_rule(segment, of_events)
    assert made is not None, reasons
    found = admin.Audience(made.document()).filter_clauses
    groups = [
        _words(group) for each in found for group in each.simple_filter.filter_expression.and_group.filter_expressions
    ]
    assert groups == [["a > 0 in 7d", "b > 0 in 7d", "a_before > 0 in 7d"], ["c1 > 0 in 7d", "c2 > 0 in 7d"]]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({**B, "within": "90d"}, "looks back 90 days; GA4 looks back 60 days"),
        ({**B, "within": "36h"}, "whole days, and not 36 hours"),
        ({**B, "where": [{"property": "page", "equals": "/x"}]}, "Conditions on properties"),
        ({"did": "c", "within": "7d", "at_least": 2}, "counts each event by itself"),
        ({"did": "tel", "within": "7d", "at_least": 2}, "counts repeats once"),
        ({"did": "chat", "within": "7d"}, "has conditions in the taxonomy"),
        ({"sequence": ["a", "b"], "within": "7d"}, "no look-back of its own"),
        ({"stage": ["awareness", "decision"]}, "do not follow each other"),
        ({"all": [{"any": [{"channel": "Email", "source": "news", "touch": "first"}, B]}]}, "must be a single one"),
    ],
)
def test_what_is_not_translated_says_why(rule: dict[str, Any], said: str) -> None:
    (reason,) = clauses(rule)
    assert said in reason


@pytest.mark.parametrize("key", [{"held_for": "3d"}, {"away_for": "3d"}, {"route": "mails"}])
def test_what_ga4_has_no_word_for_is_not_left_out_in_silence(key: dict[str, str]) -> None:
    (reason,) = clauses(B, **key)
    assert next(iter(key)) in reason


@pytest.mark.parametrize(
    ("rule", "keys", "days"),
    [
        (B, {}, 7),
        ({"all": [B, {"did": "c", "within": "30d"}]}, {}, 30),
        ({"lapsed": "b", "for": "60d"}, {}, 540),
        ({"lapsed": "b", "for": "60d"}, {"expires_after": "90d"}, 90),
        (B, {"expires_after": "90d"}, 7),
    ],
)
def test_nobody_stays_longer_than_the_rule_holds(rule: dict[str, Any], keys: dict[str, str], days: int) -> None:
    made, _ = by_rule(SegmentConfig.model_validate({"name": "carts", "rule": rule, **keys}), TAXONOMY)
    assert made is not None
    assert made.membership_duration_days == days


def test_audience_of_a_push_looks_for_the_value_that_a_push_sets() -> None:
    made = by_user_property("carts", "mc_carts")
    audience = admin.Audience(made.document())
    assert mistakes(audience) == ""
    (clause,) = audience.filter_clauses
    (group,) = clause.simple_filter.filter_expression.and_group.filter_expressions
    (one,) = group.or_group.filter_expressions
    found = one.dimension_or_metric_filter
    assert (found.field_name, found.string_filter.value, found.string_filter.match_type.name) == (
        "customUser:mc_carts",
        "carts",
        "EXACT",
    )
    assert found.string_filter.case_sensitive
