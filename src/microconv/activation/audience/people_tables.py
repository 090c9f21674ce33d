"""Read identity and consent tables: CSV and Parquet files, or rows that an engine has fetched.

Messages name the file, the line and the column, never a value: a file without a header has a person in its first line,
so even the names of unexpected columns are not repeated. Rows are read as they are used: a table may be larger than
memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, time
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from microconv.activation.audience.people import ConsentRecord, Person
from microconv.errors import ConfigError
from microconv.files import csv_lines, readable

if TYPE_CHECKING:
    import pyarrow as pa

_PERSON_COLUMNS = ("user_id", "email", "phone", "first_name", "last_name", "country", "postal_code")
_CONSENT_COLUMNS = ("user_id", "ad_user_data", "ad_personalization", "changed_at")
# Above this, a float no longer tells neighbouring integers apart.
_EXACT_FLOAT_LIMIT = 2**53
_BATCH_ROWS = 20_000
# Bytes that are not UTF-8, the year 10000 and longer times, a zone that nobody knows.
_NOT_FOR_PYTHON = (ValueError, ArithmeticError, LookupError)

UNREADABLE_USER = ""
"""Stands for every user id that cannot be read."""


def read_people(path: Path) -> Iterator[Person]:
    """Yield the rows of the identity file (`.csv` in UTF-8, or `.parquet`) with the columns of `people_from_rows`.

    Raises:
        ConfigError: The file is missing, unreadable, or lacks a column.
    """
    source = f"The identity file {path}"
    with readable(source):
        yield from people_from_rows(*_read(path, source), source=source)


def read_consents(path: Path) -> Iterator[ConsentRecord]:
    """Yield the rows of the consent file (`.csv` in UTF-8, or `.parquet`) with the columns of `consents_from_rows`.

    Raises:
        ConfigError: The file is missing, unreadable, or lacks a column.
    """
    source = f"The consent file {path}"
    with readable(source):
        yield from consents_from_rows(*_read(path, source), source=source)


def people_from_rows(columns: Sequence[str], rows: Iterable[Sequence[object]], *, source: str) -> Iterator[Person]:
    """Turn rows into people; rows without a `user_id` can belong to nobody and are dropped.

    Args:
        columns: Names of the columns: `user_id`, at least one of `email` and `phone`, and any of `first_name`,
            `last_name`, `country`, `postal_code`. Others are ignored.
        rows: One sequence of values per row, in the order of `columns`. Values are trimmed; integers become digits.
        source: What to call the table in messages ("The identity file people.csv").

    Raises:
        ConfigError: A column is missing or doubled, or `user_id` holds a type that has no certain text.
    """
    _require(columns, ("user_id",), source)
    if not {"email", "phone"} & set(columns):
        raise ConfigError(
            f"{source} has neither a column email nor a column phone.",
            hint=f"Name its columns {', '.join(_PERSON_COLUMNS)}; one of email and phone is enough.",
        )
    places = [columns.index(column) if column in columns else None for column in _PERSON_COLUMNS[1:]]
    id_place = columns.index("user_id")
    for row in rows:
        user_id = _user_id(row[id_place], source)
        if user_id is None:
            continue
        values = [None if place is None else row[place] for place in places]
        is_readable = not any(isinstance(_text(value), _Odd) for value in values if type(value) is not str)
        email, phone, first_name, last_name, country, postal_code = map(_known, values)
        yield Person(user_id, email, phone, first_name, last_name, country, postal_code, is_readable)


def consents_from_rows(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, source: str
) -> Iterator[ConsentRecord]:
    """Turn rows into consent records; rows without a `user_id` can belong to nobody and are dropped.

    A row whose `user_id` cannot be read has the id `UNREADABLE_USER`.

    Args:
        columns: Names of the columns: `user_id`, `ad_user_data`, `ad_personalization`, `changed_at`. Others are
            ignored.
        rows: One sequence of values per row, in the order of `columns`; booleans and timestamps are welcome.
        source: What to call the table in messages.

    Raises:
        ConfigError: A column is missing or doubled, or `user_id` holds a type that has no certain text.
    """
    _require(columns, _CONSENT_COLUMNS, source)
    id_place, data, personalization, changed = (columns.index(column) for column in _CONSENT_COLUMNS)
    for row in rows:
        user_id = UNREADABLE_USER if row[id_place] is _Odd.VALUE else _user_id(row[id_place], source)
        if user_id is not None:
            yield ConsentRecord(user_id, _known(row[data]), _known(row[personalization]), _known(row[changed]))


def _require(columns: Sequence[str], required: Sequence[str], source: str) -> None:
    missing = [column for column in required if column not in columns]
    if missing:
        plural = "s" if len(missing) > 1 else ""
        raise ConfigError(
            f"{source} has no column{plural} {', '.join(missing)}.",
            hint="The first line must name the columns, separated by commas, spelled exactly like this.",
        )
    known = {*_PERSON_COLUMNS, *_CONSENT_COLUMNS}
    doubled = sorted({column for column in columns if column in known and list(columns).count(column) > 1})
    if doubled:
        raise ConfigError(f"{source} has more than one column {', '.join(doubled)}.", hint="Keep one of them.")


class _Odd(Enum):
    """In place of a value that cannot be read or has no certain text."""

    VALUE = "odd"


def _known(value: object) -> str | None:
    """Return the text of a value, None where it has none."""
    if type(value) is str:
        return value.strip() or None
    text = _text(value)
    return None if isinstance(text, _Odd) else text


def _user_id(value: object, source: str) -> str | None:
    text = value.strip() if isinstance(value, str) else _text(value)
    if isinstance(text, _Odd):
        if value is _Odd.VALUE:
            return None
        raise ConfigError(
            f"{source}: column user_id holds values of type {type(value).__name__} that have no certain text.",
            hint="Store the column as text.",
        )
    return text or None


def _text(value: object) -> str | _Odd | None:  # noqa: PLR0911 - one return per type is the clearest form
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
    return _Odd.VALUE


def _read(path: Path, source: str) -> tuple[Sequence[str], Iterator[Sequence[object]]]:
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(f"{source} is neither .csv nor .parquet.", hint="Write it in one of the two formats.")
    return reader(path, source)


def _read_csv(path: Path, source: str) -> tuple[list[str], Iterator[list[str]]]:
    lines = csv_lines(path, source)
    _, columns = next(lines)
    return columns, (row for _, row in lines)


def _read_parquet(path: Path, source: str) -> tuple[list[str], Iterator[Sequence[object]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    known = {*_PERSON_COLUMNS, *_CONSENT_COLUMNS}

    def rows() -> Iterator[Sequence[object]]:
        with parquet, _whole(source):
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=columns):
                yield from rows_of(batch)

    with _whole(source):
        parquet = pq.ParquetFile(pa.OSFile(str(path)))
        columns = [name for name in parquet.schema_arrow.names if name in known]
    return columns, rows()


def rows_of(batch: pa.RecordBatch) -> Iterator[Sequence[object]]:
    """Yield the rows of Arrow columns; a value that Python cannot hold becomes an odd one, which has no text."""
    return zip(*map(_values, batch.columns), strict=True)


def _values(column: pa.Array) -> list[object]:
    try:
        return list(column.to_pylist())
    except _NOT_FOR_PYTHON:
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> object:
    try:
        return scalar.as_py()
    except _NOT_FOR_PYTHON:
        return _Odd.VALUE


@contextmanager
def _whole(source: str) -> Iterator[None]:
    """Tell in our words that a Parquet file is damaged."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ConfigError(f"{source} is not a Parquet file, or is damaged.", hint="Write it again.") from None
