"""How numbers, shares, durations and dates are written for a reader: in the page, in findings, in a terminal."""

from __future__ import annotations

import calendar
import math
import re
from datetime import date

THIN_SPACE = "\u202f"
"""Narrow no-break space: separates thousands, and never breaks a number over two lines."""

NOTHING = "–"  # noqa: RUF001 - a dash on purpose, for readers
"""Stands where there is no number to show."""

UNASSIGNED = "Unassigned"
"""GA4's name for the channel group of sessions that no rule could place."""

_UNITS = (("d", "day", 86_400), ("h", "hour", 3_600), ("m", "minute", 60), ("s", "second", 1))

_MODELS = {
    "first": "First touch",
    "last": "Last touch",
    "last_non_direct": "Last non-direct",
    "linear": "Linear",
    "time_decay": "Time decay",
    "position": "Position-based",
}


def count(value: int) -> str:
    """Write a whole number with thin separators: `1 234 567`."""
    return f"{value:,}".replace(",", THIN_SPACE)


def short_count(value: int) -> str:
    """Write a whole number for a narrow place: exact below ten million, then in millions, `49.4 M`."""
    return count(value) if value < 10_000_000 else f"{decimal(value / 1_000_000)}\u00a0M"  # noqa: PLR2004 - as said


def decimal(value: float, digits: int = 1) -> str:
    """Write a number with thin separators and `digits` decimals; a dash when it is not finite."""
    return f"{value:,.{digits}f}".replace(",", THIN_SPACE) if math.isfinite(value) else NOTHING


def money(value: float, currency: str) -> str:
    """Write an amount with two decimals and its currency code: `1 234.50 EUR`."""
    return f"{decimal(value, 2)}\u00a0{currency}"


def share(value: float | None) -> str:
    """Write a share (0 to 1) as a percentage with one decimal; a dash when there is none.

    A share that is not zero never reads as `0.0%`, and one that is not whole never as `100.0%`.
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    if 0 < value < 0.0005:  # noqa: PLR2004 - what one decimal would round to nothing
        return "<0.1%"
    if 0.9995 <= value < 1:  # noqa: PLR2004 - what one decimal would round to all
        return ">99.9%"
    return f"{value:.1%}"


def ratio(part: float, whole: float) -> float | None:
    """Return part over whole, None when the whole is empty."""
    return part / whole if whole else None


def plural(value: int, noun: str) -> str:
    """Write a count with its noun: `1 day`, `2 days`."""
    return f"{count(value)} {noun}" if value == 1 else f"{count(value)} {noun}s"


def elapsed(seconds: float | None) -> str:
    """Write a measured time in its two largest units: `45 s`, `2 h 5 min`, `3 d 4 h`; a dash when there is none."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    total = round(seconds)
    days, rest = divmod(total, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    first = next((index for index, (amount, _) in enumerate(parts) if amount), len(parts) - 1)
    shown = [part for part in parts[first : first + 2] if part[0]] or [(0, "s")]
    return " ".join(f"{count(amount)}\u00a0{unit}" for amount, unit in shown)


def span(seconds: int) -> str:
    """Write a configured duration in the largest unit that divides it: `7 days`, `90 minutes`."""
    for _, noun, size in _UNITS:
        if seconds % size == 0:
            return plural(seconds // size, noun)
    return plural(seconds, "second")


def window(text: str) -> str:
    """Write a lookback window as in the configuration (`7d`) in words (`7 days`); other text is returned as it is."""
    match = re.fullmatch(r"(\d+)([dhms])", text)
    if match is None:
        return text
    return span(int(match[1]) * next(size for letter, _, size in _UNITS if letter == match[2]))


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


def model(name: str) -> str:
    """Return the reader's name of an attribution model."""
    return _MODELS.get(name) or name.replace("_", " ").capitalize()


def listed(names: tuple[str, ...], limit: int = 6) -> str:
    """Join names for a sentence: `a, b and c`, or `a, b and 7 more` beyond the limit."""
    shown = list(names[:limit])
    if len(names) > limit:
        shown.append(f"{count(len(names) - limit)} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
