"""Shards of a GA4 export: find them, tell daily, fresh and intraday apart by name, choose one a day, read schemas."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from microconv.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

Kind = Literal["daily", "fresh", "intraday"]
Format = Literal["parquet", "ndjson"]

PRECEDENCE: dict[Kind, int] = {"daily": 0, "fresh": 1, "intraday": 2}
"""Which shard serves a day that has several: the daily table is authoritative, intraday only stands in."""

_PARAM_VALUE = "STRUCT<string_value STRING, int_value INT64, float_value FLOAT64, double_value FLOAT64>"
RAW_COLUMNS: dict[str, str] = {
    "event_date": "STRING",
    "event_timestamp": "INT64",
    "event_name": "STRING",
    "event_params": f"ARRAY<STRUCT<key STRING, value {_PARAM_VALUE}>>",
    "user_id": "STRING",
    "user_pseudo_id": "STRING",
    "stream_id": "STRING",
    "device": "STRUCT<category STRING>",
    "geo": "STRUCT<country STRING>",
    "ecommerce": "STRUCT<purchase_revenue FLOAT64, transaction_id STRING>",
    "batch_event_index": "INT64",
    "batch_page_id": "INT64",
    "batch_ordering_id": "INT64",
    "collected_traffic_source": (
        "STRUCT<manual_source STRING, manual_medium STRING, manual_campaign_name STRING, "
        "gclid STRING, dclid STRING, srsltid STRING>"
    ),
    "session_traffic_source_last_click": (
        "STRUCT<cross_channel_campaign STRUCT<source STRING, medium STRING, campaign_name STRING, "
        "default_channel_group STRING>>"
    ),
}
"""What staging reads of the nested export, as GoogleSQL types: a leaf a shard lacks is NULL, all else is ignored."""

REQUIRED_LEAVES = ("event_date", "event_timestamp", "event_name", "event_params.key", "user_pseudo_id")

_NAME = re.compile(
    r"events_(?:(?P<kind>intraday|fresh)_)?(?P<day>\d{8})(?:[-_](?P<part>\d+))?"
    r"\.(?:(?P<parquet>parquet)|(?:ndjson|jsonl|json)(?:\.gz)?)"
)


@dataclass(frozen=True)
class ShardName:
    """What the name of one file says: `part` numbers the files of a shard that was exported in pieces."""

    kind: Kind
    day: date
    format: Format
    part: str | None


@dataclass(frozen=True)
class Shard:
    """One table of the export: a day of one kind, in one file or in numbered parts."""

    property_id: str
    kind: Kind
    day: date
    format: Format
    files: tuple[Path, ...]
    modified_at: datetime
    bytes: int

    @property
    def name(self) -> str:
        """The name BigQuery gives this table, such as `events_intraday_20210101`."""
        kind = "" if self.kind == "daily" else f"{self.kind}_"
        return f"events_{kind}{self.day:%Y%m%d}"

    @property
    def is_provisional(self) -> bool:
        """Whether the daily table is still to come."""
        return self.kind != "daily"


@dataclass(frozen=True)
class ShardSchema:
    """What a shard holds of `RAW_LEAVES`, a fingerprint of names and types, and the rows where the format tells."""

    leaves: frozenset[str]
    fingerprint: str
    rows: int | None


def classify_shard(name: str) -> ShardName | None:
    """Read a file name; None when it is no shard of events (`pseudonymous_users_…`, a copy, another extension)."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        day = datetime.strptime(match["day"], "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None
    kind: Kind = match["kind"] or "daily"  # type: ignore[assignment]  # the pattern allows only the literals
    return ShardName(kind, day, "parquet" if match["parquet"] else "ndjson", match["part"])


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


def choose(shards: Iterable[Shard]) -> tuple[Shard, ...]:
    """Keep one shard for each property and day: daily before fresh before intraday, so that no event counts twice.

    Raises:
        SourceError: two sources of one property hold the same shard, so which of them is true cannot be told.
    """
    best: dict[tuple[str, date], Shard] = {}
    for shard in shards:
        key = (shard.property_id, shard.day)
        rival = best.get(key)
        if rival is None or PRECEDENCE[shard.kind] < PRECEDENCE[rival.kind]:
            best[key] = shard
        elif shard.kind == rival.kind:
            raise SourceError(
                f"Two sources of property {shard.property_id} hold {shard.name}: "
                f"{rival.files[0]} and {shard.files[0]}.",
                hint="Keep each day of a property in one place, or give the sources different properties.",
            )
    return tuple(best[key] for key in sorted(best))


def read_schema(shard: Shard) -> ShardSchema:
    """Read what a shard holds from the footers of its files; NDJSON has none and may hold every leaf.

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
        return ShardSchema(RAW_LEAVES, "ndjson", None)
    import pyarrow.parquet as pq  # noqa: PLC0415 - only a sync reads footers

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
    leaves = RAW_LEAVES & frozenset(types)
    missing = [leaf for leaf in REQUIRED_LEAVES if leaf not in leaves]
    if missing:
        raise SourceError(
            f"{shard.files[0]} is no GA4 event shard: it lacks {', '.join(missing)}.",
            hint="Export the whole events_YYYYMMDD table, nesting intact.",
        )
    described = "\n".join(sorted(f"{leaf} {types[leaf]}" for leaf in leaves))
    return ShardSchema(leaves, hashlib.sha256(described.encode()).hexdigest()[:16], rows)


def _refuse_numeric_client_ids(path: Path, parquet: pq.ParquetFile) -> None:
    """A user_pseudo_id that was read as a number has lost digits: two clients may have become one."""
    import pyarrow as pa  # noqa: PLC0415 - only a sync reads footers

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
    import pyarrow as pa  # noqa: PLC0415 - only a sync reads footers

    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _leaves(path, kind.value_type)
    elif pa.types.is_struct(kind):
        for index in range(kind.num_fields):
            field = kind.field(index)
            yield from _leaves(f"{path}.{field.name}", field.type)
    else:
        yield path, str(kind)


def _leaves_of_type(path: str, kind: str) -> Iterator[str]:
    """Yield the leaves of a GoogleSQL type, dotted."""
    inner = kind.removeprefix("ARRAY<").removesuffix(">") if kind.startswith("ARRAY<") else kind
    if not inner.startswith("STRUCT<"):
        yield path
        return
    for name, field_kind in struct_fields(inner):
        yield from _leaves_of_type(f"{path}.{name}", field_kind)


def struct_fields(kind: str) -> Iterator[tuple[str, str]]:
    """Yield name and type of each field of a GoogleSQL `STRUCT<…>`; a field may be a STRUCT or an ARRAY itself."""
    depth = start = 0
    body = kind.removeprefix("STRUCT<").removesuffix(">")
    for position, character in enumerate(f"{body},"):
        depth += (character == "<") - (character == ">")
        if character == "," and depth == 0:
            name, _, field_kind = body[start:position].strip().partition(" ")
            yield name, field_kind
            start = position + 1


RAW_LEAVES = frozenset(leaf for name, kind in RAW_COLUMNS.items() for leaf in _leaves_of_type(name, kind))
"""The dotted paths of everything staging reads."""


def _unreadable(path: Path | str, error: OSError) -> SourceError:
    return SourceError(
        f"{path} cannot be read: {os.strerror(error.errno or 0)}.",
        hint="Let the user of this run read the files of the export, and copy them whole before a run.",
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0].rstrip(".")
