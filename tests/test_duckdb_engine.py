"""The embedded engine: types in and out, all-or-nothing writing, one process at a time, errors that say what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

import ga4
import many_rows
from microconv.config.values import number_of_bytes
from microconv.engines.base import RAW_EVENTS, AddRows, Change, DeleteDays, DeleteKeys, InsertScratch, PutRow
from microconv.engines.duckdb import DuckDBEngine, duckdb_type
from microconv.engines.tables import Column, Table
from microconv.errors import EngineError, LockedError, MicroconvError, SourceError
from microconv.exports import RAW_COLUMNS, RAW_LEAVES, Shard, list_shards, read_schema
from microconv.queries.templates import Query

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
)
FIRST, SECOND = date(2021, 1, 1), date(2021, 1, 2)
HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBEngine]:
    with DuckDBEngine(tmp_path / "test.duckdb", threads=2) as opened:
        yield opened


def sql(text: str, /, **params: tuple[str, Any]) -> Query:
    return Query(name="tests/query", sql=text, params=params)


def put(engine: DuckDBEngine, *rows: tuple[str, date, int, int]) -> None:
    engine.ensure(VISITS)
    engine.apply([PutRow(VISITS, dict(zip(VISITS.column_names, row, strict=True))) for row in rows])


def visits(engine: DuckDBEngine) -> list[tuple[Any, ...]]:
    found = engine.query(sql("SELECT v.property, v.event_date, v.visit, v.events FROM visits AS v ORDER BY v.visit"))
    return [tuple(row.values()) for row in found.to_pylist()]


@pytest.mark.parametrize(
    ("googlesql", "expected"),
    [
        ("STRING", "VARCHAR"),
        ("TIMESTAMP", "TIMESTAMPTZ"),
        ("ARRAY<INT64>", "BIGINT[]"),
        (
            "STRUCT<a BOOL, b ARRAY<STRUCT<c FLOAT64, d DATE>>>",
            'STRUCT("a" BOOLEAN, "b" STRUCT("c" DOUBLE, "d" DATE)[])',
        ),
    ],
)
def test_types_are_translated_with_what_they_hold(googlesql: str, expected: str):
    assert duckdb_type(googlesql) == expected


def test_parameters_keep_their_declared_type_even_when_empty_or_null(engine: DuckDBEngine):
    moment = datetime(2021, 1, 2, 23, 30, 0, 1, tzinfo=UTC)
    query = sql(
        "SELECT @text AS text, @nothing AS nothing, @small AS small, @ratio AS ratio, @flag AS flag, @day AS day, "
        "@moment AS moment, @texts AS texts, @none AS none, @days AS days, "
        "'x' IN UNNEST(@none) AS is_in_none, ARRAY_LENGTH(@none) AS length",
        text=("STRING", "it's"),
        nothing=("FLOAT64", None),
        small=("INT64", 1),
        ratio=("FLOAT64", 2),
        flag=("BOOL", True),
        day=("DATE", FIRST),
        moment=("TIMESTAMP", moment),
        texts=("ARRAY<STRING>", ["a", ""]),
        none=("ARRAY<STRING>", []),
        days=("ARRAY<DATE>", [FIRST, SECOND]),
    )

    result = engine.query(query)

    assert {field.name: str(field.type) for field in result.schema} == {
        "text": "string",
        "nothing": "double",
        "small": "int64",
        "ratio": "double",
        "flag": "bool",
        "day": "date32[day]",
        "moment": "timestamp[us, tz=UTC]",
        "texts": "list<l: string>",
        "none": "list<l: string>",
        "days": "list<l: date32[day]>",
        "is_in_none": "bool",
        "length": "int64",
    }
    assert list(result.to_pylist()[0].values()) == [
        *("it's", None, 1, 2.0, True, FIRST, moment, ["a", ""], [], [FIRST, SECOND], False, 0)
    ]


def test_sums_of_whole_numbers_are_whole_numbers(engine: DuckDBEngine):
    rows = "SELECT n FROM UNNEST([9007199254740990, 4, -1]) AS n"

    result = engine.query(
        sql(f"SELECT SUM(x.n) AS total, SUM(IF(x.n > 0, NULL, x.n)) AS low, SUM(x.n / 4) AS quarter FROM ({rows}) AS x")
    )

    assert [str(kind) for kind in result.schema.types] == ["int64", "int64", "double"]
    assert result.to_pylist() == [{"total": 9007199254740993, "low": -1, "quarter": 2251799813685248.25}]


def test_no_rows_still_have_columns_and_types(engine: DuckDBEngine):
    engine.ensure(VISITS)

    result = engine.query(sql("SELECT v.property, SUM(v.events) AS events FROM visits AS v GROUP BY v.property"))

    assert result.num_rows == 0
    assert [(field.name, str(field.type)) for field in result.schema] == [("property", "string"), ("events", "int64")]


def test_table_is_created_once_and_keeps_its_rows_and_extra_columns(tmp_path: Path):
    extra = (Column("text_method", "STRING", "a parameter"), Column("number_percent", "FLOAT64", "another"))
    with DuckDBEngine(tmp_path / "test.duckdb") as engine:
        assert engine.version("visits") is None
        put(engine, ("p1", FIRST, 1, 3))
    with DuckDBEngine(tmp_path / "test.duckdb") as engine:
        assert engine.version("visits") == 1
        engine.ensure(VISITS, extra[:1])
        engine.ensure(VISITS, extra)
        engine.ensure(VISITS)
        found = engine.query(sql("SELECT v.visit, v.text_method, v.number_percent FROM visits AS v"))
    assert [str(kind) for kind in found.schema.types] == ["int64", "string", "double"]
    assert found.to_pylist() == [{"visit": 1, "text_method": None, "number_percent": None}]


def test_version_of_a_table_is_kept_raised_and_never_lowered(tmp_path: Path):
    newer = replace(VISITS, version=3, columns=(*VISITS.columns, Column("pages", "INT64", "added in 3")))
    with DuckDBEngine(tmp_path / "test.duckdb") as engine:
        put(engine, ("p1", FIRST, 1, 3))
        # A process that was killed between making a table and noting its version.
        engine._connection.execute("COMMENT ON TABLE visits IS NULL")
        assert engine.version("visits") == 1
        engine.ensure(newer)
    with DuckDBEngine(tmp_path / "test.duckdb") as engine:
        assert engine.version("visits") == 3
        assert engine.query(sql("SELECT v.events, v.pages FROM visits AS v")).to_pylist() == [
            {"events": 3, "pages": None}
        ]
        with pytest.raises(EngineError, match="visits has schema version 3; this version of microconv knows 1"):
            engine.ensure(VISITS)


def test_put_row_replaces_the_row_of_the_same_grain(engine: DuckDBEngine):
    put(engine, ("p1", FIRST, 1, 3), ("p2", FIRST, 1, 4), ("p1", SECOND, 1, 5))

    assert sorted(visits(engine)) == [("p1", SECOND, 1, 5), ("p2", FIRST, 1, 4)]


def test_added_rows_stand_beside_those_that_are_there(engine: DuckDBEngine):
    put(engine, ("p1", FIRST, 1, 3))
    engine.apply([AddRows(VISITS, tuple({"property": "p2", "visit": visit, "events": 7} for visit in (1, 1)))])

    assert sorted(visits(engine), key=str) == sorted([("p1", FIRST, 1, 3), *[("p2", None, 1, 7)] * 2], key=str)


@pytest.mark.parametrize("as_they_stand", [True, False])
def test_many_rows_are_added_with_the_types_of_the_table(engine: DuckDBEngine, as_they_stand: bool):
    """10,000 rows at once; a column of which no row has anything keeps its type, and so do rows that lack columns."""
    engine.ensure(many_rows.TABLE)

    engine.apply([AddRows(many_rows.TABLE, many_rows.ROWS if as_they_stand else tuple(reversed(many_rows.ROWS)))])

    found = engine.query(many_rows.QUERY)
    assert found.schema.types == many_rows.TYPES
    assert found.to_pylist() == many_rows.EXPECTED


def test_no_rows_are_no_change(engine: DuckDBEngine):
    put(engine, ("p1", FIRST, 1, 3))

    engine.apply([AddRows(VISITS, ())])

    assert visits(engine) == [("p1", FIRST, 1, 3)]


def test_rows_are_not_added_when_a_later_change_fails(engine: DuckDBEngine):
    engine.ensure(VISITS)

    with pytest.raises(EngineError):
        engine.apply([AddRows(VISITS, ({"property": "p1", "visit": 1},)), InsertScratch(VISITS, "missing")])

    assert visits(engine) == []


def test_days_of_one_property_are_replaced_from_scratch_by_column_name(engine: DuckDBEngine):
    put(engine, ("p1", FIRST, 1, 1), ("p1", SECOND, 2, 1), ("p2", SECOND, 3, 1))
    engine.materialise(
        sql("SELECT 7 AS events, 4 AS visit, @day AS event_date, 'p1' AS property, 9 AS copies", day=("DATE", SECOND)),
        "changed",
    )

    engine.apply([DeleteDays(VISITS, "p1", (SECOND,)), InsertScratch(VISITS, "changed")])

    assert visits(engine) == [("p1", FIRST, 1, 1), ("p2", SECOND, 3, 1), ("p1", SECOND, 4, 7)]


def test_keys_of_a_scratch_table_are_deleted_even_where_it_holds_null(engine: DuckDBEngine):
    put(engine, ("p1", FIRST, 1, 1), ("p1", FIRST, 2, 1))
    engine.materialise(sql("SELECT visit FROM UNNEST([1, NULL]) AS visit"), "touched")

    engine.apply([DeleteKeys(VISITS, "visit", "touched")])

    assert visits(engine) == [("p1", FIRST, 2, 1)]


def test_scratch_table_is_replaced_and_gone_with_the_engine(tmp_path: Path):
    with DuckDBEngine(tmp_path / "test.duckdb") as engine:
        engine.materialise(sql("SELECT 1 AS a"), "scratch")
        engine.materialise(sql("SELECT 'x' AS b"), "scratch")
        assert engine.query(sql("SELECT s.b FROM scratch AS s")).to_pylist() == [{"b": "x"}]
    with DuckDBEngine(tmp_path / "test.duckdb") as engine:
        assert engine.version("scratch") is None


@pytest.mark.parametrize(
    "failing",
    [
        InsertScratch(VISITS, "nowhere"),
        PutRow(VISITS, {"property": "p1", "visit": 2, "no_such_column": 1}),
        PutRow(VISITS, {"property": "p1", "visit": "two"}),
    ],
)
def test_failing_change_leaves_nothing_of_those_before_it(engine: DuckDBEngine, failing: Change):
    put(engine, ("p1", FIRST, 1, 1))
    before: list[Change] = [DeleteDays(VISITS, "p1", (FIRST,)), PutRow(VISITS, {"property": "p1", "visit": 9})]

    with pytest.raises(EngineError, match="DuckDB failed in apply"):
        engine.apply([*before, failing])

    assert visits(engine) == [("p1", FIRST, 1, 1)]
    put(engine, ("p1", FIRST, 2, 1))
    assert len(visits(engine)) == 2


def test_other_process_with_the_database_is_named(tmp_path: Path):
    path = tmp_path / "test.duckdb"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(LockedError, match=f"is in use by process {other.pid}") as raised:
            DuckDBEngine(path)
        other.communicate(b"")
    assert raised.value.exit_code == 5
    DuckDBEngine(path).close()


def test_closed_engine_gives_back_the_database(tmp_path: Path):
    path = tmp_path / "test.duckdb"
    with DuckDBEngine(path) as engine:
        put(engine, ("p1", FIRST, 1, 1))
    held = subprocess.run([sys.executable, "-c", HOLD, str(path)], input=b"", capture_output=True, check=True)
    assert held.stdout == b"open\n"


def test_file_that_is_no_database_is_left_alone(tmp_path: Path):
    path = tmp_path / "test.duckdb"
    path.write_text("notes " * 5000)

    with pytest.raises(EngineError, match="cannot be opened as a DuckDB database") as raised:
        DuckDBEngine(path)

    assert "engine.path" in raised.value.hint
    assert path.read_text() == "notes " * 5000


def test_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(EngineError, match=r"The folder .*nowhere of the database does not exist") as raised:
        DuckDBEngine(tmp_path / "nowhere" / "test.duckdb")
    assert "engine.path" in raised.value.hint


def test_query_that_fails_names_its_template(engine: DuckDBEngine):
    with pytest.raises(EngineError, match=r"DuckDB failed in tests/query: .*nowhere") as raised:
        engine.query(sql("SELECT n.a FROM nowhere AS n"))
    assert raised.value.hint


def test_too_little_memory_says_which_setting_to_raise(tmp_path: Path):
    query = sql(
        "SELECT STRING_AGG(CAST(a AS STRING), ',' ORDER BY a, b) AS everything "
        "FROM UNNEST(GENERATE_ARRAY(1, 2000)) AS a CROSS JOIN UNNEST(GENERATE_ARRAY(1, 2000)) AS b"
    )
    with (
        DuckDBEngine(tmp_path / "test.duckdb", memory_limit="30MB", threads=1) as engine,
        pytest.raises(EngineError, match=r"tests/query needs more memory than engine\.memory_limit") as raised,
    ):
        engine.query(query)
    assert "engine.memory_limit" in raised.value.hint


def read(engine: DuckDBEngine, shards: tuple[Shard, ...]) -> list[dict[str, Any]]:
    engine.read_shards(shards, read_schema(shards[0]))
    events = sql("SELECT e.event_timestamp, e.event_name, e.user_pseudo_id FROM raw_events AS e")
    engine.materialise(replace(events, reads=frozenset({RAW_EVENTS})), "found")
    return engine.query(sql("SELECT f.event_name, f.user_pseudo_id FROM found AS f ORDER BY f.event_name")).to_pylist()


@pytest.mark.parametrize("suffix", [".parquet", ".ndjson", ".ndjson.gz"])
def test_raw_events_are_the_rows_of_all_files_whatever_their_folder_is_called(
    tmp_path: Path, engine: DuckDBEngine, suffix: str
):
    folder = tmp_path / "it's [a] folder" / "event_name=click"
    write = ga4.write_parquet if suffix == ".parquet" else ga4.write_ndjson
    for day, name in ((1, "page_view"), (2, "scroll")):
        event = ga4.event(f"2021-01-0{day} 10:00:00", name, client="1008825.5342360620")
        write(folder / f"events_2021010{day}{suffix}", [event])

    found = read(engine, list_shards(f"{tmp_path}/**/*{suffix}", "p1"))

    assert found == [{"event_name": name, "user_pseudo_id": "1008825.5342360620"} for name in ("page_view", "scroll")]


def test_json_that_cannot_be_read_is_named_without_its_values(tmp_path: Path, engine: DuckDBEngine):
    path = tmp_path / "events_20210101.ndjson"
    path.write_text('{"event_name": "page_view", "event_timestamp": "ada@shop.example"}\n')

    with pytest.raises(SourceError, match=r"events_20210101\.ndjson cannot be read") as raised:
        read(engine, list_shards(str(path), "p1"))

    assert "ada@shop" not in str(raised.value)


def test_shards_of_every_era_have_the_columns_that_are_read(tmp_path: Path, engine: DuckDBEngine):
    path = tmp_path / "events_20210101.ndjson"
    path.write_text(
        '{"event_name": "page_view", "new": {"a": 1}, "event_params": [{"key": "k", "value": {"x_value": 1}}]}\n'
    )
    shards = list_shards(str(path), "p1")
    engine.read_shards(shards, read_schema(shards[0], RAW_LEAVES))

    columns = ", ".join(f"e.{name}" for name in RAW_COLUMNS)
    (row,) = engine.query(sql(f"SELECT {columns} FROM raw_events AS e")).to_pylist()

    nothing = dict.fromkeys(("string_value", "int_value", "float_value", "double_value"))
    known = {"event_name": "page_view", "event_params": [{"key": "k", "value": nothing}]}
    assert row == dict.fromkeys(RAW_COLUMNS) | known


def test_errors_of_the_driver_never_come_through(engine: DuckDBEngine):
    engine.ensure(VISITS)
    calls = [
        lambda: engine.query(sql("SELECT v.gone FROM visits AS v")),
        lambda: engine.materialise(sql("SELECT v.gone FROM visits AS v"), "scratch"),
        lambda: engine.apply([DeleteKeys(VISITS, "gone", "visits")]),
        lambda: engine.ensure(VISITS, [Column("bad", "STRUCT<a STRING>", "of another type"), Column("", "STRING", "")]),
    ]
    for call in calls:
        with pytest.raises(MicroconvError) as raised:
            call()
        assert raised.value.hint


def test_rows_are_streamed_in_their_order_and_other_queries_come_after_them(engine: DuckDBEngine):
    numbers = Query("numbers", "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 120000)) AS n ORDER BY n DESC", {})

    batches = list(engine.stream(numbers))

    assert [n for batch in batches for n in batch.column("n").to_pylist()] == list(range(120_000, 0, -1))
    assert len(batches) > 1
    assert engine.query(Query("one", "SELECT 1 AS one", {})).to_pylist() == [{"one": 1}]


def test_errors_while_rows_are_streamed_are_ours(engine: DuckDBEngine):
    with pytest.raises(EngineError, match="broken"):
        list(engine.stream(Query("broken", "SELECT nothing FROM nowhere", {})))


def test_scratch_tables_that_are_discarded_are_gone_and_tables_stay(engine: DuckDBEngine):
    engine.ensure(VISITS)
    engine.materialise(Query("one", "SELECT 1 AS one", {}), "scratch")

    engine.discard("scratch", "never_made", VISITS.name)

    assert engine.columns(VISITS.name)
    with pytest.raises(EngineError):
        engine.columns("scratch")


@pytest.mark.parametrize(
    ("limit", "with_room"),
    [("1GB", 300_000_000), ("4GB", 1_200_000_000), ("200MB", 200_000_000)],
)
def test_room_for_python_is_left_for_a_while(tmp_path: Path, limit: str, with_room: int):
    with DuckDBEngine(tmp_path / "shop.duckdb", memory_limit=limit) as engine:
        whole = memory_limit(engine)
        with engine.leave_room():
            assert memory_limit(engine) == pytest.approx(with_room, rel=0.05)
        assert memory_limit(engine) == whole == pytest.approx(number_of_bytes(limit), rel=0.05)


def memory_limit(engine: DuckDBEngine) -> int:
    said = engine._connection.execute("SELECT current_setting('memory_limit')").fetchall()[0][0]
    return number_of_bytes(said)


def test_what_a_lower_limit_cannot_hold_is_spilled_and_read_again(tmp_path: Path):
    with DuckDBEngine(tmp_path / "shop.duckdb", memory_limit="1GB") as engine:
        texts = "SELECT n, REPEAT(CAST(n AS STRING), 20) AS text FROM UNNEST(GENERATE_ARRAY(1, 4000000)) AS n"
        engine.materialise(Query("texts", texts, {}), "texts")
        with engine.leave_room():
            held = engine._connection.execute("SELECT SUM(memory_usage_bytes) FROM duckdb_memory()").fetchall()[0][0]
            found = engine.query(Query("sums", "SELECT COUNT(DISTINCT text) AS texts FROM texts", {})).to_pylist()

    assert held <= 300_000_000
    assert found == [{"texts": 4_000_000}]
