"""`microconv report`: one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from microconv.cli import output
from microconv.cli.context import CommandContext


@click.command("report", short_help="Write the report, one self-contained HTML page.")
@click.option(
    "--output",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="File to write; an older report there is replaced, and nothing else.",
)
@output.format_option
@click.pass_obj
def report(context: CommandContext, *, path: Path, output_format: str) -> None:
    """Write the report: what needs attention, then the answer to every question that the configuration asks by itself.

    Funnels, attribution, coverage by day and sessions by channel have charts. The page needs no network, and reads
    well on a phone.

    \b
    Examples:
      microconv report
      microconv report --output reports/march.html --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.report import attention, check_report_path, write_report

    with context.project() as project:
        check_report_path(path, project.config)
        data = project.report_data()
    written = write_report(data, path)
    found = attention(data)
    output.emit(
        output_format,
        document={"path": str(written), "findings": [each.document() for each in found]},
        shown=lambda: [
            f"Report written to {written}.",
            *(f"{each.severity}: {each.message} {each.remedy}".rstrip() for each in found),
        ],
    )
