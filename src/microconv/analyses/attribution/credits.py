"""Which touchpoints earn the credit for a conversion, by every model and over several lookback windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from microconv import wording
from microconv.analyses.amounts import UNITS_OF_VALUE, Amount, in_words, listed, read_amounts
from microconv.analyses.attribution.attribution_question import AttributionQuestion, left_out
from microconv.analyses.attribution.spend import (
    SPEND_TEMPLATE,
    AttributionCredit,
    Return,
    ReturnResult,
    Spend,
    join_spend,
    read_spend,
    spend_query,
)
from microconv.errors import BudgetError, ConfigError, EngineError, MicroconvError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context
from microconv.result import Result, column, pivot, sheet
from microconv.wording import Bar, Heading, Sheet

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

Earned = Mapping[str, tuple[float, float]]
"""Credit and value by touchpoint."""

# The template sums whole numbers of such units, so that a result does not depend on the order of adding.
UNITS_OF_CREDIT = 10**10


@dataclass(frozen=True)
class Untouched:
    """Conversions that had no touchpoint within the window: reported, never spread over the others."""

    window: str = column("window")
    conversions: int = column("conversions", wording.count)
    value: float = column("value", wording.cents)


@dataclass(frozen=True)
class RemovalEffect:
    """The share (0 to 1) of conversions that a Markov chain would lose if journeys ended on reaching the touchpoint."""

    window: str = column("window")
    touchpoint: str = column("touchpoint")
    effect: float = column("effect", wording.share)


@dataclass(frozen=True)
class AttributionResult(Result):
    """Credit per model, window and touchpoint; with `untouched`, those of a model and window sum to `conversions`.

    Attributes:
        goal: The micro-conversion that is credited.
        conversions: How many counted.
        value: Their value, in the project's currency; what is in another one is not in it.
        results: By model as configured, window ascending, credit descending, touchpoint.
        untouched: By window.
        assumptions: What the figures rest on.
        touchpoint: What touchpoints are: `channel_group`, `source_medium`, `campaign`, `landing_page` or
            `micro_conversion`.
        count: Which conversions count: `each`, or the first of `actors` or `sessions`.
        reset_after_conversion: Whether a conversion looks back no further than to the one before.
        direct: What became of direct sessions: `keep`, `drop_trailing` or `drop`.
        since: The first day of conversion asked for; None where there was no bound.
        until: The last.
        shapley_game: The game that the model shapley played; None without that model.
        removal_effects: Of the model markov, by window, the largest first.
        shortened_journeys: By window, journeys whose path lost its beginning to the limit of its length.
        left_out_actors: Actors with too many pairs of touchpoints and conversions.
        left_out_conversions: Their conversions, which count as untouched.
        currency: The project's currency.
        amounts: What conversions are worth by the currency that their events name, the project's first; nothing where
            the taxonomy gives the goal a value of its own.
        spend: Cost and return; None without spend.
        sentence: The result in one sentence.
    """

    row_type: ClassVar[type] = AttributionCredit

    goal: str
    conversions: int
    value: float
    results: tuple[AttributionCredit, ...]
    untouched: tuple[Untouched, ...]
    assumptions: tuple[str, ...]
    touchpoint: str = "channel_group"
    count: str = "each"
    reset_after_conversion: bool = False
    direct: str = "keep"
    since: date | None = None
    until: date | None = None
    shapley_game: str | None = None
    removal_effects: tuple[RemovalEffect, ...] = ()
    shortened_journeys: tuple[int, ...] = ()
    left_out_actors: int = 0
    left_out_conversions: int = 0
    currency: str = ""
    amounts: tuple[Amount, ...] = ()
    spend: ReturnResult | None = None
    sentence: str = ""

    @property
    def rows(self) -> tuple[AttributionCredit, ...]:
        """The credits."""
        return self.results

    def sheets(self) -> Iterator[Sheet | str]:
        """Show one table per window, touchpoints down and models across; then cost and return."""
        for untouched in self.untouched:
            yield pivot(
                f"{self.goal}, window {untouched.window}, conversions: {wording.count(self.conversions)}, "
                f"untouched: {wording.count(untouched.conversions)}",
                {(row.touchpoint, row.model): row.credit for row in self.results if row.window == untouched.window},
                down=Heading("touchpoint"),
                write=lambda credit: wording.decimal(credit or 0.0),
            )
        if self.has_other_currencies:
            yield sheet(f"Value by currency, in {self.currency} where it counts", self.amounts, Amount)
        if self.spend is not None:
            for window in dict.fromkeys(row.window for row in self.spend.rows):
                rows = [row for row in self.spend.rows if row.window == window]
                yield sheet(f"Cost and return, window {window}", rows, Return, without=("window", "value"))
            yield self.spend.sentence

    @property
    def has_other_currencies(self) -> bool:
        """Whether there are values in another currency than the project's, or in none."""
        return any(each.currency != self.currency for each in self.amounts)

    @property
    def left_out_amounts(self) -> str:
        """What conversions are worth that is not in `value`, in words; empty where everything counts."""
        return listed(each for each in self.amounts if each.value is None)

    def bars(self) -> tuple[Bar, ...]:
        """One bar per touchpoint and model, within the widest window."""
        widest = self.untouched[-1].window
        return tuple(
            Bar(f"{row.touchpoint}, {row.model}", row.credit, wording.decimal(row.credit))
            for row in self.results
            if row.window == widest
        )


