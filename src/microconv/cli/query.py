"""`microconv query`: SQL of one's own on the tables, which it can only read."""

from __future__ import annotations

import sys

import click

from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.errors import UsageError
from microconv.wording import count, plural

DEFAULT_ROWS, MOST_ROWS = 1_000, 1_000_000


# SQL may begin with a comment, which looks like an option.
@click.command(
    "query",
    context_settings={"ignore_unknown_options": True},
    short_help="Look into the tables with a SELECT of your own.",
)
@click.argument("sql")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_ROWS),
    default=DEFAULT_ROWS,
    show_default=True,
    help="Maximum number of rows; it says when there are more.",
)
@click.option("--format", "output_format", **output.ANSWER_FORMAT)
@click.pass_obj
def query(context: CommandContext, *, sql: str, limit: int, output_format: str) -> None:
    """Run the SELECT statement SQL on the tables and show its rows; "-" reads it from stdin.

    It can only read: nothing is changed, and no file is read or written. With the engine duckdb it is SQL of DuckDB on
    the database file, with the engine bigquery GoogleSQL on the working dataset, within the configured limits.
    docs/tables.md says what the tables hold, and has queries to begin with.

    \b
    Examples:
      microconv query "SELECT channel_group, COUNT(*) AS sessions FROM mc_sessions GROUP BY channel_group"
      microconv query "DESCRIBE mc_micro_conversions"
      microconv query "SELECT * FROM mc_sessions" --limit 100000 --format csv
      microconv query - --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    if sql == "-":
        sql = sys.stdin.read()
    if not sql.strip():
        raise UsageError("There is no SQL.", hint="Give a SELECT; `microconv query --help` has examples.")
    with context.project() as project:
        looked = project.query(sql, limit=limit)
    log = output.Log(context.log_format)
    if not looked.is_whole:
        log.warning(f"There are more than the {plural(limit, 'row')} shown; --limit shows up to {count(MOST_ROWS)}.")
    if output_format == "csv":
        output.write_csv(looked.csv())
        return
    output.emit(
        output_format,
        document=looked.document(),
        shown=lambda: [looked.sheet(), f"{plural(len(looked.rows), 'row')}."],
    )
