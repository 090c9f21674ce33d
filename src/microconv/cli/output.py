"""How commands speak: one JSON document or tables on stdout; progress, warnings and logs on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import click

from microconv.errors import EngineError

if TYPE_CHECKING:
    from rich.table import Table

FORMATS = ("table", "json")

NOTHING = "–"  # noqa: RUF001 - a dash for people
"""What is written where there is no figure."""


class Verbatim(str):
    """Text that is copied, such as SQL: on a narrow terminal too, its lines stay whole."""

    __slots__ = ()


def format_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--format table|json`, passed to the command as `output_format`."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="Tables for people, one JSON document for machines.",
    )(command)


def emit(output_format: str, *, document: Mapping[str, Any], tables: Callable[[], Sequence[Table | str]]) -> None:
    """Write a result on stdout: the document as JSON, or the tables (and sentences) made only when they are shown.

    Raises:
        EngineError: stdout takes no more, usually because its disk is full.
    """
    with _writing():
        # JSON in ASCII, with escapes: whole in every encoding.
        click.echo(json.dumps(document, allow_nan=False) if output_format == "json" else _render(tables()))


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


def _render(items: Sequence[Table | str]) -> str:
    from rich.console import Console

    # Piped output keeps its full width: a table cut at 80 columns would lose numbers.
    console = Console(
        highlight=False,
        emoji=False,
        soft_wrap=not sys.stdout.isatty(),
        width=None if sys.stdout.isatty() else 160,
    )
    with console.capture() as captured:
        for item in items:
            console.print(item, markup=False, soft_wrap=isinstance(item, Verbatim) or None)
    return captured.get().removesuffix("\n")


def table(title: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> Table:
    """Make a table; a column is a heading and `left` or `right`."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for heading, justify in columns:
        made.add_column(heading, justify="right" if justify == "right" else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def percent(share: float | None) -> str:
    """Write a share (0 to 1)."""
    return NOTHING if share is None else f"{share:.1%}"


def duration(seconds: float) -> str:
    """Write a length of time with its two largest units: `2 d 4 h`, `5 min 37 s`, `6.4 s`."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s" if seconds % 1 else f"{seconds:.0f} s"
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    left, parts = round(seconds), []
    for name, size in units:
        count, left = divmod(left, size)
        parts.append(f"{count} {name}" if count else "")
    first = next(index for index, part in enumerate(parts) if part)
    return " ".join(part for part in parts[first : first + 2] if part)


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
