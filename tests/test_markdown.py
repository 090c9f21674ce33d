"""Answers as Markdown, for a wiki or a ticket: the same tables and words, in which names from the data stay text."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape

import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt

from microconv.cli import cli
from microconv.config.load import load_config
from microconv.project import Project
from projects import write_config
from staged_rows import DAY, at, occurrence, session, shard, staged

EVIL = "<img src=x onerror=alert(1)>|[x](javascript:1)`*_~# http://evil.example @you"
LINES = (
    ("channels",),
    ("attribution", "--touchpoint", "campaign"),
    ("attribution", "--touchpoint", "landing_page"),
    ("prioritize",),
    ("query", "SELECT source, campaign FROM mc_sessions"),
)


def as_html(text: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Two days of four actors each, whose sources, campaigns and pages are made to do harm."""
    folder = tmp_path_factory.mktemp("hostile")
    sessions, occurrences = [], []
    for actor in range(1, 9):
        start = actor % 2 * DAY + actor * 1_000_000
        days = {"session_date": at(start).date(), "last_event_date": at(start).date()}
        facts = {"source": EVIL, "medium": "m", "campaign": f"{EVIL}{actor % 2}", "landing_page": f"/{EVIL}"}
        sessions.append(session(start, actor, "Email", actor=actor, **days, **facts))
        occurrences += [
            occurrence(start + 10 + place, entry, client=actor, session_key=actor, page=f"/{EVIL}")
            for place, entry in enumerate(("view_item", "purchase"))
        ]
    rows = {
        "mc_shards": [shard(number, events=9) for number in (1, 2)],
        "mc_sessions": sessions,
        "mc_micro_conversions": occurrences,
        "mc_events": [{"event_at": at(2 * DAY - 1), "event_date": at(DAY).date(), "property": "p", "event_order": 1}],
    }
    staged(folder / "microconv.duckdb", **rows).close()
    with Project(load_config(write_config(folder), {})) as found:
        yield found


def markdown_of(project: Project, *line: str) -> str:
    project.close()
    done = CliRunner().invoke(cli, ["-c", str(project.config.file), *line, "--format", "markdown"])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_answers_are_tables_of_markdown_in_which_names_from_the_data_stay_text(line: tuple[str, ...], hostile: Project):
    text = markdown_of(hostile, *line)
    html = as_html(text)

    rules = [row for row in text.splitlines() if row.startswith("| ---")]
    assert rules
    assert html.count("<table>") == len(rules)
    for harm in ("<img", "<a ", "<script", "<h1", "<code"):
        assert harm not in html
    if line[0] in ("attribution", "query"):
        assert EVIL in unescape(html)


def test_every_cell_of_a_table_is_in_its_column(hostile: Project):
    rows = [row for row in markdown_of(hostile, "channels").splitlines() if row.startswith("|")]

    assert {row.replace("\\|", "").count("|") for row in rows} == {rows[0].count("|")}
    assert next(row for row in rows if row.startswith("| Email")).startswith("| Email | 8 | 0 | 8 |")


def test_sentence_and_assumptions_follow_the_tables(hostile: Project):
    found = hostile.ask("channels")
    html = unescape(as_html(markdown_of(hostile, "channels")))

    assert html.index("</table>") < html.index(f"<p>{found.sentence}</p>") < html.index("<ul>")
    assert html.count("<li>") == len(found.assumptions)


def test_chart_does_not_go_with_markdown(hostile: Project):
    hostile.close()
    words = ["-c", str(hostile.config.file), "channels", "--chart", "--format", "markdown"]

    assert CliRunner().invoke(cli, words).exit_code == 2
