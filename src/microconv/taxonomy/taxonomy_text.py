"""Entries as text of a taxonomy file. Whatever names from the data stand in it, it reads as what was meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from microconv.config.toml import comment, literal
from microconv.taxonomy.entry import MicroConversion


def entry_text(keys: Mapping[str, Any], *, notes: Iterable[str] = (), is_active: bool = True) -> str:
    """Return one `[[micro_conversions]]`, below its notes; one that is not active is a comment to take the `#` from."""
    lines = [
        "[[micro_conversions]]",
        *(f"{key} = {literal(value)}" for key, value in keys.items() if value is not None),
    ]
    if not is_active:
        lines = [f"# {line}" if line.isprintable() else comment(line) for line in lines]
    return "\n".join((*map(comment, notes), *lines)) + "\n"


def keys_of(entry: MicroConversion) -> dict[str, Any]:
    """Return what a file says of an entry, as far as it is not what it is anyway."""
    written = {"events": "event", "goals": "goal", "event_pattern": "event"}
    dumped = _without_nothing(entry.model_dump(exclude_defaults=True, by_alias=True))
    keys = {written.get(key, key): value for key, value in dumped.items()}
    keys["mindset"] = entry.mindset  # what goes without saying depends on the stage
    if keys.pop("is_hesitation", False):
        keys["hesitation"] = True  # what an event shows by itself; a rule follows
    if entry.derivation:
        keys["hesitation" if entry.hesitation else "derived"] = entry.derivation.document()
    if entry.collapse:
        keys["collapse"] = str(entry.collapse)
    return keys


def _without_nothing(value: Any) -> Any:  # noqa: ANN401 - walks any tree of keys and values
    if isinstance(value, Mapping):
        return {key: _without_nothing(each) for key, each in value.items() if each not in (None, (), [], "")}
    return [_without_nothing(each) for each in value] if isinstance(value, list | tuple) else value
