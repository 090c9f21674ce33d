"""Audiences in a table of the engine: who is on each list now, and every change, for whoever reads the database."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, get_args

import pyarrow as pa
from pydantic import AfterValidator, Field

from microconv.activation.audience.audience_rows import IdentityKind
from microconv.activation.audience.normalise import PLAIN
from microconv.activation.destinations.base import Accepts, Destination, DestinationSettings
from microconv.activation.push.audience_list import Answer, Identifier, ListLimits, Operation, RefusedError
from microconv.config.destination_settings import DestinationConfig
from microconv.config.sections import Config
from microconv.engines.base import DeleteKeys, Engine, InsertScratch
from microconv.engines.tables import Column, Table
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.taxonomy import Taxonomy

_IDENTIFIERS_PER_REQUEST = 100_000
_FOR_EVER = timedelta(days=36_500)
_BATCH, _ROWS = "audience_batch", "audience_rows"
_SCHEMA = pa.schema([("kind", pa.string()), ("identifier", pa.string())])
_OURS = re.compile(r"mc_(?!audience_)", re.IGNORECASE)


def _own_table(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,199}", name):
        raise ValueError('is not the name of a table in the database or dataset of the engine, such as "crm_audience"')
    if _OURS.match(name):
        raise ValueError("begins as our own tables do: take another name, or one that begins with mc_audience_")
    return name


class EngineTableSettings(DestinationSettings):
    """`[[destinations]]` of the kind `table`."""

    kind: Literal["table"] = "table"
    table: Annotated[str, AfterValidator(_own_table)] | None = Field(
        default=None, description="its name; default: mc_audience_ and the name of the destination"
    )
    in_clear: tuple[IdentityKind, ...] = Field(default=(), description="identifiers that are kept as they are")

    @property
    def table_name(self) -> str:
        """The name of the table of those who are on lists now."""
        return self.table or f"mc_audience_{self.name.replace('-', '_')}"

    def clash(self, other: DestinationConfig) -> str | None:
        """Refuse a second destination that writes one of the two tables."""
        if isinstance(other, EngineTableSettings):
            of_both = {
                name.lower() for each in (self, other) for name in (each.table_name, f"{each.table_name}_changes")
            }
            if len(of_both) < 4:  # noqa: PLR2004 - two tables each
                return "writes a table of an earlier destination; give it another table"
        return None


def tables(name: str) -> tuple[Table, Table]:
    """Return the two tables of a name: who is on lists now, and the changes."""
    shared = (
        Column("segment", "STRING", "name of the segment"),
        Column("kind", "STRING", "what the identifier is: email, phone, user_id"),
        Column("identifier", "STRING", "SHA-256 in hex, or as it is where the configuration says so"),
    )
    push = Column("push_id", "STRING", "the push that said so")
    return (
        Table(
            name,
            "One row per identifier that is on the list of a segment.",
            ("audience_key",),
            (
                Column("audience_key", "STRING", "segment, kind and identifier"),
                *shared,
                Column("added_at", "TIMESTAMP", "when it was added, or added again (UTC)"),
                push,
            ),
            cluster=("segment",),
        ),
        Table(
            f"{name}_changes",
            "One row per identifier that a push added or removed.",
            ("change_key",),
            (
                Column("change_key", "STRING", "push, operation, segment, kind and identifier"),
                *shared,
                Column("operation", "STRING", "add or remove"),
                Column("changed_at", "TIMESTAMP", "when (UTC)"),
                push,
            ),
            cluster=("segment",),
        ),
    )


class EngineTableDestination(Destination):
    """A table of the engine, and one of the changes beside it."""

    settings_type: ClassVar[type[DestinationSettings]] = EngineTableSettings
    settings: EngineTableSettings

    @property
    def accepts(self) -> Accepts:
        """All identifiers."""
        kinds: frozenset[IdentityKind] = frozenset(get_args(IdentityKind))
        return Accepts(self.settings.name, kinds, PLAIN, in_clear=frozenset(self.settings.in_clear))

    def audience_list(self, segment: str, push_id: str, facts: Mapping[str, Any] | None = None) -> EngineTableList:
        """Give the list of a segment to a push; the tables are made when something is sent.

        Raises:
            UsageError: A table of that name has other columns, or there is no engine.
        """
        del facts
        if self.open_engine is None:
            raise UsageError(
                f"The destination {self.settings.name} is a table of the engine, and nobody gave it one.",
                hint="Make it with `project.destination(name)`.",
            )
        engine = self.open_engine()
        for table in tables(self.settings.table_name):
            found = engine.find_table(table.name)
            if found is not None and set(found.columns) != set(table.column_names):
                raise UsageError(
                    f"The destination {self.settings.name} cannot write to {table.name}: there is such a table, with "
                    "other columns.",
                    hint="Give the destination another table: it replaces none.",
                )
        return EngineTableList(engine, self.settings.table_name, segment, push_id)


class EngineTableList:
    """The list of a segment: its rows in the table."""

    limits = ListLimits(_IDENTIFIERS_PER_REQUEST, settles_after=timedelta(0), answers_for=_FOR_EVER)

    def __init__(self, engine: Engine, name: str, segment: str, push_id: str) -> None:
        self._engine = engine
        self._members, self._changes = tables(name)
        self._segment = segment
        self._push_id = push_id
        self._requests = 0

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        """Write identifiers, in one transaction.

        Raises:
            RefusedError: Some are of a kind that the table does not take.
            EngineError: The engine failed; nothing was written.
        """
        foreign = [place for place, each in enumerate(identifiers) if each.kind not in get_args(IdentityKind)]
        if foreign:
            raise RefusedError("a table of audiences takes no such identifiers", rows=foreign)
        for table in (self._members, self._changes):
            self._engine.ensure(table)
        columns = [[each.kind for each in identifiers], [each.value for each in identifiers]]
        self._engine.load(pa.table(columns, schema=_SCHEMA).to_reader(), _BATCH)
        self._engine.materialise(_rows_query(self._segment, self._push_id, operation, datetime.now(tz=UTC)), _ROWS)
        added = [InsertScratch(self._members, _ROWS)] if operation == "add" else []
        self._engine.apply(
            [
                DeleteKeys(self._members, "audience_key", _ROWS),
                *added,
                DeleteKeys(self._changes, "change_key", _ROWS),
                InsertScratch(self._changes, _ROWS),
            ]
        )
        self._requests += 1
        return Answer("success", f"{self._push_id}/{self._requests}")

    def finish(self) -> None:
        """Do nothing: each batch is there when it was sent."""

    def ask(self, request_id: str) -> Answer:
        """Say that nobody can tell: what was sent was there at once, and was said so then."""
        return Answer("unknown", request_id, reason="a table answers at once")

    def now(self) -> datetime | None:
        """Tell no time: this machine's clock counts."""
        return None


def _rows_query(segment: str, push_id: str, operation: Operation, now: datetime) -> Query:
    return templates.query(
        "activation/audience_rows",
        params={"segment": segment, "push_id": push_id, "operation": operation, "now": now},
    )


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the query of a batch that is written into a table."""
    yield None, _rows_query("segment", "push", "add", templates.EXAMPLE_MOMENT)
