"""What a buyer brings within a time from the first purchase: by a model where the data carry one, else by averages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from microconv import wording
from microconv.analyses.amounts import UNITS_OF_VALUE
from microconv.analyses.insight.buyers import ACTOR_GROUPS
from microconv.stats.intervals import percentile_interval, wilson
from microconv.stats.lifetime_value import Buyers, Comebacks, NotFittedError, Spending
from microconv.stats.mean_cumulative import mean_cumulative, resampled_at
from microconv.stats.survival import Waited, kaplan_meier

Numbers = npt.NDArray[np.float64]

FEWEST_COMEBACKS = 100
"""Buyers who bought again below which no model is fitted: its four parameters would be guesses."""

_MOST_ERROR = 0.2
_MOST_CORRELATION = 0.3
_LEAST_KNOWN = 0.1
_FEWEST_KNOWN = 20
_DRAWS = 500
_MOST_WITHOUT_MEAN = 0.025
"""Draws in which what a purchase is worth has no mean, above which the interval would have no upper end."""
_SEED = 20_240_301


class Worth(NamedTuple):
    """What a buyer brings within a time: purchases, the first among them, and their value with its interval."""

    purchases: float
    value: float
    low: float | None
    high: float | None


class RepeatRate(NamedTuple):
    """The share of buyers who buy again within a time, with its 95% interval."""

    rate: float
    low: float
    high: float


def repeat_rate(rows: Sequence[Mapping[str, Any]], days: int) -> RepeatRate | None:
    """Return the share of buyers who buy again within so many days of the first purchase.

    By Kaplan and Meier: who is known for fewer days counts for these only, so that recent buyers do not pull it down.
    Where nobody did, or all, the interval is Wilson's for those who are known for as long; None where nobody is.

    Args:
        rows: Of `sql/analyses/insight/customers.sql`.
        days: Counted from the first purchase.
    """
    known = sum(row["customers"] for row in rows if row["seen_days"] >= days)
    if not known:
        return None
    waits = (
        Waited(row["second_days"], row["customers"], 0)
        if row["repeats"]
        else Waited(row["seen_days"], 0, row["customers"])
        for row in rows
    )
    last = next((step for step in reversed(kaplan_meier(waits)) if step.time <= days), None)
    if last is not None and last.waiting > 0:
        return RepeatRate(1 - last.waiting, 1 - last.high, 1 - last.low)
    rate = 0.0 if last is None else 1.0
    interval = wilson(round(known * rate), known)
    return RepeatRate(rate, *(interval or (0.0, 1.0)))


@dataclass(frozen=True)
class ByAge:
    """What buyers brought by the days since their first purchase: arrays of groups of actors and days."""

    purchases: Numbers
    value: Numbers
    last_seen: Numbers

    @classmethod
    def read(cls, rows: Sequence[Mapping[str, Any]], ages: int) -> ByAge:
        """Read rows of `sql/analyses/insight/value_by_age.sql` of one context, for ages below `ages`."""
        cube = np.zeros((3, ACTOR_GROUPS, ages))
        for row in rows:
            place = (row["actor_group"], row["age_days"])
            cube[0][place] = row["purchase_days"]
            cube[1][place] = row["value_micros"] / UNITS_OF_VALUE
            cube[2][place] = row["last_seen"]
        return cls(*cube)

    @property
    def buyers(self) -> int:
        """How many buyers there are."""
        return int(self.last_seen.sum())

    def known(self, age: int) -> int:
        """Return how many buyers are known for so many days."""
        return int(self.last_seen[:, age:].sum())

    def reach(self, days: int) -> int:
        """Return up to which age averages can be told: enough buyers must be known for as long."""
        ages = range(min(days, self.last_seen.shape[1] - 1), 0, -1)
        least = max(_FEWEST_KNOWN, _LEAST_KNOWN * self.buyers)
        return next((age for age in ages if self.known(age) >= least), 0)

    def average(self, age: int) -> Worth:
        """Return what a buyer brings up to an age: by Nelson's mean cumulative function."""
        purchases, value = (
            float(mean_cumulative(each.sum(axis=0), self.last_seen.sum(axis=0)).mean[age])
            for each in (self.purchases, self.value)
        )
        interval = resampled_at(self.value, self.last_seen, age, _SEED)
        return Worth(purchases, value, *(interval or (None, None)))


