"""Properties: what a name means, what a configuration carries, what is asked of staged rows, and when days restage."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import ga4
from bigquery_export import Export
from emulator import Emulator
from microconv.config.load import load_config
from microconv.config.occurrences import PropertyCondition
from microconv.config.sections import Config
from microconv.errors import ConfigError, SourceError
from microconv.exports import BASIC_LEAVES, ITEM_FIELDS, USER_PROPERTY_LEAVES
from microconv.project import Project
from microconv.queries.conditions import Operands
from microconv.queries.templates import Query
from microconv.staging import Scope, properties
from microconv.staging.mc_tables import MICRO_CONVERSIONS, TABLES
from microconv.staging.properties import Property, resolve
from microconv.taxonomy import load_taxonomy
from projects import write_bigquery_config, write_config

DAYS = [date(2024, 3, 1) + timedelta(days=offset) for offset in range(3)]
FUNNEL = """
[[funnels]]
name = "shirts"
steps = [
  { did = "view_item", where = [{ property = "page_title", contains = "shirt" }] },
  { did = "add_to_cart", where = [{ property = "percent_scrolled", at_least = 50 }] },
  { did = "begin_checkout", where = [{ property = "page", exists = true }] },
  "purchase",
]
hold = ["item_id"]
exclude = [{ did = "begin_checkout", where = [{ property = "coupon", exists = true }] }]
"""


def of_shop(folder: Path, extra: str) -> str:
    """Add a taxonomy that looks at no property, unlike the presets, whose derived entries do."""
    text = "".join(
        f'[[micro_conversions]]\nid = "{name}"\nevent = "{name}"\nkind = "{kind}"\nstage = "decision"\n'
        for name, kind in (
            ("view_item", "secondary"),
            ("add_to_cart", "milestone"),
            ("begin_checkout", "milestone"),
            ("purchase", "macro"),
        )
    )
    (folder / "shop.toml").write_text(f'version = "1.0"\n{text}', encoding="utf-8")
    section = '[taxonomy]\npreset = "none"\nfile = "shop.toml"\n'
    return extra.replace("[taxonomy]\n", section) if "[taxonomy]\n" in extra else f"{extra}{section}"


def config_of(folder: Path, extra: str) -> Config:
    return load_config(write_config(folder, extra=of_shop(folder, extra)), {})


def carrying(folder: Path, *names: str) -> Project:
    return Project(config_of(folder, f"[taxonomy]\ncarry = {list(names)}\n"))


def rows(project: Project, *names: str) -> list[tuple[Any, ...]]:
    """Some columns of all occurrences, by day and order."""
    text = ", ".join(f"m.`{name}`" for name in names)
    query = Query("rows", f"SELECT {text} FROM mc_micro_conversions AS m ORDER BY m.event_date, m.event_order", {})
    return [tuple(row.values()) for row in project.engine.query(query).to_pylist()]


def put(folder: Path, day: date, *titles: str) -> None:
    """Write a day of product views, one item each, on pages of these titles."""
    events = [
        ga4.event(
            f"{day} 12:00:{second:02}", "view_item", params={"page_title": title}, items=[{"item_id": f"I{second}"}]
        )
        for second, title in enumerate(titles)
    ]
    ga4.write_parquet(folder / "exports" / f"{ga4.shard_name(day)}.parquet", events)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("page", Property("column", "page", is_number=False, column="page")),
        ("value", Property("column", "value", is_number=True, column="value")),
        ("item_id", Property("item", "item_id", is_number=False, column="items_item_id")),
        ("item_category5", Property("item", "item_category5", is_number=False, column="items_item_category5")),
        ("page_title", Property("parameter", "page_title", is_number=False, column="text_page_title")),
    ],
)
def test_a_name_is_a_column_else_a_field_of_the_items_else_a_parameter(name: str, found: Property):
    assert resolve(name) == found
    assert found.is_list is (found.kind == "item")


def test_columns_that_are_always_there_are_those_of_their_table():
    types = {column.name: column.type for column in MICRO_CONVERSIONS.columns}

    assert {name: types[name] for name in properties.COLUMNS} == {
        name: "FLOAT64" if resolve(name).is_number else "STRING" for name in properties.COLUMNS
    }


def test_what_funnels_and_carry_name_is_carried_once_and_in_order(tmp_path: Path):
    config = config_of(tmp_path, f'{FUNNEL}[taxonomy]\ncarry = ["page_title", "method", "value"]\n')
    shop = load_taxonomy(preset="none", file=config.taxonomy.file)

    assert [each.column for each in properties.carried(config, shop)] == [
        *("items_coupon", "items_item_id", "text_method", "text_page_title", "text_percent_scrolled"),
    ]
    assert [each.name for each in properties.of_funnel(config.funnels[0])] == [
        *("page", "coupon", "item_id", "page_title", "percent_scrolled"),
    ]


def test_a_configuration_and_a_taxonomy_that_name_no_properties_carry_none(tmp_path: Path):
    with Project(config_of(tmp_path, "")) as project:
        assert properties.carried(project.config, project.taxonomy) == ()
        assert project.rules.carried_columns == ""
        assert project.sources[0].leaves == BASIC_LEAVES | USER_PROPERTY_LEAVES  # the profile reads them
        assert project.rules.extra_columns(MICRO_CONVERSIONS) == []


def test_the_preset_of_shops_carries_nothing(config: Config, project: Project):
    assert project.taxonomy.derived
    assert properties.carried(config, project.taxonomy) == ()


def test_what_derived_entries_look_at_is_carried(tmp_path: Path):
    again = (
        'version = "1.2"\n[[micro_conversions]]\nid = "same_product_again"\nkind = "secondary"\n'
        'stage = "consideration"\nderived = { of = "view_item", again = "item_id", within = "7d" }\n'
    )
    (tmp_path / "over.toml").write_text(again, encoding="utf-8")
    config = load_config(write_config(tmp_path, extra='[taxonomy]\nfile = "over.toml"\n'), {})
    with Project(config) as project:
        assert properties.carried(config, project.taxonomy) == (resolve("item_id"),)
        assert project.sources[0].leaves == {*BASIC_LEAVES, *USER_PROPERTY_LEAVES, "items.item_id"}


@pytest.mark.parametrize(
    ("condition", "asked"),
    [
        ({"property": "page", "equals": "/a"}, ("page", "equals", None, False)),
        ({"property": "item_id", "any_of": ("A", "B")}, ("items_item_id", "any_of", None, True)),
        ({"property": "percent_scrolled", "at_least": 50.0}, ("text_percent_scrolled", "at_least", "FLOAT64", False)),
        ({"property": "value", "at_most": 50.0}, ("value", "at_most", None, False)),
        ({"property": "value", "equals": "50"}, ("value", "equals", "STRING", False)),
        ({"property": "value", "exists": False}, ("value", "is_absent", None, False)),
    ],
)
def test_conditions_read_text_as_numbers_and_numbers_as_text(
    condition: dict[str, Any], asked: tuple[str, str, str | None, bool]
):
    operands = Operands()

    found = properties.criterion(PropertyCondition(**condition), operands)

    assert (found["column"], found["operator"], found["cast_to"], found["is_list"]) == asked
    assert len(operands.params) == (condition.get("exists") is None)


def test_a_page_is_not_compared_with_a_number():
    with pytest.raises(ConfigError, match="page is text, and at_least compares numbers"):
        properties.criterion(PropertyCondition(property="page", at_least=3.0), Operands())


def test_occurrences_carry_properties_from_the_export(tmp_path: Path):
    bought = ga4.event(
        f"{DAYS[0]} 13:00:00",
        "purchase",
        params={"page_title": "Thanks", "percent_scrolled": 90},
        items=[{"item_id": "B"}, {"item_id": "A", "item_name": "two\nlines"}, {"item_id": "(not set)"}],
    )
    seen = ga4.event(f"{DAYS[0]} 12:00:00", "view_item", params={"item_id": "P"})
    ga4.write_parquet(tmp_path / "exports" / f"{ga4.shard_name(DAYS[0])}.parquet", [bought, seen])
    with carrying(tmp_path, "item_id", "item_name", "page_title", "percent_scrolled") as project:
        project.sync()

        names = ("micro_conversion", "items_item_id", "items_item_name", "text_page_title", "text_percent_scrolled")
        assert rows(project, *names) == [
            ("view_item", "P", None, None, None),
            ("purchase", "A\nB", "two lines", "Thanks", "90"),
        ]


@pytest.mark.parametrize("suffix", [".ndjson", ".ndjson.gz"])
def test_items_are_read_from_json_too(tmp_path: Path, suffix: str):
    event = ga4.event(f"{DAYS[0]} 12:00:00", "view_item", items=[{"item_id": "A"}, {"item_id": "B"}])
    ga4.write_ndjson(tmp_path / "exports" / f"{ga4.shard_name(DAYS[0])}{suffix}", [event])
    with carrying(tmp_path, "item_id") as project:
        project.sync()

        assert rows(project, "items_item_id") == [("A\nB",)]


def test_naming_a_property_restages_and_says_why(tmp_path: Path):
    for day in DAYS:
        put(tmp_path, day, "Home", "Shirts")
    notices: list[str] = []
    with Project(config_of(tmp_path, "")) as project:
        project.sync()
    with carrying(tmp_path, "page_title") as project:
        assert project.plan().reasons() == {"properties": 3}
        project.sync(on_notice=lambda message, _: notices.append(message))

        assert rows(project, "text_page_title") == [("Home",), ("Shirts",)] * 3
        assert project.plan().days == ()
    assert notices == ["Funnels or `carry` name other properties than before: 3 days are staged again."]


def test_what_is_no_longer_carried_is_null_in_days_staged_since(tmp_path: Path):
    put(tmp_path, DAYS[0], "Home")
    with carrying(tmp_path, "item_id", "page_title") as project:
        project.sync()
    with carrying(tmp_path, "page_title") as project:
        assert project.plan().reasons() == {"properties from staged events": 1}
        project.sync()

        assert rows(project, "items_item_id", "text_page_title") == [(None, "Home")]


@pytest.fixture(params=["duckdb", "bigquery"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Open a project with more configuration on either engine, each time over the same database and export."""
    if request.param == "duckdb":
        yield lambda extra: Project(config_of(tmp_path, extra))
        return
    emulator: Emulator = request.getfixturevalue("emulator")
    export: Export = request.getfixturevalue("export")

    def opened(extra: str) -> Project:
        for file in sorted((tmp_path / "exports").iterdir()):
            export.load(file.stem, file)
        path = write_bigquery_config(
            tmp_path,
            emulator,
            dataset=f"{export.dataset}_w",
            exports=export.dataset,
            extra=of_shop(tmp_path, extra),
        )
        return Project(load_config(path, {}))

    yield opened


