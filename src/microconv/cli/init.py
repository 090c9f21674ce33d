"""`microconv init`: write a first configuration."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.cli.invocation import command
from microconv.config.starter import STARTERS
from microconv.errors import UsageError
from microconv.wording import Verbatim, message

if TYPE_CHECKING:
    from microconv.config.starter import Answers


@click.command("init", short_help="Write a commented configuration for a folder of shards.")
@click.option(
    "--exports",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder of the export: files named events_YYYYMMDD.parquet, .ndjson or .ndjson.gz.",
)
@click.option("--property", "property_id", help="Label of the GA4 property, such as its number.")
@click.option("--timezone", help="Reporting time zone of the property, such as Europe/Berlin.")
@click.option("--name", help="Name for reports; default: the host of most pages, else the label.")
@click.option("--currency", help="Currency of values, such as EUR; default: what most events name, else USD.")
@click.option("--preset", type=click.Choice(list(STARTERS)), help="Kind of business; default: ecommerce.")
@click.option(
    "--output",
    "target",
    type=click.Path(path_type=Path),
    default=Path("microconv.toml"),
    show_default=True,
    help="File to write.",
)
@click.option("--force", is_flag=True, help="Replace the file if it is a configuration.")
@output.format_option
@click.pass_obj
def init(
    context: CommandContext,
    *,
    exports: Path | None,
    property_id: str | None,
    timezone: str | None,
    name: str | None,
    currency: str | None,
    preset: str | None,
    target: Path,
    force: bool,
    output_format: str,
) -> None:
    """Write a commented configuration for a folder of shards.

    On a terminal, whatever no option gives is asked for, and what the export shows is proposed: its time zone, the
    currency of its values, the host of its pages. Elsewhere --exports, --property and --timezone are required.

    \b
    Examples:
      microconv init
      microconv init --exports exports --property 123456789 --timezone Europe/Berlin
      microconv init --exports exports --property app --timezone UTC --preset saas --output saas.toml
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    # pydantic and pyarrow are loaded by these; `microconv --help` must not wait for them.
    from microconv.catalogue import destination_settings
    from microconv.config.load import load_config
    from microconv.config.starter import Answers, check_writable, render_config, write_config
    from microconv.config.values import check_currency, check_label, check_timezone
    from microconv.engines.duckdb import IN_MEMORY, DuckDBEngine
    from microconv.exports.survey import look_into
    from microconv.staging.first_look import first_look

    required = {"--exports": exports, "--property": property_id, "--timezone": timezone}
    missing = [flag for flag, value in required.items() if value is None]
    if missing and not sys.stdin.isatty():
        raise UsageError(
            f"Required and not given: {', '.join(missing)}; there is no terminal to ask on.",
            hint="Give them as options; `microconv init --help` has examples.",
        )
    check_writable(target, force=force)
    folder = Path(
        _answer("--exports", str(exports) if exports else None, "Folder of the export", check_label)
    ).expanduser()
    label = _answer("--property", property_id, "GA4 property (number or name)", check_label)
    export = look_into(folder, label)
    log = output.Log(context.log_format)
    with DuckDBEngine(IN_MEMORY) as engine:
        seen = first_look(engine, export.pattern, label)
    for sentence in (*export.sentences(), *seen.sentences()):  # said now: it helps to answer the next questions
        log.info(sentence)
    if warning := export.warning():
        log.warning(warning)
    zone = seen.days.zones[0] if seen.days and seen.days.zones else None
    answers = Answers(
        property=label,
        timezone=_answer("--timezone", timezone, "Reporting time zone of the property", check_timezone, default=zone),
        name=_answer("--name", name, "Name for reports", check_label, default=seen.host or label),
        currency=_answer("--currency", currency, "Currency of values", check_currency, default=seen.currency or "USD"),
        preset=_answer("--preset", preset, f"Kind of business ({', '.join(STARTERS)})", _preset, default="ecommerce"),
    )
    for objection in seen.objections(answers.timezone, answers.currency):
        log.warning(objection)
    for chosen in _unasked(name, currency, answers):
        log.info(chosen)
    text = render_config(answers, export.folder, Path(export.pattern).name, target.parent)
    # It is read back before it is put in place: one that does not load would be found by the next command only.
    write_config(text, target, force=force, read=lambda written: load_config(written, {}, destination_settings))
    config = load_config(target, {}, destination_settings)
    output.emit(
        output_format,
        document={"config": str(config.file), "preset": answers.preset, "exports": export.document()},
        shown=lambda: [Verbatim(f"Wrote {target}. Next: {command('sync', config=target)}")],
    )


def _unasked(name: str | None, currency: str | None, answers: Answers) -> Iterator[str]:
    """Say what was chosen where nobody could be asked."""
    if not sys.stdin.isatty():
        if name is None:
            yield f'Reports are titled "{answers.name}"; --name or project.name sets another title.'
        if currency is None:
            yield f"The currency is {answers.currency}; --currency or project.currency sets another one."


def _preset(text: str) -> str:
    if text not in STARTERS:
        raise ValueError(f"is not one of {', '.join(STARTERS)}")
    return text


def _answer(
    flag: str, given: str | None, question: str, check: Callable[[str], str], *, default: str | None = None
) -> str:
    """Return the flag's value, or the answer to the question when a person can be asked, or the default."""
    if given is None and sys.stdin.isatty():

        def checked(text: str) -> str:
            try:
                return check(text)
            except ValueError as error:
                raise click.BadParameter(message(f'"{text}" {error}')) from None

        answer: str = click.prompt(question, default=default, value_proc=checked, err=True)
        return answer
    value = given if given is not None else str(default)  # without a default, the flag is required
    try:
        return check(value)
    except ValueError as error:
        raise UsageError(f'{flag} "{value}" {error}.', hint="See `microconv init --help`.") from None
