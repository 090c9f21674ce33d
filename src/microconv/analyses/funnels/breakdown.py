"""A funnel by a property: of the session or actor it began with, or of an occurrence on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from microconv.analyses.funnels.counts import steps_of
from microconv.analyses.funnels.machine import EVERYTHING, Carried, Selection, in_order, machine, settled
from microconv.analyses.funnels.results import FunnelStep
from microconv.analyses.funnels.wording import assumptions, counted
from microconv.config.problems import nearest
from microconv.config.sections import Count, FunnelConfig
from microconv.engines.base import Engine
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.result import OTHER, Result
from microconv.staging import properties
from microconv.taxonomy import Taxonomy

SESSION_PROPERTIES = (
    *("channel_group", "source", "medium", "campaign", "landing_page"),
    *("device_category", "country", "is_new"),
)
_MOST_VALUES = 1_000


@dataclass(frozen=True)
class Breakdown:
    """What tells units apart: a property of the session or the actor that they began with, or of an occurrence.

    `at` is the occurrence: the first step taken, the last, or the one that took a step by number; None of a session or
    actor.
    """

    of: Literal["session", "actor", "occurrence"]
    name: str
    at: Literal["first", "last"] | int | None = None

    @classmethod
    def parse(cls, text: str) -> Breakdown:
        """Read `channel_group` (of the session), `actor.country`, or `item_id@first`, `page@last`, `value@2`.

        Raises:
            UsageError: it is none of these.
        """
        name, is_of_occurrence, place = text.partition("@")
        if is_of_occurrence and name and (place in ("first", "last") or (place.isdecimal() and int(place))):
            return cls("occurrence", name, int(place) if place.isdecimal() else place)  # type: ignore[arg-type]  # checked above
        of: Literal["session", "actor"] = "actor" if text.startswith("actor.") else "session"
        name = text.removeprefix("actor.")
        if name not in SESSION_PROPERTIES:
            raise UsageError(
                f"{text} is nothing that a funnel can be broken down by{nearest(name, SESSION_PROPERTIES)}.",
                hint=f"Use {', '.join(SESSION_PROPERTIES)}, with actor. before it for the actor's first session, or a "
                "property of an occurrence such as page@first, item_id@last or value@2.",
            )
        return cls(of, name)

    @property
    def properties(self) -> tuple[properties.Property, ...]:
        """The properties of occurrences that it reads."""
        return (properties.resolve(self.name),) if self.of == "occurrence" else ()

    def __str__(self) -> str:
        """Return it as `parse` reads it."""
        if self.of == "occurrence":
            return f"{self.name}@{self.at}"
        return f"actor.{self.name}" if self.of == "actor" else self.name


@dataclass(frozen=True)
class BreakdownStep:
    """A step of the funnel for the units of one value; see `FunnelStep`.

    `value` is `(not set)` where there is none, and `(other)` for all beyond the most frequent.
    """

    value: str
    step: str
    count: int
    from_previous: float | None
    from_first: float | None
    entered: int | None
    continued: int | None


@dataclass(frozen=True)
class FunnelBreakdown(Result):
    """A funnel by the values of a property, the most frequent first and `(other)` last: their counts add up to it."""

    analysis: ClassVar[str] = "funnel_breakdown"
    row_type: ClassVar[type] = BreakdownStep

    funnel: str
    count: Count
    by: str
    steps: tuple[BreakdownStep, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[BreakdownStep, ...]:
        """The steps, value by value."""
        return self.steps


def breakdown(
    engine: Engine,
    config: FunnelConfig,
    taxonomy: Taxonomy,
    by: Breakdown,
    selection: Selection = EVERYTHING,
    *,
    top: int = 10,
) -> FunnelBreakdown:
    """Count a funnel by the values of a property (`sql/analyses/funnels/breakdown.sql`).

    An actor or session has the value of its best attempt: the one that first took the furthest step. So each belongs to
    one value, and the counts of the values add up to those of the funnel.

    Args:
        engine: Where the staged tables are.
        config: The funnel: ordered or strict.
        taxonomy: The taxonomy the tables were staged with.
        by: What tells them apart.
        selection: Which starts count.
        top: How many values to show; the rest is `(other)`.

    Raises:
        UsageError: The funnel has no order of steps, or not the step that `by` names, or `top` is out of its range.
        TaxonomyError: A step is no micro-conversion of the taxonomy.
        EngineError: The engine failed.
    """
    selection = settled(engine, selection)
    by_value: dict[str, list[dict[str, Any]]] = {}
    for row in engine.query(breakdown_query(config, taxonomy, by, selection, top=top)).to_pylist():
        by_value.setdefault(OTHER if row["place"] is None else row["value"], []).append(row)
    if OTHER in by_value:  # without a place it may come first
        by_value[OTHER] = by_value.pop(OTHER)
    labels = machine(config, taxonomy, selection).labels
    steps = {value: steps_of(config, labels, rows) for value, rows in by_value.items()}
    return FunnelBreakdown(
        funnel=config.name,
        count=config.count,
        by=str(by),
        steps=tuple(
            BreakdownStep(
                value, step.step, step.count, step.from_previous, step.from_first, step.entered, step.continued
            )
            for value, taken in steps.items()
            for step in taken
        ),
        sentence=_sentence(config, by, steps),
        assumptions=(
            *assumptions(config, selection),
            f"The {_described(by)} is that of the attempt that first took the furthest step.",
            "A difference between values shows no cause.",
        ),
    )


def breakdown_query(
    config: FunnelConfig, taxonomy: Taxonomy, by: Breakdown, selection: Selection = EVERYTHING, *, top: int = 10
) -> Query:
    """Return the query of a breakdown; UsageError as `breakdown`."""
    in_order(config, "a first one")
    if not 1 <= top <= _MOST_VALUES:
        raise UsageError(f"{top} values cannot be shown.", hint=f"Ask for 1 to {_MOST_VALUES}.")
    if isinstance(by.at, int) and not 1 <= by.at <= len(config.steps):
        raise UsageError(
            f"{by} names step {by.at}, and the funnel {config.name} has {len(config.steps)}.",
            hint="Name one of its steps.",
        )
    looked_at = by.properties[0] if by.properties else None
    column = looked_at.column if looked_at else by.name
    # What is carried has a name of its own; the last occurrence is the row itself.
    attributes, fields, shown = {
        "session": ((), (Carried("first_session_key", "session_key", None),), column),
        "actor": (("actor_key",), (), column),
        "occurrence": ((column,), (), column)
        if by.at == "last"
        else ((), (Carried("carried_value", column, None if by.at == "first" else by.at),), "carried_value"),
    }[by.of]
    asked = machine(config, taxonomy, selection, attributes=attributes, fields=fields)
    return templates.query(
        "analyses/funnels/breakdown",
        params={**asked.params, "top": top},
        structure={
            "funnel": asked.structure,
            "breakdown": {
                "of": by.of,
                "column": shown,
                "is_list": looked_at is not None and looked_at.is_list,
                "is_number": looked_at is not None and looked_at.is_number,
            },
        },
    )


def _described(by: Breakdown) -> str:
    if by.of == "occurrence":
        return f"{by.name} of step {by.at}" if isinstance(by.at, int) else f"{by.name} of the {by.at} step taken"
    return f"{by.name} of the {'first session of their actor' if by.of == 'actor' else 'session in which it began,'}"


def _sentence(config: FunnelConfig, by: Breakdown, steps: Mapping[str, Sequence[FunnelStep]]) -> str:
    unit = config.count.removesuffix("s")
    if not steps:
        return f"No {unit} took any step of the funnel {config.name}."
    value, taken = next(iter(steps.items()))
    through = f"{taken[-1].count:,} of them took {taken[-1].step}"
    return (
        f"The most frequent {by} is {value}, of {counted(config.count, max(step.count for step in taken))}; {through}."
    )
