"""Judges: where the rows of a check are a series, a function here says which of its days are wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Judge = Callable[[Sequence[Row], Mapping[str, float]], Sequence[Row]]
"""Takes the rows of a check and its thresholds, and returns rows with the columns of `checks.COLUMNS`."""


class NotTestedError(Exception):
    """There is too little to judge by, or nobody can be asked; the text says why. The audit goes on."""


JUDGES: dict[str, Judge] = {}
"""By the name that `judge:` in the header of a check says."""
