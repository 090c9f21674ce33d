"""The folder of a demo: what the demo wrote there is replaced by the next one, and nothing else is touched."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Final

from microconv.errors import UsageError
from microconv.files import replacing

MARKER: Final = ".microconv-demo"
"""Names what the demo wrote by its SHA-256, a line each below the first."""
SETTINGS: Final = ("microconv.toml", "taxonomy.toml")
SHARD_FOLDERS: Final = ("exports", "late")
_TITLE: Final = "Written by `microconv demo`, which replaces its files here when it runs again."
_FILES: Final = (*SETTINGS, "identity.csv", "consent.csv", "crm.csv", "truths.json")


class DemoFolder:
    """A folder that is new, empty, or holds an earlier demo as it was written.

    `prepare` must come before `replacing`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written: list[str] = []

    def prepare(self) -> None:
        """Create the folder, or clear it of the shards of an earlier demo.

        Raises:
            UsageError: It is a file, it holds something else, or somebody has changed what the demo wrote.
            OSError: It cannot be read or written.
        """
        folder = self.folder
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file, not a folder.", hint="Name a new or an empty folder for the demo.")
        if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).is_file():
            raise UsageError(
                f"{folder} is not empty and does not hold an earlier demo.",
                hint="Name a new or an empty folder for the demo, so that nothing of yours is replaced.",
            )
        shards = [path for part in SHARD_FOLDERS for path in sorted((folder / part).glob("events_*"))]
        kept = [path for name in _FILES if (path := folder / name).exists()]
        known = self._recorded()
        for path in (*kept, *shards):
            if not _is_ours(path, known):
                raise UsageError(
                    f"{path} is not as `microconv demo` wrote it, and was left as it is.",
                    hint="Move it away to keep it, or name another folder for the demo; nothing was changed.",
                )
        for part in SHARD_FOLDERS:
            (folder / part).mkdir(parents=True, exist_ok=True)
        # What is replaced later is ours still if this run is killed before.
        self._written = [_digest(path) for path in kept]
        self._record()
        for path in shards:
            path.unlink()

    @contextmanager
    def replacing(self, *names: str) -> Iterator[Path]:
        """Give a hidden file to write, and put it in place under its name; see `microconv.files.replacing`."""
        with replacing(self.folder.joinpath(*names), is_private=False) as hidden:
            yield hidden
            self._written.append(_digest(hidden))
            self._record()

    def _recorded(self) -> frozenset[str] | None:
        """Return the digests of what was written; None if an earlier version, which noted none, wrote it."""
        marker = self.folder / MARKER
        lines = marker.read_text("utf-8").splitlines() if marker.exists() else [_TITLE]
        return frozenset(lines[1:]) if len(lines) > 1 else None

    def _record(self) -> None:
        with replacing(self.folder / MARKER, is_private=False) as hidden:
            hidden.write_text("\n".join((_TITLE, *dict.fromkeys(self._written))) + "\n", "utf-8")


def packaged(name: str) -> str:
    """Return one of the settings that come with microconv."""
    return resources.files("microconv.demo").joinpath(name).read_text("utf-8")


def _is_ours(path: Path, known: frozenset[str] | None) -> bool:
    if not path.is_file():
        return False
    if known is not None and _digest(path) in known:
        return True
    if path.name in SETTINGS:
        return path.read_text("utf-8", errors="replace") == packaged(path.name)
    # Half a shard is of a run that was interrupted; of a whole one only its digest tells whose it is.
    return known is None or (path.suffix == ".parquet" and not _is_whole_parquet(path))


def _is_whole_parquet(path: Path) -> bool:
    content = path.read_bytes()
    return content[:4] == content[-4:] == b"PAR1"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
