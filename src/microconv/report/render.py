"""From `ReportData` to the page, and the page to its file."""

from __future__ import annotations

from pathlib import Path

from microconv.errors import DestinationError
from microconv.files import replacing
from microconv.report.data import ReportData


def render_report(data: ReportData) -> str:
    """Return the whole page as HTML: styles, scripts and numbers inside, nothing to be fetched."""
    from microconv.report.page import page

    return page(data)


def write_report(data: ReportData, path: Path) -> Path:
    """Write the page to `path`, replacing an older one whole or not at all, and return `path`.

    Raises:
        DestinationError: The folder does not exist or cannot be written to, `path` is a folder, or the disk is full.
    """
    if not path.parent.is_dir():
        raise DestinationError(
            f"The report cannot be written to {path}: {path.parent} is not a folder.",
            hint="Create the folder, or name another file.",
        )
    text = render_report(data)
    try:
        with replacing(path) as hidden:
            hidden.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise DestinationError(
            f"The report cannot be written to {path}: {error.strerror or error}.",
            hint="Check the folder's permissions and free space, or name another file.",
        ) from error
    return path
