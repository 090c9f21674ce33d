"""`microconv push`: make lists at destinations what segments are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from microconv.cli import output
from microconv.cli.context import CommandContext

if TYPE_CHECKING:
    from microconv.activation.push.push_result import PushResult


class PushGroup(click.Group):
    """A group whose own arguments are segments, unless the first is one of its commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the segments and options, which may stand in any order, or the command."""
        ctx.meta[__name__] = bool(args) and args[0] in self.commands
        ctx.allow_interspersed_args = not ctx.meta[__name__]
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return what it takes: a command takes no segments before it."""
        params = super().get_params(ctx)
        is_command = ctx.meta.get(__name__, False)
        return [each for each in params if not (is_command and isinstance(each, click.Argument))]


@click.group("push", cls=PushGroup, invoke_without_command=True, short_help="Make lists at destinations current.")
@click.argument("segments", nargs=-1, metavar="[SEGMENT]...")
@click.option("--to", "destinations", multiple=True, metavar="NAME", help="Only this destination; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent and check the guards, but send nothing.")
@click.option("--full", is_flag=True, help="Say again whatever is on the lists already.")
@click.option("--allow-shrink", is_flag=True, help="Send even if a list is emptied, or loses more than it may.")
@click.option("--allow-growth", is_flag=True, help="Send even if more people would be on a list than max_size.")
@click.option("--allow-churn", is_flag=True, help="Send even if more of a list would change than it may.")
@click.option("--allow-stale", is_flag=True, help="Send even if the latest event is older than max_age.")
@output.format_option
@click.pass_context
def push(ctx: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - those above
    """Make the lists at destinations what their segments are now: add who is new, remove who left or refused.

    Without SEGMENT, all segments are pushed that name destinations. Only what changed is sent, to those alone who
    consented, and a ledger keeps what was sent, so that a push that was killed or lost is put right by the next one.
    A guard stops a list that would be emptied or changed too much (exit code 1); what a destination did not confirm
    is exit code 4; both leave the other lists alone.

    \b
    Examples:
      microconv push
      microconv push cart_abandoners --to crm --dry-run
      microconv push cart_abandoners --allow-churn --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    if ctx.invoked_subcommand is None:
        _push(ctx.obj, **options)


def _push(
    context: CommandContext,
    *,
    segments: tuple[str, ...],
    destinations: tuple[str, ...],
    dry_run: bool,
    full: bool,
    allow_shrink: bool,
    allow_growth: bool,
    allow_churn: bool,
    allow_stale: bool,
    output_format: str,
) -> None:
    from microconv.activation.push.push_guards import Allowed

    allowed = Allowed(shrink=allow_shrink, growth=allow_growth, churn=allow_churn, stale=allow_stale)
    log = output.Log(context.log_format)
    with context.project() as project, log.progress("Pushing") as show:
        result = project.pushes.push(
            segments,
            destinations,
            dry_run=dry_run,
            full=full,
            allowed=allowed,
            on_progress=show,
        )
    say(log, result, output_format)


def say(log: output.Log, result: PushResult, output_format: str) -> None:
    """Write what a push did, and end as its worst list did."""
    for warning in result.warnings:
        log.warning(warning, push_id=result.push_id)
    output.emit(output_format, document=result.document(), shown=lambda: output.shown(result))
    if result.failures:
        *others, last = result.failures
        for failure in others:
            log.error(f"{failure.message} {failure.hint}", push_id=result.push_id)
        raise last
