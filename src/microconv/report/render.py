"""From `ReportData` to the page or Markdown, and from there to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from microconv.config.places import refuse_to_replace
from microconv.config.sections import Config
from microconv.report.data import ReportData
from microconv.report.documents import write_document

ReportForm = Literal["html", "markdown"]

_MARKS = (b'<meta name="generator" content="microconv ', b"<!-- microconv report ")
"""By which a report is known, in all forms and versions."""


def render_report(data: ReportData, form: ReportForm = "html") -> str:
    """Return the whole report: a page with styles, scripts and numbers inside, nothing to be fetched; or Markdown."""
    if form == "markdown":
        from microconv.report.markdown_report import markdown_report

        return markdown_report(data)
    from microconv.report.page import page

    return page(data)


def check_report_path(path: Path, config: Config | None = None) -> None:
    """Refuse a path that holds something else than an older report.

    Raises:
        UsageError: It does, or the configuration names it.
    """
    refuse_to_replace(path, config, is_ours=_is_report, ours="a report of microconv")


def _is_report(head: bytes) -> bool:
    return any(mark in head for mark in _MARKS)


def write_report(data: ReportData, path: Path, form: ReportForm = "html") -> Path:
    """Write the report to `path`, replacing whatever is there whole or not at all, and return `path`.

    Where a person chose the path, ask `check_report_path` first.

    Raises:
        DestinationError: The folder does not exist or cannot be written to, `path` is a folder, or the disk is full.
    """
    return write_document(render_report(data, form), path, "The report", is_private=True)
