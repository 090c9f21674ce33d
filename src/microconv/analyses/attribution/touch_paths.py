"""Journeys as arrays: which touchpoints came in which order, and how many conversions came over each such path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

Transform = Literal["unique", "exposure", "first"]

_MICROS = 1e6


@dataclass(frozen=True, eq=False)
class TouchPaths:
    """Paths of touchpoints, and what came over them.

    A path may be empty: what came over it was *untouched* and is never spread over touchpoints.

    Attributes:
        touchpoints: Their names; a step is the number of one of them.
        steps: The steps of all paths, one path after another.
        offsets: Path p has the steps from `offsets[p]` up to, not including, `offsets[p + 1]`.
        conversions: By path, the conversions that came over it.
        values: By path, the value of those conversions, in the project's currency.
        others: By path, the journeys over it that did not convert.
    """

    touchpoints: tuple[str, ...]
    steps: NDArray[np.int64]
    offsets: NDArray[np.int64]
    conversions: NDArray[np.float64]
    values: NDArray[np.float64]
    others: NDArray[np.float64]

    @classmethod
    def read(cls, table: pa.Table, touchpoints: Sequence[str]) -> TouchPaths:
        """Make paths of a query result.

        Args:
            table: `path` STRING (numbers of touchpoints joined by `>`; empty or NULL: no touchpoint), `conversions`
                INT64, `value_micros` INT64 (millionths of the currency's unit) and `others` INT64.
            touchpoints: The name of each number, from 0.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        text = table["path"].cast(pa.string())
        # Splitting '' would give one step without a number; NULL gives none.
        split = pc.split_pattern(pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text), ">")
        lengths = pc.fill_null(pc.list_value_length(split), 0).to_numpy()
        return cls(
            touchpoints=tuple(touchpoints),
            steps=pc.list_flatten(split).cast(pa.int64()).to_numpy(),
            offsets=np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))),
            conversions=table["conversions"].to_numpy().astype(np.float64),
            values=table["value_micros"].to_numpy() / _MICROS,
            others=table["others"].to_numpy().astype(np.float64),
        )

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """The number of steps of each path."""
        return np.diff(self.offsets)

    @property
    def touched_conversions(self) -> float:
        """Conversions over paths with at least one touchpoint."""
        return float(self.conversions[self.lengths > 0].sum())

    @property
    def touched_value(self) -> float:
        """Value of the conversions over paths with at least one touchpoint."""
        return float(self.values[self.lengths > 0].sum())

    def path_of_step(self) -> NDArray[np.int64]:
        """Return, for each step, the number of its path."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def transformed(self, kind: Transform) -> TouchPaths:
        """Return the paths without the steps that do not count.

        Args:
            kind: `unique` keeps every step, `exposure` one of each run of the same touchpoint, `first` only the first
                step of each touchpoint in a path.
        """
        if kind == "unique":
            return self
        kept = np.zeros(len(self.steps), dtype=np.bool_)
        path = self.path_of_step()
        if kind == "exposure":
            kept[:1] = True
            kept[1:] = (self.steps[1:] != self.steps[:-1]) | (path[1:] != path[:-1])
        else:
            kept[np.unique(path * len(self.touchpoints) + self.steps, return_index=True)[1]] = True
        kept_before = np.concatenate(([0], np.cumsum(kept, dtype=np.int64)))
        return replace(self, steps=self.steps[kept], offsets=kept_before[self.offsets])


def total_by(number: NDArray[np.int64], amounts: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Add up `amounts` by `number`, from 0 up to, not including, `size`."""
    return np.bincount(number, amounts, minlength=size).astype(np.float64, copy=False)
