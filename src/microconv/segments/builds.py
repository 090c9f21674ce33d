"""What builds of segments say: who enters and leaves, and how many were in a segment from day to day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, NamedTuple, Self

from microconv import wording
from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.result import Result, column, sheet
from microconv.segments.membership_tables import SEGMENT_BUILDS
from microconv.wording import Bar, Sheet

REASONS = ("no longer matches", "expired", "routed elsewhere", "removed")
"""Why an actor leaves a segment, as `mc_segment_members` says it."""


@dataclass(frozen=True)
class SegmentBuild:
    """What a build found of a segment, or would change. `rule_version` is None where the configuration lacks it."""

    segment: str = column("segment")
    matching: int = column("rule holds for", wording.count)
    members: int = column("members", wording.count)
    with_user_id: int = column("with a user_id", wording.count)
    entered: int = column("entered", wording.count)
    left: int = column("left", wording.count)
    no_longer_matches: int = column("no longer matches", wording.count)
    expired: int = column("expired", wording.count)
    routed_elsewhere: int = column("routed elsewhere", wording.count)
    removed: int = column("removed", wording.count)
    rule_version: str | None = column("rule version")


class Change(NamedTuple):
    """One actor who enters or leaves a segment: personal data."""

    segment: str
    change: str
    reason: str | None
    actor_key: int
    user_id: str | None


@dataclass(frozen=True)
class Build(Result):
    """A build of all segments: those of the configuration in its order, then those that it no longer has.

    Attributes:
        run_id: Its id.
        as_of: The moment it is for.
        last_as_of: The moment of the build before; None: there was none.
        is_preview: Nothing was changed.
        segments: What it found of each.
    """

    row_type: ClassVar[type] = SegmentBuild

    run_id: str
    as_of: datetime
    last_as_of: datetime | None
    is_preview: bool
    segments: tuple[SegmentBuild, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @classmethod
    def of(
        cls,
        run_id: str,
        as_of: datetime,
        last_as_of: datetime | None,
        segments: tuple[SegmentBuild, ...],
        *,
        is_preview: bool,
    ) -> Self:
        """Make it, with the sentence that says who enters and leaves in all, and why they leave."""
        entered = sum(each.entered for each in segments)
        entries = f"{wording.count(entered)} {'entry' if entered == 1 else 'entries'}"
        left = wording.plural(sum(each.left for each in segments), "exit")
        why = [
            f"{wording.count(amount)} {reason}"
            for reason in REASONS
            if (amount := sum(getattr(each, reason.replace(" ", "_")) for each in segments))
        ]
        told = f"{entries} and {left}{f' ({wording.listed(why)})' if why else ''}"
        return cls(
            run_id,
            as_of,
            last_as_of,
            is_preview,
            segments,
            f"A build as of {wording.second(as_of)} would make {told}. Nothing was changed."
            if is_preview
            else f"Built as of {wording.second(as_of)}: {told}.",
            ("Nothing was built before: all members are new.",)
            if last_as_of is None
            else (f"Entries and exits are those since the last build, as of {wording.second(last_as_of)}.",),
        )

    @property
    def rows(self) -> tuple[SegmentBuild, ...]:
        """The segments."""
        return self.segments

    @property
    def title(self) -> str:
        """Say what the table is of."""
        return "What a build would change" if self.is_preview else "Segments"

    def sheets(self) -> Iterable[Sheet | str]:
        """Return one table, without what is in the sentence."""
        shown = ("segment", "matching", "members", "with_user_id", "entered", "left")
        labels = {"entered": "would enter", "left": "would leave"} if self.is_preview else {}
        yield sheet(self.title, self.segments, SegmentBuild, only=shown, labels=labels)

    def only(self, name: str) -> Self:
        """Return what it says of one segment."""
        kept = tuple(each for each in self.segments if each.segment == name)
        return self.of(self.run_id, self.as_of, self.last_as_of, kept, is_preview=self.is_preview)

    @property
    def removed(self) -> tuple[str, ...]:
        """Name the segments whose members leave since the configuration has them no more."""
        return tuple(each.segment for each in self.segments if each.removed)


@dataclass(frozen=True)
class SegmentDay:
    """A segment on a day: as the day's last build left it, and who entered and left that day."""

    day: date = column("day")
    as_of: datetime = column("as of", wording.second)
    matching: int = column("rule holds for", wording.count)
    members: int = column("members", wording.count)
    with_user_id: int = column("with a user_id", wording.count)
    entrants: int = column("entered", wording.count)
    leavers: int = column("left", wording.count)
    builds: int = column("builds", wording.count)


@dataclass(frozen=True)
class SegmentDaysResult(Result):
    """How many were in a segment on each day on which it was built."""

    row_type: ClassVar[type] = SegmentDay

    segment: str
    days: tuple[SegmentDay, ...]
    sentence: str
    assumptions: tuple[str, ...] = (
        "The day of a build is that of its moment (as of), as the property counts days; others are not there.",
        "Members are those after the last build of a day.",
    )

    @property
    def rows(self) -> tuple[SegmentDay, ...]:
        """The days."""
        return self.days

    @property
    def title(self) -> str:
        """Name the segment."""
        return f"Segment {self.segment} by day"

    def bars(self) -> Sequence[Bar]:
        """One bar a day."""
        return tuple(Bar(str(each.day), each.members, wording.count(each.members)) for each in self.days)


def segment_days(engine: Engine, segment: str, zone: str) -> SegmentDaysResult:
    """Say how many were in a segment on each day on which it was built (`sql/segments/days.sql`).

    Raises:
        EngineError: The engine failed.
    """
    is_built = engine.version(SEGMENT_BUILDS.name) is not None
    rows = engine.query(days_query(segment, zone)).to_pylist() if is_built else []
    days = tuple(SegmentDay(**row) for row in rows)
    if not days:
        return SegmentDaysResult(segment, (), f"{segment} was never built: `microconv segment build` does.")
    first, last = days[0], days[-1]
    told = f"{segment} had {wording.plural(last.members, 'member')} on {wording.day(last.day)}"
    if first != last:
        told += f", and {wording.count(first.members)} on {wording.day(first.day)}, the first day on which it was built"
    return SegmentDaysResult(segment, days, f"{told}.")


def days_query(segment: str, zone: str) -> Query:
    """Return the query of a segment's days."""
    return templates.query("segments/days", params={"segment": segment, "zone": zone})


def changes_of(engine: Engine, segment: str, most: int) -> Iterator[Change]:
    """Yield who enters and leaves a segment with the build that was just worked out, up to `most`: personal data."""
    for row in engine.query(changes_of_query(segment, most)).to_pylist():
        yield Change(segment, row["change"], row["reason"], row["actor_key"], row["user_id"])


def changes_of_query(segment: str, most: int) -> Query:
    """Return the query of who enters and leaves a segment."""
    return templates.query("segments/changes_of", params={"segment": segment, "most": most})
