"""An export as files: find the shards that a glob matches, and read what they hold from their footers."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from microconv import wording
from microconv.errors import SourceError
from microconv.exports.shards import (
    BASIC_LEAVES,
    PRECEDENCE,
    REQUIRED_LEAVES,
    TABLE_NAME,
    TEXT_LEAVES,
    Format,
    Kind,
    OpenShard,
    Shard,
    ShardSchema,
    fingerprint_of,
    is_repeated,
    parse_day,
)
from microconv.exports.unread import PassedOver, said_of, why_no_shard

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_NAME = re.compile(
    rf"{TABLE_NAME}(?:[-_](?P<part>\d+)|(?P<serial>\d{{12}}))?\.(?i:(?P<parquet>parquet)|(?:ndjson|jsonl|json)(?:\.gz)?)"
)
"""The twelve digits are those of an extract to `events_20240911*.json`: BigQuery puts them where the asterisk stood."""
_ENDING = re.compile(r"\.(?:parquet|(?:ndjson|jsonl|json)(?:\.gz)?)$", re.IGNORECASE)
_DEPTH = 3
"""So deep are folders looked into for shards that the path does not reach."""
_MOST_NAMES = 100_000
"""So many names are looked at for that: a path may lie in a folder of anything."""

_LOOKED_AT = 64
_TEXT = ("string", "large_string")
"""Text, in the words of Arrow."""
_SIGNS = {
    b"PAR1": "Parquet",
    b"\x1f\x8b": "gzip",
    b"Obj\x01": "Avro",
    b"PK\x03\x04": "a ZIP archive",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\xef\xbb\xbf": "UTF-8 with a byte order mark",
}
"""How files of a format begin."""
_NOT_A_LINE = {b"[": "one JSON list", b"<": "HTML or XML"}
_ENDINGS = {".parquet": "Parquet", ".gz": "gzip"}


@dataclass(frozen=True)
class ShardName:
    """What the name of one file says: `part` numbers the files of a shard that was exported in pieces."""

    kind: Kind
    day: date
    format: Format
    part: str | None


def classify_shard(name: str) -> ShardName | None:
    """Read a file name; None when it is not a shard of events (`pseudonymous_users_…`, a copy, another extension)."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    day = parse_day(match["day"])
    if day is None:
        return None
    kind: Kind = match["kind"] or "daily"  # type: ignore[assignment]  # the pattern allows only the literals
    return ShardName(kind, day, "parquet" if match["parquet"] else "ndjson", match["part"] or match["serial"])


@dataclass(frozen=True)
class FileSource:
    """The export of one property as files that a glob matches; `leaves` are read of it."""

    property_id: str
    pattern: str
    daily_cap: int = 0
    leaves: frozenset[str] = BASIC_LEAVES

    def shards(self, since: date | None = None, until: date | None = None) -> tuple[Shard, ...]:
        """List the shards of the days asked for; see `list_shards`."""
        found = list_shards(self.pattern, self.property_id)
        return tuple(shard for shard in found if (since or shard.day) <= shard.day <= (until or shard.day))

    def files(self) -> tuple[Path, ...]:
        """List the files that it reads."""
        return tuple(path for path in _matching(self.pattern) if classify_shard(path.name) and _is(path, Path.is_file))

    def passed_over(self, read_elsewhere: frozenset[Path] = frozenset()) -> tuple[PassedOver, ...]:
        """List the files and folders that look like shards and are read neither here nor elsewhere."""
        return tuple(_passed_over(self.pattern, read_elsewhere | frozenset(self.files())))

    def bytes_to_open(self, shard: Shard) -> int:  # noqa: ARG002 - the protocol's signature
        """Return 0: files cost nothing."""
        return 0

    def open(self, shard: Shard) -> OpenShard:
        """Read what a shard holds; see `read_schema`."""
        return OpenShard(shard, read_schema(shard, self.leaves))