class Attribution(AttributionQuestion):
    """Credit touchpoints for the goal, by every configured model and lookback window; options change them.

    What the figures rest on is printed with them. Conversions without a touchpoint are reported as untouched.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "attribution",
        "attribution --compare",
        "attribution --touchpoint micro_conversion --window 7d --model linear --model shapley",
        "-c shop.toml attribution --goal begin_checkout --count sessions --format csv",
    )

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the queries of the rule models, of the paths where a model learns from them, and of spend."""
        self._refuse_spend_on_events()
        touchpoints = self.touchpoints(context)
        asked = [self.rules_query(context, touchpoints)]
        if self.learns:
            asked.append(self.paths_query(context, touchpoints))
        if (amounts := self.amounts_query(context)) is not None:
            asked.append(amounts)
        if self.spend_table is not None:
            asked.append(spend_query(self.spend_table))
        return tuple(asked)

    def result(self, tables: Sequence[pa.Table], context: Context) -> AttributionResult:
        """Give credit by every model; a touchpoint has no row for a window in which it touched no conversion."""
        rows = tables[0].to_pylist()
        learned = _learned(self, self.touchpoints(context), tables[1]) if self.learns else _Learned()
        results = tuple(_credits(self, rows, learned))
        goal = self.goal_in(context.taxonomy)
        conversions = round(_credit(sum(row["credit_first_1"] for row in rows)))
        untouched = tuple(_untouched(self, rows))
        spend = self._spend(results, tables, context)
        project = context.config.project
        amounts = self._amounts(tables, context)
        actors, lost = (sum(row[name] for row in rows) for name in ("left_out_actors", "left_out_conversions"))
        return AttributionResult(
            goal=goal,
            conversions=conversions,
            value=_value(sum(row["value_first_1"] for row in rows)),
            results=results,
            untouched=untouched,
            assumptions=(
                *self.assumptions(goal),
                *self.beyond_what_is_staged(context),
                *left_out(actors, lost),
                *learned.assumptions,
                *in_words(amounts, project.currency, is_assumed=project.assume_currency),
                *(spend.assumptions if spend else ()),
            ),
            touchpoint=self.touchpoint,
            count=self.count,
            reset_after_conversion=self.reset_after_conversion,
            direct=self.direct,
            since=self.since,
            until=self.until,
            shapley_game=self.shapley_game if "shapley" in self.models else None,
            removal_effects=tuple(learned.removal_effects),
            shortened_journeys=tuple(learned.shortened),
            left_out_actors=actors,
            left_out_conversions=lost,
            currency=project.currency,
            amounts=amounts,
            spend=spend,
            sentence=_sentence(goal, conversions, results, untouched[-1]),
        )

    def failure(self, query: Query, error: EngineError) -> MicroconvError:
        """Name the key, where the table of spend cannot be read."""
        if query.name != SPEND_TEMPLATE or isinstance(error, BudgetError):
            return error
        return ConfigError(
            f"attribution.spend_table = {self.spend_table!r} cannot be read ({error.message.rstrip('.')}).",
            hint="Check its name and columns; docs/attribution.md lists them.",
        )

    def _refuse_spend_on_events(self) -> None:
        """Refuse spend on touchpoints that are not sessions: nobody pays for a micro-conversion."""
        if self.touchpoint == "micro_conversion" and (self.spend_file or self.spend_table):
            raise ConfigError(
                'attribution has spend, and touchpoint = "micro_conversion", which costs nothing.',
                hint='Leave spend out, or use touchpoint = "channel_group" (or another of sessions).',
            )

    def _amounts(self, tables: Sequence[pa.Table], context: Context) -> tuple[Amount, ...]:
        if self.amounts_query(context) is None:
            return ()
        return read_amounts(tables[2 if self.learns else 1].to_pylist(), context.config.project.currency)

    def _spend(
        self, results: Sequence[AttributionCredit], tables: Sequence[pa.Table], context: Context
    ) -> ReturnResult | None:
        if self.spend_file is None and self.spend_table is None:
            return None
        (staged,) = context.look_up(templates.query("operations/span"))
        first, last = self.since or staged["first_date"], self.until or staged["last_date"]
        if first is None or last is None:
            return None
        costs: Sequence[Spend]
        if self.spend_file is not None:
            costs = read_spend(self.spend_file)
        else:
            costs = [Spend(**row) for row in tables[-1].to_pylist()]
        windows = [window.text for window in self.windows]
        return join_spend(results, costs, models=self.models, windows=windows, first=first, last=last)