class NotCarriedError(Exception):
    """The data do not carry a model; the message says why, as the rest of a sentence."""


@dataclass(frozen=True)
class ValueModel:
    """BG/NBD for purchases, and Gamma-Gamma for what they are worth; without it where purchases have no value.

    Attributes:
        comebacks: When buyers come back.
        spending: What a purchase after the first is worth.
        paid: The share of purchases after the first that are worth anything.
        paid_drawn: The same over buyers drawn with replacement, for intervals.
        by_age: What they are fitted to, for the first purchase.
        correlation: Of how often and how much, which the model takes for 0.
        checked: What was foretold on a hold-out, and what came, in words.
    """

    comebacks: Comebacks
    spending: Spending | None
    paid: float
    paid_drawn: Numbers
    by_age: ByAge
    correlation: float | None
    checked: str

    @classmethod
    def fitted(
        cls, rows: Sequence[Mapping[str, Any]], held_out: Sequence[Mapping[str, Any]], ahead: int, by_age: ByAge
    ) -> ValueModel:
        """Fit it to rows of `sql/analyses/insight/customers.sql`; `held_out` end `ahead` days before the data.

        Raises:
            NotCarriedError: The data do not carry it.
        """
        came_back = sum(row["customers"] for row in rows if row["repeats"])
        if came_back < FEWEST_COMEBACKS:
            raise NotCarriedError(
                f"only {wording.plural(came_back, 'buyer')} bought again, and a model needs {FEWEST_COMEBACKS}"
            )
        try:
            checked = _checked(held_out, ahead)
            comebacks = Comebacks.fitted(_buyers(rows))
            spending, correlation = _spending(rows)
        except NotFittedError as error:
            raise NotCarriedError(f"no model fits them ({error})") from None
        if comebacks.covariance is None or (spending is not None and spending.covariance is None):
            raise NotCarriedError("they fit many models equally well")
        if spending is not None:
            without_mean = np.mean([each.q <= 1 for each in spending.drawn(_DRAWS, _SEED + 1)])
            if without_mean > _MOST_WITHOUT_MEAN:
                raise NotCarriedError("what they pay varies so much that a model of it may have no mean")
        return cls(comebacks, spending, *_paid(rows), by_age, correlation, checked)

    def estimate(self, days: int) -> Worth:
        """Return what a new buyer brings within so many days of the first purchase.

        The interval is of all that is estimated: both models, the first purchase, and the share that is paid for.
        """
        purchases = self.comebacks.expected(days)
        known = self.by_age.last_seen.sum(axis=1)
        first = self.by_age.value[:, 0]
        if self.spending is None:
            return Worth(1 + purchases, 0.0, None, None)
        value = first.sum() / known.sum() + purchases * self.spending.mean * self.paid
        rng = np.random.default_rng(_SEED)
        weights = rng.multinomial(ACTOR_GROUPS, np.full(ACTOR_GROUPS, 1 / ACTOR_GROUPS), _DRAWS)
        firsts = (weights @ first) / np.maximum(weights @ known, 1)
        models = zip(self.comebacks.drawn(_DRAWS, _SEED), self.spending.drawn(_DRAWS, _SEED + 1), strict=True)
        # A purchase without a mean counts as the largest there is; `fitted` saw that the interval ends below these.
        again = np.array([model.expected(days) * spent.mean for model, spent in models])
        values = firsts + np.where(self.paid_drawn > 0, again, 0.0) * self.paid_drawn
        interval = percentile_interval(values.tolist())
        return Worth(1 + purchases, float(value), *(interval or (None, None)))


