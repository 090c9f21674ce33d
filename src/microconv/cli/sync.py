"""`microconv sync`: stage what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from microconv.cli import output

if TYPE_CHECKING:
    from microconv.cli.context import Context
    from microconv.sync import SyncResult


@click.command("sync", short_help="Read the export and stage the days that changed.")
@output.format_option
@click.pass_obj
def sync(context: Context, *, output_format: str) -> None:
    """Read the export and stage the days that changed.

    A day is staged when its shard is new, changed or replaced (daily after intraday), or when the taxonomy changed.
    Sessions that touch such a day are rebuilt whole. A damaged shard stops its own day only; the exit code is then 3.
    `rows` are what the tables hold afterwards.

    \b
    Examples:
      microconv sync
      microconv -c shop.toml --log-format json sync --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    log = output.Log(context.log_format)
    with context.project() as project, log.progress("Staging") as show:
        result = project.sync(on_progress=lambda progress: show(progress.done, progress.total, progress.step))
    for warning in result.warnings:
        log.warning(warning, run_id=result.run_id)
    output.emit(output_format, document=result.document(), tables=lambda: [summary(result)])


def summary(result: SyncResult) -> str:
    """Say in a few lines what a sync did."""
    shards, rows = result.shards, result.rows
    return (
        f"{shards['staged']} of {shards['seen']} days staged, {shards['skipped']} unchanged ({result.seconds:.1f} s).\n"
        f"Staged in all: {rows['mc_events']:,} events, {rows['mc_sessions']:,} sessions, "
        f"{rows['mc_micro_conversions']:,} micro-conversions.\n"
        f"Exact duplicates left out: {result.duplicates_removed:,}."
    )
