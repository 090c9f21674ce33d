"""The checks of the audit: each is one template below `sql/audit/<area>/`, whose header says what its rows mean.

There is no other list of them: a check is there once its file is. Its rows have the columns of `COLUMNS`, one row for
each subject and day that is wrong; none at all where all is well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, cast, get_args

from microconv.errors import TemplateError
from microconv.findings import SEVERITIES, Severity
from microconv.queries import templates
from microconv.queries.templates import THRESHOLD, Template

AREAS: dict[str, str] = {
    "volume": "Days and volumes",
    "coverage": "Coverage of the taxonomy",
    "repeats": "Multiple firing",
    "commerce": "Purchases and money",
    "traffic": "Where visits come from",
    "identity": "Identity and consent",
    "privacy": "Personal data",
    "taxonomy": "The taxonomy itself",
    "reconciliation": "Against the GA4 Data API",
    "guardrails": "Guardrails",
}
"""The folders of checks, in the order in which they are told, each with its heading."""
NOT_BY_SQL = ("reconciliation", "guardrails")
"""Areas whose checks are Python: the templates in their folders are questions that these ask."""

COLUMNS: dict[str, str] = {
    "subject": "STRING",
    "event_date": "DATE",
    "count": "INT64",
    "total": "INT64",
    "detail": "STRING",
}
"""Columns of a check's rows: what it is about, its day (NULL: none), rows concerned, rows looked at, an example."""
AT_STAKE = "macro_conversions"
"""A further column, INT64, where a check knows better than others which macro-conversions are at stake."""


@dataclass(frozen=True)
class Threshold:
    """A number that decides when a check tells something."""

    name: str
    default: float
    meaning: str
    is_whole: bool

    def problem(self, value: object) -> str | None:
        """Return why a value cannot be it, if so."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"must be a number, such as {self.default:g}"
        if self.is_whole and not float(value).is_integer():
            return f"must be a whole number, such as {self.default:g}"
        return "must not be negative" if value < 0 else None


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: The name of its file, unique among checks.
        area: The folder that it lies in: a key of `AREAS`.
        meaning: What it looks for, and why that matters.
        severity: How bad it is.
        finding: What it says, with the places that `joining.PLACES` names.
        remedy: What to do about it.
        thresholds: What decides when it tells something.
        judge: The function that turns its rows, a series, into what is wrong; None where each row is wrong.
        has_template: Whether it is SQL.
    """

    name: str
    area: str
    meaning: str
    severity: Severity
    finding: str
    remedy: str
    thresholds: tuple[Threshold, ...] = ()
    judge: str | None = None
    has_template: bool = False

    @property
    def template(self) -> str:
        """The name of its template."""
        return f"audit/{self.area}/{self.name}"

    def document(self) -> dict[str, Any]:
        """Return the JSON document: the attributes."""
        return {
            "check": self.name,
            "area": self.area,
            "severity": self.severity,
            "meaning": self.meaning,
            "finding": self.finding,
            "remedy": self.remedy,
            "thresholds": [
                {"name": each.name, "default": each.default, "meaning": each.meaning} for each in self.thresholds
            ],
        }


@cache
def checks() -> tuple[Check, ...]:
    """Return all checks that are templates, by area and name.

    Raises:
        TemplateError: A header lacks what a check says of itself.
    """
    parts = [name.split("/") for name in templates.names()]
    found = [
        _read(part[1], part[2])
        for part in parts
        if part[0] == "audit" and len(part) == 3 and part[1] not in NOT_BY_SQL  # noqa: PLR2004 - audit/<area>/<check>
    ]
    order = list(AREAS)
    return tuple(sorted(found, key=lambda each: (order.index(each.area), each.name)))


def _read(area: str, name: str) -> Check:
    template = templates.load(f"audit/{area}/{name}")
    severity = _one(template, "severity")
    if severity not in get_args(Severity)[: SEVERITIES.index("not_tested")] or area not in AREAS:
        raise TemplateError(
            f"Template {template.name} is a check of the area {area!r} and the severity {severity!r}.",
            hint=f"Areas are {', '.join(AREAS)}; a severity is error, warning or note.",
        )
    return Check(
        name=name,
        area=area,
        meaning=template.description,
        severity=next(each for each in SEVERITIES if each == severity),
        finding=_one(template, "finding"),
        remedy=_one(template, "remedy"),
        thresholds=tuple(_threshold(note) for note in template.notes.get("threshold", ())),
        judge=next(iter(template.notes.get("judge", ())), None),
        has_template=True,
    )


def _one(template: Template, key: str) -> str:
    said = template.notes.get(key, ())
    if len(said) != 1 or not said[0]:
        raise TemplateError(f"The header of the check {template.name} lacks: {key}.", hint=f"Write `-- {key}: …` once.")
    return said[0]


def _threshold(note: str) -> Threshold:
    name, kind, default, meaning = cast("re.Match[str]", THRESHOLD.fullmatch(note)).groups()  # or it had not loaded
    return Threshold(name, float(default), meaning, kind == "INT64")
