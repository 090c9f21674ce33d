"""How much more often a goal follows those who did something: the rate ratio over bands of time since they began."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple

from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.stats.ratios import ExposedEvents, RateStratum, Ratio, exposed_events, rate_ratio

FEWEST_TARGETS = 20
"""Actors who reached the goal, on both sides together, below which no ratio is told."""
FEWEST_A_SIDE = 10
"""Actors on one side below which no ratio is told."""
OFF_THE_PATH = 0.01
"""Where so small a share reached the goal without a step, it is one of the way, and what some did is an error."""

LAG_SECONDS = 10
"""What is done so shortly before the goal is the way to it, and no sign of it."""
PLACEBOS = 20
"""Pseudo-entries by which the width of "nothing" is measured."""
PLACEBO = "placebo "
ACTIVITY_FROM = (1, 2, 4, 8, 16, 32, 64)
"""From how many small steps on an actor is of the next level of activity; none is a level as well."""

Context = Literal["device_category", "channel_group", "new_or_returning", "hour", "week"]

_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
_STARTS_MS = (
    *(0, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 6 * _HOUR),
    *(days * _DAY for days in (1, 3, 7, 14, 30, 90)),
)
_LATEST_MS = 3_650 * _DAY
RECENT_MS = (5 * _MINUTE, 30 * _MINUTE, _DAY, 7 * _DAY, _LATEST_MS)
"""Where classes of recency end, after an actor's latest act."""
RECENCY = "5 and 30 minutes, 1 and 7 days"
"""These in words."""
_A_DAY = _DAY


class Banded(NamedTuple):
    """One entry against the goal.

    Attributes:
        ratio: Of the rates of those who did it before and of those who had not; None where it cannot be told.
        is_on_path: Hardly anybody reached the goal without it, though enough did: it is a step of the way.
        exposed: How many did it before the goal.
        exposed_targets: How many of them reached the goal after it.
        other_targets: How many reached the goal without it.
        actors: How many were looked at.
        lag_targets: How many reached it within moments of the entry, and count on neither side.
        exposed_days: Time at risk of those who did it, in days of actors.
        other_days: That of those who had not.
    """

    ratio: Ratio | None
    is_on_path: bool
    exposed: int
    exposed_targets: int
    other_targets: int
    actors: int
    lag_targets: int = 0
    exposed_days: float = 0.0
    other_days: float = 0.0

    @property
    def is_thin(self) -> bool:
        """Whether too little is known to tell."""
        return min(self.exposed, self.actors - self.exposed) < FEWEST_A_SIDE or self.targets < FEWEST_TARGETS

    @property
    def fewest_targets(self) -> int:
        """How many reached the goal on the side on which fewer did."""
        return min(self.exposed_targets, self.other_targets)

    @property
    def targets(self) -> int:
        """How many reached the goal, on both sides."""
        return self.exposed_targets + self.other_targets


def banded_query(
    entries: Sequence[str],
    goals: str | Sequence[str],
    end_at: datetime,
    since: date | None,
    until: date | None,
    *,
    context: Context | None = None,
    timezone: str = "UTC",
    landmark: timedelta | None = None,
    alike: bool = False,
    small_steps: Sequence[str] = (),
    placebos: bool = False,
) -> Query:
    """Return the query of time at risk and goals reached, by entry and band.

    Args:
        entries: What may go before the goal.
        goals: What ends the time at risk: whichever comes first.
        end_at: When the data end.
        since: The first day on which actors may have begun.
        until: The last such day.
        context: What else to tell apart, by the first session.
        timezone: Of the hours, with `hour`.
        landmark: With it, who did an entry by then is held against who had not, from then on.
        alike: Whether like actors are compared: of one device, channel and country, who had done as much so far, and
            had shown themselves as long ago.
        small_steps: What counts as having done something: activity, recency and placebos are made of them.
        placebos: Whether pseudo-entries are added, named `placebo 0` and so on: small steps picked by chance.
    """
    params: dict[str, Value] = {
        "entries": list(entries),
        "targets": [goals] if isinstance(goals, str) else list(goals),
        "starts_ms": list(_STARTS_MS),
        "ends_ms": [*_STARTS_MS[1:], _LATEST_MS],
        "lag_ms": LAG_SECONDS * 1_000,
        "landmark_ms": None if landmark is None else round(landmark.total_seconds() * 1_000),
        "end_at": end_at,
        "first_date": since,
        "last_date": until,
    }
    if context == "hour":
        params["timezone"] = timezone
    if alike:
        params["activity_from"] = list(ACTIVITY_FROM)
        params["recent_ms"] = list(RECENT_MS)
    if placebos:
        params["placebos"] = PLACEBOS
    if placebos or alike:
        params["small_steps"] = list(small_steps)
    structure = {"context": context, "alike": alike, "placebos": placebos}
    return templates.query("analyses/insight/lift", params=params, structure=structure)


