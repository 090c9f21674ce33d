"""Discovery: the proposal equals trying all sequences, and what it says when there is none."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from fractions import Fraction
from itertools import count, permutations
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from asking import CONFIG, answer
from judges import JUDGES
from judges.types import to_json
from microconv.analyses.paths.discovery import Discover
from microconv.cli import cli
from microconv.config.load import load_config
from microconv.engines.duckdb import DuckDBEngine
from microconv.errors import TaxonomyError, UsageError
from microconv.queries.templates import Query
from microconv.question import Context, section_of
from microconv.staging.mc_tables import MICRO_CONVERSIONS
from microconv.taxonomy import Taxonomy, load_taxonomy
from projects import write_config
from staged_rows import IN_MEMORY, SECOND, Row, entry, occurrence, staged

SHOP = load_taxonomy(preset="ecommerce", file=None)
STEPS = ("a", "b", "c", "m")
TAXONOMY = Taxonomy(
    "t",
    "1.0",
    (
        entry("a", kind="milestone"),
        entry("b", kind="milestone"),
        entry("s", kind="secondary"),
        entry("c", kind="milestone"),
        entry("z"),
        entry("m"),
    ),
)
Way = tuple[str, ...]
Log = list[tuple[int, int, set[str]]]
"""Events: microsecond or second, client (two to an actor), and what the event counts as."""

LOGS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.integers(1, 8),
        st.sets(st.sampled_from("aabbccmsz"), min_size=1, max_size=2),
    ),
    max_size=30,
)


def rows_of(log: Log, unit: int) -> list[Row]:
    """Rows with places unique within a client, so that the clients of an actor do tie."""
    places = {client: count() for _, client, _ in log}
    return [
        occurrence(time * unit, what, client=client, place=place, actor_key=-(-client // 2))
        for time, client, kinds in log
        for place in [next(places[client])]
        for what in sorted(kinds)
    ]


def ways_of(rows: list[Row], window_us: int) -> dict[int, Way]:
    """For each actor who did z, the milestones before, each where it first comes in the window."""
    ways = {}
    for actor in {row["actor_key"] for row in rows if row["micro_conversion"] == "z"}:
        own = [row for row in rows if row["actor_key"] == actor]
        own.sort(key=lambda row: (row["event_order"], row["client_key"], "abscm z".index(row["micro_conversion"])))
        goal = next(row for row in own if row["micro_conversion"] == "z")
        place = (goal["event_order"], goal["client_key"])
        before = [
            row["micro_conversion"]
            for row in own
            if (row["event_order"], row["client_key"]) < place
            and (goal["event_at"] - row["event_at"]).total_seconds() * SECOND <= window_us
        ]
        ways[actor] = tuple(dict.fromkeys(name for name in before if name in STEPS))
    return ways


def best_of(ways: dict[int, Way], min_share: Fraction) -> tuple[Way, int]:
    """Try every sequence of milestones."""
    found: list[tuple[int, int, list[int], Way]] = []
    for length in range(1, len(STEPS) + 1):
        for tried in permutations(STEPS, length):
            support = sum(tuple(step for step in way if step in tried) == tried for way in ways.values())
            if support and support >= min_share * len(ways):
                found.append((length, support, [-STEPS.index(step) for step in tried], tried))
    return (max(found)[3], max(found)[1]) if found else ((), 0)


@settings(max_examples=75, deadline=None)
@given(log=LOGS, window=st.integers(1, 5), min_share=st.sampled_from([0.1, 0.25, 0.3, 0.5, 0.7, 1.0]))
def test_proposal_equals_trying_all_sequences(log: Log, window: int, min_share: float):
    rows = rows_of(log, unit=SECOND)
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        result = answer(engine, Discover(window=f"{window}s", min_share=min_share, top=1_000), TAXONOMY)
    ways = ways_of(rows, window * SECOND)
    steps, support = best_of(ways, Fraction(str(min_share)))
    assert (result.goal, result.actors) == ("z", len(ways))
    assert {row.sequence: row.actors for row in result.sequences} == {
        " > ".join(way): list(ways.values()).count(way) for way in ways.values()
    }
    assert (result.steps, result.support) == ((*steps, "z") if steps else (), support)
    assert {row.milestone: row.actors for row in result.milestones} == {
        step: passed for step in STEPS if (passed := sum(step in way for way in ways.values()))
    }


@pytest.mark.parametrize("judge", JUDGES)
def test_reference_implementation_agrees(judge: str):
    chance = random.Random(3)
    log = [
        (chance.randrange(6), chance.randrange(1, 120), set(chance.sample("abcmsz", chance.choice([1, 1, 2]))))
        for _ in range(600)
    ]
    rows = rows_of(log, unit=SECOND)
    (query,) = Discover(goal="z", window="3s").queries(Context(CONFIG, TAXONOMY))
    columns = {column.name: column.type for column in MICRO_CONVERSIONS.columns}
    found = JUDGES[judge](
        query.sql,
        {name: (value, kind) for name, (kind, value) in query.params.items()},
        {"mc_micro_conversions": (columns, [to_json(row) for row in rows])},
    )
    ways = [" > ".join(way) for way in ways_of(rows, 3 * SECOND).values()]
    expected = sorted({way: ways.count(way) for way in ways}.items(), key=lambda item: (-item[1], item[0]))
    assert [(row["sequence"], row["actors"]) for row in found] == expected


def buyers(number: int, *steps: str, first: int = 0) -> list[Row]:
    return [
        occurrence(place * SECOND, step, client=client)
        for client in range(first, first + number)
        for place, step in enumerate((*steps, "purchase"))
    ]


# A quarter of the buyers leave a step out, another quarter take two in another order: the way most go still shows.
NOISY = [
    *buyers(5, "view_item", "search", "add_to_cart", "view_item", "begin_checkout"),
    *buyers(2, "view_item", "begin_checkout", first=5),
    *buyers(2, "add_to_cart", "view_item", "begin_checkout", first=7),
    *buyers(1, first=9),
    occurrence(0, "view_item", client=20),
]


def test_noise_in_the_sequences_does_not_scatter_the_proposal():
    with staged(IN_MEMORY, mc_micro_conversions=NOISY) as engine:
        result = answer(engine, Discover(goal="purchase"), SHOP)
    assert (result.steps, result.support, result.share) == (
        ("view_item", "add_to_cart", "begin_checkout", "purchase"),
        5,
        0.5,
    )
    assert result.sentence == (
        "5 of 10 actors who reached purchase (50.0%) passed view_item > add_to_cart > begin_checkout > purchase."
    )
    assert [(row.milestone, row.actors, row.share) for row in result.milestones] == [
        ("view_item", 9, 0.9),
        ("add_to_cart", 7, 0.7),
        ("begin_checkout", 9, 0.9),
    ]


def test_higher_share_proposes_fewer_steps():
    with staged(IN_MEMORY, mc_micro_conversions=NOISY) as engine:
        result = answer(engine, Discover(goal="purchase", min_share=0.9), SHOP)
    assert (result.steps, result.support) == (("view_item", "begin_checkout", "purchase"), 9)


def test_of_two_ways_as_good_the_one_in_the_order_of_the_taxonomy_is_proposed():
    rows = [
        *buyers(2, "add_to_cart", "view_item"),
        *buyers(2, "view_item", "add_to_cart", first=2),
        *buyers(1, "add_to_cart", first=4),
    ]
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        result = answer(engine, Discover(goal="purchase", min_share=0.4), SHOP)
    assert (result.steps, result.support) == (("view_item", "add_to_cart", "purchase"), 2)


def test_block_is_ready_to_paste_into_the_configuration(tmp_path: Path):
    with staged(IN_MEMORY, mc_micro_conversions=NOISY) as engine:
        result = answer(engine, Discover(goal="purchase", window="7d"), SHOP)
    assert result.toml is not None
    (funnel,) = load_config(write_config(tmp_path, extra=result.toml), {}).funnels
    assert (funnel.name, str(funnel.window)) == ("purchase_journey", "7d")
    assert tuple(step.did[0] for step in funnel.steps) == result.steps


@pytest.mark.parametrize(
    ("goal", "actors", "sentence"),
    [
        ("refund", 0, "Nobody reached refund in the staged days, so no funnel can be proposed."),
        ("search", 5, "5 of 5 actors who reached search (100.0%) passed view_item > search."),
        ("view_item", 10, "No milestone was passed by 50.0% of the 10 actors who reached view_item: the nearest is "),
    ],
)
def test_sentence_for_any_goal(goal: str, actors: int, sentence: str):
    with staged(IN_MEMORY, mc_micro_conversions=NOISY) as engine:
        result = answer(engine, Discover(goal=goal), SHOP)
    assert result.actors == actors
    assert result.sentence.startswith(sentence)


def test_without_a_proposal_there_are_zeros_and_no_block():
    with staged(IN_MEMORY) as engine:
        result = answer(engine, Discover(), SHOP)
    assert (result.goal, result.actors, result.steps, result.support, result.share) == ("purchase", 0, (), 0, None)
    assert (result.sequences, result.milestones, result.toml) == ((), (), None)
    assert list(result.to_pandas().columns) == ["sequence", "actors", "share"]
    assert json.loads(json.dumps(result.document(), allow_nan=False))["assumptions"]


def test_goal_without_any_milestone_before_it_says_so():
    with staged(IN_MEMORY, mc_micro_conversions=buyers(3, "search")) as engine:
        assert answer(engine, Discover(), SHOP).sentence == (
            "None of the 3 actors who reached purchase passed a milestone before it."
        )


@pytest.mark.parametrize(
    ("min_share", "complaint"),
    [
        (0.0, "min_share = 0.0 must be more than 0"),
        (-1.0, "min_share = -1.0 must be more than 0"),
        (1.1, "min_share = 1.1 must be at most 1"),
        (float("nan"), "min_share = NaN must be at most 1"),
    ],
)
def test_share_that_is_none_is_refused(min_share: float, complaint: str):
    with pytest.raises(UsageError, match=complaint):
        section_of(Discover, {"min_share": min_share})


def test_unknown_goal_names_the_nearest():
    with staged(IN_MEMORY) as engine, pytest.raises(TaxonomyError, match="did you mean purchase"):
        answer(engine, Discover(goal="purchas"), SHOP)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    """Run `microconv discover` on a project whose tables are filled."""
    config = write_config(tmp_path)
    staged(tmp_path / "microconv.duckdb", mc_micro_conversions=NOISY).close()
    return lambda *arguments: CliRunner().invoke(cli, ["-c", str(config), "discover", *arguments])


def test_command_prints_the_proposal_and_the_block(run):
    shown = run("--window", "7d").stdout
    assert "Milestones before purchase, actors: 10" in shown
    assert 'steps = ["view_item", "add_to_cart", "begin_checkout", "purchase"]\nwindow = "7d"' in shown
    assert "* Each actor counts once, with the milestones passed at most 7 days before their first purchase." in shown


def test_command_as_json_has_the_result(run):
    document: dict[str, Any] = json.loads(run("--min-share", "0.9", "--goal", "purchase", "--format", "json").stdout)
    assert (document["steps"], document["support"]) == (["view_item", "begin_checkout", "purchase"], 9)


def test_command_shows_no_more_sequences_than_asked_for(run):
    document = json.loads(run("--top", "1", "--format", "json").stdout)
    assert [(row["actors"], row["share"]) for row in document["sequences"]] == [(5, 0.5)]
    assert document["actors"] == 10


def test_command_refuses_a_share_of_nothing(run):
    refused = run("--min-share", "0")
    assert refused.exit_code == UsageError.exit_code
    assert "min_share = 0.0 must be more than 0" in refused.stderr


def test_command_keeps_the_sequences_with_the_question(run, tmp_path):
    assert "in mc_result_discover." in run("--min-share", "0.9", "--save").stderr
    with DuckDBEngine(tmp_path / "microconv.duckdb") as engine:
        query = Query("saved", "SELECT t.question, t.sequence, t.actors FROM `mc_result_discover` AS t", {})
        rows = engine.query(query).to_pylist()
    assert {json.loads(row["question"])["min_share"] for row in rows} == {0.9}
    assert {(row["sequence"], row["actors"]) for row in rows} >= {("", 1), ("view_item > begin_checkout", 2)}
