"""An experiment is read as it was planted: the split first, what differs, what it would mean, and when to read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt
from planted_experiment import EXPERIMENT, again, planted_project, write_exports

from microconv.analyses.insight.banded import Banded
from microconv.analyses.insight.onward_rates import Followed
from microconv.analyses.insight.tested_entries import ExperimentRecord, shown_by_experiments
from microconv.cli import cli
from microconv.config.experiment_settings import ExperimentConfig
from microconv.config.load import load_config
from microconv.errors import SourceError, UsageError
from microconv.experiments.carrying import OTHERWISE, carried
from microconv.experiments.experiment_reading import ExperimentRead, ExperimentResult
from microconv.experiments.exposures import Split
from microconv.experiments.metrics import BETTER, BREACHED, OK, OPEN, SAME, WORSE, MetricSums, measured
from microconv.experiments.registry import DecisionGiven, markdown
from microconv.project import Project
from microconv.staging.properties import carried as carried_properties
from microconv.stats.intervals import newcombe
from microconv.taxonomy import load_taxonomy
from microconv.wording import NOTHING, Sheet
from projects import write_config

RATES = {"old": 0.2, "reviews": 0.34}
IN_TWO = 20


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with planted_project(
        tmp_path_factory.mktemp("planted"), actors=1_200, carts=RATES, in_two=IN_TWO, seed=3
    ) as project:
        yield project


@pytest.fixture(scope="module")
def found(planted: Project) -> ExperimentResult:
    return planted.read_experiment("reviews_first")


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with planted_project(tmp_path_factory.mktemp("wrong"), actors=900, lost_on_mobile=0.7) as project:
        yield project


def exported(project: Project) -> dict[str, dict[str, list[tuple[str, float]]]]:
    """What each client did after the first exposure, by variant, counted from the shards without any SQL."""
    rows = []
    for path in sorted((project.config.file.parent / "exports").glob("*.parquet")):
        rows += pq.read_table(path).to_pylist()
    rows.sort(key=lambda row: row["event_timestamp"])
    seen: dict[str, set[str]] = {}
    first: dict[str, int] = {}
    for row in rows:
        params = {each["key"]: each["value"]["string_value"] for each in row["event_params"]}
        if row["event_name"] == "experiment_view" and params["experiment_id"] == "reviews":
            seen.setdefault(row["user_pseudo_id"], set()).add(params["variant_id"])
            first.setdefault(row["user_pseudo_id"], row["event_timestamp"])
    done: dict[str, dict[str, list[tuple[str, float]]]] = {"old": {}, "reviews": {}}
    for client, variants in seen.items():
        if len(variants) == 1:
            done[next(iter(variants))][client] = []
    for row in rows:
        client = row["user_pseudo_id"]
        for clients in done.values():
            if client in clients and row["event_timestamp"] >= first[client]:
                value = (row["ecommerce"] or {}).get("purchase_revenue") or 0.0
                clients[client].append((row["event_name"], value))
    return done


def test_figures_are_those_of_the_events_themselves(planted: Project, found: ExperimentResult):
    done = exported(planted)
    for variant, clients in done.items():
        rows = {each.metric: each for each in found.metrics if each.variant == variant}
        carts = sum(any(name == "add_to_cart" for name, _ in acts) for acts in clients.values())
        views = sum(name == "view_item" for acts in clients.values() for name, _ in acts)
        size = next(each for each in found.split.sizes if each.variant == variant)
        assert size.actors == rows["add_to_cart"].actors == len(clients)
        assert rows["add_to_cart"].doers == carts
        assert rows["add_to_cart"].value == pytest.approx(carts / len(clients))
        assert rows["add_to_cart per view_item"].value == pytest.approx(carts / views)
        steps = {each.step: each.actors for each in found.steps if each.variant == variant}
        assert steps == {
            "exposed": len(clients),
            "view_item": len(clients),
            "add_to_cart": carts,
            "purchase": rows["purchase"].doers,
        }


def test_revenue_is_cut_at_the_amount_of_the_actor_at_99_percent_of_those_who_paid(
    planted: Project, found: ExperimentResult
):
    done = exported(planted)
    paid = sorted(sum(value for _, value in acts) for clients in done.values() for acts in clients.values())
    paid = [each for each in paid if each > 0]
    cap = paid[-(-99 * len(paid) // 100) - 1]
    for variant, clients in done.items():
        row = next(each for each in found.metrics if (each.metric, each.variant) == ("revenue of purchase", variant))
        amounts = [min(sum(value for _, value in acts), cap) for acts in clients.values()]
        assert row.value == pytest.approx(sum(amounts) / len(amounts))


def test_tie_at_the_goal_with_a_difference_before_it_is_told_with_what_it_would_mean(found: ExperimentResult):
    rows = {each.metric: each for each in found.metrics if each.variant == "reviews"}
    assert rows["purchase"].says == SAME
    assert rows["add_to_cart"].says == BETTER
    assert rows["add_to_cart"].low is not None
    assert rows["add_to_cart"].low > 0
    assert rows["guardrail: view_item"].says == OK
    (carrying,) = found.carried
    assert carrying.tier == "difference experimental, carrying through observed"
    assert carrying.difference == pytest.approx(1_000 * (rows["add_to_cart"].difference or 0))
    assert carrying.added == pytest.approx((carrying.difference or 0) * (carrying.onward or 0))
    assert "no difference in purchase is shown" in found.sentence
    assert "It differs in add_to_cart" in found.sentence
    assert "the difference is experimental, what follows it is observed" in found.sentence


def test_reading_begins_with_what_is_believed_and_shows_margins_and_signs(found: ExperimentResult):
    first, *shown = found.sheets()
    assert first == "Hypothesis: If reviews come first, more people add to the cart, because they trust the product."
    sheets = {each.title: each for each in shown if isinstance(each, Sheet)}
    guarded = sheets["Guardrails: not worse by more than the margin"]
    place = [each.label for each in guarded.headings].index("margin")
    assert [row[place] for row in guarded.cells()] == [NOTHING, "5.0%"]
    changes = sheets["What each variant changes against old"]
    place = [each.label for each in changes.headings].index("change to")
    row = next(row for row in changes.cells() if row[:2] == ["add_to_cart", "reviews"])
    assert row[place].startswith("+")


def test_actors_who_saw_both_variants_are_left_out_and_counted(planted: Project, found: ExperimentResult):
    assert found.split.in_two == IN_TWO
    assert found.split.actors == sum(map(len, exported(planted).values()))
    assert any(each.startswith(f"{IN_TWO} actors saw two variants") for each in found.assumptions)
    assert not found.split.is_wrong


def test_wrong_split_comes_first_names_its_place_and_stops(wrong: Project):
    found = wrong.read_experiment("reviews_first")
    assert found.split.is_wrong
    assert (found.split.places[0].dimension, found.split.places[0].level) == ("device", "mobile")
    assert found.split.places[0].is_alone
    assert found.sentence.startswith("reviews_first: do not read the metrics. The split is wrong")
    assert "It lies in mobile (device): elsewhere the split is right." in found.sentence
    assert found.when.endswith("but the split is wrong: mend it and begin again.")
    assert re.search(r"wrong: old: \d+, reviews: \d+, and", found.split.says)
    question = next(iter(ExperimentRead.of(wrong.config, wrong.taxonomy)))
    stop = question.stop(found)
    assert stop is not None
    assert stop.exit_code == 1


def test_command_shows_a_wrong_split_and_exits_with_1(wrong: Project):
    wrong.close()
    done = CliRunner().invoke(cli, ["-c", str(wrong.config.file), "experiment", "read", "reviews_first"])
    assert done.stdout.index("The split is wrong") < done.stdout.index("What each variant changes")
    assert type(done.exception).__name__ in ("FindingsError", "SystemExit")
    assert done.exit_code == 1


def test_nothing_is_shipped_on_a_wrong_split(wrong: Project):
    with pytest.raises(UsageError, match="Nothing is shipped on a wrong split"):
        wrong.decide_experiment("reviews_first", DecisionGiven("ship", "more carts", "reviews help", ""))


def test_fixed_horizon_is_not_read_before_its_end(planted: Project, tmp_path: Path):
    with again(planted, tmp_path, EXPERIMENT.replace("2024-03-14", "2024-03-31")) as project:
        found = project.read_experiment("reviews_first")
        assert not found.is_read_in_time
        assert "too early to read: the horizon is fixed, and it is read once, when 2024-03-31 is over" in found.sentence
        with pytest.raises(UsageError, match="Too early to read"):
            project.decide_experiment("reviews_first", DecisionGiven("ship", "because", "learned", ""))


@pytest.mark.parametrize("horizon", ["until = 2024-03-14", 'horizon = "anytime"'])
def test_experiment_that_nobody_is_in_is_not_read_nor_shipped(horizon: str, planted: Project, tmp_path: Path):
    sections = EXPERIMENT.replace('equals = "reviews"', 'equals = "nobody"').replace("until = 2024-03-14", horizon)
    with again(planted, tmp_path, sections) as project:
        found = project.read_experiment("reviews_first")
        assert (found.is_read_in_time, found.when) == (False, "Nobody is in it, so there is nothing to read.")
        assert "nobody was exposed in the data" in found.sentence
        assert {each.written() for each in found.metrics} == {NOTHING}
        with pytest.raises(UsageError, match="Nobody is in it"):
            project.decide_experiment("reviews_first", DecisionGiven("ship", "because", "learned", ""))


def test_anytime_valid_intervals_are_wider_and_say_that_they_may_be_read(
    planted: Project, found: ExperimentResult, tmp_path: Path
):
    sections = EXPERIMENT.replace("until = 2024-03-14", 'horizon = "anytime"')
    with again(planted, tmp_path, sections) as project:
        anytime = project.read_experiment("reviews_first")
    assert anytime.is_read_in_time
    assert anytime.when.startswith("Intervals are anytime-valid")
    for ours, theirs in zip(anytime.metrics, found.metrics, strict=True):
        if ours.role == "metric" and ours.low is not None and ours.high is not None:
            assert theirs.low is not None
            assert theirs.high is not None
            assert ours.high - ours.low > theirs.high - theirs.low


def test_period_before_is_shown_with_its_balance(planted: Project, tmp_path: Path):
    sections = EXPERIMENT.replace("until =", 'pre_period = "1d"\nuntil =')
    with again(planted, tmp_path, sections) as project:
        found = project.read_experiment("reviews_first")
    assert {each.metric for each in found.before} >= {"purchase", "add_to_cart"}
    row = next(each for each in found.metrics if (each.metric, each.variant) == ("add_to_cart", "reviews"))
    assert row.saved == pytest.approx(0, abs=1e-9)  # nobody did anything before: it explains nothing
    assert any("CUPED" in each for each in found.assumptions)


def test_parameters_that_are_not_staged_say_to_sync(planted: Project, tmp_path: Path):
    with (
        again(planted, tmp_path, EXPERIMENT.replace('"variant_id"', '"arm"')) as project,
        pytest.raises(SourceError, match="arm is not staged yet") as raised,
    ):
        project.read_experiment("reviews_first")
    assert "microconv sync" in raised.value.hint


def test_experiments_carry_what_names_their_variants(tmp_path: Path):
    other = EXPERIMENT.replace("reviews_first", "other").replace(
        'variant = "variant_id"', 'variant = { user_property = "Exp" }'
    )
    config = load_config(write_config(tmp_path, extra=EXPERIMENT + other), {})
    names = {(each.kind, each.name) for each in carried_properties(config, None)}
    assert names == {("parameter", "experiment_id"), ("parameter", "variant_id"), ("user_property", "Exp")}


def test_decision_is_kept_found_again_and_makes_a_lift_experimental(planted: Project, found: ExperimentResult):
    given = DecisionGiven("keep", "Purchases are as many.", "Reviews help to *choose*.", "anna")
    (record,) = planted.decide_experiment("reviews_first", given)
    again_read = planted.experiment_records()
    assert [replace(each, decided_at=record.decided_at) for each in again_read] == [record]
    assert record.entry_tested == "add_to_cart"
    goal = next(each for each in found.metrics if (each.role, each.variant) == ("goal", "reviews"))
    assert record.goal_ratio == pytest.approx(1 + (goal.relative or 0))
    assert shown_by_experiments(again_read, "purchase")["add_to_cart"].tested_ratio is not None
    assert shown_by_experiments(again_read, "sign_up") == {}
    listed = planted.ask("experiment_list", search="CHOOSE anna")
    assert [each.decision for each in listed.rows] == ["keep"]
    assert planted.ask("experiment_list", search="nothing of it").rows == ()
    text = markdown(record)
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles == ["## Hypothesis", "## Minimal test", "## Result", "## Decision", "## Learning"]
    assert r"Reviews help to \*choose\*." in text
    assert "measured: purchase, also add_to_cart, revenue of purchase" in text
    hostile = markdown(replace(record, learning="see http://evil.example, <b>ask</b> @you and _me_", decided_by="a|b"))
    html = MarkdownIt("commonmark", {"html": True}).render(hostile)
    assert "<p>see http://evil.example, &lt;b&gt;ask&lt;/b&gt; @you and _me_</p>" in html
    assert "://" not in hostile
    assert r"\@you" in hostile


def test_lift_of_an_entry_that_an_experiment_tested_is_experimental(planted: Project):
    (record,) = planted.decide_experiment("reviews_first", DecisionGiven("keep", "because", "learned", ""))
    found = planted.ask("lift")
    row = next(each for each in found.rows if each.micro_conversion == "add_to_cart")
    assert (row.tier, row.ratio, row.low, row.high) == (
        "experimental",
        record.goal_ratio,
        record.goal_low,
        record.goal_high,
    )
    assert row.verdict == "may be chance"  # with 60 actors a side
    assert "That may be chance: p = " in row.says
    assert "is the cause" not in row.says
    assert "Tested by an experiment: add_to_cart" in found.sentence
    assert {each.tier for each in found.rows if each.micro_conversion != "add_to_cart"} == {"adjusted"}
    other = planted.ask("lift", goal="view_item")
    assert "experimental" not in {each.tier for each in other.rows}


def test_deciding_again_replaces_the_record(planted: Project):
    for decision in ("repeat", "stop"):
        planted.decide_experiment("reviews_first", DecisionGiven(decision, "because", "learned", ""))
    assert [each.decision for each in planted.experiment_records()] == ["stop"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (DecisionGiven("win", "because", "learned", ""), "is no decision"),
        (DecisionGiven("keep", " ", "learned", ""), "A decision without --because"),
        (DecisionGiven("keep", "because", "", ""), "A decision without --learning"),
        (DecisionGiven("keep", "because", "learned", "", "old"), "not a variant to decide on"),
    ],
)
def test_decisions_that_teach_nobody_are_refused(planted: Project, given: DecisionGiven, said: str):
    with pytest.raises(UsageError, match=said):
        planted.decide_experiment("reviews_first", given)


def test_records_of_a_wrong_split_or_read_too_early_are_no_evidence():
    record = ExperimentRecord(
        *("e", "new", "old", datetime(2024, 3, 1, tzinfo=UTC), "ship", "h", "t", "r", "b", "l", "", "buy", "cart"),
        *("fixed", 100, True, True, 1.2, 1.1, 1.3, 0.01, None, None, None, 0.1, None, 0.95, None, None),
    )
    assert set(shown_by_experiments([record], "buy")) == {"cart"}
    for change in ({"is_split_right": False}, {"is_read_in_time": False}, {"goal_low": -0.1}, {"entry_tested": ""}):
        assert shown_by_experiments([replace(record, **change)], "buy") == {}


SHOWN = ExperimentRecord(
    *("e", "new", "old", datetime(2024, 3, 1, tzinfo=UTC), "ship", "h", "t", "r", "b", "l", "", "buy", "cart"),
    *("fixed", 40_000, True, True, 1.1, 1.02, 1.18, 0.01, 1.5, 1.4, 1.6, 0.05, 0.1, 0.95, None, None),
)


@pytest.mark.parametrize(
    ("change", "is_told"),
    [
        ({}, True),
        ({"goal_p": 0.2}, False),  # corrected over the metrics, it may be chance
        ({"goal_low": 0.98}, False),
        ({"level": 0.995}, False),
        ({"goal_ratio": 0.9, "goal_low": 0.8, "goal_high": 0.95}, True),
        ({"is_split_right": False}, False),
    ],
)
def test_a_difference_is_told_by_its_interval_and_by_its_corrected_p_value(change: dict[str, Any], is_told: bool):
    assert replace(SHOWN, **change).is_told is is_told


def test_what_a_doer_brings_is_the_difference_in_the_goal_over_that_in_the_entry():
    """The entry rises from 10% to 15%, the goal from 5% to 5.5%: of 5 more who do it, half a one buys."""
    told, drawn = SHOWN.goals_of_a_doer(1, 4_000)

    assert told == pytest.approx(0.1)
    # The goal's difference is 0.1% to 0.9%, which is by far the less sure one.
    assert np.quantile(drawn, (0.025, 0.975)) == pytest.approx((0.02, 0.18), abs=0.015)


@pytest.mark.parametrize("change", [{"entry_low": 0.99}, {"entry_ratio": None}, {"goal_share": None}])
def test_where_the_variant_does_not_bring_about_the_entry_nothing_is_told_of_a_doer(change: dict[str, Any]):
    assert replace(SHOWN, **change).goals_of_a_doer(1, 10) is None


def test_first_decision_makes_the_table_and_the_command_writes_markdown(tmp_path: Path):
    write_exports(tmp_path, actors=60)
    config = write_config(tmp_path, extra=EXPERIMENT)
    with Project(load_config(config, {})) as project:
        project.sync()
    words = ["-c", str(config), "experiment", "decide", "reviews_first", "--decision", "stop", "--because", "Too few."]
    done = CliRunner().invoke(cli, [*words, "--learning", "None yet.", "--output", str(tmp_path / "record.md")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "record.md").read_text(encoding="utf-8") == done.stdout
    assert "not enough data: n = " in done.stdout
    shown = CliRunner().invoke(cli, ["-c", str(config), "experiment", "show", "reviews_first"])
    assert shown.stdout == done.stdout
    twice = CliRunner().invoke(cli, [*words, "--learning", "x", "--output", str(tmp_path / "record.md")])
    assert twice.exit_code != 0
    unknown = CliRunner().invoke(cli, ["-c", str(config), "experiment", "show", "other"])
    assert unknown.exit_code == 2


# Metrics from sums


TAXONOMY = load_taxonomy(preset="ecommerce", file=None)


def experiment(**more: object) -> ExperimentConfig:
    return ExperimentConfig.model_validate(
        {
            "name": "e",
            "hypothesis": "h",
            "exposure": {"event": "seen"},
            "variant": "v",
            "control": "a",
            "variants": {"a": 0.5, "b": 0.5},
            "actors": 10,
            **more,
        }
    )


def sums(config: ExperimentConfig, **by_metric: tuple[tuple[int, int], tuple[int, int]]) -> MetricSums:
    """Shares of actors: of each metric, actors and doers of a and b."""
    columns = ("top_after", "top_before", "bottom_after", "bottom_before")
    rows = []
    for metric, variants in by_metric.items():
        for variant, (actors, doers) in zip(("a", "b"), variants, strict=True):
            zeros: dict[str, float] = {f"{name}{of}": 0.0 for name in columns for of in ("", "_squares")}
            done = {"top_after": float(doers), "top_after_squares": float(doers), "top_after_top_before": 0.0}
            rows.append(
                {"metric": metric, "variant": variant, "actors": actors, "doers": doers, "cap": None} | zeros | done
            )
    return MetricSums.read(rows, config)


@pytest.mark.parametrize(
    ("treated", "says"),
    [
        ((1_000, 500), OK),
        ((1_000, 380), BREACHED),
        ((1_000, 470), OPEN),
        ((20, 9), OPEN),
        ((5, 2), "not enough data: n = 5"),
    ],
)
def test_guardrail_holds_where_its_margin_is_ruled_out_and_breaks_where_it_is_sure(treated: tuple[int, int], says: str):
    config = experiment(guardrails=[{"entry": "view_item", "margin": 0.1, "name": "views"}])
    asked = measured(config, TAXONOMY)
    told = sums(config, **{"purchase": ((9, 0), (9, 0)), "guardrail: views": ((1_000, 500), treated)}).told(asked)
    row = next(each for each in told if (each.role, each.variant) == ("guardrail", "b"))
    assert row.says == says


def test_guardrail_of_what_should_not_happen_breaks_upward():
    config = experiment(guardrails=[{"entry": "view_item", "margin": 0.1, "name": "x", "better": "fewer"}])
    asked = measured(config, TAXONOMY)
    for done, says in ((500, OK), (650, BREACHED)):
        told = sums(config, **{"guardrail: x": ((1_000, 500), (1_000, done))}).told(asked)
        assert [each.says for each in told if each.variant == "b" and each.role == "guardrail"] == [says]


def test_p_values_are_corrected_over_the_goal_and_all_metrics():
    config = experiment(metrics=[{"entry": "add_to_cart"}, {"entry": "view_item"}])
    asked = measured(config, TAXONOMY)
    same = ((1_000, 100), (1_000, 130))
    alone = sums(experiment(), purchase=same).told(measured(experiment(), TAXONOMY))[1]
    told = sums(config, purchase=same, add_to_cart=((1_000, 500), (1_000, 500)), view_item=same).told(asked)
    assert told[1].p_value == pytest.approx(3 * (alone.p_value or 0))
    assert (alone.says, told[1].says) == (BETTER, SAME)


def test_fewer_may_be_better():
    config = experiment(metrics=[{"entry": "view_item", "better": "fewer"}])
    told = sums(config, view_item=((1_000, 300), (1_000, 200))).told(measured(config, TAXONOMY))
    row = next(each for each in told if (each.metric, each.variant) == ("view_item", "b"))
    assert row.says == BETTER
    assert row.chance is not None
    assert row.chance > 0.99
    worse = sums(config, view_item=((1_000, 200), (1_000, 300))).told(measured(config, TAXONOMY))
    assert [each.says for each in worse if each.metric == "view_item"][1] == WORSE


def test_difference_of_two_shares_read_once_has_the_interval_of_newcombe():
    told = sums(experiment(), purchase=((100, 30), (100, 90))).told(measured(experiment(), TAXONOMY))[1]
    assert (told.low, told.high) == newcombe(90, 100, 30, 100)
    assert told.low is not None
    assert told.low < (told.difference or 0) - 0.05


def test_nobody_in_one_variant_is_told_without_a_test():
    told = sums(experiment(), purchase=((500, 0), (500, 40))).told(measured(experiment(), TAXONOMY))[1]
    assert told.p_value is None
    assert told.low is not None
    assert told.low > 0
    assert told.says.startswith("cannot be tested")


def test_what_the_test_itself_rules_out_is_said():
    import numpy as np

    config = experiment(metrics=[{"entry": "add_to_cart"}])
    told = sums(config, purchase=((20_000, 1_000), (20_000, 800)), add_to_cart=((20_000, 4_000), (20_000, 5_000))).told(
        measured(config, TAXONOMY)
    )
    groups = np.full(256, 100.0)
    followed = {"add_to_cart": Followed(groups, groups * 0, {("purchase", "reached"): groups / 4})}
    ratios = {"add_to_cart": Banded(None, True, 25_600, 6_400, 0, 40_000)}
    (row,) = carried(told, {"add_to_cart": "add_to_cart"}, followed, ratios, "purchase")
    assert row.says == OTHERWISE
    assert row.beyond == pytest.approx(1_000 * 0.05 * 0.25)
    assert row.measured == pytest.approx(-10)


def test_split_of_nobody_is_told_and_right():
    split = Split.read([], experiment())
    assert (split.actors, split.is_wrong, split.is_told) == (0, False, False)
