"""The part of a project that is asked: the questions of the catalogue, and SQL of one's own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from microconv.catalogue import name_of, queries_of, question_class
from microconv.config.load import find_named
from microconv.errors import SourceError, UsageError
from microconv.project.workplace import Workplace

if TYPE_CHECKING:  # each is loaded by who asks for it
    from microconv.analyses.attribution.credits import AttributionResult
    from microconv.analyses.attribution.stability import StabilityResult
    from microconv.analyses.channels import ChannelsResult
    from microconv.analyses.funnels.breakdown import FunnelBreakdownResult
    from microconv.analyses.funnels.comparison import FunnelComparisonResult
    from microconv.analyses.funnels.counts import FunnelResult
    from microconv.analyses.funnels.drop_off import FunnelDropOffResult
    from microconv.analyses.funnels.times import FunnelTimesResult
    from microconv.analyses.funnels.trend import FunnelTrendResult
    from microconv.analyses.insight.tested_entries import ExperimentRecord
    from microconv.analyses.paths.discovery import DiscoveryResult
    from microconv.analyses.paths.path_questions import PathsResult
    from microconv.audit.coverage import CoverageResult
    from microconv.engines.bigquery import BigQueryEngine
    from microconv.engines.looking import Looked
    from microconv.experiments.experiment_reading import ExperimentResult
    from microconv.experiments.registry import DecisionGiven
    from microconv.queries.templates import Query
    from microconv.question import Question
    from microconv.result import Result


class AnswersQuestions(Workplace):
    """Answer the questions of the catalogue, and show the SQL that they are made of."""

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

    def read_experiment(self, name: str) -> ExperimentResult:
        """Read an experiment: its split first, then what each variant changes."""
        return cast("ExperimentResult", self.ask("experiment_read", name=name))

    def decide_experiment(self, name: str, given: DecisionGiven) -> tuple[ExperimentRecord, ...]:
        """Keep what is decided of an experiment in mc_experiments; see `microconv.experiments.registry.decide`.

        Raises:
            UsageError: There is no such experiment, or it cannot be decided so.
            FindingsError: A guardrail does not hold, or a question of ethics is open, and a variant would be shipped.
        """
        from microconv.experiments.registry import decide

        found = self.read_experiment(name)
        experiment = find_named(self.config.experiments, name, "experiment")
        now, stop = datetime.now(tz=UTC), self.config.ethics.stop
        return decide(self._staged, experiment, found, given, now, ethics_stop=stop)

    def experiment_records(self) -> tuple[ExperimentRecord, ...]:
        """Return what was decided of experiments, the latest first."""
        from microconv.analyses.insight.tested_entries import records

        return records(self._staged)

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
