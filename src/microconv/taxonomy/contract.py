"""What a taxonomy's own names should be like: rules that its file sets, and GA4's limits. Nothing here stops a sync."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from microconv.queries.conditions import usable_pattern
from microconv.taxonomy.entry import MicroConversion

_Pattern = Annotated[str, Field(min_length=1), AfterValidator(usable_pattern)]
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""Names that GA4 takes."""
_READ_BY_GA4 = frozenset({"currency"})
"""What GA4 reads of an event itself: its reports show it without a custom definition."""


class Naming(BaseModel):
    """How names must look, by level: a regular expression for ids of entries, for events and for parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    entry: _Pattern | None = None
    event: _Pattern | None = None
    parameter: _Pattern | None = None


@dataclass(frozen=True)
class Remark:
    """What is worth a look: the entry's place in its file, the key, and what to say of it."""

    place: int
    key: str
    text: str


@cache
def ga4_limits() -> dict[str, Any]:
    """Return GA4's limits and reserved names, with the date at which they were collected (`as_of`)."""
    return tomllib.loads((files("microconv.taxonomy") / "ga4_limits.toml").read_text(encoding="utf-8"))


def remarks(entries: Sequence[MicroConversion], naming: Naming) -> Iterator[Remark]:
    """Yield what breaks a rule of naming or a limit of GA4, among the names of these entries of a file.

    Entries that are deprecated or removed are left out: they stand for what was.
    """
    for place, entry in enumerate(entries):
        if not entry.is_retired:
            yield from _off_the_rules(place, entry, naming)
            yield from (Remark(place, key, text) for key, text in _off_the_limits(entry))
            yield from (Remark(place, "where", text) for text in _never_met(entry))
    yield from _too_many_parameters(entries)


def _off_the_rules(place: int, entry: MicroConversion, naming: Naming) -> Iterator[Remark]:
    given = {*ga4_limits()["reserved"]["events"], *ga4_limits()["recommended"]["events"]}
    levels = (
        ("id", "entry", naming.entry, (entry.id,)),
        ("event", "event", naming.event, tuple(event for event in entry.events if event not in given)),
        ("parameters", "parameter", naming.parameter, tuple(each.name for each in entry.parameters)),
    )
    for key, level, pattern, names in levels:
        for name in names:
            if pattern is not None and not re.search(pattern, name):
                yield Remark(place, key, f'"{name}" is not named by the rule of `[naming]`: {level} = {pattern!r}')


def _off_the_limits(entry: MicroConversion) -> Iterator[tuple[str, str]]:
    """Yield key and sentence of what GA4 would not take as it is."""
    limits = ga4_limits()
    reserved = limits["reserved"]
    prefixes = reserved["event_and_parameter_prefixes"]
    for event in entry.events:
        for text in _flaws(event, limits["event_name"]["longest"], prefixes):
            yield "event", f'the event "{event}" {text}'
        if event in reserved["events"] and "server" in entry.sent_from:
            yield "sent_from", f'the event "{event}" cannot be sent from a server: GA4 keeps the name for itself'
    for parameter in entry.parameters:
        for text in _flaws(parameter.name, limits["parameter"]["name_longest"], prefixes):
            yield "parameters", f'the parameter "{parameter.name}" {text}'
        if parameter.name in reserved["custom_definitions"] and parameter.name not in _READ_BY_GA4:
            text = f'GA4 takes no custom definition called "{parameter.name}": its reports cannot show it'
            yield "parameters", text
        longest = _value_longest("parameter", parameter.name)
        for value in parameter.allowed:
            if isinstance(value, str) and len(value) > longest:
                yield "parameters", f"{parameter.name} allows {_cut(value, longest)}"


def _never_met(entry: MicroConversion) -> Iterator[str]:
    """Yield a sentence on each condition that no event can meet, since GA4 drops or cuts what it asks for."""
    for condition in entry.conditions():
        if condition.kind not in ("parameter", "user_property"):
            continue
        longest = ga4_limits()[condition.kind]["name_longest"]
        if len(condition.name) > longest:
            length = len(condition.name)
            yield f'"{condition.name}" has {length} characters, and GA4 takes at most {longest}: no event can have it'
        longest = _value_longest(condition.kind, condition.name)
        operands = condition.operand if isinstance(condition.operand, tuple) else (condition.operand,)
        for operand in operands if condition.operator != "matches" else ():
            if isinstance(operand, str) and len(operand) > longest:
                yield f"{condition.subject} is compared with {_cut(operand, longest)}, so that this cannot hold"


def _flaws(name: str, longest: int, prefixes: Sequence[str]) -> Iterator[str]:
    if len(name) > longest:
        yield f"has {len(name)} characters, and GA4 takes at most {longest}"
    if prefix := next((each for each in prefixes if name.startswith(each)), None):
        yield f'begins with "{prefix}", which GA4 keeps for itself'
    elif not _PLAIN.fullmatch(name):
        yield "is not a name that GA4 takes: letters, digits and _, a letter first"


def _value_longest(kind: str, name: str) -> int:
    limits = ga4_limits()[kind]
    longest: int = limits.get("value_longest_of", {}).get(name, limits["value_longest"])
    return longest


def _cut(value: str, longest: int) -> str:
    return f"a text of {len(value)} characters, and GA4 cuts values of it after {longest}"


def _too_many_parameters(entries: Sequence[MicroConversion]) -> Iterator[Remark]:
    most = ga4_limits()["parameter"]["most_per_event"]
    asked: dict[str, set[str]] = {}
    for place, entry in enumerate(entries):
        for event in () if entry.is_retired else entry.events:
            before = len(asked.setdefault(event, set()))
            asked[event].update(parameter.name for parameter in entry.parameters)
            if before <= most < len(asked[event]):
                text = f'the event "{event}" must carry {len(asked[event])} parameters, and GA4 takes at most {most}'
                yield Remark(place, "parameters", text)
