"""`taxonomy diff`: what differs between two taxonomies, what that breaks, and what staging again costs."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import ga4
from microconv.cli import cli
from microconv.config.load import load_config
from microconv.project import Project
from microconv.taxonomy import Taxonomy, difference, load_taxonomy
from projects import write_config
from taxonomy_files import GOAL, entry

DAY = date(2024, 3, 1)
OLD = GOAL + entry("guide_click", event="click_guide") + entry("left") + entry("looked", 'owner = "web"')
RENAMED = (
    GOAL
    + entry("guide_click", 'deprecated_in = "1.0"', 'replaced_by = "guide_opened"', event="click_guide")
    + entry("guide_opened")
    + entry("looked", 'owner = "shop"', 'collapse = "2s"', "value = 3.0")
    + entry("came")
)
CONFIG = """
[taxonomy]
preset = "none"
file = "old.toml"
[[funnels]]
name = "way"
steps = ["guide_click", "left", "goal"]
[[segments]]
name = "lookers"
rule = { did = "looked", within = "14d", not_did = "left" }
[[destinations]]
name = "crm"
kind = "file"
format = "csv"
path = "out"
"""


def taxonomy(folder: Path, text: str, name: str = "new.toml") -> Taxonomy:
    path = folder / name
    path.write_text(f'name = "t"\nversion = "1.0"\n{text}')
    return load_taxonomy(preset=None, file=path)


def changes(folder: Path, old: str, new: str) -> list[tuple[Any, ...]]:
    found = difference(taxonomy(folder, old, "old.toml"), taxonomy(folder, new))
    return [(each.change, each.micro_conversion, each.key, each.old, each.new) for each in found.changes]


def test_entries_that_came_went_were_renamed_and_changed(tmp_path: Path) -> None:
    assert changes(tmp_path, OLD, RENAMED) == [
        ("changed", "guide_click", "deprecated_in", None, "1.0"),
        ("changed", "guide_click", "replaced_by", None, "guide_opened"),
        ("renamed", "guide_opened", "id", "guide_click", "guide_opened"),
        ("changed", "guide_opened", "events", ["click_guide"], ["guide_opened"]),
        ("changed", "looked", "value", None, 3.0),
        ("changed", "looked", "collapse", None, "2s"),
        ("changed", "looked", "owner", "web", "shop"),
        ("added", "came", None, None, "came"),
        ("removed", "left", None, "left", None),
    ]


def test_same_entry_under_another_id_is_renamed(tmp_path: Path) -> None:
    old, new = GOAL + entry("one", event="click"), GOAL + entry("two", event="click")
    assert changes(tmp_path, old, new) == [("renamed", "two", "id", "one", "two")]
    assert changes(tmp_path, old, new.replace("click", "tap")) == [
        ("added", "two", None, None, "tap"),
        ("removed", "one", None, "click", None),
    ]


def test_equal_taxonomies_do_not_differ(tmp_path: Path) -> None:
    assert changes(tmp_path, OLD, OLD) == []


def test_words_change_no_figure(tmp_path: Path) -> None:
    found = difference(taxonomy(tmp_path, OLD, "old.toml"), taxonomy(tmp_path, RENAMED))
    decides = {(each.micro_conversion, each.key): each.decides_figures for each in found.changes}
    assert not decides["looked", "owner"]
    assert decides["looked", "value"]
    assert decides["left", None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ga4.write_parquet(tmp_path / "exports" / f"{ga4.shard_name(DAY)}.parquet", ga4.simple_day(DAY))
    (tmp_path / "old.toml").write_text(f'name = "old"\nversion = "1.0"\n{OLD}')
    (tmp_path / "new.toml").write_text(f'name = "new"\nversion = "1.1"\n{RENAMED}')
    write_config(tmp_path, extra=CONFIG)
    return tmp_path


def run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["-c", str(folder / "microconv.toml"), "taxonomy", "diff", *words])


def test_what_names_the_entries_is_told_and_what_staging_costs(folder: Path) -> None:
    with Project(load_config(folder / "microconv.toml", {})) as project:
        project.sync()
    shown = run(folder, str(folder / "old.toml"), str(folder / "new.toml"), "--format", "json")
    assert shown.exit_code == 0, shown.output
    document = json.loads(shown.stdout)
    assert {(each["named_by"], each["micro_conversion"]): each["is_breaking"] for each in document["effects"]} == {
        ('funnel "way"', "guide_click"): False,
        ('funnel "way"', "left"): True,
        ('segment "lookers"', "looked"): False,
        ('segment "lookers"', "left"): True,
        ('destination "crm" (segment "lookers")', "looked"): False,
        ('destination "crm" (segment "lookers")', "left"): True,
    }
    said = {each["micro_conversion"]: each["effect"] for each in document["effects"]}
    assert said == {
        "guide_click": "goes on: guide_click counts as guide_opened now",
        "left": "is refused: there is no left any more",
        "looked": "other figures: value, collapse of looked changed",
    }
    assert document["restaging"] == {
        "days_from_staged_events": 1,
        "days_from_shards": 0,
        "bytes": 0,
        "is_billed": False,
    }


def test_saved_results_that_name_an_entry_are_told(folder: Path) -> None:
    with Project(load_config(folder / "microconv.toml", {})) as project:
        project.sync()
    asked = CliRunner().invoke(cli, ["-c", str(folder / "microconv.toml"), "funnel", "way", "--save"])
    assert asked.exit_code == 0, asked.output
    document = json.loads(run(folder, str(folder / "old.toml"), str(folder / "new.toml"), "--format", "json").stdout)
    saved = {
        each["micro_conversion"]: each["is_breaking"]
        for each in document["effects"]
        if each["named_by"].startswith("saved result funnel ")
    }
    assert saved == {"guide_click": False, "left": True}


def test_condition_on_something_new_reads_the_shards(folder: Path) -> None:
    with Project(load_config(folder / "microconv.toml", {})) as project:
        project.sync()
    more = entry("came", 'where = [{ parameter = "method", equals = "x" }]')
    (folder / "new.toml").write_text(f'version = "1.1"\n{OLD}{more}')
    shown = run(folder, str(folder / "old.toml"), str(folder / "new.toml"))
    assert shown.exit_code == 0, shown.output
    assert "Restaging: 1 day from shards; about" in " ".join(shown.stdout.split())
    assert "Nothing that the configuration or a saved result names is affected." in " ".join(shown.stdout.split())


def test_without_new_the_taxonomy_of_the_configuration_is_compared(folder: Path) -> None:
    document = json.loads(run(folder, str(folder / "new.toml"), "--format", "json").stdout)
    assert (document["old"]["name"], document["new"]["name"]) == ("new", "old")
    same = run(folder, str(folder / "old.toml"))
    assert "Their entries do not differ." in same.stdout
    assert "Restaging: none" in same.stdout


def test_breaking_difference_fails_where_that_is_asked_for(folder: Path) -> None:
    files = str(folder / "old.toml"), str(folder / "new.toml")
    assert run(folder, *files).exit_code == 0
    failed = run(folder, *files, "--fail-on-breaking")
    assert failed.exit_code == 1
    assert 'funnel "way"' in failed.stderr
    assert run(folder, files[0], files[0], "--fail-on-breaking").exit_code == 0


def test_presets_are_compared_without_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(cli, ["taxonomy", "diff", "ecommerce", "saas"])
    assert shown.exit_code == 0, shown.output
    assert re.search(r"ecommerce [\d.]+ compared with saas [\d.]+\.", shown.stdout)
    assert "There is no configuration here" in shown.stdout


@pytest.mark.parametrize("ends", ['deprecated_in = "2.0"', 'removed_in = "2.0"'])
def test_event_renamed_in_june_is_one_entry_before_and_after(tmp_path: Path, ends: str) -> None:
    for at, name in (("2024-05-31 10:00:00", "click_guide"), ("2024-06-01 10:00:00", "guide_opened")):
        day = date.fromisoformat(at[:10])
        events = [ga4.event(at, name), ga4.event(f"{at[:11]}11:00:00", "goal")]
        ga4.write_parquet(tmp_path / "exports" / f"{ga4.shard_name(day)}.parquet", events)
    text = entry("guide_opened") + entry("guide_click", ends, 'replaced_by = "guide_opened"', event="click_guide")
    (tmp_path / "taxonomy.toml").write_text(f'version = "2.0"\n{GOAL}{text}')
    funnel = '[[funnels]]\nname = "way"\nsteps = ["guide_click", "goal"]\ncount = "sessions"\n'
    config = write_config(tmp_path, extra='[taxonomy]\npreset = "none"\nfile = "taxonomy.toml"\n' + funnel)
    with Project(load_config(config, {})) as project:
        project.sync()
        found = project.engine._connection.execute(
            "SELECT event_date::VARCHAR, micro_conversion FROM mc_micro_conversions "
            "WHERE micro_conversion != 'goal' ORDER BY ALL"
        ).fetchall()
        assert found == [("2024-05-31", "guide_opened"), ("2024-06-01", "guide_opened")]
        assert [step.count for step in project.funnel("way").steps] == [1, 1]
