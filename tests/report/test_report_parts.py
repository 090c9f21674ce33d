"""What the sections with a view of their own say and draw, read without a browser."""

from __future__ import annotations

import html
import json
import math
import re
from dataclasses import replace

import pytest
from report_parts import CHARTS, RATES, lift, paths, with_all_parts
from report_sample import answered

from microconv.analyses.insight.lift import LiftResult
from microconv.report import attention, render_report
from microconv.report.blocks import Lines
from microconv.report.overview import MOST_LINES, overview_blocks
from microconv.report.page_sections import SECTIONS, parts
from microconv.report.path_section import drawn_links

EVIL = "</script><img src=x onerror=alert(1)><b>Bold</b>"


@pytest.fixture
def data(report_data, tmp_path):
    return with_all_parts(report_data, tmp_path, "newsletter_signup")


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def part_of(page: str, anchor: str) -> str:
    return page.partition(f'<section id="{anchor}">')[2].partition("</section>")[0]


def figure_of(page: str, chart: str) -> dict:
    body = page.partition(f'<script type="application/json" id="{chart}-figure">')[2].partition("</script>")[0]
    return json.loads(body)


def test_sections_come_in_the_order_of_the_table(data):
    order = [section.id for section in SECTIONS]
    shown = [part.id for part in parts(data)]

    assert shown == sorted(shown, key=order.index)
    assert {"overview", "trend", "journey", "paths", "lift", "thresholds", "momentum", "segments"} <= {*shown}


def test_the_overview_is_at_most_five_lines_each_from_a_section_of_the_page(data):
    page = render_report(data)
    lines = [line for block in overview_blocks(data) if isinstance(block, Lines) for line in block.lines]

    assert 3 <= len(lines) <= MOST_LINES
    assert {line.section for line in lines} <= {part.id for part in parts(data)}
    for line in lines:
        assert f'<a href="#{line.section}">' in part_of(page, "overview")
    told = " ".join(line.text for line in lines)
    assert told.index("Guardrail newsletter_signup is breached") < told.index("add_to_cart was missing")
    assert "purchase +18.0%" in told  # as the section of the trend says it
    assert "add_to_cart was missing from 3 to 4 November 2026" in told
    assert "Most actors are lost between view_item and add_to_cart: 16,681 of 20,400 (81.8%)." in told
    assert (
        "add_to_cart goes with 6.66 times as many purchase (5.40 to 8.22, adjusted): worth a test, not a proof." in told
    )


def test_the_trend_holds_each_day_against_the_one_before(data):
    page = render_report(data)
    before, now = figure_of(page, "trend-1")["data"]

    assert now["y"] == pytest.approx(list(RATES))
    assert now["x"][0] == before["x"][0] == "2026-11-05"
    assert before["name"] == "The days before"
    assert "1.0% to 1.7% a day these days" in text_of(part_of(page, "trend"))
    assert "newsletter_signup moves first." in text_of(part_of(page, "trend"))
    assert figure_of(page, "leading-1")["data"]


def test_the_journey_map_shows_what_was_seen_and_what_never_was(data):
    part = part_of(render_report(data), "journey")

    assert re.search(r"<span>view_item</span> <b>[\d,]+</b>", part)
    assert "never seen:" in part
    assert '<tr class="silent">' in part  # nothing was seen after the sale
    assert "No signal" in part


def test_a_stage_without_a_signal_is_a_finding(data):
    (silent,) = [each for each in attention(data) if each.check == "silent_stage" and each.subject == "post-sale"]

    assert silent.severity == "warning"
    assert silent.message == ("The stage post-sale has no signal: nothing that the taxonomy names there was seen.")


def test_the_flow_has_the_journeys_of_its_table(data):
    page = render_report(data)
    flow = figure_of(page, "paths-chart")["data"][0]
    names = flow["node"]["label"]
    drawn = {
        (names[start], names[end], journeys)
        for start, end, journeys in zip(
            flow["link"]["source"], flow["link"]["target"], flow["link"]["value"], strict=True
        )
    }

    assert ("view_item", "newsletter_signup", 60) in drawn
    assert ("(start)", "add_to_cart", 40) in drawn
    assert sum(journeys for _, end, journeys in drawn if end == "purchase") == 100
    for start, end, journeys in drawn:
        assert re.search(
            rf"<td class=\"words\">{re.escape(start)}</td><td class=\"words\">{end}</td><td>{journeys}</td>", page
        )


