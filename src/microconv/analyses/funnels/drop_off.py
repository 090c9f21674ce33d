"""Where a funnel loses people: what those did next who took a step and no later one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from microconv import wording
from microconv.analyses.funnels.funnel import FunnelQuestion
from microconv.analyses.funnels.machine import machine
from microconv.config.funnel_settings import Count
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context
from microconv.result import EXIT, OTHER, Result, column, sheet
from microconv.wording import Bar, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

_NOBODY = {"units": 0, "left_session": 0, "returned": 0}


@dataclass(frozen=True)
class NextStep:
    """What came at one place (1: right after) behind a step that was the last taken, and for how many.

    `next` is a micro-conversion, `(exit)` where nothing followed any more, or `(other)` for all beyond the most
    frequent. `share` is of those lost after the step (0 to 1).
    """

    step: str = column("furthest step")
    place: int = column("place", wording.count)
    next: str = column("micro-conversion")
    count: int = column("count", wording.count)
    share: float = column("share", wording.share)


@dataclass(frozen=True)
class LostStep:
    """Whose furthest step this was: `left_session` did nothing more in that session, `returned` came in a later one."""

    step: str = column("furthest step")
    lost: int = column("lost", wording.count)
    left_session: int = column("left the session", wording.count)
    returned: int = column("came back", wording.count)


@dataclass(frozen=True)
class FunnelDropOffResult(Result):
    """For each step but the last, who was lost after it, and what came next."""

    row_type: ClassVar[type] = NextStep

    funnel: str
    count: Count
    steps: tuple[LostStep, ...]
    nexts: tuple[NextStep, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[NextStep, ...]:
        """What came next."""
        return self.nexts

    def sheets(self) -> Iterator[Sheet]:
        """Show who was lost after each step, and what came next."""
        yield sheet(f"Lost on the way through {self.funnel}, {self.count}", self.steps, LostStep)
        yield sheet("What came next", self.nexts, NextStep, labels={"count": self.count})

    def bars(self) -> tuple[Bar, ...]:
        """One bar per step."""
        return tuple(Bar(step.step, step.lost, f"{wording.count(step.lost)} lost") for step in self.steps)


class FunnelDropOff(FunnelQuestion):
    """What those did next whose way through a funnel ended before its last step.

    It ends at the furthest step that any attempt took, where that was first taken.
    """

    most_next: int = Field(default=3, ge=1, le=10, description="how many of the next micro-conversions to show")
    top: int = Field(default=10, ge=1, description="maximum number of micro-conversions to tell apart at each place")

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the query of the losses."""
        self.refuse_without_order("no furthest one")
        asked = machine(self, context, attributes=("actor_key", "session_key"))
        query = templates.query(
            "analyses/funnels/drop_off",
            params={**asked.params, "most_next": self.most_next},
            structure={"funnel": asked.structure},
        )
        return (query,)

    def result(self, tables: Sequence[pa.Table], context: Context) -> FunnelDropOffResult:
        """Name what came next."""
        (table,) = tables
        rows = table.to_pylist()
        labels = machine(self, context).labels[:-1]
        whole = {row["step_index"]: row for row in rows if row["place"] == 0}
        steps = tuple(
            LostStep(label, found["units"], found["left_session"], found["returned"])
            for number, label in enumerate(labels, start=1)
            for found in [whole.get(number, _NOBODY)]
        )
        return FunnelDropOffResult(
            funnel=self.name,
            count=self.count,
            steps=steps,
            nexts=tuple(_nexts(rows, labels, self.top)),
            sentence=self._sentence(steps),
            assumptions=(
                *self.assumptions(context),
                "A way ends where the furthest step was first taken; whoever took the last step is not lost.",
                "What comes next are later micro-conversions of the actor in any session, at any distance, in order.",
                "What happens after the last staged day is not seen, so that the latest losses may yet return.",
            ),
        )

    def _sentence(self, steps: Sequence[LostStep]) -> str:
        worst = max(steps, key=lambda step: step.lost)
        if not worst.lost:
            return f"No {self.unit} was lost on the way."
        return (
            f"Most are lost after {worst.step}: {wording.plural(worst.lost, self.unit)}, of whom "
            f"{wording.count(worst.left_session)} did nothing more in that session and {wording.count(worst.returned)} "
            "came back in a later one."
        )


def _nexts(rows: Sequence[dict[str, Any]], labels: Sequence[str], top: int) -> Iterator[NextStep]:
    places = sorted({(row["step_index"], row["place"]) for row in rows if row["place"]})
    for step, place in places:
        here = [row for row in rows if (row["step_index"], row["place"]) == (step, place)]
        whole = sum(row["units"] for row in here)
        named = [(row["micro_conversion"] or EXIT, row["units"]) for row in here]
        shown, rest = named[:top], sum(units for _, units in named[top:])
        for name, units in (*shown, *([(OTHER, rest)] if rest else [])):
            yield NextStep(labels[step - 1], place, name, units, units / whole)
