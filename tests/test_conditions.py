"""Conditions of the taxonomy against a plain Python reading of them, on random events and random conditions."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from judges import ALL_JUDGES
from microconv.engines.tables import Column
from microconv.queries.conditions import Operands
from microconv.staging import batch_queries, condition_groups, mc_tables
from microconv.staging.rules import Rules
from microconv.taxonomy import Clause, Group, MicroConversion, Taxonomy

TEXTS = ["", "a", "A", "ab", "7", "7.0", " 8", "nine", "x.y", "1e1"]
URLS = [
    None,
    "https://shop.example",
    "https://www.Shop.example/a/b?q=a&q=7",
    "https://shop.example:8080/a?q=nine+x&r=#q=ab",
    "http://blog.example/ab#?q=a",
    "https://blog.example/?xq=1&q=%20",
]
ITEMS = [[], ["a"], ["7", "ab"], ["8.5", "nine"]]
EVENTS = ["video_start", "video_stop", "click", "Click"]
PATTERNS = ["^video_", "click", "(?i)^click$", "o"]
SUBJECTS = [
    {"parameter": "p"},
    {"user_property": "u"},
    {"item": "item_id"},
    {"query": "q"},
    {"field": "page"},
    {"field": "host"},
    {"field": "stream"},
    {"field": "platform"},
    {"field": "app_version"},
]

events = st.fixed_dictionaries(
    {
        "event_name": st.sampled_from(EVENTS),
        "page_location": st.sampled_from(URLS),
        "stream_id": st.sampled_from(["a", "7"]),
        "platform": st.sampled_from([None, "WEB", "IOS"]),
        "app_version": st.sampled_from([None, "7", "7.0.1"]),
        "p": st.sampled_from([None, *TEXTS]),
        "u": st.sampled_from([None, *TEXTS]),
        "items": st.sampled_from(ITEMS),
    }
)


@st.composite
def condition(draw: st.DrawFn) -> dict[str, Any]:
    subject = draw(st.sampled_from(SUBJECTS))
    text = st.sampled_from([*TEXTS, "WEB", "/a", "shop.example", "7.0.1"])
    number = st.sampled_from([0, 7, 8, 8.5, 10])
    operations = [
        st.tuples(st.just("equals"), text),
        st.tuples(st.just("any_of"), st.lists(text, min_size=1, max_size=3)),
        st.tuples(st.just("contains"), text.filter(bool)),
        st.tuples(st.just("starts_with"), text.filter(bool)),
        st.tuples(st.just("matches"), st.sampled_from(["^a", "a|7", r"^\d+$", "^$", r"x\.y"])),
        st.tuples(st.just("exists"), st.booleans()),
    ]
    if subject == {"field": "platform"}:
        operations = [st.tuples(st.just("any_of"), st.lists(st.sampled_from(["WEB", "IOS"]), min_size=1))]
    elif "field" not in subject:
        operations += [
            st.tuples(st.just("equals"), number),
            st.tuples(st.just("any_of"), st.lists(number, min_size=1, max_size=3)),
            st.tuples(st.sampled_from(["at_least", "at_most"]), number),
            st.tuples(st.just("between"), st.lists(number, min_size=2, max_size=2).map(sorted)),
        ]
    operator, operand = draw(st.one_of(operations))
    as_number = operator == "exists" and "parameter" in subject and draw(st.booleans())
    return {**subject, operator: operand, **({"as": "number"} if as_number else {})}


clauses = st.recursive(
    condition(),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda held: {"any": held}),
        st.lists(inner, min_size=1, max_size=3).map(lambda held: {"all": held}),
        inner.map(lambda held: {"not": held}),
    ),
    max_leaves=5,
)
entries = st.lists(
    st.fixed_dictionaries(
        {
            "event": st.one_of(
                st.lists(st.sampled_from(EVENTS), min_size=1, max_size=3, unique=True),
                st.sampled_from(PATTERNS).map(lambda pattern: {"matches": pattern}),
            ),
            "where": st.lists(clauses, max_size=3),
        }
    ),
    min_size=1,
    max_size=8,
)


# The plain reading


def number_in(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def read(event: dict[str, Any], test: dict[str, Any]) -> list[str]:
    """The texts that a condition looks at: none where there is nothing."""
    url = event["page_location"]
    if test.get("item"):
        return event["items"]
    found: str | None
    if test.get("parameter"):
        found = event["p"]
    elif test.get("user_property"):
        found = event["u"]
    elif test.get("query"):
        asked = [part.partition("=") for part in urlsplit(url or "").query.split("&")]
        found = next((unquote_plus(value) for name, sign, value in asked if sign and name == "q"), None)
    elif test["field"] == "page":
        found = None if url is None else urlsplit(url).path or "/"
    elif test["field"] == "host":
        found = None if url is None else (urlsplit(url).hostname or "").removeprefix("www.")
    else:
        found = event[{"stream": "stream_id"}.get(test["field"], test["field"])]
    return [] if found is None else [found]


def meets(event: dict[str, Any], test: dict[str, Any]) -> bool:
    if "any" in test:
        return any(meets(event, each) for each in test["any"])
    if "all" in test:
        return all(meets(event, each) for each in test["all"])
    if "not" in test:
        return not meets(event, test["not"])
    texts = read(event, test)
    if "exists" in test:
        there = [text for text in texts if test.get("as") != "number" or number_in(text) is not None]
        return bool(there) == test["exists"]
    return any(compares(text, test) for text in texts)


def compares(text: str, test: dict[str, Any]) -> bool:
    number = number_in(text)
    operator = next(key for key in test if key not in {"parameter", "user_property", "item", "query", "field", "as"})
    operand = test[operator]
    wanted = operand if isinstance(operand, list) else [operand]
    if operator in {"at_least", "at_most", "between"} or not isinstance(wanted[0], str):
        if number is None:
            return False
        low = {"at_most": float("-inf")}.get(operator, wanted[0])
        high = {"at_least": float("inf"), "between": wanted[-1]}.get(operator, wanted[0])
        return number in wanted if operator in {"equals", "any_of"} else low <= number <= high
    return {
        "equals": lambda: text == operand,
        "any_of": lambda: text in wanted,
        "contains": lambda: operand in text,
        "starts_with": lambda: text.startswith(operand),
        "matches": lambda: re.search(operand, text) is not None,
    }[operator]()


def listens(event: dict[str, Any], entry: dict[str, Any]) -> bool:
    if isinstance(entry["event"], dict):
        return re.search(entry["event"]["matches"], event["event_name"]) is not None
    return event["event_name"] in entry["event"]


# The staged reading


def taxonomy_of(given: list[dict[str, Any]]) -> Taxonomy:
    facts = {"kind": "macro", "stage": "decision"}
    made = [MicroConversion.model_validate({"id": f"e{n}", **facts, **one}) for n, one in enumerate(given)]
    return Taxonomy("t", "1.0", tuple(made))


def staged(event: dict[str, Any], number: int) -> dict[str, Any]:
    row = {key: event[key] for key in ("event_name", "page_location", "stream_id", "platform", "app_version")}
    return row | {
        "property": "p",
        "event_date": "2021-01-02",
        "event_at": "2021-01-02T10:00:00Z",
        "event_order": number,
        "client_key": number,
        "is_provisional": False,
        "text_p": event["p"],
        "number_p": number_in(event["p"]),
        "user_text_u": event["u"],
        "user_number_u": number_in(event["u"]),
        "items_item_id": "\n".join(event["items"]) or None,
    }


def counted(given: list[dict[str, Any]], happened: list[dict[str, Any]]) -> set[tuple[int, str]]:
    rules = Rules(taxonomy_of(given))
    query = batch_queries.micro_conversions(rules, (None, None))
    extra: list[Column] = rules.extra_columns(mc_tables.EVENTS)

    def columns(table: Any, more: list[Column] = []) -> dict[str, str]:  # noqa: B006 - never changed
        return {column.name: column.type for column in (*table.columns, *more)}

    rows = [staged(event, number) for number, event in enumerate(happened)]
    named = columns(mc_tables.EVENTS, extra)
    tables = {
        "changed_events": (named, [{key: row.get(key) for key in named} for row in rows[::2]]),
        "neighbour_events": (named, [{key: row.get(key) for key in named} for row in rows[1::2]]),
        "sessions": (columns(mc_tables.SESSIONS), []),
        "mc_micro_conversions": (columns(mc_tables.MICRO_CONVERSIONS), []),
        "moved_sessions": ({"session_key": "INT64", "actor_key": "INT64"}, []),
    }
    params = {name: (value, kind) for name, (kind, value) in query.params.items()}
    found = ALL_JUDGES["duckdb"](query.sql, params, tables)
    keys = [(row["client_key"], row["micro_conversion"]) for row in found]
    assert len(keys) == len(set(keys))
    return set(keys)


@given(entries, st.lists(events, min_size=1, max_size=12))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_events_count_as_the_entries_whose_conditions_they_meet(
    given: list[dict[str, Any]], happened: list[dict[str, Any]]
):
    expected = {
        (number, f"e{place}")
        for number, event in enumerate(happened)
        for place, entry in enumerate(given)
        if listens(event, entry) and all(meets(event, test) for test in entry["where"])
    }
    assert counted(given, happened) == expected


def test_more_groups_of_columns_than_the_query_has_room_for_share_the_last_one():
    given = [
        {"event": ["click"], "where": [{"parameter": f"p{n}", "equals": "x"}, {"parameter": "p", "exists": True}]}
        for n in range(condition_groups.MOST_GROUPS + 5)
    ]
    groups = condition_groups.condition_groups(taxonomy_of(given).entries)
    assert len(groups) == condition_groups.MOST_GROUPS
    assert sorted(entry.id for group in groups for entry in group) == sorted(f"e{n}" for n in range(len(given)))
    happened = [
        {"event_name": "click", "p": "a", "items": [], "u": None}
        | dict.fromkeys(("page_location", "stream_id", "platform", "app_version"))
    ]
    assert counted([*given, {"event": ["click"], "where": [{"parameter": "p", "equals": "a"}]}], happened) == {
        (0, f"e{len(given)}")
    }


def test_entries_that_look_at_the_same_columns_are_asked_together():
    given = [
        {"event": ["a"], "where": [{"field": "page", "equals": "/x"}, {"query": "q", "exists": True}]},
        {"event": ["b"], "where": [{"field": "page", "starts_with": "/y"}]},
        {"event": ["c"], "where": [{"any": [{"parameter": "p", "equals": "x"}, {"field": "page", "equals": "/"}]}]},
        {"event": ["d"]},
    ]
    groups = condition_groups.condition_groups(taxonomy_of(given).entries)
    assert [[entry.id for entry in group] for group in groups] == [["e0", "e1"], ["e2"]]


def test_conditions_that_ask_for_the_same_share_a_subject():
    given = [{"event": ["a"], "where": [{"query": "q", "equals": each}]} for each in ("x", "y", "z")]
    taxonomy = taxonomy_of(given)
    places = {entry.id: place for place, entry in enumerate(taxonomy.entries)}
    asked = condition_groups.as_structure(taxonomy.entries, places, Operands())
    assert [subject["part"] for subject in asked["subjects"]] == ["query"]


def leaves(clause: Clause) -> int:
    return sum(leaves(each) for each in clause.clauses) if isinstance(clause, Group) else 1


@given(clauses)
@settings(max_examples=200, deadline=None)
def test_document_of_a_clause_describes_every_condition_of_it(written: dict[str, Any]):
    (clause,) = taxonomy_of([{"event": ["a"], "where": [written]}]).entries[0].where
    assert len(list(clause.leaves())) == leaves(clause)
    assert clause.describe()
    again = clause.document()
    assert ("operator" in again) == (not isinstance(clause, Group))
