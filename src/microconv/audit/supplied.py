"""What checks are given: each parameter that a template of a check may declare, from configuration and taxonomy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from microconv.audit.tag_facts import tag_facts
from microconv.config.sections import Config
from microconv.queries.templates import Value
from microconv.staging.traffic import ClickId, load_channel_rules
from microconv.taxonomy import MicroConversion, Taxonomy
from microconv.taxonomy.contract import ga4_limits
from microconv.taxonomy.entry import STAGES

OPTIONAL_PARAMETERS = ("value", "currency", "transaction_id")
"""Parameters of e-commerce that staging reads whatever a taxonomy says: nobody need plan them."""


@dataclass(frozen=True)
class Supply:
    """What the parameters of checks are taken from: configuration, taxonomy, and the days asked for."""

    config: Config
    taxonomy: Taxonomy
    first_date: date | None = None
    last_date: date | None = None

    def value(self, name: str) -> Value:
        """Return the value of a parameter; KeyError where no check is given one of that name."""
        return SUPPLIED[name](self)

    @cached_property
    def entries(self) -> tuple[MicroConversion, ...]:
        """The entries in force that count events of the export, in the order of the taxonomy."""
        return tuple(each for each in self.taxonomy.entries if each.is_observed and not each.is_retired)

    @cached_property
    def listened(self) -> tuple[str, ...]:
        """The names of events that any entry listens to, signals and deprecated entries too."""
        return tuple(sorted({event for each in self.taxonomy.staged for event in each.events}))

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Each entry in force with each name of an event that it listens to."""
        return tuple((each.id, event) for each in self.entries for event in sorted(set(each.events)))

    @cached_property
    def required(self) -> tuple[tuple[str, str, str], ...]:
        """Each event, parameter and type that an entry in force requires, of those that have no conditions.

        What makes a purchase one (value, currency, transaction id) is not among them: checks of commerce look at it.
        """
        found = {
            (event, parameter.name, parameter.type)
            for each in self.entries
            if not each.where
            for event in each.events
            for parameter in each.parameters
            if each.id not in self.purchases or parameter.name not in OPTIONAL_PARAMETERS
        }
        return tuple(sorted(found))

    @cached_property
    def purchases(self) -> tuple[str, ...]:
        """The macro-conversions that bring money: their value is that of their events."""
        return tuple(each.id for each in self.entries if each.kind == "macro" and each.value == "event")

    def planned(self) -> Iterator[str]:
        """Yield the parameters that somebody counts on: in conditions, contracts and what occurrences carry."""
        yield from OPTIONAL_PARAMETERS
        for each in (*self.taxonomy.staged, *self.taxonomy.removed):
            yield from (one.name for one in each.parameters)
            yield from each.identifiers
            yield from (one.parameter for one in each.conditions() if one.parameter is not None)
        yield from self.config.taxonomy.carry


def _column(column: int, of: Callable[[Supply], tuple[tuple[str, ...], ...]]) -> Callable[[Supply], Value]:
    return lambda supply: [row[column] for row in of(supply)]


def _limits(supply: Supply) -> list[tuple[str, int]]:  # noqa: ARG001 - as the others
    longest = ga4_limits()["parameter"]
    return [("", longest["value_longest"]), *longest["value_longest_of"].items()]


def _name_limits() -> list[tuple[str, int]]:
    limits = ga4_limits()
    return [
        ("event", limits["event_name"]["longest"]),
        ("parameter", limits["parameter"]["name_longest"]),
        ("user property", limits["user_property"]["name_longest"]),
    ]


def _paid_clicks() -> list[ClickId]:
    return [each for each in load_channel_rules().click_ids if each.kind == "paid"]


def _used(supply: Supply) -> list[str]:
    """Return the entries that the configuration or a derived entry names."""
    named = [*supply.config.named()]
    for each in supply.taxonomy.entries:
        if each.derivation is not None:
            named += each.derivation.named()
    return sorted({entry for entry, _ in named})


SUPPLIED: Mapping[str, Callable[[Supply], Value]] = {
    "first_date": lambda supply: supply.first_date,
    "last_date": lambda supply: supply.last_date,
    "entry_ids": lambda supply: [each.id for each in supply.entries],
    "entry_kinds": lambda supply: [each.kind for each in supply.entries],
    "entry_stages": lambda supply: [each.stage for each in supply.entries],
    "macro_ids": lambda supply: list(supply.taxonomy.macros),
    "purchase_ids": lambda supply: list(supply.purchases),
    "listened_events": lambda supply: list(supply.listened),
    "counted_events": lambda supply: sorted(
        {event for each in supply.entries if not each.where for event in each.events}
    ),
    "listened_patterns": lambda supply: sorted(supply.taxonomy.pattern_ranks()),
    "entry_event_ids": _column(0, lambda supply: supply.pairs),
    "entry_event_names": _column(1, lambda supply: supply.pairs),
    "required_events": _column(0, lambda supply: supply.required),
    "required_parameters": _column(1, lambda supply: supply.required),
    "required_types": _column(2, lambda supply: supply.required),
    "planned_parameters": lambda supply: sorted(set(supply.planned())),
    "automatic_events": lambda _: list(tag_facts()["automatic"]["events"]),
    "automatic_parameters": lambda _: list(tag_facts()["automatic"]["parameters"]),
    "recommended_parameters": lambda _: list(ga4_limits()["recommended"]["parameters"]),
    "sessionless_events": lambda _: list(tag_facts()["automatic"]["sessionless_events"]),
    "error_codes": lambda _: list(tag_facts()["error_codes"]),
    "error_meanings": lambda _: list(tag_facts()["error_codes"].values()),
    "limit_names": lambda supply: [name for name, _ in _limits(supply)],
    "limit_values": lambda supply: [longest for _, longest in _limits(supply)],
    "name_kinds": lambda _: [kind for kind, _ in _name_limits()],
    "name_lengths": lambda _: [longest for _, longest in _name_limits()],
    "reserved_prefixes": lambda _: list(ga4_limits()["reserved"]["event_and_parameter_prefixes"]),
    "stages": lambda _: list(STAGES),
    "used_ids": _used,
    "item_events": lambda _: list(tag_facts()["items"]["events"]),
    "paid_click_ids": lambda _: [each.click_id for each in _paid_clicks()],
    "paid_click_aliases": lambda _: ["|".join((each.source, *each.aliases)) for each in _paid_clicks()],
    "payment_hosts": lambda _: list(tag_facts()["payment"]["hosts"]),
    "own_hosts": lambda supply: sorted({host for source in supply.config.sources for host in source.own_hosts}),
    "currency": lambda supply: supply.config.project.currency,
    "zone": lambda supply: supply.config.project.timezone,
}
"""The parameters that checks may declare, beside their thresholds; arrays of one group (`entry_…`) go in step."""


def values(names: Mapping[str, Any], supply: Supply, thresholds: Mapping[str, float]) -> dict[str, Value]:
    """Return the values of a template's parameters: thresholds, and what is supplied."""
    found: dict[str, Value] = {}
    for name, kind in names.items():
        if name in thresholds:
            found[name] = int(thresholds[name]) if kind == "INT64" else float(thresholds[name])
        else:
            found[name] = supply.value(name)
    return found
