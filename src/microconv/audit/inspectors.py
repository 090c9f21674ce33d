"""Checks that are no SQL: they look at the configuration, or ask elsewhere. They say what all checks say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from microconv.audit.checks import Check
from microconv.audit.judges import Row
from microconv.audit.supplied import Supply
from microconv.engines.base import Engine


@dataclass(frozen=True)
class Inspector:
    """A check in Python: what it says of itself, and the function that looks.

    `look` returns rows with the columns of `checks.COLUMNS`, and raises `NotTestedError` where it cannot.
    """

    check: Check
    look: Callable[[Engine, Supply], Sequence[Row]]


INSPECTORS: tuple[Inspector, ...] = ()
