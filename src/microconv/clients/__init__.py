"""The one way to talk to BigQuery: clients, retries, and errors in our own words."""
