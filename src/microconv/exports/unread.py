"""What looks like a part of an export and is not read: nothing is passed over without a word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from microconv import wording
from microconv.errors import SourceError
from microconv.exports.shards import TABLE_NAME, Source, parse_day
from microconv.findings import Finding

READ_AS = (".parquet", ".ndjson", ".jsonl", ".json", ".ndjson.gz", ".jsonl.gz", ".json.gz")
"""The endings of files that are read, whether in small or in capital letters."""
TO_DO = (
    "Rename what is to be read to events_YYYYMMDD (or events_intraday_YYYYMMDD), with .parquet, .ndjson or .ndjson.gz "
    "for files; let `path` under [[sources]] reach it; or move it away."
)

_LOOKS_LIKE = re.compile(r"(?<![a-z])events?(?:[ _.-].*|)\d{4}[ _.-]?\d\d", re.IGNORECASE)
_NO_DATA = (".md5", ".sha1", ".sha256", ".crc", ".log", ".txt", ".sql", ".py", ".md", ".html", ".pdf", ".png", ".toml")
_UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".download", ".gstmp", ".swp", ".bak", "~")
_COPY = re.compile(r"\(\d+\)|\bcop(?:y|ie)\b|(?<![a-z])copy(?![a-z])", re.IGNORECASE)
_SHARD = re.compile(rf"{TABLE_NAME}(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_PART = re.compile(r"(?:[-_.]?\d+)?((?:\.[a-z0-9]+)*)", re.IGNORECASE)


@dataclass(frozen=True)
class PassedOver:
    """A file, a folder or a table that looks like a part of an export, and why it is not read."""

    place: str
    reason: str

    @property
    def said(self) -> str:
        """Its name, that of a file without the folder, and the reason."""
        return f"{Path(self.place).name} ({self.reason})"

    def document(self) -> dict[str, str]:
        """Return the JSON document: place and reason."""
        return asdict(self)


@runtime_checkable
class Watchful(Protocol):
    """A source that tells what it does not read."""

    @property
    def property_id(self) -> str:
        """The label of the property."""
        ...

    def passed_over(self, read_elsewhere: frozenset[Path] = frozenset()) -> tuple[PassedOver, ...]:
        """List what looks like a part of the export and is not read, here or by another source."""
        ...


def why_no_shard(name: str) -> str | None:
    """Say why the name of a file or table that looks like a shard is none; None where it does not look like one."""
    if not _LOOKS_LIKE.search(name) or name.lower().endswith(_NO_DATA):
        return None
    match = _SHARD.match(name)
    ending = _PART.fullmatch(match["rest"]) if match else None
    kind = ending[1] if ending else ""
    named = name[: match.end("day")] if match else ""
    reasons = (
        (name.lower().endswith(_UNFINISHED), "an unfinished or old copy"),
        (_COPY.search(name), "a second copy, by its name"),
        (match is None, "the name does not begin with events_ and eight digits"),
        (match and parse_day(match["day"]) is None, f"{match['day'] if match else ''} is not a day of the calendar"),
        (ending is None, "something stands behind the day"),
        (named != named.lower(), "the name is not in small letters"),
        (kind.lower() in READ_AS, "the digits behind the day number no part"),
        (kind, f"{kind} is not a format that is read"),
    )
    return next((reason for holds, reason in reasons if holds), "the name has no ending, such as .parquet")


def why_no_table(name: str) -> str | None:
    """Say why the name of a table that looks like a shard is none; None where it is one, or does not look like one."""
    match = _SHARD.fullmatch(name)
    if match and not match["rest"] and name == name.lower() and parse_day(match["day"]):
        return None
    return why_no_shard(name)


def said_of(found: Sequence[PassedOver]) -> str:
    """Name a few of them for a sentence, each with its reason."""
    return wording.listed([each.said for each in found], limit=4)


def passed_over(sources: Iterable[Source]) -> tuple[Finding, ...]:
    """Return a finding for each source that passes something over.

    A source that cannot be listed tells nothing here: whoever reads it gets the error.
    """
    sources = tuple(sources)
    read = frozenset(path for source in sources for path in _files(source))
    return tuple(finding for source in sources if (finding := _finding(source, read)))


def _files(source: Source) -> Iterable[Path]:
    return getattr(source, "files", tuple)()


def _finding(source: Source, read: frozenset[Path]) -> Finding | None:
    if not isinstance(source, Watchful):
        return None
    try:
        found = source.passed_over(read)
    except SourceError:
        return None
    if not found:
        return None
    verb, were = ("looks", "was") if len(found) == 1 else ("look", "were")
    return Finding(
        "passed_over",
        "warning",
        f"{wording.plural(len(found), 'name')} at the source of property {source.property_id} {verb} like a part of "
        f"the export and {were} not read: {said_of(found)}.",
        TO_DO,
        subject=source.property_id,
    )
