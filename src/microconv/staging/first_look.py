"""What the shards of a folder show before there is a configuration: currency, hosts, when days begin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from microconv import wording
from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.errors import EngineError, SourceError
from microconv.exports import WHOLE_EXPORT, FileSource, Shard, ShardSchema
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.staging.day_zones import Fit, Week, fit, misfits, read_week
from microconv.staging.facts import Fact, Facts
from microconv.taxonomy import Taxonomy

_HOST = re.compile(r"[\w.-]{1,253}")
"""Anybody can send an address: what does not look like a host names no project."""
MOST_SHARDS = 8
MOST_BYTES = 200_000_000
"""Of the shards that are looked at, from all over the period: a proposal must not take minutes."""


@dataclass(frozen=True)
class FirstLook:
    """What some of the shards show. Where they show nothing, it proposes nothing.

    Attributes:
        currencies: Events that name each currency, most first.
        hosts: Events on each host, most first.
        weeks: When days can begin.
    """

    currencies: tuple[Fact, ...] = ()
    hosts: tuple[Fact, ...] = ()
    weeks: tuple[Week, ...] = ()

    @property
    def currency(self) -> str | None:
        """The currency that most events name."""
        return self.currencies[0].subject if self.currencies else None

    @property
    def host(self) -> str | None:
        """The host of most pages."""
        return self.hosts[0].subject if self.hosts else None

    @property
    def days(self) -> Fit | None:
        """What fits the days, where they tell it."""
        found = fit(self.weeks) if self.weeks else None
        return found if found is not None and found.is_telling else None

    def sentences(self) -> Iterator[str]:
        """Say what was seen, for a person who is about to answer what it suggests."""
        if self.days:
            yield f"Days of the export begin at {self.days}."
        if self.currencies:
            named = wording.listed([f"{each.subject} ({each.share})" for each in self.currencies], limit=3)
            yield f"Events that name a currency name {named}."
        if self.hosts:
            yield f"Most pages are on {self.host}."

    def objections(self, timezone: str, currency: str) -> Iterator[str]:
        """Say what the shards contradict of what was answered."""
        if self.days and misfits(timezone, self.weeks) * 10 >= self.days.days > self.days.misfits:
            yield f"The days of the export do not begin at midnight in {timezone}, but at {self.days}."
        if self.currency and currency not in {each.subject for each in self.currencies}:
            yield f"No event names the currency {currency}; most name {self.currency}."


def first_look(engine: Engine, pattern: str, property_id: str) -> FirstLook:
    """Look at some shards; one that cannot be read is passed over, since a sync will name it.

    Args:
        engine: An engine that nothing is kept in.
        pattern: The glob of the files.
        property_id: The label of the property.
    """
    source = FileSource(property_id, pattern)
    rows: list[Fact] = []
    for shard in _chosen(source.shards()):
        try:
            opened = source.open(shard)
            engine.read_shards([shard], opened.schema)
            found = engine.query(query(property_id, opened.schema)).to_pylist()
        except (SourceError, EngineError):
            continue
        rows += [Fact(**row) for row in found]
    facts = Facts(tuple(rows))
    weeks = tuple(read_week(each.subject, each.occurrences) for each in facts.of("day_offsets"))
    hosts = (each for each in facts.of("host") if _HOST.fullmatch(each.subject))
    return FirstLook(_added(facts.of("currency")), _added(hosts), weeks)


def query(property_id: str, schema: ShardSchema) -> Query:
    """Return the query of the facts of `raw_events`, which holds shards of this schema."""
    return templates.query("staging/first_look", params={"property": property_id}, structure=schema.structure)


def _chosen(shards: Sequence[Shard]) -> tuple[Shard, ...]:
    """Choose the newest shard and others evenly over the period, as many as are soon read; daily ones if there are."""
    daily = [shard for shard in shards if shard.kind == "daily"] or list(shards)
    last = len(daily) - 1
    places = sorted({round(last * part / (MOST_SHARDS - 1)) for part in range(MOST_SHARDS)}, reverse=True)
    chosen: list[Shard] = []
    for place in places:
        if sum(each.bytes for each in chosen) + daily[place].bytes <= MOST_BYTES:
            chosen.append(daily[place])
    return tuple(chosen)


def _added(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Add up facts of one subject from several shards; the most frequent first."""
    counts: dict[str, int] = {}
    for each in facts:
        counts[each.subject] = counts.get(each.subject, 0) + each.occurrences
    total = sum(counts.values())
    most_first = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Fact("", subject, count, total) for subject, count in most_first)


def examples(config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the query of a first look at each property."""
    for label in dict.fromkeys(source.property for source in config.sources):
        yield f"property {label}", query(label, WHOLE_EXPORT)
