"""What the analyses return: frozen rows with one JSON form (`document()`) and one tabular form (`to_pandas()`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, ClassVar

from microconv.wording import iso_dates

if TYPE_CHECKING:
    import pandas as pd

START, EXIT, OTHER = "(start)", "(exit)", "(other)"
"""What stands where a journey begins, where nothing follows, and for all but the most frequent; so in the templates."""


def frame(rows: tuple[Any, ...], row_type: Any) -> pd.DataFrame:  # noqa: ANN401 - a dataclass; there is no type for that
    """Return one row per item of `rows`, with the fields of the dataclass `row_type` as columns."""
    import pandas as pd

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
