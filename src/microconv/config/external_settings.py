"""`[[external_events]]` and `[[external_metrics]]`: where tables of other systems lie, and what is in them."""

from __future__ import annotations

from typing import Self, TypeVar

from pydantic import Field, model_validator

from microconv.config.occurrences import Section
from microconv.config.problems import ItemError
from microconv.config.values import FileStem, GlobInFolder, Label, TableName


class EventColumns(Section):
    """`columns` of `[[external_events]]`: what the columns of the table are called, where they have other names."""

    occurred_at: Label = "occurred_at"
    name: Label = "name"
    user_id: Label = "user_id"
    user_pseudo_id: Label = "user_pseudo_id"
    stream_id: Label = "stream_id"
    value: Label = "value"
    currency: Label = "currency"
    transaction_id: Label = "transaction_id"


class MetricColumns(Section):
    """`columns` of `[[external_metrics]]`: what the columns of the table are called, where they have other names."""

    day: Label = "day"
    name: Label = "name"
    value: Label = "value"
    dimension: Label = "dimension"


class ExternalTable(Section):
    """A table of another system: files (`path` is an absolute glob once loaded) or a table of the engine.

    `property` is the GA4 property that it belongs to; it may be left out where there is one.
    """

    name: FileStem = Field(description="what the table is called in findings and in the staged rows")
    path: GlobInFolder | None = Field(default=None, description='its files, such as "crm/stages_*.csv"')
    table: TableName | None = None

    @property
    def place(self) -> str:
        """Where it lies, as the configuration says."""
        return self.path or self.table or ""

    # After the use of `property` as a decorator, which it hides from here on.
    property: Label | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.path is None and self.table is None:
            raise ItemError('is required, or table: its files, such as "crm/stages_*.csv"', ("path",))
        if self.path is not None and self.table is not None:
            raise ItemError("cannot be given beside path; keep one of the two", ("table",))
        if self.path is not None and not self.path.lower().endswith((".csv", ".parquet")):
            raise ItemError("must end with .csv or .parquet", ("path",))
        return self


class ExternalEventsConfig(ExternalTable):
    """`[[external_events]]`: rows with a user or client, a moment and a name, which become occurrences.

    `event` is the name of all rows of a table without a column for it; `stream` the data stream of its client ids.
    """

    event: Label | None = None
    stream: Label | None = None
    columns: EventColumns = Field(default_factory=EventColumns)


class ExternalMetricsConfig(ExternalTable):
    """`[[external_metrics]]`: a value of each day; `metric` is its name where the table has no column for it."""

    metric: Label | None = None
    columns: MetricColumns = Field(default_factory=MetricColumns)


ExternalTableT = TypeVar("ExternalTableT", bound=ExternalTable)


def unique_places_of_external_tables(tables: tuple[ExternalTableT, ...]) -> tuple[ExternalTableT, ...]:
    """Refuse a table that an earlier entry of the same property reads."""
    seen = set()
    for index, each in enumerate(tables):
        if (place := (each.property, each.place)) in seen:
            key, what = ("path", "files") if each.table is None else ("table", "table")
            raise ItemError(f"reads the same {what} for the same property as an earlier entry", (index, key))
        seen.add(place)
    return tables
