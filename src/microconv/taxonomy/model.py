"""What a taxonomy is: a named, versioned set of entries, and what staging needs to know of them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from microconv.errors import TaxonomyError
from microconv.taxonomy.derived import Derived, ordered
from microconv.taxonomy.entry import STAGES, MicroConversion
from microconv.taxonomy.names import version_key

_VIEWS = frozenset({"page_view", "screen_view"})
"""How one gets to where all else happens: that one of them counts for its page, too, makes it no later."""
_MOST_UNKNOWN = 20
"""How many unknown names one message tells."""


@dataclass(frozen=True)
class Taxonomy:
    """A named, versioned set of entries in the order of their file. `load_taxonomy` makes checked ones.

    `removed` are those of earlier versions that count nothing any more; nothing else may name them. `signals` are those
    with `counts = false`: derived entries are made of them, and no question may name them.
    """

    name: str
    version: str
    entries: tuple[MicroConversion, ...]
    removed: tuple[MicroConversion, ...] = ()
    signals: tuple[MicroConversion, ...] = ()

    @property
    def staged(self) -> tuple[MicroConversion, ...]:
        """All entries that staging makes rows of: those that count, and signals."""
        return (*self.entries, *self.signals)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all entries, deprecated ones included, in the order of the file."""
        return tuple(entry.id for entry in self.entries)

    @property
    def macros(self) -> tuple[str, ...]:
        """Ids of the macro-conversions that occurrences are counted under."""
        return tuple(entry.id for entry in self.entries if entry.kind == "macro" and entry.counts_as == entry.id)

    def entry(self, entry_id: str) -> MicroConversion:
        """Return the entry `entry_id`.

        Raises:
            TaxonomyError: The taxonomy has no such entry; the message says which ids come near and which exist.
        """
        if entry_id not in self._by_id:
            found = get_close_matches(entry_id, self.ids)
            near = f" (did you mean {' or '.join(found)}?)" if found else ""
            if gone := next((entry for entry in self.removed if entry.id == entry_id), None):
                near = f" any more: it was removed in {gone.removed_in}{near}"
            hint = f"It has: {', '.join(self.ids)}."
            if any(signal.id == entry_id for signal in self.signals):
                near = ": it is a signal (counts = false), of which other entries are derived"
                made = [each.id for each in self.derived if entry_id in each.needs]
                instead = f"Name what is derived from it ({', '.join(made)})" if made else "Name another entry"
                hint = f"{instead}, or take out `counts = false`. {hint}"
            raise TaxonomyError(
                f'The taxonomy "{self.name}" {self.version} has no micro-conversion "{entry_id}"{near}.', hint=hint
            )
        return self._by_id[entry_id]

    def counted(self, entry_id: str) -> str:
        """Return the id under which occurrences of an entry are staged: a deprecated one counts as its replacement.

        Raises:
            TaxonomyError: The taxonomy has no such entry; the message says which ids come near.
        """
        return self.entry(entry_id).counts_as

    def goal(self, given: str | None) -> str:
        """Return the id under which the goal of a question is staged: the one that is given, or the first macro.

        Raises:
            TaxonomyError: The taxonomy has no such entry.
        """
        return self.counted(given or self.macros[0])

    def check_names(self, named: Iterable[tuple[str, str]]) -> None:
        """Refuse ids that the taxonomy does not have. This is the only place where names are checked.

        Args:
            named: Ids, each with what names it (`funnel "checkout"`).

        Raises:
            TaxonomyError: One is unknown, or several are; the message says who named each and which ids come near.
        """
        unknown: dict[str, TaxonomyError] = {}
        others = 0
        for entry_id, named_by in named:
            if entry_id in self._by_id:
                continue
            if len(unknown) == _MOST_UNKNOWN:  # to look for the nearest takes time
                others += 1
                continue
            try:
                self.entry(entry_id)
            except TaxonomyError as error:
                unknown[f"In {named_by}: {error.message}"] = error
        if unknown:
            more = f" And {others} more are unknown." if others else ""
            raise TaxonomyError(" ".join(unknown) + more, hint=next(iter(unknown.values())).hint)

    def is_older_than(self, staged_by: str | None) -> bool:
        """Whether this is an earlier version of the taxonomy that `staged_by` says: its name and version."""
        name, _, version = (staged_by or "").rpartition(" ")
        return name == self.name and version_key(self.version) < version_key(version)

    def rank(self, entry_id: str) -> int:
        """Return the place of an entry in the journey, 1 to n: by stage, then by position in the file.

        Raises:
            TaxonomyError: The taxonomy has no such entry.
        """
        return self._ranks[self.entry(entry_id).id]

    @property
    def external_entries(self) -> tuple[MicroConversion, ...]:
        """The entries whose occurrences are events of other systems, by rank."""
        return tuple(sorted((each for each in self.entries if each.external), key=lambda each: self._ranks[each.id]))

    def event_ranks(self) -> dict[str, int]:
        """Return, for each event name, the smallest rank among the entries that its occurrences may count as.

        Names that only a pattern matches are not among them: see `pattern_ranks`. Neither are views of pages and
        screens: without a rank they stand before all else of their moment.
        """
        ranks: dict[str, int] = {}
        for entry in self.staged:
            rank = self._ranks[entry.counts_as]
            for event in set(entry.events) - _VIEWS:
                ranks[event] = min(rank, ranks.get(event, rank))
        return ranks

    def pattern_ranks(self) -> dict[str, int]:
        """Return, for each pattern of event names, the smallest rank among the entries that have it."""
        ranks: dict[str, int] = {}
        for entry in self.staged:
            if entry.event_pattern:
                rank = self._ranks[entry.counts_as]
                ranks[entry.event_pattern.matches] = min(rank, ranks.get(entry.event_pattern.matches, rank))
        return ranks

    def events_of(self, counted: Iterable[str]) -> frozenset[str]:
        """Return the names of the events that may count as one of these ids, of those that the taxonomy names.

        Two sets of ids share an event if what this returns for them has a name in common: where there is a pattern, "*"
        stands for all names that no entry says. A derived occurrence lies on an event of what it is made of, on the
        first one of a session, or on none.
        """
        ids = set(counted)
        names: set[str] = set()
        # From the last derived on: each comes after those that it is made of.
        for each in reversed(self.derived):
            if each.id not in ids:
                continue
            if each.rule.family == "absences":
                names.add("no event")
            elif each.rule.is_of_sessions:
                names.update((*self._event_names, "*"))
            elif each.rule.family == "returns":
                ids.update(self._counted(each.rule.then or ()))
            else:
                ids.update(each.needs)
        for entry in self.staged:
            if entry.counts_as not in ids:
                continue
            names.update(entry.events)
            names.update(f"external {name}" for name in entry.external)
            if entry.event_pattern:
                pattern = re.compile(entry.event_pattern.matches)
                names.update(event for event in self._event_names if pattern.search(event))
                names.add("*")
        return frozenset(names)

    @cached_property
    def derived(self) -> tuple[Derived, ...]:
        """The derived entries, each after those that it is made of.

        Raises:
            CircleError: Some need each other; `load_taxonomy` lets none through.
        """
        rules = {entry.id: entry.derivation for entry in self.entries if entry.derivation is not None}
        return ordered(
            {
                entry_id: (rule, self._counted(each for _, each in rule.named()) | self.progress_after(entry_id))
                for entry_id, rule in rules.items()
            }
        )

    def progress_after(self, entry_id: str) -> frozenset[str]:
        """Return the ids whose occurrences end the stall of a derived entry: milestones and macros of higher rank.

        Those of an entry that is not derived from a stall are none.
        """
        rule = self.entry(entry_id).derivation
        if rule is None or rule.stalled_after is None:
            return frozenset()
        reached = max(self._ranks[each] for each in self._counted(rule.stalled_after))
        return frozenset(
            entry.id
            for entry in self.entries
            if entry.kind != "secondary"
            and entry.counts_as == entry.id
            and not entry.is_hesitation
            and self._ranks[entry.id] > reached
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of what staged rows depend on: matches, what they count as, kind, stage, value and rank.

        Names, comments, mindsets, versions and the order of keys, events and conditions leave it as it is.
        """
        by_rank = sorted(self.staged, key=lambda entry: self._ranks[entry.id])
        meaning = [entry.meaning() for entry in by_rank]
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()

    def document(self) -> dict[str, Any]:
        """Return the JSON document: what the taxonomy is called, its `fingerprint`, and its entries, in three lists."""
        by_rank = sorted(self.entries, key=lambda entry: self._ranks[entry.id])
        return {
            "name": self.name,
            "version": self.version,
            "fingerprint": self.fingerprint,
            "micro_conversions": [{"rank": self._ranks[entry.id], **entry.document()} for entry in by_rank],
            "removed": [entry.document() for entry in self.removed],
            "signals": [entry.document() for entry in self.signals],
        }

    @cached_property
    def _event_names(self) -> frozenset[str]:
        return frozenset(event for entry in self.staged for event in entry.events)

    def _counted(self, ids: Iterable[str]) -> frozenset[str]:
        """Return what entries are staged as, signals among them."""
        counted = {entry.id: entry.counts_as for entry in self.staged}
        return frozenset(counted[each] for each in ids)

    @cached_property
    def _by_id(self) -> dict[str, MicroConversion]:
        return {entry.id: entry for entry in self.entries}

    @cached_property
    def _ranks(self) -> dict[str, int]:
        # sorted() is stable, so the order of the file decides within a stage.
        by_stage = sorted(self.entries, key=lambda entry: STAGES.index(entry.stage))
        return {entry.id: rank for rank, entry in enumerate((*by_stage, *self.signals), start=1)}
