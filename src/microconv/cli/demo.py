"""`microconv demo`: a made-up export, and the whole pipeline on it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import click

from microconv.cli import output
from microconv.cli.attribution import credit_tables
from microconv.cli.context import Context
from microconv.cli.export import sentence as export_sentence
from microconv.cli.funnel_views import StepsView
from microconv.cli.sync import summary as sync_summary

DEFAULT_EVENTS = 200_000


@click.command("demo", short_help="Write a demo export and run the whole pipeline on it.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path("demo"))
@click.option("--events", type=int, default=DEFAULT_EVENTS, show_default=True, help="About how many events to write.")
@click.option("--seed", type=int, default=7, show_default=True, help="Seed of all that is random.")
@output.format_option
@click.pass_obj
def demo(context: Context, *, folder: Path, events: int, seed: int, output_format: str) -> None:
    """Write a made-up GA4 export with planted truths into FOLDER, then run everything on it and leave a report.

    It holds 30 days of a shop: an outage, duplicates, rows without consent, a late day, sessions over midnight, an
    intraday day, an identity and a consent table. FOLDER/truths.json says what is true; docs/demo.md explains it.

    \b
    Examples:
      microconv demo
      microconv demo shop --events 1000000
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.config.load import load_config
    from microconv.demo import write_demo
    from microconv.project import Project
    from microconv.report import findings, write_report

    started = time.monotonic()
    log = output.Log(context.log_format)
    log.info(f"Writing a demo export of about {events:,} events to {folder} …")
    with log.progress("Writing") as show:
        written = write_demo(folder, events=events, seed=seed, on_day=lambda day, days: show(day, days, "days"))
    # The demo's own file alone: an override meant for a real project must not steer the demo.
    config = load_config(written.config, {})
    for leftover in config.engine.path.parent.glob(f"{config.engine.path.name}*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    said: list[Any] = []
    with Project(config) as project:
        for step in ("Staging the export", "A late day arrives: staging that day alone"):
            log.info(f"{step} …")
            with log.progress("Staging") as show:
                synced = project.sync(on_progress=lambda progress: show(progress.done, progress.total, progress.step))
            said.append(sync_summary(synced))
            for shard in sorted((folder / "late").glob("events_*")):
                shutil.copy2(shard, folder / "exports" / shard.name)
        log.info("Coverage, funnels, attribution …")
        data = project.report_data()
        said += [table for funnel in data.funnels for table in StepsView(funnel).tables()]
        said += credit_tables(data.attribution) if data.attribution else []
        log.info("Segments and audiences …")
        exported = [
            # A demo of another size is another shop: its audiences owe nothing to those of the demo before.
            project.export(segment.name, destination.name, allow_shrink=True)
            for segment in config.segments
            for destination in config.destinations
        ]
        said += [export_sentence(result) for result in exported]
    log.info("Report …")
    report = write_report(data, folder / "report.html")
    found = findings(data)
    said.append("\nWhat it found:\n" + "\n".join(f"- {finding.text}" for finding in found))
    seconds = round(time.monotonic() - started, 1)
    said.append(
        f"\nDone in {seconds} s. Report: {report}. Audiences: {config.destinations[0].path}.\n"
        f"What is planted and true: {folder / 'truths.json'}. Go on with: microconv -c {written.config} funnel checkout"
    )
    output.emit(
        output_format,
        document={
            "folder": str(folder),
            "events": written.events,
            "report": str(report),
            "audiences": [str(each.path) for each in exported],
            "findings": [finding.text for finding in found],
            "seconds": seconds,
        },
        tables=lambda: said,
    )
