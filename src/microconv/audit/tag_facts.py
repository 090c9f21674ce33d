"""What checks know of GA4's tags and of the web around them, as data with a date: `tag_facts.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def tag_facts() -> dict[str, Any]:
    """Return the tables of `tag_facts.toml`."""
    found: dict[str, Any] = tomllib.loads((files("microconv.audit") / "tag_facts.toml").read_text(encoding="utf-8"))
    return found
