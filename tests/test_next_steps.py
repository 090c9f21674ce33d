"""What microconv says to do next works as it is typed, in a shell, where the user stands, however it was called."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import ga4
import microconv
from commands import COMMAND, FIRST_DAY, Done, environment, shard
from projects import write_config

CODE = Path(microconv.__file__).parent
AT_THE_END_OF_A_LINE = re.compile(r"(?:^|\. )(?:Next|Go on with): (.+)$", re.MULTILINE)
IN_A_SENTENCE = re.compile(r"`([^`]*\bmicroconv [^`]+)`")
CALLS = {
    "an environment in the folder": ".venv/bin/microconv",
    "an environment elsewhere": "{elsewhere}/microconv",
    "on the path": "microconv",
    "a module": f"{shlex.quote(sys.executable)} -m microconv",
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
near_and_far = pytest.mark.parametrize("call", list(CALLS.values())[:2], ids=list(CALLS)[:2])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an environment and the first day of an export, whose name a shell would take apart."""
    made = tmp_path / "my shop's project"
    link(made / ".venv" / "bin")
    link(tmp_path / "elsewhere")
    link(tmp_path / "path")
    for day in (1, 2):
        write_day(made, day)
    return made


def link(place: Path) -> None:
    place.mkdir(parents=True)
    (place / COMMAND.name).symlink_to(COMMAND)


def write_day(folder: Path, number: int) -> None:
    """Three people look at products, put one into the cart and buy it."""
    day = FIRST_DAY.replace(day=number)
    steps = ("page_view", "view_item", "add_to_cart", "begin_checkout", "purchase")
    events = [
        ga4.event(f"{day} 12:0{place}:00", step, client=f"{number}.{actor}")
        for actor in range(3)
        for place, step in enumerate(steps)
    ]
    ga4.write_parquet(shard(folder, day), events)


