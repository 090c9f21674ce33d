"""What names of events and pages usually mean: a guess of stage and kind, with the reason for it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import unquote

from microconv.taxonomy.entry import Kind, MicroConversion, Mindset, Stage
from microconv.taxonomy.taxonomy_file import PRESETS, load_taxonomy


@dataclass(frozen=True)
class Guess:
    """What something probably is, and why we think so; `id` is what an entry of it could be called."""

    id: str
    stage: Stage
    kind: Kind
    reason: str
    mindset: Mindset | None = None
    friction: str = ""


def automatic_events() -> frozenset[str]:
    """Return the events that GA4 sends by itself and that are nobody's step."""
    return frozenset(_signals()["automatic"])


def plumbing_parameters() -> frozenset[str]:
    """Return the parameters that say where and how an event was sent, not what was done."""
    return frozenset(_signals()["plumbing"])


def guess_event(name: str) -> Guess | None:
    """Guess what an event is: as a preset has it, else by the words of its name."""
    for preset, entry in _of_presets():
        if name in entry.events and not entry.where and not entry.is_retired:
            # A macro-conversion is for its owner to name: nobody else knows what the goal is.
            kind = "secondary" if entry.kind == "macro" else entry.kind
            reason = f"the preset {preset} has it" + (" as a macro-conversion" if entry.kind == "macro" else "")
            return Guess(entry.id, entry.stage, kind, reason, entry.mindset)
    found = _by_words(name, of_page=False)
    return found and Guess("", found.stage, found.kind, found.reason, found.mindset, found.friction)


def guess_page(path: str) -> Guess | None:
    """Guess what a page is by the words of its path, those at its end first."""
    segments = [segment for segment in path.split("/") if segment]
    for segment in reversed(segments[-2:]):
        if found := _by_words(re.sub(r"\.[A-Za-z]{2,5}$", "", segment), of_page=True):
            return found
    return None


def slug(name: str) -> str:
    """Return the words of a name in lower case with `_` between; "" where it has none in Latin letters."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", unquote(name, errors="ignore"))
    return re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")


def _by_words(name: str, *, of_page: bool) -> Guess | None:
    words = slug(name)
    for signal in _signals()["signals"]:
        if of_page and signal.get("event_only"):
            continue
        # A page is called after one thing; an event may be called after several.
        is_it = re.fullmatch if of_page else _among_words
        if is_it(signal["words"], words):
            return Guess(
                signal["id"],
                signal["stage"],
                signal.get("kind", "secondary"),
                f'"{words.replace("_", " ")}": {signal["reason"]}',
                signal.get("mindset"),
                signal.get("friction", ""),
            )
    return None


def _among_words(pattern: str, words: str) -> re.Match[str] | None:
    return re.search(rf"(?:^|_)(?:{pattern})(?:_|$)", words)


@cache
def _signals() -> Mapping[str, Any]:
    return tomllib.loads((files("microconv.taxonomy") / "signals.toml").read_text(encoding="utf-8"))


@cache
def _of_presets() -> tuple[tuple[str, MicroConversion], ...]:
    return tuple((preset, entry) for preset in PRESETS for entry in load_taxonomy(preset=preset, file=None).entries)
