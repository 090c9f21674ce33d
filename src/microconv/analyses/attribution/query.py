"""The queries of attribution: what a configuration asks of its templates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from microconv.config.sections import AttributionConfig
from microconv.engines.base import Engine
from microconv.errors import ConfigError
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.result import OTHER
from microconv.taxonomy import Taxonomy

HEAVY_PAIRS = 10_000
"""Touches times conversions of one actor above which they are no longer paired: a robot would pair millions."""

MOST_STEPS = 200
"""Touches of a journey that a path keeps, the last ones: a robot's would be endless."""

MOST_TOUCHPOINTS = 50
"""Sources, campaigns or landing pages that are told apart, those with most sessions; the others are one."""

ACTOR_GROUPS = 64
"""Groups of actors, by their key, that resampling draws from."""

PATH_MODELS = ("markov", "shapley")
"""Models that learn from paths; all others are rules for the touches of one conversion."""

_MANY_VALUED = ("source_medium", "campaign", "landing_page")
_MOST_GROUPS = 1_000_000
_MOST_HALF_LIVES = 1_000
"""Weights are powers of two in FLOAT64, which ends at 2 to the 1023."""


@dataclass(frozen=True)
class Selection:
    """Which conversions are credited, and the touchpoints told apart.

    `first` and `last` are the property's days of conversion, both included; None where there is no bound. `grouped`
    splits all figures by week of conversion and group of actors. `heavy_pairs` changes the cost, not the result.
    """

    touchpoints: tuple[str, ...] = (OTHER,)
    first: date | None = None
    last: date | None = None
    grouped: bool = False
    heavy_pairs: int = HEAVY_PAIRS


def listed_touchpoints(engine: Engine, config: AttributionConfig, taxonomy: Taxonomy) -> tuple[str, ...]:
    """Return the touchpoints that are told apart, in the order of their numbers; of sessions, `OTHER` is the last.

    Raises:
        TaxonomyError: The configuration names a micro-conversion that the taxonomy does not have.
        EngineError: The engine failed.
    """
    if config.touchpoint == "micro_conversion":
        return _micro_conversions(config, taxonomy)
    names = engine.query(touchpoints_query(config)).column("touchpoint").to_pylist()
    return (*(name for name in names if name != OTHER), OTHER)


def touchpoints_query(config: AttributionConfig) -> Query:
    """Return the query of the touchpoints that sessions have, most sessions first."""
    return templates.query(
        "analyses/attribution/touchpoints",
        params={"most": MOST_TOUCHPOINTS if config.touchpoint in _MANY_VALUED else _MOST_GROUPS},
        structure={"touchpoint": config.touchpoint},
    )


def is_limited(config: AttributionConfig) -> bool:
    """Whether only the most frequent touchpoints are told apart."""
    return config.touchpoint in _MANY_VALUED


def attribution_query(config: AttributionConfig, taxonomy: Taxonomy, selection: Selection | None = None) -> Query:
    """Return the query of the rule models.

    Raises:
        TaxonomyError: The configuration names a micro-conversion that the taxonomy does not have.
        ConfigError: The half-life is so short against a window that weights would vanish.
    """
    longest = config.windows[-1]
    if longest.seconds > _MOST_HALF_LIVES * config.half_life.seconds:
        raise ConfigError(
            f"attribution.half_life of {config.half_life} is too short for the window {longest}: "
            f"more than {_MOST_HALF_LIVES} half-lives fit in.",
            hint="Use a longer half_life or shorter windows.",
        )
    selection = selection or Selection()
    params, structure = _common(config, taxonomy, selection)
    listed = config.touchpoint != "channel_group"
    if not listed:
        del params["touchpoints"]
    weights = zip(("first_weight", "middle_weight", "last_weight"), config.position_weights, strict=True)
    return templates.query(
        "analyses/attribution/credits",
        params={**params, "half_life_us": config.half_life.microseconds, **dict(weights)},
        structure={**structure, "listed": listed},
    )


def paths_query(config: AttributionConfig, taxonomy: Taxonomy, selection: Selection | None = None) -> Query:
    """Return the query of the paths that `PATH_MODELS` learn from.

    Raises:
        TaxonomyError: The configuration names a micro-conversion that the taxonomy does not have.
    """
    params, structure = _common(config, taxonomy, selection or Selection())
    return templates.query(
        "analyses/attribution/paths", params={**params, "most_steps": MOST_STEPS}, structure=structure
    )


def spend_query(table: str) -> Query:
    """Return the query of what touchpoints cost, from a table of the engine with `date`, `touchpoint` and `cost`."""
    return templates.query("analyses/attribution/spend", relations={"spend": table})


def conversion_id(config: AttributionConfig, taxonomy: Taxonomy) -> str:
    """Return the id under which conversions are staged; TaxonomyError if there is no such entry."""
    return taxonomy.counted_id(config.conversion, named_by="attribution.conversion")


def _common(
    config: AttributionConfig, taxonomy: Taxonomy, selection: Selection
) -> tuple[dict[str, Value], dict[str, Any]]:
    of_events = config.touchpoint == "micro_conversion"
    params: dict[str, Value] = {
        "conversion": conversion_id(config, taxonomy),
        "first_date": selection.first,
        "last_date": selection.last,
        "touchpoints": _micro_conversions(config, taxonomy) if of_events else selection.touchpoints,
        "heavy_pairs": selection.heavy_pairs,
    }
    params |= {f"window_us_{number}": window.microseconds for number, window in enumerate(config.windows, start=1)}
    if selection.grouped:
        params["actor_groups"] = ACTOR_GROUPS
    structure = {
        "windows": len(config.windows),
        "touchpoint": config.touchpoint,
        "count": config.count,
        "since": config.since,
        "grouped": selection.grouped,
    }
    return params, structure


def _micro_conversions(config: AttributionConfig, taxonomy: Taxonomy) -> tuple[str, ...]:
    """Return the ids of the micro-conversions that are touchpoints: those configured, or all but the conversion."""
    if config.micro_conversions:
        named = (
            taxonomy.counted_id(entry_id, named_by="attribution.micro_conversions")
            for entry_id in config.micro_conversions
        )
        return tuple(dict.fromkeys(named))
    conversion = conversion_id(config, taxonomy)
    counted = dict.fromkeys(entry.counts_as for entry in taxonomy.entries)
    return tuple(entry_id for entry_id in counted if entry_id != conversion)
