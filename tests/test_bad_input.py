"""Input that nobody should give and everybody can: it is a mistake of the caller, named in words, with exit code 2."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from commands import Done, microconv, write_days
from config_files import MINIMAL
from projects import write_config

LONG = "x" * 300
MANY_DIGITS = "9" * 5_000


def run(folder: Path, *arguments: str) -> Done:
    return microconv(folder, *arguments, timeout=60)


@pytest.mark.parametrize("depth", [200, 500, 5_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{ a = ", "}")])
def test_values_nested_without_end(tmp_path, depth, opening, closing):
    write_config(tmp_path, extra=f"[identity]\nfile = {opening * depth}1{closing * depth}\n")
    run(tmp_path, "funnel", "f").assert_failed(2, "microconv.toml")


@pytest.mark.parametrize("digits", [20, 400, 4_000, 5_000])
@pytest.mark.parametrize("key", ["threads", "memory_limit", "price_per_tib", "maximum_bytes_per_run", "unknown"])
def test_numbers_of_many_digits(tmp_path, key, digits):
    write_config(tmp_path, extra=f"[engine]\n{key} = {'9' * digits}\n")
    done = run(tmp_path, "funnel", "f")
    done.assert_failed(2, "microconv.toml", "digits" if key != "unknown" or digits else "")
    assert len(done.stderr) < 1_000


def test_number_of_many_digits_and_depth_in_a_taxonomy(tmp_path):
    path = tmp_path / "taxonomy.toml"
    path.write_text(f'version = "1.0"\n[[micro_conversions]]\nvalue = {MANY_DIGITS}\n')
    run(tmp_path, "taxonomy", "validate", "taxonomy.toml", "--preset", "none").assert_failed(2, "digits")
    path.write_text(f"version = {'[' * 600}{']' * 600}\n")
    run(tmp_path, "taxonomy", "validate", "taxonomy.toml", "--preset", "none").assert_failed(2, "taxonomy.toml")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/dev/zero", "is larger than 2 MiB"),
        ("/dev/null", "has 2 problems"),
        ("exports", "cannot be read: Is a directory"),
        ("large.toml", "is larger than 2 MiB"),
        ("loop.toml", "cannot be read"),
        (LONG, "cannot be read: File name too long"),
        ("microconv.toml/x", "There is no configuration"),
    ],
)
def test_what_is_no_configuration(tmp_path, path, said):
    (tmp_path / "exports").mkdir()
    write_config(tmp_path)
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    with (tmp_path / "large.toml").open("wb") as file:
        file.truncate(2**31)  # a file with a hole: nothing is written
    run(tmp_path, "-c", path, "sync").assert_failed(2, said)


def test_configuration_may_come_through_a_pipe(tmp_path):
    write_days(tmp_path, 1)
    text = MINIMAL.replace("exports", f"{tmp_path}/exports")
    text += f'[engine]\npath = "{tmp_path}/microconv.duckdb"\n'
    (tmp_path / "written.toml").write_text(text)
    piped = ("sh", "-c", 'cat written.toml | "$@"', "sh")
    done = microconv(tmp_path, "-c", "/dev/stdin", "sync", before=piped)
    assert done.code == 0, done


def test_pipe_to_which_nobody_writes_is_not_waited_for_without_end(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    run(tmp_path, "-c", "pipe.toml", "sync").assert_failed(2, "is a pipe to which nobody wrote")


@pytest.mark.parametrize(
    "extra",
    [
        f'[engine]\npath = "{LONG}"\n',
        f'[engine]\npath = "{"x/" * 3_000}y"\n',
        f'[taxonomy]\nfile = "{LONG}"\n',
        f'[identity]\nfile = "{LONG}.csv"\n',
        f'[[destinations]]\nname = "d"\nformat = "csv"\npath = "{LONG}"\n',
        f'[attribution]\nspend_file = "{LONG}"\n',
    ],
)
@pytest.mark.parametrize("command", [("sync",), ("report",), ("doctor",)], ids=" ".join)
def test_paths_too_long_for_a_file_system(tmp_path, extra, command):
    write_days(tmp_path, 1)
    write_config(tmp_path, extra=extra)
    done = run(tmp_path, *command)
    assert done.code == (1 if command == ("doctor",) else 2), done
    assert "too long" in done.stdout + done.stderr
    assert "does not know" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """A project with a day staged, whose report is short."""
    folder = tmp_path_factory.mktemp("staged")
    write_days(folder, 1)
    write_config(folder, extra='[report]\nsections = ["overview"]\n')
    assert run(folder, "sync").code == 0
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", LONG),
        ("demo", f"{LONG}/demo"),
        ("init", "--exports", LONG, "--property", "1", "--timezone", "UTC"),
        ("init", "--exports", "exports", "--property", "1", "--timezone", "UTC", "--output", LONG),
        ("init", "--exports", "exports", "--property", "1", "--timezone", "UTC", "--output", f"{LONG}/m.toml"),
        ("report", "--output", LONG),
        ("report", "--output", f"{LONG}/report.html"),
        ("taxonomy", "validate", LONG, "--preset", "none"),
        ("export", LONG, LONG),
        ("funnel", LONG),
        ("runs", "show", LONG),
        ("sql", LONG),
    ],
    ids=lambda arguments: " ".join(arguments).replace(LONG, "LONG"),
)
def test_names_too_long_on_the_command_line(staged, arguments):
    done = run(staged, *arguments)
    assert done.code in (2, 3, 4), done
    assert "does not know" not in done.stderr, done
    assert "Traceback" not in done.stderr


def test_source_with_a_name_too_long_holds_no_shards(tmp_path):
    write_config(tmp_path, exports=f"{LONG}/events_*")
    done = run(tmp_path, "sync")
    assert done.code in (2, 3)
    assert "does not know" not in done.stderr


@pytest.mark.parametrize("key", ["spend_table", "spend_file"])
def test_spend_that_is_not_there_is_a_mistake_of_the_configuration(tmp_path, key):
    write_days(tmp_path, 1)
    write_config(tmp_path, extra=f'[attribution]\n{key} = "nowhere"\n')
    assert run(tmp_path, "sync").code == 0
    run(tmp_path, "attribution").assert_failed(2, "nowhere")


def test_device_without_end_is_not_read_for_spend(tmp_path):
    write_days(tmp_path, 1)
    write_config(tmp_path, extra='[attribution]\nspend_file = "/dev/zero"\n')
    assert run(tmp_path, "sync").code == 0
    run(tmp_path, "attribution").assert_failed(2, "/dev/zero is not a file")
