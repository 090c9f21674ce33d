"""`microconv doctor`: is all there that a sync needs?"""

from __future__ import annotations

import click

from microconv.cli import output
from microconv.cli.context import Context
from microconv.errors import FindingsError

_SIGNS = {"ok": "ok", "warning": "WARNING", "failure": "FAILURE", "skipped": "–"}  # noqa: RUF001 - a dash for people


@click.command("doctor", short_help="Check all that a sync needs, and say what to do.")
@output.format_option
@click.pass_obj
def doctor(context: Context, *, output_format: str) -> None:
    """Check configuration, access, data, database and runs, and say what to do about each finding.

    Nothing is written and nothing is billed: permissions are checked by dry runs. The exit code is 1 when a check
    failed; warnings leave it at 0.

    \b
    Examples:
      microconv doctor
      microconv -c shop.toml doctor --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.doctor import diagnose

    findings = diagnose(context.config)
    failed = [finding.check for finding in findings if finding.status == "failure"]
    output.emit(
        output_format,
        document={"healthy": not failed, "checks": [finding.document() for finding in findings]},
        tables=lambda: [
            output.table(
                "",
                [("check", "left"), ("", "left"), ("found, and what to do", "left")],
                [
                    [finding.check, _SIGNS[finding.status], f"{finding.found}\n{finding.hint}".strip()]
                    for finding in findings
                ],
            )
        ],
    )
    if failed:
        raise FindingsError(
            f"{len(failed)} of {len(findings)} checks failed: {', '.join(failed)}.",
            hint="Do what the findings say, from the first on: the later ones may follow from it.",
        )
