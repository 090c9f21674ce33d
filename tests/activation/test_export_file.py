from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture
from segment_builder import NOW, SEVERAL_KINDS, Segment, file_of, manifest_of, read_rows, snapshot, unprivileged

from microconv.activation.audience.people import Person
from microconv.errors import DestinationError, UsageError
from microconv.files import FileSet
from microconv.segments.members import Member


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


LAST_NAME = "zo\u00eb"
ADDRESS = {"first_name": "Alex", "last_name": LAST_NAME.title(), "country": "us", "postal_code": "94016"}


def test_google_ads_file_has_exact_header_hashes_and_clear_country_and_zip(segment: Segment) -> None:
    result = segment.with_user("u1", "granted", email="AlexZ@example.com", phone="(800) 555-0100", **ADDRESS).export(
        format="google_ads", identity=("email", "phone")
    )
    assert file_of(result) == segment.folder / "ready-to-buy.google_ads.csv"
    assert file_of(result).read_text(encoding="utf-8") == (
        "Email,Phone,First Name,Last Name,Country,Zip\n"
        f"{sha('alexz@example.com')},{sha('+18005550100')},{sha('alex')},{sha(LAST_NAME)},US,94016\n"
    )


@pytest.mark.parametrize("missing", list(ADDRESS))
def test_google_ads_address_is_written_whole_or_not_at_all(segment: Segment, missing: str) -> None:
    person = ADDRESS | {missing: None, "email": "a@example.com"}
    result = segment.with_user("u1", "granted", **person).export(format="google_ads")
    assert read_rows(file_of(result)) == [
        {"Email": sha("a@example.com"), "Phone": "", "First Name": "", "Last Name": "", "Country": "", "Zip": ""}
    ]


@pytest.mark.parametrize("audience_format", ["csv", "jsonl"])
def test_generic_formats_fill_the_columns_that_identity_names(segment: Segment, audience_format: str) -> None:
    people = segment.with_user("u1", "granted", email="A.B+x@gmail.com", phone="+1 800 555 0100", **ADDRESS)
    nothing = "" if audience_format == "csv" else None
    # Not Google's rule: other platforms hash a Gmail address as it is.
    everything = {
        "email_sha256": sha("a.b+x@gmail.com"),
        "phone_sha256": sha("+18005550100"),
        "external_id_sha256": sha("u1"),
    }
    for identity, keys in [
        (("email", "phone", "user_id"), set(everything)),
        (("email",), {"email_sha256"}),
        (("phone",), {"phone_sha256"}),
        (("user_id",), {"external_id_sha256"}),
    ]:
        result = people.export(format=audience_format, identity=identity)
        assert file_of(result).name == f"ready-to-buy.{audience_format}"
        assert read_rows(file_of(result)) == [{key: everything[key] if key in keys else nothing for key in everything}]


def test_google_ads_cannot_carry_a_user_id_and_says_so(segment: Segment) -> None:
    people = segment.with_user("u1", "granted", email="a@example.com")
    result = people.export(format="google_ads", identity=("email", "user_id"))
    assert "google_ads does not carry user_id: it was left out." in result.warnings
    with pytest.raises(UsageError, match=r"google_ads carries none of the segment's identity \(user_id\)"):
        people.export(format="google_ads", identity=("user_id",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "myspace"}, 'format = "myspace" is not "google_ads", "meta", "tiktok"'),
        ({"identity": ("email", "cookie")}, "Identity 'cookie' is unknown"),
        ({"identity": ()}, r"carries none of the segment's identity \(empty\)"),
        ({"segment": "../../etc/x"}, "cannot be part of a file name"),
        ({"segment": "x\n"}, "cannot be part of a file name"),
        ({"max_delete_pct": 101}, "max_delete_pct is 101"),
        ({"max_delete_pct": float("nan")}, "max_delete_pct is nan"),
    ],
)
def test_wrong_arguments_are_usage_errors_and_touch_nothing(
    segment: Segment, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        segment.with_users(1).export(**options)
    assert not segment.folder.exists()


@pytest.mark.parametrize("audience_format", SEVERAL_KINDS)
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "\uff1d", '"=', ";="])
def test_no_cell_of_any_file_can_start_a_formula_and_the_person_is_kept(
    segment: Segment, audience_format: str, start: str
) -> None:
    nasty = f"{start}HYPERLINK(1)"
    people = segment.with_user("u1", "granted", email="a@example.com", **ADDRESS | {"postal_code": nasty})
    people = people.with_user("u2", "granted", email="b@example.com", **ADDRESS | {"country": nasty})
    people = people.with_user("u3", "granted", email="c@example.com", **ADDRESS | {"first_name": nasty})
    people = people.with_user(nasty, "granted", email=nasty, phone=nasty, country=nasty)
    result = people.export(format=audience_format, identity=("email", "phone"))
    assert result.written == 3
    for path in (file_of(result), segment.folder / f"ready-to-buy.{audience_format}.rejects.csv"):
        for row in read_rows(path):
            for cell in row.values():
                assert not cell or cell[0].isalnum()
    for row in read_rows(file_of(result)):
        assert row.get("Zip", "") in {"", "94016"}


