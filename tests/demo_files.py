"""Reads a written demo in plain Python: nothing here knows the generator's arrays."""

from __future__ import annotations

import csv
import gzip
import json
from collections import defaultdict
from types import SimpleNamespace

import pyarrow.parquet as pq

COLUMNS = [
    "event_date", "event_timestamp", "event_name", "event_params", "user_id", "user_pseudo_id", "ecommerce", "device",
    "batch_event_index", "collected_traffic_source", "session_traffic_source_last_click",
]  # fmt: skip


def shards(demo):
    return sorted((demo.folder / "exports").iterdir(), key=lambda path: path.name.replace("intraday_", ""))


def read_shard(path):
    """Return the rows of a shard with their parameters as dictionaries of plain values."""
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8") as file:
            found = [json.loads(line) for line in file]
    else:
        known = pq.read_schema(path).names
        found = pq.read_table(path, columns=[name for name in COLUMNS if name in known]).to_pylist()
    return [plain(row, path) for row in found]


def plain(row, path):
    values = {}
    for param in row["event_params"]:
        value = {kind: held for kind, held in param["value"].items() if held is not None}
        assert len(value) == 1, f"{param['key']} has {len(value)} values"
        ((kind, held),) = value.items()
        values[param["key"]] = int(held) if kind == "int_value" else held
    assert len(values) == len(row["event_params"]), "a parameter occurs twice in one row"
    return SimpleNamespace(
        shard=path.name,
        date=row["event_date"],
        at=int(row["event_timestamp"]),
        name=row["event_name"],
        params=values,
        user=row.get("user_id"),
        client=row.get("user_pseudo_id"),
        ecommerce=row.get("ecommerce") or {},
        device=row["device"]["category"],
        order=int(row.get("batch_event_index") or 0),
        collected=row.get("collected_traffic_source"),
        last_click=row.get("session_traffic_source_last_click"),
    )


def identity(row):
    """What makes two rows the same event: client, name, time and parameters."""
    return row.client, row.name, row.at, tuple(sorted(row.params.items(), key=lambda item: item[0]))


def sessions_of(rows):
    found = defaultdict(list)
    for row in rows:
        if row.client is not None:
            found[row.client, int(row.params["ga_session_id"])].append(row)
    for events in found.values():
        events.sort(key=lambda row: row.at)
    return found


def sessions_by_client(sessions):
    found = defaultdict(list)
    for (client, _), events in sorted(sessions.items(), key=lambda item: item[1][0].at):
        found[client].append(events)
    return found


def channel(events):
    """The default channel group that the export states for a session (None where it states none)."""
    stated = {row.last_click["cross_channel_campaign"]["default_channel_group"] for row in events if row.last_click}
    assert len(stated) <= 1
    return next(iter(stated), None)


def set_of(events):
    """The events of a session without exact duplicates."""
    return list({identity(row): row for row in events}.values())


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
