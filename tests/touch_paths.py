"""Paths of touchpoints written by hand, and hypothesis strategies for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
from hypothesis import strategies as st

from microconv.analyses.attribution.touch_paths import TouchPaths

if TYPE_CHECKING:
    from collections.abc import Iterable


class Came(NamedTuple):
    """What came over one path: steps are numbers of touchpoints; value in whole units of currency."""

    steps: tuple[int, ...]
    conversions: int = 1
    value: int = 0
    others: int = 0


def table_of(rows: Iterable[Came]) -> pa.Table:
    """Return the rows as the query of paths returns them."""
    rows = list(rows)
    return pa.table(
        {
            "path": pa.array([">".join(map(str, row.steps)) for row in rows], pa.string()),
            "conversions": pa.array([row.conversions for row in rows], pa.int64()),
            "value_micros": pa.array([row.value * 1_000_000 for row in rows], pa.int64()),
            "others": pa.array([row.others for row in rows], pa.int64()),
        }
    )


def paths_of(touchpoints: Iterable[str], *rows: Came) -> TouchPaths:
    return TouchPaths.read(table_of(rows), tuple(touchpoints))


@st.composite
def came_over(draw: st.DrawFn, touchpoints: int) -> Came:
    """One path, possibly empty, with loops and repeats; no value without a conversion."""
    steps = draw(st.lists(st.integers(0, touchpoints - 1), max_size=5))
    conversions = draw(st.integers(0, 3))
    return Came(tuple(steps), conversions, draw(st.integers(0, 9)) if conversions else 0, draw(st.integers(0, 3)))
