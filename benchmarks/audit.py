"""The suite `audit`: false alarms of the checks of volume, and their power beside them."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.power import power
from benchmarks.suites import Figure, Row, Setting

PROPERTIES = 400
"""So many are made up for each noise: a rate of 1 in 40 is known to within 1.6 percentage points."""
_FIRST_SEED = 100_000
"""From here on nobody looked at a property while the rules were made."""


def audit(_: Setting) -> list[Row]:
    """Judge clean properties and such with a fault, at three kinds of daily noise."""
    return list(_rows())


def _rows() -> Iterator[Row]:
    for noise in (0.07, 0.14, None):
        found = power(range(_FIRST_SEED, _FIRST_SEED + PROPERTIES), noise)
        name = "real noise" if noise is None else f"{noise:.0%} noise"
        yield _row(f"{name}: clean, alarmed", found.alarmed / found.properties, 1 / 40, at_least=False)
        for fault in found.found:
            goal = 1.0 if fault == "blackout" else 0.85 if noise == 0.07 else None
            yield _row(f"{name}: {fault}, found", found.share(fault), goal, at_least=True)


def _row(name: str, share: float, goal: float | None, *, at_least: bool) -> Row:
    return Row("audit", name, figure=Figure(100 * share, "%", None if goal is None else 100 * goal, at_least=at_least))
