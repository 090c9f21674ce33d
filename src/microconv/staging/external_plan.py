"""Which tables of other systems a sync reads, and why. Metadata alone decide, where there are any."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from microconv.config.external_settings import ExternalEventsConfig, ExternalMetricsConfig
from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.errors import SourceError
from microconv.own_tables.table_files import ENDINGS
from microconv.queries import templates
from microconv.staging.external_rows import EventReader, MetricReader, Reader
from microconv.staging.mc_tables import EXTERNAL_FILES
from microconv.staging.properties import carried
from microconv.taxonomy import Taxonomy

Kind = Literal["events", "metrics"]
ExternalReason = Literal["new", "changed", "reading", "moment", "unknown", "full refresh"]

EXTERNAL_REASONS: Mapping[ExternalReason, str] = {
    "new": "not read yet",
    "changed": "it changed since it was read",
    "reading": "columns, time zone or properties to carry changed",
    "moment": "a moment in it that lay in the future has come",
    "unknown": "nothing tells when a table of DuckDB, or a view, changed",
    "full refresh": "--full-refresh asks for it",
}


@dataclass(frozen=True)
class ExternalTablePlace:
    """One file, or one table of the engine, as metadata show it. `file` is what it is called in the staged tables."""

    kind: Kind
    source: str
    file: str
    path: Path | None = None
    modified_at: datetime | None = None
    bytes: int | None = None
    columns: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """Its grain in mc_external_files."""
        return self.kind, self.source, self.file

    @property
    def said(self) -> str:
        """Name it in a message."""
        return f"{'The file' if self.path else 'The table'} {self.file} of {self.source}"


@dataclass(frozen=True)
class PlannedTable:
    """A table that is to be read, and why. `is_emptied`: its file has no bytes, and had some when it was read."""

    place: ExternalTablePlace
    reason: ExternalReason
    is_emptied: bool = False


@dataclass(frozen=True)
class ExternalPlan:
    """What a sync does with tables of other systems.

    `kept` are rows of mc_external_files whose file is gone: what was read of it stays. `dropped` are those of sections
    that the configuration does not have any more. `absent` names places where nothing is.
    """

    seen: int = 0
    tables: tuple[PlannedTable, ...] = ()
    kept: tuple[Mapping[str, Any], ...] = ()
    dropped: tuple[Mapping[str, Any], ...] = ()
    absent: tuple[str, ...] = ()
    staged: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @property
    def skipped(self) -> int:
        """Tables that are read as they are."""
        return self.seen - len(self.tables)

    @property
    def changes_something(self) -> bool:
        """Whether anything is to be read or dropped."""
        return bool(self.tables or self.dropped)

    def reasons(self) -> dict[ExternalReason, int]:
        """Count the planned tables by reason."""
        return dict(Counter(each.reason for each in self.tables))

    def document(self) -> dict[str, Any]:
        """Return the part of the JSON document of `microconv sync --plan`."""
        return {
            "seen": self.seen,
            "skipped": self.skipped,
            "tables": [
                {
                    "kind": each.place.kind,
                    "source": each.place.source,
                    "file": each.place.file,
                    "bytes": each.place.bytes,
                    "modified_at": each.place.modified_at.isoformat() if each.place.modified_at else None,
                    "reason": each.reason,
                }
                for each in self.tables
            ],
            "kept": [{name: row[name] for name in ("kind", "source", "file")} for row in self.kept],
            "dropped": [{name: row[name] for name in ("kind", "source", "file")} for row in self.dropped],
            "absent": list(self.absent),
        }


NOTHING_EXTERNAL = ExternalPlan()
"""The plan where there are no such tables."""


def readers(config: Config, taxonomy: Taxonomy, now: datetime) -> dict[tuple[Kind, str], Reader]:
    """Return what reads the rows of each section."""
    zone = ZoneInfo(config.project.timezone)
    found: dict[tuple[Kind, str], Reader] = {}
    for events in config.external_events:
        found["events", events.name] = EventReader(events, carried(config, taxonomy), zone, now)
    for metrics in config.external_metrics:
        found["metrics", metrics.name] = MetricReader(metrics)
    return found


def plan_external(
    engine: Engine | None, config: Config, taxonomy: Taxonomy, now: datetime, *, full_refresh: bool = False
) -> ExternalPlan:
    """Compare what lies at the places of the configuration with what was read of them; nothing is written or billed.

    Raises:
        SourceError: a folder cannot be looked into.
    """
    staged = staged_files(engine)
    if not (config.external_events or config.external_metrics or staged):
        return ExternalPlan()
    before = {(row["kind"], row["source"], row["file"]): row for row in staged}
    sections = readers(config, taxonomy, now)
    tables, places, absent = [], [], []
    for (kind, _), reader in sections.items():
        found = list(_places(kind, reader.config, engine, config.file.parent))
        places += found
        if not found:
            absent.append(reader.config.name)
    for place in places:
        row = before.pop(place.key, None)
        reader = sections[place.kind, place.source]
        if reason := _reason(place, row, reader, now, full_refresh=full_refresh):
            is_emptied = row is not None and place.bytes == 0 and (row["bytes"] or 0) > 0
            tables.append(PlannedTable(place, reason, is_emptied))
    kept = [row for key, row in before.items() if key[:2] in sections]
    dropped = [row for key, row in before.items() if key[:2] not in sections]
    return ExternalPlan(len(places), tuple(tables), tuple(kept), tuple(dropped), tuple(absent), tuple(staged))


def staged_files(engine: Engine | None) -> list[Mapping[str, Any]]:
    """Return what was read; nothing where there is no table yet."""
    if engine is None or engine.version(EXTERNAL_FILES.name) is None:
        return []
    query = templates.query("staging/external_files", structure={"columns": list(EXTERNAL_FILES.column_names)})
    rows: list[Mapping[str, Any]] = engine.query(query).to_pylist()
    return rows


def _reason(
    place: ExternalTablePlace, row: Mapping[str, Any] | None, reader: Reader, now: datetime, *, full_refresh: bool
) -> ExternalReason | None:
    if row is None:
        return "new"
    if (row["modified_at"], row["bytes"]) != (place.modified_at, place.bytes):
        return "changed"
    if row["fingerprint"] != reader.fingerprint:
        return "reading"
    if row["next_at"] is not None and row["next_at"] <= now:
        return "moment"
    if place.modified_at is None:
        return "unknown"
    return "full refresh" if full_refresh else None


def _places(
    kind: Kind, section: ExternalEventsConfig | ExternalMetricsConfig, engine: Engine | None, folder: Path
) -> Iterator[ExternalTablePlace]:
    if section.table is not None:
        found = engine.find_table(section.table) if engine else None
        if found is not None:
            yield ExternalTablePlace(
                kind, section.name, section.table, None, found.modified_at, found.bytes, found.columns
            )
        return
    # Path.glob takes no absolute pattern.
    for path in sorted(map(Path, glob.iglob(section.path or "", recursive=True))):  # noqa: PTH207 - see above
        if path.suffix.lower() not in ENDINGS or path.name.startswith("."):
            continue
        try:
            state = path.stat()
            if not path.is_file():
                continue
        except OSError as error:
            raise SourceError(
                f"{path} of {section.name} cannot be looked at: {error.strerror}.", hint="Correct its permissions."
            ) from error
        changed = datetime.fromtimestamp(state.st_mtime_ns // 1_000 / 1e6, tz=UTC)
        yield ExternalTablePlace(kind, section.name, _called(path, folder), path, changed, state.st_size)


def _called(path: Path, folder: Path) -> str:
    """Name a file by its path from the configuration's folder, which may be moved with all that is in it."""
    return Path(os.path.relpath(path, folder)).as_posix() if path.is_relative_to(folder) else path.as_posix()
