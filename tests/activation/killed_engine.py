"""DuckDB in a process that may end before or after each transaction."""

from __future__ import annotations

import random
from collections.abc import Sequence

from activation.slow_list import KilledError
from microconv.engines.base import Change
from microconv.engines.duckdb import DuckDBEngine


class KilledEngine(DuckDBEngine):
    """It ends by chance."""

    chance = random.Random(0)
    kill = 0.0

    def apply(self, changes: Sequence[Change]) -> None:
        self._maybe()
        super().apply(changes)
        self._maybe()

    def _maybe(self) -> None:
        if self.chance.random() < self.kill:
            raise KilledError
