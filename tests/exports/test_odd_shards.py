"""Shards that are empty, or hold what GA4 does not write: read right, or refused in words that say what is wrong."""

from __future__ import annotations

import gzip
import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import ga4
from commands import FIRST_DAY, shard, write_days
from microconv.config.load import load_config
from microconv.errors import SourceError
from microconv.exports import BASIC_LEAVES, FileSource, columns_of
from microconv.project import Project
from microconv.staging import SyncResult
from projects import write_config

DAY = date(2024, 3, 2)
AT = "2024-03-02 10:00:00"


def event(**fields: Any) -> dict[str, Any]:
    """One event of the day."""
    return {**ga4.event(AT, "page_view", params={"page_location": "https://shop.example/"}), **fields}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with one good day, the one before."""
    write_config(tmp_path)
    ga4.write_ndjson(shard(tmp_path, FIRST_DAY, ".ndjson"), ga4.simple_day(FIRST_DAY))
    return tmp_path


def write_lines(path: Path, *rows: dict[str, Any] | str) -> Path:
    """Write JSON as it is: `ga4.write_ndjson` would write numbers as text."""
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def staged(folder: Path, what: str) -> list[tuple[Any, ...]]:
    """What the staged tables hold of the day."""
    with duckdb.connect(str(folder / "microconv.duckdb"), read_only=True) as database:
        return database.sql(f"SELECT {what} FROM mc_events WHERE event_date = '{DAY}' ORDER BY ALL").fetchall()


def sync(folder: Path) -> SyncResult:
    """Run a sync in this process."""
    with Project(load_config(folder / "microconv.toml", {})) as project:
        return project.sync()


def refused(folder: Path, path: Path, *parts: str) -> str:
    """Hold a sync to it: the file is named with what is wrong, and the other day is staged."""
    with pytest.raises(SourceError) as raised:
        sync(folder)
    said = str(raised.value)
    for part in (str(path), "1 other changed day was staged", *parts):
        assert part in said
    assert staged(folder, "1") == []
    return said


# Empty shards


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("events_intraday_20240302.ndjson", b""),
        ("events_20240302.ndjson", b""),
        ("events_20240302.ndjson", b"\n\n"),
        ("events_20240302.json.gz", b""),
        ("events_20240302.ndjson.gz", gzip.compress(b"", mtime=0)),
        ("events_20240302_000000000000.json", b""),
    ],
    ids=str,
)
def test_empty_shard_is_an_empty_day(folder: Path, name: str, content: bytes):
    (folder / "exports" / name).write_bytes(content)

    assert sync(folder).shards == {"seen": 2, "staged": 2, "skipped": 0}
    assert staged(folder, "1") == []
    assert sync(folder).shards["staged"] == 0


def test_parquet_without_rows_is_an_empty_day(folder: Path):
    ga4.write_parquet(shard(folder, DAY), [])

    assert sync(folder).shards["staged"] == 2


def test_empty_part_beside_full_ones_is_read_as_nothing(folder: Path):
    ga4.write_ndjson(folder / "exports" / "events_20240302_000000000000.json", [event()])
    (folder / "exports" / "events_20240302_000000000001.json").touch()

    sync(folder)
    assert staged(folder, "event_name") == [("page_view",)]


def test_daily_shard_without_events_is_a_finding(folder: Path):
    shard(folder, DAY, ".ndjson").touch()
    (folder / "exports" / "events_intraday_20240303.ndjson").touch()

    (finding,) = [each for each in sync(folder).findings if each.check == "empty_shards"]

    assert finding.severity == "warning"
    assert "1 of 3 days has a daily shard without a single event: 2024-03-02" in finding.message


def test_file_that_lost_all_its_bytes_does_not_replace_the_staged_day(folder: Path):
    path = ga4.write_ndjson(shard(folder, DAY, ".ndjson"), [event()])
    sync(folder)
    path.write_bytes(b"")

    with pytest.raises(SourceError, match="is empty, but events of 2024-03-02 are staged"):
        sync(folder)

    assert staged(folder, "event_name") == [("page_view",)]
    path.unlink()
    sync(folder)
    assert staged(folder, "event_name") == [("page_view",)]


def test_empty_file_that_is_touched_stays_an_empty_day(folder: Path):
    path = shard(folder, DAY, ".ndjson")
    path.touch()
    sync(folder)
    os.utime(path, (1, 1))

    assert sync(folder).shards["staged"] == 1


# Ids that are numbers


@pytest.mark.parametrize("name", ["user_pseudo_id", "user_id"])
@pytest.mark.parametrize("value", [1008825.53423606201, 1.0, "1e3", True, {"a": 1}, ["1"]], ids=str)
def test_id_that_json_does_not_hold_as_text_is_refused(folder: Path, name: str, value: Any):
    line = json.dumps(event(**{name: "ID"})).replace('"ID"', value if isinstance(value, str) else json.dumps(value))
    path = write_lines(shard(folder, DAY, ".ndjson"), event(), line)

    refused(folder, path, f"holds {name} as a JSON number or as another type than text", "Write it as a string")


def test_transaction_id_that_is_a_fraction_is_refused(folder: Path):
    path = write_lines(shard(folder, DAY, ".ndjson"), event(ecommerce={"transaction_id": 1008825.53423606201}))

    refused(folder, path, "holds ecommerce.transaction_id as a JSON number")


def test_ids_that_are_whole_numbers_are_read_to_the_last_digit(folder: Path):
    ids = [12345678901234567890123, 12345678901234567890124, 9007199254740993, 9007199254740992, -5]
    write_lines(
        shard(folder, DAY, ".ndjson"),
        *(event(user_pseudo_id=each, user_id=each, ecommerce={"transaction_id": each}) for each in ids),
    )

    sync(folder)
    rows = staged(folder, "user_pseudo_id, user_id, transaction_id, COUNT(DISTINCT client_key) OVER ()")
    assert rows == sorted((str(each), str(each), str(each), len(ids)) for each in ids)


def test_ids_that_are_text_are_read_as_they_are(folder: Path):
    ids = ["1008825.5342360620", "1008825.534236062", 'a"b\\c', "é尺", "007"]
    write_lines(shard(folder, DAY, ".ndjson"), *(event(user_pseudo_id=each, user_id=each) for each in ids))

    sync(folder)
    assert staged(folder, "user_pseudo_id, user_id") == sorted((each, each) for each in ids)


# Values of other types and units


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"event_timestamp": "9223372036854775807"},
            "an event_timestamp is too far from today: it counts microseconds",
        ),
        ({"event_timestamp": f"{ga4.microseconds(AT) * 1000}"}, "an event_timestamp is too far from today"),
        ({"event_timestamp": f"{ga4.microseconds(AT) // 1000}"}, "event_timestamp counts milliseconds"),
        ({"event_timestamp": f"{ga4.microseconds(AT) // 1_000_000}"}, "event_timestamp counts seconds"),
        ({"event_timestamp": AT}, "event_timestamp is not of the type that GA4 exports (line 1): expected are whole"),
        ({"event_timestamp": "99999999999999999999"}, "event_timestamp is not of the type that GA4 exports"),
        ({"event_date": "2024-03-02"}, "an event_date is not eight digits (YYYYMMDD)"),
        (
            {"event_params": {"page_location": "x"}},
            "event_params is not of the type that GA4 exports (line 1): expected",
        ),
        ({"event_params": [{"key": "k", "value": {"int_value": "abc"}}]}, "event_params is not of the type"),
    ],
    ids=str,
)
def test_value_that_ga4_does_not_write_is_named_and_not_called_damage(folder: Path, fields: dict[str, Any], said: str):
    path = write_lines(shard(folder, DAY, ".ndjson"), event(**fields))

    assert "is damaged" not in refused(folder, path, said)


def test_column_of_parquet_that_cannot_be_cast_is_named(folder: Path):
    place = ga4.SCHEMA.get_field_index("batch_page_id")
    schema = ga4.SCHEMA.set(place, pa.field("batch_page_id", pa.string()))
    path = ga4.write_parquet(shard(folder, DAY), [event(batch_page_id="ann@example.com")], schema)

    assert "ann@example.com" not in refused(folder, path, "batch_page_id is not of the type that GA4 exports")


def test_cut_off_file_is_still_called_damaged(folder: Path):
    path = ga4.write_ndjson(shard(folder, DAY, ".ndjson.gz"), [event()] * 500)
    path.write_bytes(path.read_bytes()[:-30])

    refused(folder, path, "cannot be read", "The file is damaged: export or copy it again")


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_json_cut_off_anywhere_in_its_last_line_is_refused(folder: Path, cut: int):
    whole = ga4.write_ndjson(shard(folder, DAY, ".ndjson"), [event(), event(event_name="b")])
    first, last = whole.read_bytes().splitlines(keepends=True)
    whole.write_bytes(first + last[:cut])

    refused(folder, whole, "its last line is not whole", "cut off or damaged: export or copy it again")


def test_several_bad_days_get_the_advice_of_each(folder: Path):
    write_lines(shard(folder, DAY, ".ndjson"), event(event_date="2024-03-02"))
    shard(folder, date(2024, 3, 3), ".ndjson").write_text("{]\n{}")

    with pytest.raises(SourceError, match=r"2 days could not .*eight digits.*Malformed JSON") as raised:
        sync(folder)

    assert "Correct these days as said" in raised.value.hint


def test_ids_cost_no_column_that_a_shard_lacks(tmp_path: Path):
    path = write_lines(tmp_path / "events_20240302.ndjson", {"event_date": "20240302", "event_name": "x"})
    source = FileSource("p1", str(path))
    with Project(load_config(write_config(tmp_path), {})) as project:
        (found,) = source.shards()
        project.engine.read_shards([found], source.open(found).schema)
        (row,) = project.engine._connection.sql("SELECT * FROM raw_events").fetchall()
    assert [value for value in row if value is not None] == ["20240302", "x"]
    assert len(row) == len(columns_of(BASIC_LEAVES))


def test_error_of_a_batch_names_the_one_shard(tmp_path: Path):
    write_config(tmp_path)
    write_days(tmp_path, 3)
    place = ga4.SCHEMA.get_field_index("event_date")
    schema = ga4.SCHEMA.set(place, pa.field("event_date", pa.string()))
    path = ga4.write_parquet(shard(tmp_path, DAY), [event(event_date="yesterday")], schema)
    with Project(load_config(tmp_path / "microconv.toml", {})) as project, pytest.raises(SourceError) as raised:
        project.sync()
    assert raised.value.message.startswith(f"{path} cannot be read: an event_date is not eight digits")
    assert "2 other changed days were staged" in raised.value.message
