"""The sections of a configuration, as frozen models: what each key may be, and what fits together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from microconv.config.attribution_settings import AttributionConfig
from microconv.config.conversion_settings import ConversionConfig, unique_actions
from microconv.config.destination_settings import DestinationConfig, told_apart
from microconv.config.experiment_settings import ExperimentConfig
from microconv.config.external_settings import (
    ExternalEventsConfig,
    ExternalMetricsConfig,
    ExternalTableT,
    unique_places_of_external_tables,
)
from microconv.config.funnel_settings import FunnelConfig
from microconv.config.guardrail_settings import EthicsConfig, GuardrailConfig, GuardrailNames, unknown_guardrail
from microconv.config.occurrences import Section
from microconv.config.priority_settings import PrioritizeConfig
from microconv.config.problems import ItemError, nearest
from microconv.config.push_limits import Percent, PushGuards
from microconv.config.report_settings import ReportConfig
from microconv.config.segment_rules import resolved
from microconv.config.segment_settings import SegmentConfig
from microconv.config.values import (
    Bytes,
    CloudName,
    Currency,
    DatasetName,
    Duration,
    Endpoint,
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
    guardrails: GuardrailNames = Field(default=(), description="the guardrails that must hold before anything is sent")

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        if self.per is not None and self.at_most is None:
            raise ItemError("is the time of at_most, which is not there: add at_most, or leave it out", ("per",))
        if self.at_most is not None and self.per is None:
            raise ItemError('needs the time in which it is counted: add per, such as "7d"', ("at_most",))
        return self


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


def _unique_places(sources: tuple[SourceConfig, ...]) -> tuple[SourceConfig, ...]:
    seen = set()
    for index, source in enumerate(sources):
        place = (source.property, source.path, source.project, source.dataset)
        if place in seen:
            key, what = ("path", "files") if source.kind == "files" else ("dataset", "tables")
            raise ItemError(f"reads the same {what} for the same property as an earlier source", (index, key))
        seen.add(place)
    return sources


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
        tuple[ExternalEventsConfig, ...], AfterValidator(unique_names), AfterValidator(unique_places_of_external_tables)
    ] = ()
    external_metrics: Annotated[
        tuple[ExternalMetricsConfig, ...],
        AfterValidator(unique_names),
        AfterValidator(unique_places_of_external_tables),
    ] = ()
    taxonomy: TaxonomyConfig = Field(default_factory=TaxonomyConfig)
    funnels: Annotated[tuple[FunnelConfig, ...], AfterValidator(unique_names)] = ()
    attribution: AttributionConfig = Field(default_factory=AttributionConfig)
    segments: Annotated[tuple[SegmentConfig, ...], AfterValidator(unique_names), AfterValidator(resolved)] = ()
    destinations: Annotated[
        tuple[DestinationConfig, ...], AfterValidator(unique_names), AfterValidator(told_apart)
    ] = ()
    conversions: Annotated[
        tuple[ConversionConfig, ...], AfterValidator(unique_names), AfterValidator(unique_actions)
    ] = ()
    experiments: Annotated[tuple[ExperimentConfig, ...], AfterValidator(unique_names)] = ()
    guardrails: Annotated[tuple[GuardrailConfig, ...], AfterValidator(unique_names)] = ()
    push: PushConfig = Field(default_factory=PushConfig)
    ethics: EthicsConfig = Field(default_factory=EthicsConfig)
    identity: IdentityConfig = Field(default_factory=IdentityConfig)
    consent: ConsentConfig = Field(default_factory=ConsentConfig)
    audit: AuditConfig = Field(default_factory=AuditConfig)
    report: ReportConfig = Field(default_factory=ReportConfig)
    prioritize: PrioritizeConfig = Field(default_factory=PrioritizeConfig)

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the ids that any section names."""
        for section in (
            *self.funnels,
            self.attribution,
            *self.segments,
            *self.conversions,
            *self.guardrails,
            *self.experiments,
            self.prioritize,
        ):
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

    @model_validator(mode="after")
    def _names_guardrails_there_are(self) -> Self:
        known = [each.name for each in self.guardrails]
        naming: list[tuple[tuple[str | int, ...], tuple[str, ...]]] = [
            *((("segments", index, "guardrails"), each.guardrails) for index, each in enumerate(self.segments)),
            *((("conversions", index, "guardrails"), each.guardrails) for index, each in enumerate(self.conversions)),
            *((("experiments", index, "must_hold"), each.must_hold) for index, each in enumerate(self.experiments)),
            (("push", "guardrails"), self.push.guardrails),
        ]
        for place, names in naming:
            for index, name in enumerate(names):
                if name not in known:
                    raise ItemError(unknown_guardrail(name, known), (*place, index))
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
