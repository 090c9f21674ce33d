"""Searches by chance: some rounds in every run of the tests, many in `make test-long`, which sets `TEST_LONG`."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

Test = Callable[..., None]

_IS_LONG = "TEST_LONG" in os.environ


def search(usual: int, many: int, *, shares_fixtures: bool = False) -> Callable[[Test], Test]:
    """Let hypothesis draw so many examples for a test that needs a while for each.

    Args:
        usual: How many in every run.
        many: How many in a long one.
        shares_fixtures: Whether the examples may share what a fixture made for the test.
    """
    unchecked = [HealthCheck.too_slow, *([HealthCheck.function_scoped_fixture] if shares_fixtures else [])]

    def marked(test: Test) -> Test:
        of_this_run = settings(max_examples=many if _IS_LONG else usual, suppress_health_check=unchecked)
        return pytest.mark.search(of_this_run(test))

    return marked
