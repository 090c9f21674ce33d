"""Taxonomy files: read, checked, and laid over a preset. Every problem of a file is reported at once."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from microconv.config.positions import Positions, read_toml
from microconv.config.problems import nearest, numbered
from microconv.errors import TaxonomyError
from microconv.files import read_settings
from microconv.queries.conditions import PRESET
from microconv.taxonomy.model import Condition, Id, MicroConversion, Printable, Taxonomy, Version, version_key

PRESETS = ("ecommerce", "saas", "publisher", "lead_generation")
NO_PRESET = "none"
"""What a configuration writes as its preset when the file stands alone."""

_HINT = "Correct the file, then run `microconv taxonomy validate`."
_ENTRIES = "micro_conversions"
_ENTRY_KEYS = ("event", "page", *(key for key in MicroConversion.model_fields if key != "events"))


class _TaxonomyFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Printable | None = None
    version: Version
    remove: Annotated[tuple[Id, ...], Field(strict=False)] = ()
    micro_conversions: Annotated[tuple[MicroConversion, ...], Field(strict=False)] = ()


def load_taxonomy(*, preset: str | None, file: Path | None) -> Taxonomy:
    """Load a preset, a file, or a file laid over a preset.

    In a file laid over a preset, an entry with the same id replaces the preset's in place, `remove` drops entries and
    new ids come last. The version is the file's, and so is the name when it gives one.

    Args:
        preset: One of `PRESETS`; None or "none" for a file that stands alone.
        file: The taxonomy file (TOML); None for the preset as it is.

    Raises:
        TaxonomyError: The preset is unknown, the file cannot be read, or it has problems: the message has all of them,
            with file, line, entry and key.
    """
    outcome = _resolve(preset, file)
    if isinstance(outcome, Taxonomy):
        return outcome
    problems = numbered(outcome) if len(outcome) > 1 else outcome[0]
    raise TaxonomyError(f"The taxonomy file {file} cannot be used: {problems}.", hint=_HINT)


def find_problems(*, preset: str | None, file: Path | None) -> tuple[str, ...]:
    """Return every problem of what `load_taxonomy` would load, one sentence each; empty when it is valid.

    Raises:
        TaxonomyError: The preset is unknown or the file cannot be read, so nothing could be checked.
    """
    outcome = _resolve(preset, file)
    return () if isinstance(outcome, Taxonomy) else outcome


def _resolve(preset: str | None, file: Path | None) -> Taxonomy | tuple[str, ...]:
    """Return the taxonomy, or the problems that stand in its way."""
    base = None if preset in (None, NO_PRESET) else _preset(preset)
    if file is None:
        if base is None:
            raise TaxonomyError(
                "There is no taxonomy: neither a preset nor a file is named.",
                hint=f"Name a preset ({', '.join(PRESETS)}), a file, or both.",
            )
        return Taxonomy(base.name or str(preset), base.version, base.micro_conversions)
    text, raw = _read(file)
    try:
        top = _TaxonomyFile.model_validate(raw)
    except ValidationError as error:
        positions = Positions(text, raw)
        return tuple(_sentence(details, raw, positions) for details in error.errors(include_url=False))
    name = top.name or (base.name if base else None) or file.stem
    taxonomy = Taxonomy(name, top.version, _laid_over(base, top))
    problems = (*_problems_of_the_file(top, base), *_problems_between_entries(taxonomy))
    return problems or taxonomy


def _preset(name: str) -> _TaxonomyFile:
    if name not in PRESETS:
        raise TaxonomyError(
            f'There is no taxonomy preset "{name}".',
            hint=f'Presets: {", ".join(PRESETS)}; or "{NO_PRESET}" for a file that stands alone.',
        )
    text = (files("microconv.taxonomy") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return _TaxonomyFile.model_validate(tomllib.loads(text), context=PRESET)


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


def _laid_over(base: _TaxonomyFile | None, top: _TaxonomyFile) -> tuple[MicroConversion, ...]:
    # A dict keeps the place of a key that is set again, which is what "replaces in place" means.
    removed = set(top.remove)
    entries = {entry.id: entry for entry in (base.micro_conversions if base else ()) if entry.id not in removed}
    entries.update((entry.id, entry) for entry in top.micro_conversions)
    return tuple(entries.values())


def _problems_of_the_file(top: _TaxonomyFile, base: _TaxonomyFile | None) -> Iterator[str]:
    own = Counter(entry.id for entry in top.micro_conversions)
    for repeated, times in own.items():
        if times > 1:
            yield f'micro-conversion "{repeated}" is defined {times} times: keep one of them'
    inherited = [entry.id for entry in base.micro_conversions] if base else []
    for removed in top.remove:
        if removed in own:
            yield f'key remove: "{removed}" is removed and defined in the same file: keep one of the two'
        elif not inherited:
            yield f'key remove: "{removed}" cannot be removed, the file stands alone'
        elif removed not in inherited:
            yield f'key remove: the preset has no "{removed}"{nearest(removed, inherited)}'
    for entry in top.micro_conversions:
        for key, version in (("since", entry.since), ("deprecated", entry.deprecated)):
            # A `since` that the file leaves out claims nothing.
            if version and key in entry.model_fields_set and version_key(version) > version_key(top.version):
                yield (
                    f'micro-conversion "{entry.id}", key {key}: {version} is later than {top.version}, '
                    "the version of the file: raise the latter"
                )


def _problems_between_entries(taxonomy: Taxonomy) -> Iterator[str]:
    by_id = {entry.id: entry for entry in taxonomy.entries}
    for entry in taxonomy.entries:
        if entry.replaced_by is None:
            continue
        where = f'micro-conversion "{entry.id}", key replaced_by:'
        if entry.replaced_by not in by_id:
            yield f'{where} there is no "{entry.replaced_by}"{nearest(entry.replaced_by, by_id)}'
        elif by_id[entry.replaced_by].deprecated is not None:
            # One step only: history then has a single reading, and a cycle cannot be written.
            yield f'{where} "{entry.replaced_by}" is deprecated itself: name an entry that is in use'
    if not taxonomy.macros:
        yield 'there is no macro-conversion: give the goal of the site kind = "macro"'


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
}


def _sentence(details: ErrorDetails, raw: dict[str, Any], positions: Positions) -> str:
    location = _as_written(details["loc"], raw)
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
            fault = _FAULTS.get(kind, details["msg"])
    return f"{line}{subject}: {fault}"


def _as_written(location: tuple[int | str, ...], raw: dict[str, Any]) -> tuple[int | str, ...]:
    """Return where the file has what the model found at `location`: the two shorthands are undone."""
    match location:
        case (str(), int(index), "event", int(), *_) if isinstance(raw[_ENTRIES][index].get("event"), str):
            return location[:3]
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
    if location[0] != _ENTRIES or len(location) == 1:
        return tuple(_TaxonomyFile.model_fields)
    return _ENTRY_KEYS if len(location) == len((_ENTRIES, "index", "key")) else tuple(Condition.model_fields)


def _dotted(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
