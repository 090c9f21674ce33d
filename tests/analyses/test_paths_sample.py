"""Paths and discovery on the real sample: counts tie to figures computed from raw rows by other code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microconv.config.load import load_config
from microconv.project import Project
from projects import write_config


@pytest.fixture(scope="module")
def reference(sample: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((sample / "reference.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def project(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    config = write_config(tmp_path_factory.mktemp("sample"), exports=str(sample / "ga4_sample" / "events_*.parquet"))
    with Project(load_config(config, {})) as opened:
        opened.sync()
        yield opened


@pytest.mark.parametrize("name", ["view_item", "add_to_cart", "purchase"])
@pytest.mark.parametrize("leads", ["to", "from_"])
def test_each_unit_with_the_point_has_a_journey(project: Project, reference: dict[str, Any], name: str, leads: str):
    assert project.paths(**{leads: name}).journeys == reference["sessions_by_name"][name]
    assert project.paths(**{leads: name}, count="actors").journeys == reference["users_by_name"][name]


def test_each_session_with_a_page_view_has_a_journey_of_pages(project: Project, reference: dict[str, Any]):
    result = project.paths(nodes="page")
    assert result.journeys == reference["sessions_by_name"]["page_view"]
    assert result.conversions == reference["sessions_by_name"]["purchase"]


def test_arrivals_at_pages_are_the_page_views_when_repeats_are_kept(project: Project):
    result = project.paths(nodes="page", keep_repeats=True)
    arrivals = sum(row.transitions for row in result.transitions if row.to_node != "(exit)")
    assert arrivals == sum(channel.page_views for channel in project.channels().channels)


def test_flow_to_purchase_carries_every_session(project: Project, reference: dict[str, Any]):
    result = project.paths(to="purchase", max_nodes=2)
    assert (
        sum(link.journeys for link in result.links if link.from_position == -1)
        == (reference["sessions_by_name"]["purchase"])
    )


def test_discovery_proposes_the_way_to_purchase_and_its_funnel_counts_as_many(
    project: Project, reference: dict[str, Any], tmp_path: Path
):
    result = project.discover(goal="purchase")
    assert result.actors == reference["users_by_name"]["purchase"]
    milestones = ("view_item", "add_to_cart", "begin_checkout", "purchase")
    assert tuple(step for step in result.steps if step in milestones) == milestones
    assert result.share is not None
    assert result.share > 0.5
    database = project.config.engine.path
    project.close()
    file = write_config(tmp_path, extra=result.toml or "")
    with Project(load_config(file, {"MICROCONV_ENGINE__PATH": str(database)})) as pasted:
        assert pasted.funnel("purchase_journey").steps[-1].count >= result.support