def _columns(rows: Sequence[Mapping[str, Any]], *names: str) -> list[Numbers]:
    return [np.array([row[name] for row in rows], dtype=np.float64) for name in names]


def _buyers(rows: Sequence[Mapping[str, Any]]) -> Buyers:
    """Return those alike in all but what they spent as one."""
    alike: dict[tuple[int, int, int], int] = {}
    for row in rows:
        key = row["repeats"], row["last_days"], row["seen_days"]
        alike[key] = alike.get(key, 0) + row["customers"]
    repeats, last, seen = np.array(list(alike), dtype=np.float64).reshape(-1, 3).T
    return Buyers(repeats, last, seen, np.array(list(alike.values()), dtype=np.float64))


def _checked(rows: Sequence[Mapping[str, Any]], ahead: int) -> str:
    """Foretell the last part of the data from what came before, and hold it against what came."""
    if not any(row["repeats"] for row in rows):
        raise NotCarriedError("nobody bought again in the part that a model is tried on")
    alike = _buyers(rows)
    foretold = float(
        (alike.customers * Comebacks.fitted(alike).to_come(ahead, alike.repeats, alike.last, alike.seen)).sum()
    )
    came = sum(row["later"] for row in rows)
    said = (
        f"tried on the last {wording.plural(ahead, 'day')}, it foretold {wording.decimal(foretold, 0)} purchases and "
        f"{wording.count(came)} came"
    )
    # Off by more than a fifth, and by more than chance: two standard errors of a count.
    off = abs(foretold - came)
    if not np.isfinite(foretold) or off > max(_MOST_ERROR * came, 2 * np.sqrt(max(came, 1))):
        raise NotCarriedError(f"a model of them misses: {said}")
    return said


def _again(rows: Sequence[Mapping[str, Any]]) -> list[Numbers]:
    """Return of those who bought again: how often, what one of these purchases was worth, and how many they are."""
    bought = [row for row in rows if row["repeats"]]
    repeats, micros, customers = _columns(bought, "repeats", "repeat_value_micros", "customers")
    return [repeats, micros / UNITS_OF_VALUE / repeats, customers]


def _paid(rows: Sequence[Mapping[str, Any]]) -> tuple[float, Numbers]:
    """Return the share of purchases after the first that are worth anything, and the same over resampled buyers."""
    repeats, mean, customers = _again(rows)
    kinds, of = np.unique(np.column_stack([repeats, mean > 0]), axis=0, return_inverse=True)
    buyers = np.bincount(of.reshape(-1), customers)
    drawn = np.random.default_rng(_SEED + 2).multinomial(round(buyers.sum()), buyers / buyers.sum(), _DRAWS)
    purchases = np.vstack([buyers, drawn]) * kinds[:, 0]
    shares = purchases @ kinds[:, 1] / purchases.sum(axis=1)
    return float(shares[0]), shares[1:]


def _spending(rows: Sequence[Mapping[str, Any]]) -> tuple[Spending | None, float | None]:
    repeats, mean, customers = _again(rows)
    some = mean > 0
    if not some.any():
        return None, None
    correlation = _correlation(repeats[some], mean[some], customers[some])
    if correlation is not None and abs(correlation) > _MOST_CORRELATION:
        raise NotCarriedError(
            "those who buy often pay "
            f"{'more' if correlation > 0 else 'less'} each time (correlation {wording.decimal(correlation, 2)}), "
            "which the model takes for unrelated"
        )
    return Spending.fitted(repeats, mean, customers), correlation


def _correlation(one: Numbers, other: Numbers, weights: Numbers) -> float | None:
    table = np.cov(one, other, aweights=weights) if len(one) > 1 else np.zeros((2, 2))
    spread = float(np.sqrt(table[0, 0] * table[1, 1]))
    return float(table[0, 1]) / spread if spread > 0 else None
