"""Audit: does the tracking record, day by day, what the taxonomy names?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.result import frame
from microconv.taxonomy import Taxonomy
from microconv.wording import iso_dates

if TYPE_CHECKING:
    import pandas as pd

CoverageStatus = Literal["ok", "low", "missing"]

# A Poisson count of 10 is zero once in 22,000 days, one of 20 below 5 once in 59,000: chance alone raises no alarm.
MISSING_FROM_EXPECTED = 10
LOW_FROM_EXPECTED = 20
LOW_SHARE = 0.25


@dataclass(frozen=True)
class CoverageDay:
    """One micro-conversion on one day: what happened, and what its share of traffic on other days lets one expect."""

    event_date: date
    micro_conversion: str
    occurrences: int
    actors: int
    expected: float
    status: CoverageStatus


@dataclass(frozen=True)
class Outage:
    """Consecutive days on which a micro-conversion was missing or far below what was expected."""

    micro_conversion: str
    first_date: date
    last_date: date
    days: int
    occurrences: int
    expected: float
    status: CoverageStatus


@dataclass(frozen=True)
class CoverageResult:
    """Daily coverage of the taxonomy: every staged day for every entry, zeros included."""

    first_date: date | None
    last_date: date | None
    days: tuple[CoverageDay, ...]
    outages: tuple[Outage, ...]
    never_seen: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the JSON document, dates as ISO strings."""
        document: dict[str, Any] = iso_dates(asdict(self))
        return document

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per day and micro-conversion, with the columns of `CoverageDay`."""
        return frame(self.days, CoverageDay)


def coverage(engine: Engine, taxonomy: Taxonomy) -> CoverageResult:
    """Hold every staged day against what its traffic lets one expect (`sql/audit/coverage.sql`).

    A day is `missing` when nothing was seen and at least 10 were expected, `low` when less than a quarter of at least
    20 was seen. A provisional day is never `low`: what people do differs by the hour, and that day is not over.
    Deprecated entries are left out. Days come by entry in the order of the taxonomy, then by date.

    Raises:
        EngineError: The engine failed.
    """
    rows = engine.query(coverage_query(taxonomy)).to_pylist()
    days = tuple(_day(row) for row in rows)
    dates = [day.event_date for day in days]
    return CoverageResult(
        first_date=min(dates, default=None),
        last_date=max(dates, default=None),
        days=days,
        outages=tuple(
            outage
            for _, days_of_entry in groupby(days, key=lambda day: day.micro_conversion)
            for outage in _outages(tuple(days_of_entry))
        ),
        never_seen=tuple(
            entry
            for entry, days_of_entry in groupby(days, key=lambda day: day.micro_conversion)
            if not any(day.occurrences for day in days_of_entry)
        ),
    )


def coverage_query(taxonomy: Taxonomy) -> Query:
    """Return the query of coverage."""
    ids = [entry.id for entry in taxonomy.entries if entry.deprecated is None]
    return templates.query("audit/coverage", params={"micro_conversions": ids})


def _day(row: dict[str, Any]) -> CoverageDay:
    return CoverageDay(
        event_date=row["event_date"],
        micro_conversion=row["micro_conversion"],
        occurrences=row["occurrences"],
        actors=row["actors"],
        expected=row["expected"],
        status=_status(row["occurrences"], row["expected"], is_provisional=row["is_provisional"]),
    )


def _status(occurrences: int, expected: float, *, is_provisional: bool) -> CoverageStatus:
    if occurrences == 0 and expected >= MISSING_FROM_EXPECTED:
        return "missing"
    if occurrences < LOW_SHARE * expected and expected >= LOW_FROM_EXPECTED and not is_provisional:
        return "low"
    return "ok"


def _outages(days: Sequence[CoverageDay]) -> Iterator[Outage]:
    """Join neighbouring staged days that are not ok; a day nobody staged neither ends nor lengthens an outage."""
    for is_ok, group in groupby(days, key=lambda day: day.status == "ok"):
        if is_ok:
            continue
        run = tuple(group)
        occurrences = sum(day.occurrences for day in run)
        yield Outage(
            micro_conversion=run[0].micro_conversion,
            first_date=run[0].event_date,
            last_date=run[-1].event_date,
            days=len(run),
            occurrences=occurrences,
            expected=sum(day.expected for day in run),
            status="low" if occurrences else "missing",
        )
