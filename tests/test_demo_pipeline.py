"""`microconv demo` end to end: what the pipeline finds is what was planted."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from microconv.config.load import load_config
from microconv.project import Project

MICROCONV = Path(sys.executable).with_name("microconv")


@dataclass(frozen=True)
class Demo:
    folder: Path
    truths: dict[str, Any]
    printed: dict[str, Any]
    stderr: str


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo") / "shop"
    run = subprocess.run(
        [MICROCONV, "demo", folder, "--events", "100000", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return Demo(folder, json.loads((folder / "truths.json").read_text()), json.loads(run.stdout), run.stderr)


@pytest.fixture
def project(demo: Demo) -> Iterator[Project]:
    with Project(load_config(demo.folder / "microconv.toml", {})) as opened:
        yield opened


def rows(project: Project, sql: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = project.engine._connection.execute(sql).fetchall()
    return found


def test_demo_leaves_a_report_and_private_audience_files(demo: Demo) -> None:
    assert (demo.folder / "report.html").read_text().startswith("<!doctype html>")
    audiences = [Path(path) for path in demo.printed["audiences"]]
    assert len(audiences) == 4
    for audience in audiences:
        assert stat.S_IMODE(audience.stat().st_mode) == 0o600
        assert audience.read_text().count("\n") > 1
    assert "Warning" not in demo.stderr


def test_outage_is_found_and_nothing_else_is(demo: Demo, project: Project) -> None:
    (outage,) = project.coverage().outages
    assert outage.micro_conversion == demo.truths["outage_event"]
    assert [outage.first_date.isoformat(), outage.last_date.isoformat()] == demo.truths["outage_dates"]
    assert any("add_to_cart was missing" in finding for finding in demo.printed["findings"])


def test_planted_lift_is_found_and_the_one_that_only_seems_so_is_nothing(demo: Demo, project: Project) -> None:
    real, seeming = demo.truths["lifts"]
    result = project.ask("lift")
    rows = {row.micro_conversion: row for row in result.rows}
    found, nothing = rows[real["event"]], rows[seeming["event"]]

    assert found.verdict == "goes with more"
    assert found.low <= real["factor"] <= found.high
    assert nothing.observed > 1.5
    assert nothing.verdict == "no more than any small step"
    assert nothing.is_among_placebos
    assert result.placebo == pytest.approx(1, abs=0.2)


def test_duplicates_sessions_and_consentless_rows_are_the_planted_ones(demo: Demo, project: Project) -> None:
    summary = project.summary()
    late = demo.truths["late_day"]
    source_rows = demo.truths["events"] + late["events_again"] - late["events_first"]
    assert summary.events + summary.duplicates_removed == source_rows
    by_day = dict(rows(project, "SELECT event_date, duplicates_removed FROM mc_shards"))
    for day in demo.truths["days"]:
        if day["date"] != late["date"]:
            assert by_day[next(key for key in by_day if key.isoformat() == day["date"])] == day["exact_duplicates"]
    assert summary.consentless_events == demo.truths["without_consent"]
    assert summary.sessions == demo.truths["sessions"]
    assert summary.provisional_days == 1
    assert rows(project, "SELECT COUNT(*) FROM mc_sessions WHERE last_event_date > session_date") == [
        (demo.truths["sessions_over_midnight"],)
    ]
    assert rows(project, "SELECT COUNT(DISTINCT client_key) FROM mc_sessions") == [(demo.truths["clients"],)]


def test_every_era_and_format_was_read(demo: Demo, project: Project) -> None:
    first_new = demo.truths["newer_columns_from"]
    assert rows(
        project,
        "SELECT MIN(last_event_date)::VARCHAR FROM mc_sessions WHERE source_rule IN ('collected', 'ga4_last_click')",
    ) == [(first_new,)]
    staged = dict(rows(project, "SELECT event_date::VARCHAR, events FROM mc_shards"))
    assert len(staged) == 30
    assert staged[demo.truths["ndjson_date"]] > 0
    assert rows(project, "SELECT kind FROM mc_shards WHERE kind <> 'daily'") == [("intraday",)]


def test_repeated_transactions_count_once(demo: Demo, project: Project) -> None:
    result, truth = project.attribution(), demo.truths["transactions"]
    assert result.conversions == truth["ids"] + truth["not_set"]
    assert result.value == pytest.approx(truth["revenue"], abs=0.005)


def test_direct_sessions_and_assistants_are_told_apart(demo: Demo, project: Project) -> None:
    own = dict(
        rows(
            project,
            "SELECT IF(source_rule = 'last_non_direct', 'Direct', channel_group), COUNT(*) FROM mc_sessions GROUP BY 1",
        )
    )
    assert own["Direct"] == demo.truths["direct_sessions"]
    assert own["AI Assistant"] == demo.truths["assistant_sessions"]
    assert own["Referral"] == demo.truths["referral_sessions"]


def test_known_path_is_credited_as_planted(demo: Demo, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(demo.folder, folder, ignore=shutil.ignore_patterns("exports", "late"))
    with Project(load_config(folder / "microconv.toml", {})) as project:
        rows(
            project,
            """CREATE TEMP TABLE walked AS
            SELECT actor_key FROM mc_sessions GROUP BY actor_key
            HAVING string_agg(IF(source_rule = 'last_non_direct', 'Direct', channel_group), ' > ' ORDER BY started_at)
              = 'Paid Search > Email > Direct'""",
        )
        for table in ("mc_sessions", "mc_micro_conversions"):
            rows(project, f"DELETE FROM {table} WHERE actor_key NOT IN (FROM walked)")
        result = project.attribution()
    known = demo.truths["known_path"]
    assert result.conversions >= known["clients"] > 0
    credit = {(row.model, row.touchpoint): row.credit for row in result.results if row.window == "30d"}
    for model in ("first", "last", "last_non_direct"):
        assert credit[model, known[model]] == result.conversions
    assert credit["linear", "Email"] == pytest.approx(result.conversions / 3)
    assert credit["position", "Email"] == pytest.approx(result.conversions * 0.2)


def occurrences(project: Project, entry: str) -> int:
    ((found,),) = rows(project, f"SELECT COUNT(*) FROM mc_micro_conversions WHERE micro_conversion = '{entry}'")
    return int(found)


def test_renamed_event_is_one_entry_before_and_after(demo: Demo, project: Project) -> None:
    truth = demo.truths["plants"]["renamed_event"]
    found = dict(
        rows(
            project,
            f"""SELECT event_date < '{truth["renamed_on"]}', COUNT(*) FROM mc_micro_conversions
            WHERE micro_conversion = 'compare_products' GROUP BY ALL""",
        )
    )
    assert found == {True: truth["old_rows"], False: truth["new_rows"]}
    assert occurrences(project, "compare_click") == 0


def test_two_tags_for_one_newsletter_are_one_occurrence(demo: Demo, project: Project) -> None:
    truth = demo.truths["plants"]["double_firing"]
    assert rows(
        project,
        "SELECT COUNT(*), SUM(copies) FROM mc_micro_conversions WHERE micro_conversion = 'newsletter_signup'",
    ) == [(truth["occurrences"], truth["rows"])]


def test_previews_prices_and_forms_are_all_staged(demo: Demo, project: Project) -> None:
    plants = demo.truths["plants"]
    assert occurrences(project, "video_preview") == plants["previews"]["rows"]
    assert occurrences(project, "pricing_view") == plants["pricing_visits"]["views"]
    assert occurrences(project, "form_start") == plants["abandoned_forms"]["starts"]
    assert occurrences(project, "form_submit") == plants["abandoned_forms"]["submissions"]


def test_what_no_single_event_shows_is_found_as_planted(demo: Demo, project: Project) -> None:
    plants = demo.truths["plants"]
    assert occurrences(project, "return_after_cart") == plants["cart_returns"]["returns"] > 0
    assert occurrences(project, "pricing_in_two_sessions") == plants["pricing_visits"]["in_two_sessions"] > 0
    assert occurrences(project, "three_previews") == plants["previews"]["three_different"] > 0


def test_forms_that_were_left_are_found_as_planted(demo: Demo, project: Project) -> None:
    forms = demo.truths["plants"]["abandoned_forms"]
    assert occurrences(project, "abandoned_form") == forms["abandoned"] > 0
    # Whoever began again is not counted for the first time.
    assert forms["abandoned"] < forms["starts"] - forms["submissions"]


def test_ladder_of_the_crm_is_climbed_as_written(demo: Demo, project: Project) -> None:
    truth = demo.truths["crm"]
    assert occurrences(project, "qualified_lead") == truth["qualified_leads"]
    assert occurrences(project, "contract_lost") == truth["lost"]
    assert rows(
        project, "SELECT COUNT(*), SUM(value) FROM mc_micro_conversions WHERE micro_conversion = 'contract_won'"
    ) == [(truth["won"], truth["value"])]
    climbed = """SELECT COUNT(*) FROM mc_micro_conversions AS q
        INNER JOIN mc_micro_conversions AS w ON w.actor_key = q.actor_key AND w.event_order > q.event_order
        WHERE q.micro_conversion = 'qualified_lead' AND w.micro_conversion = 'contract_won'"""
    assert rows(project, climbed) == [(truth["won"],)]
    # Each is the actor of the sessions of that account, but for those who never came.
    strangers = """SELECT COUNT(*) FROM mc_micro_conversions
        WHERE micro_conversion IN ('qualified_lead', 'contract_won', 'contract_lost')
        AND actor_key NOT IN (SELECT actor_key FROM mc_sessions)"""
    assert rows(project, strangers) == [(truth["unknown_users"],)]


def test_late_day_was_staged_again_and_alone(demo: Demo, project: Project) -> None:
    runs = rows(project, "SELECT status, shards_staged FROM mc_runs ORDER BY started_at")
    assert runs == [("done", 30), ("done", 1)]
    late = demo.truths["late_day"]
    (staged,) = rows(project, f"SELECT source_rows FROM mc_shards WHERE event_date = '{late['date']}'")
    assert staged == (late["events_again"],)


def test_nobody_is_exported_without_a_grant(demo: Demo) -> None:
    for audience in demo.printed["audiences"]:
        name, audience_format = Path(audience).name.split(".")[:2]
        manifest = json.loads(Path(audience).with_name(f"{name}.{audience_format}.manifest.json").read_text())
        assert manifest["excluded"]["consent_denied"] > 0
        assert manifest["excluded"]["no_consent_record"] > 0
        assert manifest["members"] == manifest["written"] + sum(manifest["excluded"].values())


def test_planted_actions_come_first(project: Project) -> None:
    rows = project.ask("prioritize").rows
    scored = [row.idea for row in rows if row.rank is not None]
    # What is planted: two checks that are worth most together, and the guide. What is not comes after.
    assert set(scored[:3]) == {"test:delivery_check", "test:store_check", "test:sizing_guide_open"}
    assert "test:video_start" not in [row.idea for row in rows]


def test_demo_of_another_size_replaces_the_demo_before_it(tmp_path: Path) -> None:
    for events in ("30000", "2000"):
        run = subprocess.run(
            [MICROCONV, "demo", tmp_path / "shop", "--events", events, "--format", "json"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        # What a killed demo leaves beside its database must not be taken for part of the next one.
        (tmp_path / "shop" / "microconv.duckdb.wal").write_bytes(b"left by a kill")
    assert json.loads(run.stdout)["events"] < 3000
