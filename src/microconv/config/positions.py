"""On which line of a TOML file each key is set: found in one pass over a file that is known to be valid."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

KeyPath = tuple[str | int, ...]

MISSING = object()
"""What is found where nothing is set."""

_STRING = r"""
    \"{3}(?:\\.|[^\\])*?\"{3,5}
  | '{3}.*?'{3,5}
  | "(?:\\.|[^"\\\n])*"
  | '[^'\n]*'
"""
_BLANK = re.compile(r"(?:[ \t\r\n]+|\#[^\n]*)*")
_KEY = re.compile(rf"[ \t]*(?:(?P<bare>[A-Za-z0-9_-]+)|(?P<quoted>{_STRING}))[ \t]*(?P<next>[.=\]])", re.VERBOSE)
_IN_A_VALUE = re.compile(
    rf"(?:{_STRING})|\#[^\n]*|(?P<open>[\[{{])|(?P<close>[\]}}])|(?P<end>\n)", re.VERBOSE | re.DOTALL
)


class Positions:
    """The lines of a file's keys.

    Args:
        text: the file.
        document: what it holds, as `tomllib` reads it.
    """

    def __init__(self, text: str, document: Mapping[str, Any] | None = None) -> None:
        self._document = tomllib.loads(text) if document is None else document
        self._lines: dict[KeyPath, int] = {}
        number, counted_to = 1, 0
        for start, path in _statements(text):
            number, counted_to = number + text.count("\n", counted_to, start), start
            for length in range(len(path), 0, -1):
                if path[:length] in self._lines:
                    break
                self._lines[path[:length]] = number

    def line_of(self, path: KeyPath) -> int | None:
        """Return the line (from 1) on which the statement that first sets the path begins; None if none does."""
        if at(self._document, path) is MISSING:
            return None
        # What an array or an inline table holds is set by the statement around it.
        return next((self._lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self._lines), None)

    def nearest_line(self, path: KeyPath) -> int | None:
        """Return the line of the path, or of the innermost table around it that is there."""
        lines = (self.line_of(path[:length]) for length in range(len(path), 0, -1))
        return next((line for line in lines if line is not None), None)


def at(document: object, path: KeyPath) -> object:
    """Return what a document has at a path, or MISSING."""
    for part in path:
        within = isinstance(document, dict) and part in document
        if not within and not (isinstance(document, list) and isinstance(part, int) and part < len(document)):
            return MISSING
        document = document[part]  # type: ignore[index]  # a table or a list that has the part, as just checked
    return document


def _statements(text: str) -> Iterator[tuple[int, KeyPath]]:
    """Yield where each statement begins, and what it sets."""
    entries: dict[KeyPath, int] = {}
    table: KeyPath = ()
    position = _end_of_blank(text, 0)
    while position < len(text):
        start = position
        is_header = text[position] == "["
        is_entry = text.startswith("[[", position)
        names, position = _keys(text, position + is_header + is_entry)
        if not names:  # not TOML that we know: better no lines than wrong ones
            return
        if is_header:
            table = _resolved(names, entries, is_entry=is_entry)
            yield start, table
            position += is_entry
        else:
            yield start, (*table, *names)
            position = _end_of_value(text, position)
        position = _end_of_blank(text, position)


def _resolved(names: list[str], entries: dict[KeyPath, int], *, is_entry: bool) -> KeyPath:
    """Return the path of a table: the name of a list of tables stands for its last entry, or for a new one."""
    path: KeyPath = ()
    for number, name in enumerate(names, start=1):
        path = (*path, name)
        if is_entry and number == len(names):
            entries[path] = entries.get(path, -1) + 1
        if path in entries:
            path = (*path, entries[path])
    return path


def _keys(text: str, position: int) -> tuple[list[str], int]:
    """Return the parts of a dotted key, and where what comes after its `=` or `]` begins."""
    names: list[str] = []
    while part := _KEY.match(text, position):
        names.append(part["bare"] or tomllib.loads(f"key = {part['quoted']}")["key"])
        position = part.end()
        if part["next"] != ".":
            return names, position
    return [], position


def _end_of_value(text: str, position: int) -> int:
    depth = 0
    for token in _IN_A_VALUE.finditer(text, position):
        depth += (token["open"] is not None) - (token["close"] is not None)
        if token["end"] and depth == 0:
            return token.end()
    return len(text)


def _end_of_blank(text: str, position: int) -> int:
    blank = _BLANK.match(text, position)
    return blank.end() if blank else position
