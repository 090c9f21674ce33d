"""Each template gives the rows that its data-only cases expect, on Google's reference implementation."""

from __future__ import annotations

import pytest

from judges.cases import TemplateCase, assert_expected_rows, discover


@pytest.mark.parametrize("case", discover(), ids=lambda case: case.id)
def test_template_gives_the_expected_rows(case: TemplateCase):
    assert_expected_rows(case, "reference")
