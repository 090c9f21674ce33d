"""Measures what the product costs: `python -m benchmarks`. Figures compare within one run, never across machines."""
