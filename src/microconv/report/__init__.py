"""One self-contained HTML page, or Markdown, from computed results: nothing is queried, nothing fetched."""

from __future__ import annotations

from microconv.report.attention import attention
from microconv.report.data import Answered, Days, ReportData, Unanswered
from microconv.report.render import ReportForm, check_report_path, render_report, write_report

__all__ = [
    "Answered",
    "Days",
    "ReportData",
    "ReportForm",
    "Unanswered",
    "attention",
    "check_report_path",
    "render_report",
    "write_report",
]
