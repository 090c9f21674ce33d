"""A moment as options take it; apart from the questions, so that the help of `export` loads no library for them."""

from __future__ import annotations

from datetime import UTC, datetime

from microconv.errors import UsageError


def moment(text: str) -> datetime:
    """Read a timestamp as options take it; UsageError when it is not one."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is not a timestamp.", hint="Write it like 2024-03-01T12:00:00 or 2024-03-01T12:00:00+01:00."
        ) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
