"""Audience files: one format per way a platform takes uploads, with a file of rejects and a manifest beside them."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, cast, get_args

from pydantic import Field

from microconv.activation.audience.audience_rows import AudienceRow, IdentityKind
from microconv.activation.audience.normalise import GOOGLE, META, PLAIN
from microconv.activation.destinations.base import (
    Accepts,
    Batch,
    Delivery,
    Destination,
    DestinationSettings,
    Previous,
    Receipt,
    Send,
    Target,
)
from microconv.config.sections import DestinationConfig
from microconv.config.values import InFolder
from microconv.errors import DestinationError, UsageError
from microconv.files import FileSet, WrittenFile

MANIFEST_VERSION = 1
_SEGMENT_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


# Formats


@dataclass(frozen=True)
class AudienceFormat:
    """How one kind of audience file looks.

    `columns` pairs each header or key with a field of `AudienceRow`; `encode` writes rows as the lines of a file.
    """

    suffix: str
    columns: tuple[tuple[str, str], ...]
    encode: Callable[[AudienceFormat, Iterable[AudienceRow]], Iterator[str]]
    accepts: Accepts

    def cells(self, row: AudienceRow) -> list[str]:
        """Return the row's values in the order of `columns`, "" where there is nothing."""
        return [getattr(row, field) for _, field in self.columns]


class _Line:
    """What `csv.writer` writes to: gives the line back, since `writerow` returns what `write` returns."""

    def write(self, line: str) -> str:
        return line


