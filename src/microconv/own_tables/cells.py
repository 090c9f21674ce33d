"""Cells of tables of one's own: each as the one text that it certainly is, or as one that has none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import date, time
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

# Above this, a float no longer tells neighbouring integers apart.
_EXACT_FLOAT_LIMIT = 2**53
# Bytes that are not UTF-8, the year 10000 and longer times, a zone that nobody knows.
_NOT_FOR_PYTHON = (ValueError, ArithmeticError, LookupError)


class Odd(Enum):
    """In place of a value that cannot be read or has no certain text."""

    VALUE = "odd"


def text_of(value: object) -> str | Odd | None:  # noqa: PLR0911 - one return per type is the clearest form
    """Return the text of a value, trimmed; None where there is nothing."""
    if isinstance(value, str):
        return value.strip() or None
    if value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        # An integer column with gaps often arrives as floats: the id is 123, never 123.0.
        exact = math.isfinite(value) and value == int(value)
        if exact and (isinstance(value, Decimal) or abs(value) < _EXACT_FLOAT_LIMIT):
            return str(int(value))
    if isinstance(value, date | time):
        return value.isoformat()
    return Odd.VALUE


def rows_of(batch: pa.RecordBatch) -> Iterator[Sequence[object]]:
    """Yield the rows of Arrow columns; a value that Python cannot hold becomes an odd one, which has no text."""
    return zip(*map(_values, batch.columns), strict=True)


def _values(column: pa.Array) -> list[object]:
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":  # finer than Python's
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    try:
        return list(column.to_pylist())
    except _NOT_FOR_PYTHON:
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> object:
    try:
        return scalar.as_py()
    except _NOT_FOR_PYTHON:
        return Odd.VALUE
