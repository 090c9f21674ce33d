"""`microconv export`: write audiences that ad platforms take, for those who agreed."""

from __future__ import annotations

import click

from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.cli.moment import moment
from microconv.errors import UsageError


@click.command("export", short_help="Write a segment's audience to a destination.")
@click.argument("segment")
@click.option("--to", "destination", metavar="NAME", help="Destination; needed when the configuration has several.")
@click.option(
    "--as-of",
    metavar="TIMESTAMP",
    help="Moment to build the segment for, ISO 8601, UTC unless it says otherwise; default: the latest event.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be written and check the guards, but write nothing.")
@click.option("--allow-shrink", is_flag=True, help="Write even if the audience is empty or much smaller than before.")
@click.option(
    "--allow-stale", is_flag=True, help="Write even if the latest event is older than max_age of the destination."
)
@output.allow_guardrail_option
@output.format_option
@click.pass_obj
def export(
    context: CommandContext,
    *,
    segment: str,
    destination: str | None,
    as_of: str | None,
    dry_run: bool,
    allow_shrink: bool,
    allow_stale: bool,
    allow_guardrail: tuple[str, ...],
    output_format: str,
) -> None:
    """Write the audience of SEGMENT: hashed identifiers of members who granted consent, with rejects and a manifest.

    Members without a consent record that grants both ad_user_data and ad_personalization are left out. An empty
    audience, one that lost more than half of its people since the last export, and one of data that is long past,
    are not written: exit code 1.

    \b
    Examples:
      microconv export cart_abandoners --to google_ads
      microconv export cart_abandoners --to google_ads --dry-run --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    asked = moment(as_of) if as_of else None
    with context.project() as project:
        if destination is None:
            names = [each.name for each in project.config.destinations]
            if len(names) != 1:
                raise UsageError(
                    f"Say where to: the configuration has {len(names)} destinations.",
                    hint=f"Add --to NAME ({', '.join(names) or 'add one under [[destinations]]'}).",
                )
            destination = names[0]
        result = project.export(
            segment,
            destination,
            as_of=asked,
            allow_shrink=allow_shrink,
            allow_stale=allow_stale,
            allow_guardrails=allow_guardrail,
            dry_run=dry_run,
        )
    log = output.Log(context.log_format)
    for warning in result.warnings:
        log.warning(warning, segment=segment, destination=destination)
    output.emit(output_format, document=result.document(), shown=result.sheets)
