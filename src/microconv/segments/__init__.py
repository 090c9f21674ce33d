"""Segments: from a rule to its members."""
