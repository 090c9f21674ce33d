"""What follows an entry: how many come to each step after it, and how many of them would have come without it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from microconv.analyses.amounts import UNITS_OF_VALUE
from microconv.analyses.insight.banded import Banded
from microconv.analyses.insight.buyers import ACTOR_GROUPS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RESAMPLES = 1_000
_SEED = 20_240_301


@dataclass(frozen=True)
class Followed:
    """What follows an entry, by group of actors.

    Attributes:
        actors: How many did it.
        value: What their conversions after it are worth.
        steps: Of each step: how many came to it after the entry (`reached`), to it or a later one (`reached_further`),
            and how many did it at any time (`did_ever`).
    """

    actors: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]
    steps: Mapping[tuple[str, str], npt.NDArray[np.float64]]

    @classmethod
    def read(cls, rows: Sequence[Mapping[str, Any]], entry: str, goal: str) -> Followed:
        """Read the rows of `sql/analyses/insight/onward.sql` of one entry."""
        import numpy as np

        actors, value = np.zeros(ACTOR_GROUPS), np.zeros(ACTOR_GROUPS)
        steps: dict[tuple[str, str], npt.NDArray[np.float64]] = {}
        for row in rows:
            if row["micro_conversion"] != entry:
                continue
            group = row["actor_group"]
            actors[group] = row["actors"]
            for what in ("reached", "reached_further", "did_ever"):
                steps.setdefault((row["step"], what), np.zeros(ACTOR_GROUPS))[group] = row[what]
            if row["step"] == goal:
                value[group] = row["value_micros"] / UNITS_OF_VALUE
        return cls(actors, value, steps)

    def at(self, step: str) -> npt.NDArray[np.float64]:
        """Return how many came to a step after it, by group."""
        return self._counts(step, "reached")

    def as_far_as(self, step: str) -> npt.NDArray[np.float64]:
        """Return how many came to a step or a later one after it, by group."""
        return self._counts(step, "reached_further")

    def who_did(self, step: str) -> npt.NDArray[np.float64]:
        """Return how many did a step at any time, before it included, by group."""
        return self._counts(step, "did_ever")

    def _counts(self, step: str, what: str) -> npt.NDArray[np.float64]:
        import numpy as np

        return self.steps.get((step, what), np.zeros(ACTOR_GROUPS))


def resampling() -> npt.NDArray[np.float64]:
    """Return how often each group of actors is drawn, one row per resampling."""
    import numpy as np

    rng = np.random.default_rng(_SEED)
    drawn = rng.multinomial(ACTOR_GROUPS, np.full(ACTOR_GROUPS, 1 / ACTOR_GROUPS), RESAMPLES)
    return drawn.astype(np.float64)


def ends(drawn: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the interval that holds the middle 95% of what was drawn."""
    import numpy as np

    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def beyond(extra: Banded | None, rate: float, drawn: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
    """Return which share of those who reach the goal after the step would not have reached it without.

    With proportional rates of ratio R, of whom p reach it, 1 - (1 - p) ** (1 / R) would have without the step. On the
    path, nobody would have. R moves with p, which is drawn already, and with the rate of those who did without: of that
    the logarithm is drawn from a normal with what is left of the ratio's variance.
    """
    import numpy as np

    if extra is None or extra.ratio is None:
        return 1.0, np.ones(len(drawn))
    left = math.sqrt(max(extra.ratio.log_error**2 - 1 / extra.exposed_targets, 0.0))
    noise = np.random.default_rng(_SEED + 1).normal(0, left, len(drawn))
    told = float(share_beyond(np.array([rate]), np.array([extra.ratio.ratio]))[0])
    return told, share_beyond(drawn, extra.ratio.ratio * drawn / rate * np.exp(noise))


def share_beyond(rate: npt.NDArray[np.float64], ratio: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return which share of those who reach the goal would not have, where rates are proportional; see `beyond`."""
    p = rate.clip(1e-12, 1 - 1e-12)
    found: npt.NDArray[np.float64] = 1 - (1 - (1 - p) ** (1 / ratio.clip(1e-6))) / p
    return found
