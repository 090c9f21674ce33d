"""Paths: what results say, and what is asked in vain. Row-level cases lie under tests/sql, properties beside this."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from microconv.analyses.paths import PathsQuestion, paths
from microconv.analyses.paths.results import Kind
from microconv.analyses.paths.ways import MOST_STATES
from microconv.analyses.saving import result_table
from microconv.cli import cli
from microconv.config.values import Duration
from microconv.engines.duckdb import DuckDBEngine
from microconv.errors import TaxonomyError, UsageError
from microconv.queries.templates import Query
from microconv.taxonomy import Taxonomy, load_taxonomy
from projects import write_config
from staged_rows import IN_MEMORY, SECOND, START_US, Row, at, entry, occurrence, staged

TAXONOMY = load_taxonomy(preset="ecommerce", file=None)
KINDS: tuple[Kind, ...] = ("sequences", "transitions", "links")


def walk_of(client: int, *nodes: str, every: int = 1) -> list[Row]:
    """One session in which a client does one thing after another, `every` so many seconds."""
    return [
        occurrence(place * every * SECOND, node, client=client, session_key=client) for place, node in enumerate(nodes)
    ]


ROWS = [
    *walk_of(1, "view_item", "add_to_cart", "purchase"),
    *walk_of(2, "view_item", "add_to_cart", "purchase", every=3),
    *walk_of(3, "search", "view_item", "view_item", "search"),
]


def view(us: int, path: str, client: int) -> Row:
    return {
        "property": "p",
        "event_date": at(us).date(),
        "event_at": at(us),
        "event_order": (START_US + us) * 1_000,
        "event_name": "page_view",
        "client_key": client,
        "session_key": client,
        "page_location": f"https://shop.example{path}",
    }


def test_sequences_have_shares_conversions_and_times():
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        result = paths(engine, PathsQuestion(), TAXONOMY)
    assert (result.journeys, result.conversions, result.goal) == (3, 2, "purchase")
    assert [(row.nodes, row.journeys, row.share, row.conversions, row.seconds_median) for row in result.sequences] == [
        (("view_item", "add_to_cart", "purchase"), 2, 2 / 3, 2, 4.0),
        (("search", "view_item", "search"), 1, 1 / 3, 0, 3.0),
    ]


def test_probabilities_out_of_each_node_sum_to_one():
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        transitions = paths(engine, PathsQuestion(), TAXONOMY).transitions
    leaving = {row.from_node for row in transitions}
    assert leaving == {"(start)", "search", "view_item", "add_to_cart", "purchase"}
    for node in leaving:
        assert sum(row.probability for row in transitions if row.from_node == node) == pytest.approx(1)
    assert {(row.to_node, row.probability) for row in transitions if row.from_node == "view_item"} == {
        ("add_to_cart", 2 / 3),
        ("search", 1 / 3),
    }


def test_top_limits_the_sequences_and_not_what_they_are_shares_of():
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        result = paths(engine, PathsQuestion(top=1), TAXONOMY)
    assert (len(result.sequences), result.journeys, result.sequences[0].share) == (1, 3, 2 / 3)


def test_goal_is_the_first_macro_conversion_unless_given():
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        result = paths(engine, PathsQuestion(from_="view_item", goal="search"), TAXONOMY)
    assert (result.goal, result.journeys, result.conversions) == ("search", 3, 1)


def test_deprecated_point_counts_as_its_replacement():
    old = entry("cart_start", deprecated="1.1", replaced_by="add_to_cart")
    taxonomy = Taxonomy("shop", "1.1", (entry("view_item"), old, entry("add_to_cart"), entry("purchase")))
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        result = paths(engine, PathsQuestion(to="cart_start"), taxonomy)
    assert [row.sequence for row in result.sequences] == ["view_item > add_to_cart"]


def test_pages_beyond_the_most_frequent_are_other_states():
    views = [view(page * SECOND, f"/{page:03}", 1) for page in range(MOST_STATES + 3)]
    views.append(view(0, "/000", 2))
    with staged(IN_MEMORY, mc_events=views) as engine:
        transitions = paths(engine, PathsQuestion(nodes="page"), TAXONOMY).transitions
    shown = {row.from_node for row in transitions}
    assert len(shown - {"(start)", "(other)"}) == MOST_STATES
    assert {(row.to_node, row.transitions) for row in transitions if row.from_node == "(other)"} == {
        ("(other)", 2),
        ("(exit)", 1),
    }


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (PathsQuestion(to="refund"), "No session comes to refund in what is staged, so there are no paths."),
        (PathsQuestion(from_="page:/nowhere", by="actor"), "No actor comes to page:/nowhere in what is staged, so"),
        (PathsQuestion(nodes="page"), "No session has a page in what is staged, so there are no paths."),
    ],
)
def test_what_never_happened_gives_zeros_and_a_sentence(question: PathsQuestion, sentence: str):
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        result = paths(engine, question, TAXONOMY)
    assert (result.journeys, result.conversions, result.sequences, result.transitions, result.links) == (
        0,
        0,
        (),
        (),
        (),
    )
    assert result.sentence.startswith(sentence)
    assert result.assumptions
    assert [list(result.to_pandas(kind).columns)[-1] for kind in KINDS] == [
        "seconds_median",
        "seconds_median",
        "journeys",
    ]


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (
            PathsQuestion(to="purchase"),
            "2 sessions on the way to purchase; the most frequent path is view_item > add_to_cart > purchase (2, 100",
        ),
        (
            PathsQuestion(from_="search", by="actor"),
            "1 actor on the way from search, of which 0 convert (purchase); the most frequent path is search > view",
        ),
    ],
)
def test_sentence_says_how_many_and_which_path(question: PathsQuestion, sentence: str):
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        assert paths(engine, question, TAXONOMY).sentence.startswith(sentence)


@pytest.mark.parametrize(
    ("question", "named_by"),
    [
        (PathsQuestion(to="purchas"), "paths to purchas"),
        (PathsQuestion(goal="purchas"), "the goal of paths"),
        (PathsQuestion(without=("purchas",)), "what paths leave out"),
    ],
)
def test_unknown_micro_conversion_names_who_asked_and_the_nearest(question: PathsQuestion, named_by: str):
    with staged(IN_MEMORY) as engine, pytest.raises(TaxonomyError, match="did you mean purchase") as caught:
        paths(engine, question, TAXONOMY)
    assert f"In {named_by}:" in caught.value.message


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"to": "purchase", "from_": "view_item"}, "not both"),
        ({"to": "page:"}, "names no page"),
        ({"to": "purchase", "without": ("purchase",)}, "cannot leave it out"),
        ({"length": 0}, "length is 0"),
        ({"top": 1_001}, "top is 1001"),
        ({"max_nodes": 0}, "max_nodes is 0"),
    ],
)
def test_question_that_cannot_be_answered_is_refused(asked, complaint):
    with pytest.raises(UsageError, match=complaint):
        PathsQuestion(**asked)


def test_what_is_left_out_is_among_the_assumptions():
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        result = paths(engine, PathsQuestion(without=("search", "page:/cart")), TAXONOMY)
    assert "Left out: search, page:/cart." in result.assumptions
    assert result.sequences[-1].sequence == "view_item"


def test_document_and_frames_hold_every_kind():
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        result = paths(engine, PathsQuestion(from_="view_item", window=Duration.parse("1h")), TAXONOMY)
    document = json.loads(json.dumps(result.document(), allow_nan=False))
    assert (document["from"], document["to"], document["window_seconds"]) == ("view_item", None, 3_600)
    assert document["sequences"][0] == {
        "sequence": "view_item > add_to_cart > purchase",
        "nodes": ["view_item", "add_to_cart", "purchase"],
        "journeys": 2,
        "share": 2 / 3,
        "conversions": 2,
        "seconds_median": 4.0,
    }
    assert document["links"][0] == {
        "from_position": 0,
        "from_node": "view_item",
        "to_node": "add_to_cart",
        "journeys": 2,
    }
    assert [len(result.to_pandas(kind)) for kind in KINDS] == [len(document[kind]) for kind in KINDS]
    assert result.to_pandas().equals(result.to_pandas("sequences"))


def test_each_kind_of_rows_has_a_table_of_its_own_to_be_saved_in():
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        result = paths(engine, PathsQuestion(), TAXONOMY)
    shown = [result.shown(kind) for kind in KINDS]
    tables = [result_table(each.analysis, each.row_type) for each in shown]
    assert [table.name for table in tables] == [
        "mc_result_path_sequences",
        "mc_result_path_transitions",
        "mc_result_path_links",
    ]
    assert [each.rows for each in shown] == [result.sequences, result.transitions, result.links]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    """Run `microconv paths` on a project whose tables are filled."""
    config = write_config(tmp_path)
    staged(tmp_path / "microconv.duckdb", mc_micro_conversions=ROWS).close()
    return lambda *arguments: CliRunner().invoke(cli, ["-c", str(config), "paths", *arguments])


def test_command_shows_sequences_with_sentence_and_assumptions(run):
    shown = run("--to", "purchase").stdout
    assert "Paths to purchase, sequences, by session, journeys: 2" in shown
    assert "view_item > add_to_cart > purchase" in shown
    assert "2 sessions on the way to purchase" in shown
    assert "* Each session has one journey: it leads to the first purchase of its session" in shown


def test_command_shows_no_more_transitions_than_asked_for_and_says_so(run):
    shown = run("--show", "transitions", "--top", "2", "--chart").stdout
    assert "journeys: 3, the first 2 of 8" in shown
    assert "66.7%" in shown
    assert "view_item > add_to_cart" in shown


def test_command_shows_the_flow_by_position(run):
    shown = run("--from", "view_item", "--show", "links", "--without", "search").stdout
    assert [line.split() for line in shown.splitlines() if "(exit)" in line] == [
        ["0", "view_item", "(exit)", "1"],
        ["2", "purchase", "(exit)", "2"],
    ]


def test_command_writes_the_rows_shown_as_csv(run):
    lines = run("--to", "purchase", "--show", "links", "--length", "1", "--format", "csv").stdout.splitlines()
    assert lines == ["from_position,from_node,to_node,journeys", "-1,add_to_cart,purchase,2"]


def test_command_keeps_repeats_when_asked_to(run):
    document = json.loads(run("--from", "search", "--keep-repeats", "--format", "json").stdout)
    assert [row["nodes"] for row in document["sequences"]] == [["search", "view_item", "view_item", "search"]]


def test_command_keeps_the_rows_shown_with_the_question(run, tmp_path):
    saved = run("--from", "view_item", "--show", "transitions", "--save")
    assert "in mc_result_path_transitions." in saved.stderr
    with DuckDBEngine(tmp_path / "microconv.duckdb") as engine:
        query = Query("saved", "SELECT t.question, t.transitions FROM `mc_result_path_transitions` AS t", {})
        rows = engine.query(query).to_pylist()
    assert {(question["from"], question["window"]) for question in (json.loads(row["question"]) for row in rows)} == {
        ("view_item", "30d")
    }
    assert sorted(row["transitions"] for row in rows) == [1, 1, 2, 2, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--to", "purchase", "--from", "search"), "not both"),
        (("--within", "soon"), '"soon" is not a length of time'),
        (("--to", "purchas"), "did you mean purchase"),
    ],
)
def test_command_refuses_what_it_cannot_answer(run, arguments, complaint):
    result = run(*arguments)
    assert result.exit_code == UsageError.exit_code
    assert complaint in result.stderr
