"""Conversions back: occurrences become conversions at ad platforms, each at most once."""
