"""The report as Markdown: what it holds, and that no name in it becomes anything but text."""

from __future__ import annotations

from dataclasses import replace

from markdown_it import MarkdownIt
from report_sample import CONVERSIONS, answered, coverage, funnel

from microconv.analyses.channels import ChannelSessions, ChannelsResult
from microconv.report import attention, render_report
from microconv.report.blocks import Copied
from microconv.report.markdown_report import _words

EVIL = "</script><img src=x onerror=alert(1)>|[x](javascript:1)`*_~# http://evil.example @you"


def as_html(text: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


def test_it_has_the_head_the_findings_and_every_number_of_a_funnel(report_data):
    text = render_report(report_data, "markdown")
    html = as_html(text)

    assert text.startswith("<!-- microconv report 0.1.0 -->\n# Meridian Outfitters: micro-conversion report\n")
    assert "20 October to 18 November 2026 (30 days)" in html
    for finding in attention(report_data):
        assert finding.message in html.replace("&quot;", '"')
    for cell in ("20,400", "3,719", "18.2%", f"{CONVERSIONS}", "2 h 13 min"):
        assert f"<td>{cell}</td>" in html.replace(' style="text-align:right"', "")


def test_every_table_is_a_table_of_markdown(report_data):
    text = render_report(report_data, "markdown")
    rules = sum(line.startswith("| ---") for line in text.splitlines())

    assert rules > 8
    assert as_html(text).count("<table>") == rules


def test_all_windows_of_attribution_are_there(report_data):
    text = render_report(report_data, "markdown")

    for window in ("1 day", "7 days", "30 days"):
        assert f"### Within {window}" in text


def test_coverage_is_counted_by_entry(report_data):
    text = render_report(report_data, "markdown")

    assert "| add\\_to\\_cart | 30 | 0 | 2 | 0 |" in text
    assert len(coverage().days) > 30


def test_hostile_names_are_text(report_data):
    data = answered(
        replace(report_data, project_name=EVIL),
        funnel("evil", {EVIL: 10, "<b>x</b>": 4}),
        ChannelsResult((ChannelSessions(EVIL, 5, 5, 5, 20), ChannelSessions("a\nb", 1, 1, 1, 1)), EVIL, ()),
    )
    text = render_report(data, "markdown")
    html = as_html(text)

    assert "<img" not in html
    assert "<a " not in html
    assert "<b>" not in html
    assert "<script" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;|[x](javascript:1)`*_~#") >= 3
    # A line break in a name does not end the row of its table.
    assert sum(line.endswith(" | 100.0% | 1 | 1.0 |") for line in text.splitlines()) == 1


def test_nothing_closes_the_fence_of_what_is_copied():
    lines = list(_words(Copied("SELECT 1\n````\n# no heading")))

    assert lines[0] == lines[-1] == "`````"
    assert "<h1>" not in as_html("\n".join(lines))


def test_without_data_it_reads_as_sentences(empty_data):
    text = render_report(empty_data, "markdown")

    assert "No events are staged yet" in text
    assert "nan" not in text
