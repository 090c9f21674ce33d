"""How the command speaks to people, pipes and schedulers: results on stdout, the rest on stderr, in any environment."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shlex
import shutil
import struct
import subprocess
import termios
from contextlib import suppress
from pathlib import Path

import pytest

import ga4
from commands import COMMAND, FIRST_DAY, Done, environment, microconv, shard
from projects import write_config

TAXONOMY = """
version = "1.1"
[[micro_conversions]]
id = "gruss"
name = "Größe → 尺寸"
kind = "milestone"
stage = "awareness"
event = "größe_尺寸"
"""
SETTINGS = """
[taxonomy]
file = "taxonomy.toml"
[[funnels]]
name = "journey"
steps = ["view_item", "gruss"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A project with one staged day, and letters of many languages in it."""
    made = tmp_path_factory.mktemp("project")
    (made / "taxonomy.toml").write_text(TAXONOMY, encoding="utf-8")
    write_config(made, extra=SETTINGS)
    events = ga4.simple_day(FIRST_DAY)
    source = {"ga_session_id": 9, "source": "größe.example", "medium": "尺寸"}
    events.append(ga4.event("2024-03-01 12:00:09", "größe_尺寸", client="0.7", session=None, params=source))
    ga4.write_parquet(shard(made, FIRST_DAY), events)
    assert microconv(made, "sync").code == 0
    return made


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("momentum", "--show", "weeks", "--by", "channel_group"), "--by goes with --show times."),
        (("momentum", "--show", "times", "--weeks", "3"), "--weeks goes with --show states, weeks or score."),
        (("value", "--grain", "month"), "--grain goes with --show cohorts."),
        (("value", "--show", "cohorts", "--horizon", "30d"), "--horizon goes with --show lifetime."),
    ],
)
def test_option_of_another_view_is_refused_with_the_view_that_takes_it(given: tuple[str, ...], said: str, folder: Path):
    done = microconv(folder, *given)

    assert (done.code, done.stdout) == (2, "")
    assert said in done.stderr


def shell(folder: Path, script: str, env: dict[str, str] | None = None) -> Done:
    """Run a line of bash; `microconv` in it is the installed command."""
    line = f'microconv() {{ {shlex.quote(str(COMMAND))} "$@"; }}; {script}'
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment(env), capture_output=True, check=False, timeout=60
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize(
    "arguments",
    [("sync",), ("funnel", "journey"), ("attribution",), ("channels",), ("coverage",), ("taxonomy", "show")],
    ids=" ".join,
)
def test_json_is_one_document_on_stdout_and_nothing_on_stderr(folder, arguments):
    done = microconv(folder, *arguments, "--format", "json")
    assert done.code == 0
    assert done.stdout.endswith("}\n")
    assert isinstance(done.document, dict)
    assert done.stderr == ""


def test_json_log_is_one_object_a_line_beside_the_one_document(tmp_path):
    write_config(tmp_path, timezone="America/Los_Angeles")
    # Half an hour after midnight in London is the day before in Los Angeles: a warning, which belongs into the log.
    events = [*ga4.simple_day(FIRST_DAY), ga4.event("2024-03-01 00:30:00", "page_view", client="9.9")]
    ga4.write_parquet(shard(tmp_path, FIRST_DAY), events)
    done = microconv(tmp_path, "--log-format", "json", "sync", "--format", "json")
    assert done.document["status"] == "done"
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["level"] for line in lines} == {"info", "warning"}
    assert all({"time", "level", "message"} <= set(line) for line in lines)
    (warning,) = (line for line in lines if line["level"] == "warning")
    assert warning["run_id"] == done.document["run_id"]


@pytest.mark.parametrize(
    ("arguments", "code"), [(("funnel", "nope"), 2), (("snyc",), 2), (("sync", "--nope"), 2), (("-c", "x", "sync"), 2)]
)
def test_errors_are_json_too_where_the_log_is(folder, arguments, code):
    done = microconv(folder, "--log-format", "json", *arguments)
    assert (done.code, done.stdout) == (code, "")
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["level"] == "error"


def test_text_progress_does_not_fill_the_log_of_a_scheduler(folder):
    assert microconv(folder, "sync").stderr == ""


@pytest.mark.parametrize("reader", ["true", "head -n 1"])
@pytest.mark.parametrize("arguments", ["taxonomy show", "sync --format json", "snyc 2>&1"])
def test_reader_that_leaves_early_is_no_error(folder, arguments, reader):
    done = shell(folder, f"microconv {arguments} | {reader}; exit ${{PIPESTATUS[0]}}")
    assert done.code == (2 if "snyc" in arguments else 0)
    assert done.stderr == ""


def test_log_that_nobody_reads_does_not_stop_the_work(tmp_path):
    write_config(tmp_path)
    for day in range(1, 4):
        write = ga4.write_parquet if day % 2 else ga4.write_ndjson
        path = shard(tmp_path, FIRST_DAY.replace(day=day), ".parquet" if day % 2 else ".ndjson")
        write(path, ga4.simple_day(FIRST_DAY.replace(day=day)))
    done = shell(tmp_path, "{ microconv --log-format json sync --format json 2>&3; } 3>&1 >result.json | true")
    assert done.stderr == ""
    assert json.loads((tmp_path / "result.json").read_text())["shards"] == {"seen": 3, "staged": 3, "skipped": 0}


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("arguments", ["sync", "sync --format json"])
def test_closed_streams_are_no_error(folder, arguments, closed):
    done = shell(folder, f"microconv {arguments} {closed}")
    assert (done.code, done.stderr) == (0, "")


def test_init_with_closed_stdin_asks_for_flags(tmp_path):
    done = shell(tmp_path, "microconv init <&-")
    done.assert_failed(2, "--exports", "no terminal to ask on")


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C", "LANG": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "cp1252"},
    ],
    ids=str,
)
@pytest.mark.parametrize("arguments", ["funnel journey", "taxonomy show", "funnel größe_尺寸"])
def test_letters_that_the_terminal_lacks_are_no_error(folder, arguments, env):
    done = subprocess.run(
        [COMMAND, *arguments.split()], cwd=folder, env=environment(env), capture_output=True, check=False
    )
    assert done.returncode == (2 if "größe" in arguments else 0), done.stderr
    assert b"does not know" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "cp1252"])
def test_json_is_whole_in_every_encoding(folder, encoding):
    done = microconv(folder, "taxonomy", "show", "--format", "json", env={"PYTHONIOENCODING": encoding})
    assert "Größe → 尺寸" in {entry["name"] for entry in done.document["micro_conversions"]}


def test_empty_environment_is_enough(folder):
    done = subprocess.run(
        [COMMAND, "sync"], cwd=folder, env={}, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_folder_with_letters_of_any_language_works_where_the_locale_knows_none(folder, tmp_path):
    there = shutil.copytree(folder, tmp_path / "Übung 尺寸")
    done = microconv(there, "sync", "--format", "json", env={"LC_ALL": "C", "LANG": "C"})
    assert done.document["shards"] == {"seen": 1, "staged": 0, "skipped": 1}


def test_folder_whose_name_is_not_utf_8_is_refused_in_words(folder, tmp_path):
    there = shutil.copytree(folder, tmp_path / os.fsdecode(b"latin-\xe9"))
    microconv(there, "sync").assert_failed(3, "latin-", "UTF-8", "engine.path")


def test_home_that_does_not_exist_is_no_error(folder):
    assert microconv(folder, "sync", env={"HOME": "/nowhere", "XDG_CACHE_HOME": "/nowhere"}).code == 0


@pytest.mark.parametrize("columns", ["1", "-3", "wide"])
def test_tiny_or_odd_width_is_no_error(folder, columns):
    assert microconv(folder, "funnel", "journey", env={"COLUMNS": columns}).code == 0
    assert microconv(folder, "--help", env={"COLUMNS": columns}).code == 0


def on_a_terminal(folder: Path, env: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Run the command with a terminal as its three streams; return its exit code and all it wrote."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [COMMAND, *arguments], cwd=folder, env=environment(env), stdin=theirs, stdout=theirs, stderr=theirs
    ) as running:
        os.close(theirs)
        written = b""
        try:
            while piece := os.read(ours, 65_536):
                written += piece
        except OSError:  # how Linux says that the other side has closed
            os.close(ours)
    return running.returncode, written.decode()


def test_terminal_gets_a_progress_bar_that_leaves_no_trace_and_colours_only_where_wanted(folder):
    code, written = on_a_terminal(folder, {"TERM": "xterm-256color", "COLUMNS": "12"}, "sync")
    assert code == 0
    assert "Staging" in written
    assert "unchanged" in written
    bold = "\x1b[1m"
    assert bold in on_a_terminal(folder, {"TERM": "xterm-256color"}, "channels")[1]
    plain = on_a_terminal(folder, {"TERM": "xterm-256color", "NO_COLOR": "1"}, "channels")[1]
    assert "\x1b[3" not in plain.replace(bold, "")


def test_piped_table_is_plain_text_at_full_width(folder):
    done = microconv(folder, "funnel", "journey", env={"COLUMNS": "20"})
    assert "\x1b" not in done.stdout
    title, *lines = done.stdout.splitlines()
    assert title.rstrip() == "Funnel journey, ordered, closed, by actor, within 7 days"
    assert any(line.split() == ["gruss", "1", "33.3%", "33.3%", "9.0", "s"] for line in lines), lines


def test_unexpected_error_says_how_to_report_it_and_hides_the_traceback(folder, tmp_path):
    # A module of ours that cannot be imported is what no command expects.
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['microconv.analyses.channels'] = None\n")
    done = microconv(folder, "channels", env={"PYTHONPATH": str(tmp_path)})
    assert (done.code, done.stdout) == (3, "")
    assert "MICROCONV_TRACEBACK=1" in done.stderr
    assert "Traceback" not in done.stderr
    shown = microconv(folder, "channels", env={"PYTHONPATH": str(tmp_path), "MICROCONV_TRACEBACK": "1"})
    assert "Traceback" in shown.stderr


def on_terminal(folder: Path, columns: int, *arguments: str) -> str:
    """What a terminal of so many columns is sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = {name: value for name, value in environment({"TERM": "xterm"}).items() if name not in ("COLUMNS", "LINES")}
    with subprocess.Popen([str(COMMAND), *arguments], cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        sent = b""
        with suppress(OSError):  # how Linux says that the other end is closed
            while part := os.read(ours, 65_536):
                sent += part
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", sent.decode()).replace("\r\n", "\n")


@pytest.fixture(scope="module")
def bought(tmp_path_factory) -> Path:
    """A project with one purchase, which came from a source of a hostile name."""
    made = tmp_path_factory.mktemp("bought")
    write_config(made)
    source = {"ga_session_id": 1, "source": "a\x1b[2Jb", "medium": "cpc"}
    viewed = ga4.event("2024-03-01 12:00:09", "page_view", client="0.7", session=None, params=source)
    ga4.write_parquet(shard(made, FIRST_DAY), [viewed, ga4.event("2024-03-01 12:01:00", "purchase", client="0.7")])
    assert microconv(made, "sync").code == 0
    return made


def test_table_on_a_terminal_has_its_columns_in_parts_where_they_do_not_fit(bought):
    sent = on_terminal(bought, 80, "attribution", "--window", "1d")

    heads = [line.split() for line in sent.splitlines() if line.startswith("touchpoint  ")]
    assert [word for head in heads for word in head if word != "touchpoint"] == [
        "first", "last", "last_non_direct", "linear", "time_decay", "position", "markov", "shapley"
    ]  # fmt: skip
    assert all(len(line) <= 80 for line in sent.splitlines())


def test_csv_on_a_terminal_orders_nothing_and_in_a_file_is_exact(bought):
    asked = ("attribution", "--touchpoint", "source_medium", "--format", "csv")

    assert "a\x1b[2Jb / cpc" in microconv(bought, *asked).stdout
    assert "a\\x1b[2Jb / cpc" in on_terminal(bought, 80, *asked)
