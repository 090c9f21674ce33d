"""From events to an audience of likely actors: a segment names deciles, and never becomes empty for want of scores."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from microconv.config.segment_rules import SegmentRule
from microconv.errors import FindingsError, SourceError
from microconv.project import Project
from microconv.queries.templates import Query
from microconv.segments.ga4_audiences import obstacles
from microconv.segments.sentence import sentence
from propensity.returning_visitors import KNOWN, opened, shop

EXTRA = """
[[segments]]
name = "likely"
rule = { propensity = "9..10" }
identity = ["user_id"]
[[segments]]
name = "likely_and_active"
rule = { all = [{ propensity = 10 }, { did = "look", within = "7d" }] }
[[destinations]]
name = "files"
kind = "file"
format = "csv"
path = "out"
[identity]
file = "identity.csv"
[consent]
file = "consent.csv"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    shop(folder, 1).close()
    everybody = range(8_000)
    (folder / "identity.csv").write_text("user_id,email\n" + "".join(f"u{n},u{n}@shop.example\n" for n in everybody))
    granted = ("granted" if n % 2 else "denied" for n in everybody)
    (folder / "consent.csv").write_text(
        "user_id,ad_user_data,ad_personalization,changed_at\n"
        + "".join(f"u{n},{said},{said},2024-01-01T00:00:00Z\n" for n, said in zip(everybody, granted, strict=True))
    )
    return folder


@pytest.fixture
def project(folder: Path) -> Iterator[Project]:
    with opened(folder, EXTRA) as project:
        yield project


def deciles(project: Project) -> dict[int, int]:
    rows = project.engine.query(
        Query("tests/deciles", "SELECT s.actor_key, s.decile FROM mc_propensity_scores AS s", {})
    )
    return dict(zip(rows["actor_key"].to_pylist(), rows["decile"].to_pylist(), strict=True))


def test_events_become_an_audience_of_likely_actors_who_agreed(project: Project, folder: Path):
    project.propensity.train()
    project.propensity.score()
    likely = {actor for actor, decile in deciles(project).items() if decile >= 9}
    built = project.build_segments()
    project.export("likely", "files", allow_stale=True)
    written = folder / "out" / "likely.csv"
    with written.open(encoding="utf-8") as file:
        exported = list(csv.DictReader(file))

    assert {each.actor_key for each in project.members("likely")} == likely
    assert next(each.members for each in built.segments if each.segment == "likely") == len(likely) > 300
    assert {each.actor_key for each in project.members("likely_and_active")} < likely
    assert len(exported) == sum(actor % 2 for actor in likely)


def test_segment_without_scores_names_the_command_and_keeps_nobody_out(project: Project):
    for ask in (
        project.build_segments,
        lambda: project.members("likely"),
        lambda: project.ask("segment", name="likely"),
    ):
        with pytest.raises(SourceError) as caught:
            ask()
        assert "`microconv propensity score --goal buy`" in caught.value.hint
        assert caught.value.exit_code == 3
    with pytest.raises(SourceError):
        project.export("likely", "files")
    with pytest.raises(SourceError):
        project.segment_overlap()
    with pytest.raises(SourceError):
        project.ask("momentum", segment="likely")


def test_stale_scores_stop_a_build_and_everybody_stays(project: Project):
    project.propensity.train()
    project.propensity.score()
    project.build_segments()
    scored_at = project.default_as_of()
    project.build_segments(as_of=scored_at + timedelta(days=7))
    members = "SELECT COUNT(*) AS n FROM mc_segment_members AS m WHERE m.segment = 'likely' AND m.until IS NULL"
    before = project.engine.query(Query("tests/members", members, {})).to_pylist()
    with pytest.raises(FindingsError, match="more than 7 days before") as caught:
        project.build_segments(as_of=scored_at + timedelta(days=7, seconds=1))

    assert "`microconv propensity score --goal buy`" in caught.value.hint
    assert project.engine.query(Query("tests/members", members, {})).to_pylist() == before != [{"n": 0}]


def test_scores_are_not_used_for_a_moment_before_them(project: Project):
    project.propensity.train()
    project.propensity.score()

    with pytest.raises(FindingsError, match="after the moment asked for"):
        project.ask("segment", name="likely", as_of=datetime(2024, 4, 1, tzinfo=UTC))


def test_scores_are_not_used_once_the_model_trained_last_was_refused(project: Project):
    from microconv.analyses.propensity.scoring import model_of
    from microconv.engines.base import AddRows
    from microconv.segments.propensity_tables import PROPENSITY_MODELS

    project.propensity.train()
    project.propensity.score()
    refused = model_of(project.engine, "buy").model_copy(
        update={"reason": "no better.", "model_id": "later", "trained_at": datetime.now(tz=UTC)}
    )
    project.engine.apply([AddRows(PROPENSITY_MODELS, (refused.row(),))])

    with pytest.raises(FindingsError, match="was refused: no better"):
        project.build_segments()


@pytest.mark.parametrize(
    ("written", "deciles"), [("9..10", (9, 10)), ("10", (10, 10)), (1, (1, 1)), ("1..10", (1, 10)), ("3..3", (3, 3))]
)
def test_deciles_are_written_as_one_or_from_to(written: object, deciles: tuple[int, int]):
    rule = SegmentRule.model_validate({"propensity": written})

    assert rule.deciles == deciles
    assert SegmentRule.model_validate_json(rule.model_dump_json()) == rule


@pytest.mark.parametrize(
    "written", ["0..10", "9..11", "10..9", "9..", "..9", "", "nine", "9...10", "-1..2", True, 9.5, "²"]
)
def test_what_is_no_decile_is_refused(written: object):
    with pytest.raises(ValidationError, match="must be deciles of the chance"):
        SegmentRule.model_validate({"propensity": written})


def test_goal_goes_with_propensity_alone():
    with pytest.raises(ValidationError):
        SegmentRule.model_validate({"goal": "buy"})
    rule = SegmentRule.model_validate({"propensity": "10", "goal": "cart"})
    assert ("cart", "a segment's rule") in set(rule.named())


def test_rule_is_said_in_words_and_ga4_cannot_express_it():
    rule = SegmentRule.model_validate({"propensity": "9..10", "goal": "buy"})

    assert sentence(rule) == (
        "Members are actors who are in deciles 9 to 10 of 10 by their chance to reach buy (10: the largest), as scored "
        "last."
    )
    assert obstacles(rule, KNOWN) == ("GA4 does not know the chances that microconv gives.",)
