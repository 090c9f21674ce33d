"""Which content leads to a goal: planted differences are told, chance and thin data are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from microconv.analyses.insight.content import (
    CHANCE,
    LESS,
    MORE,
    ON_PATH,
    Content,
    ContentGoal,
    ContentOutcome,
    ContentResult,
    _outcomes,
    _sentence,
)
from microconv.analyses.insight.landmarks import of_other_systems
from microconv.taxonomy import MicroConversion, Taxonomy


def counted(goal: str = "buy", **contents: tuple[int, int]) -> list[dict[str, Any]]:
    total = [sum(each[place] for each in contents.values()) for place in (0, 1)]
    return [
        {
            "content": name,
            "goal": goal,
            "seen": 1,
            "actors": actors,
            "reached": reached,
            "all_actors": total[0],
            "all_reached": total[1],
            "everybody_reached": total[1],
            "contents": len(contents),
        }
        for name, (actors, reached) in contents.items()
    ]


def told(rows: list[dict[str, Any]]) -> dict[str, ContentOutcome]:
    return {row.content: row for row in _outcomes(rows, ["buy"], may_be_on_path=True)["buy"]}


def test_content_is_held_against_the_others_of_its_kind():
    rows = told(counted(good=(1_000, 100), usual=(2_000, 100), bad=(1_000, 10)))

    assert {name: row.says for name, row in rows.items()} == {"good": MORE, "usual": CHANCE, "bad": LESS}
    assert rows["good"].rate == pytest.approx(0.1)
    assert rows["good"].other_rate == pytest.approx(110 / 3_000)
    assert rows["good"].ratio == pytest.approx(0.1 / (110 / 3_000))


def walked(rng: np.random.Generator, good: str = "") -> list[dict[str, Any]]:
    """Rows of 6,000 people who see one page after another, many of them `home` first, the more the likelier to buy.

    Who sees the `good` page, at any time, buys three times as often; no other page does anything.
    """
    pages = ["home", *(f"p{n}" for n in range(30))]
    popular = np.array([0.0, *np.geomspace(0.3, 0.01, 30)])
    counts: dict[tuple[str, int], list[int]] = {}
    buyers = 0
    for _ in range(6_000):
        number = min(rng.geometric(0.3), len(pages) - 1)
        seen = ["home"] if rng.random() < 0.6 else []
        chances = popular / popular.sum()
        seen += [pages[n] for n in rng.choice(len(pages), number, replace=False, p=chances) if pages[n] not in seen]
        buys = rng.random() < 0.01 * len(seen) * (3 if good in seen else 1)
        buyers += buys
        for place, page in enumerate(seen, start=1):
            cell = counts.setdefault((page, place), [0, 0])
            cell[0] += 1
            cell[1] += buys
    of_number = {
        place: [sum(each[n] for (_, at), each in counts.items() if at == place) for n in (0, 1)]
        for place in {place for _, place in counts}
    }
    return [
        {
            "content": page,
            "goal": "buy",
            "seen": place,
            "actors": actors,
            "reached": reached,
            "all_actors": of_number[place][0],
            "all_reached": of_number[place][1],
            "everybody_reached": buyers,
            "contents": len(pages),
        }
        for (page, place), (actors, reached) in sorted(counts.items())
    ]


def test_a_page_that_people_see_first_does_not_lead_less_often_by_that():
    """All pages together, whoever sees many counts many times: next to that, the page of the beginning looks bad."""
    rows = walked(np.random.default_rng(1))
    of_home = [each for each in rows if each["content"] == "home"]
    home, others = (sum(each[name] for each in of_home) for name in ("reached", "actors"))
    all_reached, all_seen = (sum(each[name] for each in rows) for name in ("reached", "actors"))

    assert home / others < 0.75 * (all_reached - home) / (all_seen - others)
    found = told(rows)["home"]
    assert found.says == CHANCE
    assert found.ratio == pytest.approx(1, abs=0.15)


def test_nothing_leads_to_a_goal_where_only_how_many_are_seen_does():
    found = [row.content for seed in range(20) for row in told(walked(np.random.default_rng(seed))).values()
             if row.says in (MORE, LESS)]  # fmt: skip

    assert found == []


def test_a_page_that_makes_people_buy_is_found_among_those_that_do_not():
    found = told(walked(np.random.default_rng(2), good="p3"))

    assert [name for name, row in found.items() if row.says == MORE] == ["p3"]
    # Who sees it later, or saw it earlier, is among the others.
    assert found["p3"].ratio is not None
    assert 1.3 < found["p3"].ratio < 3


def test_largest_ratio_of_few_is_drawn_to_the_others():
    rows = told(counted(few=(40, 4), one=(2_000, 100), two=(2_000, 100), three=(2_000, 98)))

    few = rows["few"]
    assert few.says == CHANCE
    assert few.ratio is not None
    assert few.shrunken is not None
    assert 1 <= few.shrunken < few.ratio


def test_page_that_all_pass_is_on_the_path():
    rows = counted(cart=(200, 98), other=(2_000, 100))
    for row in rows:
        row["everybody_reached"] = 100

    found = told(rows)
    assert found["cart"].says == ON_PATH
    assert found["cart"].ratio is None


def test_few_who_saw_it_and_few_goals_are_not_enough_data():
    assert told(counted(few=(29, 5), other=(900, 40)))["few"].says == "not enough data: n = 29 saw it"
    row = told(counted(one=(900, 9), other=(900, 10)))["one"]
    assert row.says == "not enough data: n = 19 reached buy"
    assert row.rate is None


def result_of(rows: list[dict[str, Any]], goals: list[str], top: int) -> ContentResult:
    outcomes = _outcomes(rows, goals, may_be_on_path=True)
    return ContentResult(
        what="page",
        goals=tuple(goals),
        contents=tuple(row for goal in goals for row in outcomes[goal][:top]),
        counts=tuple(ContentGoal.of(goal, outcomes[goal]) for goal in goals),
        looked_at=len(rows),
        sentence=_sentence(outcomes, goals[0], Content()),
        assumptions=(),
    )


def test_line_below_a_table_says_how_many_there_are_and_how_to_see_them():
    contents = {"good": (1_000, 100), "usual": (2_000, 100), "bad": (1_000, 10), "few": (10, 1)}
    said = [each for each in result_of(counted(**contents), ["buy"], 2).sheets() if isinstance(each, str)]
    whole = [each for each in result_of(counted(**contents), ["buy"], 4).sheets() if isinstance(each, str)]

    found = "Of 4 pages that were looked at, 3 were tested: 1 leads to buy more often, and 1 less often."
    assert said == [f"{found} The first 2 are shown (more: --top)."]
    assert whole == [found]


def test_sentence_says_that_other_goals_have_their_own_tables():
    contents = {"good": (1_000, 100), "usual": (2_000, 100)}
    both = result_of([*counted(**contents), *counted("call", **contents)], ["buy", "call"], 2)

    assert " reached buy within 7 days" in both.sentence
    assert both.sentence.endswith("The other goal has a table of its own.")
    assert result_of(counted(**contents), ["buy"], 2).sentence.endswith("brings them there.")


def test_goal_of_another_system_is_said_to_be_reached_only_by_whom_it_names():
    facts = {"kind": "macro", "stage": "decision"}
    buy = MicroConversion.model_validate({"id": "buy", "name": "buy", "event": "buy", **facts})
    contract = MicroConversion.model_validate({"id": "contract", "name": "contract", "external": "contract", **facts})
    known = Taxonomy("shop", "1.0", (buy, contract))

    assert list(of_other_systems(["buy"], known)) == []
    said = list(of_other_systems(["buy", "contract"], known))
    assert len(said) == 1
    assert said[0].startswith("contract is told by other systems, and only whom their rows name can reach that.")
    assert "people who signed in" in said[0]


def test_shares_of_goals_are_said_to_overlap_and_the_cut_to_be_only_of_the_list():
    assumptions = " ".join(Content()._assumptions(1_382))

    assert "who saw it as the first is compared with those who saw another as their first" in assumptions
    assert "add up to more than 100%" in assumptions
    assert "There are 1,382 pages. Only the 200 that most actors saw are looked at one by one" in assumptions
