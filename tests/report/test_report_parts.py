"""What the sections with a view of their own say and draw, read without a browser."""

from __future__ import annotations

import html
import json
import math
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from report_parts import (
    CHARTS,
    FIRST,
    RATES,
    changes,
    ethics,
    filled,
    guardrails,
    lift,
    paths,
    priorities,
    with_all_parts,
)
from report_sample import answered, coverage, without

from microconv.analyses.insight.lift import LiftResult
from microconv.analyses.propensity.model_card import PropensityDecile, PropensityResult
from microconv.priorities.prioritize import PrioritiesResult
from microconv.report import ReportData, attention, render_report
from microconv.report.blocks import Lines, OverviewLine
from microconv.report.figures import curve_figure
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
    assert "purchase +18.0%" in told  # as the section of the trend says it


def told_by(data: ReportData) -> dict[str, list[OverviewLine]]:
    return {block.title: [*block.lines] for block in overview_blocks(data) if isinstance(block, Lines)}


def test_what_stops_things_or_makes_numbers_wrong_comes_before_the_first_idea(data):
    told = told_by(data)

    assert [line.section for line in told["What to do first"]] == ["guardrails", "ethics", "coverage", "priorities"]
    assert "Guardrail newsletter_signup is breached" in told["What to do first"][0].text
    assert told["What to do first"][1].text == (
        "Segment open is stopped by open questions of ethics: consent not answered."
    )
    assert told["What to do first"][2].text.startswith("add_to_cart was missing from 3 to 4 November 2026")
    assert told["What to do first"][3].text == (
        "Do improve:cart. That may bring 19.0 more actors to purchase in 28 days (10.0 to 25.0 as assumed, on observed "
        "evidence)."
    )
    assert sum(map(len, told.values())) == MOST_LINES


def test_ideas_that_are_tied_say_so_in_the_overview(data):
    calm = answered(
        replace(data, ethics=None), replace(guardrails("x"), guardrails=()), replace(coverage(), outages=())
    )
    first = told_by(calm)["What to do first"]

    assert [line.section for line in first[:3]] == ["priorities"] * 3
    assert "tied" not in first[0].text
    assert first[1].text.endswith("As good as tied with improve:pay.")
    assert first[2].text.endswith("As good as tied with test:newsletter_signup.")


def test_where_nothing_can_be_ranked_there_is_no_chart_of_ranks_and_what_was_noticed_comes_first(data):
    result = priorities("x")
    bare = replace(result, priorities=result.priorities[3:], sentence="Not enough data to say what would bring more.")
    page = render_report(answered(data, bare))

    assert 'id="priorities-1"' not in page
    section = text_of(part_of(page, "priorities"))
    assert section.startswith("What to do first Not enough data to say what would bring more.")
    assert "Mend it." in section
    none = render_report(answered(data, replace(bare, priorities=())))
    assert "<table" not in part_of(none, "priorities")
    assert "priorities" not in {line.section for lines in told_by(answered(data, bare)).values() for line in lines}


def test_tied_ideas_are_drawn_with_lines_that_overlap(data):
    figure = figure_of(render_report(data), "priorities-1")

    assert figure["data"][0]["x"] == [1, 2, 3]
    assert [(line["x0"], line["x1"]) for line in figure["layout"]["shapes"]] == [(1, 1), (2, 3), (2, 3)]


def test_without_ideas_the_overview_tells_the_largest_loss_and_the_strongest_lift(data):
    bare = without(replace(data, ethics=None), PrioritiesResult)
    told = " ".join(line.text for lines in told_by(bare).values() for line in lines)

    assert told.index("Guardrail newsletter_signup is breached") < told.index("add_to_cart was missing")
    assert "Most actors are lost between view_item and add_to_cart: 16,681 of 20,400 (81.8%)." in told
    assert (
        "add_to_cart goes with 6.66 times as many purchase (5.40 to 8.22, adjusted): worth a test, not a proof." in told
    )


def test_the_trend_holds_each_day_against_the_one_before(data):
    page = render_report(data)
    before, now, _ = figure_of(page, "trend-1")["data"]

    assert now["y"] == pytest.approx(list(RATES))
    assert now["x"][0] == before["x"][0] == "2026-11-05"
    assert before["name"] == "The days before"
    assert "1.0% to 1.7% a day these days" in text_of(part_of(page, "trend"))
    assert "newsletter_signup moves first." in text_of(part_of(page, "trend"))
    assert figure_of(page, "leading-1")["data"]


