"""Stop an export that would empty or decimate an audience, also when that cannot be evaluated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from microconv.activation.audience.build import Audience
from microconv.errors import FindingsError

_IF_INTENDED = "If this is intended, run again with --allow-shrink."


def check_shrink(
    audience: Audience, *, segment: str, audience_file: Path, manifest: Path, max_delete_pct: float
) -> None:
    """Compare a new audience with the manifest of the last export; return when it may replace it.

    Args:
        audience: What would be written.
        segment: For messages.
        audience_file: The file that would be replaced.
        manifest: The manifest of the last export; missing at the first one.
        max_delete_pct: Largest drop of `written` that passes, in percent of the last export.

    Raises:
        FindingsError: Nothing would be written, the drop is too large, or the last manifest cannot be read.
    """
    if not audience.rows:
        raise FindingsError(
            f"Segment {segment}: none of {audience.members} members can be written{_because(audience.excluded)}. "
            "Files were left as they are.",
            hint=f"Check the rule, the identity table and the consent table. {_IF_INTENDED}",
        )
    previous = _previously_written(segment, audience_file, manifest)
    written = len(audience.rows)
    if previous is None or written >= previous:
        return
    drop_pct = 100 * (previous - written) / previous
    if drop_pct > max_delete_pct:
        raise FindingsError(
            f"Segment {segment} would shrink from {previous} to {written} written members, by {drop_pct:.1f} %; more "
            f"than {max_delete_pct:g} % (max_delete_pct) stops the export{_because(audience.excluded)}. "
            "Files were left as they are.",
            hint=f"Check the rule, the identity table, the consent table and the freshness of the data. {_IF_INTENDED}",
        )


def _previously_written(segment: str, audience_file: Path, manifest: Path) -> int | None:
    try:
        document: Any = json.loads(manifest.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        if not audience_file.exists():
            return None
        document = None
    except (OSError, ValueError):
        document = None
    written = document.get("written") if isinstance(document, dict) else None
    if not isinstance(written, int) or isinstance(written, bool) or written < 0:
        raise FindingsError(
            f"Segment {segment}: the manifest of the last export, {manifest}, is missing or cannot be read, so nobody "
            "can tell how much the audience would shrink. Files were left as they are.",
            hint="Restore the manifest, or run again with --allow-shrink to replace the last export unseen.",
        )
    return written


def _because(excluded: Mapping[str, int]) -> str:
    if not excluded:
        return ""
    return f" (excluded: {', '.join(f'{reason} {count}' for reason, count in excluded.items())})"
