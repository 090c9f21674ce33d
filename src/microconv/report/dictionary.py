"""The dictionary of a taxonomy and its journey map, as Markdown and as one HTML page that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from microconv import wording
from microconv.config.places import refuse_to_replace
from microconv.config.sections import Config
from microconv.markdown import markdown
from microconv.report.documents import page_of, write_document
from microconv.staging.volumes import Volume
from microconv.taxonomy import MicroConversion, Taxonomy
from microconv.taxonomy.entry import STAGES, Mindset
from microconv.version import __version__

DictionaryFormat = Literal["markdown", "html"]
_HTML_MARK = b'<meta name="generator" content="microconv taxonomy '
_MARKDOWN_MARK = b"<!-- microconv taxonomy "


@dataclass(frozen=True)
class DictionaryEntry:
    """What is told of an entry: `facts` are pairs of a label and texts; `gaps` what is missing of it."""

    entry: MicroConversion
    counts_when: str
    volume: Volume | None
    used_by: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    gaps: tuple[str, ...]

    @property
    def seen(self) -> str:
        """How often it happened, for the map."""
        return wording.count(self.volume.occurrences) if self.volume else "never seen"


@dataclass(frozen=True)
class MapStage:
    """A stage of the journey map."""

    name: str
    mindsets: tuple[str, ...]
    entries: tuple[DictionaryEntry, ...]
    sources: tuple[str, ...]
    frictions: tuple[tuple[str, str], ...]
    gaps: tuple[str, ...]


@dataclass(frozen=True)
class Dictionary:
    """All that the document says. `is_staged` tells whether volumes are known."""

    project_name: str
    taxonomy: Taxonomy
    entries: tuple[DictionaryEntry, ...]
    removed: tuple[MicroConversion, ...]
    stages: tuple[MapStage, ...]
    is_staged: bool
    silent_mindsets: tuple[str, ...]

    @property
    def about(self) -> str:
        """The sentence below the title."""
        seen = sum(each.volume is not None for each in self.entries)
        staged = f"; {wording.count(seen)} seen in what is staged" if self.is_staged else "; nothing is staged yet"
        return (
            f"Version {self.taxonomy.version}, {wording.count(len(self.entries))} micro-conversions{staged}. "
            f"Macro-conversions: {', '.join(self.taxonomy.macros)}."
        )


def dictionary(config: Config, taxonomy: Taxonomy, volumes: Mapping[str, Volume] | None) -> Dictionary:
    """Put the document together; `volumes` are None where nothing is staged."""
    named: dict[str, list[str]] = {}
    for entry_id, named_by in config.named():
        named.setdefault(taxonomy.counted(entry_id), []).append(named_by)
        if taxonomy.counted(entry_id) != entry_id:
            named.setdefault(entry_id, []).append(named_by)
    for entry in taxonomy.entries:
        for other in ingredients(entry):
            named.setdefault(other, []).append(f'entry "{entry.id}"')
    by_rank = sorted(taxonomy.entries, key=lambda entry: taxonomy.rank(entry.id))
    entries = tuple(
        _described(entry, tuple(dict.fromkeys(named.get(entry.id, ()))), volumes, taxonomy) for entry in by_rank
    )
    stages = tuple(_stage(stage, [each for each in entries if each.entry.stage == stage], volumes) for stage in STAGES)
    mindsets = {each.entry.mindset for each in entries if not each.entry.is_retired}
    return Dictionary(
        project_name=config.project.name,
        taxonomy=taxonomy,
        entries=entries,
        removed=taxonomy.removed,
        stages=stages,
        is_staged=volumes is not None,
        silent_mindsets=tuple(each for each in get_args(Mindset) if each not in mindsets),
    )


def ingredients(entry: MicroConversion) -> tuple[str, ...]:
    """Return the ids of the entries that an entry is made of."""
    if entry.derivation is None:
        return ()
    return tuple(dict.fromkeys(named for _, named in entry.derivation.named()))


def _described(
    entry: MicroConversion, used_by: tuple[str, ...], volumes: Mapping[str, Volume] | None, taxonomy: Taxonomy
) -> DictionaryEntry:
    volume = volumes.get(entry.id) if volumes is not None else None
    replaces = [each.id for each in (*taxonomy.entries, *taxonomy.removed) if each.replaced_by == entry.id]
    facts = (
        ("Counts when", entry.describe()),
        ("Kind", entry.kind + (", a signal of hesitation" if entry.is_hesitation else "")),
        ("Stage", entry.stage.replace("_", "-")),
        ("Mindset", entry.mindset),
        ("Value", _value(entry)),
        ("Collapse", f"repeats within {entry.collapse} count once" if entry.collapse else ""),
        ("Goal", ", ".join(entry.goals)),
        ("Known friction", entry.friction),
        ("Owner", entry.owner or ""),
        ("Parameters", "; ".join(_parameter(each) for each in entry.parameters)),
        ("Identifiers", ", ".join(entry.identifiers)),
        ("Sent from", ", ".join(entry.sent_from)),
        ("Used by", ", ".join(used_by)),
        ("Triggers", ", ".join(entry.triggers)),
        ("History", _history(entry, replaces)),
        ("Volume", _volume(volume) if volumes is not None else ""),
    )
    told = tuple((label, text) for label, text in facts if text)
    return DictionaryEntry(
        entry, entry.describe(), volume, used_by, told, tuple(_gaps(entry, volume, used_by, volumes))
    )


def _value(entry: MicroConversion) -> str:
    if entry.value is None:
        return ""
    return "the event's own" if entry.value == "event" else wording.cents(entry.value)


def _parameter(one: object) -> str:
    document = one.document()  # type: ignore[attr-defined]  # a RequiredParameter
    allowed = f": {', '.join(map(str, document['allowed']))}" if document["allowed"] else ""
    meaning = f" ({document['description']})" if document["description"] else ""
    return f"{document['name']}, {document['type']}{allowed}{meaning}"


def _history(entry: MicroConversion, replaces: Sequence[str]) -> str:
    steps = [f"since {entry.since}"]
    if entry.deprecated_in:
        steps.append(f"deprecated in {entry.deprecated_in}")
    if entry.removed_in:
        steps.append(f"removed in {entry.removed_in}")
    if entry.replaced_by:
        steps.append(f"counts as {entry.replaced_by}")
    if replaces:
        steps.append(f"also counts what was {', '.join(replaces)}")
    return ", ".join(steps)


def _volume(volume: Volume | None) -> str:
    if volume is None:
        return "never seen in what is staged"
    return (
        f"{wording.plural(volume.occurrences, 'occurrence')} of {wording.plural(volume.actors, 'actor')}, "
        f"first on {volume.first_date}, last on {volume.last_date}"
    )


def _gaps(
    entry: MicroConversion, volume: Volume | None, used_by: Sequence[str], volumes: Mapping[str, Volume] | None
) -> list[str]:
    if entry.is_retired:
        return []
    gaps = [label for label, value in (("no description", entry.description), ("no owner", entry.owner)) if not value]
    if volumes is not None and volume is None:
        gaps.append("never seen")
    if not used_by and not entry.triggers and entry.kind != "macro":
        gaps.append("nothing uses it")
    return gaps


def _stage(name: str, found: Sequence[DictionaryEntry], volumes: Mapping[str, Volume] | None) -> MapStage:
    live = [each for each in found if not each.entry.is_retired]
    gaps = []
    if not live:
        gaps.append("no entry: this stage has no signal")
    elif volumes is not None and not any(each.volume for each in live):
        gaps.append("none of its entries was ever seen: this stage has no signal")
    elif volumes is not None and (silent := [each.entry.id for each in live if not each.volume]):
        gaps.append(f"never seen: {', '.join(silent)}")
    for label, missing in (
        ("without an owner", [each for each in live if not each.entry.owner]),
        ("without a known friction", [each for each in live if not each.entry.friction]),
    ):
        if missing:
            gaps.append(f"{wording.count(len(missing))} of {wording.count(len(live))} {label}")
    return MapStage(
        name=name.replace("_", "-"),
        mindsets=tuple(mindset for mindset in get_args(Mindset) if any(each.entry.mindset == mindset for each in live)),
        entries=tuple(live),
        sources=tuple(sorted({_source(each.entry) for each in live})),
        frictions=tuple((each.entry.id, each.entry.friction) for each in live if each.entry.friction),
        gaps=tuple(gaps),
    )


def _source(entry: MicroConversion) -> str:
    """Say where the occurrences of an entry come from."""
    if entry.external:
        return "another system"
    if not entry.is_observed:
        return "other entries"
    return f"GA4 export ({' and '.join(entry.sent_from)})" if entry.sent_from else "GA4 export"


# Documents


def render(document: Dictionary, form: str) -> str:
    """Return the document as `markdown` or `html`."""
    if form == "html":
        return page_of("dictionary.html.j2", "style.css", "dictionary.css", document=document)
    return _markdown(document)


def _markdown(document: Dictionary) -> str:
    lines = [
        f"<!-- microconv taxonomy {__version__} -->",
        f"# {markdown(document.taxonomy.name)}: the taxonomy",
        "",
        markdown(document.about),
        "",
        "## Journey map",
        "",
        "| stage | mindsets | micro-conversions | data source | friction | gaps |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for stage in document.stages:
        entries = ", ".join(
            f"{markdown(each.entry.id)} ({each.seen})" if document.is_staged else markdown(each.entry.id)
            for each in stage.entries
        )
        frictions = "; ".join(f"{markdown(name)}: {markdown(text)}" for name, text in stage.frictions)
        cells = (
            stage.name,
            ", ".join(stage.mindsets),
            entries,
            ", ".join(map(markdown, stage.sources)),
            frictions,
            "; ".join(map(markdown, stage.gaps)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    if document.silent_mindsets:
        lines += ["", f"Mindsets without a signal: {', '.join(document.silent_mindsets)}."]
    lines += ["", "## Dictionary"]
    for each in document.entries:
        lines += ["", f"### {markdown(each.entry.name)} ({markdown(each.entry.id)})", ""]
        if each.entry.description:
            lines += [markdown(each.entry.description), ""]
        lines += [f"- {label}: {markdown(text)}" for label, text in each.facts]
        if each.gaps:
            lines.append(f"- Missing: {', '.join(each.gaps)}")
    if document.removed:
        lines += ["", "## Removed", ""]
        lines += [f"- {markdown(each.id)}: {markdown(_history(each, ()))}" for each in document.removed]
    return "\n".join(lines) + "\n"


def check_dictionary_path(path: Path, config: Config | None = None) -> None:
    """Refuse a path that holds something else than an older dictionary.

    Raises:
        UsageError: It does, or the configuration names it.
    """
    refuse_to_replace(path, config, is_ours=_is_dictionary, ours="a dictionary of microconv")


def _is_dictionary(head: bytes) -> bool:
    return _HTML_MARK in head or head.startswith(_MARKDOWN_MARK)


def write_dictionary(text: str, path: Path) -> Path:
    """Write the document to `path`, whole or not at all, and return `path`; ask `check_dictionary_path` first.

    Raises:
        DestinationError: The folder does not exist or cannot be written to, `path` is a folder, or the disk is full.
    """
    return write_document(text, path, "The dictionary", is_private=False)
