"""`microconv sync`: stage what changed, or say what that would be and cost."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from microconv.cli import output
from microconv.cli.context import Context
from microconv.errors import UsageError
from microconv.wording import amount, human_bytes, money

if TYPE_CHECKING:
    from rich.table import Table

    from microconv.project import Project
    from microconv.staging import Estimate, Plan, Scope, SyncResult

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command("sync", short_help="Read the export and stage the days that changed.")
@click.option("--since", type=_DAY, metavar="DATE", help="First day to look at (YYYY-MM-DD).")
@click.option("--until", type=_DAY, metavar="DATE", help="Last day to look at (YYYY-MM-DD).")
@click.option("--full-refresh", is_flag=True, help="Stage every day again, whether it changed or not.")
@click.option("--newest-first", is_flag=True, help="Begin with the latest day: for long back-fills.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done to each day and why; do nothing.")
@click.option("--dry-run", is_flag=True, help="Say what BigQuery would bill, step by step; do nothing.")
@output.format_option
@click.pass_obj
def sync(
    context: Context,
    *,
    since: datetime | None,
    until: datetime | None,
    full_refresh: bool,
    newest_first: bool,
    only_plan: bool,
    dry_run: bool,
    output_format: str,
) -> None:
    """Read the export and stage the days that changed.

    A day is staged when its shard is new, changed or replaced (daily after intraday), or taxonomy or properties did.
    Sessions that touch such a day are rebuilt whole. A damaged shard stops its own day only; the exit code is then 3.
    Interrupted or killed, the next run stages the rest. `rows` are what the tables hold afterwards.

    \b
    Examples:
      microconv sync
      microconv sync --plan
      microconv sync --dry-run --since 2026-01-01
      microconv sync --newest-first
      microconv -c shop.toml --log-format json sync --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    if since and until and since > until:
        raise UsageError("--since is after --until.", hint="Swap them, or leave one out.")
    if only_plan and dry_run:
        raise UsageError("--plan and --dry-run exclude each other.", hint="Ask for one at a time.")
    from microconv.staging import Scope

    scope = Scope(
        since=since.date() if since else None,
        until=until.date() if until else None,
        full_refresh=full_refresh,
        newest_first=newest_first,
    )
    with context.project() as project:
        if only_plan:
            planned = project.plan(scope)
            output.emit(output_format, document=planned.document(), tables=lambda: _plan(planned))
        elif dry_run:
            estimated = project.estimate(scope)
            settings = project.config.engine
            price = settings.price_per_tib if settings.kind == "bigquery" else settings.read_price_per_tib
            output.emit(
                output_format,
                document=_estimate_document(estimated, price),
                tables=lambda: _estimate(estimated, price),
            )
        else:
            _sync(context, project, scope, output_format)


def _sync(context: Context, project: Project, scope: Scope, output_format: str) -> None:
    log = output.Log(context.log_format)
    with log.progress("Staging") as show:
        result = project.sync(
            scope,
            on_progress=lambda progress: show(progress.done, progress.total, progress.step, run_id=progress.run_id),
            on_notice=lambda message, run_id: log.warning(message, run_id=run_id),
        )
    for warning in result.warnings:
        log.warning(warning, run_id=result.run_id)
    output.emit(output_format, document=result.document(), tables=lambda: [summary(result)])


def summary(result: SyncResult) -> str:
    """Say in a few lines what a sync did."""
    shards, rows = result.shards, result.rows
    billed = f"\nBilled by BigQuery: {human_bytes(result.bytes_billed)}." if result.bytes_billed else ""
    return (
        f"{shards['staged']} of {shards['seen']} days staged, {shards['skipped']} unchanged ({result.seconds:.1f} s).\n"
        f"Staged in all: {rows['mc_events']:,} events, {rows['mc_sessions']:,} sessions, "
        f"{rows['mc_micro_conversions']:,} micro-conversions.\n"
        f"Exact duplicates left out: {result.duplicates_removed:,}.{billed}"
    )


def _plan(planned: Plan) -> list[Table | str]:
    from microconv.staging import REASONS

    days = [
        (shard.property_id, shard.day.isoformat(), shard.name, human_bytes(shard.bytes), REASONS[day.reason])
        for day in planned.days
        for shard in (day.shard,)
    ]
    kept = [
        (kept.property_id, kept.day.isoformat(), kept.shard, "", "its shard is gone: stays as it is")
        for kept in planned.kept
    ]
    columns = (("Property", "left"), ("Day", "left"), ("Shard", "left"), ("Size", "right"), ("Why", "left"))
    sentence = (
        f"{len(days)} of {planned.seen} days would be staged, {planned.skipped} are up to date. Nothing was changed."
    )
    return [*([output.table("Plan", columns, days + kept)] if days or kept else []), sentence]


def _estimate_document(estimated: Estimate, price_per_tib: float) -> dict[str, object]:
    return {
        "bytes": estimated.bytes,
        "cost": amount(estimated.bytes, price_per_tib),
        "steps": [
            {"step": step.name, "bytes": step.bytes, "cost": amount(step.bytes, price_per_tib), "how": step.how}
            for step in estimated.steps
        ],
    }


def _estimate(estimated: Estimate, price_per_tib: float) -> list[Table | str]:
    if not estimated.steps:
        return ["Nothing would be billed."]
    rows = [
        (step.name, human_bytes(step.bytes), money(step.bytes, price_per_tib), step.how) for step in estimated.steps
    ]
    columns = (("Step", "left"), ("Bytes", "right"), ("Cost", "right"), ("How", "left"))
    total = (
        f"In all about {human_bytes(estimated.bytes)}, {money(estimated.bytes, price_per_tib)}. Nothing was changed."
    )
    return [output.table("Cost of a sync", columns, rows), total]
