"""Events and metrics of other systems: tables are read, and events become occurrences.

What is read of a table is written in pieces, under the name of its reading, and counts once mc_external_files has
it. Occurrences are a pure function of what counts, of the sessions and of the taxonomy. They are made anew when one of
these may have changed; only the days on which they differ are replaced, in one transaction with what was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from microconv.config.sections import Config
from microconv.engines.base import AddRows, Change, DeleteDays, DeleteKeys, Engine, InsertScratch, PutRow
from microconv.engines.tables import Table
from microconv.errors import ConfigError, MicroconvError, SourceError
from microconv.files import readable
from microconv.own_tables.cells import rows_of
from microconv.own_tables.table_files import NumberedRow, read_numbered
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.staging import derived_occurrences, mc_tables
from microconv.staging.erasures import read_erased
from microconv.staging.external_plan import ExternalPlan, ExternalTablePlace, PlannedTable, readers
from microconv.staging.external_rows import Reader, RowTally
from microconv.staging.rules import Rules
from microconv.taxonomy import Taxonomy

OCCURRENCES = "external_occurrences"
CHANGES = "external_changes"
OF_A_RUN = frozenset({OCCURRENCES, CHANGES, "external_table"})
"""Relations that are there only while a sync runs, or that a configuration names."""
_STALE = "stale_readings"
_PIECE_ROWS = 20_000
_PIECE_LETTERS = 1_000_000
"""So much is written at once: it must fit into a request of BigQuery, in which a letter may take six bytes."""
_TABLES: Mapping[str, Table] = {"events": mc_tables.EXTERNAL_EVENTS, "metrics": mc_tables.EXTERNAL_METRICS}


@dataclass
class ExternalStaging:
    """What a run does with tables of other systems. `failures` are those that could not be read."""

    engine: Engine
    config: Config
    rules: Rules
    run_id: str
    now: Callable[[], datetime]
    on_step: Callable[[str], None] = lambda _: None
    failures: list[MicroconvError] = field(default_factory=list)
    read: int = 0

    def stage(self, planned: ExternalPlan, *, is_other_taxonomy: bool = False) -> None:
        """Read what is planned, and bring the occurrences of every property up to date, and what is derived of them.

        Of a table that cannot be read, what was read before stays.

        Raises:
            EngineError: the engine failed; the next run does the rest.
        """
        counting = {(row["kind"], row["source"], row["file"]): row for row in planned.staged}
        properties = {row["property"] for row in counting.values() if row["kind"] == "events"}
        for row in planned.dropped:
            del counting[row["kind"], row["source"], row["file"]]
        for place, state in self._readings(planned):
            counting[place.key] = state
            self.read += 1
        properties |= {row["property"] for row in counting.values() if row["kind"] == "events"}
        changes: list[Change] = []
        if planned.changes_something:
            readings = [row["reading"] for row in counting.values()]
            self.engine.materialise(stale_readings(mc_tables.EXTERNAL_FILES, readings), f"{_STALE}_files")
            changes.append(DeleteKeys(mc_tables.EXTERNAL_FILES, "reading", f"{_STALE}_files"))
            changes += (PutRow(mc_tables.EXTERNAL_FILES, row) for row in counting.values() if self._is_new(row))
        for number, property_id in enumerate(sorted(properties)):
            self.on_step(f"events of other systems, property {property_id}")
            readings = [row["reading"] for row in counting.values() if row["kind"] == "events"]
            changes += self._occurrences(property_id, readings, f"{CHANGES}_{number}", is_other_taxonomy)
        if changes:
            self.engine.apply(changes)
        if planned.changes_something:
            self._remove_stale(list(counting.values()))

    def _is_new(self, row: Mapping[str, Any]) -> bool:
        return bool(row["run_id"] == self.run_id)

    def _readings(self, planned: ExternalPlan) -> Iterator[tuple[ExternalTablePlace, dict[str, Any]]]:
        """Read each table that is planned, and yield its row of mc_external_files."""
        sections = readers(self.config, self.rules.taxonomy, self.now())
        for number, each in enumerate(planned.tables):
            self.on_step(f"reading {each.place.file}")
            reader = sections[each.place.kind, each.place.source]
            try:
                state = self._read(each, reader, f"{self.run_id}/{number}")
            except (SourceError, ConfigError) as error:
                stays = any((row["kind"], row["source"], row["file"]) == each.place.key for row in planned.staged)
                more = " What was read of it before stays." if stays else ""
                self.failures.append(SourceError(f"{error.message}{more}", hint=error.hint))
            else:
                yield each.place, state

    def _read(self, planned: PlannedTable, reader: Reader, reading: str) -> dict[str, Any]:
        place = planned.place
        if planned.is_emptied:
            raise SourceError(f"{place.said} is empty, and was not when it was read.", hint="Copy the file again.")
        table = _TABLES[place.kind]
        table = replace(table, columns=(*table.columns, *self.rules.extra_columns(table)))
        origin = {"source": place.source, "file": place.file, "reading": reading}
        tally = RowTally()
        erased = read_erased(self.engine)
        with readable(place.said):
            columns, rows = self._open(place)
            read = reader.rows(columns, rows, place.said, tally)
            staged = ({**row, **origin} for row in read if erased is None or not erased.has_row(row))
            for piece in _pieces(staged):
                self.engine.apply([AddRows(table, piece)])
        kind, source, file = place.key
        return {
            "kind": kind,
            "source": source,
            "file": file,
            "property": reader.config.property,
            "modified_at": place.modified_at,
            "bytes": place.bytes,
            "fingerprint": reader.fingerprint,
            "reading": reading,
            **tally.state,
            "run_id": self.run_id,
            "read_at": self.now(),
        }

    def _open(self, place: ExternalTablePlace) -> tuple[Sequence[str], Iterator[NumberedRow]]:
        if place.path is not None:
            return read_numbered(place.path, place.said)
        table = self.engine.query(own_table(place.file, place.columns))
        batches = table.to_batches(max_chunksize=_PIECE_ROWS)
        return place.columns, enumerate((row for batch in batches for row in rows_of(batch)), start=1)

    def _occurrences(
        self, property_id: str, readings: Sequence[str], scratch: str, is_other_taxonomy: bool
    ) -> Iterator[Change]:
        """Yield the changes that bring the occurrences of a property up to date; none where they are."""
        self.engine.materialise(occurrences(property_id, readings, self.rules), OCCURRENCES)
        days = {row["event_date"]: row for row in self.engine.query(days_of_occurrences(self.rules)).to_pylist()}
        staged = {row["event_date"]: row for row in self.engine.query(staged_days(property_id)).to_pylist()}
        changed = tuple(sorted(day for day in {*days, *staged} if days.get(day) != staged.get(day)))
        # Who is known by them alone has no shard that would be staged again.
        if is_other_taxonomy and self.rules.taxonomy.derived:
            changed = tuple(sorted({*days, *staged}))
        if not changed:
            return
        self.engine.materialise(changed_occurrences(changed, self.rules), scratch)
        made_anew = derived_occurrences.changes(
            self.engine, self.rules, derived_occurrences.Changed(property_id, changed, brings=scratch)
        )
        yield DeleteDays(mc_tables.MICRO_CONVERSIONS, property_id, changed, having="external_source")
        yield InsertScratch(mc_tables.MICRO_CONVERSIONS, scratch)
        yield DeleteDays(mc_tables.EXTERNAL_DAYS, property_id, changed)
        yield AddRows(mc_tables.EXTERNAL_DAYS, tuple(days[day] for day in changed if day in days))
        yield from made_anew

    def _remove_stale(self, files: Sequence[Mapping[str, Any]]) -> None:
        """Remove rows that count no more: those of earlier readings, and what killed runs left."""
        for kind, table in _TABLES.items():
            query = stale_readings(table, [row["reading"] for row in files if row["kind"] == kind])
            if self.engine.query(query).num_rows:
                self.engine.materialise(query, _STALE)
                self.engine.apply([DeleteKeys(table, "reading", _STALE)])


def _pieces(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], ...]]:
    """Group rows that can be written at once."""
    piece: list[dict[str, Any]] = []
    letters = 0
    for row in rows:
        piece.append(row)
        letters += sum(len(value) for value in row.values() if type(value) is str)
        if len(piece) == _PIECE_ROWS or letters > _PIECE_LETTERS:
            yield tuple(piece)
            piece, letters = [], 0
    if piece:
        yield tuple(piece)


def occurrences(property_id: str, readings: Sequence[str], rules: Rules) -> Query:
    """Return the query of all occurrences of a property's external events."""
    taxonomy = rules.taxonomy
    pairs = [(name, entry) for entry in taxonomy.external_entries for name in dict.fromkeys(entry.external)]
    counted = [taxonomy.entry(entry.counts_as) for _, entry in pairs]
    params: dict[str, Value] = {
        "property": property_id,
        "readings": list(readings),
        "pair_names": [name for name, _ in pairs],
        "pair_entries": [taxonomy.rank(entry.id) for entry in counted],
        "counts_as": [entry.id for entry in counted],
        "kinds": [entry.kind for entry in counted],
        "stages": [entry.stage for entry in counted],
        "value_rules": [
            "none" if entry.value is None else "event" if entry.value == "event" else "fixed" for entry in counted
        ],
        "fixed_values": [entry.value if isinstance(entry.value, float) else 0.0 for entry in counted],
    }
    return templates.query("staging/external_occurrences", params=params, structure=_structure(rules))


