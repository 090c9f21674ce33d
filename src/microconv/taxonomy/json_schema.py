"""The JSON Schema of a taxonomy file, for editors: which keys there are, what they mean and which values they take."""

from __future__ import annotations

from typing import Any

from microconv.taxonomy.entry import EVENT_PATTERN
from microconv.taxonomy.taxonomy_file import TaxonomyFile

_ID, _VERSION = "^[a-z][a-z0-9_]{0,63}$", r"^\d{1,9}(\.\d{1,9}){0,2}$"
_PATTERNS = {
    "id": _ID,
    "replaced_by": _ID,
    **dict.fromkeys(("version", "since", "deprecated_in", "deprecated", "removed_in"), _VERSION),
}
_ONE_OR_MORE = (
    *("event", "external", "goal", "identifiers", "sent_from", "triggers"),
    *("of", "first", "start", "then", "without", "stalled_after", "pause_after"),
)
"""Keys that take a text where they take a list of texts."""
_OTHER_NAMES = {"event": "events", "goal": "goals", "deprecated_in": "deprecated"}
_MEANINGS = {
    "id": "Funnels, segments and results use it: lower-case letters, digits and _.",
    "kind": "milestone: a step one must take; secondary: interest beside the way; macro: the goal.",
    "stage": "Where it stands in the journey.",
    "event": 'The GA4 event that counts: a name, a list of names, or { matches = "…" }.',
    "where": "Conditions on the event, all of which must hold.",
    "page": "One condition on the path of the page.",
    "value": "An amount in the project's currency, or \"event\" for the event's own.",
    "name": "What people read; default: the id in words.",
    "mindset": "Default: the one that goes with the stage.",
    "description": "What it means.",
    "owner": "Who answers for it.",
    "goal": "The macro-conversion that it serves.",
    "friction": "What is known to hold people back here.",
    "parameters": "What its events must carry.",
    "identifiers": "The ids that its events carry.",
    "sent_from": "Where it is sent from.",
    "triggers": "What happens because of it: a segment, a report, or nothing.",
    "since": "The version it came with.",
    "deprecated_in": "The version it was given up in.",
    "removed_in": "The version from which on it counts nothing.",
    "replaced_by": "The id that its occurrences count as.",
}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a taxonomy file.

    It knows keys, types and closed lists of values. What only the whole file tells (an unknown id, a pattern that RE2
    lacks) `microconv taxonomy validate` checks.
    """
    schema = _plain(TaxonomyFile.model_json_schema())
    definitions: dict[str, dict[str, Any]] = schema["$defs"]
    entry = definitions["MicroConversion"]["properties"]
    pattern = entry.pop(EVENT_PATTERN)
    for definition in definitions.values():
        keys = definition.get("properties", {})
        for key in _ONE_OR_MORE:
            if keys.get(key, {}).get("type") == "array":
                keys[key] = {"anyOf": [keys[key]["items"], keys[key]]}
    # `true` marks an event that shows hesitation by itself.
    entry["hesitation"] = {"anyOf": [entry["hesitation"], {"type": "boolean"}]}
    entry.pop("is_hesitation", None)
    # A signal of hesitation is secondary unless it says otherwise.
    definitions["MicroConversion"]["required"] = ["id", "stage"]
    entry["event"]["anyOf"].append(pattern)
    subjects = ("parameter", "item", "user_property", "query", "field", "as")
    condition = definitions["Condition"]
    of_page = {key: value for key, value in condition["properties"].items() if key not in subjects}
    entry["page"] = {"type": "object", "additionalProperties": False, "properties": of_page}
    for key, meaning in _MEANINGS.items():
        if key in entry:
            entry[key] = {"description": meaning, **entry[key]}
    for key, other in _OTHER_NAMES.items():
        entry[other] = entry[key]
    for properties in (entry, schema["properties"]):
        for key, text in _PATTERNS.items():
            if key in properties:
                properties[key]["pattern"] = text
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "A taxonomy of micro-conversions",
        "description": "A file of microconv: which events count as which micro-conversion.",
    }


def _plain(node: Any) -> Any:  # noqa: ANN401 - JSON
    """Leave out what a TOML file cannot have (null) and what says nothing (titles); name lengths of lists rightly."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    plain = {
        key: _plain(value)
        for key, value in node.items()
        if key not in ("default",) and not (key == "title" and isinstance(value, str))
    }
    if plain.get("type") == "array" and "minLength" in plain:
        plain["minItems"] = plain.pop("minLength")
    if "anyOf" in plain:
        choices = [each for each in plain["anyOf"] if each != {"type": "null"}]
        del plain["anyOf"]
        plain |= choices[0] if len(choices) == 1 else {"anyOf": choices}
    return plain
