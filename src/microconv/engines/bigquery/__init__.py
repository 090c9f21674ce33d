"""The engine for what outgrows one machine: templates run in BigQuery, in a dataset of the user's own."""

from microconv.engines.bigquery.engine import BigQueryEngine

__all__ = ["BigQueryEngine"]
