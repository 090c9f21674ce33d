"""The parameters that events carry, read when they are asked for, from a few shards: none of it is staged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.errors import EngineError, SourceError
from microconv.exports import WHOLE_EXPORT, Shard, ShardSchema, Source
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.taxonomy import Taxonomy

MOST_SHARDS = 3
"""Read of each property: the newest, the oldest and one between them."""


@dataclass(frozen=True)
class ParameterUse:
    """An event parameter in the days looked at: events of that name, those that have it, and its frequent values.

    `values` are pairs of value and count, the most frequent first; what may be personal in them is masked.
    """

    event: str
    parameter: str
    type: str
    events: int
    found: int
    distinct_values: int
    values: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ParameterProfile:
    """What some days show. `problem` says why nothing could be read."""

    uses: tuple[ParameterUse, ...] = ()
    days: tuple[date, ...] = ()
    problem: str = ""


def profile(engine: Engine, shards: Mapping[Shard, Source]) -> ParameterProfile:
    """Read the parameters of a few daily shards of each property; one that cannot be read is passed over."""
    added: dict[tuple[str, str, str], ParameterUse] = {}
    days, problems = [], []
    for shard in _chosen(shards):
        try:
            opened = shards[shard].open(shard)
            engine.read_shards([shard], opened.schema)
            rows = engine.query(query(opened.schema)).to_pylist()
        except (SourceError, EngineError) as error:
            problems.append(error.message)
            continue
        days.append(shard.day)
        for row in rows:
            one = _use(row)
            key = one.event, one.parameter, one.type
            added[key] = _added(added[key], one) if key in added else one
    return ParameterProfile(
        tuple(added[key] for key in sorted(added)), tuple(sorted(set(days))), " ".join(problems[:1])
    )


def query(schema: ShardSchema) -> Query:
    """Return the query of the parameters of `raw_events`, which holds shards of this schema."""
    return templates.query("staging/parameters", structure=schema.structure)


def _chosen(shards: Mapping[Shard, Source]) -> Iterator[Shard]:
    for label in sorted({shard.property_id for shard in shards}):
        own = sorted((each for each in shards if each.property_id == label), key=lambda each: each.day)
        daily = [each for each in own if each.kind == "daily"] or own
        last = len(daily) - 1
        places = sorted({round(last * part / (MOST_SHARDS - 1)) for part in range(MOST_SHARDS)})
        yield from (daily[place] for place in places)


def _use(row: Mapping[str, object]) -> ParameterUse:
    lines = str(row["frequent_values"] or "").split("\n")
    pairs = [line.partition("\t") for line in lines if "\t" in line]
    return ParameterUse(
        str(row["event_name"]),
        str(row["parameter"]),
        str(row["type"]),
        int(str(row["events"])),
        int(str(row["found"])),
        int(str(row["distinct_values"])),
        tuple((value, int(count)) for count, _, value in pairs),
    )


def _added(one: ParameterUse, other: ParameterUse) -> ParameterUse:
    """Add two days; of distinct values nobody knows more than the larger number."""
    values = dict(one.values)
    for value, count in other.values:
        values[value] = values.get(value, 0) + count
    return ParameterUse(
        one.event,
        one.parameter,
        one.type,
        one.events + other.events,
        one.found + other.found,
        max(one.distinct_values, other.distinct_values),
        tuple(sorted(values.items(), key=lambda item: (-item[1], item[0]))[:10]),
    )


def examples(config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the query of a property's parameters; raw events have every column."""
    for label in dict.fromkeys(source.property for source in config.sources):
        yield f"property {label}", query(WHOLE_EXPORT)
