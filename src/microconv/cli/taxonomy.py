"""`microconv taxonomy`: look at the taxonomy in use, check a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.cli.taxonomy_diff import diff
from microconv.errors import ConfigError, TaxonomyError
from microconv.wording import Heading, Sheet, visible

if TYPE_CHECKING:
    from microconv.config.sections import TaxonomyConfig
    from microconv.taxonomy import MicroConversion, Taxonomy

_MOST_SHOWN = 100
"""How many problems are printed; JSON has all."""
_PRESET_HELP = (
    "ecommerce, saas, publisher, lead_generation, mobile_app or none; default: the preset of the configuration."
)


def _preset_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option("--preset", metavar="NAME", help=_PRESET_HELP)(command)


@click.group("taxonomy", short_help="Show or check the micro-conversion taxonomy.")
def taxonomy() -> None:
    """Show, check or compare the taxonomy: which events count as which micro-conversion."""


taxonomy.add_command(diff)


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
        shown = load_taxonomy(preset=configured.preset, file=configured.file, lookback=configured.lookback)
    else:
        shown = load_taxonomy(preset=preset, file=None)
    output.emit(output_format, document=shown.document(), shown=lambda: [_summary(shown), _table(shown)])


@taxonomy.command("validate", short_help="Check a taxonomy file, or the configuration's.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@_preset_option
@click.option("--strict", is_flag=True, help="Warnings count as problems: the exit code is 2.")
@output.format_option
@click.pass_obj
def validate(
    context: CommandContext, *, file: Path | None, preset: str | None, strict: bool, output_format: str
) -> None:
    """Check FILE, or the configuration's taxonomy file, and list every problem.

    The file is checked together with the preset that it changes: --preset, or the one of the configuration. With
    "none" it is checked alone. The exit code is 0 when it is valid, and 2 when it is not.

    Warnings are about names: those that break a rule of `[naming]` in the file, and those that GA4 drops or cuts.

    \b
    Examples:
      microconv taxonomy validate
      microconv taxonomy validate taxonomy.toml --preset ecommerce
      microconv taxonomy validate draft.toml --preset none --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.taxonomy import LONGEST_LOOKBACK, find_problems, find_warnings, load_taxonomy

    # A preset without a file is a question about the preset alone.
    lookback = LONGEST_LOOKBACK
    if preset is None:
        configured = _configured(context)
        preset, file, lookback = configured.preset, file or configured.file, configured.lookback
    checked = str(file) if file else f"the preset {preset}"
    problems = find_problems(preset=preset, file=file, lookback=lookback)
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
    valid = load_taxonomy(preset=preset, file=file, lookback=lookback)
    warnings = find_warnings(file=file)
    document = {
        "valid": True,
        "problems": [],
        "warnings": warnings,
        "name": valid.name,
        "version": valid.version,
        "fingerprint": valid.fingerprint,
        "micro_conversions": len(valid.entries),
        "macros": valid.macros,
    }
    output.emit(
        output_format,
        document=document,
        shown=lambda: [
            f"{checked} is valid: {_summary(valid)}.",
            *(f"{checked}: warning: {warning}" for warning in warnings[:_MOST_SHOWN]),
            *([f"{checked}: and {len(warnings) - _MOST_SHOWN} more"] if len(warnings) > _MOST_SHOWN else []),
        ],
    )
    if strict and warnings:
        raise TaxonomyError(
            f"{checked} has {len(warnings)} {'warning' if len(warnings) == 1 else 'warnings'}.",
            hint="Rename what they name, change `[naming]`, or leave out --strict.",
        )


@taxonomy.command("schema", short_help="Print the JSON Schema of a taxonomy file, for editors.")
def schema() -> None:
    """Print the JSON Schema of a taxonomy file: editors complete keys with it, and mark mistakes while you write.

    Many editors take it from a comment in the first line of the file: `#:schema taxonomy.schema.json`,
    where that is what you called the file that you wrote this to.

    \b
    Examples:
      microconv taxonomy schema
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.taxonomy.json_schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@taxonomy.command("suggest", short_help="Propose entries from what the staged events hold.")
@click.option(
    "--write",
    "path",
    type=click.Path(path_type=Path),
    help="Taxonomy file to add the proposals to, as commented TOML; a new one if there is none.",
)
@output.answer_option
@click.pass_obj
def suggest(context: CommandContext, *, path: Path | None, output_format: str) -> None:
    """Propose entries for events, pages and parameters that no entry covers; what to collapse, to retire, to carry.

    Each proposal says how often it happens, what stage and kind it probably is and why, and how it goes with the
    macro-conversions: a raw association, which proves nothing. Parameters come from three days of the export.

    \b
    Examples:
      microconv taxonomy suggest
      microconv taxonomy suggest --format json
      microconv taxonomy suggest --write taxonomy.toml
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.audit.suggestion_file import append, check_path

    with context.project() as project:
        there = check_path(path, project.config) if path else None
        result = project.suggest(others=(there,) if there else ())
        added = append(result, path, project.config, project.taxonomy) if path else 0
        named = project.config.taxonomy.file
    output.answer(result, output_format)
    if path and output_format == "table":
        entries = "1 entry was" if added == 1 else f"{added} entries were"
        use = "" if named else f' Set file = "{path}" under [taxonomy] to use it.'
        output.write(visible(f"{entries} added to {path}.{use} Then run `microconv sync`."))


@taxonomy.command("docs", short_help="Write the dictionary and the journey map.")
@click.option("--output", "path", type=click.Path(path_type=Path), help="File to write; default: stdout.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(("markdown", "html")),
    default="markdown",
    show_default=True,
    help="Markdown, or one self-contained HTML page.",
)
@click.pass_obj
def docs(context: CommandContext, *, path: Path | None, output_format: str) -> None:
    """Write the dictionary of the taxonomy, entry by entry, and the journey map, stage by stage.

    Where something is staged, each entry says how often it happened and when last. A stage without a signal is named.

    \b
    Examples:
      microconv taxonomy docs
      microconv taxonomy docs --output taxonomy.md
      microconv taxonomy docs --format html --output taxonomy.html
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.report.dictionary import check_dictionary_path, render, write_dictionary

    with context.project() as project:
        if path:
            check_dictionary_path(path, project.config)
        text = render(project.dictionary(), output_format)
    if path:
        output.write(f"Written to {write_dictionary(text, path)}.")
    else:
        output.write_text(text)


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
    history = [f"deprecated in {entry.deprecated_in}"] if entry.deprecated_in else []
    history += [f"removed in {entry.removed_in}"] if entry.removed_in else []
    history += [f"counts as {entry.replaced_by}"] if entry.replaced_by else []
    return f"{entry.describe()} ({', '.join(history)})" if history else entry.describe()
