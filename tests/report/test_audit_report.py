"""An audit as a document: names in the data do nothing in any format, and all that counts is there."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt

from microconv import wording
from microconv.audit.audit_findings import AuditFinding, AuditResult, CheckOutcome
from microconv.errors import UsageError
from microconv.report import render_report
from microconv.report.audit_report import check_audit_path, write_audit, written

ATTACKS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "]]></failure><failure>",
    '"><svg onload=alert(1)>',
    '=HYPERLINK("http://evil.example","x")',
    "\x1b[31mred\x1b]0;title\x07",
    "[click](javascript:alert(1)) ![x](http://evil.example/x.png)",
    "| a | b |\n# heading",
    "\x00\x08\ufffe\ud800",
    "\u202etxt.exe",
    "{{ 7 * 7 }} {% raw %}",
)
FINDING = AuditFinding(
    id="3fa2c81b90",
    check="multiple_firing",
    severity="warning",
    subject="begin_checkout",
    first_date=date(2024, 3, 1),
    last_date=date(2024, 3, 4),
    count=1_234,
    share=0.5,
    at_stake=56,
    value_at_stake=1_000.5,
    message="1,234 of 2,468 (50.0%) fire twice.",
    remedy="Look at the tag.",
    query="SELECT 1",
    status="new",
)
CHECKS = (
    CheckOutcome("multiple_firing", "repeats", "failed", 0.25, 1),
    CheckOutcome("missing_days", "volume", "passed", 0.01, 0),
    CheckOutcome("ga4_figures", "reconciliation", "not_tested", 0.0, 0, "No GA4 property is configured."),
)


def audit(*findings: AuditFinding, fail_on="error") -> AuditResult:
    return AuditResult(findings or (FINDING,), CHECKS, fail_on, "3 checks made: 1 warning.", ("At stake: …",))


def attacked(attack: str) -> AuditResult:
    return AuditResult(
        (
            replace(
                FINDING, subject=attack, message=f"Of {attack} there is too much.", reason=attack, status="accepted"
            ),
            replace(FINDING, id="aaaaaaaaaa", subject=attack, message=f"{attack} fires twice.", severity="error"),
        ),
        (CHECKS[0], replace(CHECKS[2], reason=f"It failed: {attack}")),
        "error",
        "2 checks made.",
    )


class _Html(HTMLParser):
    """What a browser would see: the tags with their attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_name_of_the_data_becomes_a_tag_of_the_page(attack: str):
    harmless, page = (_Html(written(attacked(name), "html")) for name in ("x", attack))

    assert [tag for tag, _ in page.tags] == [tag for tag, _ in harmless.tags]
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "default-src 'none'" in str(page.tags)


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_page_inside_the_report_escapes_as_well(attack: str, empty_data):
    harmless, page = (_Html(render_report(replace(empty_data, audit=attacked(name)))) for name in ("x", attack))

    assert [tag for tag, _ in page.tags] == [tag for tag, _ in harmless.tags]


@pytest.mark.parametrize("attack", ATTACKS)
def test_junit_is_xml_whatever_the_data_says(attack: str):
    text = written(attacked(attack), "junit")
    root = ET.fromstring(text.encode())

    assert [each.tag for each in root.iter()] == [
        *("testsuites", "testsuite", "testcase", "failure", "testsuite", "testcase", "skipped"),
    ]
    assert wording.visible(attack).replace("\ufffe", "ufffe") in root.find(".//failure").text
    assert root.find(".//skipped").get("message").startswith("It failed: ")


@pytest.mark.parametrize("attack", ATTACKS)
def test_markdown_shows_text_and_nothing_else(attack: str):
    rendered = _Html(
        MarkdownIt("commonmark", {"html": True}).enable("table").render(written(attacked(attack), "markdown"))
    )

    allowed = {"h1", "h2", "p", "ul", "li", "strong", "code", "br"}
    assert {tag for tag, _ in rendered.tags} <= allowed
    assert len([tag for tag, _ in rendered.tags if tag == "h2"]) == 3


@pytest.mark.parametrize("attack", ATTACKS)
def test_csv_has_one_line_a_finding_and_no_formula(attack: str):
    rows = list(csv.reader(io.StringIO(written(attacked(attack), "csv"))))

    assert len(rows) == 3
    assert not any(re.match(r"[=+\-@\t\r]", cell) for row in rows[1:] for cell in row if not cell.startswith("'"))


@pytest.mark.parametrize("attack", ATTACKS)
def test_json_is_ascii_that_reads_back(attack: str):
    text = written(attacked(attack), "json")

    assert text.isascii()
    assert json.loads(text)["findings"][0]["subject"] == attack


def test_json_has_the_keys_that_pipelines_read():
    document = json.loads(written(audit(), "json"))

    assert {"passed", "findings", "checks"} <= set(document)
    assert document["passed"] is True
    (finding,) = document["findings"]
    assert {
        *("id", "check", "severity", "subject", "first_date", "last_date", "count", "share", "at_stake"),
        *("message", "remedy", "query", "status"),
    } <= set(finding)
    assert (finding["first_date"], finding["last_date"]) == ("2024-03-01", "2024-03-04")
    assert {"check", "status", "seconds", "findings"} <= set(document["checks"][0])


def test_junit_fails_where_a_pipeline_is_stopped_and_nowhere_else():
    lenient, strict = (ET.fromstring(written(audit(fail_on=on), "junit").encode()) for on in ("error", "warning"))

    assert lenient.find(".//failure") is None
    assert "fire twice" in lenient.find(".//system-out").text
    assert strict.find(".//failure").get("message") == FINDING.message
    assert [suite.get("failures") for suite in strict] == ["0", "1", "0"]
    assert [suite.get("skipped") for suite in strict] == ["0", "0", "1"]


@pytest.mark.parametrize("form", ["html", "markdown", "junit"])
def test_every_format_says_what_was_found_what_to_do_and_what_was_not_tested(form):
    text = written(audit(), form)

    assert "fire twice" in text
    assert "Look at the tag." in text
    assert "No GA4 property is configured." in text


def test_gone_and_accepted_findings_stand_apart():
    text = written(audit(FINDING, replace(FINDING, status="gone"), replace(FINDING, status="accepted")), "markdown")

    assert text.index("## Findings") < text.index("## Accepted") < text.index("## Gone since the last audit")


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown", "junit", "html"])
def test_an_older_audit_is_replaced_and_nothing_else(form, tmp_path):
    path = tmp_path / "audit.txt"
    write_audit(audit(), form, path)

    check_audit_path(path)

    path.write_text("my notes")
    with pytest.raises(UsageError, match="audit of microconv"):
        check_audit_path(path)


def test_the_report_has_the_audit_as_a_part_and_without_one_it_has_none(empty_data):
    assert 'id="audit"' not in render_report(empty_data)

    page = render_report(replace(empty_data, audit=audit()))

    assert '<section id="audit">' in page
    assert '<a href="#audit">' in page
    assert "3 checks made: 1 warning." in page
    assert "1,234 of 2,468 (50.0%) fire twice." in page
