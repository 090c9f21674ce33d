"""What is wrong with a TOML file of ours, in words: the line, the key, the value, and where else it may be set."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from microconv.config.positions import KeyPath, Positions, at

Setting = str | int | float | bool | list[str]

PREFIX = "MICROCONV_"
_LONGEST_VALUE = 60
MOST_PROBLEMS = 20
"""How many problems one message tells; of the others, their number."""


class ItemError(ValueError):
    """A rule broken by one part of what a validator saw; `within` leads from there to that part."""

    def __init__(self, message: str, within: KeyPath) -> None:
        super().__init__(message)
        self.within = within


class HiddenError(ValueError):
    """A rule broken by a value that no message may show."""


@dataclass(frozen=True)
class Override:
    """A key of a table set by an environment variable."""

    variable: str
    section: str
    key: str
    value: Setting


def variable_name(section: str, key: str) -> str:
    """Return the environment variable that overrides `key` of the table `section`."""
    return f"{PREFIX}{section}__{key}".upper()


def tables(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the sections of `model` that are one table, and not a list of tables."""
    annotations = {name: info.annotation for name, info in model.model_fields.items()}
    return {
        name: annotation
        for name, annotation in annotations.items()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel)
    }


def split_overrides(
    environ: Mapping[str, str], model: type[BaseModel], *, reserved: str
) -> tuple[tuple[Override, ...], list[str]]:
    """Find the overrides among the environment variables.

    Args:
        environ: the environment.
        model: the model of the whole file.
        reserved: a variable that begins like an override but is not one.

    Returns:
        The overrides, and a sentence for each variable that looks like one and fits no key.
    """
    sections = tables(model)
    known = [variable_name(section, key) for section, table in sections.items() for key in table.model_fields]
    lists = [name.upper() for name in model.model_fields if name not in sections]
    overrides: list[Override] = []
    problems: list[str] = []
    for variable in sorted(environ):
        section, marker, key = variable.removeprefix(PREFIX).lower().partition("__")
        # A single underscore after a section's name is a slip that would otherwise go unnoticed.
        slip = variable.startswith(tuple(f"{PREFIX}{name}_".upper() for name in sections))
        if not variable.startswith(PREFIX) or variable == reserved or not (marker or slip):
            continue
        if variable in known:
            if environ[variable]:
                field = sections[section].model_fields[key]
                overrides.append(Override(variable, section, key, _from_text(environ[variable], field)))
        elif section.upper() in lists:
            problems.append(
                f"the environment variable {variable} cannot be used: [[{section}]] is a list, set in the file only"
            )
        elif section in sections and (now := _renamed(sections[section]).get(key)):
            problems.append(f"the environment variable {variable} sets a key that has another name now: {now}")
        else:
            problems.append(
                f"the environment variable {variable} sets no known key{nearest(variable, known, quoted=False)}"
            )
    return tuple(overrides), problems


def _from_text(text: str, field: FieldInfo) -> Setting:
    """Read a variable as the type of its key; what does not look like it stays text, for the key to refuse."""
    kinds = [field.annotation, *get_args(field.annotation)]
    if Ellipsis in kinds:  # tuple[X, ...]
        return [part.strip() for part in text.split(",")]
    if bool in kinds:
        return {"true": True, "false": False}.get(text.lower(), text)
    if float in kinds and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return float(text)
    return int(text) if int in kinds and re.fullmatch(r"[0-9]{1,9}", text) else text


def nearest(word: str, known: Iterable[str], *, quoted: bool = True) -> str:
    """Return the end of a sentence about an unknown word: the nearest known one, or all of them."""
    known = list(known)
    found = difflib.get_close_matches(word, known, n=1)
    if found:
        return f' (did you mean "{found[0]}"?)' if quoted else f" (did you mean {found[0]}?)"
    return f" (known are {', '.join(known)})"


def explain(
    errors: Sequence[ErrorDetails],
    *,
    model: type[BaseModel],
    text: str,
    document: Mapping[str, Any],
    overrides: Iterable[Override],
    parts: Mapping[KeyPath, type[BaseModel]] | None = None,
) -> list[str]:
    """Put pydantic's errors into words, in the order of the file.

    Of a flood of errors, those that a message has no room for are only named.

    Args:
        errors: what pydantic found.
        model: the model of the whole file.
        text: the file, to find lines.
        document: what was validated: the file with the overrides laid over it.
        overrides: which keys an environment variable set.
        parts: the models of parts that were read by another one than `model` says, by their paths.

    Returns:
        One sentence per error, without its full stop.
    """
    overrides = tuple(overrides)
    positions = Positions(text)
    found: list[tuple[int, ErrorDetails, KeyPath, Override | None]] = []
    for error in errors:
        if _is_echo(error, document):
            continue
        cause = error.get("ctx", {}).get("error")
        path: KeyPath = (*error["loc"], *(cause.within if isinstance(cause, ItemError) else ()))
        setter = next((one for one in overrides if (one.section, one.key) == path[:2]), None)
        line = None if setter else positions.nearest_line(path)
        found.append((line or 0, error, path, setter))
    found.sort(key=lambda one: one[0])
    sentences: list[str] = []
    for line, error, path, setter in found:
        where = f"the environment variable {setter.variable}: " if setter else f"line {line}: " if line else ""
        if len(sentences) < MOST_PROBLEMS:
            sentences.append(where + _sentence(error, path, model, parts or {}, document, is_set=setter is not None))
        else:  # to look for the nearest known key takes time
            sentences.append(f"{where}{_written(path)} cannot be used")
    return sentences


