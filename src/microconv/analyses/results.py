"""What the analyses return: frozen rows with one JSON form (`document()`) and one tabular form (`to_pandas()`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

CoverageStatus = Literal["ok", "low", "missing"]


def _frame(rows: tuple[Any, ...], row_type: Any) -> pd.DataFrame:  # noqa: ANN401 - a dataclass; there is no type for that
    import pandas as pd  # noqa: PLC0415 - pandas costs 300 ms, and only a caller who wants a frame pays for it

    return pd.DataFrame([asdict(row) for row in rows], columns=[column.name for column in fields(row_type)])


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
        return _frame(self.steps, FunnelStep)


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
        return _frame(self.results, AttributionCredit)


@dataclass(frozen=True)
class CoverageDay:
    """One micro-conversion on one day: what happened, and what its share of traffic on other days lets one expect."""

    event_date: date
    micro_conversion: str
    occurrences: int
    actors: int
    expected: float
    status: CoverageStatus


@dataclass(frozen=True)
class Outage:
    """Consecutive days on which a micro-conversion was missing or far below what was expected."""

    micro_conversion: str
    first_date: date
    last_date: date
    days: int
    occurrences: int
    expected: float
    status: CoverageStatus


@dataclass(frozen=True)
class CoverageResult:
    """Daily coverage of the taxonomy: every staged day for every entry, zeros included."""

    first_date: date | None
    last_date: date | None
    days: tuple[CoverageDay, ...]
    outages: tuple[Outage, ...]
    never_seen: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the JSON document, dates as ISO strings."""
        document: dict[str, Any] = _iso_dates(asdict(self))
        return document

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per day and micro-conversion, with the columns of `CoverageDay`."""
        return _frame(self.days, CoverageDay)


@dataclass(frozen=True)
class ChannelSessions:
    """Sessions of one default channel group."""

    channel_group: str
    sessions: int
    engaged_sessions: int
    actors: int
    page_views: int


@dataclass(frozen=True)
class ChannelResult:
    """Sessions by default channel group, largest first."""

    channels: tuple[ChannelSessions, ...]

    def document(self) -> dict[str, Any]:
        """Return the JSON document: the list `channels`."""
        return asdict(self)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per channel group, with the columns of `ChannelSessions`."""
        return _frame(self.channels, ChannelSessions)


@dataclass(frozen=True)
class StagedSummary:
    """What the staged tables hold."""

    first_date: date | None
    last_date: date | None
    days: int
    provisional_days: int
    events: int
    consentless_events: int
    duplicates_removed: int
    sessions: int
    engaged_sessions: int
    actors: int
    micro_conversions: int

    def document(self) -> dict[str, Any]:
        """Return the JSON document, dates as ISO strings."""
        document: dict[str, Any] = _iso_dates(asdict(self))
        return document


def _iso_dates(value: Any) -> Any:  # noqa: ANN401 - walks any JSON-like tree
    from datetime import date  # noqa: PLC0415 - a type-checking import elsewhere in this module

    if isinstance(value, dict):
        return {key: _iso_dates(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_iso_dates(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value
