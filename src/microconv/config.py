"""Configuration: one TOML file and environment overrides, read into frozen models."""

from __future__ import annotations

import difflib
import glob
import re
import tomllib
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from microconv.config_errors import ItemError, Override, explain, paragraph, split_overrides, tables
from microconv.errors import ConfigError, UsageError

DEFAULT_FILE = "microconv.toml"
PATH_VARIABLE = "MICROCONV_CONFIG"

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
# Ten years: longer than any GA4 export, and far from overflowing 64-bit microseconds in SQL.
_LONGEST_SECONDS = 3_650 * 86_400


@dataclass(frozen=True, order=True)
class Duration:
    """A length of time written as a whole number and a unit: `90s`, `30m`, `12h`, `7d`.

    Durations compare by length (`24h` equals `1d`); `text` keeps the way it was written, for labels.
    """

    seconds: int
    text: str = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read `90s`, `30m`, `12h` or `7d`.

        Raises:
            UsageError: the text is something else, zero, or longer than ten years (3650d).
        """
        matched = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", text)
        seconds = int(matched[1]) * _UNIT_SECONDS[matched[2]] if matched else 0
        if not 0 < seconds <= _LONGEST_SECONDS:
            raise UsageError(
                'is not a length of time such as "90s", "30m", "12h" or "7d" (at most "3650d")',
                hint="Write a whole number followed by s, m, h or d.",
            )
        return cls(seconds, text)

    @property
    def microseconds(self) -> int:
        """The length in microseconds, the unit of the SQL templates."""
        return self.seconds * 1_000_000

    def __str__(self) -> str:
        return self.text


def check_timezone(name: str) -> str:
    """Return `name` when it is an IANA time zone.

    Raises:
        ValueError: it is not; the message says so and suggests the nearest zone.
    """
    known = zoneinfo.available_timezones() - {"Factory", "localtime"}
    if name in known:
        return name
    by_lower = {zone.lower(): zone for zone in sorted(known)}
    # "berlin" alone is what people type; the zone's last part finds it.
    by_city = {zone.rpartition("/")[2].lower(): zone for zone in sorted(known)}
    asked = name.strip().lower().replace(" ", "_")
    near = difflib.get_close_matches(asked, by_lower, n=1, cutoff=0.75)
    near_city = difflib.get_close_matches(asked.rpartition("/")[2], by_city, n=1, cutoff=0.75)
    suggestion = by_lower[near[0]] if near else by_city[near_city[0]] if near_city else None
    advice = f'did you mean "{suggestion}"?' if suggestion else 'write it as in "Europe/Berlin" or "UTC"'
    raise ValueError(f"is not an IANA time zone ({advice})")


def check_currency(code: str) -> str:
    """Return `code` when it has the form of an ISO 4217 code.

    Raises:
        ValueError: it has not.
    """
    if not re.fullmatch(r"[A-Z]{3}", code):
        raise ValueError('is not a currency code of three capital letters, such as "EUR"')
    return code


def check_label(text: str) -> str:
    """Return `text` when it can label rows and pages: printable, and not blank.

    Raises:
        ValueError: it cannot.
    """
    if not text.strip() or not text.isprintable():
        raise ValueError("must be text of printable characters, and not empty")
    return text


def _check_file_stem(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise ValueError(
            "cannot be a name: it becomes a file name, so use small letters, digits, _ and -, with a letter first"
        )
    return name


def _check_table_name(name: str) -> str:
    part = r"[A-Za-z_][A-Za-z0-9_]*"
    if not re.fullmatch(rf"{part}(\.{part}){{0,2}}", name):
        raise ValueError('is not a table name such as "crm.people"')
    return name


def _check_memory(text: str) -> str:
    amount = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?[KMGT]i?B", text)
    if not amount or float(amount[1]) == 0:
        raise ValueError('is not an amount of memory such as "512MB", "2GB" or "1.5GiB"')
    return text


def _refuse_bigquery(kind: object) -> object:
    if kind == "bigquery":
        raise ValueError(
            "is not part of this version, which reads exports as files and computes in DuckDB "
            '(engine kind = "duckdb", sources kind = "files")'
        )
    return kind


def _duration(value: object) -> Duration:
    if isinstance(value, Duration):
        return value
    if not isinstance(value, str):
        raise ValueError('must be a length of time in quotes, such as "30m" or "7d"')  # noqa: TRY004 - pydantic collects ValueError only
    try:
        return Duration.parse(value)
    except UsageError as error:
        raise ValueError(error.message) from None


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _in_folder(path: Path, info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder") or Path.cwd()
    if path == Path() or "\0" in str(path):
        raise ValueError("is not a path")
    try:
        return folder / path.expanduser()
    except RuntimeError:
        raise ValueError("starts with ~ and a user whose home folder is not known") from None


def _glob_in_folder(pattern: str, info: ValidationInfo) -> str:
    path = Path(pattern)
    absolute = _in_folder(path, info)
    if path.is_absolute() or pattern.startswith("~"):
        return str(absolute)
    # Only what the user wrote is a pattern: a bracket in the config's own folder is an ordinary character.
    folder = absolute.parents[len(path.parts) - 1]
    return str(Path(glob.escape(str(folder)), path))


class _Named(Protocol):
    name: str


NamedT = TypeVar("NamedT", bound=_Named)
ItemT = TypeVar("ItemT")


def _unique(items: tuple[ItemT, ...]) -> tuple[ItemT, ...]:
    for index, item in enumerate(items):
        if item in items[:index]:
            raise ItemError("is there twice", (index,))
    return items


def _unique_names(items: tuple[NamedT, ...]) -> tuple[NamedT, ...]:
    names = [item.name for item in items]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ItemError("is taken by an earlier entry; names are unique", (index, "name"))
    return items


def _unique_paths(sources: tuple[SourceConfig, ...]) -> tuple[SourceConfig, ...]:
    for index, source in enumerate(sources):
        if any((source.property, source.path) == (other.property, other.path) for other in sources[:index]):
            raise ItemError("reads the same files for the same property as an earlier source", (index, "path"))
    return sources


def _separate_files(destinations: tuple[DestinationConfig, ...]) -> tuple[DestinationConfig, ...]:
    for index, one in enumerate(destinations):
        if any((one.format, one.path) == (other.format, other.path) for other in destinations[:index]):
            raise ItemError("writes the same files as an earlier destination; change its path or format", (index,))
    return destinations


def _sorted_windows(windows: tuple[Duration, ...]) -> tuple[Duration, ...]:
    return tuple(sorted(_unique(windows)))


Model = Literal["first", "last", "last_non_direct", "linear", "time_decay", "position"]
Identifier = Literal["email", "phone", "user_id"]

_Label = Annotated[str, AfterValidator(check_label)]
_FileStem = Annotated[str, AfterValidator(_check_file_stem)]
_Duration = Annotated[Duration, PlainValidator(_duration)]
_Path = Annotated[Path, AfterValidator(_in_folder)]
_Glob = Annotated[str, AfterValidator(_glob_in_folder)]
# A micro-conversion id; whether the taxonomy has it is checked where the taxonomy is loaded.
_EntryId = Annotated[str, AfterValidator(check_label)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class ProjectConfig(_Section):
    """`[project]`: the property's reporting zone and currency, and the name reports carry."""

    name: _Label = "microconv"
    timezone: Annotated[str, AfterValidator(check_timezone)] = Field(
        description='the reporting time zone of the GA4 property, such as "Europe/Berlin"'
    )
    currency: Annotated[str, AfterValidator(check_currency)] = "USD"


