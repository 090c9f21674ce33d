"""Data-only cases of the templates: `tests/sql/<folder>/<template>/<case>/` with three kinds of JSON files.

- `case.json`: `description`; `structure` (Jinja variables) and `params` where the template has them; `"traffic": true`
  adds the product's own channel rules to both, with the property's `own_hosts`; `taxonomy` (a list of entries, as a
  taxonomy file has them) makes the query of staging/events and staging/micro_conversions as a sync does, for the
  `leaves` that a shard has; `"sync": true` does so for staging/profile; `columns` (table -> column -> GoogleSQL type)
  for input tables that are not known here, or known with fewer columns.
- `input.<table>.json`: rows; a missing column is NULL. A table that the query reads and that has no file is empty.
- `expected.json`: rows; a missing column is NULL. They may come in any order, unless the last SELECT has an ORDER BY.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp

from judges import ALL_JUDGES, assert_same_rows
from judges.types import Columns, Params, Row, Tables
from microconv.activation.conversions.conversion_tables import TABLES as CONVERSION_TABLES
from microconv.activation.push.ledger_tables import TABLES as PUSH_TABLES
from microconv.analyses.insight.tested_entries import EXPERIMENTS
from microconv.audit.audit_tables import TABLES as AUDIT_TABLES
from microconv.exports import RAW_COLUMNS, RAW_LEAVES, TEXT_LEAVES, ShardSchema
from microconv.queries import templates
from microconv.segments.membership_tables import TABLES as MEMBERSHIP_TABLES
from microconv.segments.propensity_tables import TABLES as PROPENSITY_TABLES
from microconv.staging import batch_queries, own_hosts, profile
from microconv.staging.erasures import TABLES as ERASURE_TABLES
from microconv.staging.mc_tables import TABLES
from microconv.staging.rules import Rules
from microconv.staging.traffic import load_channel_rules, session_params, session_structure
from microconv.taxonomy import MicroConversion, Taxonomy

FOLDER = Path(__file__).parents[1] / "sql"
_KEYS = {"description", "structure", "params", "columns", "traffic", "own_hosts", "taxonomy", "leaves", "sync"}
_STAGED = {
    name: {column.name: column.type for column in table.columns}
    for name, table in (
        TABLES
        | {EXPERIMENTS.name: EXPERIMENTS}
        | AUDIT_TABLES
        | PUSH_TABLES
        | CONVERSION_TABLES
        | MEMBERSHIP_TABLES
        | ERASURE_TABLES
        | PROPENSITY_TABLES
    ).items()
}
COUNTED_IN_STAGING = dict.fromkeys(
    ("placeholder_client_id", "placeholder_user_id", "placeholder_transaction_id"), "BOOL"
)
"""What events.sql gives beside the columns of mc_events: it is counted by day, and not kept."""
KNOWN: dict[str, Columns] = {
    **_STAGED,
    "raw_events": RAW_COLUMNS,
    "changed_events": {**_STAGED["mc_events"], **COUNTED_IN_STAGING},
    "neighbour_events": _STAGED["mc_events"],
    "touched_sessions": {"session_key": "INT64", "client_key": "INT64"},
    "page_hosts": _STAGED["mc_hosts"],
    "moved_sessions": {"session_key": "INT64", "actor_key": "INT64"},
    "sessions": _STAGED["mc_sessions"],
    "external_occurrences": _STAGED["mc_micro_conversions"],
    "micro_conversions": _STAGED["mc_micro_conversions"],
    "signals": _STAGED["mc_signals"],
    "derived_actors": {"actor_key": "INT64"},
    "ingredients": _STAGED["mc_micro_conversions"],
    "external_changes": _STAGED["mc_micro_conversions"],
    "derived_1_thresholds": _STAGED["mc_micro_conversions"],
    "session_starts": _STAGED["mc_sessions"],
    "moved_members": {"actor_key": "INT64", "new_actor_key": "INT64", "new_user_id": "STRING"},
    "member_changes": {
        **{name: _STAGED["mc_segment_members"][name] for name in ("segment", "actor_key", "user_id", "since")},
        **dict.fromkeys(("rule_version", "change", "reason"), "STRING"),
    },
    "conversion_orders": {
        **{
            name: _STAGED["mc_conversions"][name]
            for name in ("order_id", "property", "event_date", "external_source", "occurred_at", "actor_key", "user_id")
        },
        **{name: _STAGED["mc_conversions"][name] for name in ("value_micros", "currency")},
        **{name: _STAGED["mc_events"][name] for name in ("gclid", "gbraid", "wbraid", "fbclid")},
        "standing": "STRING",
        "clicked_at": "TIMESTAMP",
        "said_who": "STRING",
    },
    "erased_conversions": {
        **{name: _STAGED["mc_conversions"][name] for name in ("conversion_key", "destination", "conversion")},
        "is_settled": "BOOL",
    },
    "conversion_people": dict.fromkeys(("order_id", "reason", "who"), "STRING"),
    "conversion_planned": _STAGED["mc_conversions"],
    "conversion_changes": {
        **{
            name: kind
            for name, kind in _STAGED["mc_conversions"].items()
            if name not in ("conversion_key", "destination", "conversion", "normalisation", "said_at", "batch_id")
        },
        "said": "STRING",
        "verdict": "STRING",
    },
    "propensity_features": {
        **dict.fromkeys(("actor_key", "cut_off_us", "feature_0", "feature_1"), "INT64"),
        "is_reached": "BOOL",
    },
    "propensity_scored": _STAGED["mc_propensity_scores"],
    **{f"segment_matches_{place}": {"actor_key": "INT64", "user_id": "STRING"} for place in range(4)},
}


@dataclass(frozen=True)
class TemplateCase:
    """One case: a rendered template with its inputs and the rows it must give.

    `knows_texts` is whether a sync has seen which leaves of the shards are text; it has, unless their types are odd.
    """

    folder: Path
    knows_texts: bool = True

    @property
    def id(self) -> str:
        return self.folder.relative_to(FOLDER).as_posix()

    @property
    def template(self) -> str:
        return self.folder.parent.relative_to(FOLDER).as_posix()

    @cached_property
    def document(self) -> dict[str, Any]:
        document = json.loads((self.folder / "case.json").read_text(encoding="utf-8"))
        if unknown := set(document) - _KEYS:
            raise ValueError(f"{self.id}/case.json: unknown key {sorted(unknown)}")
        return document

    @cached_property
    def query(self) -> templates.Query:
        if self.document.get("sync"):
            return profile.query("p1", self.schema)
        if self.rules is not None:
            return self._query_of_a_sync(self.rules)
        params, structure = self.document.get("params", {}), self.document.get("structure", {})
        if self.document.get("traffic"):
            rules = load_channel_rules()
            own = {"own_hosts": own_hosts.pattern(self.document.get("own_hosts", []), rules)}
            params = params | own | session_params(rules)
            structure = {"has_key_pattern": False} | structure | session_structure(rules)
        if "leaves" in structure:
            structure = structure | {"texts": self._texts(structure["leaves"])}
        return templates.query(self.template, params=params, structure=structure)

    @property
    def schema(self) -> ShardSchema:
        """What the shards of a sync hold."""
        leaves = frozenset(self.document.get("leaves", RAW_LEAVES))
        return ShardSchema(leaves, "", None, self._texts(leaves))

    def _texts(self, leaves: Iterable[str]) -> frozenset[str]:
        return TEXT_LEAVES.intersection(leaves) if self.knows_texts else frozenset()

    @cached_property
    def rules(self) -> Rules | None:
        entries = self.document.get("taxonomy")
        if entries is None:
            return None
        return Rules(Taxonomy("case", "1.0", tuple(MicroConversion.model_validate(entry) for entry in entries)))

    def _query_of_a_sync(self, rules: Rules) -> templates.Query:
        match self.template:
            case "staging/events":
                return batch_queries.events("p1", self.schema, rules, is_provisional=False)
            case "staging/micro_conversions":
                return batch_queries.micro_conversions(rules, (None, None))
        raise ValueError(f"{self.id}/case.json: no query of {self.template} is made of a taxonomy here")

    @property
    def params(self) -> Params:
        return {name: (value, kind) for name, (kind, value) in self.query.params.items()}

    @cached_property
    def tree(self) -> exp.Query:
        tree = sqlglot.parse_one(self.query.sql, read="bigquery")
        assert isinstance(tree, exp.Query)
        return tree

    @property
    def is_ordered(self) -> bool:
        return self.tree.args.get("order") is not None

    def tables(self) -> Tables:
        """The tables the query reads, with the rows of their files."""
        inner = {cte.alias for cte in self.tree.find_all(exp.CTE)}
        read = {table.name for table in self.tree.find_all(exp.Table) if table.name and table.name not in inner}
        files = {path.name.split(".")[1] for path in self.folder.glob("input.*.json")}
        if unused := files - read:
            raise ValueError(f"{self.id}: the query does not read {sorted(unused)}")
        return {name: (self._columns(name), self._rows(name)) for name in sorted(read)}

    def expected(self, columns: list[str]) -> list[Row]:
        """The expected rows, filled up with NULLs to the columns of the result."""
        rows = json.loads((self.folder / "expected.json").read_text(encoding="utf-8"))
        for index, row in enumerate(rows):
            if unknown := set(row) - set(columns):
                raise ValueError(f"{self.id}/expected.json[{index}]: the result has no column {sorted(unknown)}")
        return [{name: row.get(name) for name in columns} for row in rows]

    def _columns(self, table: str) -> Columns:
        columns = {**KNOWN.get(table, {}), **self.document.get("columns", {}).get(table, {})}
        if self.rules is not None and table in ("changed_events", "neighbour_events"):
            columns |= {each.column: each.definition.type for each in self.rules.of_events}
        if not columns:
            raise ValueError(f"{self.id}: case.json must give the columns of {table}")
        return columns

    def _rows(self, table: str) -> list[Row]:
        path = self.folder / f"input.{table}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def discover() -> list[TemplateCase]:
    return [TemplateCase(path.parent) for path in sorted(FOLDER.rglob("case.json"))]


def assert_expected_rows(case: TemplateCase, judge: str) -> None:
    """Make sure that a judge gives the rows that a case expects, one for each of the template's grain."""
    rows = ALL_JUDGES[judge](case.query.sql, case.params, case.tables())
    columns = list(rows[0]) if rows else case.tree.named_selects
    label = f"{case.id} on {judge}: {case.document['description']}"
    assert_same_rows(rows, case.expected(columns), ordered=case.is_ordered, label=label)

    grain = templates.load(case.template).grain
    assert set(grain) <= set(columns), f"the grain {grain} is not among the columns"
    keys = [tuple(str(row[name]) for name in grain) for row in rows]
    assert not grain or len(keys) == len(set(keys)), f"two rows share the grain {grain}"
