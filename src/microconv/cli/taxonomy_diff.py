"""`microconv taxonomy diff`: what differs between two taxonomies, what breaks, and what staging it again costs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from microconv import wording
from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.errors import ConfigError, FindingsError
from microconv.wording import Heading, Sheet

if TYPE_CHECKING:
    from microconv.config.values import Duration
    from microconv.project import Project
    from microconv.staging.restaging import Restaging
    from microconv.taxonomy import Effect, Taxonomy, TaxonomyDifference

_NO_CONFIGURATION = "There is no configuration here, so nothing was looked up that names entries, and no cost."


@click.command("diff", short_help="Compare two taxonomies: what changes, what breaks, what it costs.")
@click.argument("old")
@click.argument("new", required=False)
@click.option(
    "--preset", metavar="NAME", help="What files are laid over; default: the preset of the configuration, else none."
)
@click.option("--fail-on-breaking", is_flag=True, help="Exit with 1 when something that names an entry breaks.")
@output.format_option
@click.pass_obj
def diff(
    context: CommandContext,
    *,
    old: str,
    new: str | None,
    preset: str | None,
    fail_on_breaking: bool,
    output_format: str,
) -> None:
    """Compare the taxonomy OLD with NEW, each a file or a preset; without NEW, with that of the configuration.

    Shown are entries that were added, removed, renamed or changed, key by key; what that does to the funnels, segments,
    destinations and saved results that name them; and what is staged again, were NEW the configured taxonomy. Nothing
    is changed; BigQuery bills the reading of the list of saved results. Without a configuration, only the entries are
    compared.

    \b
    Examples:
      microconv taxonomy diff ecommerce taxonomy.toml
      microconv taxonomy diff taxonomy.toml draft.toml --format json
      microconv taxonomy diff old.toml --fail-on-breaking
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.taxonomy import difference

    with ExitStack() as stack:
        project = _project(context, stack, is_needed=new is None)
        if preset is None:
            preset = (project.config.taxonomy.preset if project else None) or "none"
        lookback = project.config.taxonomy.lookback if project else None
        newer = _load(new, preset, lookback) if new is not None or project is None else project.taxonomy_as_it_is
        found = difference(_load(old, preset, lookback), newer)
        effects = project.effects(found) if project else ()
        cost = None if project is None or found.is_meaning_alike else project.restaging(found.new)
    output.emit(
        output_format,
        document={
            **found.document(),
            "effects": [asdict(each) for each in effects],
            "restaging": asdict(cost) if cost else None,
        },
        shown=lambda: _shown(found, effects, cost, has_configuration=project is not None),
    )
    broken = list(dict.fromkeys(each.named_by for each in effects if each.is_breaking))
    if fail_on_breaking and broken:
        raise FindingsError(
            f"The difference breaks {wording.listed(broken)}.",
            hint="Keep the entries, deprecate them with replaced_by, or name others there.",
        )


def _project(context: CommandContext, stack: ExitStack, *, is_needed: bool) -> Project | None:
    try:
        return stack.enter_context(context.project())
    except ConfigError:
        if is_needed or context.config_path is not None:
            raise
        return None


def _load(named: str | None, preset: str, lookback: Duration | None) -> Taxonomy:
    from microconv.taxonomy import LONGEST_LOOKBACK, PRESETS, load_taxonomy

    if named in PRESETS and not Path(named).exists():
        return load_taxonomy(preset=named, file=None)
    return load_taxonomy(preset=preset, file=Path(named or ""), lookback=lookback or LONGEST_LOOKBACK)


def _shown(
    found: TaxonomyDifference, effects: Sequence[Effect], cost: Restaging | None, *, has_configuration: bool
) -> Iterator[Sheet | str]:
    yield f"{found.old.name} {found.old.version} compared with {found.new.name} {found.new.version}."
    if found.warning:
        yield found.warning
    if found.changes:
        headings = (
            *(Heading("Change"), Heading("Micro-conversion", is_whole=True), Heading("Key")),
            *(Heading("Old"), Heading("New"), Heading("Figures")),
        )
        rows = tuple(
            (
                *(each.change, each.micro_conversion, each.key or "", _text(each.old), _text(each.new)),
                "may change" if each.decides_figures else "",
            )
            for each in found.changes
        )
        yield Sheet("What differs", headings, rows)
    else:
        yield "Their entries do not differ."
    if effects:
        yield Sheet(
            "What names them",
            (
                *(Heading("Named by"), Heading("Micro-conversion", is_whole=True), Heading("What becomes of it")),
                Heading("Breaks"),
            ),
            tuple(
                (each.named_by, each.micro_conversion, each.effect, "yes" if each.is_breaking else "")
                for each in effects
            ),
        )
    elif has_configuration:
        yield "Nothing that the configuration or a saved result names is affected."
    if not has_configuration:
        yield _NO_CONFIGURATION
    elif cost is None:
        yield "Restaging: none, both stage the same occurrences."
    else:
        yield cost.sentence


def _text(value: Any) -> str:  # noqa: ANN401 - a value of a taxonomy file
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)
