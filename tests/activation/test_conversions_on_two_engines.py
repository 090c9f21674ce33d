"""Conversions of one shop on both engines: the same plans, the same requests, and the same ledger."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ga4
from activation.test_conversions import REFUNDS, SECTIONS, bought
from bigquery_export import Export
from data_manager_server import DataManagerModel, HangUp, Refuse, serving
from emulator import Emulator
from microconv import catalogue
from microconv.activation.conversions.conversion_results import SentConversion
from microconv.config.load import load_config
from microconv.project import Project
from projects import write_bigquery_config, write_config

DAY = datetime.now(tz=UTC).date() - timedelta(days=3)
IN_ROWS = Refuse(400, "INVALID_ARGUMENT", (("events.1.transaction_id", "INVALID_EVENT"),))


def test_both_engines_plan_send_and_remember_the_same(tmp_path: Path, emulator: Emulator, export: Export):
    (tmp_path / "taxonomy.toml").write_text(REFUNDS)
    people = [f"u{number},user{number}@shop.example" for number in range(1, 5)]
    (tmp_path / "identity.csv").write_text("\n".join(("user_id,email", *people, "")))
    file = ga4.write_parquet(
        tmp_path / "exports" / f"{ga4.shard_name(DAY)}.parquet",
        [event for number in range(1, 5) for event in bought(number, value=0.1 * number)],
    )
    export.load(file.stem, file)

    def agree(*numbers: int) -> None:
        rows = [f"u{number},granted,granted,2026-01-01" for number in numbers]
        columns = "user_id,ad_user_data,ad_personalization,changed_at"
        (tmp_path / "consent.csv").write_text("\n".join((columns, *rows, "")))

    with serving() as server:
        sections = SECTIONS.format(endpoint=server.rest, keys="", of_push="")
        here = write_config(tmp_path, extra=sections)
        there = write_bigquery_config(
            tmp_path, emulator, dataset=f"w_{uuid.uuid4().hex}", exports=export.dataset, extra=sections
        )
        configs = [load_config(path, {}, catalogue.destination_settings) for path in (here, there)]
        with Project(configs[0]) as ours, Project(configs[1]) as theirs:
            models = {ours: DataManagerModel(), theirs: DataManagerModel()}

            def same(ask: Callable[[Project], Any]) -> Any:
                answers = []
                for project, model in models.items():
                    server.model = model
                    answers.append(ask(project))
                assert answers[0] == answers[1]
                counted, other = (
                    {order: event.conversion_value for (_, order), event in model.conversions.items()}
                    for model in models.values()
                )
                assert counted == other
                return answers[0]

            def sent(project: Project) -> tuple[Any, ...]:
                (one,) = project.conversions.send().conversions
                assert isinstance(one, SentConversion)
                return one.plan, one.outcome, sorted((each.state, each.identifiers) for each in one.batches)

            for project in models:
                project.sync()
            agree(1, 2, 3)
            dry = same(lambda project: project.conversions.send(dry_run=True).plan)
            for model in models.values():
                model.scripted["IngestEvents"] = deque([IN_ROWS, HangUp(is_done=True)])
            # One is refused by name; of the others the answer is lost.
            plan, outcome, states = same(sent)
            assert (plan.new, outcome, states) == (3, "partly failed", [("failed", 1), ("sent", 2)])
            assert same(lambda project: project.conversions.send(dry_run=True).plan) != dry
            agree(1, 2, 3, 4)
            plan, _, states = same(sent)
            assert (plan.new, plan.repeated) == (1, 2)  # what was refused by name waits a day
            known = same(lambda project: [(row.standing, row.value) for row in project.conversions.status().rows])
            assert known == [(3, 0.8)]
            assert same(lambda project: [row.may_be_sent for row in project.conversions.overview().rows]) == [4]
            found = same(lambda project: project.erase("u2").parts)
            assert ("conversions orders told to ads", 1, "removed") in [
                (part.place, part.found, part.state) for part in found
            ]
            assert same(lambda project: [row.standing for row in project.conversions.status().rows]) == [3]
