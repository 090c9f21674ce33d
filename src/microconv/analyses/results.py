"""What the analyses return: frozen rows with one JSON form (`document()`) and one tabular form (`to_pandas()`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

START, EXIT, OTHER = "(start)", "(exit)", "(other)"
"""What stands where a journey begins, where nothing follows, and for all but the most frequent; so in the templates."""

CoverageStatus = Literal["ok", "low", "missing"]


def frame(rows: tuple[Any, ...], row_type: Any) -> pd.DataFrame:  # noqa: ANN401 - a dataclass; there is no type for that
    """Return one row per item of `rows`, with the fields of the dataclass `row_type` as columns."""
    import pandas as pd  # noqa: PLC0415 - pandas costs 300 ms, and only a caller who wants a frame pays for it

    return pd.DataFrame([asdict(row) for row in rows], columns=[column.name for column in fields(row_type)])


class Result(ABC):
    """What an analysis returns: rows of one class, and the assumptions they rest on; subclasses are dataclasses."""

    analysis: ClassVar[str]
    """Name of the analysis, as in `mc_result_<analysis>`."""
    row_type: ClassVar[type]
    """Class of the rows: a dataclass of plain values."""
    assumptions: tuple[str, ...]

    @property
    @abstractmethod
    def rows(self) -> tuple[Any, ...]:
        """The rows that tables, CSV and saved results show."""

    def document(self) -> dict[str, Any]:
        """Return the JSON document: every attribute, dates as ISO strings."""
        document: dict[str, Any] = iso_dates(asdict(self))  # type: ignore[call-overload]  # subclasses are dataclasses
        return document

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per item of `rows`, with the fields of their class as columns."""
        return frame(self.rows, self.row_type)


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
        document: dict[str, Any] = iso_dates(asdict(self))
        return document

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per day and micro-conversion, with the columns of `CoverageDay`."""
        return frame(self.days, CoverageDay)


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
        return frame(self.channels, ChannelSessions)


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
        document: dict[str, Any] = iso_dates(asdict(self))
        return document


def iso_dates(value: Any) -> Any:  # noqa: ANN401 - walks any JSON-like tree
    """Return a JSON-like tree with its dates as ISO strings."""
    from datetime import date  # noqa: PLC0415 - a type-checking import elsewhere in this module

    if isinstance(value, dict):
        return {key: iso_dates(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [iso_dates(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value