@dataclass
class _Learned:
    """What the models say that learn from paths: by model and number of the window, and what goes with it."""

    earned: dict[tuple[str, int], Earned] = field(default_factory=dict)
    removal_effects: list[RemovalEffect] = field(default_factory=list)
    shortened: list[int] = field(default_factory=list)
    assumptions: tuple[str, ...] = ()


def _learned(asked: AttributionQuestion, names: tuple[str, ...], table: pa.Table) -> _Learned:
    # These load numpy; who asks for rules alone does without.
    import pyarrow.compute as pc

    from microconv.analyses.attribution.markov import markov
    from microconv.analyses.attribution.shapley import shapley
    from microconv.analyses.attribution.touch_paths import TouchPaths

    learned = _Learned()
    said: dict[str, None] = {}
    for number, window in enumerate(asked.windows, start=1):
        of_window = table.filter(pc.equal(table["window_number"], number))
        learned.shortened.append(sum(of_window["shortened"].to_pylist()))
        paths = TouchPaths.read(of_window, names).transformed(asked.path)
        if "markov" in asked.models:
            chain = markov(paths, order=asked.markov_order, self_loops=asked.self_loops)
            learned.earned["markov", number] = _by_name(names, chain.conversions, chain.values)
            effects = [
                RemovalEffect(window.text, name, float(effect))
                for name, effect in zip(names, chain.removal_effects, strict=True)
                if effect > 0
            ]
            learned.removal_effects += sorted(effects, key=lambda row: (-row.effect, row.touchpoint))
            said |= dict.fromkeys(chain.assumptions)
        if "shapley" in asked.models:
            game = shapley(paths, game=asked.shapley_game)
            learned.earned["shapley", number] = _by_name(names, game.conversions, game.values)
            said |= dict.fromkeys(game.assumptions)
    learned.assumptions = tuple(said)
    return learned


def _by_name(names: Sequence[str], credit: NDArray[np.float64], value: NDArray[np.float64]) -> Earned:
    return {
        name: (float(earned), float(worth)) for name, earned, worth in zip(names, credit, value, strict=True) if earned
    }


def _credits(asked: AttributionQuestion, rows: Sequence[dict[str, Any]], learned: _Learned) -> list[AttributionCredit]:
    found: list[AttributionCredit] = []
    for model in asked.models:
        for number, window in enumerate(asked.windows, start=1):
            # Linear credit is never zero where there was a touch.
            touched = [row for row in rows if row["touchpoint"] is not None and row[f"credit_linear_{number}"] > 0]
            earned = learned.earned.get((model, number))
            if earned is None:
                earned = {
                    row["touchpoint"]: (
                        _credit(row[f"credit_{model}_{number}"]),
                        _value(row[f"value_{model}_{number}"]),
                    )
                    for row in touched
                }
            names = {*(row["touchpoint"] for row in touched), *earned}
            of_window = [
                AttributionCredit(model, window.text, name, *earned.get(name, (0.0, 0.0))) for name in sorted(names)
            ]
            found += sorted(of_window, key=lambda row: -row.credit)
    return found


def _untouched(asked: AttributionQuestion, rows: Sequence[dict[str, Any]]) -> list[Untouched]:
    nowhere = next((row for row in rows if row["touchpoint"] is None), None)
    return [
        Untouched(window.text, 0, 0.0)
        if nowhere is None
        else Untouched(
            window.text,
            round(_credit(nowhere[f"credit_first_{number}"])),
            _value(nowhere[f"value_first_{number}"]),
        )
        for number, window in enumerate(asked.windows, start=1)
    ]


def _credit(units: int) -> float:
    return units / UNITS_OF_CREDIT


def _value(units: int) -> float:
    return units / UNITS_OF_VALUE


def _sentence(goal: str, conversions: int, results: Sequence[AttributionCredit], untouched: Untouched) -> str:
    """Say who leads within the widest window, and what had no touchpoint there."""
    if conversions == 0:
        return f"No {goal} was counted, so no touchpoint gets credit."
    window = wording.window(untouched.window)
    every = f"all {wording.count(conversions)} conversions" if conversions > 1 else "the only conversion"
    lost = (
        f"{wording.count(untouched.conversions)} of {wording.plural(conversions, 'conversion')} had no touchpoint"
        if untouched.conversions
        else f"{every} had a touchpoint"
    )
    leaders: dict[str, int] = {}
    models = set()
    for row in results:
        if row.window == untouched.window and row.model not in models:
            models.add(row.model)
            leaders[row.touchpoint] = leaders.get(row.touchpoint, 0) + 1
    if not leaders:
        return f"Within {window}, {lost}, so no touchpoint gets credit."
    leader, votes = max(leaders.items(), key=lambda item: item[1])
    by = f"{votes} of {len(models)} models" if len(models) > 1 else next(iter(models))
    return f"Within {window}, {leader} earns most by {by}; {lost}."
