"""Where sessions came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.result import frame

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ChannelSessions:
    """Sessions of one default channel group."""

    channel_group: str
    sessions: int
    engaged_sessions: int
    actors: int
    page_views: int


@dataclass(frozen=True)
class ChannelResult:
    """Sessions by default channel group, largest first."""

    channels: tuple[ChannelSessions, ...]

    def document(self) -> dict[str, Any]:
        """Return the JSON document: the list `channels`."""
        return asdict(self)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per channel group, with the columns of `ChannelSessions`."""
        return frame(self.channels, ChannelSessions)


def channels(engine: Engine) -> ChannelResult:
    """Count sessions by default channel group (`sql/analyses/channels.sql`), largest first.

    Raises:
        EngineError: The engine failed.
    """
    rows = engine.query(templates.query("analyses/channels")).to_pylist()
    return ChannelResult(channels=tuple(ChannelSessions(**row) for row in rows))
