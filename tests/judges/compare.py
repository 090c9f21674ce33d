"""Holding two lists of rows against each other."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from judges.types import Row, Value

TOLERANCE = 1e-9


def differences(actual: Sequence[Row], expected: Sequence[Row], *, ordered: bool) -> list[str]:
    """What differs, one line each; an empty list means the same rows.

    Floats may differ by 1e-9 (relative, or absolute near zero): engines add in different orders. Without `ordered` both
    sides are sorted first.
    """
    left, right = list(actual), list(expected)
    if not ordered:
        # By what tolerance leaves the same, then exactly: large whole numbers differ in their last digits.
        left, right = (sorted(rows, key=lambda row: (_key(row), json.dumps(row))) for rows in (left, right))
    found = [f"{len(left)} rows instead of {len(right)}"] if len(left) != len(right) else []
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if not _same(one, other):
            found.append(f"row {index}: {_shown(one, other)} instead of {_shown(other, one)}")
    return found


def assert_same_rows(actual: Sequence[Row], expected: Sequence[Row], *, ordered: bool = False, label: str = "") -> None:
    """Fail with the differing rows."""
    found = differences(actual, expected, ordered=ordered)
    assert not found, "\n".join([label, *found, f"all rows: {json.dumps(list(actual), ensure_ascii=False)}"])


def _same(one: Value, other: Value) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int) and isinstance(other, int):
        return one == other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def _shown(row: Row, other: Row) -> Value:
    """The columns that differ, and the first column to find the row by."""
    if list(row) != list(other):
        return row
    first = next(iter(row), None)
    return {name: value for name, value in row.items() if name == first or not _same(value, other[name])}


def _key(value: Value) -> str:
    """A sort key under which floats that are the same by tolerance are the same text (nearly always)."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, int | float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{_key(item)}" for name, item in value.items()) + "}"
    return "[" + ",".join(_key(item) for item in value) + "]"
