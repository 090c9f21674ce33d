"""The command line: a thin skin over `microconv.Project`. Nothing imports it, and it imports nothing heavy at start."""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from microconv import catalogue
from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.errors import EngineError, MicroconvError, UsageError
from microconv.version import __version__
from microconv.wording import message

INTERRUPTED = 130
_OF_A_PATH = frozenset({errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENOTDIR})

# Commands in the order of the work: the module and attribute that hold each, and what it does. `--help` loads none.
# Those without a place answer questions, and are made from the catalogue.
COMMANDS: dict[str, tuple[str | None, str]] = {
    "init": ("init:init", "Write a commented configuration for a folder of shards."),
    "sync": ("sync:sync", "Read the export and stage the days that changed."),
    "taxonomy": ("taxonomy:taxonomy", "Show or check the micro-conversion taxonomy."),
    **{
        name: (None, next(iter(lines.values())).answers)
        for name, lines in catalogue.by_command().items()
        if " " not in name
    },
    "experiment": ("experiment:experiment", "Plan, read and decide experiments."),
    "segment": ("segment:segment", catalogue.QUESTIONS["segment"].answers),
    "ethics": ("ethics:ethics", "Show the checklist of ethics and what was answered."),
    "propensity": ("propensity:propensity", catalogue.QUESTIONS["propensity"].answers),
    "audit": ("audit:audit", "Find what is wrong with the tracking."),
    "export": ("export:export", "Write a segment's audience to a destination."),
    "push": ("push:push", "Make lists at destinations what their segments are."),
    "conversions": ("conversions:conversions", "Send occurrences back to ad platforms as conversions."),
    "explain": ("explain:explain", "Say why somebody is on a list, or is not."),
    "erase": ("erase:erase", "Remove a person wherever microconv knows of."),
    "report": ("report:report", "Write the report, one self-contained HTML page."),
    "runs": ("runs:runs", "Look at what each sync did."),
    "query": ("query:query", "Look into the tables with a SELECT of your own."),
    "sql": ("sql:sql", "Print the SQL of a template, or what it would cost."),
    "doctor": ("doctor:doctor", "Check all that a sync and a push need."),
    "demo": ("demo:demo", "Write a demo export and run the whole pipeline on it."),
}


class _Commands(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - Click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 - Click's signature
        if name not in COMMANDS:
            return None
        place, _ = COMMANDS[name]
        if place is None:
            from microconv.cli.questions import command

            return command(name)
        module, _, attribute = place.partition(":")
        found: click.Command = getattr(importlib.import_module(f"microconv.cli.{module}"), attribute)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - Click's signature
        """Write what each command does, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, does) for name, (_, does) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - Click's signature
        """Run the command; what stops it is said in the log format asked for."""
        log = output.Log(ctx.params["log_format"])
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader (`| head`) has gone: not an error, but Python would complain when it flushes stdout at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        except (click.exceptions.Exit, click.ClickException) as stop:
            if log.is_json and isinstance(stop, click.ClickException):
                ctx.exit(_report(log, stop))
            raise  # Click shows the usage with it
        except (KeyboardInterrupt, Exception) as error:  # The last line of defence: no traceback reaches a user.
            if os.environ.get("MICROCONV_TRACEBACK"):
                raise
            ctx.exit(_report(log, error))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    help="Configuration file; default: $MICROCONV_CONFIG, then ./microconv.toml.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to write progress and warnings on stderr; json writes one object a line, for schedulers.",
)
@click.version_option(__version__, prog_name="microconv")
@click.pass_context
def cli(ctx: click.Context, config: Path | None, log_format: str) -> None:
    """Turn a GA4 export into decisions about micro-conversions.

    \b
    Examples:
      microconv demo
      microconv init --exports exports --property 123456789 --timezone Europe/Berlin
      microconv sync
      microconv funnel purchase_journey
      microconv -c shop.toml attribution --format json

    Exit codes: 0 done, 1 findings, 2 usage or configuration, 3 source or engine, 4 destination,
    5 another run holds the lock, 130 interrupted.
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    ctx.obj = CommandContext(config_path=config, log_format=log_format, environ=dict(os.environ))


def main() -> None:
    """Run the command line; every error is one paragraph on stderr and a documented exit code, never a traceback."""
    _open_streams()
    # A scheduler's stop is an interruption like Ctrl-C: what is finished stays, and the lock is given back.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        exit_code = cli.main(prog_name="microconv", standalone_mode=False)
    except click.ClickException as error:
        usage = io.StringIO()
        error.show(usage)  # cites what was typed
        with suppress(OSError):  # nobody reads stderr any more
            click.echo("\n".join(map(message, usage.getvalue().rstrip("\n").split("\n"))), err=True)
        exit_code = error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        exit_code = _report(output.Log("text"), error)
    sys.exit(exit_code)


def _open_streams() -> None:
    """Give commands three streams they can use, where the caller closed one or set an encoding without all letters."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - open until the process ends
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _report(log: output.Log, error: BaseException) -> int:
    """Say what went wrong in one paragraph, and return the exit code it means."""
    if isinstance(error, KeyboardInterrupt | click.Abort):
        log.error("Interrupted. What was finished is kept; run the same command again to complete the rest.")
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        log.error(error.format_message())
        return error.exit_code
    known = _known(error)
    log.error(f"{known.message} {known.hint}", **({"run_id": known.run_id} if known.run_id else {}))
    return known.exit_code


def _known(error: BaseException) -> MicroconvError:
    """Return an error as one of ours: a path that cannot be used is a mistake of the call, all else is a bug."""
    if isinstance(error, MicroconvError):
        return error
    if isinstance(error, OSError) and error.errno in _OF_A_PATH and error.filename is not None:
        return UsageError(
            f"{error.filename} cannot be used: {error.strerror}.", hint="Name another path, or mend its permissions."
        )
    return EngineError(
        f"microconv met something it does not know ({type(error).__name__}).",
        hint="This is a bug: run again with MICROCONV_TRACEBACK=1 set and report what it prints.",
    )
