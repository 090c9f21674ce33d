"""Analyses over the staged tables: one module per family, one typed function per template."""
