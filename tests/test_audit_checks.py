"""Every check of the audit keeps the contract: its rows, its header, a case that fires and one that does not."""

from __future__ import annotations

import re
import string

import pytest

from judges import JUDGES as SQL_JUDGES
from judges.cases import TemplateCase, discover
from microconv.audit.checks import AREAS, AT_STAKE, COLUMNS, Check, checks
from microconv.audit.inspectors import INSPECTORS
from microconv.audit.joining import PLACES
from microconv.audit.judges import JUDGES
from microconv.audit.supplied import SUPPLIED
from microconv.audit.tracking_audit import Audit, all_checks
from microconv.config.load import load_config
from microconv.queries import templates
from microconv.taxonomy import load_taxonomy
from projects import write_config

CHECKS = checks()
EVERY = all_checks()


def cases_of(check: Check) -> list[TemplateCase]:
    return [case for case in discover() if case.template == check.template]


def test_names_of_checks_are_unique():
    assert len({each.name for each in EVERY}) == len(EVERY)


def test_every_folder_of_checks_is_an_area():
    folders = {path.name for path in (templates.root() / "audit").iterdir() if path.is_dir()}

    assert folders <= set(AREAS)


@pytest.mark.parametrize("check", EVERY, ids=lambda each: each.name)
def test_a_finding_is_a_sentence_with_a_remedy(check: Check):
    places = {name for _, name, _, _ in string.Formatter().parse(check.finding) if name is not None}

    assert places <= set(PLACES)
    assert re.search(r"[.!?]$", check.finding) or check.finding.endswith("}")
    assert re.fullmatch(r"[A-Z].*[.]", check.remedy)
    assert re.fullmatch(r"[A-Z].*[.]", check.meaning)


@pytest.mark.parametrize("check", CHECKS, ids=lambda each: each.name)
def test_parameters_are_supplied_or_thresholds(check: Check):
    thresholds = {each.name for each in check.thresholds}

    assert set(templates.load(check.template).params) <= thresholds | set(SUPPLIED)


@pytest.mark.parametrize("check", CHECKS, ids=lambda each: each.name)
def test_a_query_can_be_made_of_every_preset(check: Check, tmp_path):
    config = load_config(write_config(tmp_path), {})
    for preset in ("ecommerce", "saas", "publisher", "lead_generation", "mobile_app"):
        assert Audit(config, load_taxonomy(preset=preset, file=None)).query(check).sql


@pytest.mark.parametrize("check", [each for each in CHECKS if each.judge], ids=lambda each: each.name)
def test_a_judge_is_known(check: Check):
    assert check.judge in JUDGES


@pytest.mark.parametrize("check", [each for each in CHECKS if not each.judge], ids=lambda each: each.name)
def test_a_check_fires_in_one_case_and_not_in_another(check: Check):
    found = [len(case.expected([*COLUMNS, AT_STAKE])) for case in cases_of(check)]

    assert 0 in found
    assert any(found)


@pytest.mark.parametrize("check", [each for each in CHECKS if not each.judge], ids=lambda each: each.name)
def test_rows_have_the_columns_of_the_contract(check: Check):
    for case in cases_of(check):
        selects = case.tree.named_selects
        assert [name for name in selects if name != AT_STAKE] == list(COLUMNS), case.id
        for row in SQL_JUDGES["duckdb"](case.query.sql, case.params, case.tables()):
            assert row["subject"] is not None
            assert 0 <= row["count"] <= max(row["total"], row["count"])


def test_inspectors_have_no_template():
    assert not any(each.check.has_template for each in INSPECTORS)


def test_what_a_purchase_must_have_is_told_by_the_checks_of_commerce_alone(tmp_path):
    supply = Audit(load_config(write_config(tmp_path), {}), load_taxonomy(preset="ecommerce", file=None)).supply
    asked = set(zip(supply.value("required_events"), supply.value("required_parameters"), strict=True))

    assert ("add_to_cart", "value") in asked
    assert not {parameter for event, parameter in asked if event == "purchase"} & {
        "value",
        "currency",
        "transaction_id",
    }
