"""Tails and quantiles of the distributions that tests and intervals rest on.

They are SciPy's special functions. `scipy.stats` has the same behind one interface, and loading that takes longer than
most questions do: it is loaded only for what is not here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_FEW = 60
"""Events up to which a sum of binomials is added up."""
_FAR, _HALVINGS, _AT_THE_MEAN = 60.0, 80, 1e-4
"""How far the logarithm of odds is looked for, how often that is halved, and where both tails are one half."""


def t_tail(value: float, freedom: float) -> float:
    """Return how likely Student's t is to exceed a value."""
    from scipy.special import stdtr

    return float(stdtr(freedom, -value))


def t_quantile(chance: float, freedom: float) -> float:
    """Return the value that Student's t stays below with this chance."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, chance))


def chi_square_tail(value: float, freedom: float) -> float:
    """Return how likely chi-square is to exceed a value."""
    from scipy.special import chdtrc

    return float(chdtrc(freedom, value))


def chi_square_quantile(chance: float, freedom: float) -> float:
    """Return the value that chi-square stays below with this chance."""
    from scipy.special import gammaincinv

    return 2 * float(gammaincinv(freedom / 2, chance))


def beta_quantile(chance: float, a: float, b: float) -> float:
    """Return the share that a beta distribution stays below with this chance."""
    from scipy.special import betaincinv

    return float(betaincinv(a, b, chance))


def binomial_tails(events: int, trials: int, share: float) -> tuple[float, float]:
    """Return how likely so few events are, or fewer, and so many, or more."""
    from scipy.special import bdtr, bdtrc

    return float(bdtr(events, trials, share)), float(bdtrc(events - 1, trials, share))


def hypergeometric_tail(events: int, drawn: int, all_events: int, all_units: int) -> float:
    """Return how likely so many events, or more, are among units drawn from all, of which some are events."""
    import numpy as np
    from scipy.special import gammaln

    def log_choices(of: int, number: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return gammaln(of + 1) - gammaln(number + 1) - gammaln(of - number + 1)  # type: ignore[no-any-return]  # ships no types

    at_least = np.arange(max(events, drawn + all_events - all_units, 0), min(drawn, all_events) + 1)
    ways = log_choices(all_events, at_least) + log_choices(all_units - all_events, drawn - at_least)
    return min(1.0, float(np.exp(ways - log_choices(all_units, np.array(drawn))).sum()))


def binomials_tails(events: int, trials: Sequence[float], chances: Sequence[float]) -> tuple[float, float]:
    """Return how likely so few events are, or fewer, and so many, or more, in a sum of independent binomials.

    Exact where there are few events; beyond, the saddlepoint approximation of Lugannani and Rice (1980) with the second
    continuity correction of Daniels (1987), which is within a few per cent however far out.

    Args:
        events: How many there were.
        trials: Of how many each of them.
        chances: How likely each trial of these is an event, above 0 and below 1.
    """
    import numpy as np

    n, p = np.asarray(trials, float), np.asarray(chances, float)
    if events <= _FEW:
        few = _first_chances(events, n, p)
        return min(1.0, float(few.sum())), min(1.0, max(1.0 - float(few[:events].sum()), float(few[events])))
    all_events = round(float(n.sum()))

    def cumulants(t: float) -> tuple[float, float, float]:
        share = p * math.exp(t) / (1 - p + p * math.exp(t))
        return float(n @ np.log1p(p * math.expm1(t))), float(n @ share), float(n @ (share * (1 - share)))

    def tail_beyond(point: float) -> float:
        """Return the smaller part: below the point where it lies below the mean, above it where it lies above."""
        low, high = -_FAR, _FAR
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if cumulants(middle)[1] < point else (low, middle)
        t = (low + high) / 2
        k, _, variance = cumulants(t)
        w = math.copysign(math.sqrt(2 * max(t * point - k, 0.0)), t)
        u = 2 * math.sinh(t / 2) * math.sqrt(variance)
        if abs(w) < _AT_THE_MEAN:
            return 0.5
        density = math.exp(-w * w / 2) / math.sqrt(2 * math.pi)
        return math.erfc(abs(w) / math.sqrt(2)) / 2 + math.copysign(density, w) * (1 / u - 1 / w)

    def above(point: float) -> float:
        """Return how likely it is to lie above a point between two numbers of events."""
        if point < 0 or point > all_events:
            return float(point < 0)
        beyond = min(max(tail_beyond(point), 0.0), 1.0)
        return beyond if point > float(n @ p) else 1 - beyond

    return 1 - above(events + 0.5), above(events - 0.5)


def _first_chances(most: int, n: npt.NDArray[np.float64], p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how likely 0, 1 … events are, up to `most`, in a sum of binomials."""
    import numpy as np
    from scipy.special import gammaln

    found, places = np.eye(1, most + 1)[0], np.arange(most + 1.0)
    for trials, chance in zip(n, p, strict=True):
        within = places[places <= trials]
        logs = gammaln(trials + 1) - gammaln(within + 1) - gammaln(trials - within + 1)
        of_these = np.exp(logs + within * np.log(chance) + (trials - within) * np.log1p(-chance))
        found = np.convolve(found, of_these)[: most + 1]
    return found  # type: ignore[no-any-return]  # of numpy's convolve
