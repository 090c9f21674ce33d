"""Which time zones fit the days of an export: GA4 says of each event on which day of the property it happened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

_MINUTES = 60
_UNEVEN = (-570, -210, -150, 210, 270, 330, 345, 390, 525, 570, 630, 765, 825)
_OFFSETS = tuple(sorted((*range(-12 * _MINUTES, 14 * _MINUTES + 1, _MINUTES), *_UNEVEN)))
"""UTC offsets that places have, in minutes: whole hours, and those of some half and quarter hours."""

_ZONES = (
    *("Europe/Berlin", "Europe/London", "UTC", "America/New_York", "America/Los_Angeles", "America/Chicago"),
    *("America/Denver", "America/Phoenix", "America/Halifax", "America/St_Johns", "America/Mexico_City"),
    *("America/Bogota", "America/Santiago", "America/Sao_Paulo", "America/Anchorage", "Pacific/Honolulu"),
    *("Atlantic/Azores", "Africa/Lagos", "Africa/Johannesburg", "Africa/Cairo", "Africa/Nairobi", "Europe/Athens"),
    *("Asia/Jerusalem", "Europe/Istanbul", "Asia/Tehran", "Asia/Dubai", "Asia/Kabul", "Asia/Karachi", "Asia/Kolkata"),
    *("Asia/Kathmandu", "Asia/Dhaka", "Asia/Yangon", "Asia/Bangkok", "Asia/Singapore", "Asia/Tokyo"),
    *("Australia/Adelaide", "Australia/Darwin", "Australia/Brisbane", "Australia/Sydney", "Pacific/Auckland"),
    *("Pacific/Fiji", "Pacific/Tongatapu", "Pacific/Kiritimati"),
)
"""A zone for each way in which days begin in places where many people live, the likelier first."""


class Week(NamedTuple):
    """A week of a property: days can begin there between `least` and `greatest` minutes ahead of UTC."""

    property_id: str
    monday: date
    least: int
    greatest: int
    days: int


@dataclass(frozen=True)
class Fit:
    """What fits the days of a property.

    Attributes:
        zones: Zones that fit best, the likelier first.
        offsets: UTC offsets, in minutes, that fit as well as these all the time; none where summer time shows.
        misfits: Days of the weeks that contradict even these.
        days: All days.
    """

    zones: tuple[str, ...]
    offsets: tuple[int, ...]
    misfits: int
    days: int

    @property
    def is_telling(self) -> bool:
        """Whether the days tell the offset, at least up to two hours, and do not contradict every zone."""
        few = not self.offsets or self.offsets[-1] - self.offsets[0] <= 2 * _MINUTES
        return bool(self.zones) and few and self.misfits * 10 < self.days

    def __str__(self) -> str:
        """Say when days begin: `midnight of UTC-08:00 (such as America/Los_Angeles)`."""
        such_as = " or ".join(self.zones[:2])
        if not self.offsets:
            return f"midnight in {such_as}"
        first, last = (_utc(offset) for offset in (self.offsets[0], self.offsets[-1]))
        when = f"midnight of {first}" if first == last else f"midnight of an offset from {first} to {last}"
        return f"{when} (such as {such_as})" if such_as else when


def read_week(subject: str, days: int) -> Week:
    """Read a fact `day_offsets`: its subject, and the days that it is about."""
    property_id, monday, least, greatest = subject.rsplit("|", 3)
    return Week(property_id, date.fromisoformat(monday), int(least), int(greatest), days)


def misfits(zone: str, weeks: Iterable[Week]) -> int:
    """Count the days of the weeks in which events would lie outside their day, were the property in this zone."""
    info = ZoneInfo(zone)
    return sum(week.days for week in weeks if not week.least <= _offset(info, week.monday) <= week.greatest)


def fit(weeks: Sequence[Week]) -> Fit:
    """Find the zones and the offsets that the days of a property contradict least."""
    of_zones = {zone: misfits(zone, weeks) for zone in _ZONES}
    of_offsets = {
        offset: sum(week.days for week in weeks if not week.least <= offset <= week.greatest) for offset in _OFFSETS
    }
    best = min([*of_zones.values(), *of_offsets.values()])
    return Fit(
        zones=tuple(zone for zone, days in of_zones.items() if days == best),
        offsets=tuple(offset for offset, days in of_offsets.items() if days == best),
        misfits=best,
        days=sum(week.days for week in weeks),
    )


def _offset(info: ZoneInfo, monday: date) -> int:
    """Return the zone's UTC offset in minutes in the middle of a week: clocks are changed at its end."""
    moment = datetime.combine(monday + timedelta(days=2), time(12), tzinfo=UTC)
    return int((moment.astimezone(info).utcoffset() or timedelta()) / timedelta(minutes=1))


def _utc(minutes: int) -> str:
    if minutes == 0:
        return "UTC"
    hours, rest = divmod(abs(minutes), _MINUTES)
    return f"UTC{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"
