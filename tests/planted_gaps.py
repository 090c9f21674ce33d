"""Random properties, each seen by its export and by GA4, with one cause of gaps planted between the two.

Nothing here knows how causes are told: a property is events by half hours, and each plant does to one of its sides what
the cause does in life. All plants carry marks of other causes as well, which had no effect.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np

from analytics_server import GoogleProperty
from microconv.audit.reconciliation.export_figures import EventDay, ExportDay, ExportFigures, ExportSide
from microconv.stats import cardinality

ZONE = "Europe/Berlin"
DAYS = 28
EVENTS = {
    "page_view": 0.35,
    "user_engagement": 0.2,
    "scroll": 0.13,
    "view_item": 0.1,
    "session_start": 0.08,
    "first_visit": 0.05,
    "view_item_list": 0.04,
    "add_to_cart": 0.02,
    "search": 0.012,
    "begin_checkout": 0.008,
    "purchase": 0.005,
    "file_download": 0.003,
    "newsletter": 0.001,
    "store_locator": 0.0006,
    "gift_card": 0.0004,
}
NAMES = list(EVENTS)
COUNTRIES = {f"Country {n}": 0.5**n for n in range(1, 13)}
DayEvents = dict[tuple[date, str], int]


@dataclass
class Side:
    """What one side holds of a day or shows of it, before it is written as its own kind."""

    events: DayEvents
    sessions: dict[date, float]
    users: dict[date, float]
    revenue: dict[date, float]
    transactions: dict[date, float]

    def total(self, day: date) -> int:
        return sum(count for (each, _), count in self.events.items() if each == day)

    @cached_property
    def by_day(self) -> Mapping[date, int]:
        counted: Counter[date] = Counter()
        for (day, _), count in self.events.items():
            counted[day] += count
        return counted


@dataclass
class Planted:
    """A property with its two sides."""

    seed: int
    random: np.random.Generator
    days: list[date]
    half_hours: list[datetime]
    counts: np.ndarray
    consent_share: float
    value: float
    export: Side
    ga4: Side
    consentless: DayEvents
    copies: dict[date, int]
    internal: dict[date, int]
    repeats: dict[date, int]
    """Rows of transactions that came again."""
    not_final: set[date]
    at_cap: set[date] = field(default_factory=set)
    other_currency_rows: dict[date, int] = field(default_factory=dict)
    timezone: str = ZONE
    currency: str = "EUR"
    said: dict[tuple[str, ...], dict[str, object]] = field(default_factory=dict)
    withheld: set[tuple[date, str]] = field(default_factory=set)
    rolled: set[tuple[date, str]] = field(default_factory=set)
    countries_withheld: set[str] = field(default_factory=set)
    countries_rolled: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, seed: int) -> Planted:
        random = np.random.default_rng(seed)
        first = date(2026, 1, 5) + timedelta(days=int(random.integers(300)))
        days = [first + timedelta(days=n) for n in range(DAYS)]
        begin = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=1)
        half_hours = [begin + timedelta(minutes=30 * n) for n in range((DAYS + 2) * 48)]
        a_day = 10 ** random.uniform(2.9, 4.8)
        weekly = np.array([1 + 0.3 * np.sin(2 * np.pi * (moment.weekday() + 1) / 7) for moment in half_hours])
        daily = np.array([1 + 0.9 * np.sin(2 * np.pi * (moment.hour - 8) / 24) for moment in half_hours])
        noise = np.repeat(random.lognormal(0, 0.1, DAYS + 2), 48)
        rate = a_day / 48 * weekly * daily * noise
        counts = random.poisson(rate[:, None] * np.array(list(EVENTS.values()))[None, :])
        value = float(random.uniform(20, 150))
        self = cls(
            seed=seed,
            random=random,
            days=days,
            half_hours=half_hours,
            counts=counts,
            consent_share=float(random.choice([0.0, random.uniform(0.02, 0.4)])),
            value=value,
            export=Side({}, {}, {}, {}, {}),
            ga4=Side({}, {}, {}, {}, {}),
            consentless={},
            copies={},
            internal={},
            repeats={},
            not_final=set(),
        )
        self.export = self.in_zone(ZONE)
        self.ga4 = copied(self.export)
        self.consentless = {
            key: int(random.binomial(count, self.consent_share)) for key, count in self.export.events.items()
        }
        # Marks that mean nothing here: copies that GA4 leaves out as well, days that were final early, rows at risk.
        has_copies = random.random() < 0.4
        self.copies = {
            day: int(random.poisson(self.export.total(day) * random.choice([0.0, 0.03]))) if has_copies else 0
            for day in days
        }
        self.repeats = {day: int(random.poisson(0.5)) for day in days}
        if random.random() < 0.3:
            share = random.uniform(0.01, 0.1)
            self.internal = {day: int(random.binomial(self.export.total(day), share)) for day in days}
        if random.random() < 0.3:
            self.not_final = set(days[-int(random.integers(1, 3)) :])
        if random.random() < 0.3:
            self.say(subject_to_thresholding=True)
        return self

    def say(self, **metadata: object) -> None:
        for dimensions in (("date",), (), ("date", "eventName"), ("country",)):
            self.said.setdefault(dimensions, {}).update(metadata)

    def in_zone(self, zone: str) -> Side:
        """Count the days of a zone."""
        events: DayEvents = defaultdict(int)
        wanted = set(self.days)
        for place, moment in enumerate(self.half_hours):
            day = moment.astimezone(ZoneInfo(zone)).date()
            if day in wanted:
                for number, name in enumerate(NAMES):
                    events[day, name] += int(self.counts[place, number])
        return Side(
            dict(events),
            {day: float(events[day, "session_start"]) for day in self.days},
            {day: float(round(events[day, "session_start"] * 0.85)) for day in self.days},
            {day: events[day, "purchase"] * self.value for day in self.days},
            {day: float(events[day, "purchase"]) for day in self.days},
        )

    def events_in(self, zone: str, hours: int) -> dict[date, int]:
        counted: Counter[date] = Counter()
        for moment, events in zip(self.half_hours, self.counts.sum(axis=1).tolist(), strict=True):
            counted[(moment.astimezone(ZoneInfo(zone)) + timedelta(hours=hours)).date()] += events
        return {day: counted[day] for day in self.days}

    def thin(self, side: Side, day: date, kept: float, names: list[str] | None = None) -> None:
        """Keep a share of a day's events, or of some; sessions and users follow all of them."""
        for name in names or NAMES:
            if (day, name) in side.events:
                side.events[day, name] = int(self.random.binomial(side.events[day, name], kept))
        if names is None:
            side.sessions[day] = round(side.sessions[day] * kept)
            side.users[day] = round(side.users[day] * kept)
        purchases = side.events[day, "purchase"]
        if names is None or "purchase" in names:
            side.transactions[day], side.revenue[day] = float(purchases), purchases * self.value

    def estimated(self, value: float, precision: int) -> float:
        return float(round(value * (1 + self.random.normal() * cardinality.standard_error(value, precision))))

    def export_side(self) -> ExportSide:
        side = self.export
        totals = side.by_day

        def figures(day: date) -> ExportFigures:
            return ExportFigures(
                events=totals[day],
                consentless_events=sum(min(self.consentless[day, n], side.events[day, n]) for n in NAMES),
                internal_events=min(self.internal.get(day, 0), totals[day]),
                sessions=round(side.sessions[day]),
                users=round(side.users[day]),
                users_by_id=round(side.users[day] * 0.97),
                active_users=round(side.users[day] * 0.9),
                page_views=side.events[day, "page_view"],
                transactions=round(side.transactions[day]),
                transaction_rows=round(side.transactions[day]) + self.repeats[day],
                revenue=side.revenue[day],
                revenue_of_rows=side.revenue[day] + self.repeats[day] * self.value,
                other_currency_rows=self.other_currency_rows.get(day, 0),
            )

        whole = sum(totals.values())
        return ExportSide(
            timezone=ZONE,
            currency="EUR",
            days={
                day: ExportDay(
                    figures(day),
                    self.copies[day],
                    totals[day] + self.copies[day],
                    is_final=day not in self.not_final,
                    is_at_cap=day in self.at_cap,
                )
                for day in self.days
            },
            events={
                (day, name): EventDay(count, min(self.consentless[day, name], count), 0, round(count * 0.8))
                for (day, name), count in side.events.items()
                if count
            },
            period=ExportFigures(
                events=whole,
                consentless_events=sum(figures(day).consentless_events for day in self.days),
                sessions=round(sum(side.sessions.values()) * 0.98),
                users=round(sum(side.users.values()) * 0.6),
                users_by_id=round(sum(side.users.values()) * 0.57),
                active_users=round(sum(side.users.values()) * 0.5),
            ),
            countries={
                name: ExportFigures(events=round(share * whole), users=round(share * whole / 12))
                for name, share in COUNTRIES.items()
            },
            channels={"Direct": ExportFigures(sessions=round(sum(side.sessions.values())))},
            events_in=self.events_in,
        )

    def google_property(self) -> GoogleProperty:
        side, totals = self.ga4, self.ga4.by_day
        by_day = {
            (f"{day:%Y%m%d}",): {
                "eventCount": totals[day],
                "sessions": self.estimated(side.sessions[day], cardinality.SESSION_PRECISION),
                "totalUsers": self.estimated(side.users[day] * 0.985, cardinality.USER_PRECISION),
                "activeUsers": self.estimated(side.users[day] * 0.9, cardinality.USER_PRECISION),
                "screenPageViews": side.events[day, "page_view"],
                "totalRevenue": round(side.revenue[day], 2),
                "transactions": side.transactions[day],
            }
            for day in self.days
        }
        by_event: dict[tuple[str, ...], dict[str, float]] = defaultdict(lambda: {"eventCount": 0.0})
        for (day, name), count in side.events.items():
            if (day, name) not in self.withheld and count:
                by_event[f"{day:%Y%m%d}", "(other)" if (day, name) in self.rolled else name]["eventCount"] += count
        whole = sum(totals.values())
        by_country: dict[tuple[str, ...], dict[str, float]] = defaultdict(lambda: {"eventCount": 0.0})
        for name, share in COUNTRIES.items():
            if name not in self.countries_withheld:
                by_country["(other)" if name in self.countries_rolled else name,]["eventCount"] += round(share * whole)
        return GoogleProperty(
            timezone=self.timezone,
            currency=self.currency,
            tables={
                ("date",): by_day,
                (): {
                    (): {
                        "eventCount": whole,
                        "sessions": self.estimated(sum(side.sessions.values()) * 0.98, cardinality.SESSION_PRECISION),
                        "totalUsers": self.estimated(sum(side.users.values()) * 0.585, cardinality.USER_PRECISION),
                        "activeUsers": self.estimated(sum(side.users.values()) * 0.5, cardinality.USER_PRECISION),
                    }
                },
                ("date", "eventName"): dict(by_event),
                ("country",): dict(by_country),
                ("sessionDefaultChannelGroup",): {("Direct",): {"sessions": round(sum(side.sessions.values()))}},
            },
            said=self.said,
        )


