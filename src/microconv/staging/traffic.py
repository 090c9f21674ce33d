"""Where sessions come from: channel groups, source categories and click ids, as the session template takes them.

All of it is data (the folder `data`), so that a definition that Google changes is a line changed there.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from types import MappingProxyType

_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class ChannelTest:
    """One test on a field of the traffic: equal to one of `values`, or a match of the pattern named `pattern`.

    `number` names the query parameter of the values, `channel_values_<number>`.
    """

    number: int
    field: str
    values: tuple[str, ...]
    pattern: str | None


@dataclass(frozen=True)
class ChannelGroup:
    """One channel group: it fits where all tests of at least one alternative hold. `number` is its rank."""

    number: int
    name: str
    alternatives: tuple[tuple[ChannelTest, ...], ...]

    @property
    def tests(self) -> tuple[ChannelTest, ...]:
        """Return the tests of all alternatives."""
        return tuple(test for alternative in self.alternatives for test in alternative)


@dataclass(frozen=True)
class ClickId:
    """A query parameter that a platform adds to links to a site, and what it says about the visit.

    `kind` is `paid`, `free`, or `unknown` where the id does not tell. `campaign` and `channel_group` are '' unless the
    id decides them. `aliases` are the sources, in lower case, by which a tag names the same platform.
    """

    click_id: str
    kind: str
    source: str
    medium: str
    campaign: str
    channel_group: str
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class ChannelRules:
    """All that decides the traffic of a session and is not in its events.

    `groups` are in order: the first that fits wins, else `fallback`. `patterns` maps a name to a regular expression
    (RE2) for text in lower case; `categories` maps a source to its category, `*.` and a domain those below it;
    `search_engines` are sources that own domains of many countries, `engine_services` the first labels of their hosts
    that are something else than search.
    """

    groups: tuple[ChannelGroup, ...]
    fallback: str
    patterns: Mapping[str, str]
    categories: Mapping[str, str]
    search_engines: tuple[str, ...]
    engine_services: tuple[str, ...]
    click_ids: tuple[ClickId, ...]


@cache
def load_channel_rules() -> ChannelRules:
    """Read the rules that come with the package."""
    document = tomllib.loads((_DATA / "channel_groups.toml").read_text(encoding="utf-8"))
    numbers = count()
    return ChannelRules(
        groups=tuple(
            ChannelGroup(place, group["name"], tuple(_alternative(tests, numbers) for tests in group["when"]))
            for place, group in enumerate(document["groups"])
        ),
        fallback=document["fallback"],
        patterns=MappingProxyType(document["patterns"]),
        categories=MappingProxyType({row["source"]: row["category"] for row in _rows("source_categories.csv")}),
        search_engines=tuple(document["search_engines"]),
        engine_services=tuple(document["engine_services"]),
        click_ids=tuple(
            ClickId(
                click_id=row["click_id"],
                kind=row["kind"],
                source=row["source"],
                medium=row["medium"],
                campaign=row["campaign"],
                channel_group=row["channel_group"],
                aliases=tuple(row["aliases"].split("|")),
            )
            for row in _rows("click_ids.csv")
        ),
    )


def channel_params(rules: ChannelRules) -> dict[str, str | list[str]]:
    """Return the query parameters of the macro `channel_group`: names, values, patterns and the fallback."""
    params: dict[str, str | list[str]] = {"channel_fallback": rules.fallback}
    for group in rules.groups:
        params[f"channel_name_{group.number}"] = group.name
        for test in group.tests:
            if test.pattern is None:
                params[f"channel_values_{test.number}"] = list(test.values)
            else:
                params[f"channel_pattern_{test.pattern}"] = rules.patterns[test.pattern]
    return params


def session_params(rules: ChannelRules) -> dict[str, str | list[str]]:
    """Return the query parameters of `staging/sessions`, all but `key_events`, `lookback_us` and `own_hosts`."""
    clicks = rules.click_ids
    names = "|".join(re.escape(click.click_id) for click in clicks)
    return {
        "category_sources": list(rules.categories),
        "category_names": list(rules.categories.values()),
        "search_engines": list(rules.search_engines),
        "engine_services": rf"^(?:{'|'.join(map(re.escape, rules.engine_services))})\.",
        # Matches the whole address, so that its last click id can take the place of all of it.
        "click_pattern": rf"(?s)^.*[?&]({names})=[^&#].*$",
        "click_ids": [click.click_id for click in clicks],
        "click_kinds": [click.kind for click in clicks],
        "click_sources": [click.source for click in clicks],
        "click_mediums": [click.medium for click in clicks],
        "click_campaigns": [click.campaign for click in clicks],
        "click_channel_groups": [click.channel_group for click in clicks],
        "click_aliases": ["|".join(click.aliases) for click in clicks],
        **channel_params(rules),
    }


def session_structure(rules: ChannelRules) -> dict[str, object]:
    """Return the structure of `staging/sessions`: the channel groups in order."""
    return {"channel_groups": rules.groups}


def _alternative(tests: Mapping[str, str | list[str]], numbers: Iterator[int]) -> tuple[ChannelTest, ...]:
    """Read one alternative: a list stands for values, a word for the name of a pattern."""
    return tuple(
        ChannelTest(next(numbers), field, (), test)
        if isinstance(test, str)
        else ChannelTest(next(numbers), field, tuple(test), None)
        for field, test in tests.items()
    )


def _rows(name: str) -> list[dict[str, str]]:
    with (_DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