def _is_echo(error: ErrorDetails, document: Mapping[str, Any]) -> bool:
    """Whether a list counts as too short only because some of its entries are wrong, which is said already."""
    entries = at(document, error["loc"])
    return error["type"] == "too_short" and isinstance(entries, list) and len(entries) >= error["ctx"]["min_length"]


def _sentence(
    error: ErrorDetails,
    path: KeyPath,
    model: type[BaseModel],
    parts: Mapping[KeyPath, type[BaseModel]],
    document: Mapping[str, Any],
    *,
    is_set: bool,
) -> str:
    key = _written(path)
    if error["type"] == "extra_forbidden":
        inside = _model_of(model, path[:-1], parts)
        if now := _renamed(inside).get(str(path[-1])):
            return f"{key} has another name now: {now}"
        return f"{key} is not a known key{nearest(str(path[-1]), _keys(inside))}"
    field = _field(model, path, parts)
    if error["type"] == "missing":
        meaning = f": {field.description}" if field and field.description else ""
        return f"{key} is required{meaning}{_elsewhere(model, path, field)}"
    is_hidden = isinstance(error.get("ctx", {}).get("error"), HiddenError)
    value = "" if is_hidden else _shown(at(document, path))
    return f"{key}{value} {_fault(error, path, model)}{'' if is_set else _elsewhere(model, path, field)}"


def _renamed(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the keys of a section that were called otherwise, and what stands for each now."""
    return getattr(model, "renamed", {})


_FAULTS = {
    "value_error": "{error}",
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be more than {gt:g}",
    "less_than_equal": "must be at most {le:g}",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text in quotes",
    "path_type": "must be text in quotes",
    "tuple_type": "must be a list in square brackets",
    "model_type": "must be a table in braces",
}


def _fault(error: ErrorDetails, path: KeyPath, model: type[BaseModel]) -> str:
    context = error.get("ctx", {})
    if error["type"] == "literal_error":
        return "is not " + str(context["expected"]).replace("'", '"')
    if error["type"] == "too_short":
        least = context["min_length"]
        return f"needs at least {least} {'entry' if least == 1 else 'entries'}"
    if error["type"] == "tuple_type" and len(path) == 1:
        return f"is a list of tables: write [[{path[0]}]] above each entry"
    if error["type"] == "model_type" and path[0] in tables(model):
        return f"is one table: write [{path[0]}] above its keys"
    # A kind of error that no field of ours can raise today still gets pydantic's own words.
    known = _FAULTS.get(error["type"])
    return known.format(**context) if known else error["msg"][:1].lower() + error["msg"][1:]


def _written(path: KeyPath) -> str:
    text = ""
    for part in path:
        name = part if isinstance(part, int) or re.fullmatch(r"[A-Za-z0-9_-]{1,60}", part) else "(unreadable key)"
        text += f"[{name}]" if isinstance(part, int) else f".{name}" if text else str(name)
    return text


def _shown(value: object) -> str:
    """Return ` = value` when it is short and cannot hold an address or a password, else nothing."""
    if isinstance(value, bool | int | float):
        return f" = {json.dumps(value)}"
    if isinstance(value, str) and len(value) <= _LONGEST_VALUE and value.isprintable() and "@" not in value:
        return f" = {json.dumps(value, ensure_ascii=False)}"
    return ""


def _model_of(model: type[BaseModel], path: KeyPath, parts: Mapping[KeyPath, type[BaseModel]]) -> type[BaseModel]:
    for length, part in enumerate(path, start=1):
        if path[:length] in parts:
            model = parts[path[:length]]
        elif isinstance(part, str):
            field = _keys(model).get(part)
            # What a key of the user's own choice holds may be no section, and then it has no keys of ours.
            model = next(_models_in(field.annotation), BaseModel) if field else BaseModel
    return model


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the models that an annotation holds, at any depth: `Annotated[Model, …] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a model by their keys in a file: `for` and `not` cannot be names in Python."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _field(model: type[BaseModel], path: KeyPath, parts: Mapping[KeyPath, type[BaseModel]]) -> FieldInfo | None:
    if not path or isinstance(path[-1], int):
        return None
    return _keys(_model_of(model, path[:-1], parts)).get(path[-1])


def _variable_of(model: type[BaseModel], path: KeyPath) -> str | None:
    if len(path) > 1 and path[0] in tables(model):
        return variable_name(str(path[0]), str(path[1]))
    return None


def _elsewhere(model: type[BaseModel], path: KeyPath, field: FieldInfo | None) -> str:
    """Say where else the key was looked for: its environment variable, and its default."""
    if len(path) < 2:  # noqa: PLR2004 - a whole section has neither
        return ""
    variable = _variable_of(model, path)
    notes = [f"{variable} is not set"] if variable else []
    default = None if field is None or field.is_required() else field.get_default(call_default_factory=False)
    if isinstance(default, tuple):
        notes.append(f"default {json.dumps([str(one) for one in default])}")
    elif default is not None:
        notes.append(f"default {json.dumps(default if isinstance(default, int | float) else str(default))}")
    elif variable and field and field.is_required():
        notes.append("no default")
    return f" [{'; '.join(notes)}]" if notes else ""


def paragraph(file: Path, problems: Sequence[str]) -> str:
    """Return one paragraph that names the file and its problems, twenty of them at most."""
    if len(problems) == 1:
        return f"{file} cannot be used: {problems[0]}."
    return f"{file} has {len(problems)} problems: {numbered(problems)}."


def numbered(problems: Sequence[str]) -> str:
    """Number problems, and say how many more there are than a message tells."""
    told = "; ".join(f"({number}) {problem}" for number, problem in enumerate(problems[:MOST_PROBLEMS], start=1))
    return told + (f"; and {len(problems) - MOST_PROBLEMS} more" if len(problems) > MOST_PROBLEMS else "")
