"""The sections of a configuration, as frozen models: what each key may be, and what fits together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, TypeVar, cast

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from microconv.config.conversion_settings import ConversionConfig, unique_actions
from microconv.config.occurrences import Occurrences, Section
from microconv.config.problems import ItemError, nearest
from microconv.config.push_limits import Percent, PushGuards
from microconv.config.segment_rules import SegmentRule, resolved
from microconv.config.values import (
    Bytes,
    CloudName,
    Currency,
    DatasetName,
    Duration,
    Endpoint,
    EntryId,
    FileStem,
    Ga4Property,
    GlobInFolder,
    HostName,
    InFolder,
    Label,
    Lease,
    Length,
    Memory,
    Price,
    PropertyName,
    SafeEndpoint,
    Switch,
    TableName,
    TimeZone,
    as_list,
    unique,
    unique_names,
)
from microconv.errors import UsageError

Count = Literal["actors", "attempts", "sessions"]
Order = Literal["ordered", "strict", "immediate", "unordered"]
Entry = Literal["closed", "open"]
Excluded = Literal["stay", "leave"]
Touchpoint = Literal["channel_group", "source_medium", "campaign", "landing_page", "micro_conversion"]
Direct = Literal["keep", "drop_trailing", "drop"]
Model = Literal["first", "last", "last_non_direct", "linear", "time_decay", "position", "markov", "shapley"]
RULE_MODELS: tuple[Model, ...] = ("first", "last", "last_non_direct", "linear", "time_decay", "position")

DEFAULT_WINDOW = Duration.parse("7d")


class Period(Section):
    """Days of the property, both ends included; None is open."""

    since: date | None = Field(default=None, description="First day (YYYY-MM-DD).")
    until: date | None = Field(default=None, description="Last day (YYYY-MM-DD).")

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        if self.since is not None and self.until is not None and self.until < self.since:
            raise ItemError(f"is before since ({self.since}): swap the two days", ("until",))
        return self

    def holds(self, day: date) -> bool:
        """Tell whether the period has this day."""
        return (self.since or day) <= day <= (self.until or day)


class StepConfig(Occurrences):
    """A step of a funnel; an optional one may be left out on the way."""

    name: Label | None = None
    optional: Switch = False

    @property
    def label(self) -> str:
        """Its name, or what it takes."""
        return self.name or super().label


class ExclusionConfig(Occurrences):
    """What must not happen between two steps (numbers from 1), by default between the first and the last."""

    between: tuple[int, int] | None = None


class FunnelConfig(Section):
    """`[[funnels]]`: the steps, how they may follow each other and within what time, and what is counted."""

    renamed: ClassVar[Mapping[str, str]] = {"unit": "count"}

    name: FileStem = Field(description="the name used on the command line")
    steps: Annotated[tuple[StepConfig, ...], Field(min_length=2, description="micro-conversion ids, first step first")]
    count: Count = Field(default="actors", description="what is counted")
    order: Order = Field(default="ordered", description="how steps may follow each other")
    entry: Entry = Field(default="closed", description="whether to begin at the first step, or at any")
    window: Length = Field(default=DEFAULT_WINDOW, description="from the first step to the last, such as 7d")
    step_window: Length | None = Field(default=None, description="from each step to the next, instead of window")
    hold: Annotated[tuple[PropertyName, ...], BeforeValidator(as_list), AfterValidator(unique)] = Field(
        default=(), description="what stays the same all the way"
    )
    exclude: tuple[ExclusionConfig, ...] = ()
    excluded: Excluded = Field(
        default="stay", description="what becomes of who is excluded: counts up to there, or leaves the funnel"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> FunnelConfig:
        if self.step_window is not None and "window" in self.model_fields_set:
            raise ItemError("cannot be given beside window; keep one of the two", ("step_window",))
        for index in (0, len(self.steps) - 1):
            if self.steps[index].optional:
                raise ItemError(
                    "is true for the first or last step, which a funnel needs", ("steps", index, "optional")
                )
        for index, exclusion in enumerate(self.exclude):
            first, last = exclusion.between or (1, len(self.steps))
            if not 1 <= first < last <= len(self.steps):
                raise ItemError(
                    f"must be two steps of this funnel, the earlier first, from 1 to {len(self.steps)}",
                    ("exclude", index, "between"),
                )
        if self.excluded == "leave" and not self.exclude:
            raise ItemError('is "leave", and nothing is excluded: add exclude, or leave it out', ("excluded",))
        if self.order == "unordered":
            self._check_unordered()
        return self

    def _check_unordered(self) -> None:
        """Refuse what has no meaning where steps come in any order."""
        if self.entry == "open":
            raise ItemError('is "open", and an unordered funnel begins at any step anyhow', ("entry",))
        if self.step_window is not None:
            raise ItemError("needs an order of steps; give an unordered funnel a window", ("step_window",))
        if self.excluded == "leave":
            raise ItemError('is "leave", and needs an order of steps', ("excluded",))
        for index, step in enumerate(self.steps):
            if step.optional:
                raise ItemError("has no meaning in an unordered funnel", ("steps", index, "optional"))
        for index, exclusion in enumerate(self.exclude):
            if exclusion.between is not None:
                raise ItemError("needs an order of steps; leave it out", ("exclude", index, "between"))

    @model_serializer(mode="wrap")
    def _without_unused_window(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the window that step_window took the place of, so that what is written can be read again."""
        document: dict[str, Any] = handler(self)
        if self.step_window is not None:
            document.pop("window", None)
        return document

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the ids of its steps and exclusions."""
        for each in (*self.steps, *self.exclude):
            yield from ((entry, f'funnel "{self.name}"') for entry in each.did)

    @property
    def whole_window(self) -> Duration | None:
        """The time from the first step to the last; None where each step has its own time."""
        return self.window if self.step_window is None else None


def _sorted_windows(windows: tuple[Duration, ...]) -> tuple[Duration, ...]:
    return tuple(sorted(unique(windows)))


def _weights(weights: Sequence[float]) -> tuple[float, ...]:
    if min(weights) < 0 or abs(sum(weights) - 1) > 1e-9:  # noqa: PLR2004 - what is left of 1 by decimal fractions
        raise ValueError("must be three shares from 0 up that add up to 1")
    return tuple(weights)


_Share = Annotated[float, Field(allow_inf_nan=False, strict=True)]


class AttributionConfig(Section):
    """`[attribution]`: the goal to credit, the touchpoints, and the grid of windows (ascending) and models."""

    renamed: ClassVar[Mapping[str, str]] = {
        "conversion": "goal",
        "since": 'reset_after_conversion = true, where it was "last_conversion"',
    }

    goal: EntryId | None = Field(
        default=None,
        validation_alias=AliasChoices("goal", "conversion"),  # its former name, which configurations in use have
        description="the micro-conversion to credit; default: the first macro-conversion",
    )
    count: Literal["each", "actors", "sessions"] = Field(default="each", description="which conversions count")
    touchpoint: Touchpoint = Field(default="channel_group", description="what earns credit")
    micro_conversions: Annotated[tuple[EntryId, ...], AfterValidator(unique)] = Field(
        default=(), description='with touchpoint = "micro_conversion": which ones; default: all but the goal'
    )
    windows: Annotated[tuple[Length, ...], Field(min_length=1), AfterValidator(_sorted_windows)] = Field(
        default=(Duration.parse("1d"), Duration.parse("7d"), Duration.parse("30d")),
        description="a lookback window, such as 7d",
    )
    reset_after_conversion: Switch = Field(
        default=False, description="what an earlier conversion had behind it does not count again"
    )
    direct: Direct = Field(
        default="keep",
        description="what becomes of direct sessions: paths keep them, or drop those at the end, or all; "
        "a path of nothing else keeps them",
    )
    models: Annotated[tuple[Model, ...], Field(min_length=1), AfterValidator(unique)] = Field(
        default=(*RULE_MODELS, "markov", "shapley"), description="a model"
    )
    half_life: Length = Field(
        default=Duration.parse("7d"), description="of time_decay: a touchpoint this much older earns half the credit"
    )
    position_weights: Annotated[tuple[_Share, _Share, _Share], AfterValidator(_weights)] = (0.4, 0.2, 0.4)
    path: Literal["unique", "exposure", "first"] = Field(
        default="unique", description="which touches of a path markov looks at"
    )
    markov_order: int = Field(default=1, ge=1, le=3, strict=True, description="how many touches back markov remembers")
    self_loops: Switch = True
    shapley_game: Literal["conversions", "rate"] = Field(default="conversions", description="the game of shapley")
    spend_file: InFolder | None = None
    spend_table: TableName | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> AttributionConfig:
        if self.spend_file is not None and self.spend_table is not None:
            raise ItemError("cannot be given beside spend_file; keep one of the two", ("spend_table",))
        if self.micro_conversions and self.touchpoint != "micro_conversion":
            raise ItemError('is a key of touchpoint = "micro_conversion"', ("micro_conversions",))
        return self

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the goal and the touchpoints that are named."""
        if self.goal is not None:
            yield self.goal, "attribution.goal"
        yield from ((entry, "attribution.micro_conversions") for entry in self.micro_conversions)


