"""What the shop's sales team notes about some accounts, in a system of its own: the ladder from lead to contract."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from microconv.demo.calendar import Calendar
from microconv.demo.folder import DemoFolder
from microconv.demo.journeys import some
from microconv.demo.shop import CURRENCY

CRM_COLUMNS: Final = ("user_id", "occurred_at", "name", "value", "currency")
QUALIFIED, WON, LOST = "qualified_lead", "won", "lost"

_QUALIFIED_SHARE, _WON_SHARE = 0.2, 0.4
_FIRST_DAY, _LAST_DAY = 5, 20
_LONGEST_WAIT_DAYS: Final = 8
_STRANGERS: Final = 3


@dataclass(frozen=True)
class CrmTruth:
    """Rows of `crm.csv`. Each lead is won or lost within eight days, `value` is EUR of all that were won.

    `unknown_users` are rows of accounts that never came to the shop.
    """

    file: str
    rows: int
    qualified_leads: int
    won: int
    lost: int
    value: float
    unknown_users: int


def write_crm(place: DemoFolder, users: list[str], calendar: Calendar, rng: np.random.Generator) -> CrmTruth:
    """Write `crm.csv`: some of the accounts `users` as leads, and what came of them, in no order."""
    is_lead = some(rng, np.ones(len(users), bool), _QUALIFIED_SHARE, at_least=2)
    leads = [*(user for user, flag in zip(users, is_lead, strict=True) if flag), *_strangers()]
    is_won = some(rng, np.ones(len(leads), bool), _WON_SHARE)
    days = rng.integers(_FIRST_DAY, _LAST_DAY, len(leads))
    seconds = rng.integers(8 * 3600, 18 * 3600, len(leads))
    waits = rng.integers(1, _LONGEST_WAIT_DAYS * 24, len(leads))
    amounts = rng.integers(10, 60, len(leads)) * 10
    rows: list[tuple[str, str, str, str, str]] = []
    for number, user in enumerate(leads):
        begins = datetime.fromtimestamp(calendar.midnights[days[number]] / 1e6, UTC) + timedelta(
            seconds=int(seconds[number])
        )
        ends = begins + timedelta(hours=int(waits[number]))
        amount = (str(amounts[number]), CURRENCY) if is_won[number] else ("", "")
        rows.append((user, _written(begins), QUALIFIED, "", ""))
        rows.append((user, _written(ends), WON if is_won[number] else LOST, *amount))
    rows = [rows[position] for position in rng.permutation(len(rows))]
    with place.replacing("crm.csv") as hidden, hidden.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CRM_COLUMNS)
        writer.writerows(rows)
    won = int(is_won.sum())
    return CrmTruth(
        file="crm.csv",
        rows=len(rows),
        qualified_leads=len(leads),
        won=won,
        lost=len(leads) - won,
        value=float(amounts[is_won].sum()),
        unknown_users=2 * _STRANGERS,
    )


def _strangers() -> tuple[str, ...]:
    return tuple(f"x{number:07d}" for number in range(1, _STRANGERS + 1))


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
