"""What comes after the sale: how many buyers come to each entry of the last stage, and when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from microconv import wording
from microconv.analyses.insight.buyers import FEWEST_BUYERS, BuyerQuestion, between, not_enough
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, days
from microconv.result import Result, column
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar

if TYPE_CHECKING:
    import pyarrow as pa

STAGE = "post_sale"
_LEAST_KNOWN = 0.1


@dataclass(frozen=True)
class PostSaleStep:
    """How many buyers came to an entry after their first purchase, and how long it takes.

    `share` is the share who come to it within `within_seconds`, after which too few are known (Kaplan and Meier);
    `median_seconds` is the time after which half of all buyers have: None where the data do not reach that.
    """

    micro_conversion: str = column("micro-conversion")
    buyers: int = column("buyers", wording.count)
    reached: int = column("came to it", wording.count)
    within_seconds: float | None = column("within", wording.elapsed)
    share: float | None = column("share", wording.share)
    low: float | None = column("share from", wording.share)
    high: float | None = column("share to", wording.share)
    median_seconds: float | None = column("half of all after", wording.elapsed)
    median_low: float | None = column("half from", wording.elapsed)
    median_high: float | None = column("half to", wording.elapsed)
    says: str = column("says")


@dataclass(frozen=True)
class PostSaleResult(Result):
    """The entries of stage post_sale in the order of the journey."""

    row_type: ClassVar[type] = PostSaleStep

    goal: str
    steps: tuple[PostSaleStep, ...]
    sentence: str
    assumptions: tuple[str, ...]
    since: date | None = None
    until: date | None = None

    @property
    def rows(self) -> tuple[PostSaleStep, ...]:
        """The entries."""
        return self.steps

    @property
    def title(self) -> str:
        """What the table is called."""
        return f"After the first {self.goal}"

    def bars(self) -> tuple[Bar, ...]:
        """One bar per entry: the share who come to it."""
        return tuple(
            Bar(row.micro_conversion, row.share, wording.share(row.share))
            for row in self.steps
            if row.share is not None
        )


class PostSale(BuyerQuestion):
    """Say what share of buyers come to each entry of stage post_sale, such as a review or a renewal, and when."""

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the one query."""
        goal = self.goal_in(context.taxonomy)
        end_at = context.latest_event_at or templates.EXAMPLE_MOMENT
        query = templates.query(
            "analyses/insight/post_sale",
            params={
                "conversion": goal,
                "entries": _entries(context.taxonomy, goal),
                "end_at": end_at,
                **days(self),
            },
        )
        return (query,)

    def result(self, tables: Sequence[pa.Table], context: Context) -> PostSaleResult:
        """Estimate how many come to each entry, and when."""
        goal = self.goal_in(context.taxonomy)
        rows: dict[str, list[dict[str, Any]]] = {each: [] for each in _entries(context.taxonomy, goal)}
        for row in tables[0].to_pylist():
            rows[row["micro_conversion"]].append(row)
        steps = tuple(_step(entry, found) for entry, found in rows.items())
        return PostSaleResult(
            goal=goal,
            steps=steps,
            sentence=_sentence(steps, goal),
            assumptions=(
                f"Time begins with an actor's first {goal} in the data, and the first occurrence after it counts.",
                (
                    "Buyers who had not come to it when the data end count for as long as they were seen (Kaplan and "
                    "Meier); those who will never come to it cannot be told from those who have not yet."
                ),
                "Intervals are at 95%. Times are whole minutes within the first day, and whole hours after it.",
            ),
            since=self.since,
            until=self.until,
        )


def _entries(taxonomy: Taxonomy, goal: str) -> list[str]:
    counted = sorted({entry.counts_as for entry in taxonomy.entries}, key=taxonomy.rank)
    return [each for each in counted if each != goal and taxonomy.entry(each).stage == STAGE]


def _step(entry: str, rows: Sequence[dict[str, Any]]) -> PostSaleStep:
    buyers = sum(row["reached"] + row["waiting"] for row in rows)
    reached = sum(row["reached"] for row in rows)
    if buyers < FEWEST_BUYERS:
        return PostSaleStep(entry, buyers, reached, *(None,) * 7, says=not_enough(buyers))
    # Loads numpy; who looks at the options does without.
    from microconv.stats.survival import Waited, kaplan_meier, known_until, time_by

    waits = [Waited(row["waited_seconds"], row["reached"], row["waiting"]) for row in rows]
    curve = kaplan_meier(waits)
    known = known_until(waits, max(FEWEST_BUYERS, math.ceil(_LEAST_KNOWN * buyers)))
    within = min(known, max(each.time for each in waits))
    there = [step for step in curve if step.time <= within]
    median, interval = time_by(there)
    share, low, high = (1 - there[-1].waiting, 1 - there[-1].high, 1 - there[-1].low) if there else (0.0, None, None)
    if not reached:
        says = "nobody came to it"
    else:
        says = "" if median is not None else "fewer than half come to it in the time seen"
    return PostSaleStep(
        entry,
        buyers,
        reached,
        float(within),
        share,
        low,
        high,
        median,
        _finite(interval.low) if median is not None else None,
        _finite(interval.high) if median is not None else None,
        says,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _sentence(steps: Sequence[PostSaleStep], goal: str) -> str:
    if not steps:
        return "The taxonomy has no entry of stage post_sale, so there is nothing to follow after the sale."
    buyers = max(row.buyers for row in steps)
    if not buyers:
        return f"No {goal} is staged in these days, so nobody is after the sale."
    known = [row for row in steps if row.share]
    if not known:
        few = not_enough(buyers) if buyers < FEWEST_BUYERS else "nothing after the sale is staged of them"
        return f"There {'is' if buyers == 1 else 'are'} {wording.plural(buyers, 'buyer')}: {few}."
    most = max(known, key=lambda row: row.share or 0.0)
    when = f"; half of all have after {wording.elapsed(most.median_seconds)}" if most.median_seconds is not None else ""
    return (
        f"Of what comes after the first {goal}, most buyers come to {most.micro_conversion}: "
        f"{wording.share(most.share)} within {wording.elapsed(most.within_seconds)}"
        f"{between(most.low, most.high, wording.share)}{when}."
    )
