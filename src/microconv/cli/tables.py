"""How tables and charts are drawn: they fit the width there is, numbers and words stay whole, and nothing is cut off.

Where a table does not fit, its cells are folded between words. Where that is not enough, its columns come in several
parts below each other, each of which begins with the columns that say what a row is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from microconv.wording import Bar, Heading, Sheet, visible

if TYPE_CHECKING:
    from rich.table import Table

_LONGEST_WORD = 32
"""Longer words, such as addresses, may be folded, after a sign that parts them where there is one."""
_LONGEST_BAR, _SHORTEST_BAR = 50, 10
_PART = re.compile(r"[^/?&=.,;:_-]*[/?&=.,;:_-]?")


@dataclass(frozen=True)
class _Column:
    """A column as it is written, with the width it would like and the width below which words would break."""

    place: int
    heading: Heading
    cells: tuple[str, ...]

    @cached_property
    def natural(self) -> int:
        return max(map(_width, (self.heading.label, *self.cells)))

    @cached_property
    def least(self) -> int:
        if self.heading.is_number or self.heading.is_whole:
            return max(map(_width, [*self.cells, *self.heading.label.split()]), default=0)
        words = [word for text in (self.heading.label, *self.cells) for word in text.split()]
        return min(max(map(_width, words), default=0), _LONGEST_WORD)


def tables(sheet: Sheet, width: int, *, is_cut: bool) -> list[Table]:
    """Return a table of `rich`, or the parts of one.

    Args:
        sheet: What is shown; what a terminal would obey is escaped here.
        width: The width there is.
        is_cut: Whether a line that is longer would be cut or broken: then there are parts.
    """
    rows, foot = ([[visible(text) for text in row] for row in part] for part in (sheet.cells(), sheet.foot_cells()))
    columns = [
        _Column(
            place,
            Heading(visible(heading.label), heading.write, heading.is_whole),
            tuple(row[place] for row in (*rows, *foot)),
        )
        for place, heading in enumerate(sheet.headings)
    ]
    is_tight = _needed([column.natural for column in columns], is_tight=False) > width
    least = _needed([column.least for column in columns], is_tight=is_tight)
    parts = [columns] if least <= width or not is_cut else _parts(columns, width)
    room = width if is_cut else max(width, least)
    return [
        _table(visible(sheet.title) if part is parts[0] else "", part, room, len(rows), is_tight=is_tight)
        for part in parts
    ]


def chart(bars: Sequence[Bar], width: int) -> Table:
    """Draw one bar a line, the longest as wide as the chart."""
    from rich import box
    from rich.bar import Bar as Drawn
    from rich.table import Table
    from rich.text import Text

    longest = max((bar.value for bar in bars), default=0)
    labels, notes = [visible(bar.label) for bar in bars], [visible(bar.note) for bar in bars]
    room = width - max(map(_width, notes), default=0) - 10  # what stands between and around the three
    bar_width = max(_SHORTEST_BAR, min(_LONGEST_BAR, room - max(map(_width, labels), default=0)))
    label_width = max(1, room - bar_width)
    made = Table(box=box.SIMPLE, show_header=False)
    made.add_column(no_wrap=True)
    made.add_column(width=bar_width)
    made.add_column(justify="right", no_wrap=True)
    for bar, label, note in zip(bars, labels, notes, strict=True):
        drawn = Drawn(longest, 0, bar.value, width=bar_width) if longest > 0 else ""
        made.add_row(Text(_folded(label, label_width)), drawn, Text(note))
    return made


def _table(title: str, columns: Sequence[_Column], width: int, rows: int, *, is_tight: bool) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    widths = _widths(columns, width, is_tight=is_tight)
    made = Table(
        title=Text(f"{title}\n" if is_tight else title) if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        width=_needed(widths, is_tight=is_tight),
        show_edge=not is_tight,
        pad_edge=not is_tight,
        padding=(0, 1, 0, 0) if is_tight else (0, 1),
    )
    for column, fitting in zip(columns, widths, strict=True):
        justify = "right" if column.heading.is_number else "left"
        made.add_column(Text(_folded(column.heading.label, fitting)), justify=justify, no_wrap=True, width=fitting)  # type: ignore[arg-type]  # one of the words it takes
    cells = [[_folded(cell, fitting) for cell in column.cells] for column, fitting in zip(columns, widths, strict=True)]
    for number, row in enumerate(zip(*cells, strict=True)):
        if number == rows:
            made.add_section()
        made.add_row(*map(Text, row))
    return made


def _parts(columns: Sequence[_Column], width: int) -> list[list[_Column]]:
    """Return groups of columns that fit, each behind those that say what a row is; of equal size if they can be."""
    keys, others = _keys(columns, width)

    def fits(part: Sequence[_Column]) -> bool:
        return _needed([column.least for column in (*keys, *part)], is_tight=True) <= width

    filled: list[list[_Column]] = []
    for column in others:
        if filled and fits([*filled[-1], column]):
            filled[-1].append(column)
        else:
            filled.append([column])
    size = -(-len(others) // len(filled))
    equal = [list(others[start : start + size]) for start in range(0, len(others), size)]
    return [[*keys, *part] for part in (equal if all(map(fits, equal)) else filled)]


def _keys(columns: Sequence[_Column], width: int) -> tuple[list[_Column], list[_Column]]:
    """Return the columns that say what a row is (those before the first number, if they are narrow), and the others."""
    first = next((column.place for column in columns if column.heading.is_number), 0)
    is_narrow = _needed([column.least for column in columns[:first]], is_tight=True) <= width // 2
    count = first if first and is_narrow else 1
    return list(columns[:count]), list(columns[count:])


def _widths(columns: Sequence[_Column], width: int, *, is_tight: bool) -> list[int]:
    """Return the widths at which columns fit: narrow ones as they like, wide ones as wide as each other."""
    room = width - _needed([0] * len(columns), is_tight=is_tight)
    least = [column.least for column in columns]
    if sum(least) > room:  # not even words fit: the widest are broken
        level = max(
            (level for level in range(1, room + 1) if sum(min(each, level) for each in least) <= room), default=1
        )
        return [max(1, min(each, level)) for each in least]

    def at(level: int) -> list[int]:
        return [min(column.natural, max(column.least, level)) for column in columns]

    level = max((level for level in range(room + 1) if sum(at(level)) <= room), default=0)
    return at(level)


def _needed(widths: Sequence[int], *, is_tight: bool) -> int:
    """Return the width of a table whose columns have these widths."""
    return sum(widths) + (2 * len(widths) - 2 if is_tight else 3 * len(widths) + 1)


def _width(text: str) -> int:
    """Return how many places of a terminal a text takes: letters of some scripts take two."""
    from rich.cells import cell_len

    return cell_len(text)


def _folded(text: str, width: int) -> str:
    """Break a text into lines of at most a width: between words, and long words after a sign that parts them."""
    if _width(text) <= width:
        return text
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if _width(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        *full, line = _fold_word(word, width)
        lines += full
    return "\n".join([*lines, line])


def _fold_word(word: str, width: int) -> list[str]:
    from rich.cells import chop_cells

    if _width(word) <= width:
        return [word]
    lines, line = [], ""
    for part in filter(None, _PART.findall(word)):
        if _width(line + part) <= width:
            line += part
            continue
        if line:
            lines.append(line)
        *full, line = chop_cells(part, width)
        lines += full
    return [*lines, line]
