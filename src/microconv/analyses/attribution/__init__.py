"""Attribution: which touchpoints earn the credit for a conversion, by model and lookback window, and how surely."""
