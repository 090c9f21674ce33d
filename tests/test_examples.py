"""The examples for schedulers can be used as they are: they parse, lint, and run the real command as the page says."""

from __future__ import annotations

import configparser
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import yaml

from commands import COMMAND, microconv, write_days
from microconv.cli import INTERRUPTED
from microconv.errors import EngineError, FindingsError, LockedError
from projects import write_config

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"
PAGE = (ROOT / "docs" / "scheduling.md").read_text(encoding="utf-8")
SYNC = ["microconv", "--log-format", "json", "sync", "--format", "json"]


def loaded(name: str) -> Any:
    return yaml.safe_load((EXAMPLES / name).read_text(encoding="utf-8"))


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(delimiters="=", interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    parser.read(EXAMPLES / name, encoding="utf-8")
    return parser


def cron_line() -> str:
    (line,) = re.findall(r"^5 \* \* \* \*  (.*microconv.*)$", PAGE, re.MULTILINE)
    return line


def step(name: str) -> str:
    (found,) = [step for step in loaded("github-actions.yml")["jobs"]["sync"]["steps"] if step.get("name") == name]
    return found["run"]


def cloud_run_task() -> dict[str, Any]:
    """What Cloud Run is told of the one task."""
    return loaded("cloud-run-job.yaml")["spec"]["template"]["spec"]["template"]["spec"]


def instructions() -> list[list[str]]:
    """The Dockerfile's instructions with their arguments, continuation lines joined."""
    text = (EXAMPLES / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]


def dag(name: str, monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """Run a DAG file with one stand-in for all it imports, since Airflow is bigger than all that microconv needs."""
    airflow = MagicMock()
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    for module in re.findall(r"^ *(?:from|import) ((?:airflow|kubernetes|pendulum)[\w.]*)", text, re.MULTILINE):
        parts = module.split(".")
        for end in range(len(parts)):
            monkeypatch.setitem(sys.modules, ".".join(parts[: end + 1]), airflow)
    runpy.run_path(str(EXAMPLES / name))
    return airflow


def arguments_of(stand_in: MagicMock) -> list[dict[str, Any]]:
    return [call.kwargs for call in stand_in.call_args_list]


def test_page_links_every_example_and_names_no_other():
    linked = set(re.findall(r"\]\(examples/([\w.-]+)\)", PAGE))

    assert linked == {path.name for path in EXAMPLES.iterdir() if path.is_file()}


# The command


def test_command_of_the_examples_gives_a_document_and_json_logs(tmp_path):
    write_config(tmp_path)
    write_days(tmp_path, 1)

    done = microconv(tmp_path, *SYNC[1:])

    assert done.code == 0
    assert done.document["status"] == "done"
    assert all(line.startswith("{") for line in done.stderr.splitlines())


def test_every_example_runs_that_command(monkeypatch):
    service = unit("microconv.service")["Service"]
    bash = arguments_of(dag("airflow_dag.py", monkeypatch).BashOperator)[0]
    pod = arguments_of(dag("airflow_kubernetes_dag.py", monkeypatch).KubernetesPodOperator)[0]

    program, *arguments = shlex.split(service["ExecStart"])
    assert [Path(program).name, *arguments] == SYNC
    assert shlex.split(bash["bash_command"]) == ["exec", *SYNC]
    assert pod["arguments"] == SYNC[1:]
    assert cloud_run_task()["containers"][0]["args"] == SYNC[1:]
    assert shlex.join(SYNC) in step("Sync")
    assert shlex.join(SYNC) in cron_line()


# Exit codes


def run_with_exit_code(script: str, code: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a piece of shell where `microconv` does nothing but exit with a code."""
    program = folder / "bin" / "microconv"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexit {code}\n")
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-e", "-c", script], cwd=folder, env={"PATH": path}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [(0, 0), (LockedError.exit_code, 0), (EngineError.exit_code, EngineError.exit_code), (INTERRUPTED, INTERRUPTED)],
)
def test_github_job_fails_on_everything_but_a_held_lock(code, expected, tmp_path):
    assert run_with_exit_code(step("Sync"), code, tmp_path).returncode == expected


@pytest.mark.parametrize(
    ("code", "mail"),
    [
        (0, ""),
        (LockedError.exit_code, ""),
        (EngineError.exit_code, "microconv sync: exit code 3, see sync.log\n"),
    ],
)
def test_cron_mails_a_failure_and_nothing_else(code, mail, tmp_path):
    done = run_with_exit_code(cron_line().replace("/srv/shop", shlex.quote(str(tmp_path))), code, tmp_path)

    assert (done.stdout, done.stderr) == (mail, "")


def test_airflow_skips_the_task_when_another_run_holds_the_lock(monkeypatch):
    sync, coverage = arguments_of(dag("airflow_dag.py", monkeypatch).BashOperator)
    pod = arguments_of(dag("airflow_kubernetes_dag.py", monkeypatch).KubernetesPodOperator)[0]

    assert sync["skip_on_exit_code"] == pod["skip_on_exit_code"] == LockedError.exit_code
    assert coverage.get("skip_on_exit_code") != FindingsError.exit_code


@pytest.mark.parametrize(
    ("name", "operator"),
    [("airflow_dag.py", "BashOperator"), ("airflow_kubernetes_dag.py", "KubernetesPodOperator")],
)
def test_airflow_retries_nothing_and_runs_one_at_a_time(name, operator, monkeypatch):
    airflow = dag(name, monkeypatch)
    (settings,) = arguments_of(airflow.DAG)

    assert settings["max_active_runs"] == 1
    assert not settings["catchup"]
    for task in arguments_of(getattr(airflow, operator)):
        assert {**settings.get("default_args", {}), **task}["retries"] == 0


def test_service_succeeds_when_the_lock_is_held_or_it_was_stopped():
    codes = unit("microconv.service")["Service"]["SuccessExitStatus"].split()

    assert [int(code) for code in codes] == [LockedError.exit_code, INTERRUPTED]


def test_cloud_run_retries_nothing_and_ends_within_the_hour():
    assert cloud_run_task()["maxRetries"] == 0
    assert cloud_run_task()["timeoutSeconds"] < 3600


def test_github_job_is_never_cancelled_for_a_newer_one_and_may_only_read():
    workflow = loaded("github-actions.yml")

    assert workflow["concurrency"]["cancel-in-progress"] is False
    assert workflow["permissions"] == {}
    assert workflow["jobs"]["sync"]["permissions"] == {"contents": "read", "id-token": "write"}


def test_github_actions_are_pinned_to_commits():
    uses = [step["uses"] for step in loaded("github-actions.yml")["jobs"]["sync"]["steps"] if "uses" in step]

    assert uses
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in uses)


# systemd


def test_systemd_accepts_the_units(tmp_path):
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not installed")
    for name in ("microconv.service", "microconv.timer"):
        text = (EXAMPLES / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/opt/microconv/bin/microconv", str(COMMAND)))

    done = subprocess.run(
        [verify, "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# The image


def test_dockerfile_passes_the_linter():
    hadolint = Path(sys.executable).with_name("hadolint")

    done = subprocess.run(
        [str(hadolint), "--no-color", str(EXAMPLES / "Dockerfile")], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_image_runs_microconv_as_another_user_than_root():
    last = dict(instructions())  # the last of each kind counts

    assert last["ENTRYPOINT"] == '["microconv"]'
    assert int(last["USER"].partition(":")[0]) > 0


def test_image_is_pinned_and_takes_its_versions_from_the_constraints():
    defaults = {key: value for kind, given in instructions() if kind == "ARG" for key, value in [given.split("=")]}
    bases = [given.split()[0] for kind, given in instructions() if kind == "FROM"]
    installs = [given for kind, given in instructions() if kind == "RUN" and "pip install" in given]

    assert all(base == "python:${PYTHON}" for base in bases)
    assert re.fullmatch(r"3\.\d+\.\d+-slim-\w+", defaults["PYTHON"])
    assert installs
    assert all("--constraint constraints.txt" in given for given in installs)


def test_builder_gets_what_the_image_copies_and_nothing_else():
    copied = [
        source
        for kind, given in instructions()
        if kind == "COPY" and not given.startswith("--from")
        for source in given.split()[:-1]
    ]
    ignore = (EXAMPLES / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()

    assert all((ROOT / source).exists() for source in copied)
    assert next(line for line in ignore if not line.startswith("#")) == "*"
    assert sorted(line[1:] for line in ignore if line.startswith("!")) == sorted(copied)
