"""Shards of a GA4 export: what they are, which one serves a day, and what staging reads of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal, Protocol

from microconv.errors import SourceError

Kind = Literal["daily", "fresh", "intraday"]
Format = Literal["parquet", "ndjson", "bigquery"]

PRECEDENCE: dict[Kind, int] = {"daily": 0, "fresh": 1, "intraday": 2}
"""Which shard serves a day that has several: the daily table is authoritative, intraday only stands in."""

_PARAM_VALUE = "STRUCT<string_value STRING, int_value INT64, float_value FLOAT64, double_value FLOAT64>"
ITEM_FIELDS = (
    *("item_id", "item_name", "item_brand", "item_variant"),
    *("item_category", "item_category2", "item_category3", "item_category4", "item_category5"),
    *("item_list_id", "item_list_name", "item_list_index", "promotion_id", "promotion_name"),
    *("creative_name", "creative_slot", "affiliation", "coupon", "location_id"),
)
"""The fields of an event's items that an occurrence can carry, all of them text."""
_ITEM_NUMBERS = ("quantity", "price")
CONDITION_ITEM_FIELDS = (*ITEM_FIELDS, *_ITEM_NUMBERS)
"""Those that a condition of the taxonomy may look at."""
_TELLING_ITEM_FIELDS = (
    *("item_id", "item_name", "item_variant", "promotion_id", "promotion_name"),
    *_ITEM_NUMBERS,
)
"""The fields that tell two events of one instant apart: two carts sent in one batch are two carts."""

RAW_COLUMNS: dict[str, str] = {
    "event_date": "STRING",
    "event_timestamp": "INT64",
    "event_name": "STRING",
    "event_params": f"ARRAY<STRUCT<key STRING, value {_PARAM_VALUE}>>",
    "user_id": "STRING",
    "user_pseudo_id": "STRING",
    "stream_id": "STRING",
    "device": "STRUCT<category STRING, language STRING>",
    "geo": "STRUCT<country STRING>",
    "ecommerce": "STRUCT<purchase_revenue FLOAT64, purchase_revenue_in_usd FLOAT64, transaction_id STRING>",
    "event_value_in_usd": "FLOAT64",
    "batch_event_index": "INT64",
    "batch_page_id": "INT64",
    "batch_ordering_id": "INT64",
    "collected_traffic_source": (
        "STRUCT<manual_source STRING, manual_medium STRING, manual_campaign_name STRING, "
        "gclid STRING, dclid STRING, srsltid STRING>"
    ),
    "session_traffic_source_last_click": (
        "STRUCT<cross_channel_campaign STRUCT<source STRING, medium STRING, campaign_name STRING, "
        "default_channel_group STRING>, "
        "manual_campaign STRUCT<source STRING, medium STRING, campaign_name STRING>, "
        "google_ads_campaign STRUCT<campaign_name STRING, campaign_id STRING, customer_id STRING>, "
        "sa360_campaign STRUCT<source STRING, medium STRING, campaign_name STRING>, "
        "cm360_campaign STRUCT<source STRING, medium STRING, campaign_name STRING>, "
        "dv360_campaign STRUCT<source STRING, medium STRING, campaign_name STRING>>"
    ),
    "platform": "STRING",
    "app_info": "STRUCT<version STRING>",
    "user_properties": f"ARRAY<STRUCT<key STRING, value {_PARAM_VALUE}>>",
    "items": f"ARRAY<STRUCT<{', '.join(f'{field} STRING' for field in ITEM_FIELDS)}, quantity INT64, price FLOAT64>>",
}
"""What staging can read of the nested export, as GoogleSQL types: a leaf a shard lacks is NULL, all else is ignored."""

TABLE_NAME = r"events_(?:(?P<kind>intraday|fresh)_)?(?P<day>\d{8})"
"""The names of shards, as a regular expression: a daily one has no `kind`, and `day` may be no day of the calendar."""

REQUIRED_LEAVES = ("event_date", "event_timestamp", "event_name", "event_params.key", "user_pseudo_id")


@dataclass(frozen=True)
class ShardSchema:
    """What a shard holds of `RAW_LEAVES`, a fingerprint of names and types, and the rows where the format tells.

    Shards of one fingerprint can be read by one query. `texts` are the leaves that are STRING there, as GA4 has them:
    what is none, as a column without any value may be, must be made one.
    """

    leaves: frozenset[str]
    fingerprint: str
    rows: int | None
    texts: frozenset[str] = frozenset()

    @property
    def structure(self) -> dict[str, object]:
        """What the templates that read the export are told of it."""
        return {"leaves": self.leaves, "texts": self.texts}


@dataclass(frozen=True)
class ExportTable:
    """Where a shard lies in BigQuery, and what its metadata says; the table bears the shard's name.

    `is_view` says that only a query can read it: a view, or a table whose data lie elsewhere. `flaw` is what keeps its
    rows from being staged, if there is something.
    """

    project: str
    dataset: str
    schema: ShardSchema
    is_view: bool = False
    flaw: str = ""


