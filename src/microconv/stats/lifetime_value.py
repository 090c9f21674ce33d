"""How often customers come back and what they spend: BG/NBD and Gamma-Gamma, by maximum likelihood.

Fader, Hardie and Lee, "Counting your customers the easy way" (Marketing Science 24, 2005), and Fader and Hardie, "The
Gamma-Gamma model of monetary value" (2013). Times in any one unit. Customers who are alike are one row with a count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Covariance = tuple[tuple[float, ...], ...]
_MOST_LOG = 12.0
"""Parameters are looked for between exp(-12) and exp(12)."""


class Buyers(NamedTuple):
    """Customers that are alike: arrays of one length.

    Attributes:
        repeats: Purchases after the first.
        last: From the first purchase to the last.
        seen: From the first purchase to the end of what is known.
        customers: How many of them there are.
    """

    repeats: Numbers
    last: Numbers
    seen: Numbers
    customers: Numbers


class NotFittedError(Exception):
    """The likelihood has no maximum that can be found: the data do not fit the model."""


@dataclass(frozen=True)
class Comebacks:
    """The BG/NBD model: rates of purchase vary as a gamma (r, alpha), chances to be lost after one as a beta (a, b)."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    covariance: Covariance | None = field(default=None, repr=False, compare=False)
    """Of the logarithms of the four; None where the likelihood is flat."""

    @classmethod
    def fitted(cls, buyers: Buyers) -> Comebacks:
        """Fit it.

        Raises:
            NotFittedError: There is no maximum, or nobody came back.
        """
        from scipy.special import gammaln

        if not (buyers.repeats * buyers.customers).sum():
            raise NotFittedError("nobody came back")
        x, last, seen, n = buyers
        scale = float(seen.max()) or 1.0
        # What is costly is worked out once for each value that there is; most customers share theirs with others.
        (times, of), (lasts, of_last), (spans, of_span) = (
            np.unique(each, return_inverse=True) for each in (x, last, seen)
        )
        came, before = times > 0, np.maximum(times, 1) - 1

        def lost(logs: Numbers) -> float:
            r, alpha, a, b = np.exp(logs)
            first = gammaln(r + times) - gammaln(r) + r * np.log(alpha)
            second = gammaln(a + b) + gammaln(b + times) - gammaln(b) - gammaln(a + b + times)
            odds = np.where(came, np.log(a) - np.log(b + before), -np.inf)
            alive = -(r + x) * np.log(alpha + spans / scale)[of_span]
            gone = odds[of] - (r + x) * np.log(alpha + lasts / scale)[of_last]
            return -float((n * ((first + second)[of] + np.logaddexp(alive, gone))).sum())

        r, alpha, a, b, least = _least(lost, 4)
        # The likelihood is that of times in the caller's unit.
        covariance = _covariance(lost, np.log([r, alpha, a, b]))
        return cls(r, alpha * scale, a, b, float(-least - (n * x).sum() * np.log(scale)), covariance)

    def drawn(self, count: int, seed: int) -> list[Comebacks]:
        """Return models as chance might have made them: logarithms drawn from the normal of the maximum's curvature.

        Raises:
            NotFittedError: The likelihood is flat.
        """
        logs = _drawn((self.r, self.alpha, self.a, self.b), self.covariance, count, seed)
        return [Comebacks(r, alpha, a, b, self.log_likelihood) for r, alpha, a, b in np.exp(logs).tolist()]

    def expected(self, time: float) -> float:
        """Return how many purchases after the first a new customer makes within a time."""
        from scipy.special import hyp2f1

        a, b, r = self.a, self.b, self.r
        rest = (self.alpha / (self.alpha + time)) ** r
        inner = hyp2f1(r, b, a + b - 1, time / (self.alpha + time))
        return float((a + b - 1) / (a - 1) * (1 - rest * inner))

    def alive(self, repeats: Numbers, last: Numbers, seen: Numbers) -> Numbers:
        """Return the chance that customers are not lost."""
        return 1 / (1 + self._odds_of_loss(repeats, last, seen))

    def to_come(self, time: float, repeats: Numbers, last: Numbers, seen: Numbers) -> Numbers:
        """Return how many purchases customers are expected to make within a time from the end of what is known."""
        from scipy.special import hyp2f1

        a, b, r, x = self.a, self.b, self.r, repeats
        ahead = self.alpha + seen + time
        inner = hyp2f1(r + x, b + x, a + b + x - 1, time / ahead)
        rest = ((self.alpha + seen) / ahead) ** (r + x)
        number = (a + b + x - 1) / (a - 1) * (1 - rest * inner)
        return np.asarray(number / (1 + self._odds_of_loss(repeats, last, seen)), np.float64)

    def _odds_of_loss(self, repeats: Numbers, last: Numbers, seen: Numbers) -> Numbers:
        x = repeats
        odds = self.a / (self.b + np.maximum(x, 1) - 1) * ((self.alpha + seen) / (self.alpha + last)) ** (self.r + x)
        return np.where(x > 0, odds, 0.0)


