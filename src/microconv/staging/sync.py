"""Sync: plan what changed, stage it batch by batch, look again, record it. Each batch of days is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.errors import BudgetError, MicroconvError, SourceError
from microconv.exports import Shard, Source, passed_over
from microconv.findings import Finding, worst_first
from microconv.staging import export_findings, mc_tables
from microconv.staging.estimate import Estimate, estimate
from microconv.staging.external import ExternalStaging
from microconv.staging.external_findings import external_findings
from microconv.staging.external_plan import plan_external
from microconv.staging.facts import Facts
from microconv.staging.record import RunRecord
from microconv.staging.rounds import Progress, Rounds
from microconv.staging.rules import Rules
from microconv.staging.sync_plan import Scope, SyncPlan, find_shards, plan, refuse_going_back
from microconv.taxonomy import Taxonomy
from microconv.wording import human_bytes, second

_EVERYTHING = Scope()


@dataclass(frozen=True)
class SyncResult:
    """What a sync did. `rows` are the rows the tables hold after it; `duplicates_removed` counts this run's days.

    `findings` are about all that is staged, whether this run staged it or not.
    """

    run_id: str
    status: Literal["done"]
    shards: dict[str, int]
    rows: dict[str, int]
    duplicates_removed: int
    bytes_billed: int
    seconds: float
    external: dict[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())

    def document(self) -> dict[str, Any]:
        """Return the JSON document of `microconv sync`; warnings go to the log, not here."""
        document = asdict(self)
        del document["warnings"]
        return document


def upgrades(engine: Engine) -> Iterator[str]:
    """Say which tables an older version of microconv made, and that a sync will bring them up to date."""
    for table in mc_tables.TABLES.values():
        found = engine.version(table.name)
        if found is not None and found < table.version:
            yield f"{table.name} has schema version {found}; it is brought to {table.version}."


def sync(
    engine: Engine,
    sources: Sequence[Source],
    config: Config,
    taxonomy: Taxonomy,
    *,
    scope: Scope = _EVERYTHING,
    now: Callable[[], datetime] = lambda: datetime.now(tz=UTC),
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_notice: Callable[[str, str], None] = lambda _message, _run_id: None,
) -> SyncResult:
    """Stage every day of the scope that changed, and record the run.

    A shard that cannot be read stops its own day only: the others are staged, then the error is raised. A day that
    changes while it is staged is staged again. `on_notice` is told, with the id of the run, what it is about to do
    beyond its daily work.

    Raises:
        LockedError: another run holds the lock, or took it over when this one had slept past its lease.
        SourceError: no shards, or one or more days that could not be read (named; the rest is staged).
        EngineError: the engine failed; batches that were committed stay, the next run does the rest.
    """
    shards = find_shards(sources, scope)
    unread = passed_over(sources)
    rules = Rules.of(config, taxonomy)
    run = RunRecord(engine, config, taxonomy, now)
    engine.begin(run.run_id, run.owner)
    try:
        for notice in upgrades(engine):
            on_notice(notice, run.run_id)
        _ensure_tables(engine, rules)
        latest = run.follow()
        if latest is not None and latest.is_of_the_future(now()):
            on_notice(
                f"The latest run, {latest.run_id}, says that it began at {second(latest.started_at)}, which is in the "
                "future: the clock of this machine was wrong then, or is wrong now.",
                run.run_id,
            )
        zone = ZoneInfo(config.project.timezone)
        rounds = Rounds(engine, sources, rules, run, zone, now, on_progress)
        planned = replace(
            plan(engine, shards, rules, scope, today=now().astimezone(zone).date()),
            external=plan_external(engine, config, taxonomy, now(), full_refresh=scope.full_refresh),
        )
        refuse_going_back(planned, config, taxonomy)
        days = len(planned.days)
        external = ExternalStaging(
            engine, config, rules, run.run_id, now, lambda step: on_progress(Progress(run.run_id, days, days, step))
        )
        for notice in _notices(planned, shards):
            on_notice(notice, run.run_id)
        # What the last run saw still holds where nothing is staged: asking again would cost money on BigQuery.
        is_same = not planned.days and not planned.external.changes_something
        known = export_findings.of_last_run(engine, taxonomy) if is_same else None
        run.row |= {"shards_seen": planned.seen, "shards_skipped": planned.skipped}
        run.begin()

        def work() -> tuple[dict[str, int], Facts]:
            _refuse_over_budget(config, lambda: estimate(engine, planned, shards, rules))
            failed = None
            try:
                rounds.stage(planned, shards)
            except SourceError as error:
                failed = error
            if not (is_same and run.is_alike(latest)):
                external.stage(planned.external, is_other_taxonomy=not run.is_alike(latest))
            if failed or external.failures:
                raise _joined(*([failed] if failed else []), *external.failures)
            return rounds.counted(), known or export_findings.ask(engine, taxonomy)

        rows, facts = _recorded(run, work, taxonomy)
    except MicroconvError as error:
        error.run_id = run.run_id
        for finding in unread:  # without a result nobody else tells of them
            on_notice(f"{finding.message} {finding.remedy}", run.run_id)
        raise
    finally:
        untidy = _end(engine)
    return SyncResult(
        run_id=run.run_id,
        status="done",
        shards={"seen": planned.seen, "staged": run.row["shards_staged"], "skipped": planned.skipped},
        rows=rows,
        duplicates_removed=run.row["duplicates_removed"],
        bytes_billed=engine.bytes_billed,
        seconds=run.seconds,
        external={"seen": planned.external.seen, "read": external.read, "skipped": planned.external.skipped},
        findings=worst_first((*export_findings.findings(facts, config), *external_findings(planned.external), *unread)),
        warnings=(*rounds.warnings, *untidy),
    )


def _end(engine: Engine) -> list[str]:
    """End the run. What cannot be tidied up now vanishes by itself, so it is worth a warning, and no failure."""
    try:
        engine.end()
    except MicroconvError as error:
        return [f"{error.message} Scratch tables and the lock of this run vanish by themselves."]
    return []


def _ensure_tables(engine: Engine, rules: Rules) -> None:
    """Create the tables that are missing, and the columns that taxonomy and properties ask for."""
    for table in mc_tables.TABLES.values():
        engine.ensure(table, rules.extra_columns(table))


def _refuse_over_budget(config: Config, estimated: Callable[[], Estimate]) -> None:
    """Refuse before anything is spent.

    Raises:
        BudgetError: the run would cost more than the configuration allows.
    """
    budget = config.engine.maximum_bytes_per_run
    if budget is not None and (needed := estimated().bytes) > budget:
        raise BudgetError(
            f"This sync would be billed for about {human_bytes(needed)}; engine.maximum_bytes_per_run allows "
            f"{human_bytes(budget)}. Nothing was staged.",
            hint="See `microconv sync --dry-run`; raise engine.maximum_bytes_per_run, or stage fewer days (--since).",
        )


def _recorded(
    run: RunRecord, work: Callable[[], tuple[dict[str, int], Facts]], taxonomy: Taxonomy
) -> tuple[dict[str, int], Facts]:
    """Do the work of a run, and record how it ended."""
    try:
        rows, facts = work()
    except KeyboardInterrupt:
        run.stop("interrupted", "interrupted")
        raise
    except MicroconvError as error:
        run.stop("failed", error.message)
        raise
    run.done(rows, facts.text(export_findings.query(taxonomy)))
    return rows, facts


def _joined(first: MicroconvError, *others: MicroconvError) -> MicroconvError:
    """Tell several failures as one."""
    if not others:
        return first
    hints = tuple(dict.fromkeys(error.hint for error in (first, *others)))
    return SourceError(" ".join(error.message for error in (first, *others)), hint=" ".join(hints))


def _notices(planned: SyncPlan, shards: Mapping[Shard, Source]) -> Iterator[str]:
    reasons = planned.reasons()
    if count := reasons.get("taxonomy"):
        yield f"The taxonomy changed: {count} days are staged again."
    if count := reasons.get("taxonomy from staged events"):
        yield f"The taxonomy changed: {count} days are made again from their staged events; no shard is read."
    if count := reasons.get("upgrade"):
        yield f"This version of microconv stages differently: {count} days are staged again."
    if count := reasons.get("properties"):
        yield f"Funnels or `carry` name other properties than before: {count} days are staged again."
    if count := reasons.get("properties from staged events"):
        yield f"Funnels or `carry` name other properties, which the staged events have: {count} days are staged again."
    if count := reasons.get("own hosts"):
        yield f"`own_hosts` names other hosts than before: {count} days are staged again."
    if count := reasons.get("time zone", 0) + reasons.get("time zone from staged events", 0):
        yield f"Another `project.timezone` dates what did not happen: {count} days are staged again."
    if dropped := planned.external.dropped:
        names = ", ".join(sorted({row["source"] for row in dropped}))
        yield f"The configuration has no external table {names} any more: what was read of it is removed."
    if planned.kept:
        names = ", ".join(kept.shard for kept in planned.kept[:3]) + (", …" if len(planned.kept) > 3 else "")  # noqa: PLR2004 - a few names tell enough
        yield f"{len(planned.kept)} staged days have no shard any more ({names}); they stay as they are."
    for shard in (day.shard for day in planned.days):
        if is_at_cap(shard, shards[shard]):
            yield (
                f"{shard.name} of property {shard.property_id} has {shards[shard].daily_cap:,} rows or more, "
                "GA4's daily export limit: events of that day may be missing."
            )


def is_at_cap(shard: Shard, source: Source) -> bool:
    """Tell whether GA4 may have cut the shard off at its daily export limit."""
    rows = shard.table.schema.rows if shard.table else None
    return shard.kind == "daily" and source.daily_cap > 0 and (rows or 0) >= source.daily_cap
