"""`microconv runs`: what each sync did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from microconv.cli import output
from microconv.cli.context import Context
from microconv.cli.output import duration
from microconv.wording import human_bytes

if TYPE_CHECKING:
    from rich.table import Table

    from microconv.staging.runs import Run, RunDetails

_STATUSES = ("running", "done", "failed", "interrupted")


@click.group("runs", short_help="Look at what each sync did.")
def runs() -> None:
    """Look at the log of runs: what each sync did, what it cost, and how it ended."""


@runs.command("list", short_help="List runs, the latest first.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many at most.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only runs that are or ended so.")
@output.format_option
@click.pass_obj
def list_(context: Context, *, limit: int, status: str | None, output_format: str) -> None:
    """List runs, the latest first. Times are UTC.

    A run that was killed stays "running" until the next one marks it as interrupted.

    \b
    Examples:
      microconv runs list
      microconv runs list --status failed --limit 5
      microconv runs list --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        found = project.runs(limit=limit, status=status)
    output.emit(
        output_format,
        document={"runs": [run.document() for run in found]},
        tables=lambda: [_list(found) if found else "No such run."],
    )


@runs.command("show", short_help="Show one run and the days it staged.")
@click.argument("run_id")
@output.format_option
@click.pass_obj
def show(context: Context, *, run_id: str, output_format: str) -> None:
    """Show the run RUN_ID and the days it staged, without those that a later run staged again.

    RUN_ID may be cut short as long as it means one run, and "latest" is the latest run.

    \b
    Examples:
      microconv runs show latest
      microconv runs show 20261122T0059 --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        found = project.run(run_id)
    output.emit(output_format, document=found.document(), tables=lambda: list(_details(found)))


def _list(found: tuple[Run, ...]) -> Table:
    headings = [("run", "left"), ("status", "left"), ("began", "left")]
    headings += [(name, "right") for name in ("took", "days seen", "staged", "billed")]
    return output.table(
        "Runs, the latest first",
        headings,
        [
            [
                run.run_id,
                run.status,
                f"{run.started_at:%Y-%m-%d %H:%M}",
                _took(run),
                _count(run.shards_seen),
                _count(run.shards_staged),
                _billed(run),
            ]
            for run in found
        ],
    )


def _details(found: RunDetails) -> Iterator[Table | str]:
    run = found.run
    shown = {
        "status": run.status,
        "error": run.error or "",
        "began": f"{run.started_at:%Y-%m-%d %H:%M:%S} UTC",
        "ended": f"{run.ended_at:%Y-%m-%d %H:%M:%S} UTC" if run.ended_at else "",
        "took": _took(run),
        "owner": run.owner or "",
        "microconv": run.version or "",
        "configuration": run.config_fingerprint or "",
        "taxonomy": f"{run.taxonomy or ''} {run.taxonomy_fingerprint or ''}".strip(),
        "days seen": _count(run.shards_seen),
        "days staged": _count(run.shards_staged),
        "days unchanged": _count(run.shards_skipped),
        "events after it": _count(run.rows_events),
        "sessions after it": _count(run.rows_sessions),
        "micro-conversions after it": _count(run.rows_micro_conversions),
        "duplicates left out": _count(run.duplicates_removed),
        "billed": _billed(run),
    }
    yield output.table(
        f"Run {run.run_id}", [("", "left"), ("", "left")], [[name, value] for name, value in shown.items() if value]
    )
    if not found.days:
        yield "No day is staged as this run left it."
        return
    headings = [(name, "left") for name in ("property", "day", "shard")]
    headings += [(name, "right") for name in ("rows read", "events", "duplicates")]
    yield output.table(
        "Days that are staged as this run left them",
        headings,
        [
            [
                day.property,
                str(day.event_date),
                day.shard,
                _count(day.source_rows),
                _count(day.events),
                _count(day.duplicates_removed),
            ]
            for day in found.days
        ],
    )


def _took(run: Run) -> str:
    return "" if run.seconds is None else duration(run.seconds)


def _count(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _billed(run: Run) -> str:
    return human_bytes(run.bytes_billed) if run.bytes_billed else ""
