"""`microconv doctor`: is all there that a sync and a push need?"""

from __future__ import annotations

import click

from microconv.cli import output
from microconv.cli.context import CommandContext
from microconv.cli.invocation import as_typed
from microconv.errors import FindingsError
from microconv.wording import NOTHING, Heading, Sheet

_SIGNS = {"error": "ERROR", "warning": "WARNING", "note": "note", "ok": "ok", "not_tested": NOTHING}


@click.command("doctor", short_help="Check all that a sync and a push need.")
@output.format_option
@click.pass_obj
def doctor(context: CommandContext, *, output_format: str) -> None:
    """Check configuration, access, data, database, runs and destinations, and say what to do about each finding.

    Nothing is written and nothing is billed: permissions are checked by dry runs, and no destination is sent anything
    about a person. The exit code is 1 when a check finds an error, and 0 with warnings alone.

    \b
    Examples:
      microconv doctor
      microconv -c shop.toml doctor --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.doctor import diagnose

    findings = diagnose(context.config)
    # A check may find several things.
    made = {finding.check for finding in findings}
    failed = list(dict.fromkeys(finding.check for finding in findings if finding.severity == "error"))
    output.emit(
        output_format,
        document={"healthy": not failed, "checks": [finding.document() for finding in findings]},
        shown=lambda: [
            Sheet(
                "",
                (Heading("check"), Heading(""), Heading("found, and what to do")),
                tuple(
                    row
                    for finding in findings
                    for row in (
                        (finding.check, _SIGNS[finding.severity], as_typed(finding.message)),
                        *([("", "", as_typed(finding.remedy))] if finding.remedy else []),
                    )
                ),
            )
        ],
    )
    if failed:
        raise FindingsError(
            f"{len(failed)} of {len(made)} checks failed: {', '.join(failed)}.",
            hint="Do what the findings say, from the first one on: later ones may follow from it.",
        )
