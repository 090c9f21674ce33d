"""Each template gives the rows that its data-only cases expect, on DuckDB, in our dialect."""

from __future__ import annotations

from dataclasses import replace

import pytest

from judges.cases import FOLDER, TemplateCase, assert_expected_rows, discover
from microconv.queries import templates

CASES = discover()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_template_gives_the_expected_rows(case: TemplateCase):
    assert_expected_rows(case, "duckdb")


@pytest.mark.parametrize("case", [each for each in CASES if "texts" in each.query.structure], ids=lambda case: case.id)
def test_leaves_that_must_be_made_text_first_give_the_same_rows(case: TemplateCase):
    assert_expected_rows(replace(case, knows_texts=False), "duckdb")


@pytest.mark.parametrize("name", templates.names())
def test_every_template_has_a_case(name: str):
    assert any(case.template == name for case in CASES), f"write {FOLDER.name}/{name}/<case>/"


def test_every_case_belongs_to_a_template():
    assert {case.template for case in CASES} <= set(templates.names())
