"""Proposals as text of a taxonomy file, and that text at the end of one: what is there stays, and all of it loads."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from microconv import wording
from microconv.audit.suggestions import Suggestion, SuggestionsResult
from microconv.config.places import refuse_to_replace
from microconv.config.sections import Config
from microconv.config.toml import comment, literal
from microconv.errors import TaxonomyError, UsageError
from microconv.files import read_settings, replacing
from microconv.taxonomy import Taxonomy, load_taxonomy
from microconv.taxonomy.taxonomy_text import entry_text, keys_of

_HINT = "Name another file with --write; nothing was changed."


def check_path(path: Path, config: Config) -> Taxonomy | None:
    """Return the taxonomy of a file that proposals may be added to; None where there is no file yet.

    Raises:
        UsageError: It is something else, or the configuration names it for something else.
        TaxonomyError: It has problems: they come first.
    """
    own = config.taxonomy.file
    if own is None or not _is_same(own, path):
        refuse_to_replace(path, config, is_ours=_is_taxonomy, ours="a taxonomy file", option="--write")
    elif path.is_dir():
        raise UsageError(f"{path} is a folder.", hint=_HINT)
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        return None
    if path.is_dir():
        raise UsageError(f"{path} is a folder.", hint=_HINT)
    return load_taxonomy(preset=config.taxonomy.preset, file=path, lookback=config.taxonomy.lookback)


def append(result: SuggestionsResult, path: Path, config: Config, taxonomy: Taxonomy) -> int:
    """Add proposals to a file, whole or not at all, and return how many entries came to it.

    Args:
        result: The proposals.
        path: The file, as `check_path` allows it; one that is not there yet begins with a name and a version.
        config: Its preset lies under the file.
        taxonomy: The one in use.

    Raises:
        UsageError: The path cannot be used, or not be written.
        TaxonomyError: The file would not load: it is as it was.
    """
    there = check_path(path, config)
    before = read_settings(path) if there is not None else _head(taxonomy)
    version = (there or taxonomy).version
    own = _ids_in(path) if there is not None else frozenset()
    blocks = list(_blocks(result, taxonomy, version, own))
    text = before.rstrip("\n") + "\n\n" + "\n".join(blocks)
    target = path.resolve()
    try:
        with replacing(target, is_private=False) as hidden:
            hidden.write_text(text, encoding="utf-8", newline="\n")
            try:
                load_taxonomy(preset=config.taxonomy.preset, file=hidden, lookback=config.taxonomy.lookback)
            except TaxonomyError as error:
                raise TaxonomyError(
                    f"With the proposals, {path} would not load, so it is as it was: "
                    f"{error.message.replace(str(hidden), str(path))}",
                    hint="Write to the taxonomy file of the configuration, or to a new file over a preset.",
                ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.", hint=_HINT) from error
    return sum(block.startswith("[[") or "\n[[" in block for block in blocks)


def _blocks(result: SuggestionsResult, taxonomy: Taxonomy, version: str, own: frozenset[str]) -> Iterator[str]:
    yield comment("Proposed by `microconv taxonomy suggest`: read, keep what you would take, raise `version`.") + "\n"
    for one in result.of("add"):
        yield entry_text(_keys(one, version), notes=_notes(one), is_active=not one.is_doubtful)
    for one in result.of("collapse"):
        entry = taxonomy.entry(one.id)
        keys = {**keys_of(entry), "collapse": "1s"}
        # An entry of the file itself cannot be there twice: its key is a line to paste.
        if one.id in own:
            yield comment(f'{one.id}: {one.reason}. Add to it: collapse = "1s"') + "\n"
        else:
            yield entry_text(keys, notes=[f"{one.id}: {one.reason}."])
    retired = result.of("retire")
    if retired:
        yield "".join(comment(f"{one.id}: {one.reason}.") + "\n" for one in retired) + _removal(retired, own)
    carried = result.of("carry")
    if carried:
        names = list(dict.fromkeys(one.id for one in carried))
        yield (
            comment("Not in this file but under [taxonomy] of the configuration, to break results down by them:")
            + "\n"
            + comment(f"carry = {literal(names)}")
            + "\n"
        )


def _removal(retired: Iterable[Suggestion], own: frozenset[str]) -> str:
    never = [one.id for one in retired if not one.occurrences and one.id not in own]
    if not never:
        return ""
    said = "What was never seen has no history to lose; to drop it, put this at the top of the file:"
    return comment(said) + "\n" + comment(f"remove = {literal(never)}") + "\n"


def _keys(one: Suggestion, version: str) -> dict[str, object]:
    keys: dict[str, object] = {"id": one.id, "event": one.event}
    subject = one.condition[:1]
    if subject == (("field", "page"),):
        keys["page"] = dict(one.condition[1:])
    elif subject:
        keys["where"] = [dict(one.condition)]
    keys |= {"kind": one.kind, "stage": one.stage, "mindset": one.mindset, "since": version}
    return keys | ({"friction": one.friction} if one.friction else {})


def _notes(one: Suggestion) -> Iterator[str]:
    actors = f", {wording.plural(one.actors, 'actor')}" if one.actors is not None else ""
    yield f"{wording.plural(one.occurrences, 'occurrence')}{actors}. {one.association}."
    yield f"Guess: {one.stage.replace('_', '-')}, {one.kind}. Why: {one.reason}."
    if one.examples:
        yield f"Such as: {', '.join(one.examples)}"
    if one.is_doubtful:
        yield "Doubtful: take the # away if you would count it."


def _head(taxonomy: Taxonomy) -> str:
    return f"name = {literal(taxonomy.name)}\nversion = {literal(taxonomy.version)}\n"


def _ids_in(path: Path) -> frozenset[str]:
    """Return the ids that a file defines itself."""
    found = tomllib.loads(read_settings(path)).get("micro_conversions", ())
    return frozenset(each.get("id") for each in found)


def _is_taxonomy(head: bytes) -> bool:
    text = head.decode(errors="replace")
    return "[[micro_conversions]]" in text or any(
        line.split("=")[0].strip() in ("version", "remove") for line in text.splitlines() if "=" in line
    )


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one.absolute() == other.absolute()
