"""`microconv attribution`: which touchpoints earn the credit, and how far the answer depends on the way of asking."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from microconv.cli import output
from microconv.cli.answers import Bar, Wanted, answer, answer_options, assumptions, changed_section
from microconv.cli.context import Context
from microconv.cli.output import NOTHING, percent

if TYPE_CHECKING:
    from rich.table import Table

    from microconv.analyses.attribution.results import AttributionResult, ReturnResult
    from microconv.analyses.attribution.stability import StabilityResult


@click.command("attribution", short_help="Credit touchpoints for the conversion, by model and lookback window.")
@click.option("--conversion", metavar="ID", help="The micro-conversion to credit.")
@click.option("--count", type=click.Choice(["each", "actors", "sessions"]), help="Which conversions count.")
@click.option(
    "--touchpoint",
    type=click.Choice(["channel_group", "source_medium", "campaign", "landing_page", "micro_conversion"]),
    help="What earns credit.",
)
@click.option("--window", "windows", multiple=True, metavar="TIME", help="A lookback window, such as 7d; repeatable.")
@click.option("--model", "models", multiple=True, metavar="MODEL", help="A model; repeatable.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="First day of conversions.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Last day of conversions.")
@click.option("--compare", is_flag=True, help="Show how far shares move between models, windows, weeks and by chance.")
@answer_options
@click.pass_obj
def attribution(
    context: Context,
    /,
    *,
    since: datetime | None,
    until: datetime | None,
    compare: bool,
    wanted: Wanted,
    **changed: Any,  # noqa: ANN401 - keys of the section, as Click gives them
) -> None:
    """Credit touchpoints for the conversion, by every configured model and lookback window; options change them.

    What the figures rest on is printed with them. Conversions without a touchpoint are reported as untouched.

    \b
    Examples:
      microconv attribution
      microconv attribution --compare
      microconv attribution --touchpoint micro_conversion --window 7d --model linear --model shapley
      microconv -c shop.toml attribution --conversion begin_checkout --count sessions --format csv
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        asked = changed_section(project.config.attribution, changed)
        days = {"since": since.date() if since else None, "until": until.date() if until else None}
        question = {**asked.model_dump(mode="json"), **days}
        if compare:
            compared = project.compare_attribution(asked, **days)
            answer(
                context,
                project,
                compared,
                wanted,
                question=question,
                tables=lambda: [*_stability(compared), compared.sentence, assumptions(compared)],
                bars=lambda: [
                    Bar(f"{share.touchpoint}, {share.model}", share.share or 0, percent(share.share))
                    for share in compared.shares
                    if share.window == compared.window
                ],
            )
            return
        result = project.attribution(asked, **days)
        answer(
            context,
            project,
            result,
            wanted,
            question=question,
            tables=lambda: [*credit_tables(result), *_spend(result.spend), result.sentence, assumptions(result)],
            bars=lambda: [
                Bar(f"{row.touchpoint}, {row.model}", row.credit, f"{row.credit:,.1f}")
                for row in result.results
                if row.window == asked.windows[-1].text
            ],
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
            [
                [touchpoint, *(f"{credit.get((touchpoint, model), 0):,.1f}" for model in models)]
                for touchpoint in touchpoints
            ],
        )


def _spend(result: ReturnResult | None) -> Iterator[Table | str]:
    """Show cost and return, one table per window."""
    if result is None:
        return
    for window in dict.fromkeys(row.window for row in result.rows):
        yield output.table(
            f"Cost and return, window {window}",
            [
                ("touchpoint", "left"),
                ("model", "left"),
                ("cost", "right"),
                ("credit", "right"),
                ("cost per conversion", "right"),
                ("return on spend", "right"),
            ],
            [
                [
                    row.touchpoint,
                    row.model,
                    f"{row.cost:,.2f}",
                    f"{row.credit:,.1f}",
                    NOTHING if row.cost_per_conversion is None else f"{row.cost_per_conversion:,.2f}",
                    NOTHING if row.return_on_spend is None else f"{row.return_on_spend:,.2f}",
                ]
                for row in result.rows
                if row.window == window
            ],
        )
    yield result.sentence


def _stability(result: StabilityResult) -> Iterator[Table | str]:
    """Show shares by model and window, how like the rankings are, and a sentence for each touchpoint."""
    columns = tuple(dict.fromkeys((share.model, share.window) for share in result.shares))
    shares = {(share.touchpoint, share.model, share.window): share.share for share in result.shares}
    for window in dict.fromkeys(window for _, window in columns):
        models = [model for model, of_window in columns if of_window == window]
        yield output.table(
            f"Shares of credit, window {window}",
            [("touchpoint", "left"), *((model, "right") for model in models)],
            [
                [each.touchpoint, *(percent(shares.get((each.touchpoint, model, window))) for model in models)]
                for each in result.touchpoints
            ],
        )
    models = list(dict.fromkeys(model for model, _ in columns))
    alike = {
        (pair.model_a, pair.model_b): pair.correlation
        for pair in result.correlations
        if pair.window_a == pair.window_b == result.window
    }
    yield output.table(
        f"Rank correlation of models, window {result.window}",
        [("model", "left"), *((model, "right") for model in models[1:])],
        [
            [one, *(_correlation(alike.get((one, other))) if (one, other) in alike else "" for other in models[1:])]
            for one in models[:-1]
        ],
    )
    yield "\n".join(f"{each.sentence}" for each in result.touchpoints)


def _correlation(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"
