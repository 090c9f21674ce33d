"""What every command gets: where the configuration is, how to log, and the project once it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
        from microconv.project import Project

        return Project(self.config())