def read_banded(rows: Iterable[Mapping[str, Any]], *, began_before: bool = False) -> dict[str, Banded]:
    """Read its rows by entry: strata are the bands, and what is told apart besides; see `rate_ratio`.

    Args:
        rows: The rows.
        began_before: Whether to read those actors whose beginning lies before the data, in place of the others.
    """
    return _grouped(rows, lambda row: row["micro_conversion"], began_before=began_before)


def read_by_context(
    rows: Iterable[Mapping[str, Any]], *, began_before: bool | None = False
) -> dict[tuple[str, str], Banded]:
    """Read its rows by entry and context; with `began_before` None all actors, whenever they began."""
    return _grouped(rows, lambda row: (row["micro_conversion"], row["context"]), began_before=began_before)


def read_ratios(
    rows: Iterable[Mapping[str, Any]], *, by_context: bool = False, began_before: bool | None = False
) -> dict[tuple[str, str], Ratio | None]:
    """Read ratios, by entry and context (empty where all contexts are one); see `rate_ratio`."""
    strata = _strata(rows, by_context=by_context, began_before=began_before)
    return {key: rate_ratio(each) for key, each in strata.items()}


def read_exposed(
    rows: Iterable[Mapping[str, Any]], *, by_context: bool = False, began_before: bool | None = False
) -> dict[tuple[str, str], ExposedEvents]:
    """Read how many reached the goal after an entry, and how many were to be expected; keys as in `read_ratios`."""
    strata = _strata(rows, by_context=by_context, began_before=began_before)
    return {key: exposed_events(each) for key, each in strata.items()}


def _strata(
    rows: Iterable[Mapping[str, Any]], *, by_context: bool, began_before: bool | None
) -> dict[tuple[str, str], list[RateStratum]]:
    found: dict[tuple[str, str], list[RateStratum]] = {}
    for row in rows:
        if began_before is None or row["began_before"] == began_before:
            key = row["micro_conversion"], row["context"] if by_context else ""
            found.setdefault(key, []).append(_stratum(row))
    return found


def _stratum(row: Mapping[str, Any]) -> RateStratum:
    return RateStratum(row["exposed_targets"], row["exposed_ms"], row["other_targets"], row["other_ms"])


def _grouped(
    rows: Iterable[Mapping[str, Any]], key: Callable[..., Any], *, began_before: bool | None
) -> dict[Any, Banded]:
    found: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        if began_before is None or row["began_before"] == began_before:
            found.setdefault(key(row), []).append(row)
    return {name: _banded(each) for name, each in found.items()}


def _banded(rows: Sequence[Mapping[str, Any]]) -> Banded:
    exposed, targets, others, lagging, actors = (
        int(sum(row[name] for row in rows))
        for name in ("exposed_actors", "exposed_targets", "other_targets", "lag_targets", "actors")
    )
    ratio = rate_ratio(map(_stratum, rows))
    exposed_days, other_days = (sum(row[name] for row in rows) / _A_DAY for name in ("exposed_ms", "other_ms"))
    found = Banded(ratio, False, exposed, targets, others, actors, lagging, float(exposed_days), float(other_days))
    enough = found.targets >= FEWEST_TARGETS and exposed >= FEWEST_A_SIDE
    is_on_path = enough and others <= OFF_THE_PATH * found.targets
    return found._replace(ratio=ratio if enough and not found.is_thin else None, is_on_path=is_on_path)
