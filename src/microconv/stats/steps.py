"""Whether a rate jumps at some number, or rises steadily with it: a step against a logistic line, by likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from microconv.stats.distributions import hypergeometric_tail


class Dose(NamedTuple):
    """How many did something so many times, and how many of them reached the goal."""

    times: int
    actors: int
    reached: int


class RateStep(NamedTuple):
    """A rate that is higher from `at` times on.

    Attributes:
        at: The number at which the likelihood is highest.
        low: The smallest number that the data fit nearly as well (twice the difference of log-likelihoods within 3.84).
            It is not a 95% interval: for the place of a jump, that difference does not follow chi-square.
        high: The largest such number.
        log_likelihood: At its highest.
        tried: How many numbers were tried.
    """

    at: int
    low: int
    high: int
    log_likelihood: float
    tried: int


_NEARLY = 3.841458820694124 / 2
_ROUNDS = 50


def flat_log_likelihood(doses: Sequence[Dose]) -> float:
    """Return the log-likelihood of one rate for all (binomial, without its constant)."""
    return _binomial(sum(each.reached for each in doses), sum(each.actors for each in doses))


def step_log_likelihood(doses: Sequence[Dose], at: int) -> float:
    """Return the log-likelihood of two rates: one below `at`, one from there on."""
    return flat_log_likelihood([each for each in doses if each.times < at]) + flat_log_likelihood(
        [each for each in doses if each.times >= at]
    )


def best_step(doses: Sequence[Dose], fewest: int) -> RateStep | None:
    """Return the step up that fits best, with at least `fewest` actors on either side; None where there is none."""
    found: dict[int, float] = {}
    for at in sorted({each.times for each in doses})[1:]:
        below, above = split(doses, at)
        if min(below.actors, above.actors) < fewest:
            continue
        # A step down counts as tried, and as none.
        is_up = above.reached * below.actors > below.reached * above.actors
        found[at] = step_log_likelihood(doses, at) if is_up else -math.inf
    if not found or max(found.values()) == -math.inf:
        return None
    best = max(found, key=lambda at: (found[at], -at))
    near = [at for at, value in found.items() if found[best] - value <= _NEARLY]
    return RateStep(best, min(near), max(near), found[best], len(found))


def split(doses: Sequence[Dose], at: int) -> tuple[Dose, Dose]:
    """Return all below `at` as one, and all from there on."""
    low, high = ([each for each in doses if (each.times >= at) is side] for side in (False, True))
    return (
        Dose(0, sum(each.actors for each in low), sum(each.reached for each in low)),
        Dose(at, sum(each.actors for each in high), sum(each.reached for each in high)),
    )


def steady_log_likelihood(doses: Sequence[Dose]) -> float:
    """Return the log-likelihood of a rate that every one more moves: logistic in the number, or in its logarithm.

    The better of the two; each has two parameters, as a step at a given number has.
    """
    return max(
        _logistic(doses, [float(each.times) for each in doses]), _logistic(doses, [math.log1p(x.times) for x in doses])
    )


def trend_test(doses: Sequence[Dose]) -> float:
    """Return the one-sided p-value that the rate rises with the number (Cochran 1954, Armitage 1955)."""
    actors = sum(each.actors for each in doses)
    reached = sum(each.reached for each in doses)
    if not actors or reached in (0, actors):
        return 1.0
    share = reached / actors
    mean = sum(each.times * each.actors for each in doses) / actors
    spread = share * (1 - share) * sum(each.actors * (each.times - mean) ** 2 for each in doses)
    if spread <= 0:
        return 1.0
    z = sum((each.times - mean) * each.reached for each in doses) / math.sqrt(spread)
    return math.erfc(z / math.sqrt(2)) / 2


def higher_rate_test(above: Dose, below: Dose) -> float:
    """Return the one-sided p-value that the first rate is the higher one (Fisher's exact test).

    Raises:
        ValueError: More reached the goal than there are.
    """
    if not all(0 <= each.reached <= each.actors for each in (above, below)):
        raise ValueError(f"from none to all of the actors reach the goal: {above}, {below}")
    actors, reached = above.actors + below.actors, above.reached + below.reached
    return hypergeometric_tail(above.reached, above.actors, reached, actors)


def _logistic(doses: Sequence[Dose], scores: Sequence[float]) -> float:
    """Return the highest log-likelihood of logit(rate) = a + b x, by Newton's method with halved steps."""
    actors = sum(each.actors for each in doses)
    reached = sum(each.reached for each in doses)
    if not 0 < reached < actors:
        return 0.0
    centre = sum(each.actors * score for each, score in zip(doses, scores, strict=True)) / actors
    pairs = [(each, score - centre) for each, score in zip(doses, scores, strict=True)]

    def value(a: float, b: float) -> float:
        return math.fsum(
            each.reached * (a + b * x) - each.actors * _softplus(a + b * x) for each, x in pairs if each.actors
        )

    a, b = math.log(reached / (actors - reached)), 0.0
    best = value(a, b)
    for _ in range(_ROUNDS):
        rates = [1 / (1 + math.exp(-max(min(a + b * x, 500.0), -500.0))) for _, x in pairs]
        slope_a = math.fsum(each.reached - each.actors * rate for (each, _), rate in zip(pairs, rates, strict=True))
        slope_b = math.fsum(
            x * (each.reached - each.actors * rate) for (each, x), rate in zip(pairs, rates, strict=True)
        )
        weights = [each.actors * rate * (1 - rate) for (each, _), rate in zip(pairs, rates, strict=True)]
        aa = math.fsum(weights)
        ab = math.fsum(weight * x for weight, (_, x) in zip(weights, pairs, strict=True))
        bb = math.fsum(weight * x * x for weight, (_, x) in zip(weights, pairs, strict=True))
        determinant = aa * bb - ab * ab
        if determinant <= 1e-12 * aa * max(bb, 1e-300):
            break
        move_a = (bb * slope_a - ab * slope_b) / determinant
        move_b = (aa * slope_b - ab * slope_a) / determinant
        size = 1.0
        while size > 1e-4 and value(a + size * move_a, b + size * move_b) < best:  # noqa: PLR2004 - small enough
            size /= 2
        after = value(a + size * move_a, b + size * move_b)
        if after <= best + 1e-10:
            break
        a, b, best = a + size * move_a, b + size * move_b, after
    return best


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _binomial(reached: int, actors: int) -> float:
    if not 0 < reached < actors:
        return 0.0
    return reached * math.log(reached / actors) + (actors - reached) * math.log(1 - reached / actors)
