"""Rules of segments on random logs: the one template against plain Python, and what each kind of rule means."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from judges import ALL_JUDGES
from microconv.config.segment_rules import SegmentRule
from microconv.queries import templates
from microconv.segments.compiled import compiled
from microconv.staging.mc_tables import TABLES
from microconv.taxonomy import Taxonomy
from searches import search
from segment_reference import PRICED, SECOND, Log
from staged_rows import START_US, at, entry

ENTRIES = {"read": "awareness", "view": "consideration", "cart": "decision", "buy": "decision", "review": "post_sale"}
PRICE: dict[str, Any] = {each: {"value": 2.25 if each in PRICED else "event"} for each in ENTRIES}
TAXONOMY = Taxonomy(
    "shop",
    "1.0",
    (
        *(
            entry(each, stage=stage, kind="macro" if each == "buy" else "milestone", **PRICE[each])
            for each, stage in ENTRIES.items()
        ),
        entry("waver", stage="post_sale", kind="secondary", hesitation=True),
        entry("old_cart", deprecated_in="1.0", replaced_by="cart"),
    ),
)
IDS = (*ENTRIES, "waver", "old_cart")
LAST = 12
EXTRA = {"items_item_id": "STRING"}
COLUMNS = {
    name: {column.name: column.type for column in TABLES[name].columns}
    | (EXTRA if name == "mc_micro_conversions" else {})
    for name in ("mc_micro_conversions", "mc_sessions", "mc_external_events")
}


def iso(us: int) -> str:
    return at(us).isoformat()


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Few actors, clients, seconds and values, so that all meet: ties, transactions reported again, clients that are
    of one actor now and of another later, occurrences without a session or a property."""
    some = st.sampled_from
    occurrences, taken = [], set()
    for _ in range(draw(st.integers(0, 14))):
        second, place, client = draw(st.integers(0, LAST + 2)), draw(some((0, 0, 1))), draw(st.integers(1, 4))
        micro_conversion = draw(some((*ENTRIES, "waver")))
        order = (START_US + second * SECOND) * 1000 + place
        if (client, order, micro_conversion) in taken:
            continue
        taken.add((client, order, micro_conversion))
        occurrences.append({
            "us": second * SECOND,
            "order": order,
            "client": client,
            "micro_conversion": micro_conversion,
            "actor_key": draw(some((client % 3, client % 3, 7))),
            "property": draw(some(("p", "p", "q"))),
            "session_key": draw(some((None, 1, 2, 3))),
            "event_date": f"2024-03-0{1 + second // 5}",
            "transaction_id": draw(some((None, None, "t1", "t2"))),
            "value": draw(some((None, 0.5, 1.0, 2.25))),
            "currency": draw(some(("USD", "USD", "EUR", None))),
            "value_in_usd": draw(some((None, 1.5))),
            "engagement_msec": draw(some((None, 400, 1000))),
            "page": draw(some((None, "/a", "/b/c"))),
            "items_item_id": draw(some((None, "i1", "i1\ni2", "i3"))),
        })  # fmt: skip
    sessions = [
        {
            "session_key": key,
            "actor_key": draw(some((0, 1, 2, 7))),
            "started_us": (began := draw(st.integers(0, LAST + 2))) * SECOND,
            "ended_us": (began + draw(st.integers(0, 4))) * SECOND,
            "channel_group": draw(some(("Direct", "Email", None))),
            "campaign": None,
            "source": "x",
            "medium": draw(some(("cpc", "email"))),
            "country": draw(some(("DE", "AT", None))),
            "device_category": draw(some(("mobile", "desktop"))),
            "language": draw(some(("en", "en-gb", "eng", "de-at"))),
        }
        for key in range(draw(st.integers(0, 5)))
    ]
    return Log(occurrences, sessions, ENTRIES, {"old_cart": "cart"})


_ids = st.lists(st.sampled_from(IDS), min_size=1, max_size=2, unique=True)
_spans = st.integers(1, LAST).map(lambda seconds: f"{seconds}s")
_conditions = st.lists(
    st.sampled_from([
        {"property": "page", "equals": "/a"},
        {"property": "page", "starts_with": "/b"},
        {"property": "page", "exists": False},
        {"property": "value", "at_least": 1},
        {"property": "item_id", "any_of": ["i2", "i3"]},
        {"property": "item_id", "matches": "^i1$"},
    ]),
    max_size=2,
)  # fmt: skip

_stages = st.lists(st.sampled_from(list(dict.fromkeys(ENTRIES.values()))), min_size=1, max_size=2, unique=True)


def _optional(draw: st.DrawFn, **keys: st.SearchStrategy[Any]) -> dict[str, Any]:
    return {key: draw(values) for key, values in keys.items() if draw(st.integers(0, 2)) == 0}


