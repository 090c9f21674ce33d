"""What a change of the taxonomy stages again: no shard is read where the staged events have all that it asks."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import ga4
from bigquery_export import Export
from emulator import Emulator
from microconv.cli import cli
from microconv.config.load import load_config
from microconv.project import Project
from microconv.queries.templates import Query
from microconv.staging import Scope, mc_tables
from projects import write_bigquery_config, write_config
from searches import search
from taxonomy_files import write_file

FIRST_DAY = date(2024, 3, 1)
DAYS = [FIRST_DAY + timedelta(days=offset) for offset in range(3)]
TABLES = ("mc_events", "mc_sessions", "mc_micro_conversions", "mc_hosts", "mc_profile", "mc_shards")
OF_A_RUN = {"run_id", "staged_at", "event_columns"}
"""Columns of mc_shards that tell which run staged a day, and what its events have beyond what is asked."""
NAMES = ("page_view", "view_item", "add_to_cart", "begin_checkout", "purchase")
GOAL = '[[micro_conversions]]\nid = "bought"\nkind = "macro"\nstage = "decision"\nevent = "purchase"\nvalue = "event"\n'
FULL = GOAL + (
    '[[micro_conversions]]\nid = "everything"\nkind = "secondary"\nstage = "awareness"\nevent = "view_item"\n'
    'where = [{ parameter = "method", exists = true }, { parameter = "depth", at_least = 0 }]\n'
)
"""A taxonomy whose conditions carry all that any other one here looks at."""


@st.composite
def taxonomies(draw: st.DrawFn) -> str:
    """Some entries in some order: conditions, collapse, kinds, stages, values and replacements differ."""
    text = ""
    names = draw(st.permutations(NAMES[:-1]))
    for name in names[: draw(st.integers(0, 4))]:
        conditions = draw(
            st.lists(
                st.sampled_from(
                    [
                        '{ parameter = "method", equals = "x" }',
                        '{ parameter = "depth", at_least = 50 }',
                        '{ field = "page", starts_with = "/a" }',
                    ]
                ),
                max_size=2,
                unique=True,
            )
        )
        lines = [
            f'id = "{name}_done"',
            f'event = ["{name}", "page_view"]',
            f'kind = "{draw(st.sampled_from(["milestone", "secondary", "macro"]))}"',
            f'stage = "{draw(st.sampled_from(["awareness", "consideration", "decision", "post_sale"]))}"',
            f"where = [{', '.join(conditions)}]",
            draw(st.sampled_from(["", "value = 2.5", 'value = "event"'])),
            draw(st.sampled_from(["", 'collapse = "1s"', 'collapse = "60s"'])),
            draw(st.sampled_from(["", 'deprecated_in = "1.0"\nreplaced_by = "bought"'])),
        ]
        text += "\n".join(("[[micro_conversions]]", *filter(None, lines), ""))
    return text + GOAL if draw(st.booleans()) else GOAL + text


CLOCKS = ("00:00:00", "00:00:01", "12:00:00", "23:59:59")
BATCHES: tuple[tuple[dict[str, int], dict[str, int]], ...] = (
    ({}, {}),
    ({}, {}),
    ({}, {"batch_page_id": 1}),
    ({}, {"batch_page_id": 2, "batch_event_index": 1}),
    ({"batch_ordering_id": 1}, {}),
    ({"batch_ordering_id": 2}, {}),
)
"""Batch fields as parameters, and as columns."""

Drawn = tuple[int, str, str, "str | None", "int | None", "str | None", str, "str | None", "int | None", int]
drawn = st.tuples(
    st.sampled_from([0, 1, 2]),
    st.sampled_from(CLOCKS),
    st.sampled_from(NAMES),
    st.sampled_from(["1.5", "2.5", None]),
    st.sampled_from([1, 2, None]),
    st.sampled_from([None, None, "u1"]),
    st.sampled_from(["a", "b?q"]),
    st.sampled_from(["x", "y", None]),
    st.sampled_from([10, 90, None]),
    st.integers(0, len(BATCHES) - 1),
)


def events_of(one: Drawn) -> dict[str, Any]:
    """Ties, with and without batch fields; clients without consent; sessions over midnight."""
    day, clock, name, client, session, user, page, method, depth, batch = one
    params, columns = BATCHES[batch]
    return ga4.event(
        f"{DAYS[day]} {clock}",
        name,
        client=client,
        session=session,
        user_id=user,
        params={"page_location": f"https://a.example/{page}", "method": method, "depth": depth, "value": 2, **params},
        **columns,
    )


@contextmanager
def project_of(folder: Path, database: str, extra: str = "") -> Iterator[Project]:
    config = write_config(folder, extra='[taxonomy]\npreset = "none"\nfile = "taxonomy.toml"\n' + extra)
    with Project(load_config(config, {"MICROCONV_ENGINE__PATH": str(folder / database)})) as project:
        yield project


def staged(project: Project) -> dict[str, list[tuple[Any, ...]]]:
    found = {}
    for name in TABLES:
        table = mc_tables.TABLES[name]
        columns = [*table.column_names, *(each.name for each in project.rules.extra_columns(table))]
        chosen = [column for column in columns if name != "mc_shards" or column not in OF_A_RUN]
        query = Query(name, f"SELECT {', '.join(f't.{column}' for column in chosen)} FROM `{name}` AS t", {})
        rows = project.engine.query(query).to_pylist()
        found[name] = sorted((tuple(row.values()) for row in rows), key=repr)
    return found


def damage(folder: Path) -> None:
    """Make every shard unreadable, and leave name, size and time of change as they are."""
    for path in (folder / "exports").iterdir():
        was = path.stat()
        path.write_bytes(b"#" * was.st_size)
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


@search(4, 50)
@given(events=st.lists(drawn, max_size=45), texts=st.lists(taxonomies(), min_size=1, max_size=2))
def test_taxonomies_on_staged_events_leave_what_a_rebuild_leaves(
    tmp_path_factory: pytest.TempPathFactory, events: list[Drawn], texts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("restaged")
    for number, day in enumerate(DAYS):
        of_day = [events_of(one) for one in events if one[0] == number]
        ga4.write_parquet(folder / "exports" / f"{ga4.shard_name(day)}.parquet", of_day)
    rebuilt = []
    for number, text in enumerate(texts):
        write_file(folder, text)
        with project_of(folder, f"{number}.duckdb") as project:
            project.sync()
            rebuilt.append(staged(project))
    write_file(folder, FULL)
    with project_of(folder, "again.duckdb") as project:
        project.sync()
    damage(folder)
    for text, expected in zip(texts[:1], rebuilt[:1], strict=True):
        write_file(folder, text)
        with project_of(folder, "again.duckdb") as project:
            assert set(project.plan().reasons()) <= {"taxonomy from staged events"}
            assert project.sync().shards["staged"] == len(DAYS)
            assert staged(project) == expected
    for text, expected in zip(texts[1:], rebuilt[1:], strict=True):
        # What events carry is still there, unless they had to be put into another order.
        write_file(folder, text)
        with project_of(folder, "again.duckdb") as project:
            if set(project.plan().reasons()) == {"taxonomy from staged events"}:
                project.sync()
                assert staged(project) == expected


def simple(folder: Path) -> None:
    for day in DAYS:
        ga4.write_parquet(folder / "exports" / f"{ga4.shard_name(day)}.parquet", ga4.simple_day(day))


@pytest.mark.parametrize(
    ("change", "extra", "reason"),
    [
        (GOAL.replace("macro", "macro") + "", "", None),
        (GOAL.replace('value = "event"', "value = 3.0"), "", "taxonomy from staged events"),
        (GOAL.replace('"decision"', '"post_sale"\ncollapse = "5s"'), "", "taxonomy from staged events"),
        (GOAL + GOAL.replace("bought", "seen").replace("purchase", "page_view"), "", "taxonomy from staged events"),
        (GOAL + 'where = [{ parameter = "method", equals = "x" }]\n', "", "taxonomy"),
        (GOAL, 'carry = ["method"]\n', "properties"),
    ],
)
def test_plan_names_what_needs_the_shard_and_what_does_not(
    tmp_path: Path, change: str, extra: str, reason: str | None
) -> None:
    simple(tmp_path)
    write_file(tmp_path, GOAL)
    with project_of(tmp_path, "one.duckdb") as project:
        project.sync()
    write_file(tmp_path, change)
    with project_of(tmp_path, "one.duckdb", extra) as project:
        plan = project.plan()
        assert plan.reasons() == ({reason: len(DAYS)} if reason else {})
        reads = {day["reads"] for day in plan.document()["days"]}
        assert reads == ({"staged events" if reason.endswith("events") else "shard"} if reason else set())
        assert set(project.plan(Scope(full_refresh=True)).reasons()) == {(reason or "full refresh").split(" from")[0]}


def test_property_that_staged_events_have_is_carried_without_the_shard(tmp_path: Path) -> None:
    simple(tmp_path)
    bought = GOAL.replace("purchase", "page_view")
    write_file(tmp_path, bought + 'where = [{ parameter = "page_location", exists = true }]\n')
    carry = 'carry = ["page_location"]\n'
    with project_of(tmp_path, "one.duckdb") as project:
        project.sync()
    with project_of(tmp_path, "fresh.duckdb", carry) as project:
        project.sync()
        expected = staged(project)
    damage(tmp_path)
    with project_of(tmp_path, "one.duckdb", carry) as project:
        assert set(project.plan().reasons()) == {"properties from staged events"}
        project.sync()
        assert staged(project) == expected
        assert any(row[-1] for row in expected["mc_micro_conversions"])


def test_shard_that_changed_is_read_whatever_the_taxonomy(tmp_path: Path) -> None:
    simple(tmp_path)
    write_file(tmp_path, GOAL)
    with project_of(tmp_path, "one.duckdb") as project:
        project.sync()
    write_file(tmp_path, GOAL.replace('value = "event"', "value = 3.0"))
    path = tmp_path / "exports" / f"{ga4.shard_name(FIRST_DAY)}.parquet"
    ga4.write_parquet(path, ga4.simple_day(FIRST_DAY, clients=5))
    with project_of(tmp_path, "one.duckdb") as project:
        assert project.plan().reasons() == {"changed": 1, "taxonomy from staged events": 2}
        project.sync()
        again = staged(project)
    with project_of(tmp_path, "fresh.duckdb") as project:
        project.sync()
        assert staged(project) == again


def test_commands_say_that_no_shard_is_read(tmp_path: Path) -> None:
    simple(tmp_path)
    write_file(tmp_path, GOAL)
    with project_of(tmp_path, "microconv.duckdb") as project:
        project.sync()
        config = str(project.config.file)
    write_file(tmp_path, GOAL.replace('value = "event"', "value = 3.0"))
    shown = CliRunner().invoke(cli, ["-c", config, "sync", "--plan"])
    assert "no shard is read" in " ".join(shown.stdout.split())
    doctor = CliRunner().invoke(cli, ["-c", config, "doctor"])
    assert "3 taxonomy from staged events" in " ".join(doctor.stdout.split())
    synced = CliRunner().invoke(cli, ["-c", config, "sync"])
    assert "The taxonomy changed: 3 days are made again from their staged events; no shard is read." in synced.stderr


def test_bigquery_makes_days_again_from_staged_events(tmp_path: Path, emulator: Emulator, export: Export) -> None:
    working = f"w_{uuid.uuid4().hex}"
    config = write_bigquery_config(
        tmp_path,
        emulator,
        dataset=working,
        exports=export.dataset,
        extra='[taxonomy]\npreset = "none"\nfile = "taxonomy.toml"\n',
    )
    for day in DAYS:
        at = ga4.microseconds(f"{day} 23:59:59")
        tied = [ga4.event(at, name, client="9.9", session=4, params={"value": 2}) for name in NAMES]
        export.put(ga4.shard_name(day), [*ga4.simple_day(day), *tied])
    write_file(tmp_path, FULL)
    with Project(load_config(config, {})) as project:
        project.sync()
    write_file(tmp_path, GOAL + FULL.replace(GOAL, "").replace('"view_item"', '["view_item", "begin_checkout"]'))
    with Project(load_config(config, {})) as project:
        assert project.plan().reasons() == {"taxonomy from staged events": 3}
        assert {step.name.split(" of ")[0].split(" 2024")[0] for step in project.estimate().steps} == {
            "read staged events",
            "stage",
        }
        project.sync()
        again = staged(project)
        project.sync(Scope(full_refresh=True))
        assert staged(project) == again
        assert project.plan().days == ()