def copied(side: Side) -> Side:
    return Side(*(dict(getattr(side, name)) for name in ("events", "sessions", "users", "revenue", "transactions")))


def late(planted: Planted) -> None:
    """The last days were staged before all events had arrived."""
    random = planted.random
    count = int(random.integers(1, 4))
    planted.not_final = set(planted.days[-count:])
    lost = random.uniform(0.03, 0.4)
    for back, day in enumerate(reversed(planted.days[-count:])):
        planted.thin(planted.export, day, 1 - lost * random.uniform(0.6, 1.0) / (back + 1) ** 0.5)


def consent(planted: Planted) -> None:
    """GA4 leaves out events without consent, or models sessions and users for them; on all days or from one on."""
    random = planted.random
    share = planted.consent_share = float(random.uniform(0.05, 0.4))
    planted.consentless = {key: int(random.binomial(count, share)) for key, count in planted.export.events.items()}
    first = 0 if random.random() < 0.6 else int(random.integers(0, DAYS - 6))
    leaves_out = random.random() < 0.5
    lift = 1 + random.uniform(0.4, 1.0) * share / (1 - share)
    for day in planted.days[first:]:
        if leaves_out:
            for name in NAMES:
                planted.ga4.events[day, name] -= planted.consentless[day, name]
            purchases = planted.ga4.events[day, "purchase"]
            planted.ga4.transactions[day], planted.ga4.revenue[day] = purchases, purchases * planted.value
        else:
            planted.ga4.sessions[day] *= lift
            planted.ga4.users[day] *= lift


