"""Shared fixtures: a project in a scratch folder; the real sample and the BigQuery emulator where they are there."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import emulator as emulators
from bigquery_export import Export
from microconv.config.load import load_config
from microconv.config.sections import Config
from microconv.project import Project
from projects import write_config

# How fast a machine is says nothing about a property: a slow one would fail tests that hold.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

SHARED = Path(__file__).parents[2] / "shared"

# A shell starts what it puts into the background with SIGINT ignored, and children inherit that. Tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def sample() -> Path:
    """Folder of the real GA4 sample; tests that need it skip where it is missing, which in CI is a failure."""
    folder = SHARED / "data"
    if not (folder / "ga4_sample").is_dir():
        message = f"the real GA4 sample is not at {folder}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="module")
def emulator() -> Iterator[emulators.Emulator]:
    """A BigQuery emulator; each file of tests has a new one, since one slows down and grows with what was in it."""
    running = emulators.start()
    yield running
    running.stop()


@pytest.fixture
def export(emulator: emulators.Emulator, tmp_path: Path) -> Iterator[Export]:
    """A new, empty export in the emulator."""
    with emulator.client() as client:
        opened = Export(emulator, client, tmp_path)
        yield opened
        opened.close()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration of one property, with shards in `exports/` beside it."""
    return load_config(write_config(tmp_path), {})


@pytest.fixture
def project(config: Config) -> Iterator[Project]:
    """The project of `config`."""
    with Project(config) as opened:
        yield opened
