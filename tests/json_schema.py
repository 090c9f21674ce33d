"""The part of JSON Schema that ours uses: what it refuses of a document. An unknown keyword stops the test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
}


def faults(document: Any, schema: Schema, root: Schema | None = None, at: str = "") -> Iterator[str]:
    """Yield where a document breaks a schema: the path, and the keyword that it breaks."""
    root = root or schema
    for keyword, wanted in schema.items():
        if not _meets(document, keyword, wanted, schema, root):
            yield f"{at}:{keyword}"
    if "$ref" in schema:
        yield from faults(document, root["$defs"][schema["$ref"].rpartition("/")[2]], root, at)
    for part, inner, name in _parts(document, schema):
        yield from faults(part, inner, root, f"{at}{name}")


def _parts(document: Any, schema: Schema) -> Iterator[tuple[Any, Schema, str]]:
    if isinstance(document, dict):
        known = schema.get("properties", {})
        yield from ((value, known[key], f".{key}") for key, value in document.items() if key in known)
    elif isinstance(document, list):
        first = schema.get("prefixItems", [])
        for number, value in enumerate(document):
            inner = first[number] if number < len(first) else schema.get("items", {})
            yield value, inner, f"[{number}]"


def _meets(document: Any, keyword: str, wanted: Any, schema: Schema, root: Schema) -> bool:  # noqa: PLR0911, PLR0912 - a table
    match keyword:
        case "$schema" | "$defs" | "$ref" | "title" | "description" | "properties" | "items" | "prefixItems":
            return True
        case "type":
            return isinstance(document, _TYPES[wanted]) and (wanted == "boolean" or not isinstance(document, bool))
        case "enum":
            return document in wanted
        case "const":
            return bool(document == wanted)
        case "pattern":
            return not isinstance(document, str) or re.search(wanted, document) is not None
        case "minLength" | "minItems":
            return len(document) >= wanted
        case "maxItems":
            return len(document) <= wanted
        case "minimum":
            return not isinstance(document, int | float) or document >= wanted
        case "maximum":
            return not isinstance(document, int | float) or document <= wanted
        case "exclusiveMinimum":
            return not isinstance(document, int | float) or document > wanted
        case "required":
            return not isinstance(document, dict) or set(wanted) <= set(document)
        case "additionalProperties":
            return not isinstance(document, dict) or set(document) <= set(schema["properties"])
        case "anyOf":
            return any(not list(faults(document, each, root)) for each in wanted)
        case "oneOf":
            return sum(not list(faults(document, each, root)) for each in wanted) == 1
    raise NotImplementedError(keyword)
