"""`microconv sql`: the queries themselves, and what each would cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.errors import UsageError
from microconv.wording import NOTHING, Heading, Sheet, Verbatim, dollars_for_bytes, human_bytes, price_of_bytes

if TYPE_CHECKING:
    from microconv.queries.templates import Query

DIALECTS = ("googlesql", "duckdb")


@dataclass(frozen=True)
class _Asked:
    """A query as this configuration makes it; `about` is the part of the configuration that it is for, if any."""

    about: str | None
    query: Query

    @property
    def needs_sync(self) -> bool:
        """Whether it reads relations that are there only while a sync runs, so that it cannot be asked by itself."""
        from microconv.staging.batch_queries import OF_A_BATCH
        from microconv.staging.external import OF_A_RUN

        return bool(self.query.reads & (OF_A_BATCH | OF_A_RUN))


@click.command("sql", short_help="Print the SQL of a template, or what it would cost.")
@click.argument("name", required=False)
@click.option(
    "--dialect",
    type=click.Choice(DIALECTS),
    default="googlesql",
    show_default=True,
    help="Print the query as it is, or translated for DuckDB.",
)
@click.option("--estimate", is_flag=True, help="Print how much each query would read and cost at most.")
@output.format_option
@click.pass_obj
def sql(context: CommandContext, *, name: str | None, dialect: str, estimate: bool, output_format: str) -> None:
    """List the templates, or print the queries that the configuration makes of the template NAME.

    Values are query parameters, and are shown in comments. Days and moments that are known only when a query runs are
    shown as examples. --estimate asks BigQuery for a dry run, which is free. The answer is an upper bound: queries of
    clustered tables are often billed for less.

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
        asked = [_Asked(about, query) for about, query in project.queries(name)]
        is_billed = project.config.engine.kind == "bigquery"
        sizes = [project.estimate_query(each.query) if estimate and not each.needs_sync else None for each in asked]
        price = project.config.engine.price_per_tib
    estimates = [
        {"bytes": size or 0, "cost": price_of_bytes(size or 0, price)} if estimate and not each.needs_sync else None
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

    def shown() -> list[Sheet | str]:
        if not asked:
            return [f"The configuration makes no query of {name}."]
        if not estimate:
            return [Verbatim("\n\n".join(_text(name, each, dialect) for each in asked))]
        if not is_billed:
            return ["Nothing is billed: the engine is DuckDB, on this machine."]
        # Below the table, where a line is not broken.
        whole = (
            ["What a whole sync would cost: `microconv sync --dry-run`."]
            if any(each.needs_sync for each in asked)
            else []
        )
        return [_estimates(name, asked, sizes, price), *whole]

    output.emit(output_format, document=document, shown=shown)


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
        shown=lambda: [
            Sheet(
                "Templates",
                (Heading("name", is_whole=True), Heading("what its rows are")),
                tuple((each.name, f"{each.description.partition('. ')[0].removesuffix('.')}.") for each in found),
            )
        ],
    )


def _translated(query: Query, dialect: str) -> str:
    if dialect == "googlesql":
        return query.sql
    from microconv.engines.dialect import to_duckdb

    params = tuple((name, kind) for name, (kind, _) in query.params.items())
    return to_duckdb(query.duckdb_form or query.sql, params, pretty=True) + "\n"


def _document(asked: _Asked, dialect: str) -> dict[str, Any]:
    query = asked.query
    return {
        "about": asked.about,
        "sql": _translated(query, dialect),
        "params": [
            {"name": name, "type": kind, "value": json.loads(_value(value))}
            for name, (kind, value) in query.params.items()
        ],
        "needs_sync": asked.needs_sync,
    }


def _text(name: str, asked: _Asked, dialect: str) -> str:
    mark = "@" if dialect == "googlesql" else "$"
    return "\n".join(_comments(name, asked, mark)) + "\n" + _translated(asked.query, dialect).rstrip()


def _comments(name: str, asked: _Asked, mark: str) -> Iterator[str]:
    yield f"-- {name}, {asked.about}" if asked.about else f"-- {name}"
    if asked.needs_sync:
        yield "-- It reads tables that exist only while a sync runs."
    for param, (kind, value) in asked.query.params.items():
        yield f"-- {mark}{param} {kind} = {_value(value)}"


def _value(value: object) -> str:
    """Write a value on one line, whatever it holds."""
    text = json.dumps(value, ensure_ascii=False, default=_iso)
    return text if text.isprintable() else json.dumps(value, default=_iso)


def _iso(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _estimates(name: str, asked: Sequence[_Asked], sizes: Sequence[int | None], price: float) -> Sheet:
    return Sheet(
        f"What {name} would cost at most",
        (Heading("query"), Heading("bytes", str), Heading("cost", str)),
        tuple(
            (each.about or name, human_bytes(size), dollars_for_bytes(size, price))
            if size is not None
            else (each.about or name, "only as part of a sync", NOTHING)
            for each, size in zip(asked, sizes, strict=True)
        ),
    )
