"""`microconv push`: make lists at destinations what segments are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.errors import DestinationError, FindingsError
from microconv.wording import plural

if TYPE_CHECKING:
    from microconv.activation.push.one_list import Wishes
    from microconv.activation.push.push_result import PushResult


_ALLOWED = {
    "shrink": "Send even if a list is emptied, or loses more than it may.",
    "growth": "Send even if more people would be on a list than max_size.",
    "churn": "Send even if more of a list would change than it may.",
    "stale": "Send even if the latest event is older than max_age.",
}


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


def _allowing(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that let a push through guards, `--allow-shrink` and so on."""
    command = output.allow_guardrail_option(command)
    for name, text in reversed(_ALLOWED.items()):
        command = click.option(f"--allow-{name}", is_flag=True, help=text)(command)
    return command


def _wishes(show: output.Show, *, full: bool = False, **options: Any) -> Wishes:  # noqa: ANN401 - flags and names
    from microconv.activation.push.one_list import Wishes
    from microconv.activation.push.push_guards import Allowed

    flags = {name: options[f"allow_{name}"] for name in _ALLOWED}
    return Wishes(full, Allowed(**flags, guardrails=options["allow_guardrail"]), show)


@click.group("push", cls=PushGroup, invoke_without_command=True, short_help="Make lists at destinations current.")
@click.argument("segments", nargs=-1, metavar="[SEGMENT]...")
@click.option("--to", "destinations", multiple=True, metavar="NAME", help="Only this destination; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and check it; no list is changed.")
@click.option("--full", is_flag=True, help="Say again whatever is on the lists already.")
@_allowing
@output.format_option
@click.pass_context
def push(ctx: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - those above
    """Make the lists at destinations what their segments are now: add who is new, remove who left or refused.

    Without SEGMENT, all segments are pushed that name destinations. Only what changed is sent, to those alone who
    consented, and a ledger keeps what was sent, so that a push that was killed or lost is put right by the next one.
    A guard stops a list that would be emptied or changed too much (exit code 1); what a destination did not confirm
    is exit code 4; both leave the other lists alone. A dry run checks the guards, and has platforms look at a first
    request that can do so without any effect.

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
    output_format: str,
    **wishes: Any,  # noqa: ANN401 - flags and names
) -> None:
    log = output.Log(context.log_format)
    with context.project() as project, log.progress("Pushing") as show:
        result = project.pushes.push(segments, destinations, dry_run=dry_run, wishes=_wishes(show, **wishes))
    say(log, result, output_format)


@push.command("status", short_help="Say what is known of each list.")
@click.option("--ask", is_flag=True, help="Ask destinations, too, what they say of their lists.")
@click.option("--format", "output_format", **output.ANSWER_FORMAT)
@click.pass_obj
def status(context: CommandContext, *, ask: bool, output_format: str) -> None:
    """Say of each list what is on it, what is waited for or refused, and when it was sent to last.

    Lists that were pushed to once, and are no longer in the configuration, are shown as well. With --ask, destinations
    that can tell say how many members they count, how many of those sent they know, and what is wrong with a list.

    \b
    Examples:
      microconv push status
      microconv push status --ask
      microconv push status --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        found = project.pushes.status(ask=ask)
    output.answer(found, output_format)


@push.command("poll", short_help="Ask what became of requests.")
@click.option("--wait", is_flag=True, help="Ask again until all have an answer, or push.deadline is over.")
@click.option("--format", "output_format", **output.ANSWER_FORMAT)
@click.pass_obj
def poll(context: CommandContext, *, wait: bool, output_format: str) -> None:
    """Ask destinations what became of the requests that they are still working on, and write it down.

    The exit code is 4 when one failed; `microconv push` then says it again.

    \b
    Examples:
      microconv push poll
      microconv push poll --wait
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    log = output.Log(context.log_format)
    with context.project() as project:
        found = project.pushes.poll(
            wait=wait, on_wait=lambda number: log.info(f"{number} requests are still being worked on.")
        )
    output.answer(found, output_format)
    if found.undone:
        raise DestinationError(
            f"{plural(found.undone, 'request')} failed, or nobody knows what became of it.",
            hint="Run `microconv push`: it says these again.",
        )


@push.command("verify-ga4", short_help="Hold lists against the audiences of GA4.")
@click.argument("segments", nargs=-1, metavar="[SEGMENT]...")
@click.option("--to", "destinations", multiple=True, metavar="NAME", help="Only this destination; may be repeated.")
@click.option("--wait", is_flag=True, help="Wait until GA4 has exported the audiences, or push.deadline is over.")
@output.answer_option
@click.pass_obj
def verify_ga4(
    context: CommandContext,
    *,
    segments: tuple[str, ...],
    destinations: tuple[str, ...],
    wait: bool,
    output_format: str,
) -> None:
    """Read back who is in the audiences of GA4, and hold that against what GA4 was told: the only proof of a push.

    GA4 exports an audience in about a quarter of an hour; without --wait, run it again then. The exit code is 4 while
    an export is waited for, and 1 when an audience is not what GA4 was told; it takes a day or two to be.

    \b
    Examples:
      microconv push verify-ga4
      microconv push verify-ga4 cart_abandoners --wait --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.activation.ga4_proof import Proving

    log = output.Log(context.log_format)
    with context.project() as project:
        found = Proving(project.pushes).prove(
            segments,
            destinations,
            wait=wait,
            on_wait=lambda number: log.info(f"{plural(number, 'export')} of audiences are being made."),
        )
    output.answer(found, output_format)
    if found.is_waiting:
        raise DestinationError(
            "GA4 has not exported all audiences yet, or has none of that name.",
            hint="Run the same command again in a quarter of an hour; `microconv segment ga4 NAME --by-push --create` "
            "makes an audience that is not there.",
        )
    if not found.is_proved:
        raise FindingsError(
            "An audience of GA4 is not what GA4 was told.",
            hint="It takes a day or two; if it stays so, run `microconv push --full`, and look at the audience in GA4.",
        )


@push.command("retire", short_help="Take everybody off a list that is given up.")
@click.argument("segment", metavar="SEGMENT")
@click.option("--from", "destination", required=True, metavar="NAME", help="The destination whose list is emptied.")
@click.option("--dry-run", is_flag=True, help="Say how many would be taken off, but send nothing.")
@output.format_option
@click.pass_obj
def retire(context: CommandContext, *, segment: str, destination: str, dry_run: bool, output_format: str) -> None:
    """Take everybody off a list that no segment of the configuration goes to any more. No guard stops that.

    The destination itself must still be in the configuration. Take the list out of the segment's `destinations`
    first, else the next push would add everybody again.

    \b
    Examples:
      microconv push retire spring_sale --from crm --dry-run
      microconv push retire spring_sale --from crm
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    log = output.Log(context.log_format)
    with context.project() as project:
        result = project.pushes.retire(segment, destination, dry_run=dry_run)
    say(log, result, output_format)


@push.command("sweep", short_help="Take off a list whoever the ledger does not know of.")
@click.argument("segment", metavar="SEGMENT")
@click.option("--from", "destination", required=True, metavar="NAME", help="The destination whose list is swept.")
@click.option("--dry-run", is_flag=True, help="Let the platform check the request, without any effect.")
@output.answer_option
@click.pass_obj
def sweep(context: CommandContext, *, segment: str, destination: str, dry_run: bool, output_format: str) -> None:
    """Take off a list whoever was added before all that the ledger knows of; the list is never empty on the way.

    That is whoever others put on it, or you did before the ledger was lost: nobody else can take them off. First say
    all again with `microconv push SEGMENT --full`, and wait until all is confirmed with `microconv push poll --wait`.
    Only Google Ads can do this.

    \b
    Examples:
      microconv push sweep cart_abandoners --from ads --dry-run
      microconv push sweep cart_abandoners --from ads
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.activation.push.sweeping import Sweeping

    with context.project() as project:
        found = Sweeping(project.pushes).sweep(segment, destination, dry_run=dry_run)
    output.answer(found, output_format)
    if any(each.state in ("sent", "failed", "unknown") for each in found.batches):
        raise DestinationError(
            "The list was not swept, or nobody knows.", hint="Run the same command again: it may be repeated."
        )


@push.group("ledger", short_help="Look at the ledger, check it, go on with what it left.")
def ledger() -> None:
    """Look at what was sent, check that the ledger is whole, and go on with what a push left unfinished."""


@ledger.command("show", short_help="List batches, the latest first.")
@click.option("--segment", metavar="NAME", help="Only batches of this segment.")
@click.option("--to", "destination", metavar="NAME", help="Only batches for this destination.")
@click.option("--open", "is_open", is_flag=True, help="Only batches that are not final.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="List at most this many.")
@click.option("--format", "output_format", **output.ANSWER_FORMAT)
@click.pass_obj
def show_batches(
    context: CommandContext,
    *,
    segment: str | None,
    destination: str | None,
    is_open: bool,
    limit: int,
    output_format: str,
) -> None:
    """List batches, the latest first: what each asked, its state, counts and times (UTC). It holds no identifier.

    \b
    Examples:
      microconv push ledger show
      microconv push ledger show --open --segment cart_abandoners
      microconv push ledger show --limit 1000 --format csv
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        found = project.pushes.batches(destination, segment, is_open=is_open, most=limit)
    output.answer(found, output_format)


@ledger.command("verify", short_help="Check that the ledger is whole.")
@click.option("--format", "output_format", **output.ANSWER_FORMAT)
@click.pass_obj
def verify(context: CommandContext, *, output_format: str) -> None:
    """Check that the ledger is whole: each identifier has one batch, counts agree, states and times are possible.

    The exit code is 1 when it is not.

    \b
    Examples:
      microconv push ledger verify
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        found = project.pushes.verify()
    output.answer(found, output_format)
    if found.faults:
        raise FindingsError(
            found.sentence,
            hint="Somebody else changed these tables, or this is a bug: restore a copy of the database; "
            "`microconv push --full` says everything again, and removes only what it still knows of.",
        )


@ledger.command("resume", short_help="Go on with what a push left unfinished.")
@_allowing
@output.format_option
@click.pass_obj
def resume(context: CommandContext, /, *, output_format: str, **allowed: Any) -> None:  # noqa: ANN401 - flags and names
    """Go on with the lists that a push left unfinished, because it was killed or not answered.

    The members are those of that push; consent is read anew, and guards look again. Lists that are finished are left
    alone. `microconv push` does the same with the members of now.

    \b
    Examples:
      microconv push ledger resume
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    log = output.Log(context.log_format)
    with context.project() as project, log.progress("Resuming") as show:
        result = project.pushes.resume(wishes=_wishes(show, **allowed))
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
