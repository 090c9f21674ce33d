"""An export as files: find the shards that a glob matches, and read what they hold from their footers."""

from __future__ import annotations

import glob
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from microconv.errors import SourceError
from microconv.exports.shards import (
    BASIC_LEAVES,
    PRECEDENCE,
    REQUIRED_LEAVES,
    TABLE_NAME,
    Format,
    Kind,
    OpenShard,
    Shard,
    ShardSchema,
    fingerprint_of,
    parse_day,
)

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_NAME = re.compile(rf"{TABLE_NAME}(?:[-_](?P<part>\d+))?\.(?:(?P<parquet>parquet)|(?:ndjson|jsonl|json)(?:\.gz)?)")


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
    return ShardName(kind, day, "parquet" if match["parquet"] else "ndjson", match["part"])


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

    def bytes_to_open(self, shard: Shard) -> int:  # noqa: ARG002 - the protocol's signature
        """Return 0: files cost nothing."""
        return 0

    def open(self, shard: Shard) -> OpenShard:
        """Read what a shard holds; see `read_schema`."""
        return OpenShard(shard, read_schema(shard, self.leaves))


def list_shards(pattern: str, property_id: str) -> tuple[Shard, ...]:
    """Find the shards that a glob matches, sorted by day and kind.

    Raises:
        SourceError: nothing matches, or the files of one day would count its events twice.
    """
    groups: dict[tuple[date, Kind], list[tuple[ShardName, Path]]] = defaultdict(list)
    matched = 0
    for path in sorted(_matching(pattern)):
        matched += 1
        shard_name = classify_shard(path.name)
        if shard_name is not None and path.is_file():
            groups[shard_name.day, shard_name.kind].append((shard_name, path))
    if not groups:
        raise SourceError(
            f"No shards of property {property_id} match {pattern} "
            f"({matched} files matched, none of them named like a shard).",
            hint="Shards are named events_YYYYMMDD, events_intraday_YYYYMMDD or events_fresh_YYYYMMDD, "
            "with .parquet, .ndjson or .ndjson.gz; set `path` under [[sources]].",
        )
    shards = (_shard(property_id, kind, day, files) for (day, kind), files in groups.items())
    return tuple(sorted(shards, key=lambda shard: (shard.day, PRECEDENCE[shard.kind])))


def _matching(pattern: str) -> list[Path]:
    # Path.glob takes no absolute pattern, and sources are absolute once they are configured.
    return [Path(found) for found in glob.glob(pattern, recursive=True)]  # noqa: PTH207 - see above


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
            try:
                size = path.stat().st_size
            except OSError as error:  # taken away since the folder was listed
                raise _unreadable(path, error) from error
            if size == 0:
                raise SourceError(f"{path} is empty.", hint="Export the day again.")
        return ShardSchema(wanted, "ndjson", None)
    import pyarrow.parquet as pq

    schemas: list[pa.Schema] = []
    rows = 0
    for path in shard.files:
        try:
            with pq.ParquetFile(path) as parquet:
                schemas.append(parquet.schema_arrow.remove_metadata())
                rows += parquet.metadata.num_rows
                _refuse_numeric_client_ids(path, parquet)
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
    types = {leaf: kind for field in schemas[0] for leaf, kind in _leaves(field.name, field.type)}
    leaves = wanted & frozenset(types)
    missing = [leaf for leaf in REQUIRED_LEAVES if leaf not in leaves]
    if missing:
        raise SourceError(
            f"{shard.files[0]} is not a GA4 event shard: it lacks {', '.join(missing)}.",
            hint="Export the whole events_YYYYMMDD table, nesting intact.",
        )
    return ShardSchema(leaves, fingerprint_of({leaf: types[leaf] for leaf in leaves}), rows)


def _refuse_numeric_client_ids(path: Path, parquet: pq.ParquetFile) -> None:
    """A user_pseudo_id that was read as a number has lost digits: two clients may have become one."""
    import pyarrow as pa

    index = parquet.schema_arrow.get_field_index("user_pseudo_id")
    if index < 0 or not pa.types.is_floating(parquet.schema_arrow.field(index).type):
        return
    ids = parquet.read(columns=["user_pseudo_id"]).column(0)
    if ids.null_count < len(ids):
        raise SourceError(
            f"{path} holds user_pseudo_id as floating-point numbers, so ids have lost digits.",
            hint="Write it as a string: `1008825.5342360620` is text, not a number.",
        )


def _leaves(path: str, kind: pa.DataType) -> Iterator[tuple[str, str]]:
    """Yield the leaves below a field, dotted, with their physical types; lists are looked into."""
    import pyarrow as pa

    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _leaves(path, kind.value_type)
    elif pa.types.is_struct(kind):
        for index in range(kind.num_fields):
            field = kind.field(index)
            yield from _leaves(f"{path}.{field.name}", field.type)
    else:
        yield path, str(kind)


def _unreadable(path: Path | str, error: OSError) -> SourceError:
    return SourceError(
        f"{path} cannot be read: {os.strerror(error.errno or 0)}.",
        hint="Let the user of this run read the files of the export, and copy them whole before a run.",
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0].rstrip(".")
