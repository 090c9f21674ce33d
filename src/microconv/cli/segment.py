"""`microconv segment`: how many a segment holds, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import click

from microconv.cli import output
from microconv.cli.context import Context
from microconv.errors import UsageError


def as_of_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--as-of`, an ISO timestamp."""
    return click.option(
        "--as-of",
        metavar="TIMESTAMP",
        help="Moment to build the segment for, ISO 8601, UTC unless it says otherwise; default: the latest event.",
    )(command)


def moment(text: str | None) -> datetime | None:
    """Read `--as-of`; UsageError when it is no timestamp."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--as-of {text!r} is no timestamp.", hint="Write it like 2024-03-01T12:00:00 or 2024-03-01T12:00:00+01:00."
        ) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


@click.command("segment", short_help="Count the members of a segment.")
@click.argument("name")
@as_of_option
@output.format_option
@click.pass_obj
def segment(context: Context, *, name: str, as_of: str | None, output_format: str) -> None:
    """Count the members of the segment NAME, and how many of them are known by user_id. Nothing is written.

    \b
    Examples:
      microconv segment cart_abandoners
      microconv segment cart_abandoners --as-of 2024-03-01T00:00:00+01:00 --format json
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    asked = moment(as_of)
    with context.project() as project:
        built_for = asked or project.default_as_of()
        members = project.members(name, as_of=built_for)
    known = sum(member.user_id is not None for member in members)
    output.emit(
        output_format,
        document={
            "segment": name,
            "as_of": built_for.isoformat(),
            "members": len(members),
            "with_user_id": known,
        },
        tables=lambda: [
            (
                f"{name}: {len(members):,} members as of {built_for:%Y-%m-%d %H:%M %Z}; {known:,} of them have a "
                "user_id and can be looked up in the identity table."
            )
        ],
    )
