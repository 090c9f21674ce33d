"""The days of the demo export, and what is special about some of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

TIME_ZONE: Final = "Europe/Berlin"
FIRST_DATE: Final = date(2025, 10, 6)
DAYS: Final = 30
"""The clocks go back on 26 October, so that one of these days has 25 hours."""

# Days counted from 0. The planted events do not disturb each other, so no two fall on one day.
NEW_COLUMNS_FROM: Final = 10
NDJSON_DAY: Final = 14
OUTAGE_DAYS: Final = (17, 18)
LATE_DAY: Final = 21
INTRADAY: Final = DAYS - 1


@dataclass(frozen=True)
class Calendar:
    """Local days and their midnights: `midnights[n]` (UTC microseconds) begins day n, one more ends the last."""

    dates: tuple[date, ...]
    midnights: tuple[int, ...]

    def text(self, day: int) -> str:
        """Return day `day` as GA4 writes it: `20251006`."""
        return f"{self.dates[day]:%Y%m%d}"


def demo_calendar() -> Calendar:
    """Return the demo's calendar: always the same days, so that the same seed gives the same files."""
    zone = ZoneInfo(TIME_ZONE)
    dates = tuple(FIRST_DATE + timedelta(days=day) for day in range(DAYS + 1))
    midnights = tuple(int(datetime.combine(day, time(), zone).timestamp()) * 1_000_000 for day in dates)
    return Calendar(dates[:-1], midnights)
