"""Where the staged days come from: which shards, of which kind, and the taxonomy that they were staged with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from microconv import wording
from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.result import column
from microconv.taxonomy import Taxonomy


@dataclass(frozen=True)
class ShardGroup:
    """Days of a property that came from shards of one kind, staged with one taxonomy.

    Attributes:
        property: The GA4 property.
        kind: daily, fresh or intraday.
        taxonomy: Name and version of the taxonomy; None where the run that staged them is not on record.
        days: How many days.
        first_date: The first of them.
        last_date: The last.
        events: Rows staged.
        modified_at: When the latest of the shards last changed (UTC).
        staged_at: When the latest of them was staged (UTC).
    """

    property: str = column("property")
    kind: str = column("kind of shard")
    taxonomy: str | None = column("taxonomy")
    days: int = column("days", wording.count)
    first_date: date = column("first day")
    last_date: date = column("last day")
    events: int = column("events", wording.count)
    modified_at: datetime | None = column("last changed (UTC)", wording.minute)
    staged_at: datetime | None = column("staged (UTC)", wording.minute)


def lineage(engine: Engine, first: date | None = None, last: date | None = None) -> tuple[ShardGroup, ...]:
    """Say where the staged days, or those from `first` to `last`, come from (`sql/operations/lineage.sql`).

    Raises:
        EngineError: The engine failed.
    """
    rows = engine.query(_query(first, last)).to_pylist()
    return tuple(ShardGroup(**row) for row in rows)


def _query(first: date | None, last: date | None) -> Query:
    return templates.query("operations/lineage", params={"first_date": first, "last_date": last})


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the query of where the staged days come from."""
    yield None, _query(None, None)
