"""What decides staged rows beside the shards: the taxonomy, the properties carried, own hosts, and the templates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Self

from microconv.config.sections import Config
from microconv.engines.tables import Column, Table
from microconv.queries import templates
from microconv.staging import mc_tables, profile, properties
from microconv.staging.properties import Property
from microconv.staging.traffic import load_channel_rules, session_params, session_structure
from microconv.taxonomy import Taxonomy

_DECIDING = tuple(
    f"staging/{name}"
    for name in ("events", "micro_conversions", "moved_sessions", "neighbour_events", "sessions", "touched_sessions")
)
_DECIDING_DERIVED = tuple(
    f"staging/{name}"
    for name in (
        "derived_absences",
        "derived_actors",
        "derived_returns",
        "derived_thresholds",
        "ingredients",
        "session_starts",
    )
)
"""The templates whose rows are staged, or decide which are."""


@dataclass(frozen=True)
class Rules:
    """What decides staged rows beside the shards.

    That is the taxonomy, the properties that occurrences carry, by property the hosts that the configuration calls its
    own, for what did not happen in time the zone that says on which day that was, and whether mc_profile is staged.
    """

    taxonomy: Taxonomy
    carried: tuple[Property, ...] = ()
    own_hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    zone: str = "UTC"
    is_profiled: bool = True

    @classmethod
    def of(cls, config: Config, taxonomy: Taxonomy) -> Self:
        """Return the rules of a configuration and its taxonomy."""
        own: dict[str, set[str]] = {}
        for source in config.sources:
            own.setdefault(source.property, set()).update(source.own_hosts)
        return cls(
            taxonomy,
            properties.carried(config, taxonomy),
            {name: tuple(sorted(hosts)) for name, hosts in own.items()},
            config.project.timezone,
            config.audit.profile,
        )

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of all that decides staged rows but shards and properties; a day under another one is restaged.

        Comments and layout of the templates do not count: restaging costs money where queries are billed.
        """
        versions = [
            (table.name, table.version) for table in (mc_tables.EVENTS, mc_tables.SESSIONS, mc_tables.MICRO_CONVERSIONS)
        ]
        rules = load_channel_rules()
        # As the templates take them: what our classes are called decides nothing.
        traffic = json.dumps([session_params(rules), session_structure(rules)], default=asdict)
        digest = hashlib.sha256(f"{versions} {self.taxonomy.fingerprint} {traffic}".encode())
        derived = self.taxonomy.derived
        for name in (*_DECIDING, *(_DECIDING_DERIVED if derived else ())):
            for text in templates.sources(name):
                digest.update(templates.without_comments(text).encode())
        return digest.hexdigest()[:16]

    @property
    def absence_zone(self) -> str:
        """The zone by which what did not happen in time is dated; empty where the taxonomy has nothing of that kind."""
        return self.zone if any(each.rule.family == "absences" for each in self.taxonomy.derived) else ""

    @cached_property
    def events_fingerprint(self) -> str:
        """Fingerprint of how shards are read into mc_events, but for the columns carried: no taxonomy decides it.

        (The taxonomy's ranks order the events of one instant, which can be done anew without the shard.)
        """
        digest = hashlib.sha256(str(mc_tables.EVENTS.version).encode())
        for text in templates.sources("staging/events"):
            digest.update(templates.without_comments(text).encode())
        return digest.hexdigest()[:16]

    @property
    def profile_fingerprint(self) -> str:
        """Fingerprint of how mc_profile is made; empty where it is not wanted, and then a day may have one or none."""
        return profile.fingerprint() if self.is_profiled else ""

    @property
    def event_columns(self) -> str:
        """The columns of what events carry, as mc_shards notes them."""
        return ",".join(each.column for each in self.of_events)

    @property
    def carried_columns(self) -> str:
        """The columns of the properties, as mc_shards notes them; a day that carries others is restaged."""
        return ",".join(each.column for each in self.carried)

    @cached_property
    def of_events(self) -> tuple[Property, ...]:
        """What events carry: properties, and what conditions of the taxonomy look at; in a fixed order."""
        read = {properties.looked_at(condition) for entry in self.taxonomy.staged for condition in entry.conditions()}
        return tuple(sorted({*(each for each in read if each.kind != "column"), *self.carried}))

    def extra_columns(self, table: Table) -> list[Column]:
        """Return the columns that a table has beyond its own."""
        carried = {
            mc_tables.EVENTS: self.of_events,
            mc_tables.MICRO_CONVERSIONS: self.carried,
            mc_tables.EXTERNAL_EVENTS: self.carried,
            mc_tables.SIGNALS: self.carried,
        }
        return [each.definition for each in carried.get(table, ())]

    @property
    def structure(self) -> dict[str, object]:
        """The extra columns of events, as the templates take them."""
        return {"carried": [asdict(each) for each in self.of_events]}
