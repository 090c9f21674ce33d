"""Configuration: one TOML file and environment overrides, read into frozen models."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from microconv.config_analyses import AttributionConfig, FunnelConfig, Section
from microconv.config_errors import ItemError, Override, explain, paragraph, split_overrides, tables
from microconv.config_values import (
    Bytes,
    CloudName,
    Currency,
    DatasetName,
    Duration,
    Endpoint,
    EntryId,
    FileStem,
    GlobInFolder,
    InFolder,
    Label,
    Lease,
    Length,
    Memory,
    Price,
    PropertyName,
    Switch,
    TableName,
    TimeZone,
    as_list,
    check_currency,
    check_label,
    check_timezone,
    unique,
    unique_names,
)
from microconv.errors import ConfigError, UsageError

__all__ = [
    "DEFAULT_FILE",
    "PATH_VARIABLE",
    "AttributionConfig",
    "Config",
    "ConsentConfig",
    "DestinationConfig",
    "Duration",
    "EngineConfig",
    "FunnelConfig",
    "IdentityConfig",
    "PeopleTable",
    "ProjectConfig",
    "SegmentConfig",
    "SegmentRule",
    "SourceConfig",
    "TaxonomyConfig",
    "check_currency",
    "check_label",
    "check_timezone",
    "find_named",
    "load_config",
]

DEFAULT_FILE = "microconv.toml"
PATH_VARIABLE = "MICROCONV_CONFIG"

Identifier = Literal["email", "phone", "user_id"]


class ProjectConfig(Section):
    """`[project]`: the property's reporting zone and currency, and the name reports carry."""

    name: Label = "microconv"
    timezone: TimeZone = Field(description='the reporting time zone of the GA4 property, such as "Europe/Berlin"')
    currency: Currency = "USD"


_DUCKDB_KEYS = ("path", "memory_limit", "threads")
_BIGQUERY_KEYS = ("dataset", "maximum_bytes_billed", "lease")
_FILES_KEYS = ("path",)
_TABLES_KEYS = ("project", "dataset", "cache")


class _Kinds(Section):
    """A section whose `kind` decides which keys it has."""

    def _check_kind(self, kind: str, *, needs: tuple[str, ...], others: tuple[str, ...]) -> None:
        for key in needs:
            if getattr(self, key) is None:
                meaning = type(self).model_fields[key].description
                raise ItemError(f'is required with kind = "{kind}": {meaning}', (key,))
        for key in others:
            if key in self.model_fields_set:
                raise ItemError(f'is no key of kind = "{kind}"', (key,))


class EngineConfig(_Kinds):
    """`[engine]`: where the staged tables live, what they may use of the machine, and what BigQuery may cost."""

    kind: Literal["duckdb", "bigquery"] = "duckdb"
    path: InFolder = Path("microconv.duckdb")
    memory_limit: Memory = "1GB"
    threads: int | None = Field(default=None, ge=1, le=256, strict=True)
    project: CloudName | None = Field(default=None, description="the Google Cloud project that pays for the queries")
    dataset: DatasetName | None = Field(default=None, description="the dataset of the staged tables, in that project")
    location: CloudName | None = None
    maximum_bytes_billed: Bytes | None = None
    maximum_bytes_per_run: Bytes | None = None
    price_per_tib: Price = 6.25
    read_price_per_tib: Price = 1.1
    lease: Lease = Duration.parse("30m")
    api_endpoint: Endpoint | None = None
    storage_endpoint: Endpoint | None = None
    anonymous: Switch = False

    @model_validator(mode="after")
    def _fits_kind(self) -> EngineConfig:
        if self.kind == "duckdb":
            self._check_kind("duckdb", needs=(), others=_BIGQUERY_KEYS)
        else:
            self._check_kind("bigquery", needs=("project", "dataset"), others=_DUCKDB_KEYS)
        return self


class SourceConfig(_Kinds):
    """`[[sources]]`: the export of one GA4 property: files (`path` is an absolute glob once loaded) or a dataset."""

    property: Label = Field(description="the label of the GA4 property, for instance its number")
    kind: Literal["files", "bigquery"] = "files"
    path: GlobInFolder | None = Field(
        default=None, description='the shards of the export, such as "exports/events_*.parquet"'
    )
    project: CloudName | None = Field(default=None, description="the Google Cloud project that holds the export")
    dataset: DatasetName | None = Field(default=None, description='the export, such as "analytics_123456789"')
    daily_cap: int = Field(default=1_000_000, ge=0, strict=True)
    cache: InFolder = Path("pulled")

    @model_validator(mode="after")
    def _fits_kind(self) -> SourceConfig:
        if self.kind == "files":
            self._check_kind("files", needs=("path",), others=_TABLES_KEYS)
        else:
            self._check_kind("bigquery", needs=("project", "dataset"), others=_FILES_KEYS)
        return self


class TaxonomyConfig(Section):
    """`[taxonomy]`: the preset, the file that extends or overrides it, and properties that occurrences carry.

    Those that funnels name are carried without being listed in `carry`.
    """

    preset: Label = "ecommerce"
    file: InFolder | None = None
    carry: Annotated[tuple[PropertyName, ...], BeforeValidator(as_list), AfterValidator(unique)] = ()


