"""Files of tables of one's own: CSV in UTF-8 with commas, or Parquet. They are read as they are used, never whole."""

from __future__ import annotations

import csv
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from microconv.errors import ConfigError
from microconv.files import csv_lines
from microconv.own_tables.cells import Odd, rows_of

ENDINGS = (".csv", ".parquet")
_BATCH_ROWS = 20_000

NumberedRow = tuple[int, Sequence[object]]
"""A row with its place: the line in a CSV file, else its number from 1 up."""


def read_rows(
    path: Path, source: str, known: Collection[str]
) -> tuple[Sequence[str], Generator[Sequence[object], None, None]]:
    """Return the columns of a file and its rows; whoever does not read all of them closes them, and so the file.

    Of Parquet, only `known` columns are read.

    Raises:
        ConfigError: it is in another format, damaged, or a line has more or fewer fields than the first.
        OSError: it cannot be opened; see `microconv.files.readable`.
    """
    if _is_csv(path, source):
        lines = csv_lines(path, source)
        return next(lines)[1], (row for _, row in lines)
    columns, rows = _read_parquet(path, source, known)
    return columns, (row for _, row in rows)


def read_numbered(path: Path, source: str) -> tuple[Sequence[str], Iterator[NumberedRow]]:
    """Return all columns of a file and its rows, each with its place.

    A row of a CSV file may have more or fewer fields than there are columns, and a field with bytes that are not UTF-8
    is an odd one: what becomes of such a row is for the reader to say.

    Raises:
        ConfigError: it is in another format, or damaged so that nobody can tell where a row ends.
        OSError: it cannot be opened; see `microconv.files.readable`.
    """
    if _is_csv(path, source):
        lines = _lenient_lines(path, source)
        _, columns = next(lines)
        return [name.strip() if isinstance(name, str) else "" for name in columns], lines
    return _read_parquet(path, source, None)


def _is_csv(path: Path, source: str) -> bool:
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ConfigError(f"{source} is neither .csv nor .parquet.", hint="Write it in one of the two formats.")
    return ending == ".csv"


def _lenient_lines(path: Path, source: str) -> Iterator[NumberedRow]:
    """Yield the first line, which may be empty, and each further one that is not."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = csv.reader(file, strict=True)
        try:
            yield 1, _readable_fields(next(lines, []))
            for row in lines:
                if row:
                    yield lines.line_num, _readable_fields(row)
        except csv.Error as error:
            raise ConfigError(
                f"{source}, line {lines.line_num}: {error}.", hint="Check the double quotes on this line and before it."
            ) from None


def _readable_fields(row: list[str]) -> Sequence[object]:
    if all(map(str.isascii, row)):
        return row
    return [Odd.VALUE if any("\ud800" <= letter <= "\udfff" for letter in field) else field for field in row]


def _read_parquet(
    path: Path, source: str, known: Collection[str] | None
) -> tuple[Sequence[str], Iterator[NumberedRow]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def rows() -> Iterator[NumberedRow]:
        with parquet, _whole(source):
            number = 0
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=columns):
                for row in rows_of(batch):
                    number += 1
                    yield number, row

    with _whole(source):
        parquet = pq.ParquetFile(pa.OSFile(str(path)))
        columns = [name for name in parquet.schema_arrow.names if known is None or name in known]
    return columns, rows()


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
