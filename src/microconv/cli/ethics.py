"""`microconv ethics`: the checklist of ethics, and what was answered."""

from __future__ import annotations

import click

from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.errors import FindingsError


@click.command("ethics", short_help="Show the checklist of ethics and what was answered.")
@click.option("--check", is_flag=True, help="Exit with 1 when a required question is open.")
@output.answer_option
@click.pass_obj
def ethics(context: CommandContext, *, check: bool, output_format: str) -> None:
    """Show the questions that somebody answers before a segment is sent or a variant shipped, and what was answered.

    Answers stand under [segments.ethics], [experiments.ethics] and [ethics.answers] of the configuration; `require`
    under [ethics] says which are required. Nothing need be staged.

    \b
    Examples:
      microconv ethics
      microconv ethics --check --format csv
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.guardrails.ethics import open_words

    with context.project() as project:
        found = project.ethics()
    output.answer(found, output_format)
    still_open = [each for each in found.answers if each.is_open]
    if check and still_open:
        raise FindingsError(
            f"The checklist of ethics: {open_words(still_open)}.",
            hint="Answer them under [segments.ethics] or [experiments.ethics]; docs/guardrails.md says how.",
        )
