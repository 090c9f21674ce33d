"""What funnels return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from microconv.config.sections import Count, Entry, Order
from microconv.result import Result


@dataclass(frozen=True)
class FunnelStep:
    """One step of a funnel.

    `count` is the actors, sessions or attempts that took the step. `from_previous` is its share of the last step before
    that is not optional (in an open funnel, the share of those who went on from there), `from_first` that of the first;
    None where there is no such step or nobody took it. `seconds_median` is the median time from the start to this step,
    over those who took it on their way. In an open funnel `count` is `entered` (who came in here) + `continued` (who
    came from an earlier step); in a closed one both are None. Where steps come in any order, `step` is "any k of n".
    """

    step: str
    count: int
    from_previous: float | None
    from_first: float | None
    seconds_median: float | None
    entered: int | None = None
    continued: int | None = None


@dataclass(frozen=True)
class FunnelResult(Result):
    """A funnel, counted by actors, sessions or attempts.

    One of `window_seconds` (from the first step to any other) and `step_window_seconds` (from step to step) is None.
    `sentence` says it in words; `assumptions` are what the figures rest on.
    """

    analysis: ClassVar[str] = "funnel"
    row_type: ClassVar[type] = FunnelStep

    funnel: str
    count: Count
    order: Order
    entry: Entry
    window_seconds: int | None
    step_window_seconds: int | None
    steps: tuple[FunnelStep, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def unit(self) -> str:
        """What is counted, in the singular: `actor`, `session` or `attempt`."""
        return self.count.removesuffix("s")

    @property
    def rows(self) -> tuple[FunnelStep, ...]:
        """The steps."""
        return self.steps
