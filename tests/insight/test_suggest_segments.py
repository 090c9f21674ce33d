"""What is suggested can be pasted, holds whom it says, and rests on more than chance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from insight.simulated import DAY, HOUR, MINUTE, Done, Visits, taxonomy
from insight.simulated import staged as simulated
from microconv.analyses.insight import suggest_segments
from microconv.analyses.insight.banded import Banded
from microconv.analyses.insight.evidence import DISCOUNTS, Evidence
from microconv.analyses.insight.suggest_segments import SegmentProposal, SuggestedSegmentsResult
from microconv.config.load import load_config
from microconv.config.segment_rules import SegmentRule
from microconv.config.toml import literal, read_toml
from microconv.engines.base import AddRows
from microconv.project import Project
from microconv.segments.propensity_tables import PROPENSITY_MODELS, PROPENSITY_SCORES
from microconv.stats.ratios import Ratio
from projects import write_config

ENTRIES = {
    "page": {"kind": "secondary", "stage": "awareness"},
    "guide": {"kind": "secondary", "stage": "awareness"},
    "film": {"kind": "secondary", "stage": "awareness"},
    "view": {"kind": "milestone", "stage": "consideration"},
    "cart": {"kind": "milestone", "stage": "decision"},
    "stall": {"kind": "secondary", "stage": "decision", "mindset": "commitment"},
    "buy": {"kind": "macro", "stage": "decision", "value": "event"},
}
DAYS = 40


def project_of(
    folder: Path,
    *,
    seed: int = 1,
    ratio: float = 3.0,
    actors: int = 8_000,
    extra: str = "",
    triggers: str = "",
    mindset: str = "",
) -> Project:
    """A shop in which `guide` makes the goal `ratio` times as likely, `film` nothing, and a cart is on the way."""
    rng = np.random.default_rng(seed)
    actor = np.arange(actors)
    begins = rng.integers(0, DAYS * DAY, actors)
    at: dict[str, np.ndarray] = {"view": begins + MINUTE}
    has = {"view": rng.random(actors) < 0.6, "guide": rng.random(actors) < 0.15, "film": rng.random(actors) < 0.2}
    at["guide"], at["film"] = begins + 2 * MINUTE, begins + 3 * MINUTE
    buys = has["view"] & (rng.random(actors) < 0.06 * np.where(has["guide"], ratio, 1.0))
    has["cart"] = buys | (has["view"] & (rng.random(actors) < 0.15))
    at["cart"] = begins + HOUR
    at["buy"], has["buy"] = begins + HOUR + (rng.random(actors) * 2 * DAY).astype(np.int64) + MINUTE, buys
    at["page"], has["page"] = begins, np.zeros(actors, dtype=bool)
    has["stall"] = has["cart"] & ~buys & (rng.random(actors) < 0.5)
    at["stall"] = begins + 3 * HOUR
    done = {
        name: Done(
            actor[has[name]],
            at[name][has[name]],
            {"value": np.full(int(buys.sum()), 30.0), "currency": ["USD"] * int(buys.sum())} if name == "buy" else {},
        )
        for name in ENTRIES
    }
    # Pages mean nothing; by them there are actors who did as much as those who open the guide, and did not open it.
    of = np.repeat(actor, rng.poisson(5, actors))
    done["page"] = Done(of, begins[of] + rng.integers(0, HOUR, len(of)))
    known = taxonomy(**{name: {key: str(value) for key, value in facts.items()} for name, facts in ENTRIES.items()})
    folder.mkdir(exist_ok=True)
    simulated(folder / "microconv.duckdb", known, Visits(actor, begins), done, days=DAYS).close()
    lines = ['name = "shop"', 'version = "1.0"']
    for name, facts in ENTRIES.items():
        lines += ["[[micro_conversions]]", f'id = "{name}"', f'event = "{name}"']
        lines += [f'{key} = "{value}"' for key, value in facts.items()]
        lines += ["hesitation = true"] if name == "stall" else []
        lines += [f"triggers = {triggers}"] if triggers and name == "film" else []
        lines += [f'mindset = "{mindset}"'] if mindset and name == "guide" else []
    (folder / "taxonomy.toml").write_text("\n".join(lines) + "\n")
    extra = f'[taxonomy]\npreset = "none"\nfile = "taxonomy.toml"\n{extra}'
    return Project(load_config(write_config(folder, extra=extra), {}))


def staged_as(folder: Path, visits: Visits, done: dict[str, Done]) -> Project:
    """A shop with the same entries, in which people did what is given."""
    known = taxonomy(**{name: {key: str(value) for key, value in facts.items()} for name, facts in ENTRIES.items()})
    project_of(folder, actors=1).close()  # for its files
    (folder / "microconv.duckdb").unlink()
    simulated(folder / "microconv.duckdb", known, visits, done, days=DAYS).close()
    return Project(load_config(folder / "microconv.toml", {}))


def asked(project: Project, **fields: Any) -> SuggestedSegmentsResult:
    result = project.ask("suggest_segments", **fields)
    assert isinstance(result, SuggestedSegmentsResult)
    json.dumps(result.document(), allow_nan=False)
    return result


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with project_of(tmp_path_factory.mktemp("shop")) as project:
        yield project


@pytest.fixture(scope="module")
def suggested(shop: Project) -> SuggestedSegmentsResult:
    return asked(shop)


def sizes_when_pasted(config: Path, result: SuggestedSegmentsResult, *rows: SegmentProposal) -> list[int]:
    """How many members segments have once what was printed is in the configuration."""
    pasted = config.with_name("pasted.toml")
    pasted.write_text(config.read_text() + result.toml)
    with Project(load_config(pasted, {})) as project:
        return [project.ask("segment", name=row.segment).rows[0].members for row in rows]


def by_name(result: SuggestedSegmentsResult) -> dict[str, SegmentProposal]:
    return {row.segment: row for row in result.proposals}


def test_what_is_printed_loads_and_holds_whom_it_says(shop: Project, suggested: SuggestedSegmentsResult):
    file = shop.config.file
    shop.close()
    pasted = file.with_name("pasted.toml")
    pasted.write_text(file.read_text() + suggested.toml)
    with Project(load_config(pasted, {})) as project:
        sizes = {each.name: project.ask("segment", name=each.name).rows[0].members for each in project.config.segments}

    assert sizes == {row.segment: row.members for row in suggested.proposals}
    assert len(sizes) >= 5


def test_each_block_says_where_it_could_be_sent_and_sends_nothing_by_itself(suggested: SuggestedSegmentsResult):
    blocks = [each for each in suggested.toml.split("[[segments]]\n") if each]

    assert len(blocks) == len(suggested.proposals)
    for block in blocks:
        assert '# destinations = ["mails"] # an example' in block
        assert set(read_toml(block)) == {"name", "rule"}


def test_configured_destinations_are_named_with_their_kinds(tmp_path: Path):
    extra = '[[destinations]]\nname = "lists"\nkind = "file"\npath = "out"\nformat = "csv"\n'
    with project_of(tmp_path, extra=extra) as project:
        result = asked(project)

    assert '# destinations = ["lists"] # configured: lists (file)' in result.toml


def test_a_signal_yields_who_did_it_and_who_could_be_invited(suggested: SuggestedSegmentsResult):
    rows = by_name(suggested)

    signals = {"guide_without_buy", "invite_to_guide"}
    assert set(rows) == signals | {"view_no_further", "cart_no_further", "stall_without_buy", "stalled_before_buy"}
    assert rows["cart_no_further"].why.startswith(
        "came as far as cart and no further; hardly anybody reaches buy without it"
    )
    assert "wavered (stall), most often when the act before it showed " in rows["stall_without_buy"].why
    assert "not proof that it causes it" in rows["guide_without_buy"].why
    assert {row.segment for row in rows.values() if row.tier == "adjusted"} == {"invite_to_guide"}
    assert {row.tier for row in rows.values()} == {"adjusted", "observed"}


def test_nobody_is_invited_to_what_shows_that_they_have_decided(tmp_path: Path):
    with project_of(tmp_path, mindset="commitment") as project:
        names = set(by_name(asked(project)))

    assert "guide_without_buy" in names
    assert "invite_to_guide" not in names


def test_the_ratio_is_said_to_be_the_one_that_lift_calls_beyond_any_step(
    shop: Project, suggested: SuggestedSegmentsResult
):
    (row,) = (each for each in shop.ask("lift").rows if each.micro_conversion == "guide")
    told = f"{row.beyond:.1f} times as often as like actors reach it without, divided by what any small step shows ("

    assert f"{row.ratio:.1f}" != f"{row.beyond:.1f}"
    assert told in by_name(suggested)["guide_without_buy"].why


def test_how_many_segments_there_are_is_said_where_only_some_are_shown(
    shop: Project, suggested: SuggestedSegmentsResult
):
    assert suggested.sentence.startswith("6 segments to build for buy, ")
    assert asked(shop, top=2).sentence.startswith("2 of 6 segments (--top) to build for buy, ")


def test_what_the_interval_is_of_and_what_is_assumed_is_told_where_it_is_pasted(suggested: SuggestedSegmentsResult):
    row = by_name(suggested)["invite_to_guide"]
    told = (
        f"if 5.0% respond (assumed): {row.expected:.1f} more (95% interval of what a response brings: {row.low:.1f} to "
        f"{row.high:.1f}), after the assumed discount of 0.5\n"
    )

    assert told in suggested.toml


def test_that_nothing_is_to_be_retired_is_said(suggested: SuggestedSegmentsResult):
    assert suggested.retirements == ()
    assert suggested.sentence.endswith(" No entry is to be retired.")


@pytest.mark.parametrize(
    ("p_value", "is_among", "said"),
    [
        (1e-6, False, "not proof that it causes it"),
        (1e-6, True, "no more than any small step may have"),
        (0.02, False, "corrected for all entries, it may be chance"),
    ],
)
def test_a_ratio_that_says_nothing_is_not_given_as_a_reason(p_value: float, is_among: bool, said: str):
    banded = Banded(Ratio(1.2, 0.8, 1.9, 0.4), False, 300, 40, 60, 2_000)
    evidence = Evidence("stall", banded, p_value, 1.1, is_among_placebos=is_among)

    assert evidence.in_words("buy") == (
        f"buy follows it 1.2 times as often as like actors reach it without (0.8 to 1.9); {said}"
    )


def test_hardly_anybody_is_not_nobody():
    on_path = Evidence("view", Banded(None, True, 5_000, 850, 5, 9_000), None, None)

    assert on_path.in_words("buy") == "hardly anybody reaches buy without it"


def test_expected_effect_is_size_times_response_times_what_a_response_brings_discounted(
    shop: Project, suggested: SuggestedSegmentsResult
):
    row = by_name(suggested)["cart_no_further"]
    twice = by_name(asked(shop, response=0.1))["cart_no_further"]
    steps = shop.ask("what_if", changes="cart +5%").rows
    onward = next(each.onward for each in steps if each.step == "buy" and each.who == "new people")

    assert row.expected == pytest.approx(row.members * 0.05 * onward * DISCOUNTS["observed"])
    assert row.low is not None
    assert row.low < row.expected < row.high
    assert twice.expected == pytest.approx(2 * row.expected)


def test_an_invitation_counts_only_what_people_would_not_have_done_anyway(suggested: SuggestedSegmentsResult):
    rows = by_name(suggested)
    invited, did = rows["invite_to_guide"], rows["guide_without_buy"]

    # The true ratio is 3: of those who bought after it, two of three would not have without.
    each_invited = invited.expected / invited.members / DISCOUNTS["adjusted"]
    each_did = did.expected / did.members / DISCOUNTS["observed"]
    assert 0.45 < each_invited / each_did < 0.8


def test_what_predicts_nothing_and_nothing_uses_is_to_be_retired(tmp_path: Path):
    # 8,000 actors cannot say that a ratio is 1 to within a quarter.
    with project_of(tmp_path / "free", ratio=2.0, actors=60_000) as project:
        result = asked(project)
    with project_of(tmp_path / "used", ratio=2.0, actors=60_000, triggers='["the report"]') as project:
        used = asked(project)
    segment = '[[segments]]\nname = "films"\nrule = { did = "film", within = "9d" }\n'
    with project_of(tmp_path / "named", ratio=2.0, actors=60_000, extra=segment) as project:
        named = asked(project)

    assert [row.entry for row in result.retirements] == ["film"]
    assert result.sentence.endswith(
        " Retire film: buy follows it about as often as among like actors without, and nothing uses it."
    )
    assert [row.why for row in result.retirements] == [
        "buy follows it about as often as among like actors without it, and nothing uses it"
    ]
    assert "film" not in result.toml
    assert used.retirements == named.retirements == ()


def test_nothing_is_retired_on_a_ratio_that_no_placebos_are_held_against(shop: Project):
    banded = Banded(Ratio(1.0, 0.9, 1.1, 0.9), False, 3_000, 400, 900, 8_000)
    context = shop.context
    found = {
        beyond: list(
            suggest_segments._retirements(
                {"film": Evidence("film", banded, 0.9, 1.0, is_beyond=beyond)}, context, "buy"
            )
        )
        for beyond in (True, False)
    }

    assert [row.entry for row in found[True]] == ["film"]
    assert found[False] == []


def test_after_pasting_all_blocks_it_is_said_that_all_are_configured_already(
    tmp_path: Path, suggested: SuggestedSegmentsResult
):
    with project_of(tmp_path, extra=suggested.toml) as project:
        result = asked(project)

    assert (suggested.configured, result.configured, result.proposals) == (0, 6, ())
    assert result.sentence == (
        "All 6 segments that follow from what the data say about buy are configured already. No entry is to be retired."
    )
    assert result.document()["configured"] == 6


def test_a_segment_that_is_configured_is_not_proposed_again(tmp_path: Path, suggested: SuggestedSegmentsResult):
    row = by_name(suggested)["guide_without_buy"]
    extra = (
        f'[[segments]]\nname = "mine"\nrule = {row.rule}\n'
        '[[segments]]\nname = "cart_no_further"\nrule = { did = "view", within = "1d" }\n'
    )
    with project_of(tmp_path, extra=extra) as project:
        result = asked(project)
    names = set(by_name(result))

    assert result.configured == 1
    assert "1 more is configured already." in result.sentence
    assert "guide_without_buy" not in names
    assert "cart_no_further_2" in names
    assert "cart_no_further" not in names


@pytest.mark.parametrize("seeds", [range(8), pytest.param(range(8, 40), marks=pytest.mark.long)], ids=str)
def test_no_signal_is_found_in_shops_where_none_is_planted(seeds: range, tmp_path: Path):
    found = 0
    for seed in seeds:
        with project_of(tmp_path / str(seed), seed=seed, ratio=1.0) as project:
            names = set(by_name(asked(project)))
        found += bool(names & {"guide_without_buy", "film_without_buy", "invite_to_guide", "invite_to_film"})

    assert found == 0


def comers_of(folder: Path, *, chance: float, later: float) -> Project:
    """People who come every other day or so until they give up, and reach the goal on a visit or, silent, each week."""
    rng = np.random.default_rng(3)
    actors, moments = [], []
    buyers, bought = [], []
    for actor in range(2_000):
        day, gives_up = float(rng.uniform(0, 10)), float(rng.uniform(5, 35))
        while day < gives_up:
            actors.append(actor)
            moments.append(int(day * DAY))
            if rng.random() < chance:
                buyers.append(actor)
                bought.append(int(day * DAY) + HOUR)
                break
            day += float(rng.uniform(1, 3))
        else:
            weeks = rng.geometric(later) if later else 1_000
            if gives_up + 7 * weeks < DAYS:
                buyers.append(actor)
                bought.append(int((gives_up + 7 * weeks) * DAY))
    actor, at_us = np.array(actors), np.array(moments)
    done = {"view": Done(actor, at_us + MINUTE), "buy": Done(np.array(buyers), np.array(bought))}
    return staged_as(folder, Visits(actor, at_us), done)


def test_the_stalled_are_proposed_only_where_the_steady_do_better(tmp_path: Path):
    with comers_of(tmp_path / "better", chance=0.03, later=0.0) as project:
        better = by_name(asked(project))
    with comers_of(tmp_path / "alike", chance=0.03, later=0.2) as project:
        alike = by_name(asked(project))

    row = better["stalled_before_buy"]
    assert '{ lapsed = ["view", "cart"], for = "' in row.rule
    assert "of the steady; not proof that bringing them back makes them steady" in row.why
    assert 0 < row.low < row.expected < row.high
    assert row.expected / (row.members * 0.05 * DISCOUNTS["observed"]) == pytest.approx(0.09, abs=0.05)
    assert "stalled_before_buy" not in alike


def readers_of(folder: Path) -> Project:
    """People who turn pages in their first hour, and of whom those with three or more buy five times as often later."""
    rng = np.random.default_rng(11)
    actor = np.arange(6_000)
    begins = rng.integers(0, 25 * DAY, len(actor))
    pages = rng.integers(0, 6, len(actor))
    buys = rng.random(len(actor)) < np.where(pages >= 3, 0.2, 0.04)
    of = np.repeat(actor, pages)
    done = {
        "page": Done(of, begins[of] + rng.integers(MINUTE, 50 * MINUTE, len(of))),
        "buy": Done(actor[buys], begins[buys] + 5 * DAY),
    }
    return staged_as(folder, Visits(actor, begins), done)


def test_a_number_that_matters_yields_who_did_it_so_often_and_who_is_one_short(tmp_path: Path):
    with readers_of(tmp_path) as project:
        result = asked(project, within="40d")
        rows = by_name(result)
        config = project.config.file
    enough, short = rows["page_3_times_without_buy"], rows["page_one_short_of_3"]

    assert '"at_least": 3' in json.dumps(read_toml(f"rule = {enough.rule}"))
    assert enough.expected / (enough.members * 0.05 * DISCOUNTS["observed"]) == pytest.approx(0.2, abs=0.03)
    assert short.expected / (short.members * 0.05 * DISCOUNTS["observed"]) == pytest.approx(0.16, abs=0.03)
    assert short.low < short.expected < short.high
    assert "from 3 times within 1 hour of the first session on, " in short.why
    assert " below, while the rule counts over 40d; not proof" in short.why
    assert "not proof" in short.why
    assert min(enough.members, short.members) > 100
    assert sizes_when_pasted(config, result, enough, short) == [enough.members, short.members]


def test_a_pair_that_does_more_than_its_parts_yields_who_did_both_and_who_did_one(tmp_path: Path):
    rng = np.random.default_rng(5)
    actor = np.arange(8_000)
    begins = rng.integers(0, 25 * DAY, len(actor))
    guide, film = rng.random(len(actor)) < 0.3, rng.random(len(actor)) < 0.3
    buys = rng.random(len(actor)) < np.where(guide & film, 0.3, 0.05)
    done = {
        "guide": Done(actor[guide], begins[guide] + HOUR),
        "film": Done(actor[film], begins[film] + 2 * HOUR),
        "buy": Done(actor[buys], begins[buys] + 4 * DAY),
    }
    with staged_as(tmp_path, Visits(actor, begins), done) as project:
        result = asked(project, within="40d")
        rows = by_name(result)
        config = project.config.file
    both, one = rows["guide_and_film_without_buy"], rows["guide_or_film_not_both"]

    assert both.members == pytest.approx(np.sum(guide & film & ~buys), rel=0.02)
    assert one.members == pytest.approx(np.sum((guide ^ film) & ~buys), rel=0.02)
    assert both.expected / (both.members * 0.05 * DISCOUNTS["observed"]) == pytest.approx(0.3, abs=0.05)
    assert one.expected / (one.members * 0.05 * DISCOUNTS["observed"]) == pytest.approx(0.25, abs=0.05)
    assert 0 < one.low < one.expected < one.high
    assert "of those who did both within 1 day of the first session reach buy in the week after" in one.why
    assert "not proof that doing both causes it" in one.why
    assert sizes_when_pasted(config, result, both, one) == [both.members, one.members]


def test_the_likely_are_proposed_once_they_are_scored_and_nothing_is_expected_of_them(tmp_path: Path):
    with project_of(tmp_path) as project:
        assert "likely_to_buy" not in by_name(asked(project))
        moment = project.default_as_of()
        (row,) = project.query("SELECT LIST(DISTINCT actor_key) FROM mc_sessions").rows
        actors = sorted(row[0])
        model = {"model_id": "m", "goal": "buy", "trained_at": moment, "as_of": moment, "status": "accepted"}
        scores = tuple(
            {
                "goal": "buy",
                "actor_key": key,
                "model_id": "m",
                "scored_at": moment,
                "probability": place / len(actors),
                "decile": place * 10 // len(actors) + 1,
            }
            for place, key in enumerate(actors)
        )
        for table, rows in ((PROPENSITY_MODELS, (model,)), (PROPENSITY_SCORES, scores)):
            project.engine.ensure(table)
            project.engine.apply([AddRows(table, rows)])
        likely = by_name(asked(project, top=30))["likely_to_buy"]

    assert read_toml(f"rule = {likely.rule}")["rule"] == {"propensity": "9..10", "goal": "buy"}
    assert likely.members == sum(each["decile"] >= 9 for each in scores)
    assert likely.expected is None


def test_rules_are_written_as_toml_that_reads_the_same():
    rule = SegmentRule.model_validate(
        {
            "all": [
                {"did": ["a", 'b"\\é'], "within": "3d", "at_least": 2, "not_did": "c"},
                {"not": {"last": "d", "between": ["1d", "7d"]}},
                {"total": "value", "of": "a", "within": "9d", "at_least": 2.5},
            ]
        }
    )

    assert read_toml(f"rule = {literal(rule.model_dump(mode='json'))}")["rule"] == json.loads(rule.model_dump_json())
