"""Files: read strictly, with errors that name the line; written whole or not at all, private where they hold people."""

from __future__ import annotations

import contextlib
import csv
import glob
import hashlib
import math
import os
import re
import secrets
import select
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from microconv.errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]  # a module, or nothing

_LEFTOVER_SECONDS = 24 * 60 * 60
_HIDDEN_NAME = re.compile(r"\.(.+)\.\w+\.(?:partial|previous)", re.DOTALL)
_LONGEST_NAME_BYTES = 200
"""Of a name that gets more letters before and after it: file systems take 255 bytes in all."""
MOST_BYTES = 2 * 2**20
"""How large a file of settings may be: far more than anybody writes, and read within seconds."""
_PIPE_SECONDS = 10
_PIPED_BYTES = 64 * 1024
_LOCK_TRIES, _LOCK_PAUSE_SECONDS = 20, 0.01


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


def read_settings(path: Path) -> str:
    """Return the text of a file that a person wrote, UTF-8 with or without a byte order mark.

    It may come through a pipe (`-c <(…)`), but is not waited for without end, and has no more than `MOST_BYTES`.

    Raises:
        ValueError: it is too large, or nobody writes to the pipe; the message ends a sentence that names it.
        UnicodeDecodeError: it is not UTF-8.
        OSError: it cannot be read.
    """
    if stat.S_ISFIFO(path.stat().st_mode):
        # To open it would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        if not select.select([descriptor], [], [], _PIPE_SECONDS)[0]:
            os.close(descriptor)
            raise ValueError(f"is a pipe to which nobody wrote within {_PIPE_SECONDS} seconds")
        os.set_blocking(descriptor, True)
        file = os.fdopen(descriptor, "rb")
    else:
        file = path.open("rb")
    with file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"is larger than {MOST_BYTES // 2**20} MiB, which no file of settings is")
    return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def read_csv(path: Path, source: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the columns of the first line, trimmed, and each further line that is not empty, with its number.

    Raises:
        ConfigError: the file is not UTF-8, a quote is not closed, or a line has more or fewer fields than the first.
        OSError: it cannot be opened; see `readable`.
    """
    lines = csv_lines(path, source)
    _, columns = next(lines)
    return columns, list(lines)


def csv_lines(path: Path, source: str) -> Iterator[tuple[int, list[str]]]:
    """Yield what `read_csv` returns line by line, the columns first, for files that memory need not hold."""
    # utf-8-sig: spreadsheets put a byte order mark in front, which would become part of the first column's name.
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        try:
            columns = [name.strip() for name in next(lines, [])]
            yield 1, columns
            for row in lines:
                if row and len(row) != len(columns):
                    raise ConfigError(
                        f"{source}, line {lines.line_num}: {len(row)} fields where the first line has {len(columns)}.",
                        hint="Write numbers like 1234.50, and other values that hold a comma in double quotes; "
                        "a short last line is a file cut off.",
                    )
                if row:
                    yield lines.line_num, row
        except UnicodeDecodeError:
            # The decoder's own message and context quote the file.
            raise ConfigError(f"{source} is not UTF-8.", hint="Save it as UTF-8.") from None
        except csv.Error as error:
            raise ConfigError(
                f"{source}, line {lines.line_num}: {error}.", hint="Check the double quotes on this line and before it."
            ) from None


def pattern_in(folder: Path, name: str) -> str:
    """Return a glob of the names in a folder that match `name`; a bracket in the folder's own name is not a pattern."""
    return (Path(glob.escape(str(folder))) / name).as_posix()


@contextmanager
def replacing(path: Path, *, is_private: bool = True) -> Iterator[Path]:
    """Give a hidden file beside `path` to write, then sync it and put it in place of `path`; on an error leave nothing.

    It lies beside the target, since a rename is atomic only within one file system. Its name is random and it is made
    new, so that no link which somebody planted is followed. What killed runs left of such files is removed first.

    Args:
        path: What to replace; a link is replaced itself.
        is_private: Only the owner may read the file; otherwise the umask decides, as for any file.

    Raises:
        OSError: the folder or the disk does not take it; an older `path` is as it was.
    """
    stem = _hidden_stem(path.name)
    leftover = re.compile(rf"{re.escape(stem)}\.(?:\w{{8}}\.partial|\d+\.tmp)")
    with _writing_in(path.parent, leftover.fullmatch):
        descriptor, name = tempfile.mkstemp(prefix=f"{stem}.", suffix=".partial", dir=path.parent)
        hidden = Path(name)
        try:
            os.close(descriptor)
            if not is_private:
                hidden.chmod(0o666 & ~_umask())
            yield hidden
            with hidden.open("rb") as written:
                os.fsync(written.fileno())
            hidden.replace(path)
        finally:
            hidden.unlink(missing_ok=True)


@contextmanager
def private_folder(path: Path, what: str, *, is_alone: bool = False) -> Iterator[Path]:
    """Give a folder beside `path` that only the owner may enter, and remove it with all that is in it.

    Its name is random and it is made new. Folders of the same `path` and `what` that killed runs left are removed;
    `is_alone` says that no other process can have one.

    Raises:
        OSError: it cannot be made.
    """
    stem = _hidden_stem(path.name)
    leftover = re.compile(rf"{re.escape(stem)}\.\w{{8}}\.{re.escape(what)}")
    with _writing_in(path.parent, leftover.fullmatch, oldest=math.inf if is_alone else None):
        folder = Path(tempfile.mkdtemp(prefix=f"{stem}.", suffix=f".{what}", dir=path.parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_umask() -> Iterator[None]:
    """Let only the owner read and write what is created meanwhile, by libraries that have no say in it, too."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _umask() -> int:
    # There is no other way to ask for it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _hidden_stem(name: str) -> str:
    is_long = len(os.fsencode(name)) > _LONGEST_NAME_BYTES
    return f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:32] if is_long else name}"


@contextmanager
def _writing_in(folder: Path, is_leftover: Callable[[str], object], oldest: float | None = None) -> Iterator[None]:
    """Say that this process has hidden files in a folder, and first remove those that no living process can have.

    Whoever writes holds a shared lock on the folder, which the operating system gives back however a process ends; who
    gets it alone knows that all leftovers are dead. Where that cannot be known, those are removed that were last
    changed before `oldest` (seconds since 1970), by default a day ago.
    """
    if oldest is None:
        oldest = time.time() - _LEFTOVER_SECONDS
    descriptor = None
    try:
        with contextlib.suppress(OSError):
            # To wait for ever would be wrong: the script that calls us may hold a lock on this folder itself.
            descriptor = os.open(folder, os.O_RDONLY)
        is_alone = descriptor is not None and _locks(descriptor, alone=True)
        for path in _listed(folder):
            # Another run may be removing the same leftovers.
            with contextlib.suppress(OSError):
                if is_leftover(path.name) and (is_alone or path.lstat().st_mtime < oldest):
                    _remove(path)
        for _ in range(_LOCK_TRIES):
            if descriptor is None or _locks(descriptor, alone=False):
                break
            time.sleep(_LOCK_PAUSE_SECONDS)  # somebody is alone only while they tidy up
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _locks(descriptor: int, *, alone: bool) -> bool:
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:  # held by others, or the file system has no locks
        return False
    return True


def _listed(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.name.startswith(".")]
    except OSError:
        return []


def _remove(path: Path) -> None:
    """Remove a file, a link (not what it leads to), or a folder with all that is in it."""
    if stat.S_ISDIR(path.lstat().st_mode):
        shutil.rmtree(path)
    else:
        path.unlink()


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


Seal = Callable[[IO[bytes], "_Counted"], None]
"""Reads what is written into a file to its end, and writes it in another form, such as encrypted."""


class _Counted:
    """Where a file's bytes go: they are counted, and their digest is made."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        written = self._file.write(data)
        self.bytes += written
        return written

    def flush(self) -> None:
        self._file.flush()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class GrowingFile:
    """A new file that only its owner may read, written bit by bit; `close` syncs it and says what is in it.

    With a `seal`, what is written goes through it, in a thread of its own: on disk there is nothing but what it gives.

    Raises:
        OSError: There is something of that name, or it cannot be written.
    """

    def __init__(self, path: Path, seal: Seal | None = None) -> None:
        self.path = path
        self.rows = 0
        self._open = contextlib.ExitStack()
        self._file = self._open.enter_context(_create_private(path))
        self._counted = _Counted(self._file)
        self._sealing = None if seal is None else _Sealing(seal, self._counted)

    def write(self, text: str | bytes, rows: int = 0) -> None:
        """Add text (as UTF-8) or bytes, which hold so many rows."""
        (self._sealing or self._counted).write(text.encode() if isinstance(text, str) else text)
        self.rows += rows

    def close(self) -> WrittenFile:
        """Sync it to disk, close it, and return the facts."""
        with self._open:
            if self._sealing is not None:
                self._sealing.finish()
            self._file.flush()
            os.fsync(self._file.fileno())
        return WrittenFile(self.path.name, self._counted.sha256, self._counted.bytes, self.rows)

    def discard(self) -> None:
        """Close it as it is, since something failed; whatever that raises is not told."""
        with contextlib.suppress(Exception), self._open:
            if self._sealing is not None:
                self._sealing.finish()


class _Sealing:
    """A seal at work: bytes go through a pipe to its thread."""

    def __init__(self, seal: Seal, target: _Counted) -> None:
        reading, self._pipe = os.pipe()
        self._waiting = bytearray()
        self._failure: BaseException | None = None
        self._is_open = True
        self._thread = threading.Thread(target=self._run, args=(seal, reading, target), daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        self._waiting += data
        if len(self._waiting) >= _PIPED_BYTES:
            try:
                self._pass_on()
            except BrokenPipeError:
                self.finish()
                raise

    def finish(self) -> None:
        """Wait until all went through; raise what failed there."""
        if self._is_open:
            self._is_open = False
            with contextlib.suppress(BrokenPipeError):
                self._pass_on()
            os.close(self._pipe)
            self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _pass_on(self) -> None:
        waiting, self._waiting = memoryview(bytes(self._waiting)), bytearray()
        while waiting:
            waiting = waiting[os.write(self._pipe, waiting) :]

    def _run(self, seal: Seal, reading: int, target: _Counted) -> None:
        try:
            with os.fdopen(reading, "rb") as source:
                seal(source, target)
        except BaseException as error:  # noqa: BLE001 - raised again where the file is written
            self._failure = error


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
        token: Goes into the hidden names of this run, before random letters; letters and digits.
        now: Hidden files that killed runs left are removed; where nothing tells whether a run still lives, those that
            are a day older than this.
    """

    def __init__(self, folder: Path, *, owns: re.Pattern[str], token: str, now: datetime) -> None:
        self._folder = folder
        self._owns = owns
        self._token = f"{token}{secrets.token_hex(4)}"
        self._now = now
        self._staged: dict[Path, Path] = {}
        self._writing = contextlib.ExitStack()

    def __enter__(self) -> FileSet:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        oldest = self._now.timestamp() - _LEFTOVER_SECONDS
        self._writing.enter_context(_writing_in(self._folder, self._is_leftover, oldest))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._writing:
            for hidden in self._staged.values():
                hidden.unlink(missing_ok=True)

    def write(self, name: str, lines: Iterable[str | bytes], *, rows: int = 1, seal: Seal | None = None) -> WrittenFile:
        """Stage one file from its lines (each with its line end), as UTF-8; `rows` is for the facts returned.

        Raises:
            ValueError: The name is not one of this set: the file would outlive it.
            OSError: The file cannot be written.
        """
        if not self._owns.fullmatch(name):
            raise ValueError(f"{name} is not a name of this set of files")
        target = self._folder / name
        self._staged[target] = hidden = self._hidden(name, "partial")
        file = GrowingFile(hidden, seal)
        try:
            for line in lines:
                file.write(line)
            written = file.close()
        except BaseException:
            file.discard()
            raise
        return replace(written, name=name, rows=rows)

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
        try:
            os.link(target, previous)
        except OSError:
            # Not every filesystem has hard links (exFAT, mounted buckets).
            _copy_private(target, previous)
        return _Restore(target, previous)

    def _hidden(self, name: str, what: str) -> Path:
        return self._folder / f".{name}.{self._token}.{what}"

    def _is_leftover(self, name: str) -> bool:
        hidden = _HIDDEN_NAME.fullmatch(name)
        return hidden is not None and self._owns.fullmatch(hidden[1]) is not None

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
    # Whatever has this name is not ours, and no link is followed.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file
