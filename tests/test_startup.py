"""Help comes at once: it loads none of the libraries that do the work.

The root's help, the version and a mistyped command load nothing heavy. The help of a question's command may load
pydantic and jinja2, since its options are made from the fields of the question; that of other commands loads neither.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from commands import write_days
from emulator import Emulator
from microconv.catalogue import by_command
from microconv.cli import cli
from projects import write_bigquery_config, write_config

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


def loaded_by(*arguments: str, folder: Path | None = None) -> dict[str, Any]:
    """Run one command line in a new interpreter; return its exit code and the heavy libraries it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", RUN_AND_LIST, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
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


def test_commands_that_read_moments_load_no_pandas(tmp_path: Path):
    write_config(tmp_path)
    write_days(tmp_path, 1)
    audit = ("audit", "--source", str(tmp_path / "exports"), "--timezone", "UTC", "--fail-on", "never")
    for command in (("sync",), ("runs", "list"), ("lift",), audit):
        found = loaded_by(*command, folder=tmp_path)
        assert not found["code"], command
        assert "duckdb" in found["heavy"]
        assert "pandas" not in found["heavy"], command


def test_commands_on_bigquery_load_no_pandas(tmp_path: Path, emulator: Emulator):
    config = write_bigquery_config(tmp_path, emulator, dataset=emulator.dataset(), exports=emulator.dataset())
    found = loaded_by("-c", str(config), "runs", "list")
    assert found["code"] == 3  # nothing is staged, as only the dataset can tell
    assert "google" in found["heavy"]
    assert "pandas" not in found["heavy"]


def test_frames_can_be_had_after_a_project_was_opened_by_the_command_line(tmp_path: Path):
    code = (
        "from microconv.cli.context import open_project; from microconv.config.load import load_config;"
        "open_project(load_config(None, {})); import sys; assert 'pandas' not in sys.modules;"
        "import pyarrow as pa; print(len(pa.table({'a': [1, 2]}).to_pandas()))"
    )
    write_config(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr


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
