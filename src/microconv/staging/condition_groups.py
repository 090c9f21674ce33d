"""Conditions of the taxonomy as the query of occurrences asks them: entries that look at the same columns, together.

Many events share what conditions look at, an address above all. So entries are grouped by the columns that they look
at; a group's conditions are asked once for each distinct set of values there, and what was found is joined back. The
cost grows with the distinct values times the entries of a group, not with the events times all entries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from microconv.queries.conditions import Operands
from microconv.staging import properties
from microconv.taxonomy import Clause, Condition, Group, MicroConversion

MOST_GROUPS = 24
"""Each group is a part of the query's text; what is beyond goes into the last one."""
_PARTS = {"page": "path"}
"""Parts of an address, by the field that asks for them."""
_CHUNK = 32
"""So many conditions are told apart in one place."""


class ValueColumn(TypedDict):
    """A column that conditions look at."""

    column: str
    is_number: bool


class GroupStructure(TypedDict):
    """What the template needs to know of a group: its columns, the subjects read from them, its entries' conditions."""

    columns: list[ValueColumn]
    subjects: list[dict[str, Any]]
    chunks: list[list[dict[str, Any]]]


def condition_groups(entries: Iterable[MicroConversion]) -> list[list[MicroConversion]]:
    """Group the entries that have conditions by the columns that these look at, the largest groups first."""
    by_columns: dict[tuple[str, ...], list[MicroConversion]] = {}
    for entry in entries:
        if entry.where:
            columns = tuple(sorted({properties.looked_at(condition).column for condition in entry.conditions()}))
            by_columns.setdefault(columns, []).append(entry)
    groups = sorted(by_columns.items(), key=lambda group: (-len(group[1]), group[0]))
    kept = [members for _, members in groups[:MOST_GROUPS]]
    for _, members in groups[MOST_GROUPS:]:
        kept[-1] = [*kept[-1], *members]
    return kept


def as_structure(group: Sequence[MicroConversion], places: Mapping[str, int], operands: Operands) -> GroupStructure:
    """Return a group as the template takes it; `operands` gets what its conditions compare with.

    Args:
        group: Entries with conditions.
        places: The place of each entry in the taxonomy, by its id.
        operands: The parameters of the query.
    """
    looked_at = {properties.looked_at(condition) for entry in group for condition in entry.conditions()}
    subjects: dict[tuple[str, str, str], dict[str, Any]] = {}
    tests = [
        {"entry": places[entry.id], "test": {"all": [_test(clause, subjects, operands) for clause in entry.where]}}
        for entry in sorted(group, key=lambda entry: places[entry.id])
    ]
    return {
        "columns": [{"column": each.column, "is_number": each.is_number} for each in sorted(looked_at)],
        "subjects": list(subjects.values()),
        "chunks": [tests[start : start + _CHUNK] for start in range(0, len(tests), _CHUNK)],
    }


def _test(clause: Clause, subjects: dict[tuple[str, str, str], dict[str, Any]], operands: Operands) -> dict[str, Any]:
    if isinstance(clause, Group):
        return {clause.word: [_test(each, subjects, operands) for each in clause.clauses]}
    column = properties.looked_at(clause)
    key = clause.kind, clause.name, "number" if clause.reads_number else "text"
    if key not in subjects:
        subjects[key] = _subject(clause, column.column, len(subjects), operands)
    criterion = operands.add(clause, subjects[key]["name"], is_number=column.is_number, is_list=column.is_list)
    return {"criterion": criterion}


def _subject(condition: Condition, column: str, place: int, operands: Operands) -> dict[str, Any]:
    """Return how a subject is read from its column: as it is, or a part of the address that the column holds."""
    part = "query" if condition.kind == "query" else _PARTS.get(condition.name) if condition.kind == "field" else None
    subject: dict[str, Any] = {"name": f"subject_{place}", "column": column, "part": part}
    if part == "query":
        subject["number"] = operands.add_text(_query_pattern(condition.name))
    return subject


def _query_pattern(name: str) -> str:
    """Return a pattern that takes a whole address and holds the first value of a query's parameter."""
    return rf"(?s)^[^?#]*\?(?:[^#]*?&)??{re.escape(name)}=([^&#]*).*$"