def test_small_nodes_of_the_flow_are_drawn_as_one_and_none_is_lost():
    (link, *_) = paths("x").links
    many = tuple(
        replace(link, from_position=-1, from_node=f"node_{n}", to_node="purchase", journeys=n) for n in range(1, 12)
    )
    drawn = drawn_links(replace(paths("x"), links=many))

    assert len(drawn) == 6
    assert sum(journeys for *_, journeys in drawn) == sum(range(1, 12))
    assert (-1, "(other)", "purchase", 1 + 2 + 3 + 4 + 5 + 6) in drawn


def test_lift_is_drawn_on_a_scale_of_ratios_with_intervals_and_the_band_of_placebos(data):
    page = render_report(data)
    figure = figure_of(page, "lift-1")
    marks, shapes = figure["data"][0], figure["layout"]["shapes"]

    assert marks["x"][0] == pytest.approx(math.log10(6.66))
    assert marks["marker"]["symbol"] == ["circle"] * 4
    assert [
        (round(10 ** shape["x0"], 2), round(10 ** shape["x1"], 2)) for shape in shapes if shape["type"] == "rect"
    ] == [(0.8, 1.5)]
    assert (5.4, 8.22) in [(round(10 ** shape["x0"], 2), round(10 ** shape["x1"], 2)) for shape in shapes]
    text = text_of(part_of(page, "lift"))
    assert "The dotted line is what a small step picked by chance goes with, 1.10 times." in text
    assert "The band around it is where 95% of such steps lie" in text
    assert "Adjusted: like actors are compared." in text


def test_lift_without_placebos_says_nothing_of_a_band(data):
    bare = replace(lift("x"), placebo=None, placebo_low=None, placebo_high=None, among_placebos=None)
    lifted = replace(
        data,
        answers=tuple(
            replace(each, result=bare) if isinstance(each.result, LiftResult) else each for each in data.answers
        ),
    )
    page = render_report(lifted)

    assert not [shape for shape in figure_of(page, "lift-1")["layout"]["shapes"] if shape["type"] == "rect"]
    assert "dotted line" not in part_of(page, "lift")


def test_what_a_model_foretold_is_drawn_against_what_happened(data):
    (marks,) = figure_of(render_report(data), "propensity-1")["data"]

    assert marks["x"] == pytest.approx([0.15, 0.10, 0.05])
    assert marks["y"] == pytest.approx([0.15, 0.10, 0.05])
    assert marks["error_y"]["array"] == pytest.approx([0.03, 0.02, 0.01])


def test_every_chart_says_in_words_what_it_shows_and_has_its_table(data):
    page = render_report(data)

    charts = re.findall(r'<div class="chart" id="([^"]+)" role="img" aria-label="([^"]+)"', page)
    assert {*CHARTS} <= {chart for chart, _ in charts}
    for chart, label in charts:
        assert len(label) > 60, chart
        assert "The table after it has" in label, chart
        after = page.partition(f'id="{chart}-figure"')[2]
        assert after.index("<table>") < after.find('<div class="chart"') or '<div class="chart"' not in after, chart


def test_names_are_text_in_every_section(report_data, tmp_path):
    page = render_report(with_all_parts(report_data, tmp_path, EVIL))

    assert "<img" not in page
    assert "<b>Bold" not in page
    for part in ("trend", "paths", "lift", "thresholds", "segments"):
        assert "&lt;/script&gt;&lt;img" in part_of(page, part), part


def test_the_page_stays_below_six_megabytes(data):
    assert len(render_report(data).encode()) < 6_000_000


def test_without_answers_nothing_is_drawn(report_data):
    assert "chart" not in {each.kind for part in parts(answered(report_data)) for each in part.blocks}