def test_invalid_part_is_left_out_counted_and_warned_about(segment: Segment) -> None:
    people = segment.with_user("u1", "granted", email="a@example.com", phone="12", **ADDRESS | {"postal_code": "=1"})
    result = people.export(format="google_ads", identity=("email", "phone"))
    assert result.written == 1
    assert result.excluded == {}
    left_out = {"invalid_phone": 1, "invalid_postal_code": 1}
    assert json.loads(manifest_of(result).read_text())["values_left_out"] == left_out
    assert any("invalid_phone 1, invalid_postal_code 1" in warning for warning in result.warnings)


def test_reject_file_names_every_excluded_actor_with_its_reason(segment: Segment) -> None:
    people = (
        segment.with_user(None)
        .with_user("u2", email="b@example.com")
        .with_user("u3", "granted", "denied", email="c@example.com")
        .with_user("u4", "granted")
        .with_user("u5", "granted", email=None, first_name="E")
        .with_user("u6", "granted", email="nonsense")
        .with_user("u7", "granted", email="g@example.com")
        .with_user("u8", "granted", email="h@example.com")
    )
    people = replace(people, people=(*people.people, Person("u7", "other@example.com")))
    result = people.export()
    reasons = [
        "no_user_id",
        "no_consent_record",
        "consent_denied",
        "no_identity_record",
        "no_identifier",
        "invalid_email",
    ]
    reasons.append("ambiguous_identity")
    assert read_rows(segment.folder / "ready-to-buy.jsonl.rejects.csv") == [
        {"actor_key": str(actor_key), "reason": reason} for actor_key, reason in enumerate(reasons, start=1)
    ]
    assert (result.members, result.written) == (8, 1)
    assert result.excluded == dict.fromkeys(sorted(reasons), 1)


