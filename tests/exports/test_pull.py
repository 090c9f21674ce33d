"""Pulling an export: copies are true, made once for each state of a table, and whole or not there."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ga4
from emulator import Emulator
from faulty_proxy import Edit, FaultyProxy
from microconv.clients.bigquery_connection import Connection
from microconv.engines.duckdb import DuckDBEngine
from microconv.errors import ConfigError, EngineError, SourceError, VanishedError
from microconv.exports import BASIC_LEAVES, FileSource, OpenShard, Shard, Source, pull
from microconv.exports.pull import PulledSource
from microconv.exports.table_source import TableSource
from microconv.staging import batch_queries
from microconv.taxonomy import load_taxonomy
from storage_server import StorageServer

NAME = "events_20240301"
EVENTS = [
    *ga4.simple_day(date(2024, 3, 1)),
    ga4.event(
        "2024-03-01 20:00:00",
        "purchase",
        client='it\'s "9"`; --',
        user_id="größe\n",
        params={"value": 12.5, "currency": "EUR", "page_location": "https://shop.example/thanks?gclid=x"},
        device={"category": "mobile"},
        geo={"country": "Åland"},
        ecommerce={"purchase_revenue": 12.5, "transaction_id": "t1"},
        batch_page_id=5,
        collected_traffic_source={"manual_source": "news", "manual_medium": "email", "gclid": "x"},
    ),
    ga4.event("2024-03-01 21:00:00", "page_view", client=None, session=None),
]


@pytest.fixture
def storage(emulator: Emulator) -> Iterator[StorageServer]:
    """Google's way to read rows."""
    with StorageServer(emulator) as running:
        yield running


@pytest.fixture
def pulled(export: Any, storage: StorageServer, tmp_path: Path) -> PulledSource:
    """The export pulled through `storage`; it has one day."""
    export.put(NAME, EVENTS)
    return PulledSource(export.source(storage=storage.url), tmp_path / "cache")


def only(source: Source) -> Shard:
    (shard,) = source.shards()
    return shard


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def staged_events(*opened: OpenShard) -> list[dict[str, Any]]:
    """What staging makes of shards that one query can read."""
    rules = batch_queries.Rules(load_taxonomy(preset="ecommerce", file=None))
    query = batch_queries.events("p1", opened[0].schema, rules, is_provisional=False)
    with DuckDBEngine(Path(":memory:")) as engine:
        engine.read_shards([each.shard for each in opened], opened[0].schema)
        return sorted(engine.query(query).to_pylist(), key=str)


def written(path: Path, events: list[dict[str, Any]], schema: pa.Schema = ga4.SCHEMA) -> OpenShard:
    source = FileSource("p1", str(ga4.write_parquet(path, events, schema)))
    return source.open(only(source))


@pytest.mark.parametrize("way", ["storage", "emulator", "rest"])
def test_a_copy_is_staged_as_the_same_rows_in_files_are(export: Any, storage: StorageServer, tmp_path: Path, way: str):
    export.put(NAME, EVENTS)
    endpoint = {"storage": storage.url, "emulator": "", "rest": None}[way]
    source = PulledSource(export.source(storage=endpoint), tmp_path / "cache")

    opened = source.open(only(source))

    assert opened.rows == len(EVENTS)
    assert staged_events(opened) == staged_events(written(tmp_path / f"{NAME}.parquet", EVENTS))


@pytest.mark.parametrize("way", ["storage", "rest"])
def test_an_empty_day_has_a_copy_too(export: Any, storage: StorageServer, tmp_path: Path, way: str):
    export.put(NAME, [])
    source = PulledSource(export.source(storage=storage.url if way == "storage" else None), tmp_path / "cache")

    opened = source.open(only(source))

    assert (opened.schema.rows, staged_events(opened)) == (0, [])


def test_only_what_staging_reads_is_asked_for_and_kept(export: Any, storage: StorageServer, tmp_path: Path):
    device = pa.struct([("brand", pa.string()), ("category", pa.string()), ("model", pa.string())])
    wide = ga4.SCHEMA.set(ga4.SCHEMA.get_field_index("device"), pa.field("device", device))
    wide = wide.append(pa.field("app", pa.string()))
    export.put(NAME, [{**EVENTS[0], "device": {"brand": "b", "category": "tablet"}}], wide)
    source = PulledSource(export.source(storage=storage.url), tmp_path / "cache")

    opened = source.open(only(source))

    (asked,) = (set(each.read_session.read_options.selected_fields) for each in storage.sessions)
    assert asked == opened.schema.leaves
    schema = pq.read_schema(opened.shard.files[0])
    assert "app" not in schema.names
    assert [field.name for field in schema.field("device").type] == ["category"]
    assert staged_events(opened)[0]["device_category"] == "tablet"


