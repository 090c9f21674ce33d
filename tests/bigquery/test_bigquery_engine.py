"""The engine on BigQuery: types in and out, tables, shards, all-or-nothing writing, errors that say what to do."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import NotFound
from google.cloud import bigquery

import ga4
import many_rows
from emulator import Emulator
from export_tables import load_shard
from faulty_proxy import FaultyProxy
from microconv.clients.bigquery_connection import Connection
from microconv.engines.base import AddRows, Change, DeleteDays, DeleteKeys, InsertScratch, PutRow
from microconv.engines.bigquery import BigQueryEngine
from microconv.engines.bigquery.changes import MOST_BYTES
from microconv.engines.bigquery.jobs import PAGE_ROWS
from microconv.engines.duckdb import DuckDBEngine
from microconv.engines.tables import Column, Table
from microconv.errors import EngineError, LockedError, SourceError, VanishedError
from microconv.exports import RAW_COLUMNS, RAW_LEAVES, ShardSchema, list_shards, read_schema
from microconv.queries.templates import Query
from microconv.staging import batch_queries
from microconv.staging.mc_tables import EVENTS
from microconv.taxonomy import load_taxonomy

VISITS = Table(
    "visits",
    "Visits of a property.",
    ("property", "visit"),
    (
        Column("property", "STRING", "the property"),
        Column("event_date", "DATE", "its day"),
        Column("visit", "INT64", "the visit"),
        Column("events", "INT64", "its events"),
    ),
    partition="event_date",
    cluster=("property", "visit"),
)
FIRST, SECOND = date(2024, 3, 1), date(2024, 3, 2)
RULES = batch_queries.Rules(load_taxonomy(preset="ecommerce", file=None))
NEW_ROWS = (
    "SELECT 'p1' AS property, DATE '2024-03-01' AS event_date, n AS visit, n * 10 AS events, 'x' AS unknown "
    "FROM UNNEST([1, 2]) AS n"
)


def sql(text: str, /, **params: tuple[str, Any]) -> Query:
    return Query(name="tests/query", sql=text, params=params)


def put(engine: BigQueryEngine, *rows: tuple[str, date, int, int]) -> None:
    engine.ensure(VISITS)
    engine.apply([PutRow(VISITS, dict(zip(VISITS.column_names, row, strict=True))) for row in rows])


def visits(engine: BigQueryEngine) -> list[tuple[Any, ...]]:
    found = engine.query(sql("SELECT v.property, v.event_date, v.visit, v.events FROM visits AS v ORDER BY v.visit"))
    return [tuple(row.values()) for row in found.to_pylist()]


def test_many_rows_are_added_with_the_types_of_the_table(engine: BigQueryEngine, proxy: FaultyProxy):
    engine.ensure(many_rows.TABLE)

    engine.apply([AddRows(many_rows.TABLE, many_rows.ROWS)])

    found = engine.query(many_rows.QUERY)
    assert found.schema.types == many_rows.TYPES
    assert found.to_pylist() == many_rows.EXPECTED
    assert max(len(str(call.json())) for call in proxy.calls_to("POST", "/jobs")) < MOST_BYTES / 5


def test_rows_that_are_all_alike_are_as_many_as_given(engine: BigQueryEngine):
    engine.ensure(VISITS)

    engine.apply([AddRows(VISITS, ()), AddRows(VISITS, ({"property": "p1", "visit": 7},) * 3)])

    assert visits(engine) == [("p1", None, 7, None)] * 3


def test_more_rows_than_a_request_takes_are_refused_before_it_is_made(engine: BigQueryEngine, proxy: FaultyProxy):
    engine.ensure(VISITS)
    rows = tuple({"property": f"{number}" * 1000, "visit": number} for number in range(5000))

    with pytest.raises(EngineError, match=r"5,000 rows for visits are .* MiB; BigQuery takes 9\.1 MiB at once"):
        engine.apply([AddRows(VISITS, rows)])
    assert proxy.calls_to("POST", "/jobs") == []


def table_names(client: bigquery.Client, dataset: str) -> set[str]:
    return {table.table_id for table in client.list_tables(dataset)}


@pytest.fixture
def run(engine: BigQueryEngine) -> BigQueryEngine:
    """An engine within a run."""
    engine.begin("20240305T120000Z-abc", "host:1")
    return engine


@pytest.fixture
def export(emulator: Emulator) -> str:
    return emulator.dataset()


def test_parameters_and_results_have_the_types_that_duckdb_gives(engine: BigQueryEngine, tmp_path: Path):
    query = sql(
        "SELECT @text AS text, @nothing AS nothing, @small AS small, @ratio AS ratio, @flag AS flag, @day AS day, "
        "@moment AS moment, 'x' IN UNNEST(@no_texts) AS is_in_none, ARRAY_LENGTH(@no_texts) AS length, "
        "DATE '2024-03-02' IN UNNEST(@days) AS is_in_days, (SELECT SUM(n) FROM UNNEST(@numbers) AS n) AS total, "
        "@no_day AS no_day, @no_moment AS no_moment, @no_flag AS no_flag, @no_text AS no_text",
        text=("STRING", 'it\'s `a`\n"b" -- ü; \\'),
        nothing=("FLOAT64", None),
        small=("INT64", -(2**63)),
        ratio=("FLOAT64", 2),
        flag=("BOOL", True),
        day=("DATE", FIRST),
        moment=("TIMESTAMP", datetime(2024, 3, 1, 23, 30, 0, 1, tzinfo=UTC)),
        no_texts=("ARRAY<STRING>", []),
        days=("ARRAY<DATE>", [FIRST, SECOND]),
        numbers=("ARRAY<INT64>", [2**53, 1]),
        no_day=("DATE", None),
        no_moment=("TIMESTAMP", None),
        no_flag=("BOOL", None),
        no_text=("STRING", None),
    )
    with DuckDBEngine(tmp_path / "test.duckdb") as embedded:
        expected = embedded.query(query)

    found = engine.query(query)

    assert [str(kind) for kind in found.schema.types] == [str(kind) for kind in expected.schema.types]
    assert found.to_pylist() == expected.to_pylist()


def test_a_large_result_comes_through_either_api_in_the_order_asked_for(
    open_engine: Callable[..., BigQueryEngine], connect: Callable[..., Connection]
):
    query = sql(
        "SELECT n, CAST(n AS STRING) AS s, n / 2 AS half, n > 5 AS flag, DATE '2024-03-01' AS day, "
        f"TIMESTAMP_MICROS(n) AS moment, NULLIF(n, 7) AS gap FROM UNNEST(GENERATE_ARRAY(1, {2 * PAGE_ROWS})) AS n "
        "ORDER BY n DESC"
    )

    by_storage, by_rest = open_engine().query(query), open_engine(connect(storage=None)).query(query)

    assert by_storage.num_rows == 2 * PAGE_ROWS
    assert by_storage.equals(by_rest)
    assert by_storage["n"][0].as_py() == 2 * PAGE_ROWS
    assert by_storage["gap"].null_count == 1


def test_where_the_storage_api_refuses_rows_come_through_rest(
    open_engine: Callable[..., BigQueryEngine], connect: Callable[..., Connection]
):
    nobody_listens = connect(storage="http://127.0.0.1:1")

    found = open_engine(nobody_listens).query(sql(f"SELECT n FROM UNNEST(GENERATE_ARRAY(1, {2 * PAGE_ROWS})) AS n"))

    assert found.num_rows == 2 * PAGE_ROWS


def test_a_result_without_rows_has_its_columns(engine: BigQueryEngine):
    found = engine.query(sql("SELECT n AS a, 'x' AS b FROM UNNEST([1]) AS n WHERE n > 1"))

    assert {field.name: str(field.type) for field in found.schema} == {"a": "int64", "b": "string"}


def test_tables_are_made_as_described(engine: BigQueryEngine, client: bigquery.Client, dataset: str):
    engine.ensure(VISITS, [Column("carried", "FLOAT64", "a parameter")])

    made = client.get_table(f"{dataset}.visits")
    assert [(column.name, column.field_type, column.description) for column in made.schema] == [
        ("property", "STRING", "the property"),
        ("event_date", "DATE", "its day"),
        ("visit", "INTEGER", "the visit"),
        ("events", "INTEGER", "its events"),
        ("carried", "FLOAT", "a parameter"),
    ]
    assert made.description == "Visits of a property."
    assert made.labels == {"app": "microconv", "microconv_schema": "1"}
    assert (made.time_partitioning.type_, made.time_partitioning.field) == ("DAY", "event_date")
    assert made.clustering_fields == ["property", "visit"]
    assert made.expires is None
    assert client.get_dataset(dataset).labels == {"app": "microconv"}


def test_a_table_gets_the_columns_and_the_version_that_it_lacks(
    engine: BigQueryEngine, client: bigquery.Client, dataset: str
):
    put(engine, ("p1", FIRST, 1, 10))
    newer = Table(**{**vars(VISITS), "columns": (*VISITS.columns, Column("page", "STRING", "a page")), "version": 3})

    engine.ensure(newer, [Column("carried", "INT64", "a parameter")])
    engine.ensure(newer)

    assert engine.version("visits") == 3
    assert [column.name for column in client.get_table(f"{dataset}.visits").schema][4:] == ["page", "carried"]
    assert engine.query(sql("SELECT visit, page, carried FROM visits")).to_pylist() == [
        {"visit": 1, "page": None, "carried": None}
    ]


def test_a_table_of_a_newer_version_is_refused(engine: BigQueryEngine):
    engine.ensure(Table(**{**vars(VISITS), "version": 2}))

    with pytest.raises(EngineError, match="schema version 2"):
        engine.ensure(VISITS)


def test_a_table_without_a_version_has_the_first(engine: BigQueryEngine, client: bigquery.Client, dataset: str):
    engine.ensure(VISITS)
    bare = bigquery.Table(f"{client.project}.{dataset}.bare", schema=[bigquery.SchemaField("a", "INT64")])
    client.create_table(bare)

    assert (engine.version("bare"), engine.version("nothing")) == (1, None)


def test_nothing_is_there_before_the_dataset_is_made(engine: BigQueryEngine):
    assert engine.version("mc_shards") is None
    assert engine.holder() is None


def test_a_scratch_table_expires_and_goes_with_its_run(run: BigQueryEngine, client: bigquery.Client, dataset: str):
    run.materialise(sql("SELECT 1 AS a"), "numbers")
    run.materialise(sql("SELECT 2 AS b UNION ALL SELECT 3"), "numbers")

    (name,) = table_names(client, dataset) - {"mc_lock"}
    scratch = client.get_table(f"{dataset}.{name}")
    assert name == "mc_scratch_20240305T120000Z_abc_numbers"
    assert [column.name for column in scratch.schema] == ["b"]
    assert scratch.num_rows == 2
    left = scratch.expires - datetime.now(tz=UTC)
    assert timedelta(hours=23) < left <= timedelta(days=1)

    run.end()
    assert table_names(client, dataset) == {"mc_lock"}


def test_scratch_tables_of_a_run_that_died_go_with_the_next(
    open_engine: Callable[..., BigQueryEngine], client: bigquery.Client, dataset: str
):
    died, following = open_engine(), open_engine()
    died.begin("died", "host:1")
    died.materialise(sql("SELECT 1 AS a"), "numbers")
    client.query_and_wait(f"UPDATE {dataset}.mc_lock SET expires_at = TIMESTAMP '2024-01-01' WHERE TRUE")

    following.begin("following", "host:2")

    assert table_names(client, dataset) == {"mc_lock"}


def test_staged_events_are_those_that_duckdb_stages_from_the_same_shards(
    run: BigQueryEngine, client: bigquery.Client, export: str, tmp_path: Path
):
    days = {FIRST: ga4.simple_day(FIRST), SECOND: ga4.simple_day(SECOND, clients=2)}
    shards = [load_shard(client, export, day, events) for day, events in days.items()]
    files = [ga4.write_parquet(tmp_path / f"{ga4.shard_name(day)}.parquet", rows) for day, rows in days.items()]
    found, expected = [], []

    run.read_shards(shards, shards[0].table.schema)
    run.materialise(batch_queries.events("p1", shards[0].table.schema, RULES, is_provisional=False), "changed_events")
    found = run.query(batch_queries.staged_days())
    run.ensure(EVENTS, RULES.extra_columns(EVENTS))
    run.apply([InsertScratch(EVENTS, "changed_events")])
    rows = sql("SELECT * FROM mc_events ORDER BY client_key, event_order")
    events = run.query(rows)

    with DuckDBEngine(tmp_path / "test.duckdb") as embedded:
        local = list_shards(str(tmp_path / "*.parquet"), "p1")
        schema = read_schema(local[0])
        embedded.read_shards(local, schema)
        embedded.materialise(batch_queries.events("p1", schema, RULES, is_provisional=False), "changed_events")
        expected = embedded.query(batch_queries.staged_days())
        embedded.ensure(EVENTS, RULES.extra_columns(EVENTS))
        embedded.apply([InsertScratch(EVENTS, "changed_events")])
        expected_events = embedded.query(rows)

    assert len(files) == 2
    assert found.to_pylist() == expected.to_pylist()
    assert [str(kind) for kind in found.schema.types] == [str(kind) for kind in expected.schema.types]
    assert events.num_rows == 20
    assert events.to_pylist() == expected_events.to_pylist()


def test_raw_events_have_the_columns_of_the_schema_and_no_others(
    engine: BigQueryEngine, client: bigquery.Client, export: str, proxy: FaultyProxy
):
    shard = load_shard(client, export, FIRST, ga4.simple_day(FIRST))
    schema = ShardSchema(RAW_LEAVES - {"geo.country", "batch_page_id"}, "fewer", 12)
    engine.read_shards([shard], schema)

    engine.estimate(batch_queries.events("p1", schema, RULES, is_provisional=False))

    text = proxy.calls_to("POST", "/jobs")[-1].json()["configuration"]["query"]["query"]
    (columns,) = set(re.findall(r"\(SELECT (.+) FROM `events_20240301`\)", text))
    assert columns == ", ".join(f"`{name}`" for name in sorted(RAW_COLUMNS.keys() - {"geo", "batch_page_id"}))


def test_a_shard_that_vanished_is_named(run: BigQueryEngine, client: bigquery.Client, export: str):
    shards = [load_shard(client, export, day, ga4.simple_day(day)) for day in (FIRST, SECOND)]
    schema = shards[0].table.schema
    run.read_shards(shards, schema)
    client.delete_table(f"{export}.events_20240302")
    query = batch_queries.events("p1", schema, RULES, is_provisional=False)

    with pytest.raises(VanishedError, match=rf"{export}\.events_20240302 is no longer there"):
        run.materialise(query, "changed_events")
    with pytest.raises(VanishedError, match="events_20240302"):
        run.estimate(query)


def test_a_missing_table_is_told_with_what_makes_it(engine: BigQueryEngine):
    engine.ensure(VISITS)

    with pytest.raises(EngineError, match="needs a table that is not there") as raised:
        engine.query(sql("SELECT * FROM mc_events"))
    assert "microconv sync" in raised.value.hint


def test_a_query_that_fails_names_its_step_and_no_value(engine: BigQueryEngine):
    with pytest.raises(EngineError, match="tests/query") as raised:
        engine.query(sql("SELECT CAST(v AS INT64) FROM UNNEST(['secret']) AS v"))
    assert "secret" not in str(raised.value)


def test_a_run_makes_its_dataset_where_the_export_lies(
    open_engine: Callable[..., BigQueryEngine], client: bigquery.Client, dataset: str
):
    export = bigquery.Dataset(f"{client.project}.e_{uuid.uuid4().hex}")
    export.location = "EU"
    client.create_dataset(export)

    open_engine(exports=[(client.project, export.dataset_id)]).begin("r1", "host:1")

    assert client.get_dataset(dataset).location == "EU"


def test_an_export_elsewhere_is_refused_before_anything_is_written(
    open_engine: Callable[..., BigQueryEngine], client: bigquery.Client, dataset: str
):
    export = bigquery.Dataset(f"{client.project}.e_{uuid.uuid4().hex}")
    export.location = "EU"
    client.create_dataset(export)
    client.create_dataset(dataset)  # in US
    place = (client.project, export.dataset_id)

    with pytest.raises(EngineError, match=rf"{export.dataset_id} lies in EU.*{dataset} in US"):
        open_engine(exports=[place]).begin("r1", "host:1")
    assert table_names(client, dataset) == set()
    shard = load_shard(client, export.dataset_id, FIRST, ga4.simple_day(FIRST))
    with pytest.raises(EngineError, match="lies in EU"):
        open_engine().read_shards([shard], shard.table.schema)


def test_a_location_other_than_the_datasets_is_refused(
    open_engine: Callable[..., BigQueryEngine],
    connect: Callable[..., Connection],
    client: bigquery.Client,
    dataset: str,
):
    client.create_dataset(dataset)

    with pytest.raises(EngineError, match=r"lies in US, engine\.location is EU"):
        open_engine(connect(location="EU")).begin("r1", "host:1")


def test_an_export_that_does_not_exist_is_named_before_anything_is_made(
    open_engine: Callable[..., BigQueryEngine], client: bigquery.Client, dataset: str
):
    with pytest.raises(SourceError, match=r"There is no dataset .*\.analytics_1\."):
        open_engine(exports=[(client.project, "analytics_1")]).begin("r1", "host:1")
    with pytest.raises(NotFound):
        client.get_dataset(dataset)


def test_rows_are_put_by_grain(engine: BigQueryEngine):
    put(engine, ("p1", FIRST, 1, 10), ("p1", FIRST, 2, 20), ("p2", FIRST, 1, 30), ("p1", FIRST, 2, 21))
    put(engine, ("p1", SECOND, 1, 11))

    assert sorted(visits(engine)) == [("p1", FIRST, 2, 21), ("p1", SECOND, 1, 11), ("p2", FIRST, 1, 30)]


def test_a_row_may_leave_columns_out_and_hold_nulls(engine: BigQueryEngine):
    engine.ensure(VISITS)
    engine.apply(
        [
            PutRow(VISITS, {"property": "p1", "visit": 1}),
            PutRow(VISITS, {"property": "p1", "visit": 2, "events": None, "event_date": SECOND}),
        ]
    )

    assert visits(engine) == [("p1", None, 1, None), ("p1", SECOND, 2, None)]


def test_changes_are_made_in_order_and_columns_found_by_name(run: BigQueryEngine):
    put(run, ("p1", FIRST, 1, 1), ("p1", SECOND, 2, 2), ("p2", FIRST, 3, 3), ("p1", SECOND, 4, 4))
    run.materialise(sql(NEW_ROWS), "new")
    run.materialise(sql("SELECT 2 AS visit UNION ALL SELECT CAST(NULL AS INT64)"), "old")

    run.apply(
        [
            DeleteDays(VISITS, "p1", (FIRST,)),
            DeleteKeys(VISITS, "visit", "old"),
            InsertScratch(VISITS, "new"),
            PutRow(VISITS, {"property": "p1", "event_date": FIRST, "visit": 2, "events": 99}),
        ]
    )

    assert visits(run) == [
        ("p1", FIRST, 1, 10),
        ("p1", FIRST, 2, 99),
        ("p2", FIRST, 3, 3),
        ("p1", SECOND, 4, 4),
    ]


@pytest.mark.parametrize("in_run", [False, True])
def test_when_one_change_fails_none_is_made(in_run: bool, engine: BigQueryEngine):
    if in_run:
        engine.begin("r1", "host:1")
    put(engine, ("p1", FIRST, 1, 10))
    missing = Table("missing", "Not there.", ("visit",), (Column("visit", "INT64", "a visit"),))
    changes: list[Change] = [
        PutRow(VISITS, {"property": "p1", "event_date": FIRST, "visit": 1, "events": 0}),
        DeleteDays(VISITS, "p1", (FIRST,)),
        PutRow(missing, {"visit": 1}),
    ]

    with pytest.raises(EngineError, match="apply needs a table that is not there"):
        engine.apply(changes)

    assert visits(engine) == [("p1", FIRST, 1, 10)]


def test_a_batch_is_one_job(run: BigQueryEngine, proxy: FaultyProxy):
    put(run, ("p1", FIRST, 1, 1))
    before = len(proxy.calls_to("POST", "/jobs"))

    put(run, *[("p1", FIRST, visit, visit) for visit in range(50)])

    assert len(proxy.calls_to("POST", "/jobs")) == before + 1
    assert len(visits(run)) == 50


def test_a_dataset_that_is_deleted_during_a_run_is_told(run: BigQueryEngine, client: bigquery.Client, dataset: str):
    run.ensure(VISITS)
    client.delete_dataset(dataset, delete_contents=True)

    with pytest.raises(EngineError, match="creating other"):
        run.ensure(Table(**{**vars(VISITS), "name": "other"}))
    with pytest.raises(LockedError):
        run.apply([PutRow(VISITS, {"property": "p1", "visit": 1})])
    with pytest.raises(EngineError, match="listing scratch tables"):
        run.end()


def test_leaving_the_engine_ends_its_run(open_engine: Callable[..., BigQueryEngine]):
    with open_engine() as left:
        left.begin("r1", "host:1")

    assert open_engine().holder() is None
