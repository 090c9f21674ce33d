"""What attribution returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from microconv.analyses.results import Result

if TYPE_CHECKING:
    from datetime import date

    from microconv.analyses.attribution.spend import ReturnResult


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