def test_fields_of_items_are_pulled_when_they_are_asked_for(export: Any, storage: StorageServer, tmp_path: Path):
    item = {"item_id": "A", "item_name": "Shirt", "coupon": "C"}
    telling = {"items.item_id", "items.item_name"}
    export.put(NAME, [{**EVENTS[0], "items": [item]}])
    usual = PulledSource(export.source(storage=storage.url), tmp_path / "cache")
    asking = replace(usual, source=replace(usual.source, leaves=BASIC_LEAVES | {"items.coupon"}))
    before = usual.open(only(usual))
    assert pq.read_table(before.shard.files[0])["items"].to_pylist() == [[{"item_id": "A", "item_name": "Shirt"}]]

    opened = asking.open(only(asking))

    assert opened.schema.leaves - before.schema.leaves == {"items.coupon"}
    assert pq.read_table(opened.shard.files[0])["items"].to_pylist() == [[item]]
    asked = [set(each.read_session.read_options.selected_fields) for each in storage.sessions]
    read = [{leaf for leaf in leaves if leaf.startswith("items")} for leaves in asked]
    assert read == [telling, {*telling, "items.coupon"}]


def test_days_before_and_after_a_column_was_added_in_the_middle_are_staged(
    export: Any, storage: StorageServer, tmp_path: Path
):
    old = pa.schema([field for field in ga4.SCHEMA if field.name not in ("geo", "batch_page_id")])
    days = {"events_20240229": ([ga4.event("2024-02-29 10:00:00", "page_view")], old), NAME: (EVENTS, ga4.SCHEMA)}
    for name, (events, schema) in days.items():
        export.put(name, events, schema)
    source = PulledSource(export.source(storage=storage.url), tmp_path / "cache")

    for shard in source.shards():
        expected = written(tmp_path / f"{shard.name}.parquet", *days[shard.name])
        assert staged_events(source.open(shard)) == staged_events(expected)


def test_a_pulled_shard_keeps_the_metadata_of_its_table(pulled: PulledSource):
    shard = only(pulled)

    opened = pulled.open(shard).shard

    assert opened == replace(shard, format="parquet", files=(pulled.folder / "p1" / f"{NAME}.parquet",))
    assert (pulled.property_id, pulled.daily_cap) == ("p1", 1_000_000)


def test_a_copy_is_made_once_for_each_state_of_the_table(pulled: PulledSource, storage: StorageServer, export: Any):
    first = pulled.open(only(pulled))
    assert pulled.open(only(pulled)) == first
    assert len(storage.sessions) == 1

    export.touch(NAME)
    assert pulled.open(only(pulled)).shard.modified_at > first.shard.modified_at
    assert len(storage.sessions) == 2


@pytest.mark.parametrize("content", [b"", b"PAR1 no footer PAR1"])
def test_a_file_that_is_damaged_is_pulled_anew(pulled: PulledSource, content: bytes):
    path = pulled.folder / "p1" / f"{NAME}.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)

    assert pulled.open(only(pulled)).rows == len(EVENTS)


def test_a_shard_that_was_not_pulled_is_left_as_it_is(pulled: PulledSource):
    path = ga4.write_parquet(pulled.folder / "p1" / f"{NAME}.parquet", EVENTS[:1])
    before = path.read_bytes()

    with pytest.raises(ConfigError, match="was not pulled by microconv") as raised:
        pulled.open(only(pulled))

    assert "cache" in raised.value.hint
    assert path.read_bytes() == before


def test_a_copy_from_another_dataset_is_none(pulled: PulledSource, export: Any):
    pulled.open(only(pulled))
    elsewhere = export.another()
    elsewhere.put(NAME, EVENTS[:1])
    moved = PulledSource(elsewhere.source(), pulled.folder)

    assert moved.open(only(moved)).rows == 1


def test_row_groups_are_written_while_rows_come_in(pulled: PulledSource, monkeypatch: pytest.MonkeyPatch):
    """No more than a row group is held back, so memory does not grow with the table."""
    monkeypatch.setattr(pull, "ROW_GROUP_ROWS", 4)
    copy = pulled.open(only(pulled)).shard.files[0]

    groups = pq.ParquetFile(copy).metadata
    sizes = [groups.row_group(place).num_rows for place in range(groups.num_row_groups)]

    assert sum(sizes) == len(EVENTS)
    assert len(sizes) >= len(EVENTS) // 5  # messages have one row or two
    assert max(sizes) <= 5


