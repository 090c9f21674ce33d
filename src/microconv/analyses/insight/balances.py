"""How alike those who did an entry and those who did not are, before and after like is compared with like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from microconv import wording
from microconv.analyses.insight.banded import ACTIVITY_FROM, LAG_SECONDS, RECENT_MS
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.result import column
from microconv.stats.standardised import Balance, StratumCell, balance

LANDMARK = timedelta(days=1)
"""When sides are looked at, after an actor's first session: at one moment everybody counts once."""
ALIKE = 0.1
"""A standardised difference up to which sides are usually called alike (Austin and Stuart, 2015)."""

_STEPS_FROM = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
_PAUSES = ("5m", "30m", "1h", "3h", "6h", "12h", "18h", "23h")
_PAUSES_MS = tuple(minutes * 60_000 for minutes in (5, 30, 60, 180, 360, 720, 1_080, 1_380))
_STRATUM = ("device_category", "channel_group", "large_country", "level", "recency")


@dataclass(frozen=True)
class EntryBalance:
    """How alike two sides are at the end of their first day, in what differs most: standardised mean differences.

    Attributes:
        micro_conversion: The entry.
        goal: What is counted after it.
        exposed: Actors who had done it by then, and had not reached the goal; `others` had done neither.
        before: The largest difference of all levels of device, channel, country, small steps, and time since the latest
            act; `before_in` is the level.
        after: The largest that is left among like actors; `after_in` is its level.
        compared: Share of those who had done it who have others like them.
    """

    micro_conversion: str = column("micro-conversion")
    goal: str = column("goal")
    exposed: int = column("did it in a day", wording.count)
    others: int = column("did not", wording.count)
    before: float | None = column("difference before", wording.cents)
    before_in: str = column("most in")
    after: float | None = column("after", wording.cents)
    after_in: str = column("most in")
    compared: float | None = column("have like actors", wording.share)

    @property
    def unlike(self) -> str:
        """In what the sides are not alike, and how far; empty where they are."""
        if self.after is None or self.after <= ALIKE:
            return ""
        return f"{self.after_in} ({wording.cents(self.after)})"


def balance_query(
    entries: Sequence[str],
    goals: Sequence[str],
    end_at: datetime,
    since: date | None,
    until: date | None,
    *,
    small_steps: Sequence[str],
) -> Query:
    """Return the query of actors by what they are like at the landmark, of all and of those who had done each entry."""
    return templates.query(
        "analyses/insight/balance",
        params={
            "entries": list(entries),
            "targets": list(goals),
            "lag_ms": LAG_SECONDS * 1_000,
            "landmark_ms": round(LANDMARK.total_seconds() * 1_000),
            "end_at": end_at,
            "first_date": since,
            "last_date": until,
            "small_steps": list(small_steps),
            "activity_from": list(ACTIVITY_FROM),
            "recent_ms": list(RECENT_MS),
            "steps_from": list(_STEPS_FROM),
            "pauses_ms": list(_PAUSES_MS),
        },
    )


def read_balances(rows: Iterable[Mapping[str, Any]], goal: str) -> Iterator[EntryBalance]:
    """Read its rows; strata are those of lift, and both sides of each weigh as much as Mantel and Haenszel let them."""
    counts: dict[str, dict[tuple[Any, ...], int]] = {}
    for row in rows:
        kind = (*(row[name] for name in _STRATUM), row["country"], row["steps"], row["pause"])
        counts.setdefault(row["micro_conversion"], {})[kind] = row["actors"]
    everybody = counts.pop("", {})
    of_all = sum(everybody.values())
    for entry, did in counts.items():
        cells = [
            StratumCell(kind[: len(_STRATUM)], _levels(kind), did.get(kind, 0), actors - did.get(kind, 0))
            for kind, actors in everybody.items()
        ]
        found, exposed = balance(cells), sum(did.values())
        before, after = (_largest(found.levels, place) if found else None for place in ("before", "after"))
        yield EntryBalance(
            entry,
            goal,
            exposed,
            of_all - exposed,
            abs(before.before) if before and before.before is not None else None,
            _named(before),
            abs(after.after) if after and after.after is not None else None,
            _named(after),
            found.covered if found else None,
        )


def _levels(kind: tuple[Any, ...]) -> dict[str, str]:
    device, channel, *_, country, steps, pause = kind
    return {
        "device": device,
        "channel": channel,
        "country": country,
        "small steps": _STEPS[steps],
        "latest act": _AGO[pause],
    }


def _largest(levels: Sequence[Balance], side: str) -> Balance | None:
    told = [each for each in levels if getattr(each, side) is not None]
    return max(told, key=lambda each: abs(getattr(each, side)), default=None)


def _named(level: Balance | None) -> str:
    return "" if level is None else f"{level.covariate}: {level.level}"


def _classes() -> tuple[list[str], list[str]]:
    steps = ["none", *(f"{low} to {high - 1}" if high - low > 1 else str(low) for low, high in pairwise(_STEPS_FROM))]
    ago = [f"up to {_PAUSES[0]} ago", *(f"{low} to {high} ago" for low, high in pairwise(_PAUSES))]
    return [*steps, f"{_STEPS_FROM[-1]} or more"], [*ago, f"over {_PAUSES[-1]} ago"]


_STEPS, _AGO = _classes()
