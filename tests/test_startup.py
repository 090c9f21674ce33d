"""Help comes at once: it loads none of the libraries that do the work.

The root's help, the version and a mistyped command load nothing heavy. The help of a question's command may load
pydantic and jinja2, since its options are made from the fields of the question; that of other commands loads neither.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from microconv.catalogue import by_command
from microconv.cli import cli

HEAVY = (
    "duckdb",
    "google",
    "grpc",
    "jinja2",
    "numpy",
    "pandas",
    "phonenumbers",
    "email_validator",
    "plotly",
    "pyarrow",
    "pydantic",
    "requests",
    "rich",
    "sklearn",
    "sqlglot",
    "tenacity",
    "tomlkit",
)
# Run as `microconv` itself is run, then ask what was loaded on the way.
RUN_AND_LIST = f"""
import json, sys
from microconv.cli import main
code = 0
try:
    main()
except SystemExit as stop:
    code = stop.code
print(json.dumps({{"code": code, "heavy": [name for name in {HEAVY!r} if name in sys.modules]}}), file=sys.stderr)
"""


def loaded_by(*arguments: str) -> dict[str, object]:
    """Run one command line in a new interpreter; return its exit code and the heavy libraries it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", RUN_AND_LIST, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stderr.splitlines()[-1])


def command_paths(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found += [(*path, name), *(command_paths(command, (*path, name)) if isinstance(command, click.Group) else [])]
    return found


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)], ids=" ".join)
def test_help_and_version_load_no_heavy_library(arguments):
    assert loaded_by(*arguments) == {"code": 0, "heavy": []}


@pytest.mark.parametrize("path", command_paths(cli), ids=" ".join)
def test_help_of_a_command_loads_no_heavy_library(path):
    # The options of a question are the fields of its class, which pydantic makes; templates come with it.
    asked = {command.split()[0] for command in by_command()}
    needed = ["jinja2", "pydantic"] if path[0] in asked else []

    assert loaded_by(*path, "--help") == {"code": 0, "heavy": needed}


def test_a_mistyped_command_loads_no_heavy_library():
    assert loaded_by("snyc") == {"code": 2, "heavy": []}


@pytest.mark.parametrize("arguments", [("--version",), ("snyc",)], ids=" ".join)
def test_module_is_run_as_the_command_is(arguments, tmp_path):
    command = Path(sys.executable).with_name("microconv")
    ways = ([command], [sys.executable, "-m", "microconv"])

    by_name, by_module = (
        subprocess.run([*way, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        for way in ways
    )

    assert (by_module.returncode, by_module.stdout, by_module.stderr) == (
        by_name.returncode,
        by_name.stdout,
        by_name.stderr,
    )
    assert by_module.stdout + by_module.stderr
