"""`microconv segment`: who a rule holds for, and who is in a segment since when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.cli.moment import moment
from microconv.cli.output import is_terminal
from microconv.cli.question_group import QuestionGroup
from microconv.cli.questions import command
from microconv.errors import FindingsError, UsageError
from microconv.wording import Heading, Sheet

if TYPE_CHECKING:
    from microconv.result import Result
    from microconv.segments.builds import Change

_MOST_PEOPLE = 100
_AS_OF = "Moment to build for, ISO 8601, UTC unless it says otherwise; default: the latest event."


_asked = command("segment")
segment = QuestionGroup(
    "segment",
    params=_asked.params,
    callback=_asked.callback,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    help=f"{_asked.help}\n  microconv segment build\n  microconv segment preview cart_abandoners",
    short_help=_asked.short_help,
)
as_of_option = click.option("--as-of", "as_of", metavar="MOMENT", help=_AS_OF)


@segment.command("list", short_help="List the segments, each rule in a sentence.")
@output.answer_option
@click.pass_obj
def list_segments(context: CommandContext, *, output_format: str) -> None:
    """List the segments of the configuration: each rule in a sentence, what its members are sent with, and where to.

    \b
    Examples:
      microconv segment list
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        output.answer(project.segments_in_words(), output_format)


@segment.command("show", short_help="Say what a segment means; nothing is counted.")
@click.argument("name")
@output.answer_option
@click.pass_obj
def show(context: CommandContext, *, name: str, output_format: str) -> None:
    """Say the rule of the segment NAME in a sentence, and whether audiences of GA4 could express it, or why not.

    \b
    Examples:
      microconv segment show cart_abandoners
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        output.answer(project.segments_in_words(name), output_format)


@segment.command("ga4", short_help="Define a segment as an audience of GA4, and make it there.")
@click.argument("name")
@click.option("--by-push", is_flag=True, help="The audience of those whom a push tells GA4 of, not of the rule.")
@click.option("--create", is_flag=True, help="Make it in GA4, unless there is one of that name.")
@click.option("--to", "destination", metavar="NAME", help="The destination of the kind ga4; default: the only one.")
@output.answer_option
@click.pass_obj
def ga4(
    context: CommandContext, *, name: str, by_push: bool, create: bool, destination: str | None, output_format: str
) -> None:
    """Say how the segment NAME is an audience of GA4 itself, or why it cannot be one; with --create, make it there.

    By its rule, GA4 decides who is in it, and your consent table does not count. With --by-push it holds those whom
    `microconv push` tells GA4 of; the custom dimension that it looks at is made as well.

    \b
    Examples:
      microconv segment ga4 cart_abandoners
      microconv segment ga4 cart_abandoners --by-push --create
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.activation.ga4_making import ga4_audience

    with context.project() as project:
        found = ga4_audience(
            project.config, project.taxonomy, project.destination, name, by_push=by_push, create=create, to=destination
        )
    output.answer(found, output_format)
    if create and found.definition is None:
        raise FindingsError(
            "Nothing was made in GA4: no audience there can say what this rule says.",
            hint="Push the segment instead, with --by-push for its audience: that can be any rule.",
        )


@segment.command("overlap", short_help="Show how far segments hold the same actors.")
@as_of_option
@output.answer_option
@click.pass_obj
def overlap(context: CommandContext, *, as_of: str | None, output_format: str) -> None:
    """Show, of the members of each segment, what share is in each other one. Nothing is written.

    \b
    Examples:
      microconv segment overlap
      microconv segment overlap --as-of 2024-03-01T00:00:00+01:00 --format csv
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    asked = moment(as_of) if as_of else None
    with context.project() as project:
        output.answer(project.segment_overlap(as_of=asked), output_format)


@segment.command("build", short_help="Bring who is in each segment up to a moment.")
@as_of_option
@output.answer_option
@click.pass_obj
def build(context: CommandContext, *, as_of: str | None, output_format: str) -> None:
    """Bring who is in each segment up to a moment, all segments in one transaction.

    An actor enters when the rule holds, and leaves when it no longer does; held_for, expires_after, away_for, route and
    priority of each segment, and at_most of [push], decide the rest. The same build again changes nothing. A moment
    before that of the last build is refused.

    \b
    Examples:
      microconv segment build
      microconv segment build --as-of 2024-03-01T00:00:00+01:00 --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    asked = moment(as_of) if as_of else None
    log = output.Log(context.log_format)
    with context.project() as project, log.progress("Building segments") as show:
        result = project.build_segments(as_of=asked, on_progress=show)
    for name in result.removed:
        log.warning(
            f"The configuration has no segment {name} any more: everybody who was in it has left it.",
            run_id=result.run_id,
        )
    output.answer(result, output_format)