def list_shards(pattern: str, property_id: str) -> tuple[Shard, ...]:
    """Find the shards that a glob matches, sorted by day and kind.

    Raises:
        SourceError: nothing matches, a folder cannot be entered, or the files of one day would count its events twice.
    """
    groups: dict[tuple[date, Kind], list[tuple[ShardName, Path]]] = defaultdict(list)
    matched = 0
    for path in sorted(_matching(pattern)):
        matched += 1
        shard_name = classify_shard(path.name)
        if shard_name is not None and _is_file(path):
            groups[shard_name.day, shard_name.kind].append((shard_name, path))
    if not groups:
        _refuse_closed_folders(pattern)
        alike = tuple(_passed_over(pattern, frozenset()))
        raise SourceError(
            f"No shards of property {property_id} match {pattern} "
            f"({matched} files matched, none of them named like a shard)."
            + (f" What looks like one: {said_of(alike)}." if alike else ""),
            hint="Shards are named events_YYYYMMDD, events_intraday_YYYYMMDD or events_fresh_YYYYMMDD, "
            "with .parquet, .ndjson or .ndjson.gz; set `path` under [[sources]].",
        )
    shards = (_shard(property_id, kind, day, files) for (day, kind), files in groups.items())
    return tuple(sorted(shards, key=lambda shard: (shard.day, PRECEDENCE[shard.kind])))


def _matching(pattern: str) -> list[Path]:
    """List what a glob matches; an ending such as `.parquet` stands for capital letters too."""
    ending = _ENDING.search(pattern)
    if ending:
        letters = (f"[{each.lower()}{each.upper()}]" if each.isalpha() else each for each in ending[0])
        pattern = f"{pattern[: ending.start()]}{''.join(letters)}"
    # Path.glob takes no absolute pattern, and sources are absolute once they are configured.
    return [Path(found) for found in glob.glob(pattern, recursive=True)]  # noqa: PTH207 - see above


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:  # its folder can be listed and not entered
        raise _unreadable(path, error) from error


def _is(path: Path, kind: Callable[[Path], bool]) -> bool:
    """Tell whether a path is of a kind, such as `Path.is_dir`; one that cannot be looked at is of none."""
    try:
        return kind(path)
    except OSError:
        return False


def _refuse_closed_folders(pattern: str) -> None:
    """To a glob a folder that cannot be listed is empty.

    Raises:
        SourceError: one of the folders that it looks into cannot be listed.
    """
    for folder in _folders(pattern):
        try:
            with os.scandir(folder):
                pass
        except OSError as error:
            raise _unreadable(folder, error) from error


def _folders(pattern: str) -> list[Path]:
    """List the folders whose files a glob looks at."""
    found = (Path(each) for each in glob.glob(os.path.dirname(pattern) or ".", recursive=True))  # noqa: PTH120, PTH207 - a glob is no path
    return sorted({folder for folder in found if _is(folder, Path.is_dir)})


def _passed_over(pattern: str, read: frozenset[Path]) -> Iterator[PassedOver]:
    """Yield what looks like a shard, in the folders of a glob and a few levels below, and is not read."""
    stem = _ENDING.sub("", Path(pattern).name)
    folders = _folders(pattern)
    names = 0
    for folder in folders:
        for path in _listed(folder):
            names += 1
            if names > _MOST_NAMES:
                return
            if path in read:
                continue
            if _is(path, Path.is_dir):
                yield from _of_folder(path, read, is_reached=path in folders)
            elif reason := _why_not_read(path, stem):
                yield PassedOver(str(path), reason)


def _why_not_read(path: Path, stem: str) -> str | None:
    """Say why a file is not read; None where it does not look like a shard, or the path leaves it out on purpose."""
    if classify_shard(path.name) is None:
        return why_no_shard(path.name)
    if not fnmatch.fnmatchcase(path.name, stem) and not fnmatch.fnmatchcase(path.name, f"{stem}.*"):
        return None
    if _is(path, Path.is_file):
        return "the ending is another one than that of `path`"
    return "it is not a file" if _is(path, Path.exists) else "a link to nothing"


