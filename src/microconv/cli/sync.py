"""`microconv sync`: stage what changed, or say what that would be and cost."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.errors import UsageError
from microconv.wording import Heading, Sheet, count, dollars_for_bytes, elapsed, human_bytes, price_of_bytes

if TYPE_CHECKING:
    from microconv.project import Project
    from microconv.staging import Estimate, Scope, SyncPlan, SyncResult

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command("sync", short_help="Read the export and stage the days that changed.")
@click.option("--since", type=_DAY, metavar="DAY", help="First day to look at (YYYY-MM-DD).")
@click.option("--until", type=_DAY, metavar="DAY", help="Last day to look at (YYYY-MM-DD).")
@click.option("--full-refresh", is_flag=True, help="Stage every day again, whether it changed or not.")
@click.option("--newest-first", is_flag=True, help="Begin with the latest day: useful for long back-fills.")
@click.option("--plan", "only_plan", is_flag=True, help="Show which days would be staged and why; change nothing.")
@click.option("--dry-run", is_flag=True, help="Show what BigQuery would bill, step by step; run nothing.")
@output.format_option
@click.pass_obj
def sync(
    context: CommandContext,
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

    A day is staged when its shard is new, has changed or was replaced (intraday by daily), and again when the taxonomy
    or the properties to stage have changed. Sessions that touch such a day are rebuilt as a whole. A damaged shard
    stops only its own day; the exit code is then 3. After an interruption the next run stages the rest. What the export
    shows that you should know is printed as warnings. In JSON, `rows` is what the tables hold afterwards, and
    `findings` what the export shows.

    \b
    Examples:
      microconv sync
      microconv sync --plan
      microconv sync --dry-run --since 2026-01-01
      microconv sync --newest-first
      microconv -c shop.toml --log-format json sync --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    if only_plan and dry_run:
        raise UsageError("--plan and --dry-run cannot be combined.", hint="Ask for one at a time.")
    from microconv.question import section_of
    from microconv.staging import Scope

    scope = section_of(
        Scope,
        {
            "since": since.date() if since else None,
            "until": until.date() if until else None,
            "full_refresh": full_refresh,
            "newest_first": newest_first,
        },
    )
    with context.project() as project:
        if only_plan:
            planned = project.plan(scope)
            output.emit(output_format, document=planned.document(), shown=lambda: _plan(planned))
        elif dry_run:
            estimated = project.estimate(scope)
            settings = project.config.engine
            price = settings.price_per_tib if settings.kind == "bigquery" else settings.read_price_per_tib
            output.emit(
                output_format,
                document=_estimate_document(estimated, price),
                shown=lambda: _estimate(estimated, price),
            )
        else:
            _sync(context, project, scope, output_format)


def _sync(context: CommandContext, project: Project, scope: Scope, output_format: str) -> None:
    log = output.Log(context.log_format)
    with log.progress("Staging") as show:
        result = project.sync(
            scope,
            on_progress=lambda progress: show(progress.done, progress.total, progress.step, run_id=progress.run_id),
            on_notice=lambda message, run_id: log.warning(message, run_id=run_id),
        )
    for warning in result.warnings:
        log.warning(warning, run_id=result.run_id)
    for finding in result.findings:
        if finding.severity in ("error", "warning"):
            log.warning(f"{finding.message} {finding.remedy}".strip(), run_id=result.run_id)
    output.emit(output_format, document=result.document(), shown=lambda: [summary(result)])


def summary(result: SyncResult) -> str:
    """Say in a few lines what a sync did."""
    shards, rows = result.shards, result.rows
    billed = f"\nBilled by BigQuery: {human_bytes(result.bytes_billed)}." if result.bytes_billed else ""
    external = result.external
    tables = f"Tables of other systems: {external['read']} of {external['seen']} read.\n" if external["seen"] else ""
    return (
        f"{shards['staged']} of {shards['seen']} days staged, {shards['skipped']} unchanged "
        f"({elapsed(result.seconds)}).\n"
        f"{tables}Staged in all: {count(rows['mc_events'])} events, {count(rows['mc_sessions'])} sessions, "
        f"{count(rows['mc_micro_conversions'])} micro-conversions.\n"
        f"Exact duplicates left out: {count(result.duplicates_removed)}.{billed}"
    )


def _plan(planned: SyncPlan) -> list[Sheet | str]:
    from microconv.staging import REASONS
    from microconv.staging.external_plan import EXTERNAL_REASONS

    days = [
        (shard.property_id, shard.day, shard.name, None if day.is_from_events else shard.bytes, REASONS[day.reason])
        for day in planned.days
        for shard in (day.shard,)
    ]
    kept = [
        (kept.property_id, kept.day, kept.shard, None, "its shard is gone: the day stays as it is")
        for kept in planned.kept
    ]
    headings = (
        *(Heading("Property"), Heading("Day"), Heading("Shard")),
        *(Heading("Size", lambda size: "" if size is None else human_bytes(size)), Heading("Why")),
    )
    external = planned.external
    tables = [
        (each.place.source, each.place.file, each.place.bytes, EXTERNAL_REASONS[each.reason])
        for each in external.tables
    ]
    tables += [(row["source"], row["file"], None, "it is gone: its rows stay as they are") for row in external.kept]
    tables += [
        (row["source"], row["file"], None, "the section is gone: its rows are removed") for row in external.dropped
    ]
    tables += [(name, "", None, "there is nothing at its place") for name in external.absent]
    of_tables = (
        *(Heading("Table"), Heading("File")),
        *(Heading("Size", lambda size: "" if size is None else human_bytes(size)), Heading("Why")),
    )
    sentence = (
        f"{len(days)} of {planned.seen} days would be staged, {planned.skipped} are up to date. Nothing was changed."
    )
    return [
        *([Sheet("Plan", headings, (*days, *kept))] if days or kept else []),
        *([Sheet("Tables of other systems", of_tables, tuple(tables))] if tables else []),
        sentence,
    ]


def _estimate_document(estimated: Estimate, price_per_tib: float) -> dict[str, object]:
    return {
        "bytes": estimated.bytes,
        "cost": price_of_bytes(estimated.bytes, price_per_tib),
        "steps": [
            {"step": step.name, "bytes": step.bytes, "cost": price_of_bytes(step.bytes, price_per_tib), "how": step.how}
            for step in estimated.steps
        ],
    }


def _estimate(estimated: Estimate, price_per_tib: float) -> list[Sheet | str]:
    if not estimated.steps:
        return ["Nothing would be billed."]
    rows = tuple((step.name, step.bytes, step.bytes, step.how) for step in estimated.steps)
    headings = (
        *(Heading("Step"), Heading("Bytes", human_bytes)),
        *(Heading("Cost", lambda size: dollars_for_bytes(size, price_per_tib)), Heading("How")),
    )
    cost = dollars_for_bytes(estimated.bytes, price_per_tib)
    total = f"In all about {human_bytes(estimated.bytes)}, {cost}. Nothing was changed."
    return [Sheet("Cost of a sync", headings, rows), total]
