"""Make small GA4 exports: events as dictionaries, written as the shards BigQuery exports."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_VALUE = pa.struct(
    [
        ("string_value", pa.string()),
        ("int_value", pa.int64()),
        ("float_value", pa.float64()),
        ("double_value", pa.float64()),
    ]
)
SCHEMA = pa.schema(
    [
        ("event_date", pa.string()),
        ("event_timestamp", pa.int64()),
        ("event_name", pa.string()),
        ("event_params", pa.list_(pa.struct([("key", pa.string()), ("value", _VALUE)]))),
        ("user_id", pa.string()),
        ("user_pseudo_id", pa.string()),
        ("stream_id", pa.string()),
        ("device", pa.struct([("category", pa.string()), ("language", pa.string())])),
        ("geo", pa.struct([("country", pa.string())])),
        ("ecommerce", pa.struct([("purchase_revenue", pa.float64()), ("transaction_id", pa.string())])),
        ("items", pa.list_(pa.struct([(name, pa.string()) for name in ("item_id", "item_name", "coupon")]))),
        ("event_value_in_usd", pa.float64()),
        ("batch_event_index", pa.int64()),
        ("batch_page_id", pa.int64()),
        ("batch_ordering_id", pa.int64()),
        (
            "collected_traffic_source",
            pa.struct(
                [
                    (name, pa.string())
                    for name in (
                        "manual_source",
                        "manual_medium",
                        "manual_campaign_name",
                        "gclid",
                        "dclid",
                        "srsltid",
                    )
                ]
            ),
        ),
    ]
)


def microseconds(text: str) -> int:
    """Turn `2024-03-01 23:59:00` (UTC) into microseconds since 1970."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


def event(
    at: str | int, name: str, *, client: str | None = "1.1", session: int | None = 1, **fields: Any
) -> dict[str, Any]:
    """Make one event; `params=` are its parameters (str, int or float), other keywords are columns of the export."""
    params = dict(fields.pop("params", {}))
    if session is not None:
        params = {"ga_session_id": session, **params}
    at_us = microseconds(at) if isinstance(at, str) else at
    return {
        "event_date": f"{datetime.fromtimestamp(at_us / 1e6, tz=UTC):%Y%m%d}",
        "event_timestamp": at_us,
        "event_name": name,
        "event_params": [{"key": key, "value": _value(value)} for key, value in params.items()],
        "user_pseudo_id": client,
        "stream_id": "1",
        **fields,
    }


def _value(value: str | float | None) -> dict[str, Any]:
    slots: dict[str, Any] = dict.fromkeys(("string_value", "int_value", "float_value", "double_value"))
    if isinstance(value, str):
        slots["string_value"] = value
    elif isinstance(value, int):
        slots["int_value"] = value
    elif value is not None:
        slots["double_value"] = value
    return slots


def write_parquet(path: Path, events: list[dict[str, Any]], schema: pa.Schema = SCHEMA) -> Path:
    """Write a shard as Parquet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(events, schema=schema), path)
    return path


def write_ndjson(path: Path, events: list[dict[str, Any]]) -> Path:
    """Write a shard as BigQuery's JSON: one object a line, integers as strings, no NULL fields; gzip by extension."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(_as_bigquery_json(row)) + "\n" for row in events)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def _as_bigquery_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_bigquery_json(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_as_bigquery_json(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def shard_name(day: date, kind: str = "daily") -> str:
    """Name a day's table."""
    return f"events_{'' if kind == 'daily' else kind + '_'}{day:%Y%m%d}"


def simple_day(day: date, *, clients: int = 3) -> list[dict[str, Any]]:
    """Make a day of four events for each client, in one session."""
    noon = microseconds(f"{day} 12:00:00")
    return [
        event(
            noon + client * 1_000_000 + step * 1_000,
            name,
            client=f"{client}.7",
            session=int(f"{day:%m%d}{client}"),
            params={"page_location": f"https://shop.example/{name}?x=1", "engagement_time_msec": 400},
        )
        for client in range(clients)
        for step, name in enumerate(("session_start", "page_view", "view_item", "add_to_cart"))
    ]
