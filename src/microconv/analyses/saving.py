"""Results kept in the engine: the rows of each in a table `mc_result_<name>`, with the assumptions they rest on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from types import NoneType
from typing import Any, get_args, get_type_hints

from microconv.config.sections import Config
from microconv.engines.base import AddRows, Engine
from microconv.engines.tables import Column, Table
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.question import Question
from microconv.result import Result
from microconv.staging.record import new_run_id
from microconv.taxonomy import Taxonomy

_TYPES: dict[Any, str] = {
    int: "INT64",
    float: "FLOAT64",
    str: "STRING",
    bool: "BOOL",
    date: "DATE",
    datetime: "TIMESTAMP",
}
_COMMON = (
    Column("result_id", "STRING", "the result that the row belongs to"),
    Column("saved_at", "TIMESTAMP", "when it was saved (UTC)"),
    Column("question", "STRING", "what was asked, as JSON"),
    Column("assumptions", "STRING", "what the figures rest on, as a JSON list of sentences"),
    Column("row_number", "INT64", "place of the row in the result, from 1"),
)


def result_table(name: str, row_type: type) -> Table:
    """Return the table that results of a question are kept in: the columns that all have, then those of its rows.

    Args:
        name: The question's, in the catalogue.
        row_type: The class of its rows.
    """
    hints = get_type_hints(row_type)
    columns = tuple(
        Column(each.name, _type(hints[each.name]), each.metadata["heading"].label) for each in fields(row_type)
    )
    return Table(f"mc_result_{name}", f"Saved results of {name}.", ("result_id", "row_number"), _COMMON + columns)


def _type(hint: object) -> str:
    """Return the GoogleSQL type of a field; texts that are limited to some words are texts."""
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not NoneType]
    return _TYPES.get(kinds[0], "STRING")


@dataclass(frozen=True)
class SavedResult:
    """A result that is kept: which question it answers, and what was asked."""

    question_name: str
    result_id: str
    saved_at: datetime
    question: dict[str, Any]

    @property
    def texts(self) -> frozenset[str]:
        """All texts in what was asked: names of micro-conversions are among them."""
        return frozenset(_texts(self.question))


def _texts(tree: Any) -> Iterator[str]:  # noqa: ANN401 - walks any JSON
    if isinstance(tree, str):
        yield tree
    for item in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _texts(item)


def saved_results(engine: Engine, names: Iterable[str]) -> Iterator[SavedResult]:
    """Yield the results that are kept of these questions.

    Raises:
        EngineError: A table cannot be read.
    """
    for name in names:
        if engine.version(f"mc_result_{name}") is not None:
            for row in engine.query(_saved(name)).to_pylist():
                yield SavedResult(name, row["result_id"], row["saved_at"], json.loads(row["question"]))


def _saved(name: str) -> Query:
    return templates.query("operations/saved_results", structure={"results": f"mc_result_{name}"})


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the query of what is kept, for one question."""
    yield None, _saved("funnel")


def save(engine: Engine, name: str, question: Question, result: Result) -> str:
    """Add the rows of a result to its table, which is made on first use, in one transaction; return the result's id.

    Args:
        engine: Where the table is.
        name: The question's, in the catalogue.
        question: What was asked; its fields are kept with every row.
        result: The answer.

    Raises:
        UsageError: The result has no rows.
        EngineError: The table cannot be written.
    """
    if not result.rows:
        raise UsageError("The result has no rows, so there is nothing to save.", hint="Ask for other days or steps.")
    table = result_table(name, result.row_type)
    now = datetime.now(tz=UTC)
    result_id = new_run_id(now)
    common: dict[str, Value] = {
        "result_id": result_id,
        "saved_at": now,
        "question": question.model_dump_json(),
        "assumptions": json.dumps(result.assumptions),
    }
    rows = tuple(
        {**common, "row_number": number, **{each.name: getattr(row, each.name) for each in fields(row)}}
        for number, row in enumerate(result.rows, start=1)
    )
    engine.ensure(table)
    engine.apply([AddRows(table, rows)])
    return result_id
