"""Shards of a GA4 export, as files or as tables of BigQuery: find them, tell their kinds apart, make them readable."""

from microconv.exports.files import FileSource, ShardName, classify_shard, list_shards, read_schema
from microconv.exports.model import (
    PRECEDENCE,
    RAW_COLUMNS,
    RAW_LEAVES,
    REQUIRED_LEAVES,
    ExportTable,
    OpenShard,
    Shard,
    ShardSchema,
    Source,
    choose,
    fingerprint_of,
    parse_day,
    struct_fields,
)
from microconv.exports.pull import PulledSource
from microconv.exports.tables import TableSource

__all__ = [
    "PRECEDENCE",
    "RAW_COLUMNS",
    "RAW_LEAVES",
    "REQUIRED_LEAVES",
    "ExportTable",
    "FileSource",
    "OpenShard",
    "PulledSource",
    "Shard",
    "ShardName",
    "ShardSchema",
    "Source",
    "TableSource",
    "choose",
    "classify_shard",
    "fingerprint_of",
    "list_shards",
    "parse_day",
    "read_schema",
    "struct_fields",
]
