"""The export of a small shop as it arrives over weeks: late, again, provisional first, with a schema that grows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random

from places import Event, Place

from ga4 import event, microseconds
from microconv.exports.shards import Kind

FIRST_DAY = date(2024, 3, 1)
BEFORE_THE_SCHEMA_GROWS = ("batch_event_index", "batch_page_id", "batch_ordering_id", "collected_traffic_source")
NAMES = ("page_view", "view_item", "add_to_cart", "purchase", "scroll")
CLIENTS = 6


@dataclass
class Arrivals:
    """What GA4 does to an export, day after day; the same `seed` tells the same story.

    `shards` is the latest version of each shard that was ever there, but for provisional ones that gave way.
    """

    place: Place
    days: int
    seed: int
    shards: dict[tuple[date, Kind], tuple[list[Event], tuple[str, ...]]] = field(default_factory=dict)
    _day: int = 0

    def __post_init__(self) -> None:
        self._chance = Random(self.seed)
        # From which day on a client is signed in; some never are, and two share a user.
        self._signs_in = {client: self._chance.randrange(self.days * 3 // 2) for client in range(CLIENTS)}
        self._due: dict[int, list[int]] = {}
        self._versions = [0] * self.days

    def next_day(self) -> None:
        """Let a day pass."""
        today, chance = self._day, self._chance
        self._due.setdefault(today + chance.choice((1, 1, 1, 2, 3)), []).append(today)
        landing = self._due.pop(today, [])
        for day in landing:
            self._land(day)
        for day in range(max(1, today - 10), today):
            share = 0.25 if today - day <= 3 else 0.02
            if (_date(day), "daily") in self.shards and day not in landing and chance.random() < share:
                self._versions[day] += 1
                self._put(day, "daily")
        if chance.random() < 0.7 or today == 0:
            self._put(today, "intraday")
        self._day += 1

    def catch_up(self) -> None:
        """Let every day land that is still provisional."""
        for day in sorted(day for days in self._due.values() for day in days):
            self._land(day)
        self._due.clear()

    def delete_oldest(self) -> None:
        """Delete the shard of the first day: what was staged from it stays."""
        self.place.remove(FIRST_DAY)

    def repeat_at(self, other: Place) -> None:
        """Write the latest version of all shards to another place, those that were deleted too."""
        for (day, kind), (events, without) in self.shards.items():
            other.put(day, events, kind, without)

    def _land(self, day: int) -> None:
        self._put(day, "daily")
        if self.shards.pop((_date(day), "intraday"), None):
            self.place.remove(_date(day), "intraday")

    def _put(self, day: int, kind: Kind) -> None:
        events = self._events(day)
        if kind == "intraday":
            events = events[: len(events) // 2]
        without = BEFORE_THE_SCHEMA_GROWS if self._day < self.days // 2 else ()
        self.shards[_date(day), kind] = events, without
        self.place.put(_date(day), events, kind, without)

    def _events(self, day: int) -> list[Event]:
        """The events of a day as its present version has them: each version has some more, and lacks some."""
        chance = Random(f"{self.seed} {day}")
        today = _date(day)
        found = [
            *(each for client in range(CLIENTS) if chance.random() < 0.6 for each in self._visit(day, client, chance)),
            *(self._event(day, each, day - 1, f"{today} 00:03:00", "add_to_cart") for each in self._owls(day - 1)),
            *(self._event(day, each, day, f"{today} 23:58:00", "view_item") for each in self._owls(day)),
        ]
        found.append(event(f"{today} 10:00:00", "page_view", client=None, session=None))
        changing = Random(f"{self.seed} {day} {self._versions[day]}")
        for version in range(self._versions[day]):
            late = self._event(day, changing.randrange(CLIENTS), day, f"{today} 14:00:{version:02}", "page_view")
            found += [late] * changing.choice((1, 1, 2))  # an exact duplicate now and then
            if len(found) > 1:
                found.pop(changing.randrange(len(found)))
        return sorted(found, key=lambda each: each["event_timestamp"])

    def _owls(self, day: int) -> list[int]:
        """The clients whose session of a day goes on over midnight."""
        chance = Random(f"{self.seed} {day} night")
        return [client for client in range(CLIENTS) if day >= 0 and chance.random() < 0.3]

    def _visit(self, day: int, client: int, chance: Random) -> list[Event]:
        start = datetime.fromisoformat(f"{_date(day)} 08:00:00") + timedelta(minutes=chance.randrange(600))
        return [
            self._event(day, client, day, str(start + timedelta(seconds=20 * step)), chance.choice(NAMES))
            for step in range(chance.randrange(1, 4))
        ]

    def _event(self, day: int, client: int, session: int, at: str, name: str) -> Event:
        is_signed_in = day >= self._signs_in[client]
        return event(
            microseconds(at),
            name,
            client=f"{client}.5",
            session=session * 10 + client,
            user_id=f"user {client // 2 if client < 2 else client}" if is_signed_in else None,
            batch_event_index=1,
            params={"page_location": f"https://shop.example/{name}", "source": "news", "medium": "email"},
        )


def _date(day: int) -> date:
    return FIRST_DAY + timedelta(days=day)
