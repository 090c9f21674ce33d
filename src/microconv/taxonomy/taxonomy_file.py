"""Taxonomy files: read, checked, and laid over a preset. Every problem of a file is reported at once."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from microconv.config.positions import KeyPath, Positions
from microconv.config.problems import ItemError, nearest, numbered
from microconv.config.toml import read_toml
from microconv.config.values import Duration
from microconv.errors import TaxonomyError
from microconv.files import read_settings
from microconv.queries.conditions import PRESET
from microconv.taxonomy.contract import Naming, remarks
from microconv.taxonomy.derived import DERIVATION_KEYS, LONGEST_LOOKBACK, CircleError
from microconv.taxonomy.entry import EVENT_PATTERN, MicroConversion, RequiredParameter
from microconv.taxonomy.event_conditions import GROUPS, TAGS, Condition, EventPattern
from microconv.taxonomy.model import Taxonomy
from microconv.taxonomy.names import Id, Printable, Version, version_key

PRESETS = ("ecommerce", "saas", "publisher", "lead_generation", "mobile_app")
NO_PRESET = "none"
"""What a configuration writes as its preset when the file stands alone."""

_HINT = "Correct the file, then run `microconv taxonomy validate`."
_ENTRIES = "micro_conversions"
_WRITTEN = {"events": "event", "goals": "goal"}
_UNWRITTEN = (EVENT_PATTERN, "is_hesitation")
_ENTRY_KEYS = (
    *(_WRITTEN.get(key, key) for key in MicroConversion.model_fields if key not in _UNWRITTEN),
    "page",
)
_CONDITION_KEYS = (*("as" if key == "as_type" else key for key in Condition.model_fields), *GROUPS)


class TaxonomyFile(BaseModel):
    """A taxonomy file as it is written: entries, what it takes from its preset, and how names must look."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Printable | None = None
    version: Version
    remove: Annotated[tuple[Id, ...], Field(strict=False)] = ()
    naming: Naming = Naming()
    micro_conversions: Annotated[tuple[MicroConversion, ...], Field(strict=False)] = ()


def load_taxonomy(*, preset: str | None, file: Path | None, lookback: Duration = LONGEST_LOOKBACK) -> Taxonomy:
    """Load a preset, a file, or a file laid over a preset.

    In a file laid over a preset, an entry with the same id replaces the preset's in place, `remove` drops entries and
    new ids come last. The version is the file's, and so is the name when it gives one.

    Args:
        preset: One of `PRESETS`; None or "none" for a file that stands alone.
        file: The taxonomy file (TOML); None for the preset as it is.
        lookback: How far back derived entries may look, through all that they are made of.

    Raises:
        TaxonomyError: The preset is unknown, the file cannot be read, or it has problems: the message has all of them,
            with file, line, entry and key.
    """
    outcome = _resolve(preset, file, lookback)
    if isinstance(outcome, Taxonomy):
        return outcome
    problems = numbered(outcome) if len(outcome) > 1 else outcome[0]
    what = f"taxonomy file {file}" if file else f"taxonomy preset {preset}"
    raise TaxonomyError(f"The {what} cannot be used: {problems}.", hint=_HINT)


def find_problems(*, preset: str | None, file: Path | None, lookback: Duration = LONGEST_LOOKBACK) -> tuple[str, ...]:
    """Return every problem of what `load_taxonomy` would load, one sentence each; empty when it is valid.

    Raises:
        TaxonomyError: The preset is unknown or the file cannot be read, so nothing could be checked.
    """
    outcome = _resolve(preset, file, lookback)
    return () if isinstance(outcome, Taxonomy) else outcome


def find_warnings(*, file: Path | None) -> tuple[str, ...]:
    """Return what is worth a look in a valid file, one sentence each: its own naming rules, and GA4's limits.

    Raises:
        TaxonomyError: The file cannot be read.
    """
    if file is None:
        return ()
    text, raw = _read(file)
    top = TaxonomyFile.model_validate(raw)
    positions = Positions(text, raw)
    return tuple(
        _placed(
            (_ENTRIES, remark.place, remark.key),
            f'micro-conversion "{top.micro_conversions[remark.place].id}", key {remark.key}: {remark.text}',
            positions,
        )
        for remark in remarks(top.micro_conversions, top.naming)
    )


def went_back(file: Path, taxonomy: Taxonomy, later: str) -> TaxonomyError:
    """Return the error for a file whose version is earlier than one that days are staged by."""
    text, raw = _read(file)
    sentence = f"key version: goes back to {taxonomy.version}, and days are staged by {later}"
    return TaxonomyError(
        f"The taxonomy file {file} cannot be used: {_placed(('version',), sentence, Positions(text, raw))}.",
        hint=f"Raise `version` beyond {later}, also to count as before again; or stage all anew: "
        "`microconv sync --full-refresh`.",
    )


