"""The command line: a thin skin over `microconv.Project`. Nothing imports it, and it imports nothing heavy at start."""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from microconv.cli import output
from microconv.cli.context import Context
from microconv.errors import EngineError, MicroconvError
from microconv.version import __version__

INTERRUPTED = 130

# Commands in the order of the work, each with the module and attribute that hold it: loaded when it is asked for.
COMMANDS = {
    "init": "init:init",
    "sync": "sync:sync",
    "taxonomy": "taxonomy:taxonomy",
    "coverage": "coverage:coverage",
    "funnel": "funnel:funnel",
    "paths": "paths:paths",
    "discover": "paths:discover",
    "attribution": "attribution:attribution",
    "channels": "channels:channels",
    "segment": "segment:segment",
    "export": "export:export",
    "report": "report:report",
    "runs": "runs:runs",
    "sql": "sql:sql",
    "doctor": "doctor:doctor",
    "demo": "demo:demo",
}


class _Commands(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - Click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 - Click's signature
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        command: click.Command = getattr(importlib.import_module(f"microconv.cli.{module}"), attribute)
        return command

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
    ctx.obj = Context(config_path=config, log_format=log_format, environ=dict(os.environ))


def main() -> None:
    """Run the command line; every error is one paragraph on stderr and a documented exit code, never a traceback."""
    _open_streams()
    # A scheduler's stop is an interruption like Ctrl-C: what is finished stays, and the lock is given back.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        exit_code = cli.main(prog_name="microconv", standalone_mode=False)
    except click.ClickException as error:
        with suppress(OSError):  # nobody reads stderr any more
            error.show()
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
    known = (
        error
        if isinstance(error, MicroconvError)
        else EngineError(
            f"microconv met something it does not know ({type(error).__name__}).",
            hint="This is a bug: run again with MICROCONV_TRACEBACK=1 set and report what it prints.",
        )
    )
    log.error(f"{known.message} {known.hint}", **({"run_id": known.run_id} if known.run_id else {}))
    return known.exit_code
