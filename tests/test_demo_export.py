"""The shards of the demo export: names, days, columns and forms, as GA4 writes them."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demo_files import identity, read_shard, shards
from microconv.demo import write_demo

BERLIN = ZoneInfo("Europe/Berlin")
SCHEMA = Path(__file__).parents[2] / "shared" / "data" / "ga4_events_schema.json"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("demo"), events=40_000)


@pytest.fixture(scope="module")
def rows(demo):
    return [row for path in shards(demo) for row in read_shard(path)]


def test_demo_has_thirty_days_ending_with_an_intraday_one(demo):
    names = [path.name for path in shards(demo)]
    assert len(names) == demo.days == 30
    assert demo.last_date - demo.first_date == timedelta(days=29)
    assert names[-1] == "events_intraday_20251104.parquet"
    assert [name for name in names if name.endswith(".ndjson.gz")] == [
        f"events_{demo.truths.ndjson_date:%Y%m%d}.ndjson.gz"
    ]
    assert [day.file for day in demo.truths.days] == names
    assert [day.kind for day in demo.truths.days] == ["daily"] * 29 + ["intraday"]


def test_size_is_about_what_was_asked_for(demo, rows):
    assert demo.events == len(rows)
    assert 36_000 < demo.events < 44_000


def test_every_row_lies_in_the_shard_of_its_local_day(rows):
    for row in rows:
        local = datetime.fromtimestamp(row.at / 1e6, BERLIN)
        assert row.shard.startswith(("events_" + row.date, "events_intraday_" + row.date))
        assert f"{local:%Y%m%d}" == row.date


def test_the_day_the_clocks_go_back_is_longer(rows):
    late = [
        row
        for row in rows
        if row.date == "20251026" and row.at >= datetime(2025, 10, 26, 22, tzinfo=ZoneInfo("UTC")).timestamp() * 1e6
    ]
    assert late, "the 25th hour of 26 October holds no event"


def test_counts_of_each_day_are_as_planted(demo, rows):
    by_date = defaultdict(list)
    for row in rows:
        by_date[datetime.strptime(row.date, "%Y%m%d").date()].append(row)
    for day in demo.truths.days:
        found = by_date[day.date]
        with_client = Counter(identity(row) for row in found if row.client)
        assert day.events == len(found)
        assert day.exact_duplicates == sum(with_client.values()) - len(with_client) > 0
        assert day.without_consent == sum(row.client is None for row in found) > 0
        assert day.add_to_cart == sum(row.name == "add_to_cart" for row in found)
    assert demo.truths.exact_duplicates == sum(day.exact_duplicates for day in demo.truths.days)


def test_duplicates_differ_only_in_what_is_no_part_of_the_event(demo):
    path = demo.folder / "exports" / "events_20251101.parquet"
    table = pq.read_table(path).to_pylist()
    by_identity = defaultdict(list)
    for row, flat in zip(table, read_shard(path), strict=True):
        if flat.client:
            by_identity[identity(flat)].append(row)
    pairs = [pair for pair in by_identity.values() if len(pair) > 1]
    assert pairs
    for first, second in pairs:
        assert {key for key in first if first[key] != second[key]} == {"event_bundle_sequence_id"}


def test_rows_without_consent_carry_no_id_at_all(demo, rows):
    denied = [row for row in rows if row.client is None]
    assert len(denied) == demo.truths.without_consent
    assert 0.04 < demo.truths.without_consent_share == len(denied) / len(rows) < 0.12
    for row in denied:
        assert row.user is None
        assert row.last_click is None
        assert "ga_session_id" not in row.params


def test_newer_columns_begin_in_the_middle(demo):
    newer = {
        "collected_traffic_source",
        "is_active_user",
        "batch_event_index",
        "batch_page_id",
        "batch_ordering_id",
        "publisher",
    }
    for day, path in zip(demo.truths.days, shards(demo), strict=True):
        if path.suffix == ".gz":
            continue
        schema = pq.read_schema(path)
        has_newer = day.date >= demo.truths.newer_columns_from
        assert newer <= set(schema.names) if has_newer else not newer & set(schema.names)
        assert ("session_traffic_source_last_click" in schema.names) == (has_newer and day.kind == "daily")
        items = schema.field("items").type.value_type
        assert (items.get_field_index("item_params") >= 0) == has_newer
    assert date(2025, 10, 6) < demo.truths.newer_columns_from < date(2025, 11, 4)


@pytest.mark.skipif(not SCHEMA.is_file(), reason="the export schema lies beside the repository, not in it")
def test_a_current_shard_has_exactly_the_current_schema(demo):
    fields = json.loads(SCHEMA.read_text())
    types = {"STRING": pa.string(), "INTEGER": pa.int64(), "FLOAT": pa.float64(), "BOOLEAN": pa.bool_()}

    def leaves(fields, prefix=""):
        for field in fields:
            name = prefix + field["name"]
            if field["type"] == "RECORD":
                yield from leaves(field["fields"], name + ".")
            else:
                yield name, types[field["type"]]

    def arrow_leaves(fields, prefix=""):
        for field in fields:
            kind = field.type.value_type if pa.types.is_list(field.type) else field.type
            if pa.types.is_struct(kind):
                yield from arrow_leaves(kind, prefix + field.name + ".")
            else:
                yield prefix + field.name, kind

    schema = pq.read_schema(demo.folder / "exports" / "events_20251101.parquet")
    assert dict(arrow_leaves(schema)) == dict(leaves(fields))
    assert schema.metadata is None, "BigQuery's files carry no Arrow schema"


def test_json_shard_is_written_as_bigquery_writes_it(demo):
    (path,) = (demo.folder / "exports").glob("*.ndjson.gz")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]

    def walk(value):
        if isinstance(value, dict):
            for item in value.values():
                yield from walk(item)
        elif isinstance(value, list):
            for item in value:
                yield from walk(item)
        else:
            yield value

    found = {type(value) for row in rows for value in walk(row)}
    assert found == {str, float, bool}, "integers are strings, and a NULL is left out"
    assert rows[0]["event_timestamp"].isdigit()