def test_from_four_weeks_on_a_line_over_seven_days_takes_out_the_rhythm_of_the_week(data):
    page = render_report(data)
    *_, week = figure_of(page, "trend-1")["data"]
    twice = [*RATES, *RATES]  # these days are like those before

    assert week["y"] == pytest.approx([sum(twice[14 + place - 6 : 14 + place + 1]) / 7 for place in range(14)])
    assert "1.3% at the start, 1.4% at the end" in text_of(part_of(page, "trend"))
    short = replace(changes("x"), series=changes("x").series[2:])
    assert len(figure_of(render_report(answered(data, short)), "trend-1")["data"]) == 2


def test_seven_days_one_of_which_is_not_known_have_no_share(data):
    gap = replace(changes("x"), series=tuple(each for each in changes("x").series if each.event_date.day != 10))
    padded = (*gap.series, *(replace(each, event_date=FIRST - timedelta(days=30)) for each in gap.series[:2]))
    *_, week = figure_of(render_report(answered(data, replace(gap, series=padded))), "trend-1")["data"]

    # 5 to 18 November: the 10th is missing, and with it the seven days up to the 16th.
    assert [share is None for share in week["y"]] == [False] * 5 + [True] * 7 + [False] * 2


def test_the_checklist_says_for_each_segment_what_is_open_and_whether_that_stops_it(data):
    part = part_of(render_report(data), "ethics")
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in part.split("<tr>")[2:4]]

    assert rows[0] == ["segment answered", "no", *["ok"] * 6]
    assert rows[1] == ["segment open", "yes", *["ok"] * 5, "unanswered"]
    assert "newsletter_signup" in part  # what was noted with an answer


def test_open_questions_that_stop_nothing_are_no_line_of_the_overview(data):
    lenient = replace(data, do_ethics_stop=False)

    assert "ethics" not in {line.section for lines in told_by(lenient).values() for line in lines}
    assert '<td class="words">no</td>' in part_of(render_report(lenient), "ethics")
    assert '<td class="words">yes</td>' not in part_of(render_report(lenient), "ethics")


def test_several_segments_that_are_stopped_are_one_line(data):
    many = replace(data, ethics=ethics("x", *(f"segment s{number}" for number in range(5))))
    (line,) = [line for lines in told_by(many).values() for line in lines if line.section == "ethics"]

    assert line.text == "Segment s0, segment s1, segment s2 and 2 more are stopped by open questions of ethics."


def test_a_checklist_that_nobody_uses_is_no_section(data):
    nothing = tuple(replace(each, state="not required", answer="") for each in ethics("x").answers)

    assert "ethics" not in {part.id for part in parts(replace(data, ethics=replace(ethics("x"), answers=nothing)))}


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
    names = flow["node"]["customdata"]
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


def test_the_node_that_all_come_to_has_its_name_above_it_where_it_covers_no_other(data):
    figure = figure_of(render_report(data), "paths-chart")

    assert "purchase" not in figure["data"][0]["node"]["label"]
    assert [each["text"] for each in figure["layout"]["annotations"]] == ["purchase"]


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


def test_of_many_numbers_of_times_every_fifth_and_the_last_are_written():
    def written(*times: str) -> list[str]:
        return curve_figure(times, [(0.1, 0.05, 0.2)] * len(times))["layout"]["xaxis"]["ticktext"]

    many = written(*map(str, range(18)), "18 or more")
    assert {place: text for place, text in enumerate(many) if text} == {
        0: "0",
        5: "5",
        10: "10",
        15: "15",
        18: "18+",
    }
    assert "15" not in written(*map(str, range(17)), "17 or more")
    assert written("0", "1", "2 or more") == ["0", "1", "2+"]


def test_calibration_has_the_table_of_its_own_numbers_after_it(data):
    after = part_of(render_report(data), "propensity").partition('id="propensity-1-figure"')[2]

    assert "Chance to reach purchase" in after.partition("</caption>")[0]


def test_without_a_model_no_table_says_so_again(data):
    full = data.result(PropensityResult)
    row = filled(PropensityDecile, says="no model was trained")
    none = replace(full, status="", figures=(), deciles=(row,), sentence="No model yet.")
    answers = tuple(
        replace(each, result=none) if isinstance(each.result, PropensityResult) else each for each in data.answers
    )
    part = part_of(render_report(replace(data, answers=answers)), "propensity")

    assert "No model yet." in part
    assert "<table" not in part


def test_a_flow_leaves_room_for_its_nodes(data):
    figure = figure_of(render_report(data), "paths-chart")
    node, layout = figure["data"][0]["node"], figure["layout"]
    room = layout["height"] - layout["margin"]["t"] - layout["margin"]["b"]

    # Columns have two nodes at most, so what one gap leaves is the height of a node that all journeys come to.
    assert node["y"][node["customdata"].index("purchase")] == pytest.approx((1 - node["pad"] / room) / 2)


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
