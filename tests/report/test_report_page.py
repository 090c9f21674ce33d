"""What the page says, read without a browser."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date, datetime, timedelta
from html.parser import HTMLParser

import pytest
from report_sample import CREDITS, ENTRIES, MODELS, answered, attribution, coverage, funnel

from microconv.analyses.channels import ChannelSessions, ChannelsResult
from microconv.analyses.funnels.counts import FunnelResult
from microconv.audit.coverage import CoverageDay, CoverageResult
from microconv.errors import DestinationError, UsageError
from microconv.report import attention, render_report, write_report
from microconv.report.figures import model_name

EVIL = "<script>alert(1)</script>"


class _Page(HTMLParser):
    """Collects visible text, elements, and what each script holds."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.words = [], [], []
        self._inside = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = tag
            if tag == "script":
                self.scripts.append([dict(attrs), ""])

    def handle_endtag(self, tag):
        if tag == self._inside:
            self._inside = None

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1][1] += data
        elif self._inside is None:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"[ \n]+", " ", "".join(self.words))

    def figure(self, chart):
        return next(json.loads(body) for attrs, body in self.scripts if attrs.get("id") == f"{chart}-figure")


def test_page_names_project_period_zone_and_when_it_was_made(report_data):
    text = _Page(render_report(report_data)).text

    assert "Meridian Outfitters" in text
    assert "20 October to 18 November 2026 (30 days)" in text
    assert "Europe/Berlin" in text
    # 23:05 UTC is past midnight in the property's zone.
    assert "20 November 2026, 00:05" in text
    assert "microconv 0.1.0" in text


def test_key_figures_and_findings_are_on_the_page(report_data):
    text = _Page(render_report(report_data)).text

    for figure in ("1,203,456", "61,200", "67.0%", "48,310", "214,002", "8.2%", "1,204"):
        assert figure in text
    for finding in attention(report_data):
        assert f"{finding.message} {finding.remedy}".strip() in text


def test_every_number_of_a_funnel_is_in_its_table_and_its_chart(report_data):
    page = _Page(render_report(report_data))

    assert "1. view_item" in page.text
    assert "2 h 13 min" in page.text.replace("\u00a0", " ")
    assert "Most are lost between view_item and add_to_cart: 16,681 of 20,400 (81.8%)." in page.text
    assert page.figure("funnel-1")["data"][0]["x"] == [20_400, 3_719, 1_204, 400]


def test_a_step_that_is_named_twice_stays_two_bars(report_data):
    once = report_data.results(FunnelResult)[0]
    page = _Page(render_report(answered(report_data, replace(once, steps=once.steps + once.steps[:1]))))

    assert page.figure("funnel-1")["data"][0]["y"] == [0, 1, 2, 3, 4]


def test_attribution_chart_shows_shares_of_all_conversions_for_each_window(report_data):
    page = _Page(render_report(report_data))

    for index, (window, touchpoints) in enumerate(CREDITS.items(), start=1):
        figure = page.figure(f"window-{index}-chart")
        rows = figure["layout"]["yaxis"]["ticktext"]
        assert set(rows) == set(touchpoints), window
        assert len(figure["data"]) == len(MODELS)
        for at, model in enumerate(figure["data"]):
            assert model["x"] == pytest.approx([touchpoints[row][at] / 400 for row in rows])
    assert "The models disagree most on Direct: 12.5% by last non-direct, 45.0% by last touch." in page.text
    assert "12 of 400 conversions (3.0%) had no touchpoint within 30 days" in page.text
    assert "180.0 (45.0%)" in page.text
    for assumption in attribution().assumptions:
        assert assumption in page.text


def test_models_that_agree_are_said_to_agree(report_data):
    rows = tuple(replace(row, credit=97.0) for row in attribution().results)
    data = answered(report_data, replace(attribution(), results=rows))

    assert "The models agree within 2 percentage points on every touchpoint." in _Page(render_report(data)).text


