"""`microconv paths` and `discover`: the ways to and from a point, and the funnel to propose for a goal."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from microconv.cli import output
from microconv.cli.answers import Bar, Wanted, answer, answer_options, assumptions
from microconv.cli.context import Context
from microconv.cli.output import duration
from microconv.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from microconv.analyses.paths.discovery import DiscoveryResult
    from microconv.analyses.paths.question import By, Nodes
    from microconv.analyses.paths.results import Kind, PathsResult
    from microconv.config.values import Duration

    Shown = tuple[list[tuple[str, str]], list[list[str]]]
    """Headings of a table, and its rows."""


def _length_of_time(_context: click.Context, _option: click.Parameter, text: str) -> Duration:
    from microconv.config.values import Duration

    try:
        return Duration.parse(text)
    except UsageError as error:
        raise click.BadParameter(f'"{text}" {error.message}') from None


@click.command("paths", short_help="Show the ways to or from a micro-conversion or page.")
@click.option("--to", metavar="POINT", help="Micro-conversion, or page:/checkout, that the paths lead to.")
@click.option("--from", "from_", metavar="POINT", help="Micro-conversion, or page:/checkout, that they begin at.")
@click.option("--goal", metavar="ID", help="What makes a journey convert; default: the first macro-conversion.")
@click.option(
    "--by", type=click.Choice(["session", "actor"]), default="session", show_default=True, help="Whose journeys."
)
@click.option(
    "--nodes",
    type=click.Choice(["micro_conversion", "page"]),
    default="micro_conversion",
    show_default=True,
    help="What the paths are made of.",
)
@click.option("--without", multiple=True, metavar="NODE", help="Leave out a micro-conversion or page; repeatable.")
@click.option(
    "--within",
    default="30d",
    show_default=True,
    callback=_length_of_time,
    help="How far a journey reaches from its point.",
)
@click.option("--length", type=int, default=5, show_default=True, help="Most nodes of a path, beside the point.")
@click.option("--keep-repeats", is_flag=True, help="Count repeats that follow each other one by one.")
@click.option("--top", type=int, default=20, show_default=True, help="Most sequences, and rows of a table.")
@click.option("--max-nodes", type=int, default=8, show_default=True, help="Most nodes of the flow at one position.")
@click.option(
    "--show",
    type=click.Choice(["sequences", "transitions", "links"]),
    default="sequences",
    show_default=True,
    help="The most frequent paths, what follows what, or the flow by position.",
)
@answer_options
@click.pass_obj
def paths(
    context: Context,
    *,
    to: str | None,
    from_: str | None,
    goal: str | None,
    by: By,
    nodes: Nodes,
    without: tuple[str, ...],
    within: Duration,
    length: int,
    keep_repeats: bool,
    top: int,
    max_nodes: int,
    show: Kind,
    wanted: Wanted,
) -> None:
    """Show the ways to or from a micro-conversion or page; without either, the ways that sessions begin with.

    Each session (or actor) has one journey: to its first POINT, or from it. JSON has sequences, transitions and links.

    \b
    Examples:
      microconv paths --to purchase --without scroll
      microconv paths --from page:/pricing --nodes page --by actor --within 7d
      microconv paths --to purchase --show transitions --format csv
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.analyses.paths import PathsQuestion

    question = PathsQuestion(
        to=to,
        from_=from_,
        goal=goal,
        by=by,
        nodes=nodes,
        without=without,
        window=within,
        length=length,
        collapse=not keep_repeats,
        top=top,
        max_nodes=max_nodes,
    )
    with context.project() as project:
        result = project.paths(question).shown(show)
        answer(
            context,
            project,
            result,
            wanted,
            question={name.removesuffix("_"): value for name, value in asdict(question).items()}
            | {"window": str(within)},
            tables=lambda: _tables(result, show, top),
            bars=lambda: _bars(result, show, top),
        )


