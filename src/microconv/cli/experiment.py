"""`microconv experiment`: plan, read, list and show experiments, and decide them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.cli.questions import command
from microconv.errors import UsageError
from microconv.wording import iso_dates

if TYPE_CHECKING:
    from microconv.analyses.insight.tested_entries import ExperimentRecord


@click.group(short_help="Plan, read and decide experiments.")
def experiment() -> None:
    """Plan an experiment, read it, and keep what was decided, so that others learn from it.

    \b
    Examples:
      microconv experiment plan
      microconv experiment read reviews_first
      microconv experiment list --search cart
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are


for _name in ("plan", "read", "list"):
    experiment.add_command(command(f"experiment {_name}"))


@experiment.command("decide", short_help="Keep what is decided of an experiment.")
@click.argument("name")
@click.option(
    "--decision",
    required=True,
    type=click.Choice(["ship", "keep", "repeat", "stop"]),
    help="ship: the variant; keep: the control; repeat: test again; stop: end it without an answer.",
)
@click.option("--because", required=True, metavar="TEXT", help="Why it is decided so.")
@click.option("--learning", required=True, metavar="TEXT", help="What is known now that was not known before.")
@click.option("--variant", metavar="NAME", help="The variant that it is decided of; default: all but the control.")
@click.option("--by", default="", metavar="WHO", help="Who decides.")
@click.option(
    "--output", "output_path", type=click.Path(path_type=Path), help="Write the record to this Markdown file, too."
)
@click.option(
    "--allow-guardrail",
    multiple=True,
    metavar="NAME",
    help="Ship even if this guardrail is breached or cannot be measured; may be repeated.",
)
@output.format_option
@click.pass_obj
def decide(
    context: CommandContext,
    *,
    name: str,
    decision: str,
    because: str,
    learning: str,
    variant: str | None,
    by: str,
    output_path: Path | None,
    allow_guardrail: tuple[str, ...],
    output_format: str,
) -> None:
    """Read the experiment NAME and keep what is decided: hypothesis, minimal test, result, decision, learning.

    It is kept in mc_experiments and printed as Markdown. Deciding again replaces it. A variant is not shipped on a
    wrong split, nor before a fixed horizon is over, nor while a guardrail does not hold or a required question of
    ethics is open.

    \b
    Examples:
      microconv experiment decide reviews_first --decision ship --because "More carts." --learning "Proof helps."
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.experiments.registry import DecisionGiven, markdown, write_record

    with context.project() as project:
        if output_path is not None and output_path.exists():
            raise UsageError(f"{output_path} is there already.", hint="Name another file, or remove it.")
        made = project.decide_experiment(name, DecisionGiven(decision, because, learning, by, variant, allow_guardrail))
    text = "\n".join(map(markdown, made))
    if output_path is not None:
        write_record(output_path, text)
    _emit(name, made, output_format, text)


@experiment.command("show", short_help="Show what was decided of an experiment.")
@click.argument("name")
@output.format_option
@click.pass_obj
def show(context: CommandContext, *, name: str, output_format: str) -> None:
    """Show the record of the experiment NAME as Markdown: hypothesis, minimal test, result, decision, learning.

    \b
    Examples:
      microconv experiment show reviews_first
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.experiments.registry import markdown

    with context.project() as project:
        known = project.experiment_records()
    found = [each for each in known if each.experiment == name]
    if not found:
        named = ", ".join(dict.fromkeys(each.experiment for each in known)) or "none"
        raise UsageError(
            f"Nothing is decided of an experiment named {name!r}.",
            hint=f"Decided: {named}. `microconv experiment read NAME` reads one; how to decide it: `microconv "
            "experiment decide --help`.",
        )
    _emit(name, found, output_format, "\n".join(map(markdown, found)))


def _emit(name: str, records: Sequence[ExperimentRecord], output_format: str, text: str) -> None:
    document = {"experiment": name, "records": [iso_dates(asdict(each)) for each in records]}
    if output_format == "json":
        output.emit(output_format, document=document, shown=lambda: ())
    else:
        output.write_text(text)
