"""The questions that a project asks about its funnels, once the properties they name are known to be staged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from microconv.analyses.funnels.breakdown import Breakdown, FunnelBreakdown, breakdown
from microconv.analyses.funnels.comparison import FunnelComparison, compare_funnels
from microconv.analyses.funnels.counts import funnel
from microconv.analyses.funnels.drop_off import DropOffResult, drop_off
from microconv.analyses.funnels.machine import EVERYTHING, Selection
from microconv.analyses.funnels.results import FunnelResult
from microconv.analyses.funnels.times import FunnelTimes, times
from microconv.analyses.funnels.trend import FunnelTrend, Grain, trend
from microconv.config.load import find_named
from microconv.config.sections import Config, FunnelConfig
from microconv.engines.base import Engine
from microconv.staging import properties
from microconv.staging.properties import Property
from microconv.taxonomy import Taxonomy

ResultT = TypeVar("ResultT", "FunnelResult", FunnelBreakdown, FunnelTrend, FunnelTimes, DropOffResult)


@dataclass(frozen=True)
class Funnels:
    """The funnels of a project. Each method takes one of the configuration by its name, or one made on the spot.

    Raises, from every method:
        UsageError: the configuration has no funnel of that name, or the question does not fit the funnel.
        TaxonomyError: a step is no micro-conversion of the taxonomy.
        ConfigError: the funnel names a property that is not carried, or cannot be counted as it is configured.
        SourceError: a property of the funnel is not staged yet.
        EngineError: the engine failed.
    """

    open_engine: Callable[[], Engine]
    config: Config
    taxonomy: Taxonomy

    @property
    def engine(self) -> Engine:
        """The engine, opened when a question needs it: a mistake in the question is told without."""
        return self.open_engine()

    def find(self, name: str | FunnelConfig) -> FunnelConfig:
        """Return a funnel of the configuration by its name; one that is given as such is returned as it is."""
        return find_named(self.config.funnels, name, "funnel") if isinstance(name, str) else name

    def count(self, name: str | FunnelConfig, selection: Selection = EVERYTHING) -> FunnelResult:
        """Count who takes each step."""
        chosen, lacking = self._checked(name)
        return _with(funnel(self.engine, chosen, self.taxonomy, selection), lacking)

    def breakdown(
        self, name: str | FunnelConfig, by: Breakdown, selection: Selection = EVERYTHING, *, top: int = 10
    ) -> FunnelBreakdown:
        """Count by the values of a property."""
        chosen, lacking = self._checked(name, by.properties)
        return _with(breakdown(self.engine, chosen, self.taxonomy, by, selection, top=top), lacking)

    def trend(
        self, name: str | FunnelConfig, selection: Selection = EVERYTHING, *, grain: Grain = "day"
    ) -> FunnelTrend:
        """Count by the day or week of the start."""
        chosen, lacking = self._checked(name)
        return _with(trend(self.engine, chosen, self.taxonomy, selection, grain=grain), lacking)

    def times(
        self,
        name: str | FunnelConfig,
        selection: Selection = EVERYTHING,
        *,
        pairs: Sequence[tuple[int, int]] | None = None,
    ) -> FunnelTimes:
        """Measure the time between steps."""
        chosen, lacking = self._checked(name)
        return _with(times(self.engine, chosen, self.taxonomy, selection, pairs=pairs), lacking)

    def drop_off(
        self, name: str | FunnelConfig, selection: Selection = EVERYTHING, *, most_next: int = 3, top: int = 10
    ) -> DropOffResult:
        """Say what those did next who were lost."""
        chosen, lacking = self._checked(name)
        found = drop_off(self.engine, chosen, self.taxonomy, selection, most_next=most_next, top=top)
        return _with(found, lacking)

    def compare(
        self, name: str | FunnelConfig, a: Selection, b: Selection, *, name_a: str = "a", name_b: str = "b"
    ) -> FunnelComparison:
        """Count for two selections, and say how far shares differ and whether chance would do that."""
        chosen = self.find(name)
        return compare_funnels(chosen, self.count(chosen, a), self.count(chosen, b), name_a=name_a, name_b=name_b)

    def _checked(self, name: str | FunnelConfig, also: Sequence[Property] = ()) -> tuple[FunnelConfig, tuple[str, ...]]:
        """Return the funnel, and a sentence for each of its properties that some staged days lack."""
        chosen = self.find(name)
        return chosen, properties.check(self.engine, (*properties.of_funnel(chosen), *also), self.config)


def _with(result: ResultT, lacking: tuple[str, ...]) -> ResultT:
    return replace(result, assumptions=(*result.assumptions, *lacking))