@dataclass(frozen=True)
class Shard:
    """One table of the export: a day of one kind, in one file, in numbered parts, or still in BigQuery (`table`)."""

    property_id: str
    kind: Kind
    day: date
    format: Format
    files: tuple[Path, ...]
    modified_at: datetime
    bytes: int
    table: ExportTable | None = None

    @property
    def name(self) -> str:
        """The name BigQuery gives this table, such as `events_intraday_20210101`."""
        kind = "" if self.kind == "daily" else f"{self.kind}_"
        return f"events_{kind}{self.day:%Y%m%d}"

    @property
    def place(self) -> str:
        """Where it lies: its first file, or its table."""
        return f"{self.table.project}.{self.table.dataset}.{self.name}" if self.table else str(self.files[0])

    @property
    def is_provisional(self) -> bool:
        """Whether the daily table is still to come."""
        return self.kind != "daily"


@dataclass(frozen=True)
class OpenShard:
    """A shard that can be read now, with what it holds."""

    shard: Shard
    schema: ShardSchema

    @property
    def rows(self) -> int:
        """How many rows it has; reckoned from its size where the format does not tell."""
        # JSON is 1 to 2 kB an event, a tenth of that when compressed; only batches are sized by it.
        is_compressed = any(path.suffix.lower() == ".gz" for path in self.shard.files)
        return self.schema.rows or self.shard.bytes // (100 if is_compressed else 1000)


class Source(Protocol):
    """Where the export of one property lies. GA4 cuts a daily shard off at `daily_cap` rows; 0 means no limit."""

    @property
    def property_id(self) -> str:
        """The label of the property."""
        ...

    @property
    def daily_cap(self) -> int:
        """Rows a day at which GA4 stops to export."""
        ...

    def shards(self, since: date | None = None, until: date | None = None) -> tuple[Shard, ...]:
        """List the shards of these days, both included, sorted by day and kind.

        Raises:
            SourceError: the source cannot be listed, or holds no shard at all.
        """
        ...

    def bytes_to_open(self, shard: Shard) -> int:
        """Return the bytes billed for making one of its shards readable; 0 where that is free."""
        ...

    def open(self, shard: Shard) -> OpenShard:
        """Make one of its shards readable by the engine.

        Raises:
            VanishedError: it is no longer there.
            SourceError: it cannot be read.
        """
        ...


def parse_day(digits: str) -> date | None:
    """Read the YYYYMMDD of a shard's name; None when that is not a day."""
    try:
        return datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def fingerprint_of(types: Mapping[str, str]) -> str:
    """Fingerprint names and types."""
    described = "\n".join(sorted(f"{name} {kind}" for name, kind in types.items()))
    return hashlib.sha256(described.encode()).hexdigest()[:16]


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
                f"Two sources of property {shard.property_id} hold {shard.name}: {rival.place} and {shard.place}.",
                hint="Keep each day of a property in one place, or give the sources different properties.",
            )
    return tuple(best[key] for key in sorted(best))


def _leaves_of_type(path: str, kind: str) -> Iterator[tuple[str, str]]:
    """Yield the leaves of a GoogleSQL type, dotted, each with its own type."""
    inner = kind.removeprefix("ARRAY<").removesuffix(">") if kind.startswith("ARRAY<") else kind
    if not inner.startswith("STRUCT<"):
        yield path, inner
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


_TYPES = {leaf: own for name, kind in RAW_COLUMNS.items() for leaf, own in _leaves_of_type(name, kind)}
RAW_LEAVES = frozenset(_TYPES)
"""The dotted paths of everything staging can read."""
TEXT_LEAVES = frozenset(leaf for leaf, kind in _TYPES.items() if kind == "STRING")
"""Those that are STRING in GA4's own export."""
WHOLE_EXPORT = ShardSchema(RAW_LEAVES, "", None, TEXT_LEAVES)
"""An export with all of it, each leaf of the type that GA4 gives it: what queries are shown for."""
_ON_DEMAND = ("items.", "user_properties.")
BASIC_LEAVES = frozenset(leaf for leaf in RAW_LEAVES if not leaf.startswith(_ON_DEMAND)) | frozenset(
    f"items.{field}" for field in _TELLING_ITEM_FIELDS
)
"""Those that it always reads; the others cost, where bytes are billed, so a source reads those asked for."""
USER_PROPERTY_LEAVES = frozenset(leaf for leaf in RAW_LEAVES if leaf.startswith("user_properties."))
"""What a property of the user is read from."""


def is_repeated(column: str) -> bool:
    """Tell whether a column of the export is a list of records."""
    return RAW_COLUMNS.get(column, "").startswith("ARRAY<")


def columns_of(leaves: Iterable[str]) -> frozenset[str]:
    """Return the columns of the export that hold these leaves."""
    return frozenset(leaf.partition(".")[0] for leaf in leaves)
