"""The Python face of the product: one object that does what the command line does."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from microconv import catalogue
from microconv.config.load import load_config
from microconv.project.auditing import AuditsTracking
from microconv.project.reporting import MakesReports


class Project(AuditsTracking, MakesReports):
    """A configuration with its taxonomy and engine. Use it as a context manager: an open engine holds a lock.

    Results are frozen, as `microconv.result` says; each has `document()` and `to_pandas()`.

    Examples:
        >>> with Project.load(Path("microconv.toml")) as project:  # doctest: +SKIP
        ...     project.sync()
        ...     project.funnel("purchase_journey").to_pandas()
    """

    @classmethod
    def load(cls, path: Path | str | None = None) -> Self:
        """Load a configuration file, or the default one, with overrides from the environment.

        Raises:
            ConfigError: the file is missing or wrong.
        """
        file = None if path is None else Path(path)
        return cls(load_config(file, dict(os.environ), catalogue.destination_settings))

    def __enter__(self) -> Self:
        """Return the project itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()
