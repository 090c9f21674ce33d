"""`microconv runs`: what each sync did."""

from __future__ import annotations

import click

from microconv.cli import output
from microconv.cli.context import CommandContext

_STATUSES = ("running", "done", "failed", "interrupted")


@click.group("runs", short_help="Look at what each sync did.")
def runs() -> None:
    """Look at the log of runs: what each sync did, what it cost, and how it ended."""


@runs.command("list", short_help="List runs, the latest first.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="List at most this many.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only runs with this status.")
@click.option("--format", "output_format", **output.ANSWER_FORMAT)
@click.pass_obj
def list_(context: CommandContext, *, limit: int, status: str | None, output_format: str) -> None:
    """List runs, the latest first. Times are UTC.

    A run that was killed stays "running" until the next one marks it as interrupted.

    \b
    Examples:
      microconv runs list
      microconv runs list --status failed --limit 5
      microconv runs list --limit 1000 --format csv
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        found = project.runs(limit=limit, status=status)
    output.answer(found, output_format)


@runs.command("show", short_help="Show one run and the days it staged.")
@click.argument("run_id")
@click.option("--format", "output_format", **output.ANSWER_FORMAT)
@click.pass_obj
def show(context: CommandContext, *, run_id: str, output_format: str) -> None:
    """Show the run RUN_ID and the days it staged, except days that a later run staged again.

    RUN_ID may be cut short, as long as only one run begins like that. "latest" is the latest run.

    \b
    Examples:
      microconv runs show latest
      microconv runs show 20261122T0059 --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        found = project.run(run_id)
    output.answer(found, output_format)
