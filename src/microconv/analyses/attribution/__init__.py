"""Attribution: which touchpoints earn the credit for a conversion, by model and lookback window."""

from microconv.analyses.attribution.credits import HEAVY_PAIRS, attribution, attribution_query

__all__ = ["HEAVY_PAIRS", "attribution", "attribution_query"]
