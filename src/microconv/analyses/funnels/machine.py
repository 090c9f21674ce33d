"""What the SQL of funnels (`sql/analyses/funnels/_machine.sql`) is told: steps, rules and selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from itertools import combinations
from typing import Any

from microconv.config.sections import ExclusionConfig, FunnelConfig, SegmentConfig, StepConfig
from microconv.engines.base import Engine
from microconv.errors import ConfigError, UsageError
from microconv.queries import templates
from microconv.queries.conditions import Operands
from microconv.queries.templates import Value
from microconv.staging import properties
from microconv.taxonomy import Taxonomy

_UNIT_COLUMNS = {"actors": "actor_key", "sessions": "session_key", "attempts": "actor_key"}
_DAY_SECONDS = 86_400
MOST_SHARING_STEPS = 5
"""How many steps of an unordered funnel one event may meet: each set of them is counted."""


@dataclass(frozen=True)
class Selection:
    """Which starts count: those on days `since` to `until` (of the property, inclusive), by the actors of a segment.

    `as_of` is the moment at which the segment is built; None is that of the latest staged event.

    Raises:
        UsageError: `until` is before `since`.
    """

    since: date | None = None
    until: date | None = None
    segment: SegmentConfig | None = None
    as_of: datetime | None = None

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.until < self.since:
            raise UsageError(
                f"The period ends on {self.until}, before it begins on {self.since}.", hint="Swap the two days."
            )


EVERYTHING = Selection()


def settled(engine: Engine, selection: Selection) -> Selection:
    """Return the selection with the moment of its segment: the given one, or that of the latest staged event."""
    if selection.segment is None or selection.as_of is not None:
        return selection
    return replace(selection, as_of=latest_event_at(engine))


def latest_event_at(engine: Engine) -> datetime | None:
    """Return when the latest staged event happened (UTC); None when nothing is staged."""
    (row,) = engine.query(templates.query("segments/latest_event")).to_pylist()
    latest: datetime | None = row["latest_event_at"]
    return latest


def in_order(config: FunnelConfig, what: str) -> None:
    """Refuse a funnel whose steps come in any order, which lacks `what` needs an order (`a time between two`).

    Raises:
        UsageError: it is one.
    """
    if config.order == "unordered":
        raise UsageError(
            f"The funnel {config.name} has no order of steps, and so not {what}.",
            hint='Ask with order = "ordered".',
        )


@dataclass(frozen=True)
class Carried:
    """A column of the occurrence that took a step (None: the first step taken), kept along the path under a name."""

    name: str
    column: str
    step: int | None


@dataclass(frozen=True)
class Machine:
    """A funnel as its templates take it: their structure `funnel`, the parameters, and a label for each step."""

    structure: dict[str, Any]
    params: dict[str, Value]
    labels: tuple[str, ...]


def machine(
    config: FunnelConfig,
    taxonomy: Taxonomy,
    selection: Selection = EVERYTHING,
    *,
    attributes: Sequence[str] = (),
    fields: Sequence[Carried] = (),
) -> Machine:
    """Return what a template of funnels needs.

    Args:
        config: The funnel.
        taxonomy: The taxonomy the tables were staged with.
        selection: Which starts count.
        attributes: Columns of mc_micro_conversions that reached rows keep.
        fields: Columns of mc_micro_conversions that are carried along the path.

    Raises:
        TaxonomyError: A step or exclusion is no micro-conversion of the taxonomy.
        ConfigError: A condition compares text with a number.
    """
    named_by = f'funnel "{config.name}"'
    _check(config, named_by)
    places: list[tuple[int, StepConfig | ExclusionConfig]] = [
        *enumerate(config.steps, start=1),
        *((-number, exclusion) for number, exclusion in enumerate(config.exclude, start=1)),
    ]
    operands = Operands()
    pairs: list[tuple[str, int]] = []
    conditions = []
    for place, asked in places:
        pairs += [(entry, place) for entry in _ids(asked, taxonomy, named_by)]
        if tests := [properties.criterion(condition, operands) for condition in asked.where]:
            conditions.append({"place": place, "tests": tests})
    hold = [properties.resolve(name) for name in config.hold]
    read = dict.fromkeys([*attributes, *(field.column for field in fields)])
    read.pop("event_order", None)  # which every row has
    window = config.step_window or config.window
    structure = {
        "unit": _UNIT_COLUMNS[config.count],
        "unit_columns": _unit_columns(config),
        "steps": len(config.steps),
        "is_open": config.entry == "open",
        "hold": [{"column": each.column, "is_list": each.is_list, "is_number": each.is_number} for each in hold],
        "is_limited": selection.since is not None or selection.until is not None,
        "segment": selection.segment is not None,
        "conditions": conditions,
        "components": _components(config, taxonomy, named_by) if config.order == "unordered" else [],
        "predecessors": _predecessors(config),
        "barriers": _barriers(config),
        "measured_from": "start_order" if config.whole_window else "last_order",
        "attributes": list(read),
        "fields": [asdict(field) for field in fields],
    }
    params: dict[str, Value] = {
        "micro_conversions": [entry for entry, _ in pairs],
        "places": [place for _, place in pairs],
        "window_us": window.microseconds,
        **operands.params,
        **_days(config, selection),
        **_members(selection, taxonomy),
    }
    return Machine(structure, params, _labels(config, taxonomy, named_by))


def _check(config: FunnelConfig, named_by: str) -> None:
    if config.order == "unordered" and config.count == "attempts":
        raise ConfigError(
            f"In {named_by}: where steps come in any order nothing says which occurrence begins an attempt.",
            hint='Count "actors" or "sessions", or give the steps an order.',
        )


def _ids(asked: StepConfig | ExclusionConfig, taxonomy: Taxonomy, named_by: str) -> list[str]:
    return list(dict.fromkeys(taxonomy.counted_id(entry, named_by=named_by) for entry in asked.did))


def _labels(config: FunnelConfig, taxonomy: Taxonomy, named_by: str) -> tuple[str, ...]:
    """Name the rows of the result: steps by name or by the ids they are staged with."""
    if config.order == "unordered":
        return tuple(f"any {number} of {len(config.steps)}" for number in range(1, len(config.steps) + 1))
    return tuple(step.model_copy(update={"did": tuple(_ids(step, taxonomy, named_by))}).label for step in config.steps)


def _unit_columns(config: FunnelConfig) -> list[str]:
    """Return what makes an actor, a session or an attempt, of the columns of `reached`."""
    if config.count != "attempts":
        return ["unit_key"]
    held = [f"held_{number}" for number in range(1, len(config.hold) + 1)]
    return ["unit_key", *held, *(["entry"] if config.entry == "open" else []), "start_order"]


def _predecessors(config: FunnelConfig) -> list[list[int]]:
    """Return for each step from 2 the steps it may follow: the one before, and further back over optional ones."""
    allowed = [[1]]
    for step in range(2, len(config.steps)):
        allowed.append([step, *(allowed[-1] if config.steps[step - 1].optional else [])])
    return allowed


def _barriers(config: FunnelConfig) -> list[dict[str, list[int]]]:
    """Return what may not come between steps and the step before, steps with the same barriers together."""
    count = len(config.steps)
    by_places: dict[tuple[int, ...], list[int]] = {}
    predecessors = _predecessors(config)
    for step in range(2, count + 1):
        places = [
            -number
            for number, exclusion in enumerate(config.exclude, start=1)
            for first, last in [exclusion.between or (1, count)]
            if first < step <= last
        ]
        if config.order == "strict":
            may_come = {step, *predecessors[step - 2]}
            places += [other for other in range(1, count + 1) if other not in may_come]
        if places:
            by_places.setdefault(tuple(places), []).append(step)
    return [{"steps": steps, "places": list(places)} for places, steps in by_places.items()]


def _components(config: FunnelConfig, taxonomy: Taxonomy, named_by: str) -> list[dict[str, Any]]:
    """Return the steps of an unordered funnel in groups of which no event can meet steps of two."""
    groups: list[tuple[set[int], set[str]]] = []
    for number, step in enumerate(config.steps, start=1):
        ids = set(_ids(step, taxonomy, named_by))
        own = ({number}, {event for entry in taxonomy.entries if entry.counts_as in ids for event in entry.events})
        for group in [group for group in groups if group[1] & own[1]]:
            groups.remove(group)
            own = (own[0] | group[0], own[1] | group[1])
        groups.append(own)
    for steps, _ in groups:
        if len(steps) > MOST_SHARING_STEPS:
            names = ", ".join(config.steps[number - 1].label for number in sorted(steps))
            raise ConfigError(
                f"In {named_by}: {len(steps)} steps may be met by one event ({names}), and in any order at most "
                f"{MOST_SHARING_STEPS} may be.",
                hint='Give them an order (order = "ordered"), or leave some out.',
            )
    return [
        {
            "size": len(steps),
            "sets": [list(chosen) for size in range(1, len(steps) + 1) for chosen in combinations(sorted(steps), size)],
        }
        for steps, _ in groups
    ]


def _longest_seconds(config: FunnelConfig) -> int:
    """How long after its start a path may go on."""
    if config.whole_window is not None:
        return config.whole_window.seconds
    return (config.step_window or config.window).seconds * (len(config.steps) - 1)


def _days(config: FunnelConfig, selection: Selection) -> dict[str, Value]:
    """Return the days of starts, and the days to read.

    Properties differ in their zones, so that what follows a start may lie on the day before. Where steps come in any
    order a stretch is told to begin in time by the days of its events alone.
    """
    if selection.since is None and selection.until is None:
        return {}
    first, last = selection.since or date.min, selection.until or date.max
    before = 0 if config.order == "unordered" else 1
    after = _longest_seconds(config) // _DAY_SECONDS + 2
    return {
        "first_day": first,
        "last_day": last,
        "first_read": first - timedelta(days=min(before, (first - date.min).days)),
        "last_read": last + timedelta(days=min(after, (date.max - last).days)),
    }


def _members(selection: Selection, taxonomy: Taxonomy) -> dict[str, Value]:
    """Return the parameters of `sql/segments/_matching.sql`."""
    if selection.segment is None:
        return {}
    rule, named_by = selection.segment.rule, f'segment "{selection.segment.name}"'
    return {
        "did": taxonomy.counted_id(rule.did, named_by=named_by),
        "not_did": None if rule.not_did is None else taxonomy.counted_id(rule.not_did, named_by=named_by),
        "at_least": rule.at_least,
        "within_us": rule.within.microseconds,
        "as_of": selection.as_of,
    }
