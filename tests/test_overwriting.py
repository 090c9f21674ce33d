"""What a command writes never takes the place of what it reads, of its state, or of a file that is not its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from commands import FIRST_DAY, microconv, shard, write_days
from config_files import MINIMAL, problem
from microconv.config.load import load_config
from microconv.config.places import places
from projects import write_config

EXTRA = """
[taxonomy]
file = "taxonomy.toml"
[attribution]
spend_file = "spend.csv"
[identity]
file = "people/identity.csv"
[consent]
file = "consent.csv"
[[segments]]
name = "carts"
rule = { did = "add_to_cart", within = "14d" }
[[destinations]]
name = "files"
format = "csv"
path = "audiences"
[report]
sections = ["overview"]
"""
NAMED = {
    "microconv.toml": "the configuration itself",
    "microconv.duckdb": "engine.path",
    "microconv.duckdb.wal": "engine.path",
    "exports/events_20240301.parquet": "sources[0].path",
    "exports/events_20240401.parquet": "sources[0].path",
    "taxonomy.toml": "taxonomy.file",
    "spend.csv": "attribution.spend_file",
    "people/identity.csv": "identity.file",
    "consent.csv": "consent.file",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with something staged, and a file for each key that names one."""
    folder = tmp_path_factory.mktemp("project")
    write_days(folder, 1)
    write_config(folder, extra=EXTRA)
    (folder / "people").mkdir()
    (folder / "taxonomy.toml").write_text('version = "1.0"\n')
    (folder / "spend.csv").write_text("date,touchpoint,cost\n")
    (folder / "people" / "identity.csv").write_text("user_id,email\nu1,jane@example.com\n")
    (folder / "consent.csv").write_text("user_id,ad_user_data,ad_personalization,changed_at\n")
    assert microconv(folder, "sync").code == 0
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_refused(folder: Path, output: str, said: str) -> None:
    before = contents(folder)
    microconv(folder, "report", "--output", output).assert_failed(2, said, "was left as it is")
    assert contents(folder) == before


@pytest.mark.parametrize(("output", "key"), NAMED.items())
def test_report_never_takes_the_place_of_what_the_configuration_names(project: Path, output: str, key: str):
    assert_refused(project, output, key)


@pytest.mark.parametrize("output", ["./people/../people/identity.csv", "PEOPLE/../people/IDENTITY.CSV", "absolute"])
def test_another_spelling_is_the_same_file(project: Path, output: str):
    if output.startswith("PEOPLE"):  # on a file system that tells capitals apart, a folder of its own
        output = "people/IDENTITY.CSV"
        if (project / output).exists():
            pytest.skip("this file system ignores capitals: another test has it")
        (project / "people" / "identity.csv").rename(project / "people" / "kept")
    try:
        path = str(project / "consent.csv") if output == "absolute" else output
        assert_refused(project, path, "consent.file" if output == "absolute" else "identity.file")
    finally:
        if (project / "people" / "kept").exists():
            (project / "people" / "kept").rename(project / "people" / "identity.csv")


@pytest.mark.parametrize("link", ["symbolic", "hard", "folder"])
def test_link_to_a_file_that_is_named_is_the_same_file(project: Path, link: str):
    path = project / f"{link}.html"
    target = project / "people" / "identity.csv"
    if link == "symbolic":
        path.symlink_to(target)
    elif link == "hard":
        os.link(target, path)
    else:
        path.symlink_to(project / "people")
        path = path / "identity.csv"
    try:
        assert_refused(project, str(path.relative_to(project)), "identity.file")
    finally:
        (project / f"{link}.html").unlink()


@pytest.mark.parametrize("content", [b"my notes", b"<!doctype html><p>mine", b"\x00\x01"])
def test_report_replaces_a_report_and_no_other_file(project: Path, content: bytes):
    path = project / "page.html"
    path.write_bytes(content)
    assert_refused(project, "page.html", "is not a report of microconv")
    path.write_bytes(b"")  # nothing is lost
    assert microconv(project, "report", "--output", "page.html").code == 0
    first = path.read_bytes()
    assert microconv(project, "report", "--output", "page.html").code == 0
    assert len(path.read_bytes()) >= len(first) // 2
    path.unlink()


