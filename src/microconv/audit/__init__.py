"""Checks of the tracking."""
