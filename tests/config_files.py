"""What the tests of the configuration share: the least files that load, and the message of one that does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from microconv.catalogue import destination_settings
from microconv.config.load import load_config
from microconv.errors import ConfigError

MINIMAL = """\
[project]
timezone = "UTC"

[[sources]]
property = "123"
path = "exports/events_*.parquet"
"""

PULLED = """\
[project]
timezone = "UTC"

[[sources]]
property = "123"
kind = "bigquery"
project = "client"
dataset = "analytics_1"
"""

BIGQUERY = f"""\
[engine]
kind = "bigquery"
project = "payer"
dataset = "staged"

{PULLED}"""


def write(folder: Path, text: str) -> Path:
    path = folder / "microconv.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problem(folder: Path, text: str, environ: dict[str, str] | None = None) -> str:
    """Return the message of the error that loading `text` ends in."""
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, text), environ or {}, destination_settings)
    error = caught.value
    assert error.exit_code == 2
    assert error.hint
    assert "\n" not in error.message
    return error.message
