"""Shards of a GA4 export, as files or as tables of BigQuery: find them, tell their kinds apart, make them readable.

What BigQuery needs is imported from `tables` and `pull` where it is used: exports of files need none of its libraries.
"""

from microconv.exports.file_source import FileSource, ShardName, classify_shard, list_shards, read_schema
from microconv.exports.shards import (
    BASIC_LEAVES,
    CONDITION_ITEM_FIELDS,
    ITEM_FIELDS,
    PRECEDENCE,
    RAW_COLUMNS,
    RAW_LEAVES,
    REQUIRED_LEAVES,
    TEXT_LEAVES,
    USER_PROPERTY_LEAVES,
    WHOLE_EXPORT,
    ExportTable,
    OpenShard,
    Shard,
    ShardSchema,
    Source,
    choose,
    columns_of,
    struct_fields,
)
from microconv.exports.unread import PassedOver, passed_over

__all__ = [
    "BASIC_LEAVES",
    "CONDITION_ITEM_FIELDS",
    "ITEM_FIELDS",
    "PRECEDENCE",
    "RAW_COLUMNS",
    "RAW_LEAVES",
    "REQUIRED_LEAVES",
    "TEXT_LEAVES",
    "USER_PROPERTY_LEAVES",
    "WHOLE_EXPORT",
    "ExportTable",
    "FileSource",
    "OpenShard",
    "PassedOver",
    "Shard",
    "ShardName",
    "ShardSchema",
    "Source",
    "choose",
    "classify_shard",
    "columns_of",
    "list_shards",
    "passed_over",
    "read_schema",
    "struct_fields",
]