class EngineConfig(_Section):
    """`[engine]`: where the staged tables live, and what they may use of the machine."""

    kind: Annotated[Literal["duckdb"], BeforeValidator(_refuse_bigquery)] = "duckdb"
    path: _Path = Path("microconv.duckdb")
    memory_limit: Annotated[str, AfterValidator(_check_memory)] = "1GB"
    threads: int | None = Field(default=None, ge=1, le=256, strict=True)


class SourceConfig(_Section):
    """`[[sources]]`: the export of one GA4 property; `path` is an absolute glob once loaded."""

    property: _Label = Field(description="the label of the GA4 property, for instance its number")
    kind: Annotated[Literal["files"], BeforeValidator(_refuse_bigquery)] = "files"
    path: _Glob = Field(description='the shards of the export, such as "exports/events_*.parquet"')


class TaxonomyConfig(_Section):
    """`[taxonomy]`: the preset, and the file that extends or overrides it."""

    preset: _Label = "ecommerce"
    file: _Path | None = None


class FunnelConfig(_Section):
    """`[[funnels]]`: micro-conversions in order, counted by actor or session, within a window from the first step."""

    name: _FileStem = Field(description="the name used on the command line")
    steps: Annotated[tuple[_EntryId, ...], Field(min_length=2, description="micro-conversion ids, first step first")]
    unit: Literal["actor", "session"] = "actor"
    order: Literal["ordered"] = "ordered"
    window: _Duration = Duration.parse("7d")


class AttributionConfig(_Section):
    """`[attribution]`: the conversion to credit, and the grid of lookback windows (ascending) and models."""

    conversion: _EntryId = "purchase"
    windows: Annotated[tuple[_Duration, ...], Field(min_length=1), AfterValidator(_sorted_windows)] = (
        Duration.parse("1d"),
        Duration.parse("7d"),
        Duration.parse("30d"),
    )
    models: Annotated[tuple[Model, ...], Field(min_length=1), AfterValidator(_unique)] = (
        "first",
        "last",
        "last_non_direct",
        "linear",
        "time_decay",
        "position",
    )
    half_life: _Duration = Duration.parse("7d")


