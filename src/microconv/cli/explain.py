"""`microconv explain`: why somebody is on a list, or is not."""

from __future__ import annotations

import click

from microconv.cli import output
from microconv.cli.context import CommandContext


@click.command("explain", short_help="Say why somebody is on a list, or is not.")
@click.argument("actor")
@click.option("--segment", metavar="NAME", required=True, help="The segment.")
@click.option(
    "--to", "destinations", multiple=True, metavar="NAME", help="Destination; default: those that the segment names."
)
@output.format_option
@click.pass_obj
def explain(
    context: CommandContext, *, actor: str, segment: str, destinations: tuple[str, ...], output_format: str
) -> None:
    """Follow one ACTOR (a user_id, or an actor key) through a segment: events, membership, consent, batch, receipt.

    Identifiers are shown by the first digits of their hash, and nothing of the identity table is shown.

    \b
    Examples:
      microconv explain 4711 --segment cart_abandoners
      microconv explain 4711 --segment cart_abandoners --to crm --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        found = project.explain(actor, segment, destinations)
    output.emit(output_format, document=found.document(), shown=lambda: output.shown(found))
