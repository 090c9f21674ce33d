"""Read identity and consent tables: CSV and Parquet files, or rows that an engine has fetched.

Messages name the file, the line and the column, never a value: a file without a header has a person in its first line,
so even the names of unexpected columns are not repeated. Rows are read as they are used: a table may be larger than
memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from microconv.activation.audience.people import ConsentRecord, Person
from microconv.errors import ConfigError
from microconv.files import readable
from microconv.own_tables.cells import Odd, text_of
from microconv.own_tables.table_files import read_rows

_PERSON_COLUMNS = ("user_id", "email", "phone", "first_name", "last_name", "country", "postal_code")
_CONSENT_COLUMNS = ("user_id", "ad_user_data", "ad_personalization", "changed_at")
_KNOWN = frozenset((*_PERSON_COLUMNS, *_CONSENT_COLUMNS))

UNREADABLE_USER = ""
"""Stands for every user id that cannot be read."""


def read_people(path: Path) -> Iterator[Person]:
    """Yield the rows of the identity file (`.csv` in UTF-8, or `.parquet`) with the columns of `people_from_rows`.

    Raises:
        ConfigError: The file is missing, unreadable, or lacks a column.
    """
    source = f"The identity file {path}"
    with readable(source):
        columns, rows = read_rows(path, source, _KNOWN)
        with closing(rows):
            yield from people_from_rows(columns, rows, source=source)


def read_consents(path: Path) -> Iterator[ConsentRecord]:
    """Yield the rows of the consent file (`.csv` in UTF-8, or `.parquet`) with the columns of `consents_from_rows`.

    Raises:
        ConfigError: The file is missing, unreadable, or lacks a column.
    """
    source = f"The consent file {path}"
    with readable(source):
        columns, rows = read_rows(path, source, _KNOWN)
        with closing(rows):
            yield from consents_from_rows(columns, rows, source=source)


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
        is_readable = not any(isinstance(text_of(value), Odd) for value in values if type(value) is not str)
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
        user_id = UNREADABLE_USER if row[id_place] is Odd.VALUE else _user_id(row[id_place], source)
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
    doubled = sorted({column for column in columns if column in _KNOWN and list(columns).count(column) > 1})
    if doubled:
        raise ConfigError(f"{source} has more than one column {', '.join(doubled)}.", hint="Keep one of them.")


def _known(value: object) -> str | None:
    """Return the text of a value, None where it has none."""
    if type(value) is str:
        return value.strip() or None
    text = text_of(value)
    return None if isinstance(text, Odd) else text


def _user_id(value: object, source: str) -> str | None:
    text = value.strip() if isinstance(value, str) else text_of(value)
    if isinstance(text, Odd):
        if value is Odd.VALUE:
            return None
        raise ConfigError(
            f"{source}: column user_id holds values of type {type(value).__name__} that have no certain text.",
            hint="Store the column as text.",
        )
    return text or None
