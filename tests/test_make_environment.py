"""What making the environment says while it goes on, with a Python that pretends to."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Makes environments that hold itself, and has a pip that downloads nothing.
PYTHON = """#!/bin/sh
case "$*" in
"-c "*) ;;
"--version") echo "Python 3.12.1" ;;
"-m venv --clear "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
"-m pip install "*sqlglotc) exit "${NO_WHEEL:-0}" ;;
"-m pip install --quiet "*) ;;
"-m pip install "*)
    echo "Obtaining file:///shop"
    echo "  Installing build dependencies: started"
    echo "Collecting rich<15,>=13 (from microconv==0.1.0)"
    echo "Collecting duckdb==2.0.0"
    echo "  Downloading duckdb-2.0.0.whl"
    echo "Installing collected packages: rich, duckdb"
    exit "${PIP_ENDS:-0}"
    ;;
*) [ -e "$0.pip" ] ;;
esac
"""


def make(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    python = folder / "python3"
    python.write_text(PYTHON)
    python.chmod(0o755)
    return subprocess.run(
        ["sh", str(ROOT / ".ci" / "make-environment"), str(folder / "venv")],
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(python), **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_every_package_is_named_while_it_comes(tmp_path):
    done = make(tmp_path)

    assert (done.returncode, done.stdout) == (0, "")
    first, *packages, last = done.stderr.splitlines()
    assert first.startswith("Making the environment ")
    assert "(Python 3.12.1)" in first
    assert packages == ["  pip", "  rich", "  duckdb", "  installing them …", "  sqlglotc, if there is one"]
    assert last.startswith("The environment is ready (")


def test_environment_that_is_there_is_brought_up_to_date(tmp_path):
    make(tmp_path)

    assert make(tmp_path).stderr.startswith("Bringing the environment ")


def test_machine_without_compiled_parts_of_sqlglot_goes_on_without(tmp_path):
    done = make(tmp_path, NO_WHEEL="1")

    assert done.returncode == 0
    assert done.stderr.splitlines()[-2:-1] == ["  not installed: slower, else the same"]


@pytest.mark.parametrize("status", ["1", "2"])
def test_failure_of_pip_ends_it(tmp_path, status):
    done = make(tmp_path, PIP_ENDS=status)

    assert done.returncode == int(status)
    assert "is ready" not in done.stderr
