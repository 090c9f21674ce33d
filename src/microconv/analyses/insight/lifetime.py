"""What a buyer is worth: by what they did first, or where they came from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from microconv import wording
from microconv.analyses.amounts import Amount
from microconv.analyses.insight.buyers import (
    ACTOR_GROUPS,
    FEWEST_BUYERS,
    FEWEST_KNOWN,
    MOST_FORESIGHT,
    SHORTEST_DAYS,
    BuyerQuestion,
    between,
    not_enough,
    staged_days,
)
from microconv.config.values import Duration, Length
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.question import Context, Option
from microconv.result import Result, column, sheet
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

    from microconv.analyses.insight.value_estimates import ByAge, ValueModel, Worth

Basis = Literal["model", "cohort averages"]
FirstBy = Literal["first_micro_conversion", "first_channel"]
ALL, BEFORE = "(all)", "(before the data)"
"""Stand for all buyers together, and for those of whom nobody knows how they began."""

_DAY_SECONDS = 86_400
_CHANCE = 0.05
"""How often chance may make some kind of buyers stand out."""
_LABELS = {None: "buyers", "first_micro_conversion": "did first", "first_channel": "came first by"}


def _whole_days(given: Duration) -> Duration:
    if given.seconds % _DAY_SECONDS:
        raise ValueError('must be whole days, as value is known by the day, such as "90d"')
    return given


@dataclass(frozen=True)
class BuyerValue:
    """What buyers of one kind are worth; what cannot be told is None, and `basis` says why.

    `came_back` is who came to the goal again so far, at any time; `repeat_rate` the share who do so within
    `repeat_days` of the result. `purchases` and `value` are those of one buyer within the horizon, the first purchase
    included; `first_value` is what the first one is worth.
    """

    context: str = column("buyers")
    buyers: int = column("number", wording.count)
    came_back: int = column("again so far", wording.count)
    repeat_rate: float | None = column("repeat rate", wording.fine_share)
    repeat_low: float | None = column("from", wording.fine_share)
    repeat_high: float | None = column("to", wording.fine_share)
    first_value: float | None = column("first purchase", wording.cents)
    purchases: float | None = column("purchases per buyer", lambda each: wording.decimal(each, 2))
    value: float | None = column("value per buyer", wording.cents)
    low: float | None = column("value from", wording.cents)
    high: float | None = column("value to", wording.cents)
    basis: str = column("basis")


@dataclass(frozen=True)
class LifetimeValueResult(Result):
    """What a buyer brings within `horizon_days` of the first purchase, by what they are split by, most buyers first.

    Attributes:
        goal: The micro-conversion that is a purchase.
        by: What buyers are split by.
        horizon_days: How many days from the first purchase count; 0 where nothing can be told.
        repeat_days: Within how many days of it the repeat rate is; never more than the data follow buyers.
        basis: `model` or `cohort averages`.
        why: Why it is not the model; None where it is.
        total: All buyers together.
        groups: By `by`; nothing without it.
        currency: Of values.
        amounts: What purchases are worth by the currency that their events name.
    """

    row_type: ClassVar[type] = BuyerValue

    goal: str
    by: FirstBy | None
    horizon_days: int
    repeat_days: int
    basis: Basis
    why: str | None
    total: BuyerValue
    groups: tuple[BuyerValue, ...]
    currency: str
    amounts: tuple[Amount, ...]
    sentence: str
    assumptions: tuple[str, ...]
    since: date | None = None
    until: date | None = None

    @property
    def rows(self) -> tuple[BuyerValue, ...]:
        """All buyers together, then those by what they are split by."""
        return (self.total, *self.groups)

    def sheets(self) -> Iterator[Sheet | str]:
        """Show one table."""
        within = f"within {wording.plural(self.horizon_days, 'day')} of it" if self.horizon_days else "too few to tell"
        labels = {
            "context": _LABELS[self.by],
            "came_back": f"{self.goal} again so far",
            "first_value": f"first {self.goal}",
        }
        if self.repeat_days:
            labels["repeat_rate"] = f"repeat rate in {wording.plural(self.repeat_days, 'day')}"
        yield sheet(
            f"Value of a buyer from the first {self.goal}, {within}, in {self.currency}",
            self.rows,
            BuyerValue,
            labels=labels,
        )

    def bars(self) -> tuple[Bar, ...]:
        """One bar per kind of buyers: their value."""
        return tuple(
            Bar(row.context, row.value, wording.cents(row.value)) for row in self.rows if row.value is not None
        )


class LifetimeValue(BuyerQuestion):
    """Say what a buyer is worth, how many buy again, and by what those began who are worth most.

    --show lifetime fits BG/NBD and Gamma-Gamma where the data carry them, and otherwise averages what buyers brought;
    the answer says which. --show cohorts follows those who first bought in one week or month, --show post_sale tells
    who comes to a review, a renewal and the like, and when.
    """

    options: ClassVar[Mapping[str, Option]] = {**BuyerQuestion.options, "horizon": Option(metavar="TIME")}
    examples: ClassVar[tuple[str, ...]] = (
        "value",
        "value --by first_channel",
        "value --by first_micro_conversion --horizon 90d --format json",
        "value --show cohorts --grain month",
        "value --show post_sale",
    )

    by: FirstBy | None = Field(default=None, description="split by what buyers did first, or where they came from")
    horizon: Annotated[Length, AfterValidator(_whole_days)] = Field(
        default=Duration.parse("365d"), description="how long after the first purchase value counts, in whole days"
    )

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the queries of what buyers bring by age, of customers twice, and of amounts by currency."""
        first, last = staged_days(context)
        shared: dict[str, Value] = self.purchases(context)
        structure = {"by": self.by or "nothing"}
        if self.by == "first_micro_conversion":
            shared["entries"] = _entries(context.taxonomy, self.goal_in(context.taxonomy))
        cut = last - timedelta(days=_held_out_days(first, last))
        asked = [
            templates.query(
                "analyses/insight/value_by_age",
                params={**shared, "actor_groups": ACTOR_GROUPS},
                structure=structure,
            ),
            *(
                templates.query(
                    "analyses/insight/customers",
                    params={**shared, "end_date": end},
                    structure=structure,
                )
                for end in (last, cut)
            ),
        ]
        if (amounts := self.amounts_query(context)) is not None:
            asked.append(amounts)
        return tuple(asked)

    def result(self, tables: Sequence[pa.Table], context: Context) -> LifetimeValueResult:
        """Fit models where they are carried, and say what a buyer is worth."""
        found = _Value(self, [table.to_pylist() for table in tables[:3]], context)
        amounts = self.amounts(tables[3] if len(tables) > 3 else None, context)  # noqa: PLR2004 - the fourth query
        currency = context.config.project.currency
        total, *groups = found.rows()
        return LifetimeValueResult(
            goal=self.goal_in(context.taxonomy),
            by=self.by,
            horizon_days=found.horizon,
            repeat_days=found.repeat_days,
            basis="model" if found.models else "cohort averages",
            why=found.why,
            total=total,
            groups=tuple(groups),
            currency=currency,
            amounts=amounts,
            sentence=_sentence(total, groups, found, currency, self.goal_in(context.taxonomy)),
            assumptions=(
                *self.of_purchases(context),
                *self.of_value(context, amounts),
                *found.assumptions(),
                *_of_contexts(self.by),
            ),
            since=self.since,
            until=self.until,
        )


