"""Read identity and consent tables: CSV and Parquet files, or rows that an engine has fetched.

Messages name the file, the line and the column, never a value: a file without a header has a person in its first line,
so even the names of unexpected columns are not repeated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, time
from decimal import Decimal
from pathlib import Path

from microconv.activation.audience.people import ConsentRecord, Person
from microconv.errors import ConfigError
from microconv.files import read_csv, readable

_PERSON_COLUMNS = ("user_id", "email", "phone", "first_name", "last_name", "country", "postal_code")
_CONSENT_COLUMNS = ("user_id", "ad_user_data", "ad_personalization", "changed_at")
# Above this, a float no longer tells neighbouring integers apart.
_EXACT_FLOAT_LIMIT = 2**53


def read_people(path: Path) -> tuple[Person, ...]:
    """Read the identity file (`.csv` in UTF-8, or `.parquet`) with the columns of `people_from_rows`.

    Raises:
        ConfigError: The file is missing, unreadable, or lacks a column.
    """
    source = f"The identity file {path}"
    with_columns = _read(path, source)
    return people_from_rows(*with_columns, source=source)


def read_consents(path: Path) -> tuple[ConsentRecord, ...]:
    """Read the consent file (`.csv` in UTF-8, or `.parquet`) with the columns of `consents_from_rows`.

    Raises:
        ConfigError: The file is missing, unreadable, or lacks a column.
    """
    source = f"The consent file {path}"
    with_columns = _read(path, source)
    return consents_from_rows(*with_columns, source=source)


def people_from_rows(columns: Sequence[str], rows: Iterable[Sequence[object]], *, source: str) -> tuple[Person, ...]:
    """Turn rows into people; rows without a `user_id` can belong to nobody and are dropped.

    Args:
        columns: Names of the columns: `user_id`, at least one of `email` and `phone`, and any of `first_name`,
            `last_name`, `country`, `postal_code`. Others are ignored.
        rows: One sequence of values per row, in the order of `columns`. Values are trimmed; integers become digits.
        source: What to call the table in messages ("The identity file people.csv").

    Raises:
        ConfigError: A column is missing or doubled, or holds a type that has no certain text.
    """
    _require(columns, ("user_id",), source)
    if not {"email", "phone"} & set(columns):
        raise ConfigError(
            f"{source} has neither a column email nor a column phone.",
            hint=f"Name its columns {', '.join(_PERSON_COLUMNS)}; one of email and phone is enough.",
        )
    present = [column for column in _PERSON_COLUMNS if column in columns]
    people = []
    for values in _texts(columns, rows, present, source):
        user_id = values.pop("user_id")
        if user_id is not None:
            people.append(Person(user_id, **values))
    return tuple(people)


def consents_from_rows(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, source: str
) -> tuple[ConsentRecord, ...]:
    """Turn rows into consent records; rows without a `user_id` can belong to nobody and are dropped.

    Args:
        columns: Names of the columns: `user_id`, `ad_user_data`, `ad_personalization`, `changed_at`. Others are
            ignored.
        rows: One sequence of values per row, in the order of `columns`; booleans and timestamps are welcome.
        source: What to call the table in messages.

    Raises:
        ConfigError: A column is missing or doubled, or holds a type that has no certain text.
    """
    _require(columns, _CONSENT_COLUMNS, source)
    records = []
    for values in _texts(columns, rows, _CONSENT_COLUMNS, source):
        user_id = values.pop("user_id")
        if user_id is not None:
            records.append(ConsentRecord(user_id, **values))
    return tuple(records)


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


def _texts(
    columns: Sequence[str], rows: Iterable[Sequence[object]], wanted: Sequence[str], source: str
) -> Iterator[dict[str, str | None]]:
    places = [(column, columns.index(column)) for column in wanted]
    for row in rows:
        yield {column: _text(row[place], column, source) for column, place in places}


def _text(value: object, column: str, source: str) -> str | None:  # noqa: PLR0911 - one return per type is the clearest form
    if value is None:
        return None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        if math.isnan(value):
            return None
        # An integer column with gaps often arrives as floats: the id is 123, never 123.0.
        exact = math.isfinite(value) and value == int(value)
        if exact and (isinstance(value, Decimal) or abs(value) < _EXACT_FLOAT_LIMIT):
            return str(int(value))
    if isinstance(value, date | time):
        return value.isoformat()
    raise ConfigError(
        f"{source}: column {column} holds values of type {type(value).__name__} that have no certain text.",
        hint="Store the column as text.",
    )


def _read(path: Path, source: str) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(f"{source} is neither .csv nor .parquet.", hint="Write it in one of the two formats.")
    with readable(source):
        return reader(path, source)


def _read_csv(path: Path, source: str) -> tuple[list[str], list[list[str]]]:
    columns, rows = read_csv(path, source)
    return columns, [row for _, row in rows]


def _read_parquet(path: Path, source: str) -> tuple[list[str], Iterator[Sequence[object]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    known = {*_PERSON_COLUMNS, *_CONSENT_COLUMNS}
    try:
        with path.open("rb") as file:
            parquet = pq.ParquetFile(file)
            table = parquet.read(columns=[name for name in parquet.schema_arrow.names if name in known])
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ConfigError(f"{source} is not a Parquet file, or is damaged.", hint="Write it again.") from None
    rows = (row for batch in table.to_batches() for row in zip(*batch.to_pydict().values(), strict=True))
    return table.column_names, rows
