"""Gaps in words: which figure, ours and GA4's, why they differ, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from microconv import wording
from microconv.audit.reconciliation.export_figures import ExportSide
from microconv.audit.reconciliation.ga4_reports import (
    ACTIVE_USERS,
    EVENTS,
    METRICS,
    REVENUE,
    SESSIONS,
    USERS,
    WORDS,
    Ga4Side,
)
from microconv.audit.reconciliation.gap_causes import CAUSES, Cause, Cell, Gap, figure
from microconv.findings import Severity

_NAMED = 3
"""So many events, countries or channels are named."""
_NOT_ADDED = (SESSIONS, USERS, ACTIVE_USERS)
"""Metrics that do not add up over days."""


@dataclass(frozen=True)
class CauseText:
    """What a cause means: how bad it is, why figures differ by it, and what to do."""

    severity: Severity
    why: str
    remedy: str


CAUSE_TEXTS: dict[Cause, CauseText] = {
    "time_zone": CauseText(
        "error",
        "the days of GA4 are those of {detail}, the days of the export those of {zone}",
        "Set project.timezone to the reporting time zone of the property (Admin > Property details in GA4), and run "
        "`microconv sync`. Where the property's zone was changed, earlier days keep the former one.",
    ),
    "currency": CauseText(
        "error",
        "GA4 shows revenue in {detail}, and the export's is counted in {currency}",
        "Set project.currency to the currency of the property. Where both are the same, events name no currency or "
        "another one: send `currency` with each value, or set project.assume_currency.",
    ),
    "cap": CauseText(
        "warning",
        "there the export was cut off at GA4's limit of events a day",
        "Leave out events that nobody needs in GA4's BigQuery link, or use streaming export or GA4 360. Figures of "
        "these days are too low in every answer.",
    ),
    "late": CauseText(
        "warning",
        "{these} staged before all events had arrived, which takes GA4 up to 3 days",
        "Run `microconv sync`: it stages again the days that GA4 has rewritten since.",
    ),
    "filter": CauseText(
        "warning",
        "a constant share is on one side only, as a data filter, a stream or an event left out of the export leaves it",
        "Compare the data filters (Admin > Data filters in GA4) with the streams and excluded events of the BigQuery "
        "link. Decide which side is right, and set the other alike.",
    ),
    "consent": CauseText(
        "note",
        "GA4 leaves out events without consent, or models users and sessions for them, as the property is set",
        "Nothing is broken: the export holds what was sent, GA4 an estimate. Do not mix both in one report.",
    ),
    "duplicates": CauseText(
        "note",
        "GA4 counts rows that were sent twice, which microconv counts once",
        "Find what sends them twice (`microconv audit` names events that fire repeatedly). Until then microconv's "
        "figures are the right ones.",
    ),
    "thresholding": CauseText(
        "note",
        "GA4 withholds rows of few users from its report",
        "Nothing is broken: microconv's figures are complete. Turning off Google signals in GA4's reporting identity "
        "shows the rows there.",
    ),
    "other_row": CauseText(
        "note",
        'GA4 rolled rare values into a row called "(other)"',
        "Nothing is broken: microconv's figures are complete. Sending fewer different values keeps GA4's reports "
        "whole.",
    ),
    "sampling": CauseText(
        "note",
        "GA4 made its report of a sample of the events",
        "Nothing is broken: microconv's figures are complete. Fewer days ([audit.reconcile] days) are not sampled.",
    ),
    "attribution": CauseText(
        "note",
        "both count the same sessions, and put them into other channels",
        "GA4 knows clicks on Google Ads that the export does not name, and its own channel groups; docs/sessions.md "
        "says how microconv decides.",
    ),
    "unexplained": CauseText(
        "warning",
        "no cause left a mark",
        "Look at these days in GA4's explorations, by event and by stream: a change of the tag, of the BigQuery link "
        "or of a data filter shows there.",
    ),
}

_ANOTHER_PROPERTY = (
    "Nearly every day differs by more than half: check that audit.reconcile.ga4_property is the property that this "
    "export comes from."
)


@dataclass(frozen=True)
class GapFinding:
    """One finding of the reconciliation.

    Attributes:
        cause: The cause.
        severity: How bad it is.
        subject: What it is about: events, or figures.
        message: Which figure differs, by how much, and why.
        remedy: What to do.
        first_date: The first day concerned.
        last_date: The last one.
        count: By how many the leading figure differs.
        share: The share of GA4's figure that this is.
    """

    cause: Cause
    severity: Severity
    subject: str
    message: str
    remedy: str
    first_date: date
    last_date: date
    count: int = 0
    share: float = 0.0


@dataclass(frozen=True)
class ComparedFigure:
    """A figure of the whole period on both sides."""

    name: str
    ours: float
    theirs: float


def findings(gaps: Iterable[Gap], export: ExportSide, ga4: Ga4Side) -> tuple[GapFinding, ...]:
    """Return the findings, the cause that must be acted on first at the front."""
    told = [_finding(gap, export, ga4) for gap in gaps]
    causes = {each.cause for each in told}
    told += [each for each in _of_settings(export, ga4) if each.cause not in causes]
    return tuple(sorted(told, key=lambda each: CAUSES.index(each.cause)))


def compared(export: ExportSide, ga4: Ga4Side) -> tuple[ComparedFigure, ...]:
    """Return the figures of the period that GA4 showed."""
    return tuple(
        ComparedFigure(WORDS[metric], figure(export.period, metric, ga4.period[metric]), ga4.period[metric])
        for metric in METRICS
        if metric in ga4.period and metric not in ga4.restricted
    )


def _of_settings(export: ExportSide, ga4: Ga4Side) -> Iterator[GapFinding]:
    """Tell settings that differ, where no figure does so yet."""
    days = (export.first_date, export.last_date)
    for cause, ours, theirs, key in (
        ("time_zone", export.timezone, ga4.timezone, "project.timezone"),
        ("currency", export.currency, ga4.currency, "project.currency"),
    ):
        if theirs and theirs != ours:
            yield GapFinding(
                cause,  # type: ignore[arg-type]  # one of the two above
                "error",
                key,
                f"The property's {cause.replace('_', ' ')} in GA4 is {theirs}, and {key} says {ours}.",
                f"Set {key} to {theirs}, and run `microconv sync`.",
                *days,
            )


def _finding(gap: Gap, export: ExportSide, ga4: Ga4Side) -> GapFinding:
    text = CAUSE_TEXTS[gap.cause]
    days = gap.days or (export.first_date, export.last_date)
    metric = next(each for each in METRICS if each in gap.metrics)
    cells = [each for each in gap.cells if each.metric == metric]
    # What is missing by day is missing by country as well: it counts once.
    cells = [each for each in cells if each.day is not None] or cells
    if metric in _NOT_ADDED or gap.cause == "time_zone":
        cells = cells[:1]
    ours, theirs = sum(each.ours for each in cells), sum(each.theirs for each in cells)
    others = [WORDS[each] for each in METRICS if each in gap.metrics and each != metric]
    why = text.why.format(
        detail=gap.detail or "another one",
        zone=export.timezone,
        currency=export.currency,
        these="this day was" if len(days) == 1 else "these days were",
    )
    also = f" Also different: {wording.listed(others)}." if others else ""
    count = abs(theirs - ours)
    return GapFinding(
        cause=gap.cause,
        severity=text.severity,
        subject=wording.listed(gap.parts) if 0 < len(gap.parts) <= _NAMED else WORDS[metric],
        message=f"{_when(days, cells)} {_shown(metric, gap.parts, (ours, theirs), export, ga4)}: {why}.{also}",
        remedy=_ANOTHER_PROPERTY if _is_another_property(gap, count, export) else text.remedy,
        first_date=days[0],
        last_date=days[-1],
        count=round(count),
        share=count / max(abs(theirs), abs(ours)) if ours or theirs else 0.0,
    )


def _is_another_property(gap: Gap, count: float, export: ExportSide) -> bool:
    return (
        gap.cause == "unexplained"
        and len(gap.days) >= 0.8 * len(export.days)
        and count > 0.5 * max(sum(abs(each.ours) for each in gap.cells if each.metric == EVENTS), 1)
    )


def _shown(
    metric: str, parts: tuple[str, ...], both_sides: tuple[float, float], export: ExportSide, ga4: Ga4Side
) -> str:
    """Say both figures: `GA4 shows 1,450 events of scroll, the export 1,203 (17.0% fewer)`."""
    ours, theirs = both_sides
    of_parts = f" of {wording.listed(parts, _NAMED)}" if parts else ""
    if metric == REVENUE:
        both = f"{wording.money(theirs, ga4.currency)} of revenue, the export {wording.money(ours, export.currency)}"
    else:
        both = f"{wording.count(round(theirs))} {WORDS[metric]}{of_parts}, the export {wording.count(round(ours))}"
    if not theirs or (metric == REVENUE and ga4.currency != export.currency):
        return f"GA4 shows {both}"
    less = "less" if metric == REVENUE else "fewer"
    return f"GA4 shows {both} ({wording.share(abs(theirs - ours) / theirs)} {less if ours < theirs else 'more'})"


def _when(days: tuple[date, ...], cells: list[Cell]) -> str:
    """Say the days, and where figures do not add up, which of them the figures are of."""
    first, last = days[0], days[-1]
    if first == last:
        return f"On {wording.day(first)}"
    if last - first == timedelta(days=len(days) - 1):
        when = f"From {wording.period(first, last)}"
    else:
        when = f"On {wording.plural(len(days), 'day')} of {wording.period(first, last)}"
    is_of_one_day = len(cells) == 1 and cells[0].day is not None
    return f"{when}, most on {wording.day(cells[0].day)}," if is_of_one_day and cells[0].day else when
