"""A group that is a question as well: without the name of one of its commands it asks."""

from __future__ import annotations

from typing import Any

import click


class QuestionGroup(click.Group):
    """`segment NAME` asks about a segment, unless NAME is one of its commands; `propensity` alone asks, too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the first word as a command where there is one of that name."""
        if args and args[0] in self.commands:
            ctx._protected_args, ctx.args = args[:1], args[1:]
            return ctx.args
        # Options may stand behind NAME, and nothing else may, as with any command that is no group.
        ctx.allow_interspersed_args, ctx.allow_extra_args = True, False
        return click.Command.parse_args(self, ctx, args)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - Click's signature
        """Ask the question, or run the command."""
        if not ctx._protected_args:
            return click.Command.invoke(self, ctx)
        (name,) = ctx._protected_args
        with self.commands[name].make_context(name, [*ctx.args], parent=ctx) as inner:
            return self.commands[name].invoke(inner)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters of the question; its commands have none of them before their name."""
        return super().get_params(ctx) if ctx.command is self else []

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Name the command behind the question's own options."""
        return [*click.Command.collect_usage_pieces(self, ctx), "|", self.subcommand_metavar]