def _csv_lines(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    writer = csv.writer(_Line(), lineterminator="\n")
    # The type stubs know writerow's result as Any; `_Line` makes it the line.
    return (cast("str", writer.writerow(row)) for row in rows)


def csv_audience(audience_format: AudienceFormat, rows: Iterable[AudienceRow]) -> Iterator[str]:
    """Write rows as CSV, below a line of headers."""
    yield from _csv_lines([[header for header, _ in audience_format.columns]])
    yield from _csv_lines(map(audience_format.cells, rows))


def jsonl_audience(audience_format: AudienceFormat, rows: Iterable[AudienceRow]) -> Iterator[str]:
    """Write rows as one JSON object a line, with null where there is nothing."""
    keys = [key for key, _ in audience_format.columns]
    for row in rows:
        values = [cell or None for cell in audience_format.cells(row)]
        yield json.dumps(dict(zip(keys, values, strict=True)), separators=(",", ":")) + "\n"


HASHES = (("email_sha256", "email"), ("phone_sha256", "phone"), ("external_id_sha256", "external_id"))
EVERY_IDENTITY: frozenset[IdentityKind] = frozenset(get_args(IdentityKind))

GOOGLE_ADS = AudienceFormat(
    suffix="csv",
    # Exact, English and in this order: support.google.com/google-ads/answer/7659867
    columns=(
        ("Email", "email"),
        ("Phone", "phone"),
        ("First Name", "first_name"),
        ("Last Name", "last_name"),
        ("Country", "country"),
        ("Zip", "postal_code"),
    ),
    encode=csv_audience,
    accepts=Accepts(
        "google_ads",
        identity=frozenset({"email", "phone"}),
        normalisation=GOOGLE,
        with_address=True,
        # Active users that Google matched, on any network, as the trade press reports since December 2024. Unverified:
        # Google's own page was not read. Fewer rows than this can certainly not match as many people.
        minimum=100,
    ),
)
META_ADS = AudienceFormat(
    suffix="csv",
    # facebook.com/business/help/2082575038703844: the names of columns by which Meta knows what they hold.
    columns=(
        ("email", "email"),
        ("phone", "phone"),
        ("fn", "first_name"),
        ("ln", "last_name"),
        ("zip", "postal_code"),
        ("country", "country"),
    ),
    encode=csv_audience,
    # Meta advises against lists of fewer than 100 people, on the same page.
    accepts=Accepts("meta", frozenset({"email", "phone"}), META, with_address=True, minimum=100),
)
CSV = AudienceFormat("csv", HASHES, csv_audience, Accepts("csv", EVERY_IDENTITY, PLAIN))
JSONL = AudienceFormat("jsonl", HASHES, jsonl_audience, Accepts("jsonl", EVERY_IDENTITY, PLAIN))
FORMATS = {each.accepts.name: each for each in (GOOGLE_ADS, META_ADS, CSV, JSONL)}


# Destinations


class FolderSettings(DestinationSettings):
    """Settings of a destination that writes into a folder."""

    path: InFolder = Field(default=Path("exports"), description="the folder to write to")


class FileSettings(FolderSettings):
    """`[[destinations]]` of the kind `file`."""

    kind: Literal["file"] = "file"
    format: Literal["google_ads", "meta", "csv", "jsonl"] = Field(description='"google_ads", "meta", "csv" or "jsonl"')

    def clash(self, other: DestinationConfig) -> str | None:
        """Refuse a second destination of the same format in the same folder."""
        if isinstance(other, FileSettings) and (self.format, self.path) == (other.format, other.path):
            return "writes the same files as an earlier destination; change its path or format"
        return None


class FolderDestination(Destination):
    """A folder that takes audience files of one format.

    For each segment it holds (each with mode 0600, the folder 0700): the audience, one row per person, in one file, or
    in numbered ones where a file has a limit; `<segment>.<format>.rejects.csv` with `actor_key,reason`; and, put in
    place last, `<segment>.<format>.manifest.json`. Of that segment and format it holds nothing that the manifest does
    not list.
    """

    settings: FolderSettings

    @property
    @abstractmethod
    def audience_format(self) -> AudienceFormat:
        """The format of the audience files."""

    @property
    def accepts(self) -> Accepts:
        """What the format accepts."""
        return self.audience_format.accepts

    def target(self, segment: str) -> Target:
        """Name the audience file (a pattern where there may be several) and the manifest."""
        names = self._names(segment)
        path = self.settings.path / names.audience("*")
        facts = {"format": names.format, "path": str(path), "manifest": str(self.settings.path / names.manifest)}
        return Target(f"written to {path}", facts)

    def previous(self, segment: str) -> Previous | None:
        """Read the manifest of the last export."""
        names = self._names(segment)
        manifest = self.settings.path / names.manifest
        present: list[str] = []
        try:
            # A folder that cannot be listed or entered must not look like one that has no manifest.
            present = [path.name for path in self.settings.path.iterdir()]
            manifest.stat()
        except (FileNotFoundError, NotADirectoryError):
            if not any(map(names.is_audience, present)):
                return None
        except OSError as error:
            raise _destination_error(error, self.settings.path) from error
        try:
            document: Any = json.loads(manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            document = None
        written = document.get("written") if isinstance(document, dict) else None
        is_known = isinstance(written, int) and not isinstance(written, bool) and written >= 0
        return Previous(written if is_known else None, f"the manifest of the last export ({manifest})")

    @contextmanager
    def begin(self, delivery: Delivery) -> Iterator[Send]:
        """Write the files of a segment, and put them in place when all are written."""
        names = self._names(delivery.segment)
        # A run id may hold anything; a file name may not.
        token = hashlib.sha256(delivery.run_id.encode()).hexdigest()[:16]
        try:
            with FileSet(self.settings.path, owns=names.all, token=token, now=delivery.now) as files:
                written: list[WrittenFile] = []

                def send(batch: Batch) -> Receipt:
                    lines = self.audience_format.encode(self.audience_format, batch.rows)
                    written.append(files.write(names.audience(f"{batch.number:04d}"), lines, rows=len(batch.rows)))
                    return Receipt(batch.number, len(batch.rows), "success", written[-1].name)

                yield send
                rejects = _csv_lines([("actor_key", "reason"), *delivery.rejects])
                written.append(files.write(names.rejects, rejects, rows=len(delivery.rejects)))
                manifest = {
                    "manifest_version": MANIFEST_VERSION,
                    "segment": delivery.segment,
                    "destination": self.settings.name,
                    "format": names.format,
                    **delivery.facts,
                    "files": [file.document() for file in written],
                }
                files.write(names.manifest, [json.dumps(manifest, indent=2) + "\n"])
                files.commit()
        except OSError as error:
            raise _destination_error(error, self.settings.path) from error

    def _names(self, segment: str) -> _Names:
        if not _SEGMENT_NAME.fullmatch(segment):
            raise UsageError(
                f"Segment name {segment!r} cannot be part of a file name.",
                hint="Start with a lower-case letter; go on with a-z, 0-9, _ and -.",
            )
        accepts = self.accepts
        return _Names(segment, accepts.name, self.audience_format.suffix, accepts.members_per_batch is not None)


class FileDestination(FolderDestination):
    """Files in a format of `FORMATS`."""

    settings_type: ClassVar[type[DestinationSettings]] = FileSettings
    settings: FileSettings

    @property
    def audience_format(self) -> AudienceFormat:
        """The format that the settings name."""
        return FORMATS[self.settings.format]


@dataclass(frozen=True)
class _Names:
    """What the files of one segment in one format are called. No segment has a dot in its name, so no two clash.

    `is_numbered`: there may be several audience files. A number is then also in the name of a single one, so that who
    takes them by a pattern takes all.
    """

    segment: str
    format: str
    suffix: str
    is_numbered: bool

    @property
    def _stem(self) -> str:
        return self.segment if self.format == self.suffix else f"{self.segment}.{self.format}"

    def audience(self, number: str) -> str:
        return f"{self._stem}.{number}.{self.suffix}" if self.is_numbered else f"{self._stem}.{self.suffix}"

    @property
    def rejects(self) -> str:
        return f"{self.segment}.{self.format}.rejects.csv"

    @property
    def manifest(self) -> str:
        return f"{self.segment}.{self.format}.manifest.json"

    @property
    def _audience_pattern(self) -> str:
        return rf"{re.escape(self._stem)}(?:\.\d{{4,}})?\.{re.escape(self.suffix)}"

    @property
    def all(self) -> re.Pattern[str]:
        return re.compile("|".join((self._audience_pattern, re.escape(self.rejects), re.escape(self.manifest))))

    def is_audience(self, name: str) -> bool:
        return re.fullmatch(self._audience_pattern, name) is not None


def _destination_error(error: OSError, folder: Path) -> DestinationError:
    if error.errno in _NO_SPACE:
        hint = "Free disk space, or point the destination's path elsewhere, and run again."
    elif error.errno in _NO_PERMISSION:
        hint = "Give this user the right to write there, or point the destination's path elsewhere."
    else:
        hint = "Check that the destination's path is a folder, and run again."
    return DestinationError(
        f"The audience files in {folder} cannot be written: {error.strerror or type(error).__name__}. "
        "Files of the last export were left as they are.",
        hint=hint,
    )