Identifier = Literal["email", "phone", "user_id"]


class ProjectConfig(Section):
    """`[project]`: the property's reporting zone and currency, and the name reports carry.

    `assume_currency`: whether values that name no currency count as being in `currency`.
    """

    name: Label = "microconv"
    timezone: TimeZone = Field(description='the reporting time zone of the GA4 property, such as "Europe/Berlin"')
    currency: Currency = "USD"
    assume_currency: Switch = False


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
                raise ItemError(f'is not a key of kind = "{kind}"', (key,))


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
    own_hosts: Annotated[tuple[HostName, ...], BeforeValidator(as_list), AfterValidator(unique)] = ()
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
    lookback: Length = Duration.parse("90d")
    """How far back derived entries may look, through all that they are made of."""


class EventColumns(Section):
    """`columns` of `[[external_events]]`: what the columns of the table are called, where they have other names."""

    occurred_at: Label = "occurred_at"
    name: Label = "name"
    user_id: Label = "user_id"
    user_pseudo_id: Label = "user_pseudo_id"
    stream_id: Label = "stream_id"
    value: Label = "value"
    currency: Label = "currency"
    transaction_id: Label = "transaction_id"


class MetricColumns(Section):
    """`columns` of `[[external_metrics]]`: what the columns of the table are called, where they have other names."""

    day: Label = "day"
    name: Label = "name"
    value: Label = "value"
    dimension: Label = "dimension"