class _Value:
    """What the rows of the queries say, with one basis and one horizon for all buyers that are compared."""

    def __init__(self, asked: LifetimeValue, rows: Sequence[list[dict[str, Any]]], context: Context) -> None:
        # These load numpy; who looks at the options does without.
        from microconv.analyses.insight.value_estimates import ByAge

        self.by, self.goal = asked.by, asked.goal_in(context.taxonomy)
        first, last = staged_days(context)
        self.days = (last - first).days + 1
        self.asked_days = asked.horizon.seconds // _DAY_SECONDS
        of_ages, self.customers, self.held_out = rows
        ages = max((row["age_days"] for row in of_ages), default=0) + 1
        self.all = ByAge.read(_together(of_ages), ages)
        by_context = _by_context(of_ages) if asked.by else {}
        self.groups = {name: ByAge.read(each, ages) for name, each in by_context.items()}
        self.is_worth = bool(self.all.value.any())
        self.models: dict[str, ValueModel] = {}
        self.why: str | None = None
        self._fit(_held_out_days(first, last))
        # The model tells how many purchases come, beyond the data too; who buys again at all is only seen in them.
        self.repeat_days = self._reach()
        self.horizon = min(self.asked_days, self.days * MOST_FORESIGHT) if self.models else self.repeat_days

    def _fit(self, ahead: int) -> None:
        from microconv.analyses.insight.value_estimates import NotCarriedError, ValueModel

        if not self.all.buyers:
            return
        if self.days < SHORTEST_DAYS:
            self.why = f"only {wording.plural(self.days, 'day')} are staged, and a model needs {SHORTEST_DAYS}"
            return
        known, before = _by_context(self.customers), _by_context(self.held_out)
        found: dict[str, ValueModel] = {}
        try:
            found[ALL] = ValueModel.fitted(self.customers, self.held_out, ahead, self.all)
            for name, by_age in self.groups.items():
                if by_age.buyers >= FEWEST_BUYERS:
                    found[name] = ValueModel.fitted(known.get(name, []), before.get(name, []), ahead, by_age)
        except NotCarriedError as error:
            of = f"of {name}, " if found else ""
            self.why = f"{of}{error}"
            return
        self.models = found

    def _reach(self) -> int:
        """Return how far averages are told: as far as groups can be compared, but half as far as for all at least."""
        reach = self.all.reach(self.asked_days)
        compared = [each for each in self.groups.values() if each.buyers >= FEWEST_BUYERS]
        ages = range(reach, reach // 2, -1)
        return next((age for age in ages if all(each.known(age) >= FEWEST_KNOWN for each in compared)), -(-reach // 2))

    def rows(self) -> Iterator[BuyerValue]:
        """Yield all buyers together, then those by what they are split by, most first."""
        yield self._row(ALL, self.all, self.customers)
        known = _by_context(self.customers)
        for name in sorted(self.groups, key=lambda each: (-self.groups[each].buyers, each)):
            yield self._row(name, self.groups[name], known.get(name, []))

    def _row(self, name: str, by_age: ByAge, customers: Sequence[Mapping[str, Any]]) -> BuyerValue:
        from microconv.analyses.insight.value_estimates import repeat_rate

        buyers = by_age.buyers
        came_back = sum(row["customers"] for row in customers if row["repeats"])
        enough = buyers >= FEWEST_BUYERS
        is_followed = self.repeat_days > 0 and by_age.known(self.repeat_days) >= FEWEST_KNOWN
        repeat = repeat_rate(customers, self.repeat_days) if enough and is_followed else None
        found = self._estimate(name, by_age) if enough else None
        worth = found if self.is_worth else None
        return BuyerValue(
            context=name,
            buyers=buyers,
            came_back=came_back,
            repeat_rate=repeat.rate if repeat else None,
            repeat_low=repeat.low if repeat else None,
            repeat_high=repeat.high if repeat else None,
            first_value=float(by_age.value[:, 0].sum()) / buyers if enough and self.is_worth else None,
            purchases=found.purchases if found else None,
            value=worth.value if worth else None,
            low=worth.low if worth else None,
            high=worth.high if worth else None,
            basis=self._basis(by_age, found),
        )

    def _estimate(self, name: str, by_age: ByAge) -> Worth | None:
        if name in self.models:
            return self.models[name].estimate(self.horizon)
        if self.models or not self.horizon or by_age.known(self.horizon) < FEWEST_KNOWN:
            return None
        return by_age.average(self.horizon)

    def _basis(self, by_age: ByAge, found: Worth | None) -> str:
        if found is not None:
            return "model" if self.models else "cohort averages"
        return not_enough(by_age.buyers if by_age.buyers < FEWEST_BUYERS else self.known_for_long(by_age))

    def known_for_long(self, by_age: ByAge) -> int:
        """Return how many are known for as long as value is told, for a day at least: what falls short if it is not."""
        return by_age.known(max(self.horizon, 1))

    def assumptions(self) -> Iterator[str]:
        """Say how value was found, and how far it reaches."""
        days = wording.plural(self.horizon, "day")
        if self.repeat_days:
            yield (
                f"The repeat rate is the share of buyers who come to {self.goal} again within "
                f"{wording.plural(self.repeat_days, 'day')} of the first purchase; who is known for fewer days counts "
                "for these only (Kaplan and Meier). How many did so far is of all buyers and of any time."
            )
        if self.models:
            model = self.models[ALL]
            yield (
                "When buyers come back is told by BG/NBD, and what they pay by Gamma-Gamma (Fader and Hardie); "
                f"{model.checked}. Intervals are those of the fit and of resampled buyers, at 95%."
            )
            if model.correlation is not None:
                yield (
                    "The model takes how often and how much somebody buys for unrelated; here they correlate at "
                    f"{wording.decimal(model.correlation, 2)}."
                )
            if self.horizon > self.days:
                yield (
                    f"Only {wording.plural(self.days, 'day')} are staged: what is beyond them, up to {days}, is "
                    "foretold, not seen."
                )
        else:
            yield (
                "Value is the average of what buyers brought by each day since the first purchase; who is known for "
                "fewer days counts for these only (Nelson's mean cumulative function). Intervals are those of 1,000 "
                f"resamplings of {ACTOR_GROUPS} groups of actors, at 95%."
            )
        if self.why:
            yield f"It is not the model of lifetime value, BG/NBD and Gamma-Gamma: {self.why}."
        if self.horizon < self.asked_days and self.all.buyers:
            yield (
                f"{wording.plural(self.asked_days, 'day')} were asked for; the data can tell {days}."
                if self.horizon
                else "Too few buyers are known for a day or longer to tell what they bring."
            )


def _held_out_days(first: date, last: date) -> int:
    """Return how many of the last days a model is tried on: a third."""
    return (last - first).days // 3


def _entries(taxonomy: Taxonomy, goal: str) -> list[str]:
    """Return what may be the first micro-conversion: all up to the sale but macros and hesitation."""
    counted = sorted({entry.counts_as for entry in taxonomy.entries}, key=taxonomy.rank)
    entries = (taxonomy.entry(each) for each in counted if each != goal)
    return [
        each.id for each in entries if each.kind != "macro" and not each.is_hesitation and each.stage != "post_sale"
    ]


def _by_context(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["context"], []).append(row)
    return found


def _together(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add up what is of one group of actors and one age."""
    sums: dict[tuple[int, int], dict[str, Any]] = {}
    for row in rows:
        total = sums.setdefault(
            (row["actor_group"], row["age_days"]),
            {
                "actor_group": row["actor_group"],
                "age_days": row["age_days"],
                "purchase_days": 0,
                "value_micros": 0,
                "last_seen": 0,
            },
        )
        for name in ("purchase_days", "value_micros", "last_seen"):
            total[name] += row[name]
    return list(sums.values())


def _of_contexts(by: FirstBy | None) -> Iterator[str]:
    if by is None:
        return
    if by == "first_channel":
        yield "The first channel is that of the actor's first session in the data."
    else:
        yield (
            "The first micro-conversion is what the actor did first of all that is not macro, hesitation or after the "
            "sale, up to the first purchase; (none) did nothing of that kind."
        )
    yield "(before the data) are actors whose first session in the data was not their first: how they began is unknown."
    yield "Those who begin differently differ in more than that: this does not say what another beginning would bring."


def _again(total: BuyerValue, days: int, goal: str) -> str:
    buyers, within = wording.plural(total.buyers, "buyer"), f"within {wording.plural(days, 'day')}"
    interval = between(total.repeat_low, total.repeat_high, wording.fine_share)
    if not total.came_back:
        return f"none of {buyers} has come to {goal} again{f' {within}{interval}' if days else ''}"
    if total.repeat_rate is None:
        return f"{wording.count(total.came_back)} of {buyers} came to {goal} again so far"
    return (
        f"{wording.fine_share(total.repeat_rate)} of buyers come to {goal} again {within}{interval}, and "
        f"{wording.count(total.came_back)} of {wording.count(total.buyers)} did at any time so far"
    )


def _sentence(total: BuyerValue, groups: Sequence[BuyerValue], found: _Value, currency: str, goal: str) -> str:
    if not total.buyers:
        return f"No {goal} is staged in these days: nobody to value."
    if total.buyers < FEWEST_BUYERS:
        are = "is" if total.buyers == 1 else "are"
        return f"There {are} only {wording.plural(total.buyers, 'buyer')}: {not_enough(total.buyers)}."
    again = _again(total, found.repeat_days, goal)
    if not found.is_worth:
        return f"{wording.capital(again)}; no {goal} has a value."
    if total.value is None:
        return (
            "What a buyer brings after the first day is not told "
            f"({not_enough(found.known_for_long(found.all), 'buyer')} known for longer); the first {goal} is worth "
            f"{wording.money(total.first_value or 0.0, currency)} on average, and {again}."
        )

    def money(value: float) -> str:
        return wording.money(value, currency)

    said = (
        f"A buyer brings {money(total.value)} within {wording.plural(found.horizon, 'day')} of the first {goal}"
        f"{between(total.low, total.high, wording.cents)}, by "
        f"{'the model' if found.models else 'cohort averages'}; {again}."
    )
    known = sorted(
        (row for row in groups if row.value is not None and row.context != BEFORE), key=lambda row: -(row.value or 0.0)
    )
    if len(known) > 1:
        best, worst = known[0], known[-1]
        pairs = math.comb(len(known), 2)
        of_all = "" if pairs == 1 else ", with all pairs taken into account"
        said += (
            f"{_apart_from(groups)} {best.context} brings most ({money(best.value or 0.0)}), {worst.context} least "
            f"({money(worst.value or 0.0)}){'.' if _is_apart(best, worst, pairs) else f'; that may be chance{of_all}.'}"
        )
    return said


def _apart_from(groups: Sequence[BuyerValue]) -> str:
    """Say that those of whom nobody knows how they began are not compared, where they have a value, too."""
    return f" Apart from {BEFORE}," if any(row.context == BEFORE and row.value is not None for row in groups) else ""


def _is_apart(best: BuyerValue, worst: BuyerValue, pairs: int) -> bool:
    """Whether two kinds of buyers differ beyond chance, corrected for all pairs they were chosen from (Bonferroni).

    The interval of a difference is made of the sides of both intervals that face each other, as Newcombe's is.
    """
    if best.value is None or worst.value is None or best.low is None or worst.high is None:
        return False
    wider = NormalDist().inv_cdf(1 - _CHANCE / (2 * pairs)) / NormalDist().inv_cdf(1 - _CHANCE / 2)
    return best.value - worst.value > wider * math.hypot(best.value - best.low, worst.high - worst.value)
