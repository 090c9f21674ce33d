"""How commands speak: one JSON document or tables on stdout; progress, warnings and logs on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import click

from microconv import markdown
from microconv.cli import tables
from microconv.cli.invocation import as_typed
from microconv.errors import EngineError, UsageError
from microconv.wording import Bar, Sheet, Verbatim, message, visible

if TYPE_CHECKING:
    from microconv.result import Result

FORMATS = ("table", "json")

_PIPED_WIDTH = 160


@dataclass(frozen=True)
class Chart:
    """Bars, one a line."""

    bars: Sequence[Bar]


Shown = Sheet | Chart | str
"""What commands show to people."""


ANSWER_FORMAT: dict[str, Any] = {
    "type": click.Choice((*FORMATS, "csv", "markdown")),
    "default": "table",
    "show_default": True,
    "help": "Tables for people, one JSON document for machines, the rows as CSV, or Markdown for a ticket.",
}
"""How `--format` is asked for where there are rows."""


def answer_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--format table|json|csv|markdown`, passed to the command as `output_format`."""
    return click.option("--format", "output_format", **ANSWER_FORMAT)(command)


def format_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--format table|json`, passed to the command as `output_format`."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="Tables for people, or one JSON document for machines.",
    )(command)


def allow_guardrail_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--allow-guardrail NAME`, passed to the command as `allow_guardrail`."""
    return click.option(
        "--allow-guardrail",
        multiple=True,
        metavar="NAME",
        help="Send even if this guardrail is breached or cannot be measured; may be repeated.",
    )(command)


def answer(result: Result, output_format: str, *, with_chart: bool = False) -> None:
    """Write a result on stdout: as CSV, as JSON, as Markdown, or as people read it.

    Raises:
        EngineError: stdout takes no more, usually because its disk is full.
    """
    if output_format == "csv":
        write_csv(result.csv())
        return
    if output_format == "markdown":
        write_text(_markdown([*result.sheets(), result.sentence], result.assumptions))
        return
    charts = [Chart(result.bars())] if with_chart else []
    emit(output_format, document=result.document(), shown=lambda: [*shown(result), *charts])


def check_chart(output_format: str, *, with_chart: bool) -> None:
    """Refuse a chart beside a format that has none.

    Raises:
        UsageError: It is asked for one.
    """
    if with_chart and output_format != "table":
        raise UsageError("--chart goes with tables.", hint=f"Leave out --chart or --format {output_format}.")


def shown(result: Result) -> list[Shown]:
    """Return what people read of a result: tables, the sentence, and what the figures rest on."""
    # Each is one line, whatever names from the data stand in it.
    rests_on = "\n".join(f"* {visible(each)}" for each in result.assumptions)
    sentence = visible(result.sentence)
    return [*result.sheets(), *([sentence] if sentence else []), *([rests_on] if rests_on else [])]


def emit(output_format: str, *, document: Mapping[str, Any], shown: Callable[[], Iterable[Shown]]) -> None:
    """Write a result on stdout: the document as JSON, or tables and sentences, made only when they are shown.

    Raises:
        EngineError: stdout takes no more, usually because its disk is full.
    """
    if output_format == "markdown":
        write_text(_markdown(shown()))
        return
    with _writing():
        click.echo(_json(document) if output_format == "json" else _render(shown()))


def _markdown(items: Iterable[Shown], points: Iterable[str] = ()) -> str:
    """Return what people read, and points below it, as Markdown; names from data are text, whatever they hold."""
    parts = []
    for each in items:
        match each:
            case Sheet():
                parts.append("\n".join(markdown.table(each)))
            case Verbatim():
                parts.append("\n".join(markdown.fenced(each)))
            case str():
                parts.append(markdown.lines_of(as_typed(each)))
    parts.append("\n".join(f"- {markdown.markdown(as_typed(each))}" for each in points))
    return "\n\n".join(filter(None, parts)) + "\n"


def _json(document: Mapping[str, Any], default: Callable[[object], str] | None = None) -> str:
    """Write JSON in ASCII, with escapes: whole in every encoding, and nothing in it that a terminal obeys."""
    return json.dumps(document, allow_nan=default is not None, default=default).replace("\x7f", "\\u007f")


def write_csv(text: str) -> None:
    """Write CSV on stdout: as it is into a file, and harmlessly on a terminal, which would obey it.

    Raises:
        EngineError: stdout takes no more, usually because its disk is full.
    """
    write("\n".join(map(visible, text.split("\n"))) if is_terminal() else text)


def write_text(text: str) -> None:
    """Write a document on stdout: as it is into a file, and harmlessly on a terminal.

    Raises:
        EngineError: stdout takes no more, usually because its disk is full.
    """
    write_csv(text.removesuffix("\n"))


def write(text: str) -> None:
    """Write a text on stdout.

    Raises:
        EngineError: stdout takes no more, usually because its disk is full.
    """
    with _writing():
        click.echo(text, color=True)  # without it, click leaves out what looks like an order to a terminal


@contextmanager
def _writing() -> Iterator[None]:
    """Say in our own words that stdout takes no more; rendering a table writes as well."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise EngineError(
            f"The result could not be written to stdout: {os.strerror(error.errno or 0)}.",
            hint="What was staged is kept; make room where stdout goes and run the command again.",
        ) from error