class ExternalTable(Section):
    """A table of another system: files (`path` is an absolute glob once loaded) or a table of the engine.

    `property` is the GA4 property that it belongs to; it may be left out where there is one.
    """

    name: FileStem = Field(description="what the table is called in findings and in the staged rows")
    path: GlobInFolder | None = Field(default=None, description='its files, such as "crm/stages_*.csv"')
    table: TableName | None = None

    @property
    def place(self) -> str:
        """Where it lies, as the configuration says."""
        return self.path or self.table or ""

    # After the use of `property` as a decorator, which it hides from here on.
    property: Label | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.path is None and self.table is None:
            raise ItemError('is required, or table: its files, such as "crm/stages_*.csv"', ("path",))
        if self.path is not None and self.table is not None:
            raise ItemError("cannot be given beside path; keep one of the two", ("table",))
        if self.path is not None and not self.path.lower().endswith((".csv", ".parquet")):
            raise ItemError("must end with .csv or .parquet", ("path",))
        return self


class ExternalEventsConfig(ExternalTable):
    """`[[external_events]]`: rows with a user or client, a moment and a name, which become occurrences.

    `event` is the name of all rows of a table without a column for it; `stream` the data stream of its client ids.
    """

    event: Label | None = None
    stream: Label | None = None
    columns: EventColumns = Field(default_factory=EventColumns)


