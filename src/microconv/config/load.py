"""Read a configuration: one TOML file and environment overrides, into frozen sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from microconv.config.destination_settings import DestinationConfig, SettingsOf, settings_model
from microconv.config.places import clashes
from microconv.config.positions import KeyPath
from microconv.config.problems import Override, explain, paragraph, split_overrides, tables
from microconv.config.sections import Config, Sections
from microconv.config.toml import read_toml
from microconv.errors import ConfigError, UsageError
from microconv.files import read_settings

DEFAULT_FILE = "microconv.toml"
PATH_VARIABLE = "MICROCONV_CONFIG"


class _Named(Protocol):
    @property
    def name(self) -> str: ...


NamedT = TypeVar("NamedT", bound=_Named)
SettingsT = TypeVar("SettingsT", bound=DestinationConfig)


def find_named(items: Sequence[NamedT], name: str, what: str) -> NamedT:
    """Return the entry of that name; UsageError says which there are. `what` is the singular of their section."""
    for item in items:
        if item.name == name:
            return item
    known = ", ".join(item.name for item in items) or "none"
    if not name:
        raise UsageError(f"No {what} is named.", hint=f"Name one; the configuration has: {known}.")
    raise UsageError(
        f"The configuration has no {what} named {name!r}.", hint=f"It has: {known}. Add one under [[{what}s]]."
    )


def load_config(path: Path | None, environ: Mapping[str, str], destinations: SettingsOf | None = None) -> Config:
    """Read the configuration.

    Without `path`, the file is the one `MICROCONV_CONFIG` names, else `microconv.toml` in the current folder. A
    variable `MICROCONV_<SECTION>__<KEY>` overrides a key of a table (not of a list of tables); lists are written with
    commas, and an empty variable counts as not set. Relative paths start at the file's folder, those of variables too.

    Args:
        path: the file asked for, or None to look for it.
        environ: the environment, usually `os.environ`.
        destinations: gives the settings of a kind of destination (`catalogue.destination_settings`), by which its keys
            are read. Without it they are taken as they are, and read once the destination is used.

    Raises:
        ConfigError: the file is missing, unreadable or wrong, or an override is; the message lists every problem.
    """
    path, absence = _find(path, environ)
    text = _read(path, absence)
    try:
        document = read_toml(text)
    except ValueError as error:
        raise ConfigError(
            f"{path} is not valid TOML: {error}.", hint="Correct that line, then run the command again."
        ) from None
    file = path.absolute()
    overrides, problems = split_overrides(environ, Sections, reserved=PATH_VARIABLE)
    merged = _overlay(document, overrides)
    try:
        sections = Sections.model_validate(merged, context={"folder": file.parent, "destinations": destinations})
    except ValidationError as error:
        problems += explain(
            error.errors(),
            model=Sections,
            text=text,
            document=merged,
            overrides=overrides,
            parts=_destination_models(merged.get("destinations"), destinations),
        )
    if problems:
        raise ConfigError(
            paragraph(path, problems), hint="Correct this, then run the command again; nothing was changed."
        )
    config = Config(**dict(sections), file=file)
    if found := list(clashes(config)):
        raise ConfigError(paragraph(path, found), hint="Give one of the two another place; nothing was changed.")
    return config


def read_destination(entry: DestinationConfig, settings: type[SettingsT], file: Path) -> SettingsT:
    """Return a destination with its own keys read, where loading the configuration did not.

    Raises:
        ConfigError: a key is missing or wrong.
    """
    if isinstance(entry, settings):
        return entry
    document = entry.model_dump()
    try:
        return settings.model_validate(document, context={"folder": file.parent})
    except ValidationError as error:
        problems = explain(error.errors(), model=settings, text="", document=document, overrides=())
        raise ConfigError(
            f'The destination "{entry.name}" in {file} cannot be used: {"; ".join(problems)}.',
            hint="Correct it, then run the command again; nothing was changed.",
        ) from None


def _destination_models(entries: object, destinations: SettingsOf | None) -> dict[KeyPath, type[BaseModel]]:
    """Return by which models the destinations were read, by their paths."""
    if destinations is None or not isinstance(entries, list):
        return {}
    return {("destinations", index): settings_model(entry, destinations) for index, entry in enumerate(entries)}


def _find(path: Path | None, environ: Mapping[str, str]) -> tuple[Path, str]:
    """Return where the configuration should be, and what to say when it is not there."""
    if path:
        return path, f"{path}, given with -c, does not exist"
    if named := environ.get(PATH_VARIABLE):
        return Path(named), f"-c was not given, and {named}, named by {PATH_VARIABLE}, does not exist"
    return Path(DEFAULT_FILE), (
        f"-c was not given, {PATH_VARIABLE} is not set in the environment, "
        f"and {Path.cwd() / DEFAULT_FILE} does not exist"
    )


def _read(path: Path, absence: str) -> str:
    try:
        return read_settings(path)
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(
            f"There is no configuration: {absence}.",
            hint="Write one with `microconv init`, or name an existing one with -c.",
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (see byte {error.start}).", hint="Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", hint="Name a TOML file that you may read with -c."
        ) from None
    except ValueError as error:  # a name with a NUL byte among them
        raise ConfigError(f"{path} {error}.", hint="Name a TOML file with -c.") from None


def _overlay(document: dict[str, Any], overrides: tuple[Override, ...]) -> dict[str, Any]:
    # An absent table is an empty one, so that a variable alone can fill it and its defaults see the file's folder.
    merged = {name: {} for name in tables(Sections)} | document
    for one in overrides:
        if isinstance(merged[one.section], dict):  # anything else is a mistake of the file, reported as such
            merged[one.section] = {**merged[one.section], one.key: one.value}
    return merged