def typed(folder: Path, line: str, call: str) -> Done:
    """Run a line as a user of a shell would; `microconv` is on the path only where it is called so."""
    on_path = [str(folder.parent / "path")] if call == "microconv" else []
    env = environment({"PATH": os.pathsep.join([*on_path, "/usr/bin", "/bin"])})
    assert bool(shutil.which("microconv", path=env["PATH"])) == bool(on_path)
    done = subprocess.run(
        ["sh", "-c", line], cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def called(folder: Path, call: str, *words: str) -> Done:
    """Run a command by one of the ways to call it."""
    program = call.format(elsewhere=shlex.quote(str(folder.parent / "elsewhere")))
    return typed(folder, f"{program} {shlex.join(words)}", call)


def told(done: Done) -> list[str]:
    """The commands that an output tells to run."""
    said = f"{done.stdout}\n{done.stderr}"
    return [*AT_THE_END_OF_A_LINE.findall(said), *IN_A_SENTENCE.findall(said)]


@each_call
def test_from_init_to_a_funnel_by_what_is_printed_alone(folder, call):
    required = ("--exports", "exports", "--property", "p1", "--timezone", "UTC")
    written = called(folder, call, "init", *required, "--output", "the shop.toml")
    assert written.code == 0, written
    (sync,) = AT_THE_END_OF_A_LINE.findall(written.stdout)

    early = called(folder, call, "-c", "the shop.toml", "funnel", "purchase_journey")
    assert early.code == 3
    assert told(early) == [sync]
    looked = called(folder, call, "-c", "the shop.toml", "doctor")
    assert sync in told(looked)

    assert typed(folder, sync, call).code == 0
    assert called(folder, call, "-c", "the shop.toml", "funnel", "purchase_journey").code == 0


@near_and_far
def test_demo_says_how_to_go_on(folder, call):
    done = called(folder, call, "demo", "the demo", "--events", "5000")
    assert done.code == 0, done
    lines = told(done)

    assert lines[0].endswith("funnel purchase_journey"), "the funnel of the README"
    for line in lines:
        assert typed(folder, line, call).code == 0, line


@pytest.mark.parametrize("call", [CALLS["an environment in the folder"]])
def test_block_that_discover_prints_can_be_pasted_again_and_again(folder, call):
    called(folder, call, "init", "--exports", "exports", "--property", "p1", "--timezone", "UTC")
    called(folder, call, "sync")
    config, names = folder / "microconv.toml", []
    for _ in range(3):
        block = re.search(r"^\[\[funnels\]\]\n(?:.+\n)+", called(folder, call, "discover").stdout, re.MULTILINE)
        assert block
        config.write_text(f"{config.read_text()}\n{block[0]}")
        names.append(tomllib.loads(block[0])["funnels"][0]["name"])
        counted = called(folder, call, "funnel", names[-1])
        assert "6 of 6 actors (100.0%) went from view_item to purchase" in counted.stdout, counted

    assert names == ["purchase_journey_2", "purchase_journey_3", "purchase_journey_4"]


@near_and_far
def test_command_in_an_error_is_called_as_the_one_that_failed(folder, call):
    write_config(folder)
    (folder / "microconv.toml").rename(folder / "shop.toml")
    sync = called(folder, call, "-c", "shop.toml", "sync")
    assert sync.code == 0, sync
    for words in (("runs", "show", "nope"), ("sql", "nope"), ("sql", "--estimate")):
        failed = called(folder, call, "-c", "shop.toml", *words)
        (line,) = told(failed)
        assert failed.code == 2
        assert typed(folder, line, call).code == 0, line


def test_configuration_of_the_environment_is_named(folder, monkeypatch):
    write_config(folder)
    (folder / "microconv.toml").rename(folder / "shop.toml")
    monkeypatch.setitem(os.environ, "LANG", "C.UTF-8")
    call = CALLS["an environment in the folder"]
    failed = typed(folder, f"MICROCONV_CONFIG=shop.toml {call} channels", call)

    assert told(failed) == [".venv/bin/microconv -c shop.toml sync"]


# Every command that some message names


def texts(file: Path) -> Iterator[str]:
    """The texts of a module, but for its docstrings."""
    tree = ast.parse(file.read_text("utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


NAMED = sorted({line for file in CODE.rglob("*.py") for text in texts(file) for line in IN_A_SENTENCE.findall(text)})


def test_messages_name_commands():
    assert {"microconv sync", "microconv doctor", "microconv runs list", "microconv init"} <= set(NAMED)


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("synced")
    link(made / ".venv" / "bin")
    write_config(made)
    for day in (1, 2):
        write_day(made, day)
    assert called(made, ".venv/bin/microconv", "sync").code == 0
    return made


@pytest.mark.parametrize("line", NAMED)
def test_command_that_a_message_names_works(line, synced):
    done = called(synced, ".venv/bin/microconv", *shlex.split(line.replace("CHECK", "missing_days"))[1:])

    if line == "microconv init":  # it asks, which it can on a terminal alone
        assert "there is no terminal to ask on" in done.stderr
    elif line == "microconv audit":  # what it finds in what was made up stops a pipeline
        assert (done.code, "Findings" in done.stdout) == (1, True), done
    elif line == "microconv audit accept FINDING":  # it says what else it takes
        assert "with --reason and --until" in done.stderr
    elif line in ("microconv push", "microconv push --full"):  # this project has nothing to push
        assert "No segment names a destination" in done.stderr
    elif line == "microconv push verify-ga4":  # nor has it pushed anything
        assert "No such list was pushed to GA4" in done.stderr
    elif line == "microconv segment ga4 NAME --by-push --create":  # nor has it a segment
        assert "no segment named 'NAME'" in done.stderr
    elif line == "microconv propensity train":  # nor has it days enough
        assert "not enough data: n = " in done.stderr
    elif line == "microconv propensity score":  # so nothing was trained
        assert "microconv propensity train" in done.stderr
    elif line == "microconv guardrails":  # nor has it guardrails
        assert "has no [[guardrails]]" in done.stderr
    elif line in ("microconv experiment read NAME", "microconv experiment show NAME"):  # nor an experiment
        assert "an experiment named 'NAME'" in done.stderr or "no experiment named 'NAME'" in done.stderr
    elif line == "microconv conversions send":  # nor has it conversions
        assert "has no [[conversions]]" in done.stderr
    else:
        assert done.code == 0, done
