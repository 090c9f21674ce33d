"""`microconv erase`: remove a person wherever we know of."""

from __future__ import annotations

import sys

import click

from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.errors import FindingsError


@click.command("erase", short_help="Remove a person wherever microconv knows of.")
@click.argument("user_id")
@output.format_option
@click.pass_obj
def erase(context: CommandContext, *, user_id: str, output_format: str) -> None:
    """Remove the person with USER_ID from the staged tables, memberships, the ledger, and lists at destinations.

    USER_ID is the one that your site sends to GA4; "-" reads it from stdin, so that no shell keeps it. It cannot be
    undone. While a destination has not confirmed a removal, or an exported file holds the person, the exit code is 1:
    run it again. No later import brings the person back.

    \b
    Examples:
      microconv erase 4711
      microconv erase - --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    name = sys.stdin.readline().strip() if user_id == "-" else user_id
    with context.project() as project:
        result = project.erase(name)
    output.emit(output_format, document=result.document(), shown=lambda: output.shown(result))
    if not result.is_finished:
        raise FindingsError(result.sentence, hint="Run the same command again later.")
