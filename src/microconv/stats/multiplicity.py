"""Many tests at once: p-values adjusted so that few of the findings, or none, are chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

Correction: TypeAlias = Literal["by", "bh", "holm", "none"]
"""`by`: Benjamini and Yekutieli (2001), the share of false findings under any dependence. `bh`: Benjamini and Hochberg
(1995), the same for independent or positively dependent tests. `holm`: Holm (1979), the chance of any false finding."""


def adjusted(p_values: Sequence[float], correction: Correction = "by") -> list[float]:
    """Return the adjusted p-values in the same order: what is at or below a level is found at that level.

    Raises:
        ValueError: One of them is not between 0 and 1.
    """
    if not all(0 <= each <= 1 for each in p_values):
        raise ValueError(f"p-values lie between 0 and 1: {list(p_values)}")
    number = len(p_values)
    order = sorted(range(number), key=lambda place: p_values[place])
    found = [1.0] * number
    if correction == "none":
        return list(p_values)
    if correction == "holm":
        worst = 0.0
        for rank, place in enumerate(order):
            worst = max(worst, min(1.0, (number - rank) * p_values[place]))
            found[place] = worst
        return found
    factor = math.fsum(1 / rank for rank in range(1, number + 1)) if correction == "by" else 1.0
    best = 1.0
    for rank in range(number, 0, -1):
        place = order[rank - 1]
        best = min(best, factor * number / rank * p_values[place])
        found[place] = best
    return found
