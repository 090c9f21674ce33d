"""What the staged tables hold in all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.taxonomy import Taxonomy


@dataclass(frozen=True)
class StagedSummary:
    """What the staged tables hold."""

    first_date: date | None
    last_date: date | None
    days: int
    provisional_days: int
    events: int
    consentless_events: int
    duplicates_removed: int
    sessions: int
    engaged_sessions: int
    actors: int
    micro_conversions: int


def summary(engine: Engine, first: date | None = None, last: date | None = None) -> StagedSummary:
    """Say what the staged tables hold, or hold of the days from `first` to `last` (`sql/operations/summary.sql`).

    Zeros and None where nothing is staged.

    Raises:
        EngineError: The engine failed.
    """
    (row,) = engine.query(_query(first, last)).to_pylist()
    return StagedSummary(**row)


def _query(first: date | None, last: date | None) -> Query:
    return templates.query("operations/summary", params={"first_date": first, "last_date": last})


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of what is staged in all."""
    yield None, _query(None, None)
    yield None, templates.query("operations/latest_event")
    yield None, templates.query("operations/span")