def test_report_onto_a_device_is_refused(project: Path):
    microconv(project, "report", "--output", "/dev/null").assert_failed(2, "/dev/null is not a file")
    assert not Path("/dev/null").is_file()


def test_report_can_lie_beside_shards_that_a_wide_pattern_finds(tmp_path: Path):
    write_days(tmp_path, 1)
    write_config(tmp_path, exports="exports/*", extra='[report]\nsections = ["overview"]\n')
    assert microconv(tmp_path, "sync").code == 0
    assert microconv(tmp_path, "report", "--output", "exports/report.html").code == 0


# init

OF_OTHERS = sorted(set(NAMED) - {"microconv.toml", "microconv.duckdb.wal", "exports/events_20240401.parquet"})
INIT = ("init", "--exports", "exports", "--property", "1", "--timezone", "UTC", "--force", "--output")


@pytest.mark.parametrize(
    "output",
    ["people/identity.csv", "consent.csv", "taxonomy.toml", "microconv.duckdb", "exports/events_20240301.parquet"],
)
def test_init_replaces_a_configuration_and_no_other_file(project: Path, output: str):
    before = contents(project)
    microconv(project, *INIT, output).assert_failed(2, "is not a configuration of microconv", "was left as it is")
    assert contents(project) == before


def test_init_replaces_a_configuration_that_somebody_wrote(project: Path):
    path = project / "other.toml"
    path.write_text("# by hand\n[project]\nname = ")
    assert microconv(project, *INIT, "other.toml").code == 0
    assert load_config(path, {}).project.timezone == "UTC"
    path.unlink()


def test_new_configuration_does_not_lie_where_it_puts_the_database(tmp_path: Path):
    write_days(tmp_path, 1)
    done = microconv(tmp_path, *INIT, "microconv.duckdb")
    assert (done.code, done.stdout) == (2, "")
    assert "leads to what engine.path of the configuration names" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["exports"]


# Keys that name the same file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[engine]\npath = "identity.csv"\n[identity]\nfile = "./identity.csv"\n', "identity.file"),
        ('[engine]\npath = "x/../Consent.CSV"\n[consent]\nfile = "consent.csv"\n', "consent.file"),
        ('[engine]\npath = "microconv.toml"\n', "the configuration itself"),
        ('[engine]\npath = "t.toml"\n[taxonomy]\nfile = "t.toml"\n', "taxonomy.file"),
        ('[engine]\npath = "exports/events_20240301.parquet"\n', "sources[0].path"),
        ('[engine]\npath = "s.csv"\n[attribution]\nspend_file = "s.csv"\n', "attribution.spend_file"),
    ],
)
def test_database_that_another_key_names_too_is_a_mistake_of_the_configuration(tmp_path: Path, text: str, said: str):
    (tmp_path / "x").mkdir()
    message = problem(tmp_path, MINIMAL + text)
    assert "engine.path (" in message
    assert said in message


AUDIENCE = """
[[segments]]
name = "identity"
rule = { did = "purchase", within = "14d" }
[[destinations]]
name = "files"
format = "csv"
path = "people"
[identity]
file = "people/identity.csv"
"""


def test_audience_file_that_would_replace_the_table_of_people_is_a_mistake_of_the_configuration(tmp_path: Path):
    message = problem(tmp_path, MINIMAL + AUDIENCE)
    assert "identity.file (" in message
    assert 'audience file of the segment "identity"' in message
    assert 'destination "files"' in message


def test_audiences_may_lie_beside_the_configuration(tmp_path: Path):
    (tmp_path / "microconv.toml").write_text(
        MINIMAL + AUDIENCE.replace('"people"', f'"{tmp_path}"').replace('"identity"', '"microconv"')
    )
    assert load_config(tmp_path / "microconv.toml", {}).segments[0].name == "microconv"


def test_every_path_of_a_configuration_is_a_place(project: Path):
    config = load_config(project / "microconv.toml", {})
    keys = {place.key for place in places(config)}
    assert keys == set(NAMED.values())
    assert shard(project, FIRST_DAY).exists()
