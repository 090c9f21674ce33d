"""`microconv propensity`: train a model of the chance to reach a goal, score actors by it, and show its card."""

from __future__ import annotations

import click

from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.cli.question_group import QuestionGroup
from microconv.cli.questions import command

_asked = command("propensity")
propensity = QuestionGroup(
    "propensity",
    params=_asked.params,
    callback=_asked.callback,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    help=f"{_asked.help}\n  microconv propensity train\n  microconv propensity score",
    short_help=_asked.short_help,
)
propensity.add_command(
    click.Command(
        "show", params=_asked.params, callback=_asked.callback, help=_asked.help, short_help=_asked.short_help
    )
)

_goal_option = click.option(
    "--goal", metavar="ID", help="The micro-conversion to reach; default: the first macro-conversion."
)


@propensity.command("train", short_help="Learn from earlier weeks, and test on the latest.")
@_goal_option
@click.option(
    "--window",
    default="7d",
    show_default=True,
    metavar="LENGTH",
    help="Within how long it is reached, such as 7d.",
)
@output.answer_option
@click.option("--chart", "with_chart", is_flag=True, help="Draw a bar chart below the tables.")
@click.pass_obj
def train(context: CommandContext, *, goal: str | None, window: str, output_format: str, with_chart: bool) -> None:
    """Train a model of the chance to reach a goal, and hold it against a later week that it did not see.

    The model is kept, and its card is shown. One that is no better than the base rate is refused, with the exit code 1:
    it scores nobody. Where there are too few data, nothing is kept, with the same exit code.

    \b
    Examples:
      microconv propensity train
      microconv propensity train --goal add_to_cart --window 3d
      microconv propensity train --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.analyses.propensity.propensity_models import refusal

    output.check_chart(output_format, with_chart=with_chart)
    log = output.Log(context.log_format)
    with context.project() as project, log.progress("Training") as show:
        result = project.propensity.train(goal, window, on_progress=show)
    output.answer(result, output_format, with_chart=with_chart)
    if (stop := refusal(result)) is not None:
        raise stop


@propensity.command("score", short_help="Give each actor its chance, and a decile for segments.")
@_goal_option
@output.answer_option
@click.option("--chart", "with_chart", is_flag=True, help="Draw a bar chart below the tables.")
@click.pass_obj
def score(context: CommandContext, *, goal: str | None, output_format: str, with_chart: bool) -> None:
    """Score all actors of late by the model of a goal trained last; earlier scores of the goal are replaced.

    Chances and deciles are in the table mc_propensity_scores. Where the data are no longer like those that the model
    learnt from, nobody is scored, the scores before stay as they are, and the exit code is 1.

    \b
    Examples:
      microconv propensity score
      microconv propensity score --goal add_to_cart --chart
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    output.check_chart(output_format, with_chart=with_chart)
    log = output.Log(context.log_format)
    with context.project() as project, log.progress("Scoring") as show:
        result = project.propensity.score(goal, on_progress=show)
    output.answer(result, output_format, with_chart=with_chart)
