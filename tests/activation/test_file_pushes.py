"""Files of a push: a folder that appears whole or not at all, and holds what its manifest lists."""

from __future__ import annotations

import csv
import hashlib
import json
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from numbered_destination import numbered

from microconv.activation.audience.normalise import sha256_hex
from microconv.activation.destinations.file import FileDestination, FileSettings
from microconv.activation.destinations.folder_list import FolderList
from microconv.activation.push.audience_list import Identifier, RefusedError
from microconv.activation.push.identifiers import Address
from microconv.errors import DestinationError, UsageError

ANNA, BEN, CARL = (Identifier("email", sha256_hex(f"{name}@shop.example")) for name in ("anna", "ben", "carl"))
HOME = Identifier("address", Address(sha256_hex("anna"), sha256_hex("berg"), "DE", "04103").identifier)


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    return tmp_path / "exports"


def file_list(folder: Path, push_id: str = "p1", format_name: Any = "google_ads", **options: Any) -> FolderList:
    settings = FileSettings(name="ads", format=format_name, path=folder)
    return FileDestination(settings).audience_list("buyers", push_id, **options)


def published(folder: Path) -> dict[str, Any]:
    """Return the manifest of a published folder, and prove that the folder holds what it lists, and it."""
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    assert {path.name for path in folder.iterdir()} == {"manifest.json", *(each["name"] for each in manifest["files"])}
    for each in manifest["files"]:
        content = (folder / each["name"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (each["bytes"], each["sha256"])
    return manifest


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_what_is_added_and_removed_is_in_files_of_its_own(exports: Path) -> None:
    audience = file_list(exports, facts={"plan": "abc"})
    assert audience.send("remove", [CARL]).state == "accepted"
    answers = [audience.send("add", [ANNA, HOME]), audience.send("add", [BEN])]
    audience.finish()
    folder = exports / "buyers.google_ads.pushes" / "p1"
    manifest = published(folder)
    assert [row["Email"] for row in rows_of(folder / "add.csv")] == [ANNA.value, "", BEN.value]
    assert rows_of(folder / "add.csv")[1] == {
        "Email": "",
        "Phone": "",
        "First Name": sha256_hex("anna"),
        "Last Name": sha256_hex("berg"),
        "Country": "DE",
        "Zip": "04103",
    }
    assert [row["Email"] for row in rows_of(folder / "remove.csv")] == [CARL.value]
    assert (manifest["add"], manifest["remove"]) == ({"email": 2, "address": 1}, {"email": 1})
    assert (manifest["plan"], manifest["segment"], manifest["destination"]) == ("abc", "buyers", "ads")
    assert [(each["name"], each["operation"], each["rows"]) for each in manifest["files"]] == [
        ("remove.csv", "remove", 1),
        ("add.csv", "add", 3),
    ]
    assert [audience.ask(str(answer.request_id)).state for answer in answers] == ["success", "success"]


def test_nothing_is_seen_before_the_push_is_finished(exports: Path) -> None:
    audience = file_list(exports)
    request_id = str(audience.send("add", [ANNA]).request_id)
    assert [path.name for path in exports.rglob("*") if path.is_dir() and not path.name.startswith(".")] == [
        "buyers.google_ads.pushes"
    ]
    assert audience.ask(request_id).state == "failed"
    audience.finish()
    assert audience.ask(request_id).state == "success"


def test_push_without_changes_leaves_no_folder(exports: Path) -> None:
    file_list(exports).finish()
    assert not exports.exists()


def test_a_later_push_answers_for_an_earlier_one(exports: Path) -> None:
    first = file_list(exports, "p1")
    request_id = str(first.send("add", [ANNA]).request_id)
    first.finish()
    later = file_list(exports, "p2")
    assert later.ask(request_id).state == "success"
    assert later.ask("p1/2").state == "failed"
    assert later.ask("p0/1").state == "failed"
    assert later.ask("../p1/1").state == "failed"


def test_folder_of_another_push_is_never_overwritten(exports: Path) -> None:
    first, second = file_list(exports), file_list(exports)
    first.send("add", [ANNA])
    second.send("add", [BEN])
    first.finish()
    with pytest.raises(DestinationError, match="There is a folder of this push already"):
        second.finish()
    folder = exports / "buyers.google_ads.pushes"
    assert [path.name for path in folder.iterdir()] == ["p1"]
    published(folder / "p1")
    assert [row["Email"] for row in rows_of(folder / "p1" / "add.csv")] == [ANNA.value]


def test_files_keep_to_the_limit_of_the_format_across_batches(tmp_path: Path) -> None:
    audience = numbered(tmp_path).audience_list("buyers", "p1")
    audience.send("add", [ANNA])
    audience.send("add", [BEN, CARL])
    audience.send("remove", [ANNA, BEN, CARL])
    audience.finish()
    folder = tmp_path / "buyers.numbered.pushes" / "p1"
    rows = {each["name"]: each["rows"] for each in published(folder)["files"]}
    assert rows == {"add.0001.jsonl": 2, "add.0002.jsonl": 1, "remove.0001.jsonl": 2, "remove.0002.jsonl": 1}
    assert all(len((folder / name).read_text().splitlines()) == count for name, count in rows.items())


def test_only_the_owner_may_read_them(exports: Path) -> None:
    audience = file_list(exports)
    audience.send("add", [ANNA])
    hidden = {path: stat.S_IMODE(path.stat().st_mode) for path in exports.rglob("*")}
    assert all(mode in (0o600, 0o700) for mode in hidden.values())
    audience.finish()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in exports.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o700 for path in exports.rglob("*") if path.is_dir())


def test_what_the_format_does_not_carry_is_refused_by_its_place(exports: Path) -> None:
    with pytest.raises(RefusedError, match="google_ads does not carry user_id") as caught:
        file_list(exports).send("add", [ANNA, Identifier("user_id", "u1"), BEN])
    assert caught.value.rows == (1,)
    assert not exports.exists()


@pytest.mark.parametrize("push_id", ["", "../p1", ".hidden", "a/b", "p\n1", "p" * 200])
def test_id_that_cannot_be_a_folder_is_refused(exports: Path, push_id: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a folder"):
        file_list(exports, push_id)


def test_failure_leaves_nothing_and_says_what_to_do(exports: Path) -> None:
    exports.write_text("not a folder")
    with pytest.raises(DestinationError, match="cannot be written: File exists") as caught:
        file_list(exports).send("add", [ANNA])
    assert "is a folder" in caught.value.hint


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
import test_file_pushes as tests

audience = tests.file_list(Path(sys.argv[1]))
audience.send("add", [tests.ANNA])
if sys.argv[2] == "rename":
    Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    audience.finish()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["sent", "rename"])
def test_killed_push_leaves_nothing_to_see_and_the_next_one_tidies_up(exports: Path, moment: str) -> None:
    arguments = [str(exports), moment, str(Path(__file__).parent), str(Path(__file__).parents[1])]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = exports / "buyers.google_ads.pushes"
    assert [path.name[0] for path in folder.iterdir()] == ["."]
    later = file_list(exports, "p2")
    assert later.ask("p1/1").state == "failed"
    later.send("add", [ANNA])
    later.finish()
    assert [path.name for path in folder.iterdir()] == ["p2"]


def test_push_that_is_given_up_leaves_nothing(exports: Path) -> None:
    audience = file_list(exports)
    audience.send("add", [ANNA])
    assert any(path.is_file() for path in exports.rglob("*"))
    del audience
    assert not [path for path in exports.rglob("*") if path.is_file()]
