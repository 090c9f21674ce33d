"""What funnels return."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from microconv.analyses.results import frame

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FunnelStep:
    """One step of a funnel.

    `count` is actors or sessions that reached the step; `from_previous` and `from_first` are shares (0 to 1, None when
    the step compared with is empty); `seconds_median` is the median time from the first step to this one, over those
    counted here.
    """

    step: str
    count: int
    from_previous: float | None
    from_first: float | None
    seconds_median: float | None


@dataclass(frozen=True)
class FunnelResult:
    """A funnel by actor or by session."""

    funnel: str
    unit: str
    window_seconds: int
    steps: tuple[FunnelStep, ...]

    def document(self) -> dict[str, Any]:
        """Return the JSON document: `funnel`, `unit`, `window_seconds` and the list `steps`."""
        return asdict(self)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per step, with the columns of `FunnelStep`."""
        return frame(self.steps, FunnelStep)