def _of_folder(folder: Path, read: frozenset[Path], *, is_reached: bool) -> Iterator[PassedOver]:
    """Yield a folder that is named like a shard, or holds shards that are not read."""
    if why_no_shard(folder.name) or classify_shard(folder.name):
        yield PassedOver(f"{folder}/", "it is a folder, and only files are read")
    elif not is_reached:
        below = islice(_below(folder, _DEPTH), _MOST_NAMES)
        found = sum(classify_shard(path.name) is not None and path not in read for path in below)
        if found:
            yield PassedOver(f"{folder}/", f"a folder with {wording.plural(found, 'shard')} that `path` does not reach")


def _below(folder: Path, depth: int) -> Iterator[Path]:
    for path in _listed(folder):
        if _is(path, Path.is_dir) and not path.is_symlink():
            if depth > 1:
                yield from _below(path, depth - 1)
        else:
            yield path


def _listed(folder: Path) -> list[Path]:
    """List a folder without hidden names; one that cannot be listed holds nothing to speak of."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def _shard(property_id: str, kind: Kind, day: date, found: list[tuple[ShardName, Path]]) -> Shard:
    """Put the files of one shard together, unless some of them look like a second copy."""
    parts = {name.part for name, _ in found}
    formats = {name.format for name, _ in found}
    files = tuple(path for _, path in found)
    if len(formats) > 1 or len(parts) < len(found) or (None in parts and len(parts) > 1):
        listed = ", ".join(str(path) for path in files)
        raise SourceError(
            f"{len(files)} files of property {property_id} claim to be the {kind} shard of {day}: {listed}.",
            hint="Keep one file, or numbered parts of one format (events_20210101_000.parquet and so on), "
            "else events count twice.",
        )
    try:
        states = [path.stat() for path in files]
    except OSError as error:  # taken away since the folder was listed
        raise _unreadable(error.filename, error) from error
    modified = max(state.st_mtime_ns for state in states)
    return Shard(
        property_id=property_id,
        kind=kind,
        day=day,
        format=formats.pop(),
        files=files,
        modified_at=datetime.fromtimestamp(modified // 1000 / 1_000_000, tz=UTC),
        bytes=sum(state.st_size for state in states),
    )


def read_schema(shard: Shard, wanted: frozenset[str] = BASIC_LEAVES) -> ShardSchema:
    """Read which leaves a shard holds from the footers of its files; NDJSON has none and may hold all that are wanted.

    Raises:
        SourceError: a file is truncated or no Parquet, parts disagree, or a column nothing works without is missing.
    """
    if shard.format == "ndjson":
        for path in shard.files:
            _refuse_other_contents(path)
        return ShardSchema(wanted, "ndjson", None, wanted & TEXT_LEAVES)  # read as what GA4 says that they are
    import pyarrow.parquet as pq

    schemas: list[pa.Schema] = []
    rows = 0
    for path in shard.files:
        try:
            _refuse_other_contents(path)
            with pq.ParquetFile(path) as parquet:
                schemas.append(parquet.schema_arrow.remove_metadata())
                rows += parquet.metadata.num_rows
                _refuse_numeric_ids(path, parquet)
        except PermissionError as error:
            raise _unreadable(path, error) from error
        except (OSError, ValueError) as error:  # pyarrow's ArrowInvalid is a ValueError
            raise SourceError(
                f"{path} cannot be read as Parquet ({type(error).__name__}: {_first_line(error)}); "
                f"{shard.name} of property {shard.property_id} was not staged.",
                hint="The file is truncated or damaged: export or copy it again; the other days are not affected.",
            ) from error
    if any(schema != schemas[0] for schema in schemas[1:]):
        raise SourceError(f"The parts of {shard.name} have different schemas.", hint="Export the day again, in one go.")
    types = {
        leaf: kind
        for field in schemas[0]
        for leaf, kind in _leaves(field.name, field.type, in_list=is_repeated(field.name))
    }
    # Written from properties of which none is set, the keys are numbers: there is nothing to look up.
    leaves = wanted & frozenset(leaf for leaf, kind in types.items() if not leaf.endswith(".key") or "string" in kind)
    missing = [leaf for leaf in REQUIRED_LEAVES if leaf not in leaves]
    if missing:
        raise SourceError(
            f"{shard.files[0]} is not a GA4 event shard: it lacks {', '.join(missing)}.",
            hint="Export the whole events_YYYYMMDD table, nesting intact.",
        )
    texts = frozenset(leaf for leaf in leaves & TEXT_LEAVES if types[leaf] in _TEXT)
    return ShardSchema(leaves, fingerprint_of({leaf: types[leaf] for leaf in leaves}), rows, texts)


def _refuse_other_contents(path: Path) -> None:
    """Refuse a file that holds another format than its name says: copying it again would not help.

    Raises:
        SourceError: it does, or it cannot be opened.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(_LOOKED_AT)
            file.seek(-min(_LOOKED_AT, os.fstat(file.fileno()).st_size), os.SEEK_END)
            end = file.read().rstrip()
    except OSError as error:  # taken away since the folder was listed
        raise _unreadable(path, error) from error
    found = next((name for sign, name in _SIGNS.items() if beginning.startswith(sign)), None)
    named = next((name for ending, name in _ENDINGS.items() if path.name.lower().endswith(ending)), "JSON")
    if found is None and named == "JSON" and beginning.lstrip()[:1] in _NOT_A_LINE:
        found = _NOT_A_LINE[beginning.lstrip()[:1]]
    if found is not None and found != named:
        raise SourceError(
            f"{path} is {found} by its content, and {named} by its name; it was not staged.",
            hint="Name it after what it holds (.parquet, .ndjson or .ndjson.gz), or export the day again: as Parquet "
            "or as JSON in UTF-8, one event a line. The other days are not affected.",
        )
    if named == "JSON" and end and not end.endswith(b"}"):
        raise SourceError(
            f"{path} cannot be read: its last line is not whole; it was not staged.",
            hint="The file is cut off or damaged: export or copy it again; the other days are not affected.",
        )