@st.composite
def leaves(draw: st.DrawFn) -> dict[str, Any]:  # noqa: PLR0911 - one for each kind
    kind = draw(
        st.sampled_from(["did"] * 4 + ["sequence"] * 3 + ["first", "lapsed", "last", "stage", "total", "session"])
    )
    where = {"where": found} if (found := draw(_conditions)) else {}
    match kind:
        case "did":
            ids = draw(_ids)
            number: dict[str, Any] = draw(
                st.sampled_from([
                    {}, {"at_least": 2}, {"exactly": 1}, {"exactly": 0}, {"at_most": 0}, {"at_most": 1},
                    {"at_least": 1, "at_most": 2},
                ])
            )  # fmt: skip
            rule = {"did": ids, "within": draw(_spans), **number, **where}
            rule |= _optional(
                draw,
                in_sessions=st.integers(1, 2),
                on_days=st.integers(1, 2),
                distinct=st.sampled_from(["item_id", "page", "value"]),
            )
            undoing = [each for each in draw(_ids) if each not in ids and {each, *ids} != {"cart", "old_cart"}]
            if undoing and draw(st.booleans()):
                rule |= {"not_did": undoing, **_optional(draw, not_within=_spans)}
            return rule
        case "sequence":
            step = st.one_of(
                st.sampled_from(IDS), st.builds(lambda did, where: {"did": did, "where": where}, _ids, _conditions)
            )
            rule = {"sequence": draw(st.lists(step, min_size=2, max_size=3)), "within": draw(_spans)}
            return rule | _optional(draw, window=_spans, gap=_spans, without=_ids)
        case "first":
            return {"first": draw(_ids), "within": draw(_spans), **where}
        case "lapsed":
            return {"lapsed": draw(_ids), "for": draw(_spans), **where, **_optional(draw, of=st.just("anything"))}
        case "last":
            bounds = sorted(draw(st.tuples(st.integers(1, 6), st.integers(1, 9))))
            return {"last": draw(_ids), "between": [f"{each}s" for each in bounds], **where}
        case "stage":
            stages = st.lists(
                st.sampled_from(list(dict.fromkeys(ENTRIES.values()))), min_size=1, max_size=2, unique=True
            )
            return {"stage": draw(stages), **_optional(draw, within=_spans)}
        case "total":
            total = draw(st.sampled_from(["value", "engagement_seconds"]))
            bound = {draw(st.sampled_from(["at_least", "below"])): draw(st.sampled_from([0.5, 1, 2.75]))}
            return {"total": total, "of": draw(_ids), "within": draw(_spans), **bound, **where}
    traits = {"channel": ["Email"], "country": ["DE", "AT"], "medium": "cpc", "device": "mobile"}
    traits["language"] = ["EN", "en-gb", "de_AT"]
    chosen = draw(st.lists(st.sampled_from(sorted(traits)), min_size=1, max_size=2, unique=True))
    return {key: traits[key] for key in chosen} | _optional(draw, touch=st.sampled_from(["first", "last"]))


rules = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
        inner.map(lambda part: {"segment": "other", "rule": part}),
    ),
    max_leaves=5,
)
rules = st.builds(
    lambda written, currency: SegmentRule.model_validate(written).in_currency(*currency),
    rules,
    st.sampled_from([("USD", None), ("EUR", None), ("EUR", "EUR"), ("USD", "USD")]),
)


def found(log: Log, rule: SegmentRule, as_of: int, judge: str) -> list[int]:
    """The actors that the template finds."""
    of_rule = compiled(rule, TAXONOMY, at(as_of))
    query = templates.query("segments/members", params=of_rule.params, structure={"rule": of_rule.structure})
    params = {name: (value, kind) for name, (kind, value) in query.params.items()}
    params["as_of"] = (iso(as_of), "TIMESTAMP")
    occurrences = [
        {key: value for key, value in row.items() if key not in ("us", "order", "client")}
        | {"event_at": iso(row["us"]), "event_order": row["order"], "client_key": row["client"]}
        for row in log.occurrences
    ]
    sessions = [
        {key: value for key, value in row.items() if not key.endswith("_us")}
        | {"started_at": iso(row["started_us"]), "ended_at": iso(row["ended_us"])}
        for row in log.sessions
    ]
    rows = {"mc_micro_conversions": occurrences, "mc_sessions": sessions, "mc_external_events": []}
    tables = {name: (COLUMNS[name], rows[name]) for name in query.reads}
    return [row["actor_key"] for row in ALL_JUDGES[judge](query.sql, params, tables)]


@search(130, 2000)
@given(logs(), rules.filter(lambda rule: not rule.holds_without_anything()), st.integers(2, LAST))
def test_members_are_those_that_plain_python_finds(log: Log, rule: SegmentRule, second: int):
    as_of = second * SECOND
    assert found(log, rule, as_of, "duckdb") == log.members(rule, as_of)


@search(14, 200)
@given(logs(), rules.filter(lambda rule: not rule.holds_without_anything()), st.integers(2, LAST))
def test_googlesql_means_the_same_members(log: Log, rule: SegmentRule, second: int):
    as_of = second * SECOND
    assert found(log, rule, as_of, "reference") == log.members(rule, as_of)


@given(logs(), rules, st.integers(2, LAST))
def test_a_rule_that_holds_for_nobody_who_did_nothing_never_holds_for_strangers(
    log: Log, rule: SegmentRule, second: int
):
    strange = dict.fromkeys(("channel_group", "medium", "country", "device_category", "language"), "?")
    nobody = Log([], [{**each, **strange} for each in log.sessions], ENTRIES, {})
    strangers = {row["actor_key"] for row in nobody.sessions if row["started_us"] <= second * SECOND}
    held = set(nobody.members(rule, second * SECOND))
    assert held == (strangers if rule.holds_without_anything() else set())
