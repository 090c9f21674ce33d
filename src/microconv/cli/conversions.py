"""`microconv conversions`: send occurrences back to ad platforms as conversions."""

from __future__ import annotations

import click

from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.errors import DestinationError
from microconv.wording import plural


@click.group("conversions", short_help="Send occurrences back to ad platforms as conversions.")
def conversions() -> None:
    """Send occurrences back to ad platforms as conversions, so that these can teach the bidding.

    What is sent where is said under [[conversions]] of the configuration.
    """


@conversions.command("list", short_help="Say what could be sent, and what is left out.")
@output.answer_option
@click.pass_obj
def list_(context: CommandContext, *, output_format: str) -> None:
    """Say of each conversion how many orders count, how many of them may be sent, and why the others may not.

    \b
    Examples:
      microconv conversions list
      microconv conversions list --format csv
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        found = project.conversions.overview()
    output.answer(found, output_format)


@conversions.command("send", short_help="Tell ad platforms of conversions as they are now.")
@click.argument("names", nargs=-1, metavar="[CONVERSION]...")
@click.option("--dry-run", is_flag=True, help="Say what would be sent and check the guards, but send nothing.")
@click.option("--allow-shrink", is_flag=True, help="Send even if more is taken back than may be.")
@click.option("--allow-growth", is_flag=True, help="Send even if more is new than max_size.")
@click.option("--allow-stale", is_flag=True, help="Send even if the latest event is older than max_age.")
@output.allow_guardrail_option
@output.format_option
@click.pass_obj
def send(
    context: CommandContext,
    *,
    names: tuple[str, ...],
    dry_run: bool,
    allow_shrink: bool,
    allow_growth: bool,
    allow_stale: bool,
    allow_guardrail: tuple[str, ...],
    output_format: str,
) -> None:
    """Tell ad platforms of conversions as they are now: new ones, other values, and what did not happen after all.

    Without CONVERSION, all are sent that the configuration has. Only those of people who consented are, each order id
    once; what was not confirmed is said again. The exit code is 1 when a guard stopped one, and 4 when a platform did
    not confirm all.

    \b
    Examples:
      microconv conversions send --dry-run
      microconv conversions send
      microconv conversions send leads --allow-shrink --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.activation.push.push_guards import Allowed

    log = output.Log(context.log_format)
    allowed = Allowed(shrink=allow_shrink, growth=allow_growth, stale=allow_stale, guardrails=allow_guardrail)
    with context.project() as project, log.progress("Sending") as show:
        result = project.conversions.send(names, dry_run=dry_run, allowed=allowed, on_progress=show)
    for warning in result.warnings:
        log.warning(warning, run_id=result.run_id)
    output.emit(output_format, document=result.document(), shown=lambda: output.shown(result))
    if result.failures:
        *others, last = result.failures
        for failure in others:
            log.error(f"{failure.message} {failure.hint}", run_id=result.run_id)
        raise last


@conversions.command("status", short_help="Say what ad platforms were told.")
@output.answer_option
@click.pass_obj
def status(context: CommandContext, *, output_format: str) -> None:
    """Say of each conversion what was told, what is waited for or refused, and when something was sent last.

    \b
    Examples:
      microconv conversions status
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        found = project.conversions.status()
    output.answer(found, output_format)


@conversions.command("poll", short_help="Ask what became of requests.")
@click.option("--wait", is_flag=True, help="Ask again until all have an answer, or push.deadline is over.")
@output.answer_option
@click.pass_obj
def poll(context: CommandContext, *, wait: bool, output_format: str) -> None:
    """Ask ad platforms what became of the requests that they are still working on, and write it down.

    The exit code is 4 when one failed; `microconv conversions send` then says it again.

    \b
    Examples:
      microconv conversions poll --wait
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    log = output.Log(context.log_format)
    with context.project() as project:
        found = project.conversions.poll(
            wait=wait, on_wait=lambda number: log.info(f"{number} requests are still being worked on.")
        )
    output.answer(found, output_format)
    if found.undone:
        raise DestinationError(
            f"{plural(found.undone, 'request')} failed, or nobody knows what became of it.",
            hint="Run `microconv conversions send`: it says these again.",
        )
