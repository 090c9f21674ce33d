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

from microconv.errors import EngineError
from microconv.wording import Bar, Sheet, Verbatim

if TYPE_CHECKING:
    from rich.table import Table

    from microconv.result import Result

FORMATS = ("table", "json")

_BAR_WIDTH = 50


@dataclass(frozen=True)
class Chart:
    """Bars, one a line."""

    bars: Sequence[Bar]


Shown = Sheet | Chart | str
"""What commands show to people."""


ANSWER_FORMAT: dict[str, Any] = {
    "type": click.Choice((*FORMATS, "csv")),
    "default": "table",
    "show_default": True,
    "help": "Tables for people, one JSON document for machines, or the rows as CSV.",
}
"""How `--format` is asked for where there are rows."""


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


def answer(result: Result, output_format: str, *, with_chart: bool = False) -> None:
    """Write a result on stdout: as CSV, as JSON, or as people read it.

    Raises:
        EngineError: stdout takes no more, usually because its disk is full.
    """
    if output_format == "csv":
        write(result.csv())
        return
    charts = [Chart(result.bars())] if with_chart else []
    emit(output_format, document=result.document(), shown=lambda: [*shown(result), *charts])


def shown(result: Result) -> list[Shown]:
    """Return what people read of a result: tables, the sentence, and what the figures rest on."""
    rests_on = "\n".join(f"* {each}" for each in result.assumptions)
    return [*result.sheets(), *([result.sentence] if result.sentence else []), *([rests_on] if rests_on else [])]


def emit(output_format: str, *, document: Mapping[str, Any], shown: Callable[[], Iterable[Shown]]) -> None:
    """Write a result on stdout: the document as JSON, or tables and sentences, made only when they are shown.

    Raises:
        EngineError: stdout takes no more, usually because its disk is full.
    """
    with _writing():
        # JSON in ASCII, with escapes: whole in every encoding.
        click.echo(json.dumps(document, allow_nan=False) if output_format == "json" else _render(shown()))


def write(text: str) -> None:
    """Write a text on stdout.

    Raises:
        EngineError: stdout takes no more, usually because its disk is full.
    """
    with _writing():
        click.echo(text)


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


def _render(items: Iterable[Shown]) -> str:
    from rich.console import Console  # takes a tenth of a second

    # Piped output keeps its full width: a table cut at 80 columns would lose numbers.
    console = Console(
        highlight=False,
        emoji=False,
        soft_wrap=not sys.stdout.isatty(),
        width=None if sys.stdout.isatty() else 160,
    )
    with console.capture() as captured:
        for item in items:
            drawn = _table(item) if isinstance(item, Sheet) else _chart(item) if isinstance(item, Chart) else item
            console.print(drawn, markup=False, soft_wrap=isinstance(item, Verbatim) or None)
    return captured.get().removesuffix("\n")


def _table(sheet: Sheet) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=Text(sheet.title), title_justify="left", box=box.SIMPLE_HEAD)
    for heading in sheet.headings:
        made.add_column(
            heading.label,
            justify="right" if heading.is_number else "left",
            overflow="fold",
            no_wrap=heading.is_whole,
        )
    for row in sheet.cells():
        made.add_row(*(Text(cell) for cell in row))
    made.add_section()
    for row in sheet.foot_cells():
        made.add_row(*(Text(cell) for cell in row))
    return made


def _chart(chart: Chart) -> Table:
    """Draw one bar a line, the longest as wide as the chart."""
    from rich import box
    from rich.bar import Bar as Drawn
    from rich.table import Table
    from rich.text import Text

    longest = max((bar.value for bar in chart.bars), default=0)
    made = Table(box=box.SIMPLE, show_header=False)
    made.add_column(overflow="fold")
    made.add_column(width=_BAR_WIDTH)
    made.add_column(justify="right", no_wrap=True)
    for bar in chart.bars:
        drawn = Drawn(longest, 0, bar.value, width=_BAR_WIDTH) if longest > 0 else ""
        made.add_row(Text(bar.label), drawn, Text(bar.note))
    return made


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

    def info(self, message: str, **facts: object) -> None:
        """Say what happens."""
        self._write("info", message, facts)

    def warning(self, message: str, **facts: object) -> None:
        """Say what should be looked at."""
        self._write("warning", message, facts)

    def error(self, message: str, **facts: object) -> None:
        """Say what stopped the command."""
        self._write("error", message, facts)

    def _write(self, level: str, message: str, facts: Mapping[str, object]) -> None:
        if self.is_json:
            time = self._now().isoformat(timespec="milliseconds")
            line = json.dumps({"time": time, "level": level, "message": message, **facts}, default=str)
        else:
            line = message if level == "info" else f"{level.capitalize()}: {message}"
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
            yield lambda done, total, step, /, **_: bar.update(task, completed=done, total=total, step=step)
