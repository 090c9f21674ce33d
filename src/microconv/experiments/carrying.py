"""What a difference in a micro-conversion would mean for the goal: carried through what follows it in the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from microconv import wording
from microconv.analyses.insight.banded import FEWEST_A_SIDE, FEWEST_TARGETS, Banded
from microconv.analyses.insight.buyers import not_enough
from microconv.analyses.insight.onward_rates import Followed, beyond, ends, resampling
from microconv.experiments.metrics import ExperimentMetric
from microconv.result import column

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PER = 1_000
"""Differences are told per so many actors."""
OTHERWISE = "the test itself shows otherwise"
ON_PATH = "on the path: hardly anybody gets there without it"
TIER = "difference experimental, carrying through observed"
_SEED = 20_261_129
_QUANTILE = 1.959964


@dataclass(frozen=True)
class CarriedThrough:
    """What the difference in one micro-conversion would mean for the goal, per 1,000 actors, with 95% intervals.

    Attributes:
        micro_conversion: The micro-conversion.
        variant: The variant.
        difference: How many more of 1,000 actors did it than of the control; `low` to `high`.
        onward: The share of those who did it, in all data, who came to the goal after it.
        added: Goals that this means, if those who do it more go on like all who do it.
        beyond: Goals beyond what they would have come to anyway; `beyond_low` to `beyond_high`.
        measured: The difference in the goal that the test itself shows; `measured_low` to `measured_high`.
        tier: Where each part of it comes from.
        says: What keeps it from being told, or that the test itself shows otherwise.
    """

    micro_conversion: str = column("micro-conversion")
    variant: str = column("variant")
    difference: float | None = column("more of 1,000", wording.decimal)
    low: float | None = column("from", wording.decimal)
    high: float | None = column("to", wording.decimal)
    onward: float | None = column("onward rate", wording.share)
    added: float | None = column("goals, if like others", wording.decimal)
    beyond: float | None = column("goals beyond", wording.decimal)
    beyond_low: float | None = column("beyond from", wording.decimal)
    beyond_high: float | None = column("beyond to", wording.decimal)
    measured: float | None = column("goals measured", wording.decimal)
    measured_low: float | None = column("measured from", wording.decimal)
    measured_high: float | None = column("measured to", wording.decimal)
    tier: str = column("evidence")
    says: str = column("says")


def carried(
    metrics: Sequence[ExperimentMetric],
    entries: Mapping[str, str],
    followed: Mapping[str, Followed],
    ratios: Mapping[str, Banded],
    goal: str,
) -> Iterator[CarriedThrough]:
    """Yield what the difference in each micro-conversion would mean for the goal.

    Args:
        metrics: What was measured.
        entries: The micro-conversion of each metric that is a share of actors and lies before the goal, by its name.
        followed: What follows each micro-conversion in all data.
        ratios: How much more often the goal follows those who did it, at the same time since they began.
        goal: The goal.
    """
    of_goal = {each.variant: each for each in metrics if each.role == "goal"}
    for metric in metrics:
        entry = entries.get(metric.metric)
        if entry is None or metric.difference is None or metric.low is None or metric.high is None:
            continue
        after, extra = followed[entry], ratios.get(entry)
        number, reached = int(after.actors.sum()), int(after.at(goal).sum())
        in_test = of_goal.get(metric.variant)
        told = CarriedThrough(
            entry,
            metric.variant,
            PER * metric.difference,
            PER * metric.low,
            PER * metric.high,
            *(None,) * 5,
            measured=None if in_test is None else _per(in_test.difference),
            measured_low=None if in_test is None else _per(in_test.low),
            measured_high=None if in_test is None else _per(in_test.high),
            tier=TIER,
            says="",
        )
        if number < FEWEST_A_SIDE or reached < FEWEST_A_SIDE:
            yield _without(told, not_enough(reached if number >= FEWEST_A_SIDE else number))
            continue
        targets = 0 if extra is None else extra.targets
        if extra is None or (extra.ratio is None and not extra.is_on_path):
            yield _without(
                told, f"what they would do anyway: {not_enough(min(targets, FEWEST_TARGETS))}", number, reached
            )
            continue
        weights = resampling()
        rates = (weights @ after.at(goal)) / (weights @ after.actors).clip(min=1)
        kept, drawn_kept = beyond(extra, reached / number, rates)
        drawn = _drawn(metric, len(rates)) * rates * drawn_kept * PER
        low, high = ends(drawn)
        onward = reached / number
        yield replace(
            told,
            onward=onward,
            added=PER * metric.difference * onward,
            beyond=PER * metric.difference * onward * kept,
            beyond_low=low,
            beyond_high=high,
            says=OTHERWISE if _is_otherwise(told, low, high) else ON_PATH if extra.is_on_path else "",
        )


def _is_otherwise(told: CarriedThrough, low: float, high: float) -> bool:
    """Tell whether the test itself rules out what is carried through."""
    if told.measured_low is None or told.measured_high is None:
        return False
    return told.measured_high < low or told.measured_low > high


def _per(value: float | None) -> float | None:
    return None if value is None else PER * value


def _without(told: CarriedThrough, says: str, number: int = 0, reached: int = 0) -> CarriedThrough:
    onward = reached / number if number else None
    added = None if onward is None or told.difference is None else told.difference * onward
    return replace(told, onward=onward, added=added, says=says)


def _drawn(metric: ExperimentMetric, number: int) -> npt.NDArray[np.float64]:
    """Draw the difference from a normal that has its interval; the same draws in each run."""
    import numpy as np

    error = ((metric.high or 0.0) - (metric.low or 0.0)) / (2 * _QUANTILE)
    return np.random.default_rng(_SEED).normal(metric.difference or 0.0, max(error, 0.0), number)