def test_value_table_is_left_out_where_conversions_have_no_value(report_data):
    rows = tuple(replace(row, value=0.0) for row in attribution().results)
    data = answered(report_data, replace(attribution(), value=0.0, results=rows))

    assert "Value by touchpoint and model" in render_report(report_data)
    assert "Value by touchpoint and model" not in render_report(data)


def test_a_window_without_any_touchpoint_says_so(report_data):
    rows = tuple(row for row in attribution().results if row.window != "1d")
    untouched = (replace(attribution().untouched[0], conversions=400), *attribution().untouched[1:])
    data = answered(report_data, replace(attribution(), results=rows, untouched=untouched))
    page = _Page(render_report(data))

    assert "No touchpoint earned credit within 1 day. 400 of 400 conversions (100.0%)" in page.text
    assert all(attrs.get("id") != "window-1-chart" for _, attrs in page.elements)


def test_coverage_has_a_cell_for_every_day_and_entry_with_its_status(report_data):
    page = _Page(render_report(report_data))
    cells = [attrs for tag, attrs in page.elements if tag == "td" and attrs.get("class", "").startswith("cell ")]

    assert len(cells) == 30 * len(ENTRIES)
    assert [cell["title"] for cell in cells if cell["class"] == "cell missing"] == [
        "3 November 2026: 0 seen, about 117 expected, missing",
        "4 November 2026: 0 seen, about 117 expected, missing",
    ]
    assert [cell["title"][:15] for cell in cells if cell["class"] == "cell low"] == ["9 November 2026"]
    assert "Never seen: select_promotion and share." in page.text


def test_a_day_without_an_export_shows_as_a_gap(report_data):
    days = tuple(row for row in coverage().days if row.event_date != date(2026, 11, 12))
    page = _Page(render_report(answered(report_data, replace(coverage(), days=days))))
    gaps = [attrs["title"] for _, attrs in page.elements if attrs.get("class") == "cell gap" and "title" in attrs]

    assert gaps == ["12 November 2026: no export"] * len(ENTRIES)


def test_a_long_period_draws_its_latest_days_and_says_what_is_left_out(report_data):
    last = date(2026, 11, 18)
    days = tuple(CoverageDay(last - timedelta(days=back), "purchase", 3, 3, 3, 3.0, "ok") for back in range(400))
    page = _Page(render_report(answered(report_data, CoverageResult(days[-1].event_date, last, days, (), ()))))

    assert sum(attrs.get("title", "").endswith("expected") for _, attrs in page.elements) == 180
    assert "The 220 earliest days of the period are not drawn." in page.text


def test_channels_are_charted_and_tabulated(report_data):
    page = _Page(render_report(report_data))

    engaged, other = page.figure("channels-chart")["data"]
    assert engaged["x"][0] + other["x"][0] == 22_000
    assert "Organic Search brings the most sessions: 22,000 of 61,200 (35.9%)." in page.text


def test_empty_data_reads_as_sentences_and_draws_nothing(empty_data):
    page = _Page(render_report(empty_data))

    for sentence in (
        "No events are staged yet",
        "No actor entered this funnel. view_item, its first step, was never reached.",
        "No purchase was seen, so there is nothing to attribute.",
        "No micro-conversion was seen on any staged day.",
        "No session is staged in these days.",
    ):
        assert sentence in page.text
    assert not any(attrs.get("class") == "chart" for _, attrs in page.elements)
    assert not re.search(r"\b(nan|None|inf)\b", page.text)


def test_missing_parts_read_as_sentences(report_data):
    text = _Page(render_report(replace(report_data, answers=()))).text

    assert "No funnels are configured." in text
    assert "Attribution was not computed for this report." in text
    assert "Coverage was not computed for this report." in text
    assert "Sessions were not counted for this report." in text


def test_numbers_that_are_not_numbers_never_reach_the_page(report_data):
    rows = tuple(replace(row, credit=float("nan"), value=float("inf")) for row in attribution().results)
    data = answered(report_data, replace(attribution(), results=rows))
    page = _Page(render_report(data))

    assert not re.search(r"\b(nan|inf)\b", page.text.lower())
    assert page.figure("window-1-chart")["data"][0]["x"] == [None] * 4