def test_queries_know_whether_their_properties_are_staged(tmp_path: Path, place: Any):
    for day in DAYS:
        put(tmp_path, day, "Home")
    titles, ids, page = resolve("page_title"), resolve("item_id"), resolve("page")
    with place("") as project:
        with pytest.raises(ConfigError, match="item_id is not carried") as unknown:
            properties.check(project.engine, [page, ids], project.config, project.taxonomy)
        assert 'Add "item_id" to `carry` under [taxonomy]' in unknown.value.hint
        assert properties.check(project.engine, [page], project.config, project.taxonomy) == ()
    with place('[taxonomy]\ncarry = ["page_title"]\n') as project:
        with pytest.raises(SourceError, match="page_title is not staged yet") as early:
            properties.check(project.engine, [titles], project.config, project.taxonomy)
        assert early.value.hint == "Run `microconv sync`."
        project.sync()
        assert properties.check(project.engine, [titles], project.config, project.taxonomy) == ()
    with place('[taxonomy]\ncarry = ["item_id", "page_title"]\n') as project:
        with pytest.raises(SourceError, match="item_id is not staged yet"):
            properties.check(project.engine, [titles, ids], project.config, project.taxonomy)
        project.sync(Scope(since=DAYS[1]))

        assert properties.check(project.engine, [titles, ids], project.config, project.taxonomy) == (
            "item_id is staged for 2 of 3 days; on the others nothing has it.",
        )
        assert rows(project, "items_item_id", "text_page_title") == [(None, "Home"), ("I0", "Home"), ("I0", "Home")]


