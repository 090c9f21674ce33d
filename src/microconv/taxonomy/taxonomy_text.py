"""Entries as text of a taxonomy file. Whatever names from the data stand in it, it reads as what was meant."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from microconv.taxonomy.entry import MicroConversion


def literal(value: Any) -> str:  # noqa: ANN401 - whatever a file may hold
    """Return a value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        # JSON's strings are TOML's, but for the delete character, which TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(key)} = {literal(each)}" for key, each in value.items() if each is not None)
        return f"{{ {pairs} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(each) for each in value)}]"
    return literal(str(value))


def comment(text: str) -> str:
    """Return a text as one line of comment: nothing in it can end the comment."""
    # ASCII alone, so that no line break or control character of Unicode is left either.
    return "# " + json.dumps(text, ensure_ascii=True)[1:-1].replace('\\"', '"').replace("\x7f", "\\u007f")


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


def _key(key: str) -> str:
    is_bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if is_bare else literal(key)
