"""Every path that a configuration names or the program keeps, and the refusal to write over one of them."""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from microconv.errors import UsageError

if TYPE_CHECKING:  # pydantic is slow to load, and `microconv init --help` comes by here
    from pydantic import BaseModel

    from microconv.config.sections import Config

_SHARD = re.compile(r"events_(?:[a-z]+_)?\d{8}\b", re.IGNORECASE)
_BESIDE_THE_DATABASE = (".wal", ".tmp")
_HEAD_BYTES = 65_536
ITSELF = "the configuration itself"


@dataclass(frozen=True)
class NamedPath:
    """A file that `key` names, a folder with all that is in it, or the files that a pattern matches.

    The pattern `shards` matches those alone that are named like a shard.
    """

    key: str
    path: Path
    kind: Literal["file", "folder", "pattern", "shards"] = "file"

    def is_at(self, path: Path) -> bool:
        """Whether a path leads here: by the same name, another spelling, a link, a hard link, or into this folder."""
        if self.kind in ("pattern", "shards"):
            return self._matches(path)
        inside = (*path.absolute().parents, *Path(os.path.realpath(path)).parents) if self.kind == "folder" else ()
        return any(_is_same(self.path, each) for each in (path, *inside))

    def _matches(self, path: Path) -> bool:
        """Whether it is one of the files, or would be read as one once it is there."""
        if (self.kind == "pattern" or _SHARD.match(path.name)) and (
            fnmatch(str(path.absolute()), str(self.path))
            or (fnmatch(path.name, self.path.name) and _is_same(path.parent, self.path.parent))
        ):
            return True
        # Path.glob takes no absolute pattern.
        found = glob.iglob(str(self.path), recursive=True) if _is_there(path) else ()  # noqa: PTH207 - see above
        return any(_is_same(Path(each), path) for each in found)


def places(config: Config) -> Iterator[NamedPath]:
    """Yield every path that a configuration reads from or keeps state in; folders of audiences are not among them."""
    yield from _read(config)
    if config.engine.kind == "duckdb":
        yield NamedPath("engine.path", config.engine.path)
        for ending in _BESIDE_THE_DATABASE:
            yield NamedPath("engine.path", config.engine.path.with_name(config.engine.path.name + ending), "folder")
        for index, source in enumerate(config.sources):
            if source.kind == "bigquery":
                yield NamedPath(f"sources[{index}].cache", source.cache, "folder")


def _read(config: Config) -> Iterator[NamedPath]:
    """Yield what is read and never written."""
    yield NamedPath(ITSELF, config.file)
    for index, source in enumerate(config.sources):
        if source.path is not None:
            yield NamedPath(f"sources[{index}].path", Path(source.path), "shards")
    for tables in ("external_events", "external_metrics"):
        for index, external in enumerate(getattr(config, tables)):
            if external.path is not None:
                yield NamedPath(f"{tables}[{index}].path", Path(external.path), "pattern")
    for name in ("taxonomy", "attribution", "identity", "consent"):
        section: BaseModel = getattr(config, name)
        for key, value in section:
            if isinstance(value, Path):
                yield NamedPath(f"{name}.{key}", value)
    if config.audit.reconcile is not None and config.audit.reconcile.credentials_file is not None:
        yield NamedPath("audit.reconcile.credentials_file", config.audit.reconcile.credentials_file)


def clashes(config: Config) -> Iterator[str]:
    """Say where work with a configuration would write over a file that it reads, or put a database among the shards."""
    database = config.engine.path
    read = list(_read(config))
    if config.engine.kind == "duckdb":
        for place in read:
            # A wide pattern may match the database: whoever reads shards passes it over by its name.
            if (place.kind in ("file", "pattern") or _SHARD.match(database.name)) and place.is_at(database):
                yield f"engine.path ({database}) leads to what {place.key} names"
        read.append(NamedPath("engine.path", database))
    for destination in config.destinations:
        folder = getattr(destination, "path", None)
        for place, segment in product(read, config.segments):
            is_audience = re.fullmatch(rf"{segment.name}\..*(?:csv|json|jsonl)", place.path.name, re.IGNORECASE)
            if place.kind == "pattern" and isinstance(folder, Path) and _reads_audiences(place, folder, segment.name):
                yield (
                    f'{place.key} ({place.path}) would read the audience files of the segment "{segment.name}" in the '
                    f'folder of the destination "{destination.name}"'
                )
            elif is_audience and isinstance(folder, Path) and _is_same(place.path.parent, folder):
                yield (
                    f'{place.key} ({place.path}) has the name of an audience file of the segment "{segment.name}", and '
                    f'lies in the folder of the destination "{destination.name}"'
                )


def _reads_audiences(place: NamedPath, folder: Path, segment: str) -> bool:
    """Whether a pattern matches what an export of the segment may write there: files of people."""
    names = (f"{segment}.csv", f"{segment}.google_ads.csv", f"{segment}.google_ads.rejects.csv")
    return any(place.is_at(folder / name) for name in names)


def refuse_to_replace(
    path: Path, config: Config | None, *, is_ours: Callable[[bytes], bool], ours: str, option: str = "--output"
) -> None:
    """Refuse to write to a path where something would be lost. Whoever writes to a path that a person chose asks this.

    Args:
        path: where to write.
        config: the configuration at hand, whose own paths are refused.
        is_ours: tells from its first bytes whether a file is one that may be replaced.
        ours: what such a file is, such as "a report of microconv".
        option: how another path is named.

    Raises:
        UsageError: the configuration names the path, or there is something else.
    """
    for place in places(config) if config else ():
        if place.is_at(path):
            what = place.key if place.key == ITSELF else f"what {place.key} of the configuration names"
            raise UsageError(
                f"{path} leads to {what}, and was left as it is.",
                hint=f"Name another file with {option}; nothing was changed.",
            )
    if not _is_there(path) or path.is_dir():  # whoever writes says what is wrong with a folder
        return
    if not path.is_file():
        raise UsageError(f"{path} is not a file.", hint=f"Name the file to write with {option}.")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise UsageError(
            f"{path} is there and cannot be read ({error.strerror}), so it was left as it is.",
            hint=f"Name another file with {option}, or remove this one.",
        ) from error
    if head and not is_ours(head):
        raise UsageError(
            f"{path} is not {ours}, and was left as it is.",
            hint=f"Name another file with {option}, or move this one away.",
        )


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, a folder that may not be entered: who writes there will be told
        return False


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file or folder, or would once it is there."""
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there
        pass
    real, other_real = (Path(os.path.realpath(each)) for each in (one, other))
    # Not every file system tells capitals apart, or one way to write an accent from another.
    if _folded(real.name) != _folded(other_real.name):
        return False
    try:
        return real.parent.samefile(other_real.parent)
    except OSError:
        return _folded(str(real)) == _folded(str(other_real))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
