"""Results kept in the engine: the rows of each in a table `mc_result_<analysis>`, with the assumptions they rest on."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, date, datetime
from types import NoneType
from typing import Any, get_args, get_type_hints

from microconv.engines.base import AddRows, Engine
from microconv.engines.tables import Column, Table
from microconv.errors import UsageError
from microconv.queries.templates import Value
from microconv.result import Result

_TYPES: dict[Any, str] = {int: "INT64", float: "FLOAT64", str: "STRING", bool: "BOOL", date: "DATE"}
_COMMON = (
    Column("result_id", "STRING", "the result that the row belongs to"),
    Column("saved_at", "TIMESTAMP", "when it was saved (UTC)"),
    Column("question", "STRING", "what was asked, as JSON"),
    Column("assumptions", "STRING", "what the figures rest on, as a JSON list of sentences"),
    Column("row_number", "INT64", "place of the row in the result, from 1"),
)


def result_table(analysis: str, row_type: type) -> Table:
    """Return the table that rows of a result go to: the fields of its row class after the columns that all have."""
    hints = get_type_hints(row_type, localns={"date": date})
    columns = tuple(Column(field.name, _type(hints[field.name]), "as in the result") for field in fields(row_type))
    return Table(
        f"mc_result_{analysis}", f"Saved results of {analysis}.", ("result_id", "row_number"), _COMMON + columns
    )


def _type(hint: object) -> str:
    """Return the GoogleSQL type of a field; texts that are limited to some words are texts."""
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not NoneType]
    return _TYPES.get(kinds[0], "STRING")


def save(engine: Engine, result: Result, question: Mapping[str, object]) -> str:
    """Add the rows of a result to its table, which is made on first use, in one transaction; return the result's id.

    Args:
        engine: Where the table is.
        result: What an analysis returned.
        question: What was asked: JSON-like, the same for every row.

    Raises:
        UsageError: The result has no rows.
        EngineError: The table cannot be written.
    """
    if not result.rows:
        raise UsageError("The result has no rows, so there is nothing to save.", hint="Ask for other days or steps.")
    table = result_table(result.analysis, result.row_type)
    now = datetime.now(tz=UTC)
    result_id = f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
    common: dict[str, Value] = {
        "result_id": result_id,
        "saved_at": now,
        "question": json.dumps(question, default=str),
        "assumptions": json.dumps(result.assumptions),
    }
    rows = tuple(
        {**common, "row_number": number, **{field.name: getattr(row, field.name) for field in fields(row)}}
        for number, row in enumerate(result.rows, start=1)
    )
    engine.ensure(table)
    engine.apply([AddRows(table, rows)])
    return result_id
