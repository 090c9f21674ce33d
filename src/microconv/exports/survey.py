"""What a folder of shards holds: kinds, days, gaps, and whether the newest has GA4's own traffic sources."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from microconv import wording
from microconv.errors import SourceError
from microconv.exports.unread import TO_DO, PassedOver, said_of
from microconv.files import pattern_in


@dataclass(frozen=True)
class ExportSummary:
    """What a folder of shards holds.

    Dates are days of the property; `missing_days` lie between the first and the last. `has_session_source` tells
    whether the newest daily shard has GA4's own traffic source of sessions; it is None where only rows could tell.
    """

    folder: Path
    pattern: str
    daily: int
    fresh: int
    intraday: int
    first_date: date
    last_date: date
    missing_days: tuple[date, ...]
    formats: tuple[str, ...]
    has_session_source: bool | None
    passed_over: tuple[PassedOver, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the JSON document: the fields, dates as ISO strings; `passed_over` where there is something."""
        document = asdict(self) | {"folder": str(self.folder), "formats": list(self.formats)}
        document["first_date"], document["last_date"] = self.first_date.isoformat(), self.last_date.isoformat()
        document["missing_days"] = [day.isoformat() for day in self.missing_days]
        del document["passed_over"]
        if self.passed_over:
            document["passed_over"] = [each.document() for each in self.passed_over]
        return document

    def sentences(self) -> tuple[str, ...]:
        """Return what was found, for a person."""
        kinds = ", ".join(
            f"{count} {kind}"
            for kind, count in (("daily", self.daily), ("fresh", self.fresh), ("intraday", self.intraday))
            if count
        )
        said = [
            f"{self.folder} holds {kinds} shards ({', '.join(self.formats)}), {self.first_date} to {self.last_date}."
        ]
        if self.missing_days:
            listed = ", ".join(day.isoformat() for day in self.missing_days[:5])
            more = ", …" if len(self.missing_days) > 5 else ""  # noqa: PLR2004 - as many as were listed
            said.append(f"Days without a shard: {len(self.missing_days)} ({listed}{more}).")
        if self.has_session_source is False:
            said.append(
                "The newest daily shard lacks session_traffic_source_last_click, which exports have since 2024: "
                "traffic sources of sessions will be derived from their events."
            )
        return tuple(said)

    def warning(self) -> str | None:
        """Return what was found and is not read; None where there is nothing of the kind."""
        if not self.passed_over:
            return None
        verb = "looks" if len(self.passed_over) == 1 else "look"
        return (
            f"{wording.plural(len(self.passed_over), 'name')} in {self.folder} {verb} like a part of the export and "
            f"will not be read: {said_of(self.passed_over)}. {TO_DO}"
        )


def look_into(folder: Path, property_id: str) -> ExportSummary:
    """Find the shards in a folder, and read the schema of the newest daily one from its footer.

    Raises:
        SourceError: there is no such folder, no shard in it, or the newest shard is damaged or not a GA4 export.
    """
    # pyarrow is loaded by these, and only once a folder is really looked into.
    from microconv.exports import FileSource, choose, classify_shard, list_shards, read_schema

    if not folder.is_dir():
        raise SourceError(
            f"{folder} is not a folder.", hint="Name the folder that holds the events_YYYYMMDD files with --exports."
        )
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError as error:
        raise SourceError(f"{folder} cannot be read: {error.strerror}.", hint="Allow reading the folder.") from error
    source = FileSource(property_id, pattern_in(folder, "events_*"))
    if not any(map(classify_shard, names)):
        alike = source.passed_over()
        raise SourceError(
            f"{folder} holds no shard of a GA4 export (of {len(names)} names in it, none is one)."
            + (f" What looks like one: {said_of(alike)}." if alike else ""),
            hint="Shards are named events_YYYYMMDD, events_intraday_YYYYMMDD or events_fresh_YYYYMMDD, "
            "with .parquet, .ndjson or .ndjson.gz; name the folder they lie in with --exports.",
        )
    shards = list_shards(pattern_in(folder, "events_*"), property_id)
    chosen = choose(shards)
    days = [shard.day for shard in chosen]
    present = set(days)
    span = range((days[-1] - days[0]).days + 1)
    kinds = Counter(shard.kind for shard in shards)
    endings = {"".join(file.suffixes).lower() for shard in shards for file in shard.files}
    # Intraday shards lack columns of every era, so they say nothing about the export.
    newest = next((shard for shard in reversed(chosen) if shard.kind == "daily"), chosen[-1])
    schema = read_schema(newest)
    return ExportSummary(
        folder=folder,
        pattern=pattern_in(folder, f"events_*{endings.pop()}" if len(endings) == 1 else "events_*"),
        daily=kinds["daily"],
        fresh=kinds["fresh"],
        intraday=kinds["intraday"],
        first_date=days[0],
        last_date=days[-1],
        missing_days=tuple(day for offset in span if (day := days[0] + timedelta(days=offset)) not in present),
        formats=tuple(sorted({shard.format for shard in shards})),
        has_session_source=(
            any(leaf.startswith("session_traffic_source_last_click.") for leaf in schema.leaves)
            if newest.kind == "daily" and newest.format == "parquet"  # NDJSON does not say what it lacks
            else None
        ),
        passed_over=source.passed_over(),
    )
