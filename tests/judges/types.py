"""GoogleSQL type texts (`ARRAY<STRUCT<key STRING, value INT64>>`), read once for both judges; checks of input rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from sqlglot import exp

Value = Any
Row = dict[str, Value]
Columns = Mapping[str, str]
Params = Mapping[str, tuple[Value, str]]
Tables = Mapping[str, tuple[Columns, Sequence[Mapping[str, Value]]]]

SCALARS = {
    exp.DataType.Type.BIGINT: "INT64",
    exp.DataType.Type.DOUBLE: "FLOAT64",
    exp.DataType.Type.TEXT: "STRING",
    exp.DataType.Type.BOOLEAN: "BOOL",
    exp.DataType.Type.TIMESTAMPTZ: "TIMESTAMP",
    exp.DataType.Type.DATE: "DATE",
}
_JSON_TYPES = {
    "INT64": int,
    "FLOAT64": (int, float, str),
    "STRING": str,
    "BOOL": bool,
    "TIMESTAMP": str,
    "DATE": str,
}


@dataclass(frozen=True)
class Type:
    """A GoogleSQL type: a scalar by name, or ARRAY with its element, or STRUCT with its fields."""

    name: str
    element: Type | None = None
    fields: tuple[tuple[str, Type], ...] = ()

    @property
    def duckdb(self) -> str:
        """The same type in DuckDB's words."""
        if self.element is not None:
            return f"{self.element.duckdb}[]"
        if self.fields:
            return "STRUCT(" + ", ".join(f'"{name}" {kind.duckdb}' for name, kind in self.fields) + ")"
        return {
            "INT64": "BIGINT",
            "FLOAT64": "DOUBLE",
            "STRING": "VARCHAR",
            "BOOL": "BOOLEAN",
            "TIMESTAMP": "TIMESTAMPTZ",
            "DATE": "DATE",
        }[self.name]


@cache
def parse_type(text: str) -> Type:
    """Read a GoogleSQL type text; ValueError for a type outside the subset."""
    return _convert(exp.DataType.build(text, dialect="bigquery"), text)


def _convert(node: exp.DataType, text: str) -> Type:
    if node.this == exp.DataType.Type.ARRAY:
        return Type("ARRAY", element=_convert(node.expressions[0], text))
    if node.this == exp.DataType.Type.STRUCT:
        fields = ((field.name, _convert(field.args["kind"], text)) for field in node.expressions)
        return Type("STRUCT", fields=tuple(fields))
    if node.this not in SCALARS:
        raise ValueError(f"{node.sql('bigquery')} in {text} is not a type of the subset")
    return Type(SCALARS[node.this])


def row_type(columns: Columns) -> Type:
    """The STRUCT of a table's columns."""
    return Type("STRUCT", fields=tuple((name, parse_type(text)) for name, text in columns.items()))


def complete(value: Value, kind: Type, where: str) -> Value:
    """Check a JSON value against its type and fill in missing struct fields with None.

    A misspelt field or a string where a number belongs is an error of the case, not a NULL.
    """
    if value is None:
        return None
    if kind.element is not None:
        if not isinstance(value, list):
            raise ValueError(f"{where}: {value!r} is not an array")
        return [complete(item, kind.element, f"{where}[{index}]") for index, item in enumerate(value)]
    if kind.fields:
        if not isinstance(value, Mapping):
            raise ValueError(f"{where}: {value!r} is not a struct")
        unknown = set(value) - {name for name, _ in kind.fields}
        if unknown:
            raise ValueError(f"{where}: unknown field {sorted(unknown)}")
        return {name: complete(value.get(name), field, f"{where}.{name}") for name, field in kind.fields}
    if not isinstance(value, _JSON_TYPES[kind.name]) or (isinstance(value, bool) and kind.name != "BOOL"):
        raise ValueError(f"{where}: {value!r} is not a {kind.name}")
    return float(value) if kind.name == "FLOAT64" else value


def parse_timestamp(text: str) -> datetime:
    """Read an ISO timestamp; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def to_json(value: Value) -> Value:
    """Write a result value in the one form that both judges' rows and `expected.json` use."""
    if isinstance(value, Mapping):
        return {name: to_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return _scalar_to_json(value)


def _scalar_to_json(value: Value) -> Value:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):  # DuckDB sums BIGINT into HUGEINT, which Arrow carries as decimal(38, 0)
        if value != value.to_integral_value():
            raise ValueError(f"a decimal reached the result: {value}; GoogleSQL would have a FLOAT64")
        return int(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    return value
