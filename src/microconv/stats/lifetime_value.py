"""How often customers come back and what they spend: BG/NBD and Gamma-Gamma, by maximum likelihood.

Fader, Hardie and Lee, "Counting your customers the easy way" (Marketing Science 24, 2005), and Fader and Hardie, "The
Gamma-Gamma model of monetary value" (2013). Times in any one unit. Customers who are alike are one row with a count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Covariance = tuple[tuple[float, ...], ...]
_MOST_LOG = 12.0
"""Parameters are looked for between exp(-12) and exp(12)."""
_NEAR = 1e-4
"""How near to 0 / 0 a formula loses its digits."""
_MOST_EXPONENT = 600.0


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
        return float(_purchases(np.array([self.r]), np.array([self.alpha]), self.a, np.array([self.b]), time)[0])

    def alive(self, repeats: Numbers, last: Numbers, seen: Numbers) -> Numbers:
        """Return the chance that customers are not lost."""
        from scipy.special import expit

        # Of many purchases the odds are beyond what a number can be; their logarithm is not.
        since = np.log(self.alpha + seen) - np.log(self.alpha + last)
        log_odds = np.log(self.a) - np.log(self.b + np.maximum(repeats, 1) - 1) + (self.r + repeats) * since
        return np.where(repeats > 0, expit(-log_odds), 1.0)

    def to_come(self, time: float, repeats: Numbers, last: Numbers, seen: Numbers) -> Numbers:
        """Return how many purchases customers are expected to make within a time from the end of what is known."""
        number = _purchases(self.r + repeats, self.alpha + seen, self.a, self.b + repeats, time)
        return number * self.alive(repeats, last, seen)


def _purchases(r: Numbers, alpha: Numbers, a: float, b: Numbers, time: float) -> Numbers:
    """Return the purchases to expect within a time, of rates (r, alpha) and chances to be lost (a, b)."""
    if abs(a - 1) >= _NEAR and np.abs(a + b - 1).min() >= _NEAR:
        return _in_closed_form(r, alpha, a, b, time)
    # The formula is 0 / 0 at a = 1 and at a + b = 1; what is expected there lies between what is on either side.
    sides = [_in_closed_form(r, alpha, a * (1 + shift), b, time) for shift in (-2 * _NEAR, 2 * _NEAR)]
    return (sides[0] + sides[1]) / 2


def _in_closed_form(r: Numbers, alpha: Numbers, a: float, b: Numbers, time: float) -> Numbers:
    from scipy.special import hyp2f1

    left = alpha / (alpha + time)
    # Euler's transformation: of both forms, the one whose terms do not grow beyond what a number can be.
    is_other = r > a - 1
    power, first, second = (
        np.where(is_other, one, other) for one, other in ((a - 1, r), (a + b - 1 - r, r), (a - 1, b))
    )
    with np.errstate(all="ignore"):
        found: Numbers = (
            (a + b - 1) / (a - 1) * (1 - left**power * hyp2f1(first, second, a + b - 1, time / (alpha + time)))
        )
        most = r * time / alpha  # where nobody is lost
        wrong = ~((found >= 0) & (found <= most * (1 + _NEAR)))
    for place in np.flatnonzero(wrong):
        found[place] = _integrated(float(r[place]), float(alpha[place]), a, float(b[place]), time)
    return found


def _integrated(r: float, alpha: float, a: float, b: float, time: float) -> float:
    """Return the same as an average over the chances to be lost, on the scale of their log odds: slower, and sure."""
    from scipy.integrate import quad
    from scipy.special import betaln

    def share(log_odds: float) -> float:
        lost, kept = -np.logaddexp(0, -log_odds), -np.logaddexp(0, log_odds)
        chance = np.exp(max(lost, -_MOST_EXPONENT))
        purchases = -np.expm1(-r * np.log1p(chance * time / alpha)) / chance
        return float(purchases * np.exp(a * lost + b * kept - betaln(a, b)))

    middle = np.log(a / b)
    tails = [middle - 20 - 60 / min(a, 1.0), middle + 20 + 60 / min(b, 1.0)]
    ends = [tails[0], *(middle + each for each in (-25, -10, -3, -1, 0, 1, 3, 10, 25)), tails[1]]
    least = 1e-12 * r * time / alpha
    return float(sum(quad(share, low, high, epsabs=least, epsrel=1e-9, limit=200)[0] for low, high in pairwise(ends)))


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
        """Return what a purchase of each customer is worth, between their own mean and that of all.

        Raises:
            ValueError: It has no mean, as q is 1 or less and a customer bought too little.
        """
        if (self.p * repeats + self.q <= 1).any():
            raise ValueError(f"where q is 1 or less, what a purchase is worth has no mean: {self.q}")
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