def thresholding(planted: Planted) -> None:
    """GA4 withholds rows of few users."""
    planted.say(subject_to_thresholding=True)
    most = int(planted.random.integers(20, 60))
    planted.withheld = {key for key, count in planted.ga4.events.items() if count * 0.8 < most}
    if not any(planted.export.events[key] > 8 for key in planted.withheld):
        rarest = sorted(planted.export.events, key=lambda key: planted.export.events[key])
        planted.withheld = {key for key in rarest[:5] if planted.export.events[key] <= 100}
    whole = sum(planted.ga4.by_day.values())
    planted.countries_withheld = {name for name, share in COUNTRIES.items() if share * whole / 12 < most}


def other_row(planted: Planted) -> None:
    """GA4 rolls rare events into one row, on all days or on busy ones."""
    planted.say(data_loss_from_other_row=True)
    count = int(planted.random.integers(2, 9))
    days = planted.days if planted.random.random() < 0.5 else planted.days[:: int(planted.random.integers(2, 5))]
    planted.rolled = {(day, name) for day in days for name in NAMES[-count:]}
    if planted.random.random() < 0.5:
        planted.countries_rolled = set(list(COUNTRIES)[-5:])


def time_zone(planted: Planted) -> None:
    """GA4 counts the days of another zone; it says so, unless it was set back since."""
    zones = [
        "America/New_York",
        "America/Los_Angeles",
        "Asia/Tokyo",
        "UTC",
        "Asia/Kolkata",
        "Europe/London",
        "Australia/Perth",
    ]
    zone = str(planted.random.choice(zones))
    if planted.random.random() < 0.75 or zone in ("Asia/Kolkata", "America/New_York", "America/Los_Angeles"):
        planted.timezone = zone
    planted.ga4 = planted.in_zone(zone)


