"""A question of the catalogue needs nothing in the report to be on the page."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from types import ModuleType
from typing import Any, ClassVar, Self

import pytest

from microconv import wording
from microconv.catalogue import QUESTIONS, Line
from microconv.config.load import load_config
from microconv.config.sections import Config
from microconv.project import Project
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, Question
from microconv.report import ReportData, render_report
from microconv.result import Result, column, sheet
from microconv.taxonomy import Taxonomy
from microconv.wording import Sheet, Verbatim
from projects import write_config
from staged_rows import occurrence, session, shard, staged


@dataclass(frozen=True)
class Recent:
    """How long ago one thing happened."""

    thing: str = column("thing")
    seconds: float = column("time since", wording.elapsed)
    times: int = column("times", wording.count)


@dataclass(frozen=True)
class RecencyResult(Result):
    """Things by how long ago they happened."""

    row_type: ClassVar[type] = Recent

    things: tuple[Recent, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[Recent, ...]:
        """The things."""
        return self.things

    def sheets(self) -> Iterator[Sheet | str]:
        """Show a table, a remark, and something to copy."""
        yield sheet("Things by recency", self.things, Recent)
        yield "A remark of <b>two</b>\nlines."
        yield Verbatim('\nname = "<b>"')


class Recency(Question):
    """Say how long ago a thing happened."""

    thing: str = "anything"

    @classmethod
    def of(cls, config: Config, taxonomy: Taxonomy) -> Iterator[Self]:  # noqa: ARG003 - as the contract has it
        """Yield two questions."""
        yield cls(thing="visit")
        yield cls(thing="<i>purchase</i>")

    @property
    def about(self) -> str:
        """Name the thing."""
        return f"the thing {self.thing}"

    def queries(self, context: Context) -> tuple[Query, ...]:  # noqa: ARG002 - as the contract has it
        """Return a query of the product."""
        return (templates.query("operations/latest_event"),)

    def result(self, tables: Sequence[Any], context: Context) -> RecencyResult:  # noqa: ARG002 - as the contract has it
        """Count the rows of the query."""
        (table,) = tables
        rows = (Recent(self.thing, 337.0, 1_234_567), Recent("other", 7.5, table.num_rows))
        return RecencyResult(
            rows, f"The last {self.thing} was 5 min 37 s ago.", (f"A {self.thing} is a {self.thing}.",)
        )


class Hidden(Recency):
    """The same, for nobody's report."""

    in_report: ClassVar[bool] = False


@pytest.fixture
def project(tmp_path, monkeypatch) -> Iterator[Project]:
    """A project whose catalogue has two questions more."""
    module = ModuleType("microconv.recency")
    module.Recency, module.Hidden = Recency, Hidden
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(QUESTIONS, "recency", Line("recency:Recency", "How long ago things happened.", "recency"))
    monkeypatch.setitem(QUESTIONS, "hidden", Line("recency:Hidden", "What no report shows.", "hidden"))
    config = write_config(tmp_path, extra='[[funnels]]\nname = "buy"\nsteps = ["view_item", "purchase"]\n')
    rows = {
        "mc_shards": [shard(1, events=9)],
        "mc_sessions": [session(0, 1, "Email", is_engaged=True, page_views=2)],
        "mc_micro_conversions": [occurrence(0, "view_item")],
    }
    staged(tmp_path / "microconv.duckdb", **rows).close()
    with Project(load_config(config, {})) as opened:
        yield opened


@pytest.fixture
def data(project) -> ReportData:
    return project.report_data()


def part_of(page: str, anchor: str) -> str:
    return page.partition(f'<section id="{anchor}">')[2].partition("</section>")[0]


def test_every_question_that_the_configuration_asks_is_answered_but_those_that_are_not_for_reports(data):
    asked = [(answer.question, answer.about) for answer in data.answers]

    assert asked.count(("funnel", "funnel buy")) == 1
    assert {"attribution", "coverage", "channels"} <= {question for question, _ in asked}
    assert [about for question, about in asked if question == "recency"] == [
        "the thing visit",
        "the thing <i>purchase</i>",
    ]
    assert not {"hidden", "segment", "funnel_trend"} & {question for question, _ in asked}


def test_a_question_without_a_part_of_its_own_is_shown_as_the_terminal_shows_it(data):
    page = render_report(data)
    part = part_of(page, "answers-recency")
    text = unescape(re.sub(r"<[^>]+>", " ", part))

    assert '<a href="#answers-recency">How long ago things happened</a>' in page
    assert "<h2>How long ago things happened</h2>" in part
    assert re.findall("<h3>(.*?)</h3>", part) == ["The thing visit", "The thing &lt;i&gt;purchase&lt;/i&gt;"]
    assert "The last visit was 5 min 37 s ago." in text
    assert re.findall("<caption><span>(.*?)</span></caption>", part) == ["Things by recency"] * 2
    assert re.findall('<th scope="col"[^>]*>(.*?)</th>', part)[:3] == ["thing", "time since", "times"]
    assert re.findall('<th scope="row">(.*?)</th>', part)[:2] == ["visit", "other"]
    assert re.findall("<td>(.*?)</td>", part)[:4] == ["5 min 37 s", "1,234,567", "7.5 s", "1"]
    assert "A remark of <b>two</b>\nlines." in text
    assert re.findall("<pre[^>]*>(.*?)</pre>", part) == ["name = &#34;&lt;b&gt;&#34;"] * 2
    assert "A visit is a visit." in text
    assert "What no report shows" not in page


def test_names_in_answers_are_text(data):
    page = render_report(data)

    assert "<i>" not in part_of(page, "answers-recency")
    assert "<b>" not in part_of(page, "answers-recency")


def test_a_part_of_its_own_is_not_shown_twice(data):
    page = render_report(data)

    shown = re.findall('<section id="answers-([^"]+)">', page)
    assert "recency" in shown
    assert len(set(shown)) == len(shown)
    assert not {"funnel", "attribution", "coverage", "channels"} & set(shown)
    assert page.count("<h2>Funnels</h2>") == 1
