"""What attribution returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from microconv.result import Result, frame

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class AttributionCredit:
    """What one model gives one touchpoint within one lookback window; `value` in the project's currency."""

    model: str
    window: str
    touchpoint: str
    credit: float
    value: float


@dataclass(frozen=True)
class Untouched:
    """Conversions that had no touchpoint within the window: reported, never spread over the others."""

    window: str
    conversions: int
    value: float


@dataclass(frozen=True)
class RemovalEffect:
    """The share (0 to 1) of conversions that a Markov chain would lose if journeys ended on reaching the touchpoint."""

    window: str
    touchpoint: str
    effect: float


@dataclass(frozen=True)
class Return:
    """What a model credits a touchpoint with, beside what was spent on it.

    `cost_per_conversion` is None where there is no credit, `return_on_spend` (value per unit of cost) where there is
    no cost.
    """

    model: str
    window: str
    touchpoint: str
    credit: float
    value: float
    cost: float
    cost_per_conversion: float | None
    return_on_spend: float | None


@dataclass(frozen=True)
class ReturnResult:
    """Cost and return by model, window and touchpoint.

    `without_credit` names the touchpoints that cost money and have no credit by any model in any window;
    `cost_outside_days` is what was spent before `first` or after `last`, and is in no row.
    """

    first: date
    last: date
    rows: tuple[Return, ...]
    without_credit: tuple[str, ...]
    cost_outside_days: float
    sentence: str
    assumptions: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the JSON document, dates as ISO strings."""
        return {**asdict(self), "first": self.first.isoformat(), "last": self.last.isoformat()}

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per model, window and touchpoint, with the columns of `Return`."""
        return frame(self.rows, Return)


@dataclass(frozen=True)
class AttributionResult(Result):
    """Credit per model, window and touchpoint; with `untouched`, those of a model and window sum to `conversions`.

    Attributes:
        conversion: The micro-conversion that is credited.
        conversions: How many counted.
        value: Their value, in the project's currency.
        results: By model as configured, window ascending, credit descending, touchpoint.
        untouched: By window.
        assumptions: What the figures rest on.
        touchpoint: What touchpoints are: `channel_group`, `source_medium`, `campaign`, `landing_page` or
            `micro_conversion`.
        count: Which conversions count: `each`, or the first of `actors` or `sessions`.
        since: How far a conversion looks back: `window`, or not beyond the `last_conversion`.
        first_date: The first day of conversion asked for; None where there was no bound.
        last_date: The last.
        shapley_game: The game that the model shapley played; None without that model.
        removal_effects: Of the model markov, by window, the largest first.
        shortened_journeys: By window, journeys whose path lost its beginning to the limit of its length.
        spend: Cost and return; None without spend.
        sentence: The result in one sentence.
    """

    analysis: ClassVar[str] = "attribution"
    row_type: ClassVar[type] = AttributionCredit

    conversion: str
    conversions: int
    value: float
    results: tuple[AttributionCredit, ...]
    untouched: tuple[Untouched, ...]
    assumptions: tuple[str, ...]
    touchpoint: str = "channel_group"
    count: str = "each"
    since: str = "window"
    first_date: date | None = None
    last_date: date | None = None
    shapley_game: str | None = None
    removal_effects: tuple[RemovalEffect, ...] = ()
    shortened_journeys: tuple[int, ...] = ()
    spend: ReturnResult | None = None
    sentence: str = ""

    @property
    def rows(self) -> tuple[AttributionCredit, ...]:
        """The credits."""
        return self.results
