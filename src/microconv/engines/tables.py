"""What a table is: columns, types and meaning, from which engines make it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """One column: `type` is a GoogleSQL type."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Table:
    """One table: `grain` are the columns no two rows share.

    `version` is raised with every change of the columns or their meaning, and kept with the table in the engine; the
    versions of the staged tables are part of the staging fingerprint. `partition` (a DATE column) and `cluster` say how
    an engine that bills by what it reads lays the rows out.
    """

    name: str
    description: str
    grain: tuple[str, ...]
    columns: tuple[Column, ...] = field(repr=False)
    version: int = 1
    partition: str | None = None
    cluster: tuple[str, ...] = ()

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)
