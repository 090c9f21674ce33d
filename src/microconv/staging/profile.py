"""The query of mc_profile: what parameters look like by day, and in how many rows they look like personal data."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from microconv.exports import ShardSchema
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.staging.mc_tables import PROFILE
from microconv.taxonomy import ga4_limits

MOST_DISTINCT = 1_000
"""Different values of a parameter and day are counted up to here."""
LARGE_VALUE_LONGEST = 500
"""Characters of a parameter's value that properties of Analytics 360 may have."""


@cache
def personal_data() -> Mapping[str, Any]:
    """Return what personal data look like: patterns and words, with the date at which they were collected."""
    return tomllib.loads((files("microconv.staging") / "data" / "personal_data.toml").read_text(encoding="utf-8"))


def query(property_id: str, schema: ShardSchema) -> Query:
    """Return the query of the profile of `raw_events`, which holds shards of this schema."""
    params = {"property": property_id, **_params()}
    return templates.query("staging/profile", params=params, structure=schema.structure)


@cache
def fingerprint() -> str:
    """Fingerprint all that decides the rows of mc_profile but the shards."""
    digest = hashlib.sha256(f"{PROFILE.version} {json.dumps(_params())}".encode())
    for text in templates.sources("staging/profile"):
        digest.update(templates.without_comments(text).encode())
    return digest.hexdigest()[:16]


def _params() -> dict[str, Value]:
    data, limits = personal_data(), ga4_limits()
    health = "|".join(data["words"]["health"])
    values = {name: _either(patterns).replace("{health}", health) for name, patterns in data["value"].items()}
    names = {f"{name}_parameter": _either(patterns) for name, patterns in data["parameter"].items()}
    longest_of = limits["parameter"]["value_longest_of"]
    return {
        **values,
        **names,
        "numbered": data["words"]["numbered"],
        "placeholders": data["words"]["placeholders"],
        "most_distinct": MOST_DISTINCT,
        "limit_names": list(longest_of),
        "limit_lengths": list(longest_of.values()),
        "limit_length": limits["parameter"]["value_longest"],
        "large_limit_length": LARGE_VALUE_LONGEST,
        "user_limit_length": limits["user_property"]["value_longest"],
    }


def _either(patterns: list[str]) -> str:
    return "|".join(f"(?:{pattern})" for pattern in patterns)
