"""How often each micro-conversion happened in all that is staged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.taxonomy import Taxonomy


@dataclass(frozen=True)
class Volume:
    """Occurrences of a micro-conversion, the actors who did it, and its first and last day."""

    micro_conversion: str
    occurrences: int
    actors: int
    first_date: date
    last_date: date


def volumes(engine: Engine) -> dict[str, Volume]:
    """Return the volume of each micro-conversion that was seen, by id."""
    rows = engine.query(templates.query("operations/volumes")).to_pylist()
    return {row["micro_conversion"]: Volume(**row) for row in rows}


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the query of the volumes."""
    yield None, templates.query("operations/volumes")
