"""Audience files that only the holder of a key can read."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from typing import IO, Any

import pyrage
import pytest
from segment_builder import Segment, snapshot

from microconv.activation.destinations.file import FileDestination, FileSettings
from microconv.activation.push.audience_list import Identifier
from microconv.errors import DestinationError, UsageError
from microconv.files import GrowingFile

KEY = pyrage.x25519.Identity.generate()
OTHER = pyrage.x25519.Identity.generate()


def sealed(folder: Path, *keys: str, **options: Any) -> FileDestination:
    given = keys or (str(KEY.to_public()),)
    return FileDestination(FileSettings(name="ads", path=folder, encrypt_to=given, **{"format": "csv"} | options))


def test_export_is_read_by_the_holder_of_the_key_alone(segment: Segment) -> None:
    segment.with_users(3).export_to(sealed(segment.folder / "sealed"))
    segment.with_users(3).export(format="csv")
    held = snapshot(segment.folder / "sealed")
    assert sorted(held) == ["ready-to-buy.csv.age", "ready-to-buy.csv.manifest.json", "ready-to-buy.csv.rejects.csv"]
    plain = (segment.folder / "ready-to-buy.csv").read_bytes()
    assert pyrage.decrypt(held["ready-to-buy.csv.age"], [KEY]) == plain
    assert not any(line in held["ready-to-buy.csv.age"] for line in plain.splitlines())
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(held["ready-to-buy.csv.age"], [OTHER])


def test_several_may_read_it(segment: Segment) -> None:
    segment.with_users(1).export_to(sealed(segment.folder, str(KEY.to_public()), str(OTHER.to_public())))
    content = (segment.folder / "ready-to-buy.csv.age").read_bytes()
    assert pyrage.decrypt(content, [KEY]) == pyrage.decrypt(content, [OTHER])


def test_encryption_that_is_switched_on_leaves_no_open_file(segment: Segment) -> None:
    segment.with_users(3).export(format="csv")
    segment.with_users(3).export_to(sealed(segment.folder), run_id="run/2")
    assert "ready-to-buy.csv" not in snapshot(segment.folder)
    segment.with_users(3).export(format="csv", run_id="run/3")
    assert "ready-to-buy.csv.age" not in snapshot(segment.folder)


@pytest.mark.parametrize("format_name", ["csv", "parquet", "snap"])
def test_files_of_a_push_are_encrypted_across_batches(tmp_path: Path, format_name: str) -> None:
    identifiers = [Identifier("email", f"{number:064x}") for number in range(5_000)]
    contents: list[bytes] = []
    encrypted = sealed(tmp_path / "a", format=format_name)
    in_clear = encrypted.settings.model_copy(update={"encrypt_to": (), "path": tmp_path / "b"})
    for destination in (encrypted, FileDestination(in_clear)):
        audience = destination.audience_list("buyers", "p1")
        audience.send("add", identifiers[:3_000])
        audience.send("add", identifiers[3_000:])
        audience.finish()
        folder = destination.settings.path / f"buyers.{format_name}.pushes" / "p1"
        manifest = json.loads((folder / "manifest.json").read_text())
        assert sum(file["rows"] for file in manifest["files"]) == 5_000
        names = [file["name"] for file in manifest["files"]]
        assert {path.name for path in folder.iterdir()} == {"manifest.json", *names}
        raw = [(folder / name).read_bytes() for name in names]
        assert [len(each) for each in raw] == [file["bytes"] for file in manifest["files"]]
        is_sealed = destination is encrypted
        assert all(name.endswith(".age") == is_sealed for name in names)
        contents.append(b"".join(pyrage.decrypt(each, [KEY]) if is_sealed else each for each in raw))
    assert contents[0] == contents[1]


def test_disk_that_is_full_while_encrypting_is_a_destination_error(tmp_path: Path, monkeypatch: Any) -> None:
    def full(source: IO[bytes], _target: object, _keys: object) -> None:
        source.read(10)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pyrage, "encrypt_io", full)
    audience = sealed(tmp_path).audience_list("buyers", "p1")

    def push() -> None:
        audience.send("add", [Identifier("email", f"{number:064x}") for number in range(50_000)])
        audience.finish()

    with pytest.raises(DestinationError, match="No space left on device"):
        push()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_failure_of_the_seal_is_raised_when_the_file_is_closed(tmp_path: Path) -> None:
    def wrong(_source: IO[bytes], _target: object) -> None:
        raise ValueError("broken")

    file = GrowingFile(tmp_path / "x", wrong)
    with pytest.raises(ValueError, match="broken"):
        file.close()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        pytest.param(str(KEY), "is a secret key", id="the key that decrypts"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "is a secret key"),
        ("nobody", "is not a public key"),
    ],
)
def test_keys_that_are_not_public_are_refused_and_not_shown(key: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FileSettings(name="ads", format="csv", encrypt_to=(key,))


def test_damaged_key_is_told_before_anything_is_written(segment: Segment) -> None:
    with pytest.raises(UsageError, match="is damaged"):
        segment.with_users(1).export_to(sealed(segment.folder, str(KEY.to_public())[:-3]))
    assert not segment.folder.exists()


def test_missing_library_is_told_before_anything_is_written(segment: Segment, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "pyrage", None)
    with pytest.raises(UsageError, match="encrypts its files, which needs a package that is not installed") as caught:
        segment.with_users(1).export_to(sealed(segment.folder))
    assert "microconv[age]" in caught.value.hint
    assert not segment.folder.exists()