@dataclass(frozen=True)
class Spending:
    """The Gamma-Gamma model: a purchase is gamma (p, nu) around the customer's mean, and nu is a gamma (q, gamma)."""

    p: float
    q: float
    gamma: float
    log_likelihood: float
    covariance: Covariance | None = field(default=None, repr=False, compare=False)
    """Of the logarithms of the three; None where the likelihood is flat."""

    @classmethod
    def fitted(cls, repeats: Numbers, mean: Numbers, customers: Numbers) -> Spending:
        """Fit it to customers who came back, by their number of purchases after the first and the mean of these.

        Raises:
            NotFittedError: There is no maximum, or nobody spent anything.
        """
        from scipy.special import gammaln

        some = (repeats > 0) & (mean > 0)
        x, n = repeats[some], customers[some]
        if len(x) < 2:  # noqa: PLR2004 - one customer has no spread
            raise NotFittedError("fewer than two customers came back")
        scale = float(np.average(mean[some], weights=n))
        z = mean[some] / scale
        times, of = np.unique(x, return_inverse=True)  # as above
        log_x, log_z, total = np.log(x), np.log(z), x * z

        def lost(logs: Numbers) -> float:
            p, q, gamma = np.exp(logs)
            return -float(
                (
                    n
                    * (
                        (gammaln(p * times + q) - gammaln(p * times))[of]
                        - gammaln(q)
                        + q * np.log(gamma)
                        + (p * x - 1) * log_z
                        + p * x * log_x
                        - (p * x + q) * np.log(gamma + total)
                    )
                ).sum()
            )

        p, q, gamma, least = _least(lost, 3)
        covariance = _covariance(lost, np.log([p, q, gamma]))
        return cls(p, q, gamma * scale, float(-least - n.sum() * np.log(scale)), covariance)

    def drawn(self, count: int, seed: int) -> list[Spending]:
        """Return models as chance might have made them; see `Comebacks.drawn`.

        Raises:
            NotFittedError: The likelihood is flat.
        """
        logs = _drawn((self.p, self.q, self.gamma), self.covariance, count, seed)
        return [Spending(p, q, gamma, self.log_likelihood) for p, q, gamma in np.exp(logs).tolist()]

    @property
    def mean(self) -> float:
        """What a purchase is worth over all customers; infinite where q is 1 or less."""
        return self.p * self.gamma / (self.q - 1) if self.q > 1 else np.inf

    def expected(self, repeats: Numbers, mean: Numbers) -> Numbers:
        """Return what a purchase of each customer is worth, between their own mean and that of all."""
        return np.asarray(self.p * (self.gamma + repeats * mean) / (self.p * repeats + self.q - 1), np.float64)


def _least(lost: Callable[[Numbers], float], parameters: int) -> Sequence[float]:
    """Return the parameters at which a function of their logarithms is least, and how little it is there."""
    from scipy.optimize import minimize

    best = None
    for start in (0.0, -1.0, 1.0):
        found = minimize(
            lost,
            np.full(parameters, start),
            method="Nelder-Mead",
            options={"maxiter": 4000, "xatol": 1e-7, "fatol": 1e-9},
        )
        found = minimize(lost, found.x, method="BFGS")
        if np.isfinite(found.fun) and (best is None or found.fun < best.fun):
            best = found
    if best is None or np.abs(best.x).max() > _MOST_LOG:
        raise NotFittedError("the likelihood has no maximum")
    return (*map(float, np.exp(best.x)), float(best.fun))


def _covariance(lost: Callable[[Numbers], float], at: Numbers) -> Covariance | None:
    """Return the inverse of the second derivatives of a function at its least, by central differences; None if flat."""
    step, size = 1e-3, len(at)
    moves = np.eye(size) * step
    bend = np.empty((size, size))
    for i in range(size):
        for j in range(i, size):
            here, there = moves[i], moves[j]
            bend[i, j] = bend[j, i] = (
                lost(at + here + there) - lost(at + here - there) - lost(at - here + there) + lost(at - here - there)
            ) / (4 * step * step)
    if not np.isfinite(bend).all():
        return None
    try:
        np.linalg.cholesky(bend)
        found = np.linalg.inv(bend)
    except np.linalg.LinAlgError:
        return None
    return tuple(tuple(map(float, row)) for row in found)


def _drawn(values: Sequence[float], covariance: Covariance | None, count: int, seed: int) -> Numbers:
    if covariance is None:
        raise NotFittedError("the likelihood is flat")
    rng = np.random.default_rng(seed)
    return rng.multivariate_normal(np.log(values), np.array(covariance), count, method="cholesky")
