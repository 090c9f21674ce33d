"""One self-contained HTML page from computed results: nothing is queried here, and the page fetches nothing."""

from __future__ import annotations

from microconv.report.data import ReportData
from microconv.report.findings import Finding, findings
from microconv.report.render import render_report, write_report

__all__ = ["Finding", "ReportData", "findings", "render_report", "write_report"]
