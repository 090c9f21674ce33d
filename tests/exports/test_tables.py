"""An export as tables: which of them are shards, and what their metadata tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from google.cloud import bigquery

import ga4
from faulty_proxy import Edit, FaultyProxy, Refuse
from microconv.errors import MicroconvError, SourceError, VanishedError
from microconv.exports import BASIC_LEAVES, REQUIRED_LEAVES, TEXT_LEAVES, Shard, table_source

EVENT = ga4.event("2024-03-01 10:00:00", "page_view")
NAME = "events_20240301"


def only(source: table_source.TableSource) -> Shard:
    (shard,) = source.shards()
    return shard


def with_field(column: str, name: str, kind: pa.DataType) -> pa.Schema:
    place = ga4.SCHEMA.get_field_index(column)
    return ga4.SCHEMA.set(place, pa.field(column, pa.struct([(name, kind), *ga4.SCHEMA.field(place).type])))


def view_of(export: Any, name: str, query: str, *, legacy: bool = False) -> None:
    view = bigquery.Table(export.place(name))
    view.view_query = query
    view.view_use_legacy_sql = legacy
    export.client.create_table(view)


def test_shards_are_told_from_other_tables_by_name_and_sorted_by_day_and_kind(export: Any):
    shards = ["events_20240301", "events_20240302", "events_fresh_20240302", "events_intraday_20240302"]
    others = ["users_20240301", "pseudonymous_users_20240301", "events_20240301_copy", "copy_of_events_20240301"]
    for name in [*reversed(shards), *others, "events_20240230", "events_2024030", "EVENTS_20240305", "events"]:
        export.client.create_table(bigquery.Table(export.place(name), [bigquery.SchemaField("event_date", "STRING")]))

    source = export.source()
    found = source.shards()

    assert [shard.name for shard in found] == shards
    assert [shard.kind for shard in found] == ["daily", "daily", "fresh", "intraday"]
    assert {(shard.property_id, shard.format, shard.files) for shard in found} == {("p1", "bigquery", ())}
    assert found[0].place == export.place("events_20240301")
    assert {each.place.rpartition(".")[2]: each.reason for each in source.passed_over()} == {
        "events_20240301_copy": "a second copy, by its name",
        "copy_of_events_20240301": "a second copy, by its name",
        "events_20240230": "20240230 is not a day of the calendar",
        "events_2024030": "the name does not begin with events_ and eight digits",
        "EVENTS_20240305": "the name is not in small letters",
        "events": "it may hold all days: make a view for each day, named events_YYYYMMDD",
    }


def test_view_stands_in_place_of_a_table(export: Any):
    export.put("raw", [EVENT])
    view_of(export, NAME, f"SELECT * FROM `{export.place('raw')}`")
    source = replace(export.source(), now=lambda: datetime(2024, 3, 2, 15, tzinfo=UTC))

    shard = only(source)
    opened = source.open(shard)

    assert shard.table is not None
    assert (shard.name, shard.kind, shard.table.is_view, opened.schema.rows) == (NAME, "daily", True, None)
    assert set(REQUIRED_LEAVES) <= opened.schema.leaves


class Dated:
    """Metadata of a view that was defined long ago, or after its day."""

    def __init__(self, modified: datetime) -> None:
        self.modified = modified


@pytest.mark.parametrize(
    ("now", "defined", "expected"),
    [
        (datetime(2024, 3, 2, 15, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 3, 2, tzinfo=UTC)),
        (datetime(2024, 3, 2, 23, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 3, 2, tzinfo=UTC)),
        (datetime(2024, 3, 4, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 3, 4, tzinfo=UTC)),
        (datetime(2025, 3, 4, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 3, 5, tzinfo=UTC)),
        (datetime(2025, 3, 4, 1, tzinfo=UTC), datetime(2024, 9, 1, 7, tzinfo=UTC), datetime(2024, 9, 1, 7, tzinfo=UTC)),
    ],
    ids=str,
)
def test_view_changes_once_a_date_until_its_day_is_settled_and_when_it_is_redefined(
    export: Any, now: datetime, defined: datetime, expected: datetime
):
    source = replace(export.source(), now=lambda: now)

    assert source._seen_at(Dated(defined), date(2024, 3, 1)) == expected


def test_columns_of_another_shape_or_fractional_ids_are_refused(export: Any):
    fields = [
        bigquery.SchemaField("event_date", "STRING"),
        bigquery.SchemaField("event_timestamp", "INT64"),
        bigquery.SchemaField("event_name", "STRING"),
        bigquery.SchemaField("user_pseudo_id", "STRING"),
    ]
    params = [bigquery.SchemaField("key", "STRING")]
    record = bigquery.SchemaField("event_params", "RECORD", fields=params)
    repeated = bigquery.SchemaField("event_params", "RECORD", mode="REPEATED", fields=params)
    number = bigquery.SchemaField("user_id", "FLOAT64")
    export.client.create_table(bigquery.Table(export.place("events_20240301"), [*fields, record]))
    export.client.create_table(bigquery.Table(export.place("events_20240302"), [*fields, repeated, number]))
    export.client.create_table(bigquery.Table(export.place("events_20240303"), [*fields, repeated]))
    source = export.source()
    one_record, fraction, good = source.shards()

    with pytest.raises(SourceError, match=r"it lacks event_params\.key"):
        source.open(one_record)
    with pytest.raises(SourceError, match="events_20240302 holds user_id as FLOAT"):
        source.open(fraction)
    assert source.open(good).schema.rows == 0


def test_metadata_are_read_for_the_days_asked_only(export: Any, emulator: Any):
    for day in range(1, 6):
        export.client.create_table(bigquery.Table(export.place(f"events_2024030{day}")))
    with FaultyProxy(emulator.rest_url) as proxy:
        source = export.source(api=proxy.url)

        found = source.shards(date(2024, 3, 2), date(2024, 3, 4))

        assert [shard.day.day for shard in found] == [2, 3, 4]
        assert sorted(call.path[-1] for call in proxy.calls if "/tables/" in call.path) == ["2", "3", "4"]
    assert [shard.day.day for shard in export.source().shards(since=date(2024, 3, 5))] == [5]
    assert [shard.day.day for shard in export.source().shards(until=date(2024, 3, 1))] == [1]


def test_every_page_of_the_list_is_read(export: Any, emulator: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(table_source, "_PAGE_TABLES", 2)
    for day in range(1, 6):
        export.client.create_table(bigquery.Table(export.place(f"events_2024030{day}")))
    with FaultyProxy(emulator.rest_url) as proxy:
        assert len(export.source(api=proxy.url).shards()) == 5
        assert len(proxy.calls_to("GET", "/tables")) == 3


def test_a_shard_has_the_time_size_and_rows_of_its_table(export: Any):
    export.put(NAME, [EVENT] * 3)
    table = export.client.get_table(export.place(NAME))

    shard = only(export.source())

    assert (shard.modified_at, shard.bytes, shard.table and shard.table.schema.rows) == (
        table.modified,
        table.num_bytes,
        3,
    )


def test_schema_lists_the_leaves_the_table_has(export: Any):
    export.put(NAME, [EVENT], with_field("device", "brand", pa.string()))
    shard = only(export.source())

    opened = export.source().open(shard)

    assert opened.shard == shard
    assert opened.schema.leaves == {
        leaf
        for leaf in BASIC_LEAVES
        if not leaf.startswith(("session_traffic", "ecommerce.purchase_revenue_in_usd", "platform", "app_info"))
    } - {f"items.{name}" for name in ("item_variant", "quantity", "price", "promotion_id", "promotion_name")}
    assert opened.schema.texts == opened.schema.leaves & TEXT_LEAVES


def test_column_of_another_type_than_text_is_not_taken_for_text(export: Any):
    export.put(NAME, [EVENT], ga4.SCHEMA.set(ga4.SCHEMA.get_field_index("user_id"), pa.field("user_id", pa.int64())))

    schema = export.source().open(only(export.source())).schema

    assert "user_id" in schema.leaves
    assert schema.texts == schema.leaves & TEXT_LEAVES - {"user_id"}


def test_fingerprint_follows_whole_columns_that_are_read_and_no_others(export: Any):
    grown_in_the_middle = with_field("geo", "city", pa.string())
    schemas = [
        ga4.SCHEMA,
        ga4.SCHEMA.append(pa.field("publisher", pa.string())),
        grown_in_the_middle,
        pa.schema([field for field in ga4.SCHEMA if field.name != "user_id"]),
        ga4.SCHEMA.set(ga4.SCHEMA.get_field_index("user_id"), pa.field("user_id", pa.int64())),
    ]
    for day, schema in enumerate(schemas, start=1):
        export.put(f"events_2024030{day}", [EVENT], schema)

    first, unknown_column, *others = [shard.table.schema.fingerprint for shard in export.source().shards()]

    assert unknown_column == first
    assert len({first, *others}) == 4


def test_items_are_always_read_by_what_tells_two_events_apart(export: Any):
    without_items = pa.schema([field for field in ga4.SCHEMA if field.name != "items"])
    export.put("events_20240301", [EVENT], without_items)
    export.put("events_20240302", [EVENT])

    old, new = [shard.table.schema for shard in export.source().shards()]

    assert new.leaves - old.leaves == {"items.item_id", "items.item_name"}
    assert new.fingerprint != old.fingerprint


def test_other_fields_of_items_are_read_when_they_are_asked_for_and_only_then(export: Any):
    without_coupon = pa.list_(pa.struct([("item_id", pa.string()), ("item_name", pa.string())]))
    place = ga4.SCHEMA.get_field_index("items")
    export.put("events_20240301", [EVENT], ga4.SCHEMA.set(place, pa.field("items", without_coupon)))
    export.put("events_20240302", [EVENT])
    usual = [shard.table.schema for shard in export.source().shards()]
    asking = replace(export.source(), leaves=BASIC_LEAVES | {"items.coupon", "items.item_brand"})

    old, new = [shard.table.schema for shard in asking.shards()]

    assert new.leaves - usual[1].leaves == {"items.coupon"}
    assert old.leaves == usual[0].leaves == usual[1].leaves


def test_rows_of_a_table_that_is_still_written_are_unknown(export: Any, emulator: Any):
    export.put("events_intraday_20240301", [EVENT])
    export.put("events_20240229", [EVENT])

    def streaming(answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "streamingBuffer": {"estimatedRows": "7"}}

    with FaultyProxy(emulator.rest_url, lambda call: Edit(streaming) if "/events_2" in call.path else None) as proxy:
        daily, intraday = export.source(api=proxy.url).shards()

    assert (daily.table.schema.rows, intraday.table.schema.rows) == (None, None)


@pytest.mark.parametrize("missing", sorted({leaf.partition(".")[0] for leaf in REQUIRED_LEAVES}))
def test_a_table_without_what_nothing_works_without_stops_its_own_day_only(export: Any, missing: str):
    export.put(NAME, [EVENT], pa.schema([field for field in ga4.SCHEMA if field.name != missing]))
    export.put("events_20240302", [EVENT])
    source = export.source()

    broken, whole = source.shards()

    assert source.open(whole).schema.rows == 1
    with pytest.raises(SourceError, match=f"{NAME} is not a GA4 event shard: it lacks {missing}"):
        source.open(broken)


def test_client_ids_that_are_numbers_are_refused(export: Any):
    numeric = ga4.SCHEMA.set(ga4.SCHEMA.get_field_index("user_pseudo_id"), pa.field("user_pseudo_id", pa.float64()))
    export.put(NAME, [{**EVENT, "user_pseudo_id": 1.5}], numeric)
    source = export.source()

    with pytest.raises(SourceError, match="it lacks user_pseudo_id") as raised:
        source.open(only(source))
    assert "user_pseudo_id as STRING" in raised.value.hint


def test_a_table_that_vanishes_after_the_list_is_left_out(export: Any, emulator: Any):
    export.put(NAME, [EVENT])
    export.put("events_intraday_20240302", [EVENT])

    def drop(answer: dict[str, Any]) -> dict[str, Any]:
        export.drop("events_intraday_20240302")
        return answer

    with FaultyProxy(emulator.rest_url, lambda call: Edit(drop) if call.path.endswith("/tables") else None) as proxy:
        assert only(export.source(api=proxy.url)).name == NAME


def test_calls_that_fail_now_and_then_do_not_show(export: Any, emulator: Any):
    export.put(NAME, [EVENT])
    with FaultyProxy(emulator.rest_url, lambda call: Refuse(503) if call.nth == 1 else None) as proxy:
        assert only(export.source(api=proxy.url)).name == NAME


def test_refresh_tells_whether_a_table_changed_or_vanished(export: Any):
    export.put(NAME, [EVENT])
    source = export.source()
    before = only(source)

    assert source.refresh(before) == before
    export.put(NAME, [EVENT] * 2)
    after = source.refresh(before)
    assert (after.modified_at > before.modified_at, after.table and after.table.schema.rows) == (True, 2)
    export.drop(NAME)
    with pytest.raises(VanishedError, match=f"{NAME} is no longer there"):
        source.refresh(before)


def test_a_dataset_without_shards_is_a_clear_error(export: Any):
    export.client.create_table(bigquery.Table(export.place("users_20240301")))

    with pytest.raises(SourceError, match=r"holds no GA4 export \(1 tables, none of them a shard\)") as raised:
        export.source().shards()
    assert f"{export.project}.{export.dataset}" in raised.value.message


@pytest.mark.parametrize("name", ["analytics_1", "it's", 'a"b`c', "a\nb; --", "größe"])
def test_a_dataset_that_is_not_there_is_named(export: Any, name: str):
    with pytest.raises(SourceError) as raised:
        export.source(dataset=name).shards()
    assert name in raised.value.message
    assert "`dataset` under [[sources]]" in raised.value.hint


def test_access_denied_is_an_error_of_the_source(export: Any, emulator: Any):
    with (
        FaultyProxy(emulator.rest_url, lambda _: Refuse(403, "accessDenied")) as proxy,
        pytest.raises(MicroconvError, match="denied access"),
    ):
        export.source(api=proxy.url).shards()
