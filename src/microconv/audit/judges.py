"""Judges: where the rows of a check are a series, a function here says which of its days are wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from microconv import wording
from microconv.stats import daily_counts
from microconv.stats.count_tails import upper_tail

if TYPE_CHECKING:
    from microconv.stats.daily_counts import DailyCounts, LevelShift, Limits

Row = dict[str, Any]
Judge = Callable[[Sequence[Row], Mapping[str, float]], Sequence[Row]]
"""Takes the rows of a check and its thresholds, and returns rows with the columns of `checks.COLUMNS`."""

_SAME_LEVEL = 1.25
_SAME_SESSIONS = 1.25


class NotTestedError(Exception):
    """There is too little to judge by, or nobody can be asked; the text says why. The audit goes on."""


def blackout(rows: Sequence[Row], thresholds: Mapping[str, float]) -> list[Row]:
    """Return the days on which a subject was missing: what was expected, all of it concerned."""
    return _runs(rows, thresholds, "missing")


def low_volume(rows: Sequence[Row], thresholds: Mapping[str, float]) -> list[Row]:
    """Return the days on which a subject was too low: what lacks, of what was expected."""
    return _runs(rows, thresholds, "low")


def high_volume(rows: Sequence[Row], thresholds: Mapping[str, float]) -> list[Row]:
    """Return the days on which a subject was too high: what was too much, of what was seen."""
    return _runs(rows, thresholds, "high")


def level_shift(rows: Sequence[Row], thresholds: Mapping[str, float]) -> list[Row]:
    """Return the days of each new level; a level that goes back to the one before the last is none."""
    found: list[Row] = []
    for data, names, asked in _series(rows):
        shifts = daily_counts.judge(data, _limits(thresholds)).shifts
        for each in _new_levels(shifts):
            row = data.subjects.index(each.subject)
            detail = f"{_times(each.factor)} its share of the traffic before"
            for day in range(each.first, each.last + 1):
                if asked[day]:
                    seen = int(data.counts[row, day])
                    moved = round(abs(seen - seen / each.factor))
                    found.append(
                        _row(
                            names[each.subject], data.days[day], min(moved, max(seen, moved)), max(seen, moved), detail
                        )
                    )
    return found


def neighbour_ratio(rows: Sequence[Row], thresholds: Mapping[str, float]) -> list[Row]:
    """Return the days on which a step yields several events for each of the next step, in the same sessions.

    Rows divided by rows, and that divided by sessions over sessions: how often a session repeats the one step, by how
    often it repeats the other. Told are all days where that is usual, else those from which it changed.
    """
    found: list[Row] = []
    is_tested = False
    for of_pair in _by(rows, "property", "subject"):
        known = [row for row in of_pair if row["count"] > 0 and row["total"] > 0 and not row["is_provisional"]]
        if len(known) < daily_counts.FEWEST_DAYS or _few(known, thresholds["fewest_expected"]):
            continue
        is_tested = True
        excess = [_excess(row) for row in known]
        sessions = sum(row["count_sessions"] for row in known) / sum(row["total_sessions"] for row in known)
        usual = _middle(excess)
        name = f"{known[0]['subject']}"
        if usual >= thresholds["repeats"] and 1 / _SAME_SESSIONS <= sessions <= _SAME_SESSIONS:
            days = [row for row, much in zip(known, excess, strict=True) if much >= math.sqrt(thresholds["repeats"])]
            found += _repeated(name, days)
            continue
        shifts = daily_counts.ratio_shifts(
            name,
            [row["event_date"] for row in known],
            excess,
            [float(row["total"]) for row in known],
            _limits(thresholds),
        )
        for each in _new_levels(shifts):
            if each.factor > 1:
                found += _repeated(name, known[each.first : each.last + 1])
    if not is_tested:
        raise NotTestedError(
            f"No two neighbouring steps have {daily_counts.FEWEST_DAYS} days with"
            f" {thresholds['fewest_expected']:g} events each."
        )
    return found


def sudden_share(rows: Sequence[Row], thresholds: Mapping[str, float]) -> list[Row]:
    """Return the days on which a share is at least twice the usual one, and more than chance makes of it.

    The usual share is the median of all other days; the tail is that of a Poisson count, divided by the days.
    """
    found: list[Row] = []
    if not rows:
        raise NotTestedError("There is no event of this kind.")
    for of_subject in _by(rows, "property", "subject"):
        known = [row for row in of_subject if row["total"] > 0]
        if len(known) < daily_counts.FEWEST_DAYS:
            raise NotTestedError(
                f"There are {wording.plural(len(known), 'day')} to compare, and it takes {daily_counts.FEWEST_DAYS}."
            )
        shares = [row["count"] / row["total"] for row in known]
        for place, row in enumerate(known):
            usual = _middle(shares[:place] + shares[place + 1 :])
            # A share of none is known no better than to half an event in all that was seen.
            expected = max(usual, 0.5 / sum(each["total"] for each in known)) * row["total"]
            if (
                row["is_asked"]
                and shares[place] >= max(thresholds["min_share"], 2 * usual)
                and upper_tail(row["count"], expected, _SHARE_OVERDISPERSION) < thresholds["false_alarms"] / len(known)
            ):
                detail = f"where {wording.share(usual)} is usual"
                found.append(_row(row["subject"], row["event_date"], row["count"], row["total"], detail))
    return found


_SHARE_OVERDISPERSION = 0.04
"""Shares vary by a fifth from day to day beyond chance."""


def _runs(rows: Sequence[Row], thresholds: Mapping[str, float], kind: daily_counts.Kind) -> list[Row]:
    found: list[Row] = []
    for data, names, asked in _series(rows):
        for run in daily_counts.judge(data, _limits(thresholds)).runs:
            if run.kind != kind:
                continue
            row = data.subjects.index(run.subject)
            detail = f"{wording.count(run.seen)} seen, about {wording.count(round(run.expected))} expected"
            for day, expected in zip(range(run.first, run.last + 1), run.daily, strict=True):
                if asked[day]:
                    seen = int(data.counts[row, day])
                    whole = max(round(expected), 1) if kind != "high" else max(seen, 1)
                    missing = min(max(abs(round(expected) - seen), 0), whole)
                    found.append(_row(names[run.subject], data.days[day], missing, whole, detail))
    return found


def _series(rows: Sequence[Row]) -> Iterator[tuple[DailyCounts, Mapping[str, str], Sequence[bool]]]:
    """Yield the counts of each property, what its subjects are called, and the days that were asked for."""
    import numpy as np

    properties = {row["property"] for row in rows}
    is_tested = False
    for of_property in _by(rows, "property"):
        by_subject = {of[0]["subject"]: of for of in _by(of_property, "subject")}
        first = next(iter(by_subject.values()))
        if len(first) <= daily_counts.FEWEST_DAYS:
            continue
        is_tested = True
        data = daily_counts.DailyCounts(
            subjects=tuple(by_subject),
            days=tuple(row["event_date"] for row in first),
            counts=np.array([[row["count"] for row in of] for of in by_subject.values()], dtype=np.float64),
            traffic=np.array([row["total"] for row in first], dtype=np.float64),
            is_over=np.array([not row["is_provisional"] for row in first], dtype=bool),
        )
        of_which = f" of property {first[0]['property']}" if len(properties) > 1 else ""
        yield data, {name: f"{name}{of_which}" for name in by_subject}, [row["is_asked"] for row in first]
    if not is_tested:
        days = len({row["event_date"] for row in rows})
        raise NotTestedError(
            f"There are {wording.plural(days, 'day')} of history, and it takes {daily_counts.FEWEST_DAYS + 1}."
        )


def _limits(thresholds: Mapping[str, float]) -> Limits:
    known = {"false_alarms", "low", "high", "fewest_expected", "shift"}
    return daily_counts.Limits(**{name: value for name, value in thresholds.items() if name in known})


def _new_levels(shifts: Sequence[LevelShift]) -> Iterator[LevelShift]:
    for of_subject in (list(group) for _, group in groupby(shifts, key=lambda each: each.subject)):
        usual: float | None = None
        for each in of_subject:
            if usual is not None and 1 / _SAME_LEVEL < each.after / usual < _SAME_LEVEL:
                usual = None
                continue
            usual = each.before if usual is None else usual
            yield each


def _repeated(name: str, days: Sequence[Row]) -> Iterator[Row]:
    """Yield a row for each day: the repeats among the rows."""
    if not days:
        return
    rows, others = sum(row["count"] for row in days), sum(row["total"] for row in days)
    mine, theirs = sum(row["count_sessions"] for row in days), sum(row["total_sessions"] for row in days)
    neighbour = days[0]["neighbour"]
    detail = (
        f"{_times(rows / others)} for each {neighbour}"
        f" (by {wording.plural(mine, 'session')}, {neighbour} by {wording.count(theirs)})"
    )
    for row in days:
        if row["is_asked"]:
            once = min(round(row["count"] / max(_excess(row), 1.0)), row["count"])
            yield _row(name, row["event_date"], row["count"] - once, row["count"], detail)


def _excess(row: Row) -> float:
    found: float = (row["count"] / row["total"]) / (row["count_sessions"] / max(row["total_sessions"], 1) or 1.0)
    return found


def _few(rows: Sequence[Row], fewest: float) -> bool:
    return min(_middle([row["count"] for row in rows]), _middle([row["total"] for row in rows])) < fewest


def _middle(values: Sequence[float]) -> float:
    ordered = sorted(values)
    n = len(ordered)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def _times(factor: float) -> str:
    return f"{wording.decimal(factor, 2)} times"


def _by(rows: Sequence[Row], *names: str) -> Iterator[list[Row]]:
    for _, group in groupby(rows, key=lambda row: tuple(row[name] for name in names)):
        yield list(group)


def _row(subject: str, day: object, count: int, total: int, detail: str) -> Row:
    return {"subject": subject, "event_date": day, "count": count, "total": total, "detail": detail}


JUDGES: dict[str, Judge] = {
    "blackout": blackout,
    "low_volume": low_volume,
    "high_volume": high_volume,
    "level_shift": level_shift,
    "neighbour_ratio": neighbour_ratio,
    "sudden_share": sudden_share,
}
"""By the name that `judge:` in the header of a check says."""