def _refuse_numeric_ids(path: Path, parquet: pq.ParquetFile) -> None:
    """An id that was read as a fraction has lost digits: two clients may have become one."""
    import pyarrow as pa

    for name in ("user_pseudo_id", "user_id"):
        index = parquet.schema_arrow.get_field_index(name)
        kind = parquet.schema_arrow.field(index).type if index >= 0 else None
        is_decimal = kind is not None and pa.types.is_decimal(kind) and kind.scale > 0
        if kind is None or not (pa.types.is_floating(kind) or is_decimal):
            continue
        ids = parquet.read(columns=[name]).column(0)
        if ids.null_count < len(ids):
            raise SourceError(
                f"{path} holds {name} as {'decimal' if is_decimal else 'floating-point'} numbers, "
                "so ids have lost digits; it was not staged.",
                hint="Write it as a string: `1008825.5342360620` is text, not a number.",
            )


def _leaves(path: str, kind: pa.DataType, *, in_list: bool) -> Iterator[tuple[str, str]]:
    """Yield the leaves below a field, dotted, with their physical types; those of another shape than GA4's are none.

    `in_list` says whether the field must be a list.
    """
    import pyarrow as pa

    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if is_list != in_list:
        return
    if is_list:
        yield from _leaves(path, kind.value_type, in_list=False)
    elif pa.types.is_struct(kind):
        for index in range(kind.num_fields):
            field = kind.field(index)
            yield from _leaves(f"{path}.{field.name}", field.type, in_list=False)
    else:
        yield path, str(kind)


def _unreadable(path: Path | str, error: OSError) -> SourceError:
    return SourceError(
        f"{path} cannot be read: {os.strerror(error.errno or 0)}.",
        hint="Let the user of this run read the files of the export, and copy them whole before a run.",
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0].rstrip(".")
