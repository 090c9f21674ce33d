"""Funnels: how many actors or sessions take the steps in order, and how long that takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microconv import templates
from microconv.analyses.entries import counted_id
from microconv.analyses.funnels.results import FunnelResult, FunnelStep

if TYPE_CHECKING:
    from microconv.config import FunnelConfig
    from microconv.engines.base import Engine
    from microconv.taxonomy import Taxonomy
    from microconv.templates import Query, Value

_UNIT_COLUMNS = {"actors": "actor_key", "sessions": "session_key"}


def funnel(engine: Engine, config: FunnelConfig, taxonomy: Taxonomy) -> FunnelResult:
    """Count an ordered funnel (`sql/analyses/funnel.sql`).

    Any occurrence of the first step may start it; a step counts when it follows the step before it, at most one window
    after the start (inclusive). Steps come back under the ids they are staged with.

    Raises:
        TaxonomyError: A step is no micro-conversion of the taxonomy.
        EngineError: The engine failed.
    """
    rows = engine.query(funnel_query(config, taxonomy)).to_pylist()
    counts = [row["units"] for row in rows]
    return FunnelResult(
        funnel=config.name,
        unit=config.count.removesuffix("s"),
        window_seconds=config.window.seconds,
        steps=tuple(
            FunnelStep(
                step=row["micro_conversion"],
                count=row["units"],
                from_previous=_share(row["units"], counts[index - 1]) if index else None,
                from_first=_share(row["units"], counts[0]),
                seconds_median=row["seconds_median"],
            )
            for index, row in enumerate(rows)
        ),
    )


def funnel_query(config: FunnelConfig, taxonomy: Taxonomy) -> Query:
    """Return the query of a funnel; TaxonomyError when a step is no micro-conversion of the taxonomy."""
    steps = [counted_id(taxonomy, step.did[0], named_by=f'funnel "{config.name}"') for step in config.steps]
    params: dict[str, Value] = {f"step_{number}": step for number, step in enumerate(steps, start=1)}
    return templates.query(
        "analyses/funnel",
        params={**params, "window_us": config.window.microseconds},
        structure={"steps": len(steps), "unit_column": _UNIT_COLUMNS[config.count]},
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
