"""How many actors, sessions or attempts take each step of a funnel, and how long that takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from microconv import wording
from microconv.analyses.funnels.funnel import FunnelQuestion
from microconv.analyses.funnels.machine import machine
from microconv.config.funnel_settings import Count, Entry, FunnelConfig, Order
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context
from microconv.result import Result, column, sheet
from microconv.wording import Bar, Sheet

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class FunnelStep:
    """One step of a funnel.

    `count` is the actors, sessions or attempts that took the step. `from_previous` is its share of the last step before
    that is not optional (in an open funnel, the share of those who went on from there), `from_first` that of the first;
    None where there is no such step or nobody took it. `seconds_median` is the median time from the start to this step,
    over those who took it on their way. In an open funnel `count` is `entered` (who came in here) + `continued` (who
    came from an earlier step); in a closed one both are None. Where steps come in any order, `step` is "any k of n".
    """

    step: str = column("step")
    count: int = column("count", wording.count)
    from_previous: float | None = column("from previous", wording.share)
    from_first: float | None = column("from first", wording.share)
    seconds_median: float | None = column("median time", wording.elapsed)
    entered: int | None = column("entered here", wording.count, default=None)
    continued: int | None = column("continued", wording.count, default=None)


@dataclass(frozen=True)
class FunnelResult(Result):
    """A funnel, counted by actors, sessions or attempts.

    One of `window_seconds` (from the first step to any other) and `step_window_seconds` (from step to step) is None.
    """

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

    @property
    def title(self) -> str:
        """Name the funnel, its rules and its window."""
        time = _in_time(self.window_seconds, self.step_window_seconds)
        return f"Funnel {self.funnel}, {self.order}, {self.entry}, by {self.unit}, {time}"

    def sheets(self) -> Iterator[Sheet]:
        """Show a row per step; who entered at a step is said of open funnels."""
        hidden = ("continued",) if self.entry == "open" else ("entered", "continued")
        yield sheet(self.title, self.steps, FunnelStep, labels={"count": self.count}, without=hidden)

    def bars(self) -> tuple[Bar, ...]:
        """One bar per step."""
        return tuple(Bar(step.step, step.count, wording.count(step.count)) for step in self.steps)


class Funnel(FunnelQuestion):
    """Count the funnel NAME of the configuration, or the steps given; options change its keys for this once.

    Any occurrence of the first step may start it; the window counts from there, inclusive. Times are medians since
    the first step. One of --by, --trend, --times, --drop-off and --against asks something else about it.
    """

    in_report: ClassVar[bool] = True
    examples: ClassVar[tuple[str, ...]] = (
        "funnel purchase_journey",
        "funnel purchase_journey --count sessions --chart",
        'funnel --steps "view_item,add_to_cart|add_to_wishlist,begin_checkout?,purchase" --window 1d',
        "funnel purchase_journey --by device_category --top 3",
        "funnel purchase_journey --trend week",
        "funnel purchase_journey --times",
        "funnel purchase_journey --since 2024-03-01 --until 2024-03-31 --against 2024-02-01..2024-02-29",
        "funnel purchase_journey --drop-off --format csv",
    )

    @classmethod
    def fits(cls, funnel: FunnelConfig) -> bool:  # noqa: ARG003 - as the contract has it
        """Every funnel can be counted."""
        return True

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the query that counts the steps."""
        asked = machine(self, context, ways_from=0 if self.order == "unordered" else 2, is_timed=True)
        name = "analyses/funnels/unordered" if self.order == "unordered" else "analyses/funnels/counts"
        return (templates.query(name, params=asked.params, structure={"funnel": asked.structure}),)

    def result(self, tables: Sequence[pa.Table], context: Context) -> FunnelResult:
        """Name the steps; they come back under their names, or the ids they are staged with."""
        (table,) = tables
        steps = steps_of(self, machine(self, context).labels, table.to_pylist())
        window = self.whole_window.seconds if self.whole_window else None
        step_window = self.step_window.seconds if self.step_window else None
        return FunnelResult(
            funnel=self.name,
            count=self.count,
            order=self.order,
            entry=self.entry,
            window_seconds=window,
            step_window_seconds=step_window,
            steps=steps,
            sentence=self._sentence(steps, _in_time(window, step_window)),
            assumptions=self.assumptions(context),
        )

    def _sentence(self, steps: Sequence[FunnelStep], time: str) -> str:
        """Say how many came through."""
        first, last = steps[0], steps[-1]
        if not any(step.count for step in steps):
            return f"No {self.unit} took any step of the funnel {self.name}."
        if self.entry == "open":
            through = f"{wording.count(last.continued or 0)} of them on the way from an earlier step"
            return f"{wording.plural(last.count, self.unit)} took {last.step}, {through}."
        if not first.count:
            return f"No {self.unit} took the first step of the funnel {self.name}, {first.step}."
        way = f"took all {len(steps)} steps" if self.order == "unordered" else f"went from {first.step} to {last.step}"
        through = f"{wording.count(last.count)} of {wording.plural(first.count, self.unit)}"
        return f"{through} ({wording.share(last.count / first.count)}) {way} {time}."


def _in_time(window_seconds: int | None, step_window_seconds: int | None) -> str:
    if window_seconds is not None:
        return f"within {wording.span(window_seconds)}"
    return f"with at most {wording.span(step_window_seconds or 0)} from step to step"


_NOBODY = {"units": 0, "continued": 0}


def steps_of(funnel: FunnelConfig, labels: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> tuple[FunnelStep, ...]:
    """Return all steps of a funnel from rows of those that were taken: step_index, units, continued, seconds_median."""
    found = {row["step_index"]: row for row in rows}
    steps = [found.get(number, _NOBODY) for number in range(1, len(labels) + 1)]
    counts = [row["units"] for row in steps]
    is_open = funnel.entry == "open"
    return tuple(
        FunnelStep(
            step=label,
            count=row["units"],
            from_previous=wording.ratio(
                row["continued"] if is_open else row["units"], _of_previous(funnel, counts, index)
            ),
            from_first=wording.ratio(row["units"], counts[0]),
            seconds_median=row.get("seconds_median"),
            entered=row["units"] - row["continued"] if is_open else None,
            continued=row["continued"] if is_open else None,
        )
        for index, (label, row) in enumerate(zip(labels, steps, strict=True))
    )


def _of_previous(funnel: FunnelConfig, counts: Sequence[int], index: int) -> int:
    """Return how many took the last step before that is not optional; 0 where no share can be taken of it."""
    before = next((other for other in reversed(range(index)) if not funnel.steps[other].optional), None)
    if before is None or (funnel.entry == "open" and before != index - 1):
        return 0
    return counts[before]
