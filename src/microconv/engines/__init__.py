"""Engines: where templates run and where the staged tables and the state live."""
