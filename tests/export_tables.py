"""Shards of a GA4 export as tables of the emulator: load events, get the shard that a source would list."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from google.cloud import bigquery

import ga4
from microconv.exports import RAW_COLUMNS, RAW_LEAVES, ExportTable, Shard, ShardSchema, struct_fields
from microconv.exports.shards import Kind


def load_shard(
    client: bigquery.Client,
    dataset: str,
    day: date,
    events: list[dict[str, Any]],
    kind: Kind = "daily",
    *,
    columns: Mapping[str, str] = RAW_COLUMNS,
) -> Shard:
    """Write a day's events into its table, with an unknown column among the known ones."""
    name = ga4.shard_name(day, kind)
    fields = [_field(*column) for column in {"unknown": "STRING", **columns}.items()]
    config = bigquery.LoadJobConfig(schema=fields, write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE)
    reference = bigquery.DatasetReference(client.project, dataset).table(name)
    client.load_table_from_json(events, reference, job_config=config).result()
    schema = ShardSchema(RAW_LEAVES, "all leaves", len(events))
    return Shard(
        property_id="p1",
        kind=kind,
        day=day,
        format="bigquery",
        files=(),
        modified_at=datetime(2024, 3, 5, tzinfo=UTC),
        bytes=1000,
        table=ExportTable(client.project, dataset, schema),
    )


def _field(name: str, kind: str) -> bigquery.SchemaField:
    item = kind.removeprefix("ARRAY<")
    is_array = item != kind
    item = item[:-1] if is_array else item
    mode = "REPEATED" if is_array else "NULLABLE"
    if not item.startswith("STRUCT<"):
        return bigquery.SchemaField(name, item, mode=mode)
    return bigquery.SchemaField(name, "RECORD", mode=mode, fields=[_field(*field) for field in struct_fields(item)])
