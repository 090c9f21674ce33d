"""Attribution: which touchpoints earn the credit for a conversion, by model and lookback window, and how surely."""

from microconv.analyses.attribution.credits import attribution
from microconv.analyses.attribution.query import (
    HEAVY_PAIRS,
    Selection,
    attribution_query,
    paths_query,
    spend_query,
    touchpoints_query,
)

__all__ = [
    "HEAVY_PAIRS",
    "Selection",
    "attribution",
    "attribution_query",
    "paths_query",
    "spend_query",
    "touchpoints_query",
]
