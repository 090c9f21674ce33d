"""Writes a demo: the shards of a GA4 export day by day, its people, its configuration and the truth about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from microconv.demo.accounts import PeopleTruth, write_people
from microconv.demo.calendar import DAYS, INTRADAY, LATE_DAY, NDJSON_DAY, NEW_COLUMNS_FROM, Calendar, demo_calendar
from microconv.demo.crm import CrmTruth, write_crm
from microconv.demo.events import Events, events_of_day, late_rows, split_at, with_exact_duplicates, without_outage
from microconv.demo.folder import SETTINGS, DemoFolder, packaged
from microconv.demo.formats import write_ndjson, write_parquet
from microconv.demo.interests import draw_interests
from microconv.demo.journeys import Integers, Journeys, plan_journeys
from microconv.demo.plants import interest_rows, planted_rows, price_shoppers
from microconv.demo.rows import Era, RowBuilder, user_ids
from microconv.demo.truths import LateDay, Tally, Truths
from microconv.errors import EngineError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

FEWEST_EVENTS: Final = 1_000
_ROWS_PER_TABLE: Final = 20_000
# Each part of the demo draws from its own stream of numbers, so that one may change without moving the others.
_MODEL_STREAM, _DAY_STREAM, _PEOPLE_STREAM, _SHOPPER_STREAM, _PLANT_STREAM, _CRM_STREAM, _INTEREST_STREAM = range(7)


@dataclass(frozen=True)
class DemoExport:
    """A demo on disk: `config` is the microconv.toml to run, `events` the rows in `exports/`, duplicates included."""

    folder: Path
    config: Path
    days: int
    first_date: date
    last_date: date
    events: int
    truths: Truths


def write_demo(
    folder: Path,
    *,
    events: int = 200_000,
    seed: int = 7,
    on_day: Callable[[int, int], None] | None = None,
) -> DemoExport:
    """Write a GA4 export with planted truths into `folder`, with everything a first run needs.

    The same `events` and `seed` give the same files. Memory grows by about 250 bytes per session and one day's rows.

    Args:
        folder: created where missing; must be empty or hold an earlier demo as it was written, which is replaced.
        events: about how many rows to write, over 30 days; every truth holds non-trivially from 20,000 on.
        seed: of all random draws.
        on_day: called with the number of days written and their total, after each day.

    Returns:
        Where everything lies, and what is true about it (also in `truths.json`).

    Raises:
        UsageError: `folder` holds something else, or a demo whose files were changed, or is a file; or `events` is
            below 1,000.
        EngineError: the disk is full or the folder may not be written to.
    """
    if events < FEWEST_EVENTS:
        raise UsageError(
            f"A demo of {events} events is too small to show anything.",
            hint=f"Ask for at least {FEWEST_EVENTS:,}; 20,000 are enough for every planted truth.",
        )
    place = DemoFolder(folder)
    try:
        place.prepare()
        return _write(place, events, seed, on_day)
    except OSError as error:
        raise EngineError(
            f"The demo cannot be written to {folder}: {error.strerror or error}.",
            hint="Choose a folder you may write to, on a disk with room for it (about 60 bytes per event).",
        ) from error


def _write(place: DemoFolder, events: int, seed: int, on_day: Callable[[int, int], None] | None) -> DemoExport:
    calendar = demo_calendar()
    journeys = plan_journeys(events, calendar, np.random.default_rng([seed, _MODEL_STREAM]))
    shoppers = price_shoppers(journeys, np.random.default_rng([seed, _SHOPPER_STREAM]))
    interests = draw_interests(journeys, np.random.default_rng([seed, _INTEREST_STREAM]))
    tally = Tally()
    shards = _Shards(place, journeys, calendar)
    waiting: Events | None = None
    for day in range(DAYS):
        rng = np.random.default_rng([seed, _DAY_STREAM, day])
        rows = without_outage(events_of_day(journeys, day, rng), calendar)
        today, tomorrow = split_at(rows, calendar.midnights[day + 1])
        crossing = np.unique(tomorrow.session)
        tally.add_crossing(crossing, journeys)
        if waiting is not None:
            crossing = np.union1d(crossing, waiting.session)
            today = waiting.then(today)
        waiting = tomorrow
        planted = planted_rows(
            today, crossing, journeys, shoppers, day=day, rng=np.random.default_rng([seed, _PLANT_STREAM, day])
        )
        planted = planted.then(interest_rows(today, crossing, journeys, interests, day=day))
        today = with_exact_duplicates(today, journeys, rng)
        tally.plants.add_day(today, planted, journeys)
        if day == LATE_DAY:
            late = late_rows(today, crossing, journeys, rng)
            again = today.then(planted)
            path = shards.write(again, day, "late")
            tally.late_day = LateDay(calendar.dates[day], path.name, len(again) - int(late.sum()), len(again))
            today = today.take(~late)
        today = today.then(planted)
        path = shards.write(today, day, "exports")
        tally.add_day(today, journeys, calendar.dates[day], path.name, "intraday" if day == INTRADAY else "daily")
        if on_day is not None:
            on_day(day + 1, DAYS)

    truths = tally.truths(journeys, calendar, *_people(place, journeys, calendar, seed))
    with place.replacing("truths.json") as hidden:
        hidden.write_text(json.dumps(truths.document(), indent=2) + "\n", "utf-8")
    for name in SETTINGS:
        with place.replacing(name) as hidden:
            hidden.write_text(packaged(name), "utf-8")
    return DemoExport(
        folder=place.folder,
        config=place.folder / "microconv.toml",
        days=DAYS,
        first_date=calendar.dates[0],
        last_date=calendar.dates[-1],
        events=truths.events,
        truths=truths,
    )


class _Shards:
    """Writes the shard of a day under the name, in the form and with the columns that day has."""

    def __init__(self, place: DemoFolder, journeys: Journeys, calendar: Calendar) -> None:
        self._place = place
        self._calendar = calendar
        self._rows = RowBuilder(journeys, calendar)

    def write(self, events: Events, day: int, part: str) -> Path:
        is_intraday = day == INTRADAY
        era = Era(
            has_newer_columns=day >= NEW_COLUMNS_FROM,
            has_last_click=day >= NEW_COLUMNS_FROM and not is_intraday,
        )
        stem = f"events_{'intraday_' if is_intraday else ''}{self._calendar.text(day)}"
        name = f"{stem}.ndjson.gz" if day == NDJSON_DAY else f"{stem}.parquet"
        with self._place.replacing(part, name) as hidden:
            if day == NDJSON_DAY:
                write_ndjson(hidden, self._tables(events, day, era))
            else:
                write_parquet(hidden, era.schema, self._tables(events, day, era))
        return self._place.folder / part / name

    def _tables(self, events: Events, day: int, era: Era) -> Iterator[pa.Table]:
        for start in range(0, len(events), _ROWS_PER_TABLE):
            yield self._rows.table(events.take(slice(start, start + _ROWS_PER_TABLE)), day, era)


def _people(place: DemoFolder, journeys: Journeys, calendar: Calendar, seed: int) -> tuple[PeopleTruth, CrmTruth]:
    clients = journeys.clients
    accounts, first_client = np.unique(clients.member[clients.member >= 0], return_index=True)
    places: Integers = clients.place[clients.member >= 0][first_client]
    users = user_ids(accounts).to_pylist()
    people = write_people(place, users, places, np.random.default_rng([seed, _PEOPLE_STREAM]))
    return people, write_crm(place, users, calendar, np.random.default_rng([seed, _CRM_STREAM]))