def currency(planted: Planted) -> None:
    """GA4 converts to another currency; or values are in another than the configured one, and nobody says so."""
    random = planted.random
    rate = float(random.choice([0.86, 1.08, 1.17, 9.5, 160.0, 0.05]))
    if random.random() < 0.7:
        planted.currency = str(random.choice(["USD", "GBP", "SEK", "JPY"]))
    planted.ga4.revenue = {
        day: amount * rate * (1 + random.normal(0, 0.003)) for day, amount in planted.ga4.revenue.items()
    }


def cap(planted: Planted) -> None:
    """The export is cut off at so many rows a day."""
    random = planted.random
    totals = sorted(planted.export.by_day.values())
    limit = totals[-int(random.integers(2, 9))] * random.uniform(0.8, 0.97)
    for day, total in list(planted.export.by_day.items()):
        if total > limit:
            planted.thin(planted.export, day, limit / total)
            planted.at_cap.add(day)


def data_filter(planted: Planted) -> None:
    """A share of all events, or one event, is on one side only: a data filter, an event left out of the export."""
    random = planted.random
    first = 0 if random.random() < 0.5 else int(random.integers(0, DAYS - 7))
    # A filter is found where it takes more than the counts' own tolerance.
    big = [name for name in NAMES if planted.export.by_day[planted.days[0]] * EVENTS[name] > 60]
    name = str(random.choice(big[1:] or NAMES[:2]))
    kind = int(random.integers(4))
    kept = float(random.uniform(0.6, 0.95))
    side = planted.ga4 if random.random() < 0.5 else planted.export
    for day in planted.days[first:]:
        if kind == 0:
            planted.thin(side, day, kept)
        elif kind == 3:  # internal traffic, which says so, and differs from day to day
            before = planted.ga4.total(day)
            planted.thin(planted.ga4, day, float(random.uniform(0.7, 0.98)))
            planted.internal[day] = before - planted.ga4.total(day)
        elif kind == 1:
            planted.thin(side, day, 0.0, [name])
        else:
            planted.thin(side, day, kept * 0.8, [name])


def duplicates(planted: Planted) -> None:
    """GA4 counts the copies that staging removes, or each row of a transaction."""
    random = planted.random
    if random.random() < 0.7:
        days = set(random.choice(DAYS, int(random.integers(2, DAYS)), replace=False).tolist())
        share = random.uniform(0.02, 0.5)
        for number, day in enumerate(planted.days):
            copies = {name: int(random.binomial(planted.export.events[day, name], share)) for name in NAMES}
            copies["purchase"] = 0
            planted.copies[day] = sum(copies.values()) if number in days else 0
            if number in days:
                for name, count in copies.items():
                    planted.ga4.events[day, name] += count
        return
    for day in planted.days:
        planted.repeats[day] = int(random.binomial(round(planted.export.transactions[day]), 0.4))
        planted.ga4.transactions[day] += planted.repeats[day]
        planted.ga4.revenue[day] += planted.repeats[day] * planted.value


def unknown(planted: Planted) -> None:
    """Some days lose events without a mark."""
    random = planted.random
    planted.not_final = set()
    for number in random.choice(DAYS - 2, int(random.integers(1, 4)), replace=False).tolist():
        planted.thin(planted.export, planted.days[number], random.uniform(0.4, 0.85))


PLANTS: dict[str, Callable[[Planted], None]] = {
    "late": late,
    "consent": consent,
    "thresholding": thresholding,
    "other_row": other_row,
    "time_zone": time_zone,
    "currency": currency,
    "cap": cap,
    "filter": data_filter,
    "duplicates": duplicates,
    "unexplained": unknown,
}


def planted(seed: int, *causes: str) -> Planted:
    """Make a property with causes of gaps, or with none."""
    made = Planted.of(seed)
    for cause in causes:
        PLANTS[cause](made)
        made.export.__dict__.pop("by_day", None)
        made.ga4.__dict__.pop("by_day", None)
    return made
