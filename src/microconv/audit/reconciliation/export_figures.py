"""Our side: what the export holds, counted as GA4 counts it, with what may explain that GA4 shows something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any, Self
from zoneinfo import ZoneInfo

from microconv.config.sections import Config
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.taxonomy import Taxonomy

NEWEST_DAYS_LEFT_OUT = 3
"""GA4 takes events up to three days late, and rewrites their days: until then both sides still move."""
CAP_FROM = 0.99
"""A day with this share of the cap's rows or more was cut off."""

Ask = Callable[[Query], list[dict[str, Any]]]


@dataclass(frozen=True)
class ExportFigures:
    """Figures of the export; the columns of `audit/reconciliation/figures`."""

    events: int = 0
    consentless_events: int = 0
    internal_events: int = 0
    sessions: int = 0
    users: int = 0
    users_by_id: int = 0
    active_users: int = 0
    page_views: int = 0
    transactions: int = 0
    transaction_rows: int = 0
    valueless_transactions: int = 0
    revenue: float = 0.0
    revenue_of_rows: float = 0.0
    revenue_in_usd: float = 0.0
    other_currency_rows: int = 0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Read a row."""
        return cls(**{each.name: row[each.name] for each in fields(cls)})


@dataclass(frozen=True)
class ExportDay:
    """A day of the export.

    Attributes:
        figures: What was counted.
        copies: Exact copies that staging removed.
        source_rows: Rows that the export has.
        is_final: A sync looked at it when GA4 took no more late events for it, and it is a daily table.
        is_at_cap: It has as many rows as GA4 exports a day.
    """

    figures: ExportFigures
    copies: int = 0
    source_rows: int = 0
    is_final: bool = True
    is_at_cap: bool = False


@dataclass(frozen=True)
class EventDay:
    """An event on a day."""

    events: int
    consentless_events: int = 0
    copies: int = 0
    users: int = 0


@dataclass(frozen=True)
class ExportSide:
    """The export over the days compared.

    Attributes:
        timezone: The configured zone.
        currency: The configured currency.
        days: By day.
        events: By day and event.
        period: The whole period.
        countries: By country, over the period.
        channels: By channel group of the session, over the period.
        events_in: Events by day of another time zone, or of one so many hours ahead of it.
    """

    timezone: str
    currency: str
    days: Mapping[date, ExportDay]
    events: Mapping[tuple[date, str], EventDay]
    period: ExportFigures
    countries: Mapping[str, ExportFigures] = field(default_factory=dict)
    channels: Mapping[str, ExportFigures] = field(default_factory=dict)
    events_in: Callable[[str, int], Mapping[date, int]] = lambda _zone, _hours: {}

    @property
    def first_date(self) -> date:
        """The first day."""
        return min(self.days)

    @property
    def last_date(self) -> date:
        """The last day."""
        return max(self.days)


@dataclass(frozen=True)
class Compared:
    """What is compared: a property of the sources, the latest `days` of it, by the settings of the project."""

    property_id: str
    timezone: str
    currency: str
    assume_currency: bool
    daily_cap: int
    days: int

    def shards(self) -> Query:
        """Return the query of the staged days."""
        return templates.query("audit/reconciliation/shards", params={"property": self.property_id})

    def figures(self, first: date | None, last: date | None, *, by_day: bool, part: str) -> Query:
        """Return the query of the figures: of each day, or of the period by a part (`country`, `channel`, or '')."""
        params: dict[str, Value] = {
            **self._days(first, last),
            "currency": self.currency,
            "assume_currency": self.assume_currency,
        }
        return templates.query(
            "audit/reconciliation/figures", params=params, structure={"by_day": by_day, "part": part}
        )

    def event_days(self, first: date | None, last: date | None) -> Query:
        """Return the query of each event on each day."""
        return templates.query("audit/reconciliation/event_days", params=self._days(first, last))

    def quarter_hours(self, first: date | None, last: date | None) -> Query:
        """Return the query of which days of other zones are made."""
        return templates.query("audit/reconciliation/quarter_hours", params=self._days(first, last))

    def _days(self, first: date | None, last: date | None) -> dict[str, Value]:
        return {"property": self.property_id, "first_date": first, "last_date": last}


def examples(config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of a reconciliation, with no days."""
    project = config.project
    compared = Compared(
        config.sources[0].property, project.timezone, project.currency, project.assume_currency, daily_cap=0, days=1
    )
    yield None, compared.shards()
    for by_day, part in ((True, ""), (False, ""), (False, "country"), (False, "channel")):
        yield None, compared.figures(None, None, by_day=by_day, part=part)
    yield None, compared.event_days(None, None)
    yield None, compared.quarter_hours(None, None)


def read(compared: Compared, ask: Ask, *, today: date) -> ExportSide | None:
    """Count the export; None where no staged day is old enough.

    The newest three days before `today`, the property's day now, are left out.
    """
    zone = ZoneInfo(compared.timezone)
    last_comparable = today - timedelta(days=NEWEST_DAYS_LEFT_OUT + 1)
    shards = {row["event_date"]: row for row in ask(compared.shards()) if row["event_date"] <= last_comparable}
    if not shards:
        return None
    last = max(shards)
    first = max(min(shards), last - timedelta(days=compared.days - 1))
    by_day = {row["event_date"]: row for row in ask(compared.figures(first, last, by_day=True, part=""))}
    (period, *_) = [*ask(compared.figures(first, last, by_day=False, part="")), None]

    def parts(part: str) -> dict[str, ExportFigures]:
        rows = ask(compared.figures(first, last, by_day=False, part=part))
        return {row["part"]: ExportFigures.of(row) for row in rows}

    @cache
    def quarter_hours() -> list[dict[str, Any]]:
        return ask(compared.quarter_hours(first, last))

    def events_in(other: str, hours: int) -> dict[date, int]:
        counted: Counter[date] = Counter()
        ahead = timedelta(hours=hours)
        for row in quarter_hours():
            counted[(_in_utc(row["quarter_at"]).astimezone(ZoneInfo(other)) + ahead).date()] += row["events"]
        return {day: counted[day] for day in shards if first <= day <= last}

    return ExportSide(
        timezone=compared.timezone,
        currency=compared.currency,
        days={
            day: _day(
                row, ExportFigures.of(by_day[day]) if day in by_day else ExportFigures(), zone, compared.daily_cap
            )
            for day, row in sorted(shards.items())
            if first <= day <= last
        },
        events={
            (row["event_date"], row["event_name"]): EventDay(
                row["events"], row["consentless_events"], row["copies"], row["users"]
            )
            for row in ask(compared.event_days(first, last))
        },
        period=ExportFigures.of(period) if period is not None else ExportFigures(),
        countries=parts("country"),
        channels=parts("channel"),
        events_in=events_in,
    )


def _day(shard: Mapping[str, Any], figures: ExportFigures, zone: ZoneInfo, daily_cap: int) -> ExportDay:
    ends_at = datetime.combine(shard["event_date"] + timedelta(days=1), time(), tzinfo=zone).astimezone(UTC)
    return ExportDay(
        figures=figures,
        copies=shard["copies"],
        source_rows=shard["source_rows"],
        is_final=shard["kind"] == "daily"
        and _in_utc(shard["looked_at"]) >= ends_at + timedelta(days=NEWEST_DAYS_LEFT_OUT),
        is_at_cap=daily_cap > 0 and shard["source_rows"] >= CAP_FROM * daily_cap,
    )


def _in_utc(moment: datetime) -> datetime:
    """Say that a moment is in UTC, which engines give without saying so."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
