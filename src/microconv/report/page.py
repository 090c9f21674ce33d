"""Puts the page together: template, styles, scripts, and the policy that allows those scripts and nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

from markupsafe import Markup

from microconv import wording
from microconv.report import documents
from microconv.report.blocks import Block, Choice, Picture, Titled
from microconv.report.data import ReportData
from microconv.report.figures import plotly_script
from microconv.report.page_sections import parts


def page(data: ReportData) -> str:
    """Return the page as HTML."""
    shown = parts(data)
    has_charts = any(_has_chart(part.blocks) for part in shown)
    scripts = (*([plotly_script()] if has_charts else []), documents.asset("report.js"))
    return (
        documents.environment()
        .get_template("template.html.j2")
        .render(
            data=data,
            period=period_of(data),
            against=wording.period(data.before.first, data.before.last) if data.before else "",
            generated=generated(data),
            parts=shown,
            titles={part.id: part.title for part in shown},
            has_charts=has_charts,
            policy=_policy(scripts),
            # Our own files and plotly's: the only text that goes into the page unescaped.
            style=Markup(documents.asset("style.css") + documents.asset("audit.css")),  # noqa: S704 - a file of this package
            scripts=[Markup(script) for script in scripts],  # noqa: S704 - files of this package and of plotly
        )
    )


def _has_chart(blocks: Iterable[Block]) -> bool:
    for each in blocks:
        if isinstance(each, Picture):
            return True
        if isinstance(each, Titled) and _has_chart(each.blocks):
            return True
        if isinstance(each, Choice) and any(_has_chart(panel.blocks) for panel in each.panels):
            return True
    return False


def _policy(scripts: Sequence[str]) -> str:
    """Return a Content-Security-Policy: no network, and no script but these, whatever a name in the data says."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def period_of(data: ReportData) -> str:
    """Say which days the page is about, and how many of them are staged."""
    summary = data.summary
    if summary.first_date is None or summary.last_date is None:
        return "No days staged yet"
    first, last = (data.asked.first, data.asked.last) if data.asked else (summary.first_date, summary.last_date)
    length = (last - first).days + 1
    days = wording.plural(summary.days, "day")
    if data.asked and summary.days < length:
        days = f"{wording.count(summary.days)} of {wording.plural(length, 'day')} staged"
    return f"{wording.period(first, last)} ({days})"


def generated(data: ReportData) -> str:
    """Say when the page was made, in the property's zone."""
    local = data.generated_at.astimezone(ZoneInfo(data.timezone))
    return f"{wording.day(local.date())}, {local:%H:%M}"
