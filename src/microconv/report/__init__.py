"""One self-contained HTML page from computed results: nothing is queried here, and the page fetches nothing."""

from __future__ import annotations

from microconv.report.attention import attention
from microconv.report.data import Answered, ReportData
from microconv.report.render import check_report_path, render_report, write_report

__all__ = ["Answered", "ReportData", "attention", "check_report_path", "render_report", "write_report"]