def test_manifest_tells_origin_counts_and_checksums(segment: Segment) -> None:
    people = segment.with_user("u1", "granted", email="a@example.com").with_user(None)
    result = people.export(format="csv", destination="portal", identity=("email", "user_id"))
    manifest = json.loads(manifest_of(result).read_text(encoding="utf-8"))
    files = manifest.pop("files")
    assert manifest == {
        "manifest_version": 1,
        "segment": "ready-to-buy",
        "destination": "portal",
        "format": "csv",
        "members": 2,
        "written": 1,
        "excluded": {"no_user_id": 1},
        "values_left_out": {},
        "identity": ["email", "user_id"],
        "normalisation": "plain/2",
        "run_id": "run/1",
        "created_at": "2026-03-01T08:00:00+00:00",
        "lineage": {"rule": "add_to_cart", "as_of": "2026-02-28"},
        "plan": result.plan,
    }
    assert [file["name"] for file in files] == ["ready-to-buy.csv", "ready-to-buy.csv.rejects.csv"]
    for file in files:
        content = (segment.folder / file["name"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["bytes"] == len(content)
        assert file["rows"] == len(content.splitlines()) - 1


def test_document_is_json_with_the_agreed_keys(segment: Segment) -> None:
    result = segment.with_users(2).with_user(None).export(destination="portal")
    document = json.loads(json.dumps(result.document()))
    assert document == {
        "segment": "ready-to-buy",
        "destination": "portal",
        "format": "jsonl",
        "path": str(segment.folder / "ready-to-buy.jsonl"),
        "members": 3,
        "written": 2,
        "excluded": {"no_user_id": 1},
        "manifest": str(segment.folder / "ready-to-buy.jsonl.manifest.json"),
        "plan": result.plan,
        "warnings": [],
        "notes": [],
        "dry_run": False,
    }


@pytest.mark.parametrize("audience_format", SEVERAL_KINDS)
def test_same_membership_in_any_order_gives_the_same_bytes(segment: Segment, audience_format: str) -> None:
    people = (
        segment.with_users(20).with_user(None).with_user("u1").with_user("u21", "granted", email="user1@example.com")
    )

    def contents(variant: Segment, run_id: str) -> list[bytes]:
        result = variant.export(format=audience_format, run_id=run_id)
        return [
            file_of(result).read_bytes(),
            (segment.folder / f"ready-to-buy.{audience_format}.rejects.csv").read_bytes(),
        ]

    first = contents(people, "one")
    lines = first[0].splitlines()[audience_format != "jsonl" :]
    # By hash: the order of rows tells nothing about the actors.
    assert lines == sorted(lines)
    assert contents(people.shuffled(), "two") == first


def test_same_user_on_two_devices_and_same_address_of_two_users_are_written_once(segment: Segment) -> None:
    people = segment.with_user("u1", "granted", email="a@example.com").with_user(
        "u2", "granted", email=" A@Example.com"
    )
    people = replace(people, members=(*people.members, Member(9, "u1")))
    result = people.export()
    assert result.written == 1
    assert result.excluded == {"duplicate_identifier": 2}
    assert [row["actor_key"] for row in read_rows(segment.folder / "ready-to-buy.jsonl.rejects.csv")] == ["2", "9"]


def test_small_google_audience_is_warned_about_and_a_large_one_is_not(segment: Segment) -> None:
    assert any(
        "fewer than the 100" in warning for warning in segment.with_users(99).export(format="google_ads").warnings
    )
    assert segment.with_users(100).export(format="google_ads").warnings == ()
    assert segment.with_users(1).export(format="csv").warnings == ()


def test_dry_run_counts_and_writes_nothing(segment: Segment) -> None:
    result = segment.with_users(3).with_user(None).export(dry_run=True)
    assert (result.members, result.written, result.excluded) == (4, 3, {"no_user_id": 1})
    assert not segment.folder.exists()


def test_files_and_folder_are_private(segment: Segment) -> None:
    old_umask = os.umask(0)
    try:
        segment.with_users(1).export()
    finally:
        os.umask(old_umask)
    assert stat.S_IMODE(segment.folder.stat().st_mode) == 0o700
    names = sorted(path.name for path in segment.folder.iterdir())
    assert names == ["ready-to-buy.jsonl", "ready-to-buy.jsonl.manifest.json", "ready-to-buy.jsonl.rejects.csv"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in segment.folder.iterdir()} == {0o600}


def test_files_are_private_from_the_first_byte(segment: Segment, mocker: MockerFixture) -> None:
    # Looks at the mode while the file is still being written; nothing is replaced.
    modes: list[int] = []
    real_fsync = os.fsync

    def look(descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            modes.append(stat.S_IMODE(status.st_mode))
        real_fsync(descriptor)

    mocker.patch("os.fsync", side_effect=look)
    segment.with_users(1).export()
    assert modes == [0o600] * 3


def test_an_existing_file_open_to_others_becomes_private(segment: Segment) -> None:
    result = segment.with_users(1).export()
    file_of(result).chmod(0o644)
    segment.with_users(2).export()
    assert stat.S_IMODE(file_of(result).stat().st_mode) == 0o600


def test_file_size_limit_hit_while_writing_leaves_the_previous_export(segment: Segment) -> None:
    segment.with_users(3).export()
    before = snapshot(segment.folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A real refusal by the kernel in the middle of a file, as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(DestinationError, match="cannot be written: File too large") as caught:
            segment.with_users(400).export()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "Free disk space" in caught.value.hint
    assert caught.value.exit_code == 4
    assert snapshot(segment.folder) == before


@pytest.mark.parametrize("failing_call", [1, 2, 3])
def test_failure_while_putting_files_in_place_restores_the_previous_export(
    segment: Segment, mocker: MockerFixture, failing_call: int
) -> None:
    segment.with_users(3).export()
    before = snapshot(segment.folder)
    _fail_replace(mocker, failing_call, OSError(28, "No space left on device"))
    with pytest.raises(DestinationError, match="No space left on device"):
        segment.with_users(4).export()
    mocker.stopall()
    assert snapshot(segment.folder) == before


@pytest.mark.parametrize("failing_call", [1, 2, 3])
def test_failure_at_the_first_export_leaves_no_file(segment: Segment, mocker: MockerFixture, failing_call: int) -> None:
    _fail_replace(mocker, failing_call, OSError(28, "No space left on device"))
    with pytest.raises(DestinationError):
        segment.with_users(4).export()
    assert snapshot(segment.folder) == {}


def test_interrupt_while_putting_files_in_place_restores_the_previous_export(
    segment: Segment, mocker: MockerFixture
) -> None:
    segment.with_users(3).export()
    before = snapshot(segment.folder)
    _fail_replace(mocker, 2, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        segment.with_users(4).export()
    assert snapshot(segment.folder) == before


def test_filesystem_without_hard_links_still_restores_the_previous_export(
    segment: Segment, mocker: MockerFixture
) -> None:
    segment.with_users(3).export()
    before = snapshot(segment.folder)
    # Such a filesystem cannot be mounted from a test.
    mocker.patch("os.link", side_effect=PermissionError(1, "Operation not permitted"))
    _fail_replace(mocker, 3, OSError(28, "No space left on device"))
    with pytest.raises(DestinationError):
        segment.with_users(4).export()
    assert snapshot(segment.folder) == before
    mocker.stopall()
    mocker.patch("os.link", side_effect=PermissionError(1, "Operation not permitted"))
    assert segment.with_users(4).export().written == 4
    assert len(snapshot(segment.folder)) == 3


def _fail_replace(mocker: MockerFixture, failing_call: int, error: BaseException) -> None:
    """Fail the nth rename only; a rename onto a file of the same folder cannot be made to fail from outside."""
    real_replace = Path.replace
    calls = 0

    def replace_or_fail(path: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == failing_call:
            raise error
        return real_replace(path, target)

    mocker.patch.object(Path, "replace", replace_or_fail)


def test_a_folder_in_the_place_of_the_reject_file_stops_before_anything_changes(segment: Segment) -> None:
    segment.with_users(3).export()
    rejects = segment.folder / "ready-to-buy.jsonl.rejects.csv"
    rejects.unlink()
    rejects.mkdir()
    before = snapshot(segment.folder)
    with pytest.raises(DestinationError, match="Is a directory"):
        segment.with_users(4).export()
    assert snapshot(segment.folder) == before


def test_folder_that_is_a_file_is_a_destination_error(segment: Segment) -> None:
    segment.folder.write_text("not a folder")
    with pytest.raises(DestinationError, match="cannot be written: File exists") as caught:
        segment.with_users(1).export()
    assert "is a folder" in caught.value.hint


def test_folder_without_write_permission_is_a_destination_error(segment: Segment) -> None:
    segment.with_users(1).export(dry_run=True)
    with unprivileged() as folder:
        folder.chmod(0o500)
        with pytest.raises(DestinationError, match="Permission denied") as caught:
            segment.with_users(1).export(folder=folder)
    assert "right to write" in caught.value.hint


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o600])
def test_folder_that_cannot_be_entered_is_a_destination_error_and_not_a_missing_manifest(
    segment: Segment, mode: int
) -> None:
    segment.with_users(1).export(dry_run=True)
    with unprivileged() as folder:
        inner = folder / "exports"
        segment.with_users(1).export(folder=inner)
        inner.chmod(mode)
        with pytest.raises(DestinationError, match="Permission denied") as caught:
            segment.with_users(1).export(folder=inner)
        inner.chmod(0o700)
    assert caught.value.exit_code == 4
    assert "--allow-shrink" not in str(caught.value)


def test_read_only_place_is_a_destination_error(segment: Segment) -> None:
    # The kernel refuses new files there even to root.
    with pytest.raises(DestinationError, match="cannot be written"):
        segment.with_users(1).export(folder=Path("/proc/microconv"))


def test_leftovers_of_killed_runs_are_removed_unless_a_run_is_writing_there(segment: Segment) -> None:
    segment.folder.mkdir()
    ages = {"old": 25, "young": 23}
    for token, hours in ages.items():
        leftover = segment.folder / f".ready-to-buy.jsonl.{token}.partial"
        leftover.write_text("half")
        modified_at = NOW.timestamp() - hours * 3600
        os.utime(leftover, (modified_at, modified_at))

    with FileSet(segment.folder, owns=re.compile(r"other\.csv"), token="t", now=NOW):
        segment.with_users(1).export()
    assert [path.name for path in segment.folder.glob(".*")] == [".ready-to-buy.jsonl.young.partial"]

    segment.with_users(1).export()
    assert list(segment.folder.glob(".*")) == []


def test_a_run_killed_and_started_again_under_its_id_completes(segment: Segment) -> None:
    token = hashlib.sha256(b"run/1").hexdigest()[:16]
    segment.folder.mkdir()
    for what in ("partial", "previous"):
        (segment.folder / f".ready-to-buy.jsonl.{token}.{what}").write_text("half")
    segment.with_users(1).export()
    assert list(segment.folder.glob(".*")) == []