@segment.command("preview", short_help="Say who would enter and leave with a build; change nothing.")
@click.argument("name")
@as_of_option
@click.option(
    "--reveal",
    is_flag=True,
    help="Name single people too, at most 100; only on a terminal, since it shows personal data.",
)
@output.answer_option
@click.pass_obj
def preview(context: CommandContext, *, name: str, as_of: str | None, reveal: bool, output_format: str) -> None:
    """Count who would enter the segment NAME and leave it with a build, against the last one. Nothing is changed.

    \b
    Examples:
      microconv segment preview cart_abandoners
      microconv segment preview cart_abandoners --reveal
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    asked = moment(as_of) if as_of else None
    if reveal and not (is_terminal() and output_format == "table"):
        raise UsageError(
            "--reveal shows single people, so it goes with a table on a terminal only.",
            hint="Leave it out: counts are shown everywhere.",
        )
    log = output.Log(context.log_format)
    with context.project() as project, log.progress("Previewing segments") as show:
        result, people = project.preview_segment(
            name, as_of=asked, with_people=_MOST_PEOPLE if reveal else 0, on_progress=show
        )
    if reveal:
        output.emit("table", document={}, shown=lambda: [*output.shown(result), _people(people)])
    else:
        output.answer(result, output_format)


@segment.command("size", short_help="Count who is in a segment, now or by day.")
@click.argument("name")
@click.option("--by-day", is_flag=True, help="Show each day on which it was built: members, entries and exits.")
@click.option("--reach", is_flag=True, help="Show how many consented, and how many could be sent by each identifier.")
@as_of_option
@output.answer_option
@click.option("--chart", "with_chart", is_flag=True, help="Draw a bar chart below the tables.")
@click.pass_obj
def size(
    context: CommandContext,
    *,
    name: str,
    by_day: bool,
    reach: bool,
    as_of: str | None,
    output_format: str,
    with_chart: bool,
) -> None:
    """Count the actors the rule of the segment NAME holds for at a moment.

    With --by-day, count who was in it as it was built; with --reach, say how many of those whom the rule holds for
    consented, and by which identifiers they could be sent.

    \b
    Examples:
      microconv segment size cart_abandoners
      microconv segment size cart_abandoners --by-day --chart
      microconv segment size cart_abandoners --reach
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    asked = {"as_of": moment(as_of)} if as_of else {}
    if by_day and asked:
        raise UsageError("--by-day shows all builds, so --as-of does not go with it.", hint="Leave one of the two out.")
    if reach and (by_day or asked):
        raise UsageError(
            "--reach looks at consent as it is now, so it goes with no other day.", hint="Leave the other option out."
        )
    output.check_chart(output_format, with_chart=with_chart)
    with context.project() as project:
        if reach:
            result: Result = project.pushes.reach(name)
        else:
            result = project.segment_days(name) if by_day else project.ask("segment", name=name, **asked)
    output.answer(result, output_format, with_chart=with_chart)


def _people(people: tuple[Change, ...]) -> Sheet:
    headings = (
        Heading("change"),
        Heading("why"),
        Heading("actor", is_whole=True),
        Heading("user_id"),
    )
    return Sheet(
        f"Single people (at most {_MOST_PEOPLE})",
        headings,
        tuple((each.change, each.reason or "", each.actor_key, each.user_id) for each in people),
    )
