"""`microconv audit`: is the tracking right? And what the checks mean, and which findings are known."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.errors import UsageError
from microconv.wording import Heading, Sheet, Verbatim

if TYPE_CHECKING:
    from microconv.audit.audit_findings import FailOn
    from microconv.audit.kept_findings import KeptFinding
    from microconv.report.audit_report import AuditFormat

_DAY = click.DateTime(formats=["%Y-%m-%d"])
_FORMATS = ("table", "json", "csv", "markdown", "junit", "html")


def _day(value: datetime | None) -> date | None:
    return value.date() if value else None


@click.group("audit", invoke_without_command=True, short_help="Find what is wrong with the tracking.")
@click.option("--since", type=_DAY, metavar="DAY", help="First day to look at; default: the first staged.")
@click.option("--until", type=_DAY, metavar="DAY", help="Last day to look at; default: the last staged.")
@click.option("--only", multiple=True, metavar="NAME", help="A check, or an area of checks; may be given again.")
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "never"]),
    help="Exit with 1 from this severity on; default: fail_on under [audit], else error.",
)
@click.option(
    "--source",
    metavar="FOLDER_OR_DATASET",
    help="Audit an export that no configuration names: a folder of shards, or a dataset (project.analytics_123).",
)
@click.option("--timezone", metavar="ZONE", help="With --source: the property's time zone; default: what the days say.")
@click.option("--preset", metavar="NAME", help="With --source: the preset; default: the one that fits best.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="With --source: keep configuration and database in this new folder; default: nothing is kept.",
)
@click.option("--output", "path", type=click.Path(path_type=Path), help="File to write; default: stdout.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(_FORMATS),
    default="table",
    show_default=True,
    help="Tables for people, JSON or CSV for machines, Markdown for a ticket, JUnit XML for CI, or one HTML page.",
)
@click.pass_context
def audit(ctx: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - those above
    """Make every check of the tracking, and say what is wrong, since when, and what to do about it.

    Findings are ranked by the macro-conversions at stake, and compared with the audit before: new, still there, gone.
    The exit code is 1 when something is found that is an error, and that nobody accepted.

    \b
    Examples:
      microconv audit
      microconv audit --since 2024-03-01 --only commerce --fail-on warning
      microconv audit --format html --output audit.html
      microconv audit --source exports --timezone Europe/Berlin
      microconv audit show multiple_firing
      microconv audit accept 3fa2c81b90 --reason "known, mended in May" --until 2024-06-30
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    if ctx.invoked_subcommand is None:
        _audit(ctx.obj, **options)


def _audit(
    context: CommandContext,
    *,
    since: datetime | None,
    until: datetime | None,
    only: tuple[str, ...],
    fail_on: FailOn | None,
    path: Path | None,
    output_format: AuditFormat,
    source: str | None,
    **of_source: Any,  # noqa: ANN401 - what goes with --source
) -> None:
    from microconv.cli.audit_source import audit_source, audited
    from microconv.report.audit_report import check_audit_path, write_audit, written

    asked: dict[str, Any] = {"since": _day(since), "until": _day(until), "only": only, "fail_on": fail_on}
    log = output.Log(context.log_format)
    if path is not None:
        check_audit_path(path, None if source else context.config())
    if source is not None:
        result = audit_source(source, **of_source, asked=asked, log=log)
    else:
        for name, value in of_source.items():
            if value is not None:
                raise UsageError(f"--{name} goes with --source.", hint="Name a folder of shards, or a dataset.")
        with context.project() as project:
            result = audited(project, asked, log)
    if path is not None:
        log.info(f"The audit is written to {write_audit(result, output_format, path)}.")
    elif output_format in ("table", "json", "csv"):
        output.answer(result, output_format)
    else:
        output.write_text(written(result, output_format))
    if error := result.stop():
        raise error


@audit.command("list", short_help="List the checks, by area.")
@output.format_option
def list_(*, output_format: str) -> None:
    """List the checks: what each looks for, and how bad it is.

    \b
    Examples:
      microconv audit list
      microconv audit list --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.audit.checks import AREAS
    from microconv.audit.tracking_audit import all_checks

    found = all_checks()
    headings = (Heading("check", is_whole=True), Heading("severity"), Heading("looks for"))
    output.emit(
        output_format,
        document={"checks": [each.document() for each in found]},
        shown=lambda: [
            Sheet(heading, headings, tuple((each.name, each.severity, each.meaning) for each in of_area))
            for area, heading in AREAS.items()
            if (of_area := [each for each in found if each.area == area])
        ],
    )


@audit.command("show", short_help="Say what a check means, and print its query.")
@click.argument("check")
@output.format_option
@click.pass_obj
def show(context: CommandContext, *, check: str, output_format: str) -> None:
    """Say what CHECK looks for, what to do about its findings, its thresholds, and print its query.

    \b
    Examples:
      microconv audit show multiple_firing
      microconv audit show multiple_firing --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.audit.tracking_audit import find_check

    found = find_check(check)
    with context.project() as project:
        sql, thresholds = project.audit_query(found)
    rows = [
        ("area", found.area),
        ("severity", found.severity),
        ("looks for", found.meaning),
        ("says", found.finding),
        ("what to do", found.remedy),
        *((each.name, f"{thresholds[each.name]:g}: {each.meaning}") for each in found.thresholds),
    ]
    output.emit(
        output_format,
        document={**found.document(), "in_force": thresholds, "query": sql},
        shown=lambda: [
            Sheet(found.name, (Heading(""), Heading("")), tuple(rows)),
            *([Verbatim(sql)] if sql else ["It is not made by SQL."]),
        ],
    )


@audit.command("accept", short_help="Take a known finding out of the count, for a reason and a time.")
@click.argument("finding", required=False)
@click.option("--reason", metavar="TEXT", help="Why it may be there.")
@click.option("--until", type=_DAY, metavar="DAY", help="The last day on which that holds.")
@click.option("--take-back", is_flag=True, help="Let it count again.")
@click.option("--list", "listed", is_flag=True, help="List what is accepted.")
@output.format_option
@click.pass_obj
def accept(
    context: CommandContext,
    *,
    finding: str | None,
    reason: str | None,
    until: datetime | None,
    take_back: bool,
    listed: bool,
    output_format: str,
) -> None:
    """Accept FINDING of the last audit, by its id or the beginning of it: it no longer counts until a day.

    \b
    Examples:
      microconv audit accept 3fa2c81b90 --reason "known, mended in May" --until 2024-06-30
      microconv audit accept 3fa2c81b90 --take-back
      microconv audit accept --list
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    if not listed and finding is None:
        raise UsageError("Which finding?", hint="Give its id, which `microconv audit` prints, or --list.")
    if not listed and not take_back and (reason is None or until is None):
        raise UsageError("A finding is accepted with --reason and --until.", hint="Give both.")
    kept: tuple[KeptFinding, ...]
    with context.project() as project:
        if finding is not None and take_back:
            kept = (project.take_back_finding(finding),)
        elif finding is not None and reason is not None and (day := _day(until)) is not None:
            kept = (project.accept_finding(finding, reason=reason, until=day),)
        else:
            kept = project.accepted_findings()
    headings = (Heading("id", is_whole=True), Heading("check"), Heading("subject"), Heading("until"), Heading("reason"))
    output.emit(
        output_format,
        document={"accepted": [each.document() for each in kept]},
        shown=lambda: [
            Sheet(
                "Counts again" if take_back else "Accepted",
                headings,
                tuple((each.id, each.check, each.subject, each.until, each.reason) for each in kept),
            )
            if kept
            else "Nothing is accepted."
        ],
    )
