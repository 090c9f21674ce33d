"""The Python face of the product: one object that does what the command line does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast
from zoneinfo import ZoneInfo

from microconv import catalogue, wording
from microconv.catalogue import QUESTIONS, name_of, queries_of, question_class, questions_of
from microconv.config.load import find_named, load_config
from microconv.config.sections import Config, SourceConfig
from microconv.errors import EngineError, SourceError, TaxonomyError, UsageError
from microconv.taxonomy import Effect, Taxonomy, TaxonomyDifference, load_taxonomy
from microconv.version import __version__

if TYPE_CHECKING:  # each is loaded by who asks for it
    from microconv.activation.conversions.sending_conversions import Conversions
    from microconv.activation.destinations.base import Destination
    from microconv.activation.export import ExportResult
    from microconv.activation.push.erasing import ErasureResult
    from microconv.activation.push.explaining import Explanation
    from microconv.activation.push.pushes import Pushes
    from microconv.activation.segment_audience import SegmentAudiences
    from microconv.analyses.attribution.credits import AttributionResult
    from microconv.analyses.attribution.stability import StabilityResult
    from microconv.analyses.channels import ChannelsResult
    from microconv.analyses.funnels.breakdown import FunnelBreakdownResult
    from microconv.analyses.funnels.comparison import FunnelComparisonResult
    from microconv.analyses.funnels.counts import FunnelResult
    from microconv.analyses.funnels.drop_off import FunnelDropOffResult
    from microconv.analyses.funnels.times import FunnelTimesResult
    from microconv.analyses.funnels.trend import FunnelTrendResult
    from microconv.analyses.paths.discovery import DiscoveryResult
    from microconv.analyses.paths.path_questions import PathsResult
    from microconv.audit.audit_findings import AuditResult, FailOn
    from microconv.audit.checks import Check
    from microconv.audit.coverage import CoverageResult
    from microconv.audit.kept_findings import KeptFinding
    from microconv.audit.suggestions import SuggestionsResult
    from microconv.audit.tracking_audit import AuditProgress
    from microconv.clients.bigquery_connection import Connection
    from microconv.engines.base import Engine
    from microconv.engines.bigquery import BigQueryEngine
    from microconv.engines.looking import Looked
    from microconv.exports import Shard, Source
    from microconv.findings import Finding
    from microconv.queries.templates import Query
    from microconv.question import Context, Question
    from microconv.report.data import ReportData
    from microconv.report.dictionary import Dictionary
    from microconv.result import Result
    from microconv.segments.builds import Build, Change, SegmentDaysResult
    from microconv.segments.members import Member
    from microconv.segments.overlap import SegmentOverlapResult
    from microconv.segments.rules_in_words import SegmentsInWords
    from microconv.staging import Estimate, Progress, Scope, SyncPlan, SyncResult
    from microconv.staging.external_plan import ExternalPlan
    from microconv.staging.restaging import Restaging
    from microconv.staging.rules import Rules
    from microconv.staging.runs import RunDetails, RunsResult
    from microconv.staging.summary import StagedSummary


class Project:
    """A configuration with its taxonomy and engine. Use it as a context manager: an open engine holds a lock.

    Results are frozen, as `microconv.result` says; each has `document()` and `to_pandas()`.

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
    def load(cls, path: Path | str | None = None) -> Self:
        """Load a configuration file, or the default one, with overrides from the environment.

        Raises:
            ConfigError: the file is missing or wrong.
        """
        file = None if path is None else Path(path)
        return cls(load_config(file, dict(os.environ), catalogue.destination_settings))

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy: preset and file of the configuration, which names nothing that it does not have.

        Raises:
            TaxonomyError: it cannot be used, or lacks what the configuration names.
        """
        taxonomy = self.taxonomy_as_it_is
        taxonomy.check_names(self.config.named())
        return taxonomy

    @property
    def taxonomy_as_it_is(self) -> Taxonomy:
        """The taxonomy, whether or not the configuration names entries that it does not have.

        Raises:
            TaxonomyError: it cannot be loaded.
        """
        configured = self.config.taxonomy
        return load_taxonomy(preset=configured.preset, file=configured.file, lookback=configured.lookback)

    @cached_property
    def rules(self) -> Rules:
        """What decides staged rows beside the shards: the taxonomy, and the properties carried."""
        from microconv.staging.rules import Rules

        return Rules.of(self.config, self.taxonomy)

    @cached_property
    def connection(self) -> Connection:
        """The way to BigQuery, for an engine or a source there; nothing is asked before it is used."""
        from microconv.clients import retries
        from microconv.clients.bigquery_connection import Connection, Endpoints

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
        from microconv.exports import USER_PROPERTY_LEAVES, FileSource
        from microconv.staging.properties import carried, leaves

        try:
            wanted = leaves(self.rules.of_events)
        except TaxonomyError:  # the export can be looked at all the same; whoever stages it is told
            wanted = leaves(carried(self.config, None))
        if self.config.audit.profile:
            wanted |= USER_PROPERTY_LEAVES
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

    @contextmanager
    def _reading(self) -> Iterator[Engine]:
        """Give the engine to whoever reads the staged tables; where that fails on older ones, say so."""
        engine = self._staged
        try:
            yield engine
        except EngineError as error:
            if older := self._older_tables():
                raise EngineError(
                    f"An older microconv made {wording.listed(older)}, which lack what is asked for.",
                    hint="Run `microconv sync`: it brings them up to date.",
                ) from error
            raise

    def _older_tables(self) -> list[str]:
        from microconv.staging.mc_tables import TABLES

        versions = {name: self._staged.version(name) or 0 for name in TABLES}
        return [name for name, version in versions.items() if version < TABLES[name].version]

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

    def plan(self, scope: Scope | None = None) -> SyncPlan:
        """Say which days a sync would stage, and why; nothing is written, and nothing but metadata is read."""
        from microconv.staging import Scope, find_shards

        asked = scope or Scope()
        return self._plan(asked, find_shards(self.sources, asked))

    def _plan(self, asked: Scope, shards: Mapping[Shard, Source]) -> SyncPlan:
        from microconv.staging import plan
        from microconv.staging.sync_plan import refuse_going_back

        planned = plan(self._engine_if_there, shards, self.rules, asked, today=self._today)
        refuse_going_back(planned, self.config, self.taxonomy)
        return replace(planned, external=self.plan_external(full_refresh=asked.full_refresh))

    def plan_external(self, now: datetime | None = None, *, full_refresh: bool = False) -> ExternalPlan:
        """Say which tables of other systems a sync would read, and why."""
        from microconv.staging.external_plan import plan_external

        moment = now or datetime.now(tz=UTC)
        return plan_external(self._engine_if_there, self.config, self.taxonomy, moment, full_refresh=full_refresh)

    def estimate(self, scope: Scope | None = None) -> Estimate:
        """Say what a sync would be billed; nothing is written or billed."""
        from microconv.staging import Scope, estimate, find_shards

        asked = scope or Scope()
        shards = find_shards(self.sources, asked)
        return estimate(self._engine_if_there, self._plan(asked, shards), shards, self.rules)

    def restaging(self, taxonomy: Taxonomy) -> Restaging:
        """Say what this taxonomy would stage again of the days that are staged, were it the configured one.

        Metadata alone are read, and where queries are billed, they are only priced.
        """
        from microconv.staging import Scope, find_shards, plan
        from microconv.staging.restaging import restaging
        from microconv.staging.rules import Rules

        rules = Rules.of(self.config, taxonomy)
        engine, shards = self._engine_if_there, find_shards(self.sources, Scope())
        return restaging(engine, plan(engine, shards, rules, Scope()), shards, rules)

    def effects(self, found: TaxonomyDifference) -> tuple[Effect, ...]:
        """Say what a difference of two taxonomies does to the funnels, segments, destinations and saved results.

        Raises:
            EngineError: saved results cannot be read.
        """
        from microconv.analyses.saving import saved_results

        effects = list(found.effects(self.config.named()))
        if self.config.attribution.goal is None and found.old.macros != found.new.macros:
            differ = sorted({*found.old.macros} ^ {*found.new.macros})
            said = "other figures: it counts every macro-conversion, and others are"
            effects += [Effect("attribution", entry, said, is_breaking=False) for entry in differ]
        for segment in self.config.segments:
            of_segment = tuple(found.effects(segment.named()))
            effects += [
                replace(each, named_by=f'destination "{destination.name}" ({each.named_by})')
                for destination in self.config.destinations
                for each in of_segment
            ]
        engine = self._engine_if_there
        if engine is not None:
            ids = {*found.old.ids, *found.new.ids}
            for saved in saved_results(engine, QUESTIONS):
                named = f"saved result {saved.question_name} {saved.result_id}, asked again"
                effects += found.effects((entry, named) for entry in sorted(ids & saved.texts))
        return tuple(effects)

    @property
    def _today(self) -> date:
        """The day that it is now where the property's days begin and end."""
        return datetime.now(tz=ZoneInfo(self.config.project.timezone)).date()

    @property
    def _engine_if_there(self) -> Engine | None:
        """The engine, unless opening it would create a database: a question leaves nothing behind."""
        settings = self.config.engine
        return self.engine if settings.kind == "bigquery" or settings.path.exists() else None

    def query(self, sql: str, *, limit: int = 1_000) -> Looked:
        """Run a SELECT of one's own on the tables, which cannot change anything; return at most `limit` rows.

        With the engine duckdb it is SQL of DuckDB; the engine is closed meanwhile. With bigquery it is GoogleSQL.

        Raises:
            UsageError: it is not one statement that reads, or it cannot be run.
            SourceError: Nothing is staged yet.
            BudgetError: it would read more than the configuration allows.
        """
        settings = self.config.engine
        if settings.kind == "bigquery":
            return cast("BigQueryEngine", self.engine).look(sql, limit)
        from microconv.engines.looking import look

        if not settings.path.exists():
            raise SourceError(f"Nothing is staged yet in {settings.path}.", hint="Run `microconv sync` first.")
        self.close()  # DuckDB opens a file either to be written or to be read
        return look(settings.path, sql, limit, memory_limit=settings.memory_limit, threads=settings.threads)

    def summary(self) -> StagedSummary:
        """Count what is staged."""
        from microconv.staging.summary import summary

        with self._reading() as engine:
            return summary(engine)

    def export_findings(self) -> tuple[Finding, ...]:
        """Say what the staged export shows that its reader should know; see `microconv.staging.export_findings`."""
        from microconv.staging import export_findings

        with self._reading() as engine:
            facts = export_findings.of_last_run(engine, self.taxonomy) or export_findings.ask(engine, self.taxonomy)
        return export_findings.findings(facts, self.config)

    @property
    def context(self) -> Context:
        """What questions are asked within."""
        from microconv.question import Context

        return Context(self.config, self.taxonomy, lambda: self._staged)

    def answer(self, question: Question) -> Result:
        """Answer a question; see `microconv.question.ask`."""
        from microconv.question import ask

        with self._reading():
            return ask(question, self.context)

    def ask(self, question: str, /, **fields: Any) -> Result:  # noqa: ANN401 - the fields of the question
        """Answer a question of the catalogue, with these fields laid over what the configuration says.

        Examples:
            >>> project.ask("funnel", name="purchase_journey", order="strict")  # doctest: +SKIP

        Raises:
            UsageError: There is no such question, or it cannot be asked so.
            TaxonomyError: It names a micro-conversion that the taxonomy does not have.
            ConfigError: It reads a property that is not carried.
            SourceError: Nothing is staged yet.
            EngineError: The engine failed.
        """
        return self.answer(question_class(question).asked(self.config, fields))

    def save(self, question: Question, result: Result) -> str:
        """Keep a result in the engine, with what was asked; see `microconv.analyses.saving.save`."""
        from microconv.analyses.saving import save

        return save(self._staged, name_of(question), question, result)

    def funnel(self, name: str, **fields: Any) -> FunnelResult:  # noqa: ANN401 - those of `Funnel`
        """Count who takes each step of a funnel."""
        return cast("FunnelResult", self.ask("funnel", name=name, **fields))

    def funnel_breakdown(self, name: str, by: str, **fields: Any) -> FunnelBreakdownResult:  # noqa: ANN401 - those of `FunnelBreakdown`
        """Count a funnel by the values of a property."""
        return cast("FunnelBreakdownResult", self.ask("funnel_breakdown", name=name, by=by, **fields))

    def funnel_trend(self, name: str, **fields: Any) -> FunnelTrendResult:  # noqa: ANN401 - those of `FunnelTrend`
        """Count a funnel by the day or week of the start."""
        return cast("FunnelTrendResult", self.ask("funnel_trend", name=name, **fields))

    def funnel_times(self, name: str, **fields: Any) -> FunnelTimesResult:  # noqa: ANN401 - those of `FunnelTimes`
        """Measure the time between the steps of a funnel."""
        return cast("FunnelTimesResult", self.ask("funnel_times", name=name, **fields))

    def funnel_drop_off(self, name: str, **fields: Any) -> FunnelDropOffResult:  # noqa: ANN401 - those of `FunnelDropOff`
        """Say what those did next who were lost on the way through a funnel."""
        return cast("FunnelDropOffResult", self.ask("funnel_drop_off", name=name, **fields))

    def compare_funnel(self, name: str, against: str, **fields: Any) -> FunnelComparisonResult:  # noqa: ANN401 - those of `FunnelComparison`
        """Hold a funnel against the same for a segment, or other days (`2024-02-01..2024-02-29`)."""
        return cast("FunnelComparisonResult", self.ask("funnel_comparison", name=name, against=against, **fields))

    def paths(self, **fields: Any) -> PathsResult:  # noqa: ANN401 - those of `PathsQuestion`
        """Show the paths to a point (`to`), from one (`from_`), or from the beginning of journeys."""
        return cast("PathsResult", self.ask("path_sequences", **fields))

    def discover(self, **fields: Any) -> DiscoveryResult:  # noqa: ANN401 - those of `Discover`
        """Propose a funnel that leads to a goal."""
        return cast("DiscoveryResult", self.ask("discover", **fields))

    def attribution(self, **fields: Any) -> AttributionResult:  # noqa: ANN401 - those of `Attribution`
        """Credit touchpoints for the goal, by each model and lookback window."""
        return cast("AttributionResult", self.ask("attribution", **fields))

    def compare_attribution(self, **fields: Any) -> StabilityResult:  # noqa: ANN401 - those of `AttributionComparison`
        """Say how far the shares of touchpoints move between models, windows and weeks, and by chance."""
        return cast("StabilityResult", self.ask("attribution_comparison", **fields))

    def channels(self, **fields: Any) -> ChannelsResult:  # noqa: ANN401 - those of `Channels`
        """Count sessions by default channel group."""
        return cast("ChannelsResult", self.ask("channels", **fields))

    def coverage(self, **fields: Any) -> CoverageResult:  # noqa: ANN401 - those of `Coverage`
        """Count every micro-conversion of the taxonomy by day, and find outages."""
        return cast("CoverageResult", self.ask("coverage", **fields))

    def audit(
        self,
        *,
        since: date | None = None,
        until: date | None = None,
        only: Sequence[str] = (),
        fail_on: FailOn | None = None,
        now: datetime | None = None,
        on_progress: Callable[[AuditProgress], None] = lambda _: None,
    ) -> AuditResult:
        """Make every check of the tracking, or `only` some checks or areas; see `microconv.audit.tracking_audit`.

        The findings are kept, so that the next audit says what is new, still there or gone.
        """
        from microconv.audit.tracking_audit import Audit

        audit = Audit(self.config, self.taxonomy, since, until, tuple(only), fail_on)
        with self._reading() as engine:
            return audit.run(engine, now=now or datetime.now(tz=UTC), on_progress=on_progress)

    def audit_query(self, check: Check) -> tuple[str, dict[str, float]]:
        """Return the SQL of a check, empty where it is not made by any, and its thresholds as configured."""
        from microconv.audit.tracking_audit import Audit, check_thresholds

        check_thresholds(self.config)
        audit = Audit(self.config, self.taxonomy)
        return audit.query(check).sql if check.has_template else "", audit.thresholds(check)

    def accept_finding(self, named: str, *, reason: str, until: date) -> KeptFinding:
        """Take a finding of the last audit out of the count until a day; see `microconv.audit.kept_findings`."""
        from microconv.audit.kept_findings import accept

        return accept(self._staged, named, reason=reason, until=until, now=datetime.now(tz=UTC))

    def take_back_finding(self, named: str) -> KeptFinding:
        """Let an accepted finding count again."""
        from microconv.audit.kept_findings import take_back

        return take_back(self._staged, named, now=datetime.now(tz=UTC))

    def accepted_findings(self) -> tuple[KeptFinding, ...]:
        """Return the findings that are accepted."""
        from microconv.audit.kept_findings import Memory

        return Memory.read(self._staged).accepted

    def members(self, segment_name: str, *, as_of: datetime | None = None) -> tuple[Member, ...]:
        """List the members of a segment at a moment, by default that of the latest event; see `named_members`."""
        from microconv.segments.members import named_members

        moment = as_of or self.default_as_of()
        return tuple(named_members(self._staged, self.config, segment_name, self.taxonomy, moment))

    @contextmanager
    def _running(self) -> Iterator[tuple[Engine, str]]:
        """Hold the run lock over the staged tables; give the engine and the id of the run.

        Raises:
            LockedError: Another run holds it.
        """
        from microconv.staging.record import new_run_id, process_owner

        run_id = new_run_id(datetime.now(tz=UTC))
        with self._reading() as engine:
            engine.begin(run_id, process_owner())
            try:
                yield engine, run_id
            finally:
                engine.end()

    def build_segments(
        self,
        *,
        as_of: datetime | None = None,
        on_progress: Callable[[int, int, str], None] = lambda _done, _total, _step: None,
    ) -> Build:
        """Bring the memberships of all segments up to a moment, by default that of the latest staged event.

        See `microconv.segments.memberships.build`.

        Raises:
            UsageError: The moment is before that of the last build.
            LockedError: Another run holds the lock.
            SourceError: Nothing is staged yet.
        """
        from microconv.segments.memberships import build, default_moment

        taxonomy, latest = self.taxonomy, self.default_as_of()
        with self._running() as (engine, run_id):
            moment = as_of or default_moment(engine, latest, datetime.now(tz=UTC))
            return build(engine, self.config, taxonomy, moment, run_id, on_progress=on_progress)

    def preview_segment(
        self,
        name: str,
        *,
        as_of: datetime | None = None,
        with_people: int = 0,
        on_progress: Callable[[int, int, str], None] = lambda _done, _total, _step: None,
    ) -> tuple[Build, tuple[Change, ...]]:
        """Say who would enter and leave a segment with a build, which needs the others as well; nothing is changed.

        `with_people` is how many single actors are told, who are personal data.

        Raises:
            UsageError: The configuration has no such segment, or the moment is before that of the last build.
            LockedError: Another run holds the lock.
        """
        from microconv.segments.builds import changes_of
        from microconv.segments.memberships import default_moment, preview

        segment = find_named(self.config.segments, name, "segment")
        taxonomy, latest = self.taxonomy, self.default_as_of()
        with self._running() as (engine, run_id):
            moment = as_of or default_moment(engine, latest, datetime.now(tz=UTC))
            found = preview(engine, self.config, taxonomy, moment, run_id, on_progress=on_progress)
            people = tuple(changes_of(engine, segment.name, with_people)) if with_people else ()
        return found.only(segment.name), people

    def segment_days(self, name: str) -> SegmentDaysResult:
        """Say how many were in a segment on each day on which it was built; see `builds.segment_days`."""
        from microconv.segments.builds import segment_days

        segment = find_named(self.config.segments, name, "segment")
        with self._reading() as engine:
            return segment_days(engine, segment.name, self.config.project.timezone)

    def segments_in_words(self, name: str | None = None) -> SegmentsInWords:
        """Say what segments mean; see `SegmentsInWords.of`."""
        from microconv.segments.rules_in_words import SegmentsInWords

        return SegmentsInWords.of(self.config.segments, self.taxonomy, name)

    def segment_overlap(self, *, as_of: datetime | None = None) -> SegmentOverlapResult:
        """Say how far segments hold the same actors; see `microconv.segments.overlap.overlap`."""
        from microconv.segments.overlap import overlap

        return overlap(self._staged, self.config, self.taxonomy, as_of or self.default_as_of())

    def default_as_of(self) -> datetime:
        """Return the moment of the latest staged event (UTC)."""
        latest = self.context.latest_event_at
        if latest is None:
            raise SourceError("No events are staged, so no segment can be built.", hint="Run `microconv sync` first.")
        return latest

    def destination(self, name: str) -> Destination:
        """Return a destination of the configuration; nothing is opened yet.

        Raises:
            UsageError: the configuration has none of that name, or there is no such kind.
            ConfigError: its keys cannot be used.
        """
        entry = find_named(self.config.destinations, name, "destination")
        return catalogue.destination(entry, self.config.file, lambda: self.engine)

    def export(
        self,
        segment_name: str,
        destination_name: str,
        *,
        as_of: datetime | None = None,
        allow_shrink: bool = False,
        allow_stale: bool = False,
        dry_run: bool = False,
    ) -> ExportResult:
        """Send a segment's audience to a destination; see `microconv.activation.export.export_segment`.

        Its members are those of the latest event, or with `as_of` those whom the rule holds for at that moment.

        Raises:
            UsageError: the configuration has no such segment or destination.
            ConfigError: there is no identity or consent table: nobody may be sent without consent.
            FindingsError: a guard stopped the export.
            DestinationError: the destination did not take it.
        """
        from microconv.activation.export import export_segment
        from microconv.activation.sending_run import sending_run

        segment = find_named(self.config.segments, segment_name, "segment")
        destination = self.destination(destination_name)
        now = datetime.now(tz=UTC)
        with sending_run(self._staged, "export", now) as run_id:
            audiences = self._audiences
            if as_of is None:
                audiences = audiences.built(run_id, dry_run=dry_run)
            return export_segment(
                audiences,
                segment,
                destination,
                as_of,
                run_id=run_id,
                now=now,
                allow_shrink=allow_shrink,
                allow_stale=allow_stale,
                dry_run=dry_run,
            )

    @property
    def _audiences(self) -> SegmentAudiences:
        from microconv.activation.segment_audience import SegmentAudiences

        return SegmentAudiences(self._staged, self.config, self.taxonomy, self.default_as_of())

    @property
    def pushes(self) -> Pushes:
        """What can be done with lists at destinations: push, look, ask; see `microconv.activation.push.pushes`."""
        from microconv.activation.push.pushes import Pushes

        return Pushes(self.config, self._staged, lambda: self._audiences, self.destination)

    @property
    def conversions(self) -> Conversions:
        """What can be sent back to ad platforms; see `microconv.activation.conversions.sending_conversions`."""
        from microconv.activation.conversions.sending_conversions import Conversions

        return Conversions(self.config, self.taxonomy, self._staged, self.default_as_of, self.destination)

    def explain(self, actor: str, segment: str, destinations: Sequence[str] = ()) -> Explanation:
        """Say why somebody is in a segment and on its lists, or is not; see `microconv.activation.push.explaining`."""
        from microconv.activation.push.explaining import Explaining

        return Explaining(self.pushes).explain(actor, segment, destinations)

    def erase(self, user_id: str) -> ErasureResult:
        """Remove a person wherever we know of; see `microconv.activation.push.erasing`."""
        from microconv.activation.push.erasing import Erasing

        return Erasing(self.pushes).erase(user_id)

    def report_data(self) -> ReportData:
        """Answer everything that the report shows: each question that the configuration asks by itself."""
        from microconv.report.data import Answered, ReportData

        answers = tuple(
            Answered(name, QUESTIONS[name].answers, question.about, self.answer(question))
            for name, question in questions_of(self.config, self.taxonomy)
            if question.in_report
        )
        return ReportData(
            project_name=self.config.project.name,
            timezone=self.config.project.timezone,
            currency=self.config.project.currency,
            generated_at=datetime.now(tz=UTC),
            version=__version__,
            summary=self.summary(),
            answers=answers,
            export_findings=self.export_findings(),
            audit=self._audit_of_report(),
        )

    def _audit_of_report(self) -> AuditResult:
        """Audit for the report: what it finds is compared with the last audit, and not kept as one."""
        from microconv.audit.tracking_audit import Audit

        with self._reading() as engine:
            return Audit(self.config, self.taxonomy).run(engine, now=datetime.now(tz=UTC), is_kept=False)

    def report(self, path: Path) -> Path:
        """Write the report, one self-contained HTML page.

        Raises:
            UsageError: there is something else in its place, or the configuration names it.
            DestinationError: the page could not be written.
        """
        from microconv.report import check_report_path, write_report

        check_report_path(path, self.config)
        return write_report(self.report_data(), path)

    def suggest(self, *, others: Sequence[Taxonomy] = ()) -> SuggestionsResult:
        """Propose entries to add, collapse and retire; see `microconv.audit.suggestions.suggest`.

        The parameters come from a few days of the export, which are read anew: on BigQuery that is billed.

        Raises:
            SourceError: Nothing is staged yet.
        """
        from microconv.audit.suggestions import suggest
        from microconv.staging import Scope, find_shards
        from microconv.staging.parameter_profile import ParameterProfile, profile

        with self._reading() as engine:
            try:
                parameters = profile(engine, find_shards(self.sources, Scope()))
            except SourceError as error:
                parameters = ParameterProfile(problem=error.message)
            return suggest(engine, self.config, self.taxonomy, parameters, others=others)

    def dictionary(self) -> Dictionary:
        """Return the dictionary of the taxonomy and its journey map, with volumes where something is staged."""
        from microconv.report.dictionary import dictionary
        from microconv.staging.volumes import volumes

        try:
            with self._reading() as engine:
                found = volumes(engine)
        except SourceError:  # nothing is staged: the rest can be told all the same
            found = None
        return dictionary(self.config, self.taxonomy, found)

    def runs(self, *, limit: int = 20, status: str | None = None) -> RunsResult:
        """List runs, the latest first; see `microconv.staging.runs.list_runs`."""
        from microconv.staging.runs import list_runs

        with self._reading() as engine:
            return list_runs(engine, limit=limit, status=status)

    def run(self, run_id: str) -> RunDetails:
        """Return a run by its id, its beginning or `latest`; see `microconv.staging.runs.find_run`."""
        from microconv.staging.runs import find_run

        with self._reading() as engine:
            return find_run(engine, run_id)

    def queries(self, template: str) -> tuple[tuple[str | None, Query], ...]:
        """Return the queries that this configuration makes of a template, each with what it is for, if anything.

        Raises:
            UsageError: There is no such template; the message names the nearest.
        """
        from microconv.config.problems import nearest
        from microconv.queries import templates

        if template not in (known := templates.names()):
            raise UsageError(
                f"There is no template {template!r}{nearest(template, known)}.", hint="`microconv sql` lists them."
            )
        return tuple(each for each in queries_of(self.config, self.taxonomy) if each[1].name == template)

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
