"""The Python face of the product: one object that does what the command line does."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from microconv.config.load import find_named, load_config
from microconv.config.sections import (
    AttributionConfig,
    Config,
    DestinationConfig,
    FunnelConfig,
    SegmentConfig,
    SourceConfig,
)
from microconv.errors import SourceError
from microconv.taxonomy import Taxonomy, load_taxonomy
from microconv.version import __version__

if TYPE_CHECKING:
    from microconv.activation.destinations.file import ExportResult
    from microconv.analyses.attribution.results import AttributionResult
    from microconv.analyses.attribution.stability import StabilityResult
    from microconv.analyses.channels import ChannelResult
    from microconv.analyses.funnels import Selection
    from microconv.analyses.funnels.asking import Funnels
    from microconv.analyses.funnels.results import FunnelResult
    from microconv.analyses.paths import PathsQuestion
    from microconv.analyses.paths.discovery import DiscoveryResult
    from microconv.analyses.paths.results import PathsResult
    from microconv.audit.coverage import CoverageResult
    from microconv.clients.bigquery import Connection
    from microconv.engines.base import Engine
    from microconv.exports import Source
    from microconv.queries.templates import Query
    from microconv.questions import Question
    from microconv.report.data import ReportData
    from microconv.result import Result
    from microconv.segments.members import Member
    from microconv.staging import Estimate, Plan, Progress, Scope, SyncResult
    from microconv.staging.rules import Rules
    from microconv.staging.runs import Run, RunDetails
    from microconv.staging.summary import StagedSummary


class Project:
    """A configuration with its taxonomy and engine. Use it as a context manager: an open engine holds a lock.

    Results are the frozen classes of `microconv.analyses.result`; each has `document()` and `to_pandas()`.

    Examples:
        >>> with Project.load(Path("microconv.toml")) as project:  # doctest: +SKIP
        ...     project.sync()
        ...     project.funnel("purchase_journey").to_pandas()
    """

    def __init__(self, config: Config, *, patience_seconds: float | None = None) -> None:
        """Take a configuration; nothing is opened before it is needed.

        `patience_seconds` is how long a call of BigQuery is tried again while it fails; None is as long as a sync does.
        """
        self.config = config
        self._patience_seconds = patience_seconds

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Load a configuration file, or the default one, with overrides from the environment.

        Raises:
            ConfigError: the file is missing or wrong.
        """
        return cls(load_config(path, dict(os.environ)))

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy: preset and file of the configuration."""
        return load_taxonomy(preset=self.config.taxonomy.preset, file=self.config.taxonomy.file)

    @cached_property
    def rules(self) -> Rules:
        """What decides staged rows beside the shards: the taxonomy, and the properties carried."""
        from microconv.staging.rules import Rules

        return Rules.of(self.config, self.taxonomy)

    @cached_property
    def connection(self) -> Connection:
        """The way to BigQuery, for an engine or a source there; nothing is asked before it is used."""
        from microconv.clients import retries
        from microconv.clients.bigquery import Connection, Endpoints

        settings = self.config.engine
        endpoints = Endpoints.choose(
            settings.api_endpoint, settings.storage_endpoint, anonymous=settings.anonymous, environ=os.environ
        )
        project = settings.project
        if project is None and endpoints.is_anonymous:  # without credentials nobody else names one
            project = next((each.project for each in self.config.sources if each.project), None)
        retrying = retries.policy(self._patience_seconds or retries.DEADLINE_SECONDS)
        return Connection(project, location=settings.location, endpoints=endpoints, retrying=retrying)

    @cached_property
    def engine(self) -> Engine:
        """The engine, opened on first use.

        Raises:
            LockedError: another run has the database open.
            EngineError: it cannot be opened.
        """
        settings = self.config.engine
        if settings.kind == "duckdb":
            from microconv.engines.duckdb import DuckDBEngine

            return DuckDBEngine(settings.path, memory_limit=settings.memory_limit, threads=settings.threads)
        from microconv.engines.bigquery import BigQueryEngine

        return BigQueryEngine(
            self.connection,
            dataset=settings.dataset or "",
            exports=[(each.project or "", each.dataset or "") for each in self.config.sources],
            maximum_bytes_billed=settings.maximum_bytes_billed,
            maximum_bytes_per_run=settings.maximum_bytes_per_run,
            lease_seconds=settings.lease.seconds,
        )

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """Where the exports lie, as configured; nothing is read yet."""
        return tuple(self._source(each) for each in self.config.sources)

    def _source(self, settings: SourceConfig) -> Source:
        from microconv.exports import FileSource
        from microconv.staging.properties import carried, leaves

        wanted = leaves(carried(self.config))
        if settings.kind == "files":
            return FileSource(settings.property, settings.path or "", settings.daily_cap, wanted)
        from microconv.exports.pull import PulledSource
        from microconv.exports.table_source import TableSource

        source = TableSource(
            settings.property,
            self.connection,
            settings.project or "",
            settings.dataset or "",
            settings.daily_cap,
            wanted,
        )
        return PulledSource(source, settings.cache) if self.config.engine.kind == "duckdb" else source

    @cached_property
    def _staged(self) -> Engine:
        """The engine, once it is known to hold staged tables."""
        engine = self._engine_if_there
        if engine is None or engine.version("mc_shards") is None:
            settings = self.config.engine
            place = settings.path if settings.kind == "duckdb" else f"{settings.project}.{settings.dataset}"
            raise SourceError(f"Nothing is staged yet in {place}.", hint="Run `microconv sync` first.")
        return engine

    def sync(
        self,
        scope: Scope | None = None,
        *,
        on_progress: Callable[[Progress], None] = lambda _: None,
        on_notice: Callable[[str, str], None] = lambda _message, _run_id: None,
    ) -> SyncResult:
        """Stage what changed, of all days or of those in the scope; see `microconv.staging.sync`."""
        from microconv.staging import Scope, sync

        return sync(
            self.engine,
            self.sources,
            self.config,
            self.taxonomy,
            scope=scope or Scope(),
            on_progress=on_progress,
            on_notice=on_notice,
        )

    def plan(self, scope: Scope | None = None) -> Plan:
        """Say which days a sync would stage, and why; nothing is written, and nothing but metadata is read."""
        from microconv.staging import Scope, find_shards, plan

        asked = scope or Scope()
        return plan(self._engine_if_there, find_shards(self.sources, asked), self.rules, asked)

    def estimate(self, scope: Scope | None = None) -> Estimate:
        """Say what a sync would be billed; nothing is written or billed."""
        from microconv.staging import Scope, estimate, find_shards, plan

        asked = scope or Scope()
        shards = find_shards(self.sources, asked)
        engine = self._engine_if_there
        return estimate(engine, plan(engine, shards, self.rules, asked), shards, self.rules)

    @property
    def _engine_if_there(self) -> Engine | None:
        """The engine, unless opening it would create a database: a question leaves nothing behind."""
        settings = self.config.engine
        return self.engine if settings.kind == "bigquery" or settings.path.exists() else None

    def summary(self) -> StagedSummary:
        """Count what is staged."""
        from microconv.staging.summary import summary

        return summary(self._staged)

    @property
    def funnels(self) -> Funnels:
        """Every question about funnels: `project.funnels.times("checkout")`; see `Funnels`."""
        from microconv.analyses.funnels.asking import Funnels

        return Funnels(lambda: self._staged, self.config, self.taxonomy)

    def funnel(self, funnel: str | FunnelConfig, selection: Selection | None = None) -> FunnelResult:
        """Count a funnel of the configuration, by its name, or one made on the spot; see `Funnels.count`."""
        from microconv.analyses.funnels import Selection

        return self.funnels.count(funnel, selection or Selection())

    def segment_config(self, name: str) -> SegmentConfig:
        """Return a segment of the configuration; UsageError when there is none of that name."""
        return find_named(self.config.segments, name, "segment")

    def paths(self, question: PathsQuestion | None = None) -> PathsResult:
        """Show the ways to or from a point; see `microconv.analyses.paths.paths`.

        Raises:
            TaxonomyError: the question names no micro-conversion of the taxonomy.
        """
        from microconv.analyses.paths import PathsQuestion, paths

        return paths(self._staged, question or PathsQuestion(), self.taxonomy)

    def discover(self, goal: str | None = None, **how: Any) -> DiscoveryResult:  # noqa: ANN401 - as `discover` takes them
        """Propose a funnel that leads to a goal; see `microconv.analyses.paths.discovery.discover`.

        Raises:
            TaxonomyError: the goal is no micro-conversion of the taxonomy.
        """
        from microconv.analyses.paths.discovery import discover

        return discover(self._staged, self.taxonomy, goal, **how)

    def save(self, result: Result, question: Mapping[str, object]) -> str:
        """Keep a result in the engine, with what was asked; see `microconv.analyses.saving.save`."""
        from microconv.analyses.saving import save

        return save(self._staged, result, question)

    def attribution(
        self, config: AttributionConfig | None = None, *, since: date | None = None, until: date | None = None
    ) -> AttributionResult:
        """Credit touchpoints for a conversion, by each model and lookback window; see `microconv.analyses.attribution`.

        Args:
            config: What to ask instead of what the configuration says.
            since: The first of the property's days whose conversions are credited.
            until: The last.
        """
        from microconv.analyses.attribution import attribution

        asked = config or self.config.attribution
        return attribution(self._staged, asked, self.taxonomy, since=since, until=until)

    def compare_attribution(
        self, config: AttributionConfig | None = None, *, since: date | None = None, until: date | None = None
    ) -> StabilityResult:
        """Say how far the shares of touchpoints move between models, windows and weeks, and by chance."""
        from microconv.analyses.attribution.comparison import compare

        return compare(self._staged, config or self.config.attribution, self.taxonomy, since=since, until=until)

    def channels(self) -> ChannelResult:
        """Count sessions by default channel group."""
        from microconv.analyses.channels import channels

        return channels(self._staged)

    def coverage(self) -> CoverageResult:
        """Count every micro-conversion of the taxonomy by day, and find outages."""
        from microconv.audit.coverage import coverage

        return coverage(self._staged, self.taxonomy)

    def members(self, segment_name: str, *, as_of: datetime | None = None) -> tuple[Member, ...]:
        """List the members of a segment at a moment, by default that of the latest staged event.

        Raises:
            UsageError: the configuration has no segment of that name.
        """
        segment = self.segment_config(segment_name)
        return self._members(segment, as_of or self.default_as_of())

    def default_as_of(self) -> datetime:
        """Return the moment of the latest staged event (UTC)."""
        from microconv.segments import members

        latest = members.default_as_of(self._staged)
        if latest is None:
            raise SourceError("No events are staged, so no segment can be built.", hint="Run `microconv sync` first.")
        return latest

    def _members(self, segment: SegmentConfig, as_of: datetime) -> tuple[Member, ...]:
        from microconv.segments import members

        return members.members(self._staged, segment, self.taxonomy, as_of)

    def export(
        self,
        segment_name: str,
        destination_name: str,
        *,
        as_of: datetime | None = None,
        allow_shrink: bool = False,
        dry_run: bool = False,
    ) -> ExportResult:
        """Write a segment's audience to a destination; see `microconv.activation.destinations.file.export_audience`.

        Raises:
            UsageError: the configuration has no such segment or destination.
            ConfigError: there is no identity or consent table: nobody may be sent without consent.
            FindingsError: a guard stopped the export.
            DestinationError: the files could not be written.
        """
        from microconv.activation.audience.first_party import read_consent, read_identity
        from microconv.activation.destinations.file import export_audience

        segment = self.segment_config(segment_name)
        destination: DestinationConfig = find_named(self.config.destinations, destination_name, "destination")
        people = read_identity(self.config.identity, self._staged, self.config.file)
        consents = read_consent(self.config.consent, self._staged, self.config.file)
        moment = as_of or self.default_as_of()
        summary = self.summary()
        now = datetime.now(tz=UTC)
        return export_audience(
            self._members(segment, moment),
            people,
            consents,
            segment=segment.name,
            format=destination.format,
            folder=destination.path,
            identity=segment.identity,
            run_id=f"{now:%Y%m%dT%H%M%SZ}-export",
            now=now,
            lineage={
                "rule": {**dict(segment.rule), "within": str(segment.rule.within)},
                "as_of": moment,
                "taxonomy": f"{self.taxonomy.name} {self.taxonomy.version}",
                "taxonomy_fingerprint": self.taxonomy.fingerprint,
                "first_date": summary.first_date,
                "last_date": summary.last_date,
                "version": __version__,
            },
            destination=destination.name,
            allow_shrink=allow_shrink,
            dry_run=dry_run,
        )

    def report_data(self) -> ReportData:
        """Compute everything the report shows."""
        from microconv.report.data import ReportData

        counted = self.taxonomy.ids
        return ReportData(
            project_name=self.config.project.name,
            timezone=self.config.project.timezone,
            currency=self.config.project.currency,
            generated_at=datetime.now(tz=UTC),
            version=__version__,
            summary=self.summary(),
            funnels=tuple(self.funnel(funnel.name) for funnel in self.config.funnels),
            attribution=self.attribution() if self.config.attribution.conversion in counted else None,
            coverage=self.coverage(),
            channels=self.channels(),
        )

    def report(self, path: Path) -> Path:
        """Write the report, one self-contained HTML page.

        Raises:
            DestinationError: the page could not be written.
        """
        from microconv.report import write_report

        return write_report(self.report_data(), path)

    def runs(self, *, limit: int = 20, status: str | None = None) -> tuple[Run, ...]:
        """List runs, the latest first; see `microconv.staging.runs.list_runs`."""
        from microconv.staging.runs import list_runs

        return list_runs(self._staged, limit=limit, status=status)

    def run(self, run_id: str) -> RunDetails:
        """Return a run by its id, its beginning or `latest`; see `microconv.staging.runs.find_run`."""
        from microconv.staging.runs import find_run

        return find_run(self._staged, run_id)

    def questions(self, template: str) -> tuple[Question, ...]:
        """Return the queries that this configuration makes of a template; see `microconv.questions.questions`."""
        from microconv.questions import questions

        return questions(template, self.config, self.taxonomy)

    def estimate_query(self, query: Query) -> int | None:
        """Return the bytes that one query would be billed for, without running it; None where nothing is billed."""
        return self._staged.estimate(query) if self.config.engine.kind == "bigquery" else None

    def close(self) -> None:
        """Close the engine, if it was opened."""
        self.__dict__.pop("_staged", None)
        self.__dict__.pop("sources", None)
        for name in ("engine", "connection"):
            opened = self.__dict__.pop(name, None)
            if opened is not None:
                opened.close()

    def __enter__(self) -> Self:
        """Return the project itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()
