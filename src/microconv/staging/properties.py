"""Properties of occurrences, such as `page` or `item_id`: what a name means, which column holds it, what is carried."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from microconv.config.experiment_settings import ExperimentConfig
from microconv.config.funnel_settings import FunnelConfig
from microconv.config.occurrences import PropertyCondition
from microconv.config.sections import Config
from microconv.config.segment_rules import SegmentRule
from microconv.engines.base import Engine
from microconv.engines.tables import Column
from microconv.errors import ConfigError, SourceError
from microconv.exports import BASIC_LEAVES, ITEM_FIELDS, USER_PROPERTY_LEAVES
from microconv.queries import templates
from microconv.queries.conditions import Criterion, Operands
from microconv.staging.mc_tables import SHARDS
from microconv.taxonomy import Condition, Taxonomy

COLUMNS = ("page", "value", "currency", "transaction_id")
"""The properties that every occurrence has a column for."""

Kind = Literal["column", "item", "parameter", "user_property"]
_STAGED = {
    "page": "page_location",
    "query": "page_location",
    "host": "page_host",
    "stream": "stream_id",
    "platform": "platform",
    "app_version": "app_version",
}
"""Columns of mc_events that conditions look at, by what they ask for."""


@dataclass(frozen=True, order=True)
class Property:
    """What an occurrence, or its event, has besides being there, and the column that holds it; NULL without it.

    `kind` says where it comes from: a column that is always there, an event's items, an event parameter, or a
    property of the user. The column is a FLOAT64 where `is_number`, else a STRING.
    """

    kind: Kind
    name: str
    is_number: bool
    column: str

    @property
    def is_list(self) -> bool:
        """Whether the column holds several texts, a line each: those of the event's items, distinct and sorted."""
        return self.kind == "item"

    @property
    def definition(self) -> Column:
        """The definition of a column that staging adds."""
        origin = {
            "item": f"{self.name} of the event's items, a line each",
            "user_property": f"property {self.name} of the user",
        }.get(self.kind, f"event parameter {self.name}")
        kind, form = ("FLOAT64", "number") if self.is_number else ("STRING", "text")
        return Column(self.column, kind, f"{origin} as {form}")

    @property
    def leaves(self) -> frozenset[str]:
        """The leaves of the export that are read for its sake alone."""
        if self.kind == "user_property":
            return USER_PROPERTY_LEAVES
        return frozenset({f"items.{self.name}"} if self.is_list else ())


def resolve(name: str) -> Property:
    """Return the property of that name: a column of mc_micro_conversions, a field of the items, or a parameter."""
    if name in COLUMNS:
        return Property("column", name, is_number=name == "value", column=name)
    if name in ITEM_FIELDS:
        return Property("item", name, is_number=False, column=f"items_{name}")
    return parameter(name)


def parameter(name: str, *, as_number: bool = False) -> Property:
    """Return an event parameter, as text or as number.

    One whose name is not plain keeps apart from its look-alikes by a piece of its hash.
    """
    return Property("parameter", name, is_number=as_number, column=f"{_form(as_number)}_{_plain(name)}")


def looked_at(condition: Condition) -> Property:
    """Return what a condition of the taxonomy looks at; of an address that is the whole of it."""
    name, as_number = condition.name, condition.reads_number
    if condition.kind == "parameter":
        return parameter(name, as_number=as_number)
    if condition.kind == "user_property":
        column = f"user_{_form(as_number)}_{_plain(name)}"
        return Property("user_property", name, is_number=as_number, column=column)
    if condition.kind == "item":
        return Property("item", name, is_number=False, column=f"items_{name}")
    column = _STAGED["query" if condition.kind == "query" else name]
    return Property("column", column, is_number=False, column=column)


def _form(as_number: bool) -> str:
    return "number" if as_number else "text"


def _plain(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower())
    return plain if plain == name else f"{plain}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def criterion(condition: PropertyCondition, operands: Operands) -> Criterion:
    """Return a condition as the macro `holds` of `sql/_conditions.sql` takes it; `operands` gets what it compares with.

    Raises:
        ConfigError: it compares text with a number.
    """
    looked_at = resolve(condition.property)
    if condition.is_numeric and looked_at.kind == "column" and not looked_at.is_number:
        raise ConfigError(
            f"{condition.property} is text, and {condition.operator} compares numbers.",
            hint="Use equals, any_of, contains, starts_with, matches or exists.",
        )
    return operands.add(condition, looked_at.column, is_number=looked_at.is_number, is_list=looked_at.is_list)