def test_names_are_text_wherever_they_appear(report_data):
    data = answered(
        replace(report_data, project_name=EVIL),
        funnel(EVIL, {EVIL: 10, "purchase": 2}),
        ChannelsResult((ChannelSessions(EVIL, 10, 5, 5, 20),), "", ()),
        replace(
            attribution(),
            results=tuple(replace(row, touchpoint=EVIL) for row in attribution().results),
            assumptions=(EVIL,),
        ),
        CoverageResult(
            date(2026, 11, 1),
            date(2026, 11, 1),
            (CoverageDay(date(2026, 11, 1), EVIL, 1, 1, 1, 1.0, "ok"),),
            (),
            (f"{EVIL}2",),
        ),
    )
    text = render_report(data)

    assert EVIL not in text
    assert html.escape(EVIL) in text
    assert "</script>alert" not in text
    # Two scripts that run, and figures that are data.
    kinds = [attrs.get("type", "runs") for attrs, _ in _Page(text).scripts]
    assert kinds.count("runs") == 2
    assert set(kinds) == {"runs", "application/json"}


def test_policy_allows_the_two_scripts_by_hash_and_no_network(report_data):
    page = _Page(render_report(report_data))
    policy = next(
        attrs["content"] for tag, attrs in page.elements if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'"
        for attrs, body in page.scripts
        if "type" not in attrs
    ]

    assert policy.startswith("default-src 'none'; ")
    assert f"script-src {' '.join(hashes)};" in policy
    assert "http" not in policy


def test_page_loads_nothing_from_elsewhere(report_data):
    page = _Page(render_report(report_data))

    assert [attrs["href"] for tag, attrs in page.elements if tag == "link"] == ["data:,"]
    assert not any("src" in attrs for _, attrs in page.elements)


def test_headings_tables_and_charts_are_labelled(report_data):
    page = _Page(render_report(report_data))
    tags = [tag for tag, _ in page.elements]
    charts = [attrs for _, attrs in page.elements if attrs.get("class") == "chart"]

    assert tags.count("h1") == 1
    assert tags.count("caption") == tags.count("table")
    assert len(charts) == 6
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    anchors = {attrs["href"][1:] for tag, attrs in page.elements if tag == "a"}
    assert anchors <= {attrs["id"] for _, attrs in page.elements if "id" in attrs}


def test_same_data_gives_the_same_page(report_data):
    assert render_report(report_data) == render_report(report_data)


def test_report_replaces_an_older_one_and_leaves_nothing_else(report_data, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("older")

    assert write_report(report_data, path) == path
    assert path.read_text(encoding="utf-8") == render_report(report_data)
    assert list(tmp_path.iterdir()) == [path]


def test_report_into_a_missing_folder_is_a_clear_error(report_data, tmp_path):
    with pytest.raises(DestinationError, match="is not a folder") as caught:
        write_report(report_data, tmp_path / "missing" / "report.html")

    assert caught.value.hint.startswith("Create the folder")


def test_report_onto_a_folder_is_a_clear_error(report_data, tmp_path):
    (tmp_path / "report.html").mkdir()

    with pytest.raises(DestinationError, match="cannot be written"):
        write_report(report_data, tmp_path / "report.html")

    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_full_disk_keeps_the_older_report(report_data, tmp_path):
    resource = pytest.importorskip("resource", reason="the size limit that stands for a full disk is POSIX only")
    path = tmp_path / "report.html"
    path.write_text("older")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(DestinationError, match="cannot be written"):
            write_report(report_data, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_time_without_a_zone_is_refused(report_data):
    with pytest.raises(UsageError, match="no time zone"):
        replace(report_data, generated_at=datetime(2026, 11, 19, 12, 0))


def test_importing_the_report_does_not_load_plotly():
    code = "import sys, microconv.report; print({'plotly', 'pandas', 'numpy'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "set()"


def test_models_have_readable_names_also_those_not_known_yet():
    assert model_name("last_non_direct") == "Last non-direct"
    assert model_name("markov_removal") == "Markov removal"
