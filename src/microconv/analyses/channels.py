"""Where sessions came from, and what the staged tables hold in all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microconv import templates
from microconv.analyses.results import ChannelResult, ChannelSessions, StagedSummary

if TYPE_CHECKING:
    from microconv.engines.base import Engine


def channels(engine: Engine) -> ChannelResult:
    """Count sessions by default channel group (`sql/analyses/channels.sql`), largest first.

    Raises:
        EngineError: The engine failed.
    """
    rows = engine.query(templates.query("analyses/channels")).to_pylist()
    return ChannelResult(channels=tuple(ChannelSessions(**row) for row in rows))


def summary(engine: Engine) -> StagedSummary:
    """Say what the staged tables hold (`sql/analyses/summary.sql`); zeros and None when nothing is staged.

    Raises:
        EngineError: The engine failed.
    """
    (row,) = engine.query(templates.query("analyses/summary")).to_pylist()
    return StagedSummary(**row)
