"""The part of a project that stages: what a sync does, what it would do, and what it has done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from microconv.catalogue import QUESTIONS
from microconv.project.workplace import Workplace
from microconv.taxonomy import Effect, Taxonomy, TaxonomyDifference

if TYPE_CHECKING:  # each is loaded by who asks for it
    from microconv.exports import Shard, Source
    from microconv.findings import Finding
    from microconv.staging import Estimate, Progress, Scope, SyncPlan, SyncResult
    from microconv.staging.external_plan import ExternalPlan
    from microconv.staging.restaging import Restaging
    from microconv.staging.runs import RunDetails, RunsResult
    from microconv.staging.summary import StagedSummary


class StagesDays(Workplace):
    """Stage the days of the exports, say beforehand what that would do, and afterwards what it did."""

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
