"""`microconv attribution`: which channels earn the credit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from microconv.cli import output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from microconv.analyses.attribution.results import AttributionResult
    from microconv.cli.context import Context


@click.command("attribution", short_help="Credit channels for the conversion, by model and lookback window.")
@output.format_option
@click.pass_obj
def attribution(context: Context, *, output_format: str) -> None:
    """Credit channels for the conversion, by every configured model and lookback window.

    What the figures rest on is printed with them. Conversions without a touchpoint are reported as untouched.

    \b
    Examples:
      microconv attribution
      microconv -c shop.toml attribution --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        result = project.attribution()
    output.emit(
        output_format, document=result.document(), tables=lambda: [*credit_tables(result), _assumptions(result)]
    )


def credit_tables(result: AttributionResult) -> Iterator[Table]:
    """Show one table per window: touchpoints down, models across."""
    models = tuple(dict.fromkeys(row.model for row in result.results))
    for untouched in result.untouched:
        credit = {(row.touchpoint, row.model): row.credit for row in result.results if row.window == untouched.window}
        touchpoints = dict.fromkeys(touchpoint for touchpoint, _ in credit)
        yield output.table(
            f"{result.conversion}, window {untouched.window}, conversions: {result.conversions:,}, "
            f"untouched: {untouched.conversions:,}",
            [("touchpoint", "left"), *((model, "right") for model in models)],
            [[touchpoint, *(f"{credit[touchpoint, model]:,.1f}" for model in models)] for touchpoint in touchpoints],
        )


def _assumptions(result: AttributionResult) -> str:
    return "\n".join(f"* {assumption}" for assumption in result.assumptions)
