"""Queries of staging: what a taxonomy makes of them, when days are restaged, and whether they fit export and tables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from judges import reference_judge
from judges.cases import COUNTED_IN_STAGING, KNOWN
from judges.types import Columns
from microconv.exports import RAW_LEAVES, REQUIRED_LEAVES, ShardSchema
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.staging import batch_queries, properties
from microconv.staging import rules as staging_rules
from microconv.staging.mc_tables import TABLES
from microconv.staging.own_hosts import NOBODY, OwnHosts
from microconv.staging.rules import Rules
from microconv.staging.traffic import ChannelRules, load_channel_rules
from microconv.taxonomy import PRESETS, load_taxonomy
from taxonomy_files import GOAL, entry, write_file

NOWHEN: batch_queries.Span = (None, None)
NO_HOSTS = OwnHosts(NOBODY, NOBODY)
PROPERTIES = tuple(sorted(properties.resolve(name) for name in ("item_id", "coupon", "page_title")))
CONDITION = 'where = [{{ parameter = "{}", {} }}]'


@pytest.fixture
def taxonomy_of(tmp_path: Path) -> Any:
    """Read a taxonomy from the lines of its entries."""
    return lambda *entries: load_taxonomy(preset=None, file=write_file(tmp_path, "".join(entries) + GOAL))


def column(parameter: str, *, as_number: bool = False) -> str:
    return properties.parameter(parameter, as_number=as_number).column


def values(query: Query) -> dict[str, Any]:
    return {name: value for name, (_, value) in query.params.items()}


def pairs(query: Query) -> dict[tuple[str, int], tuple[Any, ...]]:
    """What each pair of event and entry counts as."""
    given = values(query)
    counted = ("counts_as", "kinds", "stages", "value_rules", "fixed_values")
    keys = zip(given["pair_events"], given["pair_entries"], strict=True)
    return dict(zip(keys, zip(*(given[name] for name in counted), strict=True), strict=True))


def test_columns_of_carried_parameters_are_named_after_them_and_their_form(taxonomy_of: Any):
    taxonomy = taxonomy_of(
        entry("a", CONDITION.format("method", 'equals = "chat"')),
        entry("b", CONDITION.format("percent_scrolled", "at_least = 90")),
        entry("c", CONDITION.format("percent_scrolled", 'equals = "90"')),
        entry("d", 'page = { starts_with = "/pricing" }'),
    )

    assert [(each.name, each.type) for each in Rules(taxonomy).extra_columns(TABLES["mc_events"])] == [
        ("text_method", "STRING"),
        ("text_percent_scrolled", "STRING"),
        ("number_percent_scrolled", "FLOAT64"),
    ]


def test_parameters_whose_plain_names_are_alike_have_columns_of_their_own():
    names = ("form_id", "form.id", "form-id", "Form_ID", "form__id")

    columns = [column(name) for name in names]

    assert columns[0] == "text_form_id"
    assert len({name.lower() for name in columns}) == len(names)
    assert all(name.startswith("text_form_id") for name in columns)


def test_events_read_the_carried_parameters_and_rank_events_by_stage(taxonomy_of: Any):
    taxonomy = taxonomy_of(
        entry("late", CONDITION.format("form.id", 'equals = "x"'), stage="decision", event="submit"),
        entry("early", stage="awareness", event="view"),
        entry("early_too", stage="awareness", event="an_event"),
    )

    query = batch_queries.events("p1", ShardSchema(RAW_LEAVES, "", None), Rules(taxonomy), is_provisional=True)

    assert values(query) == {
        "property": "p1",
        "is_provisional": True,
        "ranked_events": ["view", "an_event", "submit", "goal"],
        "carried_0": "form.id",
    }
    assert f"AS `{column('form.id')}`" in query.sql


@pytest.mark.parametrize(
    ("operation", "params", "sql"),
    [
        ('equals = "x"', {"text_0": "x"}, "{column} = @text_0"),
        ('any_of = ["x", "y"]', {"texts_0": ["x", "y"]}, "{column} IN UNNEST(@texts_0)"),
        ('contains = "x"', {"text_0": "x"}, "STRPOS({column}, @text_0) > 0"),
        ('starts_with = "x"', {"text_0": "x"}, "STARTS_WITH({column}, @text_0)"),
        ('matches = "^x"', {"text_0": "^x"}, "REGEXP_CONTAINS({column}, @text_0)"),
        ("at_least = 2", {"number_0": 2.0}, "{column} >= @number_0"),
        ("at_most = 2.5", {"number_0": 2.5}, "{column} <= @number_0"),
        ("exists = true", {}, "{column} IS NOT NULL"),
        ("exists = false", {}, "{column} IS NULL"),
    ],
)
def test_operand_of_every_operator_is_a_parameter(taxonomy_of: Any, operation: str, params: dict[str, Any], sql: str):
    taxonomy = taxonomy_of(entry("a", CONDITION.format("form.id", operation)))

    query = batch_queries.micro_conversions(Rules(taxonomy), NOWHEN)

    given = {name: value for name, value in values(query).items() if name.startswith(("text_", "texts_", "number_"))}
    assert given == params
    name = column("form.id", as_number="number_0" in params)
    assert f"`v`.`{name}` AS `subject_0`" in query.sql
    assert sql.format(column="`s`.`subject_0`") in query.sql


def test_operands_of_several_conditions_keep_apart(taxonomy_of: Any):
    where = [
        '{ parameter = "a", equals = "1" }',
        '{ parameter = "a", exists = true }',
        '{ parameter = "b", at_least = 2 }',
        '{ field = "page", any_of = ["/3"] }',
    ]
    taxonomy = taxonomy_of(
        entry("x", f"where = [{', '.join(where)}]"), entry("y", CONDITION.format("a", 'equals = "4"'))
    )

    query = batch_queries.micro_conversions(Rules(taxonomy), NOWHEN)

    given = values(query)
    assert {name: given[name] for name in ("text_0", "number_1", "texts_2", "text_3")} == {
        "text_0": "1",
        "number_1": 2.0,
        "texts_2": ["/3"],
        "text_3": "4",
    }


def test_replaced_entry_counts_as_its_replacement_in_all_that_is_staged(taxonomy_of: Any):
    taxonomy = taxonomy_of(
        entry("new", "value = 5", event="new_event"),
        '[[micro_conversions]]\nid = "old"\nkind = "milestone"\nstage = "awareness"\nvalue = "event"\n'
        'events = ["old_event", "new_event"]\ndeprecated = "1.0"\nreplaced_by = "new"\n',
        entry("own", 'value = "event"', stage="awareness"),
    )

    query = batch_queries.micro_conversions(Rules(taxonomy), NOWHEN)

    as_new = ("new", "secondary", "consideration", "fixed", 5.0)
    assert pairs(query) == {
        ("new_event", 0): as_new,
        ("old_event", 1): as_new,
        ("new_event", 1): as_new,
        ("own", 2): ("own", "secondary", "awareness", "event", 0.0),
        ("goal", 3): ("goal", "macro", "decision", "none", 0.0),
    }
    assert "QUALIFY" in query.sql
    assert "QUALIFY" not in batch_queries.micro_conversions(Rules(taxonomy_of()), NOWHEN).sql


def test_event_named_twice_by_an_entry_is_one_pair(taxonomy_of: Any):
    twice = '[[micro_conversions]]\nid = "a"\nkind = "secondary"\nstage = "awareness"\nevents = ["x", "x"]\n'

    assert values(batch_queries.micro_conversions(Rules(taxonomy_of(twice)), NOWHEN))["pair_events"] == ["x", "goal"]


def test_key_events_are_those_of_macro_conversions_without_conditions(taxonomy_of: Any):
    macro = '[[micro_conversions]]\nid = "{}"\nkind = "macro"\nstage = "decision"\nevent = "{}"\n'
    taxonomy = taxonomy_of(
        entry("view"),
        macro.format("lead", "form_submit") + 'page = { starts_with = "/contact" }\n',
        macro.format("sign_up", "sign_up"),
        entry("joined", 'deprecated = "1.0"', 'replaced_by = "sign_up"'),
    )

    assert values(batch_queries.sessions(taxonomy, NO_HOSTS))["key_events"] == ["goal", "joined", "sign_up"]


def test_fingerprint_follows_the_meaning_of_the_taxonomy_and_not_its_words(taxonomy_of: Any):
    usual = Rules(taxonomy_of(entry("a", 'name = "A"'))).fingerprint

    assert Rules(taxonomy_of(entry("a", 'name = "Another"'))).fingerprint == usual
    assert Rules(taxonomy_of(entry("a", event="b"))).fingerprint != usual
    assert Rules(taxonomy_of(entry("a", "value = 1"))).fingerprint != usual
    assert Rules(taxonomy_of(entry("a", CONDITION.format("p", "exists = true")))).fingerprint != usual


def forget_templates() -> None:
    templates.load.cache_clear()
    templates.sources.cache_clear()


@pytest.fixture
def sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the templates that a test may change."""
    copy = tmp_path / "sql"
    shutil.copytree(templates.root(), copy)
    monkeypatch.setattr(templates, "root", lambda: copy)
    forget_templates()
    yield copy
    forget_templates()


