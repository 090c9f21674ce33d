"""The working dataset: make it, and make, extend, look at and drop the tables in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property

from google.api_core import exceptions as api
from google.cloud import bigquery

from microconv.clients.bigquery_connection import ONE_TRY, Connection, ResultT
from microconv.clients.failures import summary
from microconv.engines.base import check_version
from microconv.engines.tables import Column, Table
from microconv.errors import EngineError, SourceError

LABELS = {"app": "microconv"}
_VERSION_LABEL = "microconv_schema"
_SCRATCH_LIFE = timedelta(days=1)


class WorkingDataset:
    """The dataset that holds the staged tables. Changes of tables are idempotent, so that a call can be made again."""

    def __init__(self, connection: Connection, name: str) -> None:
        """Take the name of the dataset; its project is the one that jobs run in."""
        self._connection = connection
        self._name = name
        self._columns: dict[str, tuple[str, ...]] = {}
        self._checked_exports: set[tuple[str, str]] = set()

    @cached_property
    def place(self) -> tuple[str, str]:
        """Its project and name."""
        return self._connection.client.project, self._name

    @property
    def location(self) -> str | None:
        """Where it lies, and so where jobs run; what is configured as long as it does not exist."""
        return self._found_location or self._connection.location

    @cached_property
    def _found_location(self) -> str | None:
        location = self._location_of(self.place)
        asked = self._connection.location
        if location and asked and location.upper() != asked.upper():
            raise EngineError(
                f"The working dataset {_dotted(self.place)} lies in {location}, engine.location is {asked}.",
                hint=f'Set engine.location = "{location}", or engine.dataset to another name: a dataset cannot move.',
            )
        return location

    def _location_of(self, place: tuple[str, str]) -> str | None:
        reference = bigquery.DatasetReference(*place)
        try:
            found = self._connection.call(
                f"looking at the dataset {_dotted(place)}",
                lambda: self._connection.client.get_dataset(reference, **ONE_TRY),
            )
        except api.NotFound:
            return None
        location: str = found.location
        return location

    def make(self, exports: Sequence[tuple[str, str]] = ()) -> None:
        """Create it where it is missing, beside the exports that it is for; check that they lie in one place.

        Raises:
            EngineError: they do not, or the dataset may not be created.
            SourceError: an export does not exist.
        """
        if self._found_location is None:
            dataset = bigquery.Dataset(bigquery.DatasetReference(*self.place))
            dataset.labels = LABELS
            dataset.description = "Micro-conversions staged from GA4 exports by microconv."
            if location := self.location or (self._export_location(exports[0]) if exports else None):
                dataset.location = location
            with suppress(api.Conflict):  # another run was first
                self._connection.call(
                    f"creating the dataset {_dotted(self.place)}",
                    lambda: self._connection.client.create_dataset(dataset, **ONE_TRY),
                )
            del self._found_location
        for export in exports:
            self.check_location(export)

    def check_location(self, export: tuple[str, str]) -> None:
        """Check, once for each export, that it lies where the working dataset does: no query reads in two places.

        Raises:
            EngineError: it does not.
            SourceError: there is no such export.
        """
        if export in self._checked_exports:
            return
        location = self._export_location(export)
        if self.location and location.upper() != self.location.upper():
            raise EngineError(
                f"The export {_dotted(export)} lies in {location}, the working dataset {_dotted(self.place)} in "
                f"{self.location}: no query can read one and write the other.",
                hint=f'Set engine.dataset to a new name and engine.location = "{location}": a dataset cannot move.',
            )
        self._checked_exports.add(export)

    def _export_location(self, export: tuple[str, str]) -> str:
        location = self._location_of(export)
        if location is None:
            raise SourceError(
                f"There is no dataset {_dotted(export)}.",
                hint="Check `project` and `dataset` under [[sources]]; GA4 names its export analytics_ and a number.",
            )
        return location

    def table(self, name: str, place: tuple[str, str] | None = None) -> bigquery.TableReference:
        """Return the reference of one of its tables, or of one in another dataset."""
        return bigquery.TableReference(bigquery.DatasetReference(*(place or self.place)), name)

    def find(self, name: str, place: tuple[str, str] | None = None) -> bigquery.Table | None:
        """Return a table as it is now, here or in another dataset; None when there is none."""
        reference = self.table(name, place)
        try:
            return self._connection.call(
                f"looking at {name}",
                lambda: self._connection.client.get_table(reference, **ONE_TRY),
            )
        except api.NotFound:
            return None

    def columns(self, name: str) -> tuple[str, ...]:
        """Return the columns of a table, as they were when this object last made or changed it."""
        if name not in self._columns:
            found = self.find(name)
            if found is None:
                raise EngineError(f"There is no table {name} in {_dotted(self.place)}.", hint="Run `microconv sync`.")
            self._remember(found)
        return self._columns[name]

    def ensure(self, table: Table, extra: Sequence[Column]) -> None:
        """Create a table, or add the columns and the version that it lacks."""
        found = self.find(table.name)
        if found is None:
            try:
                self._create(table, extra)
            except api.Conflict:  # created by a call whose answer was lost, or by another run
                found = self.find(table.name)
        if found is not None:
            check_version(table, version_of(found))
            self._extend(found, table, extra)

    def _create(self, table: Table, extra: Sequence[Column]) -> None:
        new = bigquery.Table(self.table(table.name), schema=[_field(column) for column in (*table.columns, *extra)])
        new.description = table.description
        new.labels = {**LABELS, _VERSION_LABEL: str(table.version)}
        if table.partition:
            new.time_partitioning = bigquery.TimePartitioning(field=table.partition)
        if table.cluster:
            new.clustering_fields = list(table.cluster)
        self._remember(
            self._call(
                f"creating {table.name}",
                lambda: self._connection.client.create_table(new, **ONE_TRY),
            )
        )

    def _extend(self, found: bigquery.Table, table: Table, extra: Sequence[Column]) -> None:
        there = {column.name for column in found.schema}
        lacking = [_field(column) for column in (*table.columns, *extra) if column.name not in there]
        if lacking or version_of(found) != table.version:
            # Without the etag of `found`, so that the same call can be made again.
            changed = bigquery.Table(self.table(table.name), schema=[*found.schema, *lacking])
            changed.description = table.description
            changed.labels = {**found.labels, **LABELS, _VERSION_LABEL: str(table.version)}
            found = self._update(changed, ["schema", "description", "labels"])
        self._remember(found)

    def let_expire(self, name: str) -> None:
        """Let a table vanish a day from now."""
        scratch = bigquery.Table(self.table(name))
        scratch.expires = datetime.now(tz=UTC) + _SCRATCH_LIFE
        self._remember(self._update(scratch, ["expires"]))

    def _update(self, table: bigquery.Table, fields: list[str]) -> bigquery.Table:
        return self._call(
            f"changing {table.table_id}",
            lambda: self._connection.client.update_table(table, fields, **ONE_TRY),
        )

    def _call(self, what: str, function: Callable[[], ResultT]) -> ResultT:
        """Make a call that finds everything there, unless somebody else takes it away."""
        try:
            return self._connection.call(what, function)
        except api.NotFound as missing:
            raise EngineError(
                f"BigQuery failed in {what}: {summary(missing)}.",
                hint=f"Somebody else removed it from {_dotted(self.place)} meanwhile; run again.",
            ) from missing

    def _remember(self, table: bigquery.Table) -> None:
        self._columns[table.table_id] = tuple(column.name for column in table.schema)

    def drop(self, prefix: str) -> None:
        """Drop the tables whose names start like this."""
        dataset = bigquery.DatasetReference(*self.place)
        client = self._connection.client
        listed = self._call(
            "listing scratch tables",
            lambda: [each.table_id for each in client.list_tables(dataset, **ONE_TRY)],
        )
        for name in listed:
            if name.startswith(prefix):
                self._drop(self.table(name))

    def _drop(self, table: bigquery.TableReference) -> None:
        self._call(
            f"dropping {table.table_id}",
            lambda: self._connection.client.delete_table(table, not_found_ok=True, **ONE_TRY),
        )


def version_of(table: bigquery.Table) -> int:
    """Return the schema version in a table's labels; 1 where there is none."""
    noted = table.labels.get(_VERSION_LABEL, "")
    return int(noted) if noted.isdecimal() else 1


def _field(column: Column) -> bigquery.SchemaField:
    return bigquery.SchemaField(column.name, column.type, description=column.description)


def _dotted(place: tuple[str, str]) -> str:
    return ".".join(place)
