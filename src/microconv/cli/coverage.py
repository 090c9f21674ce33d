"""`microconv coverage`: is everything the taxonomy names recorded every day?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

import click

from microconv.cli import output
from microconv.cli.context import Context
from microconv.errors import FindingsError

if TYPE_CHECKING:
    from rich.table import Table

    from microconv.audit.coverage import CoverageResult


@click.command("coverage", short_help="Find micro-conversions that went missing, by day.")
@click.option("--fail-on-outage", is_flag=True, help="Exit with 1 when there is an outage.")
@output.format_option
@click.pass_obj
def coverage(context: Context, *, fail_on_outage: bool, output_format: str) -> None:
    """Hold every day against what its traffic lets one expect of each micro-conversion.

    An outage is a run of days on which a micro-conversion was missing, or far below its usual share of the traffic.
    JSON holds every day; the tables hold the totals and the outages.

    \b
    Examples:
      microconv coverage
      microconv -c shop.toml coverage --format json
      microconv coverage --fail-on-outage
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    with context.project() as project:
        result = project.coverage()
    output.emit(output_format, document=result.document(), tables=lambda: list(_tables(result)))
    if fail_on_outage and result.outages:
        names = sorted({outage.micro_conversion for outage in result.outages})
        raise FindingsError(
            f"Outages of {', '.join(names)}: {len(result.outages)} in all.",
            hint="Check the tracking of those days; `microconv coverage` lists them.",
        )


def _tables(result: CoverageResult) -> Iterator[Table | str]:
    if result.first_date is None:
        yield "Nothing is staged yet. Run `microconv sync` first."
        return
    yield output.table(
        f"Coverage from {result.first_date} to {result.last_date}",
        [
            ("micro-conversion", "left"),
            ("occurrences", "right"),
            ("days seen", "right"),
            ("days with an outage", "right"),
        ],
        [
            [
                name,
                f"{sum(day.occurrences for day in days):,}",
                f"{sum(day.occurrences > 0 for day in days)} of {len(days)}",
                f"{sum(day.status != 'ok' for day in days) or ''}",
            ]
            for name, days in (
                (name, list(group)) for name, group in groupby(result.days, key=lambda day: day.micro_conversion)
            )
            if name not in result.never_seen
        ],
    )
    if result.outages:
        yield output.table(
            "Outages",
            [
                ("micro-conversion", "left"),
                ("status", "left"),
                ("days", "left"),
                ("seen", "right"),
                ("expected", "right"),
            ],
            [
                [
                    outage.micro_conversion,
                    outage.status,
                    f"{outage.first_date}"
                    if outage.first_date == outage.last_date
                    else f"{outage.first_date} to {outage.last_date}",
                    f"{outage.occurrences:,}",
                    f"{outage.expected:,.0f}",
                ]
                for outage in result.outages
            ],
        )
    else:
        yield "No outages."
    if result.never_seen:
        yield f"Never seen: {', '.join(result.never_seen)}."
