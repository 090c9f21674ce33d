"""Paths: the journeys to and from a micro-conversion or page, and the funnel that they suggest."""
