"""What each template reads of the nested export: BigQuery bills by leaf, so a new one must change a list.

`python tests/test_raw_leaves.py` writes the list anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlglot import exp, parse_one

from judges.cases import discover
from microconv.exports import BASIC_LEAVES, RAW_LEAVES, ShardSchema
from microconv.queries import templates
from microconv.staging import batch_queries
from microconv.staging.properties import leaves, resolve
from microconv.staging.rules import Rules
from microconv.taxonomy import load_taxonomy

GOLDEN = Path(__file__).parent / "golden" / "raw_leaves.txt"
PRESETS = ("ecommerce", "lead_generation", "mobile_app", "publisher", "saas")


def leaves_read(sql: str) -> set[str]:
    """The leaves of `raw_events` that a query reads; `event_params.*` where it takes the whole record."""
    tree = parse_one(sql, read="bigquery")
    raw = {table.alias for table in tree.find_all(exp.Table) if table.name == "raw_events"}
    if not raw:
        return set()
    unnested: dict[tuple[int, str], str] = {}
    for unnest in tree.find_all(exp.Unnest):
        if isinstance(unnest.expressions[0], exp.Column) and unnest.expressions[0].parts[0].name in raw:
            alias = unnest.alias or unnest.alias_column_names[0]
            path = ".".join(part.name for part in unnest.expressions[0].parts[1:])
            unnested[id(unnest.parent_select), alias] = path
    found = set()
    for column in tree.find_all(exp.Column):
        first, *rest = (part.name for part in column.parts)
        if first in raw and (isinstance(column.parent, exp.Unnest) or column.is_star):
            continue  # not read by itself
        if first in raw:
            path = ".".join(rest)
            found.add(path if path in RAW_LEAVES | {"client_key", "kind"} else f"{path}.*")
        elif (path := _unnested_as(column, first, unnested)) is not None:
            found |= {".".join([path, *rest])} & RAW_LEAVES if rest else {f"{path}.*"}
    # Made in the query itself, of leaves that are listed.
    return found - {"client_key", "kind"}


def _unnested_as(column: exp.Expr, alias: str, unnested: dict[tuple[int, str], str]) -> str | None:
    """What an alias stands for, in the nearest select around the column that unnests something as it."""
    select = column.parent_select
    while select is not None and (id(select), alias) not in unnested:
        select = select.parent_select
    return unnested.get((id(select), alias))


def leaves_of_events(rules: Rules) -> set[str]:
    schema = ShardSchema(RAW_LEAVES, "all", None)
    return leaves_read(batch_queries.events("p", schema, rules, is_provisional=False).sql)


def raw_leaves() -> str:
    """For each template that reads the export, the leaves it reads, whatever the taxonomy and the properties."""
    found: dict[str, set[str]] = {name: set() for name in templates.names()}
    for case in discover():
        found[case.template] |= leaves_read(case.query.sql)
    for preset in PRESETS:
        found["staging/events"] |= leaves_of_events(Rules(load_taxonomy(preset=preset, file=None)))
    return "".join(
        f"{name}\n" + "".join(f"  {leaf}\n" for leaf in sorted(found[name])) for name in sorted(found) if found[name]
    )


def test_templates_read_the_leaves_on_the_list_and_no_others():
    assert raw_leaves() == GOLDEN.read_text(encoding="utf-8")


def test_staging_of_events_and_the_profile_alone_read_the_export_and_the_looks_that_somebody_asks_for():
    readers = [line for line in raw_leaves().splitlines() if not line.startswith(" ")]
    assert readers == ["staging/events", "staging/first_look", "staging/parameters", "staging/profile"]


def test_of_items_the_fields_carried_are_read_and_those_that_tell_carts_apart_and_no_others():
    taxonomy = load_taxonomy(preset="ecommerce", file=None)
    carried = (resolve("coupon"), resolve("item_id"), resolve("page_title"))

    without, read = leaves_of_events(Rules(taxonomy)), leaves_of_events(Rules(taxonomy, carried))

    assert without <= BASIC_LEAVES | {"event_params.*"}
    assert read - without == {"items.coupon"}
    assert leaves(carried) == BASIC_LEAVES | {"items.coupon"}


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT e.`device`.`category` FROM raw_events AS e", {"device.category"}),
        ("SELECT TO_JSON_STRING(e.event_params) FROM raw_events AS e", {"event_params.*"}),
        (
            "SELECT ARRAY(SELECT TO_JSON_STRING(p) FROM UNNEST(e.event_params) AS p) FROM raw_events AS e",
            {"event_params.*"},
        ),
        (
            "SELECT (SELECT p.value.int_value FROM UNNEST(e.event_params) AS p) FROM raw_events AS e",
            {"event_params.value.int_value"},
        ),
        ("SELECT e.user_id FROM mc_events AS e", set()),
    ],
)
def test_leaves_of_a_query_are_found(sql: str, found: set[str]):
    assert leaves_read(sql) == found


if __name__ == "__main__":
    GOLDEN.write_text(raw_leaves(), encoding="utf-8")
