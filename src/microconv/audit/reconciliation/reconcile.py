"""The export is held against GA4's own figures; where that cannot be done, it is said why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from microconv import wording
from microconv.audit.reconciliation import export_figures, ga4_reports, gap_causes, gap_findings
from microconv.audit.reconciliation.export_figures import Ask, Compared, ExportSide
from microconv.audit.reconciliation.ga4_reports import WORDS, Ga4Side
from microconv.audit.reconciliation.gap_findings import ComparedFigure, GapFinding
from microconv.clients.analytics_access import Access
from microconv.clients.analytics_data import AnalyticsData
from microconv.config.sections import Config, ReconcileConfig
from microconv.errors import AnalyticsError

NOT_CONFIGURED = "No GA4 property is configured: set `ga4_property` under [audit.reconcile]."


@dataclass(frozen=True)
class Reconciliation:
    """What came of it.

    Attributes:
        findings: The gaps with their causes, that to act on first at the front; none where both sides agree.
        not_tested: What was not compared, and why, a sentence each.
        figures: The figures of the whole period on both sides.
        first_date: The first day compared; None where none was.
        last_date: The last one.
        query: The SQL of our side, day by day.
    """

    findings: tuple[GapFinding, ...] = ()
    not_tested: tuple[str, ...] = ()
    figures: tuple[ComparedFigure, ...] = ()
    first_date: date | None = None
    last_date: date | None = None
    query: str = ""


def compared(config: Config, settings: ReconcileConfig) -> Compared:
    """Return what is compared, as configured."""
    label = settings.property or config.sources[0].property
    caps = [source.daily_cap for source in config.sources if source.property == label]
    return Compared(
        property_id=label,
        timezone=config.project.timezone,
        currency=config.project.currency,
        assume_currency=config.project.assume_currency,
        daily_cap=min((cap for cap in caps if cap), default=0),
        days=settings.days,
    )


def access(settings: ReconcileConfig) -> Access:
    """Return how GA4's Data API is reached, as configured."""
    return Access(
        ga4_property=settings.ga4_property,
        credentials_file=settings.credentials_file,
        endpoint=settings.endpoint,
        transport=settings.transport,
        timeout_seconds=float(settings.timeout.seconds),
    )


def reconcile(config: Config, ask: Ask, *, now: datetime, analytics: AnalyticsData | None = None) -> Reconciliation:
    """Compare the staged export with GA4's figures.

    `ask` runs a query on the staged tables. What stands in the way is said in `not_tested`, and never raised: the rest
    of an audit does not depend on it.
    """
    settings = config.audit.reconcile
    if settings is None:
        return Reconciliation(not_tested=(NOT_CONFIGURED,))
    today = now.astimezone(ZoneInfo(config.project.timezone)).date()
    asked = compared(config, settings)
    export = export_figures.read(asked, ask, today=today)
    if export is None:
        return Reconciliation(
            not_tested=(
                "No staged day is old enough: GA4's newest 3 days are left out, since late events still change them.",
            )
        )
    client = analytics or AnalyticsData(access(settings))
    try:
        ga4 = ga4_reports.ask(client.report, export.first_date, export.last_date)
    except AnalyticsError as error:
        return Reconciliation(not_tested=(str(error),))
    finally:
        client.close()
    if not ga4.days:
        return Reconciliation(not_tested=(_nothing(ga4, settings, export),))
    return Reconciliation(
        findings=gap_findings.findings(gap_causes.explain(export, ga4), export, ga4),
        not_tested=tuple(_left_out(ga4)),
        figures=gap_findings.compared(export, ga4),
        first_date=export.first_date,
        last_date=export.last_date,
        query=asked.figures(export.first_date, export.last_date, by_day=True, part="").sql,
    )


def _nothing(ga4: Ga4Side, settings: ReconcileConfig, export: ExportSide) -> str:
    reason = f" ({ga4.any_answer.empty_reason})" if ga4.any_answer.empty_reason else ""
    days = wording.period(export.first_date, export.last_date)
    return (
        f"GA4 property {settings.ga4_property} shows nothing for {days}{reason}. "
        "Check audit.reconcile.ga4_property: it must be the property that this export comes from."
    )


def _left_out(ga4: Ga4Side) -> Iterator[str]:
    if ga4.failure is not None:
        asked = ga4_reports.reports(date.min, date.min)
        missing = [name for name in asked if name not in ga4.answers]
        yield f"Without the reports by {wording.listed([_BY[name] for name in missing])}: {ga4.failure}"
    if ga4.restricted:
        hidden = [WORDS.get(metric, metric) for metric in sorted(ga4.restricted)]
        yield f"Without {wording.listed(hidden)}: the role of these credentials in GA4 hides them."
    if any(answer.is_truncated for answer in ga4.answers.values()):
        yield "GA4 left out days that its data retention has deleted."


_BY = {
    "days": "day",
    "period": "period",
    "events": "event",
    "countries": "country",
    "channels": "channel",
}
