"""What the help of each command says: defaults as they are given, and to which view an option belongs."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from microconv.cli import cli

REPR = re.compile(r"\w\(\w+=|\[default: +[(\[{<]|\bobject at 0x|Undefined|NoneType")
"""How Python writes its own values, and people do not."""


def helps(group: click.Group, context: click.Context) -> Iterator[tuple[str, str]]:
    """Yield each command with its help, those of groups in it too."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        yield inner.command_path, re.sub(r"\s+", " ", command.get_help(inner))
        if isinstance(command, click.Group):
            yield from helps(command, inner)


HELPS = dict(helps(cli, click.Context(cli, info_name="microconv")))


def test_no_help_shows_a_default_as_python_writes_it():
    found = {command: match[0] for command, text in HELPS.items() if (match := REPR.search(text))}

    assert len(HELPS) > 50
    assert found == {}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("thresholds", "[default: 1h, 1d, 3d, 7d]"),
        ("combinations", "[default: 1d]"),
        ("momentum", "of their first visit. Only with --show times."),
        ("momentum", "such as 14d. Only with --show wavering. [default: 14d]"),
        ("momentum", "such as 1d. Only with --show wavering. [default: 1d]"),
        ("momentum", "weeks to look back. Only with --show states, weeks or score. [default: 8]"),
        ("value", "of the first purchase. Only with --show cohorts. [default: week]"),
        ("value", "in whole days. Only with --show lifetime. [default: 365d]"),
        ("value", "where they came from. Only with --show lifetime."),
        ("funnel", "values to tell apart. Only with --by or --drop-off. [default: 10]"),
        ("what-if", "--goal ID The micro-conversion that changes are carried through to; default:"),
        ("suggest-segments", "--goal ID What members should reach; default:"),
    ],
)
def test_help_says_to_which_view_an_option_belongs_and_what_it_is(command: str, said: str):
    assert said in HELPS[f"microconv {command}"]
