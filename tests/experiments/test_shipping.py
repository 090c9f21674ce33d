"""A variant is shipped while guardrails hold and questions of ethics are answered, and not otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from planted_experiment import EXPERIMENT, again, planted_project

from microconv.cli import cli
from microconv.config.experiment_settings import ExperimentConfig, ExposureConfig, GuardedMetricConfig, VariantSource
from microconv.errors import ConfigError, FindingsError, UsageError
from microconv.experiments.metrics import ExperimentMetric
from microconv.experiments.registry import DecisionGiven
from microconv.experiments.shipping import check_shipping
from microconv.project import Project
from microconv.wording import Sheet

SHIP = DecisionGiven("ship", "More carts.", "Proof helps.", "anna")
VIEWS = '[[guardrails]]\nname = "views"\nevent = "view_item"\nper = "sessions"\nat_most = {bound}\ndays = 14\n'
LASTING = 'max_age = "3650d"\n'


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with planted_project(tmp_path_factory.mktemp("shipped"), actors=400) as project:
        yield project


def guarded(bound: float, more: str = LASTING) -> str:
    return EXPERIMENT.replace("tests =", 'must_hold = ["views"]\ntests =') + VIEWS.format(bound=bound) + more


def asked(require: str, answers: str = "", more: str = "") -> str:
    return f"{EXPERIMENT}{answers}[ethics]\nrequire = {require}\n{more}"


def answer(question: str, word: str, *, more: str = "") -> str:
    on = date.today() - timedelta(days=2)
    return f'[experiments.ethics.{question}]\nanswer = "{word}"\nby = "Anna"\non = {on}\n{more}'


def decided(project: Project, *more: str, decision: str = "ship") -> Result:
    project.close()
    given = ("--decision", decision, "--because", "More carts.", "--learning", "Proof helps.")
    words = ["-c", str(project.config.file), "experiment", "decide", "reviews_first", *given, *more]
    return CliRunner().invoke(cli, words, env={"MICROCONV_ENGINE__PATH": str(project.config.engine.path)})


def views_per_session(project: Project) -> float:
    """Count them in the shards, without any SQL; each actor of the plant has one session."""
    rows = [
        row
        for path in Path(project.config.sources[0].path or "").parent.glob("*.parquet")
        for row in pq.read_table(path, columns=["event_name", "user_pseudo_id"]).to_pylist()
    ]
    return sum(row["event_name"] == "view_item" for row in rows) / len({row["user_pseudo_id"] for row in rows})


def test_breached_guardrail_is_shown_in_the_reading_and_stops_shipping(planted: Project, tmp_path: Path):
    with again(planted, tmp_path, guarded(1.0)) as project:
        views = views_per_session(project)
        found = project.read_experiment("reviews_first")
        (state,) = found.must_hold
        assert (state.state, state.value) == ("breached", pytest.approx(views))
        assert (
            f"This stops shipping: guardrail views is breached: event view_item per session {views:.2f}"
            in found.sentence
        )
        assert found.document()["must_hold"][0]["state"] == "breached"
        table = next(
            each for each in found.sheets() if isinstance(each, Sheet) and "Guardrails of all actors" in each.title
        )
        assert table.rows[0][:2] == ("views", "breached")
        assert any("they do not hold variants against each other" in each for each in found.assumptions)

        stopped = decided(project)
        assert stopped.exit_code == 1
        assert "guardrail views is breached" in stopped.stderr
        assert "--allow-guardrail views" in stopped.stderr
        assert project.experiment_records() == ()

        done = decided(project, "--allow-guardrail", "views")
        assert done.exit_code == 0, done.output
        assert "Shipped all the same, by --allow-guardrail: views." in done.stdout


def test_guardrail_that_cannot_be_measured_stops_shipping_and_says_so(planted: Project, tmp_path: Path):
    with again(planted, tmp_path, guarded(5.0, more="")) as project:
        found = project.read_experiment("reviews_first")
        assert (
            "guardrail views (event view_item per session, at most 5.00) cannot be measured: the last day"
            in found.sentence
        )
        with pytest.raises(FindingsError, match="cannot be measured"):
            project.decide_experiment("reviews_first", SHIP)


def test_guardrail_that_holds_stops_nothing_and_a_breached_one_stops_shipping_alone(planted: Project, tmp_path: Path):
    with again(planted, tmp_path, guarded(5.0)) as project:
        assert "stops shipping" not in project.read_experiment("reviews_first").sentence
        assert project.decide_experiment("reviews_first", SHIP)[0].decision == "ship"
        with pytest.raises(UsageError, match=r"experiment reviews_first has no guardrail 'view' .did you mean .views"):
            project.decide_experiment("reviews_first", replace(SHIP, allowed=("view",)))
    with again(planted, tmp_path, guarded(1.0)) as project:
        assert project.decide_experiment("reviews_first", replace(SHIP, decision="keep"))[0].decision == "keep"


def test_variant_that_is_worse_than_its_margin_is_not_shipped():
    experiment = ExperimentConfig(
        name="e",
        hypothesis="h",
        exposure=ExposureConfig(event="seen"),
        variant=VariantSource(parameter="v"),
        control="a",
        variants={"a": 0.5, "b": 0.5},
        actors=10,
        guardrails=(GuardedMetricConfig(entry="view_item", margin=0.1),),
    )

    def shipping(says: str, *allowed: str) -> tuple[str, ...]:
        row = ExperimentMetric(
            *("guardrail: view_item", "guardrail", "share of actors", "b", 9, 9),
            *(None,) * 5,
            -0.2,
            *(None,) * 6,
            says=says,
        )
        return check_shipping(experiment, (), (row,), (), allowed=allowed, ethics_stop=True)

    for says in ("breached", "not enough data: n = 5"):
        with pytest.raises(FindingsError, match=rf"guardrail view_item of b: {says} \(-20.0% against the control\)"):
            shipping(says)
        assert shipping(says, "view_item") == ("view_item",)
    for says in ("ok", "not shown yet"):
        assert shipping(says) == ()


def test_open_question_is_said_and_stops_shipping_until_it_is_answered(planted: Project, tmp_path: Path):
    require = '["pressure", "consent"]'
    with again(planted, tmp_path, asked(require, answer("pressure", "yes"))) as project:
        found = project.read_experiment("reviews_first")
        said = "of the checklist of ethics, consent not answered, pressure answered badly"
        assert f"This stops shipping: {said}." in found.sentence
        assert [(each.question, each.state) for each in found.open_questions] == [
            ("pressure", "bad"),
            ("consent", "unanswered"),
        ]
        assert "Questions of ethics that are open" in [each.title for each in found.sheets() if isinstance(each, Sheet)]
        planned = " ".join(project.ask("experiment_plan").assumptions)
        assert "Of the checklist of ethics, pressure and consent must be answered for each experiment" in planned
        assert "Open for the experiment reviews_first: consent not answered, pressure answered badly." in planned
        assert "No variant of these is shipped." in project.ethics().sentence
        stopped = decided(project)
        assert stopped.exit_code == 1
        assert said in stopped.stderr
        assert "[experiments.ethics] of reviews_first" in stopped.stderr
        assert decided(project, decision="stop").exit_code == 0

    answers = answer("pressure", "yes", more='accepted = "the sale does end on Sunday"\n') + answer("consent", "yes")
    with again(planted, tmp_path, asked(require, answers)) as project:
        assert project.read_experiment("reviews_first").open_questions == ()
        assert "All required questions are answered for 1 experiment." in project.ethics().sentence
        assert decided(project).exit_code == 0


def test_open_question_is_only_said_where_the_configuration_does_not_let_it_stop(planted: Project, tmp_path: Path):
    with again(planted, tmp_path, asked('["consent"]', more="stop = false\n")) as project:
        found = project.read_experiment("reviews_first")
        assert found.sentence.endswith("Of the checklist of ethics, consent not answered.")
        assert decided(project).exit_code == 0


def test_answer_of_an_experiment_to_a_question_that_there_is_not_is_a_mistake(planted: Project, tmp_path: Path):
    with (
        again(planted, tmp_path, asked('["consent"]', answer("presure", "no"))) as project,
        pytest.raises(ConfigError, match=r"ethics of the experiment reviews_first: 'presure' .*did you mean .pressure"),
    ):
        project.read_experiment("reviews_first")