class SegmentRule(_Section):
    """Actors who did `did` at least `at_least` times within the last `within`, and not `not_did` in that time."""

    did: _EntryId = Field(description="the id of a micro-conversion")
    at_least: int = Field(default=1, ge=1, strict=True)
    within: _Duration = Field(description='how far back to look, such as "14d"')
    not_did: _EntryId | None = None

    @model_validator(mode="after")
    def _can_hold(self) -> SegmentRule:
        if self.did == self.not_did:
            raise ItemError("is the same micro-conversion as did, so nobody can be in the segment", ("not_did",))
        return self


class SegmentConfig(_Section):
    """`[[segments]]`: a named rule, and the identifiers its members may be exported with."""

    name: _FileStem = Field(description="the name used on the command line and in file names")
    rule: SegmentRule = Field(description='such as { did = "add_to_cart", within = "14d", not_did = "purchase" }')
    identity: Annotated[
        tuple[Identifier, ...], BeforeValidator(_as_list), Field(min_length=1), AfterValidator(_unique)
    ] = ("email",)


class DestinationConfig(_Section):
    """`[[destinations]]`: where audiences go; `path` is a folder."""

    name: _FileStem = Field(description="the name used on the command line")
    kind: Literal["file"] = "file"
    format: Literal["google_ads", "csv", "jsonl"] = Field(description='"google_ads", "csv" or "jsonl"')
    path: _Path = Path("exports")


class PeopleTable(_Section):
    """`[identity]` or `[consent]`: a file (CSV or Parquet) or a table of the engine, or neither."""

    file: _Path | None = None
    table: Annotated[str, AfterValidator(_check_table_name)] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> PeopleTable:
        if self.file is not None and self.table is not None:
            raise ItemError("cannot be given beside file; keep one of the two", ("table",))
        return self


class IdentityConfig(PeopleTable):
    """`[identity]`: user_id, email, phone, first_name, last_name, country, postal_code."""


class ConsentConfig(PeopleTable):
    """`[consent]`: user_id, ad_user_data, ad_personalization (granted or denied), changed_at (ISO timestamp)."""


class _Sections(_Section):
    project: ProjectConfig
    engine: EngineConfig = Field(default_factory=EngineConfig)
    sources: Annotated[
        tuple[SourceConfig, ...],
        Field(min_length=1, description="at least one [[sources]] with property and path"),
        AfterValidator(_unique_paths),
    ]
    taxonomy: TaxonomyConfig = Field(default_factory=TaxonomyConfig)
    funnels: Annotated[tuple[FunnelConfig, ...], AfterValidator(_unique_names)] = ()
    attribution: AttributionConfig = Field(default_factory=AttributionConfig)
    segments: Annotated[tuple[SegmentConfig, ...], AfterValidator(_unique_names)] = ()
    destinations: Annotated[
        tuple[DestinationConfig, ...], AfterValidator(_unique_names), AfterValidator(_separate_files)
    ] = ()
    identity: IdentityConfig = Field(default_factory=IdentityConfig)
    consent: ConsentConfig = Field(default_factory=ConsentConfig)


class Config(_Sections):
    """The whole configuration; paths are absolute, and `file` is where it was read from."""

    file: Path


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read the configuration.

    Without `path`, the file is the one `MICROCONV_CONFIG` names, else `microconv.toml` in the current folder. A
    variable `MICROCONV_<SECTION>__<KEY>` overrides a key of a table (not of a list of tables); lists are written with
    commas, and an empty variable counts as not set. Relative paths start at the file's folder, those of variables too.

    Args:
        path: the file asked for, or None to look for it.
        environ: the environment, usually `os.environ`.

    Raises:
        ConfigError: the file is missing, unreadable or wrong, or an override is; the message lists every problem.
    """
    path, absence = _find(path, environ)
    text = _read(path, absence)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path} is not valid TOML: {error}.", hint="Correct that line, then run the command again."
        ) from None
    file = path.absolute()
    overrides, problems = split_overrides(environ, _Sections, reserved=PATH_VARIABLE)
    merged = _overlay(document, overrides)
    try:
        sections = _Sections.model_validate(merged, context={"folder": file.parent})
    except ValidationError as error:
        problems += explain(error.errors(), model=_Sections, text=text, document=merged, overrides=overrides)
    if problems:
        raise ConfigError(
            paragraph(path, problems), hint="Correct this, then run the command again; nothing was changed."
        )
    return Config(**dict(sections), file=file)


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
        # "-sig": some editors put a byte order mark first, which TOML does not know.
        return path.read_text(encoding="utf-8-sig")
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


def _overlay(document: dict[str, Any], overrides: tuple[Override, ...]) -> dict[str, Any]:
    # An absent table is an empty one, so that a variable alone can fill it and its defaults see the file's folder.
    merged = {name: {} for name in tables(_Sections)} | document
    for one in overrides:
        if isinstance(merged[one.section], dict):  # anything else is a mistake of the file, reported as such
            merged[one.section] = {**merged[one.section], one.key: one.value}
    return merged
