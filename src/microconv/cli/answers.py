"""How commands that answer a question speak: tables, JSON or CSV on stdout, a bar chart, and results that are kept."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from microconv.cli import output
from microconv.cli.context import Context
from microconv.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from microconv.config.sections import Section
    from microconv.project import Project
    from microconv.result import Result

SectionT = TypeVar("SectionT", bound="Section")

_BAR_WIDTH = 50


@dataclass(frozen=True)
class Bar:
    """One bar of a chart: its length against the longest, and what is written behind it."""

    label: str
    value: float
    note: str


@dataclass(frozen=True)
class Wanted:
    """How the answer is wanted."""

    output_format: str
    with_chart: bool
    is_saved: bool


def answer_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--format table|json|csv`, `--chart` and `--save`, passed to the command as `wanted`."""

    @click.option(
        "--format",
        "output_format",
        type=click.Choice((*output.FORMATS, "csv")),
        default="table",
        show_default=True,
        help="Tables for people, one JSON document for machines, or the rows as CSV.",
    )
    @click.option("--chart", "with_chart", is_flag=True, help="Draw a bar chart below the tables.")
    @click.option(
        "--save", "is_saved", is_flag=True, help="Keep the rows and their assumptions in a table mc_result_…."
    )
    @wraps(command)
    def wrapped(*arguments: Any, output_format: str, with_chart: bool, is_saved: bool, **options: Any) -> None:  # noqa: ANN401 - whatever the command takes
        if with_chart and output_format != "table":
            raise UsageError("--chart goes with tables.", hint=f"Leave out --chart or --format {output_format}.")
        command(*arguments, wanted=Wanted(output_format, with_chart, is_saved), **options)

    return wrapped


def answer(
    context: Context,
    project: Project,
    result: Result,
    wanted: Wanted,
    *,
    question: Mapping[str, object],
    tables: Callable[[], Sequence[Table | str]],
    bars: Callable[[], Sequence[Bar]],
) -> None:
    """Write a result as it is wanted; keep it when it is to be saved.

    Raises:
        UsageError: It is to be saved and has no rows.
        EngineError: It cannot be saved, or stdout takes no more.
    """
    if wanted.output_format == "csv":
        output.write(_csv(result))
    else:
        output.emit(
            wanted.output_format,
            document=result.document(),
            tables=lambda: [*tables(), *([chart(bars())] if wanted.with_chart else [])],
        )
    if wanted.is_saved:
        saved = project.save(result, question)
        output.Log(context.log_format).info(
            f"Saved as {saved} in mc_result_{result.analysis}.", result_id=saved, table=f"mc_result_{result.analysis}"
        )


def changed_section(section: SectionT, changed: Mapping[str, Any], *, drop: Collection[str] = ()) -> SectionT:
    """Return a section of the configuration with those keys changed that an option was given for.

    `drop` names keys to forget where an option was given for one of them: they exclude each other.

    Raises:
        UsageError: The section cannot be as asked; the message names the key.
    """
    given = {key: list(value) if isinstance(value, tuple) else value for key, value in changed.items() if value}
    kept = section.model_dump(exclude_unset=True)
    if any(key in drop for key in given):
        kept = {key: value for key, value in kept.items() if key not in drop}
    return section_of(type(section), {**kept, **given})


def section_of(kind: type[SectionT], document: Mapping[str, Any]) -> SectionT:
    """Make a section of the configuration; UsageError names what is wrong with it."""
    from pydantic import ValidationError

    from microconv.config.problems import explain

    try:
        return kind.model_validate(document)
    except ValidationError as error:
        problems = explain(error.errors(), model=kind, text="", document=document, overrides=())
        raise UsageError(
            f"That cannot be asked: {'; '.join(problems)}.", hint="See the command's --help, and docs/analyses.md."
        ) from None


def assumptions(result: Result) -> str:
    """List what the figures of a result rest on, below its tables."""
    return "\n".join(f"* {each}" for each in result.assumptions)


def _csv(result: Result) -> str:
    """Write the rows with a line of headings; what is unknown is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [column.name for column in fields(result.row_type)]
    writer.writerow(names)
    writer.writerows([getattr(row, name) for name in names] for row in result.rows)
    return text.getvalue().removesuffix("\n")


def chart(bars: Sequence[Bar]) -> Table:
    """Draw one bar a line, the longest as wide as the chart."""
    from rich import box
    from rich.bar import Bar as Drawn
    from rich.table import Table
    from rich.text import Text

    longest = max((bar.value for bar in bars), default=0)
    made = Table(box=box.SIMPLE, show_header=False)
    made.add_column(overflow="fold")
    made.add_column(width=_BAR_WIDTH)
    made.add_column(justify="right", no_wrap=True)
    for bar in bars:
        drawn = Drawn(longest, 0, bar.value, width=_BAR_WIDTH) if longest > 0 else ""
        made.add_row(Text(bar.label), drawn, Text(bar.note))
    return made
