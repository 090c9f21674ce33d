"""GA4's side: the reports asked for, and what each said. Nothing is summed: users and sessions do not add up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from microconv.clients.analytics_data import Report, ReportAnswer
from microconv.errors import AnalyticsError

OTHER_ROW = "(other)"

EVENTS, SESSIONS, USERS, ACTIVE_USERS, PAGE_VIEWS, REVENUE, TRANSACTIONS = METRICS = (
    "eventCount",
    "sessions",
    "totalUsers",
    "activeUsers",
    "screenPageViews",
    "totalRevenue",
    "transactions",
)
WORDS = MappingProxyType(
    {
        EVENTS: "events",
        SESSIONS: "sessions",
        USERS: "users",
        ACTIVE_USERS: "active users",
        PAGE_VIEWS: "page views",
        REVENUE: "revenue",
        TRANSACTIONS: "transactions",
    }
)
"""How people call a metric."""


def reports(first: date, last: date) -> dict[str, Report]:
    """Return the reports by name, the most important first: where a quota ends it, the others are missing."""
    return {
        "days": Report(("date",), METRICS, first, last),
        "period": Report((), METRICS, first, last),
        "events": Report(("date", "eventName"), (EVENTS,), first, last),
        "countries": Report(("country",), (EVENTS, SESSIONS, USERS), first, last),
        "channels": Report(("sessionDefaultChannelGroup",), (SESSIONS,), first, last),
    }


@dataclass(frozen=True)
class Ga4Side:
    """What GA4 shows. `failure` is why reports are missing, where some are."""

    answers: Mapping[str, ReportAnswer]
    failure: AnalyticsError | None = None

    @property
    def any_answer(self) -> ReportAnswer:
        """An answer: zone and currency are the same in all."""
        return next(iter(self.answers.values()))

    @property
    def timezone(self) -> str:
        """The property's reporting zone."""
        return self.any_answer.timezone

    @property
    def currency(self) -> str:
        """The property's currency."""
        return self.any_answer.currency

    @property
    def days(self) -> dict[date, dict[str, float]]:
        """The metrics by day."""
        answer = self.answers["days"]
        return {_day(key[0]): dict(zip(answer.report.metrics, row, strict=True)) for key, row in answer.rows.items()}

    @property
    def period(self) -> dict[str, float]:
        """The metrics of the whole period; empty where it was not answered."""
        answer = self.answers.get("period")
        if answer is None:
            return {}
        return dict(zip(answer.report.metrics, answer.rows.get((), (0.0,) * len(METRICS)), strict=True))

    @property
    def events(self) -> dict[tuple[date, str], float] | None:
        """Events by day and name; None where it was not answered."""
        answer = self.answers.get("events")
        if answer is None:
            return None
        return {(_day(day), name): row[0] for (day, name), row in answer.rows.items()}

    def parts(self, name: str) -> dict[str, dict[str, float]]:
        """The metrics by country or channel; empty where it was not answered."""
        answer = self.answers.get(name)
        if answer is None:
            return {}
        return {key[0]: dict(zip(answer.report.metrics, row, strict=True)) for key, row in answer.rows.items()}

    def is_thresholded(self, name: str) -> bool:
        """Tell whether rows of few users may be missing from a report."""
        return name in self.answers and self.answers[name].is_thresholded

    def has_other_row(self, name: str) -> bool:
        """Tell whether rare values of a report were rolled into one row."""
        return name in self.answers and self.answers[name].has_other_row

    @property
    def restricted(self) -> frozenset[str]:
        """Metrics that the account may not see."""
        return frozenset(metric for answer in self.answers.values() for metric in answer.restricted)

    @property
    def sampled_share(self) -> float:
        """The smallest share of events that a report was made of."""
        return min(answer.sampled_share for answer in self.answers.values())


def ask(run: Callable[[Report], ReportAnswer], first: date, last: date) -> Ga4Side:
    """Ask all reports, until one fails.

    Raises:
        AnalyticsError: not even the first was answered.
    """
    answers: dict[str, ReportAnswer] = {}
    for name, report in reports(first, last).items():
        try:
            answers[name] = run(report)
        except AnalyticsError as error:
            if not answers:
                raise
            return Ga4Side(answers, error)
    return Ga4Side(answers)


def _day(text: str) -> date:
    """Read a day; `date.min` for what is none, such as "(other)"."""
    if len(text) != 8 or not text.isdecimal():  # noqa: PLR2004 - YYYYMMDD
        return date.min
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))
