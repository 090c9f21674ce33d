"""The coverage heat map: a table, so that it reads without a script, prints, and scrolls with its names in place."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from microconv import wording
from microconv.audit.coverage import CoverageDay, CoverageResult

MAX_DAYS = 180
LEVELS = 4


@dataclass(frozen=True)
class HeatCell:
    """One day of one micro-conversion: CSS class, short text for screen readers, full text for the pointer."""

    style: str
    text: str
    title: str


@dataclass(frozen=True)
class HeatRow:
    """One micro-conversion over all days drawn."""

    micro_conversion: str
    cells: tuple[HeatCell, ...]


@dataclass(frozen=True)
class HeatMap:
    """Days as columns (`months`: name and number of columns), micro-conversions as rows."""

    months: tuple[tuple[str, int], ...]
    days: tuple[date, ...]
    rows: tuple[HeatRow, ...]
    days_left_out: int


def heat_map(result: CoverageResult) -> HeatMap | None:
    """Return the latest `MAX_DAYS` days of every micro-conversion that was seen; None when there is nothing to draw."""
    by_entry: dict[str, dict[date, CoverageDay]] = {}
    for row in result.days:
        by_entry.setdefault(row.micro_conversion, {})[row.event_date] = row
    unseen = set(result.never_seen)
    drawn = {entry: of for entry, of in by_entry.items() if entry not in unseen}
    if not drawn:
        return None
    first = min(day for of in drawn.values() for day in of)
    last = max(day for of in drawn.values() for day in of)
    span = (last - first).days + 1
    shown = min(span, MAX_DAYS)
    days = tuple(last - timedelta(days=back) for back in range(shown - 1, -1, -1))
    return HeatMap(
        months=tuple(
            (f"{calendar.month_abbr[month]} {year}", len(list(of)))
            for (year, month), of in groupby(days, key=lambda day: (day.year, day.month))
        ),
        days=days,
        rows=tuple(
            HeatRow(entry, tuple(_cell(day, of.get(day), max(row.occurrences for row in of.values())) for day in days))
            for entry, of in drawn.items()
        ),
        days_left_out=span - shown,
    )


def _cell(day: date, row: CoverageDay | None, busiest: int) -> HeatCell:
    if row is None:
        return HeatCell("gap", "no export", f"{wording.day(day)}: no export")
    seen, expected = wording.count(row.occurrences), wording.decimal(row.expected, 0)
    title = f"{wording.day(day)}: {seen} seen, about {expected} expected"
    if row.status != "ok":
        return HeatCell(row.status, f"{seen}, {row.status}", f"{title}, {row.status}")
    if row.occurrences == 0:
        return HeatCell("zero", "0", title)
    level = -(-LEVELS * row.occurrences // busiest)
    return HeatCell(f"l{level}", seen, title)
