"""How far the answers of models agree, and what chance does to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from microconv.analyses.attribution.attribution_question import AttributionQuestion
from microconv.queries.templates import Query
from microconv.question import Context

if TYPE_CHECKING:
    import pyarrow as pa

    from microconv.analyses.attribution.stability import StabilityResult  # numpy comes with it


class AttributionComparison(AttributionQuestion):
    """Compare shares of credit over all configured models and windows, over weeks of conversion, and by chance.

    Chance is estimated within the widest window, by drawing groups of actors with replacement; Markov chains and
    Shapley games are solved anew for each week and drawing.
    """

    in_report: ClassVar[bool] = False

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the queries of the rule models and, where a model learns from paths, of the paths; both grouped."""
        touchpoints = self.touchpoints(context)
        rules = self.rules_query(context, touchpoints, grouped=True)
        return (rules, self.paths_query(context, touchpoints, grouped=True)) if self.learns else (rules,)

    def result(self, tables: Sequence[pa.Table], context: Context) -> StabilityResult:
        """Hold the credits against each other, by model, window, week and group."""
        from microconv.analyses.attribution.recalculation import compare  # numpy comes with it

        return compare(self, self.goal_in(context.taxonomy), self.touchpoints(context), tables)
