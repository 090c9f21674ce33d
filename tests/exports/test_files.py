"""Shards of an export: which files are one, which shard serves a day, what a shard holds."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import ga4
from microconv.errors import SourceError
from microconv.exports import (
    BASIC_LEAVES,
    REQUIRED_LEAVES,
    TEXT_LEAVES,
    Shard,
    ShardName,
    choose,
    classify_shard,
    list_shards,
    read_schema,
)

DAY = date(2021, 1, 2)
EVENT = ga4.event("2021-01-02 10:00:00", "page_view")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def shard(*files: Path, kind: Any = "daily", day: date = DAY, property_id: str = "p1") -> Shard:
    return Shard(
        property_id=property_id,
        kind=kind,
        day=day,
        format="parquet" if not files or files[0].suffix == ".parquet" else "ndjson",
        files=files,
        modified_at=datetime(2021, 1, 3, tzinfo=UTC),
        bytes=1,
    )


def without(*names: str) -> pa.Schema:
    return pa.schema([field for field in ga4.SCHEMA if field.name not in names])


def with_type(name: str, kind: pa.DataType) -> pa.Schema:
    return ga4.SCHEMA.set(ga4.SCHEMA.get_field_index(name), pa.field(name, kind))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("events_20210102.parquet", ShardName("daily", DAY, "parquet", None)),
        ("events_intraday_20210102.parquet", ShardName("intraday", DAY, "parquet", None)),
        ("events_fresh_20210102.ndjson.gz", ShardName("fresh", DAY, "ndjson", None)),
        ("events_20210102.ndjson", ShardName("daily", DAY, "ndjson", None)),
        ("events_20210102.jsonl", ShardName("daily", DAY, "ndjson", None)),
        ("events_20210102.json.gz", ShardName("daily", DAY, "ndjson", None)),
        ("events_20210102_000000000003.parquet", ShardName("daily", DAY, "parquet", "000000000003")),
        ("events_intraday_20210102-1.json", ShardName("intraday", DAY, "ndjson", "1")),
    ],
)
def test_name_of_a_shard_says_kind_day_format_and_part(name: str, expected: ShardName):
    assert classify_shard(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "events_20210102",
        "events_20210102.csv",
        "events_20210102.parquet.gz",
        "events_20210102.parquet.tmp",
        "events_20210102 (1).parquet",
        "copy_of_events_20210102.parquet",
        "events_2021-01-02.parquet",
        "events_202101.parquet",
        "events_20210230.parquet",
        "events_hourly_20210102.parquet",
        "pseudonymous_users_20210102.parquet",
        "users_20210102.parquet",
        "Events_20210102.parquet",
    ],
)
def test_other_names_are_no_shards(name: str):
    assert classify_shard(name) is None


def test_shards_are_listed_by_day_then_kind_and_other_files_are_left_out(tmp_path: Path):
    touch(
        tmp_path,
        "events_intraday_20210102.parquet",
        "events_20210103.ndjson",
        "events_fresh_20210102.parquet",
        "events_20210102.parquet",
        "users_20210102.parquet",
        "notes.txt",
    )
    (tmp_path / "events_20210101.parquet").mkdir()

    assert [(each.name, each.format) for each in list_shards(f"{tmp_path}/*", "p1")] == [
        ("events_20210102", "parquet"),
        ("events_fresh_20210102", "parquet"),
        ("events_intraday_20210102", "parquet"),
        ("events_20210103", "ndjson"),
    ]


def test_pattern_reaches_into_folders(tmp_path: Path):
    touch(tmp_path, "2021/01/events_20210102.parquet", "2021/02/events_20210203.parquet")

    assert [each.name for each in list_shards(f"{tmp_path}/**/*.parquet", "p1")] == [
        "events_20210102",
        "events_20210203",
    ]


def test_numbered_parts_are_one_shard(tmp_path: Path):
    touch(tmp_path, "events_20210102_001.parquet", "events_20210102_000.parquet", "events_20210103_000.parquet")

    assert [[path.name for path in each.files] for each in list_shards(f"{tmp_path}/*", "p1")] == [
        ["events_20210102_000.parquet", "events_20210102_001.parquet"],
        ["events_20210103_000.parquet"],
    ]


@pytest.mark.parametrize(
    "names",
    [
        ("events_20210102.parquet", "events_20210102.ndjson"),
        ("events_20210102.ndjson", "events_20210102.ndjson.gz"),
        ("events_20210102.parquet", "events_20210102_000.parquet"),
        ("events_20210102_000.parquet", "events_20210102_001.ndjson"),
        ("a/events_20210102.parquet", "b/events_20210102.parquet"),
        ("a/events_20210102_000.parquet", "b/events_20210102_000.parquet"),
    ],
)
def test_files_that_would_count_a_day_twice_are_refused_by_name(tmp_path: Path, names: tuple[str, str]):
    touch(tmp_path, *names)

    with pytest.raises(SourceError, match="2 files of property p1 claim to be the daily shard of 2021-01-02") as raised:
        list_shards(f"{tmp_path}/**", "p1")
    assert all(str(tmp_path / name) in raised.value.message for name in names)


def test_error_without_shards_tells_what_was_there_and_how_shards_are_named(tmp_path: Path):
    touch(tmp_path, "users_20210102.parquet", "notes.txt")

    with pytest.raises(SourceError, match=r"property p1 match .* \(2 files matched, none") as raised:
        list_shards(f"{tmp_path}/*", "p1")
    assert "events_YYYYMMDD" in raised.value.hint


def test_shard_changed_when_its_latest_part_did_and_is_as_big_as_all_of_them(tmp_path: Path):
    touch(tmp_path, "events_20210102_0.parquet", "events_20210102_1.parquet")
    early, late = datetime(2021, 1, 3, tzinfo=UTC), datetime(2021, 1, 3, 6, 0, 0, 123457, tzinfo=UTC)
    for part, moment, nanoseconds in ((0, late, 999), (1, early, 0)):
        at_ns = int(moment.timestamp()) * 10**9 + moment.microsecond * 1000 + nanoseconds
        os.utime(tmp_path / f"events_20210102_{part}.parquet", ns=(at_ns, at_ns))

    (found,) = list_shards(f"{tmp_path}/*", "p1")

    assert (found.property_id, found.modified_at, found.bytes) == ("p1", late, 2)


@pytest.mark.parametrize(
    ("kinds", "chosen", "is_provisional"),
    [
        (("intraday", "fresh", "daily"), "events_20210102", False),
        (("daily", "intraday"), "events_20210102", False),
        (("intraday", "fresh"), "events_fresh_20210102", True),
        (("intraday",), "events_intraday_20210102", True),
    ],
)
def test_one_shard_serves_a_day(kinds: tuple[str, ...], chosen: str, is_provisional: bool):
    (best,) = choose(shard(kind=kind) for kind in kinds)

    assert (best.name, best.is_provisional) == (chosen, is_provisional)


def test_days_and_properties_are_chosen_apart_and_in_order():
    shards = [
        shard(property_id="p2"),
        shard(kind="intraday", day=date(2021, 1, 3)),
        shard(property_id="p2", kind="intraday"),
        shard(),
    ]

    assert [(each.property_id, each.name) for each in choose(shards)] == [
        ("p1", "events_20210102"),
        ("p1", "events_intraday_20210103"),
        ("p2", "events_20210102"),
    ]


def test_schema_of_parquet_lists_the_leaves_it_has_and_counts_the_rows_of_all_parts(tmp_path: Path):
    old = without("collected_traffic_source", "batch_page_id")
    parts = [
        ga4.write_parquet(tmp_path / f"events_20210102_{part}.parquet", [EVENT] * (part + 1), old) for part in (0, 1)
    ]

    schema = read_schema(shard(*parts))

    gone = ("collected_", "session_traffic", "ecommerce.purchase_revenue_in_usd")
    absent = {leaf for leaf in BASIC_LEAVES if leaf.startswith(gone)}
    absent |= {"batch_page_id", "platform", "app_info.version"}
    absent |= {leaf for leaf in BASIC_LEAVES if leaf.startswith("items.")} - {"items.item_id", "items.item_name"}
    assert schema.leaves == BASIC_LEAVES - absent
    assert schema.texts == schema.leaves & TEXT_LEAVES
    assert schema.rows == 3


@pytest.mark.parametrize("kind", [pa.int64(), pa.null(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_column_of_another_type_than_text_is_not_taken_for_text(tmp_path: Path, kind: pa.DataType):
    event = {**EVENT, "user_id": None}
    path = ga4.write_parquet(tmp_path / "events_20210102.parquet", [event], with_type("user_id", kind))

    schema = read_schema(shard(path))

    assert "user_id" in schema.leaves
    assert schema.texts == schema.leaves & TEXT_LEAVES - {"user_id"}


def test_fingerprint_follows_the_types_of_what_is_read_and_nothing_else(tmp_path: Path):
    def fingerprint(schema: pa.Schema) -> str:
        return read_schema(shard(ga4.write_parquet(tmp_path / "events_20210102.parquet", [EVENT], schema))).fingerprint

    usual = fingerprint(ga4.SCHEMA)

    assert fingerprint(ga4.SCHEMA.append(pa.field("a_new_field", pa.int64()))) == usual
    assert fingerprint(pa.schema(list(reversed(ga4.SCHEMA)))) == usual
    assert fingerprint(ga4.SCHEMA.with_metadata({"written": "later"})) == usual
    assert fingerprint(with_type("user_id", pa.int64())) != usual
    assert fingerprint(without("geo")) != usual


@pytest.mark.parametrize("name", ["event_date", "event_timestamp", "event_name", "event_params", "user_pseudo_id"])
def test_shard_without_what_nothing_works_without_is_refused(tmp_path: Path, name: str):
    path = ga4.write_parquet(tmp_path / "events_20210102.parquet", [EVENT], without(name))

    with pytest.raises(SourceError, match=f"is not a GA4 event shard: it lacks {name}") as raised:
        read_schema(shard(path))
    assert str(path) in raised.value.message


def test_required_leaves_are_among_those_read():
    assert set(REQUIRED_LEAVES) <= BASIC_LEAVES


def test_flattened_parameters_are_refused(tmp_path: Path):
    flat = with_type("event_params", pa.string())
    path = ga4.write_parquet(tmp_path / "events_20210102.parquet", [{**EVENT, "event_params": "{}"}], flat)

    with pytest.raises(SourceError, match=r"it lacks event_params\.key"):
        read_schema(shard(path))


def test_client_ids_that_are_numbers_are_refused_unless_there_are_none(tmp_path: Path):
    numeric = with_type("user_pseudo_id", pa.float64())
    known, unknown = {**EVENT, "user_pseudo_id": 1.5}, {**EVENT, "user_pseudo_id": None}

    refused = ga4.write_parquet(tmp_path / "events_20210102.parquet", [unknown, known], numeric)
    with pytest.raises(SourceError, match="user_pseudo_id as floating-point numbers"):
        read_schema(shard(refused))
    kept = ga4.write_parquet(tmp_path / "events_20210103.parquet", [unknown], numeric)
    assert "user_pseudo_id" in read_schema(shard(kept)).leaves


def test_parts_of_different_schemas_are_refused(tmp_path: Path):
    parts = [
        ga4.write_parquet(tmp_path / f"events_20210102_{part}.parquet", [EVENT], schema)
        for part, schema in enumerate([ga4.SCHEMA, with_type("user_id", pa.int64())])
    ]

    with pytest.raises(SourceError, match="The parts of events_20210102 have different schemas"):
        read_schema(shard(*parts))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 no footer PAR1", b'{"event_name": "page_view"}'])
def test_file_that_is_no_parquet_is_named_with_its_property(tmp_path: Path, content: bytes):
    path = tmp_path / "events_20210102.parquet"
    path.write_bytes(content)

    with pytest.raises(SourceError, match=r"cannot be read as Parquet .* events_20210102 of property p1") as raised:
        read_schema(shard(path))
    assert str(path) in raised.value.message


def test_ndjson_may_hold_every_leaf_and_does_not_tell_its_rows(tmp_path: Path):
    schema = read_schema(shard(ga4.write_ndjson(tmp_path / "events_20210102.ndjson", [EVENT])))

    assert (schema.leaves, schema.rows) == (BASIC_LEAVES, None)
    assert schema.texts == BASIC_LEAVES & TEXT_LEAVES


def test_empty_ndjson_part_may_hold_every_leaf_too(tmp_path: Path):
    whole, empty = (tmp_path / f"events_20210102_{part}.ndjson" for part in (0, 1))
    ga4.write_ndjson(whole, [EVENT])
    empty.touch()

    assert read_schema(shard(whole, empty)) == read_schema(shard(whole))


@pytest.mark.parametrize("name", ["user_pseudo_id", "user_id"])
@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (pa.float64(), 1008825.534236062, "floating-point"),
        (pa.float32(), 1.5, "floating-point"),
        (pa.decimal128(30, 10), Decimal("1008825.5342360620"), "decimal"),
    ],
    ids=str,
)
def test_ids_that_were_fractions_are_refused(tmp_path: Path, name: str, kind: pa.DataType, value: Any, said: str):
    path = ga4.write_parquet(tmp_path / "events_20210102.parquet", [{**EVENT, name: value}], with_type(name, kind))

    with pytest.raises(SourceError, match=f"holds {name} as {said} numbers"):
        read_schema(shard(path))


def test_records_that_are_no_list_are_no_parameters(tmp_path: Path):
    inner = ga4.SCHEMA.field("event_params").type.value_type
    params = {"key": "page_location", "value": {"string_value": "https://shop.example/"}}
    path = ga4.write_parquet(
        tmp_path / "events_20210102.parquet", [{**EVENT, "event_params": params}], with_type("event_params", inner)
    )

    with pytest.raises(SourceError, match=r"it lacks event_params\.key"):
        read_schema(shard(path))


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("events_20210102.ndjson", gzip.compress(b"{}", mtime=0), "gzip by its content, and JSON by its name"),
        ("events_20210102.ndjson", b"PAR1 and more", "Parquet by its content, and JSON by its name"),
        ("events_20210102.ndjson", b" \n[{}]", "one JSON list by its content, and JSON by its name"),
        ("events_20210102.json", b"<html>", "HTML or XML by its content, and JSON by its name"),
        ("events_20210102.json", "\ufeff{}".encode(), "UTF-8 with a byte order mark by its content"),
        ("events_20210102.json", "{}".encode("utf-16"), "UTF-16 by its content"),
        ("events_20210102.json", b"Obj\x01avro", "Avro by its content"),
        ("events_20210102.parquet", gzip.compress(b"PAR1", mtime=0), "gzip by its content, and Parquet by its name"),
    ],
    ids=str,
)
def test_file_that_holds_another_format_than_its_name_says_is_refused(
    tmp_path: Path, name: str, content: bytes, found: str
):
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(SourceError, match=found) as raised:
        read_schema(shard(path))
    assert str(path) in raised.value.message
    assert "damaged" not in str(raised.value)


def test_days_of_the_real_sample_share_one_schema_of_their_era(sample: Path):
    schemas = [read_schema(each) for each in list_shards(f"{sample}/ga4_sample/*.parquet", "p1")]

    assert len(schemas) == 32
    assert {each.fingerprint for each in schemas} == {schemas[0].fingerprint}
    assert sum(each.rows or 0 for each in schemas) == 1_111_755
    assert {leaf.split(".")[0] for leaf in BASIC_LEAVES - schemas[0].leaves} == {
        "batch_event_index",
        "batch_ordering_id",
        "batch_page_id",
        "collected_traffic_source",
        "session_traffic_source_last_click",
    }


def test_json_shard_taken_away_after_listing_is_a_clear_error(tmp_path: Path):
    with pytest.raises(SourceError, match=r"events_20210102\.ndjson cannot be read: No such file"):
        read_schema(shard(tmp_path / "events_20210102.ndjson"))


def test_same_shard_from_two_sources_is_refused():
    with pytest.raises(SourceError, match="Two sources of property p1 hold events_20210102"):
        choose([shard(Path("a/events_20210102.parquet")), shard(Path("b/events_20210102.parquet"))])
