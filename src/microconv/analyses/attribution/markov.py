"""Markov attribution: a touchpoint earns as much as would be lost if every journey ended on reaching it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microconv import wording
from microconv.analyses.attribution.touch_paths import TouchPaths, total_by
from microconv.errors import UsageError

Vector = NDArray[np.float64]
Numbers = NDArray[np.int64]

ORDERS = (1, 2, 3)
"""How many touchpoints a state may remember."""

MOST_STATES = 4_000
"""Chains are solved densely: this many states take some 700 MB and a few seconds."""


@dataclass(frozen=True, eq=False)
class MarkovResult:
    """Credit by touchpoint, in the order of those of the paths.

    `conversions` and `values` sum to the touched conversions and their value. `removal_effects` are shares (0 to 1) of
    the conversion probability. `conversion_probability` is that of a touched journey, None when there is none.
    """

    order: int
    conversion_probability: float | None
    removal_effects: Vector
    conversions: Vector
    values: Vector

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Say what the credit rests on."""
        remembered = "touchpoint" if self.order == 1 else f"{self.order} touchpoints"
        return (
            f"markov (order {self.order}) takes the next touchpoint to depend on the last {remembered} alone.",
            "markov credits a touchpoint in proportion to what the chain would lose if journeys ended on reaching it.",
        )


def markov(paths: TouchPaths, *, order: int = 1, self_loops: bool = True) -> MarkovResult:
    """Credit touchpoints by their removal effects (Anderl, Becker, von Wangenheim, Schumann, 2016).

    The chain: each of the `conversions + others` journeys over a path counts once on every transition of that path.
    A state is the last `order` touchpoints (fewer at the beginning of a path), and only states that were seen exist.
    `start` goes to the state of the first step; the state of the last step goes to `conversion` with the path's
    `conversions`, to `null` with its `others`. Probabilities are counts over the total leaving a state. Empty paths are
    no part of the chain.

    Removing a touchpoint redirects every entry into a state that ends in it to `null`; its removal effect is the share
    of the conversion probability that is lost. With N = (I - Q)^-1, start vector s, and r the probabilities to convert
    at once, the states A that end in the touchpoint lose (s N)_A (N_AA)^-1 (N r)_A: where A is first reached, times the
    probability to convert from there. At order 1, that is P(visit) * P(convert | visited).

    For value, r holds the expected value instead. Where removal loses no value in all, value follows conversions.

    Args:
        paths: The paths, transformed as wished.
        order: How many touchpoints a state remembers, 1 to 3.
        self_loops: Whether transitions of a state to itself count. Where a chain goes on leaving a state does not
            depend on how long it stays, so this changes the chain but no credit.

    Raises:
        UsageError: Another order, or a chain of more than `MOST_STATES` states.
    """
    if order not in ORDERS:
        raise UsageError(f"A Markov chain of order {order} is not offered.", hint="Use order 1, 2 or 3.")
    count = len(paths.touchpoints)
    chain = _chain(paths, order, self_loops=self_loops)
    lost, lost_value = np.zeros(count), np.zeros(count)
    fundamental = np.linalg.inv(np.eye(len(chain.start)) - chain.between)
    visits = chain.start @ fundamental
    converts, worth = fundamental @ chain.conversion, fundamental @ chain.value
    for touchpoint in np.unique(chain.touchpoint):
        ending = np.flatnonzero(chain.touchpoint == touchpoint)
        first_reached = np.linalg.solve(fundamental[np.ix_(ending, ending)].T, visits[ending])
        lost[touchpoint] = first_reached @ converts[ending]
        lost_value[touchpoint] = first_reached @ worth[ending]
    probability = float(chain.start @ converts)
    return MarkovResult(
        order=order,
        conversion_probability=probability if chain.start.any() else None,
        removal_effects=lost / probability if probability else lost,
        conversions=paths.touched_conversions * _shares(lost),
        values=paths.touched_value * (_shares(lost_value) if lost_value.sum() > 0 else _shares(lost)),
    )


@dataclass(frozen=True, eq=False)
class _Chain:
    """A chain by state: its touchpoint, and probabilities to start there, go on, and convert (or the value of that)."""

    touchpoint: Numbers
    start: Vector
    between: Vector
    conversion: Vector
    value: Vector


def _chain(paths: TouchPaths, order: int, *, self_loops: bool) -> _Chain:
    touchpoint, state = _states(paths, order)
    number = len(touchpoint)
    if number > MOST_STATES:
        raise UsageError(
            f"The Markov chain of order {order} has {wording.count(number)} states; "
            f"at most {wording.count(MOST_STATES)} can be solved.",
            hint="Use a lower order, or coarser touchpoints (channel groups instead of campaigns).",
        )
    touched = paths.lengths > 0
    journeys = paths.conversions + paths.others
    first, last = state[paths.offsets[:-1][touched]], paths.offsets[1:][touched] - 1
    goes_on = np.ones(len(state), dtype=np.bool_)
    goes_on[last] = False
    leaving = np.flatnonzero(goes_on)
    between = total_by(
        state[leaving] * number + state[leaving + 1], np.repeat(journeys, paths.lengths)[leaving], number * number
    ).reshape(number, number)
    if not self_loops:
        np.fill_diagonal(between, 0)
    start, conversion, value, ended = (
        total_by(at, weights[touched], number)
        for at, weights in (
            (first, journeys),
            (state[last], paths.conversions),
            (state[last], paths.values),
            (state[last], journeys),
        )
    )
    total = between.sum(axis=1) + ended
    total[total == 0] = 1  # a state of paths that nobody took: all its counts are 0
    return _Chain(touchpoint, _shares(start), between / total[:, np.newaxis], conversion / total, value / total)


def _states(paths: TouchPaths, order: int) -> tuple[Numbers, Numbers]:
    """Return the touchpoint that each state ends in, and the state of each step."""
    base = len(paths.touchpoints) + 1
    code = paths.steps + 1  # 0 is the time before the first step
    place = np.arange(len(code)) - np.repeat(paths.offsets[:-1], paths.lengths)
    for lag in range(1, order):
        before = np.where(place[lag:] >= lag, paths.steps[:-lag] + 1, 0)
        code[lag:] += before * base**lag
    seen, state = np.unique(code, return_inverse=True)
    return seen % base - 1, state


def _shares(parts: Vector) -> Vector:
    whole = parts.sum()
    return parts / whole if whole else parts