def test_rows_that_are_large_make_small_row_groups(pulled: PulledSource, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pull, "ROW_GROUP_BYTES", 1)

    copy = pulled.open(only(pulled)).shard.files[0]

    assert pq.ParquetFile(copy).metadata.num_row_groups >= len(EVENTS) // 2


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    ],
)
def test_a_stream_that_breaks_is_read_on_where_it_broke(
    pulled: PulledSource, storage: StorageServer, tmp_path: Path, code: grpc.StatusCode
):
    storage.faults.extend([(2, code), (0, code), (4, code)])

    opened = pulled.open(only(pulled))

    assert len(storage.sessions) == 1
    assert {offset for _, offset in storage.reads} > {0}
    assert staged_events(opened) == staged_events(written(tmp_path / f"{NAME}.parquet", EVENTS))


def test_a_stream_that_stays_broken_leaves_no_file(pulled: PulledSource, storage: StorageServer):
    storage.faults.extend([(0, grpc.StatusCode.UNAVAILABLE)] * 100_000)

    with pytest.raises(SourceError, match=f"did not answer in time .*{NAME}"):
        pulled.open(only(pulled))
    assert files_below(pulled.folder) == []


def test_an_error_that_lasts_ends_the_other_streams_too(pulled: PulledSource, storage: StorageServer):
    storage.faults.append((2, grpc.StatusCode.PERMISSION_DENIED))

    with pytest.raises(SourceError, match="denied access"):
        pulled.open(only(pulled))
    assert files_below(pulled.folder) == []


def test_a_table_that_changes_while_it_is_read_is_pulled_again(
    pulled: PulledSource, storage: StorageServer, export: Any
):
    listed = only(pulled)
    changes = iter([EVENTS[:4], EVENTS[:5]])
    storage.on_session = lambda: [export.put(NAME, events) for events in [next(changes, None)] if events]

    opened = pulled.open(listed)

    assert (opened.rows, len(storage.sessions)) == (5, 3)
    assert replace(opened.shard, format="bigquery", files=()) == only(pulled) != listed


def test_a_table_that_does_not_stop_to_change_is_an_error(pulled: PulledSource, storage: StorageServer, export: Any):
    storage.on_session = lambda: export.touch(NAME)

    with pytest.raises(SourceError, match=r"changed each time while it was pulled \(3 times\)"):
        pulled.open(only(pulled))


def test_a_table_that_is_still_written_is_taken_as_it_was_at_one_moment(
    export: Any, storage: StorageServer, tmp_path: Path
):
    name = "events_intraday_20240301"
    export.put(name, EVENTS[:3])
    storage.on_session = lambda: export.put(name, EVENTS)
    source = PulledSource(export.source(storage=storage.url), tmp_path / "cache")
    listed = only(source)

    opened = source.open(listed)

    assert (opened.rows, opened.shard.modified_at) == (3, listed.modified_at)
    assert source.open(only(source)).rows == len(EVENTS)


@pytest.mark.parametrize("way", ["storage", "rest"])
@pytest.mark.parametrize("kind", ["daily", "intraday"])
def test_a_table_that_is_gone_has_vanished(export: Any, storage: StorageServer, tmp_path: Path, way: str, kind: Any):
    name = ga4.shard_name(date(2024, 3, 1), kind)
    export.put(name, EVENTS)
    source = PulledSource(export.source(storage=storage.url if way == "storage" else None), tmp_path / "cache")
    listed = only(source)
    export.drop(name)

    with pytest.raises(VanishedError, match=f"{name} is no longer there"):
        source.open(listed)
    assert files_below(source.folder) == []


def test_a_table_that_goes_while_it_is_read_has_vanished(pulled: PulledSource, storage: StorageServer, export: Any):
    storage.on_session = lambda: export.drop(NAME)

    with pytest.raises(VanishedError):
        pulled.open(only(pulled))
    assert files_below(pulled.folder) == []


def test_a_session_that_was_lost_is_an_error_of_the_source(pulled: PulledSource, storage: StorageServer):
    storage.on_session = storage.forget_sessions

    with pytest.raises(SourceError, match="gave up reading") as raised:
        pulled.open(only(pulled))
    assert not isinstance(raised.value, VanishedError)


