"""How much more often a goal follows those who did something: the rate ratio over bands of time since they began."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.stats.ratios import RateStratum, Ratio, rate_ratio

FEWEST_TARGETS = 20
"""Actors who reached the goal, on both sides together, below which no ratio is told."""
FEWEST_A_SIDE = 10
"""Actors on one side below which no ratio is told."""

LAG_SECONDS = 10
"""What is done so shortly before the goal is the way to it, and no sign of it."""

_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
_STARTS_MS = (
    *(0, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 6 * _HOUR),
    *(days * _DAY for days in (1, 3, 7, 14, 30, 90)),
)
_LATEST_MS = 3_650 * _DAY


class Banded(NamedTuple):
    """One entry against the goal.

    Attributes:
        ratio: Of the rates of those who did it before and of those who had not; None where it cannot be told.
        is_on_path: Nobody reached the goal without it, though enough did: it is a step of the way.
        exposed: How many did it before the goal.
        exposed_targets: How many of them reached the goal after it.
        other_targets: How many reached the goal without it.
        actors: How many were looked at.
    """

    ratio: Ratio | None
    is_on_path: bool
    exposed: int
    exposed_targets: int
    other_targets: int
    actors: int


def banded_query(entries: Sequence[str], goal: str, end_at: datetime, since: date | None, until: date | None) -> Query:
    """Return the query of time at risk and goals reached, by entry and band."""
    return templates.query(
        "analyses/insight/lift",
        params={
            "entries": list(entries),
            "targets": [goal],
            "starts_ms": list(_STARTS_MS),
            "ends_ms": [*_STARTS_MS[1:], _LATEST_MS],
            "lag_ms": LAG_SECONDS * 1_000,
            "end_at": end_at,
            "first_date": since,
            "last_date": until,
        },
        structure={"context": None},
    )


def read_banded(rows: Iterable[Mapping[str, Any]]) -> dict[str, Banded]:
    """Read its rows, of actors whose beginning is in the data; by Mantel and Haenszel, see `rate_ratio`."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if not row["began_before"]:
            found.setdefault(row["micro_conversion"], []).append(row)
    return {entry: _banded(each) for entry, each in found.items()}


def _banded(rows: Sequence[Mapping[str, Any]]) -> Banded:
    exposed, targets, others, actors = (
        int(sum(row[name] for row in rows)) for name in ("exposed_actors", "exposed_targets", "other_targets", "actors")
    )
    ratio = rate_ratio(
        RateStratum(row["exposed_targets"], row["exposed_ms"], row["other_targets"], row["other_ms"]) for row in rows
    )
    enough = targets + others >= FEWEST_TARGETS and exposed >= FEWEST_A_SIDE
    is_on_path = enough and others == 0
    return Banded(ratio if enough else None, is_on_path, exposed, targets, others, actors)
