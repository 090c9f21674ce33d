"""Scores are the model's, made in SQL; where the data are no longer its own, nobody is scored."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from commands import microconv
from microconv.analyses.propensity.scoring import model_of
from microconv.analyses.propensity.training import micros
from microconv.errors import FindingsError, SourceError
from microconv.project import Project
from propensity.returning_visitors import opened, shop


def scores(project: Project) -> list[dict]:
    from microconv.queries.templates import Query

    query = "SELECT s.* FROM mc_propensity_scores AS s ORDER BY s.actor_key"
    return project.engine.query(Query("tests/scores", query, {})).to_pylist()


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = shop(tmp_path_factory.mktemp("known") / "shop", 1)
    project.propensity.train()
    project.propensity.score()
    return project


def test_chances_in_sql_are_those_of_sklearn(known: Project):
    from sklearn.linear_model import LogisticRegression

    model = model_of(known.engine, "buy")
    form = model.form
    as_of = known.default_as_of()
    table = known.engine.query(form.features.query(model.asked, [micros(as_of) + 1], is_ordered=True))
    columns = np.column_stack([np.log1p(table[f"feature_{place}"].to_numpy()) for place in range(len(form.weights))])
    logistic = LogisticRegression()
    logistic.classes_ = np.array([0, 1])
    logistic.coef_, logistic.intercept_ = np.array([form.weights]), np.array([form.intercept])
    told = logistic.predict_proba(columns)[:, 1]
    kept = scores(known)

    assert [row["actor_key"] for row in kept] == table["actor_key"].to_pylist()
    assert np.abs(np.array([row["probability"] for row in kept]) - told).max() < 1e-9
    assert told.std() > 0.01


def test_deciles_are_tenths_by_chance_and_equal_chances_share_one(known: Project):
    kept = scores(known)
    chances = np.array([row["probability"] for row in kept])
    deciles = np.array([row["decile"] for row in kept])
    below = np.array([(np.rint(chances * 1e7) < each).sum() for each in np.rint(chances * 1e7)])

    assert (deciles == 1 + 10 * below // len(kept)).all()
    assert set(deciles) == set(range(1, 11))


def test_scoring_says_who_is_scored_and_why(known: Project):
    result = known.propensity.score()

    assert sum(row.actors for row in result.rows) == result.actors == len(scores(known))
    assert [row.decile for row in result.rows] == list(range(10, 0, -1))
    assert result.rows[0].chance > 5 * result.rows[-1].chance
    assert "more " in result.rows[0].up
    assert json.dumps(result.document(), allow_nan=False)
    (base,) = (each for each in result.assumptions if each.startswith("Base rate: in the last 7 days"))
    assert ", of those with a session in the 28 days before who had not reached it by then; in training" in base
    assert any("stands the mean of all who were scored" in each for each in result.assumptions)


def test_new_scores_replace_those_of_the_goal_alone(known: Project):
    known.propensity.train("cart")
    known.propensity.score("cart")
    before = [row for row in scores(known) if row["goal"] == "cart"]
    known.propensity.score()
    kept = scores(known)

    assert [row for row in kept if row["goal"] == "cart"] == before
    assert len({(row["goal"], row["actor_key"]) for row in kept}) == len(kept)
    assert len({row["model_id"] for row in kept}) == 2


def test_nobody_is_scored_without_a_model(tmp_path: Path):
    with shop(tmp_path / "shop", 2, actors=500) as project, pytest.raises(SourceError) as caught:
        project.propensity.score()

    assert "microconv propensity train --goal buy" in caught.value.hint


def test_refused_model_scores_nobody(tmp_path: Path):
    with shop(tmp_path / "shop", 3, signal=0) as project:
        assert project.propensity.train().status == "refused"
        with pytest.raises(FindingsError, match="was refused"):
            project.propensity.score()
        shown = project.ask("propensity")
        assert shown.status == "refused"
        assert re.search(r"no better than chance \(AUC 0\.\d\d, p = \S+, at most 0\.001 is asked\)", shown.sentence)
        assert any(each.startswith("Next: the command propensity train --goal buy ") for each in shown.assumptions)
        assert project.engine.version("mc_propensity_scores") is None


def moved(folder: Path, **late: object) -> Project:
    """A shop whose model was trained before its last week, which then came otherwise."""
    from microconv.engines.base import AddRows
    from microconv.segments.propensity_tables import PROPENSITY_MODELS

    with shop(folder / "before", 4) as project:
        project.propensity.train()
        row = model_of(project.engine, "buy").row()
    after = shop(folder / "after", 4, **late)
    after.engine.ensure(PROPENSITY_MODELS)
    after.engine.apply([AddRows(PROPENSITY_MODELS, (row,))])
    return after


def test_features_that_moved_are_named(tmp_path: Path):
    with moved(tmp_path, busier=8.0) as project, pytest.raises(FindingsError) as caught:
        project.propensity.score()

    assert "population stability index above 0.25" in caught.value.message
    assert "micro-conversions in the last 3 days" in caught.value.message
    assert "propensity train --goal buy" in caught.value.hint


def test_feature_that_vanished_is_named(tmp_path: Path):
    with moved(tmp_path) as project:
        project.propensity.score()
        before = scores(project)
        from microconv.engines.duckdb import DuckDBEngine

        assert isinstance(project.engine, DuckDBEngine)
        project.engine._connection.execute("DELETE FROM mc_micro_conversions WHERE micro_conversion = 'save'")
        with pytest.raises(FindingsError, match="save is gone"):
            project.propensity.score()
        assert scores(project) == before


def test_same_shop_has_not_moved(tmp_path: Path):
    with moved(tmp_path) as project:
        result = project.propensity.score()

    assert result.drift
    assert result.drift[0][1] < 0.1


def test_base_rate_that_moved_is_told(tmp_path: Path):
    with moved(tmp_path, rate=0.3) as project:
        result = project.propensity.score()

    assert any("the chances told may be too low" in each for each in result.assumptions)


def test_entry_that_the_taxonomy_lost_is_named(tmp_path: Path):
    folder = tmp_path / "shop"
    with shop(folder, 5) as project:
        project.propensity.train()
    taxonomy = opened(folder).config.taxonomy.file
    assert taxonomy is not None
    text = taxonomy.read_text()
    taxonomy.write_text(text.replace('id = "save"', 'id = "keep"'))
    from microconv.config.load import load_config

    with Project(load_config(folder / "microconv.toml", {})) as project, pytest.raises(FindingsError, match="save"):
        project.propensity.score()


# The commands


def test_commands_train_score_and_show(tmp_path: Path):
    folder = tmp_path / "shop"
    shop(folder, 1).close()

    shown = microconv(folder, "propensity", "show", "--format", "json").document
    assert shown["status"] == "none"
    trained = microconv(folder, "propensity", "train", "--format", "json").document
    scored = microconv(folder, "propensity", "score", "--format", "json").document
    shown = microconv(folder, "propensity", "--format", "json").document

    assert trained["model_id"] == scored["model_id"] == shown["model_id"]
    assert shown["scored_actors"] == scored["actors"]
