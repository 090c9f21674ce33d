"""Paths: what results say, and what is asked in vain. Row-level cases lie under tests/sql, properties beside this."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from asking import answer
from microconv.analyses.paths.path_questions import (
    MOST_STATES,
    PathLinks,
    PathSequences,
    PathsQuestion,
    PathTransitions,
)
from microconv.cli import cli
from microconv.engines.duckdb import DuckDBEngine
from microconv.errors import TaxonomyError, UsageError
from microconv.queries.templates import Query
from microconv.question import section_of
from microconv.taxonomy import Taxonomy, load_taxonomy
from projects import write_config
from staged_rows import IN_MEMORY, SECOND, START_US, Row, at, entry, occurrence, staged

TAXONOMY = load_taxonomy(preset="ecommerce", file=None)
KINDS = {"sequences": PathSequences, "transitions": PathTransitions, "links": PathLinks}


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
        result = answer(engine, PathSequences(), TAXONOMY)
    assert (result.journeys, result.conversions, result.goal) == (3, 2, "purchase")
    assert [(row.nodes, row.journeys, row.share, row.conversions, row.seconds_median) for row in result.sequences] == [
        (("view_item", "add_to_cart", "purchase"), 2, 2 / 3, 2, 4.0),
        (("search", "view_item", "search"), 1, 1 / 3, 0, 3.0),
    ]


def test_probabilities_out_of_each_node_sum_to_one():
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        transitions = answer(engine, PathSequences(), TAXONOMY).transitions
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
        result = answer(engine, PathSequences(top=1), TAXONOMY)
    assert (len(result.sequences), result.journeys, result.sequences[0].share) == (1, 3, 2 / 3)


def test_goal_is_the_first_macro_conversion_unless_given():
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        result = answer(engine, PathSequences(from_="view_item", goal="search"), TAXONOMY)
    assert (result.goal, result.journeys, result.conversions) == ("search", 3, 1)


def test_deprecated_point_counts_as_its_replacement():
    old = entry("cart_start", deprecated_in="1.1", replaced_by="add_to_cart")
    taxonomy = Taxonomy("shop", "1.1", (entry("view_item"), old, entry("add_to_cart"), entry("purchase")))
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        result = answer(engine, PathSequences(to="cart_start"), taxonomy)
    assert [row.sequence for row in result.sequences] == ["view_item > add_to_cart"]


def test_pages_beyond_the_most_frequent_are_other_states():
    views = [view(page * SECOND, f"/{page:03}", 1) for page in range(MOST_STATES + 3)]
    views.append(view(0, "/000", 2))
    with staged(IN_MEMORY, mc_events=views) as engine:
        transitions = answer(engine, PathSequences(nodes="page"), TAXONOMY).transitions
    shown = {row.from_node for row in transitions}
    assert len(shown - {"(start)", "(other)"}) == MOST_STATES
    assert {(row.to_node, row.transitions) for row in transitions if row.from_node == "(other)"} == {
        ("(other)", 2),
        ("(exit)", 1),
    }


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"to": "refund"}, "No session reached refund in the staged days, so there are no paths."),
        ({"from_": "page:/nowhere", "count": "actors"}, "No actor reached page:/nowhere in the staged days, so"),
        ({"nodes": "page"}, "No session had a page view in the staged days, so there are no paths."),
    ],
)
def test_what_never_happened_gives_zeros_and_a_sentence(asked: dict[str, Any], sentence: str):
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        results = [answer(engine, kind(**asked), TAXONOMY) for kind in KINDS.values()]
    result = results[0]
    assert (result.journeys, result.conversions, result.sequences, result.transitions, result.links) == (
        0,
        0,
        (),
        (),
        (),
    )
    assert result.sentence.startswith(sentence)
    assert result.assumptions
    assert [list(each.to_pandas().columns)[-1] for each in results] == [
        "seconds_median",
        "seconds_median",
        "journeys",
    ]


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (
            PathSequences(to="purchase"),
            "2 sessions reached purchase; the most frequent path is view_item > add_to_cart > purchase (2, 100.0%).",
        ),
        (
            PathSequences(from_="search", count="actors"),
            "1 actor reached search, and 0 of them converted (purchase); the most frequent path is search > view_item",
        ),
        (
            PathSequences(),
            "3 sessions had a micro-conversion, and 2 of them converted (purchase); the most frequent path is view_",
        ),
    ],
)
def test_sentence_says_how_many_and_which_path(question: PathsQuestion, sentence: str):
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        assert answer(engine, question, TAXONOMY).sentence.startswith(sentence)


@pytest.mark.parametrize(
    ("question", "named_by"),
    [
        (PathSequences(to="purchas"), "paths to purchas"),
        (PathSequences(goal="purchas"), "the goal of paths"),
        (PathSequences(without=("purchas",)), "what paths leave out"),
    ],
)
def test_unknown_micro_conversion_names_who_asked_and_the_nearest(question: PathsQuestion, named_by: str):
    with staged(IN_MEMORY) as engine, pytest.raises(TaxonomyError, match="did you mean purchase") as caught:
        answer(engine, question, TAXONOMY)
    assert f"In {named_by}:" in caught.value.message


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"to": "purchase", "from_": "view_item"}, 'to = "purchase" cannot be given beside from'),
        ({"to": "page:"}, 'to = "page:" names no page'),
        ({"without": ["page:"]}, "names no page"),
        ({"to": "purchase", "without": ("purchase",)}, "without names purchase, which is the point of the paths"),
        ({"length": 0}, "length = 0 must be at least 1"),
        ({"length": 21}, "length = 21 must be at most 20"),
        ({"top": 1_001}, "top = 1001 must be at most 1000"),
        ({"max_nodes": 0}, "max_nodes = 0 must be at least 1"),
        ({"max_nodes": 101}, "max_nodes = 101 must be at most 100"),
    ],
)
def test_question_that_cannot_be_answered_is_refused(asked, complaint):
    with pytest.raises(UsageError, match=complaint):
        section_of(PathSequences, asked)


def test_what_is_left_out_is_among_the_assumptions():
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        result = answer(engine, PathSequences(without=("search", "page:/cart")), TAXONOMY)
    assert "Left out: search, page:/cart." in result.assumptions
    assert result.sequences[-1].sequence == "view_item"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"to": "purchase", "window": "1h", "length": 2},
            [
                "it ends with the first purchase of the session and holds what came at most 1 hour before.",
                "show the last 2 micro-conversions before purchase; transitions show the whole journey.",
                "The same micro-conversion several times in a row counts once, at the time of the first.",
                "Every journey converts, since purchase is the goal.",
                "What happened in other sessions does not count.",
            ],
        ),
        (
            {"from_": "search", "nodes": "page", "count": "actors", "length": 1, "keep_repeats": True},
            [
                "it begins with the first search of the actor and holds what came at most 30 days later.",
                "Sequences and links show the first 1 page after search; transitions show the whole journey.",
                "The same page several times in a row counts each time.",
                "A journey converts when its actor reaches purchase at search or at most 30 days later.",
                "What happened before the first staged day or after the last is not known.",
            ],
        ),
        (
            {},
            [
                "it begins with the first micro-conversion of the session and holds what came at most 30 days",
                "Sequences and links show the first 5 micro-conversions; transitions show the whole journey.",
                "A journey converts when its session reaches purchase at its beginning or at most 30 days later.",
            ],
        ),
    ],
)
def test_assumptions_say_what_the_figures_rest_on(asked: dict[str, Any], said: list[str]):
    with staged(IN_MEMORY) as engine:
        result = answer(engine, PathSequences(**asked), TAXONOMY)
    text = "\n".join(result.assumptions)
    assert [each for each in said if each not in text] == []


def test_document_holds_all_whatever_is_shown_and_frames_hold_what_is_shown():
    asked = {"from_": "view_item", "window": "1h"}
    with staged(IN_MEMORY, mc_micro_conversions=ROWS) as engine:
        results = {what: answer(engine, kind(**asked), TAXONOMY) for what, kind in KINDS.items()}
    document = json.loads(json.dumps(results["sequences"].document(), allow_nan=False))
    assert (document["from"], document["to"], document["window_seconds"]) == ("view_item", None, 3_600)
    assert (document["count"], document["keep_repeats"]) == ("sessions", False)
    assert document["sequences"][0] == {
        "sequence": "view_item > add_to_cart > purchase",
        "nodes": ["view_item", "add_to_cart", "purchase"],
        "is_cut": False,
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
    for what, result in results.items():
        assert json.loads(json.dumps(result.document())) == document
        assert result.rows == getattr(result, what)
        assert len(result.to_pandas()) == len(document[what])


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    """Run `microconv paths` on a project whose tables are filled."""
    config = write_config(tmp_path)
    staged(tmp_path / "microconv.duckdb", mc_micro_conversions=ROWS).close()
    return lambda *arguments: CliRunner().invoke(cli, ["-c", str(config), "paths", *arguments])


def test_command_shows_sequences_with_sentence_and_assumptions(run):
    shown = run("--to", "purchase").stdout
    assert "Paths to purchase, sequences, sessions: 2" in shown
    assert "view_item > add_to_cart > purchase" in shown
    assert "2 sessions reached purchase" in shown
    assert "* Each session has one journey: it ends with the first purchase of the session" in shown


def test_command_shows_no_more_transitions_than_asked_for_and_says_so(run):
    shown = run("--show", "transitions", "--top", "2", "--chart").stdout
    assert "Paths, the first 2 of 8 transitions, sessions: 3" in shown
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


@pytest.mark.parametrize("what", KINDS)
def test_command_keeps_the_rows_shown_with_the_question(run, tmp_path, what: str):
    saved = run("--from", "view_item", "--show", what, "--save")
    assert f"in mc_result_path_{what}." in saved.stderr
    document = json.loads(run("--from", "view_item", "--format", "json").stdout)
    with DuckDBEngine(tmp_path / "microconv.duckdb") as engine:
        rows = engine.query(Query("saved", f"SELECT t.* FROM `mc_result_path_{what}` AS t", {})).to_pylist()
    kept = {(question["from_"], question["window"]) for question in (json.loads(row["question"]) for row in rows)}
    assert kept == {("view_item", "30d")}
    rows.sort(key=lambda row: row["row_number"])
    derived = ("nodes", "is_cut")
    columns = [{name: value for name, value in row.items() if name not in derived} for row in document[what]]
    assert [{name: row[name] for name in columns[0]} for row in rows] == columns


def test_query_that_three_questions_make_is_printed_once(tmp_path):
    config = str(write_config(tmp_path))
    shown = CliRunner().invoke(cli, ["-c", config, "sql", "analyses/paths/links", "--format", "json"])
    (query,) = json.loads(shown.stdout)["queries"]
    assert {"name": "point", "type": "STRING", "value": "purchase"} in query["params"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--to", "purchase", "--from", "search"), "cannot be given beside from"),
        (("--window", "soon"), '"soon" is not a length of time'),
        (("--length", "0"), "0 is not in the range"),
        (("--to", "purchas"), "did you mean purchase"),
    ],
)
def test_command_refuses_what_it_cannot_answer(run, arguments, complaint):
    result = run(*arguments)
    assert result.exit_code == UsageError.exit_code
    assert complaint in result.stderr
