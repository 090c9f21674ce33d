"""What `microconv demo` plants for thresholds and combinations is found in it, and nothing else; who is counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from microconv.analyses.insight.combinations import MORE
from microconv.analyses.insight.thresholds import THRESHOLD
from microconv.config.load import load_config
from microconv.demo import DemoExport, write_demo
from microconv.project import Project


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoExport:
    return write_demo(tmp_path_factory.mktemp("demo"), events=200_000)


@pytest.fixture(scope="module")
def project(demo: DemoExport) -> Iterator[Project]:
    with Project(load_config(demo.config, {})) as opened:
        opened.sync()
        yield opened


def test_planted_threshold_is_found_and_no_other(demo: DemoExport, project: Project) -> None:
    planted = demo.truths.plants.threshold

    result = project.ask("thresholds")

    found = {(row.counted, row.times) for row in result.thresholds if row.says == THRESHOLD}
    assert found == {(planted.event, planted.times)}
    assert "1 day" in {row.landmark for row in result.thresholds if row.says == THRESHOLD}


def test_planted_combination_is_found_and_no_other(demo: DemoExport, project: Project) -> None:
    planted = demo.truths.plants.combination

    result = project.ask("combinations")

    assert [set(row.combination.split(" + ")) for row in result.combinations if row.says == MORE] == [
        set(planted.events)
    ]
    assert result.found == 1


def test_who_did_one_step_of_the_planted_combination_is_to_be_invited_to_both(
    demo: DemoExport, project: Project
) -> None:
    events = demo.truths.plants.combination.events
    matching = [
        f"actor_key IN (SELECT actor_key FROM mc_micro_conversions WHERE micro_conversion = '{event}')"
        for event in events
    ]

    rows = {row.segment: row for row in project.ask("suggest_segments").proposals}
    (invited,) = (row for name, row in rows.items() if name.endswith("_not_both"))
    ((one,),) = project.query(
        f"SELECT COUNT(DISTINCT actor_key) FROM mc_sessions WHERE ({matching[0]}) <> ({matching[1]})"
    ).rows

    assert set(invited.segment.removesuffix("_not_both").split("_or_")) == set(events)
    # Of those who did one, some did it longer ago than a rule looks back, or bought.
    assert 0.4 * one < invited.members < one


def test_what_is_planted_for_them_is_no_finding_of_the_audit(demo: DemoExport, project: Project) -> None:
    planted = {demo.truths.plants.threshold.event, *demo.truths.plants.combination.events}

    findings = [each for each in project.audit().findings if each.severity != "note"]

    assert findings
    assert [each.message for each in findings if any(event in each.message for event in planted)] == []


def test_who_did_it_before_has_done_it_and_who_left_out_a_step_went_further(project: Project) -> None:
    rows = {row.idea: row for row in project.ask("prioritize").priorities}
    ((never, not_after, stayed, not_next),) = project.query(
        "WITH first AS (SELECT actor_key, MIN(event_order) AS o FROM mc_micro_conversions "
        "WHERE micro_conversion = 'view_item' GROUP BY 1), "
        "done AS (SELECT f.actor_key, "
        "COUNTIF(m.micro_conversion = 'delivery_check') AS checks, "
        "COUNTIF(m.micro_conversion = 'delivery_check' AND m.event_order > f.o) AS checks_after, "
        "COUNTIF(m.micro_conversion = 'add_to_cart' AND m.event_order > f.o) AS next_step, "
        "COUNTIF(m.micro_conversion IN ('add_to_cart', 'begin_checkout', 'add_shipping_info', 'add_payment_info', "
        "'purchase') AND m.event_order > f.o) AS later_steps "
        "FROM first AS f JOIN mc_micro_conversions AS m ON m.actor_key = f.actor_key GROUP BY 1) "
        "SELECT COUNTIF(checks = 0), COUNTIF(checks_after = 0), COUNTIF(later_steps = 0), COUNTIF(next_step = 0) "
        "FROM done"
    ).rows
    assert never < not_after
    assert stayed < not_next
    assert f": {never:,} did view_item and never delivery_check." in rows["test:delivery_check"].what
    assert f"after view_item: {stayed:,} of " in rows["improve:view_item"].what
