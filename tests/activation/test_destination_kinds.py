"""Kinds of destinations: ours, and those that installed packages add."""

from __future__ import annotations

from pathlib import Path

import pytest
from memory_destination import MemorySettings

from microconv import catalogue
from microconv.activation.destinations.file import FileDestination, FileSettings
from microconv.config.load import load_config
from microconv.errors import ConfigError, UsageError
from microconv.project import Project

CONFIG = """\
[project]
timezone = "UTC"

[[sources]]
property = "123"
path = "exports/events_*.parquet"

[[destinations]]
name = "theirs"
kind = "memory"
"""


def install(folder: Path, package: str, points: str) -> None:
    """Lay down what an installer leaves of a package that adds destinations."""
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{catalogue.DESTINATION_GROUP}]\n{points}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, as packages are installed into."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "microconv.toml"
    path.write_text(CONFIG)
    return path


def problem(config_file: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(config_file, {}, catalogue.destination_settings)
    return caught.value.message


def test_kinds_of_ours_are_found_by_name() -> None:
    assert catalogue.destination_class("file") is FileDestination
    assert catalogue.destination_settings("file") is FileSettings
    with pytest.raises(UsageError, match=r"no such kind of destination \(did you mean \"file\"\?\)") as caught:
        catalogue.destination_class("files")
    assert caught.value.hint == f"Choose one of {', '.join(catalogue.DESTINATIONS)}."


def test_every_kind_has_settings_of_its_own_name() -> None:
    for kind, line in catalogue.DESTINATIONS.items():
        settings = catalogue.destination_settings(kind)
        assert settings.model_fields["kind"].default == kind
        assert settings.model_config["extra"] == "forbid"
        assert line.takes.endswith(".")


def test_package_adds_a_kind_that_can_be_configured_and_used(site: Path, config_file: Path) -> None:
    install(site, "theirs", "memory = memory_destination:MemoryDestination")
    config = load_config(config_file, {}, catalogue.destination_settings)
    assert config.destinations == (MemorySettings(name="theirs"),)
    destination = Project(config).destination("theirs")
    assert destination.target("buyers").words == "sent to memory"


def test_keys_of_an_added_kind_are_checked_with_the_file(site: Path, config_file: Path) -> None:
    install(site, "theirs", "memory = memory_destination:MemoryDestination")
    config_file.write_text(CONFIG + "path = 'x'\n")
    assert "line 11: destinations[0].path is not a known key (known are name, kind, max_age, push)" in problem(
        config_file
    )


def test_added_kinds_are_among_the_known_ones(site: Path, config_file: Path) -> None:
    install(site, "theirs", "mailer = memory_destination:MemoryDestination")
    known = ", ".join([*catalogue.DESTINATIONS, "mailer"])
    assert f"there is no such kind of destination (known are {known})" in problem(config_file)


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_name_of_ours_cannot_be_taken(site: Path, config_file: Path, kind: str) -> None:
    install(site, "theirs", "file = memory_destination:MemoryDestination")
    config_file.write_text(CONFIG.replace('kind = "memory"', f'kind = "{kind}"\nformat = "csv"'))
    said = problem(config_file)
    assert 'the package theirs adds a kind of destination called "file", and there is one already' in said


def test_two_packages_cannot_add_one_name(site: Path, config_file: Path) -> None:
    install(site, "theirs", "memory = memory_destination:MemoryDestination")
    install(site, "others", "memory = memory_destination:MemoryDestination")
    assert 'adds a kind of destination called "memory", and there is one already' in problem(config_file)


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ("memory = no_such_module:Destination", "the package theirs cannot be loaded (No module named"),
        ("memory = memory_destination:Missing", "the package theirs cannot be loaded ("),
        ("memory = memory_destination:MemorySettings", "as a destination, memory_destination:MemorySettings, is not"),
        ("memory = memory_destination:PLAIN", "as a destination, memory_destination:PLAIN, is not one"),
    ],
)
def test_broken_package_is_named(site: Path, config_file: Path, point: str, said: str) -> None:
    install(site, "theirs", point)
    assert said in problem(config_file)
