"""Files: read strictly, with errors that name the line; written whole or not at all, private where they hold people."""

from __future__ import annotations

import contextlib
import csv
import glob
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from microconv.errors import ConfigError

_LEFTOVER_SECONDS = 24 * 60 * 60
_HIDDEN_NAME = re.compile(r"\.(.+)\.\w+\.(?:partial|previous)", re.DOTALL)


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


def pattern_in(folder: Path, name: str) -> str:
    """Return a glob of the names in a folder that match `name`; a bracket in the folder's own name is not a pattern."""
    return (Path(glob.escape(str(folder))) / name).as_posix()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a hidden file beside `path` to write, then sync it and put it in place of `path`; on an error leave nothing.

    It lies beside the target, since a rename is atomic only within one file system, and is made plainly, so that the
    umask decides its mode: files with personal data go through `FileSet` instead.

    Raises:
        OSError: the folder or the disk does not take it; an older `path` is as it was.
    """
    hidden = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        hidden.touch()
        yield hidden
        with hidden.open("rb") as written:
            os.fsync(written.fileno())
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)


@dataclass(frozen=True)
class WrittenFile:
    """Facts of a file for the manifest; `rows` does not count a header."""

    name: str
    sha256: str
    bytes: int
    rows: int

    def document(self) -> dict[str, Any]:
        """Return the facts as a JSON object."""
        return asdict(self)


class FileSet:
    """The files of one folder that belong together: they replace their predecessors together, or not at all.

    New content goes into hidden files beside the targets and is synced to disk. `commit` then removes the predecessors
    that have no successor and puts the new files in place in the order in which they were written; if it cannot, it
    puts everything back. A process that is killed inside `commit` may leave some files old and some new, each of them
    whole, so the file that vouches for the others is written last.

    Args:
        folder: Created with mode 0700 if missing.
        owns: What the names of this set match, and no other name does. After `commit` the folder holds, of these, what
            was written and nothing else.
        token: Makes the hidden names of this run unique; letters and digits.
        now: Hidden files that a killed run left more than a day before this are removed.
    """

    def __init__(self, folder: Path, *, owns: re.Pattern[str], token: str, now: datetime) -> None:
        self._folder = folder
        self._owns = owns
        self._token = token
        self._now = now
        self._staged: dict[Path, Path] = {}

    def __enter__(self) -> FileSet:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._remove_leftovers()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for hidden in self._staged.values():
            hidden.unlink(missing_ok=True)

    def write(self, name: str, lines: Iterable[str], *, rows: int = 1) -> WrittenFile:
        """Stage one file from its lines (each with its line end), as UTF-8; `rows` is for the facts returned.

        Raises:
            ValueError: The name is not one of this set: the file would outlive it.
            OSError: The file cannot be written.
        """
        if not self._owns.fullmatch(name):
            raise ValueError(f"{name} is not a name of this set of files")
        target = self._folder / name
        self._staged[target] = hidden = self._hidden(name, "partial")
        digest, size = hashlib.sha256(), 0
        with _create_private(hidden) as file:
            for line in lines:
                data = line.encode()
                digest.update(data)
                size += file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return WrittenFile(name, digest.hexdigest(), size, rows)

    def commit(self) -> None:
        """Remove what has no successor and put every staged file in place; on any failure put back what was there.

        Raises:
            OSError: A file cannot be removed or replaced. The folder is as it was.
        """
        outdated = [path for path in self._present() if path not in self._staged]
        with contextlib.ExitStack() as undo:
            for target in outdated:
                undo.callback(self._keep_previous(target))
                target.unlink()
            for target, hidden in self._staged.items():
                undo.callback(self._keep_previous(target))
                hidden.replace(target)
            undo.pop_all()
        for target in (*outdated, *self._staged):
            self._hidden(target.name, "previous").unlink(missing_ok=True)
        self._sync_folder()

    def _present(self) -> list[Path]:
        return sorted(path for path in self._folder.iterdir() if self._owns.fullmatch(path.name))

    def _keep_previous(self, target: Path) -> _Restore:
        previous = self._hidden(target.name, "previous")
        if not target.exists():
            return _Restore(target, None)
        previous.unlink(missing_ok=True)
        try:
            os.link(target, previous)
        except OSError:
            # Not every filesystem has hard links (exFAT, mounted buckets).
            _copy_private(target, previous)
        return _Restore(target, previous)

    def _hidden(self, name: str, what: str) -> Path:
        return self._folder / f".{name}.{self._token}.{what}"

    def _remove_leftovers(self) -> None:
        oldest = self._now.timestamp() - _LEFTOVER_SECONDS
        for path in self._folder.glob(".*"):
            hidden = _HIDDEN_NAME.fullmatch(path.name)
            # Another run may be removing the same leftovers.
            with contextlib.suppress(FileNotFoundError):
                if hidden and self._owns.fullmatch(hidden[1]) and path.stat().st_mtime < oldest:
                    path.unlink()

    def _sync_folder(self) -> None:
        # The rename itself survives a power cut only once the folder is synced, which not every system allows.
        with contextlib.suppress(OSError):
            descriptor = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@dataclass(frozen=True)
class _Restore:
    target: Path
    previous: Path | None

    def __call__(self) -> None:
        if self.previous is None:
            self.target.unlink(missing_ok=True)
        else:
            self.previous.replace(self.target)
            # Renaming one hard link over another of the same file does nothing, by POSIX: the name is still there.
            self.previous.unlink(missing_ok=True)


def _copy_private(source: Path, copy: Path) -> None:
    try:
        with source.open("rb") as reader, _create_private(copy) as writer:
            shutil.copyfileobj(reader, writer)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _create_private(path: Path) -> Iterator[IO[bytes]]:
    # Only this run, killed earlier, can have left a file of this name.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file