@click.command("discover", short_help="Propose a funnel: the milestones most actors pass before a goal.")
@click.option("--goal", metavar="ID", help="The micro-conversion to lead to; default: the first macro-conversion.")
@click.option(
    "--within",
    default="30d",
    show_default=True,
    callback=_length_of_time,
    help="How long before the goal a milestone counts.",
)
@click.option(
    "--min-share",
    type=float,
    default=0.5,
    show_default=True,
    help="The least share of converting actors who pass all of the funnel.",
)
@answer_options
@click.pass_obj
def discover(context: Context, *, goal: str | None, within: Duration, min_share: float, wanted: Wanted) -> None:
    """Propose a funnel for a goal, ready to paste into the configuration.

    It is the longest sequence of milestones that at least this share of the converting actors pass in its order.

    \b
    Examples:
      microconv discover
      microconv discover --goal begin_checkout --within 7d --min-share 0.8
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        result = project.discover(goal, window=within, min_share=min_share)
        answer(
            context,
            project,
            result,
            wanted,
            question={"goal": result.goal, "window": str(within), "min_share": min_share},
            tables=lambda: _discovery(result),
            bars=lambda: [Bar(row.sequence, row.actors, f"{row.actors:,}") for row in result.sequences],
        )


def _tables(result: PathsResult, show: Kind, top: int) -> list[Table | str]:
    """Show the rows of one kind, what they say together, and what they rest on."""
    headings, rows = {"sequences": _sequences, "transitions": _transitions, "links": _links}[show](result)
    point = f" to {result.to}" if result.to else f" from {result.from_}" if result.from_ else ""
    # A flow with some of its links makes no sense.
    shown = rows if show == "links" else rows[:top]
    more = f", the first {top:,} of {len(rows):,}" if len(shown) < len(rows) else ""
    title = f"Paths{point}, {show}, by {result.by}, journeys: {result.journeys:,}{more}"
    return [output.table(title, headings, shown), result.sentence, assumptions(result)]


def _sequences(result: PathsResult) -> Shown:
    return [
        ("path", "left"),
        ("journeys", "right"),
        ("share", "right"),
        (result.goal, "right"),
        ("median time", "right"),
    ], [
        [
            row.sequence,
            f"{row.journeys:,}",
            f"{row.share:.1%}",
            f"{row.conversions / row.journeys:.1%}",
            duration(row.seconds_median),
        ]
        for row in result.sequences
    ]


def _transitions(result: PathsResult) -> Shown:
    return [
        ("from", "left"),
        ("to", "left"),
        ("hops", "right"),
        ("probability", "right"),
        ("returns", "right"),
        ("skips", "right"),
        ("median time", "right"),
    ], [
        [
            row.from_node,
            row.to_node,
            f"{row.transitions:,}",
            f"{row.probability:.1%}",
            f"{row.returns:,}",
            f"{row.skips:,}",
            "–" if row.seconds_median is None else duration(row.seconds_median),  # noqa: RUF001 - a dash for people
        ]
        for row in result.transitions
    ]


def _links(result: PathsResult) -> Shown:
    return [("position", "right"), ("from", "left"), ("to", "left"), ("journeys", "right")], [
        [f"{row.from_position}", row.from_node, row.to_node, f"{row.journeys:,}"] for row in result.links
    ]


def _bars(result: PathsResult, show: Kind, top: int) -> list[Bar]:
    if show == "sequences":
        return [Bar(row.sequence, row.journeys, f"{row.journeys:,}") for row in result.sequences]
    if show == "transitions":
        return [
            Bar(f"{row.from_node} > {row.to_node}", row.transitions, f"{row.transitions:,}")
            for row in result.transitions[:top]
        ]
    return [
        Bar(f"{row.from_position}: {row.from_node} > {row.to_node}", row.journeys, f"{row.journeys:,}")
        for row in result.links
    ]


def _discovery(result: DiscoveryResult) -> list[Table | str]:
    rows = [[row.sequence or "none", f"{row.actors:,}", f"{row.share:.1%}"] for row in result.sequences]
    table = output.table(
        f"Milestones before {result.goal}, actors: {result.actors:,}",
        [("milestones", "left"), ("actors", "right"), ("share", "right")],
        rows,
    )
    proposal = [output.Verbatim(f"\n{result.toml}")] if result.toml else []
    return [table, result.sentence, *proposal, assumptions(result)]