def is_terminal() -> bool:
    """Whether a person reads stdout on a screen."""
    return sys.stdout.isatty()


def _render(items: Iterable[Shown]) -> str:
    from rich.console import Console  # takes a tenth of a second

    # Piped output keeps its full width: a table cut at 80 columns would lose numbers.
    on_screen = is_terminal()
    console = Console(highlight=False, emoji=False, soft_wrap=not on_screen, width=None if on_screen else _PIPED_WIDTH)
    width = console.width
    with console.capture() as captured:
        for item in items:
            if isinstance(item, Sheet):
                for part in tables.tables(item, width, is_cut=on_screen):
                    console.print(part)
                    if not part.show_edge:
                        console.print()
            elif isinstance(item, Chart):
                console.print(tables.chart(item.bars, width))
            else:
                said = item if isinstance(item, Verbatim) else as_typed(item)
                text = "\n".join(map(visible, said.split("\n")))
                console.print(text, markup=False, soft_wrap=isinstance(item, Verbatim) or None)
    return captured.get().removesuffix("\n")


class Show(Protocol):
    """Shows how far some work is: units done of all, what is being done, and facts for machines."""

    def __call__(self, done: int, total: int, step: str, /, **facts: object) -> None:
        """Show it."""
        ...


class Log:
    """Messages on stderr: plain lines for people, one JSON object a line with `--log-format json`."""

    def __init__(self, log_format: str, now: Callable[[], datetime] = lambda: datetime.now(tz=UTC)) -> None:
        self.is_json = log_format == "json"
        self._now = now

    def info(self, said: str, /, **facts: object) -> None:
        """Say what happens."""
        self._write("info", said, facts)

    def warning(self, said: str, /, **facts: object) -> None:
        """Say what should be looked at."""
        self._write("warning", said, facts)

    def error(self, said: str, /, **facts: object) -> None:
        """Say what stopped the command."""
        self._write("error", said, facts)

    def _write(self, level: str, said: str, facts: Mapping[str, object]) -> None:
        said = message(as_typed(said))
        if self.is_json:
            time = self._now().isoformat(timespec="milliseconds")
            line = _json({"time": time, "level": level, "message": said, **facts}, default=str)
        else:
            line = said if level == "info" else f"{level.capitalize()}: {said}"
        with suppress(OSError):  # nobody reads stderr any more: no reason to stop the work
            click.echo(line, err=True)

    @contextmanager
    def progress(self, title: str) -> Iterator[Show]:
        """Show progress: a bar on a terminal, JSON lines for schedulers, and nothing when stderr is a plain file."""
        if self.is_json:
            yield lambda done, total, step, /, **facts: self.info(title, done=done, total=total, step=step, **facts)
            return
        if not sys.stderr.isatty():
            yield lambda _done, _total, _step, /, **_: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[step]}", markup=False),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=None, step="")
            yield lambda done, total, step, /, **_: bar.update(task, completed=done, total=total, step=visible(step))
