"""How values are written for people, in every table, page and sentence: one style for numbers, shares, times, bytes.

Text from the data is untrusted: anybody can send a campaign or a page of any name to a website. `visible` writes it for
terminals, `csv_row` for files that a spreadsheet may open, `message` for errors and logs.
"""

from __future__ import annotations

import calendar
import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

NOTHING = "–"  # noqa: RUF001 - a dash on purpose, for readers
"""Stands where there is no number to show."""

TIB = 2**40
"""The bytes that BigQuery's prices are for."""

_BYTE_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")
_LEAST_MONEY = 0.01
_SPANS = (("d", "day", 86_400), ("h", "hour", 3_600), ("m", "minute", 60), ("s", "second", 1))
_MINUTE = 60

# What a terminal obeys, or nobody sees: control characters (C0, C1), the soft hyphen, marks that turn the direction of
# text, characters without width, other line breaks, halves of surrogate pairs, tags. The two joiners are left: several
# languages, and emojis, are written with them.
_OBEYED = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
# How a spreadsheet knows a formula; the wide forms are those of East Asian keyboards.
_FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")
_MESSAGE_BEGINNING, _MESSAGE_END = 1_400, 600


# Numbers


def text(value: object) -> str:
    """Write what is not a number: nothing for None, yes or no for a truth value, a date as `2026-11-09`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def count(value: int | None) -> str:
    """Write a whole number: `1,234,567`; a dash when there is none."""
    return NOTHING if value is None else f"{value:,}"


def short_count(value: int) -> str:
    """Write a whole number for a narrow place: exact below ten million, then in millions, `49.4 M`."""
    return count(value) if value < 10_000_000 else f"{decimal(value / 1_000_000)} M"  # noqa: PLR2004 - as said


def decimal(value: float | None, digits: int = 1) -> str:
    """Write a number with `digits` decimals: `1,234.5`; a dash when there is none."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:,.{digits}f}"


def cents(value: float | None) -> str:
    """Write a number with two decimals, as money is written."""
    return decimal(value, 2)


def money(value: float, currency: str) -> str:
    """Write an amount with its currency code: `1,234.50 EUR`."""
    return f"{cents(value)} {currency}"


def share(value: float | None) -> str:
    """Write a share (0 to 1) as a percentage with one decimal: `14.0%`; a dash when there is none.

    A share that is not zero never reads as `0.0%`, and one that is not whole never as `100.0%`.
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    if 0 < value < 0.0005:  # noqa: PLR2004 - what one decimal would round to nothing
        return "<0.1%"
    if 0.9995 <= value < 1:  # noqa: PLR2004 - what one decimal would round to all
        return ">99.9%"
    return f"{value:.1%}"


def first_shown(shown: int, of: int) -> str:
    """Say that a table shows the first of several rows: ` The first 10 are shown (more: --top).`; of all, nothing."""
    return f" The first {count(shown)} are shown (more: --top)." if shown < of else ""


def fine_share(value: float | None) -> str:
    """Write a share as `share` does, but what is less than `1.0%` with two significant digits: `0.57%`, `0.012%`.

    It is for rates that are compared: at one decimal, 0.06% and 0.14% are both `0.1%`.
    """
    if value is None or not 0 < value < 0.00995:  # noqa: PLR2004 - as said
        return share(value)
    if value < 0.00001:  # noqa: PLR2004 - as written
        return "<0.001%"
    return f"{value:.{1 - math.floor(math.log10(value)) - 2}%}"


def times(value: float | None) -> str:
    """Write a ratio: `1.25`, `12.5`, `150`; a dash when there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:.2f}" if value < 10 else decimal(value) if value < 100 else decimal(value, 0)  # noqa: PLR2004 - as said


def p_value(value: float | None) -> str:
    """Write a p-value: `0.012`, `<0.001`; a dash when there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return "<0.001" if value < 0.001 else f"{value:.3f}"  # noqa: PLR2004 - as said


def ratio(part: float, whole: float) -> float | None:
    """Return part over whole, None when the whole is empty."""
    return part / whole if whole else None


def plural(value: int, noun: str) -> str:
    """Write a count with its noun: `1 day`, `2 days`."""
    return f"{count(value)} {noun}" if value == 1 else f"{count(value)} {noun}s"


def capital(text: str) -> str:
    """Begin a sentence with a large letter; the rest stays as it is."""
    return f"{text[:1].upper()}{text[1:]}"


def listed(names: Sequence[str], limit: int = 6) -> str:
    """Join names for a sentence: `a, b and c`, or `a, b and 7 more` beyond the limit."""
    shown = list(names[:limit])
    if len(names) > limit:
        shown.append(f"{count(len(names) - limit)} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


# Times


def elapsed(seconds: float | None) -> str:
    """Write a measured time in its two largest units: `6.4 s`, `5 min 37 s`, `2 d 4 h`; a dash when there is none."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if seconds % 1 else f"{seconds:.0f} s"
    left, parts = round(seconds), []
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        amount, left = divmod(left, size)
        parts.append(f"{count(amount)} {name}" if amount else "")
    first = next(index for index, part in enumerate(parts) if part)
    return " ".join(part for part in parts[first : first + 2] if part)


