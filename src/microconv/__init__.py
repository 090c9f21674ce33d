"""microconv turns a GA4 export in BigQuery into decisions about micro-conversions.

`microconv.Project` does in Python what the `microconv` command does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microconv.version import __version__

if TYPE_CHECKING:
    from microconv.project import Project

__all__ = ["Project", "__version__"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute may be anything
    """Load `Project` when it is asked for: the command line starts without it."""
    if name == "Project":
        from microconv.project import Project

        return Project
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