class SegmentRule(Section):
    """Actors who did `did` at least `at_least` times within the last `within`, and not `not_did` in that time."""

    did: EntryId = Field(description="the id of a micro-conversion")
    at_least: int = Field(default=1, ge=1, strict=True)
    within: Length = Field(description='how far back to look, such as "14d"')
    not_did: EntryId | None = None

    @model_validator(mode="after")
    def _can_hold(self) -> SegmentRule:
        if self.did == self.not_did:
            raise ItemError("is the same micro-conversion as did, so nobody can be in the segment", ("not_did",))
        return self


class SegmentConfig(Section):
    """`[[segments]]`: a named rule, and the identifiers its members may be exported with."""

    name: FileStem = Field(description="the name used on the command line and in file names")
    rule: SegmentRule = Field(description='such as { did = "add_to_cart", within = "14d", not_did = "purchase" }')
    identity: Annotated[
        tuple[Identifier, ...], BeforeValidator(as_list), Field(min_length=1), AfterValidator(unique)
    ] = ("email",)


class DestinationConfig(Section):
    """`[[destinations]]`: where audiences go; `path` is a folder."""

    name: FileStem = Field(description="the name used on the command line")
    kind: Literal["file"] = "file"
    format: Literal["google_ads", "csv", "jsonl"] = Field(description='"google_ads", "csv" or "jsonl"')
    path: InFolder = Path("exports")


class PeopleTable(Section):
    """`[identity]` or `[consent]`: a file (CSV or Parquet) or a table of the engine, or neither."""

    file: InFolder | None = None
    table: TableName | None = None

    @model_validator(mode="after")
    def _one_place(self) -> PeopleTable:
        if self.file is not None and self.table is not None:
            raise ItemError("cannot be given beside file; keep one of the two", ("table",))
        return self


class IdentityConfig(PeopleTable):
    """`[identity]`: user_id, email, phone, first_name, last_name, country, postal_code."""


class ConsentConfig(PeopleTable):
    """`[consent]`: user_id, ad_user_data, ad_personalization (granted or denied), changed_at (ISO timestamp)."""


def _unique_places(sources: tuple[SourceConfig, ...]) -> tuple[SourceConfig, ...]:
    def place(source: SourceConfig) -> tuple[str | None, ...]:
        return (source.property, source.path, source.project, source.dataset)

    for index, source in enumerate(sources):
        if any(place(source) == place(other) for other in sources[:index]):
            key, what = ("path", "files") if source.kind == "files" else ("dataset", "tables")
            raise ItemError(f"reads the same {what} for the same property as an earlier source", (index, key))
    return sources


def _separate_files(destinations: tuple[DestinationConfig, ...]) -> tuple[DestinationConfig, ...]:
    for index, one in enumerate(destinations):
        if any((one.format, one.path) == (other.format, other.path) for other in destinations[:index]):
            raise ItemError("writes the same files as an earlier destination; change its path or format", (index,))
    return destinations


class _Sections(Section):
    project: ProjectConfig
    engine: EngineConfig = Field(default_factory=EngineConfig)
    sources: Annotated[
        tuple[SourceConfig, ...],
        Field(min_length=1, description="at least one [[sources]] with property, and path or dataset"),
        AfterValidator(_unique_places),
    ]
    taxonomy: TaxonomyConfig = Field(default_factory=TaxonomyConfig)
    funnels: Annotated[tuple[FunnelConfig, ...], AfterValidator(unique_names)] = ()
    attribution: AttributionConfig = Field(default_factory=AttributionConfig)
    segments: Annotated[tuple[SegmentConfig, ...], AfterValidator(unique_names)] = ()
    destinations: Annotated[
        tuple[DestinationConfig, ...], AfterValidator(unique_names), AfterValidator(_separate_files)
    ] = ()
    identity: IdentityConfig = Field(default_factory=IdentityConfig)
    consent: ConsentConfig = Field(default_factory=ConsentConfig)

    @field_validator("sources", mode="after")
    @classmethod
    def _engine_reads_sources(cls, sources: tuple[SourceConfig, ...], info: ValidationInfo) -> tuple[SourceConfig, ...]:
        engine: EngineConfig | None = info.data.get("engine")
        for index, source in enumerate(sources):
            if engine is not None and engine.kind == "bigquery" and source.kind == "files":
                raise ItemError(
                    'is "files", which the engine bigquery cannot read: load them into a dataset '
                    '(`bq load`), or use kind = "duckdb" under [engine]',
                    (index, "kind"),
                )
        return sources


class Config(_Sections):
    """The whole configuration; paths are absolute, and `file` is where it was read from."""

    file: Path


class _Named(Protocol):
    @property
    def name(self) -> str: ...


NamedT = TypeVar("NamedT", bound=_Named)


def find_named(items: Sequence[NamedT], name: str, what: str) -> NamedT:
    """Return the entry of that name; UsageError says which there are. `what` is the singular of their section."""
    for item in items:
        if item.name == name:
            return item
    known = ", ".join(item.name for item in items) or "none"
    raise UsageError(
        f"The configuration has no {what} named {name!r}.", hint=f"It has: {known}. Add one under [[{what}s]]."
    )


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
