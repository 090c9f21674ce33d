"""Nothing that looks like a part of an export is passed over without a word."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

import ga4
from commands import FIRST_DAY, microconv, shard, unprivileged
from microconv.cli import cli
from microconv.config.load import load_config
from microconv.doctor import diagnose
from microconv.errors import SourceError
from microconv.exports import FileSource, PassedOver, classify_shard, list_shards, passed_over
from microconv.exports.unread import why_no_shard
from microconv.project import Project
from projects import write_config


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def unread(pattern: Path | str) -> dict[str, str]:
    """Names that are passed over, with the reason."""
    found: tuple[PassedOver, ...] = FileSource("p1", str(pattern)).passed_over()
    return {Path(each.place).name: each.reason for each in found}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("events_20240302 (1).parquet", "a second copy, by its name"),
        ("events_20240302 - Copy.parquet", "a second copy, by its name"),
        ("copy_of_events_20240302.parquet", "a second copy, by its name"),
        ("events_20240302_x.parquet", "something stands behind the day"),
        ("events_20240302.csv", ".csv is not a format that is read"),
        ("events_20240302.avro", ".avro is not a format that is read"),
        ("events_20240302.json.zst", ".json.zst is not a format that is read"),
        ("events_20240302_000000000001.avro", ".avro is not a format that is read"),
        ("events_20240302", "the name has no ending, such as .parquet"),
        ("events_20241399.parquet", "20241399 is not a day of the calendar"),
        ("events_2024-03-02.parquet", "the name does not begin with events_ and eight digits"),
        ("events_202403.parquet", "the name does not begin with events_ and eight digits"),
        ("events_hourly_20240302.parquet", "the name does not begin with events_ and eight digits"),
        ("shop_events_20240302.parquet", "the name does not begin with events_ and eight digits"),
        ("EVENTS_20240302.parquet", "the name is not in small letters"),
        ("events_Intraday_20240302.parquet", "the name is not in small letters"),
        ("events_20240302.parquet.part", "an unfinished or old copy"),
        ("events_20240302.ndjson.tmp", "an unfinished or old copy"),
        ("events_2024030200000.json", "the digits behind the day number no part"),
    ],
)
def test_name_that_looks_like_a_shard_has_a_reason(name: str, reason: str):
    assert classify_shard(name) is None
    assert why_no_shard(name) == reason


@pytest.mark.parametrize(
    "name",
    [
        *("users_20240302.parquet", "pseudonymous_users_20240302.parquet", "notes.txt", "events_report.csv"),
        *("events_20240302.parquet.md5", "prevents_20240302.parquet", "events_20240302.log", "revenue_20240302.csv"),
    ],
)
def test_other_names_are_not_worth_a_word(name: str):
    assert why_no_shard(name) is None


@pytest.mark.parametrize(
    "name",
    [
        *("events_20240911000000000000.json", "events_20240911000000000007.parquet"),
        *("events_intraday_20240911000000000000.json.gz", "events_20240911.PARQUET", "events_20240911.Json.GZ"),
    ],
)
def test_extracts_with_an_asterisk_and_capital_endings_are_shards(name: str):
    found = classify_shard(name)

    assert found is not None
    assert (found.day, found.part is not None) == (date(2024, 9, 11), "00000000" in name)


def test_parts_of_an_extract_are_one_shard(tmp_path: Path):
    touch(tmp_path, "events_20240911000000000000.json", "events_20240911000000000001.json")

    (found,) = list_shards(f"{tmp_path}/events_*", "p1")

    assert len(found.files) == 2


def test_an_extract_beside_the_whole_file_is_refused(tmp_path: Path):
    touch(tmp_path, "events_20240911000000000000.json", "events_20240911.json")

    with pytest.raises(SourceError, match="2 files of property p1 claim to be the daily shard"):
        list_shards(f"{tmp_path}/events_*", "p1")


def test_capital_ending_is_read_where_the_path_has_a_small_one(tmp_path: Path):
    touch(tmp_path, "events_20240301.parquet", "events_20240302.PARQUET")

    assert len(list_shards(f"{tmp_path}/events_*.parquet", "p1")) == 2
    assert unread(f"{tmp_path}/events_*.parquet") == {}


def test_files_of_another_ending_than_the_path_has_are_named(tmp_path: Path):
    touch(tmp_path, "events_20240301.parquet", "events_20240302.ndjson.gz")

    assert unread(tmp_path / "events_*.parquet") == {
        "events_20240302.ndjson.gz": "the ending is another one than that of `path`"
    }


def test_what_the_path_leaves_out_on_purpose_is_not_named(tmp_path: Path):
    touch(tmp_path, "events_20240301.parquet", "events_20230301.parquet", "events_intraday_20240302.parquet")

    assert unread(tmp_path / "events_2024*.parquet") == {}


def test_folders_and_links_are_named(tmp_path: Path):
    touch(
        tmp_path,
        "events_20240301.parquet",
        "2023/events_20230301.parquet",
        "2023/events_20230302.parquet",
        "analytics_1/raw/events_20240303.parquet",
        "other/notes.txt",
        ".hidden/events_20240303.parquet",
        "events_20240304.parquet/part-0000.parquet",
    )
    (tmp_path / "events_20240305.parquet").symlink_to(tmp_path / "gone")

    assert unread(tmp_path / "events_*.parquet") == {
        "2023": "a folder with 2 shards that `path` does not reach",
        "analytics_1": "a folder with 1 shard that `path` does not reach",
        "events_20240304.parquet": "it is a folder, and only files are read",
        "events_20240305.parquet": "a link to nothing",
    }
    assert unread(tmp_path / "**" / "events_*.parquet") == {
        "events_20240304.parquet": "it is a folder, and only files are read",
        "events_20240305.parquet": "a link to nothing",
    }


def test_what_another_source_reads_is_not_passed_over(tmp_path: Path):
    touch(tmp_path, "events_20240301.parquet", "events_20240302.ndjson", "b/events_20240301.parquet")
    sources = [FileSource("p1", f"{tmp_path}/{each}") for each in ("events_*.parquet", "events_*.ndjson", "b/events_*")]

    assert passed_over(sources) == ()
    assert [finding.subject for finding in passed_over(sources[:1])] == ["p1"]


def test_error_without_any_shard_says_what_looks_like_one(tmp_path: Path):
    touch(tmp_path, "events_20240301.csv", "2024/events_20240301.parquet")

    with pytest.raises(SourceError) as raised:
        list_shards(f"{tmp_path}/events_*", "p1")

    assert "2024 (a folder with 1 shard that `path` does not reach)" in raised.value.message
    assert "events_20240301.csv (.csv is not a format that is read)" in raised.value.message


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of one day, with two files that are not read."""
    write_config(tmp_path)
    ga4.write_parquet(shard(tmp_path, FIRST_DAY), ga4.simple_day(FIRST_DAY))
    touch(tmp_path / "exports", "events_20240302 (1).parquet", "events_20240303.csv")
    return tmp_path


