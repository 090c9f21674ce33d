"""Audience files: one format per way a platform takes uploads, with a file of rejects and a manifest beside them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from microconv.activation.destinations.age_encryption import SUFFIX, AgeRecipient, seal_for
from microconv.activation.destinations.audience_formats import FIELDS, FORMATS, AudienceFormat, csv_rows
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
from microconv.activation.destinations.file_failures import folder_error
from microconv.activation.destinations.folder_list import FolderList
from microconv.config.destination_settings import DestinationConfig
from microconv.config.values import InFolder, as_list, unique
from microconv.errors import UsageError
from microconv.files import FileSet, Seal, WrittenFile
from microconv.findings import Finding, fault

MANIFEST_VERSION = 1
_SEGMENT_NAME = re.compile(r"[a-z][a-z0-9_-]*")


FormatName = Literal[
    "google_ads",
    "meta",
    "tiktok",
    "microsoft_ads",
    "pinterest",
    "linkedin",
    "snap",
    "ga4_users",
    "csv",
    "jsonl",
    "parquet",
]


class FolderSettings(DestinationSettings):
    """Settings of a destination that writes into a folder."""

    path: InFolder = Field(default=Path("exports"), description="the folder to write to")
    encrypt_to: Annotated[tuple[AgeRecipient, ...], BeforeValidator(as_list), AfterValidator(unique)] = Field(
        default=(), description="public keys of age, for which the files are encrypted"
    )


class FileSettings(FolderSettings):
    """`[[destinations]]` of the kind `file`."""

    kind: Literal["file"] = "file"
    format: FormatName = Field(description='what the files look like, such as "google_ads", "meta" or "csv"')

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

    def audience_list(self, segment: str, push_id: str, facts: Mapping[str, Any] | None = None) -> FolderList:
        """Give the list of a segment to a push: a folder for each push, below `<segment>.<format>.pushes`."""
        names = self._names(segment)
        said = {"destination": self.settings.name, **(facts or {})}
        root = self.settings.path / names.pushes
        return FolderList(root, push_id, self.audience_format, segment=segment, facts=said, seal=self._seal)

    def examine(self, segments: Sequence[str]) -> Iterator[Finding]:
        """Look whether files could be written and encrypted."""
        del segments
        _ = self._seal
        there = next(path for path in (self.settings.path, *self.settings.path.parents) if path.exists())
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            yield fault(
                f"nothing can be written to {self.settings.path}.",
                f"Make {there} a folder that this user may write to, or give the destination another path.",
            )

    def target(self, segment: str) -> Target:
        """Name the audience file (a pattern where there may be several) and the manifest."""
        names = self._names(segment)
        seal_for(self.settings.encrypt_to, self.settings.name)  # whether that works shows before anything is written
        path = self.settings.path / names.audience("*", "*" if self.audience_format.has_one_kind else "")
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
            raise folder_error(error, self.settings.path) from error
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
                audience_format = self.audience_format.of(delivery.segment, "add")
                seal = self._seal

                def send(batch: Batch) -> Receipt:
                    first = len(written)
                    for part, label, rows in audience_format.parted(batch.rows):
                        name = names.audience(f"{batch.number:04d}", label)
                        written.append(files.write(name, part.lines(rows), rows=len(rows), seal=seal))
                    reference = ", ".join(each.name for each in written[first:]) or names.manifest
                    return Receipt(batch.number, len(batch.rows), "success", reference)

                yield send
                rejects = csv_rows([("actor_key", "reason"), *delivery.rejects])
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
            raise folder_error(error, self.settings.path) from error

    @property
    def _seal(self) -> Seal | None:
        return seal_for(self.settings.encrypt_to, self.settings.name)

    def _names(self, segment: str) -> _Names:
        if not _SEGMENT_NAME.fullmatch(segment):
            raise UsageError(
                f"Segment name {segment!r} cannot be part of a file name.",
                hint="Start with a lower-case letter; go on with a-z, 0-9, _ and -.",
            )
        is_sealed = bool(self.settings.encrypt_to)
        audience_format = self.audience_format
        return _Names(segment, self.accepts.name, audience_format.suffix, audience_format.is_numbered, is_sealed)


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
    is_sealed: bool

    @property
    def _stem(self) -> str:
        return self.segment if self.format == self.suffix else f"{self.segment}.{self.format}"

    def audience(self, number: str, label: str = "") -> str:
        sealed = SUFFIX if self.is_sealed else ""
        parts = (self._stem, label, number if self.is_numbered else "", self.suffix, sealed)
        return ".".join(filter(None, parts))

    @property
    def pushes(self) -> str:
        return f"{self.segment}.{self.format}.pushes"

    @property
    def rejects(self) -> str:
        return f"{self.segment}.{self.format}.rejects.csv"

    @property
    def manifest(self) -> str:
        return f"{self.segment}.{self.format}.manifest.json"

    @property
    def _audience_pattern(self) -> str:
        kinds = "|".join(FIELDS)
        return rf"{re.escape(self._stem)}(?:\.(?:{kinds}))?(?:\.\d{{4,}})?\.{re.escape(self.suffix)}(?:\.{SUFFIX})?"

    @property
    def all(self) -> re.Pattern[str]:
        return re.compile("|".join((self._audience_pattern, re.escape(self.rejects), re.escape(self.manifest))))

    def is_audience(self, name: str) -> bool:
        return re.fullmatch(self._audience_pattern, name) is not None
