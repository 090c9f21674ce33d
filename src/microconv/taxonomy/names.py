"""How the names of a taxonomy are written: ids, versions, parameters, and text that people read."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator


def _written(pattern: str, rule: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"{rule}, not {text!r}")
        return text

    return AfterValidator(check)


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip() or not text:
        raise ValueError(f"must be printable text without spaces around it, not {text!r}")
    return text


def _prose(text: str) -> str:
    """Allow several lines, which TOML writes between three quotes."""
    if not text.strip() or not all(line.isprintable() for line in text.splitlines()):
        raise ValueError(f"must be printable text, not {text!r}")
    return " ".join(text.split())


Id = Annotated[
    str, _written(r"[a-z][a-z0-9_]{0,63}", "must be lower-case letters, digits and _, a letter first, at most 64")
]
Version = Annotated[str, _written(r"\d{1,9}(\.\d{1,9}){0,2}", 'must be a version such as "1.0"')]
# GA4 allows letters, digits and _, 40 characters; real exports also hold dots, dashes and longer names.
ParameterName = Annotated[
    str,
    _written(r"[A-Za-z][A-Za-z0-9_.-]{0,99}", "must be letters, digits and any of _ . -, a letter first, at most 100"),
]
# Brackets are common in what forms send: `filter[size]`.
QueryName = Annotated[
    str,
    _written(r"[A-Za-z0-9_.~\[\]-]{1,100}", "must be letters, digits and any of _ . ~ - [ ], at most 100"),
]
Printable = Annotated[str, AfterValidator(_printable)]
Prose = Annotated[str, AfterValidator(_prose)]


def one_or_more(value: object) -> object:
    """Read a single text as a list of one."""
    return (value,) if isinstance(value, str) else value


def version_key(version: str) -> tuple[int, ...]:
    """Return what versions are compared by: "1.10" is later than "1.9", "1" equals "1.0"."""
    numbers = [int(number) for number in version.split(".")]
    return tuple(numbers + [0] * (3 - len(numbers)))
