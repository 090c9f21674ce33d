"""An export of several files: after it the folder holds what its manifest lists, whatever was there before."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from numbered_destination import NumberedDestination, numbered
from pytest_mock import MockerFixture
from segment_builder import NOW, Segment, snapshot

from microconv.errors import DestinationError
from microconv.files import FileSet

STEM = "ready-to-buy.numbered"
# Two files are removed, then an audience file, the rejects and the manifest are put in place.
STEPS_OF_A_SHRINKING_EXPORT = 5


def names(*numbers: int) -> list[str]:
    audience = [f"{STEM}.{number:04d}.jsonl" for number in numbers]
    return [*audience, f"{STEM}.manifest.json", f"{STEM}.rejects.csv"]


def assert_folder_is_as_the_manifest_says(folder: Path) -> None:
    held = snapshot(folder)
    files = json.loads(held.pop(f"{STEM}.manifest.json"))["files"]
    assert sorted(held) == sorted(file["name"] for file in files)
    for file in files:
        assert hashlib.sha256(held[file["name"]]).hexdigest() == file["sha256"]
        assert len(held[file["name"]]) == file["bytes"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "exports"


@pytest.fixture
def destination(folder: Path) -> NumberedDestination:
    return numbered(folder)


def shrink(segment: Segment, destination: NumberedDestination) -> None:
    segment.with_users(1).export_to(destination, run_id="run/2", allow_shrink=True)


def test_files_are_numbered_and_hold_at_most_their_limit(
    segment: Segment, destination: NumberedDestination, folder: Path
) -> None:
    result = segment.with_users(5).export_to(destination)
    assert sorted(snapshot(folder)) == names(1, 2, 3)
    assert [len((folder / name).read_text().splitlines()) for name in names(1, 2, 3)[:3]] == [2, 2, 1]
    assert [receipt.reference for receipt in result.receipts] == names(1, 2, 3)[:3]
    assert result.target.facts["path"] == str(folder / f"{STEM}.*.jsonl")
    assert_folder_is_as_the_manifest_says(folder)


def test_shrinking_export_leaves_no_file_of_the_previous_one(
    segment: Segment, destination: NumberedDestination, folder: Path
) -> None:
    segment.with_users(5).export_to(destination)
    shrink(segment, destination)
    assert sorted(snapshot(folder)) == names(1)
    assert_folder_is_as_the_manifest_says(folder)


def test_that_holds_without_a_manifest_too(segment: Segment, destination: NumberedDestination, folder: Path) -> None:
    segment.with_users(5).export_to(destination)
    (folder / f"{STEM}.manifest.json").unlink()
    shrink(segment, destination)
    assert sorted(snapshot(folder)) == names(1)


def test_limit_that_is_lifted_or_set_leaves_no_file_of_before(
    segment: Segment, destination: NumberedDestination, folder: Path
) -> None:
    segment.with_users(5).export_to(destination)
    destination.members_per_file = None
    segment.with_users(5).export_to(destination)
    assert sorted(snapshot(folder)) == [f"{STEM}.jsonl", *names()]
    assert_folder_is_as_the_manifest_says(folder)
    destination.members_per_file = 2
    segment.with_users(3).export_to(destination)
    assert sorted(snapshot(folder)) == names(1, 2)


def test_other_segments_formats_and_files_of_the_folder_stay(
    segment: Segment, destination: NumberedDestination, folder: Path
) -> None:
    segment.with_users(5).export_to(destination)
    for other in ("ready-to-buy-0001", "ready-to-buy-numbered", "buy"):
        segment.with_users(5).export_to(destination, segment=other)
    segment.with_users(5).export(format="jsonl")
    segment.with_users(5).export(format="csv")
    for name in (f"{STEM}.0003.jsonl.bak", f"x{STEM}.0003.jsonl", f"{STEM}.3.jsonl", f"{STEM}.0003.csv", "notes.txt"):
        (folder / name).write_text("not ours")
    before = snapshot(folder)
    shrink(segment, destination)
    after = snapshot(folder)
    assert set(before) - set(after) == set(names(2, 3)) - set(names())
    assert {name for name in after if after[name] != before[name]} <= set(names(1))


def fail_at(mocker: MockerFixture, failing_step: int, fail: Callable[[], None]) -> None:
    """Fail at the nth file that is removed or replaced for good; the kernel refuses neither from outside."""
    real_replace, real_unlink, steps = Path.replace, Path.unlink, 0

    def step(path: Path) -> None:
        nonlocal steps
        if not path.name.startswith("."):
            steps += 1
            if steps == failing_step:
                fail()

    def replace(path: Path, target: Path) -> Path:
        step(target)
        return real_replace(path, target)

    def unlink(path: Path, missing_ok: bool = False) -> None:
        step(path)
        real_unlink(path, missing_ok)

    mocker.patch.object(Path, "replace", replace)
    mocker.patch.object(Path, "unlink", unlink)


@pytest.mark.parametrize("has_links", [True, False])
@pytest.mark.parametrize(
    ("error", "raised"),
    [(OSError(28, "No space left on device"), DestinationError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
@pytest.mark.parametrize("failing_step", range(1, STEPS_OF_A_SHRINKING_EXPORT + 2))
def test_failure_in_between_restores_the_previous_export(
    *,
    segment: Segment,
    destination: NumberedDestination,
    folder: Path,
    mocker: MockerFixture,
    failing_step: int,
    error: BaseException,
    raised: type[BaseException],
    has_links: bool,
) -> None:
    def fail() -> None:
        raise error

    segment.with_users(5).export_to(destination)
    before = snapshot(folder)
    if not has_links:
        # Such a filesystem cannot be mounted from a test.
        mocker.patch("os.link", side_effect=PermissionError(1, "Operation not permitted"))
    fail_at(mocker, failing_step, fail)
    if failing_step > STEPS_OF_A_SHRINKING_EXPORT:
        shrink(segment, destination)
        assert sorted(snapshot(folder)) == names(1)
        return
    with pytest.raises(raised):
        shrink(segment, destination)
    mocker.stopall()
    assert snapshot(folder) == before


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
import test_several_files as tests
from segment_builder import Segment

class Patches:
    class patch:
        object = staticmethod(setattr)

folder = Path(sys.argv[1])
tests.fail_at(Patches, int(sys.argv[2]), lambda: os.kill(os.getpid(), signal.SIGKILL))
tests.shrink(Segment(folder), tests.numbered(folder))
"""


