"""What the staged tables hold in all."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.wording import iso_dates


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

    def document(self) -> dict[str, Any]:
        """Return the JSON document, dates as ISO strings."""
        document: dict[str, Any] = iso_dates(asdict(self))
        return document


def summary(engine: Engine) -> StagedSummary:
    """Say what the staged tables hold (`sql/operations/summary.sql`); zeros and None when nothing is staged.

    Raises:
        EngineError: The engine failed.
    """
    (row,) = engine.query(templates.query("operations/summary")).to_pylist()
    return StagedSummary(**row)
