"""Where sessions came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, ClassVar

from microconv import wording
from microconv.config.sections import Period
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, Question, days
from microconv.result import Result, column
from microconv.wording import Bar

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class ChannelSessions:
    """Sessions of one default channel group."""

    channel_group: str = column("channel group")
    sessions: int = column("sessions", wording.count)
    engaged_sessions: int = column("engaged", wording.count)
    actors: int = column("actors", wording.count)
    page_views: int = column("page views", wording.count)


@dataclass(frozen=True)
class ChannelsResult(Result):
    """Sessions by default channel group, largest first."""

    row_type: ClassVar[type] = ChannelSessions

    channels: tuple[ChannelSessions, ...]
    sentence: str
    assumptions: tuple[str, ...]
    since: date | None = None
    until: date | None = None

    @property
    def rows(self) -> tuple[ChannelSessions, ...]:
        """The channel groups."""
        return self.channels

    @property
    def title(self) -> str:
        """What the table is called."""
        return "Sessions by default channel group"

    def bars(self) -> tuple[Bar, ...]:
        """One bar per channel group: its sessions."""
        return tuple(Bar(row.channel_group, row.sessions, wording.count(row.sessions)) for row in self.channels)


class Channels(Period, Question):
    """Count sessions, engaged sessions, actors and page views by default channel group, the largest first."""

    examples: ClassVar[tuple[str, ...]] = ("channels", "channels --since 2024-03-01 --format json")

    def queries(self, context: Context) -> tuple[Query, ...]:  # noqa: ARG002 - as the contract has it
        """Return the one query."""
        return (templates.query("analyses/channels", params=days(self)),)

    def result(self, tables: Sequence[pa.Table], context: Context) -> ChannelsResult:  # noqa: ARG002 - as the contract has it
        """Say which brings most sessions."""
        (table,) = tables
        channels = tuple(ChannelSessions(**row) for row in table.to_pylist())
        return ChannelsResult(
            channels=channels,
            sentence=_sentence(channels),
            assumptions=(
                "A session counts on the day on which it began.",
                "It is engaged after 10 s of engagement, with a key event, or with at least 2 page views.",
            ),
            since=self.since,
            until=self.until,
        )


def _sentence(channels: Sequence[ChannelSessions]) -> str:
    total = sum(row.sessions for row in channels)
    if not total:
        return "No session is staged in these days."
    largest = channels[0]
    return (
        f"{largest.channel_group} brings the most sessions: {wording.count(largest.sessions)} of "
        f"{wording.count(total)} ({wording.share(largest.sessions / total)})."
    )
