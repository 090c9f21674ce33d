"""Where a funnel loses people: what those did next who took a step and no later one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from microconv.analyses.funnels.machine import EVERYTHING, Selection, in_order, machine, settled
from microconv.analyses.funnels.wording import assumptions, counted
from microconv.config.sections import Count, FunnelConfig
from microconv.engines.base import Engine
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.result import EXIT, OTHER, Result
from microconv.taxonomy import Taxonomy

_MOST_NEXT = 10


@dataclass(frozen=True)
class NextStep:
    """What came at one place (1: right after) behind a step that was the last taken, and for how many.

    `next` is a micro-conversion, `(exit)` where nothing followed any more, or `(other)` for all beyond the most
    frequent. `share` is of those lost after the step (0 to 1).
    """

    step: str
    place: int
    next: str
    count: int
    share: float


@dataclass(frozen=True)
class LostStep:
    """Whose furthest step this was: `left_session` did nothing more in that session, `returned` came in a later one."""

    step: str
    lost: int
    left_session: int
    returned: int


@dataclass(frozen=True)
class DropOffResult(Result):
    """For each step but the last, who was lost after it, and what came next."""

    analysis: ClassVar[str] = "funnel_drop_off"
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


def drop_off(
    engine: Engine,
    config: FunnelConfig,
    taxonomy: Taxonomy,
    selection: Selection = EVERYTHING,
    *,
    most_next: int = 3,
    top: int = 10,
) -> DropOffResult:
    """Say what those did next whose way through a funnel ended before its last step.

    It ends at the furthest step that any attempt took, where that was first taken.

    Args:
        engine: Where the staged tables are.
        config: The funnel: ordered or strict.
        taxonomy: The taxonomy the tables were staged with.
        selection: Which starts count.
        most_next: How many micro-conversions to follow, 1 to 10.
        top: How many to tell apart at each place; the rest is `(other)`.

    Raises:
        UsageError: The funnel has no order of steps, or a number is out of its range.
        TaxonomyError: A step is no micro-conversion of the taxonomy.
        EngineError: The engine failed.
    """
    if top < 1:
        raise UsageError(f"{top} micro-conversions cannot be told apart.", hint="Ask for 1 or more.")
    selection = settled(engine, selection)
    rows = engine.query(drop_off_query(config, taxonomy, selection, most_next=most_next)).to_pylist()
    labels = machine(config, taxonomy, selection).labels[:-1]
    whole = {row["step_index"]: row for row in rows if row["place"] == 0}
    steps = tuple(
        LostStep(label, found["units"], found["left_session"], found["returned"])
        for number, label in enumerate(labels, start=1)
        for found in [whole.get(number, _NOBODY)]
    )
    return DropOffResult(
        funnel=config.name,
        count=config.count,
        steps=steps,
        nexts=tuple(_nexts(rows, labels, top)),
        sentence=_sentence(config.count, steps),
        assumptions=(
            *assumptions(config, selection),
            "A way ends where the furthest step was first taken; whoever took the last step is not lost.",
            "What comes next are later micro-conversions of the actor in any session, at any distance, in order.",
            "What happens after the last staged day is not seen, so that the latest losses may yet return.",
        ),
    )


_NOBODY = {"units": 0, "left_session": 0, "returned": 0}


def drop_off_query(
    config: FunnelConfig, taxonomy: Taxonomy, selection: Selection = EVERYTHING, *, most_next: int = 3
) -> Query:
    """Return the query of a funnel's losses; UsageError where steps have no order."""
    in_order(config, "a furthest one")
    if not 1 <= most_next <= _MOST_NEXT:
        raise UsageError(
            f"{most_next} micro-conversions cannot be followed.", hint=f"Choose a number from 1 to {_MOST_NEXT}."
        )
    asked = machine(config, taxonomy, selection, attributes=("actor_key", "session_key"))
    return templates.query(
        "analyses/funnels/drop_off",
        params={**asked.params, "most_next": most_next},
        structure={"funnel": asked.structure},
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


def _sentence(count: Count, steps: Sequence[LostStep]) -> str:
    worst = max(steps, key=lambda step: step.lost)
    if not worst.lost:
        return f"No {count.removesuffix('s')} was lost on the way."
    return (
        f"Most are lost after {worst.step}: {counted(count, worst.lost)}, of whom {worst.left_session:,} did nothing "
        f"more in that session and {worst.returned:,} came back in a later one."
    )
