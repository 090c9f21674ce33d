"""`microconv demo`: a made-up export, and the whole pipeline on it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import click

from microconv.cli import output
from microconv.cli.context import CommandContext, open_project
from microconv.cli.invocation import as_typed, command
from microconv.cli.sync import summary as sync_summary
from microconv.wording import Verbatim, count, elapsed

DEFAULT_EVENTS = 200_000


@click.command("demo", short_help="Write a demo export and run the whole pipeline on it.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path("demo"))
@click.option("--events", type=int, default=DEFAULT_EVENTS, show_default=True, help="About how many events to write.")
@click.option(
    "--seed",
    type=int,
    default=7,
    show_default=True,
    help="Seed of all random numbers: the same seed writes the same export.",
)
@output.format_option
@click.pass_obj
def demo(context: CommandContext, *, folder: Path, events: int, seed: int, output_format: str) -> None:
    """Write a made-up GA4 export with planted truths into FOLDER, run everything on it, and write a report.

    The export holds 30 days of a shop, with an outage, duplicates, rows without consent, a late day, sessions over
    midnight and an intraday day; an identity and a consent table come with it. FOLDER/truths.json says what is true,
    and docs/demo.md explains it.

    \b
    Examples:
      microconv demo
      microconv demo shop --events 1000000
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.catalogue import destination_settings
    from microconv.config.load import load_config
    from microconv.demo import write_demo
    from microconv.engines.duckdb import remove_database
    from microconv.report import attention, check_report_path, write_report

    check_report_path(folder / "report.html")
    started = time.monotonic()
    log = output.Log(context.log_format)
    log.info(f"Writing a demo export of about {count(events)} events to {folder} …")
    with log.progress("Writing") as show:
        written = write_demo(folder, events=events, seed=seed, on_day=lambda day, days: show(day, days, "days"))
    # The demo's own file alone: an override meant for a real project must not steer the demo.
    config = load_config(written.config, {}, destination_settings)
    remove_database(config.engine.path)
    said: list[Any] = []
    with open_project(config) as project:
        for step in ("Staging the export", "A late day arrives: staging that day alone"):
            log.info(f"{step} …")
            with log.progress("Staging") as show:
                synced = project.sync(on_progress=lambda progress: show(progress.done, progress.total, progress.step))
            said.append(sync_summary(synced))
            for shard in sorted((folder / "late").glob("events_*")):
                shutil.copy2(shard, folder / "exports" / shard.name)
        log.info("Coverage, funnels, attribution, audit …")
        data = project.report_data()
        answers = [answer.result for answer in data.answers if answer.question in ("funnel", "attribution")]
        said += [each for result in answers for each in result.sheets()]
        log.info("Segments and audiences …")
        exported = [
            # A demo of another size is another shop: its audiences owe nothing to those of the demo before.
            project.export(segment.name, destination.name, allow_shrink=True)
            for segment in config.segments
            for destination in config.destinations
        ]
        said += [result.sentence for result in exported]
    audiences = [each.target.facts["path"] for each in exported]
    log.info("Report …")
    report = write_report(data, folder / "report.html")
    found = attention(data)
    findings = (as_typed(f"- {each.message} {each.remedy}".rstrip(), config=written.config) for each in found)
    said.append("\nWhat it found:\n" + "\n".join(findings))
    if data.audit is not None:
        told = [f"- {each.severity}: {each.message}" for each in data.audit.findings if each.severity != "note"]
        said.append("\n".join((f"\nThe audit of the tracking: {data.audit.sentence}", *told)))
    seconds = round(time.monotonic() - started, 1)
    said.append(
        f"\nDone in {elapsed(seconds)}. Report: {report}. Audiences: {Path(audiences[0]).parent}.\n"
        f"What is planted and true: {folder / 'truths.json'}."
    )
    said.append(Verbatim(f"Go on with: {command('funnel', config.funnels[0].name, config=written.config)}"))
    output.emit(
        output_format,
        document={
            "folder": str(folder),
            "events": written.events,
            "report": str(report),
            "audiences": audiences,
            "findings": [finding.message for finding in found],
            "audit": data.audit.sentence if data.audit is not None else None,
            "seconds": seconds,
        },
        shown=lambda: said,
    )
