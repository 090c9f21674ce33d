"""From `ReportData` to the page, and the page to its file."""

from __future__ import annotations

from pathlib import Path

from microconv.config.places import refuse_to_replace
from microconv.config.sections import Config
from microconv.errors import DestinationError
from microconv.files import replacing
from microconv.report.data import ReportData

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
    text = render_report(data)
    try:
        if not path.parent.is_dir():
            raise DestinationError(
                f"The report cannot be written to {path}: {path.parent} is not a folder.",
                hint="Create the folder, or name another file.",
            )
        with replacing(path) as hidden:
            hidden.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise DestinationError(
            f"The report cannot be written to {path}: {error.strerror or error}.",
            hint="Check the folder's permissions and free space, or name another file.",
        ) from error
    return path
