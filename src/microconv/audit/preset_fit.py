"""Which preset of the taxonomy fits an export that nobody has described yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from microconv import wording
from microconv.audit.tag_facts import tag_facts
from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.taxonomy import PRESETS, Taxonomy, load_taxonomy


@dataclass(frozen=True)
class PresetFit:
    """How well a preset fits: which share of the events of the site's own making it listens to.

    Attributes:
        preset: Its name.
        share: Events that it listens to, among those that GA4 does not collect by itself; 0 where there are none.
        has_macro: Whether the event of a macro-conversion is among them.
        entries: How many of its entries have events.
    """

    preset: str
    share: float
    has_macro: bool
    entries: int


def event_names(engine: Engine) -> dict[str, int]:
    """Return how many events of each name are staged.

    Raises:
        EngineError: The engine failed.
    """
    rows = engine.query(templates.query("audit/event_names")).to_pylist()
    return {row["event_name"]: row["events"] for row in rows}


def fits(events: Mapping[str, int]) -> tuple[PresetFit, ...]:
    """Return how well each preset fits events by name, the best first.

    By the share of events, to the percent; then one whose macro-conversion happens; then the most entries.
    """
    found = [_fit(preset, load_taxonomy(preset=preset, file=None), events) for preset in PRESETS]
    return tuple(sorted(found, key=lambda each: (-round(each.share, 2), not each.has_macro, -each.entries)))


def _fit(preset: str, taxonomy: Taxonomy, events: Mapping[str, int]) -> PresetFit:
    automatic = set(tag_facts()["automatic"]["events"])
    own = {name: count for name, count in events.items() if name not in automatic}
    patterns = [re.compile(pattern) for pattern in taxonomy.pattern_ranks()]
    listened = {name for each in taxonomy.entries for name in each.events}
    covered = sum(count for name, count in own.items() if name in listened or any(p.search(name) for p in patterns))
    seen = [each for each in taxonomy.entries if set(each.events) & set(events)]
    return PresetFit(
        preset=preset,
        share=covered / sum(own.values()) if own else 0.0,
        has_macro=any(each.kind == "macro" for each in seen),
        entries=len(seen),
    )


def sentence(found: tuple[PresetFit, ...]) -> str:
    """Say which preset was chosen, and which comes next."""
    best, second = found[:2]
    return (
        f"The preset {best.preset} fits best: it names {wording.share(best.share)} of the events that GA4 does not "
        f"collect by itself ({second.preset} {wording.share(second.share)})."
    )