@pytest.mark.parametrize(
    ("name", "added", "restages"),
    [
        ("staging/events.sql", "LIMIT 1", True),
        ("staging/_raw.sql", "{% set more = 1 %}", True),
        ("staging/_traffic.sql", "{% set more = 1 %}", True),
        ("_keys.sql", "{% set more = 1 %}", True),
        ("_urls.sql", "{% set more = 1 %}", True),
        ("_conditions.sql", "{% set more = 1 %}", True),
        ("staging/events.sql", "  -- a comment\n\n{# another,\nlonger one #}", False),
        ("staging/staged_shards.sql", "LIMIT 1", False),
        ("analyses/funnels/counts.sql", "LIMIT 1", False),
    ],
)
def test_fingerprint_follows_what_the_templates_of_staging_mean(
    sql: Path, taxonomy_of: Any, name: str, added: str, restages: bool
):
    before = Rules(taxonomy_of()).fingerprint
    with (sql / name).open("a", encoding="utf-8") as file:
        file.write(f"\n{added}\n")
    forget_templates()

    assert (Rules(taxonomy_of()).fingerprint != before) is restages


def turned(rules: ChannelRules) -> ChannelRules:
    """The same tests of channel groups on other fields: their names, values and patterns stay."""
    return replace(
        rules,
        groups=tuple(
            replace(
                group,
                alternatives=tuple(
                    tuple(replace(test, field="campaign") for test in alternative) for alternative in group.alternatives
                ),
            )
            for group in rules.groups
        ),
    )


