"""From rows of a check to findings: one for each fault, with the days it lasted, and not one for each row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby
from typing import Any

from microconv import wording
from microconv.audit.checks import AT_STAKE, Check

PLACES = ("subject", "count", "total", "share", "dates", "detail")
"""What the sentence of a check may name in braces."""

_BRIDGED_DAYS = 2
"""Days of one fault lie at most so far apart: it may spare a day, on which there was nothing to see."""
_MOST_RUNS = 3
"""A fault that comes and goes more often is told once, with how many days it had."""
_SAME_DAYS = 3
"""So many subjects with the same days have one cause."""
_DETAILS = 3


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: the rows of a check that belong together.

    Attributes:
        subjects: What it is about, one or several of the same days.
        days: The days on which it shows, in order; empty where it is of no day.
        count: Rows concerned.
        total: Rows looked at on these days.
        details: Examples.
        macro_conversions: Those at stake, where the check said so.
    """

    subjects: tuple[str, ...]
    days: tuple[date, ...]
    count: int
    total: int
    details: tuple[str, ...]
    macro_conversions: int | None

    @property
    def subject(self) -> str:
        """What it is about, in a text: that and the days tell faults of a check apart."""
        return ", ".join(self.subjects)

    @property
    def first_date(self) -> date | None:
        """The first of its days."""
        return self.days[0] if self.days else None

    @property
    def last_date(self) -> date | None:
        """The last of its days."""
        return self.days[-1] if self.days else None

    @property
    def share(self) -> float | None:
        """Rows concerned among those looked at; None where nothing was."""
        return wording.ratio(self.count, self.total)

    @property
    def dates(self) -> str:
        """Its days, in words."""
        if self.first_date is None or self.last_date is None:
            return "in all that is staged"
        if self.first_date == self.last_date:
            return f"on {wording.day(self.first_date)}"
        if 2 * len(self.days) > (self.last_date - self.first_date).days:
            return f"from {wording.period(self.first_date, self.last_date)}"
        return f"on {wording.plural(len(self.days), 'day')} from {wording.period(self.first_date, self.last_date)}"

    def message(self, check: Check) -> str:
        """Return what the check says of it. Text from data stands in it as it is: whoever shows it escapes it."""
        said = {
            "subject": wording.listed(self.subjects) if self.subjects != ("",) else "",
            "count": wording.count(self.count),
            "total": wording.count(self.total),
            "share": wording.share(self.share),
            "dates": self.dates,
            "detail": wording.listed(self.details) if self.details else wording.NOTHING,
        }
        return check.finding.format_map(said)


def fingerprint(check: str, subject: str, first_date: date | None) -> str:
    """Return the id of a finding: a short hash of the check, the subject and the first day."""
    text = "\n".join((check, subject, str(first_date or "")))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def faults(rows: Iterable[Mapping[str, Any]]) -> tuple[Fault, ...]:
    """Join the rows of a check.

    Rows of one subject whose days follow each other are one fault, with a day between them at most; so are all rows of
    a subject that come and go more than three times. Three or more subjects with the very same days are one fault.

    Args:
        rows: Rows with the columns of `checks.COLUMNS`, in any order.
    """
    ordered = sorted(rows, key=lambda row: (row["subject"], row["event_date"] or date.min))
    by_subject = [list(of_subject) for _, of_subject in groupby(ordered, key=lambda row: row["subject"])]
    single = [_fault(part) for of_subject in by_subject for part in _parts(of_subject)]
    by_days: dict[tuple[date, ...], list[Fault]] = {}
    for each in single:
        by_days.setdefault(each.days, []).append(each)
    return tuple(
        fault for alike in by_days.values() for fault in ([_merged(alike)] if len(alike) >= _SAME_DAYS else alike)
    )


def _parts(rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Cut the rows of a subject where its days do."""
    undated = [row for row in rows if row["event_date"] is None]
    if undated:
        yield undated
    dated = [row for row in rows if row["event_date"] is not None]
    runs: list[list[Mapping[str, Any]]] = []
    for row in dated:
        if runs and row["event_date"] - runs[-1][-1]["event_date"] <= timedelta(days=_BRIDGED_DAYS):
            runs[-1].append(row)
        else:
            runs.append([row])
    yield from runs if len(runs) <= _MOST_RUNS else [dated]


def _fault(rows: Sequence[Mapping[str, Any]]) -> Fault:
    told = [row[AT_STAKE] for row in rows if row.get(AT_STAKE) is not None]
    return Fault(
        subjects=(rows[0]["subject"],),
        days=tuple(dict.fromkeys(row["event_date"] for row in rows if row["event_date"] is not None)),
        count=sum(row["count"] for row in rows),
        total=sum(row["total"] for row in rows),
        details=_some(row["detail"] for row in rows if row["detail"] is not None),
        macro_conversions=sum(told) if told else None,
    )


def _merged(alike: Sequence[Fault]) -> Fault:
    told = [each.macro_conversions for each in alike if each.macro_conversions is not None]
    return replace(
        alike[0],
        subjects=tuple(subject for each in alike for subject in each.subjects),
        count=sum(each.count for each in alike),
        total=sum(each.total for each in alike),
        details=_some(detail for each in alike for detail in each.details),
        macro_conversions=max(told, default=None),
    )


def _some(details: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(details))[:_DETAILS]