def _placed(path: KeyPath, sentence: str, positions: Positions) -> str:
    line = positions.nearest_line(path) if path else None
    return f"line {line}: {sentence}" if line else sentence


def _resolve(preset: str | None, file: Path | None, lookback: Duration) -> Taxonomy | tuple[str, ...]:
    """Return the taxonomy, or the problems that stand in its way."""
    base = None if preset in (None, NO_PRESET) else _preset(preset)
    if file is None:
        if base is None:
            raise TaxonomyError(
                "There is no taxonomy: neither a preset nor a file is named.",
                hint=f"Name a preset ({', '.join(PRESETS)}), a file, or both.",
            )
        taxonomy = _taxonomy(base.name or str(preset), base.version, base.micro_conversions)
        return tuple(text for _, text in _problems_of_derived(taxonomy, None, lookback)) or taxonomy
    text, raw = _read(file)
    try:
        top = TaxonomyFile.model_validate(raw)
    except ValidationError as error:
        positions = Positions(text, raw)
        return tuple(_sentence(details, raw, positions) for details in error.errors(include_url=False))
    name = top.name or (base.name if base else None) or file.stem
    taxonomy = _taxonomy(name, top.version, _laid_over(base, top))
    found = (
        *_problems_of_the_file(top, base),
        *_problems_between_entries(taxonomy, top),
        *_problems_of_derived(taxonomy, top, lookback),
    )
    if not found:
        return taxonomy
    positions = Positions(text, raw)
    return tuple(_placed(path, sentence, positions) for path, sentence in found)


def _taxonomy(name: str, version: str, entries: tuple[MicroConversion, ...]) -> Taxonomy:
    """Keep apart signals, and what is removed in this version; what it was replaced by goes on counting it."""
    removed = tuple(entry for entry in entries if entry.is_removed(version) and entry.replaced_by is None)
    signals = tuple(entry for entry in entries if not entry.counts and entry not in removed)
    apart = {entry.id for entry in (*removed, *signals)}
    return Taxonomy(name, version, tuple(entry for entry in entries if entry.id not in apart), removed, signals)