def test_rows_hidden_from_the_reader_are_noticed(
    export: Any, emulator: Emulator, storage: StorageServer, tmp_path: Path
):
    export.put(NAME, EVENTS)

    def one_more(answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "numRows": str(len(EVENTS) + 1)}

    with FaultyProxy(emulator.rest_url, lambda call: Edit(one_more) if call.path.endswith(NAME) else None) as proxy:
        source = PulledSource(export.source(api=proxy.url, storage=storage.url), tmp_path / "cache")

        with pytest.raises(SourceError, match=f"has {len(EVENTS) + 1} rows by its metadata, but {len(EVENTS)}"):
            source.open(only(source))
    assert files_below(source.folder) == []


def test_copies_of_shards_that_are_gone_are_kept(pulled: PulledSource, export: Any):
    copy = pulled.open(only(pulled)).shard.files[0]
    export.put("events_20240302", EVENTS[:1])
    export.drop(NAME)

    pulled.open(only(pulled))

    assert copy.exists()


def test_a_shard_that_is_none_is_refused_before_it_is_pulled(export: Any, storage: StorageServer, tmp_path: Path):
    export.put(NAME, EVENTS, pa.schema([field for field in ga4.SCHEMA if field.name != "event_params"]))
    source = PulledSource(export.source(storage=storage.url), tmp_path / "cache")

    with pytest.raises(SourceError, match="is not a GA4 event shard"):
        source.open(only(source))
    assert storage.sessions == []


def test_a_folder_that_cannot_be_written_is_named(pulled: PulledSource, tmp_path: Path):
    (tmp_path / "cache").write_text("a file is in the way")

    with pytest.raises(EngineError, match="cannot be written") as raised:
        pulled.open(only(pulled))
    assert str(tmp_path / "cache") in raised.value.message


def test_bytes_to_open_are_what_bigquery_would_read(pulled: PulledSource, export: Any):
    shard = only(pulled)
    rest = PulledSource(export.source(storage=None), pulled.folder)

    assert pulled.bytes_to_open(shard) == 1234
    assert rest.bytes_to_open(shard) == shard.bytes
    pulled.open(shard)
    assert pulled.bytes_to_open(shard) == 0
    export.drop(NAME)
    with pytest.raises(VanishedError):
        pulled.bytes_to_open(replace(shard, bytes=1))


@pytest.mark.parametrize(
    "names",
    [("shop", "Shop", "SHOP!"), ("a/b", "a_b", "a\\b"), ("..", ".", "'", '"'), ("größe", "gr\u00f6ße ", "x" * 300)],
)
def test_properties_have_folders_of_their_own(names: tuple[str, ...], tmp_path: Path):
    shard = Shard("", "daily", date(2024, 3, 1), "bigquery", (), datetime(2024, 3, 5, tzinfo=UTC), 0)
    connection = Connection("p")

    paths = [PulledSource(TableSource(name, connection, "p", "d"), tmp_path).path(shard) for name in names]

    assert len({str(path).lower() for path in paths}) == len(names)
    assert {path.parent.parent for path in paths} == {tmp_path}
    for path in paths:
        path.parent.mkdir()


KILLED_WHILE_PULLING = """
import os, signal, sys
from pathlib import Path
from microconv.clients.bigquery_connection import Connection, Endpoints
from microconv.exports import pull
from microconv.exports.pull import PulledSource
from microconv.exports.table_source import TableSource
project, dataset, api, storage, folder = sys.argv[1:]
pull.ROW_GROUP_ROWS = 1
add = pull._RowGroups.add
def add_until_killed(groups, batch):
    add(groups, batch)
    if groups.rows >= 6:
        os.kill(os.getpid(), signal.SIGKILL)
pull._RowGroups.add = add_until_killed
connection = Connection(project, endpoints=Endpoints(api, storage, is_anonymous=True))
source = PulledSource(TableSource("p1", connection, project, dataset), Path(folder))
source.open(*source.shards())
"""


def test_a_kill_leaves_nothing_that_could_be_taken_for_a_copy(
    pulled: PulledSource, storage: StorageServer, export: Any, emulator: Emulator
):
    where = [export.project, export.dataset, emulator.rest_url, storage.url, str(pulled.folder)]

    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_PULLING, *where], check=False, timeout=60)

    assert killed.returncode == -signal.SIGKILL
    (leftover,) = files_below(pulled.folder)
    assert leftover.endswith(".partial")
    assert pulled.open(only(pulled)).rows == len(EVENTS)
    assert files_below(pulled.folder) == [f"p1/{NAME}.parquet"]
