"""Properties of occurrences, such as `page` or `item_id`: what a name means, which column holds it, what is carried."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from microconv.config.sections import Config, FunnelConfig, PropertyCondition
from microconv.engines.base import Engine
from microconv.engines.tables import Column
from microconv.errors import ConfigError, SourceError
from microconv.exports import BASIC_LEAVES, ITEM_FIELDS
from microconv.queries import templates
from microconv.queries.conditions import Criterion, Operands
from microconv.staging.mc_tables import SHARDS

COLUMNS = ("page", "value", "currency", "transaction_id")
"""The properties that every occurrence has a column for."""

Kind = Literal["column", "item", "parameter"]


@dataclass(frozen=True, order=True)
class Property:
    """What an occurrence, or its event, has besides being there, and the column that holds it; NULL without it.

    `kind` says where it comes from: a column that is always there, an event's items, or an event parameter. The column
    is a FLOAT64 where `is_number`, else a STRING.
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
        origin = f"{self.name} of the event's items, a line each" if self.is_list else f"event parameter {self.name}"
        kind, form = ("FLOAT64", "number") if self.is_number else ("STRING", "text")
        return Column(self.column, kind, f"{origin} as {form}")


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
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower())
    if plain != name:
        plain = f"{plain}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"
    return Property("parameter", name, is_number=as_number, column=f"{'number' if as_number else 'text'}_{plain}")


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


def carried(config: Config) -> tuple[Property, ...]:
    """Return the properties that staging adds a column for: those that funnels and `[taxonomy] carry` name, sorted."""
    named = {each for funnel in config.funnels for each in of_funnel(funnel)}
    listed = {resolve(name) for name in config.taxonomy.carry}
    return tuple(sorted(each for each in named | listed if _is_added(each)))


def leaves(carried: Iterable[Property]) -> frozenset[str]:
    """Return the leaves of the export that staging reads where these are carried."""
    return BASIC_LEAVES | {f"items.{each.name}" for each in carried if each.is_list}


def _is_added(one: Property) -> bool:
    return one.kind != "column"


def check(engine: Engine, needed: Iterable[Property], config: Config) -> tuple[str, ...]:
    """Make sure that staged occurrences have these properties.

    Returns:
        A sentence for each that some of the staged days lack: the assumptions of a result.

    Raises:
        ConfigError: the configuration does not carry one of them.
        SourceError: no staged day has one of them.
    """
    added = [each for each in dict.fromkeys(needed) if _is_added(each)]
    if not added:
        return ()
    configured = carried(config)
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
        if not days:
            raise SourceError(f"{each.name} is not staged yet.", hint="Run `microconv sync`.")
        if days < total:
            assumptions.append(f"{each.name} is staged for {days} of {total} days; on the others nothing has it.")
    return tuple(assumptions)
