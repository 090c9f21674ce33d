"""Each template gives the rows that its data-only cases expect, on all three judges."""

from __future__ import annotations

import pytest

from judges import ALL_JUDGES, assert_same_rows
from judges.cases import FOLDER, TemplateCase, discover
from microconv.queries import templates

CASES = discover()


@pytest.mark.parametrize("judge", ALL_JUDGES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_template_gives_the_expected_rows(case: TemplateCase, judge: str):
    rows = ALL_JUDGES[judge](case.query.sql, case.params, case.tables())
    columns = list(rows[0]) if rows else case.tree.named_selects
    label = f"{case.id} on {judge}: {case.document['description']}"
    assert_same_rows(rows, case.expected(columns), ordered=case.is_ordered, label=label)

    grain = templates.load(case.template).grain
    assert set(grain) <= set(columns), f"the grain {grain} is not among the columns"
    keys = [tuple(str(row[name]) for name in grain) for row in rows]
    assert not grain or len(keys) == len(set(keys)), f"two rows share the grain {grain}"


@pytest.mark.parametrize("name", templates.names())
def test_every_template_has_a_case(name: str):
    assert any(case.template == name for case in CASES), f"write {FOLDER.name}/{name}/<case>/"


def test_every_case_belongs_to_a_template():
    assert {case.template for case in CASES} <= set(templates.names())
