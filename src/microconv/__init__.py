"""microconv turns a GA4 export in BigQuery into decisions about micro-conversions."""

__version__ = "0.1.0"