@pytest.mark.parametrize(
    "change",
    [
        turned,
        lambda rules: replace(rules, fallback="Other"),
        lambda rules: replace(rules, categories={**rules.categories, "new.example": "social"}),
        lambda rules: replace(rules, search_engines=rules.search_engines[1:]),
        lambda rules: replace(rules, click_ids=rules.click_ids[1:]),
    ],
    ids=["fields", "fallback", "categories", "search_engines", "click_ids"],
)
def test_fingerprint_follows_every_rule_of_the_channels(
    monkeypatch: pytest.MonkeyPatch, taxonomy_of: Any, change: Callable[[ChannelRules], ChannelRules]
):
    before = Rules(taxonomy_of()).fingerprint
    changed = change(load_channel_rules())
    monkeypatch.setattr(staging_rules, "load_channel_rules", lambda: changed)

    assert Rules(taxonomy_of()).fingerprint != before


SCALARS = {"STRING": "STRING", "INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
NEWER = ("batch_", "collected_traffic_source", "session_traffic_source_last_click")


@pytest.fixture
def export(sample: Path) -> dict[str, dict[str, Any]]:
    """The fields of today's export, by name, in BigQuery's JSON form."""
    return {field["name"]: field for field in json.loads((sample / "ga4_events_schema.json").read_text())}


def googlesql_type(field: dict[str, Any]) -> str:
    kind = SCALARS.get(field["type"])
    if kind is None:
        inner = (f"`{each['name']}` {googlesql_type(each)}" for each in field["fields"])
        kind = f"STRUCT<{', '.join(inner)}>"
    return f"ARRAY<{kind}>" if field.get("mode") == "REPEATED" else kind


def leaves(field: dict[str, Any], above: str = "") -> Iterator[str]:
    path = f"{above}{field['name']}"
    if "fields" not in field:
        yield path
    for inner in field.get("fields", ()):
        yield from leaves(inner, f"{path}.")


def resulting(query: Query, tables: dict[str, Columns]) -> dict[str, str]:
    """Let Google's analyzer check a query; return the types of its columns."""
    return reference_judge.columns_of(query.sql, {name: kind for name, (kind, _) in query.params.items()}, tables)


def columns_of(table: str, rules: Rules) -> dict[str, str]:
    return {column.name: column.type for column in (*TABLES[table].columns, *rules.extra_columns(TABLES[table]))}


def test_todays_export_has_every_leaf_that_is_read(export: dict[str, dict[str, Any]]):
    assert {leaf for field in export.values() for leaf in leaves(field)} >= RAW_LEAVES


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("era", ["of today", "of 2020", "with the least"])
def test_events_of_an_export_have_the_types_of_their_table(export: dict[str, dict[str, Any]], era: str, preset: str):
    least = {leaf.split(".")[0] for leaf in REQUIRED_LEAVES}
    fields = {
        name: field
        for name, field in export.items()
        if era == "of today" or (name in least if era == "with the least" else not name.startswith(NEWER))
    }
    held = RAW_LEAVES & {leaf for field in fields.values() for leaf in leaves(field)}
    rules = Rules(load_taxonomy(preset=preset, file=None), PROPERTIES)
    query = batch_queries.events("p1", ShardSchema(held, "", None), rules, is_provisional=False)

    result = resulting(query, {"raw_events": {name: googlesql_type(field) for name, field in fields.items()}})

    assert result == columns_of("mc_events", rules) | COUNTED_IN_STAGING


@pytest.mark.parametrize("preset", PRESETS)
def test_queries_of_staging_have_the_types_of_their_tables(preset: str):
    rules = Rules(load_taxonomy(preset=preset, file=None), PROPERTIES)
    events = columns_of("mc_events", rules)
    occurrences = columns_of("mc_micro_conversions", rules)
    tables = {
        **KNOWN,
        "mc_events": events,
        "neighbour_events": events,
        "changed_events": {**events, **COUNTED_IN_STAGING},
        "mc_micro_conversions": occurrences,
    }
    dates = [date(2021, 1, 2)]

    # Neighbours stay in the order they have: they need no batch fields.
    unread = (  # by sessions and occurrences
        *("copies", "item_count", "items_value", "is_debug", "traffic_type"),
        *("gclid", "gbraid", "wbraid", "fbclid"),
    )
    neighbours = {name: kind for name, kind in events.items() if not name.startswith("batch_") and name not in unread}
    assert resulting(batch_queries.neighbour_events("p1", dates, NOWHEN, rules), tables) == neighbours
    again = resulting(batch_queries.events_again("p1", dates, rules), tables)
    assert again == {**events, "was_order": "INT64"}
    assert resulting(batch_queries.sessions(rules.taxonomy, NO_HOSTS), tables) == columns_of("mc_sessions", rules)
    # What other systems told is not among them: it comes by another query.
    of_export = {name: kind for name, kind in occurrences.items() if name != "external_source"}
    assert resulting(batch_queries.micro_conversions(rules, NOWHEN), tables) == of_export