class ExternalMetricsConfig(ExternalTable):
    """`[[external_metrics]]`: a value of each day; `metric` is its name where the table has no column for it."""

    metric: Label | None = None
    columns: MetricColumns = Field(default_factory=MetricColumns)


class SegmentConfig(Section):
    """`[[segments]]`: a named rule (`segment_rules.py`), the identifiers its members may be sent with, and where to."""

    name: FileStem = Field(description="the name used on the command line and in file names")
    rule: SegmentRule = Field(description='such as { did = "add_to_cart", within = "14d", not_did = "purchase" }')
    identity: Annotated[
        tuple[Identifier, ...], BeforeValidator(as_list), Field(min_length=1), AfterValidator(unique)
    ] = ("email",)
    held_for: Length | None = Field(
        default=None, description="how long a member stays at least, also when the rule no longer holds, such as 3d"
    )
    expires_after: Length | None = Field(
        default=None, description="how long a member stays at most, also when the rule still holds, such as 30d"
    )
    away_for: Length | None = Field(
        default=None, description="how long somebody who left cannot enter again, such as 14d"
    )
    route: Label | None = Field(
        default=None, description="segments of one route share nobody: each actor is in the first of them that fits"
    )
    priority: int | None = Field(
        default=None,
        ge=1,
        strict=True,
        description="its place when segments are looked at in order, 1 first; without one: after those that have one",
    )
    destinations: Annotated[tuple[FileStem, ...], BeforeValidator(as_list), AfterValidator(unique)] = Field(
        default=(), description="the destinations that `microconv push` sends it to"
    )
    push: PushGuards = Field(default_factory=PushGuards)

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the ids of the rule."""
        yield from ((entry, f'segment "{self.name}"') for entry, _ in self.rule.named())

    @model_validator(mode="after")
    def _can_be_held(self) -> Self:
        if self.held_for is not None and self.expires_after is not None and self.expires_after < self.held_for:
            raise ItemError("is shorter than held_for: make it longer, or held_for shorter", ("expires_after",))
        return self


class PushConfig(PushGuards):
    """`[push]`: what holds for everything that is sent: limits, and how long a push may take.

    `at_most` and `per` limit how often one person enters segments, counted over all of them.
    """

    max_delete_pct: Percent | None = Field(default=50.0, le=100)
    max_churn_pct: Percent | None = 100.0
    deadline: Length = Duration.parse("30m")
    at_most: int | None = Field(
        default=None, ge=1, strict=True, description="how many segments a person may enter in the time of `per`"
    )
    per: Length | None = Field(default=None, description="the time in which `at_most` is counted, such as 7d")

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        if self.per is not None and self.at_most is None:
            raise ItemError("is the time of at_most, which is not there: add at_most, or leave it out", ("per",))
        if self.at_most is not None and self.per is None:
            raise ItemError('needs the time in which it is counted: add per, such as "7d"', ("at_most",))
        return self


class DestinationConfig(Section):
    """`[[destinations]]`: where audiences go. Further keys belong to the kind, whose settings are a subclass."""

    model_config = ConfigDict(extra="allow")

    name: FileStem = Field(description="the name used on the command line")
    kind: Label = "file"
    max_age: Length = Field(
        default=Duration.parse("30d"), description="how long ago the latest event may be when an audience is sent"
    )
    push: PushGuards = Field(default_factory=PushGuards, description="limits of a push, other than those of [push]")

    def clash(self, other: DestinationConfig) -> str | None:  # noqa: ARG002 - others look at it
        """Return why it cannot stand beside an earlier destination, if so."""
        return None

    @field_validator("kind", mode="after")
    @classmethod
    def _is_known(cls, kind: str, info: ValidationInfo) -> str:
        settings_of: SettingsOf | None = (info.context or {}).get("destinations")
        try:
            if settings_of is not None:
                settings_of(kind)
        except UsageError as error:
            message = error.message[:1].lower() + error.message[1:].removesuffix(".")
            raise ValueError(f"cannot be used: {message}") from None
        return kind

    @model_validator(mode="wrap")
    @classmethod
    def _of_its_kind(cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:  # noqa: ANN401 - whatever the file holds
        settings_of: SettingsOf | None = (info.context or {}).get("destinations")
        settings = settings_model(value, settings_of) if cls is DestinationConfig and settings_of else cls
        if settings is cls:
            return handler(value)
        # Mistakes of its own keys are told together with all others.
        return cast("Self", settings.model_validate(value, context=info.context))


SettingsOf: TypeAlias = Callable[[str], type[DestinationConfig]]
"""Gives the settings of a kind of destination; UsageError says that there are none."""


def settings_model(entry: object, settings_of: SettingsOf) -> type[DestinationConfig]:
    """Return what checks an entry of `[[destinations]]`: the settings of its kind, if it has one that is known."""
    kind = entry.get("kind", DestinationConfig.model_fields["kind"].default) if isinstance(entry, Mapping) else None
    try:
        return settings_of(kind) if isinstance(kind, str) else DestinationConfig
    except UsageError:
        return DestinationConfig


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


class ReconcileConfig(Section):
    """`[audit.reconcile]`: the GA4 property that the export is held against, and how GA4's Data API is asked."""

    ga4_property: Ga4Property = Field(description='the number of the property in GA4, such as "123456789"')
    property: Label | None = None
    """Its label under [[sources]], where there are several."""
    credentials_file: InFolder | None = None
    days: int = Field(default=28, ge=3, le=366, strict=True)
    transport: Literal["grpc", "rest"] = "grpc"
    endpoint: SafeEndpoint | None = None
    timeout: Length = Duration.parse("60s")


