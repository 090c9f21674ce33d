"""CSV files of the user: read strictly, with errors that say which line and what to do, and quote nothing of it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from microconv.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@contextmanager
def readable(source: str) -> Iterator[None]:
    """Turn errors of opening a file into ours; `source` is how messages call it."""
    try:
        yield
    except FileNotFoundError:
        raise ConfigError(
            f"{source} does not exist.", hint="Correct the path; it is relative to the configuration."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{source} cannot be read: {error.strerror}.", hint="Correct the path or its permissions."
        ) from error


def read_csv(path: Path, source: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the columns of the first line, trimmed, and each further line that is not empty, with its number.

    Raises:
        ConfigError: the file is not UTF-8, a quote is not closed, or a line has more or fewer fields than the first.
        OSError: it cannot be opened; see `readable`.
    """
    rows: list[tuple[int, list[str]]] = []
    # utf-8-sig: spreadsheets put a byte order mark in front, which would become part of the first column's name.
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        try:
            columns = [name.strip() for name in next(lines, [])]
            for row in lines:
                if row and len(row) != len(columns):
                    raise ConfigError(
                        f"{source}, line {lines.line_num}: {len(row)} fields where the first line has {len(columns)}.",
                        hint="Write numbers like 1234.50, and other values that hold a comma in double quotes; "
                        "a short last line is a file cut off.",
                    )
                if row:
                    rows.append((lines.line_num, row))
        except UnicodeDecodeError:
            # The decoder's own message and context quote the file.
            raise ConfigError(f"{source} is not UTF-8.", hint="Save it as UTF-8.") from None
        except csv.Error as error:
            raise ConfigError(
                f"{source}, line {lines.line_num}: {error}.", hint="Check the double quotes on this line and before it."
            ) from None
    return columns, rows