def days_of_occurrences(rules: Rules) -> Query:
    """Return the query of what those occurrences come to on each day."""
    return templates.query("staging/external_days", structure=_structure(rules))


def staged_days(property_id: str) -> Query:
    """Return the query of what the staged ones come to."""
    return templates.query("staging/staged_external_days", params={"property": property_id})


def changed_occurrences(days: Sequence[date], rules: Rules) -> Query:
    """Return the query of those on some days."""
    return templates.query(
        "staging/external_changes", params={"changed_dates": list(days)}, structure=_structure(rules)
    )


def stale_readings(table: Table, readings: Sequence[str]) -> Query:
    """Return the query of the readings in a table that are not among these."""
    return templates.query(
        "staging/stale_readings", params={"readings": list(readings)}, structure={"staged": table.name}
    )


def own_table(name: str, columns: Sequence[str]) -> Query:
    """Return the query of all rows of a table of the engine."""
    return templates.query(
        "staging/external_table", structure={"columns": list(columns)}, relations={"external_table": name}
    )


def _structure(rules: Rules) -> dict[str, object]:
    return {"properties": [each.column for each in rules.carried]}


def examples(config: Config, taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of a sync of other systems' tables, for each property."""
    rules = Rules.of(config, taxonomy)
    day = templates.EXAMPLE_MOMENT.date()
    for label in dict.fromkeys(source.property for source in config.sources):
        yield f"property {label}", occurrences(label, ["a reading"], rules)
        yield f"property {label}", staged_days(label)
    for reader in readers(config, taxonomy, templates.EXAMPLE_MOMENT).values():
        if reader.config.table is not None:
            named = reader.config.columns.model_dump().values()
            yield reader.config.name, own_table(reader.config.table, list(named))
    yield None, days_of_occurrences(rules)
    yield None, changed_occurrences([day], rules)
    for table in (*_TABLES.values(), mc_tables.EXTERNAL_FILES):
        yield None, stale_readings(table, ["a reading"])
    yield (
        None,
        templates.query("staging/external_files", structure={"columns": list(mc_tables.EXTERNAL_FILES.column_names)}),
    )
