"""Derived entries and hesitation in the answers, like any other entry; and what stages them again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import ga4
from external_files import SECTIONS, ask, opened, row, visit, write_day, write_rows
from microconv.cli import cli
from microconv.config.load import load_config
from microconv.project import Project
from projects import write_config

DAYS = [date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 3)]
TAXONOMY = """version = "1.0"
[[micro_conversions]]
id = "view"
event = "view_item"
kind = "secondary"
stage = "consideration"
[[micro_conversions]]
id = "keen"
derived = { of = "view", times = 2, within = "1h" }
kind = "milestone"
stage = "consideration"
[[micro_conversions]]
id = "cart"
event = "add_to_cart"
kind = "milestone"
stage = "decision"
[[micro_conversions]]
id = "left"
hesitation = { start = "cart", without = "buy", within = "1h" }
stage = "decision"
[[micro_conversions]]
id = "buy"
event = "purchase"
kind = "macro"
stage = "decision"
"""
SECTIONS_ASKED = """
[taxonomy]
preset = "none"
file = "taxonomy.toml"
[[funnels]]
name = "way"
steps = ["view", "keen", "left", "buy"]
window = "7d"
[[segments]]
name = "keen_ones"
rule = { did = "keen", within = "7d" }
[[segments]]
name = "leavers"
rule = { did = "left", within = "7d" }
[[segments]]
name = "keen_who_never_left"
rule = { did = "keen", within = "7d", not_did = "left" }
"""
DONE = (
    # One who looks twice, leaves the cart, and buys on the next day; one who buys at once; one who looks once a day.
    ("1.1", "2024-03-01 10:00:00", "view_item"),
    ("1.1", "2024-03-01 10:05:00", "view_item"),
    ("1.1", "2024-03-01 10:10:00", "add_to_cart"),
    ("1.1", "2024-03-02 09:00:00", "purchase"),
    ("2.2", "2024-03-01 10:00:00", "view_item"),
    ("2.2", "2024-03-01 10:05:00", "view_item"),
    ("2.2", "2024-03-01 10:06:00", "add_to_cart"),
    ("2.2", "2024-03-01 10:20:00", "purchase"),
    ("3.3", "2024-03-01 12:00:00", "view_item"),
    ("3.3", "2024-03-03 12:00:00", "view_item"),
)


def write_project(folder: Path, timezone: str = "UTC") -> Path:
    (folder / "taxonomy.toml").write_text(TAXONOMY, encoding="utf-8")
    for day in DAYS:
        events = [
            ga4.event(at, name, client=client, session=day.day, params={"page_location": "https://a.example/x"})
            for client, at, name in DONE
            if at.startswith(str(day))
        ]
        path = folder / "exports" / f"{ga4.shard_name(day)}.parquet"
        if not path.exists():
            ga4.write_parquet(path, events)
    return write_config(folder, timezone=timezone, extra=SECTIONS_ASKED)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    config = write_project(tmp_path_factory.mktemp("answers"))
    with Project(load_config(config, {})) as opened_project:
        opened_project.sync()
        yield opened_project


def test_they_are_steps_of_a_funnel(project: Project) -> None:
    assert [step.count for step in project.funnel("way").steps] == [3, 2, 1, 1]


def test_a_funnel_asked_on_the_spot_takes_them_too(project: Project) -> None:
    found = project.ask("funnel_times", steps=["keen", "left"], window="7d")
    assert [(each.from_step, each.to_step, each.count, each.seconds_median) for each in found.rows[:1]] == [
        ("keen", "left", 1, 3_900.0)
    ]


def test_they_decide_who_is_in_a_segment(project: Project) -> None:
    names = ("keen_ones", "leavers", "keen_who_never_left")
    members = {name: project.ask("segment", name=name).rows[0].members for name in names}
    assert members == {"keen_ones": 2, "leavers": 1, "keen_who_never_left": 1}


def test_they_are_touchpoints_and_goals_of_attribution(project: Project) -> None:
    asked = {"touchpoint": "micro_conversion", "models": ("last",), "windows": ("7d",)}
    credit = {each.touchpoint: each.credit for each in project.attribution(goal="buy", **asked).rows if each.credit}
    assert credit == {"left": 1.0, "cart": 1.0}
    assert project.attribution(goal="keen", **asked).conversions == 2


def test_they_are_nodes_of_paths(project: Project) -> None:
    found = project.ask("path_transitions", to="buy", count="actors", window="7d")
    ways = {(each.from_node, each.to_node): each.transitions for each in found.rows}
    assert ways["keen", "cart"] == 2
    assert ways["cart", "left"] == ways["left", "buy"] == ways["cart", "buy"] == 1
    assert project.ask("path_sequences", to="left", count="actors", window="7d").journeys == 1


def test_they_are_milestones_that_discover_proposes(project: Project) -> None:
    found = project.ask("discover", goal="buy", window="7d")
    assert [(each.sequence, each.actors) for each in found.rows] == [("keen > cart", 2)]


def test_coverage_counts_them_by_day(project: Project) -> None:
    covered: Counter[str] = Counter()
    for each in project.coverage().days:
        covered[each.micro_conversion] += each.occurrences
    assert covered == {"view": 6, "keen": 2, "cart": 2, "left": 1, "buy": 2}


def test_hesitation_names_the_transition(project: Project) -> None:
    (found,) = project.ask("hesitation").rows
    assert (found.micro_conversion, found.from_mindset, found.to_mindset) == ("left", "commitment", "loyalty")


def rows_of(project: Project, table: str) -> list[str]:
    return sorted(str(sorted(each.items())) for each in ask(project, f"SELECT * FROM {table}"))


def test_another_zone_makes_days_again_from_staged_events_and_says_why(tmp_path: Path) -> None:
    with Project(load_config(write_project(tmp_path), {})) as first:
        first.sync()
    config = write_project(tmp_path, "Asia/Tokyo")
    for path in (tmp_path / "exports").iterdir():  # nothing can be read any more
        was = path.stat()
        path.write_bytes(b"#" * was.st_size)
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    shown = CliRunner().invoke(cli, ["-c", str(config), "sync", "--plan"])
    assert "another `project.timezone` dates what did not happen; no shard is read" in " ".join(shown.stdout.split())
    synced = CliRunner().invoke(cli, ["-c", str(config), "sync"])
    assert synced.exit_code == 0, synced.output
    said = " ".join(synced.stderr.split())
    assert "Another `project.timezone` dates what did not happen: 3 days are staged again." in said
    assert "This version of microconv stages differently" not in said
    with Project(load_config(config, {})) as again:
        assert again.plan().days == ()
        assert again.funnel("way").steps[2].count == 1


RULE = '{ of = ["lead", "seen"], times = 2, within = "2d" }'
OF_BOTH = f"""
[[micro_conversions]]
id = "seen"
event = "view_item"
kind = "secondary"
stage = "consideration"
[[micro_conversions]]
id = "warm"
derived = {RULE}
kind = "milestone"
stage = "decision"
[[micro_conversions]]
id = "cold"
hesitation = {{ start = ["lead", "seen"], without = "deal", within = "1d" }}
stage = "decision"
[[micro_conversions]]
id = "warm_and_cold"
derived = {{ first = "warm", then = ["seen", "cold"], within = "5d" }}
kind = "secondary"
stage = "decision"
"""


def test_new_external_rows_then_another_rule_leave_what_a_rebuild_makes(tmp_path: Path) -> None:
    external = (
        'version = "1.0"\n[[micro_conversions]]\nid = "lead"\nkind = "milestone"\nstage = "decision"\n'
        'external = "qualified"\n[[micro_conversions]]\nid = "deal"\nkind = "macro"\nstage = "post_sale"\n'
        'external = "won"\n'
    )
    for day in DAYS:
        events = [visit(day, client=f"{n}.1", user=f"u{n}") for n in (1, 2, 3) if (day.day + n) % 3]
        write_day(tmp_path, day, events)
    write_rows(tmp_path / "crm/a.csv", [row("2024-03-01T09:00:00Z", user="u1"), row("2024-03-02T09:00:00Z", user="u2")])
    changed = (external + OF_BOTH).replace(RULE, '{ of = ["lead", "seen"], days = 2, within = "3d" }')

    def derived(project: Project) -> dict[str, int]:
        found = ask(
            project, "SELECT micro_conversion AS e, COUNT(*) AS n FROM mc_micro_conversions WHERE is_derived GROUP BY 1"
        )
        return {each["e"]: each["n"] for each in found}

    with opened(tmp_path, SECTIONS, taxonomy=external + OF_BOTH, database="step") as project:
        project.sync()
        before = derived(project)
    write_rows(
        tmp_path / "crm/b.csv", [row("2024-03-01T08:00:00Z", user="u3"), row("2024-03-01T18:00:00Z", "won", user="u1")]
    )
    with opened(tmp_path, SECTIONS, taxonomy=external + OF_BOTH, database="step") as project:
        project.sync()
        after_file = derived(project)
        staged: dict[str, Any] = {name: rows_of(project, name) for name in ("mc_micro_conversions", "mc_signals")}
    with opened(tmp_path, SECTIONS, taxonomy=external + OF_BOTH, database="anew") as project:
        project.sync()
        assert {name: rows_of(project, name) for name in staged} == staged
    with opened(tmp_path, SECTIONS, taxonomy=changed, database="step") as project:
        assert set(project.plan().reasons()) == {"taxonomy from staged events"}
        project.sync()
        after_rule = derived(project)
        staged = {name: rows_of(project, name) for name in staged}
    with opened(tmp_path, SECTIONS, taxonomy=changed, database="anew_again") as project:
        project.sync()
        assert {name: rows_of(project, name) for name in staged} == staged
    assert before != after_file != after_rule
    assert set(before) == {"warm", "cold", "warm_and_cold"}
