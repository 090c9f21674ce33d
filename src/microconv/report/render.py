"""From `ReportData` to the page, and the page to its file."""

from __future__ import annotations

from pathlib import Path

from microconv.config.places import refuse_to_replace
from microconv.config.sections import Config
from microconv.report.data import ReportData
from microconv.report.documents import write_document

_GENERATOR = b'<meta name="generator" content="microconv '
"""By which a report is known, in all versions."""


def render_report(data: ReportData) -> str:
    """Return the whole page as HTML: styles, scripts and numbers inside, nothing to be fetched."""
    from microconv.report.page import page

    return page(data)


def check_report_path(path: Path, config: Config | None = None) -> None:
    """Refuse a path that holds something else than an older report.

    Raises:
        UsageError: It does, or the configuration names it.
    """
    refuse_to_replace(path, config, is_ours=_is_report, ours="a report of microconv")


def _is_report(head: bytes) -> bool:
    return _GENERATOR in head


def write_report(data: ReportData, path: Path) -> Path:
    """Write the page to `path`, replacing whatever is there whole or not at all, and return `path`.

    Where a person chose the path, ask `check_report_path` first.

    Raises:
        DestinationError: The folder does not exist or cannot be written to, `path` is a folder, or the disk is full.
    """
    return write_document(render_report(data), path, "The report", is_private=True)
