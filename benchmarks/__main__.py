"""`python -m benchmarks`: measure, print a table, write it as JSON."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks import suites
from benchmarks.audit import audit
from benchmarks.beside import beside
from benchmarks.inputs import Input, prepare
from benchmarks.suites import Figure, Row, Setting

SUITES = {**suites.SUITES, "beside": beside, "audit": audit}

RESULTS = Path(__file__).parent / "results"
SIZES = (200_000, 1_000_000)
LARGE = 10_000_000


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Medians are over so many.")
@click.option("--only", type=click.Choice(list(SUITES)), multiple=True, help="Run this suite alone; may be repeated.")
@click.option("--events", type=click.IntRange(min=20_000), help="Use a demo export of this size, not the real export.")
@click.option("--large", is_flag=True, help=f"Let growth and beside go on to {LARGE:,} events.")
def main(*, rounds: int, only: tuple[str, ...], events: int | None, large: bool) -> None:
    """Measure what the product costs. CPU seconds are medians of rounds that take turns."""
    console = Console(stderr=True)
    started_at = datetime.now(tz=UTC)
    with tempfile.TemporaryDirectory(prefix="microconv-bench-") as folder:
        console.print("Preparing the input …")
        data = prepare(Path(folder), events)
        setting = Setting(data, rounds, (*SIZES, LARGE) if large else SIZES)
        rows: list[Row] = []
        for name in only or SUITES:
            console.print(f"Measuring {name} …")
            rows += SUITES[name](setting)
    Console(width=None if sys.stdout.isatty() else 120).print(_table(rows, data, rounds))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{started_at:%Y%m%dT%H%M%SZ}.json"
    document = {
        "started_at": started_at.isoformat(timespec="seconds"),
        "input": data.described,
        "rounds": rounds,
        "machine": _machine(),
        "rows": [asdict(row) | ({"met": row.figure.met} if row.figure else {}) for row in rows],
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    console.print(f"Written: {path}")


def _machine() -> dict[str, object]:
    packages = ("microconv", "duckdb", "pyarrow", "sqlglot")
    return {
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": sys.version.split()[0],
        **{package: version(package) for package in packages},
    }


def _table(rows: list[Row], data: Input, rounds: int) -> Table:
    table = Table(title=f"{data.described}; {os.cpu_count()} cores; median of {rounds} rounds")
    for heading in ("suite", "what"):
        table.add_column(heading, no_wrap=True)
    for heading in ("CPU s", "wall s", "peak MB", "figure", "goal"):
        table.add_column(heading, justify="right", no_wrap=True)
    last = None
    for row in rows:
        if last not in (None, row.suite):
            table.add_section()
        table.add_row(
            row.suite if row.suite != last else "",
            row.name,
            "" if row.cpu is None else f"{row.cpu:.2f}",
            "" if row.wall is None else f"{row.wall:.2f}",
            "" if row.peak_mb is None else f"{row.peak_mb:,.0f}",
            *_shown(row.figure),
        )
        last = row.suite
    return table


def _shown(figure: Figure | None) -> tuple[str, str]:
    if figure is None:
        return "", ""
    goal = "" if figure.goal is None else f"{'>=' if figure.at_least else '<='} {figure.goal:g}"
    verdict = {True: " met", False: " MISSED", None: ""}[figure.met]
    return f"{figure.value:,.3g} {figure.unit}", f"{goal}{verdict}"


if __name__ == "__main__":
    main()
