"""microconv turns a GA4 export in BigQuery into decisions about micro-conversions.

`microconv.Project` does in Python what the `microconv` command does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microconv.project import Project

__all__ = ["Project", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute may be anything
    """Load `Project` when it is asked for: the command line starts without it."""
    if name == "Project":
        from microconv.project import Project  # noqa: PLC0415 - see above

        return Project
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
