"""The files of a push: what is to be added to a list and what is to be taken off it, in a folder that appears whole."""

from __future__ import annotations

import json
import re
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from microconv.activation.destinations.age_encryption import SUFFIX
from microconv.activation.destinations.audience_formats import AudienceFormat, row_of
from microconv.activation.destinations.file_failures import folder_error
from microconv.activation.push.audience_list import (
    Answer,
    Identifier,
    ListLimits,
    Operation,
    RefusedError,
    UnsureError,
)
from microconv.errors import DestinationError, UsageError
from microconv.files import GrowingFile, Seal, WrittenFile, private_folder

MANIFEST = "manifest.json"
MANIFEST_VERSION = 1
_PUSH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")
_IDENTIFIERS_PER_REQUEST = 100_000
_FOR_EVER = timedelta(days=36_500)


class FolderList:
    """The list of a segment, as files that somebody uploads: each push is a folder of its own, named after it.

    A push writes into a hidden folder. `finish` puts the manifest there and gives the folder its name, in one step: a
    push that was killed before it left nothing, and is said again. No folder of another push is ever touched.

    Args:
        root: The folder of the segment.
        push_id: The name of the push.
        audience_format: What the files look like.
        segment: The name of the segment.
        facts: What the manifest says of the push beside what was written.
        seal: Encrypts the files, but for the manifest.
    """

    limits = ListLimits(_IDENTIFIERS_PER_REQUEST, settles_after=timedelta(0), answers_for=_FOR_EVER)

    def __init__(
        self,
        root: Path,
        push_id: str,
        audience_format: AudienceFormat,
        *,
        segment: str,
        facts: Mapping[str, Any],
        seal: Seal | None = None,
    ) -> None:
        if not _PUSH_ID.fullmatch(push_id):
            raise UsageError(
                f"The id of a push, {push_id!r}, cannot be the name of a folder.",
                hint="Use letters, digits, dots, _ and -, at most 151 of them.",
            )
        self._root = root
        self._push_id = push_id
        self._format = audience_format
        self._segment = segment
        self._facts = facts
        self._seal = seal
        self._open = ExitStack()
        self._growing: dict[str, GrowingFile] = {}
        weakref.finalize(self, _abandon, self._growing, self._open)
        self._hidden: Path | None = None
        self._written: list[WrittenFile] = []
        self._parts: list[dict[str, Any]] = []

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        """Write identifiers; nothing of it can be seen before `finish`.

        Raises:
            RefusedError: The format has no column for some of them.
            DestinationError: The files cannot be written. Nothing of this push will be seen.
        """
        foreign = [place for place, each in enumerate(identifiers) if not self._format.carries(each.kind)]
        if foreign:
            kinds = sorted({identifiers[place].kind for place in foreign})
            raise RefusedError(f"{self._format.accepts.name} does not carry {', '.join(kinds)}", rows=foreign)
        with self._failing():
            names = list(dict.fromkeys(self._write(operation, identifiers)))
        counts = Counter(each.kind for each in identifiers)
        part = {"part": len(self._parts) + 1, "operation": operation, "identifiers": dict(counts), "files": names}
        self._parts.append(part)
        return Answer("accepted", f"{self._push_id}/{part['part']}")

    def finish(self) -> None:
        """Put the manifest beside the files and publish the folder; where nothing was sent there is none.

        Raises:
            DestinationError: It cannot be published. Nothing of this push will be seen.
        """
        if self._hidden is None:
            return
        target = self._root / self._push_id
        with self._failing():
            for name in list(self._growing):
                self._close(name)
            manifest = GrowingFile(self._hidden / MANIFEST)
            manifest.write(json.dumps(self._document(), indent=2) + "\n")
            manifest.close()
            if target.exists():
                raise DestinationError(
                    f"There is a folder of this push already: {target}. It was left as it is.",
                    hint="Push again: each push has an id of its own.",
                )
            self._hidden.rename(target)
            self._hidden = None
        self._open.close()

    def ask(self, request_id: str) -> Answer:
        """Say whether a part was published: where the manifest of its push lists it.

        Raises:
            UnsureError: The folder cannot be looked at.
        """
        push_id, _, part = request_id.rpartition("/")
        if not _PUSH_ID.fullmatch(push_id):
            return Answer("failed", request_id, reason="there was no such push")
        try:
            document = json.loads((self._root / push_id / MANIFEST).read_text(encoding="utf-8"))
            is_there = any(str(each["part"]) == part for each in document["parts"])
        except (FileNotFoundError, NotADirectoryError):
            is_there = False
        except (OSError, ValueError, KeyError, TypeError):
            raise UnsureError(f"the manifest of {push_id} cannot be read") from None
        if is_there:
            return Answer("success", request_id)
        return Answer("failed", request_id, reason="the files were never published, or are gone")

    def now(self) -> datetime | None:
        """Tell no time: this machine's clock counts."""
        return None

    def _write(self, operation: Operation, identifiers: Sequence[Identifier]) -> Iterator[str]:
        """Write identifiers into the files that grow, and name these."""
        if self._hidden is None:
            for folder in (self._root.parent, self._root):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._hidden = self._open.enter_context(private_folder(self._root / "push", "partial"))
        parted = self._format.of(self._segment, operation).parted(tuple(map(row_of, identifiers)))
        for audience_format, label, rows in parted:
            stem = f"{operation}.{label}" if label else operation
            start = 0
            while start < len(rows):
                file = self._growing[stem] if stem in self._growing else self._begun(stem)
                most = self._format.rows_per_file
                some = rows[start:] if most is None else rows[start : start + most - file.rows]
                lines = audience_format.encode(audience_format, some) if file.rows else audience_format.lines(some)
                for line in lines:
                    file.write(line)
                file.rows += len(some)
                start += len(some)
                yield file.path.name
                if not self._format.can_grow or file.rows == self._format.rows_per_file:
                    self._close(stem)

    def _begun(self, stem: str) -> GrowingFile:
        assert self._hidden is not None  # noqa: S101 - what is written is written there
        number = 1 + sum(each.name.startswith(f"{stem}.") for each in self._written)
        name = f"{stem}.{number:04d}" if self._format.is_numbered else stem
        name = f"{name}.{self._format.suffix}" + (f".{SUFFIX}" if self._seal else "")
        self._growing[stem] = GrowingFile(self._hidden / name, self._seal)
        return self._growing[stem]

    def _close(self, stem: str) -> None:
        self._written.append(self._growing.pop(stem).close())

    def _document(self) -> dict[str, Any]:
        totals: dict[str, Counter[str]] = {"add": Counter(), "remove": Counter()}
        for part in self._parts:
            totals[part["operation"]].update(part["identifiers"])
        return {
            "manifest_version": MANIFEST_VERSION,
            "push_id": self._push_id,
            "segment": self._segment,
            "format": self._format.accepts.name,
            "normalisation": self._format.accepts.normalisation.version,
            "created_at": datetime.now(tz=UTC).isoformat(),
            **self._facts,
            **{operation: dict(counts) for operation, counts in totals.items()},
            "parts": self._parts,
            "files": [{**each.document(), "operation": each.name.partition(".")[0]} for each in self._written],
        }

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Leave nothing behind where something fails."""
        try:
            yield
        except BaseException as error:
            self._hidden = None
            _abandon(self._growing, self._open)
            if isinstance(error, OSError):
                raise folder_error(error, self._root) from error
            raise


def _abandon(growing: dict[str, GrowingFile], opened: ExitStack) -> None:
    """Close what is open, and remove the hidden folder: nothing of it was published."""
    for file in growing.values():
        file.discard()
    growing.clear()
    opened.close()
