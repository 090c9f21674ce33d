"""mc_profile: a day's rows depend on that day alone, count as plain Python does, and show nobody's data."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ga4
from microconv.config.load import load_config
from microconv.project import Project
from microconv.staging import Scope, profile
from projects import write_config
from searches import search

DAYS = [date(2024, 3, 1) + timedelta(days=offset) for offset in range(3)]
PLANTED = {
    "address": "https://shop.example/thanks?email=jane.doe%40mail.example",
    "doubly_escaped": "https://shop.example/?m=jane.doe%2540mail.example",
    "sentence": "please write to Jane.Doe+shop@mail.example, thanks",
    "script": "<script>alert('jane@mail.example')</script>",
    "formula": '=HYPERLINK("mailto:jane@mail.example")',
    "call": "+49 171 2345678",
    "call_in_address": "https://shop.example/?phone=01712345678",
    "who": "https://shop.example/?first_name=Jane&lastname=Doe",
    "door": "https://shop.example/reset?token=Jane0123456789",
    "web_token": "eyJKYW5lIjoxMjM0.eyJKYW5lIjoiRG9lIn0.Jane",
    "password": "Jane2345678",
    "first_name": "Jane",
    "search_term": "jane diabetes",
    "bell": "jane@mail.example\x1b]0;owned\x07\u202e",
}
HITS = ("email", "phone", "name", "token", "health")

row = st.tuples(
    st.integers(0, 2),
    st.sampled_from(["page_view", "purchase"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["x", "yy", "", "(not set)", "z" * 100, "jane@mail.example", 3, 4, 2.5, None]),
)


def folder_of(parent: Path, rows: list[tuple[int, str, str, Any]]) -> Path:
    folder = parent / uuid.uuid4().hex
    for number, day in enumerate(DAYS):
        events = [
            ga4.event(ga4.microseconds(f"{day} 12:00:00") + place, name, params={key: value})
            for place, (of, name, key, value) in enumerate(rows)
            if of == number
        ]
        ga4.write_parquet(folder / "exports" / f"{ga4.shard_name(day)}.parquet", events)
    write_config(folder)
    return folder


def profiled(folder: Path, database: str, orders: list[Scope]) -> list[dict[str, Any]]:
    config = load_config(folder / "microconv.toml", {"MICROCONV_ENGINE__PATH": str(folder / database)})
    with Project(config) as project:
        for scope in orders:
            project.sync(scope)
        rows = project.query("SELECT * FROM mc_profile", limit=100_000).rows
        columns = project.query("SELECT * FROM mc_profile LIMIT 1").columns
    found = [dict(zip(columns, each, strict=True)) if not isinstance(each, dict) else each for each in rows]
    return sorted(found, key=lambda each: [str(value) for value in each.values()])


def of_plain_python(rows: list[tuple[int, str, str, Any]]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    values: dict[tuple[Any, ...], Counter[Any]] = defaultdict(Counter)
    for number, name, key, value in rows:
        kind = {str: "string", int: "int", float: "float"}.get(type(value), "null")
        values[DAYS[number], name, key, kind][value] += 1
        values[DAYS[number], name, "ga_session_id", "int"][None] += 1
        values[DAYS[number], name, "", ""][None] += 1
    counted = {}
    for key, found in values.items():
        texts = [value for value in found if isinstance(value, str)]
        distinct = None if key[2] in ("", "ga_session_id") else sum(value is not None for value in found)
        counted[key] = (
            sum(found.values()),
            distinct,
            min(map(len, texts), default=None),
            max(map(len, texts), default=None),
            *(found[value] for value in ("z" * 100, "", "(not set)", "jane@mail.example")),
        )
    return counted


@search(2, 30)
@given(st.lists(row, max_size=30), st.permutations([0, 1, 2]))
def test_any_order_of_arrival_gives_the_profile_that_plain_python_counts(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, str, Any]], order: list[int]
) -> None:
    folder = folder_of(tmp_path_factory.mktemp("profile"), rows)

    whole = profiled(folder, "whole.duckdb", [Scope()])
    parts = profiled(folder, "parts.duckdb", [Scope(since=DAYS[each], until=DAYS[each]) for each in order])

    assert parts == whole
    assert {
        (each["event_date"], each["event_name"], each["parameter"], each["value_type"]): (
            *(each[name] for name in ("event_rows", "distinct_values", "shortest", "longest", "rows_at_limit")),
            *(each[name] for name in ("rows_empty", "rows_placeholder", "rows_email")),
        )
        for each in whole
    } == of_plain_python(rows)


def test_nobody_can_be_read_in_an_example(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [(0, "page_view", key, value) for key, value in PLANTED.items()])

    rows = {each["parameter"]: each for each in profiled(folder, "d.duckdb", [Scope()])}

    for parameter, value in PLANTED.items():
        example = rows[parameter]["example"]
        assert sum(rows[parameter][f"rows_{hit}"] for hit in HITS) >= 1, parameter
        assert not any(piece in example.lower() for piece in ("jane", "doe", "2345678", "diabetes")), parameter
        assert len(example) <= 60, parameter
        assert example.isprintable(), parameter
        assert set(filter(str.isalnum, example)) <= {"a", "0"}, value


def test_a_project_that_wants_none_has_none_and_one_that_wants_it_later_reads_the_shards_again(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [(0, "page_view", "a", "x")])
    write_config(folder, extra="[audit]\nprofile = false\n")
    with Project(load_config(folder / "microconv.toml", {})) as project:
        project.sync()
        assert not project.query("SELECT * FROM mc_profile").rows
        assert project.sync().shards["staged"] == 0
    write_config(folder)
    with Project(load_config(folder / "microconv.toml", {})) as project:
        assert project.plan().reasons() == {"profile": 3}
        assert project.sync().shards["staged"] == 3
        assert project.query("SELECT * FROM mc_profile").rows
        assert project.sync().shards["staged"] == 0


def test_distinct_values_are_counted_to_a_thousand(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [(0, "page_view", "a", f"v{number}") for number in range(profile.MOST_DISTINCT + 1)])

    (found,) = [each for each in profiled(folder, "d.duckdb", [Scope()]) if each["parameter"] == "a"]

    assert (found["event_rows"], found["distinct_values"], found["example"]) == (1_001, 1_000, "v0")


def test_the_profile_of_a_real_day_is_what_the_file_holds(tmp_path: Path, sample: Path) -> None:
    file = sample / "ga4_sample" / "events_20201220.parquet"
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / file.name).symlink_to(file)
    write_config(tmp_path)

    found = profiled(tmp_path, "d.duckdb", [Scope()])

    own = duckdb.connect()
    raw = own.execute(
        f"""SELECT event_name, p.key, count(*), min(length(p.value.string_value)), max(length(p.value.string_value)),
          count(DISTINCT p.value.string_value)
        FROM (SELECT event_name, unnest(event_params) AS p FROM read_parquet('{file}'))
        WHERE p.value.string_value IS NOT NULL GROUP BY ALL"""
    ).fetchall()
    names = ("event_name", "parameter", "event_rows", "shortest", "longest", "distinct_values")
    expected = {(*each[:5], min(each[5], profile.MOST_DISTINCT)) for each in raw if each[1] != "gclid"}
    texts = [each for each in found if each["value_type"] == "string" and each["parameter"] != "gclid"]
    assert {tuple(each[name] for name in names) for each in texts} == expected
    events = own.execute(f"SELECT count(*) FROM read_parquet('{file}')").fetchall()[0][0]
    own.close()
    assert sum(each["event_rows"] for each in found if each["parameter"] == "") == events
    assert sum(each[f"rows_{hit}"] for each in found for hit in HITS) == 0
