"""What a report is asked for: its days, its sections, its form; and what becomes of a question that fails."""

from __future__ import annotations

import json
import webbrowser
from collections.abc import Callable
from datetime import date
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from click.testing import Result as Done

from microconv.analyses.channels import ChannelsResult
from microconv.analyses.funnels.counts import Funnel, FunnelResult
from microconv.catalogue import QUESTIONS
from microconv.cli import cli
from microconv.config.load import load_config
from microconv.errors import ConfigError, EngineError, UsageError
from microconv.project import Project
from microconv.report import Days, render_report
from microconv.report.page_sections import SECTIONS
from projects import write_config
from staged_rows import DAY, occurrence, session, shard, staged

FEW = ["attention", "journey", "funnels", "channels", "coverage", "lineage"]
"""Sections whose questions take little time."""
FUNNEL = '[[funnels]]\nname = "trial"\nsteps = ["view_item", "purchase"]\n'


def made(tmp_path: Path, extra: str = "") -> Path:
    """Stage four days with a session and an occurrence more each day than the one before."""
    config = write_config(tmp_path, extra=FUNNEL + extra)
    days = range(1, 5)
    rows = {
        "mc_shards": [shard(number, events=10 * number) for number in days],
        "mc_sessions": [
            session(
                (number - 1) * DAY + place,
                100 * number + place,
                "Email",
                actor=10 * number + place,
                session_date=date(2024, 3, number),
                is_engaged=True,
                page_views=1,
            )
            for number in days
            for place in range(number)
        ],
        "mc_micro_conversions": [
            occurrence((number - 1) * DAY + place, "view_item", client=10 * number + place)
            for number in days
            for place in range(number)
        ],
    }
    staged(tmp_path / "microconv.duckdb", **rows).close()
    return config


@pytest.fixture
def project(tmp_path):
    with Project(load_config(made(tmp_path), {})) as opened:
        yield opened


@pytest.fixture
def command(tmp_path) -> Callable[..., Done]:
    config = made(tmp_path, f"[report]\nsections = {json.dumps(FEW)}\n")
    return lambda *arguments: CliRunner().invoke(cli, ["-c", str(config), "report", *arguments])


def part_of(page: str, anchor: str) -> str:
    return page.partition(f'<section id="{anchor}">')[2].partition("</section>")[0]


def test_days_asked_for_reach_every_question_that_looks_at_days(project):
    data = project.report_data(since=date(2024, 3, 3), until=date(2024, 3, 4))

    assert data.asked == Days(date(2024, 3, 3), date(2024, 3, 4))
    assert (data.summary.events, data.summary.sessions, data.summary.micro_conversions) == (70, 7, 7)
    assert [row.sessions for row in data.result(ChannelsResult).channels] == [7]
    assert data.result(FunnelResult).steps[0].count == 7
    of_all = {answer.question for answer in data.answers if not answer.is_of_period}
    assert "path_links" in of_all
    assert not {"channels", "funnel", "coverage", "lift"} & of_all


def test_days_are_held_against_as_many_days_before(project):
    data = project.report_data(since=date(2024, 3, 3), until=date(2024, 3, 4), sections=["overview", "funnels"])
    page = render_report(data)

    assert data.before == Days(date(2024, 3, 1), date(2024, 3, 2))
    assert "<dt>Compared with</dt><dd>1 to 2 March 2024</dd>" in page
    # 7 sessions against 3.
    assert '<dd class="against">before: 3 (+133.3%)</dd><dd>7</dd><dt>Sessions</dt>' in page
    assert "0.0% of actors that began trial came to purchase, against 0.0% in the days before" in page


def test_days_before_that_are_not_all_staged_are_no_comparison(project):
    data = project.report_data(since=date(2024, 3, 2), until=date(2024, 3, 4), sections=["overview"])
    page = render_report(data)

    assert data.before is None
    assert "Nothing is compared with the days before: not all of them are staged." in page
    assert 'class="against"' not in page


def test_one_end_is_enough_and_days_that_are_not_staged_are_said(project):
    data = project.report_data(since=date(2024, 3, 4), until=date(2024, 3, 7), sections=["channels"])

    assert "4 to 7 March 2024 (1 of 4 days staged)" in render_report(data)
    assert project.report_data(since=date(2024, 3, 3), sections=["channels"]).asked == Days(
        date(2024, 3, 3), date(2024, 3, 4)
    )


def test_days_none_of_which_is_staged_are_refused(project):
    with pytest.raises(UsageError, match="No day from 2025-01-01 to the last is staged") as caught:
        project.report_data(since=date(2025, 1, 1))

    assert caught.value.hint == "Staged are 2024-03-01 to 2024-03-04."
    with pytest.raises(UsageError, match="is before since"):
        project.report_data(since=date(2024, 3, 3), until=date(2024, 3, 1))


