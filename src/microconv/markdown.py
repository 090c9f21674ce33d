"""Text, tables and answers as Markdown, for a wiki, a ticket or a mail; what comes from data stays text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from microconv import wording
from microconv.wording import Sheet

_NUMBER = re.compile(r"[-+]?[\d,]+(\.\d+)?%?")


def markdown(text: str) -> str:
    """Return text as Markdown shows it: no sign of it does anything, in a table or outside of one."""
    harmless = re.sub(r"([\\`*_{}\[\]<>#!|~&@])", r"\\\1", " ".join(wording.visible(text).split()))
    # What looks like the item of a list, or like an address, would become one.
    harmless = re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", harmless)
    return re.sub(r"(?i)\b(www)\.|(?<=:)/(?=/)", lambda found: rf"{found[1]}\." if found[1] else r"\/", harmless)


def lines_of(text: str) -> str:
    """Return text of several lines as one paragraph whose lines stay."""
    return "  \n".join(markdown(line) for line in text.split("\n"))


def table(sheet: Sheet) -> Iterator[str]:
    """Yield the lines of a table, its title first."""
    if sheet.title:
        yield from (f"*{markdown(sheet.title)}*", "")
    yield f"| {' | '.join(markdown(heading.label) for heading in sheet.headings)} |"
    yield f"| {' | '.join('---:' if heading.is_number else '---' for heading in sheet.headings)} |"
    for row in (*sheet.cells(), *sheet.foot_cells()):
        yield f"| {' | '.join(map(_cell, row))} |"


def fenced(text: str) -> Iterator[str]:
    """Yield text in a fence that nothing in it closes."""
    lines = text.strip("\n").split("\n")
    longest = max((len(line) - len(line.lstrip("`")) for line in map(str.strip, lines)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from (fence, *map(wording.visible, lines), fence)


def _cell(text: str) -> str:
    """Write a cell: a number as it is, since nothing in a cell becomes a list."""
    return text if _NUMBER.fullmatch(text) else markdown(text)
