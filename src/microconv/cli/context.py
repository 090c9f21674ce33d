"""What every command gets: where the configuration is, how to log, and the project once it is needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from microconv.config.sections import Config
    from microconv.project import Project


@dataclass(frozen=True)
class CommandContext:
    """The options of the root command; `config` and `project` are read when a command asks for them."""

    config_path: Path | None
    log_format: str
    environ: Mapping[str, str]

    def config(self) -> Config:
        """Load the configuration; ConfigError says what is wrong and where it was looked for."""
        from microconv.catalogue import destination_settings
        from microconv.config.load import load_config

        return load_config(self.config_path, self.environ, destination_settings)

    def project(self) -> Project:
        """Open the project: configuration, taxonomy and engine. Use it as a context manager."""
        return open_project(self.config())


def open_project(config: Config) -> Project:
    """Open the project of a configuration, as `CommandContext.project` does."""
    from microconv.project import Project

    with _no_pandas():
        import pyarrow as pa

        pa.array([])  # at the first array pyarrow looks whether there is a pandas
        if config.engine.kind == "bigquery":
            from google.cloud import bigquery, bigquery_storage  # noqa: F401 - they load it where they are loaded
    return Project(config)


@contextmanager
def _no_pandas() -> Iterator[None]:
    """Let there be no pandas for a while: libraries that would load it, in 0.3 s, then do without.

    No command hands out frames. Only the command line may do so: whoever calls the library may hold some. Whoever
    imports pandas later, as a destination of one's own may, gets it.
    """
    absence = _Absence("pandas")
    sys.meta_path.insert(0, absence)
    try:
        yield
    finally:
        sys.meta_path.remove(absence)


@dataclass(frozen=True)
class _Absence(MetaPathFinder):
    """Finds that a package is not there."""

    package: str

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:  # noqa: ARG002 - Python's
        if fullname == self.package:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