def of_funnel(funnel: FunnelConfig) -> tuple[Property, ...]:
    """Return the properties that a funnel names, in its steps, its exclusions and `hold`; sorted, each once."""
    conditions = (condition for each in (*funnel.steps, *funnel.exclude) for condition in each.where)
    return tuple(sorted({resolve(name) for name in (*(each.property for each in conditions), *funnel.hold)}))


def of_rule(rule: SegmentRule) -> tuple[Property, ...]:
    """Return the properties that a segment's rule names; sorted, each once."""
    return tuple(sorted({resolve(name) for name in rule.properties()}))


def of_experiment(experiment: ExperimentConfig) -> tuple[Property, ...]:
    """Return what tells the exposures of an experiment and their variant: parameters, or a property of the user."""
    return tuple(sorted({variant_of(experiment), *(parameter_looked_at(each) for each in experiment.exposure.where)}))


def variant_of(experiment: ExperimentConfig) -> Property:
    """Return what names the variant."""
    name = experiment.variant.user_property
    if name is None:
        return parameter(experiment.variant.parameter or "")
    return Property("user_property", name, is_number=False, column=f"user_text_{_plain(name)}")


def parameter_looked_at(condition: PropertyCondition) -> Property:
    """Return the event parameter that a condition on an exposure looks at."""
    return parameter(condition.property, as_number=condition.is_numeric)


def carried(config: Config, taxonomy: Taxonomy | None) -> tuple[Property, ...]:
    """Return the properties that staging adds a column for, sorted.

    They are those that funnels, segments, experiments, derived entries and `[taxonomy] carry` name; without a
    taxonomy, all but those of derived entries.
    """
    named = {each for funnel in config.funnels for each in of_funnel(funnel)}
    named |= {each for segment in config.segments for each in of_rule(segment.rule)}
    named |= {each for experiment in config.experiments for each in of_experiment(experiment)}
    of_taxonomy = taxonomy.derived if taxonomy else ()
    derived = {resolve(name) for each in of_taxonomy for name in each.rule.properties()}
    listed = {resolve(name) for name in config.taxonomy.carry}
    return tuple(sorted(each for each in named | derived | listed if _is_added(each)))


def leaves(carried: Iterable[Property]) -> frozenset[str]:
    """Return the leaves of the export that staging reads where these are carried."""
    return BASIC_LEAVES.union(*(each.leaves for each in carried))


def _is_added(one: Property) -> bool:
    return one.kind != "column"


def check(engine: Engine, needed: Iterable[Property], config: Config, taxonomy: Taxonomy) -> tuple[str, ...]:
    """Make sure that staged occurrences have these properties.

    Returns:
        A sentence for each that some of the staged days lack: the assumptions of a result.

    Raises:
        ConfigError: the configuration does not carry one of them.
        SourceError: nothing is staged yet, or no staged day has one of them.
    """
    added = [each for each in dict.fromkeys(needed) if _is_added(each)]
    if not added:
        return ()
    configured = carried(config, taxonomy)
    for each in added:
        if each not in configured:
            raise ConfigError(
                f"{each.name} is not carried: staged micro-conversions do not have it.",
                hint=f'Add "{each.name}" to `carry` under [taxonomy], then run `microconv sync`.',
            )
    is_staged = engine.version(SHARDS.name) is not None
    rows = engine.query(templates.query("staging/carried_days")).to_pylist() if is_staged else []
    total = sum(row["days"] for row in rows)
    assumptions = []
    for each in added:
        days = sum(row["days"] for row in rows if each.column in (row["carried_columns"] or "").split(","))
        if not days and (total or not is_staged):
            raise SourceError(f"{each.name} is not staged yet.", hint="Run `microconv sync`.")
        if days < total:
            assumptions.append(f"{each.name} is staged for {days} of {total} days; on the others nothing has it.")
    return tuple(assumptions)
