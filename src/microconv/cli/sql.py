"""`microconv sql`: the queries themselves, and what each would cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from microconv.cli import output
from microconv.cli.context import Context
from microconv.errors import UsageError
from microconv.wording import amount, human_bytes, money

if TYPE_CHECKING:
    from rich.table import Table

    from microconv.queries.templates import Query
    from microconv.questions import Question

DIALECTS = ("googlesql", "duckdb")


@click.command("sql", short_help="Print the SQL of a template, or what it would cost.")
@click.argument("name", required=False)
@click.option(
    "--dialect",
    type=click.Choice(DIALECTS),
    default="googlesql",
    show_default=True,
    help="The text of the template, or its translation for DuckDB.",
)
@click.option("--estimate", is_flag=True, help="Print the bytes and the money each query would cost at most.")
@output.format_option
@click.pass_obj
def sql(context: Context, *, name: str | None, dialect: str, estimate: bool, output_format: str) -> None:
    """List the templates, or print the queries that the configuration makes of the template NAME.

    Values are parameters and stand in comments. Days and moments that are known only when a query runs are examples.
    --estimate asks BigQuery for a dry run, which is free. It gives a bound: clustered tables are often billed for less.

    \b
    Examples:
      microconv sql
      microconv sql analyses/funnels/counts
      microconv sql analyses/attribution/credits --dialect duckdb
      microconv sql analyses/attribution/credits --estimate --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    if name is None:
        if estimate:
            raise UsageError("--estimate needs a template.", hint="Name one; `microconv sql` lists them.")
        _list(output_format)
        return
    with context.project() as project:
        asked = project.questions(name)
        is_billed = project.config.engine.kind == "bigquery"
        sizes = [project.estimate_query(each.query) if estimate and not each.needs_sync else None for each in asked]
        price = project.config.engine.price_per_tib
    estimates = [
        {"bytes": size or 0, "cost": amount(size or 0, price)} if estimate and not each.needs_sync else None
        for each, size in zip(asked, sizes, strict=True)
    ]
    document = {
        "name": name,
        "dialect": dialect,
        "queries": [
            {**_document(each, dialect), "estimate": estimated}
            for each, estimated in zip(asked, estimates, strict=True)
        ],
    }

    def tables() -> list[Table | str]:
        if not asked:
            return [f"The configuration makes no query of {name}."]
        if not estimate:
            return [output.Verbatim("\n\n".join(_text(name, each, dialect) for each in asked))]
        if not is_billed:
            return ["Nothing is billed: the engine is DuckDB, on this machine."]
        return [_estimates(name, asked, sizes, price)]

    output.emit(output_format, document=document, tables=tables)


def _list(output_format: str) -> None:
    from microconv.queries import templates

    found = [templates.load(name) for name in templates.names()]
    output.emit(
        output_format,
        document={
            "templates": [
                {
                    "name": each.name,
                    "description": each.description,
                    "grain": list(each.grain),
                    "params": dict(each.params),
                }
                for each in found
            ]
        },
        tables=lambda: [
            output.table(
                "Templates",
                [("name", "left"), ("what its rows are", "left")],
                [[each.name, f"{each.description.partition('. ')[0].removesuffix('.')}."] for each in found],
            )
        ],
    )


def _translated(query: Query, dialect: str) -> str:
    if dialect == "googlesql":
        return query.sql
    from microconv.engines.dialect import to_duckdb

    params = tuple((name, kind) for name, (kind, _) in query.params.items())
    return to_duckdb(query.duckdb_form or query.sql, params, pretty=True) + "\n"


def _document(question: Question, dialect: str) -> dict[str, Any]:
    query = question.query
    return {
        "about": question.about,
        "sql": _translated(query, dialect),
        "params": [
            {"name": name, "type": kind, "value": json.loads(_value(value))}
            for name, (kind, value) in query.params.items()
        ],
        "needs_sync": question.needs_sync,
    }


def _text(name: str, question: Question, dialect: str) -> str:
    mark = "@" if dialect == "googlesql" else "$"
    return "\n".join(_comments(name, question, mark)) + "\n" + _translated(question.query, dialect).rstrip()


def _comments(name: str, question: Question, mark: str) -> Iterator[str]:
    yield f"-- {name}, {question.about}" if question.about else f"-- {name}"
    if question.needs_sync:
        yield "-- It reads tables that are there only while a sync runs."
    for param, (kind, value) in question.query.params.items():
        yield f"-- {mark}{param} {kind} = {_value(value)}"


def _value(value: object) -> str:
    """Write a value on one line, whatever it holds."""
    text = json.dumps(value, ensure_ascii=False, default=_iso)
    return text if text.isprintable() else json.dumps(value, default=_iso)


def _iso(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _estimates(name: str, asked: Sequence[Question], sizes: Sequence[int | None], price: float) -> Table:
    return output.table(
        f"What {name} would cost at most",
        [("query", "left"), ("bytes", "right"), ("cost", "right")],
        [
            [each.about or name, human_bytes(size), money(size, price)]
            if size is not None
            else [each.about or name, "only within a sync", "see `microconv sync --dry-run`"]
            for each, size in zip(asked, sizes, strict=True)
        ],
    )
