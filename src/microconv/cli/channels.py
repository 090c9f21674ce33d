"""`microconv channels`: sessions by default channel group."""

from __future__ import annotations

import click

from microconv.cli import output
from microconv.cli.context import Context


@click.command("channels", short_help="Count sessions by default channel group.")
@output.format_option
@click.pass_obj
def channels(context: Context, *, output_format: str) -> None:
    """Count sessions, engaged sessions, actors and page views by default channel group, the largest first.

    \b
    Examples:
      microconv channels
      microconv channels --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        result = project.channels()
    headings = [(name, "right") for name in ("sessions", "engaged", "actors", "page views")]
    output.emit(
        output_format,
        document=result.document(),
        tables=lambda: [
            output.table(
                "Sessions by default channel group",
                [("channel group", "left"), *headings],
                [
                    [
                        row.channel_group,
                        f"{row.sessions:,}",
                        f"{row.engaged_sessions:,}",
                        f"{row.actors:,}",
                        f"{row.page_views:,}",
                    ]
                    for row in result.channels
                ],
            )
        ],
    )
