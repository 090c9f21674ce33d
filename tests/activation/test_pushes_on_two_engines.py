"""Pushes, explanations and erasures of one shop on both engines: the same plans, lists and answers."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ledger_destination import listed
from pushed_shop import SECTIONS, emails, installed, write_site

import ga4
from bigquery_export import Export
from emulator import Emulator
from microconv import catalogue
from microconv.config.load import load_config
from microconv.engines.duckdb import DuckDBEngine
from microconv.project import Project
from microconv.staging import Scope
from projects import write_bigquery_config, write_config

DAY = datetime.now(tz=UTC).date() - timedelta(days=1)


def write_tables(folder: Path) -> None:
    people = [f"u{number},user{number}@shop.example" for number in range(1, 5)]
    (folder / "identity.csv").write_text("\n".join(("user_id,email", *people, "")))
    rows = [f"u{number},granted,granted,2026-01-01" for number in range(1, 5)]
    (folder / "consent.csv").write_text("\n".join(("user_id,ad_user_data,ad_personalization,changed_at", *rows, "")))


def test_both_engines_plan_send_explain_and_erase_the_same(tmp_path: Path, emulator: Emulator, export: Export):
    write_site(tmp_path / "site")
    write_tables(tmp_path)
    events = [
        ga4.event(f"{DAY} 10:00:{number:02d}", "add_to_cart", client=f"{number}.{number}", session=number)
        | {"user_id": f"u{number}"}
        for number in range(1, 5)
    ]
    file = ga4.write_parquet(tmp_path / "exports" / f"{ga4.shard_name(DAY)}.parquet", events)
    export.load(file.stem, file)

    def sections(name: str) -> str:
        return SECTIONS.format(path=tmp_path / name, of_segment="", of_destination="", of_push="")

    here = write_config(tmp_path, extra=sections("here.sqlite"))
    working = f"w_{uuid.uuid4().hex}"
    there = write_bigquery_config(
        tmp_path, emulator, dataset=working, exports=export.dataset, extra=sections("there.sqlite")
    )

    with installed(tmp_path / "site"):
        configs = [load_config(path, {}, catalogue.destination_settings) for path in (here, there)]
        with Project(configs[0]) as ours, Project(configs[1]) as theirs:
            assert isinstance(ours.engine, DuckDBEngine)

            def same(ask: Callable[[Project], Any]) -> Any:
                answers = [ask(project) for project in (ours, theirs)]
                assert answers[0] == answers[1]
                lists = [listed(tmp_path / name, "carts") for name in ("here.sqlite", "there.sqlite")]
                assert lists[0] == lists[1]
                return answers[0]

            for project in (ours, theirs):
                project.sync()
            dry = same(lambda project: project.pushes.push(dry_run=True).plan)
            assert same(lambda project: project.pushes.push().plan) == dry
            assert listed(tmp_path / "there.sqlite", "carts") == emails(1, 2, 3, 4)
            told = same(lambda project: [(row.state, row.digits) for row in project.explain("u1", "carts").rows])
            assert told[0][0] == "success"
            assert same(lambda project: project.erase("u2").is_finished) is True
            assert listed(tmp_path / "there.sqlite", "carts") == emails(1, 3, 4)
            for project in (ours, theirs):
                project.sync(Scope(full_refresh=True))
            assert same(lambda project: len(project.members("carts"))) == 3
