"""What a user installs: the source distribution, the wheel made from it, and the demo run by that wheel alone."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
SECONDS = 900
# Nothing of this checkout or of the user may help: no import path, no configuration.
CLEAN = {
    name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MICROCONV_", "VIRTUAL_ENV"))
}


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, env=CLEAN, capture_output=True, text=True, timeout=SECONDS, check=False)


def succeeds(*command: object, cwd: Path) -> str:
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def programs(environment: Path) -> Path:
    return environment / ("Scripts" if sys.platform == "win32" else "bin")


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the build backend and nothing else."""
    environment = tmp_path_factory.mktemp("builder")
    venv.create(environment, with_pip=True)
    python = programs(environment) / "python"
    got = run(python, "-m", "pip", "install", "--quiet", "--constraint", CONSTRAINTS, "hatchling", cwd=environment)
    if got.returncode:
        reason = f"pip cannot install hatchling; is a package registry within reach? {got.stderr.strip()[-200:]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return python


@pytest.fixture(scope="module")
def wheel(builder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made as for a release: from the source distribution, not from this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    succeeds(builder, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    (source,) = folder.glob("*.tar.gz")
    pip_wheel = (builder, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
    succeeds(*pip_wheel, source, cwd=folder)
    (made,) = folder.glob("*.whl")
    return made


def test_wheel_holds_every_file_of_the_package_and_the_templates(wheel):
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if name.startswith("microconv/")}
    package = ROOT / "src" / "microconv"
    expected = {f"microconv/{path.relative_to(package).as_posix()}" for path in package.rglob("*") if path.is_file()}
    expected |= {f"microconv/sql/{path.relative_to(ROOT / 'sql').as_posix()}" for path in (ROOT / "sql").rglob("*.sql")}

    assert shipped == {name for name in expected if "__pycache__" not in name}


def test_demo_runs_from_the_wheel_in_an_empty_environment(wheel, tmp_path):
    environment, work = tmp_path / "environment", tmp_path / "work"
    work.mkdir()
    venv.create(environment, with_pip=True)
    python = programs(environment) / "python"
    succeeds(python, "-m", "pip", "install", "--quiet", "--constraint", CONSTRAINTS, wheel, cwd=work)

    microconv = programs(environment) / "microconv"
    assert succeeds(microconv, "--version", cwd=work).split()[-1] == wheel.name.split("-")[1]
    succeeds(microconv, "demo", "demo", "--events", 20_000, cwd=work)

    demo = work / "demo"
    assert "<html" in (demo / "report.html").read_text(encoding="utf-8")
    audience = (demo / "exports_out" / "cart_abandoners.google_ads.csv").read_text(encoding="utf-8").splitlines()
    assert audience[0] == "Email,Phone,First Name,Last Name,Country,Zip"
    assert len(audience) > 1
    where = succeeds(python, "-c", "from microconv.queries import templates; print(templates.root())", cwd=work)
    assert environment in Path(where.strip()).parents
