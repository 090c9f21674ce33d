"""What attribution returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from microconv.analyses.results import frame

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
class AttributionResult:
    """Credit per model, window and touchpoint; with `untouched`, those of a model and window sum to `conversions`."""

    conversion: str
    conversions: int
    value: float
    results: tuple[AttributionCredit, ...]
    untouched: tuple[Untouched, ...]
    assumptions: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the JSON document: `conversion`, `conversions`, `value`, `results`, `untouched`, `assumptions`."""
        return asdict(self)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per model, window and touchpoint, with the columns of `AttributionCredit`."""
        return frame(self.results, AttributionCredit)