class AuditConfig(Section):
    """`[audit]`: from which severity an audit stops a pipeline, and other thresholds than the checks' own.

    Which checks there are, and their thresholds, only the audit knows: it looks at these. `profile` stages mc_profile.
    """

    fail_on: Literal["error", "warning", "never"] = "error"
    thresholds: dict[str, dict[str, float]] = Field(default_factory=dict)
    profile: bool = Field(default=True, strict=True)
    reconcile: ReconcileConfig | None = None


ExternalTableT = TypeVar("ExternalTableT", bound=ExternalTable)


def _unique_places(sources: tuple[SourceConfig, ...]) -> tuple[SourceConfig, ...]:
    seen = set()
    for index, source in enumerate(sources):
        place = (source.property, source.path, source.project, source.dataset)
        if place in seen:
            key, what = ("path", "files") if source.kind == "files" else ("dataset", "tables")
            raise ItemError(f"reads the same {what} for the same property as an earlier source", (index, key))
        seen.add(place)
    return sources


def _unique_external_places(tables: tuple[ExternalTableT, ...]) -> tuple[ExternalTableT, ...]:
    seen = set()
    for index, each in enumerate(tables):
        if (place := (each.property, each.place)) in seen:
            key, what = ("path", "files") if each.table is None else ("table", "table")
            raise ItemError(f"reads the same {what} for the same property as an earlier entry", (index, key))
        seen.add(place)
    return tables


def _apart(destinations: tuple[DestinationConfig, ...]) -> tuple[DestinationConfig, ...]:
    for index, one in enumerate(destinations):
        for other in destinations[:index]:
            if clash := one.clash(other):
                raise ItemError(clash, (index,))
    return destinations


