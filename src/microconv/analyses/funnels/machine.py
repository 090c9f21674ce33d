"""What the SQL of funnels (`sql/analyses/funnels/_machine.sql`) is told: steps, rules and selection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from microconv.analyses.funnels.funnel import FunnelQuestion
from microconv.config.funnel_settings import ExclusionConfig, StepConfig
from microconv.errors import ConfigError
from microconv.queries.conditions import Operands
from microconv.queries.templates import Value
from microconv.question import Context
from microconv.staging import properties
from microconv.taxonomy import Taxonomy

_UNIT_COLUMNS = {"actors": "actor_key", "sessions": "session_key", "attempts": "actor_key"}
MOST_SHARING_STEPS = 5
"""How many steps of an unordered funnel one event may meet: each set of them is counted."""


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
    funnel: FunnelQuestion,
    context: Context,
    *,
    attributes: Sequence[str] = (),
    fields: Sequence[Carried] = (),
    ways_from: int = 0,
    way_values: Sequence[Carried] = (),
    is_timed: bool = False,
) -> Machine:
    """Return what a template of funnels needs.

    Args:
        funnel: The funnel, and which starts count.
        context: Within which it is asked.
        attributes: Columns of mc_micro_conversions that reached rows keep.
        fields: Columns of mc_micro_conversions that are carried along the path.
        ways_from: From which step on it is looked up where a way first took each (`_ways.sql`); 0 for none.
        way_values: Columns of the occurrences that took these steps first; they are among `attributes`.
        is_timed: Whether it is about the time between steps alone.

    Raises:
        TaxonomyError: A step or exclusion is not a micro-conversion of the taxonomy.
        ConfigError: A condition compares text with a number.
    """
    named_by, taxonomy = f'funnel "{funnel.name}"', context.taxonomy
    _check(funnel, named_by)
    places: list[tuple[int, StepConfig | ExclusionConfig]] = [
        *enumerate(funnel.steps, start=1),
        *((-number, exclusion) for number, exclusion in enumerate(funnel.exclude, start=1)),
    ]
    operands = Operands()
    pairs: list[tuple[str, int]] = []
    conditions = []
    for place, asked in places:
        pairs += [(entry, place) for entry in _ids(asked, taxonomy)]
        if tests := [properties.criterion(condition, operands) for condition in asked.where]:
            conditions.append({"place": place, "tests": tests})
    hold = [properties.resolve(name) for name in funnel.hold]
    way_options = [
        number for number, step in enumerate(funnel.steps, start=1) if step.optional and 0 < ways_from <= number
    ]
    fields = [*fields, *(Carried(f"via_{number}", "event_order", number) for number in way_options)]
    barriers = _barriers(funnel)
    by_event = funnel.order == "immediate" or (funnel.order == "strict" and _share_events(funnel, taxonomy))
    read = dict.fromkeys([*attributes, *(field.column for field in fields)])
    read.pop("event_order", None)  # which every row has
    window = funnel.step_window or funnel.window
    segment = funnel.members(context)
    structure = {
        "unit": _UNIT_COLUMNS[funnel.count],
        "unit_columns": _unit_columns(funnel),
        "steps": len(funnel.steps),
        "is_open": funnel.entry == "open",
        "hold": [{"column": each.column, "is_list": each.is_list, "is_number": each.is_number} for each in hold],
        "is_limited": funnel.since is not None or funnel.until is not None,
        "segment": segment.structure if segment else None,
        "conditions": conditions,
        "components": _components(funnel, taxonomy, named_by) if funnel.order == "unordered" else [],
        "predecessors": _predecessors(funnel),
        "barriers": barriers,
        "by_event": by_event,
        "is_immediate": funnel.order == "immediate",
        "stops": _stops(funnel),
        "ways_from": ways_from,
        "way_options": way_options,
        "way_values": [asdict(value) for value in way_values],
        "is_timed": is_timed,
        "is_plain": is_timed and not (funnel.entry == "open" or funnel.step_window or barriers or way_options),
        "measured_from": "start_order" if funnel.whole_window else "last_order",
        "attributes": list(read),
        "fields": [asdict(field) for field in fields],
    }
    params: dict[str, Value] = {
        "micro_conversions": [entry for entry, _ in pairs],
        "places": [place for _, place in pairs],
        "window_us": window.microseconds,
        **operands.params,
        **funnel.days(),
        **(segment.params if segment else {}),
    }
    return Machine(structure, params, _labels(funnel, taxonomy))


def _check(funnel: FunnelQuestion, named_by: str) -> None:
    if funnel.order == "unordered" and funnel.count == "attempts":
        raise ConfigError(
            f"In {named_by}: where steps come in any order nothing says which occurrence begins an attempt.",
            hint='Count "actors" or "sessions", or give the steps an order.',
        )


def _ids(asked: StepConfig | ExclusionConfig, taxonomy: Taxonomy) -> list[str]:
    return list(dict.fromkeys(taxonomy.counted(entry) for entry in asked.did))


def _labels(funnel: FunnelQuestion, taxonomy: Taxonomy) -> tuple[str, ...]:
    """Name the rows of the result: steps by name or by the ids they are staged with."""
    if funnel.order == "unordered":
        return tuple(f"any {number} of {len(funnel.steps)}" for number in range(1, len(funnel.steps) + 1))
    return tuple(step.model_copy(update={"did": tuple(_ids(step, taxonomy))}).label for step in funnel.steps)


def _unit_columns(funnel: FunnelQuestion) -> list[str]:
    """Return what makes an actor, a session or an attempt, of the columns of `reached`."""
    if funnel.count != "attempts":
        return ["unit_key"]
    held = [f"held_{number}" for number in range(1, len(funnel.hold) + 1)]
    return ["unit_key", *held, *(["entry"] if funnel.entry == "open" else []), "start_order"]


def _predecessors(funnel: FunnelQuestion) -> list[list[int]]:
    """Return for each step from 2 the steps it may follow: the one before, and further back over optional ones."""
    allowed = [[1]]
    for step in range(2, len(funnel.steps)):
        allowed.append([step, *(allowed[-1] if funnel.steps[step - 1].optional else [])])
    return allowed


def _barriers(funnel: FunnelQuestion) -> list[dict[str, list[int]]]:
    """Return what may not come between steps and the step before, steps with the same barriers together.

    `places` never may; `unless` may not, unless their event is one of `passes`, too. Place 0 is any other event.
    """
    count = len(funnel.steps)
    by_places: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    predecessors = _predecessors(funnel)
    for step in range(2, count + 1):
        places = tuple(number for number, first, last in _exclusions(funnel) if first < step <= last)
        passes: tuple[int, ...] = ()
        unless: tuple[int, ...] = ()
        if funnel.order in ("strict", "immediate"):
            passes = tuple(sorted({step, *predecessors[step - 2]}))
            unless = tuple(other for other in range(1, count + 1) if other not in passes)
        if funnel.order == "immediate":
            unless = (0, *unless)
        if places or unless:
            by_places.setdefault((places, unless, passes), []).append(step)
    return [
        {"steps": steps, "places": list(places), "unless": list(unless), "passes": list(passes)}
        for (places, unless, passes), steps in by_places.items()
    ]


def _exclusions(funnel: FunnelQuestion) -> Iterator[tuple[int, int, int]]:
    """Yield the place of each exclusion, and the two steps between which it may not come."""
    for number, exclusion in enumerate(funnel.exclude, start=1):
        yield (-number, *(exclusion.between or (1, len(funnel.steps))))


def _stops(funnel: FunnelQuestion) -> list[dict[str, list[int]]]:
    """Return which exclusions let those leave who stand at a step, steps with the same ones together."""
    by_places: dict[tuple[int, ...], list[int]] = {}
    for step in range(1, len(funnel.steps)) if funnel.excluded == "leave" else ():
        if places := tuple(number for number, first, last in _exclusions(funnel) if first <= step < last):
            by_places.setdefault(places, []).append(step)
    return [{"steps": steps, "places": list(places)} for places, steps in by_places.items()]


def _listened(step: StepConfig, taxonomy: Taxonomy) -> frozenset[str]:
    """Return the GA4 events that may meet a step."""
    return taxonomy.events_of(_ids(step, taxonomy))


def _share_events(funnel: FunnelQuestion, taxonomy: Taxonomy) -> bool:
    """Whether one event may meet two steps."""
    return any(one & other for one, other in combinations([_listened(step, taxonomy) for step in funnel.steps], 2))


def _components(funnel: FunnelQuestion, taxonomy: Taxonomy, named_by: str) -> list[dict[str, Any]]:
    """Return the steps of an unordered funnel in groups of which no event can meet steps of two."""
    groups: list[tuple[set[int], frozenset[str]]] = []
    for number, step in enumerate(funnel.steps, start=1):
        own = ({number}, _listened(step, taxonomy))
        for group in [group for group in groups if group[1] & own[1]]:
            groups.remove(group)
            own = (own[0] | group[0], own[1] | group[1])
        groups.append(own)
    for steps, _ in groups:
        if len(steps) > MOST_SHARING_STEPS:
            names = ", ".join(funnel.steps[number - 1].label for number in sorted(steps))
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
