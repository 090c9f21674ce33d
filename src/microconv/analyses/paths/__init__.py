"""Paths: the ways to and from a micro-conversion or page, what follows what, and the flow between them."""

from microconv.analyses.paths.question import PathsQuestion
from microconv.analyses.paths.ways import links_query, paths, sequences_query, transitions_query

__all__ = ["PathsQuestion", "links_query", "paths", "sequences_query", "transitions_query"]