class Sections(Section):
    """What a configuration file holds."""

    project: ProjectConfig
    engine: EngineConfig = Field(default_factory=EngineConfig)
    sources: Annotated[
        tuple[SourceConfig, ...],
        Field(min_length=1, description="at least one [[sources]] with property, and path or dataset"),
        AfterValidator(_unique_places),
    ]
    external_events: Annotated[
        tuple[ExternalEventsConfig, ...], AfterValidator(unique_names), AfterValidator(_unique_external_places)
    ] = ()
    external_metrics: Annotated[
        tuple[ExternalMetricsConfig, ...], AfterValidator(unique_names), AfterValidator(_unique_external_places)
    ] = ()
    taxonomy: TaxonomyConfig = Field(default_factory=TaxonomyConfig)
    funnels: Annotated[tuple[FunnelConfig, ...], AfterValidator(unique_names)] = ()
    attribution: AttributionConfig = Field(default_factory=AttributionConfig)
    segments: Annotated[tuple[SegmentConfig, ...], AfterValidator(unique_names), AfterValidator(resolved)] = ()
    destinations: Annotated[tuple[DestinationConfig, ...], AfterValidator(unique_names), AfterValidator(_apart)] = ()
    conversions: Annotated[
        tuple[ConversionConfig, ...], AfterValidator(unique_names), AfterValidator(unique_actions)
    ] = ()
    push: PushConfig = Field(default_factory=PushConfig)
    identity: IdentityConfig = Field(default_factory=IdentityConfig)
    consent: ConsentConfig = Field(default_factory=ConsentConfig)
    audit: AuditConfig = Field(default_factory=AuditConfig)

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the ids that any section names."""
        for section in (*self.funnels, self.attribution, *self.segments, *self.conversions):
            yield from section.named()

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

    @field_validator("external_events", "external_metrics", mode="after")
    @classmethod
    def _of_a_property(cls, tables: tuple[ExternalTableT, ...], info: ValidationInfo) -> tuple[ExternalTableT, ...]:
        """Give each table its property: the only one, or that which it names."""
        if "sources" not in info.data:  # a mistake there is told already
            return tables
        known = sorted({source.property for source in info.data["sources"]})
        for index, each in enumerate(tables):
            if each.property is None and len(known) > 1:
                raise ItemError(f"is required where there are several: {', '.join(known)}", (index, "property"))
            if each.property is not None and each.property not in known:
                raise ItemError(f"is not a property of [[sources]]{nearest(each.property, known)}", (index, "property"))
        return tuple(each.model_copy(update={"property": each.property or known[0]}) for each in tables)

    @field_validator("segments", mode="after")
    @classmethod
    def _counts_in_its_currency(
        cls, segments: tuple[SegmentConfig, ...], info: ValidationInfo
    ) -> tuple[SegmentConfig, ...]:
        """Let totals of values count in the currency of the project."""
        project: ProjectConfig | None = info.data.get("project")
        if project is None:  # a mistake there is told already
            return segments
        assumed = project.currency if project.assume_currency else None
        return tuple(
            each.model_copy(update={"rule": each.rule.in_currency(project.currency, assumed)}) for each in segments
        )

    @model_validator(mode="after")
    def _sends_to_what_there_is(self) -> Self:
        known = [each.name for each in self.destinations]
        for index, segment in enumerate(self.segments):
            for place, name in enumerate(segment.destinations):
                if name not in known:
                    raise ItemError(
                        f"names no destination of [[destinations]]{nearest(name, known)}",
                        ("segments", index, "destinations", place),
                    )
        for index, conversion in enumerate(self.conversions):
            if conversion.destination not in known:
                raise ItemError(
                    f"names no destination of [[destinations]]{nearest(conversion.destination, known)}",
                    ("conversions", index, "destination"),
                )
        return self

    @field_validator("audit", mode="after")
    @classmethod
    def _reconciles_a_property(cls, audit: AuditConfig, info: ValidationInfo) -> AuditConfig:
        """Give the reconciliation its property: the only one, or that which it names."""
        if audit.reconcile is None or "sources" not in info.data:
            return audit
        known = sorted({source.property for source in info.data["sources"]})
        label = audit.reconcile.property
        if label is None and len(known) > 1:
            raise ItemError(f"is required where there are several: {', '.join(known)}", ("reconcile", "property"))
        if label is not None and label not in known:
            raise ItemError(f"is not a property of [[sources]]{nearest(label, known)}", ("reconcile", "property"))
        return audit.model_copy(
            update={"reconcile": audit.reconcile.model_copy(update={"property": label or known[0]})}
        )


class Config(Sections):
    """The whole configuration; paths are absolute, and `file` is where it was read from."""

    file: Path
