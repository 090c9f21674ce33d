"""Sync: what is staged, when it is restaged, and that any order of arrival ends in the same tables."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ga4
from microconv.config.load import load_config
from microconv.errors import SourceError
from microconv.project import Project
from microconv.staging import SyncResult, mc_tables
from projects import write_config
from searches import search

FIRST_DAY = date(2024, 3, 1)
FULL_TABLES = ("mc_events", "mc_sessions", "mc_micro_conversions")


def shard_path(folder: Path, day: date, kind: str = "daily", suffix: str = ".parquet") -> Path:
    return folder / "exports" / f"{ga4.shard_name(day, kind)}{suffix}"


def rows(project: Project, table: str) -> list[tuple[Any, ...]]:
    """All rows of a table, in an order of their own."""
    extra = project.rules.extra_columns(mc_tables.TABLES[table]) if table in FULL_TABLES else []
    names = ", ".join([*mc_tables.TABLES[table].column_names, *(column.name for column in extra)])
    found = project.engine._connection.sql(f"SELECT {names} FROM {table}").to_arrow_table().to_pylist()
    return sorted((tuple(row.values()) for row in found), key=repr)


def staged(project: Project) -> dict[str, list[tuple[Any, ...]]]:
    return {table: rows(project, table) for table in FULL_TABLES}


@contextmanager
def fresh_project(folder: Path, database: str, carry: str = "") -> Iterator[Project]:
    """A project over the same shards with a database of its own."""
    path = load_config(
        write_config(folder), {"MICROCONV_ENGINE__PATH": str(folder / database), "MICROCONV_TAXONOMY__CARRY": carry}
    )
    with Project(path) as project:
        yield project


def rebuilt(folder: Path, carry: str = "") -> dict[str, list[tuple[Any, ...]]]:
    with fresh_project(folder, "rebuilt.duckdb", carry) as project:
        project.sync()
        result = staged(project)
    (folder / "rebuilt.duckdb").unlink()
    return result


def test_first_sync_stages_every_day_and_second_stages_none(tmp_path: Path, project: Project) -> None:
    for offset in range(3):
        day = FIRST_DAY + timedelta(days=offset)
        ga4.write_parquet(shard_path(tmp_path, day), ga4.simple_day(day))
    first = project.sync()
    assert first.shards == {"seen": 3, "staged": 3, "skipped": 0}
    # 18 events count, and each of three clients comes back twice after a cart without a purchase.
    assert first.rows == {"mc_events": 36, "mc_sessions": 9, "mc_micro_conversions": 18 + 6}
    counted = project.engine._connection.sql(
        "SELECT micro_conversion, COUNT(*) FROM mc_micro_conversions WHERE is_derived GROUP BY 1"
    ).fetchall()
    assert counted == [("return_after_cart", 6)]
    before = staged(project)
    second = project.sync()
    assert second.shards == {"seen": 3, "staged": 0, "skipped": 3}
    assert staged(project) == before


def test_document_has_exactly_the_promised_keys(tmp_path: Path, project: Project) -> None:
    ga4.write_parquet(shard_path(tmp_path, FIRST_DAY), ga4.simple_day(FIRST_DAY))
    document = project.sync().document()
    assert set(document) == {
        *("run_id", "status", "shards", "rows", "duplicates_removed", "bytes_billed", "seconds"),
        *("findings", "external"),
    }
    assert set(document["shards"]) == {"seen", "staged", "skipped"}
    assert set(document["rows"]) == set(FULL_TABLES)


def test_replaced_shard_restages_its_day_only_and_equals_a_rebuild(tmp_path: Path, project: Project) -> None:
    days = [FIRST_DAY + timedelta(days=offset) for offset in range(3)]
    for day in days:
        ga4.write_parquet(shard_path(tmp_path, day), ga4.simple_day(day))
    project.sync()
    ga4.write_parquet(shard_path(tmp_path, days[1]), ga4.simple_day(days[1], clients=5))
    again = project.sync()
    assert again.shards == {"seen": 3, "staged": 1, "skipped": 2}
    assert staged(project) == rebuilt(tmp_path)


def test_exact_duplicates_are_removed_and_counted(tmp_path: Path, project: Project) -> None:
    events = ga4.simple_day(FIRST_DAY, clients=1)
    other_params = ga4.event(events[1]["event_timestamp"], "page_view", client="0.7", session=3010, params={"n": 1})
    # Without a client there is no telling whether two equal rows are one event.
    nobody = ga4.event(events[1]["event_timestamp"], "page_view", client=None, session=None)
    ga4.write_parquet(shard_path(tmp_path, FIRST_DAY), [*events, events[1], events[1], other_params, nobody, nobody])
    result = project.sync()
    assert result.duplicates_removed == 2
    assert result.rows["mc_events"] == 7


def test_rows_without_consent_stay_in_events_with_null_keys_and_nowhere_else(tmp_path: Path, project: Project) -> None:
    nobody = ga4.event("2024-03-01 10:00:00", "add_to_cart", client=None, session=None)
    ga4.write_parquet(shard_path(tmp_path, FIRST_DAY), [nobody, *ga4.simple_day(FIRST_DAY, clients=1)])
    project.sync()
    keyless = [
        row for row in rows(project, "mc_events") if row[mc_tables.EVENTS.column_names.index("client_key")] is None
    ]
    assert len(keyless) == 1
    assert keyless[0][mc_tables.EVENTS.column_names.index("session_key")] is None
    assert len(rows(project, "mc_sessions")) == 1
    micro_conversion = mc_tables.MICRO_CONVERSIONS.column_names.index("micro_conversion")
    seen = [row[micro_conversion] for row in rows(project, "mc_micro_conversions")]
    assert sorted(seen) == ["add_to_cart", "view_item"]


def test_product_view_precedes_cart_at_the_same_microsecond(tmp_path: Path, project: Project) -> None:
    at = ga4.microseconds("2024-03-01 10:00:00")
    ga4.write_parquet(shard_path(tmp_path, FIRST_DAY), [ga4.event(at, "add_to_cart"), ga4.event(at, "view_item")])
    project.sync()
    order = mc_tables.EVENTS.column_names.index("event_order"), mc_tables.EVENTS.column_names.index("event_name")
    assert sorted((row[order[0]] - at * 1000, row[order[1]]) for row in rows(project, "mc_events")) == [
        (0, "view_item"),
        (1, "add_to_cart"),
    ]


def test_session_over_midnight_is_one_session(tmp_path: Path, project: Project) -> None:
    next_day = FIRST_DAY + timedelta(days=1)
    ga4.write_parquet(shard_path(tmp_path, FIRST_DAY), [ga4.event("2024-03-01 23:59:00", "page_view")])
    project.sync()
    ga4.write_parquet(shard_path(tmp_path, next_day), [ga4.event("2024-03-02 00:01:00", "page_view")])
    result = project.sync()
    assert result.shards["staged"] == 1
    (session,) = (dict(zip(mc_tables.SESSIONS.column_names, row, strict=True)) for row in rows(project, "mc_sessions"))
    assert (session["session_date"], session["last_event_date"]) == (FIRST_DAY, next_day)
    assert (session["events"], session["page_views"], session["is_engaged"]) == (2, 2, True)


def test_daily_shard_replaces_intraday_and_marks_end(tmp_path: Path, project: Project) -> None:
    intraday = ga4.write_parquet(shard_path(tmp_path, FIRST_DAY, "intraday"), ga4.simple_day(FIRST_DAY, clients=1))
    project.sync()
    assert {row[-1] for row in rows(project, "mc_sessions")} == {True}
    ga4.write_parquet(shard_path(tmp_path, FIRST_DAY), ga4.simple_day(FIRST_DAY, clients=2))
    result = project.sync()
    assert result.shards == {"seen": 1, "staged": 1, "skipped": 0}
    assert result.rows["mc_events"] == 8
    assert {row[-1] for row in rows(project, "mc_sessions")} == {False}
    intraday.unlink()
    assert project.sync().shards["staged"] == 0


@pytest.mark.parametrize("suffix", [".ndjson", ".ndjson.gz"])
def test_ndjson_with_numbers_as_strings_stages_like_parquet(tmp_path: Path, suffix: str) -> None:
    events = ga4.simple_day(FIRST_DAY)
    for row in events:
        row["user_pseudo_id"] = f"100{row['user_pseudo_id']}0"
    parquet, ndjson = tmp_path / "parquet", tmp_path / "ndjson"
    ga4.write_parquet(shard_path(parquet, FIRST_DAY), events)
    ga4.write_ndjson(shard_path(ndjson, FIRST_DAY, suffix=suffix), [{**row, "a_new_field": {"x": 1}} for row in events])
    assert rebuilt(ndjson) == rebuilt(parquet)
    assert rebuilt(parquet)["mc_events"]


def test_era_without_newer_columns_and_with_wrong_types_is_read(tmp_path: Path, project: Project) -> None:
    events = ga4.simple_day(FIRST_DAY)
    old = pa.Table.from_pylist(events, schema=ga4.SCHEMA).drop_columns(
        ["collected_traffic_source", "batch_event_index", "batch_page_id", "batch_ordering_id", "ecommerce"]
    )
    # All-NULL columns come back from some writers as integers.
    wrong = old.set_column(old.schema.get_field_index("user_id"), "user_id", pa.nulls(len(events), pa.int64()))
    path = shard_path(tmp_path, FIRST_DAY)
    path.parent.mkdir()
    pa.parquet.write_table(wrong, path)
    assert project.sync().rows["mc_events"] == len(events)


def test_unknown_columns_are_ignored_whatever_they_are_called(tmp_path: Path, project: Project) -> None:
    plain = pa.Table.from_pylist(ga4.simple_day(FIRST_DAY), schema=ga4.SCHEMA)
    path = shard_path(tmp_path, FIRST_DAY)
    path.parent.mkdir()
    with_more = plain
    for name in ("client_key", "client", "stage_rank", "property", "copies", "x y"):
        with_more = with_more.append_column(name, pa.array([7] * plain.num_rows))
    pa.parquet.write_table(with_more, path)
    project.sync()
    found = staged(project)
    pa.parquet.write_table(plain, path)
    assert found == rebuilt(tmp_path)
    assert len({row[mc_tables.EVENTS.column_names.index("client_key")] for row in found["mc_events"]}) == 3


def test_numeric_client_ids_are_refused(tmp_path: Path, project: Project) -> None:
    table = pa.Table.from_pylist(ga4.simple_day(FIRST_DAY), schema=ga4.SCHEMA)
    index = table.schema.get_field_index("user_pseudo_id")
    broken = table.set_column(index, "user_pseudo_id", table.column(index).cast(pa.float64()))
    path = shard_path(tmp_path, FIRST_DAY)
    path.parent.mkdir()
    pa.parquet.write_table(broken, path)
    with pytest.raises(SourceError, match="user_pseudo_id as floating-point"):
        project.sync()


def test_truncated_parquet_stops_its_day_only(tmp_path: Path, project: Project) -> None:
    days = [FIRST_DAY + timedelta(days=offset) for offset in range(3)]
    for day in days:
        ga4.write_parquet(shard_path(tmp_path, day), ga4.simple_day(day))
    damaged = shard_path(tmp_path, days[1])
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"events_20240302\.parquet cannot be read.*2 other changed days were staged"):
        project.sync()
    dates = {row[1] for row in rows(project, "mc_events")}
    assert dates == {days[0], days[2]}
    damaged.write_bytes(whole)
    assert project.sync().shards == {"seen": 3, "staged": 1, "skipped": 2}
    assert staged(project) == rebuilt(tmp_path)


def test_damage_inside_a_file_leaves_nothing_of_its_day(tmp_path: Path, project: Project) -> None:
    days = [FIRST_DAY + timedelta(days=offset) for offset in range(2)]
    for day in days:
        ga4.write_parquet(shard_path(tmp_path, day), ga4.simple_day(day, clients=200))
    damaged = shard_path(tmp_path, days[1])
    content = bytearray(damaged.read_bytes())
    content[100:2000] = bytes(1900)
    damaged.write_bytes(bytes(content))
    with pytest.raises(SourceError, match="1 other changed day was staged"):
        project.sync()
    assert {row[1] for row in rows(project, "mc_events")} == {days[0]}


def test_broken_json_line_stops_its_day(tmp_path: Path, project: Project) -> None:
    path = ga4.write_ndjson(shard_path(tmp_path, FIRST_DAY, suffix=".ndjson"), ga4.simple_day(FIRST_DAY))
    path.write_text(path.read_text()[:-40])
    with pytest.raises(SourceError, match="events_20240301"):
        project.sync()
    assert rows(project, "mc_events") == []


def test_rows_of_another_day_are_refused(tmp_path: Path, project: Project) -> None:
    ga4.write_parquet(shard_path(tmp_path, FIRST_DAY), ga4.simple_day(FIRST_DAY + timedelta(days=1)))
    with pytest.raises(SourceError, match=r"not all of the shard's own day \(event_date found: 2024-03-02\)"):
        project.sync()


def test_no_shards_is_a_clear_error(project: Project) -> None:
    with pytest.raises(SourceError, match="No shards of property p1 match"):
        project.sync()


def test_two_files_for_one_shard_are_refused(tmp_path: Path, project: Project) -> None:
    ga4.write_parquet(shard_path(tmp_path, FIRST_DAY), ga4.simple_day(FIRST_DAY))
    ga4.write_ndjson(shard_path(tmp_path, FIRST_DAY, suffix=".ndjson"), ga4.simple_day(FIRST_DAY))
    with pytest.raises(SourceError, match="2 files of property p1 claim to be the daily shard of 2024-03-01"):
        project.sync()


def test_changed_taxonomy_restages_every_day(tmp_path: Path) -> None:
    ga4.write_parquet(shard_path(tmp_path, FIRST_DAY), ga4.simple_day(FIRST_DAY))
    with fresh_project(tmp_path, "one.duckdb") as project:
        project.sync()
        assert project.sync().shards["staged"] == 0
    (tmp_path / "taxonomy.toml").write_text(
        'version = "1.1"\n[[micro_conversions]]\nid = "shop_seen"\nkind = "secondary"\nstage = "awareness"\n'
        'event = "page_view"\npage = { starts_with = "/page" }\n'
        'where = [{ parameter = "engagement_time_msec", at_least = 400 }]\nvalue = 2.5\n'
    )
    config = write_config(tmp_path, extra='[taxonomy]\npreset = "ecommerce"\nfile = "taxonomy.toml"\n')
    with Project(load_config(config, {"MICROCONV_ENGINE__PATH": str(tmp_path / "one.duckdb")})) as project:
        assert project.sync().shards["staged"] == 1
        extra = project.rules.extra_columns(mc_tables.MICRO_CONVERSIONS)
        names = [*mc_tables.MICRO_CONVERSIONS.column_names, *(column.name for column in extra)]
        seen = [dict(zip(names, row, strict=True)) for row in rows(project, "mc_micro_conversions")]
    assert [(row["value"], row["page"]) for row in seen if row["micro_conversion"] == "shop_seen"] == [
        (2.5, "/page_view")
    ] * 3


def test_run_is_recorded_and_a_killed_one_is_closed(tmp_path: Path, project: Project) -> None:
    ga4.write_parquet(shard_path(tmp_path, FIRST_DAY), ga4.simple_day(FIRST_DAY))
    first = project.sync()
    connection = project.engine._connection
    connection.execute("UPDATE mc_runs SET status = 'running', ended_at = NULL")
    second = project.sync()
    found = dict(connection.execute("SELECT run_id, status FROM mc_runs").fetchall())
    assert found == {first.run_id: "interrupted", second.run_id: "done"}


def actors(project: Project, table: str) -> dict[str, list[int]]:
    """Actors of a table by day."""
    index = mc_tables.TABLES[table].column_names.index
    day, actor = index("session_date" if table == "mc_sessions" else "event_date"), index("actor_key")
    found: dict[str, set[int]] = {}
    for row in rows(project, table):
        found.setdefault(row[day].isoformat(), set()).add(row[actor])
    return {date_text: sorted(keys) for date_text, keys in sorted(found.items())}


def test_earlier_sessions_move_to_the_one_user_of_their_client_and_back(tmp_path: Path, project: Project) -> None:
    days = [FIRST_DAY + timedelta(days=offset) for offset in range(3)]
    for day, user in zip(days, (None, "u1", "u2"), strict=True):
        seen = ga4.event(f"{day} 12:00:00", "view_item", session=day.day, user_id=user)
        ga4.write_parquet(shard_path(tmp_path, day), [seen])
        project.sync()
        assert staged(project) == rebuilt(tmp_path)
        assert actors(project, "mc_sessions") == actors(project, "mc_micro_conversions")
        if user == "u1":
            # Anonymous on the first day, signed in on the second: one actor from the start.
            signed_in = actors(project, "mc_sessions")
            assert signed_in["2024-03-01"] == signed_in["2024-03-02"]
    # A second user on the same client: nobody knows whose the anonymous session was.
    shared = actors(project, "mc_sessions")
    assert len({tuple(keys) for keys in shared.values()}) == 3
    assert shared["2024-03-02"] == signed_in["2024-03-02"]


CARRY = "item_id,page_title"
CLIENTS = ("1.5", "2.5", "3.5")
DAYS = [FIRST_DAY + timedelta(days=offset) for offset in range(3)]


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[date, str, list[dict[str, Any]]]]:
    """Versions of day shards in order of arrival: late, re-exported, intraday before daily, sessions over midnight."""
    arrivals = []
    for _ in range(draw(st.integers(1, 5))):
        day = draw(st.sampled_from(DAYS))
        kind = draw(st.sampled_from(["daily", "daily", "intraday"]))
        events = []
        for _ in range(draw(st.integers(1, 8))):
            # Two seconds at each end of the day and noon: ties, and sessions that cross midnight, come up often.
            clock = draw(st.sampled_from(["00:00:00", "00:00:01", "12:00:00", "23:59:59"]))
            source = draw(
                st.sampled_from([{}, {"source": "google", "medium": "cpc"}, {"source": "news", "medium": "email"}])
            )
            events.append(
                ga4.event(
                    f"{day} {clock}",
                    draw(st.sampled_from(["page_view", "view_item", "add_to_cart", "begin_checkout", "purchase"])),
                    client=draw(st.sampled_from([*CLIENTS, None])),
                    session=draw(st.sampled_from([1, 2, None])),
                    user_id=draw(st.sampled_from([None, None, "u1", "u2"])),
                    params={
                        "page_location": draw(st.sampled_from(["https://a.example/x", "https://a.example/y?q"])),
                        "page_title": draw(st.sampled_from(["X", "Y", None])),
                        **source,
                    },
                    items=[{"item_id": item} for item in draw(st.sampled_from(["", "A", "B", "BA"]))],
                )
            )
        arrivals.append((day, kind, events))
    return arrivals


@search(8, 100, shares_fixtures=True)
@given(arrivals=histories())
def test_incremental_equals_full_rebuild(
    tmp_path: Path, arrivals: list[tuple[date, str, list[dict[str, Any]]]]
) -> None:
    shutil.rmtree(tmp_path, ignore_errors=True)
    tmp_path.mkdir()
    results: list[SyncResult] = []
    with fresh_project(tmp_path, "incremental.duckdb", CARRY) as project:
        for day, kind, events in arrivals:
            ga4.write_parquet(shard_path(tmp_path, day, kind), events)
            results.append(project.sync())
        incremental = staged(project)
    assert all(result.shards["staged"] <= 1 for result in results)
    assert incremental == rebuilt(tmp_path, CARRY)


@pytest.mark.parametrize("table", FULL_TABLES)
def test_staged_rows_are_unique_on_the_declared_grain(tmp_path: Path, project: Project, table: str) -> None:
    at = ga4.microseconds("2024-03-01 23:59:59")
    tied = [ga4.event(at, name, client=client) for name in ("purchase", "view_item") for client in CLIENTS]
    ga4.write_parquet(shard_path(tmp_path, FIRST_DAY), [*tied, *tied, *ga4.simple_day(FIRST_DAY)])
    project.sync()
    grain = [mc_tables.TABLES[table].column_names.index(name) for name in mc_tables.TABLES[table].grain]
    keys = [tuple(row[index] for index in grain) for row in rows(project, table)]
    assert keys
    assert len(keys) == len(set(keys))
