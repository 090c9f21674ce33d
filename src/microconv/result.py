"""What every answer is: frozen rows, a sentence, and what they rest on; with one form as JSON, as CSV, as tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from microconv.wording import Bar, Heading, Sheet, csv_row, iso_dates, text

if TYPE_CHECKING:
    import pandas as pd

START, EXIT, OTHER = "(start)", "(exit)", "(other)"
"""What stands where a journey begins, where nothing follows, and for all but the most frequent; so in the templates."""


def column(
    label: str,
    write: Callable[[Any], str] = text,
    *,
    is_whole: bool = False,
    **more: Any,  # noqa: ANN401 - as `dataclasses.field`
) -> Any:  # noqa: ANN401 - as `dataclasses.field`
    """Return a field of a row: what heads its column for people, and how its values are written.

    Args:
        label: The head of the column.
        write: A function of `microconv.wording`.
        is_whole: Whether its values are not broken where room is scarce.
        more: What `dataclasses.field` takes besides, such as `default`.
    """
    return field(metadata={"heading": Heading(label, write, is_whole)}, **more)


class Result(ABC):
    """Rows of one class, what they say in a sentence, and the assumptions they rest on; subclasses are dataclasses."""

    row_type: ClassVar[type]
    """Class of the rows: a dataclass of plain values, whose fields are `column`s."""
    sentence: str
    assumptions: tuple[str, ...]

    @property
    @abstractmethod
    def rows(self) -> tuple[Any, ...]:
        """The rows that tables, CSV and saved results show."""

    @property
    def title(self) -> str:
        """What the table of the rows is called."""
        return ""

    def sheets(self) -> Iterable[Sheet | str]:
        """Return the tables that people read, and sentences between them; by default one table of the rows."""
        return (sheet(self.title, self.rows, self.row_type),)

    def bars(self) -> Sequence[Bar]:
        """Return the bars of the chart that `--chart` draws."""
        return ()

    def document(self) -> dict[str, Any]:
        """Return the JSON document: every attribute, dates as ISO strings."""
        document: dict[str, Any] = iso_dates(asdict(self))  # type: ignore[call-overload]  # subclasses are dataclasses
        return document

    def csv(self) -> str:
        """Return the rows as CSV below a line of headings, without the last line break; see `wording.csv_row`."""
        names = [each.name for each in fields(self.row_type)]
        rows = ([getattr(row, name) for name in names] for row in self.rows)
        return "\n".join(csv_row(row) for row in (names, *rows))

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per item of `rows`, with the fields of their class as columns."""
        import pandas as pd  # costs 300 ms, and only a caller who wants a frame pays for it

        names = [each.name for each in fields(self.row_type)]
        return pd.DataFrame([asdict(row) for row in self.rows], columns=names)


def sheet(
    title: str,
    rows: Iterable[Any],
    row_type: type,
    *,
    labels: Mapping[str, str] | None = None,
    without: Collection[str] = (),
    only: Sequence[str] = (),
) -> Sheet:
    """Return rows of a class as a table, a column for each field.

    Args:
        title: Its title.
        rows: Instances of `row_type`.
        row_type: A dataclass whose fields are `column`s.
        labels: Other labels, by field: where the label depends on what was asked.
        without: Fields to leave out.
        only: The fields to show, in this order; all when empty.
    """
    known = {each.name: each for each in fields(row_type) if each.name not in without}
    shown = [known[name] for name in only or known]
    headings = [
        replace(heading, label=(labels or {}).get(each.name, heading.label))
        for each in shown
        for heading in [each.metadata["heading"]]
    ]
    values = (tuple(getattr(row, each.name) for each in shown) for row in rows)
    return Sheet(title, tuple(headings), tuple(values))


def pivot(
    title: str,
    cells: Mapping[tuple[Hashable, Hashable], Any],
    *,
    down: Heading,
    write: Callable[[Any], str],
    label: Callable[[Any], str] = str,
    beside: Mapping[Heading, Callable[[Any], Any]] | None = None,
) -> Sheet:
    """Return a table with the first of each pair down and the second across, both in their order of appearance.

    Args:
        title: Its title.
        cells: The value of each pair.
        down: The heading of the first column.
        write: How the values are written.
        label: How the second of a pair heads its column.
        beside: Further columns, from the first of the pair.
    """
    rows, columns = (tuple(dict.fromkeys(pair[place] for pair in cells)) for place in (0, 1))
    more = beside or {}
    return Sheet(
        title,
        (down, *(Heading(label(each), write) for each in columns), *more),
        tuple((row, *(cells.get((row, each)) for each in columns), *(of(row) for of in more.values())) for row in rows),
    )
