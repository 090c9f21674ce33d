"""Projects of a few weeks for questions about momentum: who did what on which day."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from microconv.config.load import load_config
from microconv.project import Project
from microconv.result import Result
from projects import write_config
from staged_rows import DAY, Row, at, occurrence, shard, staged

DAYS = 28
SEGMENT = '[[segments]]\nname = "searchers"\nrule = { did = "search", within = "60d" }\n'


def opened(folder: Path, occurrences: list[Row], sessions: list[Row] = [], *, days: int = DAYS) -> Project:  # noqa: B006 - never changed
    folder.mkdir(exist_ok=True)
    end = days * DAY - 1
    rows = {
        "mc_shards": [shard(number, events=1) for number in range(1, days + 1)],
        "mc_micro_conversions": occurrences,
        "mc_sessions": sessions,
        "mc_events": [{"property": "p", "event_date": at(end).date(), "event_at": at(end), "event_order": 1}],
    }
    config = write_config(folder, extra=SEGMENT)
    staged(folder / "microconv.duckdb", **rows).close()
    return Project(load_config(config, {}))


def asked(folder: Path, question: str, occurrences: list[Row], **fields: Any) -> Any:
    sessions, days = fields.pop("sessions", []), fields.pop("days", DAYS)
    with opened(folder, occurrences, sessions, days=days) as project:
        result: Result = project.ask(question, **fields)
    json.dumps(result.document(), allow_nan=False)
    return result


def did(day: int, actor: int, entry: str, place: int = 0, **columns: Any) -> Row:
    """On day 1, 2 … at noon, and `place` minutes later."""
    us = (day - 1) * DAY + DAY // 2 + place * 60_000_000
    return occurrence(us, entry, client=actor, **{"is_derived": entry.startswith("abandoned"), **columns})
