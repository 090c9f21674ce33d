"""Events and metrics of other systems: whose they are, where they stand, what is read again, and what is refused."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import microconv
from external_files import (
    CRM,
    DAYS,
    SECTIONS,
    TAXONOMY,
    ask,
    external,
    opened,
    row,
    told,
    visit,
    write_day,
    write_rows,
)
from microconv import catalogue
from microconv.config.external_settings import ExternalEventsConfig
from microconv.config.load import load_config
from microconv.engines.base import AddRows, Engine
from microconv.errors import ConfigError, EngineError, SourceError, UsageError
from microconv.own_tables.cells import Odd
from microconv.staging import Scope, sync
from microconv.staging.external_rows import EventReader, Refused, RowTally, key_of, moment_of, number_of
from projects import write_config
from searches import search

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2024, 4, 1, tzinfo=UTC)


# Whose, when


def test_a_row_of_a_user_is_the_actor_of_the_export(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0], user="u1")])
    write_rows(tmp_path / "crm/a.csv", [row("2024-03-01T13:00:00Z", user="u1"), row("2024-03-01T13:00:00Z", user="u2")])
    with opened(tmp_path) as project:
        project.sync()
        mine, other = external(project)
        (known,) = ask(project, "SELECT actor_key, client_key FROM mc_micro_conversions WHERE external_source IS NULL")
    actors = {mine["actor_key"], other["actor_key"]}
    assert known["actor_key"] in actors
    assert len(actors) == 2
    assert {each["client_key"] for each in (mine, other)} == actors
    assert mine["session_key"] is None


def test_rows_of_a_client_move_with_it_when_it_becomes_known_and_when_it_is_shared(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    write_rows(tmp_path / "crm/a.csv", [row("2024-03-01T13:00:00Z", client="1.1")])
    with opened(tmp_path) as project:
        project.sync()
        (before,) = external(project)
        assert before["actor_key"] == before["client_key"]
        write_day(tmp_path, DAYS[1], [visit(DAYS[1], user="u1")])
        project.sync()
        (known,) = external(project)
        assert known["actor_key"] == key_of("u|p1|u1")
        assert known["client_key"] == before["client_key"]
        write_day(tmp_path, DAYS[2], [visit(DAYS[2], user="u2")])
        project.sync()
        assert external(project) == [before]


def test_the_day_is_that_of_the_projects_zone_and_a_time_without_offset_is_in_it(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    rows = [row("2024-03-01T23:30:00Z", user="u1"), row("2024-03-01 23:30:00", user="u1"), row("2024-03-05", user="u1")]
    write_rows(tmp_path / "crm/a.csv", rows)
    with opened(tmp_path, timezone="Europe/Berlin") as project:
        result = project.sync()
        found = [(each["event_at"].astimezone(UTC).isoformat(), each["event_date"]) for each in external(project)]
    assert found == [
        ("2024-03-01T22:30:00+00:00", date(2024, 3, 1)),
        ("2024-03-01T23:30:00+00:00", date(2024, 3, 2)),
        ("2024-03-04T23:00:00+00:00", date(2024, 3, 5)),
    ]
    said = "2 of 3 moments in crm say no UTC offset: they are read as times in Europe/Berlin."
    assert told(result, "external_without_zone") == said


def test_occurrences_stand_in_one_order_after_what_the_export_tells_of_an_instant(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0]), visit(DAYS[0], name="add_to_cart")])
    at = "2024-03-01T12:00:00Z"
    write_rows(tmp_path / "crm/a.csv", [row(at, "won", client="1.1"), row(at, client="1.1")])
    with opened(tmp_path) as project:
        project.sync()
        found = ask(project, "SELECT * FROM mc_micro_conversions ORDER BY event_order")
    assert [each["micro_conversion"] for each in found] == ["view_item", "add_to_cart", "lead", "deal"]
    assert len({each["event_order"] // 1000 for each in found}) == 1
    assert len({each["event_order"] for each in found}) == 4


def test_an_occurrence_has_value_currency_transaction_and_properties_of_its_row(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    cells = {"value": "12.50", "currency": "eur", "transaction_id": " t1 ", "plan": "pro"}
    write_rows(
        tmp_path / "crm/a.csv",
        [row("2024-03-01T13:00:00Z", "won", user="u1", **cells), row("2024-03-01T14:00:00Z", user="u1", **cells)],
    )
    with opened(tmp_path) as project:
        project.sync()
        deal, lead = external(project)
    assert (deal["value"], deal["currency"], deal["transaction_id"], deal["text_plan"]) == (12.5, "EUR", "t1", "pro")
    assert (deal["kind"], deal["stage"], deal["external_source"]) == ("macro", "post_sale", "crm")
    # An amount of the taxonomy is in the project's currency.
    assert (lead["value"], lead["currency"], lead["transaction_id"]) == (5.0, None, "t1")


@pytest.mark.parametrize("kind", ["parquet", "table"])
def test_parquet_and_tables_of_the_engine_are_read_with_their_types(tmp_path: Path, kind: str):
    at = datetime(2024, 3, 1, 13, tzinfo=UTC)
    rows = pa.table(
        {
            "who": pa.array([7.0, None]),  # an integer column with gaps
            "user_pseudo_id": pa.array([None, "1.1"]),
            "stream_id": pa.array([None, 1]),
            "happened": pa.array([at, at], pa.timestamp("us", "UTC")),
            "stage": ["won", "qualified"],
            "value": pa.array([2.5, None]),
        }
    )
    write_day(tmp_path, DAYS[0], [visit(DAYS[0], user="7"), visit(DAYS[0], client="1.1")])
    columns = 'columns = { user_id = "who", occurred_at = "happened", name = "stage" }\n'
    place = 'path = "crm/*.parquet"\n' if kind == "parquet" else 'table = "crm.stages"\n'
    sections = f'[[external_events]]\nname = "crm"\n{place}{columns}[taxonomy]\nfile = "taxonomy.toml"\n'
    with opened(tmp_path, sections) as project:
        if kind == "parquet":
            (tmp_path / "crm").mkdir()
            pq.write_table(rows, tmp_path / "crm/a.parquet")
        else:
            project.engine._connection.execute("CREATE SCHEMA crm")
            project.engine._connection.register("given", rows)
            project.engine._connection.execute("CREATE TABLE crm.stages AS SELECT * FROM given")
        project.sync()
        found = {each["micro_conversion"]: each for each in external(project)}
    assert found["deal"]["actor_key"] == key_of("u|p1|7")
    assert found["deal"]["value"] == 2.5
    assert found["lead"]["client_key"] == key_of("c|p1|1|1.1")


def test_times_finer_than_microseconds_are_cut(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    (tmp_path / "crm").mkdir()
    at = pa.array([1_709_298_000_123_456_789], pa.timestamp("ns", "Europe/Berlin"))
    pq.write_table(pa.table({"user_id": ["u1"], "occurred_at": at, "name": ["won"]}), tmp_path / "crm/a.parquet")
    with opened(tmp_path, SECTIONS.replace("*.csv", "*.parquet")) as project:
        project.sync()
        assert [each["event_at"].astimezone(UTC).isoformat() for each in external(project)] == [
            "2024-03-01T13:00:00.123456+00:00"
        ]


def test_long_rows_are_written_in_pieces_that_fit_into_a_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    long = [row("2024-03-01T13:00:00Z", user=f"u{n}", plan="ü" * 100_000) for n in range(30)]
    write_rows(tmp_path / "crm/a.csv", long)
    with opened(tmp_path) as project:
        apply, pieces = project.engine.apply, []

        def notes(changes):
            pieces.extend(len(each.rows) for each in changes if isinstance(each, AddRows) and len(each.rows) > 1)
            apply(changes)

        monkeypatch.setattr(project.engine, "apply", notes)
        project.sync()
        assert sum(pieces) == 30
        assert max(pieces) <= 11
        assert len(external(project)) == 30


def test_names_streams_and_cookies_may_come_from_the_configuration(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0], client="11.22")])
    at = {"occurred_at": "2024-03-01T13:00:00Z"}
    clients = ["GA1.1.11.22", "11.22"]
    write_rows(
        tmp_path / "mail/a.csv",
        [{**at, "client": each, "mail": str(place)} for place, each in enumerate(clients)],
        ("client", "occurred_at", "mail"),
    )
    mail = '[[external_events]]\nname = "mail"\npath = "mail/*.csv"\nevent = "qualified"\nstream = "1"\n'
    sections = f'{mail}columns = {{ user_pseudo_id = "client" }}\n[taxonomy]\nfile = "taxonomy.toml"\n'
    with opened(tmp_path, sections) as project:
        project.sync()
        clients_of_export = ask(project, "SELECT DISTINCT client_key FROM mc_sessions")
        found = external(project)
    assert [each["client_key"] for each in found] == [clients_of_export[0]["client_key"]] * 2
    assert [each["micro_conversion"] for each in found] == ["lead", "lead"]


# What is read again


def test_a_second_sync_reads_nothing_and_a_changed_file_replaces_what_it_gave(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    write_rows(tmp_path / "crm/a.csv", [row("2024-03-01T13:00:00Z", user="u1"), row("2024-03-02T13:00:00Z", user="u1")])
    write_rows(tmp_path / "crm/b.csv", [row("2024-03-02T14:00:00Z", user="u1")])
    with opened(tmp_path) as project:
        assert project.sync().external == {"seen": 2, "read": 2, "skipped": 0}
        assert project.sync().external == {"seen": 2, "read": 0, "skipped": 2}
        write_rows(tmp_path / "crm/a.csv", [row("2024-03-02T13:00:00Z", "won", user="u1")])
        planned = project.plan().external
        assert [(each.place.file, each.reason) for each in planned.tables] == [("crm/a.csv", "changed")]
        assert project.sync().external == {"seen": 2, "read": 1, "skipped": 1}
        found = [(each["event_date"].day, each["micro_conversion"]) for each in external(project)]
        assert found == [(2, "deal"), (2, "lead")]
        # Nothing of the earlier reading is left.
        assert ask(project, "SELECT COUNT(*) AS n FROM mc_external_events") == [{"n": 2}]
        assert project.sync(Scope(full_refresh=True)).external["read"] == 2
        assert [(each["event_date"].day, each["micro_conversion"]) for each in external(project)] == found


def test_a_row_that_repeats_counts_once_also_over_files(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    twice = row("2024-03-01T13:00:00Z", user="u1")
    write_rows(tmp_path / "crm/a.csv", [twice, twice, twice | {"note": "another row"}], (*twice, "note"))
    write_rows(tmp_path / "crm/b.csv", [twice], (*reversed(twice), "empty"))
    with opened(tmp_path) as project:
        result = project.sync()
        assert len(external(project)) == 2
        assert told(result, "external_repeated").startswith("2 of 4 rows of crm repeat another one exactly")
        (tmp_path / "crm/a.csv").unlink()
        write_rows(tmp_path / "crm/b.csv", [])
        project.sync()
        # The file that is gone still gives what it gave.
        assert len(external(project)) == 2


def test_a_file_that_is_gone_stays_staged_and_is_said_and_a_section_that_is_gone_takes_its_rows(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    path = write_rows(tmp_path / "crm/a.csv", [row("2024-03-01T13:00:00Z", user="u1")])
    with opened(tmp_path) as project:
        project.sync()
        before = external(project)
        path.unlink()
        assert [row["file"] for row in project.plan().external.kept] == ["crm/a.csv"]
        result = project.sync()
        assert external(project) == before
        assert "1 external table that was read is gone: crm/a.csv." in told(result, "external_gone")
    notices: list[str] = []
    with opened(tmp_path, '[taxonomy]\nfile = "taxonomy.toml"\n') as project:
        assert [each["file"] for each in project.plan().external.document()["dropped"]] == ["crm/a.csv"]
        project.sync(on_notice=lambda message, _: notices.append(message))
        assert external(project) == []
        for table in ("mc_external_events", "mc_external_files", "mc_external_days"):
            assert ask(project, f"SELECT * FROM {table}") == []
    assert any("no external table crm any more" in each for each in notices)


def test_what_lies_in_the_future_is_refused_until_it_has_come(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    write_rows(tmp_path / "crm/a.csv", [row("2024-03-20T13:00:00Z", user="u1"), row("2024-03-01T13:00:00Z", user="u1")])
    clock = datetime(2024, 3, 19, tzinfo=UTC)
    with opened(tmp_path) as project:

        def run() -> None:
            sync(project.engine, project.sources, project.config, project.taxonomy, now=lambda: clock)

        run()
        assert len(external(project)) == 1
        assert ask(project, "SELECT rows_future, rows_refused FROM mc_external_files") == [
            {"rows_future": 1, "rows_refused": 1}
        ]
        clock += timedelta(days=3)
        assert project.plan_external(clock).reasons() == {"moment": 1}
        run()
        assert len(external(project)) == 2
        assert project.plan_external(clock).reasons() == {}


def test_rows_are_read_again_where_the_configuration_reads_them_otherwise(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    write_rows(tmp_path / "crm/a.csv", [row("2024-03-01 00:30:00", user="u1", plan="pro")])
    with opened(tmp_path) as project:
        project.sync()
    with opened(tmp_path, timezone="America/New_York") as project:
        assert project.plan().external.reasons() == {"reading": 1}
        project.sync()
        (found,) = external(project)
        assert found["event_at"].astimezone(UTC).hour == 5
    with opened(tmp_path, SECTIONS.replace('carry = ["plan"]', 'carry = ["transaction_id", "note"]')) as project:
        assert project.plan().external.reasons() == {"reading": 1}


def test_another_taxonomy_counts_the_same_rows_otherwise_without_reading_them(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    path = write_rows(tmp_path / "crm/a.csv", [row("2024-03-01T13:00:00Z", user="u1")])
    with opened(tmp_path) as project:
        project.sync()
    path.unlink()
    with opened(tmp_path, taxonomy=TAXONOMY.replace("value = 5", "value = 7")) as project:
        assert project.sync().external["read"] == 0
        assert [each["value"] for each in external(project)] == [7.0]
    with opened(tmp_path, taxonomy=TAXONOMY.replace('"qualified", "requalified"', '"other"')) as project:
        result = project.sync()
        assert external(project) == []
        said = "1 of 1 rows of crm have a name that the taxonomy does not count: qualified (1)."
        assert told(result, "external_unknown_name") == said


def test_a_day_that_is_staged_again_keeps_what_other_systems_told_of_it(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    write_rows(tmp_path / "crm/a.csv", [row("2024-03-01T13:00:00Z", user="u1")])
    with opened(tmp_path) as project:
        project.sync()
        before = external(project)
        write_day(tmp_path, DAYS[0], [visit(DAYS[0]), visit(DAYS[0], client="2.2")])
        assert project.sync().shards["staged"] == 1
        assert external(project) == before


def test_a_run_that_is_killed_while_it_reads_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    path = write_rows(tmp_path / "crm/a.csv", [row("2024-03-01T13:00:00Z", user="u1")])
    with opened(tmp_path) as project:
        project.sync()
        before = external(project)
        write_rows(path, [row("2024-03-01T13:00:00Z", user="u2"), row("2024-03-02T13:00:00Z", user="u2")])
        engine: Engine = project.engine
        apply, calls = engine.apply, []

        def fails_at_the_end(changes):
            calls.append(changes)
            if any(getattr(change, "having", None) for change in changes):
                raise EngineError("The disk is full.", hint="")
            apply(changes)

        monkeypatch.setattr(engine, "apply", fails_at_the_end)
        with pytest.raises(EngineError):
            project.sync()
        monkeypatch.undo()
        assert external(project) == before
        project.sync()
        assert [each["actor_key"] for each in external(project)] == [key_of("u|p1|u2")] * 2
        assert ask(project, "SELECT COUNT(*) AS n FROM mc_external_events") == [{"n": 2}]


DERIVED = """
[[micro_conversions]]
id = "two_leads"
kind = "secondary"
stage = "decision"
derived = { of = "lead", times = 2, within = "2d" }
[[micro_conversions]]
id = "seen_and_qualified"
kind = "secondary"
stage = "decision"
derived = { of = ["lead", "view_item"], days = 2, within = "3d" }
[[micro_conversions]]
id = "lost_lead"
kind = "secondary"
stage = "decision"
hesitation = { start = "lead", without = "deal", within = "1d" }
"""
"""Entries that are made of what other systems tell, and of it and the export together."""
USERS = ("u1", "u2")
ALL_OCCURRENCES = "SELECT * FROM mc_micro_conversions ORDER BY ALL"


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[str, object]]:
    """Shards of days and files of rows as they land: clients that become known, overlapping and changed files."""
    landed: list[tuple[str, object]] = []
    for _ in range(draw(st.integers(1, 5))):
        if draw(st.booleans()):
            day = draw(st.sampled_from(DAYS))
            events = [
                visit(day, client=draw(st.sampled_from(["1.1", "2.2"])), user=draw(st.sampled_from([None, *USERS])))
                for _ in range(draw(st.integers(1, 3)))
            ]
            landed.append(("day", (day, events)))
            continue
        rows = [
            row(
                f"{draw(st.sampled_from(DAYS))}T{draw(st.sampled_from(['00:00:00', '12:00:00', '23:59:59']))}Z",
                draw(st.sampled_from(["qualified", "requalified", "won", "opened"])),
                user=draw(st.sampled_from(["", "", *USERS])),
                client=draw(st.sampled_from(["", "1.1", "2.2", "3.3"])),
                plan=draw(st.sampled_from(["", "pro"])),
            )
            for _ in range(draw(st.integers(0, 5)))
        ]
        landed.append(("file", (draw(st.sampled_from(["a.csv", "b.csv"])), rows)))
    return landed


@search(4, 50, shares_fixtures=True)
@given(landed=arrivals())
def test_any_order_of_arrival_leaves_what_a_rebuild_makes(tmp_path_factory, landed: list[tuple[str, object]]):
    folder = tmp_path_factory.mktemp("arrivals")
    write_day(folder, DAYS[0], [visit(DAYS[0])])
    with opened(folder, taxonomy=TAXONOMY + DERIVED, timezone="Europe/Berlin") as project:
        for number, (kind, what) in enumerate(landed):
            path = write_day(folder, *what) if kind == "day" else write_rows(folder / "crm" / what[0], what[1])
            # Two writes within a tick of the clock and of one size are two states all the same.
            os.utime(path, (1_710_000_000 + number, 1_710_000_000 + number))
            project.sync()
        incremental = ask(project, ALL_OCCURRENCES)
        grain = ("event_date", "client_key", "event_order", "micro_conversion")
        assert len({tuple(each[name] for name in grain) for each in incremental}) == len(incremental)
    with opened(folder, taxonomy=TAXONOMY + DERIVED, timezone="Europe/Berlin", database="rebuilt") as project:
        project.sync()
        assert ask(project, ALL_OCCURRENCES) == incremental


# What cannot be read


def reader(**keys: object) -> EventReader:
    return EventReader(ExternalEventsConfig(name="crm", table="t", property="p1", **keys), (), BERLIN, NOW)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"occurred_at": ""}, "empty"),
        ({"occurred_at": "yesterday"}, "no moment"),
        ({"occurred_at": "10000-01-01T00:00:00Z"}, "no moment"),
        ({"occurred_at": "2024-03-01T10:00:00 Europe/Berlinn"}, "no moment"),
        ({"occurred_at": "2024-02-30"}, "no moment"),
        ({"occurred_at": "1709287200"}, "no moment"),
        ({"occurred_at": "0001-01-01T00:00:00"}, "no moment"),
        ({"occurred_at": "1970-01-01T00:00:00Z"}, "too early"),
        ({"occurred_at": "2024-04-01T00:05:01Z"}, "future"),
        ({"occurred_at": "9999-12-31"}, "future"),
        ({"occurred_at": Odd.VALUE}, "unreadable"),
        ({"name": " "}, "empty"),
        ({"user_id": ""}, "nobody"),
        ({"user_id": "undefined"}, "nobody"),
        ({"user_id": "", "user_pseudo_id": "1.1"}, "no stream"),
        ({"user_id": Odd.VALUE}, "unreadable"),
        ({"user_id": 1008825.534}, "unreadable"),
        ({"value": "1,5"}, "no number"),
        ({"value": "nan"}, "no number"),
        ({"value": "1e11"}, "no number"),
        ({"value": True}, "no number"),
        ({"currency": "euro"}, "no currency"),
    ],
)
def test_a_row_that_cannot_be_staged_is_counted_with_its_reason_and_place(cells: dict[str, object], reason: str):
    usual = {"occurred_at": "2024-03-01", "name": "won", "user_id": "u1", "user_pseudo_id": "", "stream_id": ""}
    names = (*usual, "value", "currency")
    good = [{**usual, "value": "", "currency": ""}.get(name) for name in names]
    bad = [{**usual, "value": "", "currency": "", **cells}.get(name) for name in names]
    tally = RowTally()
    staged = list(reader().rows(names, [(2, good), (3, bad), (4, good[:-1])], "the file", tally))
    assert [each["line"] for each in staged] == [2]
    assert {each.reason: each.places for each in tally.refusals.values()} == {reason: [3], "fields": [4]}
    assert (tally.read, tally.kept, tally.state["rows_refused"]) == (3, 1, 2)
    assert all(str(value) not in tally.state["refusals"] for value in cells.values() if len(str(value)) > 3)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2024-03-31T02:30:00", "2024-03-31T01:30:00"),  # an hour that summer time leaves out
        ("2024-10-27T02:30:00", "2024-10-27T00:30:00"),  # and one that it has twice: the first
        ("2024-03-01 10:00:00 UTC", "2024-03-01T10:00:00"),
        ("2024-03-01T10:00:00.123456+05:30", "2024-03-01T04:30:00.123456"),
        (" 20240301 ", "2024-02-29T23:00:00"),
        (date(2024, 3, 1), "2024-02-29T23:00:00"),
        (datetime(2024, 3, 1, 10), "2024-03-01T09:00:00"),
    ],
)
def test_moments_are_read_in_every_usual_form(written: object, moment: str):
    found, has_zone = moment_of(written, "occurred_at", BERLIN)
    assert found.replace(tzinfo=None).isoformat() == moment
    assert has_zone == ("UTC" in str(written) or "+" in str(written))


@given(st.one_of(st.text(), st.integers(), st.floats(), st.binary(), st.none(), st.datetimes(), st.dates()))
def test_whatever_a_cell_holds_is_a_moment_and_a_number_or_refused(value: object):
    for read in (lambda: moment_of(value, "c", BERLIN), lambda: number_of(value, "c")):
        with suppress(Refused):
            read()


def test_damaged_bytes_refuse_their_row_alone_and_no_value_is_told(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    path = write_rows(tmp_path / "crm/a.csv", [row("2024-03-01T13:00:00Z", user="u1")])
    with path.open("ab") as file:
        file.write(b"jane\xff@example.com,,,2024-03-01T14:00:00Z,won,,,,\r\n")
        file.write(b"jane@example.com,,,soon,won,,,,\r\n")
        file.write(b"jane@example.com,,,2024-03-01T14:00:00Z,jane doe,,,,\r\n")
    with opened(tmp_path) as project:
        result = project.sync()
        assert [each["micro_conversion"] for each in external(project)] == ["lead"]
    said = told(result, "external_refused")
    assert said.startswith("2 of 4 rows of crm/a.csv (crm) are not staged.")
    assert "(line 3): user_id cannot be read: bytes that are not UTF-8" in said
    assert "(line 4): occurred_at is not a moment" in said
    assert told(result, "external_unknown_name").endswith("1 other name (such as may be of a person are never shown).")
    everything = json.dumps(result.document(), default=str)
    assert "jane" not in everything


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"user_id,name\r\nu1,won\r\n", "has no column occurred_at"),
        (b"occurred_at,name\r\n2024-03-01,won\r\n", "has no column user_id or user_pseudo_id"),
        (b"user_pseudo_id,occurred_at,name\r\n1.1,2024-03-01,won\r\n", "has no column stream_id"),
        (b"user_id,user_id,occurred_at,name\r\n", "has more than one column user_id"),
        (b'user_id,occurred_at,name\r\nu1,"2024-03-01,won\r\n', "line 2: unexpected end of data"),
        (b"", "has no columns occurred_at, name, user_id or user_pseudo_id"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_and_all_else_is_staged(tmp_path: Path, content: bytes, said: str):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    path = write_rows(tmp_path / "crm/a.csv", [row("2024-03-01T13:00:00Z", user="u1")])
    with opened(tmp_path) as project:
        project.sync()
        before = external(project)
        path.write_bytes(content)
        write_rows(tmp_path / "crm/b.csv", [row("2024-03-02T13:00:00Z", user="u1")])
        write_day(tmp_path, DAYS[1], [visit(DAYS[1])])
        with pytest.raises(SourceError) as caught:
            project.sync()
        assert said in caught.value.message or (content == b"" and "is empty, and was not" in caught.value.message)
        assert "What was read of it before stays." in caught.value.message
        assert external(project)[:1] == before
        assert len(external(project)) == 2
        assert ask(project, "SELECT COUNT(*) AS days FROM mc_shards") == [{"days": 2}]
        # It is tried again until it is right.
        with pytest.raises(SourceError):
            project.sync()


def test_damaged_parquet_is_an_error(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    (tmp_path / "crm").mkdir()
    (tmp_path / "crm/a.parquet").write_bytes(b"PAR1 and no more")
    with (
        opened(tmp_path, SECTIONS.replace("*.csv", "*.parquet")) as project,
        pytest.raises(SourceError, match="damaged"),
    ):
        project.sync()


def test_nothing_at_the_place_is_said(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    sections = SECTIONS + '[[external_events]]\nname = "tickets"\ntable = "desk.tickets"\n'
    with opened(tmp_path, sections) as project:
        result = project.sync()
        assert project.plan().external.document()["absent"] == ["crm", "tickets"]
    assert "external table crm" in told(result, "external_absent")
    assert "external table tickets" in told(result, "external_absent")


# Metrics


def test_metrics_are_kept_by_day_name_and_dimension(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    cells = [("2024-03-01", "lcp", "2.5", "DE"), ("2024-03-01", "lcp", "3", "DE"), ("2024-03-01", "lcp", "2.5", "DE")]
    cells += [("2024-03-01", "lcp", "4", ""), ("someday", "lcp", "4", ""), ("2024-03-02", "lcp", "", "")]
    names = ("day", "name", "value", "dimension")
    write_rows(tmp_path / "speed.csv", [dict(zip(names, each, strict=True)) for each in cells], names)
    with opened(tmp_path, '[[external_metrics]]\nname = "speed"\npath = "speed.csv"\n') as project:
        result = project.sync()
        found = ask(project, "SELECT day, name, dimension, value FROM mc_external_metrics ORDER BY dimension")
        assert [tuple(each.values()) for each in found] == [
            (date(2024, 3, 1), "lcp", "", 4.0),
            (date(2024, 3, 1), "lcp", "DE", 2.5),
        ]
        assert told(result, "external_refused").startswith("3 of 6 rows of speed.csv (speed) are not staged.")
        write_rows(tmp_path / "speed.csv", [dict(zip(names, ("2024-03-05", "lcp", "1", ""), strict=True))], names)
        project.sync()
        assert ask(project, "SELECT day, value FROM mc_external_metrics") == [{"day": date(2024, 3, 5), "value": 1.0}]


# In the answers


def test_derived_entries_are_made_of_what_other_systems_tell_and_follow_its_changes(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0], user="u1")])
    # Somebody else's day: across one that the export lacks, nothing would be known not to have happened.
    write_day(tmp_path, DAYS[1], [visit(DAYS[1], client="9.9")])
    write_day(tmp_path, DAYS[2], [visit(DAYS[2], user="u1")])
    path = write_rows(tmp_path / "crm/a.csv", [row(f"{day}T13:00:00Z", user="u1") for day in DAYS[:2]])
    derived = "SELECT micro_conversion, event_at FROM mc_micro_conversions WHERE is_derived ORDER BY event_at, 1"

    def found() -> list[tuple[str, str]]:
        return [
            (each["micro_conversion"], f"{each['event_at'].astimezone(UTC):%d %H}") for each in ask(project, derived)
        ]

    with opened(tmp_path, taxonomy=TAXONOMY + DERIVED) as project:
        project.sync()
        assert found() == [("seen_and_qualified", "02 13"), ("two_leads", "02 13"), ("lost_lead", "03 13")]
        won = row("2024-03-02T14:00:00Z", "won", user="u1")
        write_rows(path, [row(f"{day}T13:00:00Z", user="u1") for day in DAYS[:2]] + [won])
        project.sync()
        assert found() == [("seen_and_qualified", "02 13"), ("two_leads", "02 13")]
        write_rows(path, [won])
        project.sync()
        assert found() == [("seen_and_qualified", "03 12")]


def test_they_work_in_funnels_paths_attribution_segments_and_coverage(tmp_path: Path):
    users = ("u1", "u2", "u3")
    write_day(tmp_path, DAYS[0], [visit(DAYS[0], client=f"{n}.1", user=user) for n, user in enumerate(users)])
    rows = [row("2024-03-01T13:00:00Z", user=user) for user in users]
    rows += [row("2024-03-01T14:00:00Z", "won", user="u1", value="100", currency="USD", transaction_id="t1")]
    rows += [row("2024-03-01T15:00:00Z", "won", user="u1", value="100", currency="USD", transaction_id="t1")]
    write_rows(tmp_path / "crm/a.csv", rows)
    write_day(tmp_path, DAYS[1], [visit(DAYS[1], client="9.9")])
    sections = (
        SECTIONS + '[[funnels]]\nname = "ladder"\nsteps = ["view_item", "lead", "deal"]\n'
        '[attribution]\ngoal = "deal"\n'
        '[[segments]]\nname = "leads"\nrule = { did = "lead", within = "7d", not_did = "deal" }\n'
    )
    with opened(tmp_path, sections) as project:
        project.sync()
        assert [step.count for step in project.funnel("ladder").steps] == [4, 3, 1]
        by_session = project.attribution(models=("last",), windows=("7d",))
        assert [(each.touchpoint, each.credit, each.value) for each in by_session.rows] == [("Direct", 1.0, 100.0)]
        as_touch = project.attribution(touchpoint="micro_conversion", models=("last",), windows=("7d",))
        assert [each.touchpoint for each in as_touch.rows if each.credit] == ["lead"]
        members = project.members("leads")
        assert sorted(each.user_id or "" for each in members) == ["u2", "u3"]
        coverage = project.coverage()
        assert {each.micro_conversion for each in coverage.days if each.occurrences} >= {"lead", "deal"}
        assert not coverage.outages
        assert project.paths(to="deal", count="actors").rows


def test_a_member_whom_only_another_system_knows_has_the_user_id_that_it_told(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    write_rows(tmp_path / "crm/a.csv", [row("2024-03-01T11:00:00Z", user="u7")])
    sections = SECTIONS + '[[segments]]\nname = "leads"\nrule = { did = "lead", within = "7d" }\n'
    with opened(tmp_path, sections) as project:
        result = project.sync()
        assert [each.user_id for each in project.members("leads")] == ["u7"]
    assert "1 of 1 rows of crm are of users or clients that the export does not have" in told(
        result, "external_stranger"
    )


# The configuration


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('name = "crm"', "external_events[0].path is required, or table"),
        ('name = "crm"\npath = "a.csv"\ntable = "t"', "external_events[0].table"),
        ('name = "crm"\npath = "a.xlsx"', "must end with .csv or .parquet"),
        ('name = "crm"\npath = "a.csv"\nproperty = "p2"', "is not a property of [[sources]]"),
        ('name = "crm"\npath = "a.csv"\ncolumns = { when = "x" }', "columns.when is not a known key"),
        (
            'name = "crm"\npath = "a.csv"\n[[external_events]]\nname = "other"\npath = "a.csv"',
            "reads the same files for the same property",
        ),
    ],
)
def test_mistakes_in_the_configuration_are_named(tmp_path: Path, keys: str, said: str):
    path = write_config(tmp_path, extra=f"[[external_events]]\n{keys}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    assert said in caught.value.message


def test_the_property_is_required_where_there_are_several(tmp_path: Path):
    other = '[[sources]]\nproperty = "p2"\nkind = "files"\npath = "other/events_*"\n'
    with pytest.raises(ConfigError, match="is required where there are several: p1, p2"):
        load_config(write_config(tmp_path, extra=other + CRM), {})
    config = load_config(write_config(tmp_path, extra=f'{other}{CRM}property = "p2"\n'), {})
    assert config.external_events[0].property == "p2"


def test_nothing_is_written_over_an_external_table(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    write_rows(tmp_path / "crm/a.csv", [])
    with opened(tmp_path) as project:
        project.sync()
        with pytest.raises(UsageError, match=r"external_events\[0\]\.path"):
            project.report(tmp_path / "crm/a.csv")
        with pytest.raises(UsageError, match=r"external_events\[0\]\.path"):
            project.report(tmp_path / "crm/new.csv")


def test_audience_files_are_never_read_as_events(tmp_path: Path):
    sections = (
        '[[external_events]]\nname = "crm"\npath = "out/*.csv"\n'
        '[[segments]]\nname = "s"\nrule = { did = "purchase", within = "7d" }\n'
        '[[destinations]]\nname = "d"\nformat = "csv"\npath = "out"\n'
    )
    with pytest.raises(ConfigError, match="would read the audience files of the segment"):
        load_config(write_config(tmp_path, extra=sections), {}, catalogue.destination_settings)


def test_plan_and_sync_say_what_they_do_with_tables(tmp_path: Path):
    write_day(tmp_path, DAYS[0], [visit(DAYS[0])])
    path = write_rows(tmp_path / "crm/a.csv", [row("2024-03-01T13:00:00Z", user="u1"), row("soon", user="u1")])
    with opened(tmp_path):
        pass
    before = sorted(each.name for each in tmp_path.iterdir())
    plan = microconv(tmp_path, "sync", "--plan")
    assert "crm/a.csv" in plan.stdout
    assert "not read yet" in plan.stdout
    assert sorted(each.name for each in tmp_path.iterdir()) == before
    done = microconv(tmp_path, "sync")
    assert (done.code, "Tables of other systems: 1 of 1 read." in done.stdout) == (0, True)
    assert "1 of 2 rows of crm/a.csv (crm) are not staged." in done.stderr
    path.unlink()
    document = microconv(tmp_path, "sync", "--plan", "--format", "json").document["external"]
    assert document["kept"] == [{"kind": "events", "source": "crm", "file": "crm/a.csv"}]
    assert "it is gone: its rows stay as they are" in " ".join(microconv(tmp_path, "sync", "--plan").stdout.split())


def test_days_without_an_outage_stay_so_where_other_systems_are_silent(tmp_path: Path):
    days = [DAYS[0] + timedelta(days=offset) for offset in range(5)]
    for day in days:
        write_day(tmp_path, day, [visit(day, client=f"{n}.1") for n in range(30)])
    rows = [row(f"{day}T12:00:00Z", user=f"u{n}") for day in days[:4] for n in range(30)]
    write_rows(tmp_path / "crm/a.csv", rows)
    with opened(tmp_path) as project:
        project.sync()
        coverage = project.coverage()
    silent = [each for each in coverage.days if (each.micro_conversion, each.event_date) == ("lead", days[4])]
    assert [(each.occurrences, each.status) for each in silent] == [(0, "ok")]
    assert any("no day of theirs is an outage" in each for each in coverage.assumptions)
