"""Puts the parts together: template, styles, scripts, and the policy that allows those scripts and nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from markupsafe import Markup

from microconv import wording
from microconv.report import documents
from microconv.report.attention import DETAILS, attention
from microconv.report.data import ReportData
from microconv.report.figures import plotly_script
from microconv.report.parts import parts
from microconv.staging.summary import StagedSummary


def page(data: ReportData) -> str:
    """Return the page as HTML."""
    scripts = (plotly_script(), documents.asset("report.js"))
    return (
        documents.environment()
        .get_template("template.html.j2")
        .render(
            data=data,
            period=_period(data.summary),
            generated=_generated(data),
            figures=_key_figures(data.summary),
            findings=attention(data),
            details=DETAILS,
            parts=parts(data),
            policy=_policy(scripts),
            # Our own files and plotly's: the only text that goes into the page unescaped.
            style=Markup(documents.asset("style.css") + documents.asset("audit.css")),  # noqa: S704 - a file of this package
            scripts=[Markup(script) for script in scripts],  # noqa: S704 - files of this package and of plotly
        )
    )


def _policy(scripts: Sequence[str]) -> str:
    """Return a Content-Security-Policy: no network, and no script but these, whatever a name in the data says."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _period(summary: StagedSummary) -> str:
    if summary.first_date is None or summary.last_date is None:
        return "No days staged yet"
    return f"{wording.period(summary.first_date, summary.last_date)} ({wording.plural(summary.days, 'day')})"


def _generated(data: ReportData) -> str:
    local = data.generated_at.astimezone(ZoneInfo(data.timezone))
    return f"{wording.day(local.date())}, {local:%H:%M}"


def _key_figures(summary: StagedSummary) -> tuple[tuple[str, str], ...]:
    return (
        ("Events", wording.count(summary.events)),
        ("Sessions", wording.count(summary.sessions)),
        ("Engaged sessions", wording.share(wording.ratio(summary.engaged_sessions, summary.sessions))),
        ("Actors", wording.count(summary.actors)),
        ("Micro-conversions", wording.count(summary.micro_conversions)),
        ("Events without consent", wording.share(wording.ratio(summary.consentless_events, summary.events))),
        ("Duplicates removed", wording.count(summary.duplicates_removed)),
    )
