"""An audit as a document to hand over: an HTML page, Markdown for a ticket, JUnit XML for CI, JSON or CSV in a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

from microconv import wording
from microconv.audit.audit_findings import AuditFinding, AuditResult, CheckOutcome
from microconv.config.places import refuse_to_replace
from microconv.config.sections import Config
from microconv.markdown import markdown
from microconv.report.documents import page_of, write_document
from microconv.version import __version__

AuditFormat = Literal["table", "json", "csv", "markdown", "junit", "html"]
_MARKS = (
    b'<meta name="generator" content="microconv audit ',
    b"<!-- microconv audit ",
    b'<testsuites name="microconv audit"',
    b'{"passed": ',
    b"id,check,severity,",
)
"""By which documents of ours are known, in all formats and versions."""


def check_audit_path(path: Path, config: Config | None = None) -> None:
    """Refuse a path that holds something else than an older audit.

    Raises:
        UsageError: It does, or the configuration names it.
    """
    refuse_to_replace(
        path, config, is_ours=lambda head: any(mark in head for mark in _MARKS), ours="an audit of microconv"
    )


def write_audit(result: AuditResult, form: AuditFormat, path: Path) -> Path:
    """Write an audit to `path`, whole or not at all, and return `path`; ask `check_audit_path` first.

    Raises:
        DestinationError: The folder does not exist or cannot be written to, `path` is a folder, or the disk is full.
    """
    return write_document(written(result, form), path, "The audit", is_private=True)


def written(result: AuditResult, form: AuditFormat) -> str:
    """Return an audit as a document; as a table it is Markdown, which people read in a file."""
    match form:
        case "json":
            return json.dumps(result.document(), allow_nan=False) + "\n"
        case "csv":
            return result.csv() + "\n"
        case "junit":
            return _junit(result)
        case "html":
            return page_of("audit.html.j2", "style.css", "audit.css", audit=result)
    return _markdown(result)


def _markdown(result: AuditResult) -> str:
    lines = [f"<!-- microconv audit {__version__} -->", "# Audit of the tracking", "", markdown(result.sentence)]
    for title, some in _groups(result):
        lines += ["", f"## {title}", ""]
        for each in some:
            lines.append(f"- **{each.severity}** {markdown(each.message)}")
            facts = [f"`{each.check}`", f"id {each.id}", each.status]
            if each.at_stake:
                facts.append(f"{wording.plural(each.at_stake, 'macro-conversion')} at stake")
            lines.append(f"  {', '.join(facts)}")
            if each.remedy and each.counts:
                lines.append(f"  {markdown(each.remedy)}")
            if each.reason:
                lines.append(f"  Accepted: {markdown(each.reason)}")
    if untested := [each for each in result.checks if each.status == "not_tested"]:
        lines += ["", "## Not tested", ""]
        lines += [f"- `{each.check}`: {markdown(each.reason)}" for each in untested]
    lines += ["", *(f"\\* {markdown(each)}" for each in result.assumptions)]
    return "\n".join(lines) + "\n"


def _groups(result: AuditResult) -> Iterator[tuple[str, list[AuditFinding]]]:
    groups = (
        ("Findings", [each for each in result.findings if each.counts]),
        ("Accepted", [each for each in result.findings if each.status == "accepted"]),
        ("Gone since the last audit", [each for each in result.findings if each.status == "gone"]),
    )
    yield from ((title, some) for title, some in groups if some)


def _junit(result: AuditResult) -> str:
    """Return JUnit XML: one case a check, which fails where it has a finding that stops a pipeline."""
    failing = {each.check for each in result.failing}
    suites = ET.Element("testsuites", name="microconv audit", tests=str(len(result.checks)))
    for heading, checks in result.by_area:
        suite = ET.SubElement(
            suites,
            "testsuite",
            name=heading,
            tests=str(len(checks)),
            failures=str(sum(each.check in failing for each in checks)),
            skipped=str(sum(each.status == "not_tested" for each in checks)),
            time=f"{sum(each.seconds for each in checks):.3f}",
        )
        for each in checks:
            _case(suite, each, [one for one in result.findings if one.check == each.check and one.counts], failing)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _xml(text: str) -> str:
    """Return text with an escape for what XML cannot hold."""
    return re.sub("[\ufffe\uffff]", lambda found: f"u{ord(found[0]):x}", wording.visible(text))


def _case(suite: ET.Element, check: CheckOutcome, findings: list[AuditFinding], failing: set[str]) -> None:
    case = ET.SubElement(suite, "testcase", classname=check.area, name=check.check, time=f"{check.seconds:.3f}")
    said = "\n".join(_xml(f"{each.severity}: {each.message} {each.remedy}".rstrip()) for each in findings)
    if check.status == "not_tested":
        ET.SubElement(case, "skipped", message=_xml(check.reason))
    elif check.check in failing:
        failure = ET.SubElement(case, "failure", message=_xml(findings[0].message), type=findings[0].severity)
        failure.text = said
    elif said:
        ET.SubElement(case, "system-out").text = said
