"""What differs between two taxonomies: entries that came, went, were renamed or changed, and whether figures follow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from microconv.taxonomy.entry import MicroConversion
from microconv.taxonomy.model import Taxonomy
from microconv.taxonomy.names import version_key

ChangeKind = Literal["added", "removed", "renamed", "changed"]

_WORDS = frozenset(
    {"name", "mindset", "description", "owner", "goals", "friction", "parameters", "identifiers", "sent_from"}
    | {"triggers", "since", "deprecated_in", "removed_in"}
)
"""Keys that decide no figure."""
_NOT_SHOWN = frozenset({"id", "counts_as"})


@dataclass(frozen=True)
class EntryChange:
    """One thing that differs: an entry as a whole (`key` is None), or one key of it, as JSON has it.

    `decides_figures` says whether occurrences may be other ones.
    """

    change: ChangeKind
    micro_conversion: str
    key: str | None = None
    old: Any = None
    new: Any = None
    decides_figures: bool = True


@dataclass(frozen=True)
class Effect:
    """What a difference does to something that names an entry: a funnel, a segment, a destination, a saved result."""

    named_by: str
    micro_conversion: str
    effect: str
    is_breaking: bool


@dataclass(frozen=True)
class TaxonomyDifference:
    """All that differs between two taxonomies. `renamed` maps ids of the old one to those that stand for them now."""

    old: Taxonomy
    new: Taxonomy
    changes: tuple[EntryChange, ...]
    renamed: dict[str, str]

    @property
    def is_meaning_alike(self) -> bool:
        """Whether both stage the same occurrences: nothing is staged again."""
        return self.old.fingerprint == self.new.fingerprint

    @property
    def warning(self) -> str | None:
        """Say what is wrong with the version of the new taxonomy; None where nothing is, or it is another taxonomy."""
        old, new = self.old, self.new
        if old.name != new.name:
            return None
        if new.is_older_than(f"{old.name} {old.version}"):
            return (
                f"The version goes back from {old.version} to {new.version}: `microconv sync` refuses it where "
                f"days are staged by {old.version}. Raise `version`."
            )
        if version_key(old.version) == version_key(new.version) and not self.is_meaning_alike:
            return f"What counts differs, and the version is {new.version} as before: raise `version`."
        return None

    def fate(self, entry_id: str) -> str | None:
        """Say what becomes of something that names an entry of the old taxonomy; None where nothing does."""
        if entry_id not in self.new.ids:
            now = self.renamed.get(entry_id)
            return f"is refused: there is no {entry_id} any more{f', name {now} instead' if now else ''}"
        counted = self.new.counted(entry_id)
        if entry_id in self.old.ids and counted != self.old.counted(entry_id):
            return f"goes on: {entry_id} counts as {counted} now"
        keys = [
            each.key
            for each in self.changes
            if each.micro_conversion == counted and each.key is not None and each.decides_figures
        ]
        return f"other figures: {', '.join(keys)} of {counted} changed" if keys else None

    def effects(self, named: Iterable[tuple[str, str]]) -> Iterator[Effect]:
        """Yield what becomes of things that name entries; those of which nothing becomes are left out.

        Args:
            named: Ids, each with what names it (`funnel "checkout"`).
        """
        for entry_id, named_by in dict.fromkeys(named):
            if fate := self.fate(entry_id):
                yield Effect(named_by, entry_id, fate, is_breaking=entry_id not in self.new.ids)

    def document(self) -> dict[str, Any]:
        """Return the JSON form: what differs, without what it means for a configuration."""
        return {
            "old": {"name": self.old.name, "version": self.old.version, "fingerprint": self.old.fingerprint},
            "new": {"name": self.new.name, "version": self.new.version, "fingerprint": self.new.fingerprint},
            "warning": self.warning,
            "changes": [asdict(each) for each in self.changes],
        }


def difference(old: Taxonomy, new: Taxonomy) -> TaxonomyDifference:
    """Compare two taxonomies, entry by entry: those of the new one by rank, then those that are gone."""
    was, now = ({entry.id: entry for entry in each.entries} for each in (old, new))
    renamed = dict(_renamed(was, now))
    stand_ins = {then: before for before, then in renamed.items() if then not in was}
    changes: list[EntryChange] = []
    for entry in sorted(new.entries, key=lambda each: new.rank(each.id)):
        if entry.id in was:
            changes += _changed(was[entry.id], entry)
        elif entry.id in stand_ins:
            before = was[stand_ins[entry.id]]
            changes.append(EntryChange("renamed", entry.id, "id", before.id, entry.id))
            changes += _changed(before, entry)
        else:
            changes.append(EntryChange("added", entry.id, new=entry.describe()))
    for entry in old.entries:
        if entry.id not in now and stand_ins.get(renamed.get(entry.id, "")) != entry.id:
            changes.append(EntryChange("removed", entry.id, old=entry.describe()))
    return TaxonomyDifference(old, new, tuple(changes), renamed)


def _renamed(was: dict[str, MicroConversion], now: dict[str, MicroConversion]) -> Iterator[tuple[str, str]]:
    """Pair ids of old entries with those that stand for them: replacements, and the same under another id."""
    for entry in was.values():
        if entry.id in now:
            if now[entry.id].replaced_by and not entry.replaced_by:
                yield entry.id, now[entry.id].counts_as
            continue
        if entry.replaced_by in now:
            yield entry.id, str(entry.replaced_by)
            continue
        alike = [each.id for each in now.values() if each.id not in was and _meaning(each) == _meaning(entry)]
        if len(alike) == 1:
            yield entry.id, alike[0]


def _meaning(entry: MicroConversion) -> dict[str, Any]:
    return {key: value for key, value in entry.meaning().items() if key != "counts_as"}


def _changed(before: MicroConversion, after: MicroConversion) -> Iterator[EntryChange]:
    old, new = before.document(), after.document()
    for key in new:
        if key in _NOT_SHOWN or old.get(key) == new[key] or (key == "name" and before.id != after.id):
            continue
        yield EntryChange("changed", after.id, key, old.get(key), new[key], decides_figures=key not in _WORDS)
