"""Funnels: how many actors, sessions or attempts take each step, and how long that takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from microconv.analyses.funnels.machine import EVERYTHING, Machine, Selection, machine, settled
from microconv.analyses.funnels.results import FunnelResult, FunnelStep
from microconv.analyses.funnels.wording import assumptions, sentence
from microconv.config.sections import FunnelConfig
from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.taxonomy import Taxonomy


def funnel(engine: Engine, config: FunnelConfig, taxonomy: Taxonomy, selection: Selection = EVERYTHING) -> FunnelResult:
    """Count a funnel (`sql/analyses/funnels/counts.sql`, or `funnel_unordered.sql` where steps come in any order).

    Any occurrence of the first step may start it. Steps come back under their names, or the ids they are staged with.

    Raises:
        TaxonomyError: A step is no micro-conversion of the taxonomy.
        ConfigError: The funnel cannot be counted as it is configured; the message says why.
        EngineError: The engine failed.
    """
    selection = settled(engine, selection)
    asked = machine(config, taxonomy, selection)
    steps = steps_of(config, asked.labels, engine.query(_query(config, asked)).to_pylist())
    return FunnelResult(
        funnel=config.name,
        count=config.count,
        order=config.order,
        entry=config.entry,
        window_seconds=config.whole_window.seconds if config.whole_window else None,
        step_window_seconds=config.step_window.seconds if config.step_window else None,
        steps=steps,
        sentence=sentence(config, steps),
        assumptions=assumptions(config, selection),
    )


def funnel_query(config: FunnelConfig, taxonomy: Taxonomy, selection: Selection = EVERYTHING) -> Query:
    """Return the query of a funnel.

    Raises:
        TaxonomyError: A step is no micro-conversion of the taxonomy.
        ConfigError: The funnel cannot be counted as it is configured.
    """
    return _query(config, machine(config, taxonomy, selection))


def _query(config: FunnelConfig, asked: Machine) -> Query:
    name = "analyses/funnels/unordered" if config.order == "unordered" else "analyses/funnels/counts"
    return templates.query(name, params=asked.params, structure={"funnel": asked.structure})


_NOBODY = {"units": 0, "continued": 0}


def steps_of(config: FunnelConfig, labels: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> tuple[FunnelStep, ...]:
    """Return all steps of a funnel from rows of those that were taken: step_index, units, continued, seconds_median."""
    found = {row["step_index"]: row for row in rows}
    steps = [found.get(number, _NOBODY) for number in range(1, len(labels) + 1)]
    counts = [row["units"] for row in steps]
    is_open = config.entry == "open"
    return tuple(
        FunnelStep(
            step=label,
            count=row["units"],
            from_previous=_share(row["continued"] if is_open else row["units"], _of_previous(config, counts, index)),
            from_first=_share(row["units"], counts[0]),
            seconds_median=row.get("seconds_median"),
            entered=row["units"] - row["continued"] if is_open else None,
            continued=row["continued"] if is_open else None,
        )
        for index, (label, row) in enumerate(zip(labels, steps, strict=True))
    )


def _of_previous(config: FunnelConfig, counts: Sequence[int], index: int) -> int:
    """Return how many took the last step before that all must take; 0, for a share of None, where that is no whole."""
    before = next((other for other in reversed(range(index)) if not config.steps[other].optional), None)
    if before is None or (config.entry == "open" and before != index - 1):
        return 0
    return counts[before]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
