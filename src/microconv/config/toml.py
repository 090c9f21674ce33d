"""TOML, read within limits and written so that it reads as what was meant, whatever stands in it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any


def read_toml(text: str) -> dict[str, Any]:
    """Read TOML.

    Raises:
        ValueError: it is not valid, nests its values hundreds deep, or has a number beyond 64 bits.
    """
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise ValueError("its values are nested too deep") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # Python's own limit of digits
        raise ValueError("a number in it has too many digits") from None
    pending: list[object] = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:  # TOML asks for no more
            raise ValueError("a number in it has too many digits")
    return document


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


def _key(key: str) -> str:
    is_bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if is_bare else literal(key)