def _preset(name: str) -> TaxonomyFile:
    if name not in PRESETS:
        raise TaxonomyError(
            f'There is no taxonomy preset "{name}".',
            hint=f'Presets: {", ".join(PRESETS)}; or "{NO_PRESET}" for a file that stands alone.',
        )
    text = (files("microconv.taxonomy") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return TaxonomyFile.model_validate(tomllib.loads(text), context=PRESET)


def _read(file: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = read_settings(file)
    except UnicodeDecodeError as error:
        raise TaxonomyError(f"The taxonomy file {file} is not UTF-8 text.", hint="Save it as UTF-8.") from error
    except OSError as error:
        raise TaxonomyError(
            f"The taxonomy file {file} cannot be read: {error.strerror}.",
            hint="Check the path; in a configuration, `taxonomy.file` is relative to the configuration file.",
        ) from error
    except ValueError as error:
        raise TaxonomyError(f"The taxonomy file {file} {error}.", hint="Name a TOML file.") from error
    try:
        return text, read_toml(text)
    except ValueError as error:
        raise TaxonomyError(f"The taxonomy file {file} is not valid TOML: {error}.", hint=_HINT) from error


def _laid_over(base: TaxonomyFile | None, top: TaxonomyFile) -> tuple[MicroConversion, ...]:
    # A dict keeps the place of a key that is set again, which is what "replaces in place" means. A goal that the file
    # takes from the preset is not a goal of what is left, and what the preset derives from it goes with it.
    removed = set(top.remove)
    entries = {entry.id: entry for entry in (base.micro_conversions if base else ()) if entry.id not in removed}
    own = {entry.id: entry for entry in top.micro_conversions}
    while gone := [
        each.id
        for each in entries.values()
        if each.id not in own and each.derivation and any(named in removed for _, named in each.derivation.named())
    ]:
        removed.update(gone)
        entries = {entry_id: entry for entry_id, entry in entries.items() if entry_id not in removed}
    macros = {each.id for each in (entries | own).values() if each.kind == "macro"}
    entries = {
        entry.id: entry.model_copy(update={"goals": tuple(goal for goal in entry.goals if goal in macros)})
        for entry in entries.values()
    }
    return tuple((entries | own).values())


_Problem = tuple[KeyPath, str]
"""Where in the file a problem is (nowhere: an empty path), and a sentence on it."""


def _problems_of_the_file(top: TaxonomyFile, base: TaxonomyFile | None) -> Iterator[_Problem]:
    own = Counter(entry.id for entry in top.micro_conversions)
    places = _places(top)
    for repeated, times in own.items():
        if times > 1:
            path = (_ENTRIES, places[repeated], "id")
            yield path, f'micro-conversion "{repeated}" is defined {times} times: keep one of them'
    inherited = [entry.id for entry in base.micro_conversions] if base else []
    for removed in top.remove:
        if removed in own:
            yield ("remove",), f'key remove: "{removed}" is removed and defined in the same file: keep one of the two'
        elif not inherited:
            yield ("remove",), f'key remove: "{removed}" cannot be removed, the file stands alone'
        elif removed not in inherited:
            yield ("remove",), f'key remove: the preset has no "{removed}"{nearest(removed, inherited)}'
    for place, entry in enumerate(top.micro_conversions):
        for key, version in (("since", entry.since), ("deprecated_in", entry.deprecated_in)):
            # A `since` that the file leaves out claims nothing. What is to be removed may be announced.
            if version and key in entry.model_fields_set and version_key(version) > version_key(top.version):
                late = f"{version} is later than {top.version}, the version of the file: raise the latter"
                yield (_ENTRIES, place, key), f'micro-conversion "{entry.id}", key {key}: {late}'


def _places(top: TaxonomyFile) -> dict[str, int]:
    """Return where each entry stands in the file; the last place of one that is there twice."""
    return {entry.id: place for place, entry in enumerate(top.micro_conversions)}


def _problems_between_entries(taxonomy: Taxonomy, top: TaxonomyFile) -> Iterator[_Problem]:
    by_id = {entry.id: entry for entry in taxonomy.staged}
    places = _places(top)

    def path(entry: MicroConversion, key: str) -> KeyPath:
        return (_ENTRIES, places[entry.id], key) if entry.id in places else ()

    for entry in taxonomy.staged:
        if entry.replaced_by is not None:
            where = f'micro-conversion "{entry.id}", key replaced_by:'
            if entry.replaced_by not in by_id:
                near = nearest(entry.replaced_by, by_id)
                yield path(entry, "replaced_by"), f'{where} there is no "{entry.replaced_by}"{near}'
            elif by_id[entry.replaced_by].is_retired:
                # One step only: history then has a single reading, and a cycle cannot be written.
                text = f'{where} "{entry.replaced_by}" is deprecated itself: name an entry that is in use'
                yield path(entry, "replaced_by"), text
        for goal in entry.goals:
            if goal not in taxonomy.macros:
                near = nearest(goal, taxonomy.macros)
                text = f'micro-conversion "{entry.id}", key goal: "{goal}" is not a macro-conversion{near}'
                yield path(entry, "goal"), text
    for entry, key, conflict in _type_conflicts(taxonomy.entries):
        yield path(entry, key), f'micro-conversion "{entry.id}", key {key}: {conflict}'
    if not taxonomy.macros:
        yield (), 'there is no macro-conversion: give the goal of the site kind = "macro"'


def _type_conflicts(entries: Iterable[MicroConversion]) -> Iterator[tuple[MicroConversion, str, str]]:
    """Yield where a parameter is asked to be of two types: by the contracts of two entries, or by a condition."""
    required: dict[str, tuple[str, str]] = {}
    for entry in entries:
        for parameter in entry.parameters:
            kind, by = required.setdefault(parameter.name, (parameter.type, entry.id))
            if parameter.type != kind:
                text = f'{parameter.name} must be {parameter.type} here and {kind} in "{by}": a parameter has one type'
                yield entry, "parameters", text
    for entry in entries:
        for condition in entry.conditions():
            kind, by = required.get(condition.name, ("", "")) if condition.kind == "parameter" else ("", "")
            if kind == "text" and condition.reads_number:
                text = f'{condition.name} is read as a number, and "{by}" requires it as text'
                yield entry, "where", text


def _problems_of_derived(taxonomy: Taxonomy, top: TaxonomyFile | None, lookback: Duration) -> Iterator[_Problem]:
    by_id = {entry.id: entry for entry in taxonomy.staged}
    places = _places(top) if top else {}

    def path(entry_id: str, key: str) -> KeyPath:
        return (_ENTRIES, places[entry_id], origin(entry_id), key) if entry_id in places else ()

    def origin(entry_id: str) -> str:
        return "derived" if by_id[entry_id].derived else "hesitation"

    def missing(named: str) -> str:
        if gone := next((each for each in taxonomy.removed if each.id == named), None):
            return f'there is no "{named}" any more: it was removed in {gone.removed_in}'
        return f'there is no "{named}"{nearest(named, by_id)}'

    is_complete = True
    for entry in taxonomy.staged:
        target = by_id.get(entry.replaced_by or "")
        if target is not None and (target.derivation is not None or target.counts != entry.counts):
            kind = "is derived from other entries" if target.derivation else "counts otherwise (key counts)"
            text = f'micro-conversion "{entry.id}", key replaced_by: "{target.id}" {kind}, so it replaces no event'
            yield (_ENTRIES, places[entry.id], "replaced_by") if entry.id in places else (), text
        for key, named in entry.derivation.named() if entry.derivation else ():
            if named not in by_id:
                is_complete = False
                text = f'micro-conversion "{entry.id}", key {origin(entry.id)}.{key}: {missing(named)}'
                yield path(entry.id, key), text
        is_complete = is_complete and (entry.replaced_by is None or target is not None)
    if not is_complete:
        return
    try:
        derived = taxonomy.derived
    except CircleError as circle:
        way = " needs ".join(f'"{each}"' for each in circle.chain)
        first = circle.chain[0]
        text = f'micro-conversion "{first}", key {origin(first)}: goes round in a circle: {way}; take one of them out'
        yield path(first, first), text
        return
    for each in derived:
        if each.reach > lookback.seconds:
            chain = "" if len(each.chain) == 1 else f" through {' → '.join(each.chain)}"
            text = (
                f'micro-conversion "{each.id}", key {origin(each.id)}: looks back {_length(each.reach)}{chain}; '
                f"taxonomy.lookback allows {lookback}: shorten its time, or raise lookback"
            )
            yield path(each.id, "within"), text


def _length(seconds: int) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


_FAULTS = {
    "missing": "is required",
    "string_type": "must be text in quotes",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "tuple_type": "must be a list in square brackets",
    "model_type": "must be a table in braces",
    "bool_type": "must be true or false",
    "float_type": "must be a number, without quotes",
    "finite_number": "must be a finite number",
    "int_type": "must be a whole number, without quotes",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than_equal": "must be {le:,.0f} or less",
}


def _sentence(details: ErrorDetails, raw: dict[str, Any], positions: Positions) -> str:
    cause = details.get("ctx", {}).get("error")
    within_value = cause.within if isinstance(cause, ItemError) else ()
    location = _as_written(tuple(part for part in (*details["loc"], *within_value) if part not in TAGS), raw)
    within = location[:1] == (_ENTRIES,) and len(location) > 1
    key = _dotted(location[2:] if within else location)
    subject = ", ".join(filter(None, (_entry_name(raw, location[1]) if within else "", f"key {key}" if key else "")))
    number = positions.nearest_line(location)
    line = f"line {number}: " if number else ""
    context = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            fault = f"is not a known key{nearest(str(location[-1]), _known_keys(location))}"
        case "literal_error":
            fault = f"must be {context['expected']}, not {details['input']!r}".replace("'", '"')
        case "tuple_type" if location == (_ENTRIES,):
            fault = f"is a list of tables: write [[{_ENTRIES}]] above each entry"
        case "value_error":
            fault = str(context["error"])
        case kind:
            # A kind of error that no key can raise today still gets pydantic's own words.
            fault = _FAULTS[kind].format(**context) if kind in _FAULTS else details["msg"]
    return f"{line}{subject}: {fault}"


def _as_written(location: tuple[int | str, ...], raw: dict[str, Any]) -> tuple[int | str, ...]:
    """Return where the file has what the model found at `location`: the two shorthands are undone."""
    match location:
        case (str(), int(index), str(key), *rest) if key == EVENT_PATTERN:
            return (_ENTRIES, index, "event", *rest)
        case (str(), int(index), str(key), int(), *_) if isinstance(raw[_ENTRIES][index].get(key), str):
            return location[:3]  # one text, where a list may be
        case (str(), int(index), "where", int(position), *rest) if position >= len(
            raw[_ENTRIES][index].get("where", ())
        ):
            # `page` is read as one more condition, after those of `where`.
            return (_ENTRIES, index, "page", *rest)
    return location


def _entry_name(raw: dict[str, Any], index: int | str) -> str:
    entry = raw[_ENTRIES][index]
    entry_id = entry.get("id") if isinstance(entry, dict) else None
    known = isinstance(entry_id, str) and entry_id.isprintable()
    return f'micro-conversion "{entry_id}"' if known else f"{_ENTRIES}[{index}]"


def _known_keys(location: tuple[int | str, ...]) -> tuple[str, ...]:
    if location[0] == "naming" and len(location) > 1:
        return tuple(Naming.model_fields)
    if location[0] != _ENTRIES or len(location) == 1:
        return tuple(TaxonomyFile.model_fields)
    if len(location) == len((_ENTRIES, "index", "key")):
        return _ENTRY_KEYS
    within = {
        "derived": DERIVATION_KEYS,
        "hesitation": DERIVATION_KEYS,
        "parameters": tuple(RequiredParameter.model_fields),
        "event": tuple(EventPattern.model_fields),
    }
    return within.get(str(location[2]), _CONDITION_KEYS)


def _dotted(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
