"""What reading costs, in words: bytes, and the money that a price per TiB makes of them."""

from __future__ import annotations

from datetime import date
from typing import Any

TIB = 2**40
"""The bytes that BigQuery's prices are for."""

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")
_LEAST_SHOWN = 0.01


def human_bytes(count: int) -> str:
    """Write a number of bytes in the binary unit that keeps it short: `512 B`, `1.5 GiB`."""
    size, unit = float(count), "B"
    for larger in _UNITS:
        # What would be rounded to 1024 of a unit is 1 of the next.
        if round(size, 1) < 1024:  # noqa: PLR2004 - binary units
            break
        size, unit = size / 1024, larger
    return f"{count} B" if unit == "B" else f"{size:,.1f} {unit}"


def amount(count: int, price_per_tib: float) -> float:
    """Return the money that reading so many bytes costs, in the currency of the price."""
    return count / TIB * price_per_tib


def money(count: int, price_per_tib: float) -> str:
    """Write the money that reading so many bytes costs: `$1.25`; what rounds to nothing is `under $0.01`."""
    cost = amount(count, price_per_tib)
    return f"under ${_LEAST_SHOWN}" if 0 < cost < _LEAST_SHOWN else f"${cost:,.2f}"


def iso_dates(value: Any) -> Any:  # noqa: ANN401 - walks any JSON-like tree
    """Return a JSON-like tree with its dates as ISO strings."""
    if isinstance(value, dict):
        return {key: iso_dates(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [iso_dates(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value
