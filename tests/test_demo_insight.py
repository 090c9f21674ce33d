"""What `microconv demo` plants for thresholds and combinations is found in it, and nothing else is."""

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


def test_what_is_planted_for_them_is_no_finding_of_the_audit(demo: DemoExport, project: Project) -> None:
    planted = {demo.truths.plants.threshold.event, *demo.truths.plants.combination.events}

    findings = [each for each in project.audit().findings if each.severity != "note"]

    assert findings
    assert [each.message for each in findings if any(event in each.message for event in planted)] == []
