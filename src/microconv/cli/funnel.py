"""`microconv funnel`: who takes the steps in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from microconv.cli import output

if TYPE_CHECKING:
    from rich.table import Table

    from microconv.analyses.funnels.results import FunnelResult
    from microconv.cli.context import Context


@click.command("funnel", short_help="Count a funnel of the configuration.")
@click.argument("name")
@output.format_option
@click.pass_obj
def funnel(context: Context, *, name: str, output_format: str) -> None:
    """Count the funnel NAME of the configuration.

    Any occurrence of the first step may start it; the window counts from there, inclusive. Times are medians since
    the first step.

    \b
    Examples:
      microconv funnel purchase_journey
      microconv -c shop.toml funnel purchase_journey --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        result = project.funnel(name)
    output.emit(output_format, document=result.document(), tables=lambda: [steps_table(result)])


def steps_table(result: FunnelResult) -> Table:
    """Show one row per step."""
    return output.table(
        f"Funnel {result.funnel}, by {result.unit}, within {duration(result.window_seconds)} of the first step",
        [
            ("step", "left"),
            (f"{result.unit}s", "right"),
            ("from previous", "right"),
            ("from first", "right"),
            ("median time", "right"),
        ],
        [
            [
                step.step,
                f"{step.count:,}",
                _share(step.from_previous),
                _share(step.from_first),
                "–" if step.seconds_median is None else duration(step.seconds_median),  # noqa: RUF001 - a dash for people
            ]
            for step in result.steps
        ],
    )


def duration(seconds: float) -> str:
    """Write a length of time with its two largest units: `2 d 4 h`, `5 min 37 s`, `6.4 s`."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s" if seconds % 1 else f"{seconds:.0f} s"
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    left, parts = round(seconds), []
    for name, size in units:
        count, left = divmod(left, size)
        parts.append(f"{count} {name}" if count else "")
    first = next(index for index, part in enumerate(parts) if part)
    return " ".join(part for part in parts[first : first + 2] if part)


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"  # noqa: RUF001 - a dash for people
