"""The property's own hosts: where its pages lie. A visit from one of them to another is not a referral.

They are learnt from the export and so may change with each batch of days: what is staged already follows, so that the
order in which days arrive does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from microconv.staging.traffic import ChannelRules

MOST_LEARNT = 300
"""Of more hosts than that, as sites have that give each customer one, those with most events count."""
NOBODY = r"^$"
"""The pattern of no host at all."""
_PUBLIC_LABELS = frozenset({"ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"})


@dataclass(frozen=True)
class OwnHosts:
    """The own hosts of a property, as regular expressions (RE2) for text in lower case.

    `pattern` finds them; `changed` those that a batch of days makes own hosts, or no longer; None where there are none.
    """

    pattern: str
    changed: str | None = None

    @classmethod
    def of_batch(cls, rows: Iterable[Mapping[str, Any]], configured: Collection[str], rules: ChannelRules) -> Self:
        """Learn them from the rows of `staging/own_hosts`, which count events before and after a batch of days."""
        counted = list(rows)
        before, now = (
            frozenset(configured) | learnt({row["host"]: row[column] for row in counted}, rules)
            for column in ("events_before", "events_now")
        )
        changed = before ^ now
        return cls(pattern(now, rules), pattern(changed, rules) if changed else None)


def learnt(events: Mapping[str, int], rules: ChannelRules) -> frozenset[str]:
    """Return the own hosts that a property's pages tell: by host, how many events its pages had.

    A search engine, or a site that is listed as a source, stays one: anybody can send events in its name, and pages are
    read in its cache.
    """
    seen = sorted((host for host, count in events.items() if count), key=lambda host: (-events[host], host))
    return frozenset([host for host in seen if not _is_listed(host, rules)][:MOST_LEARNT])


def pattern(hosts: Collection[str], rules: ChannelRules) -> str:
    """Return what finds these hosts, all below them, and the domains above them; alone or among others with blanks."""
    if not hosts:
        return NOBODY
    above = {domain for host in hosts for domain in _domains_above(host) if not _is_listed(domain, rules)} - set(hosts)
    found = rf"(?:^|[ .])(?:{_any_of(hosts)})\.?(?: |$)"
    return rf"{found}|(?:^| )(?:www\.)?(?:{_any_of(above)})\.?(?: |$)" if above else found


def _any_of(hosts: Collection[str]) -> str:
    return "|".join(re.escape(host) for host in sorted(hosts))


def _is_listed(host: str, rules: ChannelRules) -> bool:
    names = [label for label in host.split(".")[:-1] if label not in _PUBLIC_LABELS]
    return host in rules.categories or (bool(names) and names[-1] in rules.search_engines)


def _domains_above(host: str) -> Iterator[str]:
    """Yield the domains above a host, but for those under which anybody can have one, such as `com` and `co.uk`."""
    labels = host.split(".")
    for place in range(1, len(labels) - 1):
        if place < len(labels) - 2 or labels[place] not in _PUBLIC_LABELS:
            yield ".".join(labels[place:])