def test_the_configuration_chooses_sections_and_their_order(tmp_path):
    config = made(tmp_path, '[report]\nsections = ["channels", "funnels", "overview"]\n')
    with Project(load_config(config, {})) as project:
        data = project.report_data()
    page = render_report(data)

    assert [part.split('"')[0] for part in page.split('<section id="')[1:]] == ["channels", "funnels", "overview"]
    # What no section of these needs is not asked: it would take time for nothing.
    assert not {"momentum", "path_links", "thresholds"} & {answer.question for answer in data.answers}
    # A line of the overview has no link to a section that is not there.
    assert 'href="#coverage"' not in page


def test_a_section_that_there_is_not_is_told_with_those_there_are(tmp_path):
    config = made(tmp_path, '[report]\nsections = ["funels"]\n')
    with Project(load_config(config, {})) as project, pytest.raises(ConfigError) as caught:
        project.report_data()

    assert caught.value.message.startswith('report.sections names "funels", which is no section of the report')
    assert "funnels" in caught.value.message
    for section in SECTIONS:
        assert section.id in caught.value.hint


def test_sections_name_questions_that_there_are():
    for section in SECTIONS:
        assert not {*section.questions, *section.needs} - {*QUESTIONS}, section.id


def test_a_question_that_fails_becomes_a_sentence(project, monkeypatch):
    def fail(*_):
        raise EngineError("The disk of <b>x</b> is full.", hint="Make room.")

    monkeypatch.setattr(Funnel, "queries", fail)
    data = project.report_data(sections=FEW)
    page = render_report(data)

    assert [(each.question, each.about) for each in data.unanswered if each.question == "funnel"] == [
        ("funnel", "funnel trial")
    ]
    assert "This could not be answered: The disk of &lt;b&gt;x&lt;/b&gt; is full. Make room." in part_of(
        page, "funnels"
    )
    assert "<h2>Sessions by channel</h2>" in page


def test_an_error_of_ours_in_one_question_leaves_the_others(project, monkeypatch):
    monkeypatch.setattr(Funnel, "result", lambda *_: 1 / 0)
    data = project.report_data(sections=FEW)

    assert [each.why for each in data.unanswered if each.question == "funnel"] == [
        "It failed unexpectedly (ZeroDivisionError)."
    ]
    assert data.result(ChannelsResult) is not None


def test_progress_names_each_question_once(project):
    told = []
    data = project.report_data(sections=FEW, on_progress=lambda done, total, step: told.append((done, total, step)))

    assert [done for done, _, _ in told] == list(range(len(told)))
    assert {total for _, total, _ in told} == {len(told)}
    assert told[-1][2] == "audit"
    assert len(data.answers) == len(told) - 1


def test_a_summary_is_the_overview_alone_and_small(command, tmp_path):
    path = tmp_path / "summary.html"
    assert command("--summary", "--output", str(path)).exit_code == 0
    page = path.read_text(encoding="utf-8")

    assert page.count("<section") == 1
    assert "<h2>Overview</h2>" in page
    assert "plotly.js v" not in page
    assert len(page) < 60_000


def test_markdown_has_the_sections_and_tables_of_the_page(command, tmp_path):
    path, page = tmp_path / "report.md", tmp_path / "report.html"
    done = command("--format", "markdown", "--output", str(path), "--since", "2024-03-03", "--until", "2024-03-04")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"Report written to {path}.")
    command("--output", str(page), "--since", "2024-03-03", "--until", "2024-03-04")
    text, html = path.read_text(encoding="utf-8"), page.read_text(encoding="utf-8")

    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert headings == [part.partition("</h2>")[0] for part in html.split("<h2>")[1:]]
    assert "| 1\\. view\\_item | 7 |" in text.replace("1. view", "1\\. view")
    assert text.count("\n| --- ") >= html.count("<table>") - html.count('class="heat"')


def test_json_names_what_could_not_be_answered(command, tmp_path, monkeypatch):
    monkeypatch.setattr(Funnel, "result", lambda *_: 1 / 0)
    done = command("--output", str(tmp_path / "r.html"), "--format", "json")

    assert json.loads(done.stdout)["unanswered"] == ["funnel"]
    assert "funnel trial could not be answered" in done.stderr


def test_an_older_report_of_either_form_is_replaced_and_nothing_else(command, tmp_path):
    path = tmp_path / "report.md"
    assert command("--format", "markdown", "--output", str(path)).exit_code == 0
    assert command("--format", "markdown", "--output", str(path)).exit_code == 0
    path.write_text("# Notes\n", encoding="utf-8")
    assert command("--format", "markdown", "--output", str(path)).exit_code == UsageError.exit_code
    assert path.read_text(encoding="utf-8") == "# Notes\n"
    assert command("--output", str(tmp_path / "microconv.toml")).exit_code == UsageError.exit_code


def test_open_shows_the_page_once_it_is_written(command, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(click, "launch", lambda url: opened.append((url, (tmp_path / "r.html").exists())))
    monkeypatch.setattr(webbrowser, "open", lambda *_: pytest.fail("not through the stub"))

    command("--output", str(tmp_path / "r.html"))
    assert opened == []
    command("--output", str(tmp_path / "r.html"), "--open")
    assert opened == [((tmp_path / "r.html").as_uri(), True)]
