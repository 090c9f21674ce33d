"""What a buyer is worth: by what they did first, or where they came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

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
from microconv.stats.intervals import wilson
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
_LABELS = {None: "buyers", "first_micro_conversion": "did first", "first_channel": "came first by"}


@dataclass(frozen=True)
class BuyerValue:
    """What buyers of one kind are worth; what cannot be told is None, and `basis` says why.

    `purchases` and `value` are those of one buyer within the horizon, the first purchase included; `first_value` is
    what the first one is worth.
    """

    context: str = column("buyers")
    buyers: int = column("number", wording.count)
    came_back: int = column("bought again", wording.count)
    repeat_rate: float | None = column("repeat rate", wording.share)
    repeat_low: float | None = column("from", wording.share)
    repeat_high: float | None = column("to", wording.share)
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
        yield sheet(
            f"Value of a buyer from the first {self.goal}, {within}, in {self.currency}",
            self.rows,
            BuyerValue,
            labels={"context": _LABELS[self.by]},
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
    horizon: Length = Field(
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

        self.by = asked.by
        first, last = staged_days(context)
        self.days = (last - first).days + 1
        self.asked_days = max(asked.horizon.seconds // _DAY_SECONDS, 1)
        of_ages, self.customers, self.held_out = rows
        ages = max((row["age_days"] for row in of_ages), default=0) + 1
        self.all = ByAge.read(_together(of_ages), ages)
        by_context = _by_context(of_ages) if asked.by else {}
        self.groups = {name: ByAge.read(each, ages) for name, each in by_context.items()}
        self.is_worth = bool(self.all.value.any())
        self.models: dict[str, ValueModel] = {}
        self.why: str | None = None
        self._fit(_held_out_days(first, last))
        self.horizon = min(self.asked_days, self.days * MOST_FORESIGHT) if self.models else self._reach()

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
        buyers = by_age.buyers
        came_back = sum(row["customers"] for row in customers if row["repeats"])
        enough = buyers >= FEWEST_BUYERS
        repeat = wilson(came_back, buyers) if enough else None
        found = self._estimate(name, by_age) if enough else None
        worth = found if self.is_worth else None
        return BuyerValue(
            context=name,
            buyers=buyers,
            came_back=came_back,
            repeat_rate=came_back / buyers if enough else None,
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
        if self.models or by_age.known(self.horizon) < FEWEST_KNOWN:
            return None
        return by_age.average(self.horizon)

    def _basis(self, by_age: ByAge, found: Worth | None) -> str:
        if found is not None:
            return "model" if self.models else "cohort averages"
        return not_enough(by_age.buyers if by_age.buyers < FEWEST_BUYERS else by_age.known(self.horizon))

    def assumptions(self) -> Iterator[str]:
        """Say how value was found, and how far it reaches."""
        days = wording.plural(self.horizon, "day")
        if self.models:
            model = self.models[ALL]
            yield (
                "When buyers come back is told by BG/NBD, and what they pay by Gamma-Gamma (Fader and Hardie); "
                f"{model.checked}. Intervals are those of the fit, at 95%."
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


def _sentence(total: BuyerValue, groups: Sequence[BuyerValue], found: _Value, currency: str, goal: str) -> str:
    if not total.buyers:
        return f"No {goal} is staged in these days: nobody to value."
    if total.repeat_rate is None:
        are = "is" if total.buyers == 1 else "are"
        return f"There {are} only {wording.plural(total.buyers, 'buyer')}: {not_enough(total.buyers)}."
    again = (
        f"{wording.share(total.repeat_rate) if total.came_back else 'none'} of {wording.plural(total.buyers, 'buyer')} "
        "bought again"
        f"{between(total.repeat_low, total.repeat_high, wording.share)}"
    )
    if total.value is None:
        why = "purchases have no value" if not found.is_worth else "what they bring cannot be told yet"
        return f"{wording.capital(again)}; {why}."

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
        apart = best.low is not None and worst.high is not None and best.low > worst.high
        said += (
            f" {best.context} brings most ({money(best.value or 0.0)}), {worst.context} least "
            f"({money(worst.value or 0.0)})" + ("." if apart else "; their intervals overlap, so that may be chance.")
        )
    return said
