"""Results with something to say in every section of the report."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from microconv.analyses.attribution.credits import AttributionCredit, AttributionResult, Untouched
from microconv.analyses.channels import ChannelsResult
from microconv.analyses.funnels.counts import FunnelResult, FunnelStep
from microconv.analyses.key_figures import ChangesResult
from microconv.audit.coverage import CoverageDay, CoverageResult, Outage
from microconv.catalogue import QUESTIONS
from microconv.config.funnel_settings import Count
from microconv.guardrails.guardrails_question import GuardrailsResult
from microconv.priorities.prioritize import PrioritiesResult
from microconv.report import Answered, ReportData
from microconv.result import Result

FIRST_DATE = date(2026, 10, 20)
LAST_DATE = date(2026, 11, 18)
OUTAGE_DATES = (date(2026, 11, 3), date(2026, 11, 4))
CONVERSIONS = 400

# Touchpoint → credit by model, for each window; what is left of 400 is untouched.
CREDITS = {
    "1d": {
        "Direct": (90.0, 150.0, 80.0, 110.0, 130.0, 112.0),
        "Email": (60.0, 80.0, 130.0, 90.0, 85.0, 88.0),
        "Paid Search": (120.0, 60.0, 80.0, 90.0, 75.0, 90.0),
        "Organic Search": (30.0, 10.0, 10.0, 10.0, 10.0, 10.0),
    },
    "7d": {
        "Direct": (80.0, 180.0, 60.0, 120.0, 150.0, 122.0),
        "Email": (70.0, 90.0, 180.0, 110.0, 105.0, 108.0),
        "Paid Search": (160.0, 60.0, 80.0, 100.0, 75.0, 100.0),
        "Organic Search": (50.0, 30.0, 40.0, 30.0, 30.0, 30.0),
    },
    "30d": {
        "Direct": (70.0, 180.0, 50.0, 120.0, 150.0, 122.0),
        "Email": (70.0, 90.0, 190.0, 110.0, 105.0, 108.0),
        "Paid Search": (186.0, 70.0, 90.0, 110.0, 85.0, 110.0),
        "Organic Search": (62.0, 48.0, 58.0, 48.0, 48.0, 48.0),
    },
}
MODELS = ("first", "last", "last_non_direct", "linear", "time_decay", "position")
UNTOUCHED = {"1d": 100, "7d": 40, "30d": 12}
ENTRIES = {"view_item": 800, "add_to_cart": 130, "begin_checkout": 45, "purchase": 14, "sign_up": 1, "search": 60}


def funnel(name: str, counts: dict[str, int], *, count: Count = "actors") -> FunnelResult:
    steps = []
    first = next(iter(counts.values()))
    previous = None
    for index, (step, reached) in enumerate(counts.items()):
        steps.append(
            FunnelStep(
                step=step,
                count=reached,
                from_previous=reached / previous if previous else None,
                from_first=reached / first if first else None,
                seconds_median=float(index * 4_000) if reached else None,
            )
        )
        previous = reached
    return FunnelResult(
        funnel=name,
        count=count,
        order="ordered",
        entry="closed",
        window_seconds=604_800,
        step_window_seconds=None,
        steps=tuple(steps),
        sentence="",
        assumptions=(),
    )


def attribution() -> AttributionResult:
    return AttributionResult(
        goal="purchase",
        conversions=CONVERSIONS,
        value=24_512.5,
        results=tuple(
            AttributionCredit(model, window, touchpoint, credit, credit * 61.28)
            for window, touchpoints in CREDITS.items()
            for touchpoint, by_model in touchpoints.items()
            for model, credit in zip(MODELS, by_model, strict=True)
        ),
        untouched=tuple(Untouched(window, count, count * 61.28) for window, count in UNTOUCHED.items()),
        assumptions=(
            "A touchpoint is a session; its source is the session's default channel group.",
            "Time decay halves a touchpoint's weight every 7 days before the conversion.",
        ),
    )


def coverage() -> CoverageResult:
    days = []
    for offset in range((LAST_DATE - FIRST_DATE).days + 1):
        day = FIRST_DATE + timedelta(days=offset)
        weekend = day.weekday() >= 5
        for entry, usual in ENTRIES.items():
            out = entry == "add_to_cart" and day in OUTAGE_DATES
            low = entry == "search" and day == date(2026, 11, 9)
            expected = usual * (1.3 if weekend else 0.9)
            occurrences = 0 if out else round(expected * 0.2) if low else round(expected * (0.9 + offset % 5 / 20))
            status = "missing" if out else "low" if low else "ok"
            days.append(CoverageDay(day, entry, occurrences, occurrences, occurrences // 2, expected, status))
    return CoverageResult(
        first_date=FIRST_DATE,
        last_date=LAST_DATE,
        days=tuple(days),
        outages=(
            Outage("search", date(2026, 11, 9), date(2026, 11, 9), 1, 11, 54.0, "low"),
            Outage("add_to_cart", *OUTAGE_DATES, 2, 0, 234.0, "missing"),
        ),
        never_seen=("select_promotion", "share"),
    )


NAMES = {
    FunnelResult: "funnel",
    AttributionResult: "attribution",
    CoverageResult: "coverage",
    ChannelsResult: "channels",
    PrioritiesResult: "prioritize",
    ChangesResult: "changes",
    GuardrailsResult: "guardrails",
}


def answers(*results: Result) -> tuple[Answered, ...]:
    """Return results as answers to the questions of the catalogue."""
    names = [NAMES[type(result)] for result in results]
    return tuple(
        Answered(name, QUESTIONS[name].answers, None, result) for name, result in zip(names, results, strict=True)
    )


def answered(data: ReportData, *results: Result) -> ReportData:
    """Return a report's data with these results instead of all others of their classes."""
    return replace(data, answers=(*without(data, *(type(result) for result in results)).answers, *answers(*results)))


def without(data: ReportData, *kinds: type[Result]) -> ReportData:
    """Return a report's data without the results of some classes."""
    return replace(data, answers=tuple(each for each in data.answers if not isinstance(each.result, kinds)))