def test_items_of_the_real_sample_are_those_of_the_export(sample: Path, tmp_path: Path):
    file = sample / "ga4_sample" / "events_20201220.parquet"
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / file.name).symlink_to(file)
    with carrying(tmp_path, *ITEM_FIELDS) as project:
        project.sync()
        staged = rows(project, "micro_conversion", "event_order", "items_item_id", "items_item_name")
    raw = pq.read_table(file, columns=["event_name", "event_timestamp", "items"]).to_pylist()

    for name in ("view_item", "add_to_cart"):
        counted = sorted((order // 1000, ids or "") for found, order, ids, _ in staged if found == name)
        expected = sorted(
            (row["event_timestamp"], "\n".join(sorted({item["item_id"] for item in row["items"]} - {"(not set)", ""})))
            for row in raw
            if row["event_name"] == name
        )
        assert [ids for _, ids in counted if ids]
        assert set(counted) == set(expected)


def test_a_condition_on_items_of_the_real_sample_holds_where_the_export_says_so(sample: Path, tmp_path: Path):
    file = sample / "ga4_sample" / "events_20201220.parquet"
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / file.name).symlink_to(file)
    events = pq.read_table(file, columns=["event_name", "user_pseudo_id", "items"]).to_pylist()
    seen: dict[str, set[str]] = {}
    for event in events:
        for item in event["items"] if event["event_name"] == "view_item" else ():
            seen.setdefault(item["item_id"], set()).add(event["user_pseudo_id"])
    item_id = max((set(seen) - {"", "(not set)"}), key=lambda each: len(seen[each]))
    asked = f'{{ did = "view_item", where = [{{ property = "item_id", equals = "{item_id}" }}] }}'
    extra = f'[[funnels]]\nname = "one"\nsteps = [{asked}, "add_to_cart"]\n'
    with Project(config_of(tmp_path, extra)) as project:
        project.sync()

        assert project.funnel("one").steps[0].count == len(seen[item_id]) > 100


def test_every_table_has_its_extra_columns_and_no_other(tmp_path: Path):
    put(tmp_path, DAYS[0], "Home")
    with carrying(tmp_path, "item_id") as project:
        project.sync()
        there = {
            name: [row[0] for row in project.engine._connection.execute(f"DESCRIBE {name}").fetchall()]
            for name in TABLES
        }

    extra = {name: [each for each in there[name] if each not in TABLES[name].column_names] for name in TABLES}
    assert extra == {name: [] for name in TABLES} | {
        "mc_events": ["items_item_id"],
        "mc_micro_conversions": ["items_item_id"],
        "mc_external_events": ["items_item_id"],
        "mc_signals": ["items_item_id"],
    }