def span(seconds: int) -> str:
    """Write a configured length of time in the largest unit that divides it: `7 days`, `90 minutes`."""
    for _, noun, size in _SPANS:
        if seconds % size == 0:
            return plural(seconds // size, noun)
    return plural(seconds, "second")


def window(written: str) -> str:
    """Write a window as in the configuration (`7d`) in words (`7 days`); other text is returned as it is."""
    match = re.fullmatch(r"(\d+)([dhms])", written)
    if match is None:
        return written
    return span(int(match[1]) * next(size for letter, _, size in _SPANS if letter == match[2]))


def minute(value: datetime | None) -> str:
    """Write a moment to the minute: `2026-11-09 06:31`; nothing for None."""
    return "" if value is None else f"{value:%Y-%m-%d %H:%M}"


def second(value: datetime | None) -> str:
    """Write a moment in UTC to the second: `2026-11-09 06:31:05 UTC`; nothing for None."""
    return "" if value is None else f"{value:%Y-%m-%d %H:%M:%S} UTC"


def day(value: date) -> str:
    """Write a date: `9 November 2026`."""
    return f"{value.day} {calendar.month_name[value.month]} {value.year}"


def period(first: date, last: date) -> str:
    """Write a period without saying a month or year twice: `9 to 11 November 2026`."""
    if first == last:
        return day(last)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} to {day(last)}"
    if first.year == last.year:
        return f"{first.day} {calendar.month_name[first.month]} to {day(last)}"
    return f"{day(first)} to {day(last)}"


# Text from the data


def visible(value: str) -> str:
    """Write text for a terminal: what the terminal would obey, or nobody would see, as an escape (`x1b`, `u202e`)."""
    return _OBEYED.sub(_escaped, value)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")


def message(value: str) -> str:
    """Write an error or a warning on one line, for a terminal or a log; beyond 2,000 characters it loses its middle.

    The beginning says what went wrong, the end what to do.
    """
    written = visible(value)
    if len(written) <= _MESSAGE_BEGINNING + _MESSAGE_END:
        return written
    return f"{written[:_MESSAGE_BEGINNING].rstrip()} … {written[-_MESSAGE_END:].lstrip()}"


def csv_row(values: Iterable[object]) -> str:
    """Write a line of CSV, without its end; what is unknown is empty.

    Text that a spreadsheet would take for a formula (it begins with `=`, `+`, `-`, `@`, a tab or a line break) gets an
    apostrophe before it. Numbers stay numbers, negative ones too.
    """
    line = io.StringIO()
    # With this end of a line, the writer puts both kinds of line breaks into quotes.
    csv.writer(line, lineterminator="\r\n").writerow([_csv_value(value) for value in values])
    return line.getvalue().removesuffix("\r\n")


def _csv_value(value: object) -> object:
    is_formula = isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return f"'{value}" if is_formula else value


# What reading costs


def billed(size: int | None) -> str:
    """Write the bytes that were billed: as `human_bytes`, a dash for nothing."""
    return human_bytes(size) if size else NOTHING


def human_bytes(size: int) -> str:
    """Write a number of bytes in the binary unit that keeps it short: `512 B`, `1.5 GiB`."""
    value, unit = float(size), "B"
    for larger in _BYTE_UNITS:
        # What would be rounded to 1024 of a unit is 1 of the next.
        if round(value, 1) < 1024:  # noqa: PLR2004 - binary units
            break
        value, unit = value / 1024, larger
    return f"{size} B" if unit == "B" else f"{value:,.1f} {unit}"


def price_of_bytes(size: int, price_per_tib: float) -> float:
    """Return the money that reading so many bytes costs, in the currency of the price."""
    return size / TIB * price_per_tib


def dollars_for_bytes(size: int, price_per_tib: float) -> str:
    """Write the money that reading so many bytes costs: `$1.25`; what rounds to nothing is `under $0.01`."""
    cost = price_of_bytes(size, price_per_tib)
    return f"under ${_LEAST_MONEY}" if 0 < cost < _LEAST_MONEY else f"${cost:,.2f}"


# Tables and charts


@dataclass(frozen=True)
class Heading:
    """The head of a column: its label, and how its values are written. Numbers stand to the right.

    `is_whole`: in a narrow place, too, the values are not broken, so that they can be copied.
    """

    label: str
    write: Callable[[Any], str] = text
    is_whole: bool = False

    @property
    def is_number(self) -> bool:
        """Whether the column holds numbers."""
        return self.write not in (text, minute)


@dataclass(frozen=True)
class Sheet:
    """A table for people: a title, headings, and rows of values, one for each heading; `foot` are rows below a line."""

    title: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Any, ...], ...]
    foot: tuple[tuple[Any, ...], ...] = ()

    def cells(self) -> list[list[str]]:
        """Return the rows as they are written."""
        return [self._written(row) for row in self.rows]

    def foot_cells(self) -> list[list[str]]:
        """Return the rows below the line as they are written."""
        return [self._written(row) for row in self.foot]

    def _written(self, row: tuple[Any, ...]) -> list[str]:
        return [heading.write(value) for heading, value in zip(self.headings, row, strict=True)]


class Verbatim(str):
    """Text that is copied, such as SQL: on a narrow terminal too, its lines stay whole."""

    __slots__ = ()


@dataclass(frozen=True)
class Bar:
    """One bar of a chart: its length against the longest, and what is written behind it."""

    label: str
    value: float
    note: str


def iso_dates(value: Any) -> Any:  # noqa: ANN401 - walks any JSON-like tree
    """Return a JSON-like tree with its dates as ISO strings."""
    if isinstance(value, dict):
        return {key: iso_dates(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [iso_dates(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value
