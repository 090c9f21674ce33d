"""`microconv taxonomy show` and `validate`."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from microconv.cli import cli
from microconv.errors import ConfigError, TaxonomyError
from microconv.taxonomy import PRESETS, find_problems, load_taxonomy
from taxonomy_files import entry, write_file


@pytest.fixture
def write(tmp_path):
    return partial(write_file, tmp_path)


@pytest.fixture
def configured(tmp_path):
    path = tmp_path / "microconv.toml"
    path.write_text(
        '[project]\nname = "t"\ntimezone = "UTC"\n[[sources]]\nproperty = "1"\npath = "events_*.parquet"\n'
        '[taxonomy]\npreset = "saas"\nfile = "taxonomy.toml"\n',
        encoding="utf-8",
    )
    return path


def run(*arguments: str, config: Path = Path("no-such-folder") / "microconv.toml"):
    return CliRunner().invoke(cli, ["-c", str(config), "taxonomy", *arguments])


@pytest.mark.parametrize("preset", PRESETS)
def test_show_prints_a_preset_without_a_configuration(preset):
    loaded = load_taxonomy(preset=preset, file=None)
    shown = run("show", "--preset", preset)
    assert shown.exit_code == 0
    assert all(f" {each} " in shown.stdout for each in loaded.ids)
    document = json.loads(run("show", "--preset", preset, "--format", "json").stdout)
    assert document == json.loads(json.dumps(loaded.document()))
    assert [each["rank"] for each in document["micro_conversions"]] == list(range(1, len(loaded.ids) + 1))


def test_show_prints_the_configured_taxonomy_with_patterns_as_they_are_written(write, configured):
    write(
        entry(
            "old", 'deprecated = "1.0"', 'replaced_by = "login"', "page = { matches = '[bold]x[/bold]' }", "value = 2"
        )
    )
    shown = run("show", config=configured)
    assert shown.exit_code == 0
    assert "[bold]x[/bold]" in shown.stdout
    assert "counts as login" in " ".join(shown.stdout.split())


def test_show_without_a_configuration_offers_a_preset():
    shown = run("show")
    assert shown.exit_code == ConfigError.exit_code
    assert "--preset" in shown.stderr


def test_validate_prints_one_line_for_a_valid_file(write, configured):
    path = write(entry("x"), version="1.4")
    for checked in (run("validate", config=configured), run("validate", str(path), "--preset", "saas")):
        assert checked.exit_code == 0
        (line,) = checked.stdout.splitlines()
        assert line == f"{path} is valid: saas 1.4, 35 micro-conversions, macro: sign_up, subscribe."
    document = json.loads(run("validate", "--format", "json", config=configured).stdout)
    assert document["valid"] is True
    assert (document["version"], document["macros"]) == ("1.4", ["sign_up", "subscribe"])


def test_validate_checks_a_file_over_the_configured_preset(tmp_path, configured):
    draft = tmp_path / "draft.toml"
    draft.write_text('version = "1.0"\nremove = ["pricing_view"]\n', encoding="utf-8")
    assert run("validate", str(draft), config=configured).exit_code == 0
    assert run("validate", str(draft), "--preset", "ecommerce", config=configured).exit_code != 0


@pytest.mark.parametrize("output_format", ["table", "json"])
def test_validate_lists_every_problem_and_ends_with_2(write, output_format):
    path = write(entry("Bad") + entry("x", "value = -1"))
    checked = run("validate", str(path), "--preset", "ecommerce", "--format", output_format)
    problems = find_problems(preset="ecommerce", file=path)
    if output_format == "json":
        assert json.loads(checked.stdout) == {"valid": False, "problems": list(problems)}
    else:
        assert checked.stdout.splitlines() == [f"{path}: {problem}" for problem in problems]
    assert checked.exit_code == TaxonomyError.exit_code
    assert "2 problems" in checked.stderr


def test_invalid_file_ends_the_process_with_2_and_without_a_traceback(write):
    path = write(entry("Bad"))
    code = "from microconv.cli import main; main()"
    arguments = [sys.executable, "-c", code, "taxonomy", "validate", str(path), "--preset", "ecommerce"]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stdout.startswith(f"{path}: line 3: micro-conversion ")
    assert ended.stderr.startswith(f"Error: {path} has 1 problem.")
    assert "Traceback" not in ended.stderr


def test_help_names_the_presets_and_has_examples():
    for command in ("show", "validate"):
        shown = run(command, "--help").stdout
        assert "Examples:" in shown
        assert all(preset in shown for preset in PRESETS)


def test_command_module_loads_nothing_heavy():
    code = "import sys, microconv.cli.taxonomy; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "rich", "duckdb", "pandas", "pyarrow"} & set(loaded)
