"""`microconv report`: the page for the meeting."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

import click

from microconv.cli import output
from microconv.cli.context import CommandContext

_DAY = click.DateTime(formats=["%Y-%m-%d"])
OVERVIEW = "overview"
"""The section that is shown alone with --summary."""


@click.command("report", short_help="Write the report: one self-contained HTML page, or Markdown.")
@click.option("--since", type=_DAY, metavar="DAY", help="First day of the page; default: the first staged.")
@click.option("--until", type=_DAY, metavar="DAY", help="Last day of the page; default: the last staged.")
@click.option("--summary", "is_summary", is_flag=True, help="Only the overview: what changed and what to do first.")
@click.option(
    "--output",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; an older report there is replaced, and nothing else. Default: report.html or report.md.",
)
@click.option("--open", "is_opened", is_flag=True, help="Open the report once it is written.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json", "markdown"]),
    default="table",
    show_default=True,
    help="What is told on stdout: sentences for people, or one JSON document. With markdown the report itself is "
    "Markdown instead of HTML.",
)
@click.pass_obj
def report(
    context: CommandContext,
    *,
    since: datetime | None,
    until: datetime | None,
    is_summary: bool,
    path: Path | None,
    is_opened: bool,
    output_format: Literal["table", "json", "markdown"],
) -> None:
    """Write the report: what changed, what needs attention, then the answer to every question that has a place there.

    With --since or --until the page is about these days, and holds them against as many days before. Which sections it
    has, and in which order, is `sections` under [report]. The page needs no network, and reads well on a phone.

    \b
    Examples:
      microconv report
      microconv report --since 2024-03-01 --until 2024-03-31 --output reports/march.html --open
      microconv report --summary --format markdown
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.report import attention, check_report_path, write_report

    form: Literal["html", "markdown"] = "markdown" if output_format == "markdown" else "html"
    place = path or Path("report.md" if form == "markdown" else "report.html")
    log = output.Log(context.log_format)
    with context.project() as project:
        check_report_path(place, project.config)
        with log.progress("Report") as show:
            data = project.report_data(
                since=since.date() if since else None,
                until=until.date() if until else None,
                sections=(OVERVIEW,) if is_summary else None,
                on_progress=show,
            )
    for failed in data.unanswered:
        log.warning(f"{failed.about or failed.question} could not be answered: {failed.why}", question=failed.question)
    written = write_report(data, place, form)
    found = attention(data)
    output.emit(
        "json" if output_format == "json" else "table",
        document={
            "path": str(written),
            "findings": [each.document() for each in found],
            "unanswered": [failed.question for failed in data.unanswered],
        },
        shown=lambda: [
            f"Report written to {written}.",
            *(f"{each.severity}: {each.message} {each.remedy}".rstrip() for each in found),
        ],
    )
    if is_opened:
        click.launch(written.resolve().as_uri())
