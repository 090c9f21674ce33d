"""`microconv taxonomy`: look at the taxonomy in use, check a file."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.errors import ConfigError, TaxonomyError
from microconv.wording import Heading, Sheet

if TYPE_CHECKING:
    from microconv.config.sections import TaxonomyConfig
    from microconv.taxonomy import MicroConversion, Taxonomy

_MOST_SHOWN = 100
"""How many problems are printed; JSON has all."""
_PRESET_HELP = "ecommerce, saas, publisher, lead_generation or none; default: the preset of the configuration."


def _preset_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option("--preset", metavar="NAME", help=_PRESET_HELP)(command)


@click.group("taxonomy", short_help="Show or check the micro-conversion taxonomy.")
def taxonomy() -> None:
    """Show or check the taxonomy: which events count as which micro-conversion."""


@taxonomy.command("show", short_help="Print every entry, in the order of the journey.")
@_preset_option
@output.format_option
@click.pass_obj
def show(context: CommandContext, *, preset: str | None, output_format: str) -> None:
    """Print every entry of the taxonomy, in the order of the journey.

    Without --preset this is the taxonomy of the configuration, including its file; with --preset, that preset alone.

    \b
    Examples:
      microconv taxonomy show
      microconv taxonomy show --preset saas
      microconv -c shop.toml taxonomy show --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    # pydantic is loaded by this; `microconv --help` must not wait for it.
    from microconv.taxonomy import load_taxonomy

    if preset is None:
        configured = _configured(context)
        shown = load_taxonomy(preset=configured.preset, file=configured.file)
    else:
        shown = load_taxonomy(preset=preset, file=None)
    output.emit(output_format, document=shown.document(), shown=lambda: [_summary(shown), _table(shown)])


@taxonomy.command("validate", short_help="Check a taxonomy file, or the configuration's.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@_preset_option
@output.format_option
@click.pass_obj
def validate(context: CommandContext, *, file: Path | None, preset: str | None, output_format: str) -> None:
    """Check FILE, or the configuration's taxonomy file, and list every problem.

    The file is checked together with the preset that it changes: --preset, or the one of the configuration. With
    "none" it is checked alone. The exit code is 0 when it is valid, and 2 when it is not.

    \b
    Examples:
      microconv taxonomy validate
      microconv taxonomy validate taxonomy.toml --preset ecommerce
      microconv taxonomy validate draft.toml --preset none --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.taxonomy import find_problems, load_taxonomy

    # A preset without a file is a question about the preset alone.
    if preset is None:
        configured = _configured(context)
        preset, file = configured.preset, file or configured.file
    checked = str(file) if file else f"the preset {preset}"
    problems = find_problems(preset=preset, file=file)
    if problems:
        output.emit(
            output_format,
            document={"valid": False, "problems": problems},
            shown=lambda: [
                *(f"{checked}: {problem}" for problem in problems[:_MOST_SHOWN]),
                *([f"{checked}: and {len(problems) - _MOST_SHOWN} more"] if len(problems) > _MOST_SHOWN else []),
            ],
        )
        raise TaxonomyError(
            f"{checked} has {len(problems)} {'problem' if len(problems) == 1 else 'problems'}.",
            hint="Correct the file and run this again; nothing was changed.",
        )
    valid = load_taxonomy(preset=preset, file=file)
    document = {
        "valid": True,
        "problems": [],
        "name": valid.name,
        "version": valid.version,
        "fingerprint": valid.fingerprint,
        "micro_conversions": len(valid.entries),
        "macros": valid.macros,
    }
    output.emit(output_format, document=document, shown=lambda: [f"{checked} is valid: {_summary(valid)}."])


def _configured(context: CommandContext) -> TaxonomyConfig:
    try:
        return context.config().taxonomy
    except ConfigError as error:
        raise ConfigError(
            error.message, hint=f"{error.hint} Or name a preset with --preset: that needs no configuration."
        ) from error


def _summary(shown: Taxonomy) -> str:
    return f"{shown.name} {shown.version}, {len(shown.entries)} micro-conversions, macro: {', '.join(shown.macros)}"


def _table(shown: Taxonomy) -> Sheet:
    rows = []
    by_rank = sorted(shown.entries, key=lambda entry: shown.rank(entry.id))
    for stage, entries in groupby(by_rank, key=lambda entry: entry.stage):
        rows.append(("", stage.replace("_", "-").upper(), "", "", ""))
        rows += [
            (str(shown.rank(entry.id)), entry.id, entry.kind, _value(entry), _counts_when(entry)) for entry in entries
        ]
    # In a narrow window ids stay whole, to be copied, and patterns break instead of being cut.
    headings = (
        *(Heading("Rank", str), Heading("Micro-conversion", is_whole=True), Heading("Kind"), Heading("Value", str)),
        Heading("Counts when"),
    )
    return Sheet("", headings, tuple(rows))


def _value(entry: MicroConversion) -> str:
    return "" if entry.value is None else f"{entry.value:g}" if isinstance(entry.value, float) else entry.value


def _counts_when(entry: MicroConversion) -> str:
    replacement = f", counts as {entry.replaced_by}" if entry.replaced_by else ""
    return (
        f"{entry.describe()} (deprecated in {entry.deprecated}{replacement})" if entry.deprecated else entry.describe()
    )