SAID = (
    "2 names at the source of property p1 look like a part of the export and were not read: "
    "events_20240302 (1).parquet (a second copy, by its name) "
    "and events_20240303.csv (.csv is not a format that is read)."
)


def test_sync_warns_once_and_lists_it_in_json(folder: Path):
    done = microconv(folder, "sync", "--format", "json")

    assert done.code == 0, done
    assert done.stderr.count("events_20240303.csv") == 1
    (finding,) = [each for each in done.document["findings"] if each["check"] == "passed_over"]
    assert (finding["severity"], finding["message"], finding["subject"]) == ("warning", SAID, "p1")
    assert "Rename what is to be read" in finding["remedy"]


def test_sync_that_fails_says_it_too(folder: Path):
    shard(folder, FIRST_DAY).write_bytes(b"PAR1")

    done = microconv(folder, "sync")

    assert done.code == 3
    assert SAID in done.stderr


def test_doctor_names_it(folder: Path):
    findings = {each.check: each for each in diagnose(lambda: load_config(folder / "microconv.toml", {}))}

    assert (findings["passed over"].severity, findings["passed over"].message) == ("warning", SAID)
    for path in folder.glob("exports/* (1).parquet"):
        path.unlink()
    (folder / "exports" / "events_20240303.csv").unlink()
    findings = {each.check: each for each in diagnose(lambda: load_config(folder / "microconv.toml", {}))}
    assert findings["passed over"].severity == "ok"


def test_init_names_it(folder: Path):
    arguments = ["init", "--exports", str(folder / "exports"), "--property", "p1", "--timezone", "UTC"]
    result = CliRunner().invoke(cli, [*arguments, "--output", str(folder / "new.toml"), "--format", "json"])

    assert result.exit_code == 0, result.stderr
    assert "2 names in" in result.stderr
    assert "events_20240303.csv (.csv is not a format that is read)" in result.stderr
    assert [Path(each["place"]).name for each in json.loads(result.stdout)["exports"]["passed_over"]] == [
        "events_20240302 (1).parquet",
        "events_20240303.csv",
    ]


def test_init_on_the_folder_above_says_which_one_holds_shards(folder: Path):
    arguments = ["init", "--exports", str(folder), "--property", "p1", "--timezone", "UTC"]
    result = CliRunner().invoke(cli, [*arguments, "--output", str(folder / "new.toml")])

    assert result.exit_code == 3
    assert "exports (a folder with 1 shard that `path` does not reach)" in result.stderr


# Folders and paths that cannot be read


@pytest.mark.parametrize("mode", [0o400, 0o000, 0o100])
def test_folder_that_cannot_be_listed_or_entered_is_an_error_of_the_source(folder: Path, mode: int):
    exports = folder / "exports"
    exports.chmod(mode)
    try:
        done = microconv(folder, "sync", before=unprivileged())
    finally:
        exports.chmod(0o700)

    if done.code == 77:
        pytest.skip("this root may not give up its privileges, so no permission holds for it")
    done.assert_failed(3, str(exports), "Permission denied", "Let the user of this run read")


@pytest.mark.parametrize("path", ["x" * 300 + "/events_*", "exports/" + "y" * 300, "a/" * 3000 + "events_*"], ids=len)
def test_path_that_is_too_long_is_an_error_of_the_configuration(tmp_path: Path, path: str):
    write_config(tmp_path, exports=path)

    done = microconv(tmp_path, "sync")

    assert done.code == 2
    assert "does not know" not in done.stderr
    assert "sources[0].path is too long for a path" in done.stderr


def test_folder_of_the_same_name_as_a_file_of_the_export_is_read_past(folder: Path):
    (folder / "exports" / "events_20240304.parquet").mkdir()

    with Project(load_config(folder / "microconv.toml", {})) as project:
        result = project.sync()

    assert result.shards["staged"] == 1
    assert "events_20240304.parquet (it is a folder, and only files are read)" in " ".join(
        finding.message for finding in result.findings
    )