@pytest.mark.parametrize("failing_step", range(1, STEPS_OF_A_SHRINKING_EXPORT + 1))
def test_kill_in_between_leaves_whole_files_and_the_next_export_puts_all_right(
    segment: Segment, destination: NumberedDestination, folder: Path, tmp_path: Path, failing_step: int
) -> None:
    segment.with_users(5).export_to(destination)
    before = snapshot(folder)
    shrink(segment, numbered(tmp_path / "finished"))
    finished = snapshot(tmp_path / "finished")

    arguments = [str(folder), str(failing_step), str(Path(__file__).parent)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, timeout=60, check=False)

    assert done.returncode == -9, done.stderr
    for name, content in snapshot(folder).items():
        # The manifest is put in place last: until then the old one stands, and its checksums tell.
        if not name.startswith("."):
            assert content in {before[name], finished.get(name)}
    assert (folder / f"{STEM}.manifest.json").read_bytes() == before[f"{STEM}.manifest.json"]
    # Who was left out a day ago is not in a hidden file either.
    later: dict[str, Any] = {"run_id": "run/3", "now": NOW + timedelta(days=2), "allow_shrink": True}
    for path in folder.iterdir():
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    segment.with_users(1).export_to(destination, **later)
    assert sorted(snapshot(folder)) == names(1)
    assert_folder_is_as_the_manifest_says(folder)


def test_folder_in_the_place_of_an_outdated_file_stops_before_anything_changes(
    segment: Segment, destination: NumberedDestination, folder: Path
) -> None:
    segment.with_users(5).export_to(destination)
    third = folder / names(3)[0]
    third.unlink()
    third.mkdir()
    before = snapshot(folder)
    with pytest.raises(DestinationError, match="Is a directory"):
        shrink(segment, destination)
    assert snapshot(folder) == before


def test_file_whose_name_is_not_of_the_set_is_refused(folder: Path) -> None:
    # No later export would remove it.
    with (
        FileSet(folder, owns=re.compile(r"a\.csv"), token="t", now=NOW) as files,
        pytest.raises(ValueError, match=r"b\.csv is not a name of this set"),
    ):
        files.write("b.csv", ["x\n"])
    assert not snapshot(folder)
