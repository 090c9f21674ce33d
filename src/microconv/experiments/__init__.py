"""Experiments: planned, read, decided."""
