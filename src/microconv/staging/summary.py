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


def summary(engine: Engine) -> StagedSummary:
    """Say what the staged tables hold (`sql/operations/summary.sql`); zeros and None when nothing is staged.

    Raises:
        EngineError: The engine failed.
    """
    (row,) = engine.query(templates.query("operations/summary")).to_pylist()
    return StagedSummary(**row)


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of what is staged in all."""
    yield None, templates.query("operations/summary")
    yield None, templates.query("operations/latest_event")
    yield None, templates.query("operations/span")
